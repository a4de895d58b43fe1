"""One call for many rows, at each engine's best pace (docs/decisions/0001)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

import sqlalchemy as sa

from plumbline.kernel.database.engine import WriteSession
from plumbline.kernel.database.query import upsert
from plumbline.kernel.database.schema import Table

STEP = 1000
COPY_FROM = 200  # rows from which COPY pays


def bulk_insert(
    session: WriteSession, table: type[Table], rows: Iterable[Mapping[str, Any]], *, columns: Sequence[str]
) -> int:
    """Insert rows given by database column name; a row whose id is there already is left as it is.

    :returns: how many rows were inserted.
    """
    target = table.__table__
    assert isinstance(target, sa.Table)
    stream = iter(rows)
    head = list(islice(stream, COPY_FROM))
    connection = session.connection()
    if connection.dialect.name == "sqlite":
        return _many(connection, target, columns, chain(head, stream))
    if len(head) == COPY_FROM:
        return _copy(connection, target, columns, chain(head, stream))
    statement = upsert(session, table).on_conflict_do_nothing(index_elements=["id"]).returning(target.c.id)
    return len(connection.execute(statement, head).all()) if head else 0


def _bound(
    connection: sa.Connection, target: sa.Table, columns: Sequence[str]
) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    """A row as its driver takes it: what SQLAlchemy's bind processors do, kept for a column whose value stays the same."""
    dialect = connection.dialect
    processors = [target.c[c].type.dialect_impl(dialect).bind_processor(dialect) for c in columns]
    last: list[tuple[Any, Any]] = [(None, None)] * len(columns)

    def bound(row: Mapping[str, Any]) -> tuple[Any, ...]:
        values: list[Any] = []
        for i, (name, processor) in enumerate(zip(columns, processors)):
            value = row.get(name)
            if processor is not None and value is not None:
                if last[i][0] is not value:
                    last[i] = (value, processor(value))
                value = last[i][1]
            values.append(value)
        return tuple(values)

    return bound


def _many(
    connection: sa.Connection, target: sa.Table, columns: Sequence[str], rows: Iterator[Mapping[str, Any]]
) -> int:
    """The statement is written here: SQLAlchemy's way through its compiler costs as much as the insert."""
    quote = connection.dialect.identifier_preparer.quote
    names, marks = ", ".join(quote(c) for c in columns), ", ".join("?" * len(columns))
    statement = f"INSERT INTO {quote(target.name)} ({names}) VALUES ({marks}) ON CONFLICT (id) DO NOTHING"
    bound = _bound(connection, target, columns)
    inserted = 0
    while part := [bound(row) for row in islice(rows, STEP)]:
        inserted += connection.exec_driver_sql(statement, part).rowcount
    return inserted


def _copy(
    connection: sa.Connection, target: sa.Table, columns: Sequence[str], rows: Iterator[Mapping[str, Any]]
) -> int:
    """COPY into a temporary table, then one INSERT … SELECT: row-level security refuses COPY into the table itself."""
    dialect = connection.dialect
    quote = dialect.identifier_preparer.quote
    names = ", ".join(quote(c) for c in columns)
    temporary = quote(f"bulk_{target.name}")
    bound = _bound(connection, target, columns)
    connection.exec_driver_sql(
        f"CREATE TEMP TABLE {temporary} (LIKE {quote(target.name)} INCLUDING DEFAULTS) ON COMMIT DROP"
    )
    driver, module = connection.connection.driver_connection, dialect.dbapi
    assert driver is not None
    assert module is not None
    try:
        with driver.cursor() as cursor:
            with cursor.copy(f"COPY {temporary} ({names}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(bound(row))
            cursor.execute(
                f"INSERT INTO {quote(target.name)} ({names}) SELECT {names} FROM {temporary} ON CONFLICT (id) DO NOTHING"
            )
            inserted: int = cursor.rowcount
            cursor.execute(f"DROP TABLE {temporary}")
    except module.Error as error:  # as SQLAlchemy would have raised it
        raise sa.exc.DBAPIError.instance("COPY", None, error, module.Error, dialect=dialect) from error
    return inserted
