from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from plumbline.credit.features.matrix import Matrix
from plumbline.credit.features.transformer import Transformer
from plumbline.credit.intake.schema import Schema
from plumbline.credit.modelling.artifact import members_of, with_policy
from plumbline.credit.modelling.champion import Settings
from plumbline.credit.modelling.policy import DECISIONS, LEVELS
from plumbline.credit.modelling.scorer import Scorer
from plumbline.credit.modelling.training import Trained, train
from plumbline.kernel import canonical
from plumbline.kernel.errors import Corrupt, InvalidInput
from plumbline.kernel.models.artifacts import array_from_bytes, array_to_bytes, pack, unpack
from plumbline.kernel.models.calibration import CalibrationMap

MakeMatrix = Callable[..., tuple[Matrix, np.ndarray]]


@pytest.fixture(scope="module")
def members(trained: Trained) -> dict[str, bytes]:
    return members_of(trained, target={"column": "TARGET", "bad": 1})


@pytest.fixture(scope="module")
def scorer(members: dict[str, bytes]) -> Scorer:
    return Scorer.load(unpack(pack(members)))


@pytest.fixture(scope="module")
def applications(make_matrix: MakeMatrix) -> Matrix:
    matrix, _ = make_matrix(rows=300, seed=9)
    return replace(matrix, flags={3: ("unseen:f5",), 8: ("outside:f1", "sparse")})


def part(matrix: Matrix, rows: list[int]) -> Matrix:
    flags = {new: matrix.flags[old] for new, old in enumerate(rows) if old in matrix.flags}
    return Matrix(matrix.ids.gather(rows), np.asfortranarray(matrix.values[rows]), matrix.features, flags)


def test_one_row_many_rows_and_any_order_agree_bit_for_bit(scorer: Scorer, applications: Matrix) -> None:
    whole = scorer.score_matrix(applications).frame()
    order = np.random.default_rng(0).permutation(300).tolist()
    assert scorer.score_matrix(part(applications, order)).frame().equals(whole[order])
    for i in (0, 3, 8, 299):
        assert scorer.score_matrix(part(applications, [i])).frame().equals(whole[[i]])
    halves = [scorer.score_matrix(part(applications, list(r))).frame() for r in (range(100), range(100, 300))]
    assert pl.concat(halves).equals(whole)


def test_a_single_decision_is_the_row_of_the_batch(scorer: Scorer, applications: Matrix) -> None:
    batch = scorer.score_matrix(applications)
    full = scorer.contributions(applications)
    for i, one in enumerate(scorer.explain(applications)):
        assert one.probability == batch.probability[i]
        assert one.raw == batch.raw[i] == full.raw[i]
        assert one.points == batch.points[i]
        assert one.level == LEVELS[batch.level[i]]
        assert one.decision == DECISIONS[batch.decision[i]]
        assert one.groups == tuple(batch.groups[:, i])
        assert one.contributions.tolist() == full.contributions[:, i].tolist()
        assert [r.code for r in one.reasons] == [scorer.reason_codes[g] for g in batch.reasons[i] if g >= 0]
        assert [r.missing for r in one.reasons] == batch.reason_missing[i][batch.reasons[i] >= 0].tolist()
        assert abs(sum(one.contributions) + one.base - one.raw) < 1e-12
    assert np.array_equal(scorer.probability(applications.values), batch.probability)


@pytest.mark.parametrize(
    "fitted",
    [
        CalibrationMap("platt", 0.13, 0.77),
        CalibrationMap("isotonic", knots=(-2.0, -1.3, 0.1), values=(-2.5, -1.0, 0.3)),
    ],
)
def test_a_calibrated_model_keeps_ranks_reasons_and_bits(
    trained: Trained, scorer: Scorer, applications: Matrix, fitted: CalibrationMap
) -> None:
    other = Scorer.load(members_of(replace(trained, calibration=fitted)))
    before, after = scorer.score_matrix(applications), other.score_matrix(applications)
    assert np.array_equal(before.reasons, after.reasons)
    assert np.array_equal(np.argsort(before.raw, kind="stable"), np.argsort(after.probability, kind="stable"))
    assert not np.allclose(before.probability, after.probability)
    for i, one in enumerate(other.explain(applications, range(50))):
        assert (one.probability, one.points) == (after.probability[i], after.points[i])


def test_flagged_rows_go_to_a_person(scorer: Scorer, applications: Matrix) -> None:
    scored = scorer.score_matrix(applications)
    assert [DECISIONS[scored.decision[i]] for i in (3, 8)] == ["review", "review"]
    assert scored.frame()["flags"][8] == "outside:f1 sparse"


def test_no_rows_give_no_results(scorer: Scorer, applications: Matrix) -> None:
    assert scorer.score_matrix(part(applications, [])).frame().height == 0


def test_training_again_gives_the_same_hash(make_matrix: MakeMatrix) -> None:
    matrix, y = make_matrix(rows=500)
    hashes = {
        hashlib.sha256(pack(members_of(train(matrix, y, settings=Settings(trees=15))))).hexdigest() for _ in range(2)
    }
    assert len(hashes) == 1


def test_the_manifest_tells_what_an_auditor_asks(members: dict[str, bytes], scorer: Scorer) -> None:
    manifest = scorer.manifest
    assert members["manifest.json"] == canonical.dumps(manifest)
    assert {"kind", "features", "target", "thresholds", "costs", "seed", "parameters", "training", "versions"} <= set(
        manifest
    )
    assert set(manifest["training"]) == {"sha256", "rows", "events", "protocol"}
    assert len(manifest["golden"]) >= 20
    assert manifest["target"] == {"column": "TARGET", "bad": 1}
    assert set(scorer.report["evaluations"]) == {"cross_validation", "policy", "test"}
    assert b"1980" not in members["manifest.json"]


@pytest.mark.parametrize("array", ["cells", "edges", "base", "condition_missing"])
def test_a_changed_number_is_caught_by_the_golden_rows(members: dict[str, bytes], array: str) -> None:
    name = f"tables/{array}.npy"
    changed = array_from_bytes(members[name]).copy()
    changed = ~changed if changed.dtype == bool else changed + (1e-3 if array != "base" else 0) * (1 + np.abs(changed))
    if array == "base":
        manifest = canonical.loads(members["manifest.json"])
        manifest["golden"][4]["raw"] = (float.fromhex(manifest["golden"][4]["raw"]) + 1e-15).hex()
        damaged = {**members, "manifest.json": canonical.dumps(manifest)}
    else:
        damaged = {**members, name: array_to_bytes(changed)}
    with pytest.raises(Corrupt, match="no longer"):
        Scorer.load(damaged)


def test_on_another_platform_golden_rows_may_differ_by_1e_9(members: dict[str, bytes]) -> None:
    manifest = canonical.loads(members["manifest.json"])
    manifest["platform"] = "Other machine"
    golden = manifest["golden"][4]
    golden["raw"] = (float.fromhex(golden["raw"]) + 1e-10).hex()
    Scorer.load({**members, "manifest.json": canonical.dumps(manifest)})
    golden["raw"] = (float.fromhex(golden["raw"]) + 1e-8).hex()
    with pytest.raises(Corrupt):
        Scorer.load({**members, "manifest.json": canonical.dumps(manifest)})


@pytest.mark.parametrize(
    "lost", ["manifest.json", "policy.json", "reasons.json", "calibration.json", "tables/cells.npy"]
)
def test_a_missing_part_is_told(members: dict[str, bytes], lost: str) -> None:
    with pytest.raises(Corrupt) as caught:
        Scorer.load({name: data for name, data in members.items() if name != lost})
    assert caught.value.remedy


def test_a_policy_can_change_without_the_trees(members: dict[str, bytes], scorer: Scorer, applications: Matrix) -> None:
    stricter = replace(scorer.policy, threshold=scorer.policy.threshold / 2, cost_fn=20.0)
    other = Scorer.load(with_policy(members, stricter))
    before, after = scorer.score_matrix(applications), other.score_matrix(applications)
    assert np.array_equal(before.probability, after.probability)
    assert after.level.sum() > before.level.sum()
    assert pack(with_policy(members, stricter)) != pack(members)
    assert pack(with_policy(members, scorer.policy)) == pack(members)


def test_another_models_matrix_is_refused(scorer: Scorer, applications: Matrix) -> None:
    swapped = Matrix(applications.ids, applications.values, applications.features[::-1])
    with pytest.raises(InvalidInput, match="order"):
        scorer.score_matrix(swapped)
    with pytest.raises(InvalidInput, match="features"):
        scorer.one(np.zeros(2))


def test_without_a_transformer_raw_tables_cannot_be_scored(scorer: Scorer) -> None:
    with pytest.raises(InvalidInput, match="transformer"):
        scorer.score({"application": pl.DataFrame()})


SCHEMA = """
dataset = { name = "small", id = "id" }
target = { column = "bad", bad = 1 }
costs = { false_negative = 5, false_positive = 1 }
columns.id = { type = "id" }
columns.bad = { type = "flag" }
columns.income = { type = "money", monotone = -1, mutable = "up", reason = "INCOME" }
columns.debt = { type = "money", reason = "DEBT" }
columns.job = { type = "category", reason = "JOB" }

[reasons.INCOME]
adverse = "Income is low for the amount asked for"
missing = "Income was not given"
[reasons.DEBT]
adverse = "Debt is high"
missing = "Debt is not known"
[reasons.JOB]
adverse = "Kind of employment"
missing = "Employment was not given"
"""


def raw_rows(rows: int, seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    income, debt = rng.gamma(4, 500, rows).round(2), rng.gamma(2, 400, rows).round(2)
    job = rng.choice(["clerk", "cook", "pilot"], rows)
    log_odds = -1 - (income - 2000) / 800 + (debt - 800) / 500 + (job == "cook")
    bad = rng.random(rows) < 1 / (1 + np.exp(-log_odds))
    frame = pl.DataFrame(
        {"id": np.arange(rows), "bad": bad.astype(np.int64), "income": income, "debt": debt, "job": job}
    )
    gone = pl.Series(rng.random(rows) < np.where(bad, 0.4, 0.05))
    return frame.with_columns(income=pl.when(~gone).then("income"))


def test_raw_tables_are_scored_by_the_stored_transformer_and_told_in_the_schemas_words() -> None:
    schema = Schema.from_toml(SCHEMA)
    main = schema.main.name
    past = {main: raw_rows(1200, 0)}
    transformer = Transformer.fit(past, schema)
    trained = train(
        transformer.transform(past), past[main]["bad"].to_numpy(), reasons=schema.reasons,
        costs=(schema.costs.false_negative, schema.costs.false_positive), settings=Settings(trees=40),
    )  # fmt: skip
    assert trained.reasons.without_text == ()
    members = members_of(trained, transformer=transformer.to_dict(), schema=schema.to_dict())
    scorer = Scorer.load(unpack(pack(members)))
    assert scorer.manifest["target"] == {"column": "bad", "bad": 1}
    assert scorer.schema == schema
    assert scorer.policy.cost_fn == 5

    new = raw_rows(200, 1).drop("bad")
    whole = scorer.score({main: new})
    assert whole.frame()["id"].to_list() == new["id"].to_list()
    fresh = scorer.score_matrix(transformer.transform({main: new})).frame()
    assert whole.frame().equals(fresh)
    for i in (0, 7, 199):
        assert scorer.score({main: new[[i]]}).frame().equals(fresh[[i]])
    texts = {r.text for one in scorer.explain({main: new}) for r in one.reasons}
    known = {text for r in schema.reasons.values() for text in (r.adverse, r.missing)}
    assert texts <= known
    assert {"Income was not given", "Debt is high"} <= texts


def test_scoring_imports_neither_lightgbm_nor_scikit_learn(members: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "model.zip"
    path.write_bytes(pack(members))
    program = (
        "import sys, numpy as np\n"
        "from plumbline.credit.modelling.scorer import Scorer\n"
        "from plumbline.kernel.models.artifacts import unpack\n"
        "scorer = Scorer.load(unpack(open(sys.argv[1], 'rb').read()))\n"
        "scorer.one(np.zeros(len(scorer.features)))\n"
        "print([m for m in ('lightgbm', 'sklearn', 'scipy.stats', 'scipy.optimize') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
