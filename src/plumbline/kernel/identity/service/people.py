"""People: list, add, change, and what they do with their own sign-ins."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from plumbline.kernel.context import Context
from plumbline.kernel.database import WriteSession, new_id
from plumbline.kernel.errors import Conflict, Forbidden, InvalidInput, NotFound, Where
from plumbline.kernel.identity import passwords, repository, tokens
from plumbline.kernel.identity.tables import ROLES, User, UserSession
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger.service import Act
from plumbline.kernel.paging import Page, PageRequest

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+|[^@\s]+@localhost")
_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{1,99}")
ONCE = timedelta(minutes=30)


def insert(session: WriteSession, context: Context, key: UUID, *, username: str, email: str, full_name: str | None, role: str,
           password: str, is_superuser: bool = False, must_change: bool = True) -> None:  # fmt: skip
    """Write a new person's row; names and addresses are unique in the installation."""
    name, address = username.strip().casefold(), email.strip().casefold()
    if not _NAME.fullmatch(name):
        raise InvalidInput(f"'{username}' cannot be a user name.", where=Where(field="username"),
                           remedy="Use 2 to 100 letters, digits, dots, hyphens or underscores.")  # fmt: skip
    if not _EMAIL.fullmatch(address) or len(address) > 320:
        raise InvalidInput(
            f"'{email}' is no e-mail address.", where=Where(field="email"), remedy="Write it as name@example.org."
        )
    if role not in ROLES:
        raise InvalidInput(
            f"There is no role '{role}'.", where=Where(field="role"), remedy=f"Choose one of {', '.join(ROLES)}."
        )
    for field, value in (("username", name), ("email", address)):
        if repository.find_user(session, value) is not None:
            raise Conflict(f"The {field} '{value}' is taken.", where=Where(field=field), remedy="Choose another one.")
    try:
        with session.begin_nested():  # somebody may take the name between the look and the write
            repository.insert_user(
                session, id=key, organization_id=context.organization_id, username=name, email=address, full_name=full_name,
                password_hash=passwords.hashed(password), is_active=True, is_superuser=is_superuser, role=role,
                must_change_password=must_change, created_at=context.now, updated_at=context.now,
            )  # fmt: skip
    except sa.exc.IntegrityError:
        raise Conflict(
            f"The name '{name}' was taken a moment ago.", where=Where(field="username"), remedy="Choose another one."
        ) from None


def create_user(installation: Installation, context: Context, *, username: str, email: str, full_name: str | None = None,
                role: str = "viewer", password: str | None = None) -> UUID:  # fmt: skip
    """Add a person. Without a password use :func:`reset_password` or :func:`once_link` to let them in."""
    chosen = password or passwords.generated()
    with Act(installation.database, context, "users.create", "user", right="users.manage") as act:
        passwords.check_new(chosen, username=username)
        key = new_id(context.now)
        act.resource_id = key
        insert(act.session, context, key, username=username, email=email, full_name=full_name, role=role, password=chosen,
               must_change=password is None)  # fmt: skip
        act.done(
            new={
                "username": username.strip().casefold(),
                "email": email.strip().casefold(),
                "full_name": full_name,
                "role": role,
            }
        )
    return key


def _governed(session: WriteSession, context: Context, key: UUID) -> User:
    """A person whose account the caller may change: a superuser's only by a superuser, else an administrator of one
    organization could take over all of them."""
    user = repository.user(session, context.organization_id, key)
    if user.is_superuser:
        context.require("*")
    return user


def _own(context: Context, user_id: UUID) -> bool:
    """Whether it is the person's own account. A key acts for its owner, within its scopes and no further."""
    return context.actor_type == "user" and context.user_id == user_id


def list_users(installation: Installation, context: Context, request: PageRequest) -> Page[User]:
    context.require("users.read")
    with installation.database.read(context.organization_id) as session:
        return repository.users(session, context.organization_id, request)


def user_named(installation: Installation, context: Context, name: str) -> User:
    """By id, user name or e-mail, within the organization."""
    with installation.database.read(context.organization_id) as session:
        try:
            return repository.user(session, context.organization_id, UUID(name))
        except ValueError:
            return repository.user_named(session, context.organization_id, name)


def names_of(installation: Installation, context: Context, keys: set[UUID]) -> dict[UUID, str]:
    with installation.database.read(context.organization_id) as session:
        return repository.names(session, context.organization_id, keys)


def change_user(installation: Installation, context: Context, key: UUID, *, role: str | None = None, is_active: bool | None = None,
                full_name: str | None = None) -> None:  # fmt: skip
    """Change role, name or activity. A changed role or a deactivation ends the person's sessions."""
    with Act(installation.database, context, "users.change", "user", resource_id=key, right="users.manage") as act:
        user = _governed(act.session, context, key)
        wanted: dict[str, Any] = {"role": role, "is_active": is_active, "full_name": full_name}
        changes = {name: value for name, value in wanted.items() if value is not None and value != getattr(user, name)}
        if role is not None and role not in ROLES:
            raise InvalidInput(
                f"There is no role '{role}'.", where=Where(field="role"), remedy=f"Choose one of {', '.join(ROLES)}."
            )
        if not changes:
            raise InvalidInput("Nothing would change.", remedy="Give a new role, name or state.")
        loses = changes.get("is_active") is False or (user.role == "admin" and changes.get("role", "admin") != "admin")
        if (
            user.role == "admin"
            and user.is_active
            and loses
            and repository.holders(act.session, context.organization_id, ("admin",)) < 2
        ):
            raise Conflict(
                f"'{user.username}' is the last administrator.", remedy="Make another person administrator first."
            )
        old = {name: getattr(user, name) for name in changes}
        repository.update_user(act.session, context.organization_id, key, **changes, updated_at=context.now)
        ended = 0
        if "role" in changes or "is_active" in changes:
            ended = repository.end_sessions(act.session, context.organization_id, user_id=key)
        act.done(old=old, new=changes, sessions_ended=ended)


def reset_password(installation: Installation, context: Context, key: UUID) -> str:
    """A new password, told once; it must be changed at the next sign-in."""
    password = passwords.generated()
    with Act(
        installation.database, context, "users.reset_password", "user", resource_id=key, right="users.manage"
    ) as act:
        user = _governed(act.session, context, key)
        repository.update_user(act.session, context.organization_id, user.id, password_hash=passwords.hashed(password),
                               must_change_password=True, updated_at=context.now)  # fmt: skip
        act.done(sessions_ended=repository.end_sessions(act.session, context.organization_id, user_id=key))
    return password


def change_own_password(installation: Installation, context: Context, *, current: str, new: str) -> None:
    """By the person; all other sessions end."""
    if context.user_id is None or not _own(context, context.user_id):
        raise Forbidden("Only a person has a password.", remedy="Sign in as the person.")
    with Act(installation.database, context, "users.change_password", "user", resource_id=context.user_id) as act:
        user = repository.user(act.session, context.organization_id, context.user_id)
        fits, _ = passwords.matches(current, user.password_hash)
        if not fits:
            raise InvalidInput(
                "The current password is not right.", where=Where(field="current"), remedy="Type it again."
            )
        passwords.check_new(new, username=user.username)
        if new == current:
            raise InvalidInput(
                "The new password is the old one.", where=Where(field="password"), remedy="Choose another one."
            )
        repository.update_user(act.session, context.organization_id, user.id, password_hash=passwords.hashed(new),
                               must_change_password=False, updated_at=context.now)  # fmt: skip
        keep = UUID(context.session_id) if context.session_id else None
        act.done(
            sessions_ended=repository.end_sessions(act.session, context.organization_id, user_id=user.id, keep=keep)
        )


def once_link(installation: Installation, context: Context, key: UUID) -> str:
    """A token that signs a person in a single time within 30 minutes; told once."""
    token = tokens.session_token()
    with Act(installation.database, context, "users.once_link", "user", resource_id=key, right="users.manage") as act:
        user = _governed(act.session, context, key)
        if not user.is_active:
            raise Conflict(f"'{user.username}' is not active.", remedy="Activate the person first.")
        repository.insert_session(
            act.session, id=new_id(context.now), organization_id=context.organization_id, user_id=user.id, purpose="once",
            token_hash=tokens.stored(token), ip_address=context.ip or "local", user_agent=context.user_agent, created_at=context.now,
            expires_at=context.now + ONCE, last_activity=context.now, is_active=True,
        )  # fmt: skip
        act.done(expires_at=(context.now + ONCE).isoformat())
    return token


def list_sessions(installation: Installation, context: Context, user_id: UUID) -> list[UserSession]:
    """One's own, or with the right to manage people anybody's."""
    if not _own(context, user_id):
        context.require("users.manage")
    with installation.database.read(context.organization_id) as session:
        repository.user(session, context.organization_id, user_id)
        return repository.sessions(session, context.organization_id, user_id)


def end_sessions(installation: Installation, context: Context, user_id: UUID, session_id: UUID | None = None) -> int:
    """Sign a person out of one place or everywhere."""
    own = _own(context, user_id)
    with Act(
        installation.database,
        context,
        "sessions.end",
        "user",
        resource_id=user_id,
        right=None if own else "users.manage",
    ) as act:
        if not own:
            _governed(act.session, context, user_id)
        ended = repository.end_sessions(act.session, context.organization_id, user_id=user_id, key=session_id)
        if session_id is not None and not ended:
            raise NotFound("There is no such sign-in.", remedy="List the sessions again.")
        act.done(sessions_ended=ended, session=str(session_id) if session_id else None)
    return ended
