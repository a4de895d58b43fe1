"""The 47 application columns about the building a client lives in: empty together, and without any effect."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import polars as pl

from . import vocabulary as words
from .draws import Flags, Floats, blanked, drawn, mixed, shaped

# measure: share empty, and the quantiles at draws.KNOTS
_MEASURES: dict[str, tuple[float, tuple[float, ...]]] = {
    "APARTMENTS": (0.507, (0.0, 0.002, 0.0093, 0.058, 0.088, 0.149, 0.33, 0.52, 1.0)),
    "BASEMENTAREA": (0.585, (0.0, 0.0, 0.0, 0.044, 0.076, 0.112, 0.222, 0.39, 1.0)),
    "YEARS_BEGINEXPLUATATION": (0.488, (0.0, 0.95, 0.969, 0.977, 0.982, 0.987, 0.995, 0.999, 1.0)),
    "YEARS_BUILD": (0.665, (0.0, 0.34, 0.592, 0.687, 0.755, 0.823, 0.946, 0.986, 1.0)),
    "COMMONAREA": (0.699, (0.0, 0.0, 0.0, 0.008, 0.021, 0.052, 0.16, 0.45, 1.0)),
    "ELEVATORS": (0.533, (0.0, 0.0, 0.0, 0.0, 0.0, 0.12, 0.36, 0.6, 1.0)),
    "ENTRANCES": (0.503, (0.0, 0.0345, 0.0345, 0.069, 0.138, 0.207, 0.345, 0.55, 1.0)),
    "FLOORSMAX": (0.498, (0.0, 0.0, 0.042, 0.167, 0.167, 0.333, 0.54, 0.667, 1.0)),
    "FLOORSMIN": (0.678, (0.0, 0.0, 0.042, 0.083, 0.208, 0.375, 0.54, 0.708, 1.0)),
    "LANDAREA": (0.594, (0.0, 0.0, 0.0, 0.019, 0.048, 0.086, 0.2, 0.4, 1.0)),
    "LIVINGAPARTMENTS": (0.684, (0.0, 0.0034, 0.01, 0.05, 0.076, 0.121, 0.27, 0.45, 1.0)),
    "LIVINGAREA": (0.502, (0.0, 0.002, 0.0084, 0.045, 0.075, 0.13, 0.32, 0.55, 1.0)),
    "NONLIVINGAPARTMENTS": (0.694, (0.0, 0.0, 0.0, 0.0, 0.0, 0.004, 0.031, 0.115, 1.0)),
    "NONLIVINGAREA": (0.552, (0.0, 0.0, 0.0, 0.0, 0.0036, 0.028, 0.12, 0.28, 1.0)),
}
_TOTAL_AREA = (0.0, 0.0017, 0.007, 0.041, 0.069, 0.128, 0.3, 0.53, 1.0)


def dwelling(rng: np.random.Generator, size: int) -> dict[str, pl.Series]:
    """The dwelling columns by name. Where one is empty, the others mostly are too."""
    presence = rng.standard_normal(size)
    building = rng.standard_normal(size)

    def empty(share: float) -> Flags:
        return np.asarray(mixed(0.93, presence, rng) < NormalDist().inv_cdf(share))

    columns: dict[str, pl.Series] = {}
    for measure, (share, quantiles) in _MEASURES.items():
        hidden = empty(share)
        scores = mixed(0.6, building, rng)
        for form, shift in (("AVG", 0.0), ("MODE", 0.08), ("MEDI", 0.02)):
            nudged = scores if form == "AVG" else mixed(1.0 - shift * shift, scores, rng)
            columns[f"{measure}_{form}"] = blanked(_four_decimals(shaped(nudged, quantiles)), hidden)
    total = _four_decimals(shaped(mixed(0.6, building, rng), _TOTAL_AREA))
    columns["TOTALAREA_MODE"] = blanked(total, empty(0.483))
    for name, levels, share in (
        ("FONDKAPREMONT_MODE", words.CAPITAL_REPAIR_FUND, 0.684),
        ("HOUSETYPE_MODE", words.HOUSE_TYPES, 0.502),
        ("WALLSMATERIAL_MODE", words.WALLS, 0.508),
        ("EMERGENCYSTATE_MODE", words.EMERGENCY, 0.474),
    ):
        columns[name] = blanked(drawn(rng, size, levels), empty(share))
    return columns


def _four_decimals(values: Floats) -> Floats:
    return np.asarray(np.round(values, 4))
