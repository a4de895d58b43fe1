"""Column types that keep values exactly on both engines (docs/decisions/0001).

SQLAlchemy's own types are silently wrong on SQLite: exact numbers become floats, times lose their zone.
"""

from __future__ import annotations

import decimal
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.types import TypeDecorator, TypeEngine

from plumbline.kernel import canonical, clock


class Id(TypeDecorator[UUID]):
    """uuid / BLOB(16)."""

    impl = sa.LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(pg.UUID(as_uuid=True))
        return dialect.type_descriptor(sa.LargeBinary(16))

    def process_bind_param(self, value: UUID | None, dialect: Dialect) -> Any:
        return value if value is None or dialect.name == "postgresql" else value.bytes

    def process_result_value(self, value: Any, dialect: Dialect) -> UUID | None:
        return value if value is None or isinstance(value, UUID) else UUID(bytes=value)


class Timestamp(TypeDecorator[datetime]):
    """timestamptz / 27 characters of ISO 8601 in UTC; a naive time is refused."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(pg.TIMESTAMP(timezone=True))
        return dialect.type_descriptor(sa.Text())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time needs its zone")
        return value if dialect.name == "postgresql" else clock.text(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.astimezone(UTC) if isinstance(value, datetime) else datetime.fromisoformat(value)


class Exact(TypeDecorator[decimal.Decimal]):
    """numeric(precision, scale) / scaled INTEGER; more digits than the scale holds are refused, not rounded."""

    impl = sa.Numeric
    cache_ok = True

    def __init__(self, precision: int = 18, scale: int = 6) -> None:
        super().__init__(precision, scale)
        self.precision, self.scale = precision, scale

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(sa.Numeric(self.precision, self.scale))
        return dialect.type_descriptor(sa.Integer())

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        if value is None:
            return None
        if not isinstance(value, decimal.Decimal | int) or isinstance(value, bool):
            raise TypeError(f"an exact column takes Decimal or int, not {type(value).__name__}")
        scaled = decimal.Decimal(value).scaleb(self.scale)
        whole = int(scaled)
        if scaled != whole:
            raise ValueError(f"{value} has more than {self.scale} decimals")
        if abs(whole) >= min(10**self.precision, 2**63):
            raise ValueError(f"{value} is too large for numeric({self.precision},{self.scale})")
        return decimal.Decimal(value) if dialect.name == "postgresql" else whole

    def process_result_value(self, value: Any, dialect: Dialect) -> decimal.Decimal | None:
        if value is None or isinstance(value, decimal.Decimal):
            return value
        return decimal.Decimal(value).scaleb(-self.scale)


class Duration(TypeDecorator[timedelta]):
    """interval / whole microseconds."""

    impl = sa.BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(pg.INTERVAL() if dialect.name == "postgresql" else sa.Integer())

    def process_bind_param(self, value: timedelta | None, dialect: Dialect) -> Any:
        if value is None or dialect.name == "postgresql":
            return value
        return value // timedelta(microseconds=1)

    def process_result_value(self, value: Any, dialect: Dialect) -> timedelta | None:
        return value if value is None or isinstance(value, timedelta) else timedelta(microseconds=value)


class _RawJson(sa.types.UserDefinedType[str]):
    """PostgreSQL's ``json`` or ``jsonb``, sent and received as text: our own encoder decides what is stored."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_: Any) -> str:
        return self.name


class Json(TypeDecorator[Any]):
    """jsonb / TEXT. Python's None is SQL NULL. Values that JSON cannot carry faithfully are refused on write."""

    impl = sa.Text
    cache_ok = True
    column = "jsonb"

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(_RawJson(self.column) if dialect.name == "postgresql" else sa.Text())

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        if value is None:
            return None
        if isinstance(value, Encoded):
            return value.text
        canonical.check(value)
        return orjson.dumps(value).decode()

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        if value is None or (dialect.name == "postgresql" and self.column == "jsonb"):  # the driver has parsed it
            return value
        return orjson.loads(value)


class Encoded:
    """JSON text made elsewhere in bulk (by column, not by row) and known to be sound."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class LedgerJson(Json):
    """json / TEXT in canonical form (RFC 8785). ``jsonb`` would rewrite numbers, and the text is what was committed to."""

    cache_ok = True
    column = "json"

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        if value is None:
            return None
        return value.text if isinstance(value, Encoded) else canonical.dumps(value).decode()

    def column_expression(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        # the driver must not parse it: floats would lose their text; the coercion lets our own decoder do so
        return sa.type_coerce(sa.cast(column, sa.Text), self)


class Flag(TypeDecorator[bool]):
    """boolean / INTEGER 0 or 1 (STRICT tables know no BOOLEAN)."""

    impl = sa.Boolean
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(sa.Boolean() if dialect.name == "postgresql" else sa.Integer())

    def process_bind_param(self, value: bool | None, dialect: Dialect) -> Any:
        return value if value is None or dialect.name == "postgresql" else int(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> bool | None:
        return None if value is None else bool(value)


class Day(TypeDecorator[Any]):
    """date / TEXT ``YYYY-MM-DD``."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(sa.Date() if dialect.name == "postgresql" else sa.Text())

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return value if value is None or dialect.name == "postgresql" else value.isoformat()

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        from datetime import date

        return date.fromisoformat(value) if isinstance(value, str) else value


Whole = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""64-bit integer on both engines."""

Real: sa.types.TypeEngine[float] = sa.Double().with_variant(sa.REAL(), "sqlite")
"""IEEE 754 double on both engines."""

Bytes = sa.LargeBinary()
