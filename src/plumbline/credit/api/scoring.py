"""Decisions and batches: ``/credit/score``, ``/credit/predictions``, ``/credit/batches``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, File, Form, Query, UploadFile
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field

from plumbline.credit import service
from plumbline.credit.answers import batch_facts, listed
from plumbline.credit.service import batches
from plumbline.kernel.faces.http import Caller, House, JsonBody
from plumbline.kernel.paging import PageRequest

router = APIRouter()
EXAMPLE = {
    "application": {
        "SK_ID_CURR": 100002, "NAME_CONTRACT_TYPE": "Cash loans", "CODE_GENDER": "F", "FLAG_OWN_CAR": "Y", "FLAG_OWN_REALTY": "Y",
        "CNT_CHILDREN": 0, "AMT_INCOME_TOTAL": 159750.0, "AMT_CREDIT": 464823.135, "AMT_ANNUITY": 30568.5, "AMT_GOODS_PRICE": 441000.0,
        "NAME_TYPE_SUITE": "Unaccompanied", "NAME_INCOME_TYPE": "Commercial associate", "NAME_EDUCATION_TYPE": "Higher education",
        "NAME_FAMILY_STATUS": "Married", "NAME_HOUSING_TYPE": "House / apartment", "REGION_POPULATION_RELATIVE": 0.012146,
        "DAYS_BIRTH": -14865, "DAYS_EMPLOYED": -745, "DAYS_REGISTRATION": -9679, "DAYS_ID_PUBLISH": -2806, "OWN_CAR_AGE": 3,
        "FLAG_MOBIL": 1, "FLAG_EMP_PHONE": 1, "FLAG_WORK_PHONE": 0, "FLAG_CONT_MOBILE": 1, "FLAG_PHONE": 0, "FLAG_EMAIL": 0,
        "OCCUPATION_TYPE": "Core staff", "CNT_FAM_MEMBERS": 2, "REGION_RATING_CLIENT": 3, "REGION_RATING_CLIENT_W_CITY": 3,
        "WEEKDAY_APPR_PROCESS_START": "MONDAY", "HOUR_APPR_PROCESS_START": 18, "REG_REGION_NOT_LIVE_REGION": 0,
        "REG_REGION_NOT_WORK_REGION": 0, "LIVE_REGION_NOT_WORK_REGION": 0, "REG_CITY_NOT_LIVE_CITY": 0, "REG_CITY_NOT_WORK_CITY": 0,
        "LIVE_CITY_NOT_WORK_CITY": 0, "ORGANIZATION_TYPE": "Self-employed", "EXT_SOURCE_1": 0.550911905355,
        "EXT_SOURCE_2": 0.604894755708, "EXT_SOURCE_3": 0.714188031244, "OBS_30_CNT_SOCIAL_CIRCLE": 2, "DEF_30_CNT_SOCIAL_CIRCLE": 0,
        "OBS_60_CNT_SOCIAL_CIRCLE": 1, "DEF_60_CNT_SOCIAL_CIRCLE": 0, "DAYS_LAST_PHONE_CHANGE": -1096, "AMT_REQ_CREDIT_BUREAU_HOUR": 0,
        "AMT_REQ_CREDIT_BUREAU_DAY": 0, "AMT_REQ_CREDIT_BUREAU_WEEK": 0, "AMT_REQ_CREDIT_BUREAU_MON": 1, "AMT_REQ_CREDIT_BUREAU_QRT": 0,
        "AMT_REQ_CREDIT_BUREAU_YEAR": 2, **{f"FLAG_DOCUMENT_{n}": 0 for n in range(2, 22)},
    },
    "bureau": [{"SK_ID_BUREAU": 5012694, "CREDIT_ACTIVE": "Closed", "DAYS_CREDIT": -29, "AMT_CREDIT_SUM": 281612.16, "CREDIT_TYPE": "Consumer credit"}],
}  # fmt: skip
ANY_APPLICATION = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"type": "object", "required": ["application"], "properties": {
            "application": {"type": "object", "description": "The application's columns by name."},
            "id": {"type": "string", "format": "uuid", "description": "A UUIDv7 of yours: the same request again gives the same answer."},
            "model": {"type": "string", "description": "Name, name@version or id of a model; default: the active one."},
        }, "additionalProperties": {"type": "array", "items": {"type": "object"}, "description": "Rows of a linked table."}},
            "example": EXAMPLE}},
    }
}  # fmt: skip
A_FILE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file", "content": {"text/csv": {}, "application/vnd.apache.parquet": {}}}
}


class ReasonOut(BaseModel):
    """Why: a group of features that spoke against the applicant, and what counted most in it."""

    model_config = ConfigDict(extra="allow")

    code: str
    contribution: float = Field(description="Change of the log-odds of default; positive speaks against the applicant.")
    text: str | None = None
    feature: str | None = None
    value: float | str | None = None
    typical: float | str | None = None


class ScoreOut(BaseModel):
    """A recorded decision."""

    id: UUID
    subject_id: str
    sk_id_curr: str = Field(description="The same as subject_id, under the name the data uses.")
    probability: float = Field(description="Probability of default.")
    risk_level: str
    decision: str
    threshold: float
    points: float
    reasons: list[ReasonOut]
    flags: list[str] = Field(
        description="What is unusual about the data: unseen:, outside:, missing: FEATURE, or sparse."
    )
    model: dict[str, str]
    processing_time_ms: float


class PredictionOut(BaseModel):
    """A decision in a list."""

    id: UUID
    subject_id: str
    probability: float
    risk_level: str
    decision: str
    points: float
    model_id: UUID
    batch_id: UUID | None
    created_at: datetime


class PredictionPage(BaseModel):
    items: list[PredictionOut]
    next: str | None
    total: str | None = Field(description='Exact up to 10,000, then "more than 10,000".')


class DecisionOut(PredictionOut):
    """A decision with everything that is stored of it."""

    content: Any
    features: dict[str, Any] | None
    explanation: dict[str, Any] | None
    metadata: dict[str, Any]
    processing_time_ms: float | None
    model: dict[str, str]
    review: dict[str, Any] | None


class ReplayOut(BaseModel):
    """The stored model run again on the stored input."""

    prediction_id: UUID
    model: dict[str, str]
    equal: bool
    differences: list[str]
    probability: float
    stored_probability: float
    processing_time_ms: float


class BatchOut(BaseModel):
    """A file of applications."""

    id: UUID
    filename: str
    file_size: int
    file_sha256: str
    status: str
    rows: int | None
    rows_done: int
    rejected: int
    error: str | None
    model: dict[str, str]
    uploaded_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    results: str | None
    same_as: str | None = Field(description="An earlier batch of the same file, model and person.")
    summary: dict[str, Any]


class BatchPage(BaseModel):
    items: list[BatchOut]
    next: str | None
    total: str | None


@router.post("/score", summary="Decide one application and record it", openapi_extra=ANY_APPLICATION)
def score_application(house: House, caller: Caller, payload: JsonBody) -> ScoreOut:
    return ScoreOut.model_validate(service.score(house, caller, payload).to_dict())


@router.get("/predictions", summary="Decisions, newest first")
def list_credit_decisions(
    house: House, caller: Caller, limit: int | None = None, cursor: str | None = None, subject_id: str | None = None,
    risk_level: Annotated[str | None, Query(pattern="^(Low|Medium|High)$")] = None, batch_id: UUID | None = None,
) -> PredictionPage:  # fmt: skip
    page = service.list_decisions(
        house, caller, PageRequest.parse(limit, cursor), subject_id=subject_id, level=risk_level, batch_id=batch_id
    )
    return PredictionPage(
        items=[PredictionOut(**listed(p)) for p in page.items], next=page.next, total=page.total_text or None
    )


@router.get("/predictions/{prediction_id}", summary="One decision with input, features and reasons")
def get_credit_decision(house: House, caller: Caller, prediction_id: UUID) -> DecisionOut:
    view = service.decision_of(house, caller, prediction_id)
    p, review = view.prediction, view.review
    return DecisionOut(
        **listed(p), content=p.content, features=p.features, explanation=p.explanation, metadata=p.extra,
        processing_time_ms=p.processing_time_ms, model={"name": view.model.name, "version": view.model.version, "sha256": p.extra["model_sha256"]},
        review=None if review is None else {
            "id": str(review.id), "state": review.state, "note": review.note, "cause": review.cause,
            "final_decision": review.final_decision, "due_at": review.due_at.isoformat(),
        },
    )  # fmt: skip


@router.get("/predictions/{prediction_id}/explanation", summary="Every feature's exact contribution")
def explain_credit_decision(house: House, caller: Caller, prediction_id: UUID) -> dict[str, Any]:
    return service.explain(house, caller, prediction_id)


@router.post("/predictions/{prediction_id}/replay", summary="Run the stored model on the stored input and compare")
def replay_credit_decision(house: House, caller: Caller, prediction_id: UUID) -> ReplayOut:
    result = service.replay(house, caller, prediction_id)
    return ReplayOut(**{name: getattr(result, name) for name in ReplayOut.model_fields})


@router.post("/batches", status_code=202, summary="Upload a file to be scored")
def submit_credit_batch(
    house: House, caller: Caller, file: Annotated[UploadFile, File(description="CSV, Parquet, .gz, .zst, or a ZIP of linked tables.")],
    model: Annotated[str | None, Form(description="Name, name@version or id of a model.")] = None,
) -> BatchOut:  # fmt: skip
    return BatchOut(**batch_facts(service.receive_batch(house, caller, file.file, filename=file.filename, model=model)))


@router.get("/batches", summary="Batches, newest first")
def list_credit_batches(house: House, caller: Caller, limit: int | None = None, cursor: str | None = None) -> BatchPage:
    page = service.list_batches(house, caller, PageRequest.parse(limit, cursor))
    items = [BatchOut(**batch_facts(view)) for view in service.views_of(house, caller, page.items)]
    return BatchPage(items=items, next=page.next, total=page.total_text or None)


@router.get("/batches/{batch_id}", summary="A batch's state, counts and figures")
def get_credit_batch(house: House, caller: Caller, batch_id: UUID) -> BatchOut:
    return BatchOut(**batch_facts(service.batch_of(house, caller, batch_id)))


@router.get(
    "/batches/{batch_id}/{which}",
    summary="Download results, results.parquet or rejects",
    response_class=FileResponse,
    responses=A_FILE,
)
def download_credit_batch(house: House, caller: Caller, batch_id: UUID, which: str) -> FileResponse:
    path, name = batches.download(house, caller, batch_id, which)
    media = "text/csv; charset=utf-8" if path.suffix == ".csv" else "application/vnd.apache.parquet"
    return FileResponse(path, filename=name, media_type=media)


@router.post("/batches/{batch_id}/cancel", summary="Stop a batch after its present chunk")
def cancel_credit_batch(house: House, caller: Caller, batch_id: UUID) -> BatchOut:
    return BatchOut(**batch_facts(service.cancel_batch(house, caller, batch_id)))


@router.post("/batches/{batch_id}/resume", summary="Go on with a failed or cancelled batch")
def resume_credit_batch(house: House, caller: Caller, batch_id: UUID) -> BatchOut:
    return BatchOut(**batch_facts(service.resume_batch(house, caller, batch_id)))
