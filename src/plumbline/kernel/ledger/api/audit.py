"""``/api/v1/audit``: the audit log, read only."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict

from plumbline.kernel.faces.http import Caller, House
from plumbline.kernel.ledger import queries
from plumbline.kernel.ledger.tables import AuditEntry
from plumbline.kernel.paging import PageRequest

router = APIRouter()
_EXAMPLE: dict[str, Any] = {
    "id": "019ab2f4-8f00-7a31-9c1d-0d6a5f3b2c11", "timestamp": "2026-11-24T09:41:00.000000Z", "action": "users.change",
    "actor_type": "user", "user_id": "019ab2f0-1c00-7bd2-8f4e-51f0c2a7de90", "user_name": "Imke Brandt",
    "resource_type": "user", "resource_id": "019ab2f1-2a00-7c10-a8e1-6b1f0a9c7d55", "resource_name": "Jonas Weiss", "request_id": "4f1c0e",
    "success": True, "actor_id": "019ab2f0-1c00-7bd2-8f4e-51f0c2a7de90", "client_id": "console", "ip_address": "203.0.113.9",
    "session_id": "019ab2f3-aa00-7111-b6c0-10c2d3e4f567", "user_agent": "Mozilla/5.0", "details": {"sessions_ended": 1},
    "error_message": None, "old_values": {"role": "viewer"}, "new_values": {"role": "analyst"},
    "actor_commitment": "9c6c…", "content_commitment": "b41e…",
}  # fmt: skip


class Entry(BaseModel):
    """One act. The commitments are SHA-256 over a salt and the canonical JSON of the actor's and the content's columns."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    id: UUID
    timestamp: datetime
    action: str
    actor_type: str
    user_id: UUID | None
    user_name: str | None
    resource_type: str
    resource_id: UUID | None
    resource_name: str | None
    request_id: str | None
    success: bool
    actor_id: str | None
    client_id: str | None
    ip_address: str | None
    session_id: str | None
    user_agent: str | None
    details: Any
    error_message: str | None
    old_values: Any
    new_values: Any
    actor_commitment: str
    content_commitment: str

    @classmethod
    def of(cls, entry: AuditEntry, names: dict[UUID, str]) -> Entry:
        named: dict[str, Any] = {
            "user_name": names.get(entry.user_id) if entry.user_id else None,
            "resource_name": names.get(entry.resource_id) if entry.resource_id and entry.resource_type == "user" else None,
            "actor_commitment": entry.actor_commitment.hex(), "content_commitment": entry.content_commitment.hex(),
        }  # fmt: skip
        own = {name: getattr(entry, name) for name in cls.model_fields if name not in named}
        return cls(**own, **named)


class EntryPage(BaseModel):
    """``next`` is the cursor of the following page, null on the last; ``total`` says "more than 10,000" above that."""

    items: list[Entry]
    next: str | None
    total: str


class ActivityDay(BaseModel):
    """The acts of one day (UTC)."""

    model_config = ConfigDict(json_schema_extra={"example": {"day": "2026-11-24", "entries": 1240, "failed": 3}})

    day: date
    entries: int
    failed: int


def asked(
    actor: Annotated[
        str, Query(max_length=320, description="Id, user name or e-mail of a person, or the name of a program.")
    ] = "",
    action: Annotated[
        str, Query(max_length=100, description="An action or its beginning: `users` finds `users.create`.")
    ] = "",
    resource_type: Annotated[str, Query(max_length=100)] = "",
    resource_id: UUID | None = None,
    since: Annotated[
        str,
        Query(max_length=40, description="This day or time, or later; without a zone UTC.", examples=["2026-11-01"]),
    ] = "",
    until: Annotated[
        str, Query(max_length=40, description="Before this time; a day is held whole.", examples=["2026-11-30"])
    ] = "",
    client: Annotated[
        str, Query(max_length=200, description="The program that acted: `console`, `cli`, the name of a key.")
    ] = "",
    success: bool | None = None,
) -> queries.Query:
    return queries.Query(
        actor=actor, action=action, resource_type=resource_type, resource_id=resource_id, since=queries.moment(since, "since"),
        until=queries.moment(until, "until", end=True), client=client, success=success,
    )  # fmt: skip


Asked = Annotated[queries.Query, Depends(asked)]


@router.get("/audit")
def list_audit_entries(
    house: House,
    caller: Caller,
    query: Asked,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    cursor: str | None = None,
) -> EntryPage:
    """Who did what, when and from where; newest first."""
    page = queries.list_entries(house, caller, query, PageRequest.parse(limit, cursor))
    names = queries.names(house, caller, page.items)
    return EntryPage(items=[Entry.of(e, names) for e in page.items], next=page.next, total=page.total_text)


@router.get("/audit/activity")
def list_audit_activity(
    house: House, caller: Caller, query: Asked, days: Annotated[int, Query(ge=1, le=queries.MOST_DAYS)] = 30
) -> list[ActivityDay]:
    """Acts per day, quiet days included; `days` counts back from the end of the range where `since` is left out."""
    return [
        ActivityDay(day=d.day, entries=d.entries, failed=d.failed)
        for d in queries.activity(house, caller, query, days=days)
    ]


@router.get("/audit/{entry_id}")
def get_audit_entry(house: House, caller: Caller, entry_id: UUID) -> Entry:
    """One act with everything that is recorded of it."""
    entry = queries.get_entry(house, caller, entry_id)
    return Entry.of(entry, queries.names(house, caller, [entry]))
