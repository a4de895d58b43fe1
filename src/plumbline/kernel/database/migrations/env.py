"""Alembic's environment: the connection comes from kernel.database.migrate, which knows both engines."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import context
from sqlalchemy.types import TypeEngine

from plumbline.kernel.database import schema, types


def included(item: Any, name: str | None, kind: str, reflected: bool, compare_to: Any) -> bool:
    """Hide what Alembic cannot judge (full-text shadow tables), and other rooms' tables while one room autogenerates."""
    if kind == "table" and name and "_fts" in name:
        return False
    owner = context.config.attributes.get("owner")
    if owner and kind == "table":
        known = schema.Table.metadata.tables.get(name or "")
        return known is not None and known.info.get("owner") == owner
    return True


def same_type(
    _context: Any, _inspected: Any, _column: Any, inspected_type: TypeEngine[Any], wanted: TypeEngine[Any]
) -> bool | None:
    """SQLite keeps only an affinity of each of our types: compare that."""
    dialect = context.get_context().dialect
    if isinstance(wanted, sa.types.TypeDecorator):
        there, want = inspected_type.compile(dialect), wanted.dialect_impl(dialect).compile(dialect)
        return there.split("(")[0].upper() != want.split("(")[0].upper()
    return None


def rendered(kind: str, item: Any, autogen: Any) -> str | bool:
    """Our own types by their own names."""
    if kind == "type" and type(item).__module__ == types.__name__:
        arguments = f"{item.precision}, {item.scale}" if isinstance(item, types.Exact) else ""
        return f"types.{type(item).__name__}({arguments})"
    if kind == "type" and item is types.Whole:
        return "types.Whole"
    if kind == "type" and item is types.Real:
        return "types.Real"
    return False


connection: sa.Connection | None = context.config.attributes.get("connection")
settings: dict[str, Any] = {
    "target_metadata": schema.Table.metadata,
    "include_object": included,
    "compare_type": same_type,
    "compare_server_default": True,
    "render_item": rendered,
    "transaction_per_migration": False,
}
if connection is None:
    context.configure(dialect_name=context.config.attributes["dialect"], literal_binds=True, **settings)
else:
    context.configure(connection=connection, render_as_batch=connection.dialect.name == "sqlite", **settings)
with context.begin_transaction():
    context.run_migrations()
