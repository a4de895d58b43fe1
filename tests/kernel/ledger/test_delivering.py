"""Checkpoints outside the house: witnesses and stores that work, fail, lie, and tell when history was rewritten."""

from __future__ import annotations

import gzip
import importlib.util
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from plumbline.kernel import clock as clocks
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger import note
from plumbline.kernel.ledger.repository import outside
from plumbline.kernel.ledger.repository.trees import Trees
from plumbline.kernel.ledger.service import Act, delivering, sealing, witnessing
from plumbline.kernel.ledger.service.delivering import deliver, destinations
from plumbline.settings import Settings
from tests.conftest import Firm, SteppingClock
from tests.support.s3 import serve_s3
from tests.support.witness import Ledger, Log, Neighbour, OtherWitness, Reply, copied, scripted, through

TEST_GROUP = Path(__file__).parents[3] / "requirements" / "test.txt"


def numbered(size: int) -> str:
    return f"{size:012}.checkpoint"


@pytest.fixture
def begin(database_url: str, tmp_path: Path, clock: SteppingClock) -> Iterator[Callable[..., Ledger]]:
    """A ledger on either engine with these settings."""
    with ExitStack() as opened:

        def make(**settings: Any) -> Ledger:
            installation = Installation.open(
                Settings(home=tmp_path, database_url=database_url, **settings), clock=clock
            )
            opened.callback(installation.close)
            return Ledger(installation, clock)

        yield make


@pytest.fixture
def begin_sqlite(sqlite_url: str, tmp_path: Path, clock: SteppingClock) -> Iterator[Callable[..., Ledger]]:
    """Where the engine makes no difference."""
    with ExitStack() as opened:

        def make(**settings: Any) -> Ledger:
            installation = Installation.open(Settings(home=tmp_path, database_url=sqlite_url, **settings), clock=clock)
            opened.callback(installation.close)
            return Ledger(installation, clock)

        yield make


@pytest.fixture
def neighbour(
    engine_name: str, request: pytest.FixtureRequest, tmp_path: Path, clock: SteppingClock
) -> Iterator[Neighbour]:
    """Another installation on the same kind of engine."""
    home, server = tmp_path / "neighbour", None
    home.mkdir()
    if engine_name == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), home / "plumbline.db")
        url = f"sqlite:///{home / 'plumbline.db'}"
    else:
        server = request.getfixturevalue("postgres")
        url = server.fresh()
    made = Neighbour(url, home, clock)
    yield made
    made.installation.close()
    if server is not None:
        server.drop(url)


@pytest.fixture(scope="module")
def standing(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """One ledger for the examples; each reaches it through an installation of its own settings."""
    home, clock = tmp_path_factory.mktemp("standing"), SteppingClock()
    shutil.copy(sqlite_template, home / "plumbline.db")
    installation = Installation.open(Settings(home=home), clock=clock)
    yield Ledger(installation, clock)
    installation.close()


@pytest.fixture
def told_to(standing: Ledger) -> Iterator[Callable[..., Ledger]]:
    """The standing ledger, a little grown, with these destinations."""
    with ExitStack() as opened:

        def make(**settings: Any) -> Ledger:
            standing.grow()
            made = standing.with_settings(**settings)
            opened.callback(made.installation.close)
            return made

        yield make


def named(address: str, key: note.VerifierKey) -> dict[str, list[str]]:
    return {"ledger_witnesses": [f"{address} {key}"]}


def agree(neighbour: Neighbour, ledger: Ledger) -> None:
    """The neighbour is to witness the ledger."""
    context = replace(neighbour.firm.admin, rights=frozenset({"*"}))
    witnessing.register(neighbour.installation, context, str(ledger.vkey))


# --- witnesses


def test_an_installation_is_witnessed_by_another(
    begin: Callable[..., Ledger], neighbour: Neighbour, clock: SteppingClock
) -> None:
    witness = witnessing.verifier_key(neighbour.installation)
    with neighbour.serving() as address:
        ledger = begin(**named(address, witness))
        first = ledger.size
        (before,) = destinations(ledger.installation, ledger.id)
        assert (before.kind, before.witness, before.tree_size, before.behind, before.tried_at, before.error) == (
            "witness", witness.name, 0, first, None, None,
        )  # fmt: skip
        refused = ledger.send()
        assert refused.error is not None
        assert "does not know this log" in refused.error
        assert str(ledger.vkey) in refused.error  # what to register there
        agree(neighbour, ledger)
        sent = ledger.send()
        assert (sent.sent, sent.tree_size, sent.error, sent.address) == (1, first, None, address)
        assert ledger.send().sent == 0
        for entries in (1, 300):
            grown = ledger.grow(entries)
            sent = ledger.send()
            assert (sent.sent, sent.tree_size, sent.error) == (1, grown, None)
            checkpoint, signatures = note.open_checkpoint(ledger.note(), [ledger.vkey, witness])
            assert (checkpoint.origin, checkpoint.size) == (ledger.origin, grown)
            assert [s.at for s in signatures if s.key == witness] == [int(clock.now.timestamp())]
            (kept,) = delivering.cosignatures(ledger.installation, ledger.id, grown)
            assert (kept.witness, kept.verifier_key, kept.received_at) == (witness.name, str(witness), clock.now)
            assert kept.signed_at == clock.now.replace(microsecond=0)
        assert len(note.open_checkpoint(ledger.note(first), [ledger.vkey, witness])[1]) == 2
    assert [w.tree_size for w in witnessing.list_logs(neighbour.installation, neighbour.firm.admin)] == [ledger.size]


def test_two_that_witness_each_other_come_to_rest(
    begin: Callable[..., Ledger], neighbour: Neighbour, clock: SteppingClock
) -> None:
    with neighbour.serving() as address:
        ledger = begin(**named(address, witnessing.verifier_key(neighbour.installation)))
        agree(neighbour, ledger)
        settled = sealing.seal(neighbour.installation, neighbour.firm.id).size
        ledger.grow()
        ledger.send()
        assert sealing.seal(neighbour.installation, neighbour.firm.id).size == settled
        assert ledger.grow(0) == ledger.send().tree_size  # nor does being cosigned write an entry here


def test_a_witness_that_was_started_anew_goes_on(begin: Callable[..., Ledger], neighbour: Neighbour) -> None:
    witness = witnessing.verifier_key(neighbour.installation)
    with neighbour.serving() as address:
        ledger = begin(**named(address, witness))
        agree(neighbour, ledger)
        ledger.send()
    down = ledger.grow() and ledger.send()
    assert down.error is not None
    assert "cannot be reached" in down.error
    assert down.tree_size < ledger.size
    neighbour.restart()
    with neighbour.serving() as address:
        again = ledger.with_settings(
            **named(address, witness)
        )  # on another port: another destination, which asks from 0
        assert again.send().error is None
        assert again.send().tree_size == ledger.size
        note.open_checkpoint(again.note(), [ledger.vkey, witness])
        assert len(destinations(again.installation, again.id)) == 1  # the old address has its row and is not shown
        again.installation.close()


def test_a_witness_that_forgot_us_is_told_again(begin: Callable[..., Ledger], neighbour: Neighbour) -> None:
    with neighbour.serving() as address:
        ledger = begin(**named(address, witnessing.verifier_key(neighbour.installation)))
        agree(neighbour, ledger)
        ledger.send()
        everything = replace(neighbour.firm.admin, rights=frozenset({"*"}))
        witnessing.forget(neighbour.installation, everything, ledger.origin)
        ledger.grow(5)
        assert "does not know this log" in str(ledger.send().error)
        agree(neighbour, ledger)
        assert (ledger.send().error, ledger.send().tree_size) == (None, ledger.size)


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


WITNESS = OtherWitness()
TYPED = {"Content-Type": "text/x.tlog.size"}


def good(asked: bytes) -> Reply:
    return Reply(body=WITNESS.line(asked).encode())


def told(size: object) -> Reply:
    return Reply(409, f"{size}\n".encode(), TYPED)


def _other_text(asked: bytes) -> Reply:
    log = Log("elsewhere.example/1")
    return Reply(body=note.cosign(log.text(3), WITNESS.name, WITNESS.key, 1).encode())


def _smuggled(asked: bytes) -> Reply:
    """A whole note of its own behind ours."""
    text = Log("elsewhere.example/1").text(3)
    line = note.cosign(
        asked.decode().split("\n\n", 1)[1].split("\n\n")[0] + "\n\n" + text, WITNESS.name, WITNESS.key, 1
    )
    return Reply(body=f"{text}\n{line}".encode())


LIES: list[tuple[str, Callable[[bytes], Reply], str]] = [
    ("another key under its name", lambda b: Reply(body=OtherWitness(WITNESS.name).line(b).encode()), "lies"),
    ("a known key's false signature", _other_text, "false"),
    ("another text", _smuggled, "lies"),
    ("a log's signature", lambda b: Reply(body=note.sign("x\n", WITNESS.name, WITNESS.key).encode()), "lies"),
    ("a time beyond the calendar", lambda b: Reply(body=WITNESS.line(b, 2**62).encode()), "lies"),
    ("nothing", lambda b: Reply(), "lies"),
    ("garbage", lambda b: Reply(body=b"\x00\xff<html>"), "lies"),
    ("a line without its end", lambda b: Reply(body=WITNESS.line(b)[:-1].encode()), "cut off"),
    ("1 MB", lambda b: Reply(body=b"x" * 1_000_000), "more than 64 kB"),
    ("a packed answer", lambda b: Reply(body=gzip.compress(b"x" * 10**7), headers={"Content-Encoding": "gzip"}), "lies"),
    ("elsewhere", lambda b: Reply(307, headers={"Location": "/elsewhere"}), "sends elsewhere"),
    ("unknown key", lambda b: Reply(403, b"no\n"), "does not know the key"),
    ("no such page", lambda b: Reply(404), "does not know this log, or nothing"),
    ("unprocessable", lambda b: Reply(422, b"bad proof\n"), "Alarm: w.example/witness finds"),
    ("broken", lambda b: Reply(500, b"oops <b>\n" * 5000), "answered 500. It says: oops"),
    ("busy", lambda b: Reply(503), "answered 503"),
    ("a conflict without a size", lambda b: Reply(409, b"7\n"), "answered 409"),
    ("another size each time", lambda b: told(1 if b.startswith(b"old 0\n") else 2), "answered 409"),
    ("a size that is none", lambda b: told("-1"), "answered 409"),
    ("a larger size", lambda b: told(10**6), "Alarm: a tree of 1,000,000 entries was delivered there, but this ledger has"),
    ("our size, another root", lambda b: told(b.split(b"\n\n", 1)[1].split(b"\n")[1].decode()), "Alarm: another checkpoint"),
]  # fmt: skip


@pytest.mark.parametrize("case", LIES, ids=[c[0] for c in LIES])
def test_what_a_witness_does_wrong_is_told_and_tried_again(case: Any, told_to: Callable[..., Ledger]) -> None:
    _, lie, said = case
    answering = [lie]
    with scripted(lambda asked: answering[0](asked)) as (address, heard):
        ledger = told_to(**named(address, WITNESS.vkey))
        failed = ledger.send()
        assert failed.error is not None
        assert said in failed.error
        assert len(failed.error) < 700
        assert (failed.sent, destinations(ledger.installation, ledger.id)[0].delivered_at) == (0, None)
        assert delivering.cosignatures(ledger.installation, ledger.id, ledger.size) == []
        assert not any(h.startswith(b"GET") for h in heard)  # no redirect was followed
        assert destinations(ledger.installation, ledger.id)[0].alarm == failed.error.startswith("Alarm: ")
        answering[0] = good
        assert (ledger.send().error, ledger.send().tree_size) == (None, ledger.size)
        note.open_checkpoint(ledger.note(), [ledger.vkey])
        assert len(note.open_note(ledger.note(), [ledger.vkey, WITNESS.vkey])[1]) == 2


def test_lines_of_unknown_keys_beside_the_right_one_are_left_out(told_to: Callable[..., Ledger]) -> None:
    other = OtherWitness("x.example/other")
    with scripted(lambda asked: Reply(body=(other.line(asked) + WITNESS.line(asked)).encode())) as (address, _):
        ledger = told_to(**named(address, WITNESS.vkey))
        assert ledger.send().error is None
        assert [c.witness for c in delivering.cosignatures(ledger.installation, ledger.id, ledger.size)] == [
            WITNESS.name
        ]
        assert other.name not in ledger.note()


def test_a_witness_that_has_an_older_tree_gets_the_proof_from_there(told_to: Callable[..., Ledger]) -> None:
    seen = [0]

    def answer(asked: bytes) -> Reply:
        return good(asked) if asked.startswith(f"old {seen[0]}\n".encode()) else told(seen[0])

    with scripted(answer) as (address, heard):
        ledger = told_to(**named(address, WITNESS.vkey))
        first = ledger.size
        assert ledger.send().error is None
        ledger.grow(6)
        seen[0] = first - 2  # a witness restored from an old copy
        assert (ledger.send().error, len(heard)) == (None, 3)
        old, *proof = heard[-1].decode().split("\n\n")[0].split("\n")
        assert old == f"old {first - 2}"
        with ledger.installation.database.read(ledger.id) as session:
            stored = Trees(session, ledger.id)
            assert [note.unb64(line) for line in proof] == stored.tree().consistency(first - 2, ledger.size)


@pytest.mark.parametrize("how", ["silent", "silent after its headers", "trickling"])
def test_a_slow_witness_is_given_up(how: str, told_to: Callable[..., Ledger]) -> None:
    released = threading.Event()

    def answer(asked: bytes) -> Reply:
        if how == "silent":
            released.wait(30)
        return Reply(trickle=released) if how == "trickling" else Reply(late=released)

    with scripted(answer) as (address, _):
        ledger = told_to(**named(address, WITNESS.vkey))
        slow = ledger.send(timeout=0.1)
        assert re.search(
            "no answer within 0.2 s" if how == "trickling" else r"silent for 0.1 s|no answer", str(slow.error)
        )
        if how == "trickling":
            assert "earlier run" in str(ledger.send().error)  # it still trickles: no second request waits beside
        released.set()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_store_that_hangs_is_given_up(told_to: Callable[..., Ledger], tmp_path: Path) -> None:
    """Reading a pipe that nobody writes to waits for ever, as does a mount whose server is gone."""
    ledger = told_to(ledger_stores=[str(tmp_path / "out")])
    pipe = tmp_path / "out" / ledger.origin / "checkpoint"
    pipe.parent.mkdir(parents=True)
    os.mkfifo(pipe)
    assert "no answer within" in str(ledger.send(timeout=0.1).error)
    assert "earlier run" in str(ledger.send().error)
    os.close(os.open(pipe, os.O_WRONLY))
    pipe.unlink()
    for thread in [t for t in threading.enumerate() if t.name == "plumbline-outside"]:
        thread.join(10)
    assert ledger.send().error is None


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("https://w.example", "not an http"),
        (f"ftp://w.example {WITNESS.vkey}", "not an http"),
        ("https://w.example w+0+x", "verifier key is wrong"),
        (f"https://w.example {Log('a/1').vkey}", "a log's, not a witness's"),
        (f"http://[::1 {WITNESS.vkey}", "cannot be reached"),
        (f"http://127.0.0.1:99999 {WITNESS.vkey}", "cannot be reached"),
        ("", "not an http"),
    ],
    ids=["no key", "ftp", "broken key", "a log's key", "no host", "no port", "empty"],
)
def test_a_setting_that_is_wrong_is_told(setting: str, said: str, told_to: Callable[..., Ledger]) -> None:
    assert said in str(told_to(ledger_witnesses=[setting]).send().error)


def test_names_and_passwords_in_addresses_are_not_kept(told_to: Callable[..., Ledger]) -> None:
    ledger = told_to(ledger_stores=["nosuch://me:s3cret@host/path"],
                          ledger_witnesses=[f"http://me:s3cret@127.0.0.1:1 {WITNESS.vkey}"])  # fmt: skip
    told = deliver(ledger.installation, ledger.id)
    assert all(d.error for d in told)
    assert "s3cret" not in repr(told) + repr(destinations(ledger.installation, ledger.id))
    with ledger.installation.database.read(ledger.id) as session:
        assert not any("s3cret" in address for address in outside.destinations(session, ledger.id))


def test_a_witness_is_asked_outside_of_every_transaction(begin: Callable[..., Ledger]) -> None:
    made: list[Ledger] = []

    def answer(asked: bytes) -> Reply:
        with Act(made[0].installation.database, made[0].firm.admin, "test.act", "test"):
            pass  # would wait for a writer's lock
        return good(asked)

    with scripted(answer) as (address, _):
        made.append(begin(**named(address, WITNESS.vkey)))
        assert made[0].send().error is None


def test_a_cosignature_keeps_its_first_time_until_the_witness_has_another_key(
    begin: Callable[..., Ledger], clock: SteppingClock
) -> None:
    ledger = begin()
    sizes = {"organization_id": ledger.id, "size": ledger.size, "witness": "w", "received_at": clock.now}

    def keep(key: str, line: str) -> list[str]:
        with ledger.installation.worker_database.write(ledger.id) as session:
            outside.add_cosignature(session, **sizes, verifier_key=key, line=line, signed_at=clock.now)  # type: ignore[arg-type]
        return [c.line for c in delivering.cosignatures(ledger.installation, ledger.id, ledger.size)]

    assert [keep("k1", "a\n"), keep("k1", "b\n"), keep("k2", "c\n")] == [["a\n"], ["a\n"], ["c\n"]]


def test_before_the_first_seal_nothing_goes_out(installation: Installation, firm: Firm, tmp_path: Path) -> None:
    made = Installation(
        installation.settings.model_copy(update={"ledger_stores": [str(tmp_path / "out")]}), clock=installation.clock
    )
    assert deliver(made, firm.id) == []
    assert [(d.tree_size, d.behind) for d in destinations(made, firm.id)] == [(0, 0)]
    assert delivering.kept_outside(made, firm.id) == []
    assert not (tmp_path / "out").exists()
    made.close()


# --- stores


def test_a_folder_gets_every_checkpoint_once(
    begin: Callable[..., Ledger], tmp_path: Path, clock: SteppingClock
) -> None:
    out = tmp_path / "out"
    ledger = begin(ledger_stores=[str(out)])
    assert ledger.send().sent == 1
    ledger.grow()
    ledger.grow(2)
    sent = ledger.send()
    assert (sent.sent, sent.error, sent.kind, sent.witness) == (2, None, "store", None)
    expected = {numbered(size): ledger.note(size) for size in ledger.sizes()} | {"checkpoint": ledger.note()}
    assert ledger.files(out) == expected
    before = {p: (p.stat().st_ino, p.stat().st_mtime_ns) for p in out.rglob("*") if p.is_file()}
    clock.now += timedelta(minutes=1)
    assert ledger.send().sent == 0
    assert {p: (p.stat().st_ino, p.stat().st_mtime_ns) for p in out.rglob("*") if p.is_file()} == before
    assert delivering.kept_outside(ledger.installation, ledger.id) == [ledger.note()]


def test_a_store_that_failed_is_resumed(begin: Callable[..., Ledger], tmp_path: Path) -> None:
    out = tmp_path / "out"
    ledger = begin(ledger_stores=[str(out)])
    sizes = [ledger.size, ledger.grow(), ledger.grow(), ledger.grow()]
    out.write_text("a file, where a folder should be")
    failed = ledger.send()
    assert failed.error is not None
    assert "cannot be" in failed.error
    assert (failed.sent, failed.tree_size) == (0, 0)
    out.unlink()
    blocked = out / ledger.origin / numbered(sizes[2])
    (blocked / "in the way").mkdir(parents=True)  # the third cannot be written
    failed = ledger.send()
    assert (failed.sent, failed.tree_size) == (2, sizes[1])
    assert failed.error is not None
    shutil.rmtree(blocked)
    sent = ledger.send()
    assert (sent.sent, sent.tree_size, sent.error) == (2, sizes[3], None)
    assert list(ledger.files(out)) == [numbered(s) for s in sizes] + ["checkpoint"]
    assert not [p for p in out.rglob(".*") if p.is_file()]  # no temporary file is left


def test_one_destination_that_fails_stops_no_other(told_to: Callable[..., Ledger], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ledger = told_to(ledger_stores=[str(tmp_path / "file"), "memory://a/b", str(tmp_path / "out")],
                          ledger_witnesses=["http://127.0.0.1:1 x"])  # fmt: skip
    assert [bool(d.error) for d in deliver(ledger.installation, ledger.id)] == [True, True, False, False]
    assert numbered(ledger.size) in ledger.files(tmp_path / "out")
    assert delivering.kept_outside(ledger.installation, ledger.id) == [ledger.note()] * 2


def test_a_write_that_was_cut_off_is_made_good(begin_sqlite: Callable[..., Ledger], tmp_path: Path) -> None:
    out = tmp_path / "out"
    ledger = begin_sqlite(ledger_stores=[str(out)])
    folder = out / ledger.origin
    folder.mkdir(parents=True)
    text = len(ledger.note().split("\n\n")[0])
    for kept in (0, 5, text + 1, text + 2, text + 20, -1):
        (folder / numbered(ledger.size)).write_bytes(ledger.note().encode()[:kept])
        (folder / "checkpoint").write_bytes(ledger.note().encode()[:kept])
        assert ledger.send().error is None
        files = ledger.files(out)
        assert files[numbered(ledger.size)] == files["checkpoint"] == ledger.note()
        ledger.grow()
        (folder / "checkpoint").unlink()
        assert ledger.send().error is None
        ledger.grow()
        (folder / numbered(ledger.size)).unlink(missing_ok=True)


def test_cosignatures_that_come_later_reach_the_newest_file_only(
    begin_sqlite: Callable[..., Ledger], tmp_path: Path, clock: SteppingClock
) -> None:
    out, answering = tmp_path / "out", [lambda b: Reply(500)]
    with scripted(lambda asked: answering[0](asked)) as (address, _):
        ledger = begin_sqlite(ledger_stores=[str(out)], **named(address, WITNESS.vkey))
        deliver(ledger.installation, ledger.id)
        alone = ledger.note()
        assert set(ledger.files(out).values()) == {alone}
        clock.now += timedelta(minutes=1)
        answering[0] = good
        clock.now += timedelta(minutes=1)
        deliver(ledger.installation, ledger.id)
        assert WITNESS.name in ledger.note()
        assert ledger.files(out) == {numbered(ledger.size): alone, "checkpoint": ledger.note()}
        ledger.grow()
        deliver(ledger.installation, ledger.id)
        assert WITNESS.name in ledger.files(out)[numbered(ledger.size)]  # the witness is asked before the store


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


def test_of_too_many_missing_the_newest_and_the_last_of_each_day_are_sent() -> None:
    start = datetime(2026, 11, 1, 12, tzinfo=UTC)
    few = [(size, start + timedelta(minutes=size)) for size in range(1, 101)]
    assert delivering.chosen(few) == list(range(1, 101))
    many = [(size, start + timedelta(hours=size)) for size in range(1, 201)]
    picked = delivering.chosen(many)
    assert picked[-1] == 200
    assert len(picked) == 9
    days = [clocks.text(at)[:10] for _, at in many]
    assert all(size == 200 or days[size - 1] != days[size] for size in picked)


@pytest.mark.parametrize("address", ["nosuch://host/path", "gs://bucket/path"])
def test_a_file_system_that_is_not_there_is_told(address: str, told_to: Callable[..., Ledger]) -> None:
    assert re.search(r"not installed|cannot be opened", str(told_to(ledger_stores=[address]).send().error))


# --- S3


@pytest.fixture
def s3fs() -> Iterator[Any]:
    if importlib.util.find_spec("s3fs") is None:
        reason = "s3fs is not installed: pip install 's3fs>=2026.1' (the extra 'cloud')"
        if os.environ.get("CI") == "true" and re.search(r"^s3fs==", TEST_GROUP.read_text("utf-8"), re.MULTILINE):
            pytest.fail(reason)
        pytest.skip(reason)
    import s3fs as found

    found.S3FileSystem.clear_instance_cache()
    yield found
    found.S3FileSystem.clear_instance_cache()


def test_s3_without_its_extra_says_what_to_install(told_to: Callable[..., Ledger]) -> None:
    if importlib.util.find_spec("s3fs") is not None:
        pytest.skip("s3fs is installed")
    assert 'pip install "plumbline-platform[cloud]"' in str(told_to(ledger_stores=["s3://b/p"]).send().error)


def test_an_object_store(begin_sqlite: Callable[..., Ledger], s3fs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_s3("checkpoints") as store:
        for name, value in store.environment().items():
            monkeypatch.setenv(name, value)
        ledger = begin_sqlite(ledger_stores=["s3://checkpoints/prefix"])
        ledger.grow()
        assert ledger.send().error is None
        ledger.grow()
        store.refusing = ("AccessDenied", 403)
        assert "cannot be read" in str(ledger.send().error)
        store.refusing = None
        assert (ledger.send().error, ledger.send().sent) == (None, 0)
        there = {key: data.decode() for key, data in store.buckets["checkpoints"].items()}
        expected = {numbered(size): ledger.note(size) for size in ledger.sizes()} | {"checkpoint": ledger.note()}
        assert there == {f"prefix/{ledger.origin}/{name}": text for name, text in expected.items()}
        puts = [key for method, key in store.asked if method == "PUT" and not key.endswith("/checkpoint")]
        assert len(puts) == len(set(puts)) == 3
        assert delivering.kept_outside(ledger.installation, ledger.id) == [ledger.note()]
        ledger.grow()
        forged = f"prefix/{ledger.origin}/{numbered(ledger.size)}"
        store.buckets["checkpoints"][forged] = b"something else\n"
        assert str(ledger.send().error).startswith("Alarm: another checkpoint")
        assert store.buckets["checkpoints"][forged] == b"something else\n"


def test_a_bucket_that_is_not_there(told_to: Callable[..., Ledger], s3fs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_s3() as store:
        for name, value in store.environment().items():
            monkeypatch.setenv(name, value)
        ledger = told_to(ledger_stores=["s3://nowhere/prefix"])
        assert "cannot be written" in str(ledger.send().error)
