"""Champion against challenger on the same rows: paired differences with 95 % intervals, and what would be decided otherwise."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from plumbline.kernel.errors import InvalidInput
from plumbline.kernel.models import metrics
from plumbline.kernel.models.metrics import Z95, Undefined

Floats = npt.NDArray[np.float64]
_CLIP = 1e-15


@dataclass(frozen=True, slots=True)
class Side:
    """One model on the rows: calibrated probabilities of default, and the threshold from which it declines."""

    name: str
    probability: Floats
    threshold: float


@dataclass(frozen=True, slots=True)
class Difference:
    """``difference`` = challenger − champion, with its 95 % interval; ``verdict`` in words of a fixed list.

    :ivar verdict: ``better`` or ``worse`` where the interval excludes 0, else ``no difference shown``.
    """

    metric: str
    champion: float
    challenger: float
    difference: float
    low: float
    high: float
    verdict: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """:ivar differences: roc_auc (DeLong, paired), brier, log_loss, cost_per_application (mean of the rows' differences).
    :ivar undefined: metric → why there is no difference of it.
    :ivar declined: rows that both, only the champion, only the challenger, neither would decline.
    """

    champion: str
    challenger: str
    rows: int
    events: int
    differences: tuple[Difference, ...]
    undefined: dict[str, str]
    declined: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def of(self, metric: str) -> Difference | None:
        return next((d for d in self.differences if d.metric == metric), None)


def compare(y: npt.ArrayLike, champion: Side, challenger: Side, *, cost_fn: float, cost_fp: float) -> Comparison:
    """
    :param y: 1 = default; the order of the probabilities.
    :raises InvalidInput: no rows, or not one probability for each.
    """
    truth = np.asarray(y, dtype=np.float64)
    if not len(truth) or not len(truth) == len(champion.probability) == len(challenger.probability):
        raise InvalidInput(
            "Two models are compared on the same rows, at least one.", remedy="Give rows with a known outcome."
        )
    found: list[Difference] = []
    undefined: dict[str, str] = {}
    try:
        areas = metrics.delong(truth, challenger.probability, champion.probability)
        found.append(_told("roc_auc", areas.second, areas.first, *areas.interval, higher=True))
    except Undefined as reason:
        undefined["roc_auc"] = str(reason)
    declines = [side.probability >= side.threshold for side in (champion, challenger)]
    losses = {
        "brier": [(side.probability - truth) ** 2 for side in (champion, challenger)],
        "log_loss": [_log_loss(truth, side.probability) for side in (champion, challenger)],
        "cost_per_application": [
            np.where(truth == 1, cost_fn * ~declined, cost_fp * declined) for declined in declines
        ],
    }
    for metric, (before, after) in losses.items():
        each = after - before
        half = Z95 * float(each.std(ddof=1)) / np.sqrt(len(each)) if len(each) > 1 else float("inf")
        mean = float(each.mean())
        found.append(_told(metric, float(before.mean()), float(after.mean()), mean - half, mean + half, higher=False))
    both, first, second = declines[0] & declines[1], declines[0] & ~declines[1], ~declines[0] & declines[1]
    counts = {"both": both, "only champion": first, "only challenger": second, "neither": ~declines[0] & ~declines[1]}
    return Comparison(champion.name, challenger.name, len(truth), int(truth.sum()), tuple(found), undefined,
                      {name: int(rows.sum()) for name, rows in counts.items()})  # fmt: skip


def _told(metric: str, champion: float, challenger: float, low: float, high: float, *, higher: bool) -> Difference:
    verdict = "no difference shown"
    if low > 0 or high < 0:
        verdict = "better" if (low > 0) == higher else "worse"
    return Difference(metric, champion, challenger, challenger - champion, float(low), float(high), verdict)


def _log_loss(y: Floats, p: Floats) -> Floats:
    clipped = np.clip(p, _CLIP, 1 - _CLIP)
    return np.asarray(-(y * np.log(clipped) + (1 - y) * np.log(1 - clipped)), dtype=np.float64)
