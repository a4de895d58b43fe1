from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from plumbline.credit.modelling.logistic import logistic

log_odds = st.floats(-800, 800, allow_nan=False)


@given(st.lists(log_odds, min_size=1, max_size=50))
def test_scalar_one_row_and_many_rows_give_the_same_bits(values: list[float]) -> None:
    x = np.array(values)
    many = logistic(x)
    assert [logistic(v) for v in values] == many.tolist()
    assert [float(logistic(np.array([v]))[0]) for v in values] == many.tolist()
    assert logistic(x[::-1].copy()).tolist() == many[::-1].tolist()


@given(log_odds)
def test_accurate_to_1e_15(x: float) -> None:
    small = math.exp(-abs(x))
    true = 1 / (1 + small) if x >= 0 else small / (1 + small)
    assert abs(logistic(x) - true) <= 1e-15
    if true > 1e-300:
        assert abs(logistic(x) / true - 1) <= 2e-15


def test_close_to_scipy_everywhere() -> None:
    x = np.linspace(-40, 40, 200_001)
    assert np.abs(logistic(x) - expit(x)).max() <= 1e-15


@given(st.one_of(st.floats(-50, -1e-300), st.floats(1e-300, 50)), st.integers(1, 3000))
def test_never_falls_from_one_float_to_the_next(x: float, steps: int) -> None:
    run = np.array([x] * steps).view(np.int64)
    run = (run + np.arange(steps) * (1 if x >= 0 else -1)).view(np.float64)
    assert np.all(np.diff(logistic(run)) >= 0)


def test_never_falls_around_the_joints_of_its_range_reduction() -> None:
    for k in range(-60, 60):
        joint = (k + 0.5) * math.log(2)
        x = joint + np.arange(-2000, 2000) * abs(np.spacing(joint))
        assert np.all(np.diff(logistic(x)) >= 0)


def test_ends() -> None:
    assert logistic(math.inf) == 1.0
    assert logistic(-math.inf) == 0.0
    assert logistic(0.0) == logistic(-0.0) == 0.5
    assert math.isnan(logistic(math.nan))
    with np.errstate(all="raise"):
        ends = logistic(np.array([np.inf, -np.inf, 0.0, np.nan, 1e308, -1e308, -745.2]))
    assert ends[:3].tolist() == [1.0, 0.0, 0.5]
    assert np.isnan(ends[3])


def test_known_bits() -> None:
    assert [logistic(v).hex() for v in (-2.5, 0.1, 3.25)] == KNOWN


KNOWN = ["0x1.36b7112534848p-4", "0x1.0cca12729afb7p-1", "0x1.ece37d7f30e3dp-1"]
