"""``/api/v1/findings``: what waits for a person, over all rooms."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from plumbline.kernel.context import Context
from plumbline.kernel.errors import InvalidInput, Where
from plumbline.kernel.faces.http import Caller, House
from plumbline.kernel.findings import service
from plumbline.kernel.findings.tables import Finding
from plumbline.kernel.paging import PageRequest

router = APIRouter()
State = Literal["waiting", "open", "acknowledged", "resolved", "suppressed"]
Severity = Literal["critical", "high", "medium", "low"]
_EXAMPLE: dict[str, Any] = {
    "id": "019ab2f4-8f00-7a31-9c1d-0d6a5f3b2c11", "room": "credit", "subject_id": "019ab2f4-8e00-7a31-9c1d-0d6a5f3b2c11",
    "title": "Declined within 4 points of the cut-off", "severity": "high", "state": "open", "owner_id": None,
    "due_at": "2026-11-25T09:41:00Z", "tags": ["review"], "url": "/credit/reviews/019ab2f4", "score": 0.84,
    "opened_at": "2026-11-24T09:41:00Z", "closed_at": None,
}  # fmt: skip


class FindingOut(BaseModel):
    """Something that needs a person. Its room's own row (`subject_id`, shown at `url`) is the truth; this is the list's line."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE}, from_attributes=True)

    id: UUID
    room: str
    subject_id: UUID
    title: str
    severity: Severity
    state: Literal["open", "acknowledged", "resolved", "suppressed"]
    owner_id: UUID | None
    due_at: datetime | None
    tags: list[str]
    url: str
    score: float | None
    opened_at: datetime
    closed_at: datetime | None


class FindingPage(BaseModel):
    """`next` is the cursor of the following page, null on the last."""

    items: list[FindingOut]
    next: str | None
    total: str


class Note(BaseModel):
    """What was found out; it stays in the ledger."""

    model_config = ConfigDict(json_schema_extra={"example": {"text": "Asked the branch for the payslip."}})

    text: str = Field(max_length=4000)


class Resolution(BaseModel):
    """How it was settled."""

    model_config = ConfigDict(json_schema_extra={"example": {"note": "The payslip is genuine.", "decision": "approve"}})

    note: str = Field(max_length=4000)
    decision: str | None = Field(None, max_length=100, description="A word of the room's own.")


def owner_of(context: Context, owner: str | None) -> UUID | Literal["none"] | None:
    """``me``, ``none`` or an id."""
    if owner is None or owner == "":
        return None
    if owner == "none":
        return "none"
    if owner == "me" and context.user_id is not None:
        return context.user_id
    try:
        return UUID(owner)
    except ValueError:
        raise InvalidInput(
            f"'{owner}' is no person.", where=Where(field="owner"), remedy="Use 'me', 'none' or a person's id."
        ) from None


@router.get("/findings")
def list_findings(
    house: House, caller: Caller, state: Annotated[State | None, Query(description="`waiting` is open or acknowledged.")] = None,
    room: Annotated[str | None, Query(max_length=100, pattern=r"^[^\x00]*$")] = None, severity: Severity | None = None,
    owner: Annotated[str | None, Query(max_length=64, description="`me`, `none` or a person's id.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100, cursor: str | None = None,
) -> FindingPage:  # fmt: skip
    """What needs a person, newest first."""
    page = service.list_findings(house, caller, PageRequest.parse(limit, cursor), state=state, room=room, severity=severity,
                                 owner=owner_of(caller, owner))  # fmt: skip
    return FindingPage(items=[_out(f) for f in page.items], next=page.next, total=page.total_text)


@router.get("/findings/{finding_id}")
def get_finding(house: House, caller: Caller, finding_id: UUID) -> FindingOut:
    """One finding."""
    return _out(service.get_finding(house, caller, finding_id))


@router.post("/findings/{finding_id}/take")
def take_finding(house: House, caller: Caller, finding_id: UUID) -> FindingOut:
    """Take a finding on."""
    return _out(service.take(house, caller, finding_id))


@router.post("/findings/{finding_id}/notes")
def note_finding(house: House, caller: Caller, finding_id: UUID, body: Note) -> FindingOut:
    """Add a note."""
    return _out(service.note(house, caller, finding_id, body.text))


@router.post("/findings/{finding_id}/resolve")
def resolve_finding(house: House, caller: Caller, finding_id: UUID, body: Resolution) -> FindingOut:
    """Settle a finding."""
    return _out(service.resolve(house, caller, finding_id, note=body.note, decision=body.decision))


def _out(finding: Finding) -> FindingOut:
    return FindingOut.model_validate(finding)
