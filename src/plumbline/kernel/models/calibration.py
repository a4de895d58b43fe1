"""Are probabilities what they say, and the strictly increasing maps that put them right when they are not.

Everything works on log-odds: a score of 0 means even odds. A fitted map is applied with the elementary operations
``+ - * /`` and comparisons alone, so that it gives the same bits on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc

from plumbline.kernel.errors import InvalidInput
from plumbline.kernel.models.metrics import Undefined

Floats = npt.NDArray[np.float64]

REJECTED_BELOW = 0.01
PLATT_BELOW_EVENTS = 1000


@dataclass(frozen=True, slots=True)
class CalibrationTest:
    """Fit of y ~ intercept + slope * log-odds. Calibrated: 0 and 1. ``p`` tests both at once (chi², 2 df)."""

    intercept: float
    slope: float
    p: float
    observed: float
    expected: float


def log_odds(p: npt.ArrayLike) -> Floats:
    """ln(p / (1 - p)), clipped at 1e-15."""
    clipped = np.clip(np.asarray(p, dtype=np.float64), 1e-15, 1 - 1e-15)
    return np.asarray(np.log(clipped) - np.log1p(-clipped), dtype=np.float64)


def _likelihood(event: Floats, eta: Floats) -> float:
    return float(np.sum(event * eta - np.logaddexp(0.0, eta)))


def calibration(y: npt.ArrayLike, scores: npt.ArrayLike) -> CalibrationTest:
    """Calibration intercept, slope and likelihood-ratio test, 2 (l(a, b) - l(0, 1)), by Newton's method.

    :param scores: log-odds, shape (rows,).
    :raises Undefined: one class only, one score only, or classes that the score separates perfectly.
    """
    event, x = np.asarray(y, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if not 0 < event.sum() < len(event):
        raise Undefined("calibration needs both classes")
    if not np.ptp(x) > 0:
        raise Undefined("calibration needs scores that differ")
    design = np.column_stack((np.ones_like(x), x))
    beta = np.array([0.0, 1.0])
    best = _likelihood(event, design @ beta)
    start = best
    for _ in range(100):
        p = np.exp(-np.logaddexp(0.0, -(design @ beta)))
        hessian = design.T @ (design * (p * (1 - p))[:, None])
        gradient = design.T @ (event - p)
        try:
            step = np.linalg.solve(hessian, gradient)
        except np.linalg.LinAlgError:
            raise Undefined("the score separates the classes perfectly") from None
        scale, value = 1.0, _likelihood(event, design @ (beta + step))
        while value < best and scale > 1e-8:
            scale /= 2
            value = _likelihood(event, design @ (beta + scale * step))
        beta = beta + scale * step
        moved = float(np.abs(scale * step).max())
        best = max(best, value)
        if moved < 1e-10 * (1 + float(np.abs(beta).max())):
            break
    if not np.isfinite(beta).all() or abs(beta[1]) > 1e6 or best > -1e-6:
        raise Undefined("the score separates the classes perfectly")
    expected = float(np.exp(-np.logaddexp(0.0, -x)).sum())
    ratio = max(0.0, 2 * (best - start))
    return CalibrationTest(float(beta[0]), float(beta[1]), float(chdtrc(2, ratio)), float(event.sum()), expected)


@dataclass(frozen=True, slots=True)
class CalibrationMap:
    """A strictly increasing map of log-odds: identity, straight line (Platt), or line segments between knots.

    Outside the knots the end segments go on with slope 1, so that the order of scores is never lost.
    """

    kind: Literal["identity", "platt", "isotonic"] = "identity"
    intercept: float = 0.0
    slope: float = 1.0
    knots: tuple[float, ...] = ()
    values: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.kind == "platt" and not self.slope > 0:
            raise InvalidInput("A calibration line must rise.", remedy="The scores rank the outcomes the wrong way.")
        if self.kind == "isotonic" and not (
            len(self.knots) == len(self.values) > 0 and all(np.diff(self.knots) > 0) and all(np.diff(self.values) > 0)
        ):
            raise InvalidInput("Calibration knots must rise.")

    def apply(self, scores: Floats) -> Floats:
        """Calibrated log-odds of log-odds."""
        if self.kind == "identity":
            return scores
        if self.kind == "platt":
            return np.asarray(scores * self.slope + self.intercept, dtype=np.float64)
        x, y = np.array(self.knots), np.array(self.values)
        width, rise = (np.concatenate(([1.0], np.diff(knots), [1.0])) for knots in (x, y))
        ceiling = np.append(y, np.inf)
        part = x.searchsorted(scores, "left")
        from_knot = np.maximum(part - 1, 0)
        mapped = y[from_knot] + (scores - x[from_knot]) / width[part] * rise[part]  # a share first: knots may lie close
        return np.asarray(np.minimum(mapped, ceiling[part]), dtype=np.float64)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able form; :meth:`from_dict` gives the same map back."""
        return {
            "kind": self.kind, "intercept": self.intercept, "slope": self.slope,
            "knots": list(self.knots), "values": list(self.values),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> CalibrationMap:
        return cls(
            data["kind"],
            float(data["intercept"]),
            float(data["slope"]),
            tuple(float(v) for v in data["knots"]),
            tuple(float(v) for v in data["values"]),
        )


def fit_platt(y: npt.ArrayLike, scores: npt.ArrayLike) -> CalibrationMap:
    """A straight line on the log-odds (Platt 1999, without his prior correction)."""
    test = calibration(y, scores)
    return CalibrationMap("platt", test.intercept, test.slope)


def fit_isotonic(y: npt.ArrayLike, scores: npt.ArrayLike) -> CalibrationMap:
    """Centred isotonic regression (Oron and Flournoy 2017): each flat block shrinks to a point, lines between them.

    A block's share is (events + 1/2) / (rows + 1), so that no log-odds are infinite; blocks this no longer puts in
    order are pooled.
    """
    from scipy.optimize import isotonic_regression

    event, x = np.asarray(y, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if not 0 < event.sum() < len(event):
        raise Undefined("calibration needs both classes")
    order = np.argsort(x, kind="stable")
    ranked, outcome = x[order], event[order]
    starts = np.append(0, np.flatnonzero(np.diff(ranked)) + 1)
    rows = np.diff(np.append(starts, len(ranked))).astype(np.float64)
    events = np.add.reduceat(outcome, starts)
    fitted = isotonic_regression(events / rows, weights=rows)
    edges = fitted.blocks[:-1]
    rows, events = np.add.reduceat(rows, edges), np.add.reduceat(events, edges)
    sums = np.add.reduceat(np.add.reduceat(ranked, starts), edges)
    blocks: list[tuple[float, float, float]] = []
    for block in zip(rows.tolist(), events.tolist(), sums.tolist(), strict=True):
        merged = block
        while blocks and _share(blocks[-1]) >= _share(merged):
            last = blocks.pop()
            merged = (last[0] + merged[0], last[1] + merged[1], last[2] + merged[2])
        blocks.append(merged)
    return CalibrationMap(
        "isotonic",
        knots=tuple(b[2] / b[0] for b in blocks),
        values=tuple(log_odds([_share(b) for b in blocks]).tolist()),
    )


def _share(block: tuple[float, float, float]) -> float:
    return (block[1] + 0.5) / (block[0] + 1)


def calibrate_if_needed(y: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[CalibrationMap, CalibrationTest | None]:
    """Measure first: the identity unless calibration is rejected at p < 0.01.

    Then Platt's line below 1,000 events, centred isotonic from there on. The test is ``None`` where it is undefined
    (one class): nothing can be said, nothing is changed.
    """
    try:
        test = calibration(y, scores)
    except Undefined:
        return CalibrationMap(), None
    if test.p >= REJECTED_BELOW:
        return CalibrationMap(), test
    if test.observed < PLATT_BELOW_EVENTS:
        return CalibrationMap("platt", test.intercept, test.slope), test
    return fit_isotonic(y, scores), test
