"""The truth about decisions: ``/credit/outcomes``, ``/credit/outcomes/file``, ``/credit/performance``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, File, Form, Query, UploadFile
from pydantic import BaseModel, Field

from plumbline.credit.service import outcomes
from plumbline.credit.truth import cohort_facts, recorded_facts
from plumbline.kernel.errors import InvalidInput, Where
from plumbline.kernel.faces.http import Caller, House, JsonBody

router = APIRouter()
ROW = {
    "type": "object", "required": ["outcome", "outcome_at"], "properties": {
        "prediction_id": {"type": "string", "format": "uuid", "description": "The decision; or name its subject."},
        "subject_id": {"type": "string", "description": "The application (also sk_id_curr): its latest decision before the event is meant."},
        "outcome": {"type": "string", "enum": ["repaid", "default"]},
        "outcome_at": {"type": "string", "description": "When it became known: a date, or a time with its zone."},
        "event_at": {"type": "string", "description": "When it happened."},
        "source": {"type": "string", "enum": ["feed", "person", "rule", "audit_sample"], "description": "Default: person."},
        "inclusion_probability": {"type": "number", "description": "Of a row drawn for an audit sample."},
        "reason": {"type": "string", "description": "Why a known outcome is corrected."},
    },
}  # fmt: skip
SOME_OUTCOMES = {
    "requestBody": {"required": True, "content": {"application/json": {
        "schema": {"oneOf": [ROW, {"type": "array", "items": ROW}, {
            "type": "object", "required": ["outcomes"], "properties": {
                "outcomes": {"type": "array", "items": ROW}, "source": {"type": "string"}, "reason": {"type": "string"},
            },
        }]},
        "example": {
            "outcomes": [{"subject_id": "100002", "outcome": "repaid", "outcome_at": "2026-11-20"}], "source": "feed",
        },
    }}},
}  # fmt: skip


class RejectOut(BaseModel):
    """A row that was not used."""

    row: int = Field(description="Its number in the list or file, from 1.")
    field: str
    rule: str
    value: str
    message: str


class CorrectionOut(BaseModel):
    """A known outcome that was changed."""

    prediction_id: UUID
    old: str
    old_at: datetime
    new: str
    new_at: datetime


class RecordedOut(BaseModel):
    """What became of each row: accepted + unchanged + rejected = rows."""

    rows: int
    accepted: int = Field(description="Written; corrected ones are among them.")
    corrected: int
    unchanged: int = Field(description="They said what was known already.")
    rejected: int
    rejects: list[RejectOut] = Field(description="The first 1,000.")
    corrections: list[CorrectionOut] = Field(description="The first 1,000.")
    file_sha256: str | None


class CohortOut(BaseModel):
    """The decisions of one version in one month."""

    cohort: str
    model: dict[str, Any]
    state: str = Field(description="immature, mature or incomplete.")
    reason: str
    mature_from: datetime
    decisions: int
    awaited: int = Field(description="Accepted ones, whose outcome will be seen.")
    labelled: int
    events: int
    declined: int
    undecided: int
    labelled_aside: int = Field(description="Outcomes of declined or undecided ones.")
    sources: dict[str, int]
    verdict: str = Field(description="measured or unknown.")
    verdict_reason: str
    as_of: datetime | None
    metrics: dict[str, float] = Field(description="Those that end in _accepted are of accepted applications only.")
    intervals: dict[str, list[float]] = Field(description="95 % intervals.")
    undefined: dict[str, str] = Field(description="Metric → why it has no value.")
    estimate: None
    estimate_reason: str


class PerformanceOut(BaseModel):
    items: list[CohortOut]


@router.post("/outcomes", summary="Say what became of decisions: one, or a list", openapi_extra=SOME_OUTCOMES)
def record_credit_outcomes(house: House, caller: Caller, payload: JsonBody) -> RecordedOut:
    rows, given, whole = _rows(payload)
    source = given.get("source") or "person"
    found = outcomes.record(house, caller, rows, source=source, reason=given.get("reason"), whole=whole)
    return RecordedOut.model_validate(recorded_facts(found))


def _rows(payload: Any) -> tuple[list[Any], dict[str, str], bool]:
    """The rows, what is said of all of them, and whether there is only the one that is asked about."""
    if isinstance(payload, list):
        return payload, {}, False
    if not isinstance(payload, dict):
        raise InvalidInput(
            "Outcomes are an object or a list of objects.",
            remedy='Send {"prediction_id": …, "outcome": …, "outcome_at": …}.',
        )
    said = {name: payload[name] for name in ("source", "reason") if payload.get(name) is not None}
    for name, text in said.items():
        if not isinstance(text, str):
            raise InvalidInput(f"'{name}' is a text.", where=Where(field=name))
    if "outcomes" not in payload:
        return (
            [{k: v for k, v in payload.items() if k != "reason"}],
            {k: v for k, v in said.items() if k == "reason"},
            True,
        )
    rows = payload["outcomes"]
    unknown = sorted(set(payload) - {"outcomes", "source", "reason"})
    if unknown or not isinstance(rows, list):
        raise InvalidInput(
            "Beside 'outcomes', a list, there may be 'source' and 'reason'.",
            where=Where(field=unknown[0] if unknown else "outcomes"),
        )
    return rows, said, False


@router.post("/outcomes/file", summary="Say what became of decisions: a CSV or Parquet file")
def record_credit_outcome_file(
    house: House, caller: Caller,
    file: Annotated[UploadFile, File(description="CSV or Parquet: prediction_id or subject_id, outcome, outcome_at, event_at, source, inclusion_probability.")],
    source: Annotated[str, Form(description="Of rows that name none.")] = "feed",
    reason: Annotated[str | None, Form(description="Why known outcomes are corrected.")] = None,
) -> RecordedOut:  # fmt: skip
    found = outcomes.record_file(house, caller, file.file, file.filename, source=source, reason=reason)
    return RecordedOut.model_validate(recorded_facts(found))


@router.get("/performance", summary="How versions did on decisions whose outcome is known, by month")
def get_credit_performance(
    house: House, caller: Caller, model: Annotated[str | None, Query(description="Name, name@version or id; default: all.")] = None
) -> PerformanceOut:  # fmt: skip
    found = outcomes.performance(house, caller, model)
    return PerformanceOut(items=[CohortOut.model_validate(cohort_facts(c)) for c in found])
