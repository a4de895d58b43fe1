"""What would have been: an application scored again with changes, and the changes that would have led elsewhere.

Both only read: nothing is recorded, no decision is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any
from uuid import UUID

import polars as pl

from plumbline.credit.decision import ModelUsed
from plumbline.credit.intake.schema import Column, Schema
from plumbline.credit.intake.validation import meant, validate_application
from plumbline.credit.modelling.counterfactual import MAX_CHANGES, Search, Target
from plumbline.credit.modelling.counterfactual import counterfactual as search
from plumbline.credit.modelling.scorer import Decision, Scorer
from plumbline.credit.service.decisions import OPTIONS, decision_of, scorer_for, stored_input
from plumbline.kernel.context import Context
from plumbline.kernel.errors import InvalidInput, Where
from plumbline.kernel.installation import Installation
from plumbline.kernel.models import service as models

KEYS = ("prediction_id", "changes", *OPTIONS)


@dataclass(frozen=True, slots=True)
class Standing:
    """How an application stands with a model."""

    probability: float
    risk_level: str
    decision: str
    points: float
    flags: list[str]

    @classmethod
    def of(cls, decided: Decision) -> Standing:
        return cls(decided.probability, decided.level, decided.decision, decided.points, list(decided.flags))


@dataclass(frozen=True, slots=True)
class Difference:
    """One raw input that is otherwise; ``possible`` says whether the schema lets an applicant change it that way."""

    column: str
    text: str
    unit: str
    before: Any
    after: Any
    possible: bool


@dataclass(frozen=True, slots=True)
class Shift:
    """By how much a reason group counts otherwise: in log-odds of default, and in points (unrounded)."""

    group: str
    log_odds: float
    points: float


@dataclass(frozen=True, slots=True)
class WhatIf:
    """An application with and without changes by the same model; ``shifts`` the largest first, those of 0 left out."""

    prediction_id: UUID | None
    model: dict[str, str]
    threshold: float
    before: Standing
    after: Standing
    changes: list[Difference]
    shifts: list[Shift]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class WhatWouldChange:
    """The counterfactuals of a recorded decision, by the model that made it."""

    prediction_id: UUID
    model: dict[str, str]
    threshold: float
    before: Standing
    search: Search

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able form."""
        told = asdict(self)
        return {**told.pop("search"), **told}


@dataclass(frozen=True, slots=True)
class Subject:
    """An application and the model that looks at it."""

    prediction_id: UUID | None
    model: dict[str, str]
    scorer: Scorer
    tables: dict[str, pl.DataFrame]

    @property
    def row(self) -> dict[str, Any]:
        """The application by column."""
        return self.tables[self.scorer.schema.main.name].row(0, named=True)


def subject_of(installation: Installation, context: Context, key: UUID) -> Subject:
    """A recorded decision's input with the model that decided.

    :raises NotFound: no such decision, or its input was erased.
    """
    view = decision_of(installation, context, key)
    scorer: Scorer = models.load(installation, view.model)
    tables = stored_input(installation, context, view, scorer.schema)
    return Subject(key, _named(view.model.name, view.model.version, view.prediction.extra["model_sha256"]), scorer, tables)  # fmt: skip


def what_if(installation: Installation, context: Context, request: Any) -> WhatIf:
    """Score an application again with changes, recording nothing.

    :param request: ``{"prediction_id": …, "changes": {column: value}}`` for a recorded decision, or an application as
        :func:`~.decisions.score` takes it with ``changes`` (and ``model``). A change to null empties the column.
    :raises InvalidInput: neither or both, a change of something that is no input, or a value its column does not take.
    """
    context.require("credit.read")
    if not isinstance(request, Mapping):
        raise InvalidInput("A what-if is a JSON object.", remedy='Send {"prediction_id": …, "changes": {…}}.')
    changes = request.get("changes")
    content = {name: part for name, part in request.items() if name not in KEYS}
    key = request.get("prediction_id")
    if key is None:
        context.require("credit.score")  # a new application is scored, though not recorded
        found = _sent(installation, context, content, request.get("model"))
    else:
        if content or request.get("model") is not None:
            raise InvalidInput("A recorded decision has its own application and model.", where=Where(field="prediction_id"),
                               remedy="Send prediction_id and changes alone, or an application.")  # fmt: skip
        found = subject_of(installation, context, _key(key))
    return compared(found, changes)


def compared(found: Subject, changes: Any) -> WhatIf:
    """The application as it is and with the changes, each scored as a whole."""
    scorer, tables = found.scorer, found.tables
    changed, differences = changed_row(scorer.schema, tables, changes)
    before = scorer.explain(tables)[0]
    after = scorer.explain({**tables, scorer.schema.main.name: changed})[0] if differences else before
    return WhatIf(
        found.prediction_id, found.model, scorer.policy.threshold, Standing.of(before), Standing.of(after), differences,
        _shifts(scorer, before, after),
    )  # fmt: skip


def counterfactual(
    installation: Installation, context: Context, key: UUID, *, decision: str | None = None, level: str | None = None,
    max_changes: int = MAX_CHANGES,
) -> WhatWouldChange:  # fmt: skip
    """What would have led to a better decision: the fewest, smallest changes to what an applicant can change.

    :param decision: "approve" (the default, if no level is named) or "review".
    :param level: "Low" or "Medium".
    :raises InvalidInput: another target, or another number of changes than 1 to 3.
    """
    if isinstance(max_changes, bool) or not 1 <= max_changes <= MAX_CHANGES:
        raise InvalidInput(f"The number of changes is 1 to {MAX_CHANGES}.", where=Where(field="max_changes"))
    target = Target("approve" if decision is None and level is None else decision, level)
    return reached(subject_of(installation, context, key), target, max_changes)


def reached(found: Subject, target: Target, max_changes: int = MAX_CHANGES) -> WhatWouldChange:
    """The search for a subject that was read before."""
    assert found.prediction_id is not None
    before = Standing.of(found.scorer.explain(found.tables)[0])
    told = search(found.scorer, found.tables, target=target, max_changes=max_changes)
    return WhatWouldChange(found.prediction_id, found.model, found.scorer.policy.threshold, before, told)


def changed_row(
    schema: Schema, tables: Mapping[str, pl.DataFrame], changes: Any
) -> tuple[pl.DataFrame, list[Difference]]:
    """The main table with the changes, checked as an application is, and what is otherwise."""
    if not isinstance(changes, Mapping) or not all(isinstance(name, str) for name in changes):
        raise InvalidInput("Changes are an object of columns.", where=Where(field="changes"),
                           remedy='Send "changes": {"COLUMN": value, …}.')  # fmt: skip
    main = schema.main
    frame = tables[main.name]
    label = schema.target.column if schema.target else None
    free = [c.name for c in main.columns.values() if c.name not in (schema.id, label) and c.use != "none"]
    for name in changes:
        if name not in free:
            close = meant(name, free)
            raise InvalidInput(
                f"The column {name} is no input that can be otherwise.", where=Where(table=main.name, column=name, field=f"changes.{name}"),
                remedy=f"Did you mean {close}?" if close else "Name a column of the application.",
            )  # fmt: skip
    present = frame.row(0, named=True)
    plain = {n: v.isoformat() if isinstance(v, date) else v for n, v in present.items() if n != label}
    checked = validate_application({main.name: {**plain, **changes}}, schema)[main.name]
    moved = checked.row(0, named=True)
    differences = [
        Difference(c.name, c.text or c.name, c.unit, present.get(c.name), moved[c.name],
                   _possible(c, present.get(c.name), moved[c.name]))
        for c in (main.columns[name] for name in changes) if moved[c.name] != present.get(c.name)
    ]  # fmt: skip
    return checked, differences


def _possible(column: Column, before: Any, after: Any) -> bool:
    if column.mutable in ("no", "both") or before is None or after is None:
        return column.mutable == "both" and after is not None
    return bool(after > before) == (column.mutable == "up")


def _shifts(scorer: Scorer, before: Decision, after: Decision) -> list[Shift]:
    """In points the differences are stretched by what calibration does to the whole way, so that they add up."""
    way = after.raw - before.raw
    stretch = (after.log_odds - before.log_odds) / way if way else 1.0
    found = []
    for code, was, now in zip(scorer.reason_codes, before.groups, after.groups, strict=True):
        if now != was:
            found.append(Shift(code, now - was, -scorer.policy.scale.factor * stretch * (now - was)))
    return sorted(found, key=lambda s: (-abs(s.log_odds), s.group))


def _sent(installation: Installation, context: Context, content: dict[str, Any], name: Any) -> Subject:
    if name is not None and not isinstance(name, str):
        raise InvalidInput("The name of a model is a text.", where=Where(field="model"))
    if not content:
        raise InvalidInput("There is no application.", where=Where(field="prediction_id"),
                           remedy="Send the prediction_id of a decision, or an application.")  # fmt: skip
    _, scorer, used = scorer_for(installation, context, name)
    return Subject(None, _of(used), scorer, validate_application(content, scorer.schema))


def _of(used: ModelUsed) -> dict[str, str]:
    return _named(used.name, used.version, used.sha256)


def _named(name: str, version: str, sha256: str) -> dict[str, str]:
    return {"name": name, "version": version, "sha256": sha256}


def _key(text: Any) -> UUID:
    try:
        return UUID(str(text))
    except ValueError:
        raise InvalidInput(f"'{text}' is no id of a decision.", where=Where(field="prediction_id")) from None
