"""Every query of the triage list."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from plumbline.kernel.database import WriteSession, changed, one, page, scoped, upsert
from plumbline.kernel.findings.tables import Finding
from plumbline.kernel.paging import CAP, Page, PageRequest

OPEN = ("open", "acknowledged")
STEP = 500


def finding(session: Session, organization_id: UUID, key: UUID) -> Finding:
    return one(session, scoped(Finding, organization_id).where(Finding.id == key), "finding", key)


def by_fingerprint(session: Session, organization_id: UUID, room: str, fingerprint: str) -> Finding | None:
    statement = scoped(Finding, organization_id).where(Finding.room == room, Finding.fingerprint == fingerprint)
    return session.scalars(statement, execution_options={"populate_existing": True}).first()


def findings(session: Session, organization_id: UUID, request: PageRequest, *, states: tuple[str, ...] = (), room: str | None = None,
             severity: str | None = None, owner_id: UUID | None = None, unowned: bool = False) -> Page[Finding]:  # fmt: skip
    statement = scoped(Finding, organization_id)
    if states:
        statement = statement.where(Finding.state.in_(states))
    if room is not None:
        statement = statement.where(Finding.room == room)
    if severity is not None:
        statement = statement.where(Finding.severity == severity)
    if unowned:
        statement = statement.where(Finding.owner_id.is_(None))
    elif owner_id is not None:
        statement = statement.where(Finding.owner_id == owner_id)
    return page(session, statement, Finding, request)


def count(session: Session, organization_id: UUID, states: tuple[str, ...]) -> int:
    """Stops at 10,001."""
    capped = (
        sa.select(Finding.id)
        .where(Finding.organization_id == organization_id, Finding.state.in_(states))
        .limit(CAP)
        .subquery()
    )
    return session.scalar(sa.select(sa.func.count()).select_from(capped)) or 0


def count_by_room(session: Session, organization_id: UUID, states: tuple[str, ...]) -> dict[str, int]:
    """Among the newest 10,001."""
    inner = sa.select(Finding.room).where(Finding.organization_id == organization_id, Finding.state.in_(states))
    rows = inner.order_by(Finding.id.desc()).limit(CAP).subquery()
    counted = session.execute(sa.select(rows.c.room, sa.func.count()).group_by(rows.c.room))
    return {row[0]: row[1] for row in counted}


def insert_new(session: WriteSession, rows: list[dict[str, Any]]) -> list[UUID]:
    """Insert what is not there yet by (room, fingerprint); the ids of what was new."""
    statement = (
        upsert(session, Finding)
        .on_conflict_do_nothing(index_elements=["organization_id", "room", "fingerprint"])
        .returning(Finding.id)
    )
    connection = session.connection()
    return [
        key for i in range(0, len(rows), STEP) for key in connection.execute(statement, rows[i : i + STEP]).scalars()
    ]


def update(session: WriteSession, organization_id: UUID, key: UUID, **values: Any) -> int:
    statement = sa.update(Finding).where(Finding.organization_id == organization_id, Finding.id == key).values(**values)
    return changed(session.execute(statement, execution_options={"synchronize_session": False}))


def move(session: WriteSession, organization_id: UUID, room: str, subject_id: UUID, *, state: str, closed_at: datetime | None,
         owner_id: UUID | None) -> int:  # fmt: skip
    """Move all findings of a subject; without an owner each keeps its own."""
    values: dict[str, Any] = {"state": state, "closed_at": closed_at}
    if owner_id is not None:
        values["owner_id"] = owner_id
    statement = sa.update(Finding).where(
        Finding.organization_id == organization_id, Finding.room == room, Finding.subject_id == subject_id
    )
    return changed(session.execute(statement.values(**values), execution_options={"synchronize_session": False}))


def retitle(session: WriteSession, organization_id: UUID, room: str, subject_id: UUID, title: str) -> int:
    statement = sa.update(Finding).where(
        Finding.organization_id == organization_id, Finding.room == room, Finding.subject_id == subject_id
    )
    return changed(session.execute(statement.values(title=title), execution_options={"synchronize_session": False}))


def of_room(session: Session, organization_id: UUID, room: str) -> list[Finding]:
    return list(session.scalars(scoped(Finding, organization_id).where(Finding.room == room)))


def remove(session: WriteSession, organization_id: UUID, keys: list[UUID]) -> None:
    for i in range(0, len(keys), STEP):
        session.execute(
            sa.delete(Finding).where(Finding.organization_id == organization_id, Finding.id.in_(keys[i : i + STEP]))
        )
