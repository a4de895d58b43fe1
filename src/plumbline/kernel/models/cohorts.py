"""Cohorts of decisions: one version, one month or week, and whether their truth is known well enough to judge by (pure).

Bad outcomes become known before good ones, so figures over the labels known so far are wrong in a way that more of them does not
mend. A cohort is judged when its youngest decision is as old as the horizon and at least 95 % of the outcomes that can be
seen are known; until then its performance is unknown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Literal

from plumbline.kernel.errors import InvalidInput, Where
from plumbline.kernel.models.outcomes import OutcomeKind

State = Literal["immature", "mature", "incomplete"]
STATES: tuple[State, ...] = ("immature", "mature", "incomplete")
LABELLED = 0.95
"""Share of the outcomes to be seen that a mature cohort knows at least."""
PREFIX = "production:"
"""Begins the name of a cohort's dataset among the evaluations: ``production:2026-10``."""


def key_of(day: date, period: str) -> str:
    """``2026-10``, or ``2026-W41`` (ISO 8601): the cohort of a day in UTC."""
    if period == "month":
        return f"{day.year:04}-{day.month:02}"
    year, week, _ = day.isocalendar()
    return f"{year:04}-W{week:02}"


def bounds(key: str) -> tuple[datetime, datetime]:
    """The first moment of a cohort and the first one after it.

    :raises InvalidInput: no month and no week.
    """
    try:
        if "W" in key:
            year, week = key.split("-W")
            first = date.fromisocalendar(int(year), int(week), 1)
            after = first + timedelta(days=7)
        else:
            first = date.fromisoformat(f"{key}-01")
            after = date(first.year + first.month // 12, first.month % 12 + 1, 1)
    except (ValueError, OverflowError):
        raise InvalidInput(
            f"'{key}' is no cohort.", where=Where(field="cohort"), remedy="Write 2026-10 or 2026-W41."
        ) from None
    return _midnight(first), _midnight(after)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


@dataclass(slots=True)
class Tally:
    """How the decisions of a cohort stand.

    :ivar awaited: those whose outcome will be seen (the accepted ones), ``labelled`` of them with one.
    :ivar declined: those whose outcome nobody will see, ``undecided`` those a person has not decided; ``aside`` of both have an
        outcome all the same (drawn for an audit, say).
    :ivar events: of the labelled ones.
    :ivar sources: where the labels come from.
    """

    rows: int = 0
    awaited: int = 0
    labelled: int = 0
    events: int = 0
    declined: int = 0
    undecided: int = 0
    aside: int = 0
    sources: Counter[str] = field(default_factory=Counter)
    youngest: datetime | None = None

    def add(
        self, kind: OutcomeKind, decision: str | None, outcome: str | None, source: str | None, count: int = 1
    ) -> None:
        """Count decisions of a kind; a negative ``count`` takes them away again."""
        self.rows += count
        seen = seen_of(kind, decision, outcome, source)
        if outcome is not None:
            self.sources[source or "unknown"] += count
        if seen:
            self.awaited += count
            self.labelled += count * (outcome is not None)
            self.events += count * (outcome == kind.words[1])
            return
        self.aside += count * (outcome is not None)
        if decision in kind.refuses:
            self.declined += count
        else:
            self.undecided += count

    @property
    def share(self) -> float | None:
        """Labelled of those awaited."""
        return self.labelled / self.awaited if self.awaited else None

    @property
    def selective(self) -> bool:
        """Whether the truth is seen of some decisions only: what needs the others' has no figure."""
        return self.labelled + self.aside < LABELLED * self.rows

    def matured(self, kind: OutcomeKind) -> Tally:
        """At the horizon silence may be an answer: then what has no outcome had no event."""
        if not kind.silence_is_negative:
            return self
        silent = self.awaited - self.labelled
        sources = self.sources + (Counter({"silence": silent}) if silent else Counter())
        return Tally(
            self.rows,
            self.awaited,
            self.awaited,
            self.events,
            self.declined,
            self.undecided,
            self.aside,
            sources,
            self.youngest,
        )


def seen_of(kind: OutcomeKind, decision: str | None, outcome: str | None, source: str | None) -> bool:
    """Whether the truth of a decision is seen by the way things go (an audit sample looks at others, too)."""
    if not kind.accepts or decision in kind.accepts:
        return True
    return decision not in kind.refuses and outcome is not None and source != "audit_sample"


@dataclass(frozen=True, slots=True)
class Standing:
    """A cohort's state, why, and from when on it can be mature."""

    state: State
    reason: str
    due: datetime


def standing(tally: Tally, kind: OutcomeKind, now: datetime) -> Standing:
    """The state of a cohort at a moment (``tally.youngest`` is the time of its last decision)."""
    if tally.youngest is None:
        raise ValueError("a cohort without decisions has no state")
    due = tally.youngest + kind.horizon
    if now < due:
        return Standing(
            "immature", f"Its youngest decision is not {kind.horizon.days} days old before {due:%Y-%m-%d}.", due
        )
    share = tally.matured(kind).share
    if share is None:
        return Standing("incomplete", "None of its decisions has an outcome that will be seen.", due)
    if share < LABELLED:
        missing = tally.awaited - tally.labelled
        told = f"{missing:,} of {tally.awaited:,} outcomes are missing ({share:.1%} known, {LABELLED:.0%} needed)."
        return Standing("incomplete", told, due)
    return Standing("mature", f"{share:.1%} of {tally.awaited:,} outcomes are known.", due)


def youngest(moments: Iterable[datetime | None]) -> datetime | None:
    """The last of some moments."""
    return max((m for m in moments if m is not None), default=None)
