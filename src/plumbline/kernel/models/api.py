"""``/api/v1/models``: the registry."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from plumbline.kernel.faces.http import Caller, House
from plumbline.kernel.models import service
from plumbline.kernel.models.tables import Model
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
