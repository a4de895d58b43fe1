"""What a page draws of drift: columns over time, one report's worst columns, an output against its reference (pure)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from plumbline.console import charts, formats
from plumbline.console.charts import Bar
from plumbline.kernel.models.pictures import Picture
from plumbline.kernel.models.tables import DriftRun

VERDICTS = {
    "major": ("bad", "Major drift", "alert"), "moderate": ("warn", "Moderate drift", "alert"), "stable": ("ok", "Stable", "check"),
    "insufficient_data": ("", "Too few rows", ""), "no_data": ("", "No rows", ""),
}  # fmt: skip
"""Severity → kind, word and icon of its chip."""
MAJOR = 0.25
ROWS = 10
"""Columns and reports a heat map shows: 120 cells at most."""


def window_of(run: DriftRun) -> str:
    """A report's window in a few words."""
    told = run.extra["window"]
    return str(told["file"]) if "file" in told else f"{told['since'][:10]} to {told['until'][:10]}"


def verdict_of(run: DriftRun) -> tuple[str, str, str]:
    """Kind, word and icon of a report's chip. A few columns without enough rows do not hide that the others are stable."""
    severity = run.extra["severity"]
    if severity == "insufficient_data" and 2 * run.extra["undetermined"] < run.extra["columns"]:
        severity = "stable"
    return VERDICTS[severity]


def figure(value: float) -> str:
    return formats.number(value, 3 if value < 1 else 2)


def trail_map(runs: Sequence[tuple[DriftRun, Mapping[str, Mapping[str, Any]]]]) -> Picture | None:
    """Corrected PSI of the columns that moved most, oldest report first; a cell of too few rows has no tint: it says nothing."""
    names = {name for _, columns in runs for name in columns}
    values = {name: [_told(columns.get(name)) for _, columns in runs] for name in names}
    worst = {name: max((v for v in row if v is not None), default=0.0) for name, row in values.items()}
    shown = sorted(names, key=lambda name: (-worst[name], name))[:ROWS]
    if not shown:
        return None
    rows = [(name, values[name]) for name in shown]
    heads = [formats.day(run.created_at)[:-5].strip() for run, _ in runs]
    tips = [f"{day} {window_of(run)}" for day, (run, _) in zip(heads, runs, strict=True)]
    label = f"{shown[0]} moved most: corrected PSI {figure(worst[shown[0]])}."
    sub = f"Corrected PSI of {formats.plural(len(shown), 'column')} of {len(names):,}, the last tint from {MAJOR:g} on (major)"
    table = [(name, *("–" if v is None else figure(v) for v in row)) for name, row in rows]
    chart = charts.heat_rows(label, heads, rows, top=MAJOR, name="Column", measure="PSI", write=figure, missing="too few rows to tell")  # fmt: skip
    return Picture("Drift", sub, chart, ("Column", *tips), table)


def _told(column: Mapping[str, Any] | None) -> float | None:
    """A column's value where its rows were enough to tell."""
    if column is None or column["severity"] in ("insufficient_data", "no_data"):
        return None
    return float(column["corrected"])


def _short(label: str) -> str:
    """A bin's name as an axis has room for it: ``(0.0550191, 0.0733079]`` ends at 0.0733."""
    if label.startswith("(") and label.endswith("]") and ", " in label:
        try:
            return f"{float(label[1:-1].split(', ')[1]):.3g}"
        except ValueError:
            return label
    head, _, end = label.partition(" ")
    try:
        return f"{head} {float(end):.3g}" if head in ("≤", ">") else label
    except ValueError:
        return label


def worst_columns(columns: Mapping[str, Mapping[str, Any]], *, most: int = 6) -> Picture | None:
    """The columns of one report that moved most, as bars of corrected PSI."""
    ranked = sorted(columns.items(), key=lambda item: (-item[1]["corrected"], item[0]))[:most]
    if not ranked:
        return None
    label = f"{ranked[0][0]} moved most: corrected PSI {figure(ranked[0][1]['corrected'])}."
    rows = [
        Bar(name, one["corrected"], VERDICTS[one["severity"]][1], figure(one["corrected"]),
            "against" if one["severity"] in ("major", "moderate") else "")
        for name, one in ranked
    ]  # fmt: skip
    return Picture("Columns", "Corrected PSI, from 0.1 on moderate, from 0.25 on major",
                   charts.bars(label, rows, top=MAJOR, name="Column", measure="PSI"), (), [])  # fmt: skip


def against_reference(column: Mapping[str, Any]) -> Picture | None:
    """Shares of a column's bins now and in the reference; ``None`` where one side has no rows or the bins are too many to draw."""
    bins = column["histogram"]
    totals = [sum(bins[side]) for side in ("current", "reference")]
    used = [i for i, (a, b) in enumerate(zip(bins["current"], bins["reference"], strict=True)) if a or b]
    if not all(totals) or len(used) < 2 or len(used) > charts.MOST:
        return None
    names = [bins["labels"][i] for i in used]
    sides = (("Now", "current", totals[0]), ("In training", "reference", totals[1]))
    series = [(name, [bins[side][i] / total for i in used]) for name, side, total in sides]
    tips = ["\n".join([label, *(f"{name}\t{formats.percent(values[k])}" for name, values in series)]) for k, label in enumerate(names)]  # fmt: skip
    label = f"{column['feature']} now and in training: corrected PSI {figure(column['psi_corrected'])}."
    chart = charts.line_chart(
        label, [_short(name) for name in names], [(n, list(v)) for n, v in series], tips=tips, every=max(1, len(names) // 4), height=180,
        write=lambda v: formats.percent(v, 0),
    )  # fmt: skip
    rows = [(names[k], *(formats.percent(values[k]) for _, values in series)) for k in range(len(names))]
    return Picture(
        str(column["feature"]), "Share of the rows in each bin of the training rows", chart, ("Bin", "Now", "In training"), rows
    )  # fmt: skip
