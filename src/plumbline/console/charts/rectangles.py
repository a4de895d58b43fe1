"""Charts made of bars: a waterfall of reasons, a distribution, a ranking, a measure against its target."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from markupsafe import Markup, escape

from plumbline.console.charts.scale import anchor, check_count, check_finite, drawn, nice_ticks
from plumbline.console.formats import compact, number, percent


@dataclass(frozen=True, slots=True)
class Step:
    """One reason: its name, what was found, and by how much it moved the result."""

    label: str
    note: str
    change: float


@dataclass(frozen=True, slots=True)
class WaterfallRow:
    """``kind``: total, for, against (good or bad for the person or thing that is decided about)."""

    kind: str
    label: str
    note: str
    value: str
    bar: Markup


@dataclass(frozen=True, slots=True)
class Waterfall:
    """Rows of one table that line up into one picture; ``start`` is where its scale begins (the page says so)."""

    head: Markup
    rows: tuple[WaterfallRow, ...]
    start: str
    label: str


def waterfall(
    label: str,
    base: float,
    steps: Sequence[Step],
    *,
    threshold: float | None = None,
    threshold_name: str = "Cut-off",
    base_name: tuple[str, str] = ("Base score", "Average of the reference population"),
    final_name: str = "Final score",
    final_note: str = "",
    adverse: str = "down",
    digits: int = 0,
    write: Callable[[float], str] | None = None,
    write_change: Callable[[float], str] | None = None,
    low: float | None = None,
    high: float | None = None,
) -> Waterfall:
    """From a base over its reasons to the result. Steps are drawn in the order given; put the strongest first.

    :param label: the finding, one sentence; it becomes the table's caption.
    :param adverse: ``down`` where less is worse for the subject (a score), ``up`` where more is (a risk).
    :param write: how values are written; numbers with ``digits`` decimals where left out. ``write_change`` likewise.
    :param low: start of the scale; chosen below the smallest value where left out. ``high`` likewise.
    :raises ValueError: a value that is not finite, more than 120 steps, a scale without width.
    """
    check_count(len(steps), label)
    levels = list(accumulate((s.change for s in steps), initial=base))
    known = [*levels, *([threshold] if threshold is not None else [])]
    check_finite([*known, low, high], label)
    value_of = write or (lambda v: number(v, digits))
    change_of = write_change or (lambda v: number(v, digits, signed=True))
    if low is None or high is None:
        least, most = min(known), max(known)
        margin = (most - least) * 0.35 or abs(most) * 0.1 or 1.0
        # A total's bar must have a length to be seen, so the scale begins below the smallest level.
        ticks = nice_ticks(max(least - margin, 0.0) if least >= 0 else least - margin, most + margin * 0.1, 8)
        low, high = ticks[0] if low is None else low, ticks[-1] if high is None else high
    if not high > low:
        raise ValueError(f"{label}: the scale from {low} to {high} has no width")
    lowest, span = low, high - low

    def x(value: float) -> float:
        return min(100.0, max(0.0, 100 * (value - lowest) / span))

    mark = ""
    if threshold is not None:
        mark = f'<line class="mark" x1="{x(threshold):.2f}%" x2="{x(threshold):.2f}%" y1="0" y2="100%"/>'

    def bar(start: float, end: float, kind: str, joins: Sequence[tuple[float, int, int]]) -> Markup:
        left, right = sorted((x(start), x(end)))
        lines = "".join(
            f'<line class="join" x1="{x(v):.2f}%" x2="{x(v):.2f}%" y1="{top}%" y2="{bottom}%"/>'
            for v, top, bottom in joins
        )
        width = max(right - left, 0.6)
        left = min(left, 100 - width)
        return drawn(
            f'<svg class="wf" width="100%" height="100%" aria-hidden="true">{mark}{lines}'
            f'<rect class="{kind}" x="{left:.2f}%" width="{width:.2f}%" y="29%" height="42%" rx="2"/></svg>'
        )

    first = bar(lowest, base, "total", [(base, 71, 100)])
    rows = [WaterfallRow("total", *base_name, value_of(base), first)]
    for step, (start, end) in zip(steps, pairwise(levels), strict=True):
        worse = step.change < 0 if adverse == "down" else step.change > 0
        kind = "against" if worse else "for"
        shape = bar(start, end, kind, [(start, 0, 29), (end, 71, 100)])
        rows.append(WaterfallRow(kind, step.label, step.note, change_of(step.change), shape))
    final = levels[-1]
    if not final_note and threshold is not None:
        side = "below" if final < threshold else "above"
        distance = value_of(abs(final - threshold))
        final_note = (
            f"{distance} {side} the {threshold_name.lower()}"
            if final != threshold
            else f"At the {threshold_name.lower()}"
        )
    shape = bar(lowest, final, "total final", [(final, 0, 29)])
    rows.append(WaterfallRow("total", final_name, final_note, value_of(final), shape))
    text = ""
    if threshold is not None:
        share = x(threshold) / 100
        hold = "start" if share < 0.2 else "end" if share > 0.8 else "middle"
        text = (
            f'<text class="mark-label" x="{x(threshold):.2f}%" y="13" text-anchor="{hold}">'
            f"{escape(threshold_name)} {escape(value_of(threshold))}</text>"
        )
    head = drawn(f'<svg class="wf head" width="100%" height="20" aria-hidden="true">{text}</svg>')
    return Waterfall(head, tuple(rows), value_of(lowest), label)


def histogram(
    label: str,
    counts: Sequence[int],
    *,
    low: float,
    width: float,
    here: float | None = None,
    threshold: float | None = None,
    threshold_name: str = "Cut-off",
    noun: str = "Decisions",
    write: Callable[[float], str] = compact,
    height: int = 150,
) -> Markup:
    """How often values fall into equal bins; the bin that holds ``here`` stands out.

    :param low: where the first bin starts; ``width`` is that of every bin.
    :raises ValueError: no bin, more than 120, a negative count, a width that is not positive.
    """
    check_count(len(counts), label)
    if not counts or min(counts) < 0 or not width > 0:
        raise ValueError(f"{label}: a histogram needs bins, counts of at least 0 and a positive width")
    bottom, ceiling, n = height - 24, 20, len(counts)
    peak, high = max(*counts, 1), low + width * n
    # The largest value belongs to the last bin.
    at = None if here is None else min(n - 1, max(0, math.floor((here - low) / width)))
    out = [f'<svg class="plot" width="100%" height="{height}" role="img" aria-label="{escape(label)}">']
    for i, count in enumerate(counts):
        start = low + i * width
        tall = (bottom - ceiling) * count / peak
        kind = "bar here" if i == at else "bar"
        gap = min(0.25, 20 / n / 4)
        tip = f"{write(start)} to {write(start + width)}\n{noun}\t{count:,}"
        out.append(
            f'<g class="pt" data-tip="{escape(tip)}">'
            f'<rect class="hit" x="{100 * i / n:.2f}%" width="{100 / n:.2f}%" y="0" height="{bottom}"/>'
            f'<rect class="{kind}" x="{100 * i / n + gap:.2f}%" width="{100 / n - 2 * gap:.2f}%" '
            f'y="{bottom - tall:.1f}" height="{tall:.1f}"/></g>'
        )
    if threshold is not None:
        share = min(1.0, max(0.0, (threshold - low) / (high - low)))
        hold = 'dx="-6" text-anchor="end"' if share > 0.55 else 'dx="6" text-anchor="start"'
        out.append(
            f'<line class="mark" x1="{100 * share:.2f}%" x2="{100 * share:.2f}%" y1="{ceiling - 6}" y2="{bottom}"/>'
            f'<text class="mark-label" x="{100 * share:.2f}%" y="{ceiling - 6}" {hold}>'
            f"{escape(threshold_name)} {escape(write(threshold))}</text>"
        )
    out.append(f'<line class="axis" x1="0" x2="100%" y1="{bottom}" y2="{bottom}"/>')
    for i in range(5):
        value = write(low + (high - low) * i / 4)
        out.append(
            f'<text class="tick" x="{25 * i}%" y="{height - 6}" text-anchor="{anchor(i / 4)}">{escape(value)}</text>'
        )
    return drawn([*out, "</svg>"])


@dataclass(frozen=True, slots=True)
class Bar:
    """One line of a ranking; ``kind``: empty, ``against`` (the second colour) or ``quiet`` (grey)."""

    label: str
    value: float
    note: str = ""
    text: str = ""
    kind: str = ""


def bars(
    label: str,
    rows: Sequence[Bar],
    *,
    write: Callable[[float], str] = compact,
    top: float | None = None,
    name: str = "Name",
    measure: str = "Value",
) -> Markup:
    """Horizontal bars from zero, as a table whose rows line up: names wrap, numbers align, nothing needs a second form.

    :param label: the finding; the table's caption.
    :param top: the length of the scale; the largest value where left out.
    :raises ValueError: no row, more than 120, a value that is not finite.
    """
    check_count(len(rows), label)
    check_finite([row.value for row in rows], label)
    if not rows:
        raise ValueError(f"{label}: there is nothing to draw; show an empty state instead")
    low = min(0.0, *(row.value for row in rows))
    high = max(0.0, *(row.value for row in rows), *([top] if top is not None else []))
    span = (high - low) or 1.0
    zero = 100 * (0 - low) / span
    out = [
        (
            f'<table class="reasons bars"><caption class="sr">{escape(label)}</caption><thead class="sr"><tr>'
            f'<th scope="col">{escape(name)}</th><td></td><th scope="col">{escape(measure)}</th></tr></thead><tbody>'
        )
    ]
    for row in rows:
        left, right = sorted((zero, 100 * (row.value - low) / span))
        width = max(right - left, 0.4)
        note = f'<span class="sub">{escape(row.note)}</span>' if row.note else ""
        axis = f'<line class="zero" x1="{zero:.2f}%" x2="{zero:.2f}%" y1="0" y2="100%"/>' if low < 0 else ""
        out.append(
            f'<tr class="{escape(row.kind)}"><th scope="row">{escape(row.label)}{note}</th><td class="bar">'
            f'<svg width="100%" height="100%" aria-hidden="true">{axis}<rect x="{min(left, 100 - width):.2f}%" '
            f'width="{width:.2f}%" y="30%" height="40%" rx="2"/></svg></td>'
            f'<td class="num">{escape(row.text or write(row.value))}</td></tr>'
        )
    return drawn([*out, "</tbody></table>"])


def progress(label: str, share: float, *, target: float | None = None, kind: str = "", height: int = 8) -> Markup:
    """A share of a whole, with a tick where its target is. For running work use the macro ``ui.progress`` instead.

    :param kind: empty, ok, warn or bad; a word beside the picture says the same.
    :raises ValueError: the share or the target is not finite.
    """
    check_finite([share, target], label)
    filled = 100 * min(1.0, max(0.0, share))
    of = "" if target is None else f", target {percent(target, 0)}"
    out = [
        (
            f'<svg class="meter" width="100%" height="{height + 4}" role="img" '
            f'aria-label="{escape(label)}: {percent(share, 0)}{of}">'
            f'<rect class="track" x="0" y="2" width="100%" height="{height}" rx="{height / 2:g}"/>'
            f'<rect class="fill {escape(kind)}" x="0" y="2" width="{filled:.2f}%" height="{height}" rx="{height / 2:g}"/>'
        )
    ]
    if target is not None:
        x = f"{100 * min(1.0, max(0.0, target)):.2f}%"
        out.append(f'<line class="target" x1="{x}" x2="{x}" y1="0" y2="{height + 4}"/>')
    return drawn([*out, "</svg>"])
