"""``plumbline credit compare``: a challenger against the champion, on rows that neither has learnt from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plumbline.credit.cli.groups import SchemaName, credit, with_outcomes
from plumbline.kernel.faces.cli import Json, invocation, print_json, print_table, progress


@credit.command("compare")
def compare(
    context: typer.Context,
    challenger: Annotated[str, typer.Argument(help="A version: name@version or id.")],
    path: Annotated[Path, typer.Argument(exists=True, help="A file, a ZIP or a folder of tables with outcomes.")],
    champion: Annotated[
        str | None, typer.Option("--champion", help="Against this version; default: the active one.")
    ] = None,
    schema: SchemaName = "home_credit",
    new_rows: Annotated[
        bool, typer.Option("--new-rows", help="The rows came after both were trained: use all of them (recorded).")
    ] = False,
    as_json: Json = False,
) -> None:
    """Compare two models on the same rows: differences with 95 % intervals. Exit code 3 if the challenger is shown to be worse."""
    from plumbline.credit.intake.schema import Schema
    from plumbline.credit.service.comparing import compare_models, shown

    called = invocation(context)
    declared = Schema.load(schema)
    found = with_outcomes(called.installation, path, declared)
    with progress("comparing"):
        done = compare_models(called.installation, called.context, challenger, champion, tables=found.tables, schema=declared,
                              every_row_is_new=new_rows)  # fmt: skip
    rows = shown(done)
    if as_json:
        print_json({"champion": done.comparison.champion, "challenger": done.comparison.challenger, "rows": done.comparison.rows,
                    "events": done.comparison.events, "rows_given": done.rows_given, "unseen": done.unseen, "differences": rows,
                    "undefined": done.comparison.undefined, "declined": done.comparison.declined})  # fmt: skip
    else:
        typer.echo(f"{done.comparison.challenger} against {done.comparison.champion} on {done.comparison.rows:,} of {done.rows_given:,} rows"
                   f" ({done.comparison.events:,} defaults): {done.unseen}")  # fmt: skip
        print_table(("metric", "champion", "challenger", "difference", "low", "high", "verdict"), [list(r.values()) for r in rows],
                    right=("champion", "challenger", "difference", "low", "high"))  # fmt: skip
        counts = done.comparison.declined
        typer.echo(f"declined by both {counts['both']:,}, only by the champion {counts['only champion']:,}, only by the challenger"
                   f" {counts['only challenger']:,}, by neither {counts['neither']:,}")  # fmt: skip
        for metric, reason in done.comparison.undefined.items():
            typer.echo(f"{metric}: {reason}")
    if any(r["verdict"] == "worse" and r["metric"] in ("roc_auc", "cost_per_application") for r in rows):
        raise typer.Exit(3)
