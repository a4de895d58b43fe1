"""The two things every repository does: limit to the tenant, and page."""

from __future__ import annotations

from typing import Any, TypeVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from plumbline.kernel.database.schema import Table
from plumbline.kernel.errors import NotFound
from plumbline.kernel.paging import CAP, Page, PageRequest, page_of

T = TypeVar("T", bound=Table)


def scoped(model: type[T], organization_id: UUID) -> sa.Select[T]:
    """``select(model)`` of one organization: where every tenant-owned query begins."""
    return sa.select(model).where(model.organization_id == organization_id)  # type: ignore[attr-defined]


def one(session: Session, statement: sa.Select[T], what: str, key: object) -> T:
    """The one row, or :class:`NotFound` saying what was looked for."""
    row = session.scalars(statement).first()
    if row is None:
        raise NotFound(
            f"There is no {what} '{key}' in this organization.",
            remedy=f"List them to see which there are: plumbline {what}s list.",
        )
    return row


def page(
    session: Session, statement: sa.Select[T], model: type[T], request: PageRequest, *, count: bool = True
) -> Page[T]:
    """Newest first. The total stops at 10,001: nobody reads an exact count of a million."""
    key = model.id  # type: ignore[attr-defined]
    total = None
    if count:
        capped = statement.with_only_columns(key).limit(CAP).order_by(None).subquery()
        total = session.scalar(sa.select(sa.func.count()).select_from(capped)) or 0
    if request.after is not None:
        statement = statement.where(key < request.after)
    rows = session.scalars(statement.order_by(key.desc()).limit(request.limit + 1)).all()
    return page_of(rows, request, total)


def changed(result: sa.Result[Any]) -> int:
    """How many rows an UPDATE or DELETE touched."""
    return int(result.rowcount)  # type: ignore[attr-defined]


def upsert(session: Session, model: type[Table]) -> Any:
    """``INSERT`` of the engine at hand, which knows ``on_conflict_do_update`` and ``on_conflict_do_nothing``."""
    if session.connection().dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as on_postgresql

        return on_postgresql(model)
    from sqlalchemy.dialects.sqlite import insert as on_sqlite

    return on_sqlite(model)
