"""What the ledger does by itself: seals without leaving a trace of its own, verifies and keeps what it found."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from plumbline.kernel.database import Database
from plumbline.kernel.installation import Installation
from plumbline.kernel.jobs import queue
from plumbline.kernel.jobs.tables import Job, Schedule
from plumbline.kernel.jobs.worker import all_handlers, all_schedules, ensure_schedules, perform
from plumbline.kernel.ledger import keys, queries
from plumbline.kernel.ledger.repository.trees import Trees
from plumbline.kernel.ledger.service import Act, checking, sealing, standing
from plumbline.kernel.ledger.tables import Verification
from plumbline.kernel.lifecycle import health
from plumbline.kernel.paging import PageRequest
from tests.conftest import Firm, SteppingClock
from tests.kernel.ledger.tampering import owning


def entries(firm: Firm, action: str = "") -> list[str]:
    page = queries.list_entries(firm.installation, firm.admin, queries.Query(action=action), PageRequest(500))
    return [e.action for e in page.items]


def jobs(firm: Firm) -> list[str]:
    with firm.installation.database.read(firm.id) as session:
        return list(session.scalars(sa.select(Job.kind).where(Job.organization_id == firm.id).order_by(Job.id)))


def run(firm: Firm, kind: str, **arguments: object) -> BaseException | None:
    """Enqueue a job of this kind and perform it here."""
    with firm.installation.database.write(firm.id) as session:
        queue.enqueue(session, firm.admin, kind, arguments)
    claim = queue.claim_next(firm.installation, [kind], worker="here")
    assert claim is not None
    return perform(firm.installation, all_handlers()[kind], claim)


def act(firm: Firm, clock: SteppingClock) -> None:
    clock.now += timedelta(seconds=30)
    with Act(firm.installation.database, replace(firm.admin, now=clock()), "thing.done", "thing") as done:
        done.done(note="é")


def checked(firm: Firm) -> Verification:
    """The newest verification."""
    found = standing.standing(firm.installation, firm.admin).verified
    assert found is not None
    return found


def test_every_organization_is_sealed_each_minute_and_verified(firm: Firm) -> None:
    assert {k: v for k, v in all_schedules().items() if k.startswith("ledger")} == {
        "ledger seal": ("* * * * *", "ledger.seal"), "ledger verify": ("17 3 * * *", "ledger.verify"),
        "ledger verify whole": ("43 4 1 * *", "ledger.verify.whole"),
    }  # fmt: skip
    ensure_schedules(firm.installation)
    with firm.installation.database.read(firm.id) as session:
        found = set(session.scalars(sa.select(Schedule.kind).where(Schedule.organization_id == firm.id)))
    assert found >= {"ledger.seal", "ledger.verify", "ledger.verify.whole"}


def test_sealing_leaves_neither_a_job_nor_an_entry_behind(firm: Firm, clock: SteppingClock) -> None:
    act(firm, clock)
    before = entries(firm)
    for _ in range(3):
        assert run(firm, "ledger.seal") is None
    assert entries(firm) == before, "else it would never come to rest"
    assert jobs(firm) == []
    with firm.installation.database.read(firm.id) as session:
        trees = Trees(session, firm.id)
        assert (trees.waiting(), trees.checkpoint_count()) == (0, 1)


def test_checkpoints_go_to_the_stores_with_the_seal(firm: Firm, clock: SteppingClock, tmp_path: Path) -> None:
    settings = firm.installation.settings.model_copy(update={"ledger_stores": [str(tmp_path / "outside")]})
    firm.installation = Installation.open(settings, clock=clock)
    act(firm, clock)
    assert run(firm, "ledger.seal") is None
    (latest,) = (tmp_path / "outside").rglob("checkpoint")
    assert "ledger" in latest.read_text("utf-8")
    # the daily verification reads it back, and finds what was rewritten with the real key
    act(firm, clock)
    assert run(firm, "ledger.seal") is None
    owner = Database(settings.url, role="owner")
    with owner.connect(write=True) as connection:
        for table in ("ledger_checkpoints",):
            connection.exec_driver_sql(
                f"DROP TRIGGER {table}_delete" if owner.is_sqlite else f"ALTER TABLE {table} DISABLE TRIGGER USER"
            )
        connection.exec_driver_sql(
            "DELETE FROM ledger_checkpoints WHERE tree_size = (SELECT max(tree_size) FROM ledger_checkpoints)"
        )
    owner.close()
    assert run(firm, "ledger.verify") is None
    last = standing.standing(firm.installation, firm.admin).verified
    assert last is not None
    assert not last.sound
    assert {"cut", "beyond"} <= {f["kind"] for f in last.findings}
    firm.installation.close()


def test_what_hinders_sealing_is_told_and_not_repeated_in_the_log(firm: Firm, clock: SteppingClock) -> None:
    act(firm, clock)
    run(firm, "ledger.seal")
    (firm.installation.settings.keys / keys.LOG).unlink()
    act(firm, clock)
    before = entries(firm)
    for _ in range(3):
        assert run(firm, "ledger.seal") is None
    assert entries(firm) == before
    assert jobs(firm) == []
    s = standing.standing(firm.installation, firm.admin)
    assert s.obstacle is not None
    assert "missing" in s.obstacle
    assert s.waiting == 1
    assert {c.name: c.state for c in health.check(firm.installation).checks}["ledger"] == "ok"
    clock.now += timedelta(minutes=30)
    (check,) = (c for c in health.check(firm.installation).checks if c.name == "ledger")
    assert check.state == "warn"
    assert "30 min" in check.said


def test_a_verification_is_one_entry_and_one_row(firm: Firm, clock: SteppingClock) -> None:
    act(firm, clock)
    run(firm, "ledger.seal")
    assert run(firm, "ledger.verify.whole") is None
    assert entries(firm, "ledger.verify") == ["ledger.verify"]
    page = standing.verifications(firm.installation, firm.admin, PageRequest(10))
    (row,) = page.items
    assert row.sound
    assert row.decisions == 0
    assert row.to_size == row.entries > 0
    assert standing.verification(firm.installation, firm.admin, row.id) is not None
    # the daily one goes on from there
    act(firm, clock)
    run(firm, "ledger.seal")
    assert run(firm, "ledger.verify") is None
    newest = standing.standing(firm.installation, firm.admin).verified
    assert newest is not None
    assert (newest.from_size, newest.decisions) == (row.to_size, None)
    assert newest.sound


@pytest.mark.parametrize("edit", ["note = 'other'", "note = replace(note, 'plumbline.local', 'elsewhere.local')"])
def test_a_daily_verification_whose_checkpoint_was_edited_reads_everything_and_finds_it(
    firm: Firm, clock: SteppingClock, database_url: str, edit: str
) -> None:
    act(firm, clock)
    run(firm, "ledger.seal")
    assert run(firm, "ledger.verify.whole") is None
    size = checked(firm).to_size
    act(firm, clock)
    run(firm, "ledger.seal")
    with owning(database_url, firm.id) as owner:
        owner.run(f"UPDATE ledger_checkpoints SET {edit} WHERE organization_id = ? AND tree_size = ?", owner.key, size)
    assert run(firm, "ledger.verify") is None
    found = checked(firm)
    assert (found.from_size, found.entries) == (0, found.to_size)
    assert found.to_size > size
    assert [(f["kind"], f["tree_size"]) for f in found.findings] == [("signature", size)]


def test_who_asks_gets_one_job_at_a_time(firm: Firm) -> None:
    sealing.seal(firm.installation, firm.id)
    first = checking.request(firm.installation, firm.as_role("viewer"))
    assert checking.request(firm.installation, firm.as_role("analyst")) == first
    claim = queue.claim_next(firm.installation, ["ledger.verify.whole"], worker="here")
    assert claim is not None
    assert perform(firm.installation, all_handlers()["ledger.verify.whole"], claim) is None
    verified = standing.standing(firm.installation, firm.admin).verified
    assert verified is not None
    assert verified.user_id == firm.people["viewer"]


def test_an_act_that_took_hours_does_not_look_back_dated(firm: Firm, clock: SteppingClock) -> None:
    """It is dated by its end: others were sealed while it went on."""
    began = time.monotonic()
    act(firm, clock)
    run(firm, "ledger.seal")
    slow = Act(firm.installation.database, replace(firm.admin, now=clock()), "thing.done", "thing")
    slow._began = began - 3 * 3600
    clock.now += timedelta(hours=3)
    with slow as done:
        done.done(note="at last")
    run(firm, "ledger.seal")
    report = checking.check(firm.installation, replace(firm.admin, now=clock())).report
    assert report.sound, report.findings
