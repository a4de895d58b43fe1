"""Ticks, ranges and paths."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

from markupsafe import Markup

T = TypeVar("T")
Point = tuple[float, float]
MOST = 120
STEPS = 7


def check_count(count: int, what: str) -> None:
    """:raises ValueError: more points than a chart shows."""
    if count > MOST:
        raise ValueError(f"{what}: {count} points, at most {MOST} are drawn; aggregate them or use thin()")


def check_finite(values: Sequence[float | None], what: str) -> None:
    """:raises ValueError: a value that is not a number; ``None`` is the way to say that there is none."""
    if any(v is not None and not math.isfinite(v) for v in values):
        raise ValueError(f"{what}: a value is not finite; use None for a gap")


def thin(points: Sequence[T], most: int = MOST) -> list[T]:
    """Evenly chosen points of a curve, the first and the last among them."""
    if len(points) <= most:
        return list(points)
    return [points[round(i * (len(points) - 1) / (most - 1))] for i in range(most)]


def nice_ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round values from at or below ``low`` to at or above ``high``, about ``count`` steps of 1, 2, 2.5 or 5."""
    span = high - low
    # Beside large values a span can be too small for different floating-point ticks.
    if span <= max(abs(low), abs(high)) * 1e-9:
        span = max(abs(high), abs(low)) * 0.1 or 1.0
        high = low + span
    raw = span / count
    magnitude: float = 10.0 ** math.floor(math.log10(raw))
    step = next((m * magnitude for m in (1, 2, 2.5, 5) if m * magnitude >= raw * (1 - 1e-9)), 10 * magnitude)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [i * step for i in range(first, max(last, first + 1) + 1)]


def heat_step(value: float, top: float) -> int:
    """Which of the seven tints (``q0`` … ``q6``) a cell of a heat map has; ``top`` and above is the last."""
    if value <= 0 or top <= 0:
        return 0
    return min(STEPS - 1, 1 + int((STEPS - 1) * value / top))


def path(points: Sequence[Point]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def runs(points: Sequence[Point | None]) -> list[list[Point]]:
    """The stretches between gaps."""
    out: list[list[Point]] = [[]]
    for point in points:
        if point is not None:
            out[-1].append(point)
        elif out[-1]:
            out.append([])
    return [run for run in out if run]


def anchor(share: float) -> str:
    """Where a label at this share of the width is held, so that it stays inside."""
    return "start" if share < 0.02 else "end" if share > 0.98 else "middle"


def drawn(parts: Sequence[str] | str) -> Markup:
    """The finished picture. Whoever builds the parts has put every text that is not his own through ``escape()``."""
    return Markup("".join(parts))  # noqa: S704  the one place where the charts leave escaping
