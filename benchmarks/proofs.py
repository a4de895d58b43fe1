"""What must be equal, is: reasons against LightGBM's own, one row against many, any order of rows."""

from __future__ import annotations

import hashlib
import shutil

import numpy as np
import numpy.typing as npt
import polars as pl

from benchmarks.harness import Bench
from benchmarks.material import JUDGED_SEED, Material, labels
from benchmarks.processes import ask
from plumbline.credit import synthetic
from plumbline.credit.features.matrix import Matrix
from plumbline.credit.modelling.scorer import Scored, Scorer
from plumbline.kernel.models import metrics
from plumbline.kernel.models.artifacts import pack

Floats = npt.NDArray[np.float64]


def quality_on_generated(bench: Bench, material: Material) -> None:
    """The AUC on applications of another seed, beside the best that can be had from their true probabilities."""
    scored = material.scorer.score(material.judged.tables)
    auc, best = metrics.roc_auc(labels(material.judged), scored.probability), material.judged.best_auc
    note = f"best possible {best:.4f}; trained on {material.learnt.options.applications:,}, judged on as many of another seed"
    bench.least("AUC less the best possible", auc - best, -0.015, note=note)
    bench.info("AUC", auc)
    y, p = labels(material.judged), scored.probability
    bench.info("calibration: ECE / its floor", metrics.ece(y, p) / metrics.ece_floor(p))


def reasons(bench: Bench, material: Material) -> None:
    """Contributions and raw scores against LightGBM's, with missing values, unseen codes, thresholds and infinities."""
    import lightgbm

    scorer = material.scorer
    booster = lightgbm.Booster(model_str=scorer._members["model.txt"].decode())
    matrix = scorer.transformer.transform(material.judged.tables)
    values = np.concatenate([matrix.values[:4_000], odd_rows(scorer, matrix, 2_000)])
    explained = scorer.tables.explain(np.asfortranarray(values))
    theirs = np.asarray(booster.predict(values, pred_contrib=True, num_threads=1))
    raw = np.asarray(booster.predict(values, raw_score=True, num_threads=1))
    rows = f"{len(values):,} rows × {values.shape[1]}, of them 2,000 made of odd values"
    bench.most(
        "contributions: largest difference",
        float(np.abs(explained.contributions.T - theirs[:, :-1]).max()),
        1e-12,
        note=rows,
    )
    bench.most("base: difference", float(np.abs(scorer.tables.base - theirs[:, -1]).max()), 1e-12)
    total = scorer.tables.base + explained.contributions.sum(axis=0)
    bench.most("sum of contributions + base − raw score", float(np.abs(total - explained.raw).max()), 1e-12)
    bench.holds("raw score equal to LightGBM's, bit for bit", bool((explained.raw == raw).all()))
    protected = set(scorer.schema.protected)
    bench.holds("no feature comes from a protected column", not any(f.lineage & protected for f in scorer.features))


def odd_rows(scorer: Scorer, matrix: Matrix, count: int) -> Floats:
    """Rows of values on and beside thresholds, missing where training never was, infinite, and of codes never seen."""
    rng = np.random.default_rng(0)
    made = matrix.values[rng.integers(0, len(matrix.values), count)].copy()
    for i in range(made.shape[1]):
        edges = scorer.tables.edges_of(i)
        pool = np.array(
            [np.nan, np.inf, -np.inf, -1.0, 1e9, *edges, *np.nextafter(edges, np.inf), *np.nextafter(edges, -np.inf)]
        )
        odd = rng.random(count) < 0.5
        made[odd, i] = rng.choice(pool, int(odd.sum()))
    return made


def invariance(bench: Bench, material: Material) -> None:
    """The whole way from raw tables: many at once, one by one, and all tables in another order."""
    scorer, whole = material.scorer, material.judged.tables
    main = scorer.schema.main.name
    many = scorer.score(whole)
    count = 60 if bench.quick else 400
    step = max(1, len(whole[main]) // count)
    rows = list(range(0, len(whole[main]), step))[:count]
    ones = [scorer.score(only(scorer, whole, i)) for i in rows]
    bench.holds("a batch of 1 = a batch of N", all(bits(one) == bits(many, i) for one, i in zip(ones, rows)),
                note=f"{len(rows)} applications alone and among {len(whole[main]):,}: probability, raw score, groups, reasons, flags")  # fmt: skip
    decided = [scorer.explain(only(scorer, whole, i))[0] for i in rows[:50]]
    same = all(
        (d.probability, d.raw, d.groups) == (many.probability[i], many.raw[i], tuple(many.groups[:, i]))
        and [r.code for r in d.reasons] == [many.reason_codes[g] for g in many.reasons[i] if g >= 0]
        for d, i in zip(decided, rows)
    )
    bench.holds("the single decision with full reasons = the batch", same, note="50 applications")
    shuffled = {name: frame.sample(fraction=1.0, shuffle=True, seed=5) for name, frame in whole.items()}
    again = scorer.score(shuffled)
    back = {key: i for i, key in enumerate(again.ids.to_list())}
    order = np.array([back[key] for key in many.ids.to_list()])
    equal = (
        (again.probability[order] == many.probability).all() and (again.groups[:, order] == many.groups).all()
        and (again.reasons[order] == many.reasons).all() and {i: again.flags.get(int(order[i]), ()) for i in many.flags} == many.flags
    )  # fmt: skip
    bench.holds("all seven tables shuffled", bool(equal), note=f"{len(order):,} applications")


def made_twice(bench: Bench, material: Material) -> None:
    """Data, seed, training, file: once here, once in another process."""
    here = hashlib.sha256(pack(material.members)).hexdigest()
    there = ask("material:made_anew", {"quick": material.quick})["sha256"]
    bench.holds("same data and seed: same artefact, byte for byte", here == there, note=f"two processes; {here[:16]}…")


def ways(bench: Bench, material: Material) -> None:
    """Seven files of a larger portfolio as one matrix: held in memory, streamed, in eight parts by the applicant's key."""
    folder, count = material.folder / "linked", 8_000 if bench.quick else 60_000
    synthetic.write_stream(folder, count, JUDGED_SEED, format="parquet")
    given = {"folder": str(folder), "artefact": str(material.artefact)}
    found = {way: ask("pipeline:features", {**given, "way": way}) for way in ("held", "streamed", "in 8 parts")}
    shutil.rmtree(folder)
    for way in ("streamed", "in 8 parts"):
        same = found[way]["sha256"] == found["held"]["sha256"] and found[way]["rows"] == count
        bench.holds(f"features {way} = held in memory", same, note=f"{count:,} applications, seven Parquet files")
    for way, answer in found.items():
        bench.info(f"features {way}: most memory", answer["gigabytes"], unit="GB",
                   note=f"{answer['before']:.2f} GB before anything was read; {answer['cpu']:.2f} CPU-s, reading included")  # fmt: skip


def only(scorer: Scorer, tables: dict[str, pl.DataFrame], row: int) -> dict[str, pl.DataFrame]:
    """The tables as if this application were the only one."""
    schema = scorer.schema
    found = {schema.main.name: tables[schema.main.name][row]}
    for name, table in schema.linked.items():
        assert table.parent is not None
        assert table.parent_table is not None
        parent = found.get(table.parent_table)
        if parent is not None:
            keys = parent[schema.tables[table.parent_table].key[0]]
            found[name] = tables[name].filter(pl.col(table.parent).is_in(keys.implode()))
    return found


def bits(scored: Scored, row: int = 0) -> tuple[object, ...]:
    """Everything that is decided of a row."""
    return (
        scored.ids[row], scored.probability[row], scored.raw[row], scored.log_odds[row], scored.points[row], scored.level[row],
        scored.decision[row], scored.groups[:, row].tobytes(), scored.reasons[row].tobytes(), scored.reason_missing[row].tobytes(),
        scored.flags.get(row, ()),
    )  # fmt: skip
