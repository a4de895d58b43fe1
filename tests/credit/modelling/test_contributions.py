"""The tables are LightGBM's own SHAP values and raw scores, for one row and for many alike."""

from __future__ import annotations

from itertools import combinations
from math import factorial
from typing import Any

import lightgbm
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plumbline.credit.modelling.contributions import TreeTables
from plumbline.credit.modelling.shapley import leaf_tables
from plumbline.credit.modelling.trees import Forest
from plumbline.kernel.errors import InvalidInput

QUIET = {"verbose": -1, "num_threads": 1, "deterministic": True, "force_row_wise": True}


def booster_of(
    seed: int, *, rows: int = 400, features: int = 5, trees: int = 12, leaves: int = 16, depth: int = 8
) -> tuple[lightgbm.Booster, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, features)).round(int(rng.integers(0, 3)))
    x[rng.random(x.shape) < rng.random(features) * 0.5] = np.nan
    x[:, 0] = rng.integers(0, 5, rows)
    if rng.random() < 0.3:
        x[rng.random(rows) < 0.05, 1] = np.inf
        x[rng.random(rows) < 0.05, 1] = -np.inf
    y = (np.nansum(np.where(np.isfinite(x), x, 0), axis=1) + rng.normal(size=rows) > 1).astype(int)
    parameters = {
        **QUIET, "objective": "binary", "num_leaves": leaves, "max_depth": depth, "min_child_samples": 3,
        "bagging_fraction": 0.8, "bagging_freq": 1, "feature_fraction": 0.7, "seed": seed, "learning_rate": 0.2,
    }  # fmt: skip
    return lightgbm.train(parameters, lightgbm.Dataset(x, y), trees), x


def hard_rows(tables: TreeTables, x: np.ndarray, seed: int) -> np.ndarray:
    """Values on thresholds, a hair beside them, missing everywhere (also where training never was), ±inf, unseen."""
    rng = np.random.default_rng(seed)
    rows = x[rng.integers(0, len(x), 200)].copy()
    for feature in range(x.shape[1]):
        edges = tables.edges_of(feature)
        finite = edges[np.abs(edges) < 1e300]
        beside = (np.nextafter(finite, np.inf), np.nextafter(finite, -np.inf))
        pool = np.concatenate((edges, *beside, [np.nan, np.inf, -np.inf, 99.0, -0.0]))
        some = rng.random(len(rows)) < 0.5
        rows[some, feature] = pool[rng.integers(0, len(pool), some.sum())]
    return np.asfortranarray(rows)


@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.integers(0, 2**31 - 1), st.sampled_from([2, 5, 16, 31]), st.sampled_from([1, 3, 8]))
def test_tables_equal_pred_contrib_and_the_raw_score(seed: int, leaves: int, depth: int) -> None:
    booster, x = booster_of(seed, leaves=leaves, depth=depth)
    tables = TreeTables.build(Forest.from_text(booster.model_to_string()))
    rows = hard_rows(tables, x, seed)
    explained = tables.explain(rows)
    oracle = booster.predict(rows, pred_contrib=True, num_threads=1)
    raw = booster.predict(rows, raw_score=True, num_threads=1)
    assert np.abs(explained.contributions.T - oracle[:, :-1]).max() < 1e-12
    assert abs(tables.base - oracle[0, -1]) < 1e-12
    assert np.array_equal(explained.raw, raw)
    assert np.abs(explained.contributions.sum(axis=0) + tables.base - explained.raw).max() < 1e-12


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.integers(0, 2**31 - 1), st.integers(1, 200))
def test_one_row_equals_many_rows_equals_shuffled_rows_bit_for_bit(seed: int, block: int) -> None:
    booster, x = booster_of(seed)
    tables = TreeTables.build(Forest.from_text(booster.model_to_string()))
    rows = hard_rows(tables, x, seed)
    whole = tables.explain(rows)
    for i, row in enumerate(np.ascontiguousarray(rows)):
        raw, contributions = tables.one(row)
        assert raw == whole.raw[i]
        assert contributions.tobytes() == np.ascontiguousarray(whole.contributions[:, i]).tobytes()
    order = np.random.default_rng(seed).permutation(len(rows))
    shuffled = tables.explain(np.asfortranarray(rows[order]))
    assert np.array_equal(shuffled.raw, whole.raw[order])
    assert np.array_equal(shuffled.contributions, whole.contributions[:, order])
    for part, explained in tables.blocks(rows, block):
        assert np.array_equal(explained.contributions, whole.contributions[:, part])
        assert np.array_equal(tables.raw(rows[part]), whole.raw[part])
    assert np.array_equal(tables.raw(rows), whole.raw)


@given(
    st.lists(st.floats(0.01, 1.0), min_size=1, max_size=5),
    st.floats(-3, 3, allow_nan=False),
)
def test_a_leaf_table_holds_shapley_values_by_their_definition(shares: list[float], value: float) -> None:
    d = len(shares)
    table = leaf_tables(np.array([value]), np.array([shares]))[0]
    for mask in range(2**d):
        open_ = [mask >> k & 1 for k in range(d)]

        def worth(known: tuple[int, ...], open_: list[int] = open_) -> float:
            total = value
            for k in range(d):
                total *= open_[k] if k in known else shares[k]
            return total

        for j in range(d):
            others = [k for k in range(d) if k != j]
            expected = sum(
                factorial(q) * factorial(d - 1 - q) / factorial(d) * (worth((*known, j)) - worth(known))
                for q in range(d)
                for known in combinations(others, q)
            )
            assert table[mask, j] == pytest.approx(expected, abs=1e-12)


def test_stored_arrays_make_the_same_tables() -> None:
    booster, x = booster_of(7)
    tables = TreeTables.build(Forest.from_text(booster.model_to_string()))
    again = TreeTables(tables.arrays())
    rows = hard_rows(tables, x, 7)
    assert again.explain(rows).contributions.tobytes() == tables.explain(rows).contributions.tobytes()


def test_many_thresholds_of_one_feature_do_not_overflow_the_bins() -> None:
    rng = np.random.default_rng(0)
    x = rng.random((6000, 2))
    y = rng.normal(size=6000)
    parameters = {**QUIET, "objective": "regression", "num_leaves": 31, "max_depth": 8, "min_child_samples": 2,
                  "max_bin": 2000, "learning_rate": 0.1}  # fmt: skip
    booster = lightgbm.train(parameters, lightgbm.Dataset(x, y), 60)
    tables = TreeTables.build(Forest.from_text(booster.model_to_string()))
    assert len(tables.edges_of(0)) > 300
    explained = tables.explain(np.asfortranarray(x))
    assert np.array_equal(explained.raw, booster.predict(x, raw_score=True))
    assert np.abs(explained.contributions.T - booster.predict(x, pred_contrib=True)[:, :-1]).max() < 1e-12


def test_a_model_without_splits_has_only_its_base() -> None:
    parameters = {**QUIET, "objective": "binary"}
    booster = lightgbm.train(parameters, lightgbm.Dataset(np.zeros((100, 2)), np.repeat([0, 1], [80, 20])), 3)
    tables = TreeTables.build(Forest.from_text(booster.model_to_string()))
    for rows in (1, 200):
        explained = tables.explain(np.zeros((rows, 2), order="F"))
        assert np.all(explained.contributions == 0)
        assert explained.raw == pytest.approx(np.full(rows, tables.base), abs=1e-12)
    assert tables.explain(np.empty((0, 2))).raw.shape == (0,)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"categories": [0], "max_depth": 8}, "categorical"),
        ({"zero_as_missing": True}, "zero"),
        ({"max_depth": -1}, "8 steps"),
    ],
)
def test_what_has_no_exact_table_is_refused(options: dict[str, Any], told: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 6, (3000, 3)).astype(float)
    x[:, 1] = rng.random(3000)
    y = (rng.random(3000) < np.where(x[:, 0] % 2 == 1, 0.8, 0.2) * x[:, 1] ** 0.2).astype(int)
    parameters = {**QUIET, "objective": "binary", "num_leaves": 255, "min_child_samples": 1}
    extra = dict(options)
    categories = extra.pop("categories", "auto")
    booster = lightgbm.train({**parameters, **extra}, lightgbm.Dataset(x, y, categorical_feature=categories), 5)
    with pytest.raises(InvalidInput, match=told):
        Forest.from_text(booster.model_to_string())


def test_a_text_that_is_no_model_is_refused() -> None:
    with pytest.raises(InvalidInput, match="not a LightGBM model"):
        Forest.from_text("hello")
