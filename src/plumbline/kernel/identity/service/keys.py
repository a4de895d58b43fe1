"""API keys: made by a person for a program, with a part of the person's rights."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from plumbline.kernel.context import Context
from plumbline.kernel.database import new_id
from plumbline.kernel.errors import Conflict, Forbidden, InvalidInput, NotFound, Where
from plumbline.kernel.identity import repository, rights, tokens
from plumbline.kernel.identity.tables import ApiKey
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger.service import Act
from plumbline.kernel.paging import Page, PageRequest


def create_key(installation: Installation, context: Context, *, name: str, scopes: list[str], expires_at: datetime | None = None,
               client_limit: int | None = None) -> tuple[UUID, str]:  # fmt: skip
    """Make a key; its text is returned once and never again. A scope is a right the maker holds."""
    with Act(installation.database, context, "keys.create", "api_key", right="keys.own") as act:
        if context.user_id is None:
            raise Forbidden("A key belongs to a person.", remedy="Sign in, or name one: --as USER.")
        if not name.strip():
            raise InvalidInput(
                "The key has no name.", where=Where(field="name"), remedy="Name the program that will use it."
            )
        known = rights.all_rights()
        for scope in scopes:
            if scope not in known:
                raise InvalidInput(
                    f"There is no right '{scope}'.",
                    where=Where(field="scopes"),
                    remedy=f"Rights: {', '.join(sorted(known))}.",
                )
            context.require(scope)
        if not scopes:
            raise InvalidInput(
                "The key would permit nothing.", where=Where(field="scopes"), remedy="Name at least one right."
            )
        if expires_at is not None and expires_at <= context.now:
            raise InvalidInput(
                "The key would have expired already.", where=Where(field="expires_at"), remedy="Choose a later time."
            )
        if client_limit is not None and client_limit < 1:
            raise InvalidInput(
                "The limit is below one request a minute.",
                where=Where(field="client_limit"),
                remedy="Leave it out for none.",
            )
        key, text = new_id(context.now), tokens.api_key()
        repository.insert_key(
            act.session, id=key, organization_id=context.organization_id, user_id=context.user_id, name=name.strip(), prefix=text[:8],
            key_hash=tokens.stored(text), scopes=sorted(set(scopes)), client_limit=client_limit, created_at=context.now, expires_at=expires_at,
        )  # fmt: skip
        act.done(
            key,
            new={
                "name": name.strip(),
                "scopes": sorted(set(scopes)),
                "expires_at": expires_at.isoformat() if expires_at else None,
            },
        )
    return key, text


def list_keys(installation: Installation, context: Context, request: PageRequest) -> Page[ApiKey]:
    """All of the organization with the right to manage them, else one's own."""
    context.require("keys.own")
    with installation.database.read(context.organization_id) as session:
        own = None if context.may("keys.manage") else context.user_id
        return repository.keys(session, context.organization_id, request, user_id=own)


def revoke_key(installation: Installation, context: Context, key: UUID) -> None:
    """At once and for good."""
    with Act(installation.database, context, "keys.revoke", "api_key", resource_id=key, right="keys.own") as act:
        row = repository.key_and_owner(act.session, context.organization_id, key)
        if row is None or (row[0].user_id != context.user_id and not context.may("keys.manage")):
            raise NotFound(f"There is no key '{key}'.", remedy="See: plumbline keys list")
        if row[0].revoked_at is not None:
            raise Conflict(f"The key '{row[0].name}' is revoked already.")
        repository.update_key(act.session, context.organization_id, key, revoked_at=context.now)
        act.done(old={"revoked_at": None}, new={"revoked_at": context.now.isoformat()}, name=row[0].name)
