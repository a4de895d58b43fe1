"""Enqueueing, claiming, chunks: one process, both engines."""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from plumbline.kernel.database import migrate
from plumbline.kernel.jobs import queue
from plumbline.kernel.jobs.queue import Claim, Lost, enqueue
from tests.kernel.jobs.workshop import Workshop, write_rows

KINDS = ["batch", "empty"]


def claimed(workshop: Workshop, *, worker: str = "a", lease: float = 30.0) -> Claim:
    claim = queue.claim_next(workshop.installation, KINDS, worker=worker, lease=lease)
    assert claim is not None
    return claim


def nothing_due(workshop: Workshop) -> bool:
    return queue.claim_next(workshop.installation, KINDS, worker="b") is None


def test_the_database_has_what_the_program_declares(workshop: Workshop) -> None:
    workshop.run("DROP TABLE job_rows")
    try:
        assert migrate.differences(workshop.owner) == []
    finally:
        workshop.house.make_table()


def test_a_job_exists_only_if_its_transaction_is_committed(workshop: Workshop) -> None:
    with contextlib.suppress(RuntimeError), workshop.installation.database.write(workshop.firm.id) as session:
        enqueue(session, workshop.firm.admin, "batch", {})
        raise RuntimeError
    assert nothing_due(workshop)


def test_an_open_job_with_the_key_is_returned_instead_of_a_second_one(workshop: Workshop) -> None:
    first, second = workshop.add("batch", 2, dedupe_key="file-1")
    other_key, other_kind = workshop.add("batch", dedupe_key="file-2"), workshop.add("empty", dedupe_key="file-1")
    assert first == second
    assert len({first, *other_key, *other_kind}) == 3
    running = claimed(workshop)
    assert workshop.add("batch", dedupe_key="file-1") == [running.job_id] == [first]
    with workshop.installation.database.write(workshop.firm.id) as session:
        running.finish(session)
    assert workshop.add("batch", dedupe_key="file-1") != [first]


def test_a_key_of_another_organization_is_no_matter(workshop: Workshop) -> None:
    (ours,) = workshop.add("batch", dedupe_key="file-1")
    other_firm = workshop.other
    with workshop.installation.database.write(other_firm.id) as session:
        assert enqueue(session, other_firm.admin, "batch", {}, dedupe_key="file-1") != ours


def test_two_that_enqueue_the_same_at_once_get_one_job(workshop: Workshop) -> None:
    together = Barrier(4)

    def add(_: int) -> object:
        together.wait()
        return workshop.add("batch", dedupe_key="file-1")[0]

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(add, range(4)))) == 1
    assert workshop.states() == {"queued": 1}


def test_a_delayed_job_waits_and_an_immediate_one_is_due_whatever_the_clock_says(workshop: Workshop) -> None:
    (delayed,) = workshop.add("batch", delay=3600.0)
    assert nothing_due(workshop)
    assert workshop.job(delayed, "due_at") == pytest.approx(time.time() + 3600, abs=60)
    (immediate,) = workshop.add("batch")
    assert workshop.job(immediate, "due_at") == 0
    assert claimed(workshop).job_id == immediate


def test_jobs_are_claimed_by_priority_then_age_and_each_once(workshop: Workshop) -> None:
    usual = workshop.add("batch", 3)
    urgent = workshop.add("batch", 2, priority=1)
    assert [claimed(workshop).job_id for _ in range(5)] == urgent + usual
    assert nothing_due(workshop)


def test_kinds_without_a_handler_are_left_to_others(workshop: Workshop) -> None:
    workshop.add("elsewhere")
    assert nothing_due(workshop)


def test_a_claim_says_what_its_handler_needs(workshop: Workshop) -> None:
    other_firm = workshop.other
    with workshop.installation.database.write(other_firm.id) as session:
        job_id = enqueue(
            session,
            other_firm.as_role("analyst"),
            "batch",
            {"batch_id": "x", "rows": 3},
            total=7,
            subject_id=other_firm.id,
        )
    claim = claimed(workshop)
    assert (claim.job_id, claim.organization_id, claim.kind, claim.arguments) == (
        job_id,
        other_firm.id,
        "batch",
        {"batch_id": "x", "rows": 3},
    )
    assert (claim.user_id, claim.subject_id) == (other_firm.people["analyst"], other_firm.id)
    assert (claim.done, claim.total, claim.token, claim.attempts, claim.max_attempts) == (0, 7, 1, 1, 5)
    context = claim.context(workshop.installation.clock())
    assert (context.actor_type, context.actor_id, context.user_id) == ("job", str(job_id), other_firm.people["analyst"])
    assert context.may("anything")


def test_a_chunk_commits_work_and_progress_together_or_nothing(workshop: Workshop) -> None:
    workshop.add("batch")
    claim = claimed(workshop)
    with claim.chunk(2, total=4) as session:
        write_rows(session, claim, 0, 2)
    with contextlib.suppress(RuntimeError), claim.chunk(2) as session:
        write_rows(session, claim, 2, 2)
        raise RuntimeError
    assert workshop.rows() == claim.done == workshop.job(claim.job_id, "done") == 2
    assert workshop.job(claim.job_id, "total") == claim.total == 4


def test_who_lost_the_lease_writes_nothing_more(workshop: Workshop) -> None:
    workshop.add("batch")
    first = claimed(workshop, lease=0.0)
    second = claimed(workshop, worker="b")
    assert (second.job_id, second.token, second.attempts) == (first.job_id, 2, 2)
    with pytest.raises(Lost), first.chunk(1) as session:
        write_rows(session, first, 0, 1)

    def finish() -> None:
        with workshop.installation.database.write(workshop.firm.id) as session:
            write_rows(session, first, 0, 1)
            first.finish(session)

    with pytest.raises(Lost):
        finish()
    with pytest.raises(Lost):
        first.heartbeat()
    with pytest.raises(Lost):
        first.give_back()
    assert workshop.rows() == 0
    assert not workshop.entries()
    assert workshop.job(first.job_id, "worker") == "b"


def test_finishing_stands_or_falls_with_the_handlers_last_transaction(workshop: Workshop) -> None:
    workshop.add("batch")
    claim = claimed(workshop)
    with contextlib.suppress(RuntimeError), workshop.installation.database.write(workshop.firm.id) as session:
        claim.finish(session)
        raise RuntimeError
    assert workshop.states() == {"running": 1}
    assert not workshop.entries()
    with workshop.installation.database.write(workshop.firm.id) as session:
        write_rows(session, claim, 0, 1)
        claim.finish(session, rows=1)
    assert workshop.states() == {"done": 1}
    assert workshop.job(claim.job_id, "done") == workshop.rows() == 1
    actor = workshop.ask(
        "SELECT actor_type, actor_id, resource_type, success FROM audit_log WHERE resource_id IN (SELECT id FROM jobs)"
    )
    assert actor == [("job", str(claim.job_id), "job", True)]


def test_a_lease_no_living_worker_can_have_written_is_over(workshop: Workshop) -> None:
    """The clock was set back by a day after the lease was written."""
    workshop.add("batch")
    claim = claimed(workshop)
    assert nothing_due(workshop)
    workshop.run("UPDATE jobs SET lease_until = lease_until + 86400")
    assert claimed(workshop, worker="b").job_id == claim.job_id


def test_a_failed_attempt_does_not_wait_for_the_time_before_the_clock_was_set_back(workshop: Workshop) -> None:
    workshop.add("batch")
    claim = claimed(workshop)
    claim.give_back(error="it went wrong", delay=200.0)
    assert nothing_due(workshop)
    workshop.run("UPDATE jobs SET due_at = due_at + 86400")
    assert claimed(workshop).attempts == 2


def test_heartbeat_renews_the_lease(workshop: Workshop) -> None:
    workshop.add("batch")
    claim = claimed(workshop)
    before = workshop.job(claim.job_id, "lease_until")
    claim.heartbeat()
    assert workshop.job(claim.job_id, "lease_until") > before


def test_attempts_wait_longer_each_time_up_to_five_minutes() -> None:
    assert [queue.backoff(n) for n in (1, 2, 3, 9, 10, 5000)] == [1.0, 2.0, 4.0, 256.0, 300.0, 300.0]
