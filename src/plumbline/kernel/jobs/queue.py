"""Durable jobs over one table, on both engines.

A job is claimed under a lease with a token. Each chunk of work commits together with its progress, a new lease and the
check that the token is still the claim's own: a chunk can neither be lost nor done twice, whatever is killed when. Jobs of
a dead worker are taken over once their lease is over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from plumbline.kernel.context import Context
from plumbline.kernel.database import WriteSession, new_id
from plumbline.kernel.errors import Unavailable
from plumbline.kernel.identity.rights import EVERY
from plumbline.kernel.installation import Installation
from plumbline.kernel.jobs import repository
from plumbline.kernel.jobs.repository import LONGEST_BACKOFF, Seconds
from plumbline.kernel.ledger.service import audit

LEASE = 30.0  # seconds; all workers of an installation use the same one


class Interrupted(BaseException):
    """The handler has to end now; what it committed stays.

    Not an ``Exception``: a handler that catches those to report a bad row must not catch this.
    """


class Lost(Interrupted):
    """Another worker has the job: nothing of this chunk is kept."""


class Cancelled(Interrupted):
    """A person asked the job to stop; raised after the chunk is committed."""


class Stopped(Interrupted):
    """The worker is being stopped; raised after the chunk is committed. Another worker goes on from there."""


def enqueue(session: WriteSession, context: Context, kind: str, arguments: Mapping[str, Any], *, subject_id: UUID | None = None,
            priority: int = 100, delay: float = 0.0, dedupe_key: str | None = None, max_attempts: int = 5, total: int | None = None) -> UUID:  # fmt: skip
    """Write a job in the caller's transaction: it exists if, and only if, what it is about does.

    :param arguments: ids and plain options; never the data itself.
    :param priority: lower is sooner.
    :param delay: seconds to wait at least.
    :param dedupe_key: while a job of this kind with this key is open, its id is returned and nothing is written.
    :param max_attempts: how often a worker may begin it; crashes of the worker count.
    :param total: rows to do, if known, for the progress that people see.
    """
    values = {
        "id": new_id(context.now), "organization_id": context.organization_id, "kind": kind, "subject_id": subject_id,
        "arguments": dict(arguments), "state": "queued", "priority": priority, "dedupe_key": dedupe_key, "attempts": 0,
        "max_attempts": max_attempts, "done": 0, "total": total, "cancel_requested": False, "token": 0, "user_id": context.user_id,
        "created_at": context.now,
    }  # fmt: skip
    for _ in range(10):
        if (written := repository.insert(session, values, delay=delay)) is not None:
            return written
        assert dedupe_key is not None
        if (there := repository.open_id(session, context.organization_id, kind, dedupe_key)) is not None:
            return there
        # the other one ended between the two statements
    raise Unavailable(
        f"Jobs '{kind}' with the key '{dedupe_key}' come and go too fast to add one.", remedy="Try again."
    )


class Claim:
    """One attempt at a job, as its handler sees it::

        def handler(installation, claim):
            while claim.done < claim.total:
                rows = compute(…)                    # outside the transaction
                with claim.chunk(len(rows)) as session:
                    write(session, rows)             # only writes inside
            with installation.database.write(claim.organization_id) as session:
                …
                claim.finish(session)

    ``done`` is where an earlier attempt got to. A handler that returns without :meth:`finish` has finished.
    """

    def __init__(self, installation: Installation, row: Mapping[str, Any], *, lease: float = LEASE, seconds: Seconds = time.time,
                 stopping: Callable[[], bool] = lambda: False, on_progress: Callable[[int, int | None], None] | None = None) -> None:  # fmt: skip
        self.job_id: UUID = row["id"]
        self.organization_id: UUID = row["organization_id"]
        self.kind: str = row["kind"]
        self.subject_id: UUID | None = row["subject_id"]
        self.user_id: UUID | None = row["user_id"]
        self.arguments: dict[str, Any] = row["arguments"]
        self.done: int = row["done"]
        self.total: int | None = row["total"]
        self.token: int = row["token"]
        self.attempts: int = row["attempts"]
        self.max_attempts: int = row["max_attempts"]
        self.ended = False
        self.lost = False
        self._installation, self._lease, self._seconds = installation, lease, seconds
        self._stopping, self._on_progress = stopping, on_progress

    def context(self, now: datetime) -> Context:
        """The job acts, on behalf of who asked for it."""
        return Context(organization_id=self.organization_id, actor_type="job", actor_id=str(self.job_id), client_id="worker", now=now,
                       user_id=self.user_id, rights=EVERY)  # fmt: skip

    @contextmanager
    def chunk(self, rows: int = 0, *, total: int | None = None) -> Iterator[WriteSession]:
        """A transaction in the job's organization; work, ``rows`` more done, lease and token check commit together or not at all.

        :param total: rows the whole job has, once the handler knows.
        :raises Lost: the job is another worker's: nothing was written.
        :raises Cancelled, Stopped: the chunk **is** committed.
        """
        self._demand_held()
        try:
            with self._installation.database.write(self.organization_id) as session:
                yield session
                asked = self._advance(session, rows, total)
        except Exception as error:
            if self._taken_over():  # then it is the other worker's rows that were in the way
                raise Lost(self.job_id) from error
            raise
        self._moved(rows, total, asked)

    def heartbeat(self) -> None:
        """A new lease in the midst of long computing, where nothing is half done; raises what :meth:`chunk` raises."""
        self._demand_held()
        self._moved(0, None, self.renew())

    def renew(self) -> bool:
        """A new lease; whether a cancellation is asked for. Called by the worker's heartbeat, for handlers that compute long."""
        with self._installation.database.write(self.organization_id) as session:
            return self._advance(session, 0, None)

    def finish(self, session: WriteSession, *, rows: int = 0) -> None:
        """Done: in the handler's last transaction, which also takes the job's audit entry. Raises :class:`Lost`."""
        self.end(session, "done", rows=rows)

    def end(self, session: WriteSession, state: str, *, error: str | None = None, rows: int = 0) -> None:
        """The job's end and its one audit entry."""
        now = self._installation.clock()
        if not repository.end(
            session, self.organization_id, self.job_id, self.token, state=state, error=error, at=now, rows=rows
        ):
            self.lost = True
            raise Lost(self.job_id)
        details = {"kind": self.kind, "done": self.done + rows, "total": self.total, "attempts": self.attempts}
        audit(session, self.context(now), f"jobs.{state}", "job", self.job_id, details=details, error=error)
        self.ended = True

    def leave(self) -> None:
        """Done without a trace: for a job that keeps something going every minute and whose record is what it made, if
        anything (the ledger's checkpoint). Neither its row nor an entry stays. Raises :class:`Lost`."""
        with self._installation.database.write(self.organization_id) as session:
            if not repository.leave(session, self.organization_id, self.job_id, self.token):
                self.lost = True
                raise Lost(self.job_id)
        self.ended = True

    def give_back(self, *, error: str | None = None, delay: float = 0.0, counted: bool = True) -> None:
        """Queue it again; ``counted=False``: this attempt was nobody's fault."""
        attempts = self.attempts if counted else self.attempts - 1
        with self._installation.database.write(self.organization_id) as session:
            if not repository.give_back(session, self.organization_id, self.job_id, self.token, error=error, delay=delay, attempts=attempts,
                                        seconds=self._seconds):  # fmt: skip
                self.lost = True
                raise Lost(self.job_id)

    def _taken_over(self) -> bool:
        try:
            with self._installation.database.read(self.organization_id) as session:
                token = repository.running_token(session, self.organization_id, self.job_id)
        except Unavailable:
            return False  # who cannot know goes on with the error at hand
        self.lost = token != self.token
        return self.lost

    def _demand_held(self) -> None:
        if self.lost:
            raise Lost(self.job_id)

    def _advance(self, session: WriteSession, rows: int, total: int | None) -> bool:
        asked = repository.advance(session, self.organization_id, self.job_id, self.token, rows=rows, total=total, lease=self._lease,
                                   seconds=self._seconds)  # fmt: skip
        if asked is None:
            self.lost = not self.ended
            raise Lost(self.job_id)
        return asked

    def _moved(self, rows: int, total: int | None, cancel: bool) -> None:
        self.done += rows
        self.total = self.total if total is None else total
        if self._on_progress is not None:
            self._on_progress(self.done, self.total)
        if cancel:
            raise Cancelled(self.job_id)
        if self._stopping():
            raise Stopped(self.job_id)


def claim_next(installation: Installation, kinds: list[str], *, worker: str, lease: float = LEASE, seconds: Seconds = time.time,
               stopping: Callable[[], bool] = lambda: False) -> Claim | None:  # fmt: skip
    """The next job of any organization, or ``None`` when nothing is due."""
    row = repository.claim_next(
        installation.worker_database, kinds, worker=worker, lease=lease, started=installation.clock(), seconds=seconds
    )
    return None if row is None else Claim(installation, row, lease=lease, seconds=seconds, stopping=stopping)


def backoff(attempts: int) -> float:
    """Seconds until a failed job is tried again."""
    return min(LONGEST_BACKOFF, 0.5 * 2.0 ** min(attempts, 20))
