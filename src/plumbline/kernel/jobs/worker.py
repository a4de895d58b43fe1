"""Workers: threads that claim jobs and perform them, and a heartbeat that renews leases and fires schedules."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from types import FrameType
from uuid import UUID

import sqlalchemy as sa

from plumbline.kernel import room
from plumbline.kernel.context import Context
from plumbline.kernel.database import new_id
from plumbline.kernel.errors import Conflict, InvalidInput, NotFound, PlumblineError, TooLarge, Unavailable
from plumbline.kernel.identity.rights import EVERY
from plumbline.kernel.installation import Installation
from plumbline.kernel.jobs import queue, repository
from plumbline.kernel.jobs.queue import LEASE, Cancelled, Claim, Lost, Stopped
from plumbline.kernel.jobs.repository import Seconds
from plumbline.kernel.jobs.tables import Job

Handler = Callable[[Installation, Claim], None]
"""Performs a job: ``handler(installation, claim)``; see :class:`~plumbline.kernel.jobs.queue.Claim`."""

AWAY = (Unavailable, sa.exc.OperationalError, sa.exc.InterfaceError)
"""What a database that is busy, restarting or gone raises."""
FINAL = (InvalidInput, Conflict, NotFound, TooLarge)
"""Errors that another attempt would only repeat."""
FORGET_AFTER = timedelta(days=1)
_log = logging.getLogger("plumbline.jobs")


def all_handlers() -> dict[str, str]:
    """Kind → ``"module:function"``, of all rooms; loaded when a job of the kind is performed first."""
    return room.gathered(lambda r: dict(r.jobs) if r.jobs else None)


class Worker:
    """Threads that perform jobs of all organizations until :meth:`stop`.

    :param handlers: kind → handler or its name; jobs of other kinds are left to other workers. Default: all rooms'.
    :param name: unique among running workers (host and process, say).
    :param lease: seconds a job stays with a worker that gives no sign; the same for all workers of an installation.
    :param poll: seconds between looks when nothing is due.
    :param seconds: the clock of leases on SQLite; on PostgreSQL the server's is used.
    """

    def __init__(self, installation: Installation, handlers: Mapping[str, str | Handler] | None = None, *, name: str, threads: int = 2,
                 lease: float = LEASE, poll: float = 0.2, seconds: Seconds = time.time) -> None:  # fmt: skip
        self.installation, self.name, self.lease, self.poll, self.seconds = installation, name, lease, poll, seconds
        self._handlers: dict[str, str | Handler] = dict(all_handlers() if handlers is None else handlers)
        self._kinds = sorted(self._handlers)
        self._stop = threading.Event()
        self._idle = threading.Event()  # set once no thread performs a job any more: the heartbeat ends last
        self._held: dict[tuple[UUID, int], Claim] = {}
        self._started_at = installation.clock()
        self._crew = [threading.Thread(target=self._work, name=f"{name}-{n}", daemon=True) for n in range(threads)]
        self._pulse = threading.Thread(target=self._beat, name=f"{name}-pulse", daemon=True)

    def start(self) -> None:
        self._pulse.start()
        for thread in self._crew:
            thread.start()

    def stop(self, *, wait: float = 60.0) -> bool:
        """Finish the running chunks, give their jobs back and end.

        :returns: whether all threads ended within ``wait`` seconds; those that did not keep their lease and no longer.
        """
        self._stop.set()
        deadline = time.monotonic() + wait
        for thread in self._crew:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._idle.set()
        self._pulse.join(max(1.0, deadline - time.monotonic()))
        with contextlib.suppress(*AWAY), self.installation.database.write(None) as session:
            repository.forget(session, self.name)
        return not any(thread.is_alive() for thread in self._crew)

    def run_forever(self) -> None:
        """Until SIGTERM or SIGINT; a second one ends the process at once."""

        def ask(number: int, _frame: FrameType | None) -> None:
            signal.signal(number, signal.SIG_DFL)
            self._stop.set()

        before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            self.start()
            self._stop.wait()
            self.stop()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    # the crew

    def _work(self) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                claim = queue.claim_next(self.installation, self._kinds, worker=self.name, lease=self.lease, seconds=self.seconds,
                                         stopping=self._stop.is_set)  # fmt: skip
                failures = 0
            except Exception as error:  # a thread that ends here would be missed by nobody until all have
                failures += 1
                _report(error, "looking for a job")
                self._stop.wait(min(5.0, self.poll * 2.0 ** min(failures, 10)))
                continue
            if claim is None:
                self._stop.wait(self.poll)
                continue
            self._held[claim.job_id, claim.token] = claim
            try:
                perform(self.installation, self._handlers[claim.kind], claim)
            except Exception as error:  # its lease decides what becomes of the job
                _report(error, f"ending job {claim.job_id}")
            finally:
                self._held.pop((claim.job_id, claim.token), None)

    def _beat(self) -> None:
        period = min(self.lease / 3, 5.0)
        schedules_at = 0.0
        while True:
            try:
                self.beat()
                if time.monotonic() >= schedules_at:  # organizations come while we run
                    ensure_schedules(self.installation, seconds=self.seconds)
                    schedules_at = time.monotonic() + 60
                tick(self.installation, seconds=self.seconds)
            except Exception as error:
                _report(error, "the heartbeat")
            if self._idle.wait(period):
                return

    def beat(self) -> None:
        """Renew the leases of what is being performed and say that this worker lives."""
        for claim in list(self._held.values()):
            try:
                claim.renew()
            except Lost:
                if not claim.ended:
                    _log.warning("job %s has been taken over by another worker", claim.job_id)
        now = self.installation.clock()
        with self.installation.database.write(None) as session:
            repository.seen(session, self.name, started_at=self._started_at, seen_at=now, threads=len(self._crew))
            repository.forget_unseen(session, now - FORGET_AFTER)


def _report(error: Exception, doing: str) -> None:
    if isinstance(error, AWAY):
        _log.warning("%s: %s", doing, str(error).split("\n", 1)[0])
    else:
        _log.error("%s failed", doing, exc_info=error)


def perform(
    installation: Installation, handler: str | Handler, claim: Claim, *, retry: bool = True
) -> BaseException | None:
    """One attempt, and what follows from how it ended.

    :param retry: whether an attempt that failed may go back to the queue; else the job has failed.
    :returns: what ended the attempt early, or ``None`` when the job is done.
    """
    if claim.attempts > claim.max_attempts:
        error = f"Its worker died {claim.max_attempts} times while performing it."
        _settle(installation, claim, "failed", error)
        return Unavailable(error)
    try:
        call: Handler = room.load(handler) if isinstance(handler, str) else handler
        call(installation, claim)
        if not claim.ended:
            with installation.database.write(claim.organization_id) as session:
                claim.finish(session)
    except Lost as lost:
        return lost
    except Cancelled as cancelled:
        _settle(installation, claim, "cancelled", None)
        return cancelled
    except Stopped as stopped:
        with contextlib.suppress(Lost):
            claim.give_back(counted=False)
        return stopped
    except KeyboardInterrupt:  # only in the main thread, that is with a person before it
        with contextlib.suppress(Lost):
            claim.give_back(counted=False)
        raise
    except (Exception, SystemExit) as error:
        _failed(installation, claim, error, retry=retry)
        return error
    return None


def _failed(installation: Installation, claim: Claim, error: BaseException, *, retry: bool) -> None:
    text = _told(error, claim)
    try:
        if not retry or isinstance(error, FINAL) or claim.attempts >= claim.max_attempts:
            with installation.database.write(claim.organization_id) as session:
                claim.end(session, "failed", error=text)
        else:
            claim.give_back(error=text, delay=queue.backoff(claim.attempts))
    except Lost:
        return
    finally:
        if not claim.lost:
            known = isinstance(error, (*AWAY, *FINAL))
            level = logging.WARNING if known else logging.ERROR
            _log.log(
                level,
                "job %s (%s), attempt %s: %s",
                claim.job_id,
                claim.kind,
                claim.attempts,
                text,
                exc_info=None if known else error,
            )


def _told(error: BaseException, claim: Claim) -> str:
    """Our own errors speak to people; of others only the kind is told, for their text may hold personal data."""
    if isinstance(error, PlumblineError):
        return str(error)
    return f"{type(error).__name__}; the worker's log says more under job {claim.job_id}."


def _settle(installation: Installation, claim: Claim, state: str, error: str | None) -> None:
    with contextlib.suppress(Lost), installation.database.write(claim.organization_id) as session:
        claim.end(session, state, error=error)


# schedules


def all_schedules() -> dict[str, tuple[str, str]]:
    """Name → (cron line, kind) of all rooms."""
    return room.gathered(lambda r: dict(r.schedules) if r.schedules else None)


def ensure_schedules(
    installation: Installation, wanted: Mapping[str, tuple[str, str]] | None = None, *, seconds: Seconds = time.time
) -> None:
    """Give every organization the rooms' schedules; a cron line that a new version changed is taken over.

    :param wanted: name → (cron line, kind); default: all rooms'.
    :raises InvalidInput: a cron line cannot be read.
    """
    wanted = all_schedules() if wanted is None else wanted
    with installation.database.read(None) as session:
        organizations = repository.organization_ids(session)
    for organization_id in organizations:
        with installation.database.read(organization_id) as session:
            at = repository.now(session, seconds)
            there = {s.name: s for s in repository.schedules(session, organization_id)}
        upcoming = {name: next_time(cron, at) for name, (cron, _) in wanted.items()}
        # later than its next time: the clock was set back
        late = {name for name, s in there.items() if name in upcoming and s.next_due > upcoming[name]}
        changed = {name for name, s in there.items() if name in wanted and (s.cron, s.kind) != wanted[name]}
        missing = wanted.keys() - there.keys()
        if not (late or changed or missing):
            continue
        with installation.database.write(organization_id) as session:
            for name in sorted(late | changed):
                cron, kind = wanted[name]
                repository.change_schedule(
                    session, organization_id, there[name].id, cron=cron, kind=kind, next_due=upcoming[name]
                )
            for name in sorted(missing):
                cron, kind = wanted[name]
                repository.add_schedule(session, {
                    "id": new_id(installation.clock()), "organization_id": organization_id, "name": name, "cron": cron, "kind": kind,
                    "arguments": {}, "next_due": upcoming[name], "paused": False,
                })  # fmt: skip


def next_time(cron: str, at: float) -> float:
    """The first moment of a cron line (UTC) after ``at``, both in seconds since 1970."""
    from croniter import CroniterError, croniter

    try:
        return float(croniter(cron, datetime.fromtimestamp(at, UTC)).get_next(float))
    except CroniterError as error:
        raise InvalidInput(
            f"'{cron}' is no cron line: {error}.", remedy="Write minute, hour, day, month and weekday."
        ) from None


def tick(installation: Installation, *, seconds: Seconds = time.time) -> int:
    """Turn due schedules into jobs, each row moving on in the transaction that writes its job: a tick fires once.

    Ticks that were missed while no worker ran fire once together, and a schedule never has two open jobs.

    :returns: how many schedules fired.
    """
    fired = 0
    for organization_id in repository.organizations_due(installation.worker_database, seconds):
        context = Context(organization_id=organization_id, actor_type="system", actor_id="schedule", client_id="worker", now=installation.clock(),
                          rights=EVERY)  # fmt: skip
        with installation.database.write(organization_id) as session:
            at = repository.now(session, seconds)
            for schedule in repository.due_schedules(session, organization_id, at):
                queue.enqueue(
                    session, context, schedule.kind, schedule.arguments, dedupe_key=f"schedule:{schedule.name}"
                )
                repository.change_schedule(session, organization_id, schedule.id, next_due=next_time(schedule.cron, at))
                fired += 1
    return fired


# inline


def run_inline(installation: Installation, job_id: UUID, on_progress: Callable[[int, int | None], None] | None = None, *,
               handlers: Mapping[str, str | Handler] | None = None, lease: float = LEASE) -> Job:  # fmt: skip
    """Perform this job in the calling process, for a command with a progress bar; due or not.

    A command that enqueues a job in order to run it here gives it a ``delay``, so that no worker is faster.

    :param on_progress: called with rows done and in total after every chunk.
    :returns: the job as it ended (done or cancelled).
    :raises Conflict: another worker holds the job, or it has ended.
    :raises Exception: what the handler raised; the job has failed then and is not tried again by itself.
    """
    organization_id = repository.organization_of(installation.worker_database, job_id)
    if organization_id is None:
        raise NotFound(f"There is no job '{job_id}'.", remedy="List them to see which there are: plumbline jobs list.")
    database = installation.database
    with database.write(organization_id) as session:
        row = repository.claim_one(
            session, organization_id, job_id, worker=f"inline-{job_id}", lease=lease, started=installation.clock()
        )
        if row is None:
            job = repository.job(session, organization_id, job_id)
            if job.state == "running":
                raise Conflict(
                    f"The worker '{job.worker}' performs job {job_id} now.",
                    remedy=f"Follow it: plumbline jobs show {job_id}",
                )
            raise Conflict(f"Job {job_id} has ended: {job.state}.", remedy=f"See: plumbline jobs show {job_id}")
    claim = Claim(installation, row, lease=lease, on_progress=on_progress)
    with _renewing(claim, lease / 3):
        ended = perform(
            installation,
            (all_handlers() if handlers is None else handlers).get(claim.kind, _unknown),
            claim,
            retry=False,
        )
    if isinstance(ended, Lost):
        raise Conflict(
            f"Another worker has taken job {job_id} over.", remedy=f"Follow it: plumbline jobs show {job_id}"
        )
    if ended is not None and not isinstance(ended, Cancelled):
        raise ended
    with database.read(organization_id) as session:
        return repository.job(session, organization_id, job_id)


def _unknown(_installation: Installation, claim: Claim) -> None:
    raise InvalidInput(f"No installed room performs jobs of kind '{claim.kind}'.", remedy="Install the room that does.")


@contextlib.contextmanager
def _renewing(claim: Claim, period: float) -> Iterator[None]:
    """Renew the lease in a thread while the block runs."""
    over = threading.Event()

    def pulse() -> None:
        while not over.wait(period):
            try:
                claim.renew()
            except Lost:
                return
            except AWAY as error:
                _report(error, "the heartbeat")

    thread = threading.Thread(target=pulse, name="inline-pulse", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
