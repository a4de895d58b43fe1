"""``/api/v1/jobs``: background work."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from plumbline.kernel.context import Context
from plumbline.kernel.faces.http import Caller, House
from plumbline.kernel.installation import Installation
from plumbline.kernel.jobs import service
from plumbline.kernel.jobs.tables import Job
from plumbline.kernel.paging import PageRequest

router = APIRouter()
State = Literal["queued", "running", "done", "failed", "cancelled"]
_EXAMPLE: dict[str, Any] = {
    "id": "019ab2f4-8f00-7a31-9c1d-0d6a5f3b2c11", "kind": "credit.batch", "subject_id": "019ab2f4-8e00-7a31-9c1d-0d6a5f3b2c11",
    "state": "running", "done": 255502, "total": 412100, "share": 0.62, "rate": 9100.0, "eta": 17.2, "attempts": 1, "max_attempts": 5,
    "cancel_requested": False, "error": None, "user_id": None, "created_at": "2026-11-24T09:41:00Z", "started_at": "2026-11-24T09:41:01Z",
    "finished_at": None,
}  # fmt: skip


class JobOut(BaseModel):
    """A piece of background work and how far it is."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    id: UUID
    kind: str
    subject_id: UUID | None = Field(description="What it is about: a batch, a model.")
    state: State
    done: int
    total: int | None
    share: float | None = Field(description="Of the whole, 0 to 1; null while the whole is not known.")
    rate: float | None = Field(description="Rows per second since it began.")
    eta: float | None = Field(description="Seconds that are left.")
    attempts: int
    max_attempts: int
    cancel_requested: bool
    error: str | None
    user_id: UUID | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class JobPage(BaseModel):
    """`next` is the cursor of the following page, null on the last."""

    items: list[JobOut]
    next: str | None
    total: str


@router.get("/jobs")
def list_jobs(
    house: House, caller: Caller, state: State | None = None, kind: Annotated[str | None, Query(max_length=100, pattern=r"^[^\x00]*$")] = None,
    subject_id: UUID | None = None, limit: Annotated[int, Query(ge=1, le=500)] = 100, cursor: str | None = None,
) -> JobPage:  # fmt: skip
    """Background work, newest first."""
    page = service.list_jobs(
        house, caller, PageRequest.parse(limit, cursor), state=state, kind=kind, subject_id=subject_id
    )
    return JobPage(items=[_out(job, caller) for job in page.items], next=page.next, total=page.total_text)


@router.get("/jobs/{job_id}")
def get_job(house: House, caller: Caller, job_id: UUID) -> JobOut:
    """One job and how far it is."""
    return _read(house, caller, job_id)


@router.post("/jobs/{job_id}/cancel")
def cancel_job(house: House, caller: Caller, job_id: UUID) -> JobOut:
    """End a job: at once while it is queued, after its present chunk while it runs. What it wrote stays."""
    caller.require("jobs.read")  # the answer shows the job: refused before the act, not after it
    service.cancel(house, caller, job_id)
    return _read(house, caller, job_id)


@router.post("/jobs/{job_id}/retry")
def retry_job(house: House, caller: Caller, job_id: UUID) -> JobOut:
    """Queue a failed or cancelled job again; it goes on after the last chunk that was kept."""
    caller.require("jobs.read")  # the answer shows the job: refused before the act, not after it
    service.retry(house, caller, job_id)
    return _read(house, caller, job_id)


def _read(house: Installation, caller: Context, job_id: UUID) -> JobOut:
    return _out(service.get_job(house, caller, job_id), caller)


def _out(job: Job, caller: Context) -> JobOut:
    how = service.progress(job, caller.now)
    own = {name: getattr(job, name) for name in JobOut.model_fields if name not in ("share", "rate", "eta")}
    return JobOut(**own, share=how.share, rate=how.rate, eta=how.eta)
