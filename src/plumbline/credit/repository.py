"""Every query of the room's own table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from plumbline.credit.tables import Review
from plumbline.kernel.database import WriteSession, changed, one, page, scoped
from plumbline.kernel.models.tables import Prediction
from plumbline.kernel.paging import Page, PageRequest


def review(session: Session, organization_id: UUID, key: UUID) -> Review:
    return one(session, scoped(Review, organization_id).where(Review.id == key), "review", key)


def review_of(session: Session, organization_id: UUID, prediction_id: UUID) -> Review | None:
    return session.scalars(scoped(Review, organization_id).where(Review.prediction_id == prediction_id)).first()


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
