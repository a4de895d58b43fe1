"""What waits becomes leaves: once, all of it, in order, signed, whoever else writes, seals or dies meanwhile."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import SecretStr

from plumbline.kernel import canonical
from plumbline.kernel.clock import system_clock
from plumbline.kernel.database import new_id
from plumbline.kernel.database.types import Encoded
from plumbline.kernel.errors import Conflict, Corrupt, Forbidden
from plumbline.kernel.identity.tables import Organization
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger import entry, note, tree
from plumbline.kernel.ledger.repository.trees import Trees
from plumbline.kernel.ledger.service import sealing, verifying
from plumbline.kernel.ledger.tables import AuditEntry
from tests.conftest import NOW, Firm, Server, SteppingClock
from tests.kernel.ledger import crowd
from tests.kernel.ledger.sealed import assert_sound, private, state, write
from tests.kernel.ledger.tampering import owning

STEPS = ("hashed", "locked", "tree", "leaves", "nodes", "checkpoint", "unqueued", "committed")
ACTS = 300
"""Of each writer."""
Make = Callable[..., Installation]


def test_nothing_waits_nothing_happens(installation: Installation, tmp_path: Path) -> None:
    nobody = new_id(NOW)
    assert sealing.seal(installation, nobody) == sealing.SealResult(0, 0, None, None)
    assert not (tmp_path / "keys").exists()
    report = verifying.verify(installation, nobody)
    assert report.sound
    assert (report.size, report.entries, report.checkpoints, report.sealed_at) == (0, 0, 0, None)


def test_what_waits_is_sealed_once(firm: Firm, installation: Installation) -> None:
    written = write(firm, 5)
    done = sealing.seal(installation, firm.id)
    entries, marks, waiting = state(installation, firm.id)
    assert entries[-5:] == written == sorted(written)
    assert (done.size, done.sealed, waiting) == (len(entries), len(entries), 0)
    assert done.note is not None
    assert done.note.startswith(f"plumbline.local/ledger/{firm.id}\n{done.size}\n")
    assert [m.note for m in marks] == [done.note]
    again = sealing.seal(installation, firm.id)
    assert (again.sealed, again.size, again.note, again.sealed_at) == (0, done.size, done.note, done.sealed_at)
    assert len(state(installation, firm.id)[1]) == 1
    assert_sound(installation, firm.id, done.size)


def test_organizations_have_trees_of_their_own(firm: Firm, other_firm: Firm, installation: Installation) -> None:
    write(firm, 3)
    size = sealing.seal(installation, firm.id).size
    assert state(installation, other_firm.id)[:2] == ([], [])
    theirs = sealing.seal(installation, other_firm.id)
    assert theirs.note is not None
    assert theirs.note.startswith(f"plumbline.local/ledger/{other_firm.id}\n")
    assert not set(state(installation, firm.id)[0]) & set(state(installation, other_firm.id)[0])
    assert_sound(installation, firm.id, size)
    assert_sound(installation, other_firm.id, theirs.size)


@pytest.mark.parametrize("extra", [0, 7])
def test_more_than_a_batch_gives_several_checkpoints(firm: Firm, installation: Installation, extra: int) -> None:
    there = state(installation, firm.id)[2]
    write(firm, 300 - there + extra)
    done = sealing.seal(installation, firm.id, batch=100)
    _, marks, waiting = state(installation, firm.id)
    assert (done.sealed, done.size, waiting) == (300 + extra, 300 + extra, 0)
    assert [m.size for m in marks] == [100, 200, 300, 307][: 4 if extra else 3]
    assert_sound(installation, firm.id, done.size)


def test_a_large_entry(firm: Firm, installation: Installation) -> None:
    write(firm, 1, text="é\u2028\U0001f600" * 120_000)  # a megabyte in UTF-8
    assert_sound(installation, firm.id, sealing.seal(installation, firm.id).size)


def test_an_entry_that_was_altered_while_it_waited_is_not_sealed(
    firm: Firm, installation: Installation, database_url: str
) -> None:
    sealed = sealing.seal(installation, firm.id).size
    written = write(firm, 5)
    before = state(installation, firm.id)
    with owning(database_url, firm.id) as owner:
        owner.run("UPDATE audit_log SET details = ? WHERE id = ?", '{"number":7}', written[2])
    with pytest.raises(Corrupt, match=str(written[2])):
        sealing.seal(installation, firm.id)
    assert state(installation, firm.id) == before
    with owning(database_url, firm.id) as owner:
        owner.run("UPDATE audit_log SET details = ? WHERE id = ?", '{"number":2}', written[2])
    assert sealing.seal(installation, firm.id).sealed == 5
    assert_sound(installation, firm.id, sealed + 5)


# --- many


def odd_rows(organization_id: UUID) -> list[dict[str, Any]]:
    """What engines are tempted to change: Unicode, floats, addresses, the edges of a second."""
    salts = random.Random(7)
    rows = []
    for i in range(600):
        details = {"z": 1e22, "a": [-0.0, 1e-7, 0.1 + 0.2, 5e-324, i / 7], "é\u2028": '\u0007"\\/\U0001f600\x7f', "n": None,
                   "big": 2**53 - 1, "": {}, "\ufb33": [], "e\u0301": True}  # fmt: skip
        content = {"details": details if i % 3 else None, "error_message": 'línea\n\t\u0001"' if i % 2 else None,
                   "new_values": {"note": f"é {i}"} if i % 5 else "null", "old_values": [i, 1.5] if i % 4 else 0}  # fmt: skip
        encoded = {
            k: Encoded(canonical.dumps(v).decode()) if k != "error_message" and v is not None else v
            for k, v in content.items()
        }
        actor = {"actor_id": f"ana\u200blyst{i}", "client_id": None if i % 2 else "web", "ip_address": "2001:db8::1",
                 "session_id": "", "user_agent": "Mozilla \U0001f600\ud7ff"}  # fmt: skip
        micros = (1, 999_999, 0, 100_000, 123_456)[i % 5]
        at = NOW.replace(microsecond=micros) + timedelta(seconds=i // 5)
        actor_salt, content_salt = salts.randbytes(32), salts.randbytes(32)
        key = UUID(int=(int(at.timestamp() * 1000) << 80) | (7 << 76) | (2 << 62) | (i * 7919 % 600))
        rows.append({
            "id": key, "organization_id": organization_id, "timestamp": at, "action": "do \u2029 it", "actor_type": "user",
            "user_id": key if i % 3 else None, "resource_type": "thing", "resource_id": UUID(int=salts.getrandbits(128)) if i % 2 else None,
            "request_id": None if i % 4 else 'r"\\', "success": bool(i % 2), **actor, "actor_salt": actor_salt,
            "actor_commitment": entry.commitment(actor_salt, entry.actor_message(**actor)), **encoded, "content_salt": content_salt,
            "content_commitment": entry.commitment(content_salt, entry.content_message(**encoded)),
        })  # fmt: skip
    return rows


@pytest.mark.postgres
def test_the_same_rows_give_the_same_root_on_both_engines(
    sqlite_url: str, postgres: Server, make_installation: Make
) -> None:
    """And the same as the pure functions give for the values that were written."""
    organization_id, key = new_id(NOW), Ed25519PrivateKey.generate()
    rows = odd_rows(organization_id)
    url = postgres.fresh()
    notes = []
    for at in (sqlite_url, url):
        installation = make_installation(at, ledger_key=SecretStr(private(key)))
        with installation.database.write(organization_id) as session:
            session.execute(
                sa.insert(Organization),
                {
                    "id": organization_id,
                    "name": "N",
                    "slug": "n",
                    "is_active": True,
                    "settings": {},
                    "created_at": NOW,
                    "updated_at": NOW,
                },
            )
        with installation.database.write(organization_id) as session:
            session.execute(sa.insert(AuditEntry), rows)
        installation.clock.now = NOW + timedelta(minutes=3)  # type: ignore[attr-defined]
        notes.append(sealing.seal(installation, organization_id, batch=250).note)
        assert_sound(installation, organization_id, len(rows))
        entries, marks, _ = state(installation, organization_id)
        assert entries == sorted(r["id"] for r in rows)
        assert [m.size for m in marks] == [250, 500, 600]
        installation.close()
    postgres.drop(url)
    assert notes[0] == notes[1]
    names = ("id", "organization_id", "timestamp", "action", "actor_type", "user_id", "resource_type", "resource_id", "request_id", "success",
             "actor_commitment", "content_commitment")  # fmt: skip
    leaves = [entry.leaf(**{n: r[n] for n in names}) for r in sorted(rows, key=lambda r: r["id"])]
    root = tree.root([tree.leaf_hash(leaf) for leaf in leaves])
    assert note.Checkpoint.parse(note.split(str(notes[0]))[0]).root == root


@pytest.mark.slow
def test_a_tree_of_more_than_one_level_of_full_nodes(
    sqlite_url: str, make_installation: Make, clock: SteppingClock
) -> None:
    """65,536 leaves complete a node of nodes; sealed in batches that end before and behind it, read alone and by two processes."""
    installation = make_installation(sqlite_url)
    firm = Firm(installation, "northwind")
    size = 70_000
    there = state(installation, firm.id)[2]
    copied = ", ".join(f"a.{c}" for c in entry.COLUMNS if c not in ("id", "organization_id"))
    with owning(sqlite_url, firm.id) as owner:  # one entry many times: its commitments hold for each
        first = owner.run("SELECT min(entry_id) FROM ledger_pending")[0][0]
        ids = [UUID(int=UUID(bytes=first).int + ((i + 1) << 20)) for i in range(size - there)]
        owner.trees.connection.exec_driver_sql(
            f"INSERT INTO audit_log (id, organization_id, {copied.replace('a.', '')}) SELECT ?, a.organization_id, {copied} FROM audit_log a"
            " WHERE a.id = ?",
            [(key.bytes, first) for key in ids],
        )
        owner.trees.connection.exec_driver_sql(
            "INSERT INTO ledger_pending VALUES (?, ?)", [(owner.key, key.bytes) for key in ids]
        )
    clock.now += timedelta(minutes=1)
    done = sealing.seal(installation, firm.id)
    assert (done.sealed, done.size) == (size, size)
    with installation.database.read(firm.id) as session:
        trees = Trees(session, firm.id)
        leaves = trees.nodes(0, 0, size)
        marks = trees.checkpoints()
        assert [len(trees.nodes(level, 0, size)) for level in (0, 1, 2, 3)] == [size, size // 256, 1, 0]
        assert [m.size for m in marks] == [20_000, 40_000, 60_000, 70_000]
        assert all(m.root == tree.root(leaves[: m.size]) for m in marks)
        for index in (0, 65_535, 65_536, size - 1):
            path = trees.tree().inclusion(index, size)
            assert tree.root_from_inclusion(leaves[index], index, size, path) == marks[-1].root
        for older in marks[:-1]:
            tree.verify_consistency(
                older.size, size, older.root, marks[-1].root, trees.tree().consistency(older.size, size)
            )
    alone, crew = (verifying.verify(installation, firm.id, processes=n) for n in (1, 2))
    assert alone.sound
    assert alone == crew
    assert alone.entries == size
    with owning(sqlite_url, firm.id) as owner:
        key, _ = owner.leaf(65_536)
        owner.run("UPDATE audit_log SET action = 'other' WHERE id = ?", key)
        owner.run("UPDATE ledger_nodes SET hash = ? WHERE level = 2", bytes(32))
    alone, crew = (verifying.verify(installation, firm.id, processes=n) for n in (1, 2))
    assert alone == crew
    assert {(f.kind, f.leaf_index, f.tree_size) for f in alone.findings} >= {
        ("changed", 65_536, None),
        ("root", None, size),
        ("node", 0, None),
    }


# --- others at the same time


def test_two_sealers_and_late_writers_lose_and_double_nothing(
    database_url: str, make_installation: Make, clock: SteppingClock, tmp_path: Path
) -> None:
    clock.now = system_clock()
    installation = make_installation(database_url)
    firm = Firm(installation, "northwind")
    with installation.database.read(firm.id) as session:
        trees = Trees(session, firm.id)
        kept = {
            trees._id(r[0])
            for r in trees._all("SELECT entry_id FROM ledger_pending WHERE organization_id = ?", trees.key)
        }
    home = str(tmp_path)
    writers = [crowd.Member(crowd.write, database_url, home, firm.admin, ACTS, seed) for seed in range(4)]
    sealers = [crowd.Member(crowd.seal, database_url, home, firm.id) for _ in range(2)]
    for member in (*writers, *sealers):
        assert member.hear() == "ready"
    for member in (*sealers, *writers):
        member.tell()
    for member in writers:
        committed = member.hear()
        assert len(committed) > ACTS * 0.9
        kept |= set(committed)
    for member in sealers:
        member.tell()
    sealed = sum(member.hear() for member in sealers)
    for member in (*writers, *sealers):
        member.end()
    clock.now = system_clock()
    sealed += sealing.seal(installation, firm.id).sealed
    entries, marks, waiting = state(installation, firm.id)
    assert waiting == 0
    assert len(entries) == len(set(entries)) == sealed
    assert set(entries) == kept
    assert len(marks) > 3
    sizes = [0, *(m.size for m in marks)]
    batches = [entries[low:high] for low, high in pairwise(sizes)]
    assert all(batch == sorted(batch) for batch in batches)
    late, highest = 0, UUID(int=0)
    for batch in batches:
        late += sum(key < highest for key in batch)
        highest = max(highest, *batch)
    assert late > 0  # a sealer that goes by "id > last id" would have lost these
    assert_sound(installation, firm.id, len(kept))
    assert len((tmp_path / "keys" / "ledger.pub").read_text().split()) >= 1
    assert [p.name for p in (tmp_path / "keys").iterdir() if p.name.startswith(".")] == []


def test_a_sealer_that_dies_at_any_step_leaves_all_of_a_batch_or_nothing(
    firm: Firm, installation: Installation, database_url: str, tmp_path: Path, clock: SteppingClock
) -> None:
    size = sealing.seal(installation, firm.id).size
    for step in STEPS:
        written = write(firm, 260)  # completes a node, and goes the way of many rows
        before = state(installation, firm.id)
        assert crowd.dies(database_url, tmp_path, firm.id, clock.now, step) == 9
        after = state(installation, firm.id)
        if step == "committed":
            assert (len(after[0]), after[2]) == (size + 260, 0)
        else:
            assert after == before, step
        assert verifying.verify(installation, firm.id).sound
        sealing.seal(installation, firm.id)
        size += 260
        assert state(installation, firm.id)[0][-260:] == written
        assert_sound(installation, firm.id, size)


@pytest.mark.parametrize("left", ["leaves", "nodes"])
def test_nothing_is_sealed_where_all_checkpoints_are_gone(
    firm: Firm, installation: Installation, database_url: str, left: str
) -> None:
    """The first seal takes a tree to be empty; what is left of a former one says that it is not."""
    write(firm, 260)
    sealing.seal(installation, firm.id)
    with owning(database_url, firm.id) as owner:
        for table in ("ledger_checkpoints", *(("ledger_leaves",) if left == "nodes" else ())):
            owner.run(f"DELETE FROM {table} WHERE organization_id = ?", owner.key)
    write(firm, 260)
    before = state(installation, firm.id)
    with pytest.raises(Corrupt, match="no checkpoint any more") as refused:
        sealing.seal(installation, firm.id)
    assert "plumbline ledger verify" in str(refused.value.remedy)
    assert state(installation, firm.id) == before


def test_sealing_now_takes_in_its_own_entry_and_asks_for_the_right(firm: Firm, installation: Installation) -> None:
    write(firm, 2)
    waiting = state(installation, firm.id)[2]
    assert sealing.seal_now(installation, firm.as_role("analyst")).sealed == waiting + 1
    with pytest.raises(Forbidden):
        sealing.seal_now(installation, firm.as_role("viewer"))
    assert state(installation, firm.id)[2] == 1  # that it was tried


# --- the clock


def test_a_clock_set_back_a_little_seals_with_the_former_time(
    firm: Firm, installation: Installation, clock: SteppingClock
) -> None:
    first = sealing.seal(installation, firm.id)
    clock.now -= timedelta(minutes=2)
    write(firm, 3)
    second = sealing.seal(installation, firm.id)
    assert (second.sealed, second.sealed_at) == (3, first.sealed_at)
    assert_sound(installation, firm.id, second.size)


def test_a_clock_set_back_far_seals_nothing(firm: Firm, installation: Installation, clock: SteppingClock) -> None:
    sealing.seal(installation, firm.id)
    clock.now -= timedelta(hours=2)
    write(firm, 3)
    before = state(installation, firm.id)
    with pytest.raises(
        Conflict, match=r"The clock says 2026-11-24 07:41 UTC, but the last checkpoint was sealed at 2026-11-24 09:41"
    ):
        sealing.seal(installation, firm.id)
    assert state(installation, firm.id) == before
    clock.now += timedelta(hours=2)
    assert sealing.seal(installation, firm.id).sealed == 3
