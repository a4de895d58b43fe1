"""Erasing what is known of a subject or a person without breaking a proof.

First an entry lists what will be blanked; it is sealed; then the groups and their salts are set to NULL. Commitments stay and
say nothing without the salt, so old proofs hold and the verification knows that the blanks were ordered.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from plumbline.kernel import room
from plumbline.kernel.context import Context
from plumbline.kernel.database import WriteSession
from plumbline.kernel.errors import InvalidInput, Where
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger import entry
from plumbline.kernel.ledger.repository.trees import Trees
from plumbline.kernel.ledger.service import pruning
from plumbline.kernel.ledger.service.acts import Act
from plumbline.kernel.ledger.service.sealing import seal
from plumbline.kernel.ledger.service.verifying import ERASE
from plumbline.kernel.ledger.tables import AuditEntry

MIN_REASON = 10
ERASED = "erased"
"""What stands in place of a name or a word that was erased."""
LISTED = ("actor_entries", "content_entries", "records", "resources")
"""The lists in an erasure's entry: ids of entries by group, of decisions, and of other rows with words in them."""
STEP = 500
"""Rows blanked in one transaction."""


@dataclass(slots=True)
class Held:
    """What a room holds of a subject.

    :ivar records: decisions whose input and salt go.
    :ivar resources: rows whose acts have words in them (a review's note): the content of those entries goes.
    :ivar told: (what, how many rows) for people.
    :ivar kept: what this erasure cannot reach, a sentence each, with what to do about it.
    """

    records: list[UUID] = field(default_factory=list)
    resources: list[UUID] = field(default_factory=list)
    told: list[tuple[str, int]] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)


class Erasable(Protocol):
    """A room's part in an erasure (:attr:`room.Room.erasable`)."""

    def find(self, session: Session, organization_id: UUID, subject: str) -> Held: ...

    def erase(self, session: WriteSession, organization_id: UUID, held: Held, now: datetime) -> None:
        """Blank ``held.records`` and ``held.resources``; rows of others, and what is blank already, are left alone."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What an erasure would blank; nothing was changed yet."""

    actor_entries: tuple[UUID, ...] = ()
    content_entries: tuple[UUID, ...] = ()
    records: tuple[UUID, ...] = ()
    resources: tuple[UUID, ...] = ()
    told: tuple[tuple[str, int], ...] = ()
    kept: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.actor_entries or self.content_entries or self.records or self.resources)


def plan(
    installation: Installation, context: Context, *, subject: str | None = None, person: UUID | None = None
) -> Plan:
    """The dry run.

    :param subject: whom decisions are about, as they name it (an application's number, a sender).
    :param person: one of our users: address, session and program of what they did.
    """
    context.require("ledger.erase")
    if (subject is None) == (person is None):
        raise InvalidInput(
            "An erasure is about a subject or about a person.", where=Where(field="subject"), remedy="Name one of them."
        )
    if subject == ERASED:
        raise InvalidInput(
            f"'{ERASED}' stands for everybody who was erased.", where=Where(field="subject"), remedy="Name a subject."
        )
    archived = [
        f"The archive {run['archive']} of a retention run was not searched: it holds entries as they were, with their salts. Look into it wherever"
        " it is kept, and delete it if they are in it; proofs that were given out hold without it."
        for run in pruning.prunings(installation, context.organization_id)
    ]
    with installation.database.read(context.organization_id) as session:
        if person is not None:
            found = _actor_entries(session, context.organization_id, person)
            told = [("entries of the audit log: address, session and program", len(found))]
            return Plan(tuple(found), told=tuple(told), kept=tuple(archived))
        assert subject is not None
        held = [hook.find(session, context.organization_id, subject) for hook in _hooks()]
        resources = [r for h in held for r in h.resources]
        content = _content_entries(session, context.organization_id, resources)
    told = [t for h in held for t in h.told if t[1]]
    if content:
        told.append(("entries of the audit log: words of people", len(content)))
    records, kept = [r for h in held for r in h.records], [k for h in held for k in h.kept] + archived
    return Plan(
        (), tuple(content), tuple(records), tuple(resources) if records or content else (), tuple(told), tuple(kept)
    )


def erase(
    installation: Installation, context: Context, *, reason: str, subject: str | None = None, person: UUID | None = None
) -> Plan:
    """Carry a plan out: the entry, the seal, the blanks. Interrupted, the same call does what is left.

    :returns: what was blanked; empty when nothing was known.
    """
    if len(reason.strip()) < MIN_REASON:
        raise InvalidInput(
            f"Write at least {MIN_REASON} characters on why; you wrote {len(reason.strip())}.",
            where=Where(field="reason"),
        )
    reapply(installation, context.organization_id)
    planned = plan(installation, context, subject=subject, person=person)
    if not planned:
        return planned
    # who it was about does not stand here: this entry itself is never erased
    with Act(installation.database, context, ERASE, "ledger", right="ledger.erase") as act:
        act.details = {name: [str(key) for key in getattr(planned, name)] for name in LISTED} | {
            "reason": reason.strip()
        }
    seal(installation, context.organization_id)
    reapply(installation, context.organization_id)
    return planned


def reapply(installation: Installation, organization_id: UUID) -> int:
    """Carry out every sealed erasure as far as it is not: just ordered, interrupted, or undone by restoring an old copy.

    :returns: how many groups of entries were blanked.
    """
    with installation.database.read(organization_id) as session:
        orders = [json.loads(text) for _, _, text in Trees(session, organization_id).acts(ERASE) if text]
    blanked = 0
    for order in orders:
        listed = {name: [UUID(key) for key in order.get(name, ())] for name in LISTED}
        for name, columns in (("actor_entries", entry.ACTOR), ("content_entries", entry.CONTENT)):
            for start in range(0, len(listed[name]), STEP):
                blanked += _blank(installation, organization_id, listed[name][start : start + STEP], columns)
        if listed["records"] or listed["resources"]:
            with installation.worker_database.write(organization_id) as session:
                for hook in _hooks():
                    hook.erase(
                        session, organization_id, Held(listed["records"], listed["resources"]), installation.clock()
                    )
    return blanked


def _blank(installation: Installation, organization_id: UUID, keys: Iterable[UUID], columns: Sequence[str]) -> int:
    with installation.worker_database.write(organization_id) as session:
        return Trees(session, organization_id).blank(keys, columns)


def _hooks() -> list[Erasable]:
    return [room.load(part.erasable) for part in room.everything() if part.erasable]


def _actor_entries(session: Session, organization_id: UUID, person: UUID) -> list[UUID]:
    statement = sa.select(AuditEntry.id).where(
        AuditEntry.organization_id == organization_id, AuditEntry.user_id == person, AuditEntry.actor_salt.is_not(None)
    )
    return list(session.scalars(statement.order_by(AuditEntry.id)))


def _content_entries(session: Session, organization_id: UUID, resources: Sequence[UUID]) -> list[UUID]:
    found: list[UUID] = []
    for start in range(0, len(resources), STEP):
        statement = sa.select(AuditEntry.id).where(
            AuditEntry.organization_id == organization_id, AuditEntry.resource_id.in_(resources[start : start + STEP]),
            AuditEntry.content_salt.is_not(None),
        )  # fmt: skip
        found += session.scalars(statement)
    return sorted(found)
