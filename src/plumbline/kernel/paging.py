"""Keyset pages: newest first by id, whose order is time. The cursor is opaque to callers."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

from plumbline.kernel.errors import InvalidInput, Where

T = TypeVar("T")
LARGEST = 500
CAP = 10_001  # counts stop here: "more than 10,000"


@dataclass(frozen=True, slots=True)
class PageRequest:
    """``after`` is the id of the last row already seen; rows older than it follow."""

    limit: int = 100
    after: UUID | None = None

    @classmethod
    def parse(cls, limit: int | None = None, cursor: str | None = None) -> PageRequest:
        size = 100 if limit is None else limit
        if not 1 <= size <= LARGEST:
            raise InvalidInput(f"limit is {size}.", where=Where(field="limit"), remedy=f"Ask for 1 to {LARGEST} rows.")
        return cls(size, None if not cursor else _decode(cursor))


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """``next`` is the cursor of the following page, ``None`` on the last; ``total`` stops counting at 10,001."""

    items: Sequence[T]
    next: str | None
    total: int | None = None

    @property
    def total_text(self) -> str:
        if self.total is None:
            return ""
        return "more than 10,000" if self.total >= CAP else f"{self.total:,}"


def page_of(rows: Sequence[T], request: PageRequest, total: int | None = None, *,
            key: Callable[[T], UUID] | None = None) -> Page[T]:  # fmt: skip
    """Cut ``limit + 1`` fetched rows into a page; ``key`` gives a row's id (default: its ``id``)."""
    if len(rows) <= request.limit:
        return Page(rows, None, total)
    kept = rows[: request.limit]
    last: UUID = key(kept[-1]) if key else kept[-1].id  # type: ignore[attr-defined]
    return Page(kept, base64.urlsafe_b64encode(last.bytes).rstrip(b"=").decode(), total)


def _decode(cursor: str) -> UUID:
    try:
        return UUID(bytes=base64.urlsafe_b64decode(cursor + "=="))
    except (ValueError, binascii.Error):
        raise InvalidInput("The cursor is not one of ours.", where=Where(field="cursor"),
                           remedy="Leave it out to begin with the newest rows.") from None  # fmt: skip
