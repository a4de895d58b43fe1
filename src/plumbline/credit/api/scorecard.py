"""A model's additive twin as a scorecard: ``/credit/models/{model}/scorecard``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from plumbline.credit.api.fairness import ModelRef
from plumbline.credit.service import scorecard
from plumbline.kernel.faces.http import Caller, House

router = APIRouter()


class GapOut(BaseModel):
    """Areas under the curve of model and twin on the same rows, with the paired interval of their difference (DeLong)."""

    dataset: str
    rows: int
    champion: float
    twin: float
    difference: float
    low: float
    high: float


class BinOut(BaseModel):
    """One cell of a feature's table."""

    feature: str
    text: str
    cell: str = Field(description="A range, the levels of a category, or missing.")
    points: int = Field(description="Added to those of an average applicant.")
    log_odds: float = Field(description="Unrounded, relative to an average training row; above 0: riskier.")


class ScorecardOut(BaseModel):
    """Points of every bin of every feature that counts."""

    model: ModelRef
    base: int = Field(description="Points of an average training row.")
    decides: bool = Field(description="The model itself is additive: these points are the decision's, up to rounding.")
    gaps: list[GapOut]
    points_error: dict[str, float] = Field(
        description="Rounding to whole points: mean and largest error, and the largest there can be."
    )
    bins: list[BinOut]


@router.get("/models/{model}/scorecard", summary="The points of a model's additive twin")
def scorecard_of_credit_model(
    house: House,
    caller: Caller,
    model: str,
    feature: Annotated[str | None, Query(description="Only this one.")] = None,
) -> ScorecardOut:
    return ScorecardOut.model_validate(scorecard.scorecard_of(house, caller, model, feature=feature).to_dict())
