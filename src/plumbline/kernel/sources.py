"""Metric sources: figures that a room measures about its own work, for whoever scores the organization by them.

A source measures when it is asked, out of what is recorded; it has no value where it cannot know one, and says why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from plumbline.kernel import room
from plumbline.kernel.context import Context

if TYPE_CHECKING:
    from plumbline.kernel.installation import Installation

READ = "models.read"
MIN_N = 20
"""A share of fewer is not told: it would be noise."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement.

    :ivar value: ``None`` where there is none; ``reason`` then says why (``too_few``, or a sentence).
    :ivar numerator: what the value is made from, where it is a share; ``denominator`` also the number of rows of another figure.
    :ivar measured_at: when what it rests on was measured.
    :ivar evidence: the page where a person can see it.
    """

    value: float | None
    numerator: float | None = None
    denominator: float | None = None
    measured_at: datetime | None = None
    evidence: str = ""
    reason: str = ""


Take = Callable[["Installation", Context, datetime, datetime], Sample]


@dataclass(frozen=True, slots=True)
class MetricSource:
    """
    :ivar key: ``room.name``; it never changes.
    :ivar unit: ``share`` (0 to 1), ``number``.
    :ivar direction: which way is better; ``one``: the nearer to 1 the better.
    :ivar window: how far back it looks; ``None``: at the newest there is.
    :ivar right: who may see it, beside :data:`READ`.
    :ivar sample: measures ``since`` ≤ t < ``until``.
    """

    key: str
    title: str
    unit: Literal["share", "number"]
    direction: Literal["up", "down", "one"]
    window: timedelta | None
    right: str
    sample: Take


def share(numerator: int, denominator: int, at: datetime, evidence: str) -> Sample:
    """A share, unless it is of fewer than :data:`MIN_N`."""
    if denominator < MIN_N:
        return Sample(None, numerator, denominator, at, evidence, "too_few")
    return Sample(numerator / denominator, numerator, denominator, at, evidence)


def sources() -> tuple[MetricSource, ...]:
    """Of all rooms, in their order."""
    return tuple(one for part in room.everything() if part.sources for one in room.load(part.sources))


def taken(installation: Installation, context: Context) -> list[tuple[MetricSource, Sample]]:
    """Every source that the caller may see, measured now over its own window; most of them speak of models."""
    context.require(READ)
    now = context.now
    begin = datetime.min.replace(tzinfo=now.tzinfo)
    return [
        (source, source.sample(installation, context, now - source.window if source.window else begin, now))
        for source in sources()
        if context.may(source.right)
    ]
