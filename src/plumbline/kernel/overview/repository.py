"""Counts for the first page. Each looks at a bounded number of the newest rows, so that it costs the same in any size."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from plumbline.kernel.database import first_id, scoped
from plumbline.kernel.findings.repository import OPEN
from plumbline.kernel.findings.tables import SEVERITIES, Finding
from plumbline.kernel.ledger.repository.trees import Trees
from plumbline.kernel.ledger.tables import AuditEntry, Verification
from plumbline.kernel.models.predictions import LOOKED_AT
from plumbline.kernel.models.tables import Batch, Model, Prediction


@dataclass(frozen=True, slots=True)
class HourCount:
    """How often a result was given in the hour (UTC) that begins ``at``."""

    at: datetime
    result: str
    count: int


@dataclass(frozen=True, slots=True)
class Recorded:
    """The ledger: how many entries, when the newest was made, and what the last verification said of those that are sealed."""

    entries: int
    newest: datetime | None
    sealed: int
    verified: Verification | None


def per_hour(session: Session, organization_id: UUID, *, since: datetime) -> list[HourCount]:
    """Decisions per hour and result since then, in the order of the hours, among the newest :data:`LOOKED_AT`."""
    created = Prediction.created_at
    if session.connection().dialect.name == "postgresql":
        hour = sa.func.to_char(sa.func.timezone("UTC", created), 'YYYY-MM-DD"T"HH24')
    else:
        hour = sa.func.substr(created, 1, 13)
    inner = (
        sa.select(sa.type_coerce(hour, sa.Text()).label("hour"), Prediction.prediction_result.label("result"))
        .where(
            Prediction.organization_id == organization_id,
            Prediction.id >= first_id(since),
            Prediction.shadow_of.is_(None),
        )
        .order_by(Prediction.id.desc())
        .limit(LOOKED_AT)
        .subquery()
    )
    statement = sa.select(inner.c.hour, inner.c.result, sa.func.count()).group_by(inner.c.hour, inner.c.result)
    rows = session.execute(statement.order_by(inner.c.hour, inner.c.result))
    return [
        HourCount(datetime.fromisoformat(f"{text}:00:00").replace(tzinfo=UTC), result, count)
        for text, result, count in rows
    ]


def urgent(session: Session, organization_id: UUID, *, room: str | None, limit: int) -> list[Finding]:
    """What waits, the most severe first, then what is due first."""
    rank = sa.case({level: i for i, level in enumerate(SEVERITIES)}, value=Finding.severity, else_=len(SEVERITIES))
    statement = scoped(Finding, organization_id).where(Finding.state.in_(OPEN))
    if room:
        statement = statement.where(Finding.room == room)
    return list(session.scalars(statement.order_by(rank, Finding.due_at.asc().nulls_last(), Finding.id).limit(limit)))


def overdue(session: Session, organization_id: UUID, now: datetime) -> int:
    statement = sa.select(sa.func.count()).where(
        Finding.organization_id == organization_id, Finding.state.in_(OPEN), Finding.due_at < now
    )
    return session.scalar(statement) or 0


def moved(session: Session, organization_id: UUID, *, since: datetime) -> dict[date, int]:
    """By how many findings the list grew on each day (UTC): opened less closed."""
    grown: dict[date, int] = {}
    for column, sign in ((Finding.opened_at, 1), (Finding.closed_at, -1)):
        statement = (
            sa.select(column).where(Finding.organization_id == organization_id, column >= since).limit(LOOKED_AT)
        )
        for at in session.scalars(statement):
            if at is not None:
                grown[at.date()] = grown.get(at.date(), 0) + sign
    return grown


def recorded(session: Session, organization_id: UUID) -> Recorded:
    trees = Trees(session, organization_id)
    head, waiting = trees.head(), trees.waiting()
    sealed = head.size if head else 0
    mine = AuditEntry.organization_id == organization_id
    newest = session.scalar(sa.select(AuditEntry.timestamp).where(mine).order_by(AuditEntry.id.desc()).limit(1))
    last = session.scalars(scoped(Verification, organization_id).order_by(Verification.id.desc()).limit(1)).first()
    return Recorded(sealed + waiting, newest, sealed, last)


def deployments(session: Session, organization_id: UUID, *, since: datetime) -> list[Model]:
    """Versions that went live since then, in that order."""
    statement = scoped(Model, organization_id).where(Model.deployed_at >= since)
    return list(session.scalars(statement.order_by(Model.deployed_at, Model.id)))


def newest_live(session: Session, organization_id: UUID) -> Model | None:
    """The version that went live last, of any kind."""
    statement = scoped(Model, organization_id).where(Model.is_active.is_(sa.true()))
    return session.scalars(statement.order_by(Model.deployed_at.desc(), Model.id.desc()).limit(1)).first()


def filenames(session: Session, organization_id: UUID, keys: set[UUID]) -> dict[UUID, str]:
    """Batch → the name its file came under."""
    if not keys:
        return {}
    statement = sa.select(Batch.id, Batch.filename).where(Batch.organization_id == organization_id, Batch.id.in_(keys))
    return {row[0]: row[1] for row in session.execute(statement)}
