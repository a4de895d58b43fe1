"""The measures of a binary classifier, by the names under which the registry stores them.

Throughout, ``y`` is the truth (1 = the event), ``p`` the score of the event, ``predicted`` the label 0/1, all of shape
(rows,). A measure that does not exist for the given rows raises :class:`Undefined` with the reason; it is never 0.
NumPy only; equal to scikit-learn's within 1e-12.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import erfc, sqrt

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Interval = tuple[float, float]

Z95 = 1.959963984540054
ECE_BINS = 20
HISTOGRAM_BINS = 1000
_DRAWS = 10_000


class Undefined(ValueError):
    """This measure does not exist for these rows; the text says why."""


def _scores_by_class(y: npt.ArrayLike, p: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Sorted scores of the events and of the others."""
    event = np.asarray(y, dtype=bool)
    score = np.asarray(p, dtype=np.float64)
    ones, zeros = np.compress(event, score), np.compress(~event, score)  # seven times faster than a mask as index
    if not len(ones) or not len(zeros):
        raise Undefined(f"needs both classes; these {len(score)} rows have {len(ones)} events")
    ones.sort()
    zeros.sort()
    return ones, zeros


# Ranking


def roc_auc(y: npt.ArrayLike, p: npt.ArrayLike) -> float:
    """Probability that an event scores above a non-event, ties counting half."""
    ones, zeros = _scores_by_class(y, p)
    below = zeros.searchsorted(ones, "left")
    # The search from the right is only needed where a non-event has the same score.
    tied = zeros.take(below, mode="clip") == ones
    ties = zeros.searchsorted(ones[tied], "right") - below[tied]
    return float((2 * below.sum() + ties.sum()) / (2 * len(ones) * len(zeros)))


def gini(y: npt.ArrayLike, p: npt.ArrayLike) -> float:
    """2 AUC - 1."""
    return 2 * roc_auc(y, p) - 1


def ks(y: npt.ArrayLike, p: npt.ArrayLike) -> float:
    """Largest gap between the right-continuous score distributions of the two classes."""
    ones, zeros = _scores_by_class(y, p)
    at = np.concatenate((ones, zeros))
    gap = ones.searchsorted(at, "right") / len(ones) - zeros.searchsorted(at, "right") / len(zeros)
    return float(np.abs(gap).max())


def _by_distinct_score(y: npt.ArrayLike, p: npt.ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Distinct scores, descending, with the cumulated events and rows at or above each."""
    event = np.asarray(y, dtype=np.float64)
    score = np.asarray(p, dtype=np.float64)
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    return ranked[last], np.cumsum(event[order])[last], last + 1.0


def average_precision(y: npt.ArrayLike, p: npt.ArrayLike) -> float:
    """Sum over distinct scores, descending, of (R_k - R_{k-1}) P_k."""
    _scores_by_class(y, p)
    _, events, rows = _by_distinct_score(y, p)
    recall = events / events[-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * (events / rows)))


def recall_at_fpr(y: npt.ArrayLike, p: npt.ArrayLike, limit: float) -> float:
    """Highest recall at a threshold whose false-positive rate is at most ``limit``."""
    _, zeros = _scores_by_class(y, p)
    _, events, rows = _by_distinct_score(y, p)
    allowed = (rows - events) / len(zeros) <= limit
    return float(events[allowed].max(initial=0.0) / events[-1])


def precision_at_k(y: npt.ArrayLike, p: npt.ArrayLike, k: int, ids: npt.ArrayLike) -> float:
    """Share of events among the ``k`` highest scores, ties in the order of ``ids``."""
    event = np.asarray(y, dtype=np.float64)
    if not 1 <= k <= len(event):
        raise Undefined(f"needs at least {k} rows; there are {len(event)}")
    top = np.lexsort((np.asarray(ids), -np.asarray(p, dtype=np.float64)))[:k]
    return float(event[top].mean())


@dataclass(frozen=True, slots=True)
class PairedAuc:
    """Two scores of the same rows: their areas, variances, covariance, and the test of equality (two-sided)."""

    first: float
    second: float
    variance_first: float
    variance_second: float
    covariance: float

    @property
    def z(self) -> float:
        variance = self.variance_first + self.variance_second - 2 * self.covariance
        return (self.first - self.second) / sqrt(variance) if variance > 0 else 0.0

    @property
    def p(self) -> float:
        return erfc(abs(self.z) / sqrt(2))

    @property
    def interval(self) -> Interval:
        """95 % interval of first - second."""
        half = Z95 * sqrt(max(0.0, self.variance_first + self.variance_second - 2 * self.covariance))
        return self.first - self.second - half, self.first - self.second + half


def _placements(y: npt.ArrayLike, p: npt.ArrayLike) -> tuple[Floats, Floats]:
    """DeLong's structural components: of each event and of each non-event, in row order."""
    ones, zeros = _scores_by_class(y, p)
    if len(ones) < 2 or len(zeros) < 2:
        raise Undefined("a variance needs two rows of each class")
    event = np.asarray(y, dtype=bool)
    score = np.asarray(p, dtype=np.float64)
    mine, theirs = score[event], score[~event]
    of_ones = (zeros.searchsorted(mine, "left") + zeros.searchsorted(mine, "right")) / (2 * len(zeros))
    of_zeros = 1 - (ones.searchsorted(theirs, "left") + ones.searchsorted(theirs, "right")) / (2 * len(ones))
    return of_ones, of_zeros


def delong(y: npt.ArrayLike, first: npt.ArrayLike, second: npt.ArrayLike) -> PairedAuc:
    """Compare two AUCs on the same rows (DeLong, DeLong and Clarke-Pearson 1988)."""
    a1, a0 = _placements(y, first)
    b1, b0 = _placements(y, second)
    at_ones, at_zeros = np.cov(a1, b1) / len(a1), np.cov(a0, b0) / len(a0)
    covariance = at_ones + at_zeros
    return PairedAuc(
        float(a1.mean()), float(b1.mean()), float(covariance[0, 0]), float(covariance[1, 1]), float(covariance[0, 1])
    )


def delong_interval(y: npt.ArrayLike, p: npt.ArrayLike) -> Interval:
    """95 % interval of the AUC, cut to 0 … 1."""
    of_ones, of_zeros = _placements(y, p)
    half = Z95 * sqrt(of_ones.var(ddof=1) / len(of_ones) + of_zeros.var(ddof=1) / len(of_zeros))
    area = float(of_ones.mean())
    return max(0.0, area - half), min(1.0, area + half)


# Probability


def brier(y: npt.ArrayLike, p: npt.ArrayLike) -> float:
    """Mean (p - y)²."""
    event, score = _rows(y, p)
    return float(np.mean((score - event) ** 2))


def log_loss(y: npt.ArrayLike, p: npt.ArrayLike) -> float:
    """Mean -ln of the probability given to the truth, clipped at 1e-15."""
    event, score = _rows(y, p)
    score = np.clip(score, 1e-15, 1 - 1e-15)
    return float(-np.mean(np.where(event > 0, np.log(score), np.log1p(-score))))


def _rows(y: npt.ArrayLike, p: npt.ArrayLike) -> tuple[Floats, Floats]:
    event, score = np.asarray(y, dtype=np.float64), np.asarray(p, dtype=np.float64)
    if not len(event):
        raise Undefined("there are no rows")
    return event, score


def equal_count_starts(ranked: Floats, bins: int = ECE_BINS) -> Integers:
    """First row of each bin of ascending scores: about equal counts, rows of one score never in two bins."""
    n = len(ranked)
    cuts = np.ceil(np.arange(1, bins) * n / bins).astype(np.int64)
    ends = ranked.searchsorted(ranked[np.maximum(cuts, 1) - 1], "right")
    starts = np.unique(np.concatenate(([0], ends)))
    return starts[starts < n].astype(np.int64)


def _ranked(y: npt.ArrayLike, p: npt.ArrayLike, bins: int) -> tuple[Floats, Floats, Integers, Integers]:
    event, score = _rows(y, p)
    order = np.argsort(score, kind="stable")
    ranked = score[order]
    starts = equal_count_starts(ranked, bins)
    return event[order], ranked, starts, np.diff(np.append(starts, len(ranked)))


def ece(y: npt.ArrayLike, p: npt.ArrayLike, bins: int = ECE_BINS) -> float:
    """Expected calibration error: sum over bins of n_b/n |mean p - event share|."""
    event, score, starts, _ = _ranked(y, p, bins)
    return float(np.abs(np.add.reduceat(score - event, starts)).sum() / len(score))


def ece_floor(p: npt.ArrayLike, *, bins: int = ECE_BINS, draws: int = 100, seed: int = 0) -> float:
    """Mean ECE of perfectly calibrated scores: outcomes redrawn from ``p`` itself. An ECE is read against it."""
    _, score, starts, _ = _ranked(p, p, bins)
    rng = np.random.default_rng(seed)
    total = 0.0
    for _ in range(draws):
        event = rng.random(len(score)) < score
        total += float(np.abs(np.add.reduceat(score - event, starts)).sum())
    return total / (draws * len(score))


@dataclass(frozen=True, slots=True)
class ReliabilityPoint:
    """One bin of a reliability diagram: rows, mean score, share of events with its Wilson interval."""

    rows: int
    mean_score: float
    observed: float
    interval: Interval


def reliability(y: npt.ArrayLike, p: npt.ArrayLike, bins: int = ECE_BINS) -> list[ReliabilityPoint]:
    """The bins of :func:`ece`, lowest scores first."""
    event, score, starts, counts = _ranked(y, p, bins)
    events = np.add.reduceat(event, starts)
    scores = np.add.reduceat(score, starts)
    return [
        ReliabilityPoint(int(n), float(s / n), float(e / n), wilson(float(e), int(n)))
        for n, s, e in zip(counts, scores, events, strict=True)
    ]


def histogram(y: npt.ArrayLike, p: npt.ArrayLike, bins: int = HISTOGRAM_BINS) -> Integers:
    """Counts of scores in 0 … 1, shape (2, bins), row = class; histograms of batches add up to that of their union."""
    event, score = _rows(y, p)
    if score.min() < 0 or score.max() > 1:
        raise Undefined("scores lie outside 0 … 1")
    cell = np.minimum((score * bins).astype(np.int64), bins - 1) + bins * (event > 0)
    return np.bincount(cell, minlength=2 * bins).reshape(2, bins).astype(np.int64)


# Decisions


@dataclass(frozen=True, slots=True)
class Confusion:
    """Four counts: every measure of a decision at one threshold follows from them."""

    tp: int
    fp: int
    fn: int
    tn: int

    @property
    def n(self) -> int:
        return self.tp + self.fp + self.fn + self.tn


def confusion(y: npt.ArrayLike, predicted: npt.ArrayLike) -> Confusion:
    """Count truth against label in one pass."""
    cell = 2 * np.asarray(y).astype(np.int8) + np.asarray(predicted).astype(np.int8)
    tn, fp, fn, tp = np.bincount(cell, minlength=4).tolist()
    return Confusion(tp, fp, fn, tn)


def _ratio(part: float, whole: float, reason: str) -> float:
    if not whole:
        raise Undefined(reason)
    return part / whole


def accuracy(c: Confusion) -> float:
    """(TP + TN) / n."""
    return _ratio(c.tp + c.tn, c.n, "there are no rows")


def precision(c: Confusion) -> float:
    """TP / (TP + FP)."""
    return _ratio(c.tp, c.tp + c.fp, "nothing was predicted to be an event")


def recall(c: Confusion) -> float:
    """TP / (TP + FN)."""
    return _ratio(c.tp, c.tp + c.fn, "there are no events")


def specificity(c: Confusion) -> float:
    """TN / (TN + FP)."""
    return _ratio(c.tn, c.tn + c.fp, "there are only events")


def f_beta(c: Confusion, beta: float) -> float:
    """(1 + b²) TP / ((1 + b²) TP + b² FN + FP)."""
    weighted = (1 + beta * beta) * c.tp
    return _ratio(weighted, weighted + beta * beta * c.fn + c.fp, "there are no events, true or predicted")


def f1(c: Confusion) -> float:
    """2 TP / (2 TP + FP + FN)."""
    return f_beta(c, 1.0)


def f_beta_3_2(c: Confusion) -> float:
    """F with beta = 3.2."""
    return f_beta(c, 3.2)


def balanced_accuracy(c: Confusion) -> float:
    """(recall + specificity) / 2."""
    return (recall(c) + specificity(c)) / 2


def mcc(c: Confusion) -> float:
    """Matthews' correlation of truth and label."""
    rows = (c.tp + c.fp) * (c.tp + c.fn) * (c.tn + c.fp) * (c.tn + c.fn)
    return _ratio(c.tp * c.tn - c.fp * c.fn, sqrt(rows), "truth or label has one class only")


def kappa(c: Confusion) -> float:
    """Cohen's kappa, (p_o - p_e) / (1 - p_e)."""
    agreed = accuracy(c)
    chance = ((c.tp + c.fp) * (c.tp + c.fn) + (c.tn + c.fp) * (c.tn + c.fn)) / c.n**2
    return _ratio(agreed - chance, 1 - chance, "truth and label are one class")


def cost_per_case(c: Confusion, cost_fn: float = 10.0, cost_fp: float = 1.0) -> float:
    """(c_FN FN + c_FP FP) / n."""
    return _ratio(cost_fn * c.fn + cost_fp * c.fp, c.n, "there are no rows")


def wilson(successes: float, n: int, z: float = Z95) -> Interval:
    """Wilson's interval of a share."""
    if not n:
        raise Undefined("a share of no rows")
    share = successes / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    # At the ends the formula is exactly 0 or 1; rounding must not put the bound beyond the share itself.
    return (middle - half if successes > 0 else 0.0), (middle + half if successes < n else 1.0)


def drawn_interval(
    c: Confusion, measure: Callable[[Confusion], float], *, seed: int = 0, draws: int = _DRAWS
) -> Interval:
    """95 % interval of a measure from multinomial draws of the four counts; undefined draws are left out."""
    if not c.n:
        raise Undefined("there are no rows")
    counts = np.array([c.tp, c.fp, c.fn, c.tn])
    values = []
    for drawn in np.random.default_rng(seed).multinomial(c.n, counts / c.n, size=draws).tolist():
        try:
            values.append(measure(Confusion(*drawn)))
        except Undefined:
            continue
    if not values:
        raise Undefined("no draw of the counts defines it")
    low, high = np.quantile(values, (0.025, 0.975)).tolist()
    return low, high


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Named measures of one set of rows, those with an interval, and those that do not exist with the reason."""

    rows: int
    events: int
    threshold: float
    counts: Confusion
    values: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, Interval] = field(default_factory=dict)
    undefined: dict[str, str] = field(default_factory=dict)


_OF_SCORES: dict[str, Callable[[npt.ArrayLike, npt.ArrayLike], float]] = {
    "roc_auc": roc_auc, "gini": gini, "ks": ks, "average_precision": average_precision,
    "brier": brier, "log_loss": log_loss, "ece": ece,
}  # fmt: skip
_OF_COUNTS: dict[str, Callable[[Confusion], float]] = {
    "accuracy": accuracy, "precision": precision, "recall": recall, "specificity": specificity, "f1": f1,
    "f_beta_3_2": f_beta_3_2, "balanced_accuracy": balanced_accuracy, "mcc": mcc, "kappa": kappa,
}  # fmt: skip


def evaluate(
    y: npt.ArrayLike, p: npt.ArrayLike, *, threshold: float, cost_fn: float = 10.0, cost_fp: float = 1.0, seed: int = 0
) -> Evaluation:
    """Every measure of this module; a row counts as a predicted event from ``p >= threshold`` on."""
    event, score = np.asarray(y, dtype=bool), np.asarray(p, dtype=np.float64)
    counts = confusion(event, score >= threshold)
    result = Evaluation(len(event), int(event.sum()), threshold, counts)

    def put(name: str, value: Callable[[], float], interval: Callable[[], Interval] | None = None) -> None:
        try:
            result.values[name] = value()
            if interval is not None:
                result.intervals[name] = interval()
        except Undefined as reason:
            result.undefined[name] = str(reason)

    for name, of_scores in _OF_SCORES.items():
        put(name, lambda f=of_scores: f(event, score))  # type: ignore[misc]
    put("roc_auc", lambda: roc_auc(event, score), lambda: delong_interval(event, score))
    put("ece_floor", lambda: ece_floor(score, seed=seed))
    shares = {
        "accuracy": (counts.tp + counts.tn, counts.n), "precision": (counts.tp, counts.tp + counts.fp),
        "recall": (counts.tp, counts.tp + counts.fn), "specificity": (counts.tn, counts.tn + counts.fp),
    }  # fmt: skip
    for name, of_counts in _OF_COUNTS.items():
        if name in shares:
            put(name, lambda f=of_counts: f(counts), lambda n=name: wilson(*shares[n]))  # type: ignore[misc]
        else:
            put(name, lambda f=of_counts: f(counts), lambda f=of_counts: drawn_interval(counts, f, seed=seed))  # type: ignore[misc]
    put("cost_per_case", lambda: cost_per_case(counts, cost_fn, cost_fp))
    return result
