"""What would have been: ``plumbline credit counterfactual | what-if``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from plumbline.credit.cli.groups import credit, key_of
from plumbline.kernel.faces.cli import Json, invocation, print_facts, print_json, print_table


class Better(StrEnum):
    approve = "approve"
    review = "review"


class Lower(StrEnum):
    low = "Low"
    medium = "Medium"


Prediction = Annotated[str, typer.Argument(help="Id of a decision.")]


@credit.command()
def counterfactual(
    context: typer.Context,
    prediction: Prediction,
    decision: Annotated[
        Better | None, typer.Option("--decision", help="What is to be reached; default: approve.")
    ] = None,
    level: Annotated[Lower | None, typer.Option("--level", help="The risk level to be reached.")] = None,
    max_changes: Annotated[int, typer.Option("--max-changes", min=1, max=3, help="At most so many changes.")] = 3,
    as_json: Json = False,
) -> None:
    """Look for the fewest, smallest changes by the applicant that would have led to a better decision."""
    from plumbline.credit.service import whatif

    called = invocation(context)
    told = whatif.counterfactual(
        called.installation, called.context, key_of(prediction), decision=decision.value if decision else None,
        level=level.value if level else None, max_changes=max_changes,
    )  # fmt: skip
    if as_json:
        print_json(told.to_dict())
        return
    _standing({"now": told.before}, told.threshold)
    search = told.search
    if not search.found:
        typer.echo(f"\n{search.reason}")
        if search.flags:
            typer.echo(f"Its data alone sends it to a person, whatever the score: {', '.join(search.flags)}.")
        if search.best_probability is not None:
            typer.echo(f"The lowest probability of default on the way was {search.best_probability:.4%}.")
        return
    for number, way in enumerate(search.found, 1):
        rows = [[c.text, c.column, c.before, c.after, c.unit] for c in way.changes]
        title = f"\n{number}. {way.decision}, {way.level} risk: {way.probability:.4%}, {way.points:.0f} points"
        print_table(["what", "column", "from", "to", "unit"], rows, right=("from", "to"), title=title)


@credit.command("what-if")
def what_if(
    context: typer.Context,
    prediction: Prediction,
    changes: Annotated[
        list[str], typer.Option("--set", help="COLUMN=VALUE; an empty value empties the column. May be repeated.")
    ],
    as_json: Json = False,
) -> None:
    """Score a decision's application again with changes, recording nothing."""
    from plumbline.credit.service import whatif

    called = invocation(context)
    request = {"prediction_id": str(key_of(prediction)), "changes": dict(_change(text) for text in changes)}
    told = whatif.what_if(called.installation, called.context, request)
    if as_json:
        print_json(told.to_dict())
        return
    rows = [[c.text, c.column, c.before, c.after, c.unit, None if c.possible else "not the applicant's to change"]
            for c in told.changes]  # fmt: skip
    print_table(["what", "column", "from", "to", "unit", ""], rows, right=("from", "to"), empty="Nothing is otherwise.")
    typer.echo()
    _standing({"decided": told.before, "with the changes": told.after}, told.threshold)
    shifts = [[s.group, f"{s.log_odds:+.4f}", f"{s.points:+.1f}"] for s in told.shifts]
    if shifts:
        print_table(["reason group", "log-odds", "points"], shifts, right=("log-odds", "points"), title="\nWhat moved")


def _standing(standings: dict[str, Any], threshold: float) -> None:
    facts = {
        name: f"{s.decision}, {s.risk_level} risk: {s.probability:.4%}, {s.points:.0f} points"
        for name, s in standings.items()
    }
    print_facts({**facts, "threshold": f"{threshold:.4%}"}, as_json=False)


def _change(text: str) -> tuple[str, Any]:
    """``COLUMN=VALUE``: a number if it reads as one."""
    name, sign, value = text.partition("=")
    if not sign or not name.strip():
        raise typer.BadParameter(f"'{text}' is not COLUMN=VALUE", param_hint="--set")
    value = value.strip()
    for kind in (int, float):
        try:
            return name.strip(), kind(value)
        except ValueError:
            continue
    return name.strip(), value or None
