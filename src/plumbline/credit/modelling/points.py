"""Points: a log-odds scale on which people are used to reading scores; more points, less risk."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import Any

import numpy as np
import numpy.typing as npt

from plumbline.kernel.errors import InvalidInput, Where

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PointScale:
    """points = offset - factor * log-odds of default.

    ``factor`` and ``offset`` are stored as numbers, so that old points never depend on a logarithm again.
    """

    factor: float
    offset: float

    @classmethod
    def of(cls, points: float = 600.0, odds: float = 50.0, doubling: float = 20.0) -> PointScale:
        """The scale on which ``points`` means ``odds`` good loans per bad one, and ``doubling`` points double the odds.

        The customary 600, 50 and 20 give factor 28.8539 and offset 487.123.
        """
        if not (odds > 0 and doubling > 0):
            raise InvalidInput("Odds and the points that double them must be above 0.", where=Where(field="points"))
        factor = doubling / log(2)
        return cls(factor, points - factor * log(odds))

    def points(self, log_odds: Floats) -> Floats:
        """Whole points of calibrated log-odds, shape kept."""
        return np.asarray(np.rint(self.offset - self.factor * log_odds), dtype=np.float64)

    def contribution(self, log_odds: Floats) -> Floats:
        """Contributions in points (unrounded): negative ones speak against the applicant."""
        return np.asarray(-self.factor * log_odds, dtype=np.float64)

    def to_dict(self) -> dict[str, Any]:
        return {"factor": self.factor, "offset": self.offset}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> PointScale:
        return cls(float(data["factor"]), float(data["offset"]))
