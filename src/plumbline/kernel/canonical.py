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


_Path = tuple[Any, Any] | None
"""Where a part stands: (path of its holder, name or index). Written out only when something is wrong there."""


def check(value: Any) -> None:
    """Raise :class:`InvalidInput` naming the place of the first part of ``value`` that JSON cannot carry faithfully."""
    _faithful(value, None, [])


def _faithful(value: Any, path: _Path, odd: list[Any]) -> Any:
    """``value`` with whole floats as integers, as RFC 8785 writes them; refuses what JSON cannot carry.

    :param odd: takes what the fast encoder might write otherwise than RFC 8785 says.
    """
    kind = type(value)
    if value is None or kind is bool:
        return value
    if kind is str:
        return _text(value, path)
    if kind is float:
        if value.is_integer() and abs(value) <= _LARGEST:
            return int(value)
        if not math.isfinite(value):
            remedy = "Leave the field out or send null for a missing value."
            raise InvalidInput(f"{value} is no JSON number.", where=_place(path), remedy=remedy)
        if not 1e-4 <= abs(value) <= _LARGEST:
            odd.append(value)
        return value
    if kind is int:
        if abs(value) > _LARGEST:
            raise InvalidInput(f"The whole number {value} is too large for JSON.", where=_place(path),
                               remedy="Send numbers of 2**53 and more as text.")  # fmt: skip
        return value
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise InvalidInput(f"The name {key!r} is not a text.", where=_place(path))
            if not _text(key, path).isascii():
                odd.append(key)
        return {key: _faithful(part, (path, key), odd) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_faithful(part, (path, i), odd) for i, part in enumerate(value)]
    raise InvalidInput(f"A {kind.__name__} is no JSON value.", where=_place(path))


def _text(value: str, path: _Path) -> str:
    if "\x00" in value:
        raise InvalidInput("A text holds the character U+0000.", where=_place(path))
    if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
        raise InvalidInput("A text holds half of a surrogate pair.", where=_place(path))
    return value


def _place(path: _Path) -> Where:
    parts: list[str] = []
    while path is not None:
        path, step = path
        parts.append(f"[{step}]" if isinstance(step, int) else f".{step}")
    return Where(field="$" + "".join(reversed(parts)))


def dumps(value: Any) -> bytes:
    """The canonical bytes of ``value``.

    A fast encoder writes the same bytes as RFC 8785 but for very small and very large numbers, and for the order of
    names beyond ASCII: a document that holds any of them goes the slow way.
    """
    odd: list[Any] = []
    plain = _faithful(value, None, odd)
    return bytes(rfc8785.dumps(plain)) if odd else orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)


def loads(data: bytes | str) -> Any:
    """Parse JSON; NaN and Infinity are refused, a repeated name keeps the last (as orjson does)."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"This is not JSON: {error.msg}.", where=Where(line=error.lineno)) from None


def sha256(value: Any) -> str:
    """SHA-256 of the canonical bytes, in hexadecimal."""
    return hashlib.sha256(dumps(value)).hexdigest()
