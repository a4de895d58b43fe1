"""What the audit log says of a decision, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from plumbline.credit.pages import reading, words
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
        what, text = described(entry.action, entry.details or {}, entry.new_values or {})
        by = people.get(entry.user_id) if entry.user_id else None
        by = by or {"job": "a job", "system": "the program"}.get(entry.actor_type, "somebody whose name is erased")
        if not entry.success:
            what, text = f"Tried and refused: {what[0].lower()}{what[1:]}", entry.error_message or ""
        if text and text[-1] not in ".”":
            text += "."
        through = f" through {entry.client_id}" if entry.actor_type == "key" and entry.client_id else ""
        found.append(Event(entry.timestamp, what, f"{text} By {by}{through}.".strip(), entry.id))
    return found


def described(action: str, details: dict[str, Any], new: dict[str, Any]) -> tuple[str, str]:
    """What an act was, and what is worth knowing of it."""
    match action:
        case "credit.score":
            if details.get("repeated"):
                return "Asked for again", "The stored answer was given."
            word = words.DECISIONS.get(str(details.get("decision")), ("", "Decided"))[1]
            return "Decision recorded", f"{word}, {str(details.get('risk_level', '')).lower()} risk."
        case "credit.replay":
            if details.get("equal"):
                return "Replayed", "Equal, bit for bit."
            return "Replayed", "It came out otherwise: " + "; ".join(map(str, details.get("differences", []))) + "."
        case "credit.review.take":
            return "Review taken", ""
        case "credit.review.note":
            return "Note added", f"“{new.get('note', '')}”"
        case "credit.review.resolve":
            final = {"approve": "Approved.", "decline": "Declined."}.get(str(new.get("final_decision")), "")
            return "Review resolved", f"{final} “{new.get('cause', '')}”".strip()
        case "credit.batch.submit":
            return "File received", str(new.get("filename", ""))
        case "credit.batch.score":
            return "File scored", f"{int(details.get('scored', 0)):,} of {int(details.get('rows', 0)):,} rows decided."
        case "credit.batch.download":
            return "Results downloaded", str(details.get("file", ""))
        case "credit.batch.resume":
            return "Resumed", ""
    return action.rpartition(".")[2].replace("_", " ").capitalize(), ""
