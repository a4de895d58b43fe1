"""A file of applications to a file of results, as a batch does it, less the database; and the usual stack beside it."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.material import loaded
from benchmarks.processes import say
from plumbline.credit.features.matrix import Matrix
from plumbline.credit.features.scanning import scanned
from plumbline.credit.intake.readers import open_upload
from plumbline.credit.results import Part, combine, table_of, write_part
from plumbline.credit.service.batches import CHUNK_ROWS


def ours(file: str, artefact: str, folder: str) -> None:
    """Read, check, transform, score with reasons, write; says the CPU-seconds of each step and the most memory."""
    scorer = loaded(Path(artefact))
    schema, transformer = scorer.schema, scorer.transformer
    scorer.score({schema.main.name: _first_rows(Path(file), artefact)})
    target, parts = Path(folder), list[Part]()
    spent = dict.fromkeys(("read", "transform", "score", "write"), 0.0)
    mark = begun = time.process_time()

    def step(name: str) -> None:
        nonlocal mark
        now = time.process_time()
        spent[name] += now - mark
        mark = now

    with open_upload(Path(file), schema, scoring=True) as upload:
        history = transformer.history(upload.linked)
        for chunk in upload.chunks(0, CHUNK_ROWS):
            step("read")
            matrix = transformer.transform({schema.main.name: chunk.frame}, history)
            step("transform")
            scored = scorer.score_matrix(matrix)
            step("score")
            part = Part(f"{chunk.index:05d}-1", chunk.rows, chunk.rejected_rows, chunk.warnings)
            write_part(target / "parts", part, table_of(scored, "1.0.0", schema.id), chunk.rejects, b"")
            parts.append(part)
            step("write")
    step("read")
    combine(target / "parts", target, parts)
    step("write")
    say({"cpu": time.process_time() - begun, **spent, "rows": sum(p.rows for p in parts), "rejected": sum(p.rejected for p in parts),
         "gigabytes": peak_gigabytes()})  # fmt: skip


def features(folder: str, artefact: str, way: str) -> None:
    """The matrix of seven Parquet files: held whole, streamed, or in eight parts; says a hash of all its bits."""
    transformer = loaded(Path(artefact)).transformer
    files = {name: Path(folder) / f"{name}.parquet" for name in transformer.schema.tables}
    tables = scanned(files, transformer.schema)
    before, begun = peak_gigabytes(), time.process_time()
    parts: Iterable[Matrix]
    if way == "held":
        parts = [transformer.transform({name: lazy.collect() for name, lazy in tables.items()})]
    else:
        parts = (
            transformer.transform_lazy(tables, 8_192)
            if way == "streamed"
            else transformer.transform_partitions(tables, 8)
        )
    spent, rows = 0.0, dict[int, bytes]()
    for part in parts:
        spent += time.process_time() - begun
        for key, row in zip(part.ids.to_list(), np.ascontiguousarray(part.values), strict=True):
            rows[key] = hashlib.sha256(row.tobytes()).digest()
        begun = time.process_time()
    whole = hashlib.sha256(b"".join(rows[key] for key in sorted(rows))).hexdigest()
    say({"cpu": spent + time.process_time() - begun, "rows": len(rows), "sha256": whole,
         "gigabytes": peak_gigabytes(), "before": before})  # fmt: skip


def _first_rows(file: Path, artefact: str) -> pl.DataFrame:
    """A few rows, so that the first use of the libraries is not measured."""
    small = Path(artefact).with_name("first.csv")
    with file.open("rb") as whole:
        small.write_bytes(b"".join(whole.readline() for _ in range(200)))
    with open_upload(small, loaded(Path(artefact)).schema, scoring=True) as upload:
        return pl.concat([chunk.frame for chunk in upload.chunks()])


def peak_gigabytes() -> float:
    """The most memory this program has held. Linux counts in ``ru_maxrss`` also what its parent held when it was begun."""
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024 / 1e9
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9


def usual(file: str, trained_on: str, rows: int, folder: str) -> None:
    """pandas, LightGBM's predict and its pred_contrib, the four largest, a CSV: on the first ``rows`` rows.

    The model has the champion's size and settings and is trained on the columns of the file themselves.
    """
    import lightgbm
    import pandas as pd

    from plumbline.credit.modelling import champion

    def columns(
        path: str, levels: dict[str, pd.Index] | None, count: int | None
    ) -> tuple[pd.DataFrame, dict[str, pd.Index]]:
        frame = pd.read_csv(path, nrows=count)
        known = levels or {}
        for name in frame.columns[[not pd.api.types.is_numeric_dtype(kind) for kind in frame.dtypes]]:
            frame[name] = pd.Categorical(frame[name], categories=known.get(name))
            known[name] = frame[name].cat.categories
        return frame, known

    learnt, levels = columns(trained_on, None, None)
    settings = champion.Settings().parameters(())
    inputs = [c for c in learnt.columns if c not in ("SK_ID_CURR", "TARGET")]
    settings["feature_fraction"] = 0.2
    booster = lightgbm.train(settings, lightgbm.Dataset(learnt[inputs], learnt["TARGET"]), num_boost_round=150)
    columns(file, levels, 1_000)
    begun = time.process_time()
    frame, _ = columns(file, levels, rows)
    probability = booster.predict(frame[inputs], num_threads=1)
    shares = np.asarray(booster.predict(frame[inputs], pred_contrib=True, num_threads=1))[:, :-1]
    largest = np.argsort(-shares, axis=1)[:, :4]
    results = pd.DataFrame({"sk_id_curr": frame["SK_ID_CURR"], "probability": probability})
    names = np.array(inputs)
    for place in range(4):
        results[f"reason_{place + 1}"] = names[largest[:, place]]
    results.to_csv(Path(folder) / "usual.csv", index=False)
    say({"cpu": time.process_time() - begun, "rows": len(frame)})
