"""Canonical JSON (RFC 8785): one text for one value, on every machine.

What is hashed, signed, compared or stored as evidence goes through here. Values that no JSON reader would give back
alike are refused rather than changed: NaN and infinity, U+0000, lone surrogates, integers of 2**53 and more.
"""

from __future__ import annotations

import hashlib
import math
import re
from typing import Any

import orjson
import rfc8785

from plumbline.kernel.errors import InvalidInput, Where

_LARGEST = 2**53 - 1


def check(value: Any, path: str = "$") -> None:
    """Raise :class:`InvalidInput` naming the place of the first part of ``value`` that JSON cannot carry faithfully."""
    _faithful(value, path)


def _faithful(value: Any, path: str) -> Any:
    """``value`` with whole floats as integers, as RFC 8785 writes them; refuses what JSON cannot carry."""
    kind = type(value)
    if value is None or kind is bool:
        return value
    if kind is str:
        return _text(value, path)
    if kind is float:
        if value.is_integer():
            return int(value) if abs(value) <= _LARGEST else value
        if not math.isfinite(value):
            raise InvalidInput(f"{value} is no JSON number.", where=Where(field=path),
                               remedy="Leave the field out or send null for a missing value.")  # fmt: skip
        return value
    if kind is int:
        if abs(value) > _LARGEST:
            raise InvalidInput(f"The whole number {value} is too large for JSON.", where=Where(field=path),
                               remedy="Send numbers of 2**53 and more as text.")  # fmt: skip
        return value
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise InvalidInput(f"The name {key!r} is not a text.", where=Where(field=path))
            _text(key, path)
        return {key: _faithful(part, f"{path}.{key}") for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_faithful(part, f"{path}[{i}]") for i, part in enumerate(value)]
    raise InvalidInput(f"A {kind.__name__} is no JSON value.", where=Where(field=path))


def _text(value: str, path: str) -> str:
    if "\x00" in value:
        raise InvalidInput("A text holds the character U+0000.", where=Where(field=path))
    if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
        raise InvalidInput("A text holds half of a surrogate pair.", where=Where(field=path))
    return value


_UNUSUAL = re.compile(rb"[0-9][eE][-+0-9]|[\xf0-\xf4]|[0-9]{16}")


def dumps(value: Any) -> bytes:
    """The canonical bytes of ``value``.

    A fast encoder writes the same bytes as RFC 8785 but for numbers with an exponent or 16 digits and more before the
    point, and for the order of names beyond the basic plane: a document in which any of them may stand goes the slow way.
    """
    plain = _faithful(value, "$")
    fast = orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)
    return bytes(rfc8785.dumps(plain)) if _UNUSUAL.search(fast) else fast


def loads(data: bytes | str) -> Any:
    """Parse JSON; NaN and Infinity are refused, a repeated name keeps the last (as orjson does)."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"This is not JSON: {error.msg}.", where=Where(line=error.lineno)) from None


def sha256(value: Any) -> str:
    """SHA-256 of the canonical bytes, in hexadecimal."""
    return hashlib.sha256(dumps(value)).hexdigest()
