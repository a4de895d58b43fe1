"""first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from plumbline.kernel.database import ddl, types

revision = "kernel_0001"
down_revision = None
branch_labels = ("kernel",)
depends_on = None

TABLES = (
    "api_keys",
    "audit_log",
    "batch_uploads",
    "findings",
    "job_schedules",
    "job_workers",
    "jobs",
    "ledger_checkpoints",
    "ledger_leaves",
    "ledger_nodes",
    "ledger_pending",
    "ledger_trees",
    "ml_models",
    "model_evaluations",
    "model_metrics",
    "organizations",
    "predictions",
    "rate_limits",
    "user_sessions",
    "users",
)


def upgrade() -> None:
    op.create_table(
        "job_workers",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("started_at", types.Timestamp(), nullable=False),
        sa.Column("seen_at", types.Timestamp(), nullable=False),
        sa.Column("threads", types.Whole, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_job_workers")),
        info={"owner": "kernel"},
        sqlite_strict=True,
    )
    op.create_table(
        "ledger_checkpoints",
        sa.Column("organization_id", types.Id(), nullable=False),
        sa.Column("tree_size", types.Whole, autoincrement=False, nullable=False),
        sa.Column("root_hash", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("sealed_at", types.Timestamp(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "tree_size", name=op.f("pk_ledger_checkpoints")),
        info={"owner": "kernel"},
        sqlite_strict=True,
    )
    op.create_table(
        "ledger_leaves",
        sa.Column("organization_id", types.Id(), nullable=False),
        sa.Column("leaf_index", types.Whole, autoincrement=False, nullable=False),
        sa.Column("entry_id", types.Id(), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "leaf_index", name=op.f("pk_ledger_leaves")),
        sa.UniqueConstraint("entry_id", name=op.f("uq_ledger_leaves_entry_id")),
        info={"owner": "kernel"},
        sqlite_strict=True,
    )
    op.create_table(
        "ledger_nodes",
        sa.Column("organization_id", types.Id(), nullable=False),
        sa.Column("level", types.Whole, autoincrement=False, nullable=False),
        sa.Column("node_index", types.Whole, autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "level", "node_index", name=op.f("pk_ledger_nodes")),
        info={"owner": "kernel"},
        sqlite_strict=True,
    )
    op.create_table(
        "ledger_pending",
        sa.Column("organization_id", types.Id(), nullable=False),
        sa.Column("entry_id", types.Id(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "entry_id", name=op.f("pk_ledger_pending")),
        info={"owner": "kernel"},
        sqlite_strict=True,
    )
    op.create_table(
        "ledger_trees",
        sa.Column("organization_id", types.Id(), nullable=False),
        sa.Column("pruned_below", types.Whole, nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", name=op.f("pk_ledger_trees")),
        info={"owner": "kernel"},
        sqlite_strict=True,
    )
    op.create_table(
        "organizations",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("contact_email", sa.Text(), nullable=True),
        sa.Column("is_active", types.Flag(), nullable=False),
        sa.Column("settings", types.Json(), nullable=False),
        sa.Column("id", types.Id(), nullable=False),
        sa.Column("created_at", types.Timestamp(), nullable=False),
        sa.Column("updated_at", types.Timestamp(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organizations")),
        sa.UniqueConstraint("name", name=op.f("uq_organizations_name")),
        sa.UniqueConstraint("slug", name=op.f("uq_organizations_slug")),
        info={"owner": "kernel"},
        sqlite_strict=True,
    )
    op.create_table(
        "rate_limits",
        sa.Column("bucket", sa.LargeBinary(), nullable=False),
        sa.Column("tokens", types.Real, nullable=False),
        sa.Column("filled_at", types.Real, nullable=False),
        sa.PrimaryKeyConstraint("bucket", name=op.f("pk_rate_limits")),
        info={"owner": "kernel"},
        sqlite_strict=True,
    )
    op.create_table(
        "audit_log",
        sa.Column("timestamp", types.Timestamp(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("actor_type", sa.Text(), nullable=False),
        sa.Column("user_id", types.Id(), nullable=True),
        sa.Column("resource_type", sa.Text(), nullable=False),
        sa.Column("resource_id", types.Id(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("success", types.Flag(), nullable=False),
        sa.Column("actor_id", sa.Text(), nullable=True),
        sa.Column("client_id", sa.Text(), nullable=True),
        sa.Column("ip_address", sa.Text(), nullable=True),
        sa.Column("session_id", sa.Text(), nullable=True),
        sa.Column("user_agent", sa.Text(), nullable=True),
        sa.Column("actor_salt", sa.LargeBinary(), nullable=True),
        sa.Column("actor_commitment", sa.LargeBinary(), nullable=False),
        sa.Column("details", types.LedgerJson(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("new_values", types.LedgerJson(), nullable=True),
        sa.Column("old_values", types.LedgerJson(), nullable=True),
        sa.Column("content_salt", sa.LargeBinary(), nullable=True),
        sa.Column("content_commitment", sa.LargeBinary(), nullable=False),
        sa.Column("organization_id", types.Id(), nullable=False),
        sa.Column("id", types.Id(), nullable=False),
        sa.CheckConstraint("actor_type in ('user', 'key', 'job', 'system')", name=op.f("ck_audit_log_actor_type")),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name=op.f("fk_audit_log_organization_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
        info={"owner": "kernel"},
        sqlite_strict=True,
    )
    with op.batch_alter_table("audit_log", schema=None) as batch_op:
        batch_op.create_index("ix_audit_log_action", ["organization_id", "action", "id"], unique=False)
        batch_op.create_index("ix_audit_log_organization_id_id", ["organization_id", "id"], unique=False)
        batch_op.create_index("ix_audit_log_resource_id", ["organization_id", "resource_id", "id"], unique=False)
        batch_op.create_index("ix_audit_log_user_id", ["organization_id", "user_id", "id"], unique=False)

    op.create_table(
        "findings",
        sa.Column("room", sa.Text(), nullable=False),
        sa.Column("subject_id", types.Id(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("owner_id", types.Id(), nullable=True),
        sa.Column("due_at", types.Timestamp(), nullable=True),
        sa.Column("tags", types.Json(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("score", types.Real, nullable=True),
        sa.Column("opened_at", types.Timestamp(), nullable=False),
        sa.Column("closed_at", types.Timestamp(), nullable=True),
        sa.Column("organization_id", types.Id(), nullable=False),
        sa.Column("id", types.Id(), nullable=False),
        sa.CheckConstraint("severity in ('critical', 'high', 'medium', 'low')", name=op.f("ck_findings_severity")),
        sa.CheckConstraint(
            "state in ('open', 'acknowledged', 'resolved', 'suppressed')", name=op.f("ck_findings_state")
        ),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name=op.f("fk_findings_organization_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_findings")),
        sa.UniqueConstraint(
            "organization_id", "room", "fingerprint", name=op.f("uq_findings_organization_id_room_fingerprint")
        ),
        info={"owner": "kernel"},
        sqlite_strict=True,
    )
    with op.batch_alter_table("findings", schema=None) as batch_op:
        batch_op.create_index("ix_findings_organization_id_id", ["organization_id", "id"], unique=False)
        batch_op.create_index("ix_findings_state", ["organization_id", "state", "id"], unique=False)

    op.create_table(
        "job_schedules",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("cron", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("arguments", types.Json(), nullable=False),
        sa.Column("next_due", types.Real, nullable=False),
        sa.Column("paused", types.Flag(), nullable=False),
        sa.Column("organization_id", types.Id(), nullable=False),
        sa.Column("id", types.Id(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_job_schedules_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_schedules")),
        sa.UniqueConstraint("organization_id", "name", name=op.f("uq_job_schedules_organization_id_name")),
        info={"owner": "kernel"},
        sqlite_strict=True,
    )
    with op.batch_alter_table("job_schedules", schema=None) as batch_op:
        batch_op.create_index("ix_job_schedules_organization_id_id", ["organization_id", "id"], unique=False)

    op.create_table(
        "jobs",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject_id", types.Id(), nullable=True),
        sa.Column("arguments", types.Json(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("priority", types.Whole, nullable=False),
        sa.Column("due_at", types.Real, nullable=False),
        sa.Column("dedupe_key", sa.Text(), nullable=True),
        sa.Column("attempts", types.Whole, nullable=False),
        sa.Column("max_attempts", types.Whole, nullable=False),
        sa.Column("done", types.Whole, nullable=False),
        sa.Column("total", types.Whole, nullable=True),
        sa.Column("cancel_requested", types.Flag(), nullable=False),
        sa.Column("lease_until", types.Real, nullable=True),
        sa.Column("token", types.Whole, nullable=False),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("user_id", types.Id(), nullable=True),
        sa.Column("created_at", types.Timestamp(), nullable=False),
        sa.Column("started_at", types.Timestamp(), nullable=True),
        sa.Column("finished_at", types.Timestamp(), nullable=True),
        sa.Column("organization_id", types.Id(), nullable=False),
        sa.Column("id", types.Id(), nullable=False),
        sa.CheckConstraint("state in ('queued', 'running', 'done', 'failed', 'cancelled')", name=op.f("ck_jobs_state")),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name=op.f("fk_jobs_organization_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
        info={"owner": "kernel"},
        sqlite_strict=True,
    )
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.create_index("ix_jobs_due", ["state", "priority", "due_at", "id"], unique=False)
        batch_op.create_index("ix_jobs_organization_id_id", ["organization_id", "id"], unique=False)
        batch_op.create_index(
            "uq_jobs_dedupe_key",
            ["organization_id", "kind", "dedupe_key"],
            unique=True,
            sqlite_where=sa.text("state in ('queued', 'running') and dedupe_key is not null"),
            postgresql_where=sa.text("state in ('queued', 'running') and dedupe_key is not null"),
        )

    op.create_table(
        "ml_models",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("model_type", sa.Text(), nullable=False),
        sa.Column("framework", sa.Text(), nullable=False),
        sa.Column("artifact_path", sa.Text(), nullable=True),
        sa.Column("features", types.Json(), nullable=False),
        sa.Column("target_classes", types.Json(), nullable=True),
        sa.Column("metrics", types.Json(), nullable=False),
        sa.Column("trained_at", types.Timestamp(), nullable=False),
        sa.Column("deployed_at", types.Timestamp(), nullable=True),
        sa.Column("is_active", types.Flag(), nullable=False),
        sa.Column("created_at", types.Timestamp(), nullable=False),
        sa.Column("metadata", types.Json(), nullable=False),
        sa.Column("organization_id", types.Id(), nullable=False),
        sa.Column("id", types.Id(), nullable=False),
        sa.CheckConstraint(
            "model_type in ('classification', 'regression', 'clustering')", name=op.f("ck_ml_models_model_type")
        ),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name=op.f("fk_ml_models_organization_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ml_models")),
        sa.UniqueConstraint(
            "organization_id", "name", "version", name=op.f("uq_ml_models_organization_id_name_version")
        ),
        info={"owner": "kernel"},
        sqlite_strict=True,
    )
    with op.batch_alter_table("ml_models", schema=None) as batch_op:
        batch_op.create_index("ix_ml_models_organization_id_id", ["organization_id", "id"], unique=False)
        batch_op.create_index(
            "uq_ml_models_active",
            ["organization_id", "name"],
            unique=True,
            sqlite_where=sa.text("is_active = 1"),
            postgresql_where=sa.text("is_active"),
        )

    op.create_table(
        "users",
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("full_name", sa.Text(), nullable=True),
        sa.Column("is_active", types.Flag(), nullable=False),
        sa.Column("is_superuser", types.Flag(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("must_change_password", types.Flag(), nullable=False),
        sa.Column("last_login", types.Timestamp(), nullable=True),
        sa.Column("active_catalog_id", types.Id(), nullable=True),
        sa.Column("preferences", types.Json(), nullable=True),
        sa.Column("organization_id", types.Id(), nullable=False),
        sa.Column("id", types.Id(), nullable=False),
        sa.Column("created_at", types.Timestamp(), nullable=False),
        sa.Column("updated_at", types.Timestamp(), nullable=False),
        sa.CheckConstraint("role in ('viewer', 'analyst', 'admin')", name=op.f("ck_users_role")),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name=op.f("fk_users_organization_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email", name=op.f("uq_users_email")),
        sa.UniqueConstraint("username", name=op.f("uq_users_username")),
        info={"owner": "kernel"},
        sqlite_strict=True,
    )
    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.create_index("ix_users_organization_id_id", ["organization_id", "id"], unique=False)

    op.create_table(
        "api_keys",
        sa.Column("user_id", types.Id(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", types.Json(), nullable=False),
        sa.Column("client_limit", types.Whole, nullable=True),
        sa.Column("created_at", types.Timestamp(), nullable=False),
        sa.Column("expires_at", types.Timestamp(), nullable=True),
        sa.Column("last_used_at", types.Timestamp(), nullable=True),
        sa.Column("revoked_at", types.Timestamp(), nullable=True),
        sa.Column("organization_id", types.Id(), nullable=False),
        sa.Column("id", types.Id(), nullable=False),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name=op.f("fk_api_keys_organization_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_api_keys_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_api_keys_key_hash")),
        info={"owner": "kernel"},
        sqlite_strict=True,
    )
    with op.batch_alter_table("api_keys", schema=None) as batch_op:
        batch_op.create_index("ix_api_keys_organization_id_id", ["organization_id", "id"], unique=False)

    op.create_table(
        "batch_uploads",
        sa.Column("user_id", types.Id(), nullable=True),
        sa.Column("ml_model_id", types.Id(), nullable=False),
        sa.Column("job_id", types.Id(), nullable=True),
        sa.Column("prediction_type", sa.Text(), nullable=False),
        sa.Column("filename", sa.Text(), nullable=False),
        sa.Column("file_size", types.Whole, nullable=False),
        sa.Column("file_sha256", sa.Text(), nullable=False),
        sa.Column("num_applications", types.Whole, nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("upload_date", types.Timestamp(), nullable=False),
        sa.Column("processing_started_at", types.Timestamp(), nullable=True),
        sa.Column("processing_completed_at", types.Timestamp(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("results_file_path", sa.Text(), nullable=True),
        sa.Column("metadata", types.Json(), nullable=False),
        sa.Column("organization_id", types.Id(), nullable=False),
        sa.Column("id", types.Id(), nullable=False),
        sa.CheckConstraint(
            "status in ('pending', 'processing', 'completed', 'failed')", name=op.f("ck_batch_uploads_status")
        ),
        sa.ForeignKeyConstraint(["ml_model_id"], ["ml_models.id"], name=op.f("fk_batch_uploads_ml_model_id")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_batch_uploads_organization_id")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_batch_uploads_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batch_uploads")),
        info={"owner": "kernel"},
        sqlite_strict=True,
    )
    with op.batch_alter_table("batch_uploads", schema=None) as batch_op:
        batch_op.create_index("ix_batch_uploads_organization_id_id", ["organization_id", "id"], unique=False)
        batch_op.create_index("ix_batch_uploads_status", ["organization_id", "status", "id"], unique=False)
        batch_op.create_index("ix_batch_uploads_user_id", ["organization_id", "user_id", "id"], unique=False)

    op.create_table(
        "model_evaluations",
        sa.Column("ml_model_id", types.Id(), nullable=False),
        sa.Column("evaluation_date", types.Day(), nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("training_data_size", types.Whole, nullable=True),
        sa.Column("sample_count", types.Whole, nullable=False),
        sa.Column("confusion_matrix", types.Json(), nullable=True),
        sa.Column("feature_importance", types.Json(), nullable=True),
        sa.Column("cross_validation_scores", types.Json(), nullable=True),
        sa.Column("metadata", types.Json(), nullable=False),
        sa.Column("created_at", types.Timestamp(), nullable=False),
        sa.Column("organization_id", types.Id(), nullable=False),
        sa.Column("id", types.Id(), nullable=False),
        sa.ForeignKeyConstraint(["ml_model_id"], ["ml_models.id"], name=op.f("fk_model_evaluations_ml_model_id")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_model_evaluations_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_evaluations")),
        info={"owner": "kernel"},
        sqlite_strict=True,
    )
    with op.batch_alter_table("model_evaluations", schema=None) as batch_op:
        batch_op.create_index(
            "ix_model_evaluations_ml_model_id", ["organization_id", "ml_model_id", "id"], unique=False
        )
        batch_op.create_index("ix_model_evaluations_organization_id_id", ["organization_id", "id"], unique=False)

    op.create_table(
        "user_sessions",
        sa.Column("user_id", types.Id(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("ip_address", sa.Text(), nullable=False),
        sa.Column("user_agent", sa.Text(), nullable=True),
        sa.Column("created_at", types.Timestamp(), nullable=False),
        sa.Column("expires_at", types.Timestamp(), nullable=False),
        sa.Column("last_activity", types.Timestamp(), nullable=False),
        sa.Column("is_active", types.Flag(), nullable=False),
        sa.Column("organization_id", types.Id(), nullable=False),
        sa.Column("id", types.Id(), nullable=False),
        sa.CheckConstraint("purpose in ('session', 'once')", name=op.f("ck_user_sessions_purpose")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_user_sessions_organization_id")
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_user_sessions_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_sessions")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_user_sessions_token_hash")),
        info={"owner": "kernel"},
        sqlite_strict=True,
    )
    with op.batch_alter_table("user_sessions", schema=None) as batch_op:
        batch_op.create_index("ix_user_sessions_organization_id_id", ["organization_id", "id"], unique=False)
        batch_op.create_index("ix_user_sessions_user_id", ["user_id"], unique=False)

    op.create_table(
        "model_metrics",
        sa.Column("evaluation_id", types.Id(), nullable=False),
        sa.Column("metric_name", sa.Text(), nullable=False),
        sa.Column("metric_value", types.Real, nullable=False),
        sa.Column("recorded_at", types.Timestamp(), nullable=False),
        sa.Column("organization_id", types.Id(), nullable=False),
        sa.Column("id", types.Id(), nullable=False),
        sa.ForeignKeyConstraint(
            ["evaluation_id"], ["model_evaluations.id"], name=op.f("fk_model_metrics_evaluation_id")
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_model_metrics_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_metrics")),
        info={"owner": "kernel"},
        sqlite_strict=True,
    )
    with op.batch_alter_table("model_metrics", schema=None) as batch_op:
        batch_op.create_index("ix_model_metrics_evaluation_id", ["evaluation_id", "metric_name"], unique=False)
        batch_op.create_index(
            "ix_model_metrics_metric_name", ["organization_id", "metric_name", "recorded_at"], unique=False
        )
        batch_op.create_index("ix_model_metrics_organization_id_id", ["organization_id", "id"], unique=False)

    op.create_table(
        "predictions",
        sa.Column("prediction_type", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Text(), nullable=False),
        sa.Column("content", types.Json(), nullable=True),
        sa.Column("prediction_result", sa.Text(), nullable=False),
        sa.Column("probability", types.Real, nullable=False),
        sa.Column("features", types.Json(), nullable=True),
        sa.Column("explanation", types.Json(), nullable=True),
        sa.Column("ml_model_id", types.Id(), nullable=False),
        sa.Column("user_id", types.Id(), nullable=True),
        sa.Column("batch_id", types.Id(), nullable=True),
        sa.Column("batch_row", types.Whole, nullable=True),
        sa.Column("source_ip", sa.Text(), nullable=True),
        sa.Column("processing_time_ms", types.Real, nullable=True),
        sa.Column("metadata", types.Json(), nullable=False),
        sa.Column("variant", sa.Text(), nullable=True),
        sa.Column("shadow_of", types.Id(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("outcome_at", types.Timestamp(), nullable=True),
        sa.Column("record_salt", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", types.Timestamp(), nullable=False),
        sa.Column("organization_id", types.Id(), nullable=False),
        sa.Column("id", types.Id(), nullable=False),
        sa.ForeignKeyConstraint(["batch_id"], ["batch_uploads.id"], name=op.f("fk_predictions_batch_id")),
        sa.ForeignKeyConstraint(["ml_model_id"], ["ml_models.id"], name=op.f("fk_predictions_ml_model_id")),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"], name=op.f("fk_predictions_organization_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_predictions_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_predictions")),
        info={"owner": "kernel"},
        sqlite_strict=True,
    )
    with op.batch_alter_table("predictions", schema=None) as batch_op:
        batch_op.create_index(
            "ix_predictions_batch_id",
            ["batch_id"],
            unique=False,
            sqlite_where=sa.text("batch_id is not null"),
            postgresql_where=sa.text("batch_id is not null"),
        )
        batch_op.create_index("ix_predictions_ml_model_id", ["organization_id", "ml_model_id", "id"], unique=False)
        batch_op.create_index("ix_predictions_organization_id_id", ["organization_id", "id"], unique=False)
        batch_op.create_index(
            "ix_predictions_outcome_at",
            ["organization_id", "outcome_at"],
            unique=False,
            sqlite_where=sa.text("outcome_at is not null"),
            postgresql_where=sa.text("outcome_at is not null"),
        )
        batch_op.create_index(
            "ix_predictions_shadow_of",
            ["shadow_of"],
            unique=False,
            sqlite_where=sa.text("shadow_of is not null"),
            postgresql_where=sa.text("shadow_of is not null"),
        )
        batch_op.create_index("ix_predictions_subject_id", ["organization_id", "subject_id"], unique=False)
        batch_op.create_index("ix_predictions_type", ["organization_id", "prediction_type", "id"], unique=False)
        batch_op.create_index("ix_predictions_user_id", ["organization_id", "user_id", "id"], unique=False)
    ddl.install(op, TABLES)
    ddl.install_lookups(op)


def downgrade() -> None:
    with op.batch_alter_table("predictions", schema=None) as batch_op:
        batch_op.drop_index("ix_predictions_user_id")
        batch_op.drop_index("ix_predictions_type")
        batch_op.drop_index("ix_predictions_subject_id")
        batch_op.drop_index(
            "ix_predictions_shadow_of",
            sqlite_where=sa.text("shadow_of is not null"),
            postgresql_where=sa.text("shadow_of is not null"),
        )
        batch_op.drop_index(
            "ix_predictions_outcome_at",
            sqlite_where=sa.text("outcome_at is not null"),
            postgresql_where=sa.text("outcome_at is not null"),
        )
        batch_op.drop_index("ix_predictions_organization_id_id")
        batch_op.drop_index("ix_predictions_ml_model_id")
        batch_op.drop_index(
            "ix_predictions_batch_id",
            sqlite_where=sa.text("batch_id is not null"),
            postgresql_where=sa.text("batch_id is not null"),
        )

    op.drop_table("predictions")
    with op.batch_alter_table("model_metrics", schema=None) as batch_op:
        batch_op.drop_index("ix_model_metrics_organization_id_id")
        batch_op.drop_index("ix_model_metrics_metric_name")
        batch_op.drop_index("ix_model_metrics_evaluation_id")

    op.drop_table("model_metrics")
    with op.batch_alter_table("user_sessions", schema=None) as batch_op:
        batch_op.drop_index("ix_user_sessions_user_id")
        batch_op.drop_index("ix_user_sessions_organization_id_id")

    op.drop_table("user_sessions")
    with op.batch_alter_table("model_evaluations", schema=None) as batch_op:
        batch_op.drop_index("ix_model_evaluations_organization_id_id")
        batch_op.drop_index("ix_model_evaluations_ml_model_id")

    op.drop_table("model_evaluations")
    with op.batch_alter_table("batch_uploads", schema=None) as batch_op:
        batch_op.drop_index("ix_batch_uploads_user_id")
        batch_op.drop_index("ix_batch_uploads_status")
        batch_op.drop_index("ix_batch_uploads_organization_id_id")

    op.drop_table("batch_uploads")
    with op.batch_alter_table("api_keys", schema=None) as batch_op:
        batch_op.drop_index("ix_api_keys_organization_id_id")

    op.drop_table("api_keys")
    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.drop_index("ix_users_organization_id_id")

    op.drop_table("users")
    with op.batch_alter_table("ml_models", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_ml_models_active", sqlite_where=sa.text("is_active = 1"), postgresql_where=sa.text("is_active")
        )
        batch_op.drop_index("ix_ml_models_organization_id_id")

    op.drop_table("ml_models")
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_jobs_dedupe_key",
            sqlite_where=sa.text("state in ('queued', 'running') and dedupe_key is not null"),
            postgresql_where=sa.text("state in ('queued', 'running') and dedupe_key is not null"),
        )
        batch_op.drop_index("ix_jobs_organization_id_id")
        batch_op.drop_index("ix_jobs_due")

    op.drop_table("jobs")
    with op.batch_alter_table("job_schedules", schema=None) as batch_op:
        batch_op.drop_index("ix_job_schedules_organization_id_id")

    op.drop_table("job_schedules")
    with op.batch_alter_table("findings", schema=None) as batch_op:
        batch_op.drop_index("ix_findings_state")
        batch_op.drop_index("ix_findings_organization_id_id")

    op.drop_table("findings")
    with op.batch_alter_table("audit_log", schema=None) as batch_op:
        batch_op.drop_index("ix_audit_log_user_id")
        batch_op.drop_index("ix_audit_log_resource_id")
        batch_op.drop_index("ix_audit_log_organization_id_id")
        batch_op.drop_index("ix_audit_log_action")

    op.drop_table("audit_log")
    op.drop_table("rate_limits")
    op.drop_table("organizations")
    op.drop_table("ledger_trees")
    op.drop_table("ledger_pending")
    op.drop_table("ledger_nodes")
    op.drop_table("ledger_leaves")
    op.drop_table("ledger_checkpoints")
    op.drop_table("job_workers")
    ddl.remove(op)
