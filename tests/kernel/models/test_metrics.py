from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn import metrics as oracle

from plumbline.kernel.models import metrics as m

TRUTH = [int(c) for c in "0011010100"]
SCORE = [0.1, 0.4, 0.35, 0.8, 0.4, 0.4, 0.05, 0.9, 0.2, 0.65]
SECOND = [0.2, 0.3, 0.5, 0.7, 0.1, 0.2, 0.4, 0.55, 0.35, 0.6]

rows = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 20).map(lambda i: i / 20)), min_size=2, max_size=80).map(
    lambda pairs: (np.array([a for a, _ in pairs]), np.array([b for _, b in pairs]))
)


def test_golden_values_of_scores_and_counts() -> None:
    c = m.confusion(TRUTH, np.array(SCORE) >= 0.4)
    assert (c.tp, c.fp, c.fn, c.tn) == (3, 3, 1, 3)
    assert m.roc_auc(TRUTH, SCORE) == pytest.approx(0.791667, abs=1e-6)
    assert m.average_precision(TRUTH, SCORE) == pytest.approx(0.767857, abs=1e-6)
    assert m.ks(TRUTH, SCORE) == 0.5
    assert m.brier(TRUTH, SCORE) == pytest.approx(0.16275, abs=1e-9)
    assert m.log_loss(TRUTH, SCORE) == pytest.approx(0.474589, abs=1e-6)
    assert m.mcc(c) == pytest.approx(0.25)
    assert m.kappa(c) == pytest.approx(0.230769, abs=1e-6)


def test_golden_values_of_the_paired_auc_test() -> None:
    pair = m.delong(TRUTH, SCORE, SECOND)
    assert pair.variance_first == pytest.approx(0.0246528, abs=1e-7)
    assert pair.variance_second == pytest.approx(0.0379051, abs=1e-7)
    assert pair.covariance == pytest.approx(0.0133102, abs=1e-7)
    assert pair.z == pytest.approx(0.329690, abs=1e-6)
    assert pair.p == pytest.approx(0.741634, abs=1e-6)
    low, high = pair.interval
    assert low < pair.first - pair.second < high


def test_wilson_golden_value() -> None:
    assert m.wilson(90, 100) == pytest.approx((0.825634, 0.944771), abs=1e-6)


@given(rows)
def test_scores_agree_with_scikit_learn(pair: tuple[np.ndarray, np.ndarray]) -> None:
    y, p = pair
    assume(0 < y.sum() < len(y))
    fpr, tpr, _ = oracle.roc_curve(y, p, drop_intermediate=False)
    assert m.roc_auc(y, p) == pytest.approx(oracle.roc_auc_score(y, p), abs=1e-12)
    assert m.gini(y, p) == pytest.approx(2 * oracle.roc_auc_score(y, p) - 1, abs=1e-12)
    assert m.average_precision(y, p) == pytest.approx(oracle.average_precision_score(y, p), abs=1e-12)
    assert m.ks(y, p) == pytest.approx(np.abs(tpr - fpr).max(), abs=1e-12)
    assert m.brier(y, p) == pytest.approx(oracle.brier_score_loss(y, p), abs=1e-12)
    assert m.recall_at_fpr(y, p, 0.1) == pytest.approx(tpr[fpr <= 0.1].max(), abs=1e-12)
    inside = np.clip(p, 0.01, 0.99)
    assert m.log_loss(y, inside) == pytest.approx(oracle.log_loss(y, inside, labels=[0, 1]), abs=1e-12)


@given(rows)
def test_counts_agree_with_scikit_learn(pair: tuple[np.ndarray, np.ndarray]) -> None:
    y, p = pair
    predicted = (p >= 0.5).astype(int)
    assume(0 < y.sum() < len(y) and 0 < predicted.sum() < len(y))
    c = m.confusion(y, predicted)
    for ours, theirs in (
        (m.accuracy(c), oracle.accuracy_score(y, predicted)),
        (m.precision(c), oracle.precision_score(y, predicted)),
        (m.recall(c), oracle.recall_score(y, predicted)),
        (m.f1(c), oracle.f1_score(y, predicted)),
        (m.f_beta_3_2(c), oracle.fbeta_score(y, predicted, beta=3.2)),
        (m.balanced_accuracy(c), oracle.balanced_accuracy_score(y, predicted)),
        (m.mcc(c), oracle.matthews_corrcoef(y, predicted)),
        (m.kappa(c), oracle.cohen_kappa_score(y, predicted)),
    ):
        assert ours == pytest.approx(theirs, abs=1e-12)
    assert m.specificity(c) == pytest.approx(oracle.recall_score(1 - y, 1 - predicted), abs=1e-12)
    assert m.cost_per_case(c, 10, 1) == pytest.approx((10 * c.fn + c.fp) / len(y))


@given(rows)
def test_every_row_is_in_one_calibration_bin_and_equal_scores_share_it(pair: tuple[np.ndarray, np.ndarray]) -> None:
    y, p = pair
    ranked = np.sort(p)
    starts = m.equal_count_starts(ranked)
    assert starts[0] == 0
    assert all(ranked[s - 1] < ranked[s] for s in starts[1:])
    points = m.reliability(y, p)
    assert sum(point.rows for point in points) == len(y)
    gap = sum(point.rows / len(y) * abs(point.mean_score - point.observed) for point in points)
    assert m.ece(y, p) == pytest.approx(gap, abs=1e-12)
    assert all(0 <= point.interval[0] <= point.observed <= point.interval[1] <= 1 for point in points)


@given(rows, rows)
def test_score_histograms_of_batches_add_up(
    first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray]
) -> None:
    both = tuple(np.concatenate(parts) for parts in zip(first, second, strict=True))
    assert np.array_equal(m.histogram(*first) + m.histogram(*second), m.histogram(*both))


def test_the_floor_is_what_a_calibrated_score_reaches() -> None:
    rng = np.random.default_rng(3)
    p = rng.beta(1, 10, 20_000)
    drawn = [m.ece(rng.random(len(p)) < p, p) for _ in range(20)]
    assert m.ece_floor(p, seed=1) == pytest.approx(np.mean(drawn), rel=0.1)
    assert m.ece_floor(p, seed=1) == m.ece_floor(p, seed=1)
    assert m.ece(rng.random(len(p)) < p / 2, p) > 5 * m.ece_floor(p)


def test_the_auc_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(11)
    truth, inside = float(norm.cdf(1 / np.sqrt(2))), 0
    for _ in range(200):
        y = np.repeat([0, 1], [150, 60])
        low, high = m.delong_interval(y, rng.normal(size=210) + y)
        inside += low <= truth <= high
    assert 0.90 <= inside / 200 <= 0.99


@pytest.mark.parametrize("measure", [m.roc_auc, m.ks, m.gini, m.average_precision, m.delong_interval])
def test_one_class_is_undefined_not_zero(measure: object) -> None:
    with pytest.raises(m.Undefined, match="both classes"):
        measure([1, 1, 1], [0.1, 0.2, 0.3])  # type: ignore[operator]


def test_an_evaluation_names_what_does_not_exist_and_why() -> None:
    result = m.evaluate([0, 0, 0, 0], [0.1, 0.2, 0.05, 0.01], threshold=0.5)
    assert set(result.undefined) >= {"roc_auc", "ks", "precision", "recall", "f1", "mcc"}
    assert not set(result.undefined) & set(result.values)
    assert result.values["specificity"] == 1.0
    assert "events" in result.undefined["recall"]


def test_an_evaluation_holds_every_measure_with_intervals_around_it() -> None:
    rng = np.random.default_rng(5)
    p = rng.random(500)
    result = m.evaluate(rng.random(500) < p, p, threshold=0.4)
    assert not result.undefined
    assert set(result.values) == {
        "roc_auc", "gini", "ks", "average_precision", "brier", "log_loss", "ece", "ece_floor", "accuracy", "precision",
        "recall", "specificity", "f1", "f_beta_3_2", "balanced_accuracy", "mcc", "kappa", "cost_per_case",
    }  # fmt: skip
    for name, (low, high) in result.intervals.items():
        assert low < result.values[name] < high, name


def test_top_k_breaks_ties_by_id() -> None:
    assert m.precision_at_k([1, 0, 1], [0.5, 0.5, 0.9], 2, ["b", "a", "c"]) == 0.5
    assert m.precision_at_k([1, 0, 1], [0.5, 0.5, 0.9], 2, ["a", "b", "c"]) == 1.0
    with pytest.raises(m.Undefined):
        m.precision_at_k([1], [0.5], 2, ["a"])


def test_scores_that_are_no_probabilities_have_no_histogram() -> None:
    with pytest.raises(m.Undefined, match="outside"):
        m.histogram([0, 1], [0.5, 1.5])
