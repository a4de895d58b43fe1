"""Every query of the job tables.

Rows of one organization are reached in its own transaction. What a worker does over all of them (find the next job, count
what waits) goes through the owner's functions on PostgreSQL and by statements marked ``tenant="all"`` on SQLite.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from plumbline.kernel.database import Database, WriteSession, changed, one, page, scoped, upsert
from plumbline.kernel.errors import Conflict
from plumbline.kernel.identity.tables import Organization
from plumbline.kernel.jobs.tables import KEYED, OPEN, Job, Schedule, Worker
from plumbline.kernel.paging import Page, PageRequest

Seconds = Callable[[], float]
LONGEST_BACKOFF = 300.0  # seconds
_ALL = {"tenant": "all"}
_t = cast(sa.Table, Job.__table__)
_j = _t.c

# Statements of every chunk are made once: building one takes longer than SQLite needs to run it.
_CLOCK: dict[str, sa.ColumnElement[float]] = {
    # workers on several machines disagree about the time: the server's counts
    "postgresql": sa.cast(sa.extract("epoch", sa.func.clock_timestamp()), sa.Double),
    "sqlite": sa.bindparam("at", type_=sa.Double),
}
_DELAY = sa.bindparam("delay", type_=sa.Double)
_LEASE = sa.bindparam("lease", type_=sa.Double)
_FIRST = (_j.priority, _j.due_at, _j.id)


def _stale(at: sa.ColumnElement[float]) -> sa.ColumnElement[bool]:
    """A lease that is over, or one that no living worker can have written: the clock was set back since."""
    return sa.or_(_j.lease_until < at, _j.lease_until > at + 2 * _LEASE)


def _take(at: sa.ColumnElement[float]) -> sa.Update:
    return sa.update(_t).where(_j.id == sa.bindparam("key")).values(
        state="running", token=_j.token + 1, attempts=_j.attempts + 1, worker=sa.bindparam("taker"), lease_until=at + _LEASE,
        started_at=sa.func.coalesce(_j.started_at, sa.bindparam("started", type_=_j.started_at.type)),
    )  # fmt: skip


_HELD = (_j.id, _j.organization_id, _j.kind, _j.subject_id, _j.user_id, _j.arguments, _j.done, _j.total, _j.token, _j.attempts, _j.max_attempts)  # fmt: skip
_OURS = _j.organization_id == sa.bindparam("organization")
_KIND = _j.kind.in_(sa.bindparam("kinds", expanding=True))
_AT = _CLOCK["sqlite"]
# a failed attempt goes back for LONGEST_BACKOFF at most: what is later was written before the clock was set back
_IS_DUE = sa.or_(_j.due_at <= _AT, sa.and_(_j.attempts > 0, _j.due_at > _AT + LONGEST_BACKOFF))
# two look-ups, not one: so each follows ix_jobs_due and stops at its first row
_OVER = sa.select(_j.id).where(_j.state == "running", _KIND, _stale(_AT)).order_by(*_FIRST).limit(1)
_DUE = sa.select(_j.id).where(_j.state == "queued", _KIND, _IS_DUE).order_by(*_FIRST).limit(1)
_TAKE_NEXT = _take(_AT).returning(*_HELD)
_CLAIM = sa.text(
    "SELECT * FROM plumbline_claim_job(CAST(:kinds AS text[]), :taker, CAST(:lease AS double precision), :started)"
)
_TAKE_ONE = {
    dialect: _take(at).where(_OURS, sa.or_(_j.state == "queued", sa.and_(_j.state == "running", _stale(at)))).returning(*_HELD)
    for dialect, at in _CLOCK.items()
}  # fmt: skip
_MINE = sa.update(_t).where(
    _OURS, _j.id == sa.bindparam("key"), _j.token == sa.bindparam("mine"), _j.state == "running"
)
_ADVANCE = {
    dialect: _MINE.values(done=_j.done + sa.bindparam("rows"), lease_until=at + _LEASE,
                          total=sa.func.coalesce(sa.bindparam("whole", type_=_j.total.type), _j.total)).returning(_j.cancel_requested)
    for dialect, at in _CLOCK.items()
}  # fmt: skip
_END = _MINE.values(state=sa.bindparam("ended"), error=sa.bindparam("told", type_=sa.Text), lease_until=None, done=_j.done + sa.bindparam("rows"),
                    finished_at=sa.bindparam("ended_at", type_=_j.finished_at.type))  # fmt: skip
_BACK = {
    dialect: _MINE.values(state="queued", error=sa.bindparam("told", type_=sa.Text), lease_until=None, worker=None,
                          attempts=sa.bindparam("tries"), due_at=sa.case((_DELAY > 0, at + _DELAY), else_=0.0))
    for dialect, at in _CLOCK.items()
}  # fmt: skip
_INSERT = {
    dialect: sa.insert(_t).values(due_at=sa.case((_DELAY > 0, at + _DELAY), else_=0.0))
    for dialect, at in _CLOCK.items()
}


def _dialect(session: Session) -> str:
    return session.connection().dialect.name


def now(session: Session, seconds: Seconds = time.time) -> float:
    """Seconds since 1970 of the clock that decides."""
    return float(session.execute(sa.select(_CLOCK[_dialect(session)]), {"at": seconds()}).scalar_one())


# enqueue


def insert(session: WriteSession, values: Mapping[str, Any], *, delay: float) -> UUID | None:
    """Write a job; ``None`` when an open one of its kind has its dedupe key already (the caller's transaction stays sound).

    A job for now is due at 0: a clock that is set back never delays it.
    """
    if values["dedupe_key"] is None:
        session.execute(_INSERT[_dialect(session)], {**values, "delay": delay, "at": time.time()})
        key: UUID = values["id"]
        return key
    due = 0.0 if delay <= 0 else now(session) + delay
    statement = upsert(session, Job).on_conflict_do_nothing(
        index_elements=["organization_id", "kind", "dedupe_key"], index_where=KEYED
    )
    return session.execute(statement.returning(Job.id), {**values, "due_at": due}).scalar()


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
    given = {"kinds": list(kinds), "taker": worker, "lease": lease, "started": started, "at": seconds()}
    if not database.is_sqlite:
        del given["at"]
        with database.connect(write=True) as connection:
            row = connection.execute(_CLAIM, given, execution_options=_ALL).mappings().first()
            return None if row is None else dict(row)
    with database.read(None) as session:  # idle workers only read: they never hold up a writer
        if _claimable(session, given) is None:
            return None
    with database.write(None) as session:
        given["at"] = seconds()  # it may have waited for its turn
        key = _claimable(session, given)
        if key is None:
            return None
        return dict(session.execute(_TAKE_NEXT, given | {"key": key}, execution_options=_ALL).mappings().one())


def _claimable(session: Session, given: Mapping[str, Any]) -> UUID | None:
    found: UUID | None = session.scalar(_OVER, given, execution_options=_ALL)
    return found if found is not None else session.scalar(_DUE, given, execution_options=_ALL)


def claim_one(session: WriteSession, organization_id: UUID, job_id: UUID, *, worker: str, lease: float, started: datetime,
              seconds: Seconds = time.time) -> Mapping[str, Any] | None:  # fmt: skip
    """Take this job, due or not; ``None`` when another holds it or it has ended."""
    given = {
        "organization": organization_id,
        "key": job_id,
        "taker": worker,
        "lease": lease,
        "started": started,
        "at": seconds(),
    }
    row = session.execute(_TAKE_ONE[_dialect(session)], given).mappings().first()
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


def running_token(session: Session, organization_id: UUID, job_id: UUID) -> int | None:
    """Of the claim that holds the job now."""
    which = (Job.organization_id == organization_id, Job.id == job_id, Job.state == "running")
    return session.scalar(sa.select(Job.token).where(*which))


def advance(session: WriteSession, organization_id: UUID, job_id: UUID, token: int, *, rows: int, total: int | None, lease: float,
            seconds: Seconds) -> bool | None:  # fmt: skip
    """Progress and a new lease; whether a cancellation is asked for, or ``None`` when the job is not this claim's any more."""
    given = {
        "organization": organization_id,
        "key": job_id,
        "mine": token,
        "rows": rows,
        "whole": total,
        "lease": lease,
        "at": seconds(),
    }
    asked: bool | None = session.execute(_ADVANCE[_dialect(session)], given).scalar()
    return asked


def end(session: WriteSession, organization_id: UUID, job_id: UUID, token: int, *, state: str, error: str | None, at: datetime,
        rows: int = 0) -> bool:  # fmt: skip
    """``False`` when the job is not this claim's any more."""
    given = {
        "organization": organization_id,
        "key": job_id,
        "mine": token,
        "ended": state,
        "told": error,
        "ended_at": at,
        "rows": rows,
    }
    return changed(session.execute(_END, given)) == 1


def leave(session: WriteSession, organization_id: UUID, job_id: UUID, token: int) -> bool:
    """Remove a running job; ``False`` when it is not this claim's any more."""
    statement = sa.delete(Job).where(
        Job.organization_id == organization_id, Job.id == job_id, Job.token == token, Job.state == "running"
    )
    return changed(session.execute(statement, execution_options={"synchronize_session": False})) == 1


def give_back(session: WriteSession, organization_id: UUID, job_id: UUID, token: int, *, error: str | None, delay: float, attempts: int,
              seconds: Seconds) -> bool:  # fmt: skip
    """Queue it again, ``delay`` seconds from now; ``attempts`` is what its count shall say."""
    given = {
        "organization": organization_id,
        "key": job_id,
        "mine": token,
        "told": error,
        "tries": attempts,
        "delay": delay,
        "at": seconds(),
    }
    return changed(session.execute(_BACK[_dialect(session)], given)) == 1


# what people ask for


def cancel_queued(session: WriteSession, organization_id: UUID, job_id: UUID, at: datetime) -> None:
    session.execute(_one(organization_id, job_id).values(state="cancelled", cancel_requested=True, finished_at=at))


def ask_cancel(session: WriteSession, organization_id: UUID, job_id: UUID) -> None:
    session.execute(_one(organization_id, job_id).values(cancel_requested=True))


def requeue(session: WriteSession, organization_id: UUID, job_id: UUID) -> None:
    """As new, but for what it has done: that stays done. The token goes on, so that no old claim fits.

    :raises Conflict: it is open or done, or another open job has its dedupe key.
    """
    fresh = {"state": "queued", "attempts": 0, "due_at": 0.0, "cancel_requested": False, "error": None, "worker": None,
             "lease_until": None, "started_at": None, "finished_at": None}  # fmt: skip
    ended = _one(organization_id, job_id).where(Job.state.in_(("failed", "cancelled"))).values(**fresh)
    try:
        if changed(session.execute(ended)):
            return
    except sa.exc.IntegrityError:
        raise Conflict("Another job about the same is open.", remedy="Wait for that one.") from None
    state = job(session, organization_id, job_id).state
    raise Conflict(f"Job {job_id} is {state}.", remedy="Only a failed or cancelled job can be tried again.")


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
