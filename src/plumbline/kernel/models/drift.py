"""Data drift: which columns moved, how far, and whether that is more than noise (``domains/models.md`` 4).

One rule for every column and every size: an effect (PSI less what samples of these sizes show without drift) *and*
significance (χ² corrected over all columns by Benjamini–Hochberg). Too few rows to tell is an answer of its own.

Two ways in: :func:`compare` on two profiles of one grid (stored counts, any sum of them; KS and Wasserstein from the
grid), and :func:`compare_columns` on two sources of rows, column by column (KS and Wasserstein exact).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal

from plumbline.kernel.errors import InvalidInput, Where
from plumbline.kernel.models.columns import ColumnSpec, Kind, ascending, source, tallied
from plumbline.kernel.models.divergences import (
    Divergence,
    Gap,
    benjamini_hochberg,
    divergence,
    ks,
    ks_of_counts,
    ks_p,
    psi,
    share_difference,
    wasserstein,
    wasserstein_of_counts,
)
from plumbline.kernel.models.grids import RARE, Axis, Grid, category_axis
from plumbline.kernel.models.metrics import Interval
from plumbline.kernel.models.profiles import Part, Profile, assembled, column_of, split

__all__ = [
    "Divergence", "DriftReport", "DriftScore", "Exact", "Feature", "Gap", "benjamini_hochberg", "compare", "compare_columns",
    "divergence", "ks", "ks_p", "psi", "share_difference", "wasserstein",
]  # fmt: skip

Severity = Literal["major", "moderate", "insufficient_data", "stable", "no_data"]
SEVERITIES: tuple[Severity, ...] = ("major", "moderate", "insufficient_data", "stable", "no_data")
"""Worst first."""
DriftType = Literal["psi", "kl_divergence", "ks_test"]

MODERATE, MAJOR = 0.10, 0.25
"""PSI_c from which a significant column is drifted; settled, not to be tuned."""
SIGNIFICANT = 0.05
THRESHOLDS: dict[DriftType, float] = {"psi": MODERATE, "kl_divergence": 0.050, "ks_test": 0.129}
"""What the same shift of a normal column that gives PSI .10 gives the others."""
SCALE = {"psi": (0.10, 0.25), "kl": (0.050, 0.124), "ks": (0.129, 0.202), "js": (0.134, 0.210), "cramers_v": (0.157, 0.244),
         "wasserstein": (0.324, 0.513)}  # fmt: skip
"""The moderate and the major value of each measure, by the same normal shift (V with as many rows on either side)."""


@dataclass(frozen=True, slots=True)
class Exact:
    """What only both samples can tell of a numeric column; ``None`` where it does not exist."""

    gap: Gap | None
    wasserstein: float | None


@dataclass(frozen=True, slots=True)
class Feature:
    """One column of a comparison.

    :ivar n, m: rows of the reference and of the current side, missing ones among them.
    :ivar reference, current: counts of the bins, whose names are ``labels``; the last bin is missing.
    :ivar measures: ``None`` when one side has no rows.
    :ivar corrected: PSI_c = max(0, PSI − noise). ``kl_corrected``: KL less half the noise.
    :ivar q, ks_q: p of χ² and of KS after Benjamini–Hochberg over all columns of the comparison, each its own family.
    :ivar gap: KS: D and where it opens; ``None`` for a category, or when one side has no values.
    :ivar ks_exact: D is of all values, not of the grid's edges; the same holds for ``wasserstein``.
    :ivar wasserstein: mean distance of quantiles in reference spreads; for information, never a verdict.
    :ivar missing: share missing in the reference and now; ``missing_interval``: 95 % of now less reference.
    :ivar new_levels: unseen levels with at least 5 rows → rows; ``new_rows``: rows with any unseen level.
    :ivar vanished_levels: reference levels without a current row → reference rows.
    :ivar outside: share of current values outside the reference's range; ``None`` without values.
    :ivar weight: share of the report's score: importance, or equal.
    """

    name: str
    kind: Kind
    n: int
    m: int
    labels: tuple[str, ...]
    reference: tuple[int, ...]
    current: tuple[int, ...]
    severity: Severity
    weight: float
    measures: Divergence | None = None
    corrected: float = 0.0
    kl_corrected: float = 0.0
    q: float = 1.0
    gap: Gap | None = None
    ks_exact: bool = False
    ks_p: float | None = None
    ks_q: float | None = None
    wasserstein: float | None = None
    missing: tuple[float | None, float | None] = (None, None)
    missing_interval: Interval | None = None
    new_levels: tuple[tuple[str, int], ...] = ()
    new_rows: int = 0
    vanished_levels: tuple[tuple[str, int], ...] = ()
    outside: float | None = None

    @property
    def is_drifted(self) -> bool:
        return self.severity in {"major", "moderate"}

    @property
    def ks(self) -> float | None:
        return None if self.gap is None else self.gap.d

    def as_dict(self) -> dict[str, Any]:
        """All measures by name: an entry of ``data_drift_reports.drifted_features`` and of ``report.json``."""
        body: dict[str, Any] = {
            "feature": self.name, "kind": self.kind, "severity": self.severity, "is_drifted": self.is_drifted, "weight": self.weight,
            "n_reference": self.n, "n_current": self.m, "psi_corrected": self.corrected, "kl_corrected": self.kl_corrected, "q": self.q,
            "ks": self.ks, "ks_exact": self.ks_exact, "ks_p": self.ks_p, "ks_q": self.ks_q, "wasserstein": self.wasserstein,
            "missing_reference": self.missing[0], "missing_current": self.missing[1],
            "missing_interval": None if self.missing_interval is None else list(self.missing_interval),
            "new_levels": dict(self.new_levels), "new_rows": self.new_rows, "vanished_levels": dict(self.vanished_levels),
            "outside": self.outside,
        }  # fmt: skip
        if self.gap is not None:
            at = self.gap.at if isfinite(self.gap.at) else str(self.gap.at)
            body["ks_at"] = {"value": at, "reference": self.gap.below_reference, "current": self.gap.below_current}
        if (found := self.measures) is not None:
            body |= {name: getattr(found, name) for name in Divergence.__slots__}
        return body


@dataclass(frozen=True, slots=True)
class DriftScore:
    """A row of ``data_drift_scores``.

    :ivar drift_score: the largest value among columns with q < .05 (PSI_c; KL − noise/2; D with the q of KS); 0 if none.
    :ivar feature_drifts: column → {score, corrected, p, q, severity, n, missing, floored}; columns without this measure
        are absent.
    """

    drift_type: DriftType
    drift_score: float
    threshold: float
    is_drifted: bool
    feature_drifts: dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class DriftReport:
    """A comparison: columns worst first, the report's verdict, and the profiles it was made from.

    :ivar drift_score: Σ wᵢ [qᵢ < .05] min(1, PSI_cᵢ) over the features, 0 … 1; outputs have no weight.
    :ivar drift_detected: drift_score ≥ .10, or a feature major, or an output (kind ``probability``) moderate.
    """

    features: tuple[Feature, ...]
    drift_score: float
    drift_detected: bool
    scores: tuple[DriftScore, DriftScore, DriftScore]
    reference: Profile
    current: Profile
    importance: dict[str, float] | None = None

    def __getitem__(self, name: str) -> Feature:
        return next(feature for feature in self.features if feature.name == name)

    @property
    def severity(self) -> Severity:
        """The worst of the columns."""
        return self.features[0].severity

    @property
    def drifted_features(self) -> list[dict[str, Any]]:
        """All measures of the drifted columns, worst first."""
        return [feature.as_dict() for feature in self.features if feature.is_drifted]


def compare(reference: Profile, current: Profile, importance: Mapping[str, float] | None = None, *,
            exact: Mapping[str, Exact] | None = None) -> DriftReport:  # fmt: skip
    """Compare two profiles of one grid.

    :param importance: feature → importance ≥ 0 (any unit; a feature not named weighs nothing); ``None``: all equal.
    :param exact: column → KS and Wasserstein of the samples themselves, where they were at hand.
    :raises InvalidInput: the grids differ, the grid is empty, or the importance is negative, not finite or names no feature.
    """
    if reference.grid != current.grid:
        raise InvalidInput("The two profiles were counted on different grids.",
                           remedy="Count the current rows on the reference's grid.")  # fmt: skip
    grid = reference.grid
    if not grid.axes:
        raise InvalidInput("There is no column to compare.")
    weights = _weights(grid, importance)
    measured = [_measured(axis, reference, current, (exact or {}).get(axis.spec.name)) for axis in grid.axes]
    q = _adjusted([None if one[0] is None else one[0].p for one in measured])
    ks_q = _adjusted([one[2] for one in measured])
    features = [
        _feature(axis, reference, current, weights.get(axis.spec.name, 0.0), one, q[i], ks_q[i], axis.spec.name in (exact or {}))
        for i, (axis, one) in enumerate(zip(grid.axes, measured, strict=True))
    ]  # fmt: skip
    features.sort(key=lambda f: (SEVERITIES.index(f.severity), -f.corrected, -(f.measures.psi if f.measures else 0.0), f.name))  # fmt: skip
    score = sum(f.weight * min(1.0, f.corrected) for f in features if f.q < SIGNIFICANT)
    detected = score >= MODERATE or any(
        f.severity == "major" or (f.kind == "probability" and f.is_drifted) for f in features
    )
    given = None if importance is None else {name: float(value) for name, value in importance.items()}
    return DriftReport(tuple(features), score, detected, _scores(features), reference, current, given)


_Measured = tuple[Divergence | None, Gap | None, float | None, float | None]
"""Measures of the bins; KS; its p; Wasserstein."""


def _measured(axis: Axis, reference: Profile, current: Profile, exact: Exact | None) -> _Measured:
    name = axis.spec.name
    a, b = reference.cells(name), current.cells(name)
    found = divergence(axis.binned(a), axis.binned(b)) if reference.rows and current.rows else None
    if axis.is_category:
        return found, None, None, None
    if exact is None:
        i = reference.grid.position[name]
        ranges = tuple(float(edge[i]) for edge in (reference.low, reference.high, current.low, current.high))
        exact = Exact(ks_of_counts(axis, a, b), wasserstein_of_counts(axis, a, b, ranges))  # type: ignore[arg-type]
    p = None
    if exact.gap is not None:
        p = ks_p(exact.gap.d, int(a[: axis.values].sum()), int(b[: axis.values].sum()))
    return found, exact.gap, p, exact.wasserstein


def _adjusted(p: Sequence[float | None]) -> list[float | None]:
    """q of each p that exists, as one family."""
    adjusted = iter(benjamini_hochberg([value for value in p if value is not None]).tolist())
    return [None if value is None else next(adjusted) for value in p]


def _feature(axis: Axis, reference: Profile, current: Profile, weight: float, measured: _Measured, q: float | None,
             ks_q: float | None, exact: bool) -> Feature:  # fmt: skip
    name = axis.spec.name
    found, gap, p, distance = measured
    a, b = axis.binned(reference.cells(name)), axis.binned(current.cells(name))
    n, m = reference.rows, current.rows
    missing = (int(a[-1]), int(b[-1]))
    corrected = 0.0 if found is None else max(0.0, found.psi - found.noise)
    values = int(current.cells(name)[: axis.values].sum())
    named, new_rows = current.named(name), 0
    vanished: tuple[tuple[str, int], ...] = ()
    if axis.is_category:
        new_rows = int(b[-2])
        vanished = tuple((level, int(a[i])) for i, level in enumerate(axis.levels) if a[i] >= RARE and not b[i])
    return Feature(
        name, axis.spec.kind, n, m, tuple(axis.labels), tuple(a.tolist()), tuple(b.tolist()),
        _severity(found, corrected, 1.0 if q is None else q), weight, found, corrected,
        0.0 if found is None else max(0.0, found.kl - found.noise / 2), 1.0 if q is None else q,
        gap, exact and not axis.is_category, p, ks_q, distance,
        (missing[0] / n if n else None, missing[1] / m if m else None),
        share_difference((missing[0], n), (missing[1], m)) if n and m else None,
        tuple(sorted(named.items(), key=lambda item: (-item[1], item[0]))), new_rows, vanished,
        int(current.outside[current.grid.position[name]]) / values if values and not axis.is_category else None,
    )  # fmt: skip


def _severity(found: Divergence | None, corrected: float, q: float) -> Severity:
    if found is None:
        return "no_data"
    if corrected >= MAJOR and q < SIGNIFICANT:
        return "major"
    if corrected >= MODERATE and q < SIGNIFICANT:
        return "moderate"
    return "insufficient_data" if found.noise_point >= MODERATE else "stable"


def _weights(grid: Grid, importance: Mapping[str, float] | None) -> dict[str, float]:
    features = [spec.name for spec in grid.specs if spec.kind != "probability"]
    if importance is None:
        return dict.fromkeys(features, 1 / len(features)) if features else {}
    for name, value in importance.items():
        if not isfinite(value) or value < 0:
            raise InvalidInput(f"An importance is {value}.", where=Where(column=name), remedy="Give numbers from 0 on.")
    total = sum(importance.get(name, 0.0) for name in features)
    if features and not total > 0:
        raise InvalidInput("The importance names no feature of the profile.", remedy="Leave it out to weigh all alike.")
    return {name: importance.get(name, 0.0) / total for name in features}


def _scores(features: Sequence[Feature]) -> tuple[DriftScore, DriftScore, DriftScore]:
    def row(drift_type: DriftType, entries: dict[str, dict[str, Any]]) -> DriftScore:
        score = max((e["corrected"] for e in entries.values() if e["q"] < SIGNIFICANT), default=0.0)
        threshold = THRESHOLDS[drift_type]
        return DriftScore(drift_type, score, threshold, score >= threshold, entries)

    def entry(f: Feature, score: float, corrected: float, p: float | None, q: float | None) -> dict[str, Any]:
        assert f.measures is not None
        return {"score": score, "corrected": corrected, "p": p, "q": q, "severity": f.severity, "n": f.m,
                "missing": f.missing[1], "floored": f.measures.floored}  # fmt: skip

    told = [(f, f.measures) for f in features if f.measures is not None]
    return (
        row("psi", {f.name: entry(f, d.psi, f.corrected, d.p, f.q) for f, d in told}),
        row("kl_divergence", {f.name: entry(f, d.kl, f.kl_corrected, d.p, f.q) for f, d in told}),
        row("ks_test", {f.name: entry(f, f.gap.d, f.gap.d, f.ks_p, f.ks_q) for f, _ in told if f.gap is not None}),
    )


def compare_columns(reference: Any, current: Any, specs: Sequence[ColumnSpec], importance: Mapping[str, float] | None = None) -> DriftReport:  # fmt: skip
    """Compare two sources of rows, column by column: in memory are one column of either side and the counts.

    :param reference, current: Arrow table or batch, mapping name → NumPy or Arrow array, or path of a Parquet file.
    :raises InvalidInput: as :func:`~plumbline.kernel.models.profiles.reference` and :func:`compare`.
    """
    before, now = source(reference), source(current)
    axes, ours, theirs = [], [], []
    exact: dict[str, Exact] = {}
    for spec in specs:
        if spec.kind == "category":
            tally = tallied(column_of(before, spec), spec.name)
            axis = category_axis(spec, tally[0])
            ours.append(Part.of_levels(axis, *tally))
            theirs.append(Part.of_levels(axis, *tallied(column_of(now, spec), spec.name)))
        else:
            values, missing = ascending(column_of(before, spec), spec.name)
            axis, x, specials = split(spec, values)
            ours.append(Part.of_values(axis, x, specials, missing))
            values, missing = ascending(column_of(now, spec), spec.name)
            y, specials = axis.without_specials(values)
            theirs.append(Part.of_values(axis, y, specials, missing))
            exact[spec.name] = Exact(ks(x, y) if len(x) and len(y) else None, wasserstein(x, y, axis.scale))
        axes.append(axis)
    grid = Grid(axes)
    return compare(assembled(grid, ours), assembled(grid, theirs), importance, exact=exact)
