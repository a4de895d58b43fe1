"""Checkpoints outside the house: destinations together, and when they tell that history was rewritten."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger.repository import outside
from plumbline.kernel.ledger.service import delivering, witnessing
from plumbline.kernel.ledger.service.delivering import deliver, destinations
from tests.conftest import Firm, SteppingClock
from tests.kernel.ledger.sending import WITNESS, agree, good, named, numbered
from tests.support.witness import Ledger, Neighbour, copied, scripted, through


def test_before_the_first_seal_nothing_goes_out(installation: Installation, firm: Firm, tmp_path: Path) -> None:
    made = Installation(
        installation.settings.model_copy(update={"ledger_stores": [str(tmp_path / "out")]}), clock=installation.clock
    )
    assert deliver(made, firm.id) == []
    assert [(d.tree_size, d.behind) for d in destinations(made, firm.id)] == [(0, 0)]
    assert delivering.kept_outside(made, firm.id) == []
    assert not (tmp_path / "out").exists()
    made.close()


def test_one_destination_that_fails_stops_no_other(told_to: Callable[..., Ledger], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ledger = told_to(ledger_stores=[str(tmp_path / "file"), "memory://a/b", str(tmp_path / "out")],
                          ledger_witnesses=["http://127.0.0.1:1 x"])  # fmt: skip
    assert [bool(d.error) for d in deliver(ledger.installation, ledger.id)] == [True, True, False, False]
    assert numbered(ledger.size) in ledger.files(tmp_path / "out")
    assert delivering.kept_outside(ledger.installation, ledger.id) == [ledger.note()] * 2


def test_names_and_passwords_in_addresses_are_not_kept(told_to: Callable[..., Ledger]) -> None:
    ledger = told_to(ledger_stores=["nosuch://me:s3cret@host/path"],
                          ledger_witnesses=[f"http://me:s3cret@127.0.0.1:1 {WITNESS.vkey}"])  # fmt: skip
    told = deliver(ledger.installation, ledger.id)
    assert all(d.error for d in told)
    assert "s3cret" not in repr(told) + repr(destinations(ledger.installation, ledger.id))
    with ledger.installation.database.read(ledger.id) as session:
        assert not any("s3cret" in address for address in outside.destinations(session, ledger.id))


def test_each_organization_has_its_own_deliveries(
    begin: Callable[..., Ledger], neighbour: Neighbour, clock: SteppingClock
) -> None:
    with neighbour.serving() as address:
        ledger = begin(**named(address, witnessing.verifier_key(neighbour.installation)))
        other = Ledger(ledger.installation, clock, Firm(ledger.installation, "contoso"))
        agree(neighbour, ledger)
        agree(neighbour, other)
        ledger.grow(3)
        assert ledger.send().error is None
        assert destinations(other.installation, other.id)[0].tried_at is None
        assert delivering.cosignatures(other.installation, other.id, ledger.size) == []
        assert other.send().error is None
        assert other.note() != ledger.note()


def test_two_workers_at_once_do_no_harm(begin: Callable[..., Ledger], tmp_path: Path) -> None:
    with scripted(good) as (address, _):
        ledger = begin(ledger_stores=[str(tmp_path / "out")], **named(address, WITNESS.vkey))
        ledger.grow()
        ended: list[list[delivering.Delivery]] = []
        workers = [
            threading.Thread(target=lambda: ended.append(deliver(ledger.installation, ledger.id))) for _ in range(4)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(30)
        assert [[d.error for d in one] for one in ended] == [[None, None]] * 4
        assert len(ledger.files(tmp_path / "out")) == 3


def test_a_rewritten_and_a_cut_off_history_are_told(
    begin_sqlite: Callable[..., Ledger], tmp_path: Path, clock: SteppingClock
) -> None:
    """An old copy is restored beside the one that went on: it has the key, and signs another history with it."""
    out = tmp_path / "out"
    ledger = begin_sqlite(ledger_stores=[str(out)])
    ledger.send()
    twin = copied(ledger.installation, tmp_path / "twin", ledger_stores=[str(out)])
    restored = Ledger(twin, clock, through(ledger.firm, twin))
    ledger.grow(3)
    ledger.send()
    kept = ledger.files(out)
    restored.grow(1, "a")
    behind = restored.send()
    assert str(behind.error).startswith(
        f"Alarm: a tree of {ledger.size:,} entries was delivered there, but this ledger has {restored.size:,}"
    )
    restored.grow(2, "b")  # of the same size now
    assert restored.size == ledger.size
    assert str(restored.send().error).startswith(f"Alarm: another checkpoint of {ledger.size:,} entries")
    restored.grow(5, "c")  # larger: the newest file still tells
    assert str(restored.send().error).startswith(f"Alarm: another checkpoint of {ledger.size:,} entries")
    (out / ledger.origin / "checkpoint").unlink()  # and without it the numbered one
    assert "Alarm: another checkpoint" in str(restored.send().error)
    assert {name: text for name, text in ledger.files(out).items() if name in kept} == {
        n: t for n, t in kept.items() if n != "checkpoint"
    }
    assert destinations(twin, ledger.id)[0].alarm
    twin.close()


def test_a_witness_tells_the_same(
    begin_sqlite: Callable[..., Ledger], tmp_path: Path, clock: SteppingClock, sqlite_template: Path
) -> None:
    home = tmp_path / "neighbour"
    home.mkdir()
    shutil.copy(sqlite_template, home / "plumbline.db")
    neighbour = Neighbour(f"sqlite:///{home / 'plumbline.db'}", home, clock)
    with neighbour.serving() as address:
        settings = named(address, witnessing.verifier_key(neighbour.installation))
        ledger = begin_sqlite(**settings)
        agree(neighbour, ledger)
        ledger.send()
        twin = copied(ledger.installation, tmp_path / "twin", **settings)
        restored = Ledger(twin, clock, through(ledger.firm, twin))
        ledger.grow(3)
        ledger.send()
        restored.grow(1, "a")
        assert "it was cut off or restored" in str(restored.send().error)
        restored.grow(2, "b")
        assert restored.size == ledger.size
        assert f"Alarm: another checkpoint of {ledger.size:,} entries" in str(restored.send().error)
        restored.grow(5, "c")
        assert "history was rewritten" in str(restored.send().error)
        ledger.grow()
        assert ledger.send().error is None  # the one that was seen first goes on
        twin.close()
    neighbour.installation.close()


def test_a_destination_that_had_more_than_there_is_tells_it_without_being_asked(
    begin: Callable[..., Ledger], tmp_path: Path
) -> None:
    ledger = begin(ledger_stores=[str(tmp_path / "out")])
    with ledger.installation.worker_database.write(ledger.id) as session:
        outside.remember_destination(session, ledger.id, str(tmp_path / "out"), kind="store", tree_size=10**6, tried_at=ledger.clock.now,
                                     delivered_at=None, error=None)  # fmt: skip
    assert str(ledger.send().error).startswith("Alarm: a tree of 1,000,000 entries")
