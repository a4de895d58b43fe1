"""Every query of the job tables.

Rows of one organization are reached in its own transaction. What a worker does over all of them (find the next job, count
what waits) goes through the owner's functions on PostgreSQL and by statements marked ``tenant="all"`` on SQLite.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from plumbline.kernel.database import Database, WriteSession, changed, one, page, scoped, upsert
from plumbline.kernel.identity.tables import Organization
from plumbline.kernel.jobs.tables import OPEN, Job, Schedule, Worker
from plumbline.kernel.paging import Page, PageRequest

Seconds = Callable[[], float]
LONGEST_BACKOFF = (
    300.0  # seconds; a job that failed and is due later than this was written before the clock was set back
)
_ALL = {"tenant": "all"}
_OPEN = sa.text("state in ('queued', 'running')")
_HELD = (Job.id, Job.organization_id, Job.kind, Job.subject_id, Job.user_id, Job.arguments, Job.done, Job.total, Job.token,
         Job.attempts, Job.max_attempts)  # fmt: skip
_FIRST = (Job.priority, Job.due_at, Job.id)


def _at(session: Session, seconds: Seconds) -> sa.ColumnElement[float]:
    """Now, for times that decide: the server's clock on PostgreSQL, for workers on several machines disagree."""
    if session.connection().dialect.name == "postgresql":
        return sa.cast(sa.extract("epoch", sa.func.clock_timestamp()), sa.Double)
    return sa.literal(seconds(), sa.Double)


def now(session: Session, seconds: Seconds = time.time) -> float:
    """Seconds since 1970 of the clock that decides."""
    return float(session.execute(sa.select(_at(session, seconds))).scalar_one())


# Made once: building a statement takes longer than SQLite needs to run it. The two look-ups of a claim are not one, for
# so each follows ix_jobs_due and stops at its first row.
_AT, _LEASE = sa.bindparam("at", type_=sa.Double), sa.bindparam("lease", type_=sa.Double)
_KIND = Job.kind.in_(sa.bindparam("kinds", expanding=True))
_FIRST = (Job.priority, Job.due_at, Job.id)
# a lease that is over, or one that no living worker can have written: the clock was set back since
_STALE = sa.or_(Job.lease_until < _AT, Job.lease_until > _AT + 2 * _LEASE)
# a failed attempt goes back for LONGEST_BACKOFF at most: what is later was written before the clock was set back
_IS_DUE = sa.or_(Job.due_at <= _AT, sa.and_(Job.attempts > 0, Job.due_at > _AT + LONGEST_BACKOFF))
_OVER = sa.select(Job.id).where(Job.state == "running", _KIND, _STALE).order_by(*_FIRST).limit(1)
_DUE = sa.select(Job.id).where(Job.state == "queued", _KIND, _IS_DUE).order_by(*_FIRST).limit(1)
_TAKE = (
    sa.update(Job)
    .values(state="running", token=Job.token + 1, attempts=Job.attempts + 1, worker=sa.bindparam("taker"), lease_until=_AT + _LEASE,
            started_at=sa.func.coalesce(Job.started_at, sa.bindparam("started", type_=Job.started_at.type)))
    .returning(Job.id, Job.organization_id, Job.kind, Job.subject_id, Job.user_id, Job.arguments, Job.done, Job.total, Job.token,
               Job.attempts, Job.max_attempts)
    .execution_options(synchronize_session=False)
)  # fmt: skip
_TAKE_ANY = _TAKE.where(Job.id == sa.bindparam("key"))
_TAKE_ONE = _TAKE_ANY.where(
    Job.organization_id == sa.bindparam("organization"), sa.or_(Job.state == "queued", sa.and_(Job.state == "running", _STALE))
)
_MINE = (
    sa.update(Job)
    .where(Job.organization_id == sa.bindparam("organization"), Job.id == sa.bindparam("key"), Job.token == sa.bindparam("mine"),
           Job.state == "running")
    .execution_options(synchronize_session=False)
)  # fmt: skip


# enqueue


def insert(session: WriteSession, values: Mapping[str, Any], *, delay: float) -> UUID | None:
    """Write a job; ``None`` when an open one of its kind has its dedupe key already (the caller's transaction stays sound).

    A job for now is due at 0: a clock that is set back never delays it.
    """
    due = _at(session, time.time) + delay if delay > 0 else sa.literal(0.0, sa.Double)
    if values["dedupe_key"] is None:
        session.execute(sa.insert(Job).values(due_at=due), dict(values))
        key: UUID = values["id"]
        return key
    statement = upsert(session, Job).on_conflict_do_nothing(
        index_elements=["organization_id", "kind", "dedupe_key"], index_where=_OPEN
    )
    return session.execute(statement.values(**values, due_at=due).returning(Job.id)).scalar()


def open_id(session: Session, organization_id: UUID, kind: str, dedupe_key: str) -> UUID | None:
    """The open job that has the key."""
    return session.scalar(
        sa.select(Job.id).where(
            Job.organization_id == organization_id, Job.kind == kind, Job.dedupe_key == dedupe_key, Job.state.in_(OPEN)
        )
    )


# lists


def jobs(session: Session, organization_id: UUID, request: PageRequest, *, state: str | None = None, kind: str | None = None,
         subject_id: UUID | None = None) -> Page[Job]:  # fmt: skip
    statement = scoped(Job, organization_id)
    for column, value in ((Job.state, state), (Job.kind, kind), (Job.subject_id, subject_id)):
        if value is not None:
            statement = statement.where(column == value)
    return page(session, statement, Job, request)


def job(session: Session, organization_id: UUID, job_id: UUID, *, lock: bool = False) -> Job:
    statement = scoped(Job, organization_id).where(Job.id == job_id)
    return one(session, statement.with_for_update() if lock else statement, "job", job_id)


def open_jobs(
    session: Session, organization_id: UUID, *, kind: str | None = None, subject_id: UUID | None = None
) -> list[Job]:
    """Queued and running ones, oldest first."""
    statement = scoped(Job, organization_id).where(Job.state.in_(OPEN)).order_by(Job.id)
    if kind is not None:
        statement = statement.where(Job.kind == kind)
    if subject_id is not None:
        statement = statement.where(Job.subject_id == subject_id)
    return list(session.scalars(statement))


# claims


def claim_next(
    database: Database, kinds: Sequence[str], *, worker: str, lease: float, started: datetime, seconds: Seconds
) -> Mapping[str, Any] | None:
    """Take the first due job of any organization, or a running one whose lease is over; its columns, or ``None``."""
    if not database.is_sqlite:
        statement = sa.text(
            "SELECT * FROM plumbline_claim_job(CAST(:kinds AS text[]), :worker, CAST(:lease AS double precision), :started)"
        )
        with database.connect(write=True) as connection:
            given = {"kinds": list(kinds), "worker": worker, "lease": lease, "started": started}
            row = connection.execute(statement.execution_options(tenant="all"), given).mappings().first()
            return None if row is None else dict(row)
    with database.read(None) as session:  # idle workers only read: they never hold up a writer
        if _claimable(session, kinds, lease, seconds()) is None:
            return None
    with database.write(None) as session:
        at = seconds()
        key = _claimable(session, kinds, lease, at)
        if key is None:
            return None
        taken = _taken(Job.id == key, worker, sa.literal(at, sa.Double), lease, started)
        return dict(session.execute(taken, execution_options=_ALL).mappings().one())


def _claimable(session: Session, kinds: Sequence[str], lease: float, at: float) -> UUID | None:
    given = {"kinds": list(kinds), "at": at, "lease": lease}
    found = session.scalar(_OVER, given, execution_options=_ALL)
    return found if found is not None else session.scalar(_DUE, given, execution_options=_ALL)


def claim_one(session: WriteSession, organization_id: UUID, job_id: UUID, *, worker: str, lease: float, started: datetime,
              seconds: Seconds = time.time) -> Mapping[str, Any] | None:  # fmt: skip
    """Take this job, due or not; ``None`` when another holds it or it has ended."""
    at = _at(session, seconds)
    which = sa.and_(Job.organization_id == organization_id, Job.id == job_id,
                    sa.or_(Job.state == "queued", sa.and_(Job.state == "running", _stale(at, lease))))  # fmt: skip
    row = session.execute(_taken(which, worker, at, lease, started)).mappings().first()
    return None if row is None else dict(row)


def organization_of(database: Database, job_id: UUID) -> UUID | None:
    """Whose job it is, for a caller that has nothing but its id."""
    with database.read(None) as session:
        if database.is_sqlite:
            return session.scalar(sa.select(Job.organization_id).where(Job.id == job_id), execution_options=_ALL)
        row = (
            session.connection()
            .exec_driver_sql("SELECT organization_id FROM plumbline_find_job(%s)", (job_id,))
            .first()
        )
        return None if row is None else row[0]


def _mine(organization_id: UUID, job_id: UUID, token: int) -> Any:
    return (
        sa.update(Job)
        .where(Job.organization_id == organization_id, Job.id == job_id, Job.token == token, Job.state == "running")
        .execution_options(synchronize_session=False)
    )


def running_token(session: Session, organization_id: UUID, job_id: UUID) -> int | None:
    """Of the claim that holds the job now."""
    which = (Job.organization_id == organization_id, Job.id == job_id, Job.state == "running")
    return session.scalar(sa.select(Job.token).where(*which))


def advance(session: WriteSession, organization_id: UUID, job_id: UUID, token: int, *, rows: int, total: int | None, lease: float,
            seconds: Seconds) -> bool | None:  # fmt: skip
    """Progress and a new lease; whether a cancellation is asked for, or ``None`` when the job is not this claim's any more."""
    values: dict[str, Any] = {"lease_until": _at(session, seconds) + lease}
    if rows:
        values["done"] = Job.done + rows
    if total is not None:
        values["total"] = total
    return session.execute(
        _mine(organization_id, job_id, token).values(**values).returning(Job.cancel_requested)
    ).scalar()


def end(session: WriteSession, organization_id: UUID, job_id: UUID, token: int, *, state: str, error: str | None, at: datetime,
        rows: int = 0) -> bool:  # fmt: skip
    """``False`` when the job is not this claim's any more."""
    values = {"state": state, "error": error, "lease_until": None, "finished_at": at, "done": Job.done + rows}
    return changed(session.execute(_mine(organization_id, job_id, token).values(**values))) == 1


def give_back(session: WriteSession, organization_id: UUID, job_id: UUID, token: int, *, error: str | None, delay: float, attempts: int,
              seconds: Seconds) -> bool:  # fmt: skip
    """Queue it again, ``delay`` seconds from now; ``attempts`` is what its count shall say."""
    due = _at(session, seconds) + delay if delay > 0 else 0.0
    values = {
        "state": "queued",
        "error": error,
        "lease_until": None,
        "worker": None,
        "due_at": due,
        "attempts": attempts,
    }
    return changed(session.execute(_mine(organization_id, job_id, token).values(**values))) == 1


# what people ask for


def cancel_queued(session: WriteSession, organization_id: UUID, job_id: UUID, at: datetime) -> None:
    session.execute(_one(organization_id, job_id).values(state="cancelled", cancel_requested=True, finished_at=at))


def ask_cancel(session: WriteSession, organization_id: UUID, job_id: UUID) -> None:
    session.execute(_one(organization_id, job_id).values(cancel_requested=True))


def requeue(session: WriteSession, organization_id: UUID, job_id: UUID) -> None:
    """As new, but for what it has done: that stays done. The token goes on, so that no old claim fits."""
    session.execute(
        _one(organization_id, job_id).values(state="queued", attempts=0, due_at=0.0, cancel_requested=False, error=None, worker=None,
                                             lease_until=None, started_at=None, finished_at=None)
    )  # fmt: skip


def _one(organization_id: UUID, job_id: UUID) -> Any:
    return (
        sa.update(Job)
        .where(Job.organization_id == organization_id, Job.id == job_id)
        .execution_options(synchronize_session=False)
    )


# health


def backlog(database: Database, seconds: Seconds = time.time) -> tuple[int, float | None]:
    """Over all organizations: how many jobs could run now but do not, and how many seconds the oldest has waited."""
    with database.read(None) as session:
        if not database.is_sqlite:
            row = session.connection().exec_driver_sql("SELECT waiting, oldest FROM plumbline_job_backlog()").one()
            return int(row[0]), None if row[1] is None else max(0.0, float(row[1]))
        at = seconds()
        created = (sa.func.julianday(Job.created_at) - 2440587.5) * 86400.0
        since = sa.case((Job.state == "running", Job.lease_until), (Job.due_at > 0, Job.due_at), else_=created)
        waits = sa.or_(
            sa.and_(Job.state == "queued", Job.due_at <= at), sa.and_(Job.state == "running", Job.lease_until < at)
        )
        count, oldest = session.execute(
            sa.select(sa.func.count(), sa.func.min(since)).where(waits), execution_options=_ALL
        ).one()
        return int(count), None if oldest is None else max(0.0, at - float(oldest))


def seen(session: WriteSession, name: str, *, started_at: datetime, seen_at: datetime, threads: int) -> None:
    statement = upsert(session, Worker).values(name=name, started_at=started_at, seen_at=seen_at, threads=threads)
    changes = {"started_at": started_at, "seen_at": seen_at, "threads": threads}
    session.execute(statement.on_conflict_do_update(index_elements=["name"], set_=changes))


def forget(session: WriteSession, name: str) -> None:
    session.execute(sa.delete(Worker).where(Worker.name == name))


def forget_unseen(session: WriteSession, since: datetime) -> None:
    """Workers that died without a word."""
    session.execute(sa.delete(Worker).where(Worker.seen_at < since))


def workers(session: Session, since: datetime) -> list[Worker]:
    """Those heard of since then, by name."""
    return list(session.scalars(sa.select(Worker).where(Worker.seen_at >= since).order_by(Worker.name)))


# schedules


def organization_ids(session: Session) -> list[UUID]:
    return list(session.scalars(sa.select(Organization.id).where(Organization.is_active).order_by(Organization.id)))


def organizations_due(database: Database, seconds: Seconds = time.time) -> list[UUID]:
    """Organizations with a schedule whose time has come."""
    with database.read(None) as session:
        if not database.is_sqlite:
            return [
                row[0]
                for row in session.connection().exec_driver_sql("SELECT organization_id FROM plumbline_due_schedules()")
            ]
        statement = (
            sa.select(Schedule.organization_id).where(Schedule.next_due <= seconds(), ~Schedule.paused).distinct()
        )
        return list(session.scalars(statement, execution_options=_ALL))


def schedules(session: Session, organization_id: UUID) -> list[Schedule]:
    return list(session.scalars(scoped(Schedule, organization_id).order_by(Schedule.name)))


def due_schedules(session: WriteSession, organization_id: UUID, at: float) -> list[Schedule]:
    """Locked until the transaction ends; those another worker is just moving on are left out."""
    statement = scoped(Schedule, organization_id).where(Schedule.next_due <= at, ~Schedule.paused)
    return list(session.scalars(statement.with_for_update(skip_locked=True)))


def add_schedule(session: WriteSession, values: Mapping[str, Any]) -> None:
    """Unless the organization has one of that name."""
    session.execute(
        upsert(session, Schedule).values(**values).on_conflict_do_nothing(index_elements=["organization_id", "name"])
    )


def change_schedule(session: WriteSession, organization_id: UUID, schedule_id: UUID, **values: Any) -> None:
    session.execute(
        sa.update(Schedule)
        .where(Schedule.organization_id == organization_id, Schedule.id == schedule_id)
        .values(**values)
        .execution_options(synchronize_session=False)
    )
