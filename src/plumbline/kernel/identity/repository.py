"""Every query of the identity tables."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from plumbline.kernel.database import WriteSession, changed, one, page, scoped, upsert
from plumbline.kernel.identity.tables import ApiKey, Organization, RateLimit, User, UserSession
from plumbline.kernel.paging import Page, PageRequest

Found = tuple[UUID, UUID]
"""Id and organization of something found before the tenant was known."""
_UNKNOWN = {"tenant": "unknown"}


def _found(session: Session, function: str, statement: sa.Select[UUID, UUID], wanted: object) -> Found | None:
    """On PostgreSQL the owner's function looks, for row-level security shows nothing yet; on SQLite the statement."""
    if session.connection().dialect.name == "postgresql":
        row = session.connection().exec_driver_sql(f"SELECT id, organization_id FROM {function}(%s)", (wanted,)).first()
    else:
        row = session.execute(statement, execution_options=_UNKNOWN).first()
    return None if row is None else (row[0], row[1])


def find_session(session: Session, token_hash: bytes) -> Found | None:
    statement = sa.select(UserSession.id, UserSession.organization_id).where(UserSession.token_hash == token_hash)
    return _found(session, "plumbline_find_session", statement, token_hash)


def find_key(session: Session, key_hash: bytes) -> Found | None:
    statement = sa.select(ApiKey.id, ApiKey.organization_id).where(ApiKey.key_hash == key_hash)
    return _found(session, "plumbline_find_key", statement, key_hash)


def find_user(session: Session, name: str) -> Found | None:
    """By name or e-mail, case-folded."""
    folded = name.strip().casefold()
    if "\x00" in folded:  # no text of PostgreSQL holds it, so nobody is called so
        return None
    statement = sa.select(User.id, User.organization_id).where(sa.or_(User.username == folded, User.email == folded))
    return _found(session, "plumbline_find_user", statement, folded)


def first_organization(session: Session) -> Organization | None:
    """The installation's own: acts of no organization are booked on it."""
    return session.scalars(sa.select(Organization).order_by(Organization.id).limit(1)).first()


def organizations(session: Session) -> list[Organization]:
    return list(session.scalars(sa.select(Organization).order_by(Organization.id)))


def organization(session: Session, key: UUID) -> Organization | None:
    return session.scalars(sa.select(Organization).where(Organization.id == key)).first()


def organization_by_slug(session: Session, slug: str) -> Organization | None:
    return session.scalars(sa.select(Organization).where(Organization.slug == slug)).first()


def update_organization(session: WriteSession, key: UUID, **values: Any) -> int:
    return changed(session.execute(sa.update(Organization).where(Organization.id == key).values(**values)))


def user(session: Session, organization_id: UUID, key: UUID) -> User:
    return one(session, scoped(User, organization_id).where(User.id == key), "user", key)


def user_named(session: Session, organization_id: UUID, name: str) -> User:
    folded = name.strip().casefold()
    statement = scoped(User, organization_id).where(sa.or_(User.username == folded, User.email == folded))
    return one(session, statement, "user", name)


def users(session: Session, organization_id: UUID, request: PageRequest) -> Page[User]:
    return page(session, scoped(User, organization_id), User, request)


def names(session: Session, organization_id: UUID, keys: set[UUID]) -> dict[UUID, str]:
    """Full name (else user name) of people, for lists that show who did something."""
    if not keys:
        return {}
    rows = session.execute(
        sa.select(User.id, User.full_name, User.username).where(
            User.organization_id == organization_id, User.id.in_(keys)
        )
    )
    return {key: full or name for key, full, name in rows}


def holders(session: Session, organization_id: UUID, roles: tuple[str, ...]) -> int:
    """How many active people have one of the roles."""
    statement = sa.select(sa.func.count()).where(
        User.organization_id == organization_id, User.is_active.is_(sa.true()), User.role.in_(roles)
    )
    return session.scalar(statement) or 0


def insert_user(session: WriteSession, **values: Any) -> None:
    session.execute(sa.insert(User), values)


def update_user(session: WriteSession, organization_id: UUID, key: UUID, **values: Any) -> int:
    return changed(
        session.execute(sa.update(User).where(User.organization_id == organization_id, User.id == key).values(**values))
    )


def signed_in(session: Session, organization_id: UUID, key: UUID) -> tuple[UserSession, User] | None:
    statement = (
        sa.select(UserSession, User)
        .join(User, sa.and_(User.id == UserSession.user_id, User.organization_id == organization_id))
        .where(UserSession.organization_id == organization_id, UserSession.id == key)
    )
    row = session.execute(statement).first()
    return None if row is None else (row[0], row[1])


def sessions(session: Session, organization_id: UUID, user_id: UUID) -> list[UserSession]:
    """A person's live sign-ins, newest first."""
    statement = scoped(UserSession, organization_id).where(
        UserSession.user_id == user_id, UserSession.is_active.is_(sa.true()), UserSession.purpose == "session"
    )
    return list(session.scalars(statement.order_by(UserSession.id.desc()).limit(100)))


def insert_session(session: WriteSession, **values: Any) -> None:
    session.execute(sa.insert(UserSession), values)


def touch_session(session: WriteSession, organization_id: UUID, key: UUID, now: datetime) -> None:
    session.execute(
        sa.update(UserSession)
        .where(UserSession.organization_id == organization_id, UserSession.id == key)
        .values(last_activity=now)
    )


def end_sessions(session: WriteSession, organization_id: UUID, *, user_id: UUID | None = None, key: UUID | None = None,
                 keep: UUID | None = None) -> int:  # fmt: skip
    """End one session or all of a person; ``keep`` stays."""
    statement = sa.update(UserSession).where(
        UserSession.organization_id == organization_id, UserSession.is_active.is_(sa.true())
    )
    if user_id is not None:
        statement = statement.where(UserSession.user_id == user_id)
    if key is not None:
        statement = statement.where(UserSession.id == key)
    if keep is not None:
        statement = statement.where(UserSession.id != keep)
    return changed(session.execute(statement.values(is_active=False)))


def key_and_owner(session: Session, organization_id: UUID, key: UUID) -> tuple[ApiKey, User] | None:
    statement = (
        sa.select(ApiKey, User)
        .join(User, sa.and_(User.id == ApiKey.user_id, User.organization_id == organization_id))
        .where(ApiKey.organization_id == organization_id, ApiKey.id == key)
    )
    row = session.execute(statement).first()
    return None if row is None else (row[0], row[1])


def keys(session: Session, organization_id: UUID, request: PageRequest, *, user_id: UUID | None = None) -> Page[ApiKey]:
    statement = scoped(ApiKey, organization_id)
    if user_id is not None:
        statement = statement.where(ApiKey.user_id == user_id)
    return page(session, statement, ApiKey, request)


def insert_key(session: WriteSession, **values: Any) -> None:
    session.execute(sa.insert(ApiKey), values)


def update_key(session: WriteSession, organization_id: UUID, key: UUID, **values: Any) -> int:
    return changed(
        session.execute(
            sa.update(ApiKey).where(ApiKey.organization_id == organization_id, ApiKey.id == key).values(**values)
        )
    )


def take_token(session: WriteSession, bucket: bytes, *, capacity: float, per_second: float, now: float) -> float:
    """Take one token of a bucket, whose level is returned: below zero means refused.

    One statement, so that processes on one database share their limits. Who goes on while refused waits a little
    longer (the level stops at -1); a clock set back fills nothing.
    """
    on_sqlite = session.connection().dialect.name == "sqlite"
    least: Any = sa.func.min if on_sqlite else sa.func.least
    most: Any = sa.func.max if on_sqlite else sa.func.greatest
    filled = least(capacity, RateLimit.tokens + most(0.0, now - RateLimit.filled_at) * per_second)
    statement = upsert(session, RateLimit).values(bucket=bucket, tokens=capacity - 1.0, filled_at=now)
    statement = statement.on_conflict_do_update(
        index_elements=["bucket"], set_={"tokens": most(-1.0, filled - 1.0), "filled_at": now}
    )
    return float(session.scalar(statement.returning(RateLimit.tokens)) or 0.0)
