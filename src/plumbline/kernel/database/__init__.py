"""One schema on SQLite and PostgreSQL. Imports no other part of the kernel but its plain values."""

from plumbline.kernel.database.bulk import bulk_insert
from plumbline.kernel.database.engine import Database, ReadSession, WriteSession
from plumbline.kernel.database.ids import accept_client_id, first_id, new_id, time_of
from plumbline.kernel.database.query import changed, one, page, scoped, upsert
from plumbline.kernel.database.schema import (
    Keyed,
    SoftDeleted,
    Table,
    TenantOwned,
    Timestamped,
    by_time,
    one_of,
    options,
)

__all__ = [
    "Database",
    "Keyed",
    "ReadSession",
    "SoftDeleted",
    "Table",
    "TenantOwned",
    "Timestamped",
    "WriteSession",
    "accept_client_id",
    "bulk_insert",
    "by_time",
    "changed",
    "first_id",
    "new_id",
    "one",
    "one_of",
    "options",
    "page",
    "scoped",
    "time_of",
    "upsert",
]
