"""From a probability to a decision: costs, threshold, levels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from plumbline.credit.modelling.points import PointScale
from plumbline.kernel.errors import InvalidInput, Where

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int8]

LEVELS = ("Low", "Medium", "High")
DECISIONS = ("approve", "review", "decline")
DISAGREES = "twin"
"""The flag of a row that the additive twin puts more than one level away; ``twin:High`` names the twin's level."""
CURVE_STEP = 0.005
_DRAWS = 1000
_PARTS = 5


def analytic_threshold(cost_fn: float, cost_fp: float) -> float:
    """The cheapest cut for calibrated probabilities: FP / (FP + FN) (Elkan 2001)."""
    if not (cost_fn > 0 and cost_fp > 0):
        raise InvalidInput("Both costs must be above 0.", where=Where(field="costs"))
    return cost_fp / (cost_fp + cost_fn)


@dataclass(frozen=True, slots=True)
class CostCurve:
    """Cost per application and approval rate for each threshold, with a 95 % bootstrap interval of the cost."""

    thresholds: Floats
    cost: Floats
    low: Floats
    high: Floats
    approval_rate: Floats

    def to_dict(self) -> dict[str, list[float]]:
        return {name: getattr(self, name).tolist() for name in self.__slots__}


class _CostTable:
    """Counts of bad and good rows between thresholds; a bootstrap of rows is a multinomial draw of these counts."""

    def __init__(self, y: npt.ArrayLike, p: npt.ArrayLike, thresholds: Floats, cost_fn: float, cost_fp: float) -> None:
        event, score = np.asarray(y, dtype=bool), np.asarray(p, dtype=np.float64)
        if not len(event):
            raise InvalidInput("A cost curve needs rows.")
        self.cells = len(thresholds) + 1
        self.rows = len(event)
        self.cost_fn, self.cost_fp = cost_fn, cost_fp
        cell = thresholds.searchsorted(score, "right") + self.cells * event
        self.counts = np.bincount(cell, minlength=2 * self.cells)

    def cost(self, counts: npt.NDArray[np.int64]) -> Floats:
        """Cost per application at every threshold; ``counts`` has shape (…, 2 * cells)."""
        good, bad = counts[..., : self.cells], counts[..., self.cells :]
        missed = np.cumsum(bad, axis=-1)[..., :-1]
        refused = good.sum(axis=-1, keepdims=True) - np.cumsum(good, axis=-1)[..., :-1]
        return np.asarray((self.cost_fn * missed + self.cost_fp * refused) / self.rows, dtype=np.float64)

    def drawn(self, seed: int) -> Floats:
        share = self.counts / self.rows
        return self.cost(np.random.default_rng(seed).multinomial(self.rows, share, size=_DRAWS))


def _grid() -> Floats:
    return np.arange(round(1 / CURVE_STEP) + 1) / round(1 / CURVE_STEP)


def cost_curve(y: npt.ArrayLike, p: npt.ArrayLike, cost_fn: float, cost_fp: float, *, seed: int = 0) -> CostCurve:
    """The curve at 0, 0.005 … 1; a row is refused from ``p >= threshold`` on."""
    thresholds = _grid()
    table = _CostTable(y, p, thresholds, cost_fn, cost_fp)
    low, high = np.quantile(table.drawn(seed), (0.025, 0.975), axis=0)
    approved = (table.counts[: table.cells] + table.counts[table.cells :]).cumsum()[:-1] / table.rows
    return CostCurve(thresholds, table.cost(table.counts), low, high, approved)


@dataclass(frozen=True, slots=True)
class ThresholdChoice:
    """Which threshold, and why: the analytic one unless choosing on the policy rows surely saves money.

    ``saving`` is what a cut chosen on four fifths of those rows saves per application on the last fifth, against the
    analytic cut, averaged over the fifths, with its paired 95 % interval. (On the rows that chose it any cut looks
    cheaper than it is.)
    """

    threshold: float
    source: Literal["costs", "policy rows"]
    analytic: float
    empirical: float
    saving: float
    interval: tuple[float, float]


def choose_threshold(
    y: npt.ArrayLike, p: npt.ArrayLike, cost_fn: float, cost_fp: float, *, seed: int = 0
) -> ThresholdChoice:
    """Compare the analytic threshold with the cheapest grid point, each cut judged on rows that did not choose it."""
    event, score = np.asarray(y, dtype=bool), np.asarray(p, dtype=np.float64)
    analytic = analytic_threshold(cost_fn, cost_fp)
    thresholds = np.union1d(_grid(), [analytic])
    at = int(thresholds.searchsorted(analytic))
    whole = _CostTable(event, score, thresholds, cost_fn, cost_fp)
    best = float(thresholds[whole.cost(whole.counts).argmin()])
    part = np.random.default_rng(seed).permutation(len(event)) % _PARTS
    saving, drawn = 0.0, np.zeros(_DRAWS)
    for number in range(min(_PARTS, len(event) // 2)):
        held = part == number
        judge = _CostTable(event[held], score[held], thresholds, cost_fn, cost_fp)
        chooser = whole.cost(whole.counts - judge.counts)
        cut = int(chooser.argmin())
        cost, draws = judge.cost(judge.counts), judge.drawn(seed + number)
        saving += float(cost[at] - cost[cut]) * judge.rows / whole.rows
        drawn += (draws[:, at] - draws[:, cut]) * (judge.rows / whole.rows)
    low, high = np.quantile(drawn, (0.025, 0.975)).tolist()
    if low > 0:
        return ThresholdChoice(best, "policy rows", analytic, best, saving, (low, high))
    return ThresholdChoice(analytic, "costs", analytic, best, saving, (low, high))


@dataclass(frozen=True, slots=True)
class Policy:
    """How probabilities become levels, decisions and points. Cuts are multiples of the threshold t.

    :ivar low_below, high_from: Low below ``low_below * t``, High from ``high_from * t`` on, Medium between.
    :ivar review_from, review_below: a person looks when review_from * t <= PD < review_below * t …
    :ivar review_flags: … or when a flag begins with one of these words: what is unusual about the data, and ``twin``, that
        the additive twin puts the row more than one level away (without that word it is not asked).
    """

    threshold: float
    cost_fn: float = 10.0
    cost_fp: float = 1.0
    low_below: float = 0.5
    high_from: float = 1.0
    review_from: float = 0.8
    review_below: float = 1.25
    review_flags: tuple[str, ...] = ("unseen", "outside", "missing", "sparse", DISAGREES)
    scale: PointScale = field(default_factory=PointScale.of)

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise InvalidInput("The threshold must lie between 0 and 1.", where=Where(field="threshold"))
        if not 0 < self.low_below <= self.high_from or not 0 <= self.review_from <= self.review_below:
            raise InvalidInput("The cuts of a policy must rise.", where=Where(field="levels"))

    def levels(self, probability: Floats) -> Codes:
        """Index into :data:`LEVELS`."""
        medium = probability >= self.low_below * self.threshold
        return medium.astype(np.int8) + (probability >= self.high_from * self.threshold)

    def decisions(self, probability: Floats, flagged: npt.NDArray[np.bool_]) -> Codes:
        """Index into :data:`DECISIONS`: review first, else approve below the threshold and decline from it on."""
        near = (probability >= self.review_from * self.threshold) & (probability < self.review_below * self.threshold)
        decided = np.where(probability >= self.threshold, 2, 0)
        return np.where(near | flagged, 1, decided).astype(np.int8)

    def calls_for_review(self, flags: tuple[str, ...]) -> bool:
        """Whether one of a row's data flags sends it to a person."""
        return any(flag.split(":", 1)[0] in self.review_flags for flag in flags)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able form; :meth:`from_dict` gives the same policy back."""
        return {
            "threshold": self.threshold, "costs": {"false_negative": self.cost_fn, "false_positive": self.cost_fp},
            "low_below": self.low_below, "high_from": self.high_from, "review_from": self.review_from,
            "review_below": self.review_below, "review_flags": list(self.review_flags), "points": self.scale.to_dict(),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Policy:
        numbers = {n: float(data[n]) for n in ("threshold", "low_below", "high_from", "review_from", "review_below")}
        return cls(
            **numbers,
            cost_fn=float(data["costs"]["false_negative"]),
            cost_fp=float(data["costs"]["false_positive"]),
            review_flags=tuple(data["review_flags"]),
            scale=PointScale.from_dict(data["points"]),
        )


def warnings(probability: Floats, policy: Policy) -> list[str]:
    """What a risk manager should know before this policy is used."""
    declined = float(np.mean(probability >= policy.threshold)) if len(probability) else 0.0
    if declined > 0.5:
        told = f"At the threshold {policy.threshold:.4f} these costs decline {declined:.0%} of the applications."
        return [f"{told} Check the costs before the policy is used."]
    return []
