"""Canonical JSON (RFC 8785): one text for one value, on every machine.

What is hashed, signed, compared or stored as evidence goes through here. Values that no JSON reader would give back
alike are refused rather than changed: NaN and infinity, U+0000, lone surrogates, integers of 2**53 and more.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any

import orjson
import rfc8785

from plumbline.kernel.errors import InvalidInput, Where

_LARGEST = 2**53 - 1


def check(value: Any, path: str = "$") -> None:
    """Raise :class:`InvalidInput` naming the place of the first part of ``value`` that JSON cannot carry faithfully."""
    match value:
        case None | bool():
            return
        case str():
            if "\x00" in value:
                raise InvalidInput("A text holds the character U+0000.", where=Where(field=path))
            if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
                raise InvalidInput("A text holds half of a surrogate pair.", where=Where(field=path))
        case int():
            if abs(value) > _LARGEST:
                raise InvalidInput(f"The whole number {value} is too large for JSON.", where=Where(field=path),
                                   remedy="Send numbers of 2**53 and more as text.")  # fmt: skip
        case float():
            if not math.isfinite(value):
                raise InvalidInput(f"{value} is no JSON number.", where=Where(field=path),
                                   remedy="Leave the field out or send null for a missing value.")  # fmt: skip
        case dict():
            for key, part in value.items():
                if not isinstance(key, str):
                    raise InvalidInput(f"The name {key!r} is not a text.", where=Where(field=path))
                check(key, path)
                check(part, f"{path}.{key}")
        case list() | tuple():
            for i, part in enumerate(value):
                check(part, f"{path}[{i}]")
        case _:
            raise InvalidInput(f"A {type(value).__name__} is no JSON value.", where=Where(field=path))


def dumps(value: Any) -> bytes:
    """The canonical bytes of ``value``."""
    check(value)
    return bytes(rfc8785.dumps(value))


def loads(data: bytes | str) -> Any:
    """Parse JSON; NaN and Infinity are refused, a repeated name keeps the last (as orjson does)."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"This is not JSON: {error.msg}.", where=Where(line=error.lineno)) from None


def sha256(value: Any) -> str:
    """SHA-256 of the canonical bytes, in hexadecimal."""
    return hashlib.sha256(dumps(value)).hexdigest()
