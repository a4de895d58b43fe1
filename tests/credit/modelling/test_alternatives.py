"""The search for less unequal models: what is tried, and what is said of it."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from plumbline.credit.features.matrix import FeatureInfo, Matrix
from plumbline.credit.modelling.alternatives import _change, candidates, search
from plumbline.credit.modelling.champion import Settings
from plumbline.kernel import canonical
from plumbline.kernel.errors import InvalidInput

FAST = Settings(trees=40, leaves=4, learning_rate=0.1, feature_fraction=1.0, bagging_fraction=1.0)


def world(rows: int = 3000) -> tuple[Matrix, np.ndarray, pl.DataFrame]:
    """``height`` tells of the group and nothing of the outcome but through an old prejudice in the labels; ``work`` tells of the outcome."""
    rng = np.random.default_rng(0)
    member = rng.random(rows) < 0.4
    height = rng.normal(size=rows) + 2.0 * member
    work = rng.normal(size=rows)
    y = (rng.random(rows) < 1 / (1 + np.exp(2.2 - 1.6 * member - 0.8 * work))).astype(np.int8)
    values = np.asfortranarray(np.column_stack([height, work, rng.normal(size=rows)]))
    features = tuple(FeatureInfo(name, "numeric", frozenset({f"t.{name}"})) for name in ("height", "work", "noise"))
    return (
        Matrix(pl.Series("id", np.arange(rows)), values, features),
        y,
        pl.DataFrame({"sex": np.where(member, "a", "b")}),
    )


def test_leaving_out_what_tells_of_the_group_is_found_to_be_less_unequal() -> None:
    matrix, y, groups = world()
    found = search(matrix, y, groups, settings=FAST, approved=0.75)
    assert found.group == "sex: a"
    without = next(t for t in found.tried if t.without == ("height",))
    assert without.outcome.startswith("less unequal")
    assert without.ratio_change.low > 1
    assert without.ratio.value > found.ratio.value
    seeds = [t for t in found.tried if t.name.startswith("seed")]
    assert {t.outcome for t in seeds} == {"no difference shown"}
    assert any(t.front for t in found.tried)
    assert canonical.loads(canonical.dumps(found.to_dict()))["group"] == "sex: a"


def test_the_same_search_gives_the_same_record() -> None:
    matrix, y, groups = world(800)
    first, second = (search(matrix, y, groups, settings=FAST, approved=0.75, most=3) for _ in range(2))
    assert first.to_dict() == second.to_dict()


def test_candidates_are_many_different_and_no_more_than_asked_for() -> None:
    matrix, _, _ = world(50)
    telling = tuple(f"f{i}" for i in range(12))
    found = candidates(matrix, Settings(), telling)
    assert len(found) == len({c.name for c in found}) == 39
    assert len(candidates(matrix, Settings(), telling, 5)) == 5


def test_a_paired_change_has_the_interval_that_redrawing_gives() -> None:
    rng = np.random.default_rng(2)

    def drawn(rows: int, both: float, only_before: float, only_after: float) -> tuple[np.ndarray, np.ndarray]:
        kind = rng.choice(4, rows, p=(both, only_before, only_after, 1 - both - only_before - only_after))
        return np.isin(kind, (0, 1)), np.isin(kind, (0, 2))

    changes, errors = [], []
    member = np.arange(1500) < 500
    for _ in range(400):
        (b1, a1), (b0, a0) = drawn(500, 0.55, 0.05, 0.12), drawn(1000, 0.75, 0.06, 0.04)
        apart, error = _change(np.concatenate([b1, b0]), np.concatenate([a1, a0]), member, ~member)
        changes.append(apart)
        errors.append(error)
    assert np.mean(errors) == pytest.approx(np.std(changes), rel=0.12)


def test_a_group_that_is_not_there_is_refused() -> None:
    matrix, y, groups = world(300)
    with pytest.raises(InvalidInput, match="no group"):
        search(matrix, y, groups, settings=FAST, approved=0.75, group="sex: c")
    with pytest.raises(InvalidInput, match="No group"):
        search(matrix, y, groups, settings=FAST, approved=0.75, least=1000)
