"""data drift: profiles of what a model saw, reports, their three scores."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from plumbline.kernel.database import ddl, types

revision = "kernel_0003"
down_revision = "kernel_0002"
branch_labels = None
depends_on = None

TABLES = ("model_profiles", "data_drift_reports", "data_drift_scores")
IN_BATCH = sa.text("batch_id is not null")
REFERENCE = sa.text("kind = 'reference'")


def upgrade() -> None:
    op.create_table(
        "model_profiles",
        sa.Column("ml_model_id", types.Id(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("reference_id", types.Id(), nullable=True),
        sa.Column("batch_id", types.Id(), nullable=True),
        sa.Column("part", types.Whole, nullable=True),
        sa.Column("row_count", types.Whole, nullable=False),
        sa.Column("payload", types.Json(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("created_at", types.Timestamp(), nullable=False),
        sa.Column("organization_id", types.Id(), nullable=False),
        sa.Column("id", types.Id(), nullable=False),
        sa.CheckConstraint("kind in ('reference', 'batch')", name=op.f("ck_model_profiles_kind")),
        sa.ForeignKeyConstraint(["ml_model_id"], ["ml_models.id"], name=op.f("fk_model_profiles_ml_model_id")),
        sa.ForeignKeyConstraint(["reference_id"], ["model_profiles.id"], name=op.f("fk_model_profiles_reference_id")),
        sa.ForeignKeyConstraint(["batch_id"], ["batch_uploads.id"], name=op.f("fk_model_profiles_batch_id")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_model_profiles_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_profiles")),
        info={"owner": "kernel"},
        sqlite_strict=True,
    )
    with op.batch_alter_table("model_profiles", schema=None) as batch_op:
        batch_op.create_index("ix_model_profiles_organization_id_id", ["organization_id", "id"], unique=False)
        batch_op.create_index("uq_model_profiles_batch_id", ["batch_id", "part"], unique=True, sqlite_where=IN_BATCH, postgresql_where=IN_BATCH)  # fmt: skip
        batch_op.create_index("uq_model_profiles_reference", ["organization_id", "ml_model_id"], unique=True, sqlite_where=REFERENCE,
                              postgresql_where=REFERENCE)  # fmt: skip
    op.create_table(
        "data_drift_reports",
        sa.Column("ml_model_id", types.Id(), nullable=False),
        sa.Column("reference_id", types.Id(), nullable=False),
        sa.Column("batch_id", types.Id(), nullable=True),
        sa.Column("window_key", sa.Text(), nullable=False),
        sa.Column("created_at", types.Timestamp(), nullable=False),
        sa.Column("drift_detected", types.Flag(), nullable=False),
        sa.Column("drift_score", types.Real, nullable=False),
        sa.Column("drifted_features", types.Json(), nullable=False),
        sa.Column("report_file_path", sa.Text(), nullable=False),
        sa.Column("metadata", types.Json(), nullable=False),
        sa.Column("organization_id", types.Id(), nullable=False),
        sa.Column("id", types.Id(), nullable=False),
        sa.ForeignKeyConstraint(["ml_model_id"], ["ml_models.id"], name=op.f("fk_data_drift_reports_ml_model_id")),
        sa.ForeignKeyConstraint(
            ["reference_id"], ["model_profiles.id"], name=op.f("fk_data_drift_reports_reference_id")
        ),
        sa.ForeignKeyConstraint(["batch_id"], ["batch_uploads.id"], name=op.f("fk_data_drift_reports_batch_id")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_data_drift_reports_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_data_drift_reports")),
        sa.UniqueConstraint(
            "organization_id", "ml_model_id", "window_key", "reference_id", name=op.f("uq_data_drift_reports_window")
        ),
        info={"owner": "kernel"},
        sqlite_strict=True,
    )
    with op.batch_alter_table("data_drift_reports", schema=None) as batch_op:
        batch_op.create_index("ix_data_drift_reports_batch_id", ["batch_id"], unique=False, sqlite_where=IN_BATCH, postgresql_where=IN_BATCH)  # fmt: skip
        batch_op.create_index(
            "ix_data_drift_reports_ml_model_id", ["organization_id", "ml_model_id", "id"], unique=False
        )
        batch_op.create_index("ix_data_drift_reports_organization_id_id", ["organization_id", "id"], unique=False)
    op.create_table(
        "data_drift_scores",
        sa.Column("report_id", types.Id(), nullable=False),
        sa.Column("drift_type", sa.Text(), nullable=False),
        sa.Column("drift_score", types.Real, nullable=False),
        sa.Column("threshold", types.Real, nullable=False),
        sa.Column("is_drifted", types.Flag(), nullable=False),
        sa.Column("feature_drifts", types.Json(), nullable=False),
        sa.Column("organization_id", types.Id(), nullable=False),
        sa.Column("id", types.Id(), nullable=False),
        sa.CheckConstraint(
            "drift_type in ('psi', 'kl_divergence', 'ks_test')", name=op.f("ck_data_drift_scores_drift_type")
        ),
        sa.ForeignKeyConstraint(["report_id"], ["data_drift_reports.id"], name=op.f("fk_data_drift_scores_report_id")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_data_drift_scores_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_data_drift_scores")),
        sa.UniqueConstraint("report_id", "drift_type", name=op.f("uq_data_drift_scores_report_id_drift_type")),
        info={"owner": "kernel"},
        sqlite_strict=True,
    )
    with op.batch_alter_table("data_drift_scores", schema=None) as batch_op:
        batch_op.create_index("ix_data_drift_scores_organization_id_id", ["organization_id", "id"], unique=False)
    ddl.install(op, TABLES)


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
