"""Profiles as they are stored: a version's reference, the chunks of a batch, and what single decisions add up to.

A profile is written once. Each is read with its SHA-256 computed again, so that a comparison made from it is one of the
counts that were taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
from sqlalchemy.orm import Session

from plumbline.kernel.context import Context
from plumbline.kernel.database import WriteSession, new_id
from plumbline.kernel.errors import Corrupt, InvalidInput, Where
from plumbline.kernel.models import predictions, repository
from plumbline.kernel.models.grids import Grid
from plumbline.kernel.models.profiles import Profile
from plumbline.kernel.models.tables import ModelProfile

STEP = 2_000
"""Single decisions that are counted together."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What a version was trained on: later rows are counted on its grid."""

    id: UUID
    model_id: UUID
    profile: Profile
    sha256: str
    created_at: datetime

    @property
    def grid(self) -> Grid:
        return self.profile.grid


def store_reference(session: WriteSession, context: Context, model_id: UUID, profile: Profile) -> UUID:
    """Keep a version's reference, with its grid, in the transaction that registers it."""
    return _store(session, context, model_id, "reference", profile, with_grid=True)


def store_part(session: WriteSession, context: Context, reference: Reference, batch_id: UUID, part: int, profile: Profile) -> UUID:  # fmt: skip
    """Keep the counts of a batch's chunk in the transaction of its rows: they are there if, and only if, the rows are.

    :param part: the chunk's number; a chunk has one profile.
    """
    return _store(
        session, context, reference.model_id, "batch", profile, reference_id=reference.id, batch_id=batch_id, part=part
    )


def _store(session: WriteSession, context: Context, model_id: UUID, kind: str, profile: Profile, *, with_grid: bool = False,
           reference_id: UUID | None = None, batch_id: UUID | None = None, part: int | None = None) -> UUID:  # fmt: skip
    key = new_id(context.now)
    repository.insert_profile(
        session, id=key, organization_id=context.organization_id, ml_model_id=model_id, kind=kind, reference_id=reference_id,
        batch_id=batch_id, part=part, row_count=profile.rows, payload=profile.to_dict(with_grid=with_grid), sha256=profile.sha256,
        created_at=context.now,
    )  # fmt: skip
    return key


def reference_of(session: Session, organization_id: UUID, model_id: UUID) -> Reference | None:
    """A version's reference; ``None`` for one that was registered without.

    :raises Corrupt: it is not what was stored.
    """
    row = repository.reference(session, organization_id, model_id)
    if row is None:
        return None
    return Reference(row.id, model_id, _read(row, None), row.sha256, row.created_at)


def of_batch(session: Session, organization_id: UUID, reference: Reference, batch_id: UUID) -> tuple[Profile, int]:
    """The counts of all chunks of a batch together, and how many chunks they are.

    :raises Corrupt: one of them is not what was stored.
    """
    parts = repository.batch_profiles(session, organization_id, batch_id)
    whole = Profile.empty(reference.grid)
    for row in parts:
        whole = whole + _read(row, reference.grid)
    return whole, len(parts)


def _read(row: ModelProfile, grid: Grid | None) -> Profile:
    remedy = "Restore the table model_profiles from a backup."
    try:
        profile = Profile.from_dict(row.payload, grid)
    except InvalidInput as error:
        raise Corrupt(f"The profile {row.id} cannot be read: {error.detail}", remedy=remedy) from error
    if profile.sha256 != row.sha256 or profile.rows != row.row_count:
        raise Corrupt(f"The profile {row.id} is not what its hash says.", remedy=remedy)
    return profile


def of_singles(session: Session, organization_id: UUID, reference: Reference, since: datetime, until: datetime) -> tuple[Profile, int]:  # fmt: skip
    """The counts of what a version decided one by one in ``since`` ≤ t < ``until``, and how many decisions hold no inputs any
    more (their subjects were erased)."""
    rows = predictions.singles(session, organization_id, reference.model_id, since, until)
    whole, blank = Profile.empty(reference.grid), 0
    while step := list(islice(rows, STEP)):
        kept = [(inputs, p) for inputs, p in step if inputs is not None]
        blank += len(step) - len(kept)
        if kept:
            whole = whole.add(dict(_columns(reference.grid, [i for i, _ in kept], [p for _, p in kept])))
    return whole, blank


def _columns(grid: Grid, rows: list[Mapping[str, Any]], probability: list[float]) -> Iterator[tuple[str, Any]]:
    for axis in grid.axes:
        name = axis.spec.name
        if axis.spec.kind == "probability":
            yield name, np.array(probability)
        elif axis.is_category:
            yield name, pa.array([_level(row.get(name)) for row in rows], pa.string())
        else:
            yield name, np.array([_number(row.get(name), name) for row in rows], dtype=np.float64)


def _level(value: Any) -> str | None:
    """As :func:`plumbline.kernel.models.columns.tallied` names it."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _number(value: Any, name: str) -> float:
    if value is None:
        return np.nan
    if not isinstance(value, int | float):
        raise InvalidInput(f"A decision holds {value!r} where the reference has numbers.", where=Where(column=name))
    return float(value)
