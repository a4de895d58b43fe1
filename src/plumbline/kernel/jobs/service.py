"""What people do with jobs: look, cancel, try again; and whether anything works at all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from plumbline.kernel.context import Context
from plumbline.kernel.errors import Conflict, InvalidInput, Where
from plumbline.kernel.installation import Installation
from plumbline.kernel.jobs import repository
from plumbline.kernel.jobs.queue import enqueue
from plumbline.kernel.jobs.tables import OPEN, STATES, Job, Worker
from plumbline.kernel.jobs.worker import ensure_schedules, run_inline
from plumbline.kernel.ledger.service import Act
from plumbline.kernel.paging import Page, PageRequest

__all__ = ["Health", "Progress", "cancel", "enqueue", "ensure_schedules", "get_job", "health", "list_jobs", "open_jobs", "progress", "retry",
           "run_inline"]  # fmt: skip
ALIVE = timedelta(seconds=30)  # a worker that gave no sign for longer counts as gone


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is. ``rate`` is rows per second since it began, ``eta`` the seconds that are left; ``None`` is unknown."""

    state: str
    done: int
    total: int | None
    share: float | None
    rate: float | None
    eta: float | None


@dataclass(frozen=True, slots=True)
class Health:
    """Over all organizations.

    :ivar backlog: jobs that could run now and do not.
    :ivar oldest: seconds the oldest of them has waited, ``None`` when none does.
    :ivar workers: those that gave a sign within 30 s.
    """

    backlog: int
    oldest: float | None
    workers: tuple[Worker, ...]

    @property
    def threads(self) -> int:
        return sum(worker.threads for worker in self.workers)


def list_jobs(installation: Installation, context: Context, request: PageRequest, *, state: str | None = None, kind: str | None = None,
              subject_id: UUID | None = None) -> Page[Job]:  # fmt: skip
    context.require("jobs.read")
    if state is not None and state not in STATES:
        raise InvalidInput(
            f"'{state}' is no state of a job.", where=Where(field="state"), remedy=f"Use one of {', '.join(STATES)}."
        )
    with installation.database.read(context.organization_id) as session:
        return repository.jobs(session, context.organization_id, request, state=state, kind=kind, subject_id=subject_id)


def open_jobs(
    installation: Installation, context: Context, *, kind: str | None = None, subject_id: UUID | None = None
) -> list[Job]:
    """Queued and running ones, oldest first: of a kind, or about one thing."""
    context.require("jobs.read")
    with installation.database.read(context.organization_id) as session:
        return repository.open_jobs(session, context.organization_id, kind=kind, subject_id=subject_id)


def get_job(installation: Installation, context: Context, job_id: UUID) -> Job:
    context.require("jobs.read")
    with installation.database.read(context.organization_id) as session:
        return repository.job(session, context.organization_id, job_id)


def cancel(installation: Installation, context: Context, job_id: UUID) -> str:
    """End a queued job at once; a running one ends after its present chunk, and what that wrote stays.

    Who asked for the job may cancel it without the right ``jobs.manage``.

    :returns: ``cancelled``, or ``running`` when the request waits for the end of the chunk.
    :raises Conflict: it has ended.
    """
    with Act(installation.database, context, "jobs.cancel", "job", resource_id=job_id) as act:
        job = repository.job(act.session, context.organization_id, job_id, lock=True)
        if job.user_id is None or job.user_id != context.user_id:
            context.require("jobs.manage")
        if job.state not in OPEN:
            raise Conflict(f"Job {job_id} has ended: {job.state}.", remedy="There is nothing to cancel.")
        act.done(kind=job.kind, done=job.done)
        if job.state == "queued":
            act.action = "jobs.cancelled"  # the request is the job's end: one entry for both
            repository.cancel_queued(act.session, context.organization_id, job_id, context.now)
            return "cancelled"
        repository.ask_cancel(act.session, context.organization_id, job_id)
        return "running"


def retry(installation: Installation, context: Context, job_id: UUID) -> None:
    """Queue a failed or cancelled job again, with all its attempts; it goes on after the last chunk it committed.

    :raises Conflict: it is open or done, or another open job has its dedupe key.
    """
    with Act(installation.database, context, "jobs.retry", "job", resource_id=job_id, right="jobs.manage") as act:
        job = repository.job(act.session, context.organization_id, job_id, lock=True)
        act.done(old={"state": job.state}, new={"state": "queued"}, kind=job.kind, done=job.done)
        repository.requeue(act.session, context.organization_id, job_id)


def progress(job: Job, now: datetime) -> Progress:
    """Of a job as it was read; ``now`` in the clock of the services (a context's)."""
    share = None if not job.total else min(1.0, job.done / job.total)
    rate = eta = None
    if job.started_at is not None:
        elapsed = ((job.finished_at or now) - job.started_at).total_seconds()
        if elapsed > 0 and job.done:
            rate = job.done / elapsed
        if job.state == "running" and rate and job.total is not None:
            eta = max(0, job.total - job.done) / rate
    return Progress(job.state, job.done, job.total, share, rate, eta)


def health(installation: Installation) -> Health:
    """For the readiness of the installation: no organization, no rights."""
    waiting, oldest = repository.backlog(installation.database)
    with installation.database.read(None) as session:
        alive = repository.workers(session, installation.clock() - ALIVE)
    return Health(waiting, oldest, tuple(alive))
