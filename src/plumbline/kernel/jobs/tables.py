"""Durable background work and its schedules (docs/decisions/0005)."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from plumbline.kernel.database import Table, TenantOwned, by_time, one_of, options, types

STATES = ("queued", "running", "done", "failed", "cancelled")
OPEN = ("queued", "running")
# without a key there is nothing to look up, and the index must not tempt the planner away from ix_jobs_due
KEYED = sa.text("state in ('queued', 'running') and dedupe_key is not null")


class Job(TenantOwned, Table):
    """``arguments`` holds ids only. Times that decide (due, lease) are seconds of the database's clock; ``due_at`` is 0 for
    "at once". ``token`` counts claims: who holds an older one has lost the job."""

    __tablename__ = "jobs"
    __table_args__ = options(
        one_of("state", *STATES),
        by_time("jobs"),
        sa.Index("ix_jobs_due", "state", "priority", "due_at", "id"),
        sa.Index("uq_jobs_dedupe_key", "organization_id", "kind", "dedupe_key", unique=True, sqlite_where=KEYED, postgresql_where=KEYED),
    )  # fmt: skip

    kind: Mapped[str]
    subject_id: Mapped[UUID | None]
    arguments: Mapped[Any] = mapped_column(types.Json, nullable=False)
    state: Mapped[str]
    priority: Mapped[int]
    due_at: Mapped[float]
    dedupe_key: Mapped[str | None]
    attempts: Mapped[int]
    max_attempts: Mapped[int]
    done: Mapped[int]
    total: Mapped[int | None]
    cancel_requested: Mapped[bool]
    lease_until: Mapped[float | None]
    token: Mapped[int]
    worker: Mapped[str | None]
    error: Mapped[str | None]
    user_id: Mapped[UUID | None]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class Schedule(TenantOwned, Table):
    """A cron line that turns into jobs; the row moves on in the transaction that writes the job."""

    __tablename__ = "job_schedules"
    __table_args__ = options(sa.UniqueConstraint("organization_id", "name"), by_time("job_schedules"))

    name: Mapped[str]
    cron: Mapped[str]
    kind: Mapped[str]
    arguments: Mapped[Any] = mapped_column(types.Json, nullable=False)
    next_due: Mapped[float]
    paused: Mapped[bool]


class Worker(Table):
    """A process that works: its heartbeat tells whether anything will be done at all."""

    __tablename__ = "job_workers"
    __table_args__ = options()

    name: Mapped[str] = mapped_column(primary_key=True)
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    threads: Mapped[int]
