"""``plumbline models``: the registry on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from plumbline.kernel.faces.cli import Cursor, Json, Limit, invocation, print_facts, print_json, print_page, print_table

if TYPE_CHECKING:
    from uuid import UUID

    from plumbline.kernel.models.tables import DriftRun, Model

models = typer.Typer(no_args_is_help=True, add_completion=False, help="Models: list, show, activate, roll back, drift.")

Key = Annotated[
    str, typer.Argument(metavar="MODEL", help="An id, name@version, or name: its live version, else its newest.")
]
Reason = Annotated[
    str | None, typer.Option("--reason", help="Why; stands in the ledger. Needed where no second person is asked for.")
]
Force = Annotated[bool, typer.Option("--force", help="Take a version whose inputs break with those of the live one.")]


def facts(model: Model) -> dict[str, Any]:
    return {
        "id": model.id, "name": model.name, "version": model.version, "kind": model.kind, "model_type": model.model_type,
        "framework": model.framework, "live": model.is_active, "sha256": model.extra["sha256"], "size": model.extra["size"],
        "trained_at": model.trained_at, "trained_by": model.extra["trained_by"], "deployed_at": model.deployed_at,
        "previous_id": model.extra.get("previous_id"), "metrics": model.metrics,
    }  # fmt: skip


@models.command("list")
def list_(
    context: typer.Context, name: Annotated[str | None, typer.Option("--name", help="Versions of this name only.")] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="Versions of this kind only: credit …")] = None,
    live: Annotated[bool | None, typer.Option("--live/--not-live", help="Only versions that decide now, or only the others.")] = None,
    limit: Limit = 50, cursor: Cursor = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Versions, newest first."""
    from plumbline.kernel.models import service
    from plumbline.kernel.paging import PageRequest

    called = invocation(context)
    page = service.list_models(
        called.installation, called.context, PageRequest.parse(limit, cursor), name=name, kind=kind, active=live
    )

    def row(model: Model) -> dict[str, Any]:
        told = facts(model)
        told["model"] = f"{model.name}@{model.version}"
        return told | {"hash": told["sha256"][:12]} if not as_json else facts(model)

    print_page(page, ("model", "kind", "framework", "live", "trained_at", "deployed_at", "hash", "id"), row, as_json=as_json,
               empty="No model yet.")  # fmt: skip


@models.command("card")
def card(
    context: typer.Context, model: Key,
    out: Annotated[Path | None, typer.Option("--out", help="Write the page to print here.")] = None, as_json: Json = False,
) -> None:  # fmt: skip
    """The model card: what it is, what it was made from, how it was measured, and what nobody has measured."""
    from plumbline.kernel.models.card import to_html
    from plumbline.kernel.models.service.cards import card_of

    called = invocation(context)
    told = card_of(called.installation, called.context, model)
    if out is not None:
        _copied(out, to_html(told).encode())
    if as_json:
        print_json(told)
        return
    for part in ("model", "stated", "training"):
        print_facts(told[part], as_json=False)
        typer.echo()
    rows = [
        (e["dataset"], name, f["value"], f["interval"] or "")
        for e in told["evaluations"]
        for name, f in e["figures"].items()
    ]
    print_table(("dataset", "figure", "value", "95 % interval"), rows, right=("value",), empty="Nothing was measured.")
    for line in told["never_measured"]:
        typer.echo(f"never measured: {line}")


@models.command("show")
def show(context: typer.Context, model: Key, as_json: Json = False) -> None:
    """One version: its file, its figures, its inputs."""
    from plumbline.kernel.models import service

    called = invocation(context)
    found = service.detail(called.installation, called.context, model)
    told = facts(found.model) | {
        "versions": [v.version for v in found.versions], "damaged": found.damaged, "inputs": len(found.model.features),
    }  # fmt: skip
    evaluations = [
        {"dataset": m.evaluation.dataset, "rows": m.evaluation.sample_count, "metrics": m.metrics,
         "intervals": m.evaluation.extra.get("intervals", {}), "undefined": m.evaluation.extra.get("undefined", {})}
        for m in found.evaluations
    ]  # fmt: skip
    if as_json:
        print_facts(told | {"features": found.model.features, "evaluations": evaluations}, as_json=True)
        return
    print_facts({k: v for k, v in told.items() if k != "metrics"}, as_json=False)
    typer.echo()
    rows = [
        (m["dataset"], m["rows"], name, value, _interval(m["intervals"].get(name)))
        for m in evaluations
        for name, value in m["metrics"].items()
    ]
    print_table(
        ("dataset", "rows", "metric", "value", "95 % interval"),
        rows,
        right=("rows", "value"),
        empty="Nothing was measured.",
    )


def _interval(pair: Any) -> str | None:
    return f"{pair[0]:.4g} to {pair[1]:.4g}" if pair else None


@models.command("activate")
def activate(
    context: typer.Context, model: Key, reason: Reason = None, force: Force = False, as_json: Json = False
) -> None:
    """Let a version decide from now on."""
    from plumbline.kernel.models import service

    called = invocation(context)
    _done(service.activate(called.installation, called.context, model, reason=reason, force=force), as_json)


@models.command("rollback")
def rollback(context: typer.Context, name: Annotated[str, typer.Argument(help="The name of a model.")], reason: Reason = None,
             force: Force = False, as_json: Json = False) -> None:  # fmt: skip
    """Put the version that was live before back; once more goes one further."""
    from plumbline.kernel.models import service

    called = invocation(context)
    _done(service.rollback(called.installation, called.context, name, reason=reason, force=force), as_json)


def _done(model: Model, as_json: bool) -> None:
    if as_json:
        print_facts(facts(model), as_json=True)
    else:
        typer.echo(f"{model.name}@{model.version} is live ({model.extra['sha256'][:12]}).")


drift = typer.Typer(no_args_is_help=True, add_completion=False, help="Data drift: compare, list, show, verify.")
models.add_typer(drift, name="drift")
Report = Annotated[str, typer.Argument(metavar="REPORT", help="The id of a drift report.")]
_MEASURES = ("psi", "kl_divergence", "ks_test")


def _id(text: str, noun: str, listed: str) -> UUID:
    from uuid import UUID

    from plumbline.kernel.errors import Usage

    try:
        return UUID(text)
    except ValueError:
        raise Usage(f"'{text}' is no id of a {noun}.", remedy=f"Copy one from the list: {listed}") from None


def drift_facts(run: DriftRun) -> dict[str, Any]:
    return {
        "id": run.id, "model_id": run.ml_model_id, "window": run.window_key, "created_at": run.created_at,
        "drift_detected": run.drift_detected, "drift_score": run.drift_score, "severity": run.extra["severity"], "rows": run.extra["rows"],
        "reference_rows": run.extra["reference_rows"], "said": run.extra["said"], "reference_id": run.reference_id, "batch_id": run.batch_id,
        "report_file_path": run.report_file_path, "report_sha256": run.extra["report_sha256"], "json_sha256": run.extra["json_sha256"],
    }  # fmt: skip


@drift.command("run")
def drift_run(
    context: typer.Context, model: Key,
    since: Annotated[str, typer.Option("--since", help="Single decisions from this day or time on (UTC); default: all it made.")] = "",
    until: Annotated[str, typer.Option("--until", help="Before this time, a day is held whole; default: until now.")] = "",
    batch: Annotated[str | None, typer.Option("--batch", help="A file it decided, instead of a span of time.")] = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Compare what a version decided with the rows it was trained on."""
    from plumbline.kernel.ledger.queries import moment
    from plumbline.kernel.models.service import drift as runs

    called = invocation(context)
    outcome = runs.run(
        called.installation, called.context, model, since=moment(since, "since"), until=moment(until, "until", end=True),
        batch_id=None if batch is None else _id(batch, "file", "plumbline credit batch list"),
    )  # fmt: skip
    if as_json:
        print_facts({"state": outcome.state, "said": outcome.said, "report_id": outcome.run_id} | outcome.details, as_json=True)  # fmt: skip
        return
    typer.echo(outcome.said)
    if outcome.run_id is not None:
        typer.echo(
            f"Report {outcome.run_id} ({outcome.details['change']}): plumbline models drift show {outcome.run_id}"
        )


@drift.command("list")
def drift_list(
    context: typer.Context, model: Annotated[str | None, typer.Option("--model", help="Of this version only: id, name@version or name.")] = None,
    drifted: Annotated[bool | None, typer.Option("--drifted/--not-drifted", help="Only reports that found drift, or only the others.")] = None,
    limit: Limit = 50, cursor: Cursor = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Reports, newest first."""
    from plumbline.kernel.models.service import drift_reports as reports
    from plumbline.kernel.paging import PageRequest

    called = invocation(context)
    page = reports.list_runs(
        called.installation, called.context, PageRequest.parse(limit, cursor), model=model, detected=drifted
    )
    names = reports.models_of(called.installation, called.context, page.items)

    def row(run: DriftRun) -> dict[str, Any]:
        of = names[run.ml_model_id]
        return drift_facts(run) | {"model": f"{of.name}@{of.version}", "made": run.created_at, "score": run.drift_score}

    print_page(page, ("model", "severity", "score", "rows", "made", "said", "id"), row, as_json=as_json, empty="Nothing was compared yet.")  # fmt: skip


@drift.command("show")
def drift_show(
    context: typer.Context, report: Report,
    out: Annotated[Path | None, typer.Option("--out", help="Copy the report here: .html to read, .json to recompute.")] = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """One report: its verdict, its three scores, its columns, worst first."""
    from plumbline.kernel.models.service import drift_reports as reports

    called = invocation(context)
    kept = reports.get_run(called.installation, called.context, _id(report, "drift report", "plumbline models drift list"))  # fmt: skip
    if out is not None:
        _copied(out, reports.file_of(called.installation, kept.run, "json" if out.suffix == ".json" else "html"))
    told = drift_facts(kept.run) | {"model": f"{kept.model.name}@{kept.model.version}"}
    scores = {
        name: {"drift_score": s.drift_score, "threshold": s.threshold, "is_drifted": s.is_drifted, "feature_drifts": s.feature_drifts}
        for name in _MEASURES
        if (s := kept.scores.get(name)) is not None
    }  # fmt: skip
    if as_json:
        print_facts(told | {"scores": scores, "drifted_features": kept.run.drifted_features}, as_json=True)
        return
    print_facts(told, as_json=False)
    typer.echo()
    print_table(("measure", "largest", "drifted from", "drifted"), [(name, s["drift_score"], s["threshold"], s["is_drifted"]) for name, s in scores.items()],
                right=("largest", "drifted from"))  # fmt: skip
    typer.echo()
    columns = list(scores["psi"]["feature_drifts"].items())
    shown = [(name, one["severity"], one["corrected"], one["q"], one["missing"]) for name, one in columns[:20]]
    print_table(("column", "verdict", "psi", "q", "missing"), shown, right=("psi", "q", "missing"), empty="Nothing was compared.")  # fmt: skip
    if len(columns) > len(shown):
        typer.echo(f"20 of {len(columns)} columns; all of them with --json or --out FILE.html")


def _copied(out: Path, data: bytes) -> None:
    from plumbline.kernel.errors import Unavailable

    try:
        out.write_bytes(data)
    except OSError as error:
        raise Unavailable(f"'{out}' cannot be written: {error.strerror}.", remedy="Choose another file.") from None


@drift.command("verify")
def drift_verify(context: typer.Context, report: Report, as_json: Json = False) -> None:
    """Recompute every number of a report from its counts and compare files, rows and profiles; 3 where something differs."""
    from plumbline.kernel.models.service import drift_reports as reports

    called = invocation(context)
    found = reports.verify(called.installation, called.context, _id(report, "drift report", "plumbline models drift list"))  # fmt: skip
    if as_json:
        print_facts({"id": found.run.id, "sound": not found.faults, "faults": found.faults}, as_json=True)
    elif found.faults:
        for fault in found.faults:
            typer.echo(fault)
    else:
        typer.echo(f"Every number of report {found.run.id} follows from its counts.")
    if found.faults:
        raise typer.Exit(3)
