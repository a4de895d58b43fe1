"""Every query of the audit log. Nothing here writes: entries are made by :mod:`plumbline.kernel.ledger.service` alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from plumbline.kernel.database import first_id, one, page, scoped
from plumbline.kernel.ledger.tables import AuditEntry
from plumbline.kernel.paging import Page, PageRequest


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries are wanted; an empty field limits nothing.

    :param actors: ``user_id`` of people (themselves, their keys, their jobs) or ``actor_id`` of a program, any of them.
    :param actions: whole actions, any of them.
    :param since: this moment or later.
    :param until: before this moment.
    """

    actors: tuple[UUID | str, ...] = ()
    actions: tuple[str, ...] | None = None
    resource_type: str | None = None
    resource_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    client: str | None = None
    success: bool | None = None


@dataclass(frozen=True, slots=True)
class Day:
    """What was done on one day (UTC)."""

    day: date
    entries: int
    failed: int


def conditions(wanted: Filter) -> list[sa.ColumnElement[bool]]:
    """A time is also a range of ids, which the index (organization_id, id) answers."""
    found: list[sa.ColumnElement[bool]] = []
    if wanted.actors:
        people = [a for a in wanted.actors if isinstance(a, UUID)]
        found.append(sa.or_(AuditEntry.user_id.in_(people), AuditEntry.actor_id.in_([str(a) for a in wanted.actors])))
    if wanted.actions is not None:
        found.append(AuditEntry.action.in_(wanted.actions))
    if wanted.resource_type is not None:
        found.append(AuditEntry.resource_type == wanted.resource_type)
    if wanted.resource_id is not None:
        found.append(AuditEntry.resource_id == wanted.resource_id)
    if wanted.since is not None:
        found += [AuditEntry.id >= first_id(wanted.since), AuditEntry.timestamp >= wanted.since]
    if wanted.until is not None:
        found += [
            AuditEntry.id < first_id(wanted.until + timedelta(milliseconds=1)),
            AuditEntry.timestamp < wanted.until,
        ]
    if wanted.client is not None:
        found.append(AuditEntry.client_id == wanted.client)
    if wanted.success is not None:
        found.append(AuditEntry.success.is_(sa.true()) if wanted.success else AuditEntry.success.is_(sa.false()))
    return found


def entries(session: Session, organization_id: UUID, wanted: Filter, request: PageRequest) -> Page[AuditEntry]:
    return page(session, scoped(AuditEntry, organization_id).where(*conditions(wanted)), AuditEntry, request)


def entry(session: Session, organization_id: UUID, key: UUID) -> AuditEntry:
    return one(session, scoped(AuditEntry, organization_id).where(AuditEntry.id == key), "audit entry", key)


def actions(session: Session, organization_id: UUID) -> list[str]:
    """The actions that occur, sorted. One look into the index per action, however many entries there are."""
    mine = AuditEntry.organization_id == organization_id
    found = sa.select(sa.func.min(AuditEntry.action).label("action")).where(mine).cte("found", recursive=True)
    following = (
        sa.select(sa.func.min(AuditEntry.action)).where(mine, AuditEntry.action > found.c.action).scalar_subquery()
    )
    found = found.union_all(sa.select(following).where(found.c.action.is_not(None)))
    return sorted(session.scalars(sa.select(found.c.action).where(found.c.action.is_not(None))))


def activity(session: Session, organization_id: UUID, wanted: Filter) -> list[Day]:
    """Entries per day; days without any are left out."""
    if session.connection().dialect.name == "postgresql":
        day = sa.func.to_char(
            sa.func.timezone(sa.literal_column("'UTC'"), AuditEntry.timestamp), sa.literal_column("'YYYY-MM-DD'")
        )
    else:
        day = sa.func.substr(
            sa.type_coerce(AuditEntry.timestamp, sa.Text()), sa.literal_column("1"), sa.literal_column("10")
        )
    failed = sa.func.sum(sa.case((AuditEntry.success.is_(sa.true()), 0), else_=1))
    statement = (
        sa.select(day.label("day"), sa.func.count(), failed)
        .where(AuditEntry.organization_id == organization_id, *conditions(wanted))
        .group_by(sa.text("1"))
        .order_by(sa.text("1"))
    )
    return [Day(date.fromisoformat(text), int(count), int(bad or 0)) for text, count, bad in session.execute(statement)]


def filled(days: Iterable[Day], first: date, last: date) -> list[Day]:
    """Every day of a range, quiet ones with zero."""
    known = {d.day: d for d in days}
    count = (last - first).days + 1
    return [known.get(day, Day(day, 0, 0)) for day in (first + timedelta(days=i) for i in range(count))]


def there(session: Session, organization_id: UUID, key: UUID) -> bool:
    return session.scalars(scoped(AuditEntry, organization_id).where(AuditEntry.id == key)).first() is not None


def binding(session: Session, organization_id: UUID, resource_id: UUID, *, batch: bool) -> UUID | None:
    """The entry that commits to a decision (``record_sha256``) or to a batch's (``records_root``), by the id of either."""
    name = "records_root" if batch else "record_sha256"
    found = session.scalars(
        scoped(AuditEntry, organization_id)
        .where(AuditEntry.resource_id == resource_id, AuditEntry.success.is_(sa.true()))
        .order_by(AuditEntry.id)
    )
    return next((e.id for e in found if isinstance(e.details, dict) and name in e.details), None)
