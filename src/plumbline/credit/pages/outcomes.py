"""How versions did on decisions whose outcome is known, and the file by which outcomes come in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request, UploadFile
from starlette.responses import Response

from plumbline.console import formats, views
from plumbline.credit import truth, words
from plumbline.credit.service import outcomes
from plumbline.kernel import clock
from plumbline.kernel.errors import InvalidInput, TooLarge
from plumbline.kernel.faces.http import House, Visitor
from plumbline.kernel.models import pictures
from plumbline.kernel.models.cohorts import bounds
from plumbline.kernel.models.outcomes import SOURCES
from plumbline.kernel.models.performance import ACCEPTED
from plumbline.kernel.models.service.cohorts import Cohort, newest
from plumbline.kernel.models.service.outcomes import Recorded
from plumbline.kernel.models.tables import Prediction

router = APIRouter()
FAULTS = 50
STATES = {"mature": ("ok", "Mature"), "immature": ("", "Immature"), "incomplete": ("warn", "Incomplete")}
Text = Annotated[str, Form()]


@dataclass(frozen=True, slots=True)
class Line:
    """A cohort as a row: its month in words, and its figures or why there are none."""

    cohort: Cohort
    month: str
    state: tuple[str, str]
    auc: pictures.Cell
    slope: pictures.Cell
    note: str
    href: str
    current: bool


@router.get("/credit/performance")
def performance_page(
    request: Request, house: House, visitor: Visitor, cohort: Annotated[str, Query()] = "", model: Annotated[str, Query()] = ""
) -> Response:  # fmt: skip
    found = outcomes.performance(house, visitor)
    chosen = next((c for c in found if c.measured and (c.key, str(c.model.id)) == (cohort, model)), None)
    judged = [c for c in found if c.measured]
    chosen = chosen or next((c for c in judged if truth.verdict(c)[0] == "measured"), next(iter(judged), None))
    return views.page(
        request, "credit/performance.html", nav="credit", lines=[_line(c, chosen) for c in found], chosen=_chosen(chosen), estimate=truth.ESTIMATE,
        waiting=sum(c.standing.state != "mature" for c in found), as_of=newest(found), may_record=visitor.may(outcomes.RECORD),
        horizon=outcomes.HORIZON.days,
    )  # fmt: skip


def month_of(key: str) -> str:
    return f"{bounds(key)[0]:%B %Y}"


def _line(cohort: Cohort, chosen: Cohort | None) -> Line:
    verdict, reason = truth.verdict(cohort)
    auc, accepted = _cell(cohort, "roc_auc")
    slope, _ = _cell(cohort, "calibration_slope")
    if cohort.standing.state != "mature":
        note = cohort.standing.reason
    elif verdict == "unknown":
        note = reason[:1].upper() + reason[1:]
    else:
        note = "Of accepted only" if accepted else ""
    return Line(
        cohort, month_of(cohort.key), STATES[cohort.standing.state], auc, slope, note,
        f"/credit/performance?cohort={cohort.key}&model={cohort.model.id}" if cohort.measured else "", cohort is chosen,
    )  # fmt: skip


def _cell(cohort: Cohort, name: str) -> tuple[pictures.Cell, bool]:
    """A figure of a cohort, and whether it is of the accepted only."""
    if cohort.measured is None:
        return pictures.Cell("", missing="unknown"), False
    extra = cohort.measured.evaluation.extra
    for wanted in (name, name + ACCEPTED):
        if wanted in cohort.measured.metrics:
            return _figure(cohort.measured.metrics[wanted], extra["intervals"].get(wanted)), wanted != name
    reasons = [extra["undefined"].get(n) for n in (name + ACCEPTED, name)]
    return pictures.Cell("", missing=next((r for r in reasons if r), "unknown")), False


def _figure(value: float, pair: Sequence[float] | None) -> pictures.Cell:
    return pictures.Cell(
        pictures.figure(value), f"{pictures.figure(pair[0])} to {pictures.figure(pair[1])}" if pair else ""
    )


def _chosen(cohort: Cohort | None) -> dict[str, Any] | None:
    """The figures of one cohort, those that exist first, each with its interval."""
    if cohort is None or cohort.measured is None:
        return None
    measured = cohort.measured
    extra, tally = measured.evaluation.extra, measured.evaluation.extra["cohort"]
    names = sorted({*measured.metrics, *extra["undefined"]}, key=lambda n: (n not in measured.metrics, _rank(n), n))
    figures = [
        (_named(n), _figure(measured.metrics[n], extra["intervals"].get(n)) if n in measured.metrics else pictures.Cell("", missing=extra["undefined"][n]))
        for n in names
        if n in measured.metrics or n + ACCEPTED not in measured.metrics
    ]  # fmt: skip
    known = [(name, cell) for name, cell in figures if cell.value]
    without: dict[str, list[str]] = {}
    for name, cell in figures:
        if not cell.value:
            without.setdefault(cell.missing, []).append(name)
    sources = ", ".join(f"{words.SOURCES.get(s, s.capitalize())} {n:,}" for s, n in tally["sources"].items())
    facts = [
        ("Decisions", formats.number(tally["rows"])), ("Accepted", formats.number(tally["awaited"])),
        ("Outcomes known", formats.number(tally["labelled"])), ("Defaults", formats.number(tally["events"])),
        ("Declined", formats.number(tally["declined"])), ("Waiting for a person", formats.number(tally["undecided"])),
        ("Outcomes of declined ones", formats.number(tally["aside"])), ("Known from", sources or formats.NOTHING),
    ]  # fmt: skip
    return {
        "cohort": cohort, "month": month_of(cohort.key), "figures": known, "without": [(", ".join(n), why) for why, n in without.items()],
        "facts": facts, "selective": tally["selective"], "audit": tally.get("audit_sample"), "verdict": extra["verdict"], "reason": extra["reason"], "as_of": newest([cohort]),
        "picture": pictures.reliability(cohort.model, [measured]) if "histogram" in extra else None,
    }  # fmt: skip


def _rank(name: str) -> int:
    plain = name.removesuffix(ACCEPTED)
    return pictures.ORDER.index(plain) if plain in pictures.ORDER else len(pictures.ORDER)


def _named(name: str) -> str:
    told = pictures.name_of(name.removesuffix(ACCEPTED))
    return f"{told}, accepted only" if name.endswith(ACCEPTED) else told


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of one decision: its chip, what is known of it, and what was known before each correction."""

    chip: tuple[str, str]
    facts: list[tuple[str, str]]
    earlier: list[str]


def ended(decided: Prediction) -> Ended | None:
    """Nothing, while it is not known."""
    if decided.outcome is None:
        return None
    told: dict[str, Any] = decided.extra.get("outcome", {})
    happened = [("Happened", formats.day(clock.parse(told["event_at"])))] if "event_at" in told else []
    earlier = [
        f"Before it was corrected: {words.OUTCOMES[was['outcome']][1].lower()}, known since {formats.day(clock.parse(was['outcome_at']))}."
        for was in told.get("earlier", ())
    ]
    known = [
        ("Known since", formats.day(decided.outcome_at)),
        ("Known from", words.SOURCES.get(told.get("source", ""), formats.NOTHING)),
    ]
    return Ended(words.OUTCOMES[decided.outcome], [*happened, *known], earlier)


# --- outcomes come in


@router.get("/credit/outcomes/new")
def new_outcomes_page(request: Request, house: House, visitor: Visitor) -> Response:
    visitor.require(outcomes.RECORD)
    return views.page(
        request, "credit/outcomes_new.html", nav="credit", **_sending(house.settings.max_upload_bytes, {}, {}, None)
    )


@router.post("/credit/outcomes")
def send_outcomes(
    request: Request,
    house: House,
    visitor: Visitor,
    file: UploadFile | None = None,
    source: Text = "feed",
    reason: Text = "",
) -> Response:
    largest, given = house.settings.max_upload_bytes, {"source": source, "reason": reason}
    try:
        stream = file.file if file else BytesIO()
        found = outcomes.record_file(
            house, visitor, stream, file.filename if file else None, source=source, reason=reason or None
        )
    except (InvalidInput, TooLarge) as error:
        field = "reason" if error.where and error.where.field == "reason" else "file"
        told = f"{error.where}: {words.told(error)}" if error.where and error.where.column else words.told(error)
        return _form(request, 422, _sending(largest, given, {field: told}, None))
    if not found.rejected:
        return views.redirect(request, "/credit/performance", flash=f"{_summary(found)}.")
    return _form(request, 200, _sending(largest, given, {}, found))


def _form(request: Request, status: int, context: dict[str, Any]) -> Response:
    if views.is_partial(request):
        return views.fragment(request, "credit/_outcomes_form.html", status=status, **context)
    return views.page(request, "credit/outcomes_new.html", nav="credit", status=status, **context)


def _sending(largest: int, given: dict[str, str], found: dict[str, str], done: Recorded | None) -> dict[str, Any]:
    return {
        "largest": largest, "given": given, "found": found, "sources": [(s, words.SOURCES[s]) for s in SOURCES], "done": done,
        "rejects": done.rejects[:FAULTS] if done else [], "summary": _summary(done) if done else "",
    }  # fmt: skip


def _summary(found: Recorded) -> str:
    corrected = f" ({found.corrected:,} corrected)" if found.corrected else ""
    return (f"{formats.plural(found.rows, 'row')}: {found.accepted:,} accepted{corrected}, {found.unchanged:,} unchanged, "
            f"{found.rejected:,} rejected")  # fmt: skip
