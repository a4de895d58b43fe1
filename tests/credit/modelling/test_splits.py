from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from plumbline.credit.modelling.splits import equal_rows, split


@given(arrays(np.float64, (30, 2), elements=st.sampled_from([0.0, -0.0, 1.0, np.nan])))
def test_equal_rows_share_the_number_of_their_first(values: np.ndarray) -> None:
    groups = equal_rows(values)
    for i in range(30):
        same = [j for j in range(30) if np.array_equal(values[i], values[j], equal_nan=True)]
        assert groups[i] == same[0]


def test_the_parts_are_disjoint_complete_and_about_80_10_10() -> None:
    values = np.random.default_rng(0).random((25_000, 3))
    parts = split(pl.Series(range(25_000)), values)
    assert np.array_equal(np.sort(np.concatenate((parts.train, parts.policy, parts.test))), np.arange(25_000))
    assert [round(len(p) / 25_000, 2) for p in (parts.train, parts.policy, parts.test)] == [0.8, 0.1, 0.1]
    assert "80/10/10" in parts.protocol


def test_an_application_stays_in_its_part_when_others_come_along() -> None:
    values = np.random.default_rng(0).random((2000, 3))
    ids = pl.Series([f"a{i}" for i in range(2000)])
    whole, half = split(ids, values), split(ids[:1000], values[:1000])
    assert len(whole.policy) == 0
    assert half.test.tolist() == [i for i in whole.test.tolist() if i < 1000]


def test_equal_feature_rows_stay_together() -> None:
    values = np.repeat(np.random.default_rng(0).random((500, 2)), 3, axis=0)
    parts = split(pl.Series(range(1500)), values)
    assert not set(parts.train // 3) & set(parts.test // 3)


def test_with_a_time_the_latest_applications_are_the_test() -> None:
    rng = np.random.default_rng(1)
    days = rng.integers(0, 1000, 30_000)
    times = pl.Series([dt.date(2020, 1, 1) + dt.timedelta(days=int(d)) for d in days])
    parts = split(pl.Series(range(30_000)), rng.random((30_000, 2)), times=times)
    assert days[parts.train].max() < days[parts.policy].min()
    assert days[parts.policy].max() < days[parts.test].min()
    assert abs(len(parts.test) / 30_000 - 0.1) < 0.01
