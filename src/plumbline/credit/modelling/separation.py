"""How well one column alone tells two classes apart, judged on rows that had no part in learning how."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]
Labels = npt.NDArray[np.int8]

FOLDS = 5
MOST_BINS = 100
SMALLEST_BIN = 10
LEAST_OF_A_CLASS = 5
"""Below so many rows of a class nothing can be said: the folds would have none of it."""


@dataclass(frozen=True, slots=True)
class Separation:
    """
    :ivar auc: of the column's cross-fitted rate of events, averaged over the folds by their pairs; 0.5 tells nothing.
    :ivar z: distance of ``auc`` from 0.5 in standard errors of a column that tells nothing (Mann and Whitney 1947).
    """

    auc: float
    rows: int
    events: int
    z: float


def bins(values: Floats, most: int = MOST_BINS) -> Codes:
    """The cell of each value, shape kept: each distinct value if they are few, else of about equal counts; the cell of
    missing values is the last one."""
    known = values[~np.isnan(values)]
    limit = min(most, max(2, len(known) // SMALLEST_BIN))
    ranked = np.sort(known)
    edges = ranked[np.append(True, ranked[1:] != ranked[:-1])] if len(ranked) else ranked
    if len(edges) > limit:
        edges = np.unique(ranked[np.arange(limit) * len(ranked) // limit])
    return np.asarray(np.where(np.isnan(values), len(edges) + 1, edges.searchsorted(values, "right")), dtype=np.intp)


def folds(y: Labels, seed: int) -> Codes:
    """A fold for each row, the classes spread evenly."""
    fold = np.empty(len(y), dtype=np.intp)
    rng = np.random.default_rng(seed)
    for label in (0, 1):
        rows = rng.permutation(np.flatnonzero(y == label))
        fold[rows] = np.arange(len(rows)) % FOLDS
    return fold


def separation(cells: Codes, y: Labels, fold: Codes) -> Separation | None:
    """The area under the curve of the rates of events that the other folds had in a row's cell.

    :returns: None with fewer than 5 rows of a class.
    """
    events, rows = int(y.sum()), len(y)
    if min(events, rows - events) < LEAST_OF_A_CLASS:
        return None
    width = int(cells.max()) + 1
    counts = np.bincount((fold * 2 + y) * width + cells, minlength=2 * FOLDS * width).reshape(FOLDS, 2, width)
    total = counts.sum(axis=0)
    won = pairs = 0.0
    for held in counts:
        good, bad = total - held
        rate = (bad + events / rows) / (good + bad + 1.0)
        _, place = np.unique(rate, return_inverse=True)
        safe, risky = (np.bincount(place, weights=held[label]) for label in (0, 1))
        below = np.cumsum(safe) - safe
        won += float((risky * (below + 0.5 * safe)).sum())
        pairs += float(safe.sum() * risky.sum())
    auc = won / pairs
    return Separation(auc, rows, events, (auc - 0.5) / sqrt((rows + 1) / (12 * events * (rows - events))))
