"""The judgement itself: days in, a word out (pure)."""

from __future__ import annotations

from datetime import date
from typing import Literal

Verdict = Literal["early", "in_time", "late"]
GRACE_DAYS = 1


def judge(promised: date, arrived: date, grace_days: int = GRACE_DAYS) -> Verdict:
    """``late`` from the day after the grace ends; ``early`` before the promised day."""
    days = (arrived - promised).days
    if days > grace_days:
        return "late"
    return "early" if days < 0 else "in_time"
