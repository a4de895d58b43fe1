"""A model as SQL: every figure equal to the scorer's to the last bit, on each engine."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import Server
from tests.credit import trained as world

from plumbline.credit.modelling.artifact import golden_inputs, members_of
from plumbline.credit.modelling.logistic import logistic
from plumbline.credit.modelling.policy import LEVELS
from plumbline.credit.modelling.scorer import Scorer
from plumbline.credit.modelling.sql import DIALECTS, _Writer, sql_of
from plumbline.credit.modelling.training import Trained
from plumbline.kernel.errors import InvalidInput
from plumbline.kernel.models.artifacts import ArtifactStore, unpack
from plumbline.kernel.models.calibration import CalibrationMap

Floats = npt.NDArray[np.float64]
Rows = list[tuple[Any, ...]]
Run = Callable[[str, Sequence[str], Floats], Rows]
ROWS = 5000
BENT = CalibrationMap("isotonic", knots=(-3.0, -2.2, -1.1, 0.3), values=(-2.9, -2.5, -0.7, 0.1))
CALIBRATIONS = [CalibrationMap(), CalibrationMap("platt", -0.137, 1.0913), BENT]


def on_sqlite(statement: str, names: Sequence[str], values: Floats) -> Rows:
    with closing(sqlite3.connect(":memory:")) as connection:
        columns = ", ".join(f'"{n}" REAL' for n in names)
        connection.execute(f"CREATE TABLE features (no INTEGER, {columns})")
        marks = ", ".join("?" * (len(names) + 1))
        connection.executemany(
            f"INSERT INTO features VALUES ({marks})", [(i, *_nulls(row)) for i, row in enumerate(values.tolist())]
        )
        return sorted(connection.execute(statement).fetchall())


def _nulls(row: list[float], keep: bool = False) -> list[float | None]:
    return [None if v != v and not keep else v for v in row]  # noqa: PLR0124 - NaN


def on_duckdb(statement: str, names: Sequence[str], values: Floats) -> Rows:
    duckdb = pytest.importorskip("duckdb", reason="duckdb is not installed")
    import pyarrow as pa

    table = pa.table({"no": np.arange(len(values)), **{n: pa.array(values[:, i]) for i, n in enumerate(names)}})
    with closing(duckdb.connect()) as connection:
        connection.register("given", table)
        connection.execute("CREATE TABLE features AS SELECT * FROM given")  # NaN stays NaN here
        return sorted(connection.execute(statement).fetchall())


@pytest.fixture
def on_postgresql(postgres: Server) -> Any:
    import psycopg

    url = postgres.empty()

    def run(statement: str, names: Sequence[str], values: Floats) -> Rows:
        with psycopg.connect(url.replace("postgresql+psycopg", "postgresql"), autocommit=True) as connection:
            connection.execute("DROP TABLE IF EXISTS features")
            columns = ", ".join(f'"{n}" float8' for n in names)
            connection.execute(f"CREATE TABLE features (no integer, {columns})")
            with connection.cursor().copy("COPY features FROM STDIN") as copy:
                for i, row in enumerate(values.tolist()):
                    copy.write_row((i, *_nulls(row, keep=i % 2 == 0)))  # missing as NaN and as NULL
            return sorted(connection.execute(statement).fetchall())  # type: ignore[call-overload]

    yield run
    postgres.drop(url)


@pytest.fixture(params=["sqlite", "duckdb", pytest.param("postgresql", marks=pytest.mark.postgres)])
def engine(request: pytest.FixtureRequest) -> tuple[str, Run]:
    if request.param == "postgresql":
        return request.param, request.getfixturevalue("on_postgresql")
    return request.param, {"sqlite": on_sqlite, "duckdb": on_duckdb}[request.param]


def hard(scorer: Scorer, rows: int = ROWS, seed: int = 7) -> Floats:
    """Feature vectors on and beside thresholds, with missing values, infinities, unseen codes and zeros."""
    values = golden_inputs(scorer.tables, scorer.features, seed, rows)
    rng = np.random.default_rng(seed)
    hit = rng.random(values.shape) < 0.03
    values[hit] = rng.choice([np.inf, -np.inf, np.nan, 0.0, -0.0, -1.0, 1e-36, -1e-36, 1e9], hit.sum())
    return values


def agrees(scorer: Scorer, values: Floats, rows: Rows) -> None:
    raw = scorer.tables.raw(values)
    log_odds = scorer.calibration.apply(raw)
    probability = logistic(log_odds)
    assert [row[0] for row in rows] == list(range(len(values)))
    for place, wanted in enumerate((raw, log_odds, probability), start=1):
        assert np.array([row[place] for row in rows], dtype=np.float64).tolist() == wanted.tolist()
    assert [row[4] for row in rows] == [LEVELS[i] for i in scorer.policy.levels(probability)]
    assert [float(row[5]) for row in rows] == scorer.policy.scale.points(log_odds).tolist()


@pytest.mark.parametrize("calibration", CALIBRATIONS, ids=[c.kind for c in CALIBRATIONS])
def test_it_is_the_scorer_bit_for_bit(trained: Trained, engine: tuple[str, Run], calibration: CalibrationMap) -> None:
    dialect, run = engine
    members = members_of(replace(trained, calibration=calibration))
    scorer = Scorer.load(members)
    values = hard(scorer)
    statement = sql_of(members, dialect, key="no")
    agrees(scorer, values, run(statement, [f.name for f in scorer.features], values))


def test_a_model_from_seven_tables_is_itself_on_unseen_applications(engine: tuple[str, Run]) -> None:
    dialect, run = engine
    scorer = world.scorer()
    sha256 = world._sqlite_world().lenders["northwind"].sha256
    members = unpack(ArtifactStore(world.artifacts()).get(sha256))
    real = scorer.transformer.transform(world.unlabelled()).values
    values = np.concatenate((real, hard(scorer, 1000)))
    statement = sql_of(members, dialect, key="no", heading=("a name\nin two lines",))
    assert statement.startswith("-- a name in two lines\nWITH ")
    assert len(statement) < 400_000
    agrees(scorer, values, run(statement, [f.name for f in scorer.features], values))


NUMBERS = st.one_of(
    st.floats(allow_nan=False),
    st.floats(-1e6, 1e6).map(lambda v: float(f"{v:.15g}")),
    st.integers(-(2**60), 2**60).map(float),
    st.integers(-1022, 1023).map(lambda k: 2.0**k),
).filter(lambda v: v == 0 or abs(v) >= 2.0**-1022)


@given(st.lists(NUMBERS, min_size=1, max_size=50))
def test_sqlite_reads_every_number_as_it_is(values: list[float]) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        write = _Writer("sqlite")
        (row,) = connection.execute("SELECT " + ", ".join(write.number(v) for v in values))
        assert list(row) == values


def test_numbers_as_the_engines_need_them() -> None:
    assert _Writer("postgresql").number(0.1) == "'0.1'::float8"
    assert _Writer("duckdb").number(0.5) == "0.5e0"
    assert _Writer("duckdb").number(1e-20) == "1e-20"
    assert _Writer("sqlite").number(0.75) == "(3.0/4.0)"
    assert _Writer("sqlite").number(-3.0) == "-3.0"


def test_names_are_quoted_and_an_unknown_engine_is_refused(trained: Trained) -> None:
    members = members_of(trained)
    statement = sql_of(members, "sqlite", table='a "b"; DROP', key='k"')
    assert 'FROM "a ""b""; DROP"' in statement
    assert '"k""" AS k' in statement
    for dialect in DIALECTS:
        assert sql_of(members, dialect, key="no") == sql_of(members, dialect, key="no")
    with pytest.raises(InvalidInput, match="no export"):
        sql_of(members, "oracle", key="no")
    with pytest.raises(InvalidInput, match="without NUL"):
        sql_of(members, "sqlite", table="", key="no")
