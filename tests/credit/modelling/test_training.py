from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from plumbline.credit.features.matrix import FeatureInfo, Matrix
from plumbline.credit.features.transformer import Transformer
from plumbline.credit.intake.schema import Schema
from plumbline.credit.modelling.champion import Settings, cross_validate, search
from plumbline.credit.modelling.logistic import logistic
from plumbline.credit.modelling.training import Trained, train
from plumbline.kernel import canonical
from plumbline.kernel.errors import InvalidInput
from plumbline.kernel.models.calibration import calibration
from plumbline.kernel.models.metrics import delong_interval, ece, ece_floor, roc_auc

MakeMatrix = Callable[..., tuple[Matrix, np.ndarray]]
FAST = Settings(trees=20)


def test_the_report_measures_each_data_set_by_name(trained: Trained) -> None:
    report = trained.report
    assert set(report.evaluations) == {"cross_validation", "policy", "test"}
    for name, evaluation in report.evaluations.items():
        assert {
            "roc_auc", "gini", "ks", "average_precision", "brier", "log_loss", "ece", "ece_floor", "calibration_slope",
            "calibration_intercept", "cost_per_application", "approval_rate", "precision", "recall", "f_beta_3_2",
        } <= set(evaluation.values), name  # fmt: skip
        assert report.histograms[name].sum() == evaluation.rows
    assert 0.7 < report.headline["roc_auc"] < 0.95
    assert report.headline["roc_auc"] == report.evaluations["test"].values["roc_auc"]
    assert list(report.importance)[:2] == ["f0", "f1"]
    assert sum(report.importance.values()) == pytest.approx(1)
    assert len(report.folds["roc_auc"]) == 5
    canonical.dumps(report.to_dict())


def test_row_weights_are_not_among_the_parameters(trained: Trained) -> None:
    parameters = trained.settings.parameters(trained.features)
    assert not {"scale_pos_weight", "is_unbalance", "pos_bagging_fraction", "neg_bagging_fraction"} & set(parameters)
    assert parameters["feature_fraction"] == 0.6
    many = [FeatureInfo(f"f{i}", "numeric", frozenset()) for i in range(101)]
    assert Settings().parameters(many)["feature_fraction"] == 0.2


def test_the_mean_probability_is_the_share_of_defaults(make_matrix: MakeMatrix) -> None:
    matrix, y = make_matrix(rows=4000, seed=2)
    probability = cross_validate(matrix, y, settings=FAST).probability
    assert probability.mean() == pytest.approx(y.mean(), abs=0.02)


def test_signs_hold_everywhere(signed_matrix: tuple[Matrix, np.ndarray]) -> None:
    matrix, y = signed_matrix
    trained = train(matrix, y, settings=FAST)
    rows = np.repeat(np.nan_to_num(matrix.values[:20]), 60, axis=0)
    rows[:, 0] = np.tile(np.linspace(-4, 4, 60), 20)
    raw = trained.tables.raw(np.asfortranarray(rows)).reshape(20, 60)
    assert np.all(np.diff(raw, axis=1) >= -1e-12)
    assert np.any(np.diff(raw, axis=1) > 0)


def test_the_same_data_and_seed_give_the_same_model(make_matrix: MakeMatrix) -> None:
    matrix, y = make_matrix(rows=600)
    first, second = (train(matrix, y, settings=FAST) for _ in range(2))
    assert first.text == second.text
    assert first.data == second.data
    other = train(matrix, y, settings=Settings(trees=20, seed=7))
    assert other.text != first.text


def test_out_of_fold_scores_come_from_models_that_did_not_see_the_row(make_matrix: MakeMatrix) -> None:
    matrix, _ = make_matrix(rows=1000, missing=0.0)
    noise = np.random.default_rng(0).integers(0, 2, 1000)
    found = cross_validate(matrix, noise, settings=Settings(trees=60, lambda_l2=0.0, min_child_samples=5))
    assert 0.42 < roc_auc(noise, found.raw) < 0.58
    assert np.bincount(found.fold).tolist() == [200] * 5


def test_equal_rows_share_a_fold(make_matrix: MakeMatrix) -> None:
    matrix, y = make_matrix(rows=300)
    twice = Matrix(
        pl.concat([matrix.ids, matrix.ids]), np.asfortranarray(np.tile(matrix.values, (2, 1))), matrix.features
    )
    found = cross_validate(twice, np.tile(y, 2), settings=FAST, groups=np.tile(np.arange(300), 2))
    assert np.array_equal(found.fold[:300], found.fold[300:])


def test_a_search_ranks_twelve_settings_by_log_loss(make_matrix: MakeMatrix) -> None:
    matrix, y = make_matrix(rows=300)
    trials = search(matrix, y, settings=Settings(trees=3), folds=2)
    assert len(trials) == len({t.settings for t in trials}) == 12
    assert [t.log_loss for t in trials] == sorted(t.log_loss for t in trials)


@pytest.mark.parametrize(
    ("labels", "told"), [([0, 1, 2] * 10, "0 .repaid."), ([0] * 30, "both outcomes"), ([0, 1], "30 rows")]
)
def test_labels_that_teach_nothing_are_refused(make_matrix: MakeMatrix, labels: list[int], told: str) -> None:
    matrix, _ = make_matrix(rows=30)
    with pytest.raises(InvalidInput, match=told):
        train(matrix, labels)


def test_settings_that_no_table_can_hold_are_refused() -> None:
    with pytest.raises(InvalidInput):
        Settings(max_depth=9)


# Gates on public data: stratified 5-fold, seed 42, out of fold.


def _public(name: str, drop: tuple[str, ...]) -> pl.DataFrame:
    root = os.environ.get("PLUMBLINE_DATA")
    if not root:
        pytest.skip("PLUMBLINE_DATA is not set")
    frame = pl.read_parquet(Path(root) / "credit" / name)
    return frame.drop([c for c in drop if c in frame.columns])


def _matrix(frame: pl.DataFrame) -> Matrix:
    columns = [
        (c.cast(pl.Categorical).to_physical() if c.dtype == pl.String else c).cast(pl.Float64).fill_null(float("nan"))
        for c in frame
    ]
    values = np.asfortranarray(np.column_stack([c.to_numpy() for c in columns]))
    infos = tuple(FeatureInfo(c, "numeric", frozenset({f"t.{c}"})) for c in frame.columns)
    return Matrix(pl.Series("id", np.arange(len(frame))), values, infos)


def _judge(matrix: Matrix, y: np.ndarray, gate: float, slope: tuple[float, float]) -> None:
    raw = cross_validate(matrix, y).raw
    probability = logistic(raw)
    area = roc_auc(y, raw)
    low, high = delong_interval(y, raw)
    test = calibration(y, raw)
    ratio = ece(y, probability) / ece_floor(probability)
    print(f"AUC {area:.4f} [{low:.4f}, {high:.4f}], slope {test.slope:.3f}, ECE/floor {ratio:.2f}")
    assert area >= gate
    assert slope[0] <= test.slope <= slope[1]
    assert ratio <= 1.5


@pytest.mark.slow
def test_gate_on_give_me_some_credit() -> None:
    frame = _public("give_me_some_credit/train.parquet", ("id",))
    y = frame["SeriousDlqin2yrs"].to_numpy()
    _judge(_matrix(frame.drop("SeriousDlqin2yrs")), y, 0.864, (0.9, 1.1))


@pytest.mark.slow
@pytest.mark.parametrize(("exclude_protected", "gate"), [(False, 0.738), (True, 0.734)])
def test_gate_on_home_credit_applications(exclude_protected: bool, gate: float) -> None:
    frame = _public("home_credit/application.parquet", ("part",))
    schema = Schema.load("home_credit")
    tables = {schema.main.name: frame}
    matrix = Transformer.fit(tables, schema, exclude_protected=exclude_protected).transform(tables)
    _judge(matrix, frame["TARGET"].to_numpy(), gate, (0.8, 1.25))


@pytest.mark.slow
def test_gate_on_home_credit_with_linked_tables() -> None:
    schema = Schema.load("home_credit")
    main = schema.main.name
    files = {"application_train": main, **{t: t for t in schema.linked if t != "installments_payments"}}
    tables = {table: _public(f"home_credit/linked/{file}.parquet", ()) for file, table in files.items()}
    matrix = Transformer.fit(tables, schema, exclude_protected=False).transform(tables)
    _judge(matrix, tables[main]["TARGET"].to_numpy(), 0.742, (0.8, 1.25))


@pytest.mark.slow
def test_gate_on_heloc() -> None:
    frame = _public("heloc/train.parquet", ("id",))
    y = (frame["RiskPerformance"] == 0).to_numpy().astype(np.int8)
    _judge(_matrix(frame.drop("RiskPerformance")), y, 0.805, (0.9, 1.1))


@pytest.mark.slow
def test_gate_on_uci_default() -> None:
    frame = _public("uci_default/train.parquet", ("id", "ID"))
    target = next(c for c in frame.columns if "DEFAULT" in c.upper())
    y = frame[target].to_numpy()
    _judge(_matrix(frame.drop(target)), y, 0.782, (0.9, 1.1))
