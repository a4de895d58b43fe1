"""Intervals side by side: each a dot with its whisker on one scale, in the rows of a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from plumbline.console.charts.scale import check_count, check_finite, drawn


@dataclass(frozen=True, slots=True)
class Interval:
    """A row: its name, what stands small below it, the value and its interval."""

    label: str
    note: str
    value: float
    low: float
    high: float


def intervals(label: str, rows: Sequence[Interval], *, limit: float, limit_name: str, write: Callable[[float], str],
              even: float = 1.0, name: str = "Group", measure: str = "Ratio") -> Markup:  # fmt: skip
    """The dashed line is the limit, the thin one ``even``: the value at which there is no difference.

    :param label: the finding; the table's caption.
    :raises ValueError: no row, more than 120, a value that is not finite.
    """
    check_count(len(rows), label)
    check_finite([v for r in rows for v in (r.value, r.low, r.high)], label)
    if not rows:
        raise ValueError(f"{label}: there is nothing to draw; show an empty state instead")
    least = min(limit, even, *(r.low for r in rows))
    most = max(limit, even, *(min(r.high, 2 * even) for r in rows))
    margin = 0.04 * (most - least) or 0.1
    start, span = least - margin, most - least + 2 * margin

    def x(value: float) -> float:
        return min(100.0, max(0.0, 100 * (value - start) / span))

    lines = (
        f'<line class="join" x1="{x(even):.2f}%" x2="{x(even):.2f}%" y1="0" y2="100%"/>'
        f'<line class="mark" x1="{x(limit):.2f}%" x2="{x(limit):.2f}%" y1="0" y2="100%"/>'
    )
    out = [
        (
            f'<table class="reasons"><caption class="sr">{escape(label)}</caption><thead><tr>'
            f'<th scope="col"><span class="sr">{escape(name)}</span></th><td class="bar"><svg width="100%" height="20" aria-hidden="true">'
            f'<text class="mark-label" x="{x(limit):.2f}%" y="13" text-anchor="middle">{escape(limit_name)} {escape(write(limit))}</text></svg></td>'
            f'<th scope="col" class="num"><span class="sr">{escape(measure)} and 95 % interval</span></th></tr></thead><tbody>'
        )
    ]
    for row in rows:
        low, high = x(row.low), x(row.high)
        note = f'<span class="sub">{escape(row.note)}</span>' if row.note else ""
        span_text = f"{write(row.low)}–{write(row.high)}"
        out.append(
            f'<tr><th scope="row">{escape(row.label)}{note}</th><td class="bar"><svg class="wf" width="100%" height="100%" aria-hidden="true">{lines}'
            f'<line class="whisker" x1="{low:.2f}%" x2="{high:.2f}%" y1="50%" y2="50%"/>'
            f'<circle class="dot on s0" cx="{x(row.value):.2f}%" cy="50%" r="4"/></svg></td>'
            f'<td class="num">{escape(write(row.value))}<span class="sub">{escape(span_text)}</span></td></tr>'
        )
    return drawn([*out, "</tbody></table>"])
