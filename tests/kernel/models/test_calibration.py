from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from plumbline.kernel.errors import InvalidInput
from plumbline.kernel.models.calibration import (
    CalibrationMap,
    calibrate_if_needed,
    calibration,
    fit_isotonic,
    fit_platt,
    log_odds,
)
from plumbline.kernel.models.metrics import Undefined


def drawn(rows: int, seed: int, *, slope: float = 1.0, intercept: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    scores = rng.normal(-2, 1, rows)
    return rng.random(rows) < 1 / (1 + np.exp(-(intercept + slope * scores))), scores


def test_the_line_is_the_unpenalised_logistic_regression() -> None:
    y, scores = drawn(3000, 1, slope=0.6, intercept=-0.4)
    test = calibration(y, scores)
    fitted = LogisticRegression(C=np.inf, tol=1e-12, max_iter=1000).fit(scores[:, None], y)
    assert test.slope == pytest.approx(fitted.coef_[0, 0], abs=1e-6)
    assert test.intercept == pytest.approx(fitted.intercept_[0], abs=1e-6)
    assert test.p < 1e-10
    assert test.observed == y.sum()


def test_a_calibrated_score_is_rejected_as_often_as_the_level_says() -> None:
    p = np.array([calibration(*drawn(1000, seed)).p for seed in range(300)])
    assert 0.0 <= (p < 0.01).mean() <= 0.035
    assert 0.02 <= (p < 0.05).mean() <= 0.09


@pytest.mark.parametrize(
    ("y", "scores"),
    [([1, 1, 1], [0.1, 0.2, 0.3]), ([0, 1, 0], [1.0, 1.0, 1.0]), ([0, 0, 1, 1], [-2.0, -1.0, 1.0, 2.0])],
)
def test_undefined_where_no_line_exists(y: list[int], scores: list[float]) -> None:
    with pytest.raises(Undefined):
        calibration(y, scores)


def test_nothing_is_changed_unless_calibration_is_rejected() -> None:
    fitted, test = calibrate_if_needed(*drawn(4000, 2))
    assert test is not None
    assert test.p >= 0.01
    assert fitted == CalibrationMap()
    assert calibrate_if_needed([0, 0], [0.1, 0.2]) == (CalibrationMap(), None)


@pytest.mark.parametrize(("rows", "kind"), [(2000, "platt"), (30_000, "isotonic")])
def test_a_rejected_score_is_mapped_by_the_number_of_events(rows: int, kind: str) -> None:
    y, scores = drawn(rows, 3, slope=0.5, intercept=0.3)
    fitted, test = calibrate_if_needed(y, scores)
    assert test is not None
    assert test.p < 0.01
    assert fitted.kind == kind
    fresh, raw = drawn(rows, 4, slope=0.5, intercept=0.3)
    assert calibration(fresh, fitted.apply(raw)).p > 1e-4
    assert calibration(fresh, raw).p < 1e-10


def test_isotonic_knots_are_the_centres_of_runs_of_isotonic_blocks() -> None:
    y, scores = drawn(2000, 5)
    fitted = fit_isotonic(y, scores)
    blocks = IsotonicRegression().fit_transform(scores, y.astype(float))
    members = [scores[blocks == v] for v in np.unique(blocks)]
    centres = [np.concatenate(members[i:j]).mean() for i in range(len(members)) for j in range(i + 1, len(members) + 1)]
    assert 3 < len(fitted.knots) <= len(members)
    assert all(np.isclose(k, centres, rtol=0, atol=1e-9).any() for k in fitted.knots)


@given(
    arrays(np.float64, 40, elements=st.floats(-10, 10)),
    st.integers(0, 2**40 - 2),
    arrays(np.float64, 30, elements=st.floats(-50, 50)),
)
def test_a_fitted_map_never_reverses_two_scores(scores: np.ndarray, outcomes: int, later: np.ndarray) -> None:
    y = np.array([outcomes >> i & 1 for i in range(40)])
    if not 0 < y.sum() < 40:
        return
    fitted = fit_isotonic(y, scores)
    mapped = fitted.apply(np.sort(later))
    assert np.all(np.diff(mapped) >= 0)
    apart = np.diff(np.sort(later)) > 1e-6
    with np.errstate(over="ignore"):  # knots a hair apart are steep
        slopes = np.diff(fitted.values) / np.diff(fitted.knots)
    if len(slopes) == 0 or slopes.min() > 1e-6:
        assert np.all(np.diff(mapped)[apart] > 0)
    one_by_one = np.array([fitted.apply(np.array([v]))[0] for v in later])
    assert np.array_equal(one_by_one, fitted.apply(later))


def test_maps_survive_json() -> None:
    y, scores = drawn(2000, 6, slope=0.5)
    for fitted in (CalibrationMap(), fit_platt(y, scores), fit_isotonic(y, scores)):
        again = CalibrationMap.from_dict(json.loads(json.dumps(fitted.to_dict())))
        assert again == fitted
        assert np.array_equal(again.apply(scores), fitted.apply(scores))


def test_a_falling_line_is_refused() -> None:
    with pytest.raises(InvalidInput, match="rise"):
        CalibrationMap("platt", 0.0, -1.0)


def test_log_odds_stay_finite() -> None:
    assert np.isfinite(log_odds([0.0, 1.0])).all()
    assert log_odds([0.5])[0] == 0.0
