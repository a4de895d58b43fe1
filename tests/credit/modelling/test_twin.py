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
from plumbline.credit.modelling.policy import LEVELS, Policy
from plumbline.credit.modelling.scorer import Scorer
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


def test_a_row_alone_has_the_bits_it_has_among_others(trained: Trained, make_matrix: MakeMatrix) -> None:
    matrix, _ = make_matrix(rows=300)
    twin = trained.twin
    for values in (matrix.values, odd(matrix, twin)):
        whole = twin.log_odds(values)
        assert [twin.one(np.ascontiguousarray(row)) for row in values] == whole.tolist()
        some = np.array([7, 3, 250])
        assert twin.log_odds(values, some).tolist() == whole[some].tolist()


@pytest.fixture(scope="module")
def crossed() -> tuple[Matrix, np.ndarray]:
    """Default follows the product of two features: no sum of tables can see it, trees can."""
    from tests.credit.modelling.conftest import made

    matrix, _ = made(rows=3000, missing=0.02, seed=5)
    values = np.nan_to_num(matrix.values)
    log_odds = -2.2 + 2.5 * np.sign(values[:, 0] * values[:, 1])
    y = (np.random.default_rng(6).random(len(values)) < 1 / (1 + np.exp(-log_odds))).astype(np.int8)
    return matrix, y


def test_a_person_looks_where_twin_and_model_are_more_than_one_level_apart(crossed: tuple[Matrix, np.ndarray]) -> None:
    matrix, y = crossed
    members = members_of(train(matrix, y))
    scorer = Scorer.load(members)
    assert scorer.twin is not None
    scored = scorer.score_matrix(matrix)
    second = scorer.policy.levels(1 / (1 + np.exp(-scorer.twin.log_odds(matrix.values))))
    apart = np.abs(second - scored.level) > 1
    assert 10 < apart.sum() < len(y)
    for row in range(len(y)):
        assert scored.flags.get(row, ()) == ((f"twin:{LEVELS[second[row]]}",) if apart[row] else ())
    assert (scored.decision[apart] == 1).all()
    order = np.random.default_rng(1).permutation(len(y))[:200]
    for row in order.tolist():  # a batch of one decides as a batch of many
        one = scorer.one(np.ascontiguousarray(matrix.values[row]))
        assert (one.flags, ("approve", "review", "decline").index(one.decision)) == (
            scored.flags.get(row, ()),
            scored.decision[row],
        )
    silent = replace(scorer.policy, review_flags=("sparse",))
    other = Scorer.load(with_policy(members, silent))
    assert other.twin is None
    assert other.score_matrix(matrix).flags == {}


def test_the_twin_itself_can_decide(make_matrix: MakeMatrix) -> None:
    matrix, y = make_matrix()
    made = train(matrix, y, additive=True)
    report, twin = made.report.twin, made.twin
    assert (report.decides, report.gaps) == (True, ())
    scorer = Scorer.load(members_of(made))
    scored = scorer.score_matrix(matrix)
    assert twin.log_odds(matrix.values) == pytest.approx(scored.log_odds, abs=1e-9)
    assert np.abs(twin.score(matrix.values) - scored.points).max() <= report.points_error["bound"] + 0.5
    assert scorer.twin is None  # there is no second opinion
    assert roc_auc(y, scored.probability) > 0.75


def test_an_old_verdict_on_groups_does_not_stand_beside_a_new_threshold(make_matrix: MakeMatrix) -> None:
    import polars as pl

    matrix, y = make_matrix()
    groups = pl.DataFrame({"sex": np.where(np.arange(len(y)) % 2, "F", "M")})
    made = train(matrix, y, groups=groups)
    members = members_of(made)
    assert Scorer.load(members).report["fairness"]["groups"]
    assert Scorer.load(with_policy(members, made.policy)).report["fairness"]["groups"]
    changed = Scorer.load(with_policy(members, replace(made.policy, threshold=0.2))).report
    assert changed["fairness"] is None
    assert "not measured" in changed["fairness_undefined"]


def test_a_policy_without_the_word_asks_no_twin() -> None:
    assert "twin" in Policy(0.1).review_flags
    assert Policy.from_dict(Policy(0.1, review_flags=("sparse",)).to_dict()).review_flags == ("sparse",)
