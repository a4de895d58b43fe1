"""What a model sees: a matrix of numbers, and what each of its columns means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl


@dataclass(frozen=True, slots=True)
class FeatureInfo:
    """One column of the matrix.

    ``lineage`` names every raw column it is made from as ``"table.column"``: the policy for protected attributes,
    reasons and erasure go by it. A category's code ``i`` stands for ``levels[i]``; the code ``len(levels)`` is the
    shared level "other" if ``has_other``. ``lowest`` and ``highest`` are the range seen in training, ``missing_share``
    the share of training rows in which it was missing, ``typical`` its training median (or most frequent level).
    """

    name: str
    kind: Literal["numeric", "category"]
    lineage: frozenset[str]
    reason: str | None = None
    monotone: Literal[-1, 0, 1] = 0
    unit: str = ""
    text: str = ""
    levels: tuple[str, ...] = ()
    has_other: bool = False
    lowest: float | None = None
    highest: float | None = None
    missing_share: float = 0.0
    typical: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able form with sorted lineage; :meth:`from_dict` gives the same back."""
        return {
            "name": self.name, "kind": self.kind, "lineage": sorted(self.lineage), "reason": self.reason,
            "monotone": self.monotone, "unit": self.unit, "text": self.text, "levels": list(self.levels),
            "has_other": self.has_other, "lowest": self.lowest, "highest": self.highest,
            "missing_share": self.missing_share, "typical": self.typical,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> FeatureInfo:
        return cls(**{**data, "lineage": frozenset(data["lineage"]), "levels": tuple(data["levels"])})


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows of model inputs.

    ``values`` is float64 of shape (rows, features) in Fortran order (a column is contiguous); missing is NaN, a
    category its integer code. ``flags`` holds, for each row that has any, what a person should know about its data:
    ``"unseen:NAME"``, ``"outside:NAME"``, ``"missing:NAME"`` (missing where training never was) and ``"sparse"``.
    """

    ids: pl.Series
    values: npt.NDArray[np.float64]
    features: tuple[FeatureInfo, ...]
    flags: dict[int, tuple[str, ...]] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f.name for f in self.features)

    @classmethod
    def concatenated(cls, parts: Sequence[Matrix]) -> Matrix:
        """Matrices of the same features, at least one, one below the other."""
        values = np.empty((sum(len(p.values) for p in parts), len(parts[0].features)), dtype=np.float64, order="F")
        flags: dict[int, tuple[str, ...]] = {}
        start = 0
        for part in parts:
            values[start : start + len(part.values)] = part.values
            flags.update({start + row: found for row, found in part.flags.items()})
            start += len(part.values)
        return cls(pl.concat([p.ids for p in parts]), values, parts[0].features, flags)

    def gathered(self, rows: npt.NDArray[np.intp]) -> Matrix:
        """The given rows, in the given order."""
        flags = {i: self.flags[row] for i, row in enumerate(rows.tolist()) if row in self.flags}
        return Matrix(self.ids.gather(rows), np.asfortranarray(self.values[rows]), self.features, flags)
