"""``plumbline jobs``: background work on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from plumbline.kernel.faces.cli import Cursor, Json, Limit, invocation, print_facts, print_page

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from plumbline.kernel.jobs.tables import Job

jobs = typer.Typer(no_args_is_help=True, add_completion=False, help="Background jobs: list, show, cancel, retry.")

Key = Annotated[str, typer.Argument(metavar="JOB", help="The job's id.")]


def _id(text: str) -> UUID:
    from uuid import UUID

    from plumbline.kernel.errors import Usage

    try:
        return UUID(text)
    except ValueError:
        raise Usage(f"'{text}' is no id.", remedy="Copy one from the list: plumbline jobs list") from None


def facts(job: Job, now: datetime) -> dict[str, Any]:
    from plumbline.kernel.jobs import service

    how = service.progress(job, now)
    return {
        "id": job.id, "kind": job.kind, "subject_id": job.subject_id, "state": job.state, "done": job.done, "total": job.total,
        "share": how.share, "rate": how.rate, "eta": how.eta, "attempts": job.attempts, "max_attempts": job.max_attempts,
        "cancel_requested": job.cancel_requested, "error": job.error, "user_id": job.user_id, "created_at": job.created_at,
        "started_at": job.started_at, "finished_at": job.finished_at,
    }  # fmt: skip


@jobs.command("list")
def list_(
    context: typer.Context,
    state: Annotated[str | None, typer.Option("--state", help="queued, running, done, failed or cancelled.")] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="Of this kind only: credit.batch …")] = None,
    limit: Limit = 50, cursor: Cursor = None, as_json: Json = False,
) -> None:  # fmt: skip
    """The newest first."""
    from plumbline.kernel.jobs import service
    from plumbline.kernel.paging import PageRequest

    called = invocation(context)
    now = called.context.now
    page = service.list_jobs(
        called.installation, called.context, PageRequest.parse(limit, cursor), state=state, kind=kind
    )
    print_page(page, ("kind", "state", "done", "total", "created_at", "finished_at", "error", "id"), lambda job: facts(job, now),
               as_json=as_json, right=("done", "total"), empty="No job fits.")  # fmt: skip


@jobs.command("show")
def show(context: typer.Context, job: Key, as_json: Json = False) -> None:
    """One job and how far it is."""
    from plumbline.kernel.jobs import service

    called = invocation(context)
    acting = called.context
    print_facts(facts(service.get_job(called.installation, acting, _id(job)), acting.now), as_json=as_json)


@jobs.command("cancel")
def cancel(context: typer.Context, job: Key, as_json: Json = False) -> None:
    """End a job: at once while it is queued, after its present chunk while it runs."""
    from plumbline.kernel.jobs import service

    called = invocation(context)
    acting = called.context
    state = service.cancel(called.installation, acting, _id(job))
    if as_json:
        print_facts(facts(service.get_job(called.installation, acting, _id(job)), acting.now), as_json=True)
    else:
        typer.echo("The job is cancelled." if state == "cancelled" else "The job ends after its present chunk.")


@jobs.command("retry")
def retry(context: typer.Context, job: Key, as_json: Json = False) -> None:
    """Queue a failed or cancelled job again; it goes on after the last chunk that was kept."""
    from plumbline.kernel.jobs import service

    called = invocation(context)
    acting = called.context
    service.retry(called.installation, acting, _id(job))
    if as_json:
        print_facts(facts(service.get_job(called.installation, acting, _id(job)), acting.now), as_json=True)
    else:
        typer.echo("The job is queued again.")
