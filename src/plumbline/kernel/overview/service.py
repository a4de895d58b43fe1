"""What the first page tells, read at once: one session, no writing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from plumbline.kernel.context import Context
from plumbline.kernel.findings import repository as found
from plumbline.kernel.findings.tables import Finding
from plumbline.kernel.identity import repository as people
from plumbline.kernel.installation import Installation
from plumbline.kernel.jobs import repository as queued
from plumbline.kernel.jobs.tables import Job
from plumbline.kernel.models.predictions import LOOKED_AT
from plumbline.kernel.models.tables import Model
from plumbline.kernel.overview import repository
from plumbline.kernel.overview.repository import HourCount, Recorded
from plumbline.kernel.sources import MetricSource, Sample

SHOWN = 10
"""Findings on the page."""
DAYS = 31
"""How far back decisions are counted."""
TREND = 14
"""Days of a tile's line, today the last."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Findings that wait for a person, most urgent first; ``rooms`` counts all of them, ``trend`` at each day's end."""

    findings: list[Finding]
    owners: dict[UUID, str]
    rooms: dict[str, int]
    overdue: int
    trend: list[int]

    @property
    def total(self) -> int:
        return sum(self.rooms.values())


@dataclass(frozen=True, slots=True)
class Overview:
    """``hours`` are the decisions of :data:`DAYS` days; ``capped`` says that there were more than are counted."""

    hours: list[HourCount]
    capped: bool
    waiting: Waiting
    recorded: Recorded
    running: list[tuple[Job, str]]
    deployments: list[Model]
    live: Model | None


def read(installation: Installation, context: Context) -> Overview:
    """Everything on the page. Every role may see it; what the reader may not do is left out by the page."""
    for right in ("models.read", "findings.read", "jobs.read", "audit.read"):
        context.require(right)
    org, now = context.organization_id, context.now
    with installation.database.read(org) as session:
        hours = repository.per_hour(session, org, since=now - timedelta(days=DAYS))
        jobs = queued.open_jobs(session, org)
        names = repository.filenames(session, org, {j.subject_id for j in jobs if j.subject_id})
        return Overview(
            hours=hours, capped=sum(h.count for h in hours) >= LOOKED_AT, waiting=_waiting(session, context, None),
            recorded=repository.recorded(session, org), running=[(j, names.get(j.subject_id, "") if j.subject_id else "") for j in jobs],
            deployments=repository.deployments(session, org, since=now - timedelta(days=DAYS)), live=repository.newest_live(session, org),
        )  # fmt: skip


def waiting(installation: Installation, context: Context, room: str | None = None) -> Waiting:
    """The findings of a room, or of all."""
    context.require("findings.read")
    with installation.database.read(context.organization_id) as session:
        return _waiting(session, context, room)


def _waiting(session: Session, context: Context, room: str | None) -> Waiting:
    org, now = context.organization_id, context.now
    findings = repository.urgent(session, org, room=room, limit=SHOWN)
    rooms = found.count_by_room(session, org, found.OPEN)
    grown = repository.moved(session, org, since=_midnight(now) - timedelta(days=TREND - 1))
    left, trend = sum(rooms.values()), []
    for back in range(TREND):
        trend.append(max(0, left))
        left -= grown.get((now - timedelta(days=back)).astimezone(UTC).date(), 0)
    owners = people.names(session, org, {f.owner_id for f in findings if f.owner_id})
    return Waiting(findings, owners, rooms, repository.overdue(session, org, now), trend[::-1])


def decisions(installation: Installation, context: Context) -> tuple[list[HourCount], list[Model]]:
    """Decisions per hour and the versions that went live meanwhile."""
    context.require("models.read")
    org, since = context.organization_id, context.now - timedelta(days=DAYS)
    with installation.database.read(org) as session:
        return repository.per_hour(session, org, since=since), repository.deployments(session, org, since=since)


def job(installation: Installation, context: Context, key: UUID) -> tuple[Job, str]:
    """A job and the name of the file it is about, if it is about one."""
    context.require("jobs.read")
    with installation.database.read(context.organization_id) as session:
        one = queued.job(session, context.organization_id, key)
        names = repository.filenames(session, context.organization_id, {one.subject_id} if one.subject_id else set())
    return one, names.get(one.subject_id, "") if one.subject_id else ""


# --- pure


def _midnight(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def by_day(hours: Iterable[HourCount], now: datetime, days: int, result: str | None = None) -> list[int]:
    """Decisions of each of the last ``days`` days (UTC), today the last."""
    counts, first = [0] * days, _midnight(now) - timedelta(days=days - 1)
    for hour in hours:
        at = (hour.at - first).days
        if 0 <= at < days and result in (None, hour.result):
            counts[at] += hour.count
    return counts


def share(hours: Sequence[HourCount], result: str, since: datetime, until: datetime) -> float | None:
    """The share of a result among the decisions of a period; ``None`` without any."""
    within = [h for h in hours if since <= h.at < until]
    total = sum(h.count for h in within)
    return sum(h.count for h in within if h.result == result) / total if total else None


@dataclass(frozen=True, slots=True)
class Period:
    """How a period is cut: ``steps`` of ``hours`` hours, every ``named``-th of them written below the axis."""

    days: int
    text: str
    hours: int
    named: int


PERIODS = {1: Period(1, "24 h", 1, 3), 7: Period(7, "7 days", 3, 8), 30: Period(30, "30 days", 24, 4)}


def cut(hours: Iterable[HourCount], now: datetime, period: Period) -> tuple[list[datetime], dict[str, list[int]]]:
    """Beginnings of the steps of a period that ends now, and the decisions of each by result.

    A day's period begins at the full hour 23 hours ago, a longer one at midnight (UTC), so that days stay whole.
    """
    now = now.astimezone(UTC)
    if period.days == 1:
        first = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=23)
    else:
        first = _midnight(now) - timedelta(days=period.days - 1)
    step = timedelta(hours=period.hours)
    starts = [first + step * i for i in range((now - first) // step + 1)]
    series: dict[str, list[int]] = {}
    for hour in hours:
        at = (hour.at - first) // step
        if 0 <= at < len(starts):
            series.setdefault(hour.result, [0] * len(starts))[at] += hour.count
    return starts, series


def by_weekday(hours: Iterable[HourCount], now: datetime, weeks: int = 4) -> list[list[int]]:
    """Decisions of the last weeks by weekday (Monday first) and two-hour slot (UTC)."""
    cells = [[0] * 12 for _ in range(7)]
    first = _midnight(now) - timedelta(days=7 * weeks - 1)
    for hour in hours:
        if hour.at >= first:
            cells[hour.at.weekday()][hour.at.hour // 2] += hour.count
    return cells


def metric_facts(source: MetricSource, sample: Sample) -> dict[str, Any]:
    """A metric source and its sample, as every face tells them."""
    return {
        "key": source.key, "title": source.title, "unit": source.unit, "direction": source.direction,
        "window_days": source.window.days if source.window else None, "value": sample.value, "numerator": sample.numerator,
        "denominator": sample.denominator, "measured_at": sample.measured_at, "evidence": sample.evidence, "reason": sample.reason,
    }  # fmt: skip
