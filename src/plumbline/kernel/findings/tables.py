"""One triage list over all rooms: a projection that each room feeds in the transaction of its own row."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from plumbline.kernel.database import Table, TenantOwned, by_time, one_of, options, types

SEVERITIES = ("critical", "high", "medium", "low")
STATES = ("open", "acknowledged", "resolved", "suppressed")


class Finding(TenantOwned, Table):
    """``subject_id`` is the room's own row, whose state is the truth; ``fingerprint`` makes it the one finding of it."""

    __tablename__ = "findings"
    __table_args__ = options(
        sa.UniqueConstraint("organization_id", "room", "fingerprint"),
        one_of("severity", *SEVERITIES),
        one_of("state", *STATES),
        by_time("findings"),
        sa.Index("ix_findings_state", "organization_id", "state", "id"),
    )

    room: Mapped[str]
    subject_id: Mapped[UUID]
    title: Mapped[str]
    severity: Mapped[str]
    state: Mapped[str]
    owner_id: Mapped[UUID | None]
    due_at: Mapped[datetime | None]
    tags: Mapped[Any] = mapped_column(types.Json, nullable=False)
    url: Mapped[str]
    fingerprint: Mapped[str]
    score: Mapped[float | None]
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
