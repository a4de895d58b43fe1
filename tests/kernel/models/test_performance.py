"""What can be said of a cohort, and what cannot."""

from __future__ import annotations

import numpy as np
import pytest

from plumbline.kernel.models import metrics
from plumbline.kernel.models.outcomes import Rates
from plumbline.kernel.models.performance import OF_COUNTS, OF_SCORES, SELECTIVE, UNKNOWN, performance

RATES = Rates(0.2, 10.0, 1.0)


def drawn(n: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = rng.beta(1.2, 6, n)
    return p, (rng.random(n) < p).astype(np.int8)


def test_with_every_truth_known_all_measures_have_their_value_and_interval() -> None:
    p, y = drawn(4000)
    made = performance(p, y, np.ones(4000, bool), RATES, selective=False, cost_name="cost_per_application")
    assert (made.verdict, made.labelled, made.events) == ("measured", 4000, int(y.sum()))
    found = made.measured
    assert set(found.values) == {*OF_SCORES, *OF_COUNTS, "cost_per_application", "approval_rate"}
    assert found.undefined == {}
    assert found.values["roc_auc"] == metrics.roc_auc(y, p)
    assert found.values["cost_per_application"] == pytest.approx(metrics.cost_per_case(metrics.confusion(y, p >= 0.2)))
    for name, (low, high) in found.intervals.items():
        assert low <= found.values[name] <= high, name
    assert set(found.values) - set(found.intervals) == {"ks", "average_precision", "ece", "ece_floor", "calibration_p"}


@pytest.mark.slow
def test_an_interval_holds_the_truth_nineteen_times_in_twenty() -> None:
    names = ("brier", "log_loss", "calibration_slope", "calibration_intercept", "cost_per_application")
    p, y = drawn(200_000, 5)

    def of(part: np.ndarray) -> metrics.Evaluation:
        return performance(
            p[part], y[part], np.ones(len(part), bool), RATES, selective=False, cost_name="cost_per_application"
        ).measured

    whole = of(np.arange(200_000)).values
    parts = [of(part) for part in np.array_split(np.arange(24_000), 24)]
    for name in names:
        held = sum(part.intervals[name][0] <= whole[name] <= part.intervals[name][1] for part in parts)
        assert held >= 19, name  # of 24; fewer happens once in 600 with a true coverage of 95 %


def test_truth_of_accepted_only_leaves_what_needs_the_others_without_a_figure() -> None:
    p, y = drawn(4000)
    seen = p < 0.2
    made = performance(
        p, np.where(seen, y, UNKNOWN).astype(np.int8), seen, RATES, selective=True, cost_name="cost_per_application"
    )
    found = made.measured
    assert set(found.values) == {*(f"{n}_accepted" for n in OF_SCORES), "approval_rate"}
    assert found.undefined == dict.fromkeys((*OF_SCORES, *OF_COUNTS, "cost_per_application"), SELECTIVE)
    assert found.values["roc_auc_accepted"] == metrics.roc_auc(y[seen], p[seen])
    assert found.values["approval_rate"] == pytest.approx(seen.mean())
    # a declined one that is known by chance does not move the figures of the accepted
    also = np.where(seen | (np.arange(4000) % 50 == 0), y, UNKNOWN).astype(np.int8)
    again = performance(p, also, seen, RATES, selective=True, cost_name="cost_per_application")
    assert again.measured.values == found.values


@pytest.mark.parametrize("truth", [0, 1])
@pytest.mark.parametrize("selective", [False, True])
def test_one_class_is_unknown_with_the_reason(truth: int, selective: bool) -> None:
    p, _ = drawn(50)
    made = performance(p, np.full(50, truth, np.int8), np.ones(50, bool), RATES, selective=selective)
    assert made.verdict == "unknown"
    assert made.reason == f"one class only: {50 * truth} of 50 rows are events"
    ending = "_accepted" if selective else ""
    for name in ("roc_auc", "gini", "ks", "average_precision", "calibration_slope"):
        assert name + ending not in made.measured.values
        assert made.measured.undefined[name + ending]
    assert "brier" + ending in made.measured.values


@pytest.mark.parametrize("rows", [0, 3, 29])
def test_a_group_of_three_is_unknown_with_the_reason(rows: int) -> None:
    p, y = drawn(rows)
    made = performance(p, y, np.ones(rows, bool), RATES, selective=False)
    assert (made.verdict, made.reason) == ("unknown", f"{rows} rows with an outcome; at least 30 are needed")
    assert set(made.measured.values) <= {"approval_rate"}
    assert set(made.measured.undefined) == {*OF_SCORES, *OF_COUNTS, "cost_per_case"}


def test_two_scores_that_separate_perfectly_have_no_calibration_line() -> None:
    p, y = np.repeat([0.1, 0.9], 20), np.repeat([0, 1], 20).astype(np.int8)
    made = performance(p, y, np.ones(40, bool), RATES, selective=False)
    assert made.verdict == "measured"
    assert made.measured.values["roc_auc"] == 1.0
    assert "perfectly" in made.measured.undefined["calibration_slope"]
