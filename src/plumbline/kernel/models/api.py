"""``/api/v1/models``: the registry."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from plumbline.kernel import canonical
from plumbline.kernel.faces.http import Caller, House
from plumbline.kernel.ledger.queries import moment
from plumbline.kernel.models import card, service
from plumbline.kernel.models.service import cards, drift, drift_reports
from plumbline.kernel.models.tables import DriftRun, Model
from plumbline.kernel.paging import PageRequest

router = APIRouter()
_TEXT = r"^[^\x00]*$"
_SHA = "b41e77c02f6ad08e93c1a7714de05b8cf2906e31aa84c7d25f0be1934c865d19"
_VERSION: dict[str, Any] = {
    "id": "019ab2f4-8f00-7a31-9c1d-0d6a5f3b2c11", "name": "credit-risk", "version": "4", "kind": "credit", "model_type": "classification",
    "framework": "lightgbm", "is_active": True, "sha256": _SHA, "size": 812340, "metrics": {"roc_auc": 0.768, "brier": 0.067},
    "trained_at": "2026-11-20T08:00:00Z", "trained_by": "019ab2f0-1c00-7bd2-8f4e-51f0c2a7de90", "deployed_at": "2026-11-21T09:12:00Z",
    "created_at": "2026-11-20T08:01:00Z", "previous_id": "019ab2e0-0000-7a31-9c1d-0d6a5f3b2c11",
}  # fmt: skip
Key = Annotated[
    str,
    Path(
        max_length=300,
        pattern=_TEXT,
        description="An id, `name@version`, or `name`: its live version, else its newest.",
    ),
]
Name = Annotated[str, Path(max_length=200, pattern=_TEXT, description="The name of a model.")]


class ModelVersion(BaseModel):
    """One immutable version. `sha256` is the hash of its file, computed again on every load."""

    model_config = ConfigDict(json_schema_extra={"example": _VERSION})

    id: UUID
    name: str
    version: str
    kind: str
    model_type: str
    framework: str
    is_active: bool
    sha256: str
    size: int
    metrics: dict[str, float]
    trained_at: datetime
    trained_by: UUID | None
    deployed_at: datetime | None
    created_at: datetime
    previous_id: UUID | None = Field(description="The version that was live before this one; a rollback goes there.")

    @classmethod
    def values(cls, model: Model) -> dict[str, Any]:
        own = {name: getattr(model, name) for name in ("id", "name", "version", "kind", "model_type", "framework", "is_active", "metrics",
                                                       "trained_at", "deployed_at", "created_at")}  # fmt: skip
        return own | {name: model.extra.get(name) for name in ("sha256", "size", "trained_by", "previous_id")}


class ModelDetail(ModelVersion):
    """A version with its inputs and all that was noted at training."""

    model_config = ConfigDict(json_schema_extra={"example": _VERSION | {
        "features": [{"name": "income", "dtype": "numeric"}], "target_classes": ["repaid", "default"], "metadata": {"threshold": 0.0909},
        "artifact_path": f"sha256/b4/{_SHA}.zip", "versions": ["4", "3", "2", "1"], "four_eyes": True, "damaged": False,
    }})  # fmt: skip

    features: list[dict[str, Any]]
    target_classes: list[Any] | None
    metadata: dict[str, Any]
    artifact_path: str | None
    versions: list[str] = Field(description="All versions of this name, newest first.")
    four_eyes: bool = Field(description="Whether a second person has to activate.")
    damaged: bool = Field(description="Whether a finding says that the file is missing or damaged.")


class ModelPage(BaseModel):
    """`next` is the cursor of the following page, null on the last."""

    items: list[ModelVersion]
    next: str | None
    total: str


class ModelEvaluation(BaseModel):
    """How a version did on one set of rows. A figure that does not exist there has no value; `undefined` says why."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "id": "019ab2f4-9000-7a31-9c1d-0d6a5f3b2c11", "dataset": "test", "evaluation_date": "2026-11-20", "sample_count": 61503,
        "training_data_size": 246008, "metrics": {"roc_auc": 0.768}, "intervals": {"roc_auc": [0.761, 0.775]}, "undefined": {},
        "confusion_matrix": {"labels": ["repaid", "default"], "counts": [[39000, 17500], [1400, 3603]], "threshold": 0.0909},
        "feature_importance": {"ext_source_2": 0.14}, "cross_validation_scores": {"roc_auc": [0.764, 0.77]},
    }})  # fmt: skip

    id: UUID
    dataset: str
    evaluation_date: date
    sample_count: int
    training_data_size: int | None
    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    undefined: dict[str, str]
    confusion_matrix: dict[str, Any] | None
    feature_importance: dict[str, float] | None
    cross_validation_scores: dict[str, Any] | None


class Activation(BaseModel):
    """Why this version shall decide from now on."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"reason": "Lower cost on the November cohort", "force": False}}
    )

    reason: str | None = Field(
        None, max_length=2000, description="Needed where no second person is asked for, and to force."
    )
    force: bool = Field(False, description="Take a version whose inputs break with those of the live one.")


@router.get("/models")
def list_models(
    house: House, caller: Caller, name: Annotated[str | None, Query(max_length=200, pattern=_TEXT)] = None,
    kind: Annotated[str | None, Query(max_length=100, pattern=_TEXT)] = None,
    active: Annotated[bool | None, Query(description="Only live versions, or only those that are not.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100, cursor: str | None = None,
) -> ModelPage:  # fmt: skip
    """Versions, newest first."""
    page = service.list_models(house, caller, PageRequest.parse(limit, cursor), name=name, kind=kind, active=active)
    return ModelPage(
        items=[ModelVersion(**ModelVersion.values(m)) for m in page.items], next=page.next, total=page.total_text
    )


@router.get("/models/{model}")
def get_model(house: House, caller: Caller, model: Key) -> ModelDetail:
    """One version."""
    found = service.detail(house, caller, model)
    held = found.model
    return ModelDetail(
        **ModelVersion.values(held), features=held.features, target_classes=held.target_classes, metadata=held.extra,
        artifact_path=held.artifact_path, versions=[v.version for v in found.versions], four_eyes=found.four_eyes, damaged=found.damaged,
    )  # fmt: skip


A_CARD: dict[int | str, dict[str, Any]] = {200: {"description": "The card", "content": {
    "text/html": {"schema": {"type": "string"}},
    "application/json": {"schema": {"type": "object", "description": "`plumbline-model-card-1`; what the record does not hold is `not stated`."}},
}}}  # fmt: skip


@router.get("/models/{model}/card", response_class=Response, responses=A_CARD)
def get_model_card(
    house: House, caller: Caller, model: Key, form: Annotated[Literal["html", "json"], Query(alias="format")] = "json"
) -> Response:
    """The model card: what it is, what it was made from, how it was measured, and what nobody has measured."""
    told = cards.card_of(house, caller, model)
    if form == "json":
        return Response(canonical.dumps(told), media_type="application/json")
    return Response(card.to_html(told), media_type=MEDIA["html"], headers={"Content-Security-Policy": card.POLICY})


@router.get("/models/{model}/evaluations")
def list_model_evaluations(house: House, caller: Caller, model: Key) -> list[ModelEvaluation]:
    """What was measured on a version, newest first."""
    return [
        ModelEvaluation(
            id=one.evaluation.id, dataset=one.evaluation.dataset, evaluation_date=one.evaluation.evaluation_date,
            sample_count=one.evaluation.sample_count, training_data_size=one.evaluation.training_data_size, metrics=one.metrics,
            intervals=one.evaluation.extra.get("intervals", {}), undefined=one.evaluation.extra.get("undefined", {}),
            confusion_matrix=one.evaluation.confusion_matrix, feature_importance=one.evaluation.feature_importance,
            cross_validation_scores=one.evaluation.cross_validation_scores,
        )
        for one in service.evaluations_of(house, caller, model)
    ]  # fmt: skip


@router.post("/models/{model}/activate")
def activate_model(house: House, caller: Caller, model: Key, body: Activation) -> ModelVersion:
    """Make a version the live one of its name, after its file and its inputs were checked."""
    done = service.activate(house, caller, model, reason=body.reason, force=body.force)
    return ModelVersion(**ModelVersion.values(done))


@router.post("/models/{name}/rollback")
def rollback_model(house: House, caller: Caller, name: Name, body: Activation) -> ModelVersion:
    """Put the version that was live before back; once more goes one further."""
    done = service.rollback(house, caller, name, reason=body.reason, force=body.force)
    return ModelVersion(**ModelVersion.values(done))


# --- data drift

_RUN: dict[str, Any] = {
    "id": "019ab2f5-0a00-7a31-9c1d-0d6a5f3b2c11", "ml_model_id": "019ab2f4-8f00-7a31-9c1d-0d6a5f3b2c11",
    "reference_id": "019ab2f4-8f01-7a31-9c1d-0d6a5f3b2c11", "batch_id": "019ab2f4-ff00-7a31-9c1d-0d6a5f3b2c11",
    "window_key": "batch:019ab2f4-ff00-7a31-9c1d-0d6a5f3b2c11", "created_at": "2026-11-24T09:41:00Z", "drift_detected": True,
    "drift_score": 0.213, "severity": "major", "said": "Major drift of ext_source_2 and 3 more, score 0.213.", "rows": 40000,
    "reference_rows": 246008, "report_file_path": f"reports/sha256/b4/{_SHA}.html", "report_sha256": _SHA, "json_sha256": _SHA,
}  # fmt: skip


class DriftReportOut(BaseModel):
    """A window's rows compared with those the version was trained on. `severity` is that of the worst column."""

    model_config = ConfigDict(json_schema_extra={"example": _RUN})

    id: UUID
    ml_model_id: UUID
    reference_id: UUID
    batch_id: UUID | None
    window_key: str = Field(description="`batch:ID`, or `since/until` of single decisions.")
    created_at: datetime
    drift_detected: bool
    drift_score: float = Field(description="0 to 1: corrected PSI of the significant columns, weighed by importance.")
    severity: Literal["major", "moderate", "insufficient_data", "stable", "no_data"]
    said: str
    rows: int
    reference_rows: int
    report_file_path: str
    report_sha256: str
    json_sha256: str

    @classmethod
    def values(cls, run: DriftRun) -> dict[str, Any]:
        return {name: getattr(run, name) if hasattr(run, name) else run.extra[name] for name in DriftReportOut.model_fields}  # fmt: skip


class DriftReportPage(BaseModel):
    """`next` is the cursor of the following page, null on the last."""

    items: list[DriftReportOut]
    next: str | None
    total: str


class DriftScoreOut(BaseModel):
    """One measure over all columns: its largest significant value, and each column's."""

    drift_score: float
    threshold: float
    is_drifted: bool
    feature_drifts: dict[str, Any]


class DriftReportDetail(DriftReportOut):
    """A report with its three scores and all measures of the columns that drifted, worst first."""

    model_config = ConfigDict(json_schema_extra={"example": _RUN | {
        "scores": {"psi": {"drift_score": 0.41, "threshold": 0.1, "is_drifted": True, "feature_drifts": {}}}, "drifted_features": [],
    }})  # fmt: skip

    scores: dict[Literal["psi", "kl_divergence", "ks_test"], DriftScoreOut]
    drifted_features: list[dict[str, Any]]


class DriftWindow(BaseModel):
    """What shall be compared: a file, or the single decisions of a span of time; empty: all that it decided one by one."""

    model_config = ConfigDict(json_schema_extra={"example": {"since": "2026-11-01", "until": "2026-11-23"}})

    since: str = Field("", max_length=40, pattern=_TEXT, description="This day or time, or later; without a zone UTC.")
    until: str = Field("", max_length=40, pattern=_TEXT, description="Before this time; a day is held whole.")
    batch_id: UUID | None = None


class DriftRequested(BaseModel):
    """A job compares the window; there is none where the version was registered without a reference."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "state": "queued", "job_id": "019ab2f5-0b00-7a31-9c1d-0d6a5f3b2c11", "said": "The inputs of credit-risk@4 are being compared with those of its training.",
    }})  # fmt: skip

    state: Literal["queued", "no_reference"]
    job_id: UUID | None
    said: str


class DriftVerification(BaseModel):
    """Whether every number of a report follows from its counts, and files, rows and profiles are what they were."""

    model_config = ConfigDict(json_schema_extra={"example": {"id": _RUN["id"], "sound": True, "faults": []}})

    id: UUID
    sound: bool
    faults: list[str]


MEDIA = {"html": "text/html; charset=utf-8", "json": "application/json"}
A_REPORT: dict[int | str, dict[str, Any]] = {200: {"description": "The file", "content": {
    "text/html": {"schema": {"type": "string"}},
    "application/json": {"schema": {"type": "object", "description": "`plumbline-drift-report-1`: counts, measures, verdicts."}},
}}}  # fmt: skip


@router.post("/models/{model}/drift", status_code=202)
def run_model_drift(house: House, caller: Caller, model: Key, body: DriftWindow) -> DriftRequested:
    """Compare what a version decided with the rows it was trained on: a job, whose report is kept."""
    job, said = drift.request(house, caller, model, since=moment(body.since, "since"), until=moment(body.until, "until", end=True),
                              batch_id=body.batch_id)  # fmt: skip
    return DriftRequested(state="queued" if job else "no_reference", job_id=job, said=said)


@router.get("/models/{model}/drift")
def list_model_drift(
    house: House, caller: Caller, model: Key, batch_id: UUID | None = None,
    detected: Annotated[bool | None, Query(description="Only reports that found drift, or only the others.")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100, cursor: str | None = None,
) -> DriftReportPage:  # fmt: skip
    """Drift reports of a version, newest first."""
    page = drift_reports.list_runs(
        house, caller, PageRequest.parse(limit, cursor), model=model, batch_id=batch_id, detected=detected
    )
    items = [DriftReportOut(**DriftReportOut.values(run)) for run in page.items]
    return DriftReportPage(items=items, next=page.next, total=page.total_text)


@router.get("/models/{model}/drift/{report_id}")
def get_model_drift(house: House, caller: Caller, model: Key, report_id: UUID) -> DriftReportDetail:
    """One drift report."""
    kept = drift_reports.get_run(house, caller, report_id, model=model)
    scores = {
        name: DriftScoreOut(drift_score=s.drift_score, threshold=s.threshold, is_drifted=s.is_drifted, feature_drifts=s.feature_drifts)
        for name, s in kept.scores.items()
    }  # fmt: skip
    return DriftReportDetail(**DriftReportOut.values(kept.run), scores=scores, drifted_features=kept.run.drifted_features)  # type: ignore[arg-type]  # fmt: skip


@router.get("/models/{model}/drift/{report_id}/verification")
def verify_model_drift(house: House, caller: Caller, model: Key, report_id: UUID) -> DriftVerification:
    """Recompute every number of a drift report from its counts."""
    found = drift_reports.verify(house, caller, report_id, model=model)
    return DriftVerification(id=found.run.id, sound=not found.faults, faults=found.faults)


@router.get(
    "/models/{model}/drift/{report_id}/file",
    response_class=Response,
    responses=A_REPORT,
)
def download_model_drift(
    house: House, caller: Caller, model: Key, report_id: UUID,
    form: Annotated[Literal["html", "json"], Query(alias="format", description="`json` holds the counts that every number follows from.")] = "html",
) -> Response:  # fmt: skip
    """The stored report: to read, or to recompute."""
    kept = drift_reports.get_run(house, caller, report_id, model=model)
    data = drift_reports.file_of(house, kept.run, form)
    return Response(
        data,
        media_type=MEDIA[form],
        headers={"content-disposition": f'attachment; filename="drift-{report_id}.{form}"'},
    )
