"""Files of applications: sent, followed, read, downloaded."""

from __future__ import annotations

from io import BytesIO
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request, UploadFile
from fastapi.responses import FileResponse
from starlette.responses import Response

from plumbline.console import charts, formats, views
from plumbline.credit import service, words
from plumbline.credit.decision import TYPE
from plumbline.credit.modelling.policy import DECISIONS, LEVELS
from plumbline.credit.pages import history, reading
from plumbline.credit.service import batches as files
from plumbline.credit.service.batches import BatchView
from plumbline.credit.service.monitoring import report_of
from plumbline.kernel.context import Context
from plumbline.kernel.errors import Corrupt, InvalidInput, NotFound, PlumblineError, TooLarge
from plumbline.kernel.faces.http import House, Visitor
from plumbline.kernel.installation import Installation
from plumbline.kernel.jobs import service as jobs
from plumbline.kernel.models import drift_pictures
from plumbline.kernel.models import service as models
from plumbline.kernel.models.service import drift_reports
from plumbline.kernel.paging import PageRequest

router = APIRouter()
PER_PAGE = 25
FAULTS = 20
BINS = 50
LATEST = 50
MEDIA = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}


@router.get("/credit/batches")
def batches_page(request: Request, house: House, visitor: Visitor, cursor: Annotated[str, Query()] = "") -> Response:
    page = service.list_batches(house, visitor, PageRequest.parse(PER_PAGE, cursor or None))
    found = service.views_of(house, visitor, page.items)
    return views.page(
        request, "credit/batches.html", nav="credit", page=page, batches=found, words=words, may_batch=visitor.may("credit.batch"),
        people=reading.names(house, visitor, [v.batch.user_id for v in found]), newest="/credit/batches" if cursor else "",
        next=f"/credit/batches?cursor={page.next}" if page.next else "",
    )  # fmt: skip


@router.get("/credit/batches/new")
def new_batch_page(request: Request, house: House, visitor: Visitor) -> Response:
    visitor.require("credit.batch")
    return views.page(request, "credit/batch_new.html", nav="credit", **_sending(house, visitor, "", {}))


@router.post("/credit/batches")
def send_batch(
    request: Request, house: House, visitor: Visitor, file: UploadFile | None = None, model: Annotated[str, Form()] = ""
) -> Response:
    try:
        view = service.receive_batch(
            house, visitor, file.file if file else BytesIO(), filename=file.filename if file else None, model=model
        )
    except (InvalidInput, TooLarge, NotFound) as error:
        field = "model" if isinstance(error, NotFound) or (error.where and error.where.field == "model") else "file"
        found = {field: words.told(error)}
        context = _sending(house, visitor, model, found)
        if views.is_partial(request):
            return views.fragment(request, "credit/_batch_form.html", status=422, **context)
        return views.page(request, "credit/batch_new.html", nav="credit", status=422, **context)
    return views.redirect(
        request, f"/credit/batches/{view.batch.id}", flash=f"{view.batch.filename} is received and waits for its turn."
    )


def _sending(house: Installation, visitor: Context, model: str, found: dict[str, str]) -> dict[str, Any]:
    versions = models.list_models(house, visitor, PageRequest(LATEST), kind=TYPE).items
    live = reading.live(house, visitor)
    return {
        "versions": [(f"{m.name}@{m.version}", f"{m.name} {m.version}") for m in versions], "live": live, "model": model, "found": found,
        "largest": house.settings.max_upload_bytes,
    }  # fmt: skip


@router.get("/credit/batches/{batch_id}")
def batch_page(request: Request, house: House, visitor: Visitor, batch_id: UUID, level: Annotated[str, Query()] = "",
               cursor: Annotated[str, Query()] = "") -> Response:  # fmt: skip
    view = service.batch_of(house, visitor, batch_id)
    level = level if level in LEVELS else ""
    page = service.rows_of(house, visitor, batch_id, PageRequest.parse(PER_PAGE, cursor or None), level=level or None)
    address = f"/credit/batches/{batch_id}?level={level}" if level else f"/credit/batches/{batch_id}"
    rows: dict[str, Any] = {
        "view": view, "page": page, "level": level, "levels": LEVELS, "words": words, "newest": address if cursor else "",
        "next": f"{address}{'&' if level else '?'}cursor={page.next}" if page.next else "",
    }  # fmt: skip
    if views.is_partial(request):
        return views.fragment(request, "credit/_rows.html", **rows)
    running = view.status in ("pending", "processing")
    columns, faults = reading.first_faults(house, view, FAULTS)
    return views.page(
        request, "credit/batch.html", nav="credit", **rows, running=running, job=_job(view, visitor) if running else None,
        faults=faults, fault_columns=columns, person=next(iter(reading.names(house, visitor, [view.batch.user_id]).values()), ""),
        may_batch=visitor.may("credit.batch"), may_cancel=_may_cancel(view, visitor), done=_done(house, visitor, view), drift=_drift(house, visitor, view),
        events=history.events(house, visitor, [batch_id]), same=view.batch.extra.get("same_as"),
    )  # fmt: skip


@router.get("/credit/batches/{batch_id}/progress")
def batch_progress(request: Request, house: House, visitor: Visitor, batch_id: UUID) -> Response:
    return views.job_fragment(request, _job(service.batch_of(house, visitor, batch_id), visitor), reload=True)


@router.get("/credit/batches/{batch_id}/files/{which}")
def batch_file(house: House, visitor: Visitor, batch_id: UUID, which: str) -> FileResponse:
    path, name = files.download(house, visitor, batch_id, which)
    return FileResponse(path, filename=name, media_type=MEDIA[path.suffix.removeprefix(".")])


@router.post("/credit/batches/{batch_id}/cancel")
def cancel_batch(request: Request, house: House, visitor: Visitor, batch_id: UUID) -> Response:
    view = service.cancel_batch(house, visitor, batch_id)
    said = (
        "The batch stops after its present chunk."
        if view.status != "failed"
        else "The batch is cancelled; what was decided stays."
    )
    return views.redirect(request, f"/credit/batches/{batch_id}", flash=said, kind="info")


@router.post("/credit/batches/{batch_id}/resume")
def resume_batch(request: Request, house: House, visitor: Visitor, batch_id: UUID) -> Response:
    view = service.resume_batch(house, visitor, batch_id)
    return views.redirect(
        request, f"/credit/batches/{batch_id}", flash=f"Going on after {formats.plural(view.rows_done, 'row')}."
    )


def _may_cancel(view: BatchView, visitor: Context) -> bool:
    return view.job is not None and (view.job.user_id == visitor.user_id or visitor.may("jobs.manage"))


def _job(view: BatchView, visitor: Context) -> views.JobView:
    """The batch as a strip; its state is the batch's own, so that the page is asked for again when the results are there."""
    batch, job = view.batch, view.job
    state = {"pending": "queued", "processing": "running", "completed": "done", "failed": "failed"}[view.status]
    if state == "failed" and job is not None and job.state == "cancelled":
        state = "cancelled"
    left = jobs.progress(job, visitor.now).eta if job is not None else None
    note = "stopping after this chunk" if job is not None and job.cancel_requested and state != "cancelled" else ""
    if not note and left is not None:
        note = f"about {formats.duration(max(1.0, left))} left"
    return views.JobView(
        str(batch.id), f"Scoring {batch.filename}", f"/credit/batches/{batch.id}/progress", state, view.rows_done, batch.num_applications or 0,
        note=note, error=view.error or "",
    )  # fmt: skip


def _done(house: Installation, visitor: Context, view: BatchView) -> dict[str, Any] | None:
    """The figures and pictures of a completed batch."""
    extra = view.batch.extra
    if view.status != "completed":
        return None
    scored, levels, decisions = extra["scored"], extra["levels"], extra["decisions"]
    high = levels.get("High", 0)
    started, ended = view.batch.processing_started_at, view.batch.processing_completed_at
    seconds = (ended - started).total_seconds() if started and ended else None
    return {
        "scored": scored, "rejected": extra["rejected"], "high": high, "high_share": high / scored if scored else None,
        "rejected_share": extra["rejected"] / view.batch.num_applications if view.batch.num_applications else None, "seconds": seconds,
        "levels": _bars(levels, LEVELS, {name: text for name, (_, text) in words.LEVELS.items()}, "High", scored),
        "decisions": _bars(decisions, DECISIONS, {name: text for name, (_, text) in words.DECISIONS.items()}, "decline", scored),
        "spread": _spread(house, visitor, view), "warnings": extra.get("warnings", []), "files": extra["files"], "root": extra["records_root"],
        "mean": extra["mean_probability"],
    }  # fmt: skip


def _drift(house: Installation, visitor: Context, view: BatchView) -> dict[str, Any] | None:
    """How the file's applications differ from those the version was trained on; ``None`` where that is no business of the
    reader, or the file was scored by an older program."""
    told = view.batch.extra.get("drift")
    if told is None or not visitor.may("models.read"):
        return None
    key = report_of(view.batch)
    if key is None:
        return {"said": told["said"], "href": ""}
    kept = drift_reports.get_run(house, visitor, key)
    try:
        columns = drift_reports.columns_of(house, kept.run)
    except Corrupt:  # the report's own page says so
        columns = []
    output = next((c for c in columns if c["kind"] == "probability"), None)
    return {
        "said": kept.run.extra["said"], "href": f"/models/{kept.model.id}/drift/{kept.run.id}",
        "chip": drift_pictures.verdict_of(kept.run), "score": drift_pictures.figure(kept.run.drift_score),
        "worst": drift_pictures.worst_columns(kept.scores["psi"].feature_drifts),
        "output": drift_pictures.against_reference(output) if output else None,
    }  # fmt: skip


def _bars(
    counts: dict[str, int], order: tuple[str, ...], named: dict[str, str], against: str, total: int
) -> tuple[str, Any]:
    """Shares in words, and the counts as bars."""
    rows = [
        charts.Bar(
            named[key], counts.get(key, 0), text=f"{counts.get(key, 0):,}", kind="against" if key == against else ""
        )
        for key in order
    ]
    shares = ", ".join(
        f"{named[key].lower()} {formats.percent(counts.get(key, 0) / total if total else 0)}" for key in order
    )
    shares = shares[0].upper() + shares[1:]
    return shares, charts.bars(shares, rows, name="Group", measure="Applications")


def _body(counts: list[int], share: float = 0.995) -> int:
    """How many of the first bins hold so much of all."""
    seen, total = 0, sum(counts)
    for i, n in enumerate(counts):
        seen += n
        if seen >= share * total:
            return i + 1
    return len(counts)


def _spread(house: Installation, visitor: Context, view: BatchView) -> dict[str, Any] | None:
    """Shares of the file's probabilities beside those of the rows the model was measured on, in steps of two percent."""
    mine = view.batch.extra.get("histogram") or []
    try:
        theirs = reading.training_histogram(house, visitor, view.model, BINS)
    except PlumblineError:
        theirs = []
    if not sum(mine):
        return None
    kept = max(5, *(_body(counts) for counts in (mine, theirs)))
    names = [f"{2 * i} %" for i in range(kept)]
    series = [("This file", [n / sum(mine) for n in mine[:kept]])]
    if sum(theirs):
        series.append(("Rows it was measured on", [n / sum(theirs) for n in theirs[:kept]]))
    tips = [
        "\n".join([f"{a[:-2]} to {2 * i + 2} %", *(f"{name}\t{formats.percent(values[i])}" for name, values in series)])
        for i, a in enumerate(names)
    ]
    finding = f"Probabilities of default of {formats.plural(sum(mine), 'application')}, {formats.percent(view.batch.extra['mean_probability'])} on average"
    return {
        "chart": charts.line_chart(finding, names, [(n, list(v)) for n, v in series], tips=tips, every=max(1, kept // 6), height=210,
                                   write=lambda v: formats.percent(v, 0)),
        "legend": [(name, "") for name, _ in series],
        "headers": ["Probability from", *(name for name, _ in series)],
        "rows": [(names[i], *(formats.percent(values[i]) for _, values in series)) for i in range(kept)],
    }  # fmt: skip
