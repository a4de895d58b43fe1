"""Console pages of background work: the list, one job with its progress, cancel and retry."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from plumbline.console import formats, views
from plumbline.kernel.context import Context
from plumbline.kernel.errors import Conflict
from plumbline.kernel.faces.http import House, Visitor
from plumbline.kernel.identity import service as identity
from plumbline.kernel.jobs import service
from plumbline.kernel.jobs.tables import OPEN, STATES, Job
from plumbline.kernel.paging import PageRequest

router = APIRouter()
PER_PAGE = 100
CHIPS = {"queued": ("", "Waiting", "clock"), "running": ("brand", "Running", "jobs"), "done": ("ok", "Done", "check"),
         "failed": ("bad", "Failed", "alert"), "cancelled": ("", "Cancelled", "close")}  # fmt: skip


@router.get("/jobs")
def jobs_page(
    request: Request, house: House, visitor: Visitor, state: Literal["", "queued", "running", "done", "failed", "cancelled"] = "",
    cursor: Annotated[str, Query(max_length=64)] = "",
) -> Response:  # fmt: skip
    page = service.list_jobs(house, visitor, PageRequest.parse(PER_PAGE, cursor or None), state=state or None)
    names = identity.names_of(house, visitor, {j.user_id for j in page.items if j.user_id})
    whole: dict[str, Any] = {
        "rows": [_row(job, visitor, names) for job in page.items], "state": state, "total": page.total_text,
        "segments": [("", "All", "/jobs"), *((s, CHIPS[s][1], f"/jobs?state={s}") for s in STATES)],
        "newest": _address(state, "") if cursor else "", "next": _address(state, page.next) if page.next else "",
    }  # fmt: skip
    if views.is_partial(request):
        return views.fragment(request, "jobs/_list.html", **whole)
    return views.page(request, "jobs/list.html", nav="data", **whole)


@router.get("/jobs/{job_id}")
def job_page(request: Request, house: House, visitor: Visitor, job_id: UUID) -> Response:
    job = service.get_job(house, visitor, job_id)
    names = identity.names_of(house, visitor, {job.user_id} if job.user_id else set())
    return views.page(
        request, "jobs/job.html", nav="data", job=job, view=view_of(job, visitor), how=service.progress(job, visitor.now), chip=CHIPS[job.state],
        title=title_of(job.kind), by=names.get(job.user_id) if job.user_id else None,
        may_cancel=job.state in OPEN and not job.cancel_requested and (visitor.may("jobs.manage") or job.user_id == visitor.user_id),
        may_retry=job.state in ("failed", "cancelled") and visitor.may("jobs.manage"), found={},
    )  # fmt: skip


@router.get("/jobs/{job_id}/progress")
def job_progress(request: Request, house: House, visitor: Visitor, job_id: UUID) -> Response:
    """The strip's inside, polled; the page loads anew once the job has ended."""
    return views.job_fragment(request, view_of(service.get_job(house, visitor, job_id), visitor), reload=True)


@router.post("/jobs/{job_id}/cancel")
def cancel_job_form(request: Request, house: House, visitor: Visitor, job_id: UUID) -> Response:
    try:
        ended = service.cancel(house, visitor, job_id) == "cancelled"
    except Conflict as error:  # it ended while the question stood there
        return views.redirect(request, f"/jobs/{job_id}", flash=error.detail, kind="info")
    return views.redirect(
        request, f"/jobs/{job_id}", flash="The job is cancelled." if ended else "The job ends after its present chunk."
    )


@router.post("/jobs/{job_id}/retry")
def retry_job_form(request: Request, house: House, visitor: Visitor, job_id: UUID) -> Response:
    try:
        service.retry(house, visitor, job_id)
    except Conflict as error:
        return views.redirect(
            request, f"/jobs/{job_id}", flash=f"{error.detail} {error.remedy or ''}".strip(), kind="warn"
        )
    return views.redirect(request, f"/jobs/{job_id}", flash="The job is queued again.")


def title_of(kind: str) -> str:
    """``credit.batch`` as *Credit batch*."""
    return kind.replace(".", " ").replace("_", " ").capitalize()


def view_of(job: Job, visitor: Context) -> views.JobView:
    """The job as a strip shows it."""
    how = service.progress(job, visitor.now)
    note = "ends after its present chunk" if job.cancel_requested and job.state == "running" else ""
    if not note and how.eta is not None:
        note = f"about {formats.duration(how.eta)} left"
    if not note and job.state == "queued" and job.attempts:
        note = f"attempt {job.attempts + 1} of {job.max_attempts}"
    return views.JobView(key=str(job.id), title=title_of(job.kind), href=f"/jobs/{job.id}/progress", state=job.state, done=job.done,
                         total=job.total or 0, note=note, error=job.error or "")  # fmt: skip


def _row(job: Job, visitor: Context, names: dict[UUID, str]) -> dict[str, Any]:
    how = service.progress(job, visitor.now)
    took = (job.finished_at - job.started_at).total_seconds() if job.finished_at and job.started_at else None
    return {"job": job, "title": title_of(job.kind), "chip": CHIPS[job.state], "share": how.share, "took": took,
            "by": names.get(job.user_id) if job.user_id else None}  # fmt: skip


def _address(state: str, cursor: str) -> str:
    kept = {name: text for name, text in (("state", state), ("cursor", cursor)) if text}
    return f"/jobs?{urlencode(kept)}" if kept else "/jobs"
