"""the ledger's outside: cosignatures, destinations, witnessed logs, verifications; guards on the whole tree."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from plumbline.kernel.database import ddl, types

revision = "kernel_0002"
down_revision = "kernel_0001"
branch_labels = None
depends_on = None

TABLES = ("ledger_cosignatures", "ledger_destinations", "ledger_verifications", "ledger_witnessed_logs")
GUARDED = ("ledger_checkpoints", "ledger_leaves", "ledger_nodes", "ledger_trees")


def upgrade() -> None:
    op.create_table(
        "ledger_cosignatures",
        sa.Column("organization_id", types.Id(), nullable=False),
        sa.Column("tree_size", types.Whole, autoincrement=False, nullable=False),
        sa.Column("witness", sa.Text(), nullable=False),
        sa.Column("verifier_key", sa.Text(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("signed_at", types.Timestamp(), nullable=False),
        sa.Column("received_at", types.Timestamp(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "tree_size", "witness", name=op.f("pk_ledger_cosignatures")),
        info={"owner": "kernel"},
        sqlite_strict=True,
    )
    op.create_table(
        "ledger_destinations",
        sa.Column("organization_id", types.Id(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("tree_size", types.Whole, nullable=False),
        sa.Column("delivered_at", types.Timestamp(), nullable=True),
        sa.Column("tried_at", types.Timestamp(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.CheckConstraint("kind in ('store', 'witness')", name=op.f("ck_ledger_destinations_kind")),
        sa.PrimaryKeyConstraint("organization_id", "address", name=op.f("pk_ledger_destinations")),
        info={"owner": "kernel"},
        sqlite_strict=True,
    )
    op.create_table(
        "ledger_witnessed_logs",
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("verifier_key", sa.Text(), nullable=False),
        sa.Column("tree_size", types.Whole, nullable=False),
        sa.Column("root_hash", sa.LargeBinary(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("cosigned_at", types.Timestamp(), nullable=True),
        sa.Column("created_at", types.Timestamp(), nullable=False),
        sa.PrimaryKeyConstraint("origin", name=op.f("pk_ledger_witnessed_logs")),
        info={"owner": "kernel"},
        sqlite_strict=True,
    )
    op.create_table(
        "ledger_verifications",
        sa.Column("started_at", types.Timestamp(), nullable=False),
        sa.Column("finished_at", types.Timestamp(), nullable=False),
        sa.Column("from_size", types.Whole, nullable=False),
        sa.Column("to_size", types.Whole, nullable=False),
        sa.Column("entries", types.Whole, nullable=False),
        sa.Column("decisions", types.Whole, nullable=True),
        sa.Column("sound", types.Flag(), nullable=False),
        sa.Column("findings", types.Json(), nullable=False),
        sa.Column("finding_count", types.Whole, nullable=False),
        sa.Column("user_id", types.Id(), nullable=True),
        sa.Column("organization_id", types.Id(), nullable=False),
        sa.Column("id", types.Id(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_ledger_verifications_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_verifications")),
        info={"owner": "kernel"},
        sqlite_strict=True,
    )
    with op.batch_alter_table("ledger_verifications", schema=None) as batch_op:
        batch_op.create_index("ix_ledger_verifications_organization_id_id", ["organization_id", "id"], unique=False)
    ddl.install(op, TABLES)
    ddl.renew(op, GUARDED)


def downgrade() -> None:
    with op.batch_alter_table("ledger_verifications", schema=None) as batch_op:
        batch_op.drop_index("ix_ledger_verifications_organization_id_id")
    for table in reversed(TABLES):
        op.drop_table(table)
