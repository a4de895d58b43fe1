"""Models that treat a group less unequally: ``plumbline credit alternatives``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plumbline.credit.cli.groups import SchemaName, credit, with_outcomes
from plumbline.kernel.faces.cli import Json, invocation, print_facts, print_json, print_table, progress


@credit.command("alternatives")
def alternatives(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="A version: name@version or id; a name means the live one.")],
    path: Annotated[Path, typer.Argument(exists=True, help="A file, a ZIP or a folder of tables with outcomes.")],
    schema: SchemaName = "home_credit",
    group: Annotated[
        str | None, typer.Option("--group", help="As 'attribute: value'; default: the one with the lowest ratio.")
    ] = None,
    most: Annotated[int, typer.Option("--most", min=1, max=100, help="So many candidates at most.")] = 40,
    as_json: Json = False,
) -> None:
    """Search for models that treat a group less unequally, and record what was tried and what came of it."""
    from plumbline.credit.intake.schema import Schema
    from plumbline.credit.service.alternatives import search_alternatives

    called = invocation(context)
    declared = Schema.load(schema)
    read = with_outcomes(called.installation, path, declared)
    with progress("searching") as told:
        found = search_alternatives(
            called.installation,
            called.context,
            model,
            tables=read.tables,
            schema=declared,
            group=group,
            most=most,
            told=told,
        )
    if as_json:
        print_json(found.to_dict())
        return
    made = found.search
    ratio = made.ratio
    print_facts({
        "model": f"{found.model.name}@{found.model.version}", "group": made.group, "rows": made.rows, "approved": f"{made.approved:.1%}",
        "AUC": f"{made.roc_auc:.4f}", "approval-rate ratio": f"{ratio.value:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]",
    }, as_json=False)  # fmt: skip
    rows = [
        [t.name, f"{t.roc_auc_change.value:+.4f} [{t.roc_auc_change.low:+.4f}, {t.roc_auc_change.high:+.4f}]", f"{t.ratio.value:.3f}",
         f"×{t.ratio_change.value:.3f} [{t.ratio_change.low:.3f}, {t.ratio_change.high:.3f}]", t.outcome, "yes" if t.front else ""]
        for t in made.tried
    ]  # fmt: skip
    heads = ["candidate", "AUC", "ratio", "ratio, change", "outcome", "front"]
    print_table(heads, rows, right=("AUC", "ratio", "ratio, change"), title=f"\n{len(rows)} candidates")
    typer.echo(f"\n{len(made.better)} are shown to be less unequal and not shown to rank worse. {made.statement}")
