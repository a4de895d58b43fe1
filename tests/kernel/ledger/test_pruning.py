"""Retention: old entries leave for an archive whose hash is sealed; leaves and old proofs stay."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pyarrow.parquet as pq
import pytest

from plumbline.kernel.database import Database
from plumbline.kernel.errors import Conflict, Forbidden, InvalidInput, NotFound
from plumbline.kernel.ledger import entry, keys, note, proof, queries
from plumbline.kernel.ledger.repository.trees import Trees
from plumbline.kernel.ledger.service import Act, erasing, proving, pruning, sealing, verifying
from plumbline.kernel.paging import PageRequest
from tests.conftest import Firm, SteppingClock


def history(firm: Firm, clock: SteppingClock, days: int, each: int = 3) -> None:
    for _ in range(days):
        for number in range(each):
            clock.now += timedelta(minutes=1)
            with Act(firm.installation.database, replace(firm.admin, now=clock()), "thing.done", "thing") as act:
                act.done(number=number)
        sealing.seal(firm.installation, firm.id)
        clock.now += timedelta(days=1)


def test_an_erasure_says_which_archives_it_cannot_reach(firm: Firm, clock: SteppingClock) -> None:
    history(firm, clock, 10)
    wanted: list[dict[str, Any]] = [{"subject": "100001"}, {"person": firm.people["analyst"]}]
    assert [erasing.plan(firm.installation, firm.admin, **whom).kept for whom in wanted] == [(), ()]
    archives = []
    for days in (8, 4):
        done = pruning.prune(firm.installation, replace(firm.admin, now=clock()), retention_days=days)
        assert done.archive is not None
        archives.append(done.archive)
    for whom in wanted:
        kept = erasing.plan(firm.installation, firm.admin, **whom).kept
        assert [archive in text for archive, text in zip(archives, kept, strict=True)] == [True, True]
        assert all("was not searched" in text for text in kept)
    admin = replace(firm.admin, now=clock())
    person = firm.people["admin"]
    done_now = erasing.erase(firm.installation, admin, person=person, reason="Left the firm years ago.")
    assert done_now.actor_entries
    assert len(done_now.kept) == 2


def ids(firm: Firm) -> list[str]:
    page = queries.list_entries(firm.installation, firm.admin, queries.Query(), PageRequest(500))
    return [str(e.id) for e in page.items][::-1]


def test_old_entries_are_archived_and_removed_and_everything_still_holds(firm: Firm, clock: SteppingClock) -> None:
    history(firm, clock, 10)
    admin = replace(firm.admin, now=clock())
    before = ids(firm)
    first = queries.get_entry(firm.installation, admin, UUID(before[0]))
    kept = proving.prove(firm.installation, admin, first.id)
    checkpoint = proving.checkpoint(firm.installation, admin)

    planned = pruning.plan(firm.installation, admin, retention_days=5)
    assert planned.entries > 0
    assert ids(firm) == before, "a plan changes nothing"
    done = pruning.prune(firm.installation, admin, retention_days=5, batch_size=2)
    assert (done.start, done.below, done.entries) == (planned.start, planned.below, planned.entries)
    left = ids(firm)
    assert left[:-1] == before[done.entries :], "the newest is the entry of the retention run"

    report = verifying.verify(firm.installation, firm.id, trusted=[checkpoint])
    assert report.sound, report.findings
    assert report.pruned == done.below
    # a proof given out before still leads to a signed root
    key = note.VerifierKey(kept.origin, keys.known_public(firm.installation.settings)[0])
    proof.check(kept.proof, [key])
    with pytest.raises(NotFound, match="retention"):
        proving.prove(firm.installation, admin, first.id)

    assert done.archive is not None
    path = firm.installation.settings.home / done.archive
    assert hashlib.sha256(path.read_bytes()).hexdigest() == done.archive_sha256
    rows = pq.read_table(path).to_pylist()
    assert [r["id"] for r in rows] == before[: done.entries]
    for row in rows:  # the archive holds the salts: it can be checked against the leaves for ever
        leaf, fault = entry.sealed([row[c] for c in entry.COLUMNS])
        assert fault is None
        with firm.installation.database.read(firm.id) as session:
            assert Trees(session, firm.id).nodes(0, row["leaf_index"], row["leaf_index"] + 1) == [leaf]

    again = pruning.prune(firm.installation, replace(admin, now=clock()), retention_days=5)
    assert again.entries == 0
    history(firm, clock, 4)
    more = pruning.prune(firm.installation, replace(admin, now=clock()), retention_days=5)
    assert more.start == done.below
    assert verifying.verify(firm.installation, firm.id, trusted=[checkpoint]).sound


@pytest.mark.parametrize("where", ["archived", "sealed", "raised", "half deleted"])
def test_a_killed_run_is_finished_by_the_next(
    firm: Firm, clock: SteppingClock, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    history(firm, clock, 8)
    admin = replace(firm.admin, now=clock())

    def kill(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    if where == "archived":
        monkeypatch.setattr(pruning, "Act", kill)
    elif where == "sealed":
        monkeypatch.setattr(Trees, "give_up_below", kill)
    elif where == "raised":
        monkeypatch.setattr(Trees, "delete_between", kill)
    told = (lambda done, total: kill()) if where == "half deleted" else (lambda done, total: None)
    with pytest.raises(KeyboardInterrupt):
        pruning.prune(firm.installation, admin, retention_days=4, batch_size=2, told=told)
    monkeypatch.undo()
    assert verifying.verify(firm.installation, firm.id).sound
    pruning.prune(firm.installation, replace(admin, now=clock()), retention_days=4)
    report = verifying.verify(firm.installation, firm.id)
    assert report.sound, report.findings
    with firm.installation.database.read(firm.id) as session:
        oldest = Trees(session, firm.id).oldest()
    assert oldest is not None
    assert oldest >= report.pruned > 0


def test_more_than_was_ordered_is_told(database_url: str, firm: Firm, clock: SteppingClock) -> None:
    """Somebody raises the mark himself, without the entry that orders it."""
    history(firm, clock, 8)
    admin = replace(firm.admin, now=clock())
    done = pruning.prune(firm.installation, admin, retention_days=6)
    worker = firm.installation.worker_database
    with worker.write(firm.id) as session:
        Trees(session, firm.id).give_up_below(done.below + 2)
        Trees(session, firm.id).delete_between(done.below, done.below + 2)
    found = verifying.verify(firm.installation, firm.id).findings
    assert "pruned" in {f.kind for f in found}


def test_nothing_is_removed_over_missing_rows(database_url: str, firm: Firm, clock: SteppingClock) -> None:
    history(firm, clock, 8)
    admin = replace(firm.admin, now=clock())
    owner = Database(database_url, role="owner")
    with owner.connect(write=True) as connection:
        if owner.is_sqlite:
            connection.exec_driver_sql("DROP TRIGGER audit_log_delete")
            connection.exec_driver_sql("DELETE FROM audit_log WHERE id = (SELECT min(id) FROM audit_log)")
        else:
            connection.exec_driver_sql("ALTER TABLE audit_log DISABLE TRIGGER USER")
            connection.exec_driver_sql(
                "DELETE FROM audit_log WHERE id = (SELECT id FROM audit_log ORDER BY id LIMIT 1)"
            )
    owner.close()
    with pytest.raises(Conflict, match="missing"):
        pruning.prune(firm.installation, admin, retention_days=4)


def test_limits_and_rights(firm: Firm, clock: SteppingClock) -> None:
    assert pruning.plan(firm.installation, firm.admin, retention_days=1).entries == 0, "nothing is sealed yet"
    with pytest.raises(InvalidInput):
        pruning.plan(firm.installation, firm.admin, retention_days=0)
    with pytest.raises(InvalidInput):
        pruning.prune(firm.installation, firm.admin, retention_days=1, batch_size=0)
    with pytest.raises(Forbidden):
        pruning.plan(firm.installation, firm.as_role("analyst"), retention_days=1)
