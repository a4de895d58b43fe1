"""How far two samples lie apart: from counts of bins, or from both samples, sorted (``domains/models.md`` 4.2).

Throughout, ``reference`` and ``current`` are counts of the same bins, int, shape (bins,); ``x`` and ``y`` are the
ascending values of both, without missing. NumPy and ``scipy.special`` only.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc, chdtri, kolmogorov

from plumbline.kernel.models.columns import Floats
from plumbline.kernel.models.grids import Axis, Integers, at_shares
from plumbline.kernel.models.metrics import Interval, wilson

EPSILON = 1e-4
"""The least share a bin is taken to have. It decides what an emptied bin adds: .10 → 0 adds .690 to PSI."""
SMALLEST_EXPECTED = 5
_SAMPLED = 2_048
_WHOLE = 16_384
_SHARES = np.arange(5, 996) / 1000


@dataclass(frozen=True, slots=True)
class Divergence:
    """The measures of one pair of histograms.

    :ivar bins: those that hold rows of either side.
    :ivar floored: bins whose share on either side was raised to 1e-4.
    :ivar kl: KL(current‖reference); ``kl_reverse`` is KL(reference‖current); PSI is their sum.
    :ivar js: Jensen–Shannon distance (root, base 2): 0 … 1.
    :ivar chi2: Pearson's, bins with a smaller expected count below 5 pooled; ``df`` bins after pooling less one.
    :ivar cramers_v: √(χ²/(N+M)).
    :ivar noise: PSI that two samples of these sizes from one distribution show on average, (B−1)(1/N+1/M);
        ``noise_point`` what one pair in twenty exceeds.
    """

    bins: int
    floored: int
    psi: float
    kl: float
    kl_reverse: float
    js: float
    chi2: float
    df: int
    p: float
    cramers_v: float
    noise: float
    noise_point: float


def divergence(reference: npt.ArrayLike, current: npt.ArrayLike) -> Divergence:
    """:raises ValueError: one side has no rows, or the sides have other numbers of bins."""
    c, d = np.asarray(reference, dtype=np.int64), np.asarray(current, dtype=np.int64)
    if c.shape != d.shape:
        raise ValueError(f"the sides have {c.shape} and {d.shape} bins")
    held = (c + d) > 0
    c, d = c[held], d[held]
    n, m = int(c.sum()), int(d.sum())
    if not n or not m:
        raise ValueError("both sides need rows")
    p, q = c / n, d / m
    floored = int(((p < EPSILON) | (q < EPSILON)).sum())
    p, q = np.maximum(p, EPSILON), np.maximum(q, EPSILON)
    p, q = p / p.sum(), q / q.sum()
    ratio = np.log(q / p)
    kl, reverse = max(0.0, float(q @ ratio)), max(0.0, float(-(p @ ratio)))
    middle = (p + q) / 2
    js = float(p @ np.log2(p / middle) + q @ np.log2(q / middle)) / 2
    chi2, df = pearson(c, d)
    sizes = 1 / n + 1 / m
    free = len(c) - 1
    return Divergence(
        len(c), floored, kl + reverse, kl, reverse, sqrt(max(0.0, js)), chi2, df, float(chdtrc(df, chi2)) if df else 1.0,
        sqrt(chi2 / (n + m)), free * sizes, float(chdtri(free, 0.05)) * sizes if free else 0.0,
    )  # fmt: skip


def psi(reference: npt.ArrayLike, current: npt.ArrayLike) -> float:
    """Population stability index, Σ(q−p) ln(q/p): symmetric in its sides."""
    return divergence(reference, current).psi


def pearson(reference: Integers, current: Integers) -> tuple[float, int]:
    """Pearson's χ² of the 2 × B table and its degrees of freedom, without Yates, rare bins pooled into one.

    A bin is pooled when the smaller of its two expected counts is below 5: unpooled, p < .05 comes up in 8.1 % of
    20,000-against-100 comparisons without drift.
    """
    n, m = int(reference.sum()), int(current.sum())
    both = (reference + current).astype(np.float64)
    rare = both * (min(n, m) / (n + m)) < SMALLEST_EXPECTED
    if rare.any():
        reference = np.append(reference[~rare], reference[rare].sum())
        current = np.append(current[~rare], current[rare].sum())
        both = (reference + current).astype(np.float64)
    df = len(both) - 1
    if df < 1:
        return 0.0, 0
    expected, other = both * (n / (n + m)), both * (m / (n + m))
    return float(((reference - expected) ** 2 / expected).sum() + ((current - other) ** 2 / other).sum()), df


# Kolmogorov–Smirnov


@dataclass(frozen=True, slots=True)
class Gap:
    """The largest gap of two cumulated distributions: ``d``, the value ``at`` which it opens, rows up to it."""

    d: float
    at: float
    below_reference: int
    below_current: int


def ks(x: Floats, y: Floats) -> Gap:
    """Exact two-sample D of ascending values: equal to SciPy's ``ks_2samp``, ties included.

    Large samples by pruning: between two of 2 × 2,048 sample quantiles the gap cannot exceed what all rows there, on
    one side, would add; only stretches that could beat the best so far are looked into, the most promising first.

    :raises ValueError: one side is empty.
    """
    if not len(x) or not len(y):
        raise ValueError("both sides need values")
    if len(x) + len(y) <= _WHOLE:
        return _widest(x, y, np.concatenate((x, y)), 0, 0, len(x), len(y))
    at = np.unique(
        np.concatenate([s[np.linspace(0, len(s) - 1, min(_SAMPLED, len(s))).astype(np.int64)] for s in (x, y)])
    )
    i, j = x.searchsorted(at, "right"), y.searchsorted(at, "right")
    best = _best(at, i, j, len(x), len(y))
    i_end, j_end = x.searchsorted(at, "left")[1:], y.searchsorted(at, "left")[1:]
    reach = np.maximum(i_end / len(x) - j[:-1] / len(y), j_end / len(y) - i[:-1] / len(x))
    for k in np.argsort(-reach, kind="stable").tolist():
        if reach[k] <= best.d:
            break
        xs, ys = x[i[k] : i_end[k]], y[j[k] : j_end[k]]
        found = _widest(xs, ys, np.concatenate((xs, ys)), int(i[k]), int(j[k]), len(x), len(y))
        if found.d > best.d:
            best = found
    return best


def _widest(x: Floats, y: Floats, at: Floats, i: int, j: int, n: int, m: int) -> Gap:
    """The largest gap at any of the values ``at``, with ``i`` and ``j`` rows below these stretches of n and m rows."""
    if not len(at):
        return Gap(0.0, 0.0, i, j)
    return _best(at, i + x.searchsorted(at, "right"), j + y.searchsorted(at, "right"), n, m)


def _best(at: Floats, below: Integers, other: Integers, n: int, m: int) -> Gap:
    gaps = np.abs(below / n - other / m)
    k = int(gaps.argmax())
    return Gap(float(gaps[k]), float(at[k]), int(below[k]), int(other[k]))


def ks_of_counts(axis: Axis, reference: Integers, current: Integers) -> Gap | None:
    """D at the edges of the grid: never above the exact one, and short of it by less than a cell's rows.

    :param reference, current: counts of the column's cells. ``None``: one side has no values.
    """
    i, j = np.cumsum(reference[: axis.values]), np.cumsum(current[: axis.values])
    if not i[-1] or not j[-1]:
        return None
    if not len(axis.edges):
        return Gap(0.0, 0.0, int(i[-1]), int(j[-1]))
    return _best(axis.edges, i[:-1], j[:-1], int(i[-1]), int(j[-1]))


def ks_p(d: float, n: int, m: int) -> float:
    """P(D ≥ d) of n and m rows from one distribution: Kolmogorov's, with Stephens' correction for finite samples."""
    root = sqrt(n * m / (n + m))
    return float(kolmogorov((root + 0.12 + 0.11 / root) * d))


# Wasserstein: for information, never a verdict: a heavy tail without drift reads 5.3 (trap 3)


def wasserstein(x: Floats, y: Floats, scale: float) -> float | None:
    """Mean distance of the quantiles .005 … .995 of two ascending samples, in units of ``scale``.

    ``None``: the reference does not spread, one side is empty, or one of the quantiles is infinite.
    """
    if not len(x) or not len(y):
        return None
    return _mean_distance(at_shares(x, _SHARES), at_shares(y, _SHARES), scale)


def _mean_distance(a: Floats, b: Floats, scale: float) -> float | None:
    with np.errstate(invalid="ignore"):
        distance = float(np.abs(a - b).mean())
    if distance == 0:
        return 0.0
    return distance / scale if scale > 0 and np.isfinite(distance) else None


def wasserstein_of_counts(axis: Axis, reference: Integers, current: Integers, ranges: tuple[float, float, float, float]) -> float | None:  # fmt: skip
    """The same from counts, rows spread evenly over their cell (at its end, where each value has its own).

    :param ranges: lowest and highest value of the reference, then of the current rows.
    """
    a = _quantiles(axis, reference[: axis.values], ranges[0], ranges[1])
    b = _quantiles(axis, current[: axis.values], ranges[2], ranges[3])
    return None if a is None or b is None else _mean_distance(a, b, axis.scale)


def wasserstein_bounds(axis: Axis, reference: Integers, current: Integers, ranges: tuple[float, float, float, float]) -> tuple[float, float] | None:  # fmt: skip
    """Between what values the exact distance must lie, given the cells its quantiles fall into; arguments as above.

    ``None``: there is no such distance, or an end is infinite.
    """
    n, m = int(reference[: axis.values].sum()), int(current[: axis.values].sum())
    if not n or not m or axis.scale <= 0 or not np.isfinite((*ranges, *axis.edges)).all():
        return None
    (a, a_end), (b, b_end) = (
        _cell_ends(axis, reference, n, ranges[0], ranges[1]), _cell_ends(axis, current, m, ranges[2], ranges[3]),
    )  # fmt: skip
    least, most = np.maximum(0, np.maximum(a - b_end, b - a_end)), np.maximum(a_end - b, b_end - a)
    return float(least.mean()) / axis.scale, float(most.mean()) / axis.scale


def _cell_ends(axis: Axis, cells: Integers, n: int, low: float, high: float) -> tuple[Floats, Floats]:
    ends = np.clip(np.concatenate(([low], axis.edges, [high])), low, high)
    at = np.cumsum(cells[: axis.values]).searchsorted(np.floor(_SHARES * (n - 1) + 1e-9), "right")
    return ends[at], ends[at + 1]


def _quantiles(axis: Axis, cells: Integers, low: float, high: float) -> Floats | None:
    n = int(cells.sum())
    if not n:
        return None
    cumulated = np.cumsum(cells)
    if axis.discrete:
        ends = np.append(axis.edges, max(high, axis.edges[-1]))
        return np.asarray(ends[cumulated.searchsorted(np.floor(_SHARES * (n - 1) + 1e-9), "right")], dtype=np.float64)
    ends = np.clip(np.concatenate(([low], axis.edges, [high])), low, high)
    if not np.isfinite(ends).all():
        return None
    return np.asarray(np.interp(_SHARES * n, np.concatenate(([0], cumulated)), ends), dtype=np.float64)


# Shares and families of tests


def share_difference(reference: tuple[int, int], current: tuple[int, int]) -> Interval:
    """95 % interval of the current share less that of the reference, each (rows with it, rows).

    Newcombe's hybrid of two Wilson intervals (Statistics in Medicine 17, 1998, method 10).
    """
    (a, n), (b, m) = reference, current
    p, q = a / n, b / m
    (p_low, p_high), (q_low, q_high) = wilson(a, n), wilson(b, m)
    return q - p - sqrt((q - q_low) ** 2 + (p_high - p) ** 2), q - p + sqrt((q_high - q) ** 2 + (p - p_low) ** 2)


def benjamini_hochberg(p: npt.ArrayLike) -> Floats:
    """Adjusted p of a family of tests, in the order given: smallest false-discovery rate at which each is found."""
    given = np.asarray(p, dtype=np.float64)
    k = len(given)
    order = np.argsort(-given, kind="stable")
    adjusted = np.empty(k)
    adjusted[order] = np.minimum(1.0, np.minimum.accumulate(given[order] * k / np.arange(k, 0, -1)))
    return adjusted
