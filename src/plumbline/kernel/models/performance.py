"""How a version did on a cohort whose truth is known, with 95 % intervals, and what cannot be known with the reason (pure).

Where the truth is seen of accepted cases only, what needs the others' truth has no figure (recall, precision, cost, and the
ranking over all cases); what can be said of the accepted ones bears the ending ``_accepted``.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

from plumbline.kernel.models import metrics
from plumbline.kernel.models.calibration import calibration, log_odds
from plumbline.kernel.models.metrics import Z95, Evaluation, Interval, Undefined
from plumbline.kernel.models.outcomes import Rates
from plumbline.kernel.models.sampling import weighted

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int8]

SELECTIVE = "labels only for accepted"
ACCEPTED = "_accepted"
FEWEST = 30
"""Below so many labelled rows nothing is said: an interval would hold nearly everything."""
OF_SCORES = ("roc_auc", "gini", "ks", "average_precision", "brier", "log_loss", "ece", "ece_floor", "calibration_intercept",
             "calibration_slope", "calibration_p")  # fmt: skip
OF_COUNTS = ("accuracy", "precision", "recall", "specificity", "f1", "f_beta_3_2", "balanced_accuracy", "mcc", "kappa")
UNKNOWN = -1
"""In an array of labels: the outcome is not known."""


@dataclass(frozen=True, slots=True)
class Performance:
    """Named measures of a cohort.

    :ivar verdict: ``measured``, or ``unknown`` with its ``reason``: too few rows, or one class only.
    :ivar labelled: rows the measures are of.
    :ivar audit: of an audit sample that let measures over all be made: its cases, and how many they stand for.
    """

    verdict: str
    reason: str
    labelled: int
    events: int
    measured: Evaluation
    histogram: list[list[int]] | None
    audit: dict[str, float] | None = None


def performance(p: Floats, labels: Labels, seen: npt.NDArray[np.bool_], rates: Rates, *, selective: bool, drawn: Floats | None = None,
                cost_name: str = "cost_per_case", seed: int = 0) -> Performance:  # fmt: skip
    """The measures of one cohort, all arrays of shape (decisions,).

    :param p: probabilities of the event, as decided.
    :param labels: 1 event, 0 none, :data:`UNKNOWN`.
    :param seen: whether the truth of a decision is seen by the way things go (accepted).
    :param selective: the truth is seen of those only.
    :param drawn: with which probability an audit drew each of the others that has a label; NaN where it did not.
    """
    used = (labels != UNKNOWN) & seen if selective else labels != UNKNOWN
    y, score = labels[used] == 1, p[used]
    events = int(y.sum())
    approved = int((p < rates.threshold).sum())
    if len(y) < FEWEST:
        reason = f"{len(y)} rows with an outcome; at least {FEWEST} are needed"
        measured = Evaluation(len(y), events, rates.threshold, metrics.confusion(y, score >= rates.threshold))
        measured.undefined.update({name + (ACCEPTED if selective else ""): reason for name in OF_SCORES})
        measured.undefined.update(dict.fromkeys((*OF_COUNTS, cost_name), SELECTIVE if selective else reason))
    else:
        measured = _measured(y, score, rates, cost_name, seed)
        reason = "" if 0 < events < len(y) else f"one class only: {events} of {len(y)} rows are events"
        if selective:
            measured = _of_accepted(measured, cost_name)
    audit = _audited(measured, p, labels, seen, rates, drawn, cost_name, seed) if selective else None
    if len(p):
        measured.values["approval_rate"] = approved / len(p)
        measured.intervals["approval_rate"] = metrics.wilson(approved, len(p))
    histogram = metrics.histogram(y, score).tolist() if len(y) and score.min() >= 0 and score.max() <= 1 else None
    return Performance("unknown" if reason else "measured", reason, len(y), events, measured, histogram, audit)


def _audited(measured: Evaluation, p: Floats, labels: Labels, seen: npt.NDArray[np.bool_], rates: Rates, drawn: Floats | None,
             cost_name: str, seed: int) -> dict[str, float] | None:  # fmt: skip
    """Put in what an audit sample of the others lets be said of all; why not, where it does not."""
    known = labels != UNKNOWN
    measured.undefined.update(dict.fromkeys(OF_SCORES, SELECTIVE))
    sample = known & ~seen & np.isfinite(drawn) if drawn is not None else np.zeros(len(p), dtype=bool)
    if drawn is None or not sample.any():
        return None
    cell = (2 * (labels == 1) + (p >= rates.threshold)).astype(np.intp)
    try:
        found = weighted(
            cell[known & seen],
            int(seen.sum()),
            cell[sample],
            drawn[sample],
            int((~seen).sum()),
            rates,
            cost_name,
            seed=seed,
        )
    except Undefined as reason:
        measured.undefined.update(dict.fromkeys((*OF_COUNTS, cost_name), f"{SELECTIVE}; {reason}"))
        return None
    for name, value in found.values.items():
        measured.values[name], measured.intervals[name] = value, found.intervals[name]
        measured.undefined.pop(name, None)
    return {"cases": found.cases, "weight": found.weight}


def _measured(y: npt.NDArray[np.bool_], p: Floats, rates: Rates, cost_name: str, seed: int) -> Evaluation:
    """The kernel's measures with the calibration line, and an interval wherever one has a known form."""
    found = metrics.evaluate(
        y, p, threshold=rates.threshold, cost_fn=rates.cost_missed, cost_fp=rates.cost_false, seed=seed
    )
    counts, n = found.counts, len(y)
    values, intervals = found.values, found.intervals
    values[cost_name] = values.pop("cost_per_case")
    cost = [rates.cost_missed] * counts.fn, [rates.cost_false] * counts.fp, [0.0] * (n - counts.fn - counts.fp)
    clipped = np.clip(p, 1e-15, 1 - 1e-15)
    if found.events not in (0, n):  # of one class their spread says nothing of what the other would do
        intervals[cost_name] = _of_mean(np.concatenate(cost))
        intervals["brier"] = _of_mean((p - y) ** 2)
        intervals["log_loss"] = _of_mean(-np.where(y, np.log(clipped), np.log1p(-clipped)))
    if "roc_auc" in intervals:
        low, high = intervals["roc_auc"]
        intervals["gini"] = 2 * low - 1, 2 * high - 1
    try:
        line = calibration(y, log_odds(p))
        of_intercept, of_slope = _of_line(log_odds(p), line.intercept, line.slope)
        values |= {"calibration_intercept": line.intercept, "calibration_slope": line.slope, "calibration_p": line.p}
        intervals |= {"calibration_intercept": of_intercept, "calibration_slope": of_slope}
    except Undefined as reason:
        found.undefined.update(
            dict.fromkeys(("calibration_intercept", "calibration_slope", "calibration_p"), str(reason))
        )
    return found


def _of_mean(values: Floats) -> Interval:
    """By the central limit theorem; none of these measures can be below 0."""
    mean = float(values.mean())
    half = Z95 * float(values.std(ddof=1)) / sqrt(len(values)) if len(values) > 1 else 0.0
    return max(0.0, mean - half), mean + half


def _of_line(x: Floats, intercept: float, slope: float) -> tuple[Interval, Interval]:
    """Wald's intervals of the two coefficients of a logistic line, from the inverse of its information matrix."""
    q = np.exp(-np.logaddexp(0.0, -(intercept + slope * x)))
    weight = q * (1 - q)
    information = np.array([[weight.sum(), (weight * x).sum()], [(weight * x).sum(), (weight * x * x).sum()]])
    try:
        variance = np.diag(np.linalg.inv(information))
    except np.linalg.LinAlgError:
        variance = np.full(2, np.nan)
    if not (np.isfinite(variance).all() and (variance > 0).all()):
        raise Undefined("the score separates the classes perfectly")
    half = Z95 * np.sqrt(variance)
    return (intercept - float(half[0]), intercept + float(half[0])), (slope - float(half[1]), slope + float(half[1]))


def _of_accepted(found: Evaluation, cost_name: str) -> Evaluation:
    """The same with the names of what it is of; measures that need the truth of the refused ones go."""
    kept = Evaluation(found.rows, found.events, found.threshold, found.counts)
    kept.values.update({n + ACCEPTED: v for n, v in found.values.items() if n in OF_SCORES})
    kept.intervals.update({n + ACCEPTED: v for n, v in found.intervals.items() if n in OF_SCORES})
    kept.undefined.update({n + ACCEPTED: v for n, v in found.undefined.items() if n in OF_SCORES})
    kept.undefined.update(dict.fromkeys((*OF_COUNTS, cost_name), SELECTIVE))
    return kept
