"""What the room keeps beyond the shared tables: the reviews people make of its decisions, and the notices of declines."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from plumbline.kernel.database import Table, TenantOwned, Timestamped, by_time, one_of, options, types


class Review(TenantOwned, Timestamped, Table):
    """A person's look at one decision. The model's decision stays in ``predictions``; this holds the final one.

    ``final_decision`` is what stands, ``decided_by`` who decided it; a proposal waits for a second person. A review that the
    applicant asked for has ``requested_at`` and their words; ``reopened_at`` if it was closed before.
    """

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
    decided_by: Mapped[UUID | None]
    decided_at: Mapped[datetime | None]
    proposed_decision: Mapped[str | None]
    proposed_cause: Mapped[str | None]
    proposed_by: Mapped[UUID | None]
    proposed_at: Mapped[datetime | None]
    requested_at: Mapped[datetime | None]
    requested_through: Mapped[str | None]
    request: Mapped[str | None]
    reopened_at: Mapped[datetime | None]


class CreditNotice(TenantOwned, Timestamped, Table):
    """The notice that is due for a decline, with its clock; once issued, the document as the applicant has it.

    ``warned_at`` and ``overdue_at`` say since when it stands on the triage list, ``owner_id`` who took it there.
    ``earlier`` holds what went out before it was withdrawn and due again.
    """

    __tablename__ = "credit_notices"
    __table_args__ = options(
        sa.UniqueConstraint("prediction_id"),
        one_of("kind", "adverse_action"),
        one_of("state", "open", "issued", "late", "withdrawn"),
        by_time("credit_notices"),
        sa.Index("ix_credit_notices_state", "organization_id", "state", "due_at"),
        owner="credit",
    )

    prediction_id: Mapped[UUID] = mapped_column(sa.ForeignKey("predictions.id"))
    jurisdiction: Mapped[str]
    kind: Mapped[str]
    state: Mapped[str]
    due_at: Mapped[datetime]
    issued_at: Mapped[datetime | None]
    issued_by: Mapped[UUID | None]
    channel: Mapped[str | None]
    cause: Mapped[str | None]
    reasons: Mapped[Any] = mapped_column(types.Json, nullable=True)
    document: Mapped[Any] = mapped_column(types.Json, nullable=True)
    page: Mapped[str | None]
    document_sha256: Mapped[str | None]
    earlier: Mapped[Any] = mapped_column(types.Json, nullable=True)
    owner_id: Mapped[UUID | None]
    warned_at: Mapped[datetime | None]
    overdue_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
