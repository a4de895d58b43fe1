"""What a page draws of a version: calibration, cost, importance, figures side by side (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from plumbline.console import charts, formats
from plumbline.console.charts import Bar
from plumbline.kernel.models.cohorts import PREFIX
from plumbline.kernel.models.metrics import wilson
from plumbline.kernel.models.performance import ACCEPTED
from plumbline.kernel.models.service import Measured
from plumbline.kernel.models.service.registry import newest_of_each
from plumbline.kernel.models.tables import Model

ORDER = ("roc_auc", "gini", "ks", "average_precision", "brier", "log_loss", "ece", "ece_floor", "calibration_intercept",
         "calibration_slope", "calibration_p", "cost_per_application", "cost_per_case", "approval_rate", "accuracy", "precision", "recall",
         "specificity", "f1", "f_beta_3_2", "balanced_accuracy", "mcc", "kappa")  # fmt: skip
"""Discrimination, calibration, cost, then what hangs on the threshold."""
NAMES = {
    "roc_auc": "ROC AUC", "ks": "KS", "ece": "ECE", "ece_floor": "ECE of a perfect model", "mcc": "MCC", "f1": "F1", "f_beta_3_2": "F-beta 3.2",
    "brier": "Brier score", "mae": "MAE", "rmse": "RMSE", "r2": "R²", "calibration_p": "Calibration p",
}  # fmt: skip
TOLD_FIRST = ("test", "validation", "cross_validation", "policy", "train")
BINS = 20
IN_A_BIN = 50
"""Rows of a bin at least, so that its interval says something: few rows have fewer bins."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart, what it is of, and its numbers as rows."""

    title: str
    sub: str
    chart: Markup
    headers: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure on one dataset: written out, its interval, or why there is none; ``note`` says which of the rows it is of."""

    value: str
    interval: str = ""
    missing: str = ""
    note: str = ""


def name_of(metric: str) -> str:
    return NAMES.get(metric) or metric.replace("_", " ").capitalize()


def dataset_of(dataset: str) -> str:
    return dataset.replace("_", " ").replace(":", " ").capitalize()


def figure(value: float) -> str:
    """Three decimals, more for what is small."""
    digits = 3 if value == 0 or abs(value) >= 0.1 else 4
    return formats.number(value, digits)


def latest(evaluations: Sequence[Measured]) -> list[Measured]:
    """The newest evaluation of each dataset, those that say most first; of its own decisions only the newest cohort, one that could
    be judged if there is any."""
    seen = {one.evaluation.dataset: one for one in newest_of_each(evaluations)}
    own = sorted((seen[d].evaluation.extra.get("verdict") == "measured", d) for d in seen if d.startswith(PREFIX))
    for _, dataset in own[:-1]:
        del seen[dataset]
    return sorted(seen.values(), key=lambda m: (_rank(TOLD_FIRST, m.evaluation.dataset), m.evaluation.dataset))


def figures(evaluations: Sequence[Measured]) -> list[tuple[str, str, list[Cell]]]:
    """Metric → a cell a dataset, in the order of the datasets. One that is of the accepted only stands in the row of the other."""
    given = {name for one in evaluations for name in (*one.metrics, *one.evaluation.extra.get("undefined", {}))}
    names = {name.removesuffix(ACCEPTED) for name in given}
    ordered = sorted(names, key=lambda name: (_rank(ORDER, name), name))
    return [(name, name_of(name), [_cell(one, name) for one in evaluations]) for name in ordered]


def _cell(one: Measured, name: str) -> Cell:
    for wanted in (name, name + ACCEPTED):
        if wanted in one.metrics:
            pair = one.evaluation.extra.get("intervals", {}).get(wanted)
            interval = f"{figure(pair[0])} to {figure(pair[1])}" if pair else ""
            return Cell(figure(one.metrics[wanted]), interval, note="" if wanted == name else "accepted only")
    undefined = one.evaluation.extra.get("undefined", {})
    return Cell("", missing=undefined.get(name + ACCEPTED) or undefined.get(name) or "not measured")


def _rank(order: Sequence[str], name: str) -> int:
    return order.index(name) if name in order else len(order)


def headline(model: Model) -> tuple[str, str] | None:
    """The first of a version's main figures: its name and value."""
    for name in sorted(model.metrics, key=lambda n: (_rank(ORDER, n), n)):
        return name_of(name), figure(model.metrics[name])
    return None


def reliability(model: Model, evaluations: Sequence[Measured]) -> Picture | None:
    """Observed against predicted share, on the rows that had least to do with training."""
    for one in evaluations:
        if "histogram" in one.evaluation.extra and one.evaluation.dataset != "train":
            return _reliability(
                from_histogram(one.evaluation.extra["histogram"]), dataset_of(one.evaluation.dataset).lower()
            )
    held = model.extra.get("reliability") or []
    points = [(p["mean_score"], p["observed"], int(p["rows"]), (p["interval"][0], p["interval"][1])) for p in held]
    return _reliability(points, "policy")


_Bin = tuple[float, float, int, tuple[float, float]]


def from_histogram(histogram: Sequence[Sequence[int]], bins: int | None = None) -> list[_Bin]:
    """Bins of about equal counts from an additive score histogram (class × score): predicted, observed, n, Wilson interval."""
    without, events = histogram
    width, total = 1 / len(events), sum(without) + sum(events)
    bins = bins or max(1, min(BINS, total // IN_A_BIN))
    points: list[_Bin] = []
    n = hit = 0
    mass = 0.0
    for i, (a, b) in enumerate(zip(without, events, strict=True)):
        n, hit, mass = n + a + b, hit + b, mass + (a + b) * (i + 0.5) * width
        if n and (n * bins >= total or i == len(events) - 1):
            points.append((mass / n, hit / n, n, wilson(hit, n)))
            n = hit = 0
            mass = 0.0
    return points


def _reliability(points: list[_Bin], dataset: str) -> Picture | None:
    if not points:
        return None
    rows = sum(p[2] for p in points)
    off = sum(p[2] * abs(p[0] - p[1]) for p in points) / rows
    label = f"On {formats.plural(rows, 'row')} of {dataset}, predicted and observed shares differ by {formats.points(off).lstrip('+')} on average."
    chart = charts.reliability(label, [p[:3] for p in points], intervals=[p[3] for p in points], noun="Rows")
    table = [
        (formats.percent(p), formats.percent(o), f"{n:,}", f"{formats.percent(low)} to {formats.percent(high)}")
        for p, o, n, (low, high) in points
    ]
    return Picture("Calibration", f"Observed share over predicted, {formats.plural(rows, 'row')} of {dataset}; bars are 95 % intervals", chart,
                   ("Predicted", "Observed", "Rows", "95 % interval"), table)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cut:
    """What a threshold does on the rows its curve was measured on: the grid's nearest point.

    :ivar approves: share of the rows that are approved.
    :ivar more: its cost less that of the threshold in use, both at their grid points.
    """

    threshold: float
    cost: float
    low: float
    high: float
    approves: float
    more: float


def cut(model: Model, threshold: float) -> Cut | None:
    """A threshold looked at beside the one in use, if the room has measured a curve."""
    curve, used = model.extra.get("curve"), model.extra.get("threshold")
    if not curve or used is None:
        return None

    def nearest(at: float) -> int:
        return min(range(len(curve["thresholds"])), key=lambda i: abs(curve["thresholds"][i] - at))

    i, now = nearest(threshold), nearest(used)
    return Cut(curve["thresholds"][i], curve["cost"][i], curve["low"][i], curve["high"][i], curve["approval_rate"][i],
               curve["cost"][i] - curve["cost"][now])  # fmt: skip


def cost(model: Model, tried: float | None = None) -> Picture | None:
    """What each threshold costs, if the room has measured it.

    :param tried: a threshold that is looked at.
    """
    curve, threshold = model.extra.get("curve"), model.extra.get("threshold")
    if not curve or threshold is None or len(curve["thresholds"]) < 2:
        return None
    points = list(zip(curve["thresholds"], curve["cost"], strict=True))
    spans = dict(zip(curve["thresholds"], zip(curve["low"], curve["high"], strict=True), strict=True))
    at = min(points, key=lambda p: abs(p[0] - threshold))
    cheapest = min(points, key=lambda p: p[1])
    label = f"The threshold {formats.percent(threshold)} costs {formats.number(at[1], 3)} a decision; the cheapest is {formats.percent(cheapest[0])}."
    shown = charts.thin(points)
    chart = charts.cost_curve(label, shown, threshold=threshold, best=None if tried is not None else cheapest[0], tried=tried, band=[spans[t] for t, _ in shown],
                              unit="Cost a decision")  # fmt: skip
    rows = shown[:: max(1, len(shown) // 25)]
    table = [(formats.percent(t), formats.number(c, 4), f"{formats.number(spans[t][0], 4)} to {formats.number(spans[t][1], 4)}") for t, c in rows]  # fmt: skip
    return Picture("Cost by threshold", "Mean cost of a decision, a missed event and a refused good one weighed by the policy; the tint is its 95 % interval",
                   chart, ("Threshold", "Cost a decision", "95 % interval"), table)  # fmt: skip


def importance(evaluations: Sequence[Measured], *, most: int = 15) -> Picture | None:
    """The inputs that move the score most."""
    shares = next((m.evaluation.feature_importance for m in evaluations if m.evaluation.feature_importance), None)
    if not shares:
        return None
    ranked = sorted(shares.items(), key=lambda item: -item[1])
    shown = ranked[:most]
    label = f"{ranked[0][0]} moves the score most: {formats.percent(ranked[0][1])} of all contributions."
    bars = [Bar(name, share, "", formats.percent(share)) for name, share in shown]
    rest = sum(share for _, share in ranked[most:])
    sub = "Share of the mean absolute contribution"
    if rest > 0:
        sub += f"; {formats.plural(len(ranked) - most, 'further input')} hold {formats.percent(rest)}"
    return Picture("What it looks at", sub, charts.bars(label, bars, name="Input", measure="Share"), (), [])
