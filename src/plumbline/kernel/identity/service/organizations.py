"""Organizations: the first one, further ones, and the superuser's way into another."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from plumbline.kernel.context import Context
from plumbline.kernel.database import new_id
from plumbline.kernel.errors import Conflict, InvalidInput, NotFound, Where
from plumbline.kernel.identity import passwords, repository, rights
from plumbline.kernel.identity.tables import Organization
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger.service import Act, audit

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,98}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Initialized:
    """The first organization and its administrator; ``password`` is told once."""

    organization_id: UUID
    user_id: UUID
    username: str
    password: str


def system_context(
    installation: Installation, organization_id: UUID, *, actor: str = "plumbline", client: str = "cli"
) -> Context:
    """The program itself acts: the command line of the embedded home, a migration, a scheduled job."""
    return Context(organization_id=organization_id, actor_type="system", actor_id=actor, client_id=client, now=installation.clock(),
                   rights=rights.EVERY)  # fmt: skip


def initialize(installation: Installation, *, name: str, slug: str, username: str, email: str, password: str | None = None,
               superuser: bool = True, by: Context | None = None) -> Initialized:  # fmt: skip
    """Make an organization and its first administrator. In an installation that has one already, use a superuser's
    :func:`create_organization`; tests and the demonstration call this more than once.

    :param by: who makes it, so that the entry names the person; without one it is the program itself.
    """
    now = installation.clock()
    _check(name, slug)
    chosen = password or passwords.generated()
    passwords.check_new(chosen, username=username)
    organization_id, user_id = new_id(now), new_id(now)
    context = replace(by, organization_id=organization_id) if by else system_context(installation, organization_id)
    with installation.database.write(organization_id) as session:
        _insert(session, organization_id, name, slug, context)
        from plumbline.kernel.identity.service.people import insert

        insert(session, context, user_id, username=username, email=email, full_name=None, role="admin", password=chosen,
               is_superuser=superuser, must_change=False)  # fmt: skip
        audit(session, context, "organizations.create", "organization", organization_id,
              new={"name": name, "slug": slug}, details={"administrator": str(user_id)})  # fmt: skip
    return Initialized(organization_id, user_id, username, chosen)


def create_organization(
    installation: Installation, context: Context, *, name: str, slug: str, username: str, email: str
) -> Initialized:
    """A further tenant, by a superuser; its first administrator's password is told once."""
    context.require("organizations.manage")
    return initialize(installation, name=name, slug=slug, username=username, email=email, superuser=False, by=context)


def list_organizations(installation: Installation, context: Context) -> list[Organization]:
    context.require("organizations.manage")
    with installation.database.read(context.organization_id) as session:
        return repository.organizations(session)


def organization_of(installation: Installation, slug: str | None) -> Organization:
    """By its slug, or the first one of the installation."""
    with installation.database.read(None) as session:
        found = repository.organization_by_slug(session, slug) if slug else repository.first_organization(session)
    if found is None:
        raise NotFound(f"There is no organization '{slug}'." if slug else "There is no organization yet.",
                       remedy="See: plumbline users organizations" if slug else "Run: plumbline init")  # fmt: skip
    return found


def cross(installation: Installation, context: Context, slug: str) -> Context:
    """A superuser works in another organization: every crossing is an entry there."""
    context.require("*")
    target = organization_of(installation, slug)
    crossed = replace(context, organization_id=target.id)
    with Act(installation.database, crossed, "organizations.cross", "organization", resource_id=target.id) as act:
        act.done(from_organization=str(context.organization_id))
    return crossed


def four_eyes(session: Session, organization_id: UUID, right: str) -> bool:
    """Whether an act needs a second person: the organization's setting, else yes once two active people hold the right."""
    organization = repository.organization(session, organization_id)
    chosen = (organization.settings or {}).get("four_eyes") if organization else None
    if chosen is not None:
        return bool(chosen)
    return repository.holders(session, organization_id, rights.roles_with(right)) >= 2


def _check(name: str, slug: str) -> None:
    if not name.strip():
        raise InvalidInput("The organization has no name.", where=Where(field="name"), remedy="Give it one.")
    if not _SLUG.fullmatch(slug):
        raise InvalidInput(f"'{slug}' cannot stand in an address.", where=Where(field="slug"),
                           remedy="Use small letters, digits and hyphens.")  # fmt: skip


def _insert(session: Session, key: UUID, name: str, slug: str, context: Context) -> None:
    taken = session.scalar(
        sa.select(Organization.id).where(sa.or_(Organization.slug == slug, Organization.name == name))
    )
    if taken is not None:
        raise Conflict(
            f"There is an organization '{name}' or '{slug}' already.",
            where=Where(field="slug"),
            remedy="Choose another name.",
        )
    session.execute(
        sa.insert(Organization),
        {
            "id": key,
            "name": name,
            "slug": slug,
            "is_active": True,
            "settings": {},
            "created_at": context.now,
            "updated_at": context.now,
        },
    )


def change_settings(installation: Installation, context: Context, **values: object) -> None:
    """Change the organization's own settings; None takes a setting back to its default.

    ``four_eyes``: whether binding acts need a second person (default: as soon as two people could do them).
    """
    with Act(installation.database, context, "organizations.change", "organization", resource_id=context.organization_id,
             right="organizations.settings") as act:  # fmt: skip
        organization = repository.organization(act.session, context.organization_id)
        assert organization is not None
        before = dict(organization.settings or {})
        after = {name: value for name, value in {**before, **values}.items() if value is not None}
        repository.update_organization(act.session, context.organization_id, settings=after, updated_at=context.now)
        act.done(old={name: before.get(name) for name in values}, new=dict(values))
