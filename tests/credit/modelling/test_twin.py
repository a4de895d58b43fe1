"""The additive twin: stumps as one table a feature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import lightgbm
import numpy as np
import pytest

from plumbline.credit.features.matrix import Matrix
from plumbline.credit.modelling.artifact import members_of, read_twin, with_policy
from plumbline.credit.modelling.champion import Settings, fit
from plumbline.credit.modelling.points import PointScale
from plumbline.credit.modelling.training import Trained, train
from plumbline.credit.modelling.trees import Forest
from plumbline.credit.modelling.twin import Twin, collapse, settings_of
from plumbline.kernel.errors import Corrupt, InvalidInput
from plumbline.kernel.models.artifacts import pack
from plumbline.kernel.models.metrics import roc_auc

MakeMatrix = Callable[..., tuple[Matrix, np.ndarray]]


def odd(matrix: Matrix, twin: Twin) -> np.ndarray:
    """Values on and beside edges, missing everywhere (also where training never was), and infinite."""
    rng = np.random.default_rng(0)
    values = np.empty((400, len(matrix.features)))
    for i in range(values.shape[1]):
        edges, _ = twin.table(i)
        pool = np.concatenate([edges, np.nextafter(edges, np.inf), [np.nan, np.inf, -np.inf, 0.0, -1.0]])
        values[:, i] = rng.choice(pool, 400)
    return np.asfortranarray(values)


def test_the_tables_say_what_the_stumps_do(make_matrix: MakeMatrix) -> None:
    matrix, y = make_matrix(rows=1200)
    text = fit(matrix.values, y, matrix.features, settings_of(Settings()))
    base, tables, missing = collapse(Forest.from_text(text))
    first = np.concatenate(([0], np.cumsum([len(e) for e, _ in tables])))
    zero = np.zeros(0, dtype=np.int32)
    twin = Twin(
        base,
        first,
        np.concatenate([e for e, _ in tables]),
        np.concatenate([v for _, v in tables]),
        missing,
        zero,
        zero,
        0,
    )
    booster = lightgbm.Booster(model_str=text)
    for values in (matrix.values, odd(matrix, twin)):
        assert twin.log_odds(values) == pytest.approx(booster.predict(values, raw_score=True), abs=1e-12)


def test_trees_of_more_leaves_are_not_additive(trained: Trained) -> None:
    with pytest.raises(InvalidInput, match="two leaves"):
        collapse(Forest.from_text(trained.text))


def test_it_is_centred_and_adds_up(trained: Trained, make_matrix: MakeMatrix) -> None:
    matrix, y = make_matrix()
    twin = trained.twin
    contributions = twin.contributions(matrix.values)
    assert twin.base + contributions.sum(axis=0) == pytest.approx(twin.log_odds(matrix.values), abs=1e-12)
    assert np.abs(contributions.mean(axis=1)).max() < 0.05  # on its training rows, nine tenths of these
    assert roc_auc(y, twin.log_odds(matrix.values)) > 0.75


def test_the_gap_is_paired_and_measured_on_rows_neither_has_seen(trained: Trained) -> None:
    report = trained.report.twin
    assert [g.dataset for g in report.gaps] == ["cross_validation", "test"]
    folds, test = report.gaps
    assert folds.champion == pytest.approx(trained.report.evaluations["cross_validation"].values["roc_auc"])
    assert test.champion == pytest.approx(trained.report.evaluations["test"].values["roc_auc"])
    assert folds.low < folds.difference < folds.high
    assert folds.difference == pytest.approx(folds.champion - folds.twin)


def test_points_are_whole_and_the_error_of_rounding_is_stated(trained: Trained, make_matrix: MakeMatrix) -> None:
    matrix, _ = make_matrix()
    twin, scale, told = trained.twin, trained.policy.scale, trained.report.twin.points_error
    points = twin.score(matrix.values)
    assert (points == np.rint(points)).all()
    error = np.abs(points - (scale.offset - scale.factor * twin.log_odds(matrix.values)))
    assert error.max() <= told["bound"]
    assert told["mean"] == pytest.approx(error.mean(), rel=0.1)


def test_the_artefact_keeps_it(trained: Trained, make_matrix: MakeMatrix) -> None:
    matrix, _ = make_matrix(rows=200)
    members = members_of(trained)
    kept = read_twin(members)
    assert kept is not None
    assert (kept.log_odds(matrix.values) == trained.twin.log_odds(matrix.values)).all()
    assert (kept.score(matrix.values) == trained.twin.score(matrix.values)).all()
    assert read_twin({n: d for n, d in members.items() if not n.startswith("twin/")}) is None
    with pytest.raises(Corrupt):
        read_twin({n: d for n, d in members.items() if n != "twin/missing.npy"})
    with pytest.raises(Corrupt):
        read_twin({**members, "twin/values.npy": members["twin/edges.npy"]})


def test_another_scale_of_the_policy_is_that_of_the_twin_too(trained: Trained, make_matrix: MakeMatrix) -> None:
    matrix, _ = make_matrix(rows=200)
    members = members_of(trained)
    assert with_policy(members, trained.policy) == members
    scale = PointScale.of(500.0, 20.0, 40.0)
    kept = read_twin(with_policy(members, replace(trained.policy, scale=scale)))
    assert kept is not None
    error = np.abs(kept.score(matrix.values) - (scale.offset - scale.factor * kept.log_odds(matrix.values)))
    assert error.max() <= 0.5 * (kept.used + 1)


def test_the_same_data_and_seed_give_the_same_artefact(make_matrix: MakeMatrix) -> None:
    matrix, y = make_matrix(rows=500)
    settings = Settings(trees=20)
    first, second = (pack(members_of(train(matrix, y, settings=settings))) for _ in range(2))
    assert first == second


def test_signs_hold_in_its_tables(signed_matrix: tuple[Matrix, np.ndarray]) -> None:
    twin = train(*signed_matrix, settings=Settings(trees=20)).twin
    _, values = twin.table(0)
    assert len(values) > 3
    assert (np.diff(values) >= -1e-12).all()
