from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from plumbline.kernel.errors import Conflict, Forbidden, InvalidInput, NotFound
from plumbline.kernel.jobs import queue, service
from plumbline.kernel.jobs.queue import enqueue
from plumbline.kernel.paging import PageRequest
from tests.conftest import Firm
from tests.kernel.jobs.workshop import Workshop


def add(workshop: Workshop, firm: Firm, role: str, kind: str = "batch") -> UUID:
    with workshop.installation.database.write(firm.id) as session:
        return enqueue(session, firm.as_role(role), kind, {})


def entries_of(workshop: Workshop, job_id: UUID) -> list[tuple[object, ...]]:
    key = job_id.bytes if workshop.owner.is_sqlite else job_id
    found = workshop.ask(
        "SELECT action, actor_type, success FROM audit_log WHERE resource_id = :id ORDER BY id", id=key
    )
    return [(action, actor, bool(success)) for action, actor, success in found]


def test_an_organization_sees_and_touches_its_own_jobs_only(workshop: Workshop) -> None:
    ours, theirs = add(workshop, workshop.firm, "analyst"), add(workshop, workshop.other, "analyst")
    for firm, own, foreign in ((workshop.firm, ours, theirs), (workshop.other, theirs, ours)):
        page = service.list_jobs(workshop.installation, firm.admin, PageRequest())
        assert (
            [job.id for job in page.items]
            == [job.id for job in service.open_jobs(workshop.installation, firm.admin)]
            == [own]
        )
        for act in (service.get_job, service.cancel, service.retry):
            with pytest.raises(NotFound):
                act(workshop.installation, firm.admin, foreign)
    assert workshop.states() == {"queued": 2}


def test_jobs_are_listed_by_state_and_kind_newest_first(workshop: Workshop) -> None:
    batches, (other,) = workshop.add("batch", 3), workshop.add("empty")
    service.cancel(workshop.installation, workshop.firm.admin, batches[0])

    def listed(limit: int = 100, cursor: str | None = None, **filters: str) -> tuple[list[UUID], str | None]:
        page = service.list_jobs(
            workshop.installation, workshop.firm.admin, PageRequest.parse(limit, cursor), **filters
        )
        return [job.id for job in page.items], page.next

    assert listed()[0] == [other, *reversed(batches)]
    assert listed(kind="batch", state="queued")[0] == [batches[2], batches[1]]
    assert listed(state="cancelled")[0] == [batches[0]]
    first, cursor = listed(limit=3)
    assert first + listed(limit=3, cursor=cursor)[0] == [other, *reversed(batches)]
    with pytest.raises(InvalidInput, match="is no state of a job"):
        listed(state="asleep")


def test_a_queued_job_is_cancelled_at_once_with_one_entry(workshop: Workshop) -> None:
    (job_id,) = workshop.add("batch")
    assert service.cancel(workshop.installation, workshop.firm.admin, job_id) == "cancelled"
    assert workshop.states() == {"cancelled": 1}
    assert entries_of(workshop, job_id) == [("jobs.cancelled", "user", True)]
    assert queue.claim_next(workshop.installation, ["batch"], worker="a") is None
    with pytest.raises(Conflict, match="has ended"):
        service.cancel(workshop.installation, workshop.firm.admin, job_id)


def test_who_asked_for_a_job_may_cancel_it_and_others_need_the_right(workshop: Workshop) -> None:
    analyst, viewer = workshop.firm.as_role("analyst"), workshop.firm.as_role("viewer")
    own, foreign = add(workshop, workshop.firm, "analyst"), add(workshop, workshop.firm, "admin")
    service.cancel(workshop.installation, analyst, own)
    for context in (analyst, viewer):
        with pytest.raises(Forbidden, match=r"jobs\.manage"):
            service.cancel(workshop.installation, context, foreign)
    assert entries_of(workshop, foreign) == [("jobs.cancel", "user", False)] * 2
    with pytest.raises(Forbidden):
        service.retry(workshop.installation, analyst, own)
    with pytest.raises(Forbidden):
        service.list_jobs(workshop.installation, replace(analyst, rights=frozenset()), PageRequest())


def test_nobody_owns_the_job_of_a_schedule(workshop: Workshop) -> None:
    nobody = replace(workshop.firm.as_role("analyst"), user_id=None)
    with workshop.installation.database.write(workshop.firm.id) as session:
        job_id = enqueue(session, nobody, "batch", {})
    with pytest.raises(Forbidden):
        service.cancel(workshop.installation, nobody, job_id)


def test_retrying_goes_on_after_the_last_chunk_with_all_attempts(workshop: Workshop) -> None:
    (job_id,) = workshop.add("batch", max_attempts=1)
    claim = queue.claim_next(workshop.installation, ["batch"], worker="a")
    assert claim
    with claim.chunk(3):
        pass
    with pytest.raises(Conflict, match="is running"):
        service.retry(workshop.installation, workshop.firm.admin, job_id)
    with workshop.installation.database.write(workshop.firm.id) as session:
        claim.end(session, "failed", error="it went wrong")
    service.retry(workshop.installation, workshop.firm.admin, job_id)
    again = queue.claim_next(workshop.installation, ["batch"], worker="a")
    assert again
    assert (again.done, again.attempts, again.token) == (3, 1, 2)
    with workshop.installation.database.write(workshop.firm.id) as session:
        again.finish(session)
    assert [action for action, *_ in entries_of(workshop, job_id)][1:] == ["jobs.failed", "jobs.retry", "jobs.done"]
    with pytest.raises(Conflict, match="is done"):
        service.retry(workshop.installation, workshop.firm.admin, job_id)


def test_a_job_whose_place_is_taken_is_not_retried(workshop: Workshop) -> None:
    (first,) = workshop.add("batch", dedupe_key="file-1")
    service.cancel(workshop.installation, workshop.firm.admin, first)
    workshop.add("batch", dedupe_key="file-1")
    with pytest.raises(Conflict, match="Another job about the same is open"):
        service.retry(workshop.installation, workshop.firm.admin, first)


def test_progress_tells_rate_and_what_is_left(workshop: Workshop) -> None:
    clock, admin = workshop.house.clock, workshop.firm.admin
    (job_id,) = workshop.add("batch", total=100)
    waiting = service.progress(service.get_job(workshop.installation, admin, job_id), clock.now)
    assert waiting == service.Progress("queued", 0, 100, 0.0, None, None)
    claim = queue.claim_next(workshop.installation, ["batch"], worker="a")
    assert claim
    clock.now += timedelta(seconds=10)
    with claim.chunk(20):
        pass
    running = service.progress(service.get_job(workshop.installation, admin, job_id), clock.now)
    assert running == service.Progress("running", 20, 100, 0.2, 2.0, 40.0)
    with workshop.installation.database.write(workshop.firm.id) as session:
        claim.finish(session, rows=80)
    ended = service.progress(service.get_job(workshop.installation, admin, job_id), clock.now + timedelta(hours=1))
    assert ended == service.Progress("done", 100, 100, 1.0, 10.0, None)


def test_health_counts_what_could_run_over_all_organizations(workshop: Workshop) -> None:
    assert service.health(workshop.installation) == service.Health(0, None, ())
    add(workshop, workshop.firm, "admin")
    add(workshop, workshop.other, "admin")
    workshop.add("batch", delay=3600.0)
    workshop.add("empty")
    assert queue.claim_next(workshop.installation, ["empty"], worker="a")
    workshop.run("UPDATE jobs SET created_at = '2000-01-01T00:00:00.000000Z'")
    health = service.health(workshop.installation)
    assert health.backlog == 2
    assert health.oldest is not None
    assert health.oldest > 86400 * 365 * 20
    workshop.run("UPDATE jobs SET lease_until = 1 WHERE state = 'running'")
    assert service.health(workshop.installation).backlog == 3
