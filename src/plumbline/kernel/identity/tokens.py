"""Tokens and API keys (pure): what a holder carries and what is stored of it."""

from __future__ import annotations

import hashlib
import secrets
import zlib

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
PREFIX = "plb_"
_BODY, _CHECK = 41, 6


def session_token() -> str:
    """32 random bytes, as a cookie carries them."""
    return secrets.token_urlsafe(32)


def stored(token: str) -> bytes:
    """What the database keeps: the SHA-256. Tokens are random, so no salt and no slow hash is needed."""
    return hashlib.sha256(token.encode()).digest()


def api_key() -> str:
    """``plb_``, 41 characters of base 62 (244 bits), six of their CRC-32: a typo is refused without a query."""
    body = "".join(secrets.choice(_ALPHABET) for _ in range(_BODY))
    return PREFIX + body + _checksum(body)


def well_formed(key: str) -> bool:
    body = key[len(PREFIX) : -_CHECK]
    return (
        key.startswith(PREFIX)
        and len(body) == _BODY
        and secrets.compare_digest(_checksum(body).encode(), key[-_CHECK:].encode())
    )


def _checksum(body: str) -> str:
    value, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECK):
        value, digit = divmod(value, 62)
        digits = _ALPHABET[digit] + digits
    return digits
