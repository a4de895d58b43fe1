"""notices of declines with their clock; reviews that applicants ask for, and overrides by two people."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from plumbline.kernel.database import ddl, types

revision = "credit_0002"
down_revision = "credit_0001"
branch_labels = None
depends_on = None

TABLES = ("credit_notices",)
ADDED: tuple[tuple[str, sa.types.TypeEngine[Any]], ...] = (
    ("decided_by", types.Id()),
    ("decided_at", types.Timestamp()),
    ("proposed_decision", sa.Text()),
    ("proposed_cause", sa.Text()),
    ("proposed_by", types.Id()),
    ("proposed_at", types.Timestamp()),
    ("requested_at", types.Timestamp()),
    ("requested_through", sa.Text()),
    ("request", sa.Text()),
    ("reopened_at", types.Timestamp()),
)


def upgrade() -> None:
    for name, kind in ADDED:  # in place on both engines: a batch step would rebuild the table
        op.add_column("credit_reviews", sa.Column(name, kind, nullable=True))
    op.create_table(
        "credit_notices",
        sa.Column("prediction_id", types.Id(), nullable=False),
        sa.Column("jurisdiction", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("due_at", types.Timestamp(), nullable=False),
        sa.Column("issued_at", types.Timestamp(), nullable=True),
        sa.Column("issued_by", types.Id(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("reasons", types.Json(), nullable=True),
        sa.Column("document", types.Json(), nullable=True),
        sa.Column("page", sa.Text(), nullable=True),
        sa.Column("document_sha256", sa.Text(), nullable=True),
        sa.Column("earlier", types.Json(), nullable=True),
        sa.Column("owner_id", types.Id(), nullable=True),
        sa.Column("warned_at", types.Timestamp(), nullable=True),
        sa.Column("overdue_at", types.Timestamp(), nullable=True),
        sa.Column("closed_at", types.Timestamp(), nullable=True),
        sa.Column("organization_id", types.Id(), nullable=False),
        sa.Column("id", types.Id(), nullable=False),
        sa.Column("created_at", types.Timestamp(), nullable=False),
        sa.Column("updated_at", types.Timestamp(), nullable=False),
        sa.CheckConstraint("kind in ('adverse_action')", name=op.f("ck_credit_notices_kind")),
        sa.CheckConstraint("state in ('open', 'issued', 'late', 'withdrawn')", name=op.f("ck_credit_notices_state")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_credit_notices_organization_id")
        ),
        sa.ForeignKeyConstraint(["prediction_id"], ["predictions.id"], name=op.f("fk_credit_notices_prediction_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credit_notices")),
        sa.UniqueConstraint("prediction_id", name=op.f("uq_credit_notices_prediction_id")),
        info={"owner": "credit"},
        sqlite_strict=True,
    )
    with op.batch_alter_table("credit_notices", schema=None) as batch_op:
        batch_op.create_index("ix_credit_notices_organization_id_id", ["organization_id", "id"], unique=False)
        batch_op.create_index("ix_credit_notices_state", ["organization_id", "state", "due_at"], unique=False)
    ddl.install(op, TABLES)


def downgrade() -> None:
    op.drop_table("credit_notices")
    for name, _ in reversed(ADDED):
        op.drop_column("credit_reviews", name)
