"""Refuses statements that forget the tenant, and writes on a reading connection.

Row-level security does this on PostgreSQL; on SQLite nothing else does, so the guard is on for both, always. It walks
a statement once per cache key and demands ``organization_id = …`` for every tenant table the statement touches.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import operators, visitors
from sqlalchemy.sql.dml import Delete, Insert, Update, UpdateBase
from sqlalchemy.sql.elements import BinaryExpression, TextClause
from sqlalchemy.sql.selectable import FromClause, FromClauseAlias, Join, Select

from plumbline.kernel.database.schema import tenant_tables

EXEMPT = frozenset({"unknown", "all", "schema"})
"""Values of the execution option ``tenant``: *unknown* before sign-in, *all* for the worker's and sealer's own
statements over every organization, *schema* for migrations and health."""


class TenantMissing(AssertionError):
    """A statement would see rows of every organization: a programming error, never a user's."""


class ReadOnly(AssertionError):
    """A reading session was asked to write."""


class Guard:
    def __init__(self) -> None:
        self._sound: set[Any] = set()

    def __call__(self, connection: sa.Connection, clause: Any, _multi: Any, _params: Any, options: Any) -> None:
        every = {**connection.get_execution_options(), **options}
        writes = isinstance(clause, UpdateBase)
        if writes and not every.get("write"):
            raise ReadOnly("a reading session cannot write; use database.write()")
        if every.get("tenant") in EXEMPT:
            return
        if isinstance(clause, TextClause):
            raise TenantMissing(f"text SQL needs the execution option tenant=…: {clause.text[:80]}")
        if not isinstance(clause, sa.sql.ClauseElement):
            return
        key = clause._generate_cache_key()  # the documented per-statement key, also used by SQLAlchemy's own cache
        if key is not None and key.key in self._sound:
            return
        missing = unscoped(clause)
        if missing:
            raise TenantMissing(f"no organization_id filter for {', '.join(sorted(missing))}")
        if key is not None and len(self._sound) < 10_000:
            self._sound.add(key.key)


def unscoped(statement: Any) -> set[str]:
    """Names of the tenant tables in ``statement`` that no ``organization_id = …`` limits."""
    tenants = tenant_tables()
    seen: dict[int, FromClause] = {}
    limited: set[int] = set()

    def take(source: Any) -> None:
        """A table, or each table of a join. An alias is a source of its own: the table behind it is not looked at."""
        if isinstance(source, Join):
            take(source.left)
            take(source.right)
            return
        table = source.element if isinstance(source, FromClauseAlias) else source
        if isinstance(table, sa.Table) and table.name in tenants:
            seen[hash(source)] = source

    for element in visitors.iterate(statement):
        if isinstance(element, Select):
            for source in element.get_final_froms():
                take(source)
        elif isinstance(element, Update | Delete):
            take(element.table)
        elif isinstance(element, Insert) and element.select is None:
            continue  # NOT NULL and the row's own organization_id
        elif isinstance(element, BinaryExpression) and element.operator is operators.eq:
            for side in (element.left, element.right):
                if getattr(side, "name", None) == "organization_id":
                    limited.add(hash(getattr(side, "table", None)))
        elif isinstance(element, sa.Column):
            take(element.table)
    if isinstance(statement, Insert):
        seen.pop(hash(statement.table), None)
    return {
        source.name if isinstance(source, sa.Table) else f"{source.element.name} as {source.name}"  # type: ignore[attr-defined]
        for key, source in seen.items()
        if key not in limited
    }
