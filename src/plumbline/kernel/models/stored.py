"""Decisions as they lie in the database, for scans of all of them (past the mapper), and the entries that speak of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from plumbline.kernel import canonical
from plumbline.kernel.errors import PlumblineError
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger import entry
from plumbline.kernel.ledger.repository.trees import Trees
from plumbline.kernel.models.matching import BLANK, UNREADABLE
from plumbline.kernel.models.predictions import LATER, plain, record_bytes
from plumbline.kernel.models.tables import Prediction

FILE = "records.sha256"
"""In a batch's folder: the record hashes of its rows, 32 bytes each, in the order of the file."""
UNFIT = (PlumblineError, ValueError, TypeError, AttributeError, OverflowError, RecursionError)
"""What reading a row raises whose values no decision could have had."""


class Stored(NamedTuple):
    """A decision with keys, JSON and its time as text."""

    id: str
    batch_id: str | None
    shadow_of: str | None
    ml_model_id: str
    content: str | None
    explanation: str | None
    features: str | None
    metadata: str
    created_at: str
    prediction_type: str
    subject_id: str
    prediction_result: str
    probability: float
    record_salt: bytes | None
    batch_row: int | None


def _stored_columns(trees: Trees) -> str:
    if trees.sqlite:
        return ", ".join(Stored._fields)
    created = "to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
    return ", ".join([*(f"{c}::text" for c in Stored._fields[:8]), created, *Stored._fields[9:]])


def _as_stored(row: Sequence[Any]) -> Stored:
    key = entry.key_text
    one, batch, shadow, model = row[:4]
    return Stored(key(one), key(batch) if batch else None, key(shadow) if shadow else None, key(model), *row[4:])


def stored(trees: Trees, keys: Sequence[UUID]) -> dict[str, Stored]:
    """Those of these decisions that are there, by their id; a few hundred at a time."""
    if not keys:
        return {}
    if not keys:
        return {}
    bound = [trees.key, *(k.bytes if trees.sqlite else k for k in keys)]
    mark = "?" if trees.sqlite else "%s"
    found = trees.connection.exec_driver_sql(
        f"SELECT {_stored_columns(trees)} FROM predictions WHERE organization_id = {mark} AND id IN ({', '.join([mark] * len(keys))})",
        tuple(bound),
    )
    return {row.id: row for row in map(_as_stored, found)}


@contextmanager
def stored_batch(trees: Trees, batch_id: UUID) -> Iterator[Iterator[Stored]]:
    """The decisions of a batch one by one, in the order of their rows."""
    statement = f"SELECT {_stored_columns(trees)} FROM predictions WHERE organization_id = ? AND batch_id = ? ORDER BY batch_row, id"
    with trees.stream(statement, batch_id.bytes if trees.sqlite else batch_id) as rows:
        yield map(_as_stored, rows)


@contextmanager
def single_ids(trees: Trees) -> Iterator[Iterator[tuple[bytes, bool]]]:
    """The 16 bytes of every decision's id that came in no batch, and whether it is another one's shadow."""
    key = "id" if trees.sqlite else "uuid_send(id)"
    statement = f"SELECT {key}, shadow_of IS NOT NULL FROM predictions WHERE organization_id = ? AND batch_id IS NULL"
    with trees.stream(statement) as rows:
        yield ((bytes(one), bool(shadow)) for one, shadow in rows)


def batch_sizes(session: Session, organization_id: UUID) -> dict[UUID, int]:
    """How many decisions there are of each batch, also of one whose own row is gone."""
    statement = sa.select(Prediction.batch_id, sa.func.count()).where(
        Prediction.organization_id == organization_id, Prediction.batch_id.is_not(None)
    )
    return {key: count for key, count in session.execute(statement.group_by(Prediction.batch_id)) if key is not None}


def record_of(row: Stored, organization_id: UUID, model_sha256: str, *, canonical_text: bool = False) -> bytes:
    """The canonical bytes of :func:`record_of`.

    :param canonical_text: take the JSON as it lies, if it was written in canonical form and nothing was added later; bytes
        that hash to what was committed to prove that it was so.
    :raises ValueError: (or another error of reading or writing JSON) these are no values of a decision.
    """

    def text(column: str | None) -> str:
        if column is None:
            return "null"
        value = canonical.loads(column)  # also of canonical text: the same bytes, parted elsewhere, would be no JSON
        return column if canonical_text else canonical.dumps(plain(value)).decode()

    metadata = row.metadata
    if not canonical_text:
        metadata = canonical.dumps(
            {k: plain(v) for k, v in canonical.loads(metadata).items() if k not in LATER}
        ).decode()
    return record_bytes(
        id=row.id, organization_id=organization_id, prediction_type=row.prediction_type, subject_id=row.subject_id, content=text(row.content),
        explanation=text(row.explanation), features=text(row.features), prediction_result=row.prediction_result, probability=row.probability, model_sha256=model_sha256,
        batch_id=row.batch_id, created_at=row.created_at, metadata=text(metadata),
    )  # fmt: skip


def hash_of(
    row: Stored, organization_id: UUID, model_sha256: str, expected: Callable[[bytes], bool], *, as_it_lies: bool
) -> bytes:
    """The record hash of a row: :data:`BLANK` when it was erased, :data:`UNREADABLE` when its values are no decision's.

    :param as_it_lies: try the stored text first: a batch writes it in canonical form, and SQLite gives it back so.
    """
    salt = row.record_salt
    if salt is None:
        return BLANK
    with suppress(*UNFIT):
        if as_it_lies:
            fast = entry.commitment(salt, record_of(row, organization_id, model_sha256, canonical_text=True))
            if expected(fast):
                return fast
        return entry.commitment(salt, record_of(row, organization_id, model_sha256))
    return UNREADABLE


def file_of(installation: Installation, batch_id: UUID) -> Path:
    return installation.files / "batches" / str(batch_id) / FILE


# --- what entries say of them


@dataclass(frozen=True, slots=True)
class Spoken:
    """What an entry commits to: ``bound`` is the record hash of decision ``key``, or the root over those of batch ``key``.

    :ivar leaf: ``None`` while the entry waits to be sealed.
    """

    leaf: int | None
    entry_id: str
    key: UUID
    bound: str
    model_sha256: str
    details: dict[str, Any]


def spoken(trees: Trees, name: str, key: str, resource_id: UUID | None = None) -> Generator[Spoken]:
    """The entries of successful acts whose details hold ``name`` (a hash) of the row ``details[key]``."""
    details = "a.details" if trees.sqlite else "a.details::text"
    having = f"instr({details}, '\"{name}\":') > 0" if trees.sqlite else f"strpos({details}, '\"{name}\":') > 0"
    values = [] if resource_id is None else [resource_id.bytes if trees.sqlite else resource_id]
    statement = (
        f"SELECT l.leaf_index, a.id, {details} FROM audit_log a LEFT JOIN ledger_leaves l ON l.entry_id = a.id AND l.organization_id = a.organization_id"
        f" WHERE a.organization_id = ? {'AND a.resource_id = ?' if values else ''} AND a.success {'= 1' if trees.sqlite else ''} AND {having}"
        " ORDER BY a.id"
    )
    with trees.stream(statement, *values) as rows:
        for leaf, entry_id, text in rows:
            one = entry.key_text(entry_id if isinstance(entry_id, bytes) else str(entry_id))
            try:
                said = json.loads(text)
                found = Spoken(leaf, one, UUID(said[key]), said[name], said["model_sha256"], said)
            except (ValueError, TypeError, KeyError, AttributeError):
                continue  # an entry that says nothing binds nothing
            yield found
