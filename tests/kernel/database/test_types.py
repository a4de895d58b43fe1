"""A value comes back from either engine as it went in, or it is refused."""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plumbline.kernel.database import Database, types
from plumbline.kernel.errors import InvalidInput

COLUMNS: dict[str, Any] = {
    "id": types.Id(), "at": types.Timestamp(), "amount": types.Exact(19, 6), "span": types.Duration(), "data": types.Json(),
    "evidence": types.LedgerJson(), "flag": types.Flag(), "day": types.Day(), "real": types.Real, "whole": types.Whole, "raw": types.Bytes,
}  # fmt: skip
SCRATCH = sa.Table("scratch", sa.MetaData(), *(sa.Column(n, t) for n, t in COLUMNS.items()), prefixes=["TEMPORARY"])


@contextmanager
def scratch(url: str) -> Iterator[sa.Connection]:
    database = Database(url, role="owner")
    try:
        with database.connect(write=True) as connection:
            connection = connection.execution_options(tenant="schema")
            SCRATCH.create(connection)
            yield connection
            SCRATCH.drop(connection)
    finally:
        database.close()


def through(connection: sa.Connection, name: str, value: Any) -> Any:
    connection.execute(sa.delete(SCRATCH))
    connection.execute(sa.insert(SCRATCH), {name: value})
    return connection.execute(sa.select(SCRATCH.c[name])).scalar_one()


KEY = uuid.UUID("01a20cee-17e0-7001-bf42-b72d32bb16d0")
TREE = {"b": [1, 2.5, None, True], "a": {"ü": "\U0001f4b6"}, "largest": 2**53 - 1, "small": 5e-324, "e": 1e-300}
KEPT = [
    ("id", KEY), ("at", datetime(2026, 11, 24, 9, 41, 0, 123456, tzinfo=UTC)), ("at", datetime(1970, 1, 1, tzinfo=UTC)),
    ("amount", Decimal("1234567890123.123456")), ("amount", Decimal("-0.000001")), ("amount", Decimal(0)),
    ("span", timedelta(days=-3, microseconds=7)), ("span", timedelta(microseconds=-1)), ("data", TREE), ("evidence", TREE),
    ("data", []), ("evidence", {}), ("flag", True), ("flag", False), ("day", date(2024, 2, 29)), ("real", 0.1 + 0.2), ("real", -0.0),
    ("whole", 2**63 - 1), ("whole", -(2**63)), ("raw", bytes(range(256))),
]  # fmt: skip


def test_values_come_back_as_they_went_in(database_url: str) -> None:
    with scratch(database_url) as connection:
        for name, value in KEPT:
            back = through(connection, name, value)
            assert back == value, name
            assert type(back) is type(value), name
        for name in COLUMNS:
            assert through(connection, name, None) is None, name


def test_a_time_of_another_zone_is_the_same_moment_in_utc(database_url: str) -> None:
    there = datetime(2026, 11, 24, 12, 0, tzinfo=timezone(timedelta(hours=2)))
    with scratch(database_url) as connection:
        back = through(connection, "at", there)
    assert back == there
    assert back.utcoffset() == timedelta(0)
    assert back.hour == 10


def test_times_and_amounts_sort_as_they_are(database_url: str) -> None:
    amounts = [Decimal("9.5"), Decimal("10"), Decimal("-10"), Decimal("-9.5")]
    with scratch(database_url) as connection:
        connection.execute(sa.delete(SCRATCH))
        connection.execute(
            sa.insert(SCRATCH),
            [{"amount": a, "at": datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=float(a))} for a in amounts],
        )
        for column in ("amount", "at"):
            assert list(connection.scalars(sa.select(SCRATCH.c.amount).order_by(SCRATCH.c[column]))) == sorted(amounts)


NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001 - what is refused
REFUSED: list[tuple[str, Any]] = [
    ("data", {"x": math.nan}), ("data", [math.inf]), ("data", {"x": "a\x00b"}), ("data", {"x": "\ud800"}), ("data", {"x": 2**53}),
    ("data", {1: 2}), ("data", {"x": {1, 2}}), ("evidence", {"x": math.nan}), ("evidence", ["\udfff"]), ("evidence", -(2**53)),
    ("evidence", {"x\x00": 1}), ("at", NAIVE), ("amount", Decimal("0.0000001")), ("amount", Decimal(10) ** 14),
    ("amount", 0.5), ("amount", True),
    ("amount", Decimal("12345678901234.123456")),  # 2**63 millionths are 9.2e12: refused, where a float would lose its last digits
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_what_cannot_be_kept_is_refused_before_it_is_sent(sqlite_url: str, name: str, value: Any) -> None:
    dialects = [sa.create_engine("sqlite://").dialect, sa.create_engine("postgresql+psycopg://").dialect]
    for dialect in dialects:
        with pytest.raises((InvalidInput, ValueError, TypeError)):
            COLUMNS[name].process_bind_param(value, dialect)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-1e15, 1e15)
    | st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abcdefg.\"\\é", max_size=4), inner, max_size=4),
    max_leaves=6,
)  # fmt: skip
rows = st.lists(
    st.fixed_dictionaries({
        "amount": st.decimals(Decimal("-999999999999"), Decimal("999999999999"), places=6),
        "at": st.datetimes(NAIVE.replace(year=1900), NAIVE.replace(year=2999), timezones=st.sampled_from([UTC, timezone(timedelta(hours=-7, minutes=30))])),
        "span": st.timedeltas(timedelta(days=-40000), timedelta(days=40000)),
        "evidence": json_values.filter(lambda v: v is not None),
    }), min_size=1, max_size=12,
)  # fmt: skip


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows)
def test_any_value_survives(database_url: str, rows: list[dict[str, Any]]) -> None:
    with scratch(database_url) as connection:
        connection.execute(sa.insert(SCRATCH), [{**r, "whole": i} for i, r in enumerate(rows)])
        back = connection.execute(
            sa.select(SCRATCH.c.amount, SCRATCH.c.at, SCRATCH.c.span, SCRATCH.c.evidence).order_by(SCRATCH.c.whole)
        )
        assert [dict(r) for r in back.mappings()] == rows
