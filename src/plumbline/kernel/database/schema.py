"""What every table has in common: the metadata, the mixins, the naming of constraints."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column

from plumbline.kernel.database import types

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Table(DeclarativeBase):
    """Base of all tables. ``owner`` in a table's info names the migration branch it belongs to."""

    metadata = sa.MetaData(naming_convention=NAMES)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        UUID: types.Id(), datetime: types.Timestamp(), bool: types.Flag(), str: sa.Text(), int: types.Whole, float: types.Real, bytes: types.Bytes,
    }  # fmt: skip

    @declared_attr.directive
    def __table_args__(cls) -> Any:  # noqa: N805 - SQLAlchemy passes the class
        return options()


def options(*constraints: Any, owner: str = "kernel") -> Any:
    """``__table_args__``: constraints and indexes, STRICT on SQLite, the owner of the table's migrations."""
    return (*constraints, {"sqlite_strict": True, "info": {"owner": owner}})


def one_of(column: str, *values: str) -> sa.CheckConstraint:
    """Checked text: the database stores the words themselves."""
    listed = ", ".join(f"'{v}'" for v in values)
    return sa.CheckConstraint(f"{column} in ({listed})", name=column)


class Keyed:
    """A UUIDv7 made by the application."""

    id: Mapped[UUID] = mapped_column(primary_key=True)


class TenantOwned(Keyed):
    """A row of one organization. Its table has the index (organization_id, id), whose order is time."""

    organization_id: Mapped[UUID] = mapped_column(sa.ForeignKey("organizations.id"))


class Timestamped:
    """``updated_at`` is set by the services from the context's clock; a trigger fills it where a statement forgot."""

    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class SoftDeleted:
    """Gone for users, kept until retention takes it."""

    deleted_at: Mapped[datetime | None]


def by_time(table: str) -> sa.Index:
    """The index behind every list of a tenant-owned table. Ascending: it serves both directions."""
    return sa.Index(f"ix_{table}_organization_id_id", "organization_id", "id")


def tenant_tables() -> frozenset[str]:
    """Names of all tables with an ``organization_id``."""
    return frozenset(t.name for t in Table.metadata.tables.values() if "organization_id" in t.c)
