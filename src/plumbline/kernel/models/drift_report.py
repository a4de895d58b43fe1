"""The two files of a drift run: ``report.json``, from which every number can be recomputed, and ``report.html``.

Both depend on nothing but what is given, so that equal input gives equal bytes: they are stored under their hash.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from math import inf, isclose
from typing import Any

import numpy as np
import scipy

from plumbline.kernel import canonical
from plumbline.kernel.errors import InvalidInput
from plumbline.kernel.models import divergences, drift
from plumbline.kernel.models.divergences import Gap
from plumbline.kernel.models.drift import DriftReport, Exact
from plumbline.kernel.models.drift_page import page
from plumbline.kernel.models.grids import EVERY_VALUE, FINE, RARE, Axis, Grid
from plumbline.kernel.models.profiles import Profile

FORMAT = "plumbline-drift-report-1"
PARAMETERS: dict[str, Any] = {
    "epsilon": divergences.EPSILON, "smallest_expected": divergences.SMALLEST_EXPECTED, "every_value": EVERY_VALUE, "fine": FINE,
    "rare": RARE, "significant": drift.SIGNIFICANT, "moderate": drift.MODERATE, "major": drift.MAJOR,
    "thresholds": dict(drift.THRESHOLDS),
}  # fmt: skip
_RELATIVE, _ABSOLUTE = 1e-9, 1e-12
"""Other machines may round logarithms otherwise in the last places."""


def document(report: DriftReport, about: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The body of ``report.json``.

    :param about: what the numbers are of, as JSON values: ``model``, ``reference`` (id), ``window``, ``inputs``
        (hashes) …; it is recorded as given.
    """
    return {
        "format": FORMAT, "about": dict(about or {}), "parameters": PARAMETERS,
        "versions": {"python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__},
        "grid": report.reference.grid.to_dict(), "importance": report.importance,
        "reference": _counts(report.reference), "current": _counts(report.current), **_numbers(report),
    }  # fmt: skip


def _numbers(report: DriftReport) -> dict[str, Any]:
    """All that follows from the counts."""
    scores = {
        score.drift_type: {"drift_score": score.drift_score, "threshold": score.threshold, "is_drifted": score.is_drifted,
                           "feature_drifts": score.feature_drifts}
        for score in report.scores
    }  # fmt: skip
    features = [
        {**f.as_dict(), "histogram": {"labels": f.labels, "reference": f.reference, "current": f.current}}
        for f in report.features
    ]
    return {"severity": report.severity, "drift_score": report.drift_score, "drift_detected": report.drift_detected,
            "scores": scores, "features": features}  # fmt: skip


def _counts(profile: Profile) -> dict[str, Any]:
    body = profile.to_dict()
    del body["counts"]
    cells = {spec.name: profile.cells(spec.name).tolist() for spec in profile.grid.specs}
    return {**body, "cells": cells, "profile_sha256": profile.sha256}


def to_json(report: DriftReport, about: Mapping[str, Any] | None = None) -> bytes:
    """Canonical JSON (RFC 8785) of :func:`document`."""
    return canonical.dumps(document(report, about))


def to_html(report: DriftReport, about: Mapping[str, Any] | None = None) -> bytes:
    """One page without scripts, links or foreign parts; it forbids them itself, prints, and needs no network.

    :param about: the head lines, name → JSON value, as for :func:`document`; values that hold others are written flat.
    """
    return page(report, dict(_flat(about or {}))).encode()


def _flat(about: Mapping[str, Any], under: str = "") -> Iterator[tuple[str, str]]:
    for name, value in about.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{under}{name} ")
        elif value is not None:
            yield f"{under}{name}", str(value)


def verify(report_json: bytes | str | Mapping[str, Any]) -> list[str]:
    """Recompute every number of a ``report.json`` from its counts; one sentence for each that differs, none if all agree.

    Of the exact mode's two numbers that counts cannot give, D must be what the counts at its place say, there and
    nowhere else among the cells, and Wasserstein must lie within what the cells of its quantiles allow.
    """
    try:
        body = report_json if isinstance(report_json, Mapping) else canonical.loads(report_json)
        if body["format"] != FORMAT:
            return [f"The format is {body['format']!r}, not {FORMAT}."]
        grid = Grid.from_dict(body["grid"])
        reference, current = _profile(body["reference"], grid), _profile(body["current"], grid)
        exact = {f["feature"]: _exact(f) for f in body["features"] if f["ks_exact"]}
        faults = list(_differing(PARAMETERS, body["parameters"], "parameters"))
        for side, profile in (("reference", reference), ("current", current)):
            if profile.sha256 != body[side]["profile_sha256"]:
                faults.append(
                    f"{side}: the hash of the counts is {profile.sha256}, not {body[side]['profile_sha256']}."
                )
        again = drift.compare(reference, current, body["importance"], exact=exact)
        for name, value in exact.items():
            faults += _against_cells(grid.axes[grid.position[name]], reference, current, value)
        stated = {name: body[name] for name in _numbers(again)}
    except (InvalidInput, KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        return [f"This is not a whole drift report: {error}"]
    return faults + list(_differing(_numbers(again), stated, ""))


def _profile(body: Mapping[str, Any], grid: Grid) -> Profile:
    made = Profile(
        grid, int(body["rows"]), np.concatenate([np.array(body["cells"][spec.name], dtype=np.int64) for spec in grid.specs]),
        np.array(body["outside"], dtype=np.int64), np.array([float(x) for x in body["low"]]),
        np.array([float(x) for x in body["high"]]), {name: dict(levels) for name, levels in body["new"].items()},
    )  # fmt: skip
    made.check()
    return made


def _exact(feature: Mapping[str, Any]) -> Exact:
    distance = feature["wasserstein"]
    if feature["ks"] is None:
        return Exact(None, distance)
    at = feature["ks_at"]
    return Exact(Gap(float(feature["ks"]), float(at["value"]), int(at["reference"]), int(at["current"])), distance)


def _against_cells(axis: Axis, reference: Profile, current: Profile, exact: Exact) -> Iterator[str]:
    name, i = axis.spec.name, reference.grid.position[axis.spec.name]
    a, b = reference.cells(name), current.cells(name)
    coarse = divergences.ks_of_counts(axis, a, b)
    if (coarse is None) != (exact.gap is None):
        yield f"{name}: KS is stated where there are no values, or the other way round."
        return
    if coarse is None or exact.gap is None:
        return
    gap = exact.gap
    before = int(axis.edges.searchsorted(gap.at, "right"))  # whole cells up to the place, and those it may reach into
    behind = int(axis.edges.searchsorted(gap.at, "left")) + 1
    rows = []
    for cells, below in ((a, gap.below_reference), (b, gap.below_current)):
        values = cells[: axis.values]
        rows.append(int(values.sum()))
        if not values[:before].sum() <= below <= values[:behind].sum():
            yield f"{name}: {below} rows up to {gap.at:.12g} do not fit the counts of the cells."
    if (
        not _same(abs(gap.below_reference / rows[0] - gap.below_current / rows[1]), gap.d)
        or gap.d < coarse.d - _ABSOLUTE
    ):
        yield f"{name}: ks is {gap.d:.12g}, which its counts do not give."
    ranges = (float(reference.low[i]), float(reference.high[i]), float(current.low[i]), float(current.high[i]))
    bounds = divergences.wasserstein_bounds(axis, a, b, ranges)
    stated = inf if exact.wasserstein is None else exact.wasserstein
    if bounds and not bounds[0] * (1 - _RELATIVE) - _RELATIVE <= stated <= bounds[1] * (1 + _RELATIVE) + _RELATIVE:
        shown = "missing" if exact.wasserstein is None else f"{exact.wasserstein:.6g}"
        yield f"{name}: wasserstein is {shown}, outside what the cells allow, {bounds[0]:.6g} to {bounds[1]:.6g}."


def _same(a: float, b: float) -> bool:
    return isclose(a, b, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE)


def _differing(ours: Any, stated: Any, place: str) -> Iterator[str]:
    if isinstance(ours, Mapping) and isinstance(stated, Mapping):
        for key in sorted({*ours, *stated}):
            where = f"{place}.{key}" if place else str(key)
            if key not in ours or key not in stated:
                yield f"{where} is {'missing' if key in ours else 'not expected'}."
            else:
                yield from _differing(ours[key], stated[key], where)
    elif isinstance(ours, list | tuple) and isinstance(stated, list | tuple):
        if len(ours) != len(stated):
            yield f"{place} has {len(stated)} entries, not {len(ours)}."
            return
        for i, (mine, theirs) in enumerate(zip(ours, stated, strict=True)):
            yield from _differing(mine, theirs, f"{place}[{i}]")
    elif isinstance(ours, int | float) and isinstance(stated, int | float) and not isinstance(ours, bool):
        if isinstance(stated, bool) or not _same(ours, stated):
            yield f"{place} is {stated:.12g}; the counts give {ours:.12g}."
    elif ours != stated:
        yield f"{place} is {stated!r}; the counts give {ours!r}."
