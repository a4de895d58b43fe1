"""Console pages of the registry: the inventory, one version, the dialogs that change which one decides."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from plumbline.console import formats, views
from plumbline.kernel.context import Context
from plumbline.kernel.errors import Corrupt, PlumblineError
from plumbline.kernel.faces.http import House, Visitor
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger.tables import AuditEntry
from plumbline.kernel.models import pictures, service
from plumbline.kernel.models.service import Detail
from plumbline.kernel.models.tables import Model

router = APIRouter()
RIGHT = "models.activate"
SHOWN_FEATURES = 20  # the rest unfolds
DONE = {
    "models.register": "Registered", "models.activate": "Activated", "models.rollback": "Put back", "models.load": "Found damaged",
    "models.finding_take": "Damage taken on", "models.finding_note": "Note on the damage", "models.finding_resolve": "Damage settled",
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
    return views.page(request, "models/model.html", nav="models", **_whole(found, visitor))


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
        "reliability": pictures.reliability(model, evaluations), "cost": pictures.cost(model), "importance": pictures.importance(evaluations),
        "features": sorted((_feature(f, shares) for f in model.features), key=lambda f: -(f["share"] or 0.0)), "shown": SHOWN_FEATURES,
        "facts": _facts(model), "history": [_event(e, found.people) for e in found.history], "warnings": model.extra.get("warnings") or [],
        "found": {}, "given": {},
    }  # fmt: skip


def _feature(feature: dict[str, Any], shares: dict[str, float]) -> dict[str, Any]:
    name = str(feature["name"])
    return {"name": name, "type": feature.get("dtype") or feature.get("type") or "", "text": feature.get("text") or "",
            "reason": feature.get("reason") or "", "share": shares.get(name)}  # fmt: skip


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
