"""What gives the outcome away is found, and nothing else."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline.credit import synthetic
from plumbline.credit.features.matrix import FeatureInfo, Matrix
from plumbline.credit.intake.schema import Column, Schema
from plumbline.credit.modelling.leaks import LeakReport, check, check_features, check_tables
from plumbline.credit.modelling.separation import bins, folds, separation
from plumbline.kernel.models.metrics import roc_auc

TARGET, ID = "TARGET", "SK_ID_CURR"


def looked(frame: pl.DataFrame, target: str, bad: int, key: str, *without: str) -> LeakReport:
    y = (frame[target] == bad).to_numpy()
    return check(frame, y, {c: None for c in frame.columns if c not in (target, key, *without)}, id=key)


def public(name: str) -> pl.DataFrame:
    root = os.environ.get("PLUMBLINE_DATA")
    if not root:
        pytest.skip("PLUMBLINE_DATA is not set")
    return pl.read_parquet(Path(root) / "credit" / f"{name}.parquet")


@pytest.fixture(scope="module")
def rows() -> tuple[pl.DataFrame, np.ndarray]:
    """Whole numbers that say little of the outcome, 20 % of which is bad."""
    rng = np.random.default_rng(0)
    y = (rng.random(4000) < 0.2).astype(np.int8)
    columns = {f"n{i}": rng.poisson(20 + i * y / 2, 4000) for i in range(4)}
    return pl.DataFrame({"id": np.arange(4000), **columns}), y


# cross-fitted separation


@given(seed=st.integers(0, 1000))
def test_a_column_of_noise_tells_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y = (rng.random(2000) < 0.3).astype(np.int8)
    found = separation(bins(rng.normal(size=2000)), y, folds(y, 0))
    assert found is not None
    assert abs(found.z) < 5
    assert 0.4 < found.auc < 0.6


def test_a_monotone_column_tells_what_its_ranks_do() -> None:
    rng = np.random.default_rng(1)
    y = (rng.random(20_000) < 0.2).astype(np.int8)
    values = rng.normal(size=20_000) + y
    found = separation(bins(values), y, folds(y, 0))
    assert found is not None
    assert found.auc == pytest.approx(roc_auc(y, values), abs=0.01)


def test_the_shape_of_the_relation_does_not_matter() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(size=5000)
    y = (np.abs(values) > 1.2).astype(np.int8)
    found = separation(bins(values), y, folds(y, 0))
    assert roc_auc(y, values) == pytest.approx(0.5, abs=0.05)
    assert found is not None
    assert found.auc > 0.97


def test_nothing_is_said_of_a_class_of_four() -> None:
    y = np.zeros(100, dtype=np.int8)
    y[:4] = 1
    assert separation(bins(np.arange(100.0)), y, folds(y, 0)) is None


@given(values=st.lists(st.one_of(st.none(), st.floats(-1e9, 1e9)), min_size=1, max_size=300))
def test_bins_keep_the_order_and_missing_values_apart(values: list[float | None]) -> None:
    given_values = np.array([np.nan if v is None else v for v in values])
    found = bins(given_values)
    missing = np.isnan(given_values)
    assert (found[missing] > found[~missing].max(initial=-1)).all()
    known = np.argsort(given_values[~missing], kind="stable")
    assert (np.diff(found[~missing][known]) >= 0).all()


# kinds of leaks


def test_clean_columns_raise_no_alarm(rows: tuple[pl.DataFrame, np.ndarray]) -> None:
    frame, y = rows
    found = check(frame, y, dict.fromkeys(("n0", "n1", "n2", "n3")), id="id")
    assert not found.alarms
    assert found.best is not None
    assert found.best.column == "n3"


def test_fractions_among_whole_numbers_are_looked_at_alone(rows: tuple[pl.DataFrame, np.ndarray]) -> None:
    frame, y = rows
    filled = np.random.default_rng(3).random(4000) < 0.03
    values = np.where(filled, np.where(y == 1, 19.37, 20.41), frame["n0"].to_numpy())
    found = check(frame.with_columns(pl.Series("n0", values)), y, {"n0": None})
    (alarm,) = found.alarms
    assert (alarm.column, alarm.kind, alarm.rows) == ("n0", "odd cells", int(filled.sum()))
    assert found.columns[0].examples == (19.37, 20.41)
    assert found.columns[0].auc is not None
    assert found.columns[0].auc < 0.6


def test_declared_sentinels_are_no_odd_cells(rows: tuple[pl.DataFrame, np.ndarray]) -> None:
    frame, y = rows
    odd = (np.random.default_rng(3).random(4000) < 0.03) & (y == 1)
    mixed = pl.Series(
        "n0", np.where(odd, 0.5, np.where((y == 0) & (frame["id"].to_numpy() % 30 == 0), 0.25, frame["n0"]))
    )
    assert check(frame.with_columns(mixed), y, {"n0": None}).alarms
    declared = Column("n0", "ratio", sentinels=(0.5, 0.25))
    assert not check(frame.with_columns(mixed), y, {"n0": declared}).alarms


def test_a_column_that_is_empty_where_it_matters(rows: tuple[pl.DataFrame, np.ndarray]) -> None:
    frame, y = rows
    hidden = (y == 1) & (np.random.default_rng(4).random(4000) < 0.8)
    shown = frame.with_columns(pl.when(pl.Series(~hidden)).then("n0").alias("n0"))
    kinds = [(a.column, a.kind) for a in check(shown, y, {"n0": None}).alarms]
    assert ("n0", "missing") in kinds


def test_a_file_sorted_by_the_outcome(rows: tuple[pl.DataFrame, np.ndarray]) -> None:
    frame, y = rows
    order = np.argsort(y, kind="stable")
    (alarm,) = check(frame[order], y[order], {"n0": None}).alarms
    assert alarm.kind == "order"


def test_a_text_that_is_the_outcome_under_another_name(rows: tuple[pl.DataFrame, np.ndarray]) -> None:
    frame, y = rows
    state = pl.Series("state", np.where(y == 1, "written off", "closed"))
    (alarm,) = check(frame.with_columns(state), y, {"state": None}).alarms
    assert (alarm.column, alarm.kind) == ("state", "value")


def test_equal_rows_are_counted(rows: tuple[pl.DataFrame, np.ndarray]) -> None:
    frame, y = rows
    before = check(frame, y, dict.fromkeys(("n0", "n1", "n2", "n3"))).equal_rows
    twice = pl.concat([frame, frame.head(10)])
    assert check(twice, np.append(y, y[:10]), dict.fromkeys(("n0", "n1", "n2", "n3"))).equal_rows == before + 10


def test_many_rows_are_sampled_and_it_is_said() -> None:
    rng = np.random.default_rng(5)
    y = (rng.random(200_500) < 0.1).astype(np.int8)
    found = check(pl.DataFrame({"a": rng.normal(size=200_500)}), y, {"a": None})
    assert (found.rows, found.rows_given) == (200_000, 200_500)


def test_features_of_linked_tables_are_looked_at() -> None:
    rng = np.random.default_rng(6)
    y = (rng.random(2000) < 0.2).astype(np.int8)
    values = np.asfortranarray(np.column_stack([y + rng.normal(size=2000) * 0.1, y + rng.normal(size=2000) * 0.1]))
    features = (
        FeatureInfo("own", "numeric", frozenset({"application.x"})), FeatureInfo("calls", "numeric", frozenset({"calls.n"})),
    )  # fmt: skip
    matrix = Matrix(pl.Series("id", np.arange(2000)), values, features)
    assert [a.column for a in check_features(matrix, y, "application")] == ["calls"]


# generated portfolios


@pytest.mark.parametrize(
    ("leak", "columns"),
    [(None, set()), ("imputed", set(synthetic.IMPUTED_COLUMNS)), ("renamed_target", {synthetic.RENAMED_COLUMN})],
)
def test_generated_leaks_are_found_in_their_columns_and_nowhere_else(leak: str | None, columns: set[str]) -> None:
    frame = synthetic.generate(6000, 3, leak=leak).tables["application"]
    assert {a.column for a in looked(frame, TARGET, 1, ID).alarms} == columns


def test_a_column_from_after_the_decision_stands_out() -> None:
    frame = synthetic.generate(6000, 3, leak="post_decision").tables["application"]
    assert [c.column for c in looked(frame, TARGET, 1, ID).suspects] == [synthetic.POST_DECISION_COLUMN]


def test_rows_dated_after_the_application_alarm() -> None:
    tables = dict(synthetic.generate(500, 3).tables)
    schema = Schema.load("home_credit")
    y = tables["application"][TARGET].to_numpy()
    assert not check_tables(tables, y, schema).alarms
    tables["bureau"] = tables["bureau"].with_columns(
        pl.when(pl.int_range(pl.len()) < 7).then(3).otherwise("DAYS_CREDIT").alias("DAYS_CREDIT")
    )
    (alarm,) = check_tables(tables, y, schema).alarms
    assert (alarm.column, alarm.kind, alarm.rows) == ("bureau.DAYS_CREDIT", "later", 7)


# public data: 8 alarms on the leaky file, none elsewhere


def test_the_published_heloc_file_leaks_in_eight_columns() -> None:
    found = looked(public("heloc/leaky"), "RiskPerformance", 0, "row")
    assert len(found.alarms) == 8
    assert {a.kind for a in found.alarms} == {"odd cells"}
    assert all(a.auc == 1.0 for a in found.alarms)
    assert found.best is not None
    assert found.best.auc is not None
    assert found.best.auc < 0.82  # a limit on single features would see nothing


@pytest.mark.parametrize(
    ("name", "target", "bad", "key"),
    [
        ("heloc/train", "RiskPerformance", 0, "row"),
        ("give_me_some_credit/train", "SeriousDlqin2yrs", 1, "id"),
        ("uci_default/train", "DID_DEFAULT_PAYMENT", 1, "USER_ID"),
        ("home_credit/application", TARGET, 1, ID),
        ("home_credit/linked/application_train", TARGET, 1, ID),
    ],
)
def test_no_other_public_set_leaks(name: str, target: str, bad: int, key: str) -> None:
    frame = public(name)
    begun = time.process_time()
    found = looked(frame, target, bad, key, "part")
    assert time.process_time() - begun < 5
    assert not found.alarms
    assert not found.suspects
    assert max(c.auc for c in found.columns if c.auc is not None) < 0.8
