"""Data, schemas, training: ``plumbline credit generate | schema | check | train``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from plumbline.credit.cli.groups import (
    Format,
    SchemaName,
    Seed,
    credit,
    limits,
    make_room,
    schemas,
    with_outcomes,
)
from plumbline.kernel.faces.cli import (
    Json,
    invocation,
    print_facts,
    print_json,
    print_table,
    progress,
)

if TYPE_CHECKING:
    from plumbline.credit.modelling.leaks import LeakReport


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
    """Read and validate files, and look for columns that give the outcome away; nothing is stored.

    Exit code 3 if rows were rejected or the outcome leaks.
    """
    from plumbline.credit import service
    from plumbline.credit.intake.schema import Schema
    from plumbline.credit.results import guarded, written

    make_room(rejects)
    found = service.check_files(path, Schema.load(schema), scoring=scoring, limits=limits(context), leaks=True)
    if rejects is not None:
        with written(rejects) as file:
            guarded(found.rejects).write_csv(file)
    facts = {
        "rows": found.rows, "accepted": found.rows - found.rejected_rows, "rejected": found.rejected_rows,
        "tables": {name: frame.height for name, frame in found.tables.items()}, "warnings": found.warnings,
        "rejects": found.rejects.head(20).to_dicts(), "leaks": None if found.leaks is None else found.leaks.to_dict(),
    }  # fmt: skip
    if as_json:
        print_json(facts)
    else:
        typer.echo(f"{found.rows:,} rows: {facts['accepted']:,} accepted, {found.rejected_rows:,} rejected")
        for warning in found.warnings:
            typer.echo(f"  {warning}")
        if found.rejects.height:
            print_table(found.rejects.columns, found.rejects.head(20).rows(), title="rejected (first 20 faults)")
        if found.leaks is not None:
            _leaks(found.leaks)
        elif not scoring:
            typer.echo("No look for leaks: the rows do not hold both outcomes.")
    if found.rejected_rows or (found.leaks is not None and found.leaks.alarms):
        raise typer.Exit(3)


def _leaks(found: LeakReport) -> None:
    best, sample = found.best, "" if found.rows == found.rows_given else f", a sample of {found.rows_given:,}"
    told = f"; the one that tells most is {best.column} (AUC {best.auc:.3f})" if best is not None else ""
    typer.echo(f"{len(found.columns)} columns looked at for leaks on {found.rows:,} rows{sample}{told}")
    for column in found.suspects:
        typer.echo(f"  {column.column} tells much of the outcome (AUC {column.auc:.3f}): was it known at the decision?")
    if found.equal_rows:
        typer.echo(f"  {found.equal_rows:,} rows equal an earlier one in all columns; a split keeps such rows together")
    if found.alarms:
        examples = {c.column: ", ".join(f"{v:g}" for v in c.examples) for c in found.columns}
        rows = [
            [a.column, a.kind, a.text, examples.get(a.column, "") if a.kind == "odd cells" else ""]
            for a in found.alarms
        ]
        print_table(["column", "kind", "what", "such cells"], rows, title=f"\n{len(found.alarms)} leaks")


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
    accept_leak: Annotated[
        str | None,
        typer.Option("--accept-leak", metavar="REASON", help="Train although the outcome leaks; why is recorded."),
    ] = None,
    limit: Annotated[
        float, typer.Option("--limit", min=0.01, max=1.0, help="Least approval-rate ratio of a group that passes.")
    ] = 0.8,
    twin_champion: Annotated[
        bool, typer.Option("--twin-champion", help="Let the additive twin decide: a scorecard one can add up.")
    ] = False,
    purpose: Annotated[str | None, typer.Option("--purpose", help="For the model card: what it is for.")] = None,
    owner: Annotated[str | None, typer.Option("--owner", help="For the model card: who answers for it.")] = None,
    not_for: Annotated[
        str | None, typer.Option("--not-for", help="For the model card: what it must not be used for.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Train a model and register it, if no column gives the outcome away. It decides nothing before it is activated."""
    from plumbline.credit import service
    from plumbline.credit.intake.schema import Schema

    called = invocation(context)
    declared = Schema.load(schema)
    found = with_outcomes(called.installation, path, declared)
    with progress("training"):
        model = service.train(called.installation, called.context, tables=found.tables, schema=declared, name=name, seed=seed, threads=threads,
                              searched=searched, exclude_protected=not protected, source=path.name, accept_leak=accept_leak, limit=limit,
                              twin_champion=twin_champion, stated={"purpose": purpose, "owner": owner, "not_for": not_for})  # fmt: skip
    facts: dict[str, Any] = {
        "model": f"{model.name}@{model.version}", "id": model.id, "sha256": model.extra["sha256"], **model.metrics,
        "threshold": model.extra["threshold"], "rows": model.extra["training"]["rows"], "split": model.extra["training"]["protocol"],
        "warnings": model.extra["warnings"],
    }  # fmt: skip
    if as_json:
        facts |= {"twin": model.extra["twin"], "leaks": model.extra["leaks"]}
    else:
        facts |= _twin(model.extra["twin"])
    print_facts(facts, as_json=as_json)
    if not as_json:
        for alarm in (model.extra["leaks"] or {}).get("alarms", ()):
            typer.echo(f"  leak, accepted: {alarm['column']}: {alarm['text']}", err=True)
        typer.echo(f"How groups fare: plumbline credit fairness {model.name}@{model.version}")
        typer.echo(f"The twin's points: plumbline credit scorecard {model.name}@{model.version}")
        typer.echo(f"Activate it: plumbline models activate {model.name}@{model.version}")


def _twin(found: dict[str, Any]) -> dict[str, Any]:
    """The additive twin in two lines."""
    told = {
        f"additive twin, {g['dataset']}": f"AUC {g['twin']:.4f}, champion better by {g['difference']:+.4f} [{g['low']:+.4f}, {g['high']:+.4f}]"
        for g in found["gaps"]
    }
    told |= {"additive twin": "decides itself"} if found["decides"] else {}
    error = found["points_error"]
    return {**told, "its points": f"{found['bins']} bins of {found['features']} features; rounding moves a sum by {error['mean']:.1f} on average, "
                                  f"{error['largest']:.1f} at most"}  # fmt: skip
