"""UUIDv7 (RFC 9562): a key whose order is time."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime, timedelta
from uuid import UUID

from plumbline.kernel.errors import InvalidInput, Where

_lock = threading.Lock()
_last = 0
AHEAD = 4096 * 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def new_id(now: datetime) -> UUID:
    """A key for something that happens ``now``.

    48 bits of milliseconds and 12 bits of their fraction (RFC 9562, method 3), 62 random bits. Within one process, ids
    of one moment ascend: up to four million of them, whose last say a time one second later. A clock that is set back
    further than that gives earlier ids, as it gives earlier times.
    """
    global _last  # noqa: PLW0603 - one counter per process is the point
    micros = (now - _EPOCH) // timedelta(microseconds=1)
    tick = (micros // 1000 << 12) | (micros % 1000 * 4096 // 1000)
    with _lock:
        if tick <= _last < tick + AHEAD:  # the last one is of this moment, or ran ahead of it: go on from there
            tick = _last + 1
        _last = tick
    random = int.from_bytes(os.urandom(8)) & 0x3FFF_FFFF_FFFF_FFFF
    return UUID(int=(tick >> 12) << 80 | 0x7000 << 64 | (tick & 0xFFF) << 64 | 0x8000_0000_0000_0000 | random)


def time_of(key: UUID) -> datetime:
    """The moment a UUIDv7 was made at, to the millisecond."""
    return datetime.fromtimestamp((key.int >> 80) / 1000, UTC)


def first_id(moment: datetime) -> UUID:
    """The smallest key of a moment: ``id >= first_id(t)`` is "not before t"."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


def accept_client_id(key: UUID, now: datetime, field: str = "id") -> UUID:
    """A caller's own id makes a write idempotent. It must be a version 7 of the last 7 days (5 minutes ahead at most)."""
    where = Where(field=field)
    if key.version != 7:
        raise InvalidInput(f"{key} is not a UUID of version 7.", where=where, remedy="Send a UUIDv7 or leave it out.")
    if not now - timedelta(days=7) <= time_of(key) <= now + timedelta(minutes=5):
        raise InvalidInput(f"{key} was made at {time_of(key):%Y-%m-%d %H:%M} UTC, too far from now.", where=where,
                           remedy="Make a new id for a new request.")  # fmt: skip
    return key
