"""How much processor time the work takes, and how long a person or a program waits."""

from __future__ import annotations

import shutil

import numpy as np
import polars as pl

from benchmarks.harness import Bench, milliseconds, quantile, timed
from benchmarks.material import Material, labels
from benchmarks.processes import ask
from plumbline.credit import synthetic
from plumbline.credit.features.transformer import Transformer
from plumbline.credit.intake.readers import open_upload
from plumbline.credit.intake.validation import validate_application
from plumbline.credit.modelling import champion
from plumbline.credit.modelling.training import train


def batch(bench: Bench, material: Material) -> None:
    """The large file, without a database, in a process of its own; then the usual stack on a part of it."""
    rows = material.rows
    given = {"file": str(material.file), "artefact": str(material.artefact), "folder": str(material.folder / "out")}
    runs = [ask("pipeline:ours", given) for _ in range(1 if bench.quick else 2)]
    best = min(runs, key=lambda run: run["cpu"])
    shutil.rmtree(material.folder / "out")
    size = material.file.stat().st_size / 1e6
    steps = ", ".join(f"{name} {best[name]:.2f}" for name in ("read", "transform", "score", "write"))
    bench.most(f"{rows:,} × 122 CSV to results with 4 reasons", best["cpu"], 10 * rows / 307_511, unit="CPU-s", cpu=True,
               note=f"{size:.0f} MB; {steps}; {best['rejected']} rejected; NumPy only")  # fmt: skip
    bench.most("its most memory", best["gigabytes"], 1.2, unit="GB")
    rate = best["rows"] / best["cpu"]
    bench.info("rows per CPU-second", rate)
    learnt = material.folder / "learnt"
    synthetic.write_stream(learnt, 4_000 if bench.quick else 20_000, 1)
    peer = ask("pipeline:usual", {"file": str(material.file), "trained_on": str(learnt / "application.csv"),
                                  "rows": 4_000 if bench.quick else 20_000, "folder": str(material.folder)})  # fmt: skip
    shutil.rmtree(learnt)
    theirs = peer["rows"] / peer["cpu"]
    bench.info("pandas + LightGBM predict + pred_contrib: rows per CPU-second", theirs,
               note=f"measured on the first {peer['rows']:,} rows: the whole file would take {rows / theirs:,.0f} CPU-s")  # fmt: skip
    bench.info("ours to theirs", rate / theirs, unit="×")


def latency(bench: Bench, material: Material) -> None:
    """One decision in this process."""
    scorer = material.scorer
    matrix = scorer.transformer.transform(material.judged.tables)
    vectors = [np.ascontiguousarray(row) for row in matrix.values[:500]]
    turn = iter(range(10**9))
    found = milliseconds(lambda: scorer.one(vectors[next(turn) % len(vectors)]), 500 if bench.quick else 5_000)
    bench.most(
        "one feature vector with reasons, p50",
        quantile(found, 0.5),
        0.1,
        unit="ms",
        note=f"p95 {quantile(found, 0.95):.3f}, NumPy only",
    )
    requests = [material.application(i) for i in range(100)]

    def whole() -> None:
        tables = validate_application(requests[next(turn) % len(requests)], scorer.schema)
        made = scorer.transformer.transform(tables)
        scorer.one(np.ascontiguousarray(made.values[0]), made.flags.get(0, ()))

    times = 50 if bench.quick else 500
    spent = timed(lambda: milliseconds(whole, times))
    cpu = spent.cpu / (times + max(2, times // 20)) * 1000
    bench.most("a seven-table JSON application in process, p50", quantile(spent.result, 0.5), 20, unit="ms",
               note=f"p95 {quantile(spent.result, 0.95):.1f}, {cpu:.1f} CPU-ms; validate + transform + score")  # fmt: skip


def training(bench: Bench, material: Material) -> None:
    _whole(bench, material)
    _champion(bench, material)


def _champion(bench: Bench, material: Material) -> None:
    """On a large set; its features from the application table alone, the first 120 of them."""
    schema = material.one_table
    with open_upload(material.file, schema, scoring=False) as upload:
        tables = {schema.main.name: pl.concat([chunk.frame for chunk in upload.chunks()])}
    matrix = Transformer.fit(tables, schema).transform(tables)
    values, features = np.asfortranarray(matrix.values[:, :120]), matrix.features[:120]
    y = tables[schema.main.name]["TARGET"].to_numpy().astype(np.int8)
    del tables, matrix
    signs = sum(f.monotone != 0 for f in features)
    spent = timed(lambda: champion.fit(values, y, features, champion.Settings()))
    bench.most(f"training S on {len(y):,} × {len(features)}", spent.cpu, 10 * len(y) / 307_511, unit="CPU-s", cpu=True,
               note=f"150 trees × 16 leaves, {signs} signs demanded (method advanced), one thread")  # fmt: skip


def _whole(bench: Bench, material: Material) -> None:
    """As a person starts it: features, five folds, champion, tables, measures."""
    count = 6_000
    portfolio = synthetic.generate(count, 1)

    def run() -> None:
        transformer = Transformer.fit(portfolio.tables, material.schema)
        matrix = transformer.transform(portfolio.tables)
        train(matrix, labels(portfolio), settings=champion.Settings(), reasons=material.schema.reasons)

    spent = timed(run)
    bench.most(
        f"training on {count:,} applications, seven tables, five folds",
        spent.cpu,
        6,
        unit="CPU-s",
        cpu=True,
        note="one thread",
    )


def aggregates(bench: Bench, material: Material) -> None:
    """The six linked tables to one row of aggregates per applicant."""
    transformer, tables = material.scorer.transformer, material.judged.tables
    rows = sum(tables[name].height for name in material.schema.linked)
    spent = timed(lambda: transformer.history(tables), best_of=3)
    count = len(transformer.plan.from_tables)
    bench.least("rows aggregated per CPU-second", rows / spent.cpu, 4e6, cpu=True,
                note=f"{rows:,} rows of six tables to {count} aggregates in {spent.cpu:.2f} CPU-s")  # fmt: skip


def generator(bench: Bench, _material: Material) -> None:
    spent = timed(lambda: synthetic.generate(20_000, 11), best_of=2)
    rows = sum(frame.height for frame in spent.result.tables.values())
    bench.most(
        "20,000 applications generated", spent.cpu, 10, unit="CPU-s", cpu=True, note=f"{rows:,} rows in seven tables"
    )
