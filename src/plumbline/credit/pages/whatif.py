"""What would change a decision, and changes to try: scored again as one moves a control, nothing of it recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from plumbline.console import formats, views
from plumbline.credit import service, words
from plumbline.credit.intake.schema import WHOLE, Column
from plumbline.credit.modelling.counterfactual import APPROVED, Search
from plumbline.credit.modelling.moves import limits, sensible
from plumbline.credit.pages.scoring import typed_in
from plumbline.credit.service import whatif
from plumbline.credit.service.whatif import Subject, WhatIf
from plumbline.kernel.context import Context
from plumbline.kernel.errors import InvalidInput, PlumblineError
from plumbline.kernel.faces.http import House, Visitor
from plumbline.kernel.installation import Installation

router = APIRouter()
PREFIX = "w-"
GROUPS = 6
"""So many reason groups are told; the others moved less."""
WIDEST = 3
"""A slider goes up to so many times the present value: over the whole range it could not be set finely."""


@dataclass(frozen=True, slots=True)
class Control:
    """What is moved: a slider between ``low`` and ``high``, or a choice of ``options``."""

    name: str
    label: str
    value: str
    now: str
    low: str
    high: str
    step: str
    hint: str
    options: tuple[tuple[str, str], ...] = ()


@router.get("/credit/decisions/{prediction_id}/what-if", name="credit_what_if_page")
def what_if_page(request: Request, house: House, visitor: Visitor, prediction_id: UUID) -> Response:
    return _shown(request, house, visitor, prediction_id, {})


@router.post("/credit/decisions/{prediction_id}/what-if")
def what_if_tried(
    request: Request,
    house: House,
    visitor: Visitor,
    prediction_id: UUID,
    given: Annotated[dict[str, str], Depends(typed_in)],
) -> Response:
    if not views.is_partial(request):
        return _shown(request, house, visitor, prediction_id, given)
    subject = whatif.subject_of(house, visitor, prediction_id)
    return views.fragment(request, "credit/_tried.html", **_tried(subject, given), words=words)


def _shown(
    request: Request, house: Installation, visitor: Context, prediction_id: UUID, given: dict[str, str]
) -> Response:
    """The whole page, or for a decision's page the part of it."""
    view = service.decision_of(house, visitor, prediction_id)
    context: dict[str, Any] = {"view": view, "p": view.prediction, "words": words, "prefix": PREFIX}
    try:
        subject = whatif.subject_of(house, visitor, prediction_id)
        found = whatif.reached(subject, APPROVED).search
        context |= {
            "fault": None,
            "search": found,
            **_short_of(subject, found),
            "controls": controls(subject, given),
            **_tried(subject, given),
        }
        context["ways"] = [[(c.text, words.value(c.after, c.unit), words.value(c.before, c.unit)) for c in way.changes]
                           for way in found.found]  # fmt: skip
    except PlumblineError as error:
        context |= {"fault": error, "search": None, "controls": [], "ways": [], "tried": None, "found": {}, "flags": []}
    if views.is_partial(request):
        return views.fragment(request, "credit/_what_if.html", **context)
    return views.page(request, "credit/what_if.html", nav="credit", **context)


def _short_of(subject: Subject, found: Search) -> dict[str, Any]:
    """What an approval needs that is not there."""
    policy, features = subject.scorer.policy, {f.name: f for f in subject.scorer.features}
    share = policy.review_from if policy.review_from < 1 <= policy.review_below else 1.0
    needed = share * policy.threshold
    return {"needed": needed, "flags": [words.flag(flag, features) for flag in found.flags]}


def controls(subject: Subject, given: dict[str, str]) -> list[Control]:
    """One for each input of the model that an applicant can change and that has a value."""
    features = {f.name: f for f in subject.scorer.features}
    row, made = subject.row, []
    for column in subject.scorer.schema.main.columns.values():
        present = row.get(column.name)
        if column.mutable == "no" or present is None or present in column.sentinels:
            continue
        value = given.get(PREFIX + column.name, _written(present))
        label = words.short(column.text or column.name)
        now = words.value(present, column.unit)
        if column.type in {"category", "flag"}:
            options = (("1", "Yes"), ("0", "No")) if column.type == "flag" else tuple((v, v) for v in column.levels)
            made.append(Control(column.name, label, value, now, "", "", "", f"Now {now}", options))
        elif (span := limits(column, features.get(column.name))) is not None:
            low, high = min(span[0], present), max(min(span[1], WIDEST * abs(present) or span[1]), present)
            hint = f"Now {now}; {words.value(low)} to {words.value(high, column.unit)}"
            step = "1" if column.type in WHOLE else "any"
            made.append(Control(column.name, label, value, now, _written(low), _written(high), step, hint))
    return made


def _tried(subject: Subject, given: dict[str, str]) -> dict[str, Any]:
    """What the controls say, scored; ``found`` says what is wrong with them."""
    try:
        changes = _changes(subject, given)
        told = whatif.compared(subject, changes)
    except InvalidInput as error:
        return {"tried": None, "found": {"": words.told(error)}}
    return {"tried": told, "found": {}, "rows": _rows(told), "groups": told.shifts[:GROUPS],
            "others": len(told.shifts[GROUPS:])}  # fmt: skip


def _changes(subject: Subject, given: dict[str, str]) -> dict[str, Any]:
    """The controls that were moved; a slider stops at sensible values, and near the present one it is not moved."""
    features = {f.name: f for f in subject.scorer.features}
    row, changes = subject.row, dict[str, Any]()
    for column in subject.scorer.schema.main.columns.values():
        text, present = given.get(PREFIX + column.name, "").strip(), row.get(column.name)
        if not text or column.mutable == "no" or present is None:
            continue
        value = _read(column, text)
        if column.is_numeric and column.type != "flag":
            value = sensible(column, present, value, limits(column, features.get(column.name)))
        if value != present:
            changes[column.name] = value
    return changes


def _read(column: Column, text: str) -> Any:
    if not column.is_numeric:
        return text
    try:
        return int(text) if column.type in WHOLE else float(text)
    except ValueError:
        what = "a whole number" if column.type in WHOLE else "a number"
        raise InvalidInput(f"{words.short(column.text or column.name)} is {what}, not '{text[:40]}'.") from None


def _written(value: Any) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def _rows(told: WhatIf) -> list[tuple[str, str, str]]:
    """What is otherwise, before and after: the inputs, then what came out."""
    rows = [(words.short(c.text), words.value(c.before, c.unit), words.value(c.after, c.unit)) for c in told.changes]
    before, after = told.before, told.after
    outcome = [
        ("Decision", words.DECISIONS[before.decision][1], words.DECISIONS[after.decision][1]),
        ("Level", words.LEVELS[before.risk_level][1], words.LEVELS[after.risk_level][1]),
        ("Points", formats.number(before.points), formats.number(after.points)),
        ("Default risk", formats.percent(before.probability, 2), formats.percent(after.probability, 2)),
    ]
    return rows + [row for row in outcome if row[1] != row[2]]
