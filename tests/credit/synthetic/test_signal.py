"""What a learner finds: the side tables hold signal that the application lacks, and generating is cheap."""

from __future__ import annotations

import time
from pathlib import Path

import lightgbm
import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from plumbline.credit.synthetic import generate, measures

SETTINGS = {
    "objective": "binary", "num_leaves": 16, "max_depth": 8, "learning_rate": 0.05, "min_child_samples": 40,
    "lambda_l2": 20, "feature_fraction": 0.3, "bagging_fraction": 0.8, "bagging_freq": 1, "seed": 1, "num_threads": 1,
    "deterministic": True, "force_row_wise": True, "verbose": -1,
}  # fmt: skip


def numbers(frame: pl.DataFrame) -> np.ndarray:  # type: ignore[type-arg]
    coded = [pl.col(name).rank("dense") for name, dtype in frame.schema.items() if dtype == pl.String]
    return frame.with_columns(coded).cast(pl.Float64).to_numpy()


@pytest.mark.slow
def test_removing_the_side_tables_costs_more_than_two_hundredths_of_auc() -> None:
    portfolio = generate(20_000, seed=17)
    train, test = slice(0, 14_000), slice(14_000, None)
    bad = portfolio.tables["application"]["TARGET"].to_numpy()
    alone = portfolio.tables["application"].drop("SK_ID_CURR", "TARGET")
    aggregates = measures(portfolio.tables).select("late_share", "card_use", "refused_share", "debt_to_credit")
    reached = {}
    for name, frame in (("alone", alone), ("linked", pl.concat([alone, aggregates], how="horizontal"))):
        values = numbers(frame)
        model = lightgbm.train(SETTINGS, lightgbm.Dataset(values[train], bad[train]), 150)
        reached[name] = roc_auc_score(bad[test], model.predict(values[test], num_threads=1))
    assert reached["linked"] - reached["alone"] > 0.02
    assert reached["linked"] < portfolio.best_auc + 0.02
    assert reached["linked"] > portfolio.best_auc - 0.035


@pytest.mark.slow
def test_twenty_thousand_applications_are_generated_and_written_in_ten_cpu_seconds(tmp_path: Path) -> None:
    start = time.process_time()
    generate(20_000, seed=1).write(tmp_path)
    assert time.process_time() - start < 10.0
