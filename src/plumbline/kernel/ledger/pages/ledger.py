"""Console pages of the ledger's state: whether it is sound, what waits, who has its checkpoints, and how to check them."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from plumbline.console import formats, views
from plumbline.kernel import clock
from plumbline.kernel.context import Context
from plumbline.kernel.errors import Forbidden, InvalidInput, NotFound, PlumblineError
from plumbline.kernel.faces.http import House, Visitor
from plumbline.kernel.identity import service as identity
from plumbline.kernel.installation import Installation
from plumbline.kernel.jobs import service as jobs
from plumbline.kernel.jobs.tables import Job
from plumbline.kernel.ledger.pages.proofs import LATE
from plumbline.kernel.ledger.service import checking, delivering, proving, sealing, standing
from plumbline.kernel.ledger.service.delivering import DestinationView
from plumbline.kernel.ledger.service.standing import Standing
from plumbline.kernel.ledger.tables import Verification
from plumbline.kernel.paging import Page, PageRequest

router = APIRouter()
KINDS = ("ledger.verify", "ledger.verify.whole")
PER_PAGE = 10
GONE = ("deleted", "missing", "moved")
"""Findings whose entry is not here to be looked at."""
Size = Annotated[int, Path(ge=1, le=2**53)]


@router.get("/ledger")
def ledger_page(
    request: Request, house: House, visitor: Visitor, asked: UUID | None = None,
    below: Annotated[int | None, Query(ge=1, le=2**53)] = None, cursor: Annotated[str, Query(max_length=64)] = "",
) -> Response:  # fmt: skip
    s = standing.standing(house, visitor)
    marks = standing.checkpoints(house, visitor, limit=PER_PAGE + 1, below=below)
    checks = _verifications(house, visitor, cursor)
    running = _running(house, visitor, asked)
    outside = delivering.destinations(house, visitor.organization_id)
    people = {v.user_id for v in [*checks.items, *([s.verified] if s.verified else [])] if v.user_id}
    return views.page(
        request, "ledger/ledger.html", nav="ledger", s=s, chip=state_of(s), late=s.waiting_since is not None and visitor.now - s.waiting_since > LATE,
        strips=[_view(job, visitor) for job in running], verifying=any(job.finished_at is None for job in running),
        outside=[(d, destination_state(d)) for d in outside], alarms=[d for d in outside if d.alarm],
        note=proving.checkpoint(house, visitor, s.size) if s.size else "", seen=delivering.cosignatures(house, visitor.organization_id, s.size),
        marks=[(m.size, m.root.hex(), clock.parse(m.sealed_at)) for m in marks[:PER_PAGE]], first=below is None,
        older=f"/ledger?below={marks[PER_PAGE - 1].size}#checkpoints" if len(marks) > PER_PAGE else "", checks=checks,
        first_checks=not cursor, names=identity.names_of(house, visitor, people) if people else {}, gone=GONE,
        may_verify=visitor.may("ledger.verify"), may_seal=visitor.may("ledger.seal"),
    )  # fmt: skip


@router.post("/ledger/seal")
def seal_form(request: Request, house: House, visitor: Visitor) -> Response:
    try:
        done = sealing.seal_now(house, visitor)
    except Forbidden:
        raise
    except PlumblineError as error:
        return views.redirect(request, "/ledger", flash=str(error), kind="bad")
    return views.redirect(
        request, "/ledger", flash=f"Sealed {formats.plural(done.sealed, 'entry', 'entries')}, this act included."
    )


@router.post("/ledger/verifications")
def verify_form(request: Request, house: House, visitor: Visitor) -> Response:
    """Everything is read again in the background; the page follows it."""
    return views.redirect(request, f"/ledger?asked={checking.request(house, visitor)}")


@router.get("/ledger/verifications/{verification_id}")
def verification_page(request: Request, house: House, visitor: Visitor, verification_id: UUID) -> Response:
    found = standing.verification(house, visitor, verification_id)
    if found is None:
        raise NotFound(
            "There is no such verification in this organization.", remedy="See those that there are: /ledger."
        )
    names = identity.names_of(house, visitor, {found.user_id}) if found.user_id else {}
    return views.page(request, "ledger/verification.html", nav="ledger", v=found, names=names, gone=GONE)


@router.get("/ledger/verifying/{verifying_id}")
def verifying_part(request: Request, house: House, visitor: Visitor, verifying_id: UUID) -> Response:
    """The strip's inside, polled; the page loads anew once the verification has ended."""
    job = jobs.get_job(house, visitor, verifying_id)
    if job.kind not in KINDS:
        raise NotFound("There is no such verification in this organization.", remedy="See all jobs: /jobs.")
    return views.job_fragment(request, _view(job, visitor), reload=True)


@router.get("/ledger/checkpoints/{tree_size}")
def checkpoint_file(house: House, visitor: Visitor, tree_size: Size) -> Response:
    """A signed checkpoint with its cosignatures, to be kept where nobody who runs this installation can change it."""
    return Response(proving.checkpoint(house, visitor, tree_size), media_type="text/plain; charset=utf-8",
                    headers={"Content-Disposition": f'attachment; filename="{tree_size:012d}.checkpoint"'})  # fmt: skip


def state_of(s: Standing) -> tuple[str, str, str]:
    """How the ledger stands, as a chip: what is wrong comes first."""
    v = s.verified
    if v is not None and not v.sound:
        return "bad", f"Not sound, {formats.plural(v.finding_count, 'finding')}", "alert"
    if s.obstacle:
        return "warn", "Sealing is hindered", "alert"
    if not s.size:
        return "", "Nothing is sealed yet", "clock"
    return ("ok", "Sound", "check") if v is not None else ("", "Not verified yet", "clock")


def destination_state(d: DestinationView) -> tuple[str, str, str]:
    """How far a destination has come, as a chip."""
    if d.alarm:
        return "bad", "Alarm", "alert"
    if d.error:
        return "warn", "Not delivered", "alert"
    if d.tried_at is None:
        return "", "Not tried yet", "clock"
    return ("", f"{d.behind:,} behind", "clock") if d.behind else ("ok", "Has everything", "check")


def _verifications(house: Installation, visitor: Context, cursor: str) -> Page[Verification]:
    try:
        return standing.verifications(house, visitor, PageRequest.parse(PER_PAGE, cursor or None))
    except InvalidInput:  # a cursor that was typed wrong: the newest are shown
        return standing.verifications(house, visitor, PageRequest(PER_PAGE))


def _running(house: Installation, visitor: Context, asked: UUID | None) -> list[Job]:
    """Verifications under way, and the one that was asked for if it came to nothing."""
    if not visitor.may("jobs.read"):
        return []
    found = [job for kind in KINDS for job in jobs.open_jobs(house, visitor, kind=kind)]
    if asked is not None and all(job.id != asked for job in found):
        job = jobs.get_job(house, visitor, asked)
        if job.kind in KINDS and job.state in ("failed", "cancelled"):
            found.append(job)
    return found


def _view(job: Job, visitor: Context) -> views.JobView:
    eta = jobs.progress(job, visitor.now).eta
    title = "Verifying everything" if job.kind.endswith(".whole") else "Verifying what is new"
    return views.JobView(
        key=str(job.id), title=title, href=f"/ledger/verifying/{job.id}", state=job.state, done=job.done, total=job.total or 0, unit="read again",
        note=f"about {formats.duration(max(1.0, eta))} left" if eta is not None else "", error=job.error or "",
    )  # fmt: skip
