"""Leaks, the additive twin, and how groups fare: on real sets where they are there, and against known truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.harness import Bench, timed
from benchmarks.material import Material, labels
from benchmarks.quality import SETS, RealSet, read, schema_of
from plumbline.credit import synthetic
from plumbline.credit.features.transformer import Transformer
from plumbline.credit.intake.schema import Schema
from plumbline.credit.modelling.champion import Settings, cross_validate
from plumbline.credit.modelling.fairness import fairness
from plumbline.credit.modelling.groups import groups_of, outside
from plumbline.credit.modelling.leaks import check
from plumbline.credit.modelling.logistic import logistic
from plumbline.credit.modelling.training import train

LEAKY = ("HELOC as published", "heloc/leaky", "RiskPerformance", 0, "row")
CLEAN = (
    ("HELOC", "heloc/train", "RiskPerformance", 0, "row"),
    ("Give Me Some Credit", "give_me_some_credit/train", "SeriousDlqin2yrs", 1, "id"),
    ("UCI default", "uci_default/train", "DID_DEFAULT_PAYMENT", 1, "USER_ID"),
    ("Home Credit", "home_credit/application", "TARGET", 1, "SK_ID_CURR"),
)
TWINS = {"Give Me Some Credit": 0.0045, "UCI default": 0.007, "HELOC": 0.0, "Home Credit, one table": -0.004}
"""What the twin gave up in the prototype, in AUC."""
RATIOS = (
    (False, "sex: M", 0.870),
    (False, "age: under 30", 0.687),
    (True, "sex: M", 0.917),
    (True, "age: under 30", 0.685),
)
"""Protected columns left out; group; its approval-rate ratio in an independent calculation, at 80 % approval."""


def leaks(bench: Bench, material: Material) -> None:
    for name, file, target, bad, key in (LEAKY, *CLEAN):
        path = None if bench.data is None else bench.data / "credit" / f"{file}.parquet"
        if path is None or not path.exists():
            bench.no_data(f"{name}: alarms", "PLUMBLINE_DATA names no folder that holds it")
            continue
        frame = pl.read_parquet(path)
        columns = dict.fromkeys(c for c in frame.columns if c not in (target, key, "part"))
        y = (frame[target] == bad).to_numpy()
        spent = timed(lambda frame=frame, y=y, columns=columns, key=key: check(frame, y, columns, id=key))  # type: ignore[misc]
        found, wanted = spent.result, 8 if file.endswith("leaky") else 0
        best = found.best.auc if found.best is not None and found.best.auc is not None else float("nan")
        bench.within(
            f"{name}: alarms",
            len(found.alarms),
            wanted,
            wanted,
            note=f"{found.rows:,} rows × {len(columns)}; best single column {best:.3f}",
        )
        if name == "Give Me Some Credit":
            bench.most(f"{name}: time", spent.cpu, 5, unit="CPU-s", cpu=True)
    for leak, wanted in ((None, 0), ("imputed", 8), ("renamed_target", 1)):
        frame = synthetic.generate(6_000, 3, leak=leak, months=2).tables["application"]
        columns = dict.fromkeys(c for c in frame.columns if c not in ("TARGET", "SK_ID_CURR"))
        alarms = check(frame, frame["TARGET"].to_numpy(), columns, id="SK_ID_CURR").alarms
        bench.within(f"generated, {leak or 'clean'}: alarms", len(alarms), wanted, wanted)


def twin(bench: Bench, material: Material) -> None:
    for real in SETS:
        if real.name not in TWINS:
            continue
        if bench.data is None or not all(
            (bench.data / "credit" / f"{f}.parquet").exists() for f in real.files.values()
        ):
            bench.no_data(f"{real.name}: what the twin gives up", "PLUMBLINE_DATA names no folder that holds it")
            continue
        if bench.quick and real.name != "HELOC":
            bench.no_data(f"{real.name}: what the twin gives up", "left out of a quick run")
            continue
        _twin(bench, bench.data, real)


def _twin(bench: Bench, data: Path, real: RealSet) -> None:
    schema = schema_of(real)
    assert schema.target is not None
    tables = read(data, real, schema)
    main = tables[schema.main.name]
    y = (main[schema.target.column] == schema.target.bad).cast(pl.Int8).to_numpy()

    def run() -> float:
        matrix = Transformer.fit(tables, schema).transform(tables)
        report = train(matrix, y, reasons=schema.reasons, groups=groups_of(main, schema)).report
        gap = report.twin.gaps[0]
        bench.info(f"{real.name}: AUC the twin gives up", gap.difference,
                   note=f"95 % {gap.low:+.4f} … {gap.high:+.4f} out of fold; the prototype's {TWINS[real.name]:+.4f}")  # fmt: skip
        return report.twin.points_error["mean"]

    spent = timed(run)
    bench.info(f"{real.name}: points, mean error of rounding", spent.result, unit="points")
    if real.name == "Give Me Some Credit":
        bench.most(f"{real.name}: training with folds, twin and groups", spent.cpu, 60, unit="CPU-s", cpu=True)


def groups(bench: Bench, material: Material) -> None:
    _covered(bench)
    scorer, tables = material.scorer, material.judged.tables
    found = outside(scorer.transformer.transform, scorer.tables.raw, tables, scorer.schema)
    bench.most(
        "scores moved when audited columns are shuffled",
        found.moved,
        0,
        note=f"{found.rows:,} applications, {len(found.columns)} columns",
    )
    scored = scorer.score(tables)
    spent = timed(
        lambda: fairness(
            groups_of(tables["application"], scorer.schema),
            labels(material.judged),
            scored.log_odds,
            threshold=scored.threshold,
        )
    )
    bench.info(
        f"the report on {len(scored.log_odds):,} applications",
        spent.cpu,
        unit="CPU-s",
        cpu=True,
        note=f"{len(spent.result.groups)} groups",
    )
    if bench.data is None or not (bench.data / "credit/home_credit/application.parquet").exists():
        bench.no_data("Home Credit: ratios", "PLUMBLINE_DATA names no folder that holds it")
        return
    _home_credit(bench, pl.read_parquet(bench.data / "credit/home_credit/application.parquet").drop("part"))


def _covered(bench: Bench) -> None:
    """The interval of a sample against the ratio of a population forty times as large, by true probabilities."""
    schema, seeds = Schema.load("home_credit"), 20 if bench.quick else 100
    for group_effect, proxy_effect in ((0.0, 0.0), (0.5, 0.6)):
        large = synthetic.generate(60_000, 999, group_effect=group_effect, proxy_effect=proxy_effect, months=2)
        true = synthetic.approval_rate_ratio(large.truth) or float("nan")
        inside = 0
        for seed in range(seeds):
            made = synthetic.generate(1_500, seed, group_effect=group_effect, proxy_effect=proxy_effect, months=2)
            cut = float(np.nextafter(np.quantile(made.truth["pd"].to_numpy(), 0.8), 1))
            report = fairness(groups_of(made.tables["application"], schema).select("sex"), labels(made),
                              made.truth["log_odds"].to_numpy(), threshold=cut)  # fmt: skip
            ratio = next(g.ratio for g in report.groups if g.group == "sex: M")
            inside += ratio.low <= true <= ratio.high
        bench.least(
            f"true ratio {true:.2f} inside the interval",
            inside / seeds,
            0.9,
            note=f"{seeds} seeds of 1,500 applications, 80 % approved",
        )


def _home_credit(bench: Bench, frame: pl.DataFrame) -> None:
    schema, tables = Schema.load("home_credit"), {"application": frame}
    y, found = frame["TARGET"].to_numpy(), groups_of(frame, schema)
    young = pl.when(pl.col("age") == "under 30").then("age").otherwise(pl.lit("30 and over")).alias("age")
    for excluded in (False, True):
        matrix = Transformer.fit(tables, schema, exclude_protected=excluded).transform(tables)
        raw = cross_validate(matrix, y, settings=Settings(leaves=8)).raw
        report = fairness(
            found.with_columns(young), y, raw, threshold=float(np.nextafter(np.quantile(logistic(raw), 0.8), 1))
        )
        for without, group, ratio in RATIOS:
            if without == excluded:
                one = next(g for g in report.groups if g.group == group)
                bench.within(f"Home Credit, {group}{', protected excluded' if excluded else ''}: ratio", one.ratio.value, ratio - 0.02, ratio + 0.02,
                             note=f"95 % {one.ratio.low:.3f} … {one.ratio.high:.3f}, {one.verdict}; out of fold, 80 % approved")  # fmt: skip
