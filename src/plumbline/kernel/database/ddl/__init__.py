"""What a migration tool does not see: triggers, policies, functions, grants.

Each is a named statement per dialect. Migrations call :func:`install`, a test compares the live database with
:func:`expected`, and ``plumbline db check`` does the same for an operator.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from plumbline.kernel.database.ddl import postgresql, sqlite
from plumbline.kernel.database.schema import Table


def statements(dialect: str, table: str) -> list[str]:
    """Everything that belongs to ``table`` beyond its columns, in the order in which it must run."""
    columns = Table.metadata.tables[table].c
    tenant, timed = "organization_id" in columns, "updated_at" in columns
    if dialect == "sqlite":
        return sqlite.of_table(table, timed=timed)
    return postgresql.of_table(table, tenant=tenant, timed=timed)


def install(operations: Any, tables: Iterable[str]) -> None:
    """Make triggers, policies and grants of new tables; ``operations`` is Alembic's ``op`` (it may only print)."""
    dialect = operations.get_context().dialect.name
    if dialect == "postgresql":
        for statement in postgresql.functions():
            operations.execute(statement)
    for table in tables:
        for statement in statements(dialect, table):
            operations.execute(statement)


def renew(operations: Any, tables: Iterable[str]) -> None:
    """Make the triggers of tables that are there anew: a later version guards more than the first did."""
    dialect = operations.get_context().dialect.name
    for table in tables:
        for statement in statements(dialect, table):
            words = statement.split()
            if words[:2] == ["CREATE", "TRIGGER"]:
                operations.execute(
                    f"DROP TRIGGER IF EXISTS {words[2]}" + ("" if dialect == "sqlite" else f" ON {table}")
                )
                operations.execute(statement)


def install_lookups(operations: Any) -> None:
    """Functions that need tables to exist: the look-ups before a tenant is known, and the claim of a job."""
    if operations.get_context().dialect.name == "postgresql":
        operations.execute("GRANT SELECT ON alembic_version TO plumbline_app, plumbline_worker")
        for statement in postgresql.lookups():
            operations.execute(statement)


def remove(operations: Any) -> None:
    """Functions outlive their tables; the last downgrade takes them."""
    if operations.get_context().dialect.name == "postgresql":
        for name in postgresql.function_names():
            operations.execute(f"DROP FUNCTION IF EXISTS {name} CASCADE")


def restore(operations: Any, table: str) -> None:
    """A batch step on SQLite rebuilds its table and drops the triggers: make them again."""
    if operations.get_context().dialect.name == "sqlite":
        for statement in statements("sqlite", table):
            operations.execute(statement)


def expected(dialect: str) -> set[str]:
    """What the live database must have: triggers, and on PostgreSQL row-level security, policies and functions."""
    found: set[str] = set()
    for table in Table.metadata.tables:
        for statement in statements(dialect, table):
            words = statement.split()
            if words[:2] == ["CREATE", "TRIGGER"]:
                found.add(f"trigger {words[2]}")
            elif words[:2] == ["CREATE", "POLICY"]:
                found.add(f"policy {words[2]} on {table}")
            elif words[3:] == ["ENABLE", "ROW", "LEVEL", "SECURITY"]:
                found.add(f"row-level security on {table}")
    if dialect == "postgresql":
        found |= {f"function {name.partition('(')[0]}" for name in postgresql.function_names()}
    return found


def live(connection: sa.Connection) -> set[str]:
    """What is there, named alike. Functions of others (an extension's) are no business of ours."""
    if connection.dialect.name == "sqlite":
        return {
            f"trigger {row[0]}"
            for row in connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        }
    ours = {name.partition("(")[0] for name in postgresql.function_names()}
    found = {
        f"trigger {row[0]}"
        for row in connection.exec_driver_sql("SELECT tgname FROM pg_trigger WHERE NOT tgisinternal")
    }
    found |= {
        f"policy {row[0]} on {row[1]}"
        for row in connection.exec_driver_sql("SELECT policyname, tablename FROM pg_policies")
    }
    secured = "SELECT relname FROM pg_class WHERE relrowsecurity AND relnamespace = 'public'::regnamespace"
    found |= {f"row-level security on {row[0]}" for row in connection.exec_driver_sql(secured)}
    functions = connection.exec_driver_sql("SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace")
    return found | {f"function {row[0]}" for row in functions if row[0] in ours}
