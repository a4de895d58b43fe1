"""Organizations, people, their sessions and their keys."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from plumbline.kernel.database import Keyed, Table, TenantOwned, Timestamped, by_time, one_of, options, types

ROLES = ("viewer", "analyst", "admin")


class Organization(Keyed, Timestamped, Table):
    """A tenant. ``settings`` holds its own choices, ``four_eyes`` among them."""

    __tablename__ = "organizations"
    __table_args__ = options(sa.UniqueConstraint("name"), sa.UniqueConstraint("slug"))

    name: Mapped[str]
    slug: Mapped[str]
    description: Mapped[str | None]
    contact_email: Mapped[str | None]
    is_active: Mapped[bool]
    settings: Mapped[Any] = mapped_column(types.Json, nullable=False)


class User(TenantOwned, Timestamped, Table):
    """A person of one organization. Names and addresses are unique in the installation, stored case-folded."""

    __tablename__ = "users"
    __table_args__ = options(
        sa.UniqueConstraint("username"), sa.UniqueConstraint("email"), one_of("role", *ROLES), by_time("users")
    )

    username: Mapped[str]
    email: Mapped[str]
    password_hash: Mapped[str | None]
    full_name: Mapped[str | None]
    is_active: Mapped[bool]
    is_superuser: Mapped[bool]
    role: Mapped[str]
    must_change_password: Mapped[bool]
    last_login: Mapped[datetime | None]
    active_catalog_id: Mapped[UUID | None]
    preferences: Mapped[Any] = mapped_column(types.Json, nullable=True)


class UserSession(TenantOwned, Table):
    """A sign-in. Only the SHA-256 of the cookie's token is stored; ``id`` is what pages and the ledger show.

    ``purpose`` *once* is a link that can be used a single time to begin a *session*.
    """

    __tablename__ = "user_sessions"
    __table_args__ = options(
        sa.UniqueConstraint("token_hash"),
        one_of("purpose", "session", "once"),
        by_time("user_sessions"),
        sa.Index("ix_user_sessions_user_id", "user_id"),
    )

    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("users.id"))
    purpose: Mapped[str]
    token_hash: Mapped[bytes]
    ip_address: Mapped[str]
    user_agent: Mapped[str | None]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    last_activity: Mapped[datetime]
    is_active: Mapped[bool]


class ApiKey(TenantOwned, Table):
    """A program's way in, on behalf of the person who made it. ``prefix`` is the key's first eight characters."""

    __tablename__ = "api_keys"
    __table_args__ = options(sa.UniqueConstraint("key_hash"), by_time("api_keys"))

    user_id: Mapped[UUID] = mapped_column(sa.ForeignKey("users.id"))
    name: Mapped[str]
    prefix: Mapped[str]
    key_hash: Mapped[bytes]
    scopes: Mapped[Any] = mapped_column(types.Json, nullable=False)
    client_limit: Mapped[int | None]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class RateLimit(Table):
    """A token bucket; ``bucket`` is the SHA-256 of what is limited, so that no address or name is kept."""

    __tablename__ = "rate_limits"
    __table_args__ = options()

    bucket: Mapped[bytes] = mapped_column(primary_key=True)
    tokens: Mapped[float]
    filled_at: Mapped[float]
