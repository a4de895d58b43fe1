"""What would have been: ``/credit/what-if``, ``/credit/predictions/{id}/counterfactual``."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from plumbline.credit.api.scoring import EXAMPLE
from plumbline.credit.service import whatif
from plumbline.kernel.faces.http import Caller, House, JsonBody

router = APIRouter()
A_WHAT_IF = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"type": "object", "required": ["changes"], "properties": {
            "prediction_id": {"type": "string", "format": "uuid", "description": "A recorded decision; or send an application."},
            "application": {"type": "object", "description": "The application's columns by name, with linked tables beside it."},
            "model": {"type": "string", "description": "With an application: name, name@version or id; default: the active one."},
            "changes": {"type": "object", "description": "Column of the application → its value in the what-if; null empties it."},
        }, "additionalProperties": {"type": "array", "items": {"type": "object"}, "description": "Rows of a linked table."}},
            "example": {**EXAMPLE, "changes": {"AMT_CREDIT": 400000.0}}}},
    }
}  # fmt: skip
Value = float | str | None


class StandingOut(BaseModel):
    """How an application stands with a model."""

    probability: float = Field(description="Probability of default.")
    risk_level: str
    decision: str
    points: float
    flags: list[str]


class DifferenceOut(BaseModel):
    """One raw input that is otherwise."""

    column: str
    text: str
    unit: str
    before: Value
    after: Value
    possible: bool = Field(description="Whether the schema lets an applicant change it that way.")


class ShiftOut(BaseModel):
    """By how much a reason group counts otherwise."""

    group: str
    log_odds: float = Field(description="Change of the log-odds of default.")
    points: float


class WhatIfOut(BaseModel):
    """An application with and without changes by the same model. Nothing of it is recorded."""

    prediction_id: UUID | None
    model: dict[str, str]
    threshold: float
    before: StandingOut
    after: StandingOut
    changes: list[DifferenceOut]
    shifts: list[ShiftOut]


class ChangeOut(BaseModel):
    column: str
    text: str
    unit: str
    before: Value
    after: Value


class CounterfactualOut(BaseModel):
    """Changes that together reach the target, scored again as a whole."""

    changes: list[ChangeOut]
    distance: float = Field(description="Share of the population passed, added up over the changes.")
    probability: float
    level: str
    decision: str
    points: float


class SearchOut(BaseModel):
    """What would have led elsewhere, nearest first; nothing found has its reason."""

    prediction_id: UUID
    model: dict[str, str]
    threshold: float
    before: StandingOut
    target: dict[str, str | None]
    found: list[CounterfactualOut]
    reason: str
    best_probability: float | None = Field(description="The lowest probability of default met on the way.")
    tried: int
    flags: list[str] = Field(description="Data flags that send it to a person whatever the score.")


@router.post("/what-if", summary="Score with changes, recording nothing", openapi_extra=A_WHAT_IF)
def try_credit_changes(house: House, caller: Caller, request: JsonBody) -> WhatIfOut:
    return WhatIfOut.model_validate(plain(whatif.what_if(house, caller, request).to_dict()))


@router.get("/predictions/{prediction_id}/counterfactual", summary="What would have led to a better decision")
def find_credit_counterfactuals(
    house: House, caller: Caller, prediction_id: UUID,
    decision: Annotated[Literal["approve", "review"] | None, Query(description="Default: approve.")] = None,
    level: Annotated[Literal["Low", "Medium"] | None, Query()] = None,
    max_changes: Annotated[int, Query(ge=1, le=3)] = 3,
) -> SearchOut:  # fmt: skip
    told = whatif.counterfactual(house, caller, prediction_id, decision=decision, level=level, max_changes=max_changes)
    return SearchOut.model_validate(plain(told.to_dict()))


def plain(told: Any) -> Any:
    """Dates as texts; everything else as it is."""
    if isinstance(told, dict):
        return {name: plain(part) for name, part in told.items()}
    if isinstance(told, list | tuple):
        return [plain(part) for part in told]
    return told.isoformat() if hasattr(told, "isoformat") else told
