"""Console pages of the registry: the inventory, one version, the dialogs that change which one decides, drift reports."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from plumbline.console import formats, views
from plumbline.kernel import room
from plumbline.kernel.context import Context
from plumbline.kernel.errors import Corrupt, InvalidInput, NotFound, PlumblineError
from plumbline.kernel.faces.http import House, Visitor
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger.queries import moment
from plumbline.kernel.ledger.tables import AuditEntry
from plumbline.kernel.models import card, drift_pictures, pictures, service
from plumbline.kernel.models.service import Detail, cards, drift, drift_reports
from plumbline.kernel.models.tables import Model
from plumbline.kernel.paging import PageRequest

router = APIRouter()
RIGHT = "models.activate"
SHOWN_FEATURES = 20  # the rest unfolds
PER_PAGE = 25
MOST_PICTURES = 4
DONE = {
    "models.register": "Registered", "models.activate": "Activated", "models.rollback": "Put back", "models.load": "Found damaged",
    "models.finding_take": "Finding taken on", "models.finding_note": "Note on the finding", "models.finding_resolve": "Finding settled",
    "models.drift_request": "Comparison asked for", "models.evaluate": "Performance measured",
}  # fmt: skip
Text = Annotated[str, Form()]


@router.get("/models")
def models_page(request: Request, house: House, visitor: Visitor) -> Response:
    names = service.inventory(house, visitor)
    lines = [{"line": n, "shown": n.live or n.newest, "headline": pictures.headline(n.live or n.newest)} for n in names]
    return views.page(request, "models/list.html", nav="models", lines=lines, dark=sum(n.live is None for n in names))


@router.get("/models/{model_id}")
def model_page(request: Request, house: House, visitor: Visitor, model_id: UUID) -> Response:
    found = service.detail(house, visitor, model_id)
    return views.page(request, "models/model.html", nav="models", **_whole(found, visitor), **_drift(house, visitor, model_id))  # fmt: skip


@router.get("/models/{model_id}/card")
def model_card_page(house: House, visitor: Visitor, model_id: UUID) -> Response:
    """The model card, to print, under a policy that allows nothing but its own style sheet."""
    page = card.to_html(cards.card_of(house, visitor, model_id))
    return Response(page, media_type="text/html; charset=utf-8", headers={"Content-Security-Policy": f"{card.POLICY}; frame-ancestors 'none'"})  # fmt: skip


@router.get("/models/{model_id}/cost")
def model_cost_page(request: Request, house: House, visitor: Visitor, model_id: UUID,
                    threshold: Annotated[float, Query(ge=0, le=1)] = 0.5) -> Response:  # fmt: skip
    """The cost curve with a threshold that is looked at; nothing is changed by it."""
    found = service.detail(house, visitor, model_id)
    curve = pictures.cost(found.model, threshold)
    if curve is None:
        raise NotFound(f"No cost curve was measured for {found.model.name}@{found.model.version}.",
                       remedy="Ask the room that trains it to measure one.")  # fmt: skip
    told: dict[str, Any] = {"cost": curve, "cut": pictures.cut(found.model, threshold)}
    if views.is_partial(request):
        return views.fragment(request, "models/_cost.html", model=found.model, **told)
    return views.page(request, "models/model.html", nav="models", **(_whole(found, visitor) | _drift(house, visitor, model_id) | told))  # fmt: skip


@router.post("/models/{model_id}/activate")
def activate_model_form(
    request: Request, house: House, visitor: Visitor, model_id: UUID, reason: Text = "", force: Text = ""
) -> Response:
    try:
        done = service.activate(house, visitor, model_id, reason=reason, force=force == "yes")
    except PlumblineError as error:
        return _again(request, house, visitor, model_id, "activate", error, {"reason": reason, "force": force})
    return views.redirect(request, f"/models/{done.id}", flash=f"{done.name} {done.version} is live.")


@router.post("/models/{model_id}/rollback")
def rollback_model_form(
    request: Request, house: House, visitor: Visitor, model_id: UUID, reason: Text = "", force: Text = ""
) -> Response:
    """Posted on the live version's page; the version that comes back is the one before it."""
    live = service.get(house, visitor, model_id)
    try:
        done = service.rollback(house, visitor, live.name, reason=reason, force=force == "yes")
    except PlumblineError as error:
        return _again(request, house, visitor, model_id, "rollback", error, {"reason": reason, "force": force})
    return views.redirect(request, f"/models/{done.id}", flash=f"{done.name} {done.version} is live again.")


def _again(request: Request, house: Installation, visitor: Context, model_id: UUID, dialog: str, error: PlumblineError,
           given: dict[str, str]) -> Response:  # fmt: skip
    """The dialog with what is wrong, the typed text kept; an error that no form can mend goes on."""
    if not visitor.may(RIGHT) or (error.status >= 500 and not isinstance(error, Corrupt)) or error.status == 404:
        raise error
    field = error.where.field if error.where and error.where.field in ("reason",) else ""
    found = {f"{dialog}-{field}" if field else "": f"{error.detail} {error.remedy or ''}".strip()}
    whole = _whole(service.detail(house, visitor, model_id), visitor) | {"found": found, "given": given}
    whole |= _drift(house, visitor, model_id)
    if views.is_partial(request):
        return views.fragment(request, f"models/_{dialog}.html", status=422, **whole)
    return views.page(request, "models/model.html", nav="models", status=422, **whole)


def _whole(found: Detail, visitor: Context) -> dict[str, Any]:
    model = found.model
    evaluations = pictures.latest(found.evaluations)
    trained_by = model.extra.get("trained_by")
    before = next((v for v in found.versions if str(v.id) == model.extra.get("previous_id")), None)
    target = before if model.is_active else model
    shares = next((m.evaluation.feature_importance for m in evaluations if m.evaluation.feature_importance), None) or {}
    return {
        "model": model, "detail": found, "live": found.live, "before": before, "may": visitor.may(RIGHT),
        "own": trained_by is not None and trained_by == str(visitor.user_id), "breaks": service.contract(found.live, target) if target else [],
        "trainer": found.people.get(UUID(trained_by)) if trained_by else None, "headline": pictures.headline(model),
        "evaluations": [(m, pictures.dataset_of(m.evaluation.dataset)) for m in evaluations], "figures": pictures.figures(evaluations),
        "reliability": pictures.reliability(model, evaluations), "cost": pictures.cost(model), "cut": None, "importance": pictures.importance(evaluations),
        "features": sorted((_feature(f, shares) for f in model.features), key=lambda f: -(f["share"] or 0.0)), "shown": SHOWN_FEATURES,
        "facts": _facts(model), "history": [_event(e, found.people) for e in found.history], "warnings": model.extra.get("warnings") or [],
        "found": {}, "given": {}, "room_pages": _room_pages(model),
    }  # fmt: skip


# --- drift


def _drift(house: Installation, visitor: Context, model_id: UUID) -> dict[str, Any]:
    trail = drift_reports.trail(house, visitor, model_id)
    return {"reference": trail.reference, "drift_map": drift_pictures.trail_map(trail.runs), "compared": len(trail.runs)}  # fmt: skip


@router.get("/models/{model_id}/drift")
def model_drift_page(request: Request, house: House, visitor: Visitor, model_id: UUID,
                     cursor: Annotated[str, Query(max_length=64)] = "") -> Response:  # fmt: skip
    return views.page(request, "models/drift.html", nav="models", **_listed(house, visitor, model_id, cursor))


@router.post("/models/{model_id}/drift")
def run_model_drift_form(request: Request, house: House, visitor: Visitor, model_id: UUID, since: Text = "", until: Text = "") -> Response:  # fmt: skip
    """Compare the single decisions of a span of time, in the background."""
    try:
        job, said = drift.request(
            house, visitor, model_id, since=moment(since, "since"), until=moment(until, "until", end=True)
        )
    except InvalidInput as error:
        field = error.where.field if error.where and error.where.field in ("since", "until") else "until"
        whole = _listed(house, visitor, model_id, "") | {
            "found": {field: f"{error.detail} {error.remedy or ''}".strip()}, "given": {"since": since[:40], "until": until[:40]},
        }  # fmt: skip
        return views.page(request, "models/drift.html", nav="models", status=422, **whole)
    return views.redirect(request, f"/models/{model_id}/drift", flash=said, kind="info" if job else "warn")


def _listed(house: Installation, visitor: Context, model_id: UUID, cursor: str) -> dict[str, Any]:
    model = drift_reports.model_of(house, visitor, model_id)
    page = drift_reports.list_runs(house, visitor, PageRequest.parse(PER_PAGE, cursor or None), model=model_id)
    here = f"/models/{model_id}/drift"
    return _drift(house, visitor, model_id) | {
        "model": model, "page": page, "may": visitor.may(drift.RIGHT), "verdict_of": drift_pictures.verdict_of, "window_of": drift_pictures.window_of,
        "figure": drift_pictures.figure, "newest": here if cursor else "", "next": f"{here}?cursor={page.next}" if page.next else "",
        "found": {}, "given": {},
    }  # fmt: skip


@router.get("/models/{model_id}/drift/{report_id}")
def drift_report_page(request: Request, house: House, visitor: Visitor, model_id: UUID, report_id: UUID,
                      check: Literal["", "yes"] = "") -> Response:  # fmt: skip
    """One report; with ``check`` every number of it is recomputed first."""
    kept = drift_reports.get_run(house, visitor, report_id, model=model_id)
    fault, columns = "", []
    try:
        columns = drift_reports.columns_of(house, kept.run)
    except Corrupt as error:  # what the database holds is shown all the same
        fault = f"{error.detail} {error.remedy or ''}".strip()
    drawn = [c for c in columns if c["kind"] == "probability"] + [c for c in columns if c["is_drifted"] and c["kind"] != "probability"]  # fmt: skip
    found = drift_reports.verify(house, visitor, report_id, model=model_id) if check else None
    return views.page(
        request, "models/drift_report.html", nav="models", kept=kept, run=kept.run, model=kept.model, columns=columns, fault=fault,
        verdicts=drift_pictures.VERDICTS, verdict=drift_pictures.verdict_of(kept.run), figure=drift_pictures.figure, window=drift_pictures.window_of(kept.run), shown=SHOWN_FEATURES,
        pictures=[p for p in map(drift_pictures.against_reference, drawn[:MOST_PICTURES]) if p], checked=found,
        worst=drift_pictures.worst_columns(kept.scores["psi"].feature_drifts, most=10),
    )  # fmt: skip


@router.get("/models/{model_id}/drift/{report_id}/report")
def drift_report_file(house: House, visitor: Visitor, model_id: UUID, report_id: UUID,
                      form: Annotated[Literal["html", "json"], Query(alias="format")] = "html") -> Response:  # fmt: skip
    """The stored report, under a policy that allows nothing but its own style sheet."""
    kept = drift_reports.get_run(house, visitor, report_id, model=model_id)
    data = drift_reports.file_of(house, kept.run, form)
    if form == "json":
        return Response(data, media_type="application/json", headers={"Content-Disposition": f'attachment; filename="drift-{report_id}.json"'})  # fmt: skip
    return Response(data, media_type="text/html; charset=utf-8", headers={"Content-Security-Policy": _policy(data)})


def _policy(page: bytes) -> str:
    """Of the page's own bytes, whose hash was checked: a stored report keeps the style sheet of its day."""
    style = re.search(rb"<style>(.*?)</style>", page, re.DOTALL)
    allowed = f"style-src 'sha256-{b64encode(sha256(style[1]).digest()).decode()}'; " if style else ""
    return f"default-src 'none'; {allowed}base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def _feature(feature: dict[str, Any], shares: dict[str, float]) -> dict[str, Any]:
    name = str(feature["name"])
    return {"name": name, "type": feature.get("dtype") or feature.get("type") or "", "text": feature.get("text") or "",
            "reason": feature.get("reason") or "", "share": shares.get(name)}  # fmt: skip


def _room_pages(model: Model) -> list[tuple[str, str]]:
    """Title and address of what the room of its kind tells of a version on pages of its own."""
    told = room.gathered(lambda r: dict(r.model_pages) if r.model_pages else None)
    return [(title, path.format(id=model.id)) for title, path in told.get(model.kind, ())]


def _facts(model: Model) -> list[tuple[str, str]]:
    """What the room noted at training, as far as a person reads it."""
    extra, told = model.extra, []
    training = extra.get("training")
    if isinstance(training, dict) and "rows" in training:
        told.append(("Trained on", formats.plural(training["rows"], "row")))
        if "events" in training:
            told.append(("Events in them", f"{training['events']:,}"))
    if isinstance(extra.get("threshold"), float):
        told.append(("Threshold", formats.percent(extra["threshold"])))
    told += [
        (label, str(extra[name]))
        for name, label in (("schema", "Schema"), ("source", "Source"), ("seed", "Seed"))
        if extra.get(name) is not None
    ]
    return told


def _event(entry: AuditEntry, people: dict[UUID, str]) -> tuple[Any, str, str]:
    who = (people.get(entry.user_id) if entry.user_id else None) or entry.actor_id or "Somebody"
    what = DONE.get(entry.action, entry.action)
    details = entry.details if isinstance(entry.details, dict) else {}
    said = details.get("reason") or details.get("note") or ""
    text = f"{who}: {said}" if said else who
    return entry.timestamp, what if entry.success or entry.action == "models.load" else f"{what}: refused", text
