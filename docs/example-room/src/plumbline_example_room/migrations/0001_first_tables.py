"""first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from plumbline.kernel.database import ddl, types

revision = "punctuality_0001"
down_revision = None
branch_labels = ("punctuality",)
depends_on = "kernel_0001"


def upgrade() -> None:
    op.create_table(
        "punctuality_deliveries",
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("promised_on", types.Day(), nullable=False),
        sa.Column("arrived_on", types.Day(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("created_at", types.Timestamp(), nullable=False),
        sa.Column("organization_id", types.Id(), nullable=False),
        sa.Column("id", types.Id(), nullable=False),
        sa.CheckConstraint("verdict in ('early', 'in_time', 'late')", name=op.f("ck_punctuality_deliveries_verdict")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_punctuality_deliveries_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_punctuality_deliveries")),
        sa.UniqueConstraint(
            "organization_id", "reference", name=op.f("uq_punctuality_deliveries_organization_id_reference")
        ),
        info={"owner": "punctuality"},
        sqlite_strict=True,
    )
    op.create_index("ix_punctuality_deliveries_organization_id_id", "punctuality_deliveries", ["organization_id", "id"])
    ddl.install(op, ["punctuality_deliveries"])  # the tenant policy and the grants on PostgreSQL


def downgrade() -> None:
    op.drop_table("punctuality_deliveries")
