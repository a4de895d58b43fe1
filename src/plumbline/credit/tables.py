"""What the room keeps beyond the shared tables: the reviews people make of its decisions."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from plumbline.kernel.database import Table, TenantOwned, Timestamped, by_time, one_of, options


class Review(TenantOwned, Timestamped, Table):
    """A person's look at one decision. The model's decision stays in ``predictions``; this holds the final one."""

    __tablename__ = "credit_reviews"
    __table_args__ = options(
        sa.UniqueConstraint("prediction_id"),
        one_of("state", "open", "acknowledged", "resolved"),
        one_of("final_decision", "approve", "decline"),
        by_time("credit_reviews"),
        sa.Index("ix_credit_reviews_state", "organization_id", "state", "id"),
        owner="credit",
    )

    prediction_id: Mapped[UUID] = mapped_column(sa.ForeignKey("predictions.id"))
    state: Mapped[str]
    owner_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("users.id"))
    note: Mapped[str | None]
    due_at: Mapped[datetime]
    final_decision: Mapped[str | None]
    cause: Mapped[str | None]
    closed_at: Mapped[datetime | None]
