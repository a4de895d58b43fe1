"""Console pages of the audit log: the list with its filters in the address, and one entry."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from plumbline.console import charts, formats, views
from plumbline.kernel.context import Context
from plumbline.kernel.errors import InvalidInput, PlumblineError
from plumbline.kernel.faces.http import House, Visitor
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger import queries
from plumbline.kernel.ledger.pages import proofs
from plumbline.kernel.ledger.repository import Day
from plumbline.kernel.ledger.tables import AuditEntry
from plumbline.kernel.paging import Page, PageRequest

router = APIRouter()
PER_PAGE = 100
FIELDS = ("actor", "action", "resource_type", "resource_id", "since", "until", "client", "outcome")
OUTCOMES = {"done": True, "failed": False}
Text = Annotated[str, Query()]


@router.get("/audit")
def audit_page(
    request: Request, house: House, visitor: Visitor, actor: Text = "", action: Text = "", resource_type: Text = "", resource_id: Text = "",
    since: Text = "", until: Text = "", client: Text = "", outcome: Text = "", cursor: Text = "",
) -> Response:  # fmt: skip
    typed = dict(zip(FIELDS, (actor, action, resource_type, resource_id, since, until, client, outcome)))
    active = {name: text for name, text in typed.items() if text.strip()}
    found: dict[str, str] = {}
    query = _query(typed, found)
    page: Page[AuditEntry] = Page([], None, 0)
    try:
        if not found:
            page = queries.list_entries(house, visitor, query, PageRequest.parse(PER_PAGE, cursor))
    except InvalidInput as error:
        found[_field(error)] = f"{error.detail} {error.remedy or ''}".strip()
    address = f"/audit?{urlencode(active)}" if active else "/audit"
    return views.page(
        request, "ledger/audit.html", nav="ledger", status=422 if found else 200, typed=typed, found=found, page=page,
        rows=[described(e, queries.names(house, visitor, page.items)) for e in page.items] if page.items else [],
        acts=_choices(queries.list_actions(house, visitor)), active=bool(active), first=not cursor, newest=address if cursor else "",
        next=f"{address}{'&' if active else '?'}cursor={page.next}" if page.next else "",
        activity=None if found else _activity(house, visitor, query),
    )  # fmt: skip


@router.get("/audit/{entry_id}")
def audit_entry_page(request: Request, house: House, visitor: Visitor, entry_id: UUID) -> Response:
    entry = queries.get_entry(house, visitor, entry_id)
    names = queries.names(house, visitor, [entry])
    return views.page(
        request, "ledger/entry.html", nav="ledger", entry=entry, row=described(entry, names),
        changes=[(field, _shown(old), _shown(new)) for field, old, new in queries.changes(entry)],
        details=json.dumps(entry.details, indent=2, ensure_ascii=False) if entry.details else "",
        proof=proofs.card_of(house, visitor, entry_id),
    )  # fmt: skip


def described(entry: AuditEntry, names: dict[UUID, str]) -> dict[str, Any]:
    """An entry in words: who, by which program, on what."""
    person = names.get(entry.user_id) if entry.user_id else None
    on = names.get(entry.resource_id) if entry.resource_id and entry.resource_type == "user" else None
    program = {"key": f"key {entry.client_id}", "job": "a job", "system": entry.actor_id or "the program"}.get(
        entry.actor_type, ""
    )
    who = f"{person}, {program}" if person and program else person or program or entry.actor_id or "unknown"
    return {
        "entry": entry, "who": who, "person": person, "type": entry.resource_type.replace("_", " "),
        "on": on or (formats.short_hash(str(entry.resource_id)) if entry.resource_id else ""), "named": on is not None,
    }  # fmt: skip


def _query(typed: dict[str, str], found: dict[str, str]) -> queries.Query:
    given: dict[str, Any] = {name: typed[name] for name in ("actor", "action", "resource_type", "client")}
    for name, end in (("since", False), ("until", True)):
        try:
            given[name] = queries.moment(typed[name], name, end=end)
        except InvalidInput as error:
            found[name] = f"{error.detail} {error.remedy}"
    if typed["resource_id"].strip():
        try:
            given["resource_id"] = UUID(typed["resource_id"].strip())
        except ValueError:
            found["resource_id"] = "This is no id. Copy one from an entry."
    if typed["outcome"] not in ("", *OUTCOMES):
        found["outcome"] = "Choose done or failed."
    return queries.Query(**given, success=OUTCOMES.get(typed["outcome"]))


def _field(error: PlumblineError) -> str:
    return error.where.field if error.where and error.where.field in FIELDS else ""


def _choices(actions: list[str]) -> list[tuple[str, str]]:
    """Groups of actions with their members: ``users`` (all of them), ``users.create`` …"""
    made: list[tuple[str, str]] = []
    for group in dict.fromkeys(a.partition(".")[0] for a in actions):
        members = [a for a in actions if a.partition(".")[0] == group]
        if len(members) > 1:
            made.append((f"{group}.", f"{group}: all acts"))
        made += [(a, a) for a in members]
    return made


def _activity(house: Installation, visitor: Context, query: queries.Query) -> dict[str, Any] | None:
    days = queries.activity(house, visitor, query)
    total, failed = sum(d.entries for d in days), sum(d.failed for d in days)
    if not total:
        return None
    busiest = max(days, key=lambda d: d.entries)
    finding = f"{formats.plural(total, 'act')} in {formats.plural(len(days), 'day')}, most on {formats.day(busiest.day)}: {busiest.entries:,}."
    return {
        "title": f"Acts per day, {formats.day(days[0].day)} to {formats.day(days[-1].day)}",
        "said": f"{total:,} in all, {failed:,} of them failed",
        "chart": charts.histogram(finding, [d.entries for d in days], low=0, width=1, noun="Acts", write=lambda i: _day_after(days, i)),
        "finding": finding, "rows": [(formats.day(d.day), f"{d.entries:,}", f"{d.failed:,}") for d in days],
    }  # fmt: skip


def _day_after(days: list[Day], index: float) -> str:
    return formats.day(days[0].day + timedelta(days=round(index))).rsplit(" ", 1)[0]  # the title says the year


def _shown(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    return json.dumps(value, ensure_ascii=False)
