"""One decision: why, from what, against the one before, in which company, and what people did about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from plumbline.console import formats, views
from plumbline.credit import service, why, words
from plumbline.credit.intake.schema import Schema
from plumbline.credit.pages import history, outcomes, reading
from plumbline.credit.pages.notice_card import Forms, card_of
from plumbline.credit.service import DecisionView, triage
from plumbline.credit.tables import Review
from plumbline.kernel.context import Context
from plumbline.kernel.errors import Conflict, InvalidInput, PlumblineError
from plumbline.kernel.faces.http import House, Visitor
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger.pages import proofs

router = APIRouter()
FACTS = 20
CHANGES = 10
ROWS = 50
Text = Annotated[str, Form()]


@dataclass(frozen=True, slots=True)
class Given:
    """One table of the input as it was sent: headers and rows, cut off at :data:`ROWS`."""

    name: str
    headers: list[str]
    rows: list[list[str]]
    total: int


@router.get("/credit/decisions/{prediction_id}", name="credit_decision_page")
def decision_page(request: Request, house: House, visitor: Visitor, prediction_id: UUID) -> Response:
    return page_of(request, house, visitor, prediction_id)


@router.get("/credit/decisions/{prediction_id}/why")
def why_part(request: Request, house: House, visitor: Visitor, prediction_id: UUID) -> Response:
    """The part that has to read a long file first."""
    view = service.decision_of(house, visitor, prediction_id)
    known = reading.known(house, view.model)
    return views.fragment(
        request, "credit/_why.html", **_explained(house, visitor, view, known), words=words, view=view
    )


@router.post("/credit/decisions/{prediction_id}/replay")
def replay_decision(request: Request, house: House, visitor: Visitor, prediction_id: UUID) -> Response:
    result = service.replay(house, visitor, prediction_id)
    if views.is_partial(request):
        return views.fragment(
            request, "credit/_replay.html", replayed=result, view=service.decision_of(house, visitor, prediction_id)
        )
    if result.equal:
        said, kind = f"Replayed in {result.processing_time_ms:.1f} ms: equal, bit for bit.", "ok"
    else:
        said, kind = f"Replayed: {formats.plural(len(result.differences), 'difference')}. See the history.", "bad"
    return views.redirect(request, f"/credit/decisions/{prediction_id}", flash=said, kind=kind)


@router.post("/credit/decisions/{prediction_id}/take")
def take_review(request: Request, house: House, visitor: Visitor, prediction_id: UUID) -> Response:
    triage.take(house, visitor, _review_of(house, visitor, prediction_id).id)
    return views.redirect(request, f"/credit/decisions/{prediction_id}", flash="The review is yours.")


@router.post("/credit/decisions/{prediction_id}/note")
def note_review(request: Request, house: House, visitor: Visitor, prediction_id: UUID, note: Text = "") -> Response:
    review = _review_of(house, visitor, prediction_id)
    try:
        triage.note(house, visitor, review.id, note)
    except InvalidInput as error:
        found = {"note": words.told(error)}
        if views.is_partial(request):
            return views.fragment(
                request,
                "credit/_note.html",
                status=422,
                found=found,
                given={"note": note},
                view=_view(house, visitor, prediction_id),
            )
        return page_of(request, house, visitor, prediction_id, status=422, note=(found, {"note": note}))
    return views.redirect(request, f"/credit/decisions/{prediction_id}", flash="The note stands with the review.")


@router.post("/credit/decisions/{prediction_id}/resolve")
def resolve_review(
    request: Request, house: House, visitor: Visitor, prediction_id: UUID, final: Text = "", cause: Text = ""
) -> Response:
    review = _review_of(house, visitor, prediction_id)
    found: dict[str, str] = {}
    if visitor.may("credit.approve"):  # else the act below refuses
        if final not in ("approve", "decline"):
            found["final-1"] = "Choose how the application is decided in the end."
        if len(cause.strip()) < MIN_CAUSE:
            found["cause"] = f"Write at least {MIN_CAUSE} characters; you wrote {len(cause.strip())}."
    if not found:
        try:
            triage.resolve(house, visitor, review.id, note=cause, decision=final)
        except InvalidInput as error:
            found["cause"] = words.told(error)
    if found:
        given = {"final": final, "cause": cause}
        if views.is_partial(request):
            view = _view(house, visitor, prediction_id)
            return views.fragment(
                request, "credit/_resolve.html", status=422, found=found, given=given, view=view, words=words
            )
        return page_of(request, house, visitor, prediction_id, status=422, resolve=(found, given))
    return views.redirect(
        request, f"/credit/decisions/{prediction_id}", flash=said_of(_review_of(house, visitor, prediction_id))
    )


def said_of(review: Review) -> str:
    """What a person's decision came to: final, or proposed for a second person."""
    if review.state != "resolved":
        return "Your decision is proposed. A second person has to confirm it."
    word = words.DECISIONS[review.final_decision][1].lower() if review.final_decision else "without a final decision"
    return f"The review is resolved: {word}. The cause stands in the ledger."


MIN_CAUSE = 10


def _view(house: Installation, visitor: Context, prediction_id: UUID) -> DecisionView:
    return service.decision_of(house, visitor, prediction_id)


def _review_of(house: Installation, visitor: Context, prediction_id: UUID) -> Review:
    review = service.decision_of(house, visitor, prediction_id).review
    if review is None:
        raise Conflict("This decision has no review.", remedy="Only a high risk or a case for review has one.")
    return review


_Form = tuple[dict[str, str], dict[str, str]]


def page_of(request: Request, house: Installation, visitor: Context, prediction_id: UUID, *, status: int = 200, note: _Form = ({}, {}),
            resolve: _Form = ({}, {}), forms: Forms | None = None) -> Response:  # fmt: skip
    """The whole page; with faults the dialogs that were sent open again."""
    view = service.decision_of(house, visitor, prediction_id)
    p, review = view.prediction, view.review
    known = reading.known(house, view.model)
    batch = service.batch_of(house, visitor, p.batch_id) if p.batch_id else None
    inline = batch is None or (batch.batch.num_applications or 0) <= reading.INLINE
    scale = why.scale_of(view.model.extra)
    low, counts = reading.recent_scores(house, visitor, scale)
    card = card_of(house, visitor, view, forms or Forms(), composed=inline)
    kept = card["notice"].notice
    subjects = [
        p.id,
        *([review.id] if review else []),
        *([kept.id] if kept else []),
        *([p.batch_id] if p.batch_id else []),
    ]
    return views.page(
        request, "credit/decision.html", nav="credit", status=status, view=view, p=p, ended=outcomes.ended(p), review=review, batch=batch, words=words, known=known,
        explained=_explained(house, visitor, view, known) if inline else None, low=low, counts=counts, width=reading.WIDTH, cut=why.cut_off(scale, p.extra["threshold"]),
        rank=_rank(low, counts, p.extra["points"]), flags=[words.flag(f, known.features) for f in p.extra["flags"]],
        given=_given(p.content, known.schema) if p.batch_id is None else [], before=_before(house, visitor, view, known),
        events=history.events(house, visitor, subjects), owner=reading.names(house, visitor, [review.owner_id, review.proposed_by]) if review else {},
        may_review=visitor.may("credit.approve") and review is not None and review.state != "resolved", me=visitor.user_id, now=visitor.now,
        may_audit=visitor.may("audit.read"), proof=proofs.card_of(house, visitor, p.id) if batch is None and visitor.may("audit.read") else None,
        may_dossier=visitor.may("dossier.make"), note=note, resolve=resolve, **card,
    )  # fmt: skip


def _explained(house: Installation, visitor: Context, view: DecisionView, known: reading.Known) -> dict[str, Any]:
    """The waterfall, the reasons and the facts; ``fault`` says why they cannot be shown."""
    p = view.prediction
    try:
        told = service.explain(house, visitor, p.id)
        inputs = p.features
        if inputs is None and known.scorer is not None:
            inputs = reading.inputs_again(house, visitor, p, known.scorer)
    except PlumblineError as error:
        return {"fault": error, "chart": None, "found": None, "reasons": [], "facts": [], "shown": FACTS}
    found = why.why(
        told, view.model.extra, raw=p.extra["raw"], points=p.extra["points"], threshold=p.extra["threshold"]
    )
    facts = why.facts(inputs or {}, known.features, told["contributions"], found.per_log_odds)
    codes = {f["name"]: f.get("reason") for f in view.model.features}
    chart = why.picture(found, told, codes, {f.name: f for f in facts})
    return {"fault": None, "chart": chart, "found": found, "reasons": [_reason(r, known, found) for r in told["reasons"]], "facts": facts,
            "shown": FACTS}  # fmt: skip


def _reason(reason: dict[str, Any], known: reading.Known, found: why.Why) -> dict[str, Any]:
    info = known.features.get(reason["feature"])
    unit = reason.get("unit") or ""
    return {
        "text": reason["text"], "points": found.per_log_odds * reason["contribution"], "fact": (info.text if info else "") or reason["feature"],
        "value": words.value(reason["value"], unit), "typical": words.value(reason["typical"], unit), "missing": reason["missing"],
    }  # fmt: skip


def _rank(low: int, counts: list[int], points: float, width: int = reading.WIDTH) -> str:
    """Where a score stands among the recent ones: the share of those in lower bins."""
    total = sum(counts)
    if not total:
        return "Nothing to compare with"
    at = min(len(counts) - 1, max(0, int((points - low) // width)))
    below = sum(counts[:at]) / total
    return f"Above {formats.percent(below, 0)} of the last {formats.plural(total, 'decision')}"


def _given(content: Any, schema: Schema | None) -> list[Given]:
    """The input as it was sent: the application as pairs, each linked table as rows."""
    tables: list[Given] = []
    for name, part in (content or {}).items():
        rows = [part] if isinstance(part, dict) else part if isinstance(part, list) else []
        columns = schema.tables[name].columns if schema and name in schema.tables else {}
        if isinstance(part, dict):
            pairs = [
                [k, columns[k].text if k in columns else "", words.value(v)] for k, v in part.items() if v is not None
            ]
            tables.insert(0, Given(name, ["Column", "Meaning", "Value"], pairs, len(pairs)))
            continue
        headers = list(dict.fromkeys(key for row in rows if isinstance(row, dict) for key in row))
        if headers:
            tables.append(
                Given(name, headers, [[words.value(row.get(h)) for h in headers] for row in rows[:ROWS]], len(rows))
            )
    return tables


def _before(house: Installation, visitor: Context, view: DecisionView, known: reading.Known) -> dict[str, Any] | None:
    """The decision about the same subject before this one, and what is otherwise now."""
    earlier = reading.previous(house, visitor, view.prediction)
    if earlier is None:
        return None
    now, then = view.prediction, earlier.prediction
    pairs = [
        ("decision", words.DECISIONS[then.extra["decision"]][1], words.DECISIONS[now.extra["decision"]][1]),
        ("risk", then.prediction_result, now.prediction_result),
        ("points", formats.number(then.extra["points"]), formats.number(now.extra["points"])),
        ("probability of default", formats.percent(then.probability), formats.percent(now.probability)),
        ("model", f"{earlier.model.name} {earlier.model.version}", f"{view.model.name} {view.model.version}"),
    ]
    changes: list[tuple[str, str | None, str | None]] = [(n, a, b) for n, a, b in pairs if a != b]
    further = 0
    compared = then.features is not None and now.features is not None
    if then.features is not None and now.features is not None:
        names = [
            n for n in dict.fromkeys((*now.features, *then.features)) if now.features.get(n) != then.features.get(n)
        ]
        further = max(0, len(names) - CHANGES)
        for name in names[:CHANGES]:
            unit = known.features[name].unit if name in known.features else ""
            a, b = then.features.get(name), now.features.get(name)
            changes.append(
                (name, None if a is None else words.value(a, unit), None if b is None else words.value(b, unit))
            )
    return {"view": earlier, "changes": changes, "further": further, "compared": compared}
