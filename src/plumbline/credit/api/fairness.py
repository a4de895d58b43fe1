"""How groups fare with a model: ``/credit/models/{model}/fairness``."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, Field

from plumbline.credit.service import fairness
from plumbline.kernel.faces.http import Caller, House

router = APIRouter()
Verdict = Literal["fails", "passes", "undetermined"]


class FigureOut(BaseModel):
    """A measure with its 95 % interval."""

    value: float
    low: float
    high: float


class AtShareOut(BaseModel):
    """The ratio if the safest of all applicants were approved up to this share."""

    approved: float
    ratio: float
    low: float
    high: float


class GroupOut(BaseModel):
    """One group against all others whose attribute is known."""

    group: str
    attributes: dict[str, str] = Field(description="Attribute → value; two for an intersection.")
    rows: int
    events: int = Field(description="Defaults among them.")
    approval_rate: FigureOut
    others_rate: float
    ratio: FigureOut = Field(description="Approval rate over that of the others (Katz's interval).")
    p: float = Field(description='Of "the ratio is the limit", corrected by Holm over the groups.')
    parity_p: float = Field(description='Of "the ratio is 1", corrected likewise.')
    verdict: Verdict
    score_difference: FigureOut = Field(
        description="Mean log-odds less the others', in standard deviations; above 0: scored riskier."
    )
    expected: float = Field(description="Mean probability of default.")
    observed: FigureOut = Field(description="Share of defaults.")
    roc_auc: FigureOut | None
    false_refusal: FigureOut | None = Field(description="Of those who repaid, the share refused.")
    missed: FigureOut | None = Field(description="Of those who did not, the share approved.")
    over: list[AtShareOut]
    undefined: dict[str, str] = Field(description="Measure → why it does not exist here.")


class OutsideOut(BaseModel):
    """Audited columns were shuffled among applications, which were then scored again."""

    columns: list[str]
    features: list[str] = Field(description="Features of the score that are made from them.")
    rows: int
    moved: int = Field(description="Applications whose score changed.")
    holds: bool = Field(description="No such feature, and no score moved.")


class ProxyOut(BaseModel):
    """A feature of the score that tells who belongs to a group."""

    attribute: str
    group: str
    feature: str
    auc: float


class ReportOut(BaseModel):
    rows: int
    threshold: float
    limit: float = Field(description="Least ratio that passes; set at the training.")
    least: int = Field(description="Smallest group that is measured.")
    groups: list[GroupOut]
    small: dict[str, int] = Field(description="Groups with fewer rows: nothing is said of them.")
    unknown: dict[str, int] = Field(description="Attribute → rows without it.")
    verdict: Verdict
    statement: str
    outside: OutsideOut
    proxies: list[ProxyOut]


class ModelRef(BaseModel):
    id: UUID
    name: str
    version: str
    sha256: str


class TriedOut(BaseModel):
    """A candidate, out of fold on the rows and folds of the model."""

    name: str
    without: list[str]
    signs: bool
    settings: dict[str, float | int | None]
    roc_auc: float
    roc_auc_change: FigureOut
    ratio: FigureOut
    ratio_change: FigureOut = Field(description="The ratio over that of the model; above 1 is less unequal.")
    p: float = Field(description='Of "no change", corrected by Holm over the candidates.')
    outcome: Literal["less unequal", "less unequal, ranks worse", "more unequal", "no difference shown"]
    lowest: str = Field(description="The group with the lowest ratio under this candidate.")
    lowest_ratio: float
    front: bool = Field(description="No candidate is better in both AUC and ratio.")


class AlternativesOut(BaseModel):
    """The newest recorded search for models that treat a group less unequally."""

    group: str
    rows: int
    approved: float = Field(description="Share of applicants approved under every candidate.")
    folds: int
    roc_auc: float
    ratio: FigureOut
    tried: list[TriedOut]
    statement: str


class FairnessOut(BaseModel):
    """Evidence on how groups fare, measured on rows the score had not seen."""

    model: ModelRef
    measured: bool
    reason: str = Field(description="Why there is no report.")
    report: ReportOut | None
    alternatives: AlternativesOut | None


@router.get("/models/{model}/fairness", summary="How groups fare with a model")
def fairness_of_credit_model(house: House, caller: Caller, model: str) -> FairnessOut:
    told: dict[str, Any] = fairness.fairness_of(house, caller, model).to_dict()
    return FairnessOut.model_validate(told)
