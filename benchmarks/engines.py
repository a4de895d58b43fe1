"""The model as SQL on the engines that are here: every figure equal to the scorer's, bit for bit."""

from __future__ import annotations

import importlib.util
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from benchmarks.harness import Bench
from benchmarks.load import NO_SERVER, postgres
from benchmarks.material import Material
from benchmarks.proofs import odd_rows
from plumbline.credit.features.matrix import Matrix
from plumbline.credit.modelling.policy import LEVELS
from plumbline.credit.modelling.sql import sql_of

Floats = npt.NDArray[np.float64]
Rows = list[tuple[Any, ...]]


def python_and_sql(bench: Bench, material: Material) -> None:
    """Raw score, log-odds, probability, level and points of real and of odd rows."""
    scorer = material.scorer
    matrix = scorer.transformer.transform(material.judged.tables)
    values = np.asfortranarray(np.concatenate([matrix.values[:4_000], odd_rows(scorer, matrix, 1_000)]))
    names = [feature.name for feature in scorer.features]
    scored = scorer.score_matrix(Matrix(pl.Series("no", range(len(values))), values, scorer.features))
    wanted = list(
        zip(
            range(len(values)), scored.raw.tolist(), scored.log_odds.tolist(), scored.probability.tolist(),
            [LEVELS[i] for i in scored.level], scored.points.tolist(), strict=True,
        )
    )  # fmt: skip
    engines: dict[str, Callable[[str, Sequence[str], Floats], Rows]] = {
        "sqlite": _sqlite, "duckdb": _duckdb, "postgresql": _postgresql
    }  # fmt: skip
    for dialect, run in engines.items():
        name = f"Python = SQL on {dialect}, bit for bit"
        if dialect == "duckdb" and importlib.util.find_spec("duckdb") is None:
            bench.no_data(name, "duckdb is not installed")
            continue
        try:
            found = run(sql_of(material.members, dialect, key="no"), names, values)
        except LookupError:
            bench.no_data(name, NO_SERVER)
            continue
        same = [(*row[:5], float(row[5])) for row in found] == wanted
        bench.holds(name, same, note=f"{len(values):,} rows, of them 1,000 made of odd values")


def _rows(values: Floats) -> list[tuple[float | None, ...]]:
    """With the row's number before it; missing is NULL."""
    return [(i, *(None if np.isnan(v) else v for v in row)) for i, row in enumerate(values.tolist())]


def _columns(names: Sequence[str], kind: str) -> str:
    return ", ".join(f'"{name}" {kind}' for name in names)


def _sqlite(statement: str, names: Sequence[str], values: Floats) -> Rows:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(f"CREATE TABLE features (no INTEGER, {_columns(names, 'REAL')})")
        marks = ", ".join("?" * (len(names) + 1))
        connection.executemany(f"INSERT INTO features VALUES ({marks})", _rows(values))
        return sorted(connection.execute(statement).fetchall())


def _duckdb(statement: str, names: Sequence[str], values: Floats) -> Rows:
    import duckdb
    import pyarrow as pa

    columns = {name: pa.array(values[:, i]) for i, name in enumerate(names)}  # missing stays NaN here
    with closing(duckdb.connect()) as connection:
        connection.register("given", pa.table({"no": np.arange(len(values)), **columns}))
        connection.execute("CREATE TABLE features AS SELECT * FROM given")
        return sorted(connection.execute(statement).fetchall())


def _postgresql(statement: str, names: Sequence[str], values: Floats) -> Rows:
    """:raises LookupError: there is no server."""
    import psycopg

    server = postgres()
    url = server.empty()
    try:
        with psycopg.connect(url.replace("postgresql+psycopg", "postgresql"), autocommit=True) as connection:
            connection.execute(f"CREATE TABLE features (no integer, {_columns(names, 'float8')})".encode())
            with connection.cursor().copy("COPY features FROM STDIN") as copy:
                for row in _rows(values):
                    copy.write_row(row)
            return sorted(connection.execute(statement.encode()).fetchall())
    finally:
        server.drop(url)
