"""first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from plumbline.kernel.database import ddl, types

revision = "credit_0001"
down_revision = None
branch_labels = ("credit",)
depends_on = "kernel_0001"

TABLES = ("credit_reviews",)


def upgrade() -> None:
    op.create_table(
        "credit_reviews",
        sa.Column("prediction_id", types.Id(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("owner_id", types.Id(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("due_at", types.Timestamp(), nullable=False),
        sa.Column("final_decision", sa.Text(), nullable=True),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("closed_at", types.Timestamp(), nullable=True),
        sa.Column("organization_id", types.Id(), nullable=False),
        sa.Column("id", types.Id(), nullable=False),
        sa.Column("created_at", types.Timestamp(), nullable=False),
        sa.Column("updated_at", types.Timestamp(), nullable=False),
        sa.CheckConstraint("final_decision in ('approve', 'decline')", name=op.f("ck_credit_reviews_final_decision")),
        sa.CheckConstraint("state in ('open', 'acknowledged', 'resolved')", name=op.f("ck_credit_reviews_state")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_credit_reviews_organization_id")
        ),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_credit_reviews_owner_id")),
        sa.ForeignKeyConstraint(["prediction_id"], ["predictions.id"], name=op.f("fk_credit_reviews_prediction_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credit_reviews")),
        sa.UniqueConstraint("prediction_id", name=op.f("uq_credit_reviews_prediction_id")),
        info={"owner": "credit"},
        sqlite_strict=True,
    )
    with op.batch_alter_table("credit_reviews", schema=None) as batch_op:
        batch_op.create_index("ix_credit_reviews_organization_id_id", ["organization_id", "id"], unique=False)
        batch_op.create_index("ix_credit_reviews_state", ["organization_id", "state", "id"], unique=False)
    ddl.install(op, TABLES)


def downgrade() -> None:
    with op.batch_alter_table("credit_reviews", schema=None) as batch_op:
        batch_op.drop_index("ix_credit_reviews_state")
        batch_op.drop_index("ix_credit_reviews_organization_id_id")

    op.drop_table("credit_reviews")
