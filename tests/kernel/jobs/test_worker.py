"""What becomes of a job, by how its handler ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from plumbline.kernel.errors import Conflict, InvalidInput, NotFound, PlumblineError, TooLarge
from plumbline.kernel.installation import Installation
from plumbline.kernel.jobs import queue, service
from plumbline.kernel.jobs.queue import Cancelled, Claim
from plumbline.kernel.jobs.worker import Handler, Worker, perform, run_inline
from tests.kernel.jobs.workshop import HANDLERS, Workshop, until, write_rows


def once(workshop: Workshop, handler: Handler) -> BaseException | None:
    """Claim the next job and make one attempt."""
    claim = queue.claim_next(workshop.installation, ["batch", "empty"], worker="a")
    assert claim is not None
    return perform(workshop.installation, handler, claim)


@contextmanager
def working(workshop: Workshop, handler: Handler, *, name: str = "a", lease: float = 30.0) -> Iterator[Worker]:
    worker = Worker(workshop.installation, {"batch": handler}, name=name, threads=1, lease=lease, poll=0.02)
    worker.start()
    try:
        yield worker
    finally:
        worker.stop()


def nothing(_installation: Installation, _claim: Claim) -> None: ...


def failing(error: BaseException) -> Handler:
    def handler(_installation: Installation, claim: Claim) -> None:
        with claim.chunk(1) as session:
            write_rows(session, claim, claim.done, 1)
        raise error

    return handler


def test_a_handler_that_returns_has_finished(workshop: Workshop) -> None:
    workshop.add("batch")
    assert once(workshop, nothing) is None
    assert workshop.states() == {"done": 1}
    assert workshop.entries() == {("jobs.done", 1): 1}


def test_a_handler_is_loaded_by_its_name(workshop: Workshop) -> None:
    workshop.add("batch", chunks=2, rows=3, pause=0)
    with working(workshop, HANDLERS["batch"]):  # type: ignore[arg-type]
        until(lambda: workshop.ended(1))
    assert workshop.states() == {"done": 1}
    assert workshop.rows() == 6


def test_a_failed_attempt_goes_back_with_its_committed_chunks_and_the_next_goes_on(workshop: Workshop) -> None:
    (job_id,) = workshop.add("batch")
    assert isinstance(once(workshop, failing(KeyError("anna@example.org"))), KeyError)
    assert workshop.states() == {"queued": 1}
    assert workshop.job(job_id, "due_at") > 0
    assert not workshop.entries()
    workshop.run("UPDATE jobs SET due_at = 0")
    seen: list[int] = []
    assert once(workshop, lambda _, claim: seen.append(claim.done)) is None
    assert seen == [1]
    assert workshop.states() == {"done": 1}
    assert workshop.entries() == {("jobs.done", 1): 1}


def test_after_its_last_attempt_a_job_has_failed_with_one_entry_that_tells_no_data(workshop: Workshop) -> None:
    (job_id,) = workshop.add("batch", max_attempts=2)
    for _ in range(2):
        once(workshop, failing(ValueError("anna@example.org")))
        workshop.run("UPDATE jobs SET due_at = 0")
    assert workshop.states() == {"failed": 1}
    assert workshop.entries() == {("jobs.failed", 1): 1}
    ((success, told),) = workshop.ask(
        "SELECT success, error_message FROM audit_log WHERE action = 'jobs.failed' AND resource_id IN (SELECT id FROM jobs)"
    )
    assert not success
    assert told == workshop.job(job_id, "error") == f"ValueError; the worker's log says more under job {job_id}."


@pytest.mark.parametrize("error", [InvalidInput, Conflict, NotFound, TooLarge])
def test_an_error_of_the_input_is_not_tried_again(workshop: Workshop, error: type[PlumblineError]) -> None:
    (job_id,) = workshop.add("batch")
    once(workshop, failing(error("Column income holds text.", remedy="Correct the file.")))
    assert workshop.states() == {"failed": 1}
    assert workshop.job(job_id, "error") == "Column income holds text. Correct the file."


def test_a_job_that_killed_its_workers_is_given_up_without_being_performed(workshop: Workshop) -> None:
    workshop.add("batch", max_attempts=2)
    workshop.run("UPDATE jobs SET state = 'running', attempts = 2, lease_until = 1")
    called: list[Claim] = []
    once(workshop, lambda _, claim: called.append(claim))
    assert not called
    assert workshop.states() == {"failed": 1}
    assert workshop.entries() == {("jobs.failed", 1): 1}


def test_cancelling_ends_a_running_job_after_its_chunk_which_stays(workshop: Workshop) -> None:
    (job_id,) = workshop.add("batch")
    begun, go_on = threading.Event(), threading.Event()
    broad: list[Exception] = []

    def handler(_installation: Installation, claim: Claim) -> None:
        for n in range(10):
            try:
                with claim.chunk(1) as session:
                    write_rows(session, claim, n, 1)
                    begun.set()
                    if n == 1:
                        go_on.wait(30)
            except Exception as error:  # as a handler may that reports bad rows: it must not catch the order to stop
                broad.append(error)
            if n == 0:
                assert service.cancel(workshop.installation, workshop.firm.admin, job_id) == "running"
                go_on.set()

    with working(workshop, handler):
        until(lambda: workshop.ended(1))
    assert not broad
    assert workshop.states() == {"cancelled": 1}
    assert workshop.rows() == workshop.job(job_id, "done") == 2
    assert workshop.entries() == {("jobs.cancelled", 1): 1}


def test_a_heartbeat_of_the_handler_obeys_a_cancellation(workshop: Workshop) -> None:
    (job_id,) = workshop.add("batch")

    def handler(installation: Installation, claim: Claim) -> None:
        service.cancel(installation, workshop.firm.admin, job_id)
        claim.heartbeat()

    assert isinstance(once(workshop, handler), Cancelled)
    assert workshop.states() == {"cancelled": 1}


def test_a_stopped_worker_gives_its_job_back_and_another_goes_on(workshop: Workshop) -> None:
    (job_id,) = workshop.add("batch")

    def endless(_installation: Installation, claim: Claim) -> None:
        while True:
            with claim.chunk(1) as session:
                write_rows(session, claim, claim.done, 1)

    def five_more(_installation: Installation, claim: Claim) -> None:
        for _ in range(5):
            with claim.chunk(1) as session:
                write_rows(session, claim, claim.done, 1)

    with working(workshop, endless) as worker:
        until(lambda: workshop.rows() > 2)
        assert workshop.ask("SELECT name, threads FROM job_workers") == [("a", 1)]
        assert worker.stop()
    assert workshop.states() == {"queued": 1}
    assert workshop.job(job_id, "lease_until") is None
    assert workshop.job(job_id, "attempts") == 0
    assert workshop.ask("SELECT name FROM job_workers") == []
    before = workshop.rows()
    with working(workshop, five_more, name="b"):
        until(lambda: workshop.ended(1))
    assert workshop.rows() == workshop.job(job_id, "done") == before + 5


def test_the_heartbeat_keeps_a_job_that_computes_longer_than_its_lease(workshop: Workshop) -> None:
    (job_id,) = workshop.add("batch")
    computed = threading.Event()
    leases: set[float] = set()

    def renewed() -> bool:
        assert queue.claim_next(workshop.installation, ["batch"], worker="b", lease=1.0) is None
        leases.add(workshop.job(job_id, "lease_until") or 0.0)
        return len(leases) > 5 and max(leases) - min(leases - {0.0}) > 1.2

    with working(workshop, lambda *_: computed.wait(30) and None, lease=1.0):  # type: ignore[func-returns-value]
        until(lambda: workshop.states() == {"running": 1})
        until(renewed)
        computed.set()
        until(lambda: workshop.ended(1))
    assert workshop.entries() == {("jobs.done", 1): 1}
    assert workshop.job(job_id, "attempts") == 1


def test_inline_performs_a_job_here_due_or_not_and_tells_its_progress(workshop: Workshop) -> None:
    (job_id,) = workshop.add("batch", chunks=3, rows=2, pause=0, delay=60.0, total=6)
    told: list[tuple[int, int | None]] = []
    job = run_inline(workshop.installation, job_id, lambda done, total: told.append((done, total)), handlers=HANDLERS)
    assert (job.state, job.done, job.attempts) == ("done", 6, 1)
    assert told == [(2, 6), (4, 6), (6, 6)]
    with pytest.raises(Conflict, match="has ended"):
        run_inline(workshop.installation, job_id, handlers=HANDLERS)


def test_inline_refuses_a_job_that_a_worker_holds(workshop: Workshop) -> None:
    (job_id,) = workshop.add("batch")
    assert queue.claim_next(workshop.installation, ["batch"], worker="a")
    with pytest.raises(Conflict, match="The worker 'a' performs job"):
        run_inline(workshop.installation, job_id, handlers=HANDLERS)


def test_inline_raises_what_the_handler_raised_and_the_job_has_failed(workshop: Workshop) -> None:
    (job_id,) = workshop.add("batch")
    with pytest.raises(ZeroDivisionError):
        run_inline(workshop.installation, job_id, handlers={"batch": failing(ZeroDivisionError())})
    assert workshop.states() == {"failed": 1}
    (unknown,) = workshop.add("elsewhere")
    with pytest.raises(InvalidInput, match="No installed room"):
        run_inline(workshop.installation, unknown, handlers=HANDLERS)


def test_an_interrupted_inline_job_goes_back(workshop: Workshop) -> None:
    (job_id,) = workshop.add("batch")
    with pytest.raises(KeyboardInterrupt):
        run_inline(workshop.installation, job_id, handlers={"batch": failing(KeyboardInterrupt())})
    assert workshop.states() == {"queued": 1}
    assert workshop.job(job_id, "done") == workshop.rows() == 1


def test_workers_that_died_without_a_word_are_forgotten_after_a_day(workshop: Workshop) -> None:
    clock = workshop.house.clock
    Worker(workshop.installation, HANDLERS, name="dead", threads=3).beat()
    assert [(w.name, w.threads) for w in service.health(workshop.installation).workers] == [("dead", 3)]
    clock.now += timedelta(seconds=31)
    assert service.health(workshop.installation).workers == ()
    clock.now += timedelta(days=1)
    Worker(workshop.installation, HANDLERS, name="new", threads=1).beat()
    assert workshop.ask("SELECT name FROM job_workers") == [("new",)]
