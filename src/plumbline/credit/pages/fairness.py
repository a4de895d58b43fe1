"""How groups of people fare with a model."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from plumbline.console import charts, formats, views
from plumbline.credit.pages.intervals import Interval, intervals
from plumbline.credit.service.fairness import fairness_of
from plumbline.kernel.faces.http import House, Visitor

router = APIRouter()
VERDICTS = {"fails": ("bad", "Fails"), "passes": ("ok", "Passes"), "undetermined": ("warn", "Undetermined")}
SHOWN = 8
"""Intersections drawn at first: those with the lowest ratios."""
Group = dict[str, Any]


@router.get("/credit/models/{model}/fairness", name="credit_fairness_page")
def fairness_page(request: Request, house: House, visitor: Visitor, model: str) -> Response:
    found = fairness_of(house, visitor, model)
    return views.page(request, "credit/fairness.html", nav="credit", model=found.model, reason=found.reason, verdicts=VERDICTS,
                      report=found.report, searched=found.alternatives, **(_told(found.report) if found.report else {}))  # fmt: skip


def _told(report: dict[str, Any]) -> dict[str, Any]:
    groups: list[Group] = report["groups"]
    single = [g for g in groups if len(g["attributes"]) == 1]
    crossed = sorted((g for g in groups if len(g["attributes"]) > 1), key=lambda g: g["ratio"]["value"])
    lowest = min(groups, key=lambda g: g["ratio"]["value"], default=None)
    counts = {verdict: sum(g["verdict"] == verdict for g in groups) for verdict in VERDICTS}
    return {
        "groups": groups, "single": single, "lowest": lowest, "counts": counts, "ratios": _ratios(single, report["limit"], "group"),
        "crossed": _ratios(crossed[:SHOWN], report["limit"], "intersection"),
        "others": _ratios(crossed[SHOWN:], report["limit"], "intersection"), "crossings": len(crossed), "shown": SHOWN,
        "over": _over(sorted(single, key=lambda g: g["ratio"]["value"])[:3]), "named": named,
    }  # fmt: skip


def named(group: Group) -> tuple[str, str]:
    """The values, and the attributes they are of."""
    return ", ".join(group["attributes"].values()), ", ".join(a.replace("_", " ") for a in group["attributes"])


def _ratios(groups: list[Group], limit: float, noun: str) -> Any:
    """The chart of approval-rate ratios; None without groups."""
    if not groups:
        return None
    failing = [named(g)[0] for g in groups if g["verdict"] == "fails"]
    label = f"Below the limit: {', '.join(failing)}" if failing else f"No {noun} is surely below the limit"
    rows = [
        Interval(
            f"{values}",
            f"{attributes}, {g['rows']:,} · {g['verdict']}",
            *(g["ratio"][n] for n in ("value", "low", "high")),
        )
        for g in groups
        for values, attributes in (named(g),)
    ]
    return intervals(label, rows, limit=limit, limit_name="Limit", write=lambda v: formats.number(v, 2))


def _over(groups: list[Group]) -> dict[str, Any] | None:
    """The ratio as more and more are approved, of the groups with the lowest ratios."""
    if not groups:
        return None
    shares = [formats.percent(p["approved"], 0) for p in groups[0]["over"]]
    series = [(named(g)[0], [p["ratio"] for p in g["over"]]) for g in groups]
    least = min(v for _, values in series for v in values)
    label = f"The lowest ratio is {formats.number(least, 2)} at these approval rates"
    return {
        "chart": charts.line_chart(label, shares, series, from_zero=False, write=lambda v: formats.number(v, 2)),
        "legend": [(name, formats.number(values[-1], 2)) for name, values in series],
        "headers": ["Approved", *(name for name, _ in series)],
        "rows": [[share, *(f"{formats.number(g['over'][i]['ratio'], 2)} ({formats.number(g['over'][i]['low'], 2)}–"
                           f"{formats.number(g['over'][i]['high'], 2)})" for g in groups)] for i, share in enumerate(shares)],
    }  # fmt: skip
