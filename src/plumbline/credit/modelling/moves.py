"""What an applicant can change: sensible values beyond the present one, and how far away each is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import floor, isfinite, log10
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from plumbline.credit.features.matrix import FeatureInfo
from plumbline.credit.intake.schema import WHOLE, Column
from plumbline.credit.modelling.scorer import Scorer

Floats = npt.NDArray[np.float64]

FINENESS = 0.01
"""A sensible unit is the largest of 1, 2, 5 × 10^k within this share of the present value."""
FINE_STEPS, COARSE_STEPS = 100, 50
OF_CATEGORY = 0.5
"""The distance of another level of a category or flag: levels have no order in which to count people between them."""


@dataclass(frozen=True, slots=True)
class Moves:
    """The values a column can move to; the first is the present one, at distance 0, then nearest first.

    :ivar distances: shape (values,), the share of the population between the present value and each.
    """

    column: Column
    values: tuple[Any, ...]
    distances: Floats


@dataclass(frozen=True, slots=True)
class Reference:
    """Where values stand in the population, as far as an artefact knows it: rising knots and their quantiles.

    It keeps no training rows. Known are the lowest value, the median, the highest, and the thresholds of the trees,
    which LightGBM takes from bins of about equally many rows; so the thresholds below the median are spread evenly
    over the lower half of the population, those above over the upper half.
    """

    knots: Floats
    quantiles: Floats

    @classmethod
    def of(cls, info: FeatureInfo, edges: Floats) -> Reference | None:
        """None where training saw no value."""
        low, middle, high = info.lowest, info.typical, info.highest
        if low is None or middle is None or high is None:
            return None
        below, above = edges[(edges > low) & (edges < middle)], edges[(edges > middle) & (edges < high)]
        knots = np.concatenate(([low], below, [middle], above, [high]))
        lower = np.arange(len(below) + 1) * 0.5 / (len(below) + 1)
        upper = 0.5 + np.arange(len(above) + 2) * 0.5 / (len(above) + 1)
        return cls(knots, np.concatenate((lower, upper)))

    def position(self, values: Floats) -> Floats:
        """The share of the population at or below each value, 0 to 1."""
        return np.asarray(np.interp(values, self.knots, self.quantiles), dtype=np.float64)


def moves_of(scorer: Scorer, row: Mapping[str, Any]) -> list[Moves]:
    """Every column of the main table that an applicant can change, with where it can go.

    A value stays within the schema's range and within what training saw, and moves in the allowed direction only. A
    missing value or a sentinel stays: nobody knows which way from there.

    :param row: the application by column.
    """
    features = {f.name: i for i, f in enumerate(scorer.features)}
    used = frozenset().union(*(f.lineage for f in scorer.features))
    main = scorer.schema.main
    found = []
    for column in main.columns.values():
        present = row.get(column.name)
        if column.mutable == "no" or present is None or present in column.sentinels:
            continue
        if f"{main.name}.{column.name}" not in used:
            continue  # the model does not look at it
        if column.type in {"category", "flag"}:
            values = [v for v in _levels(column, present) if v != present]
            distances = np.full(len(values), OF_CATEGORY)
        elif column.is_numeric and isinstance(present, int | float) and present == present:  # noqa: PLR0124 - not NaN
            at = features.get(column.name)
            info = None if at is None else scorer.features[at]
            span = limits(column, info)
            if span is None:
                continue
            values = stepped(column, present, span)
            reference = None if at is None or info is None else Reference.of(info, scorer.tables.edges_of(at))
            if reference is None:
                reference = Reference(np.array(span), np.array([0.0, 1.0]))
            positions = reference.position(np.array([present, *values], dtype=np.float64))
            distances = np.abs(positions[1:] - positions[0])
        else:
            continue
        order = np.argsort(distances, kind="stable")
        if len(order):
            found.append(
                Moves(column, (present, *(values[i] for i in order)), np.concatenate(([0.0], distances[order])))
            )
    return found


def limits(column: Column, info: FeatureInfo | None) -> tuple[float, float] | None:
    """Lowest and highest value to go to: the declared range within what training saw; None if nothing says."""
    low, high = (-np.inf, np.inf) if column.range is None else column.range
    if info is not None and info.lowest is not None and info.highest is not None:
        low, high = max(low, info.lowest), min(high, info.highest)
    return (float(low), float(high)) if np.isfinite(low) and np.isfinite(high) and low < high else None


def unit_of(column: Column, present: float, span: tuple[float, float]) -> float:
    """The sensible unit: about a hundredth of the present value (of the span at 0), whole for whole numbers."""
    wanted = FINENESS * (abs(present) or span[1] - span[0])
    power = 10.0 ** floor(log10(wanted))
    unit = next(m * power for m in (5, 2, 1) if m * power <= wanted or m == 1)
    return max(unit, 1.0) if column.type in WHOLE else unit


def stepped(column: Column, present: float, span: tuple[float, float]) -> list[float]:
    """Multiples of the sensible unit in the allowed directions, a hundred fine ones, then ever coarser."""
    unit = unit_of(column, present, span)
    digits = max(0, -floor(log10(unit)))
    found: list[float] = []
    for direction in (-1, 1):
        if column.mutable not in ("both", "down" if direction < 0 else "up"):
            continue
        step, taken, value = unit, 0, min(max(present, span[0]), span[1])
        while True:
            count = floor(value / step + 1e-9) + 1 if direction > 0 else -floor(-value / step + 1e-9) - 1
            value = round(count * step, digits)
            if not span[0] <= value <= span[1]:
                break
            if (value - present) * direction > 0 and value not in column.sentinels:
                found.append(int(value) if column.type in WHOLE else value)
            taken += 1
            if taken >= FINE_STEPS and (taken - FINE_STEPS) % COARSE_STEPS == 0:
                step *= 2
    return found


def sensible(column: Column, present: float, value: float, span: tuple[float, float] | None) -> float:
    """The multiple of the sensible unit at ``value``, within the span; the present value itself if it is as near."""
    if span is None:
        return value
    unit = unit_of(column, present, span)
    if not isfinite(value) or abs(value - present) <= unit / 2:
        return present if isfinite(value) else value
    found = round(round(value / unit) * unit, max(0, -floor(log10(unit))))
    found = min(max(found, min(span[0], present)), max(span[1], present))
    return int(found) if column.type in WHOLE else found


def _levels(column: Column, present: Any) -> list[Any]:
    if column.type == "flag":
        return [v for v in (0, 1) if column.mutable in ("both", "up" if v > present else "down")]
    return list(column.levels) if column.mutable == "both" else []


def repeated(frame: pl.DataFrame, rows: int) -> pl.DataFrame:
    """The one row of a frame, so many times."""
    return frame[np.zeros(rows, dtype=np.int64)]
