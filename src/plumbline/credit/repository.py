"""Every query of the room's own tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from plumbline.credit.decision import TYPE
from plumbline.credit.tables import CreditNotice, Review
from plumbline.kernel.database import WriteSession, changed, first_id, one, page, scoped, upsert
from plumbline.kernel.ledger.service.erasing import ERASED
from plumbline.kernel.ledger.tables import AuditEntry
from plumbline.kernel.models.tables import Prediction
from plumbline.kernel.paging import Page, PageRequest


def review(session: Session, organization_id: UUID, key: UUID) -> Review:
    statement = scoped(Review, organization_id).where(Review.id == key)
    return one(session, statement.execution_options(populate_existing=True), "review", key)


def review_of(session: Session, organization_id: UUID, prediction_id: UUID) -> Review | None:
    statement = scoped(Review, organization_id).where(Review.prediction_id == prediction_id)
    return session.scalars(statement, execution_options={"populate_existing": True}).first()


def reviews_of_subject(session: Session, organization_id: UUID, subject_id: str) -> list[UUID]:
    """The reviews of a subject's decisions."""
    statement = (
        sa.select(Review.id)
        .join(Prediction, sa.and_(Prediction.id == Review.prediction_id, Prediction.organization_id == organization_id))
        .where(Review.organization_id == organization_id, Prediction.subject_id == subject_id)
    )
    return list(session.scalars(statement.order_by(Review.id)))


def reviews_with(session: Session, organization_id: UUID, keys: Sequence[UUID]) -> list[tuple[Review, str, Any, float]]:
    """These reviews, each with its decision's result, metadata and probability."""
    statement = (
        sa.select(Review, Prediction.prediction_result, Prediction.extra, Prediction.probability)
        .join(Prediction, sa.and_(Prediction.id == Review.prediction_id, Prediction.organization_id == organization_id))
        .where(Review.organization_id == organization_id)
        .order_by(Review.id)
    )
    return [
        tuple(row)
        for i in range(0, len(keys), 500)
        for row in session.execute(statement.where(Review.id.in_(keys[i : i + 500])))
    ]


def reviews(session: Session, organization_id: UUID, request: PageRequest, *, state: str | None = None) -> Page[Review]:
    statement = scoped(Review, organization_id)
    if state is not None:
        statement = statement.where(Review.state == state)
    return page(session, statement, Review, request)


def reviewed(session: Session, organization_id: UUID) -> Iterator[tuple[Review, str, str, Any, float]]:
    """Every review with its decision's subject, result, metadata and probability."""
    statement = (
        sa.select(Review, Prediction.subject_id, Prediction.prediction_result, Prediction.extra, Prediction.probability)
        .join(Prediction, sa.and_(Prediction.id == Review.prediction_id, Prediction.organization_id == organization_id))
        .where(Review.organization_id == organization_id)
        .order_by(Review.id)
    )
    for row in session.execute(statement, execution_options={"yield_per": 1000}):
        yield tuple(row)


def insert_reviews(session: WriteSession, rows: list[dict[str, Any]]) -> None:
    if rows:
        session.execute(sa.insert(Review), rows)


def update_review(session: WriteSession, organization_id: UUID, key: UUID, **values: Any) -> int:
    return changed(
        session.execute(
            sa.update(Review).where(Review.organization_id == organization_id, Review.id == key).values(**values)
        )
    )


def final_decisions(session: Session, organization_id: UUID) -> list[tuple[UUID, str]]:
    """Decisions that a person decided in the end: id, and approve or decline."""
    statement = sa.select(Review.prediction_id, Review.final_decision).where(
        Review.organization_id == organization_id, Review.final_decision.is_not(None)
    )
    return [(key, final) for key, final in session.execute(statement) if final is not None]


def hold(session: WriteSession, organization_id: UUID, prediction_id: UUID) -> Prediction:
    """A decision, held until the transaction ends: acts on its review and its notice happen one after the other."""
    statement = scoped(Prediction, organization_id).where(
        Prediction.id == prediction_id, Prediction.prediction_type == TYPE
    )
    return one(session, statement.with_for_update(key_share=True), "credit decision", prediction_id)


def insert_review(session: WriteSession, row: dict[str, Any]) -> None:
    session.execute(sa.insert(Review), row, execution_options={"synchronize_session": False})


def change_review(session: WriteSession, organization_id: UUID, key: UUID, **values: Any) -> None:
    """The same as :func:`update_review`, leaving what was read before as it was read."""
    statement = sa.update(Review).where(Review.organization_id == organization_id, Review.id == key).values(**values)
    session.execute(statement, execution_options={"synchronize_session": False})


def notice(session: Session, organization_id: UUID, key: UUID) -> CreditNotice:
    return one(session, scoped(CreditNotice, organization_id).where(CreditNotice.id == key), "notice", key)


def find_notice(session: Session, organization_id: UUID, key: UUID) -> CreditNotice | None:
    return session.scalars(scoped(CreditNotice, organization_id).where(CreditNotice.id == key)).first()


def notice_of(session: Session, organization_id: UUID, prediction_id: UUID) -> CreditNotice | None:
    statement = scoped(CreditNotice, organization_id).where(CreditNotice.prediction_id == prediction_id)
    return session.scalars(statement, execution_options={"populate_existing": True}).first()


def notices(session: Session, organization_id: UUID, request: PageRequest, *, state: str | None = None,
            due_before: datetime | None = None) -> Page[CreditNotice]:  # fmt: skip
    statement = scoped(CreditNotice, organization_id)
    if state is not None:
        statement = statement.where(CreditNotice.state == state)
    if due_before is not None:
        statement = statement.where(CreditNotice.due_at < due_before)
    return page(session, statement, CreditNotice, request)


def notices_due(session: Session, organization_id: UUID, since: datetime, until: datetime) -> dict[str, int]:
    """State → notices whose clock ended in ``since`` ≤ t < ``until``."""
    statement = (
        sa.select(CreditNotice.state, sa.func.count())
        .where(
            CreditNotice.organization_id == organization_id, CreditNotice.due_at >= since, CreditNotice.due_at < until
        )
        .group_by(CreditNotice.state)
    )
    return {row[0]: row[1] for row in session.execute(statement)}


def replays(session: Session, organization_id: UUID, since: datetime, until: datetime) -> tuple[int, int]:
    """Decisions that were run again in ``since`` ≤ t < ``until``: how many came out equal, and how many there were."""
    statement = sa.select(AuditEntry.details).where(
        AuditEntry.organization_id == organization_id, AuditEntry.action == "credit.replay", AuditEntry.success,
        AuditEntry.id >= first_id(since), AuditEntry.id < first_id(until),
    )  # fmt: skip
    equal = [bool((row or {}).get("equal")) for row in session.scalars(statement)]
    return sum(equal), len(equal)


def decided_at(session: Session, organization_id: UUID, keys: Sequence[UUID]) -> list[tuple[UUID, datetime]]:
    """When these decisions were made."""
    found: list[tuple[UUID, datetime]] = []
    for start in range(0, len(keys), 500):
        mine = (Prediction.organization_id == organization_id, Prediction.id.in_(keys[start : start + 500]))
        found += [
            (row[0], row[1]) for row in session.execute(sa.select(Prediction.id, Prediction.created_at).where(*mine))
        ]
    return found


def insert_notices(session: WriteSession, rows: list[dict[str, Any]]) -> int:
    """Insert what no notice is kept of yet; how many were new."""
    statement = (
        upsert(session, CreditNotice)
        .on_conflict_do_nothing(index_elements=["prediction_id"])
        .returning(CreditNotice.id)
    )
    connection = session.connection()
    return sum(len(connection.execute(statement, rows[i : i + 500]).scalars().all()) for i in range(0, len(rows), 500))


def update_notices(session: WriteSession, organization_id: UUID, keys: Sequence[UUID], **values: Any) -> None:
    for start in range(0, len(keys), 500):
        mine = (CreditNotice.organization_id == organization_id, CreditNotice.id.in_(keys[start : start + 500]))
        session.execute(
            sa.update(CreditNotice).where(*mine).values(**values), execution_options={"synchronize_session": False}
        )


def unwarned_notices(
    session: Session, organization_id: UUID, before: datetime, *, overdue: bool, most: int
) -> list[tuple[CreditNotice, str]]:
    """Open notices due before a moment that the triage list does not say so of yet, each with its subject, the first due first."""
    unsaid = [CreditNotice.overdue_at.is_(None)] + ([] if overdue else [CreditNotice.warned_at.is_(None)])
    mine = (CreditNotice.organization_id == organization_id, CreditNotice.state == "open", CreditNotice.due_at < before)
    return _with_subject(session, organization_id, *mine, *unsaid, order=CreditNotice.due_at, most=most)


def listed_notices(session: Session, organization_id: UUID) -> list[tuple[CreditNotice, str]]:
    """The notices that have been put on the triage list, each with its subject."""
    said = sa.or_(CreditNotice.warned_at.is_not(None), CreditNotice.overdue_at.is_not(None))
    return _with_subject(
        session, organization_id, CreditNotice.organization_id == organization_id, said, order=CreditNotice.id
    )


def notices_with(session: Session, organization_id: UUID, keys: Sequence[UUID]) -> list[CreditNotice]:
    found: list[CreditNotice] = []
    for start in range(0, len(keys), 500):
        found += session.scalars(
            scoped(CreditNotice, organization_id).where(CreditNotice.id.in_(keys[start : start + 500]))
        )
    return found


def notices_of_subject(session: Session, organization_id: UUID, subject_id: str) -> list[UUID]:
    found = _with_subject(
        session, organization_id, CreditNotice.organization_id == organization_id, Prediction.subject_id == subject_id,
        order=CreditNotice.id,
    )  # fmt: skip
    return [row.id for row, _ in found]


def _with_subject(session: Session, organization_id: UUID, *where: sa.ColumnElement[bool], order: Any,
                  most: int | None = None) -> list[tuple[CreditNotice, str]]:  # fmt: skip
    statement = (
        sa.select(CreditNotice, Prediction.subject_id)
        .join(Prediction, sa.and_(Prediction.id == CreditNotice.prediction_id, Prediction.organization_id == organization_id))
        .where(*where)
        .order_by(order, CreditNotice.id)
        .limit(most)
    )  # fmt: skip
    return [(row[0], row[1]) for row in session.execute(statement)]


def declines_without_notice(session: Session, organization_id: UUID, since: datetime, most: int) -> list[tuple[UUID, datetime | None]]:  # fmt: skip
    """Declines that stand, from ``since`` on, of which no notice is kept and whose subject is not erased, the oldest first; with
    when a person declined what the model did not."""
    if session.connection().dialect.name == "postgresql":
        decision = sa.func.jsonb_extract_path_text(Prediction.extra, "decision")
    else:
        decision = sa.func.json_extract(Prediction.extra, "$.decision")
    model = sa.type_coerce(decision, sa.Text())
    statement = (
        sa.select(Prediction.id, model, sa.func.coalesce(Review.decided_at, Review.closed_at))
        .outerjoin(Review, sa.and_(Review.prediction_id == Prediction.id, Review.organization_id == organization_id))
        .outerjoin(
            CreditNotice,
            sa.and_(CreditNotice.prediction_id == Prediction.id, CreditNotice.organization_id == organization_id),
        )
        .where(
            Prediction.organization_id == organization_id, Prediction.prediction_type == TYPE, Prediction.id >= first_id(since),
            Prediction.shadow_of.is_(None), Prediction.subject_id != ERASED, sa.func.coalesce(Review.final_decision, model) == "decline",
            CreditNotice.id.is_(None),
        )
        .order_by(Prediction.id)
        .limit(most)
    )  # fmt: skip
    return [(row[0], None if row[1] == "decline" else row[2]) for row in session.execute(statement)]
