"""What the room measures about its own work, as a scorer of the organization asks for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from plumbline.credit import service
from plumbline.credit.service import creditors, notices
from plumbline.credit.service.fairness import fairness_of
from plumbline.kernel.errors import Forbidden
from plumbline.kernel.sources import MIN_N, Sample, taken
from tests.conftest import SteppingClock
from tests.credit.trained import Lender, application_with


def samples(lender: Lender) -> dict[str, Sample]:
    return {source.key: sample for source, sample in taken(lender.installation, lender.admin)}


def _later(lender: Lender, by: timedelta) -> None:
    clock = lender.installation.clock
    assert isinstance(clock, SteppingClock)
    clock.now += by


def test_nothing_is_told_where_nothing_is_known(lender: Lender) -> None:
    found = samples(lender)
    measured = found.pop("credit.lowest_approval_ratio")
    assert (measured.value is None) == bool(measured.reason)
    assert {key: (one.value, bool(one.reason)) for key, one in found.items()} == dict.fromkeys(found, (None, True))
    assert set(found) == {
        "credit.roc_auc", "credit.calibration_slope", "credit.worst_psi", "credit.notices_in_time", "credit.replays_equal",
    }  # fmt: skip


def test_the_lowest_ratio_is_that_of_the_report(embedded: Lender) -> None:
    report = fairness_of(embedded.installation, embedded.admin, str(embedded.model_id)).report
    assert report is not None
    lowest = min(group["ratio"]["value"] for group in report["groups"])
    assert samples(embedded)["credit.lowest_approval_ratio"].value == lowest


def test_replays_are_a_share_once_they_are_enough(lender: Lender) -> None:
    decided = service.score(lender.installation, lender.analyst, application_with(level="Low"))
    for _ in range(MIN_N - 1):
        service.replay(lender.installation, lender.analyst, decided.id)
    _later(lender, timedelta(minutes=1))
    few = samples(lender)["credit.replays_equal"]
    assert (few.value, few.denominator, few.reason) == (None, MIN_N - 1, "too_few")
    service.replay(lender.installation, lender.analyst, decided.id)
    _later(lender, timedelta(minutes=1))
    enough = samples(lender)["credit.replays_equal"]
    assert (enough.value, enough.numerator, enough.denominator) == (1.0, MIN_N, MIN_N)


def test_notices_count_once_their_clock_has_ended(lender: Lender) -> None:
    house = lender.installation
    creditors.change(house, lender.admin, address="Speicherstadt 1, 20457 Hamburg", contact="credit@example.org")
    declined = [service.score(house, lender.analyst, application_with(decision="decline")).id for _ in range(MIN_N)]
    notices.issue(house, lender.analyst, declined[0], channel="letter")
    assert samples(lender)["credit.notices_in_time"].denominator == 0
    _later(lender, timedelta(days=31))
    found = samples(lender)["credit.notices_in_time"]
    assert (found.value, found.numerator, found.denominator) == (1 / MIN_N, 1, MIN_N)


def test_who_may_not_read_models_or_credit_sees_none(lender: Lender) -> None:
    nobody = replace(lender.admin, rights=frozenset({"credit.read"}))
    with pytest.raises(Forbidden):
        taken(lender.installation, nobody)
    assert taken(lender.installation, replace(lender.admin, rights=frozenset({"models.read"}))) == []
