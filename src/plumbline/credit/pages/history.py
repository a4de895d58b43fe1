"""What the audit log says of a decision, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from plumbline.credit import words
from plumbline.credit.pages import reading
from plumbline.kernel.context import Context
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger import queries
from plumbline.kernel.ledger.tables import AuditEntry
from plumbline.kernel.paging import PageRequest

MOST = 30


@dataclass(frozen=True, slots=True)
class Event:
    """One act: when, what, the rest of it, and the entry that proves it."""

    at: datetime
    what: str
    text: str
    entry_id: UUID


def events(installation: Installation, context: Context, subjects: Sequence[UUID]) -> list[Event]:
    """The acts on a decision, its review and the batch it came in, newest first."""
    entries: list[AuditEntry] = []
    for key in subjects:
        entries += queries.list_entries(installation, context, queries.Query(resource_id=key), PageRequest(MOST)).items
    entries.sort(key=lambda e: e.id, reverse=True)
    people = reading.names(installation, context, (e.user_id for e in entries))
    found = []
    for entry in entries[:MOST]:
        what, text = words.act(entry.action, entry.details or {}, entry.new_values or {})
        by = people.get(entry.user_id) if entry.user_id else None
        by = by or {"job": "a job", "system": "the program"}.get(entry.actor_type, "somebody whose name is erased")
        if not entry.success:
            what, text = f"Tried and refused: {what[0].lower()}{what[1:]}", entry.error_message or ""
        if text and text[-1] not in ".”":
            text += "."
        through = f" through {entry.client_id}" if entry.actor_type == "key" and entry.client_id else ""
        found.append(Event(entry.timestamp, what, f"{text} By {by}{through}.".strip(), entry.id))
    return found
