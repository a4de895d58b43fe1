"""Planted leaks: each tells the label in its own way, and only there."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from plumbline.credit.synthetic import IMPUTED_COLUMNS, POST_DECISION_COLUMN, RENAMED_COLUMN, generate


def auc(values: np.ndarray, bad: np.ndarray) -> float:  # type: ignore[type-arg]
    ranks = pl.Series(values).rank().to_numpy()
    count = int(bad.sum())
    return float((ranks[bad].sum() - count * (count + 1) / 2) / (count * (bad.size - count)))


@pytest.fixture(scope="module")
def clean() -> pl.DataFrame:
    return generate(9_000, 21, months=1).tables["application"]


def test_imputed_cells_tell_the_class_but_their_columns_hardly_do(clean: pl.DataFrame) -> None:
    leaky = generate(9_000, 21, months=1, leak="imputed").tables["application"]
    bad = leaky["TARGET"].to_numpy() == 1
    assert leaky.drop(IMPUTED_COLUMNS).equals(clean.drop(IMPUTED_COLUMNS))
    for name in IMPUTED_COLUMNS:
        filled = (clean[name].is_null() & leaky[name].is_not_null()).to_numpy()
        assert filled.sum() > 50
        assert leaky[name].filter(~filled).equals(clean[name].filter(~filled), null_equal=True)
        assert auc(leaky[name].to_numpy()[filled], bad[filled]) == 1.0
        # The cells can be told from the others by their decimals alone.
        assert (leaky[name].filter(filled).round(4) != leaky[name].filter(filled)).all()
        present = leaky[name].is_not_null().to_numpy()
        assert 0.4 < auc(leaky[name].to_numpy()[present], bad[present]) < 0.65


def test_a_column_dated_after_the_decision_nearly_is_the_label(clean: pl.DataFrame) -> None:
    leaky = generate(9_000, 21, months=1, leak="post_decision").tables["application"]
    assert leaky.drop(POST_DECISION_COLUMN).equals(clean)
    assert 0.85 < auc(leaky[POST_DECISION_COLUMN].to_numpy(), leaky["TARGET"].to_numpy() == 1) < 0.99


def test_the_renamed_target_is_the_label(clean: pl.DataFrame) -> None:
    leaky = generate(9_000, 21, months=1, leak="renamed_target").tables["application"]
    assert leaky.drop(RENAMED_COLUMN).equals(clean)
    assert leaky[RENAMED_COLUMN].equals(leaky["TARGET"])


def test_without_a_leak_neither_order_nor_emptiness_tells_the_label(clean: pl.DataFrame) -> None:
    bad = clean["TARGET"].to_numpy() == 1
    assert auc(np.arange(bad.size), bad) == pytest.approx(0.5, abs=0.04)
    for name in clean.columns:
        if 0 < clean[name].null_count() < clean.height:
            assert auc(clean[name].is_null().to_numpy(), bad) == pytest.approx(0.5, abs=0.04), name
