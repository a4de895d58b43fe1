"""A measure of many things over time, as rows of tinted cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from markupsafe import Markup, escape

from plumbline.console.charts.scale import anchor, check_count, check_finite, drawn, heat_step
from plumbline.console.formats import number

_TICKS = 4


def heat_rows(
    label: str,
    columns: Sequence[str],
    rows: Sequence[tuple[str, Sequence[float | None]]],
    *,
    top: float,
    name: str = "Name",
    measure: str = "Value",
    write: Callable[[float], str] = lambda v: number(v, 3),
    missing: str = "not measured",
) -> Markup:
    """A table whose rows line up: the name, then a cell for each column, darker where the value is larger.

    :param label: the finding; the table's caption.
    :param columns: what each cell is of, oldest first; a few of them are written above.
    :param rows: name → one value a column, ``None`` where there is none (a cell without tint).
    :param top: the value from which a cell has the last tint.
    :raises ValueError: nothing to draw, a row of another length, more than 120 cells in a row or 120 rows, a value that is
        not finite.
    """
    n = len(columns)
    check_count(n, label)
    check_count(len(rows), label)
    if not rows or not n:
        raise ValueError(f"{label}: there is nothing to draw; show an empty state instead")
    out = [
        (
            f'<table class="reasons heat-rows"><caption class="sr">{escape(label)}</caption><thead><tr>'
            f'<td><span class="sr">{escape(name)}</span></td><td class="bar">{_head(columns)}</td>'
            f'<th scope="col" class="num"><span class="sr">{escape(measure)}, newest</span></th></tr></thead><tbody>'
        )
    ]
    for title, values in rows:
        if len(values) != n:
            raise ValueError(f"{label}: the row '{title}' has {len(values)} values for {n} columns")
        check_finite(values, label)
        cells = "".join(_cell(i, n, title, columns[i], value, top, measure, write, missing) for i, value in enumerate(values))  # fmt: skip
        newest = "–" if values[-1] is None else write(values[-1])
        out.append(
            f'<tr><th scope="row">{escape(title)}</th><td class="bar"><svg width="100%" height="100%" aria-hidden="true">{cells}</svg></td>'
            f'<td class="num">{escape(newest)}</td></tr>'
        )
    return drawn([*out, "</tbody></table>"])


def _cell(i: int, n: int, title: str, column: str, value: float | None, top: float, measure: str, write: Callable[[float], str],
          missing: str) -> str:  # fmt: skip
    gap = min(0.4, 8 / n / 4)
    said = missing if value is None else write(value)
    tint = "none" if value is None else f"q{heat_step(value, top)}"
    return (
        f'<g class="pt" data-tip="{escape(f"{title}, {column}{chr(10)}{measure}{chr(9)}{said}")}">'
        f'<rect class="{tint}" x="{100 * i / n + gap:.2f}%" width="{100 / n - 2 * gap:.2f}%" y="12%" height="76%" rx="3"/></g>'
    )


def _head(columns: Sequence[str]) -> str:
    """The first, the last and a few columns between them, each over its cell."""
    n = len(columns)
    shown = sorted({round(i * (n - 1) / (_TICKS - 1)) for i in range(_TICKS)})
    texts = []
    for i in shown:
        at = (i + 0.5) / n
        share = 0.0 if n > 1 and i == 0 else 1.0 if n > 1 and i == n - 1 else at
        texts.append(f'<text class="tick" x="{100 * share:.2f}%" y="13" text-anchor="{anchor(share)}">{escape(columns[i])}</text>')  # fmt: skip
    return f'<svg width="100%" height="20" aria-hidden="true">{"".join(texts)}</svg>'
