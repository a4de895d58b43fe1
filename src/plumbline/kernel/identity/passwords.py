"""Passwords: argon2id, a floor of length, a list of the ones everybody tries."""

from __future__ import annotations

import secrets
from functools import cache

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from pwdlib.hashers.bcrypt import BcryptHasher

from plumbline.kernel.errors import InvalidInput, Where

SHORTEST, LONGEST = 12, 1024
# longer than SHORTEST and still among the first that are tried; compared case-folded
COMMON = frozenset(
    [
        "password1234",
        "password12345",
        "passwordpassword",
        "123456789012",
        "1234567890123",
        "qwertyuiop12",
        "qwertyuiop123",
        "qwerty123456",
        "adminadminadmin",
        "administrator",
        "administrator1",
        "iloveyou1234",
        "letmeinletmein",
        "welcome12345",
        "welcome123456",
        "changeme1234",
        "changemechangeme",
        "plumbline1234",
        "plumblineplumbline",
        "abcdefghijkl",
        "abc123abc123",
        "111111111111",
        "000000000000",
        "aaaaaaaaaaaa",
        "trustno1trustno1",
        "monkey123456",
        "dragon123456",
        "passw0rd1234",
        "p@ssw0rd1234",
        "p@ssword1234",
        "football1234",
        "baseball1234",
        "superman1234",
        "princess1234",
        "sunshine1234",
    ]
)


@cache
def _hasher() -> PasswordHash:
    # 19 MiB, two passes: OWASP's recommendation, about 30 ms; bcrypt hashes of an import are read and replaced
    return PasswordHash((Argon2Hasher(memory_cost=19456, time_cost=2, parallelism=1), BcryptHasher()))


@cache
def _nobody() -> str:
    return _hasher().hash(secrets.token_urlsafe())


def check_new(password: str, *, username: str = "") -> None:
    """Refuse what is too short or known to everybody."""
    where = Where(field="password")
    if len(password) < SHORTEST:
        raise InvalidInput(
            f"The password has {len(password)} characters.", where=where, remedy=f"Use at least {SHORTEST}."
        )
    if len(password) > LONGEST:
        raise InvalidInput(
            f"The password has {len(password)} characters.", where=where, remedy=f"Use at most {LONGEST}."
        )
    folded = password.casefold()
    if folded in COMMON or (username and folded == username.casefold()) or len(set(password)) < 4:
        raise InvalidInput(
            "This password is one of the first that are tried.", where=where, remedy="Use several unrelated words."
        )


def hashed(password: str) -> str:
    return _hasher().hash(password)


def matches(password: str, stored: str | None) -> tuple[bool, str | None]:
    """Whether it fits, and a new hash where the stored one is of an older kind. Without a stored hash it takes as long."""
    if len(password) > LONGEST:
        return False, None
    if stored is None:
        _hasher().verify(password, _nobody())
        return False, None
    return _hasher().verify_and_update(password, stored)


def generated() -> str:
    """A password to be shown once: 120 random bits."""
    return secrets.token_urlsafe(15)
