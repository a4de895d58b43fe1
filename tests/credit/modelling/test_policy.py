from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline.credit.modelling.policy import (
    DECISIONS,
    LEVELS,
    Policy,
    analytic_threshold,
    choose_threshold,
    cost_curve,
    warnings,
)
from plumbline.kernel.errors import InvalidInput

probabilities = st.lists(st.floats(0, 1), min_size=1, max_size=40).map(np.array)


def applications(rows: int, seed: int, distort: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = rng.beta(0.7, 6, rows)
    return rng.random(rows) < p**distort, p


def test_ten_to_one_cuts_at_one_eleventh() -> None:
    assert analytic_threshold(10, 1) == 1 / 11
    with pytest.raises(InvalidInput):
        analytic_threshold(0, 1)


def test_the_curve_is_what_counting_gives() -> None:
    y, p = applications(500, 1)
    curve = cost_curve(y, p, 10, 1)
    assert len(curve.thresholds) == 201
    for i in (0, 1, 18, 100, 200):
        t = curve.thresholds[i]
        refused = p >= t
        assert curve.cost[i] == pytest.approx((10 * (y & ~refused).sum() + (~y & refused).sum()) / 500)
        assert curve.approval_rate[i] == pytest.approx((~refused).mean())
    assert np.all(curve.low <= curve.cost + 1e-12)
    assert np.all(curve.high >= curve.cost - 1e-12)


def test_calibrated_probabilities_keep_the_analytic_threshold() -> None:
    kept = [choose_threshold(*applications(3000, seed), 10, 1).source == "costs" for seed in range(30)]
    assert sum(kept) >= 28


def test_badly_calibrated_probabilities_move_the_threshold() -> None:
    y, p = applications(20_000, 2, distort=2.0)
    choice = choose_threshold(y, p, 10, 1)
    assert choice.source == "policy rows"
    assert choice.threshold == choice.empirical == pytest.approx(1 / 11**0.5, abs=0.06)
    assert choice.interval[0] > 0
    assert choice.interval[0] < choice.saving < choice.interval[1]
    assert choose_threshold(y, p, 10, 1) == choice


@given(probabilities, st.floats(0.01, 0.99))
def test_levels_and_decisions_follow_the_threshold(p: np.ndarray, t: float) -> None:
    policy = Policy(t)
    levels = [LEVELS[c] for c in policy.levels(p)]
    plain = [DECISIONS[c] for c in policy.decisions(p, np.zeros(len(p), dtype=bool))]
    for value, level, decision in zip(p.tolist(), levels, plain, strict=True):
        assert level == ("High" if value >= t else "Medium" if value >= t / 2 else "Low")
        if 0.8 * t <= value < 1.25 * t:
            assert decision == "review"
        else:
            assert decision == ("decline" if value >= t else "approve")
    assert set(policy.decisions(p, np.ones(len(p), dtype=bool)).tolist()) == {DECISIONS.index("review")}


@given(st.floats(0.01, 0.99))
def test_a_higher_probability_never_has_a_lower_level(t: float) -> None:
    assert np.all(np.diff(Policy(t).levels(np.linspace(0, 1, 500)).astype(int)) >= 0)


def test_data_flags_call_for_a_person() -> None:
    policy = Policy(0.1, review_flags=("unseen",))
    assert policy.calls_for_review(("outside:income", "unseen:job"))
    assert not policy.calls_for_review(("outside:income",))


def test_costs_that_decline_most_people_raise_a_warning() -> None:
    p = np.full(100, 0.2)
    assert "100%" in warnings(p, Policy(1 / 11))[0]
    assert warnings(p, Policy(0.5)) == []
    assert warnings(np.empty(0), Policy(0.5)) == []


def test_policies_survive_json() -> None:
    policy = Policy(0.1, 5.0, 2.0, review_flags=("sparse",))
    assert Policy.from_dict(json.loads(json.dumps(policy.to_dict()))) == policy


@pytest.mark.parametrize(
    "wrong", [{"threshold": 0.0}, {"threshold": 0.1, "low_below": 2.0}, {"threshold": 0.1, "review_from": 3.0}]
)
def test_impossible_policies_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidInput):
        Policy(**wrong)
