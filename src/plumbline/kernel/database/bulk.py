"""One call for many rows, at each engine's best pace (docs/decisions/0001)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from plumbline.kernel.database.query import upsert
from plumbline.kernel.database.schema import Table

STEP = 1000
COPY_FROM = 200  # rows from which COPY pays


def bulk_insert(session: Session, table: type[Table], rows: Iterable[Mapping[str, Any]], *, columns: Sequence[str]) -> int:
    """Insert rows given by database column name; a row whose id is there already is left as it is.

    :returns: how many rows were inserted.
    """
    target = table.__table__
    assert isinstance(target, sa.Table)
    stream = iter(rows)
    head = list(islice(stream, COPY_FROM))
    connection = session.connection()
    if len(head) == COPY_FROM and connection.dialect.name == "postgresql":
        return _copy(connection, target, columns, _chain(head, stream))
    inserted = 0
    statement = upsert(session, table).on_conflict_do_nothing(index_elements=["id"])
    if connection.dialect.name == "postgresql":  # its driver does not count the rows of many sets of parameters
        return len(connection.execute(statement.returning(target.c.id), head).all()) if head else 0
    for part in _steps(_chain(head, stream)):
        inserted += connection.execute(statement, part).rowcount
    return inserted


def _chain(head: list[Mapping[str, Any]], rest: Iterator[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    yield from head
    yield from rest


def _steps(rows: Iterator[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    while part := list(islice(rows, STEP)):
        yield part


def _copy(connection: sa.Connection, target: sa.Table, columns: Sequence[str], rows: Iterator[Mapping[str, Any]]) -> int:
    """COPY into a temporary table, then one INSERT … SELECT: row-level security refuses COPY into the table itself."""
    dialect = connection.dialect
    quote = dialect.identifier_preparer.quote
    names = ", ".join(quote(c) for c in columns)
    temporary = quote(f"bulk_{target.name}")
    # COPY knows nothing of SQLAlchemy's bind processors: apply them here
    processors = [target.c[c].type.dialect_impl(dialect).bind_processor(dialect) for c in columns]
    connection.exec_driver_sql(f"CREATE TEMP TABLE {temporary} (LIKE {quote(target.name)} INCLUDING DEFAULTS) ON COMMIT DROP")
    driver = connection.connection.driver_connection
    assert driver is not None
    with driver.cursor() as cursor:
        with cursor.copy(f"COPY {temporary} ({names}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row([p(row.get(c)) if p else row.get(c) for p, c in zip(processors, columns)])
        cursor.execute(f"INSERT INTO {quote(target.name)} ({names}) SELECT {names} FROM {temporary} ON CONFLICT (id) DO NOTHING")
        inserted: int = cursor.rowcount
        cursor.execute(f"DROP TABLE {temporary}")
    return inserted
