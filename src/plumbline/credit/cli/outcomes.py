"""What became of decisions: ``plumbline credit outcomes import | record | cohorts``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plumbline.credit.cli.groups import credit, key_of, make_room
from plumbline.kernel.faces.cli import Json, invocation, print_json, print_table

if TYPE_CHECKING:
    from plumbline.kernel.models.service.outcomes import Recorded

outcomes = typer.Typer(
    no_args_is_help=True, add_completion=False, help="What became of decisions, and how the models did."
)
credit.add_typer(outcomes, name="outcomes")
FEW = 20


class Outcome(StrEnum):
    repaid = "repaid"
    default = "default"


class Source(StrEnum):
    feed = "feed"
    person = "person"
    rule = "rule"
    audit_sample = "audit_sample"


Reason = Annotated[str | None, typer.Option("--reason", help="Why known outcomes are corrected.")]


@outcomes.command("import")
def import_(
    context: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(
            exists=True, dir_okay=False, help="CSV or Parquet: prediction_id or subject_id, outcome, outcome_at, …"
        ),
    ],
    source: Annotated[Source, typer.Option("--source", help="Of rows that name none.")] = Source.feed,
    reason: Reason = None,
    rejects: Annotated[Path | None, typer.Option("--rejects", help="Write the rejected rows (CSV) here.")] = None,
    as_json: Json = False,
) -> None:
    """Record the outcomes of a file; sending it again changes nothing. Exit code 3 if rows were rejected."""
    from plumbline.credit.service import outcomes as service

    make_room(rejects)
    called = invocation(context)
    with file.open("rb") as stream:
        found = service.record_file(
            called.installation, called.context, stream, file.name, source=source.value, reason=reason
        )
    if rejects is not None:
        _write(found, rejects)
    _show(found, as_json=as_json)
    if found.rejected:
        raise typer.Exit(3)


@outcomes.command()
def record(
    context: typer.Context,
    outcome: Annotated[Outcome, typer.Option("--outcome", help="What became of it.")],
    at: Annotated[str, typer.Option("--at", help="When that became known: 2026-11-24, or with time and zone.")],
    decision: Annotated[str | None, typer.Option("--decision", help="Id of the decision.")] = None,
    subject: Annotated[
        str | None, typer.Option("--subject", help="The application: its latest decision before the event is meant.")
    ] = None,
    event_at: Annotated[str | None, typer.Option("--event-at", help="When it happened.")] = None,
    source: Annotated[Source, typer.Option("--source", help="Where it comes from.")] = Source.person,
    inclusion_probability: Annotated[
        float | None, typer.Option("--inclusion-probability", help="Share an audit sample was drawn with.")
    ] = None,
    reason: Reason = None,
    as_json: Json = False,
) -> None:
    """Record what became of one decision, or correct it with a reason."""
    from plumbline.credit.service import outcomes as service

    if (decision is None) == (subject is None):
        raise typer.BadParameter("name one of them", param_hint="--decision / --subject")
    called = invocation(context)
    row = {
        "prediction_id": str(key_of(decision)) if decision else None, "subject_id": subject, "outcome": outcome.value, "outcome_at": at,
        "event_at": event_at, "source": source.value, "inclusion_probability": inclusion_probability,
    }  # fmt: skip
    found = service.record(called.installation, called.context, [row], reason=reason, whole=True)
    _show(found, as_json=as_json)


@outcomes.command()
def cohorts(
    context: typer.Context,
    model: Annotated[str | None, typer.Option("--model", help="Name, name@version or id; default: all.")] = None,
    evaluate: Annotated[
        bool, typer.Option("--evaluate", help="First measure the mature ones, as the nightly job does.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show performance by month of the decision, where its outcomes are known well enough to judge."""
    from plumbline.credit.service import outcomes as service
    from plumbline.credit.truth import ESTIMATE, cohort_facts

    called = invocation(context)
    if evaluate:
        service.evaluate(called.installation, called.context, model)
    found = [cohort_facts(c) for c in service.performance(called.installation, called.context, model)]
    if as_json:
        print_json({"items": found})
        return
    rows = []
    for one in found:
        auc = next((n for n in ("roc_auc", "roc_auc_accepted") if n in one["metrics"]), None)
        told = one["verdict_reason"] or one["reason"]
        if auc is not None:
            pair = one["intervals"].get(auc)
            interval = f" [{pair[0]:.3f}, {pair[1]:.3f}]" if pair else ""
            told = f"{auc} {one['metrics'][auc]:.3f}{interval}" + (f"; {told}" if one["verdict"] == "unknown" else "")
        version = f"{one['model']['name']}@{one['model']['version']}"
        rows.append(
            [one["cohort"], version, one["state"], one["decisions"], f"{one['labelled']:,} of {one['awaited']:,}", told]
        )
    columns = ["cohort", "model", "state", "decisions", "outcomes known", "performance"]
    print_table(columns, rows, right=("decisions", "outcomes known"), empty="Nothing is decided yet.")
    if any(one["state"] != "mature" for one in found):
        typer.echo(ESTIMATE)


def _show(found: Recorded, *, as_json: bool) -> None:
    from plumbline.credit.truth import recorded_facts

    if as_json:
        print_json(recorded_facts(found))
        return
    corrected = f" ({found.corrected:,} corrected)" if found.corrected else ""
    typer.echo(
        f"{found.rows:,} rows: {found.accepted:,} accepted{corrected}, {found.unchanged:,} unchanged, {found.rejected:,} rejected"
    )
    if found.rejects:
        shown = [[r.row, r.field, r.rule, r.value, r.message] for r in found.rejects[:FEW]]
        print_table(["row", "field", "rule", "value", "why"], shown, right=("row",), title="\nRejected")
        if found.rejected > FEW:
            typer.echo(f"and {found.rejected - FEW:,} more; --rejects FILE writes them all")


def _write(found: Recorded, path: Path) -> None:
    import polars as pl

    from plumbline.credit.results import guarded, poured, written

    names = ("row", "field", "rule", "value", "message")
    frame = pl.DataFrame(
        {n: [getattr(r, n) for r in found.rejects] for n in names},
        schema={n: pl.Int64 if n == "row" else pl.String for n in names},
    )
    with written(path) as out:
        poured(out, guarded(frame).write_csv)
