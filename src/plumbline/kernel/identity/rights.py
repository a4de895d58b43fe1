"""Roles are sets of rights; a right is named by the act it permits. Each part of the product states its own."""

from __future__ import annotations

from functools import cache

from plumbline.kernel import room
from plumbline.kernel.identity.tables import ROLES

EVERY = frozenset({"*"})


@cache
def all_rights() -> dict[str, tuple[str, ...]]:
    """Right → the roles that hold it."""
    return room.gathered(lambda r: dict(r.rights) if r.rights else None)


@cache
def of_role(role: str) -> frozenset[str]:
    """viewer ⊂ analyst ⊂ admin."""
    below = ROLES[: ROLES.index(role) + 1]
    return frozenset(right for right, roles in all_rights().items() if any(r in below for r in roles))


@cache
def roles_with(right: str) -> tuple[str, ...]:
    return tuple(role for role in ROLES if right in of_role(role))
