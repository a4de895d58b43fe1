"""What the room feeds to drift: its matrix and probabilities as columns, as they were when a version was trained and as they
are in each chunk of a file."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa

from plumbline.credit.features.matrix import FeatureInfo, Matrix
from plumbline.kernel.context import Context
from plumbline.kernel.database import WriteSession
from plumbline.kernel.installation import Installation
from plumbline.kernel.models.columns import ColumnSpec, Floats
from plumbline.kernel.models.profiles import Profile, count
from plumbline.kernel.models.profiles import reference as profile_of
from plumbline.kernel.models.service import drift
from plumbline.kernel.models.service.profiling import Reference, reference_of, store_part
from plumbline.kernel.models.tables import Batch, Model

OUTPUT = "probability"


def output_name(features: tuple[FeatureInfo, ...]) -> str:
    """The column of the model's output; an input of that name keeps it."""
    return OUTPUT if all(f.name != OUTPUT for f in features) else f"{OUTPUT} (output)"


def specs(features: tuple[FeatureInfo, ...]) -> list[ColumnSpec]:
    """The inputs in the model's order, then its output."""
    return [*(ColumnSpec(f.name, f.kind) for f in features), ColumnSpec(output_name(features), "probability")]


def columns_of(matrix: Matrix, probability: Floats) -> dict[str, Any]:
    """What the model saw and what it answered, by name: numbers as they are (missing is NaN), a category's codes by the names
    that stored decisions have too (:func:`plumbline.credit.modelling.reasons.shown`)."""
    columns: dict[str, Any] = {}
    for i, info in enumerate(matrix.features):
        values = matrix.values[:, i]
        columns[info.name] = _levels(info, values) if info.kind == "category" else values
    return columns | {output_name(matrix.features): probability}


def _levels(info: FeatureInfo, values: Floats) -> pa.DictionaryArray:
    missing, others = np.isnan(values), len(info.levels)
    codes = np.where(missing, 0, values).astype(np.int32)
    codes[(codes < 0) | (codes > others)] = others
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=missing), pa.array([*info.levels, "other"], pa.string()))


def reference(matrix: Matrix, probability: Floats) -> Profile:
    """The profile of the rows a version was trained on, out of the transformer and the scorer that serve."""
    return profile_of(columns_of(matrix, probability), specs(matrix.features))


class Watch:
    """Counts a file's chunks against the version's reference while they are in memory, and compares the whole at its end."""

    def __init__(self, installation: Installation, batch: Batch, model: Model, reference: Reference | None) -> None:
        self.installation, self.batch, self.model, self.reference = installation, batch, model, reference

    @classmethod
    def begin(cls, installation: Installation, batch: Batch, model: Model) -> Watch:
        with installation.database.read(batch.organization_id) as session:
            return cls(installation, batch, model, reference_of(session, batch.organization_id, model.id))

    def count(self, matrix: Matrix, probability: Floats) -> Profile | None:
        """A chunk's counts; ``None`` where the version has no reference."""
        return None if self.reference is None else count(self.reference.grid, columns_of(matrix, probability))

    def keep(self, session: WriteSession, context: Context, part: int, profile: Profile | None) -> None:
        """In the transaction of the chunk's rows."""
        if self.reference is not None and profile is not None:
            store_part(session, context, self.reference, self.batch.id, part, profile)

    def compare(self, scored: int) -> drift.Result:
        """Before the batch's last transaction: reads and files only."""
        return drift.of_batch_window(self.installation, self.model, self.batch, scored=scored)

    def close(self, session: WriteSession, context: Context, result: drift.Result) -> dict[str, Any]:
        """In the batch's last transaction: the report, its finding and its entry; what the batch's metadata says of it."""
        told: dict[str, Any] = {"state": result.state, "said": result.said}
        if result.comparison is None:
            return told
        run_id, details = drift.record(session, context, result.comparison)
        return told | {"report_id": str(run_id), "severity": details["severity"], "detected": details["drift_detected"]}


def report_of(batch: Batch) -> UUID | None:
    """The drift report of a finished file."""
    key = batch.extra.get("drift", {}).get("report_id")
    return UUID(key) if key else None
