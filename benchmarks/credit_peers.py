"""Credit beside the tools that risk teams install: optbinning, shap, fairlearn, DiCE, each in an environment of its own.

The real sets are those of ``quality.py``, with its folds; without ``PLUMBLINE_DATA`` each row says so.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import peers, quality
from benchmarks.harness import Bench, timed
from benchmarks.material import Material, labels
from benchmarks.peers import NotRun
from plumbline.credit.features.transformer import Transformer
from plumbline.credit.modelling import champion
from plumbline.credit.modelling.contributions import TreeTables
from plumbline.credit.modelling.counterfactual import counterfactual
from plumbline.credit.modelling.fairness import fairness
from plumbline.credit.modelling.groups import groups_of
from plumbline.credit.modelling.policy import DECISIONS
from plumbline.credit.modelling.trees import Forest
from plumbline.kernel.models import metrics

Floats = npt.NDArray[np.float64]
SCORECARDS = ("Give Me Some Credit", "UCI default", "HELOC")
ASKED = 30


def run(bench: Bench, material: Material) -> None:
    folder = bench.data
    if folder is None:
        bench.no_data("beside optbinning, shap and DiCE on real sets", "PLUMBLINE_DATA is not set")
    else:
        sets = {real.name: real for real in quality.SETS}
        for name in SCORECARDS:
            _scorecard(bench, material, name, *_matrix(folder, sets[name]))
        _reasons(bench, material, *_matrix(folder, sets["Give Me Some Credit"])[:2])
        _changes(bench, material, folder, sets["Give Me Some Credit"])
    _groups(bench, material)


def _asked(bench: Bench, row: str, task: str, file: Path, peer: str) -> dict[str, Any] | None:
    try:
        return peers.ask("credit_work.py", task, (file,), peer)
    except NotRun as why:
        bench.info(row, f"not run: {why}")
        return None


def _matrix(folder: Path, real: quality.RealSet) -> tuple[Floats, npt.NDArray[np.int8], tuple[Any, ...]]:
    """The same numbers for both: the set's columns as the product reads them, categories as codes."""
    schema = quality.schema_of(real)
    tables = quality.read(folder, real, schema)
    assert schema.target is not None
    y = (tables[schema.main.name][schema.target.column] == schema.target.bad).to_numpy().astype(np.int8)
    matrix = Transformer.fit(tables, schema, exclude_protected=False).transform(tables)
    return np.asarray(matrix.values), y, matrix.features


def _scorecard(bench: Bench, material: Material, name: str, values: Floats, y: npt.NDArray[np.int8], features: tuple[Any, ...]) -> None:  # fmt: skip
    from sklearn.model_selection import StratifiedKFold

    fold, ours = np.empty(len(y), dtype=np.int64), np.empty(len(y))

    def work() -> None:
        for k, (learnt, held) in enumerate(
            StratifiedKFold(quality.FOLDS, shuffle=True, random_state=quality.SEED).split(values, y)
        ):
            fold[held] = k
            ours[held] = TreeTables.build(Forest.from_text(champion.fit(values[learnt], y[learnt], features, champion.Settings()))).raw(values[held])  # fmt: skip

    spent = timed(work)
    file = material.folder / "scorecard.npz"
    np.savez(
        file,
        values=values,
        y=y,
        fold=fold,
        names=[f.name for f in features],
        categories=[f.kind == "category" for f in features],
    )
    row = f"{name}: AUC of the champion less that of optbinning's scorecard"
    found = _asked(bench, row, "optbinning", file, "optbinning")
    if found is not None:
        both = metrics.delong(y, ours, np.asarray(found["probability"]))
        low, high = both.interval
        bench.info(row, both.first - both.second, note=f"95 % {low:+.4f} … {high:+.4f} paired; {both.first:.4f} and {both.second:.4f}, out of fold; "
                   f"{spent.cpu:.1f} and {found['seconds']:.1f} CPU-s")  # fmt: skip


def _reasons(bench: Bench, material: Material, values: Floats, y: npt.NDArray[np.int8]) -> None:
    import lightgbm

    data = lightgbm.Dataset(values, y)
    booster = lightgbm.train({"objective": "binary", "num_leaves": 16, "learning_rate": 0.05, "verbose": -1, "num_threads": 1, "max_depth": 8},
                             data, num_boost_round=150)  # fmt: skip
    text, few = booster.model_to_string(), values[: 2_000 if bench.quick else 20_000]
    tables = TreeTables.build(Forest.from_text(text))
    spent = timed(lambda: tables.explain(few), best_of=3)
    file = material.folder / "shap.npz"
    np.savez(file, values=few, model=text)
    row = "exact contributions of every row, ours to shap's TreeExplainer"
    found = _asked(bench, row, "shap", file, "shap")
    if found is not None:
        apart = np.abs(spent.result.raw - tables.base - np.asarray(found["sums"])).max()
        bench.least(row, found["seconds"] / spent.cpu, 1.0, unit="×",
                    note=f"{len(few) / spent.cpu:,.0f} and {len(few) / found['seconds']:,.0f} rows per CPU-s; sums differ by {apart:.1e} at most")  # fmt: skip


def _changes(bench: Bench, material: Material, folder: Path, real: quality.RealSet) -> None:
    schema = quality.schema_of(real)
    tables = quality.read(folder, real, schema)
    matrix = Transformer.fit(tables, schema, exclude_protected=False).transform(tables)
    assert schema.target is not None
    y = (tables[schema.main.name][schema.target.column] == schema.target.bad).to_numpy().astype(np.int8)
    file = material.folder / "dice.npz"
    mutable = [
        c.name
        for c in schema.main.columns.values()
        if c.mutable != "no" and c.name in {f.name for f in matrix.features}
    ]
    np.savez(file, values=np.nan_to_num(np.asarray(matrix.values), nan=-1.0), y=y, names=[f.name for f in matrix.features], count=ASKED,
             mutable=mutable)  # fmt: skip
    scorer, judged = material.scorer, material.judged.tables
    main = scorer.schema.main.name
    declined = np.flatnonzero(scorer.score(judged).decision == DECISIONS.index("decline"))[:ASKED].tolist()
    ids = judged[main]["SK_ID_CURR"].to_list()

    def ours() -> list[Any]:
        return [
            counterfactual(scorer, {n: t.filter(t["SK_ID_CURR"] == ids[i]) if "SK_ID_CURR" in t.columns else t for n, t in judged.items()})
            for i in declined
        ]  # fmt: skip

    spent = timed(ours)
    found = _asked(bench, "a counterfactual, DiCE (random)", "dice", file, "dice-ml")
    bench.most("a counterfactual on raw inputs of seven tables", spent.cpu / len(declined), 0.2, unit="CPU-s", cpu=True,
               note=f"{len(declined)} declined; {sum(bool(s.found) for s in spent.result)} have one, all scored again, the others an honest none")  # fmt: skip
    if found is not None and found["asked"]:
        bench.info("a counterfactual, DiCE (random)", found["seconds"] / found["asked"], unit="CPU-s", cpu=True,
                   note=f"on ten columns of Give Me Some Credit: {found['flipped']} of {found['asked']} flip when scored again, {found['changes']:.1f} changes each")  # fmt: skip


def _groups(bench: Bench, material: Material) -> None:
    scorer, judged = material.scorer, material.judged
    scored, y = scorer.score(judged.tables), labels(judged)
    frame = groups_of(judged.tables[scorer.schema.main.name], scorer.schema)
    threshold = scorer.policy.threshold
    spent = timed(lambda: fairness(frame, y, scored.log_odds, threshold=threshold), best_of=3)
    file = material.folder / "groups.npz"
    np.savez(file, groups=np.stack([frame[c].fill_null("").to_numpy().astype(str) for c in frame.columns], axis=1), attributes=frame.columns, y=y,
             refused=scored.probability >= threshold)  # fmt: skip
    row = "approval rates of groups = fairlearn's"
    found = _asked(bench, row, "fairlearn", file, "fairlearn")
    if found is not None:
        single = {g.group: g for g in spent.result.groups if len(g.attributes) == 1}
        apart = [abs(1 - found["rates"][name][0] - g.approval_rate.value) for name, g in single.items()]
        bench.most(row, max(apart), 1e-12, note=f"{len(apart)} groups of {len(y):,} applications; the ratios, intervals, Holm and {len(spent.result.groups)} groups with "
                   f"intersections in {spent.cpu:.2f} CPU-s, its rates in {found['seconds']:.2f}, 100 bootstraps of one attribute in {found['bootstrap']:.2f}")  # fmt: skip
