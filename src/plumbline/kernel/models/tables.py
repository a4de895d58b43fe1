"""Models, their evaluations, and every decision they made."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from plumbline.kernel.database import Table, TenantOwned, by_time, one_of, options, types


class Model(TenantOwned, Table):
    """One immutable version. ``artifact_path`` is the content address of its file; ``metadata.sha256`` its hash."""

    __tablename__ = "ml_models"
    __table_args__ = options(
        sa.UniqueConstraint("organization_id", "name", "version"),
        one_of("model_type", "classification", "regression", "clustering"),
        by_time("ml_models"),
        # two activations at once: the index decides
        sa.Index("uq_ml_models_active", "organization_id", "name", unique=True,
                 sqlite_where=sa.text("is_active = 1"), postgresql_where=sa.text("is_active")),
    )  # fmt: skip

    name: Mapped[str]
    version: Mapped[str]
    kind: Mapped[str]
    model_type: Mapped[str]
    framework: Mapped[str]
    artifact_path: Mapped[str | None]
    features: Mapped[Any] = mapped_column(types.Json, nullable=False)
    target_classes: Mapped[Any] = mapped_column(types.Json, nullable=True)
    metrics: Mapped[Any] = mapped_column(types.Json, nullable=False)
    trained_at: Mapped[datetime]
    deployed_at: Mapped[datetime | None]
    is_active: Mapped[bool]
    created_at: Mapped[datetime]
    extra: Mapped[Any] = mapped_column("metadata", types.Json, nullable=False)


class Evaluation(TenantOwned, Table):
    """How one version did on one set of rows."""

    __tablename__ = "model_evaluations"
    __table_args__ = options(
        by_time("model_evaluations"),
        sa.Index("ix_model_evaluations_ml_model_id", "organization_id", "ml_model_id", "id"),
    )

    ml_model_id: Mapped[UUID] = mapped_column(sa.ForeignKey("ml_models.id"))
    evaluation_date: Mapped[date] = mapped_column(types.Day)
    dataset: Mapped[str]
    training_data_size: Mapped[int | None]
    sample_count: Mapped[int]
    confusion_matrix: Mapped[Any] = mapped_column(types.Json, nullable=True)
    feature_importance: Mapped[Any] = mapped_column(types.Json, nullable=True)
    cross_validation_scores: Mapped[Any] = mapped_column(types.Json, nullable=True)
    extra: Mapped[Any] = mapped_column("metadata", types.Json, nullable=False)
    created_at: Mapped[datetime]


class Metric(TenantOwned, Table):
    """One measured figure. What is undefined has no row; the evaluation's metadata says why."""

    __tablename__ = "model_metrics"
    __table_args__ = options(
        by_time("model_metrics"),
        sa.Index("ix_model_metrics_evaluation_id", "evaluation_id", "metric_name"),
        sa.Index("ix_model_metrics_metric_name", "organization_id", "metric_name", "recorded_at"),
    )

    evaluation_id: Mapped[UUID] = mapped_column(sa.ForeignKey("model_evaluations.id"))
    metric_name: Mapped[str]
    metric_value: Mapped[float]
    recorded_at: Mapped[datetime]


class Batch(TenantOwned, Table):
    """A file of subjects to decide about."""

    __tablename__ = "batch_uploads"
    __table_args__ = options(
        one_of("status", "pending", "processing", "completed", "failed"),
        by_time("batch_uploads"),
        sa.Index("ix_batch_uploads_user_id", "organization_id", "user_id", "id"),
        sa.Index("ix_batch_uploads_status", "organization_id", "status", "id"),
    )

    user_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("users.id"))
    ml_model_id: Mapped[UUID] = mapped_column(sa.ForeignKey("ml_models.id"))
    job_id: Mapped[UUID | None]
    prediction_type: Mapped[str]
    filename: Mapped[str]
    file_size: Mapped[int]
    file_sha256: Mapped[str]
    num_applications: Mapped[int | None]
    status: Mapped[str]
    upload_date: Mapped[datetime]
    processing_started_at: Mapped[datetime | None]
    processing_completed_at: Mapped[datetime | None]
    error_message: Mapped[str | None]
    results_file_path: Mapped[str | None]
    extra: Mapped[Any] = mapped_column("metadata", types.Json, nullable=False)


class Prediction(TenantOwned, Table):
    """One automated decision of any room."""

    __tablename__ = "predictions"
    __table_args__ = options(
        by_time("predictions"),
        sa.Index("ix_predictions_type", "organization_id", "prediction_type", "id"),
        sa.Index("ix_predictions_subject_id", "organization_id", "subject_id"),
        sa.Index("ix_predictions_ml_model_id", "organization_id", "ml_model_id", "id"),
        sa.Index("ix_predictions_user_id", "organization_id", "user_id", "id"),
        sa.Index("ix_predictions_batch_id", "batch_id", sqlite_where=sa.text("batch_id is not null"),
                 postgresql_where=sa.text("batch_id is not null")),
        sa.Index("ix_predictions_shadow_of", "shadow_of", sqlite_where=sa.text("shadow_of is not null"),
                 postgresql_where=sa.text("shadow_of is not null")),
        sa.Index("ix_predictions_outcome_at", "organization_id", "outcome_at",
                 sqlite_where=sa.text("outcome_at is not null"), postgresql_where=sa.text("outcome_at is not null")),
    )  # fmt: skip

    prediction_type: Mapped[str]
    subject_id: Mapped[str]
    content: Mapped[Any] = mapped_column(types.Json, nullable=True)
    prediction_result: Mapped[str]
    probability: Mapped[float]
    features: Mapped[Any] = mapped_column(types.Json, nullable=True)
    explanation: Mapped[Any] = mapped_column(types.Json, nullable=True)
    ml_model_id: Mapped[UUID] = mapped_column(sa.ForeignKey("ml_models.id"))
    user_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("users.id"))
    batch_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("batch_uploads.id"))
    batch_row: Mapped[int | None]
    source_ip: Mapped[str | None]
    processing_time_ms: Mapped[float | None]
    extra: Mapped[Any] = mapped_column("metadata", types.Json, nullable=False)
    variant: Mapped[str | None]
    shadow_of: Mapped[UUID | None]
    outcome: Mapped[str | None]
    outcome_at: Mapped[datetime | None]
    record_salt: Mapped[bytes | None]
    created_at: Mapped[datetime]


class ModelProfile(TenantOwned, Table):
    """Counts of rows as a version saw them, never changed: its reference, with the grid, or a chunk of a batch on that grid."""

    __tablename__ = "model_profiles"
    __table_args__ = options(
        one_of("kind", "reference", "batch"),
        by_time("model_profiles"),
        sa.Index("uq_model_profiles_reference", "organization_id", "ml_model_id", unique=True,
                 sqlite_where=sa.text("kind = 'reference'"), postgresql_where=sa.text("kind = 'reference'")),
        # a chunk is counted once, however often its batch is resumed
        sa.Index("uq_model_profiles_batch_id", "batch_id", "part", unique=True, sqlite_where=sa.text("batch_id is not null"),
                 postgresql_where=sa.text("batch_id is not null")),
    )  # fmt: skip

    ml_model_id: Mapped[UUID] = mapped_column(sa.ForeignKey("ml_models.id"))
    kind: Mapped[str]
    reference_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("model_profiles.id"))
    batch_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("batch_uploads.id"))
    part: Mapped[int | None]
    row_count: Mapped[int]
    payload: Mapped[Any] = mapped_column(types.Json, nullable=False)
    sha256: Mapped[str]
    created_at: Mapped[datetime]


class DriftRun(TenantOwned, Table):
    """One comparison of a window's rows with the reference of the version that decided about them."""

    __tablename__ = "data_drift_reports"
    __table_args__ = options(
        sa.UniqueConstraint("organization_id", "ml_model_id", "window_key", "reference_id", name="uq_data_drift_reports_window"),
        by_time("data_drift_reports"),
        sa.Index("ix_data_drift_reports_ml_model_id", "organization_id", "ml_model_id", "id"),
        sa.Index("ix_data_drift_reports_batch_id", "batch_id", sqlite_where=sa.text("batch_id is not null"),
                 postgresql_where=sa.text("batch_id is not null")),
    )  # fmt: skip

    ml_model_id: Mapped[UUID] = mapped_column(sa.ForeignKey("ml_models.id"))
    reference_id: Mapped[UUID] = mapped_column(sa.ForeignKey("model_profiles.id"))
    batch_id: Mapped[UUID | None] = mapped_column(sa.ForeignKey("batch_uploads.id"))
    window_key: Mapped[str]
    created_at: Mapped[datetime]
    drift_detected: Mapped[bool]
    drift_score: Mapped[float]
    drifted_features: Mapped[Any] = mapped_column(types.Json, nullable=False)
    report_file_path: Mapped[str]
    extra: Mapped[Any] = mapped_column("metadata", types.Json, nullable=False)


class DriftRunScore(TenantOwned, Table):
    """One of the three measures of a comparison, over all its columns."""

    __tablename__ = "data_drift_scores"
    __table_args__ = options(
        sa.UniqueConstraint("report_id", "drift_type"),
        one_of("drift_type", "psi", "kl_divergence", "ks_test"),
        by_time("data_drift_scores"),
    )

    report_id: Mapped[UUID] = mapped_column(sa.ForeignKey("data_drift_reports.id"))
    drift_type: Mapped[str]
    drift_score: Mapped[float]
    threshold: Mapped[float]
    is_drifted: Mapped[bool]
    feature_drifts: Mapped[Any] = mapped_column(types.Json, nullable=False)
