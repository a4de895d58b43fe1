"""What the first page counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from plumbline.kernel.database import new_id
from plumbline.kernel.findings import service as findings
from plumbline.kernel.ledger.service import audit
from plumbline.kernel.models import predictions
from plumbline.kernel.models.tables import Model
from plumbline.kernel.overview import service
from plumbline.kernel.overview.repository import HourCount
from tests.conftest import NOW, Firm, SteppingClock

MIDNIGHT = datetime(2026, 11, 24, tzinfo=UTC)


def hour(days: float, result: str = "Low", count: int = 1) -> HourCount:
    return HourCount(MIDNIGHT - timedelta(days=days), result, count)


def test_days_are_those_of_utc_and_end_today() -> None:
    hours = [hour(0, count=3), hour(-0.25, count=2), hour(1, "High"), hour(13), hour(14, count=100)]
    assert service.by_day(hours, NOW, 14) == [1, *[0] * 11, 1, 5]
    assert service.by_day(hours, NOW, 14, "High") == [*[0] * 12, 1, 0]


def test_a_share_needs_decisions() -> None:
    hours = [hour(1, "High", 1), hour(1, "Low", 3), hour(9, "High", 5)]
    assert service.share(hours, "High", NOW - timedelta(days=7), NOW) == 0.25
    assert service.share(hours, "High", NOW - timedelta(days=40), NOW - timedelta(days=30)) is None


@pytest.mark.parametrize("days", service.PERIODS)
def test_a_period_is_cut_so_that_each_decision_counts_once(days: int) -> None:
    hours = [
        HourCount(NOW.replace(minute=0) - timedelta(hours=h), "High" if h % 5 else "Low", 1) for h in range(24 * 31)
    ]
    starts, series = service.cut(hours, NOW, service.PERIODS[days])
    within = sum(1 for h in hours if h.at >= starts[0])
    assert sum(map(sum, series.values())) == within
    assert all(b - a == timedelta(hours=service.PERIODS[days].hours) for a, b in pairwise(starts))
    assert starts[-1] <= NOW < starts[-1] + timedelta(hours=service.PERIODS[days].hours)
    assert len(starts) <= 60
    if days > 1:
        assert starts[0].hour == 0


def test_weekdays_begin_with_monday() -> None:
    cells = service.by_weekday([HourCount(datetime(2026, 11, 23, 13, tzinfo=UTC), "Low", 4), hour(40)], NOW)
    assert cells[0][6] == 4  # 23 November 2026 is a Monday
    assert sum(map(sum, cells)) == 4


# --- on both engines


def model_of(firm: Firm) -> UUID:
    key = new_id(NOW)
    with firm.installation.database.write(firm.id) as session:
        session.execute(sa.insert(Model), {
            "id": key, "organization_id": firm.id, "name": "m", "version": "1", "kind": "credit", "model_type": "classification",
            "framework": "none", "artifact_path": None, "features": [], "target_classes": None, "metrics": {}, "trained_at": NOW,
            "deployed_at": NOW, "is_active": True, "created_at": NOW, "extra": {},
        })  # fmt: skip
    return key


def decide(firm: Firm, model: UUID, at: datetime, result: str, **more: Any) -> UUID:
    key = new_id(at)
    row = {
        "id": key, "organization_id": firm.id, "prediction_type": "credit", "subject_id": "1", "content": None, "prediction_result": result,
        "probability": 0.1, "features": None, "explanation": None, "ml_model_id": model, "user_id": None, "batch_id": None, "batch_row": None,
        "source_ip": None, "processing_time_ms": None, "extra": {}, "record_salt": None, "created_at": at,
    }  # fmt: skip
    with firm.installation.database.write(firm.id) as session:
        predictions.insert_one(session, **row | more)
    return key


def test_everything_is_of_this_organization_alone(firm: Firm, other_firm: Firm) -> None:
    for one in (firm, other_firm):
        model = model_of(one)
        first = decide(one, model, NOW - timedelta(hours=30), "High")
        decide(one, model, NOW, "Low")
        decide(one, model, NOW, "Low")
        decide(one, model, NOW, "Medium", shadow_of=first)
        decide(one, model, NOW - timedelta(days=50), "Low")
        with one.installation.database.write(one.id) as session:
            findings.raise_finding(
                session,
                one.admin,
                room="credit",
                subject_id=first,
                title="Look",
                severity="high",
                url="/",
                fingerprint="a",
            )
    seen = service.read(firm.installation, firm.as_role("viewer"))
    assert [(h.at.hour, h.result, h.count) for h in seen.hours] == [(3, "High", 1), (9, "Low", 2)]
    assert seen.waiting.total == 1
    assert seen.live is not None
    assert seen.live.organization_id == firm.id
    assert [m.organization_id for m in seen.deployments] == [firm.id]
    assert not seen.capped


def test_entries_are_counted_with_the_time_of_the_newest(firm: Firm, clock: SteppingClock) -> None:
    before = service.read(firm.installation, firm.admin).recorded
    clock.now += timedelta(hours=1)
    context = firm.as_role("admin")
    with firm.installation.database.write(firm.id) as session:
        audit(session, context, "test.act", "test")
    after = service.read(firm.installation, context).recorded
    assert after.entries == before.entries + 1
    assert after.newest == clock.now


def test_the_most_urgent_stands_first(firm: Firm) -> None:
    now = firm.admin.now
    rows = [("low", -1, "d"), ("high", 9, "c"), ("critical", None, "b"), ("critical", 5, "a"), ("high", 2, "e")]
    with firm.installation.database.write(firm.id) as session:
        for severity, due, print_ in rows:
            findings.raise_finding(session, firm.admin, room="credit" if print_ != "e" else "models", subject_id=new_id(now), title=print_,
                                   severity=severity, url="/", fingerprint=print_, due_at=None if due is None else now + timedelta(hours=due))  # fmt: skip
    waiting = service.waiting(firm.installation, firm.admin)
    assert [f.title for f in waiting.findings] == ["a", "b", "e", "c", "d"]
    assert waiting.overdue == 1
    assert waiting.rooms == {"credit": 4, "models": 1}
    assert [f.title for f in service.waiting(firm.installation, firm.admin, "models").findings] == ["e"]


def test_the_line_of_what_waits_goes_back_by_what_was_opened_and_closed(firm: Firm, clock: SteppingClock) -> None:
    subject = new_id(clock.now)
    clock.now -= timedelta(days=3)
    with firm.installation.database.write(firm.id) as session:
        context = firm.as_role("admin")
        for name in ("a", "b"):
            findings.raise_finding(session, context, room="credit", subject_id=subject if name == "a" else new_id(clock.now), title=name,
                                   severity="low", url="/", fingerprint=name)  # fmt: skip
    clock.now += timedelta(days=2)
    with firm.installation.database.write(firm.id) as session:
        findings.follow(session, firm.as_role("admin"), room="credit", subject_id=subject, state="resolved")
    clock.now += timedelta(days=1)
    assert service.waiting(firm.installation, firm.as_role("admin")).trend == [0] * 10 + [2, 2, 1, 1]
