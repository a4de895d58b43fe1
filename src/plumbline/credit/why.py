"""Why a score is what it is: contributions in log-odds of the raw score, told in points that add up (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor, isfinite, log
from typing import Any

import numpy as np

from plumbline.console import charts, formats
from plumbline.credit import words
from plumbline.credit.features.matrix import FeatureInfo
from plumbline.credit.modelling.points import PointScale
from plumbline.kernel.models.calibration import CalibrationMap

MOST = 8
LEAST = 0.5
"""A group that moves the score by less than half a point is one of "all others"."""


@dataclass(frozen=True, slots=True)
class Move:
    """A reason group and by how many points it moved the score; ``rest`` counts the groups behind "all others"."""

    code: str
    points: int
    exact: float
    rest: int = 0


@dataclass(frozen=True, slots=True)
class Why:
    """Whole points from the base to the final score: ``base + sum(move.points) == final``, always.

    ``per_log_odds`` turns a contribution into (unrounded) points.
    """

    base: int
    final: int
    cut: int
    moves: tuple[Move, ...]
    per_log_odds: float


@dataclass(frozen=True, slots=True)
class Fact:
    """One input of the model: what it is, its value (also in few digits), what is typical, and by how many points it moved the score."""

    name: str
    text: str
    value: str
    short: str
    typical: str
    points: float | None


def scale_of(model_extra: Mapping[str, Any]) -> PointScale:
    return PointScale.from_dict(model_extra["policy"]["points"])


def cut_off(scale: PointScale, threshold: float) -> float:
    """The points of the threshold, a probability."""
    return scale.offset - scale.factor * log(threshold / (1 - threshold))


def whole(parts: Sequence[float], total: int) -> list[int]:
    """Whole numbers near ``parts`` whose sum is ``total``: those with the largest rests are rounded up (Hamilton's method)."""
    found = [floor(part) for part in parts]
    order = sorted(range(len(parts)), key=lambda i: (found[i] - parts[i], i))
    left = total - sum(found)
    while left and order:
        step = 1 if left > 0 else -1
        for i in order if left > 0 else reversed(order):
            if not left:
                break
            found[i] += step
            left -= step
    return found


def why(
    explanation: Mapping[str, Any],
    model_extra: Mapping[str, Any],
    *,
    raw: float,
    points: float,
    threshold: float,
    most: int = MOST,
) -> Why:
    """The groups that moved the score most, then all others.

    A calibration that is a straight line stretches all contributions alike; along a bent one they are stretched by what
    it does to the whole way from the base to the score, so that they still add up.
    """
    scale = scale_of(model_extra)
    calibration = CalibrationMap.from_dict(model_extra["calibration"])
    base = float(explanation["base"])
    ends = calibration.apply(np.array([base, raw]))
    way = raw - base
    if calibration.kind == "isotonic":
        slope = float(ends[1] - ends[0]) / way if abs(way) > 1e-9 else 1.0
    else:
        slope = calibration.slope if calibration.kind == "platt" else 1.0
    per_log_odds = -scale.factor * slope
    exact = {code: per_log_odds * float(change) for code, change in explanation["groups"].items()}
    ranked = sorted(exact, key=lambda code: (-abs(exact[code]), code))
    named = [code for code in ranked[:most] if abs(exact[code]) >= LEAST]
    rest = [code for code in ranked if code not in named and exact[code] != 0]
    start, final = round(scale.offset - scale.factor * float(ends[0])), round(points)
    parts = [exact[code] for code in named] + ([sum(exact[code] for code in rest)] if rest else [])
    steps = whole(parts, final - start)
    if not parts and final != start:  # nothing moved it but the rounding of two numbers
        start = final
    moves = [Move(code, step, exact[code]) for code, step in zip(named, steps, strict=False)]
    if rest:
        moves.append(Move("", steps[-1], parts[-1], len(rest)))
    return Why(start, final, round(cut_off(scale, threshold)), tuple(moves), per_log_odds)


def picture(
    found: Why, explanation: Mapping[str, Any], features: Mapping[str, Any], facts: Mapping[str, Fact]
) -> charts.Waterfall:
    """The waterfall of it. ``features`` maps a feature's name to its reason code."""
    leading = _leading(explanation, features)
    steps = []
    for move in found.moves:
        if not move.code:
            steps.append(charts.Step("All others", formats.plural(move.rest, "further group"), move.points))
            continue
        fact = facts.get(leading.get(move.code, ""))
        steps.append(charts.Step(words.group(move.code), _note(fact) if fact else "", move.points))
    most = min(found.moves, key=lambda m: m.exact * (1 if found.final < found.base else -1), default=None)
    label = f"From {found.base} to {found.final} points"
    if most is not None and most.code:
        label += f", most by {words.group(most.code).lower()}"
    return charts.waterfall(
        label, found.base, steps, threshold=found.cut, base_name=("Base score", "Average of the training rows"),
        final_name="Score",
    )  # fmt: skip


def _note(fact: Fact) -> str:
    text = words.short(fact.text)
    return f"{text} not given" if fact.value == formats.NOTHING else f"{text}: {fact.short}"


def _leading(explanation: Mapping[str, Any], features: Mapping[str, Any]) -> dict[str, str]:
    """Group → the feature that moved the score most in the group's own direction."""
    best: dict[str, tuple[float, str]] = {}
    groups = explanation["groups"]
    for name, change in explanation["contributions"].items():
        code = features.get(name) or name
        along = float(change) if groups.get(code, 0.0) >= 0 else -float(change)
        if code not in best or along > best[code][0]:
            best[code] = (along, name)
    return {code: name for code, (_, name) in best.items()}


def facts(inputs: Mapping[str, Any], features: Mapping[str, FeatureInfo], contributions: Mapping[str, float] | None,
          per_log_odds: float) -> list[Fact]:  # fmt: skip
    """Every input, those that moved the score most first."""
    found = []
    for name, given in inputs.items():
        info = features.get(name)
        unit = info.unit if info else ""
        typical: float | str | None = info.typical if info else None
        if info is not None and info.kind == "category" and info.typical is not None:
            code = int(info.typical)
            typical = info.levels[code] if 0 <= code < len(info.levels) else "other"
        moved = contributions.get(name) if contributions is not None else None
        points = per_log_odds * moved if moved is not None and isfinite(moved) else None
        found.append(
            Fact(
                name,
                (info.text if info else "") or name,
                words.value(given, unit),
                words.value(given, unit, 3),
                words.value(typical, unit),
                points,
            )
        )
    return sorted(found, key=lambda f: (-abs(f.points or 0.0), f.name))


def score_counts(probabilities: Sequence[int], scale: PointScale, *, width: int) -> tuple[int, list[int]]:
    """Counts of points in bins of ``width`` from counts of probabilities in equal bins of 0 … 1; the first bin's start, the counts.

    Empty bins at both ends are cut off.
    """
    size = len(probabilities)
    counts: dict[int, int] = {}
    for i, count in enumerate(probabilities):
        if count:
            p = (i + 0.5) / size
            at = floor((scale.offset - scale.factor * log(p / (1 - p))) / width)
            counts[at] = counts.get(at, 0) + count
    if not counts:
        return 0, []
    first, last = min(counts), max(counts)
    return first * width, [counts.get(at, 0) for at in range(first, last + 1)]
