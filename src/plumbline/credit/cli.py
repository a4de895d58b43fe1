"""The command group ``plumbline credit``."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from plumbline.kernel.faces.cli import (
    Cursor,
    Json,
    Limit,
    invocation,
    print_facts,
    print_json,
    print_page,
    print_table,
    progress,
)

if TYPE_CHECKING:
    from plumbline.credit.intake.readers import Limits

credit = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Credit scoring: train, score one or a file, explain, replay."
)
schemas = typer.Typer(no_args_is_help=True, add_completion=False, help="Schema files: what a data set's columns mean.")
batch = typer.Typer(no_args_is_help=True, add_completion=False, help="Files of applications.")
credit.add_typer(schemas, name="schema")
credit.add_typer(batch, name="batch")


MINE = 60.0
"""Seconds a worker leaves a batch to the command that sent it and performs it itself."""


class Format(StrEnum):
    csv = "csv"
    parquet = "parquet"


class Level(StrEnum):
    low = "Low"
    medium = "Medium"
    high = "High"


SchemaName = Annotated[str, typer.Option("--schema", help="A schema file, or the name of one that is shipped.")]
Seed = Annotated[int, typer.Option("--seed", help="The same seed gives the same result.")]


def make_room(*targets: Path | None) -> None:
    """The folders that files will be written to: what is wrong with them is told before the work, not after it."""
    for target in targets:
        if target is not None:
            target.parent.mkdir(parents=True, exist_ok=True)


@credit.command()
def generate(
    folder: Annotated[Path, typer.Argument(help="Where to write the seven tables.")],
    applications: Annotated[
        int, typer.Option("--applications", "-n", min=1, max=2_000_000, help="How many applications.")
    ] = 10_000,
    seed: Seed = 1,
    form: Annotated[Format, typer.Option("--format", help="Kind of the files.")] = Format.csv,
    default_rate: Annotated[float, typer.Option(min=0.001, max=0.9, help="Share of defaults.")] = 0.0807,
    labelled: Annotated[bool, typer.Option("--labelled/--unlabelled", help="With or without the outcome.")] = True,
    faults: Annotated[bool, typer.Option("--faults", help="Put faulty rows in, to see them rejected.")] = False,
    as_json: Json = False,
) -> None:
    """Make a synthetic portfolio with known truth: seven linked tables, written chunk by chunk."""
    from plumbline.credit import synthetic

    report = synthetic.write_stream(
        folder,
        applications,
        seed,
        format=form.value,
        labelled=labelled,
        default_rate=default_rate,
        faults=faults or None,
    )
    facts = {"folder": str(folder), **report.to_dict()}
    if not as_json:
        facts |= {
            "tables": ", ".join(f"{n} {rows:,}" for n, rows in report.rows.items()),
            "effect_sd": ", ".join(f"{n} {sd:.3g}" for n, sd in facts["effect_sd"].items()),
        }
        facts.pop("rows", None)
    print_facts(facts, as_json=as_json)


@schemas.command("infer")
def schema_infer(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="A CSV or Parquet file, also as .gz or .zst.")
    ],
    out: Annotated[Path | None, typer.Option("--out", help="Write the proposal here instead of printing it.")] = None,
    as_json: Json = False,
) -> None:
    """Propose a schema for a table: types, ranges, sentinels, id, label, protected columns. Read it before you use it."""
    from plumbline.credit import service
    from plumbline.credit.results import written

    make_room(out)
    text = service.propose_schema(file, limits(context))
    if out is not None:
        with written(out) as target:
            target.write(text.encode())
    if as_json:
        print_json({"schema": text, "written": str(out) if out else None})
    else:
        typer.echo(f"written to {out}" if out else text)


def limits(context: typer.Context) -> Limits:
    """Of files that are only looked at: no installation is needed."""
    from plumbline.credit.intake.readers import Limits

    settings = invocation(context).settings()
    return Limits(max_bytes=settings.max_upload_bytes, max_unpacked_bytes=settings.max_unpacked_bytes)


@credit.command()
def check(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(exists=True, help="A file, a ZIP or a folder of tables.")],
    schema: SchemaName = "home_credit",
    scoring: Annotated[
        bool, typer.Option("--scoring/--training", help="As input of scoring, or of training (with the label).")
    ] = False,
    rejects: Annotated[Path | None, typer.Option("--rejects", help="Write the rejected rows here (CSV).")] = None,
    as_json: Json = False,
) -> None:
    """Read and validate files; nothing is stored. Exit code 3 if rows were rejected."""
    from plumbline.credit import service
    from plumbline.credit.intake.schema import Schema
    from plumbline.credit.results import guarded, written

    make_room(rejects)
    found = service.check_files(path, Schema.load(schema), scoring=scoring, limits=limits(context))
    if rejects is not None:
        with written(rejects) as file:
            guarded(found.rejects).write_csv(file)
    facts = {
        "rows": found.rows, "accepted": found.rows - found.rejected_rows, "rejected": found.rejected_rows,
        "tables": {name: frame.height for name, frame in found.tables.items()}, "warnings": found.warnings,
        "rejects": found.rejects.head(20).to_dicts(),
    }  # fmt: skip
    if as_json:
        print_json(facts)
    else:
        typer.echo(f"{found.rows:,} rows: {facts['accepted']:,} accepted, {found.rejected_rows:,} rejected")
        for warning in found.warnings:
            typer.echo(f"  {warning}")
        if found.rejects.height:
            print_table(found.rejects.columns, found.rejects.head(20).rows(), title="rejected (first 20 faults)")
    if found.rejected_rows:
        raise typer.Exit(3)


@credit.command()
def train(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(exists=True, help="A file, a ZIP or a folder of tables with outcomes.")],
    schema: SchemaName = "home_credit",
    name: Annotated[str | None, typer.Option("--name", help="Name of the model; default: the schema's.")] = None,
    seed: Seed = 42,
    threads: Annotated[int, typer.Option(min=1, max=64, help="Threads of the learner; part of what makes a hash.")] = 1,
    searched: Annotated[
        bool, typer.Option("--search", help="Choose among twelve settings by cross-validation.")
    ] = False,
    protected: Annotated[
        bool, typer.Option("--use-protected", help="Also learn from protected attributes (recorded).")
    ] = False,
    as_json: Json = False,
) -> None:
    """Train a model and register it. It decides nothing before it is activated."""
    from plumbline.credit import service
    from plumbline.credit.intake.schema import Schema
    from plumbline.credit.service.training import limits_of

    called = invocation(context)
    declared = Schema.load(schema)
    with progress("reading"):
        found = service.check_files(path, declared, scoring=False, limits=limits_of(called.installation))
    for warning in found.warnings:
        typer.echo(f"  {warning}", err=True)
    if found.rejected_rows:
        typer.echo(
            f"  {found.rejected_rows:,} of {found.rows:,} rows were rejected: see plumbline credit check", err=True
        )
    with progress("training"):
        model = service.train(called.installation, called.context, tables=found.tables, schema=declared, name=name, seed=seed, threads=threads,
                              searched=searched, exclude_protected=not protected, source=path.name)  # fmt: skip
    facts: dict[str, Any] = {
        "model": f"{model.name}@{model.version}", "id": model.id, "sha256": model.extra["sha256"], **model.metrics,
        "threshold": model.extra["threshold"], "rows": model.extra["training"]["rows"], "split": model.extra["training"]["protocol"],
        "warnings": model.extra["warnings"],
    }  # fmt: skip
    print_facts(facts, as_json=as_json)
    if not as_json:
        typer.echo(f"Activate it: plumbline models activate {model.name}@{model.version}")


@credit.command()
def score(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="A JSON file with one application, or - for standard input.")],
    model: Annotated[
        str | None, typer.Option("--model", help="Name, name@version or id; default: the active one.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Decide one application and record it."""
    from dataclasses import replace

    from plumbline.credit import service
    from plumbline.kernel import canonical
    from plumbline.kernel.errors import InvalidInput, NotFound, Where

    called = invocation(context)
    if file == "-":
        data = sys.stdin.buffer.read()
    elif Path(file).is_file():
        data = Path(file).read_bytes()
    else:
        raise NotFound(
            f"There is no file '{file}'.",
            where=Where(file=file),
            remedy="Give the path of a JSON file, or - for standard input.",
        )
    try:
        payload = canonical.loads(data)
    except InvalidInput as error:
        error.where = replace(error.where or Where(), file="standard input" if file == "-" else file)
        raise
    if not isinstance(payload, dict):
        raise InvalidInput(
            "An application is a JSON object.",
            where=Where(file=file),
            remedy='Send {"application": {…}, "bureau": […], …}.',
        )
    if model is not None:
        payload = {**payload, "model": model}
    answer = service.score(called.installation, called.context, payload)
    if as_json:
        print_json(answer.to_dict())
        return
    print_facts({
        "decision": answer.decision, "risk level": answer.risk_level, "probability of default": f"{answer.probability:.4%}",
        "threshold": f"{answer.threshold:.4%}", "points": f"{answer.points:.0f}", "model": f"{answer.model['name']}@{answer.model['version']}",
        "id": answer.id, "flags": ", ".join(answer.flags) or None,
    }, as_json=False)  # fmt: skip
    print_reasons(answer.reasons)


def print_reasons(reasons: list[dict[str, Any]]) -> None:
    rows = [
        [i, r["code"], r.get("text"), r.get("value"), r.get("typical"), f"{r['contribution']:+.3f}"]
        for i, r in enumerate(reasons, 1)
    ]
    print_table(["#", "reason", "what it means", "value", "typical", "log-odds"], rows, right=("#", "value", "typical", "log-odds"), title="\nReasons",
                empty="No reason speaks against this application.")  # fmt: skip


@credit.command("decisions")
def decisions(
    context: typer.Context,
    subject: Annotated[str | None, typer.Option("--subject", help="Only of this application.")] = None,
    level: Annotated[Level | None, typer.Option("--level", help="Only of this risk.")] = None,
    batch_id: Annotated[str | None, typer.Option("--batch", help="Only of this batch.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    as_json: Json = False,
) -> None:
    """List decisions, newest first."""
    from plumbline.credit import service
    from plumbline.credit.answers import listed
    from plumbline.kernel.paging import PageRequest

    called = invocation(context)
    page = service.list_decisions(called.installation, called.context, PageRequest.parse(limit, cursor), subject_id=subject, level=level.value if level else None,
                                  batch_id=key_of(batch_id) if batch_id else None)  # fmt: skip
    columns = ("id", "subject_id", "probability", "risk_level", "decision", "points", "created_at")
    print_page(page, columns, listed, as_json=as_json, right=("probability", "points"), empty="Nothing is decided yet.")


def key_of(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise typer.BadParameter(f"'{text}' is no id") from None


@credit.command()
def explain(
    context: typer.Context, prediction: Annotated[str, typer.Argument(help="Id of a decision.")], as_json: Json = False
) -> None:
    """Show what moved a score: every reason group's exact contribution."""
    from plumbline.credit import service

    called = invocation(context)
    found = service.explain(called.installation, called.context, key_of(prediction))
    if as_json:
        print_json(found)
        return
    groups = sorted(found["groups"].items(), key=lambda g: -abs(g[1]))
    print_table(
        ["reason group", "log-odds"], [[code, f"{value:+.4f}"] for code, value in groups if value], right=("log-odds",)
    )
    typer.echo(f"base {found['base']:+.4f}, sum {found['base'] + sum(found['groups'].values()):+.4f}")


@credit.command()
def replay(
    context: typer.Context, prediction: Annotated[str, typer.Argument(help="Id of a decision.")], as_json: Json = False
) -> None:
    """Run the stored model on the stored input again. Exit code 3 if anything differs."""
    from plumbline.credit import service

    called = invocation(context)
    result = service.replay(called.installation, called.context, key_of(prediction))
    print_facts({
        "equal": result.equal, "differences": "; ".join(result.differences) or None, "probability": repr(result.probability),
        "stored": repr(result.stored_probability), "model": f"{result.model['name']}@{result.model['version']}",
        "sha256": result.model["sha256"], "milliseconds": result.processing_time_ms,
    }, as_json=as_json)  # fmt: skip
    if not result.equal:
        raise typer.Exit(3)


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
