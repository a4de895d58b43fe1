"""Retention of the audit log: old entries go into an archive and out of the database; their leaves stay, so every proof holds.

The archive is written first; an entry names it by hash and says below which leaf entries may be gone; it is sealed; then the
mark is raised and the rows are deleted in batches. Killed in between, the next run finishes what is left.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from plumbline.kernel.context import Context
from plumbline.kernel.errors import Conflict, InvalidInput, Where
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger import entry
from plumbline.kernel.ledger.repository.trees import Trees
from plumbline.kernel.ledger.service.acts import Act
from plumbline.kernel.ledger.service.sealing import seal
from plumbline.kernel.ledger.service.verifying import PRUNE


@dataclass(frozen=True, slots=True)
class Pruning:
    """Entries of leaves ``start`` to ``below`` are (or would be) archived and deleted; ``archive`` is a path in the home."""

    start: int
    below: int
    entries: int
    older_than: datetime
    archive: str | None = None
    archive_sha256: str | None = None


def plan(installation: Installation, context: Context, *, retention_days: int) -> Pruning:
    """The dry run: what is older than so many days and sealed.

    :raises InvalidInput: not at least one day.
    """
    context.require("ledger.prune")
    if retention_days < 1:
        raise InvalidInput(
            "Entries are kept for one day at least.", where=Where(field="retention_days"), remedy="Give 1 or more."
        )
    older_than = context.now - timedelta(days=retention_days)
    with installation.database.read(context.organization_id) as session:
        trees = Trees(session, context.organization_id)
        there, head = trees.origin(), trees.head()
        start = there[1] if there else 0
        first = trees.first_since(older_than)
        below = max(start, (head.size if head else 0) if first is None else first)
    return Pruning(start, below, below - start, older_than)


def prune(installation: Installation, context: Context, *, retention_days: int, batch_size: int = 1000,
          told: Callable[[int, int], None] = lambda done, total: None) -> Pruning:  # fmt: skip
    """Archive and delete what is older than ``retention_days``, ``batch_size`` rows in a transaction.

    :param told: called with rows deleted and in all.
    """
    if not 1 <= batch_size <= 100_000:
        raise InvalidInput("A batch has 1 to 100,000 rows.", where=Where(field="batch_size"), remedy="Give 1000.")
    organization_id = context.organization_id
    planned = plan(installation, context, retention_days=retention_days)
    _finish(installation, organization_id, planned.start, batch_size)
    if planned.below <= planned.start:
        return planned
    path, digest = _archive(installation, organization_id, planned)
    name = str(path.relative_to(installation.settings.home))
    with Act(installation.database, context, PRUNE, "ledger", right="ledger.prune") as act:
        act.details = {"start": planned.start, "below": planned.below, "entries": planned.entries, "archive": name, "archive_sha256": digest,
                       "retention_days": retention_days}  # fmt: skip
    seal(installation, organization_id)
    with installation.worker_database.write(organization_id) as session:
        Trees(session, organization_id).give_up_below(planned.below)
    _delete(installation, organization_id, planned.start, planned.below, batch_size, told)
    return Pruning(planned.start, planned.below, planned.entries, planned.older_than, name, digest)


def _finish(installation: Installation, organization_id: UUID, below: int, batch_size: int) -> None:
    """Delete what an interrupted run has left."""
    while True:
        with installation.database.read(organization_id) as session:
            oldest = Trees(session, organization_id).oldest()
        if oldest is None or oldest >= below:
            return
        _delete(installation, organization_id, oldest, below, batch_size, lambda done, total: None)


def _delete(
    installation: Installation,
    organization_id: UUID,
    start: int,
    below: int,
    batch_size: int,
    told: Callable[[int, int], None],
) -> None:
    for low in range(start, below, batch_size):
        high = min(low + batch_size, below)
        with installation.worker_database.write(organization_id) as session:
            Trees(session, organization_id).delete_between(low, high)
        told(high - start, below - start)


def _archive(installation: Installation, organization_id: UUID, planned: Pruning) -> tuple[Path, str]:
    """The rows with their salts, as Parquet, written whole or not at all; returns path and SHA-256."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    binary = {"actor_salt", "actor_commitment", "content_salt", "content_commitment"}
    schema = pa.schema([pa.field("leaf_index", pa.int64())] + [
        pa.field(c, pa.binary() if c in binary else pa.bool_() if c == "success" else pa.string()) for c in entry.COLUMNS
    ])  # fmt: skip
    folder = installation.settings.home / "archive" / "ledger" / str(organization_id)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{planned.start:012d}-{planned.below:012d}.parquet"
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with (
            os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file,
            pq.ParquetWriter(file, schema, compression="zstd") as writer,
        ):
            for low in range(planned.start, planned.below, 10_000):
                high = min(low + 10_000, planned.below)
                with installation.database.read(organization_id) as session:
                    rows = Trees(session, organization_id).entries_between(low, high)
                if len(rows) != high - low:
                    raise Conflict(f"{high - low - len(rows)} entries from leaf {low} to {high - 1} are missing; nothing was removed.",
                                   remedy="Find out why first: plumbline ledger verify.")  # fmt: skip
                writer.write_table(
                    pa.Table.from_pylist([_archived(low + i, row) for i, row in enumerate(rows)], schema=schema)
                )
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    with path.open("rb") as written:
        return path, hashlib.file_digest(written, "sha256").hexdigest()


def _archived(index: int, row: tuple[object, ...]) -> dict[str, object]:
    values = dict(zip(entry.COLUMNS, row))
    for name in ("id", "organization_id", "user_id", "resource_id"):
        key = values[name]
        values[name] = entry.key_text(key) if key else None  # type: ignore[arg-type]
    return {"leaf_index": index, **values, "success": bool(values["success"])}


def prunings(installation: Installation, organization_id: UUID) -> list[dict[str, object]]:
    """Sealed retention runs, as their entries tell them."""
    with installation.database.read(organization_id) as session:
        return [json.loads(text) for _, _, text in Trees(session, organization_id).acts(PRUNE) if text]
