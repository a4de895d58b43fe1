"""Console pages of the triage list: the list with its filters in the address, and one finding."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import Response

from plumbline.console import views
from plumbline.kernel import room as contract
from plumbline.kernel.context import Context
from plumbline.kernel.errors import NotFound, PlumblineError
from plumbline.kernel.faces.http import House, Visitor
from plumbline.kernel.findings import service
from plumbline.kernel.findings.tables import Finding
from plumbline.kernel.identity import service as identity
from plumbline.kernel.installation import Installation
from plumbline.kernel.paging import PageRequest

router = APIRouter()
PER_PAGE = 100
STATES = (
    ("waiting", "Waiting"),
    ("open", "Open"),
    ("acknowledged", "Taken"),
    ("resolved", "Resolved"),
    ("suppressed", "Suppressed"),
    ("all", "All"),
)
CHIPS = {
    "open": ("", "Open"),
    "acknowledged": ("brand", "Taken"),
    "resolved": ("ok", "Resolved"),
    "suppressed": ("", "Suppressed"),
}
FORMS = {"note": ("text",), "resolve": ("note", "decision")}
Text = Annotated[str, Form(max_length=4000)]
Filters = dict[str, str]


def chosen(
    room: Annotated[str, Query(max_length=100, pattern=r"^[^\x00]*$")] = "",
    state: Literal["waiting", "open", "acknowledged", "resolved", "suppressed", "all"] = "waiting",
    severity: Literal["", "critical", "high", "medium", "low"] = "",
    owner: Literal["", "me", "none"] = "",
    cursor: Annotated[str, Query(max_length=64)] = "",
) -> Filters:  # fmt: skip
    return {"room": room, "state": state, "severity": severity, "owner": owner, "cursor": cursor}


Chosen = Annotated[Filters, Depends(chosen)]


def address(filters: Filters, **changes: str) -> str:
    """The list with these filters; what is as by default stays out of the address."""
    kept = {name: text for name, text in (filters | changes).items() if text and (name, text) != ("state", "waiting")}
    return f"/findings?{urlencode(kept)}" if kept else "/findings"


@router.get("/findings")
def findings_page(request: Request, house: House, visitor: Visitor, filters: Chosen) -> Response:
    whole = _listed(house, visitor, filters)
    if views.is_partial(request):
        return views.fragment(request, "findings/_list.html", **whole)
    return views.page(request, "findings/list.html", nav="findings", **whole)


@router.post("/findings/{finding_id}/take")
def take_finding_form(
    request: Request, house: House, visitor: Visitor, finding_id: UUID, filters: Chosen, back: Text = ""
) -> Response:
    """From the list (a part of the page is swapped), or from the finding's page (``back=finding``)."""
    taken = service.take(house, visitor, finding_id)
    if back == "finding":
        return views.redirect(request, f"/findings/{finding_id}", flash="It is yours.")
    if views.is_partial(request):
        return views.fragment(request, "findings/_list.html", **_listed(house, visitor, filters))
    return views.redirect(request, address(filters), flash=f"“{taken.title}” is yours.")


@router.get("/findings/{finding_id}")
def finding_page(request: Request, house: House, visitor: Visitor, finding_id: UUID) -> Response:
    return views.page(request, "findings/finding.html", nav="findings", **_whole(house, visitor, finding_id))


@router.post("/findings/{finding_id}/note")
def note_finding_form(request: Request, house: House, visitor: Visitor, finding_id: UUID, text: Text = "") -> Response:
    try:
        service.note(house, visitor, finding_id, text)
    except PlumblineError as error:
        return _again(request, house, visitor, finding_id, "note", error, {"text": text})
    return views.redirect(request, f"/findings/{finding_id}", flash="The note stands in the ledger.")


@router.post("/findings/{finding_id}/resolve")
def resolve_finding_form(
    request: Request, house: House, visitor: Visitor, finding_id: UUID, note: Text = "", decision: Text = ""
) -> Response:
    try:
        done = service.resolve(house, visitor, finding_id, note=note, decision=decision or None)
    except PlumblineError as error:
        return _again(request, house, visitor, finding_id, "resolve", error, {"note": note, "decision": decision})
    return views.redirect(request, f"/findings/{finding_id}", flash=f"The finding is {done.state}.")


def _again(request: Request, house: Installation, visitor: Context, finding_id: UUID, dialog: str, error: PlumblineError,
           given: Filters) -> Response:  # fmt: skip
    """The dialog with what is wrong; an error that no form can mend goes on."""
    if error.status not in (409, 422) or isinstance(error, NotFound):
        raise error
    field = error.where.field if error.where and error.where.field in FORMS[dialog] else ""
    found = {f"{dialog}-{field}" if field else "": f"{error.detail} {error.remedy or ''}".strip()}
    whole = _whole(house, visitor, finding_id) | {"found": found, "given": given}
    if views.is_partial(request):
        return views.fragment(request, f"findings/_{dialog}.html", status=422, **whole)
    return views.page(request, "findings/finding.html", nav="findings", status=422, **whole)


def _titles() -> dict[str, str]:
    return {part.name: part.title for part in contract.everything()}


def _listed(house: Installation, visitor: Context, filters: Filters) -> dict[str, Any]:
    owner: UUID | Literal["none"] | None = None
    if filters["owner"] == "none":
        owner = "none"
    elif filters["owner"] == "me":
        owner = visitor.user_id
    page = service.list_findings(
        house, visitor, PageRequest.parse(PER_PAGE, filters["cursor"] or None), state=None if filters["state"] == "all" else filters["state"],
        room=filters["room"] or None, severity=filters["severity"] or None, owner=owner,
    )  # fmt: skip
    counts, titles = service.waiting_by_room(house, visitor), _titles()
    rooms = sorted({*counts, *([filters["room"]] if filters["room"] else [])}, key=lambda r: titles.get(r, r))
    names = identity.names_of(house, visitor, {f.owner_id for f in page.items if f.owner_id})
    first = filters | {"cursor": ""}
    query = address(filters).partition("?")[2]
    return {
        "rows": [
            {"finding": f, "owner": names.get(f.owner_id) if f.owner_id else None, "room": titles.get(f.room, f.room), "chip": CHIPS[f.state],
             "take": f"/findings/{f.id}/take{'?' + query if query else ''}" if f.state == "open" and visitor.may("findings.triage") else ""}
            for f in page.items
        ],
        "tabs": [("", "All", address(first, room=""), sum(counts.values())), *((r, titles.get(r, r), address(first, room=r), counts.get(r, 0)) for r in rooms)],
        "filters": filters, "states": STATES, "total": page.total_text, "filtered": any(filters[n] for n in ("severity", "owner")) or filters["state"] != "waiting",
        "clear": address({"room": filters["room"]}), "newest": address(first) if filters["cursor"] else "",
        "next": address(filters, cursor=page.next) if page.next else "", "now": visitor.now,
    }  # fmt: skip


def _whole(house: Installation, visitor: Context, finding_id: UUID) -> dict[str, Any]:
    finding: Finding = service.get_finding(house, visitor, finding_id)
    names = identity.names_of(house, visitor, {finding.owner_id} if finding.owner_id else set())
    waiting = finding.state in ("open", "acknowledged")
    return {
        "finding": finding, "room": _titles().get(finding.room, finding.room), "owner": names.get(finding.owner_id) if finding.owner_id else None,
        "chip": CHIPS[finding.state], "may": waiting and visitor.may("findings.triage"), "decisions": service.decisions_of(finding.room),
        "mine": finding.owner_id == visitor.user_id, "late": waiting and finding.due_at is not None and finding.due_at < visitor.now,
        "found": {}, "given": {},
    }  # fmt: skip
