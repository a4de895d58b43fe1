"""Vectorised draws: the few ways in which a column of random values is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

# Where a normal score meets the quantiles that `shaped` is given.
KNOTS = (0.0001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.9999)
_SCORES = np.array([NormalDist().inv_cdf(share) for share in KNOTS])


def shaped(scores: Floats, quantiles: Sequence[float]) -> Floats:
    """Give normal scores a marginal distribution: linear between its quantiles at ``KNOTS``, constant outside.

    Correlated scores give correlated columns (a Gaussian copula).
    """
    return np.interp(scores, _SCORES, np.asarray(quantiles, dtype=np.float64))


def mixed(weight: float, common: Floats, rng: np.random.Generator) -> Floats:
    """Standard normal scores that correlate with the standard normal ``common`` by ``weight``."""
    return weight * common + sqrt(1.0 - weight * weight) * rng.standard_normal(common.size)


def logistic(scores: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-scores)))


def chance(rng: np.random.Generator, size: int, probability: float | Floats) -> Flags:
    return np.asarray(rng.random(size) < probability)


def whole(values: Floats) -> Ints:
    return np.rint(values).astype(np.int64)


def money(values: Floats) -> Floats:
    """Amounts in steps of 0.045 currency units, hence at most three decimals."""
    return np.asarray(np.round(np.rint(values / 0.045) * 0.045, 3) + 0.0)


def codes(rng: np.random.Generator, size: int, weights: Sequence[float]) -> Ints:
    """Level numbers 0… drawn with the given weights, which need not sum to 1."""
    edges = np.cumsum(np.asarray(weights, dtype=np.float64))
    return np.minimum(np.searchsorted(edges / edges[-1], rng.random(size), side="right"), len(weights) - 1)


def named(numbers: Ints, levels: Sequence[str]) -> pl.Series:
    """The levels' names for level numbers."""
    return pl.Series(levels, dtype=pl.String).gather(numbers)


def drawn(rng: np.random.Generator, size: int, levels: Mapping[str, float]) -> pl.Series:
    """A category column with the given weights per level."""
    return named(codes(rng, size, tuple(levels.values())), tuple(levels))


def chosen(conditions: Sequence[tuple[Flags, pl.Series]], otherwise: pl.Series) -> pl.Series:
    """The first series whose condition holds, row by row."""
    result = otherwise
    for condition, values in reversed(conditions):
        result = values.zip_with(pl.Series(condition), result)
    return result


def blanked(values: npt.NDArray[Any] | pl.Series, empty: Flags) -> pl.Series:
    """The column with nulls where ``empty``."""
    series = values if isinstance(values, pl.Series) else pl.Series(values)
    return series.zip_with(pl.Series(~empty), pl.Series([None], dtype=series.dtype).new_from_index(0, len(series)))


def spread(counts: Ints) -> tuple[Ints, Ints]:
    """For ``counts`` children per parent: each child's parent number, and its own number 0… within that parent."""
    parents = np.repeat(np.arange(counts.size), counts)
    starts = np.cumsum(counts) - counts
    return parents, np.arange(parents.size) - starts[parents]
