"""Files of applications: ``plumbline credit batch …``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from plumbline.credit.cli.groups import (
    batch,
    key_of,
    make_room,
)
from plumbline.kernel.faces.cli import (
    Cursor,
    Json,
    Limit,
    invocation,
    print_facts,
    print_json,
    print_page,
    progress,
)

MINE = 60.0
"""Seconds a worker leaves a batch to the command that sent it and performs it itself."""


@batch.command("run")
def batch_run(
    context: typer.Context,
    path: Annotated[
        Path, typer.Argument(exists=True, help="CSV, Parquet, .gz, .zst, a ZIP of linked tables, or a folder of them.")
    ],
    model: Annotated[
        str | None, typer.Option("--model", help="Name, name@version or id; default: the active one.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Copy the results (CSV) here.")] = None,
    rejects: Annotated[Path | None, typer.Option("--rejects", help="Copy the rejected rows (CSV) here.")] = None,
    queue: Annotated[bool, typer.Option("--queue", help="Leave the work to a worker.")] = False,
    as_json: Json = False,
) -> None:
    """Score a file and record every decision."""
    import shutil

    from plumbline.credit import service
    from plumbline.credit.results import told
    from plumbline.credit.service.batches import incoming

    make_room(out, rejects)
    called = invocation(context)
    received, name = incoming(called.installation), path.name
    packed = received.with_name(f"{received.name}.zip")
    try:
        with told(path.name):
            if path.is_dir():
                name = f"{path.name}.zip"
                shutil.make_archive(str(received), "zip", path)
                packed.replace(received)
            else:
                shutil.copyfile(path, received)
        view = service.submit_batch(
            called.installation, called.context, received, filename=name, model=model, delay=0 if queue else MINE
        )
    finally:
        packed.unlink(missing_ok=True)
        received.unlink(missing_ok=True)
    finish(context, view.batch.id, out, rejects, queue=queue, as_json=as_json)


def finish(
    context: typer.Context, key: UUID, out: Path | None, rejects: Path | None, *, queue: bool, as_json: bool
) -> None:
    """Work the batch's job off here (unless a worker shall), then say what came out."""
    import shutil

    from plumbline.credit import service
    from plumbline.credit.results import written
    from plumbline.credit.service.batches import download
    from plumbline.kernel.jobs.service import run_inline

    called = invocation(context)
    view = service.batch_of(called.installation, called.context, key)
    if not queue and view.batch.job_id is not None:
        try:
            with progress(f"scoring {view.batch.filename}") as bar:
                run_inline(called.installation, view.batch.job_id, bar)
        finally:  # of a file without one good row there are rejects all the same
            view = service.batch_of(called.installation, called.context, key)
            files = view.batch.extra.get("files", {})
            for target, which in ((out, "results"), (rejects, "rejects")):
                if target is not None and f"{which}.csv" in files:
                    source, _name = download(called.installation, called.context, key, which)
                    with written(target) as copy, source.open("rb") as found:
                        shutil.copyfileobj(found, copy)
    show_batch(view, as_json=as_json)
    if view.status == "failed":
        raise typer.Exit(1)


def show_batch(view: Any, *, as_json: bool) -> None:
    from plumbline.credit.answers import batch_facts
    from plumbline.credit.modelling.policy import DECISIONS, LEVELS

    facts = batch_facts(view)
    if as_json:
        print_json(facts)
        return
    summary = facts.pop("summary")
    facts["model"] = f"{facts['model']['name']}@{facts['model']['version']}"
    facts |= {k: summary.get(k) for k in ("scored", "mean_probability") if k in summary}
    facts |= {
        k: ", ".join(f"{n} {summary[k][n]:,}" for n in order if n in summary[k])
        for k, order in (("levels", LEVELS), ("decisions", DECISIONS))
        if k in summary
    }
    print_facts(facts, as_json=False)
    for warning in summary.get("warnings", []):
        typer.echo(f"  {warning}")


@batch.command("list")
def batch_list(context: typer.Context, limit: Limit = 50, cursor: Cursor = None, as_json: Json = False) -> None:
    """List batches, newest first."""
    from plumbline.credit import service
    from plumbline.kernel.paging import PageRequest

    called = invocation(context)
    page = service.list_batches(called.installation, called.context, PageRequest.parse(limit, cursor))
    views = {view.batch.id: view for view in service.views_of(called.installation, called.context, page.items)}
    print_page(page, ("id", "filename", "status", "rows", "uploaded_at"), lambda b: {
        "id": b.id, "filename": b.filename, "status": views[b.id].status, "rows": b.num_applications, "uploaded_at": b.upload_date,
        "error": views[b.id].error,
    }, as_json=as_json, right=("rows",), empty="No file was scored yet.")  # fmt: skip


@batch.command("status")
def batch_status(
    context: typer.Context, key: Annotated[str, typer.Argument(help="Id of a batch.")], as_json: Json = False
) -> None:
    """Show how far a batch is and what came out."""
    from plumbline.credit import service

    called = invocation(context)
    show_batch(service.batch_of(called.installation, called.context, key_of(key)), as_json=as_json)


@batch.command("resume")
def batch_resume(
    context: typer.Context,
    key: Annotated[str, typer.Argument(help="Id of a batch.")],
    queue: Annotated[bool, typer.Option("--queue", help="Leave the work to a worker.")] = False,
    as_json: Json = False,
) -> None:
    """Go on with a failed, cancelled or interrupted batch."""
    from plumbline.credit import service

    called = invocation(context)
    view = service.batch_of(called.installation, called.context, key_of(key))
    if view.status in ("failed", "completed"):  # of a completed one this tells that there is nothing to resume
        service.resume_batch(called.installation, called.context, view.batch.id)
    finish(context, view.batch.id, None, None, queue=queue, as_json=as_json)


@batch.command("cancel")
def batch_cancel(
    context: typer.Context, key: Annotated[str, typer.Argument(help="Id of a batch.")], as_json: Json = False
) -> None:
    """Stop a batch after its present chunk."""
    from plumbline.credit import service

    called = invocation(context)
    show_batch(service.cancel_batch(called.installation, called.context, key_of(key)), as_json=as_json)
