"""Measures over all cases where the truth of some is known from an audit sample only (pure).

A case that was drawn with probability π stands for 1/π cases (Horvitz and Thompson 1952): each count of the confusion matrix is
the number of cases whose truth is seen anyway, plus the sum of 1/π over those drawn. Intervals are of a bootstrap within the two
strata.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

from plumbline.kernel.models.metrics import Interval, Undefined
from plumbline.kernel.models.outcomes import Rates

Floats = npt.NDArray[np.float64]

FEWEST = 30
"""Drawn cases that a weighted measure needs at least."""
DRAWS = 2_000
_CELLS = 4  # tn, fp, fn, tp, as numbers: 2 * truth + predicted
_Of = Callable[[Floats, Floats, Floats, Floats], Floats]
_MEASURES: dict[str, _Of] = {
    "accuracy": lambda tn, fp, fn, tp: (tp + tn) / (tn + fp + fn + tp),
    "precision": lambda _tn, fp, _fn, tp: tp / (tp + fp),
    "recall": lambda _tn, _fp, fn, tp: tp / (tp + fn),
    "specificity": lambda tn, fp, _fn, _tp: tn / (tn + fp),
    "f1": lambda _tn, fp, fn, tp: 2 * tp / (2 * tp + fp + fn),
    "f_beta_3_2": lambda _tn, fp, fn, tp: 11.24 * tp / (11.24 * tp + 10.24 * fn + fp),
}


@dataclass(frozen=True, slots=True)
class Weighted:
    """Measures with their intervals; ``cases`` were drawn and stand for ``weight`` others."""

    cases: int
    weight: float
    values: dict[str, float]
    intervals: dict[str, Interval]


def weighted(
    seen: npt.NDArray[np.intp], whole: int, drawn: npt.NDArray[np.intp], share: Floats, others: int, rates: Rates, cost_name: str, *,
    seed: int = 0,
) -> Weighted:  # fmt: skip
    """Measures over all cases.

    :param seen: cells (2 · truth + predicted) of the cases whose truth is seen and known; ``whole`` is how many there are in all.
    :param drawn: cells of those of the ``others`` cases that were drawn, each with its probability ``share``.
    :raises Undefined: too few were drawn, or they do not stand for all others.
    """
    if len(drawn) < FEWEST:
        raise Undefined(f"an audit sample of {len(drawn)} is too small; {FEWEST} are needed")
    weight = float((1 / share).sum())
    spread = sqrt(float(((1 - share) / share**2).sum()))
    if abs(weight - others) > 3 * spread + 1e-9 * others:
        raise Undefined(
            f"the audit sample stands for {weight:,.0f} cases, and there are {others:,}: it was not drawn from all of them"
        )
    rng = np.random.default_rng(seed)
    counts = np.bincount(seen, minlength=_CELLS).astype(np.float64)
    scale = whole / len(seen) if len(seen) else 0.0
    shares, which = np.unique(share, return_inverse=True)
    groups = drawn * len(shares) + which
    table = np.bincount(groups, minlength=_CELLS * len(shares)).astype(np.float64)
    each = np.tile(1 / shares, _CELLS)

    def cells(of_seen: Floats, of_drawn: Floats) -> tuple[Floats, ...]:
        added = (of_drawn * each).reshape(*of_drawn.shape[:-1], _CELLS, len(shares)).sum(axis=-1)
        return tuple(np.moveaxis(of_seen * scale + added, -1, 0))

    point = cells(counts, table)
    resampled = rng.multinomial(len(seen), counts / len(seen), size=DRAWS) if len(seen) else np.zeros((DRAWS, _CELLS))
    spread_out = cells(
        resampled.astype(np.float64), rng.multinomial(len(drawn), table / len(drawn), size=DRAWS).astype(np.float64)
    )
    cost: _Of = lambda tn, fp, fn, tp: (rates.cost_missed * fn + rates.cost_false * fp) / (tn + fp + fn + tp)  # noqa: E731 - as its fellows
    values: dict[str, float] = {}
    intervals: dict[str, Interval] = {}
    with np.errstate(divide="ignore", invalid="ignore"):
        for name, measure in {**_MEASURES, cost_name: cost}.items():
            value = float(measure(*point))
            if not np.isfinite(value):
                continue
            values[name] = value
            low, high = np.nanquantile(measure(*spread_out), (0.025, 0.975)).tolist()
            intervals[name] = low, high
    return Weighted(len(drawn), weight, values, intervals)
