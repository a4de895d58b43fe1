"""Charts made of lines: a series over time, a sparkline, a curve over a number, calibration, cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from markupsafe import Markup, escape

from plumbline.console.charts.scale import Point, anchor, check_count, check_finite, drawn, nice_ticks, path, runs
from plumbline.console.formats import compact, number, percent

Series = tuple[str, Sequence[float | None]]
Mark = tuple[float, str]


def _opening(label: str, height: int) -> str:
    return f'<svg class="plot gutter" width="100%" height="{height}" role="img" aria-label="{escape(label)}">'


def _marks(marks: Sequence[tuple[float, str]], top: int, bottom: int) -> list[str]:
    """Dashed lines with a name at shares of the width; names take turns in height, so that two never collide."""
    out = []
    ordered = sorted(marks)
    for i, (share, text) in enumerate(ordered):
        # A label turns towards the middle of the chart, but away from a neighbour's line.
        left = share > 0.5
        if not left and share > 0.2 and i + 1 < len(ordered) and ordered[i + 1][0] - share < 0.3:
            left = True
        elif left and share < 0.8 and i and share - ordered[i - 1][0] < 0.3:
            left = False
        side = 'dx="-6" text-anchor="end"' if left else 'dx="6" text-anchor="start"'
        x = f"{100 * share:.2f}%"
        out.append(f'<line class="mark" x1="{x}" x2="{x}" y1="{top - 6}" y2="{bottom}"/>')
        out.append(f'<text class="mark-label" x="{x}" y="{top + 6 + 18 * (i % 2)}" {side}>{escape(text)}</text>')
    return out


def line_chart(
    label: str,
    xs: Sequence[str],
    series: Sequence[Series],
    *,
    tips: Sequence[str] | None = None,
    every: int = 0,
    marks: Sequence[tuple[int, str]] = (),
    height: int = 248,
    from_zero: bool = True,
    top: float | None = None,
    write: Callable[[float], str] = compact,
) -> Markup:
    """Up to three series over the same moments; the first is filled, the third dashed; ``None`` is a gap.

    :param label: the finding, one sentence.
    :param xs: the names of the moments, as many as each series has values.
    :param tips: per moment lines ``name\\tvalue``; made from the values where left out.
    :param every: write each n-th moment below the axis; 0 chooses so that about eight stand there.
    :param marks: (index of a moment, its name): a release, a threshold in time.
    :param from_zero: the scale holds zero; where False the page has to say where it starts.
    :param top: the scale reaches at least this far.
    :raises ValueError: lengths differ, more than three series or 120 moments, a value that is not finite.
    """
    check_count(len(xs), label)
    if not 1 <= len(series) <= 3 or any(len(values) != len(xs) for _, values in series):
        raise ValueError(f"{label}: one to three series of {len(xs)} values each are drawn")
    for name, values in series:
        check_finite(values, f"{label}, {name}")
    present = [v for _, values in series for v in values if v is not None]
    if not xs or not present:
        raise ValueError(f"{label}: there is nothing to draw; show an empty state instead")
    low, high = min(present), max([*present, *([top] if top is not None else [])])
    ticks = nice_ticks(min(0, low) if from_zero else low, max(0, high * 1.04) if from_zero else high)
    bottom, ceiling, last = height - 26, 14, max(1, len(xs) - 1)
    every = every or max(1, round(last / 8))

    def y(value: float) -> float:
        return bottom - (value - ticks[0]) / (ticks[-1] - ticks[0]) * (bottom - ceiling)

    floor = y(max(ticks[0], min(0.0, ticks[-1])))
    out = [_opening(label, height)]
    for tick in ticks:
        base = "axis" if tick == 0 or (tick == ticks[0] and ticks[0] > 0) else "grid"
        out.append(f'<line class="{base}" x1="0" x2="100%" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>')
        if tick or not from_zero or ticks[0] < 0:
            out.append(
                f'<text class="tick" x="-8" y="{y(tick) + 4:.1f}" text-anchor="end">{escape(write(tick))}</text>'
            )
    for i in range(0, len(xs), every):
        share = i / last
        alternate = " alt" if (i // every) % 2 else ""
        out.append(
            f'<text class="tick{alternate}" x="{100 * share:.2f}%" y="{height - 6}" '
            f'text-anchor="{anchor(share)}">{escape(xs[i])}</text>'
        )
    out += _marks([(at / last, text) for at, text in marks], ceiling, bottom)
    out.append(
        f'<svg x="0" y="0" width="100%" height="{bottom + 1}" viewBox="0 0 1000 {bottom + 1}" preserveAspectRatio="none">'
    )
    for n, (_, values) in enumerate(series):
        for run in runs([None if v is None else (1000 * i / last, y(v)) for i, v in enumerate(values)]):
            if len(run) == 1:
                continue  # drawn as a dot below
            if n == 0:
                area = f"{path(run)}L{run[-1][0]:.1f} {floor:.1f}L{run[0][0]:.1f} {floor:.1f}Z"
                out.append(f'<path class="area s0" d="{area}"/>')
            out.append(f'<path class="line s{n}" d="{path(run)}"/>')
    out.append("</svg>")
    for i, moment in enumerate(xs):
        x = 100 * i / last
        written = (f"{name}\t{_write_full(values[i])}" for name, values in series)
        tip = tips[i] if tips else "\n".join([moment, *written])
        left, right = max(0.0, x - 50 / last), min(100.0, x + 50 / last)
        out.append(
            f'<g class="pt" data-tip="{escape(tip)}">'
            f'<rect class="hit" x="{left:.2f}%" y="0" width="{right - left:.2f}%" height="{bottom}"/>'
            f'<line class="cross" x1="{x:.2f}%" x2="{x:.2f}%" y1="{ceiling}" y2="{bottom}"/>'
        )
        for n, (_, values) in enumerate(series):
            value = values[i]
            if value is not None:
                alone = values[i - 1 : i] in ([], [None]) and values[i + 1 : i + 2] in ([], [None])
                out.append(
                    f'<circle class="dot{" on" if alone else ""} s{n}" cx="{x:.2f}%" cy="{y(value):.1f}" r="3.5"/>'
                )
        out.append("</g>")
    return drawn([*out, "</svg>"])


def _write_full(value: float | None) -> str:
    if value is None:
        return number(None)
    return number(value) if float(value).is_integer() else f"{value:,.4g}".replace("-", "\u2212")


def spark(values: Sequence[float], label: str) -> Markup:
    """The shape of a series without a scale, for a tile: it starts at its own smallest value.

    :raises ValueError: no value, more than 120, or one that is not finite.
    """
    check_count(len(values), label)
    check_finite(values, label)
    if not values:
        raise ValueError(f"{label}: there is nothing to draw")
    shown = list(values) * 2 if len(values) == 1 else list(values)
    low, high = min(shown), max(shown)
    # Flat stays in the middle: at the bottom it would look like zero.
    points = [
        (100 * i / (len(shown) - 1), 29 - 26 * (v - low) / (high - low) if high > low else 16.0)
        for i, v in enumerate(shown)
    ]
    return drawn(
        f'<svg class="spark" viewBox="0 0 100 32" preserveAspectRatio="none" role="img" aria-label="{escape(label)}">'
        f'<path class="area s0" d="{path(points)}L100 32L0 32Z"/><path class="line s0" d="{path(points)}"/></svg>'
    )


def curve(
    label: str,
    points: Sequence[Point],
    *,
    x_range: tuple[float, float] | None = None,
    y_top: float | None = None,
    marks: Sequence[Mark] = (),
    write_x: Callable[[float], str] = compact,
    write_y: Callable[[float], str] = compact,
    names: tuple[str, str] = ("x", "y"),
    diagonal: bool = False,
    band: Sequence[tuple[float, float]] | None = None,
    height: int = 236,
) -> Markup:
    """One value over another number (ROC, gain, cost over threshold), points in the order of x, y from zero up.

    :param marks: (x, its name): dashed lines.
    :param names: what x and y are, for the tooltip.
    :param diagonal: a dashed line from corner to corner for comparison.
    :param band: of each point the interval of y, drawn as a tint and told in the tooltip.
    :raises ValueError: fewer than 2 or more than 120 points, a value that is not finite, a range without width, a band of
        another length.
    """
    check_count(len(points), label)
    check_finite([v for p in points for v in p], label)
    if len(points) < 2:
        raise ValueError(f"{label}: a curve needs two points")
    check_finite([v for pair in band or () for v in pair], label)
    if band is not None and len(band) != len(points):
        raise ValueError(f"{label}: {len(band)} intervals for {len(points)} points")
    low, high = x_range or (min(p[0] for p in points), max(p[0] for p in points))
    if not high > low:
        raise ValueError(f"{label}: all points have the same x")
    top_value = max([p[1] for p in points] + [pair[1] for pair in band or ()]) if y_top is None else y_top
    y_ticks = nice_ticks(min(0.0, *(p[1] for p in points)), max(0.0, top_value))
    bottom, ceiling = height - 26, 14

    def x(value: float) -> float:
        return min(1.0, max(0.0, (value - low) / (high - low)))

    def y(value: float) -> float:
        return bottom - (value - y_ticks[0]) / (y_ticks[-1] - y_ticks[0]) * (bottom - ceiling)

    out = [_opening(label, height)]
    for tick in y_ticks:
        base = "axis" if tick == 0 else "grid"
        out.append(f'<line class="{base}" x1="0" x2="100%" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>')
        out.append(f'<text class="tick" x="-8" y="{y(tick) + 4:.1f}" text-anchor="end">{escape(write_y(tick))}</text>')
    for i in range(5):
        alternate = " alt" if i % 2 else ""
        out.append(
            f'<text class="tick{alternate}" x="{25 * i}%" y="{height - 6}" text-anchor="{anchor(i / 4)}">'
            f"{escape(write_x(low + (high - low) * i / 4))}</text>"
        )
    if diagonal:
        out.append(f'<line class="mark" x1="0" y1="{y(0):.1f}" x2="100%" y2="{ceiling}"/>')
    out += _marks([(x(at), text) for at, text in marks], ceiling, bottom)
    line = [(1000 * x(a), y(b)) for a, b in points]
    tint = ""
    if band is not None:
        around = [(1000 * x(a), y(pair[1])) for (a, _), pair in zip(points, band, strict=True)]
        around += [(1000 * x(a), y(pair[0])) for (a, _), pair in reversed(list(zip(points, band, strict=True)))]
        tint = f'<path class="area s0" d="{path(around)}Z"/>'
    out.append(
        f'<svg x="0" y="0" width="100%" height="{bottom + 1}" viewBox="0 0 1000 {bottom + 1}" preserveAspectRatio="none">'
        f'{tint}<path class="line s0" d="{path(line)}"/></svg>'
    )
    edges = [x(points[0][0]), *((x(a[0]) + x(b[0])) / 2 for a, b in pairwise(points)), x(points[-1][0])]
    for i, (a, b) in enumerate(points):
        at = f"{100 * x(a):.2f}%"
        tip = f"{names[0]}\t{write_x(a)}\n{names[1]}\t{write_y(b)}"
        if band is not None:
            tip += f"\n95 % interval\t{write_y(band[i][0])} to {write_y(band[i][1])}"
        out.append(
            f'<g class="pt" data-tip="{escape(tip)}"><rect class="hit" x="{100 * edges[i]:.2f}%" y="0" '
            f'width="{100 * max(0.0, edges[i + 1] - edges[i]):.2f}%" height="{bottom}"/>'
            f'<line class="cross" x1="{at}" x2="{at}" y1="{ceiling}" y2="{bottom}"/>'
            f'<circle class="dot s0" cx="{at}" cy="{y(b):.1f}" r="3.5"/></g>'
        )
    return drawn([*out, "</svg>"])


def cost_curve(
    label: str,
    points: Sequence[Point],
    *,
    threshold: float,
    name: str = "Threshold",
    best: float | None = None,
    tried: float | None = None,
    band: Sequence[tuple[float, float]] | None = None,
    unit: str = "Cost",
    height: int = 236,
) -> Markup:
    """What a threshold on a probability costs, with the one in use marked and, where it differs, the cheapest.

    :param points: (threshold between 0 and 1, cost), in the order of the threshold.
    :param tried: a threshold that is looked at, marked as well.
    :param band: of each point the interval of its cost.
    """
    marks: list[Mark] = [(threshold, f"{name} {percent(threshold)}")]
    if best is not None and abs(best - threshold) >= 5e-4:
        marks.append((best, f"Cheapest {percent(best)}"))
    if tried is not None and abs(tried - threshold) >= 5e-4:
        marks.append((tried, f"Tried {percent(tried)}"))
    span = points[-1][0] - points[0][0] if points else 1.0
    return curve(
        label,
        points,
        marks=marks,
        write_x=lambda v: percent(v, 0 if span >= 0.2 else 1),
        names=("Threshold", unit),
        band=band,
        height=height,
    )


def reliability(
    label: str,
    points: Sequence[tuple[float, float, int]],
    *,
    intervals: Sequence[tuple[float, float]] | None = None,
    noun: str = "Decisions",
    height: int = 236,
) -> Markup:
    """Observed against predicted share per bin; on the dashed diagonal the two are equal.

    Both axes end at the same round share above the largest value, so that rare events fill the picture.

    :param points: (predicted, observed, number of cases) per bin, shares between 0 and 1.
    :param intervals: per bin the interval of the observed share, drawn as a whisker.
    :raises ValueError: no point, a share outside of 0 to 1, intervals of another length.
    """
    check_count(len(points), label)
    flat = [v for p in points for v in p[:2]] + [v for pair in intervals or () for v in pair]
    if not points or not all(0 <= v <= 1 for v in flat):
        raise ValueError(f"{label}: shares between 0 and 1 are drawn, at least one")
    if intervals is not None and len(intervals) != len(points):
        raise ValueError(f"{label}: {len(intervals)} intervals for {len(points)} points")
    end = next(t for t in (0.04, 0.1, 0.2, 0.4, 0.6, 1.0) if t >= max(flat) - 1e-12)
    bottom, ceiling = height - 26, 8

    def y(share: float) -> float:
        return bottom - share / end * (bottom - ceiling)

    out = [_opening(label, height)]
    for i in range(5):
        tick = end * i / 4
        text = f"{round(tick * 100, 2):g}%"
        out.append(
            f'<line class="{"grid" if i else "axis"}" x1="0" x2="100%" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>'
            f'<text class="tick" x="-8" y="{y(tick) + 4:.1f}" text-anchor="end">{text}</text>'
            f'<text class="tick" x="{25 * i}%" y="{height - 6}" text-anchor="{anchor(i / 4)}">{text}</text>'
        )
    out.append(f'<line class="mark" x1="0" y1="{bottom}" x2="100%" y2="{ceiling}"/>')
    line = [(1000 * p / end, y(o)) for p, o, _ in points]
    out.append(
        f'<svg x="0" y="0" width="100%" height="{bottom}" viewBox="0 0 1000 {bottom}" preserveAspectRatio="none">'
        f'<path class="line s0" d="{path(line)}"/></svg>'
    )
    for i, (predicted, observed, count) in enumerate(points):
        x = f"{100 * predicted / end:.2f}%"
        tip = f"Predicted\t{percent(predicted)}\nObserved\t{percent(observed)}\n{noun}\t{count:,}"
        out.append(f'<g class="pt" data-tip="{escape(tip)}">')
        if intervals is not None:
            low, high = intervals[i]
            out.append(f'<line class="whisker" x1="{x}" x2="{x}" y1="{y(low):.1f}" y2="{y(high):.1f}"/>')
        out.append(
            f'<circle class="hit" cx="{x}" cy="{y(observed):.1f}" r="14"/>'
            f'<circle class="dot on s0" cx="{x}" cy="{y(observed):.1f}" r="3.5"/></g>'
        )
    return drawn([*out, "</svg>"])
