"""The additive twin: stumps collapsed to one table per feature, a scorecard one can read, beside the champion.

A stump looks at one feature, so boosted stumps are a generalised additive model (Lou, Caruana and Gehrke 2012): its sum
over the trees of a feature is a step function of it. The champion decides; the twin says how much of it is additive.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from plumbline.credit.features.matrix import Matrix
from plumbline.credit.modelling.champion import Labels, Settings, cross_validate, fit
from plumbline.credit.modelling.points import PointScale
from plumbline.credit.modelling.trees import Forest
from plumbline.kernel.errors import InvalidInput
from plumbline.kernel.models.calibration import REJECTED_BELOW, calibration
from plumbline.kernel.models.metrics import Undefined, delong

Floats = npt.NDArray[np.float64]

STUMPS = 300
"""At twice the champion's learning rate: 600 at its own rate rank at most 0.001 of AUC better (four public sets) and take twice as long."""


@dataclass(frozen=True, slots=True)
class _Index:
    """Where the tables of the features that count lie: feature, feature of each edge, first edge, first value."""

    used: npt.NDArray[np.int64]
    of_edge: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Twin:
    """Tables of log-odds, flat: feature ``i`` has edges ``first[i]:first[i + 1]`` and values ``first[i] + i`` to
    ``first[i + 1] + i``, both included; a value lies in bin ``b`` if it is above edge ``b - 1`` and not above edge ``b``.

    :ivar base: calibrated log-odds of an average training row; values are relative to it (their training mean is 0).
    :ivar missing: the value of a missing cell, for each feature.
    :ivar points, points_missing, points_base: the same, rounded to whole points. Unrounded values make the probability.
    """

    base: float
    first: npt.NDArray[np.int64]
    edges: Floats
    values: Floats
    missing: Floats
    points: npt.NDArray[np.int32]
    points_missing: npt.NDArray[np.int32]
    points_base: int

    @property
    def used(self) -> int:
        """Features that count at all."""
        return int((np.diff(self.first) > 0).sum())

    def table(self, feature: int) -> tuple[Floats, Floats]:
        """Edges and values of a feature: one value more than edges."""
        start, end = int(self.first[feature]), int(self.first[feature + 1])
        return self.edges[start:end], self.values[start + feature : end + feature + 1]

    def contributions(self, values: Floats) -> Floats:
        """Log-odds of each cell relative to the base, shape (features, rows)."""
        return self._looked_up(values, self.values, self.missing)

    def log_odds(self, values: Floats, rows: npt.NDArray[np.intp] | None = None) -> Floats:
        """Calibrated log-odds, added in the order of the features: a row has the same bits alone and among others.

        :param rows: only these, in this order; shape (rows,).
        """
        self._check(values)
        total = np.full(len(values) if rows is None else len(rows), self.base)
        for i in self._index.used.tolist():
            total += self._column(i, values[:, i] if rows is None else values[rows, i], self.values, self.missing)
        return total

    def one(self, row: Floats) -> float:
        """Calibrated log-odds of one row, shape (features,): the bits of :meth:`log_odds`, without a loop over features."""
        index = self._index
        if not len(index.used):
            return self.base
        cell = np.add.reduceat(self.edges < row[index.of_edge], index.starts, dtype=np.intp)
        given = row[index.used]
        found = np.empty(len(given) + 1)
        found[0] = self.base
        found[1:] = np.where(np.isnan(given), self.missing[index.used], self.values[index.offsets + cell])
        return float(np.add.accumulate(found)[-1])  # one after another, as the loop does

    @cached_property
    def _index(self) -> _Index:
        used = np.flatnonzero(np.diff(self.first) > 0)
        of_edge = np.repeat(np.arange(len(self.missing)), np.diff(self.first))
        return _Index(used, of_edge, self.first[used], self.first[used] + used)

    def score(self, values: Floats) -> Floats:
        """Whole points, as they are added up by hand."""
        cells = self._looked_up(values, self.points.astype(np.float64), self.points_missing.astype(np.float64))
        return np.asarray(self.points_base + cells.sum(axis=0), dtype=np.float64)

    def _looked_up(self, values: Floats, table: Floats, missing: Floats) -> Floats:
        self._check(values)
        found = np.empty((values.shape[1], len(values)))
        for i in range(values.shape[1]):
            found[i] = self._column(i, values[:, i], table, missing)
        return found

    def _column(self, i: int, column: Floats, table: Floats, missing: Floats) -> Floats:
        start, end = int(self.first[i]), int(self.first[i + 1])
        cell = self.edges[start:end].searchsorted(column, "left")  # NaN comes last: not used
        return np.where(np.isnan(column), missing[i], table[start + i + cell])

    def _check(self, values: Floats) -> None:
        if values.ndim != 2 or values.shape[1] != len(self.missing):
            raise InvalidInput(f"The twin needs {len(self.missing)} features.")

    def on(self, scale: PointScale) -> Twin:
        """The same twin with points on another scale."""
        own, absent = (np.rint(-scale.factor * part).astype(np.int32) for part in (self.values, self.missing))
        return replace(
            self, points=own, points_missing=absent, points_base=round(scale.offset - scale.factor * self.base)
        )

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What an artefact keeps."""
        return {
            "base": np.array([self.base]), "first": self.first, "edges": self.edges, "values": self.values, "missing": self.missing,
            "points": self.points, "points_missing": self.points_missing, "points_base": np.array([self.points_base], dtype=np.int32),
        }  # fmt: skip

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Twin:
        """The inverse of :meth:`arrays`.

        :raises ValueError: arrays that do not fit together; KeyError: one is missing.
        """
        twin = cls(
            float(arrays["base"][0]), arrays["first"], arrays["edges"], arrays["values"], arrays["missing"],
            arrays["points"], arrays["points_missing"], int(arrays["points_base"][0]),
        )  # fmt: skip
        features = len(twin.missing)
        rising = len(twin.first) == features + 1 and twin.first[0] == 0 and bool((np.diff(twin.first) >= 0).all())
        if (
            not rising
            or len(twin.edges) != twin.first[-1]
            or not len(twin.values) == len(twin.points) == len(twin.edges) + features
        ):
            raise ValueError("the twin's arrays do not fit together")
        return twin


@dataclass(frozen=True, slots=True)
class Gap:
    """AUC of the champion less that of the twin on the same rows, with its paired 95 % interval (DeLong)."""

    dataset: str
    rows: int
    champion: float
    twin: float
    difference: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class TwinReport:
    """
    :ivar decides: the champion itself is additive: the twin is its scorecard, and there is no gap.
    :ivar gaps: on rows out of fold, and on the test rows if they hold both outcomes.
    :ivar slope, intercept: the line that was applied to its log-odds; 1 and 0 where calibration was not rejected.
    :ivar points_error: rounding to whole points: mean and largest error of a row's sum, and the largest there can be.
    """

    stumps: int
    features: int
    bins: int
    slope: float
    intercept: float
    gaps: tuple[Gap, ...]
    points_error: dict[str, float]
    decides: bool = False

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def settings_of(champion: Settings) -> Settings:
    """The champion's, but for many trees of two leaves; an additive champion's are its own."""
    return replace(champion, trees=STUMPS, leaves=2, learning_rate=2 * champion.learning_rate)


def train_twin(
    learnt: Matrix,
    y: Labels,
    champion: Settings,
    scale: PointScale,
    *,
    out_of_fold: Floats,
    folds: int,
    groups: npt.NDArray[np.int64] | None,
    test: tuple[Labels, Floats, Floats] | None = None,
    decides: tuple[str, float, float] | None = None,
) -> tuple[Twin, TwinReport]:
    """Train stumps on the champion's rows and measure the gap on the champion's folds.

    :param decides: of an additive champion its text, and slope and intercept of its calibration: it is its own twin.
    :param out_of_fold: the champion's scores of the training rows, each by a model that had not seen the row.
    :param groups: as for the champion's folds, so that both are judged alike.
    :param test: labels, the champion's scores and the features of the test rows.
    """
    gaps: list[Gap | None] = []
    if decides is not None:
        text, slope, intercept = decides
    else:
        settings = settings_of(champion)
        judged = cross_validate(learnt, y, folds, settings.seed, settings=settings, groups=groups).raw
        slope, intercept = _line(y, judged)
        text = fit(learnt.values, y, learnt.features, settings)
        gaps.append(_gap("cross_validation", y, out_of_fold, judged))
    base, tables, missing = collapse(Forest.from_text(text))
    twin = _twin(base, tables, missing, learnt.values, slope, intercept, scale)
    if decides is None and test is not None and len(test[0]):
        gaps.append(_gap("test", test[0], test[1], twin.log_odds(test[2])))
    sample = learnt.values[:: max(1, len(learnt.values) // 20_000)]
    error = np.abs(twin.score(sample) - (scale.offset - scale.factor * twin.log_odds(sample)))
    told = {"mean": float(error.mean()), "largest": float(error.max()), "bound": 0.5 * (twin.used + 1)}
    report = TwinReport(
        STUMPS,
        twin.used,
        len(twin.edges) + twin.used,
        slope,
        intercept,
        tuple(g for g in gaps if g is not None),
        told,
        decides is not None,
    )
    return twin, report


def collapse(forest: Forest) -> tuple[float, list[tuple[Floats, Floats]], Floats]:
    """One step function per feature: the sum of what its stumps say.

    :returns: the sum of trees without a split, (edges, values) of each feature, values of missing cells.
    :raises InvalidInput: a tree of more than two leaves.
    """
    base = 0.0
    stumps: list[list[tuple[float, bool, float, float]]] = [[] for _ in range(forest.features)]
    for leaves in forest.trees:
        if len(leaves) == 1:
            base += leaves[0].value
            continue
        if len(leaves) != 2:
            raise InvalidInput("Only trees of two leaves are additive.")
        left, right = sorted(leaves, key=lambda leaf: leaf.path[0].right)
        step = left.path[0]
        stumps[step.feature].append((step.threshold, step.missing_right, left.value, right.value))
    tables, missing = [], np.zeros(forest.features)
    for i, own in enumerate(stumps):
        edges = np.unique(np.array([threshold for threshold, *_ in own], dtype=np.float64))
        values = np.zeros(len(edges) + 1)
        for threshold, missing_right, low, high in own:
            cut = int(edges.searchsorted(threshold)) + 1
            values[:cut] += low
            values[cut:] += high
            missing[i] += high if missing_right else low
        if forest.zero_if_missing[i]:
            missing[i] = values[int(edges.searchsorted(0.0, "left"))]
        tables.append((edges, values))
    return base, tables, missing


def _twin(base: float, tables: list[tuple[Floats, Floats]], missing: Floats, rows: Floats, slope: float, intercept: float,
          scale: PointScale) -> Twin:  # fmt: skip
    """Calibrate, centre on the training rows, and round to points."""
    first = np.concatenate(([0], np.cumsum([len(edges) for edges, _ in tables]))).astype(np.int64)
    edges = np.concatenate([edges for edges, _ in tables]) if tables else np.empty(0)
    centred, absent = [], missing.copy()
    for i, (cuts, values) in enumerate(tables):
        column = rows[:, i]
        empty = np.isnan(column)
        counts = np.bincount(cuts.searchsorted(column[~empty], "left"), minlength=len(values))
        mean = (float(counts @ values) + float(empty.sum()) * missing[i]) / max(1, len(rows))
        base += mean
        centred.append((values - mean) * slope)
        absent[i] = (missing[i] - mean) * slope
    whole, base = np.concatenate(centred), base * slope + intercept
    none = np.zeros(0, dtype=np.int32)
    return Twin(base, first, edges, whole, absent, none, none, 0).on(scale)


def _line(y: Labels, raw: Floats) -> tuple[float, float]:
    """Slope and intercept if the log-odds are not calibrated as they are; a line keeps the twin additive."""
    try:
        test = calibration(y, raw)
    except Undefined:
        return 1.0, 0.0
    return (test.slope, test.intercept) if test.p < REJECTED_BELOW and test.slope > 0 else (1.0, 0.0)


def _gap(dataset: str, y: Labels, champion: Floats, twin: Floats) -> Gap | None:
    try:
        areas = delong(y, champion, twin)
    except Undefined:
        return None
    return Gap(dataset, len(y), areas.first, areas.second, areas.first - areas.second, *areas.interval)
