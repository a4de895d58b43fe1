"""Reading the audit log: who did what, when and from where. Needs the right ``audit.read``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from plumbline.kernel.context import Context
from plumbline.kernel.errors import InvalidInput, NotFound, Where
from plumbline.kernel.identity import repository as people
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger import repository
from plumbline.kernel.ledger.repository import Day, Filter
from plumbline.kernel.ledger.tables import AuditEntry
from plumbline.kernel.paging import Page, PageRequest

MOST_DAYS = 120


@dataclass(frozen=True, slots=True)
class Query:
    """What a person asks for, as it stands in an address or on a command line; an empty field limits nothing.

    :param actor: id, user name or e-mail of a person, or the name of a program (``cli:anna``).
    :param action: an action or its beginning: ``users`` finds ``users.create`` and ``users.change``.
    :param since: this moment or later; ``until``: before this moment.
    """

    actor: str = ""
    action: str = ""
    resource_type: str = ""
    resource_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    client: str = ""
    success: bool | None = None

    def __bool__(self) -> bool:
        return self != Query()


def moment(text: str, field: str, *, end: bool = False) -> datetime | None:
    """A day or an ISO 8601 time; without a zone it is UTC. The end of a range given as a day holds that day."""
    if not text.strip():
        return None
    try:
        at = datetime.fromisoformat(text.strip())
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        if end and len(text.strip()) <= 10:
            at += timedelta(days=1)
    except (ValueError, OverflowError):
        raise InvalidInput(
            f"'{text[:40]}' is no day or time.",
            where=Where(field=field),
            remedy="Write it as 2026-11-24 or 2026-11-24T09:30Z.",
        ) from None
    if not 1970 <= at.year <= 9000:
        raise InvalidInput(
            f"The year {at.year} is outside of the log.", where=Where(field=field), remedy="Choose a year from 1970 on."
        )
    return at


def list_entries(installation: Installation, context: Context, query: Query, request: PageRequest) -> Page[AuditEntry]:
    """Newest first."""
    context.require("audit.read")
    with installation.database.read(context.organization_id) as session:
        return repository.entries(session, context.organization_id, _resolved(session, context, query), request)


def get_entry(installation: Installation, context: Context, key: UUID) -> AuditEntry:
    context.require("audit.read")
    with installation.database.read(context.organization_id) as session:
        return repository.entry(session, context.organization_id, key)


def list_actions(installation: Installation, context: Context) -> list[str]:
    """The actions that occur in the organization's log."""
    context.require("audit.read")
    with installation.database.read(context.organization_id) as session:
        return repository.actions(session, context.organization_id)


def activity(installation: Installation, context: Context, query: Query, *, days: int = 30) -> list[Day]:
    """Entries per day (UTC), quiet days included: from ``since`` (else ``days`` before the end) to ``until`` (else today)."""
    context.require("audit.read")
    if not 1 <= days <= MOST_DAYS:
        raise InvalidInput(
            f"{days} days cannot be shown.", where=Where(field="days"), remedy=f"Ask for 1 to {MOST_DAYS} days."
        )
    last = (query.until - timedelta(microseconds=1) if query.until else context.now).astimezone(UTC).date()
    first = query.since.astimezone(UTC).date() if query.since else last - timedelta(days=days - 1)
    first = max(first, last - timedelta(days=MOST_DAYS - 1))
    if first > last:
        return []
    start = datetime(first.year, first.month, first.day, tzinfo=UTC)
    within = replace(query, since=max(start, query.since) if query.since else start)
    with installation.database.read(context.organization_id) as session:
        found = repository.activity(session, context.organization_id, _resolved(session, context, within))
    return repository.filled(found, first, last)


def names(installation: Installation, context: Context, entries: Sequence[AuditEntry]) -> dict[UUID, str]:
    """What the people of these entries are called, as actors and as the thing acted upon."""
    keys = {e.user_id for e in entries if e.user_id} | {
        e.resource_id for e in entries if e.resource_id and e.resource_type == "user"
    }
    with installation.database.read(context.organization_id) as session:
        return people.names(session, context.organization_id, keys)


def changes(entry: AuditEntry) -> list[tuple[str, Any, Any]]:
    """Field, before, after, of what an act changed; sorted by field."""
    old = entry.old_values if isinstance(entry.old_values, dict) else {}
    new = entry.new_values if isinstance(entry.new_values, dict) else {}
    return [(field, old.get(field), new.get(field)) for field in sorted({*old, *new})]


def _resolved(session: Session, context: Context, query: Query) -> Filter:
    for field, text in (
        ("actor", query.actor),
        ("action", query.action),
        ("resource_type", query.resource_type),
        ("client", query.client),
    ):
        if "\x00" in text:
            raise InvalidInput("A text holds the character U+0000.", where=Where(field=field), remedy="Leave it out.")
    actions: tuple[str, ...] | None = None
    if query.action.strip():
        wanted = query.action.strip()
        actions = tuple(a for a in repository.actions(session, context.organization_id) if a.startswith(wanted))
    return Filter(
        actors=_actors(session, context.organization_id, query.actor.strip()), actions=actions, resource_type=query.resource_type.strip() or None,
        resource_id=query.resource_id, since=query.since, until=query.until, client=query.client.strip() or None, success=query.success,
    )  # fmt: skip


def _actors(session: Session, organization_id: UUID, text: str) -> tuple[UUID | str, ...]:
    if not text:
        return ()
    try:
        return (UUID(text),)
    except ValueError:
        pass
    try:
        return (people.user_named(session, organization_id, text).id, text)
    except NotFound:
        return (text,)
