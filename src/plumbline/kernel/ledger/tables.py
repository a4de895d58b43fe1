"""The audit log and the tables of the tree over it. What may change in them, the guards decide (kernel.database.ddl)."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from plumbline.kernel.database import Table, TenantOwned, by_time, one_of, options, types


class AuditEntry(TenantOwned, Table):
    """One act. Append-only: a leaf commits to all of it; the actor and content groups may be blanked by an erasure."""

    __tablename__ = "audit_log"
    __table_args__ = options(
        one_of("actor_type", "user", "key", "job", "system"),
        by_time("audit_log"),
        sa.Index("ix_audit_log_resource_id", "organization_id", "resource_id", "id"),
        sa.Index("ix_audit_log_user_id", "organization_id", "user_id", "id"),
        sa.Index("ix_audit_log_action", "organization_id", "action", "id"),
    )

    timestamp: Mapped[datetime]
    action: Mapped[str]
    actor_type: Mapped[str]
    user_id: Mapped[UUID | None]
    resource_type: Mapped[str]
    resource_id: Mapped[UUID | None]
    request_id: Mapped[str | None]
    success: Mapped[bool]
    # the actor group
    actor_id: Mapped[str | None]
    client_id: Mapped[str | None]
    ip_address: Mapped[str | None]
    session_id: Mapped[str | None]
    user_agent: Mapped[str | None]
    actor_salt: Mapped[bytes | None]
    actor_commitment: Mapped[bytes]
    # the content group
    details: Mapped[Any] = mapped_column(types.LedgerJson, nullable=True)
    error_message: Mapped[str | None]
    new_values: Mapped[Any] = mapped_column(types.LedgerJson, nullable=True)
    old_values: Mapped[Any] = mapped_column(types.LedgerJson, nullable=True)
    content_salt: Mapped[bytes | None]
    content_commitment: Mapped[bytes]


class PendingEntry(Table):
    """Entries that wait to be sealed; filled by a trigger, so that no way of inserting an entry forgets it."""

    __tablename__ = "ledger_pending"
    __table_args__ = options()

    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    entry_id: Mapped[UUID] = mapped_column(primary_key=True)


class Leaf(Table):
    __tablename__ = "ledger_leaves"
    __table_args__ = options(sa.UniqueConstraint("entry_id"))

    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    leaf_index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    entry_id: Mapped[UUID]
    leaf_hash: Mapped[bytes]


class Node(Table):
    """Roots of complete subtrees of 256**level leaves."""

    __tablename__ = "ledger_nodes"
    __table_args__ = options()

    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    level: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    node_index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    hash: Mapped[bytes]


class Checkpoint(Table):
    __tablename__ = "ledger_checkpoints"
    __table_args__ = options()

    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    tree_size: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    root_hash: Mapped[bytes]
    note: Mapped[str]
    sealed_at: Mapped[datetime]


class Tree(Table):
    """``pruned_below``: entries under this leaf index may be deleted by retention; their leaves stay."""

    __tablename__ = "ledger_trees"
    __table_args__ = options()

    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    pruned_below: Mapped[int]
    origin: Mapped[str]


class Cosignature(Table):
    """That a witness saw a checkpoint, and when by its clock: the outside's word on the order of things."""

    __tablename__ = "ledger_cosignatures"
    __table_args__ = options()

    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    tree_size: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    witness: Mapped[str] = mapped_column(primary_key=True)
    verifier_key: Mapped[str]
    line: Mapped[str]
    signed_at: Mapped[datetime]
    received_at: Mapped[datetime]


class Destination(Table):
    """Where checkpoints go outside the house, and how far that has come: an object store, a folder, a witness."""

    __tablename__ = "ledger_destinations"
    __table_args__ = options(one_of("kind", "store", "witness"))

    organization_id: Mapped[UUID] = mapped_column(primary_key=True)
    address: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    tree_size: Mapped[int]
    delivered_at: Mapped[datetime | None]
    tried_at: Mapped[datetime]
    error: Mapped[str | None]


class WitnessedLog(Table):
    """A log of somebody else that this installation witnesses: the largest tree it saw of it. Belongs to no tenant."""

    __tablename__ = "ledger_witnessed_logs"
    __table_args__ = options()

    origin: Mapped[str] = mapped_column(primary_key=True)
    verifier_key: Mapped[str]
    tree_size: Mapped[int]
    root_hash: Mapped[bytes | None]
    note: Mapped[str | None]
    cosigned_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class Verification(TenantOwned, Table):
    """One check of the ledger and what it found. ``entries`` counts the rows that were read and hashed again."""

    __tablename__ = "ledger_verifications"
    __table_args__ = options(by_time("ledger_verifications"))

    started_at: Mapped[datetime]
    finished_at: Mapped[datetime]
    from_size: Mapped[int]
    to_size: Mapped[int]
    entries: Mapped[int]
    decisions: Mapped[int | None]
    sound: Mapped[bool]
    findings: Mapped[Any] = mapped_column(types.Json, nullable=False)
    finding_count: Mapped[int]
    user_id: Mapped[UUID | None]
