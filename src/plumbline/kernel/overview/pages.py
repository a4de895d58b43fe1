"""The first page of the console, and the parts of it that are asked for again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from plumbline.console import charts, formats, views
from plumbline.kernel import room as contract
from plumbline.kernel.context import Context
from plumbline.kernel.faces.http import House, Visitor
from plumbline.kernel.findings import service as findings
from plumbline.kernel.jobs import service as jobs
from plumbline.kernel.jobs.tables import Job
from plumbline.kernel.models.tables import Model
from plumbline.kernel.overview import service
from plumbline.kernel.overview.repository import HourCount
from plumbline.kernel.overview.service import PERIODS, Overview, Waiting

router = APIRouter()
RISK = "High"
"""The result that the third tile watches."""
NAMES = {"Low": "Low risk", "Medium": "Medium risk", "High": "High risk"}
MOST_STRIPS = 3
SLOTS = [(f"{h:02d}", h % 6 == 0) for h in range(0, 24, 2)]
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
Days = Annotated[int, Query(alias="days")]


@router.get("/", name="overview_page")
def overview_page(request: Request, house: House, visitor: Visitor, room: str = "", days: Days = 7) -> Response:
    period = days if days in PERIODS else 7
    if views.is_partial(request):
        if "days" in request.query_params:
            hours, deployments = service.decisions(house, visitor)
            return views.fragment(
                request,
                "overview/_outcomes.html",
                outcomes=_outcomes(hours, deployments, visitor.now, period),
                days=period,
            )
        waiting = service.waiting(house, visitor, room or None)
        return views.fragment(request, "overview/_findings.html", **_findings(waiting, visitor, room))
    seen = service.read(house, visitor)
    waiting = service.waiting(house, visitor, room) if room else seen.waiting
    return views.page(
        request, "overview/overview.html", nav="overview", tiles=_tiles(seen, visitor.now), seen=seen, **_findings(waiting, visitor, room),
        strips=[job_view(job, name, visitor.now) for job, name in seen.running[:MOST_STRIPS]], further=max(0, len(seen.running) - MOST_STRIPS),
        outcomes=_outcomes(seen.hours, seen.deployments, visitor.now, period), days=period, heat=_heat(seen.hours, visitor.now),
        calibration=_calibration(seen.live), rooms=[part for part in contract.rooms() if part.commands],
    )  # fmt: skip


@router.get("/overview/jobs/{job_id}")
def running_job(request: Request, house: House, visitor: Visitor, job_id: UUID) -> Response:
    job, name = service.job(house, visitor, job_id)
    return views.job_fragment(request, job_view(job, name, visitor.now))


@router.post("/overview/findings/{finding_id}/take")
def take_finding(
    request: Request, house: House, visitor: Visitor, finding_id: UUID, room: Annotated[str, Form()] = ""
) -> Response:
    taken = findings.take(house, visitor, finding_id)
    if views.is_partial(request):
        return views.fragment(
            request,
            "overview/_findings.html",
            **_findings(service.waiting(house, visitor, room or None), visitor, room),
        )
    return views.redirect(
        request,
        f"/?room={room}" if room in service.waiting(house, visitor).rooms else "/",
        flash=f"Yours now: {taken.title}",
    )


def job_view(job: Job, filename: str, now: datetime) -> views.JobView:
    """A job in words: its room, its kind, the file it is about, the time that is left."""
    name, _, what = job.kind.partition(".")
    title = next((part.title for part in contract.everything() if part.name == name), name.capitalize())
    left = jobs.progress(job, now).eta
    subject = f", {filename}" if filename else ""
    return views.JobView(
        str(job.id), f"{title} {what.replace('_', ' ').replace('.', ' ')}{subject}".strip(), f"/overview/jobs/{job.id}", job.state, job.done,
        job.total or 0, note=f"about {formats.duration(max(1.0, left))} left" if left is not None else "", error=job.error or "",
        result=f"/{name}/batches/{job.subject_id}" if what == "batch" and job.subject_id else "",
    )  # fmt: skip


def _findings(waiting: Waiting, visitor: Context, room: str) -> dict[str, Any]:
    titles = {part.name: part.title for part in contract.everything()}
    tabs = [("", "All", "/", waiting.total)]
    named = sorted({*waiting.rooms, *(part.name for part in contract.rooms())}, key=lambda name: titles.get(name, name))
    tabs += [
        (name, titles.get(name, name.capitalize()), f"/?room={name}", waiting.rooms.get(name, 0)) for name in named
    ]
    shown = waiting.rooms.get(room, 0) if room else waiting.total
    return {"waiting": waiting, "room": room, "tabs": tabs, "titles": titles, "total": shown, "may_take": visitor.may("findings.triage"),
            "now": visitor.now, "me": visitor.user_id}  # fmt: skip


# --- figures in words


def _tiles(seen: Overview, now: datetime) -> dict[str, Any]:
    days = service.by_day(seen.hours, now, service.TREND)
    today, yesterday = days[-1], days[-2]
    change = (today - yesterday) / yesterday if yesterday else None
    week = timedelta(days=7)
    rate = service.share(seen.hours, RISK, now - week, now + timedelta(hours=1))
    before = service.share(seen.hours, RISK, now - 2 * week, now - week)
    risky = service.by_day(seen.hours, now, service.TREND, RISK)
    return {
        "today": today, "yesterday": yesterday, "days": days,
        "change": change if change is not None and abs(change) < 5 else None,
        "days_said": f"Decisions a day over {len(days)} days, between {min(days):,} and {max(days):,}",
        "waiting_said": f"Findings waiting over {service.TREND} days, now {seen.waiting.total:,}",
        "rate": rate, "rate_change": rate - before if rate is not None and before is not None else None,
        "rates": [100 * r / n if n else 0.0 for r, n in zip(risky, days, strict=True)],
        "rate_said": f"Share of high risk a day over {len(days)} days, {formats.percent(rate)} in the last seven",
    }  # fmt: skip


def _outcomes(hours: Sequence[HourCount], deployments: Sequence[Model], now: datetime, days: int) -> dict[str, Any]:
    period = PERIODS[days]
    starts, counted = service.cut(hours, now, period)
    series = _three(counted)
    total = sum(sum(values) for _, values in series)
    names = [f"{at:%H:%M}" if days == 1 else f"{at.day} {at:%b}" for at in starts]
    tips = [
        "\n".join([_when(at, period.hours), *(f"{name}\t{values[i]:,}" for name, values in series)]) for i, at in enumerate(starts)
    ]  # fmt: skip
    step = timedelta(hours=period.hours)
    marks = [
        ((model.deployed_at - starts[0]) // step, f"{model.name} {model.version}")
        for model in deployments
        if model.deployed_at is not None and model.deployed_at >= starts[0]
    ][-2:]
    told = ", ".join(f"{sum(values):,} {name.lower()}" for name, values in series)
    finding = f"{formats.plural(total, 'decision')} in {period.text}: {told}"
    every = max(1, len(starts) // 10)
    return {
        "total": total, "finding": finding, "legend": [(name, f"{sum(values):,}") for name, values in series],
        "chart": charts.line_chart(finding, names, [(n, list(v)) for n, v in series], tips=tips, every=period.named, marks=marks) if total else "",
        "headers": ["From (UTC)", *(name for name, _ in series)],
        "rows": [(_when(at, period.hours), *(f"{values[i]:,}" for _, values in series)) for i, at in enumerate(starts) if i % every == 0 or any(
            values[i] for _, values in series)],
    }  # fmt: skip


def _three(counted: dict[str, list[int]]) -> list[tuple[str, list[int]]]:
    """Three series at most: low, high and medium risk where those are the results, else the two most frequent and all others."""
    if counted and set(counted) <= set(NAMES):
        empty = [0] * len(next(iter(counted.values())))
        return [(NAMES[name], counted.get(name, empty)) for name in ("Low", "High", "Medium")]
    ranked = sorted(counted.items(), key=lambda item: (-sum(item[1]), item[0]))
    if len(ranked) <= 3:
        return ranked
    return [*ranked[:2], ("All others", [sum(at) for at in zip(*(values for _, values in ranked[2:]), strict=True)])]


def _when(at: datetime, hours: int) -> str:
    return formats.day(at) if hours == 24 else f"{at.day} {at:%b}, {at:%H:%M}"


def _heat(hours: Sequence[HourCount], now: datetime) -> dict[str, Any] | None:
    cells = service.by_weekday(hours, now)
    top = max(max(row) for row in cells)
    if not top:
        return None
    day, slot = max(((d, s) for d in range(7) for s in range(12)), key=lambda at: cells[at[0]][at[1]])
    return {"columns": SLOTS, "rows": list(zip(WEEKDAYS, cells, strict=True)), "top": top,
            "finding": f"Decisions by weekday and two-hour slot, most on {WEEKDAYS[day]} from {SLOTS[slot][0]}:00"}  # fmt: skip


def _calibration(model: Model | None) -> dict[str, Any] | None:
    """The reliability a version was registered with, and in a word whether chance explains what is off."""
    held = (model.extra.get("reliability") or []) if model is not None else []
    if model is None or not held:
        return None
    points = [(float(p["mean_score"]), float(p["observed"]), int(p["rows"])) for p in held]
    intervals = [(float(p["interval"][0]), float(p["interval"][1])) for p in held]
    off = sum(not low <= p[0] <= high for p, (low, high) in zip(points, intervals, strict=True))
    within = "Within chance" if off <= max(1, len(points) // 10) else f"{off} of {len(points)} groups off"
    return {
        "model": f"{model.name} {model.version}", "href": f"/models/{model.id}", "points": points, "intervals": intervals, "word": within,
        "kind": "ok" if within == "Within chance" else "warn", "rows": sum(p[2] for p in points),
        "finding": f"In {off} of {len(points)} groups the predicted share lies outside the interval of the observed one",
        "table": [(formats.percent(p), formats.percent(o), f"{n:,}") for p, o, n in points],
    }  # fmt: skip
