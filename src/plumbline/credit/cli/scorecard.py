"""The additive twin of a model, to read: ``plumbline credit scorecard``."""

from __future__ import annotations

from typing import Annotated

import typer

from plumbline.credit.cli.groups import credit
from plumbline.kernel.faces.cli import Json, invocation, print_facts, print_json, print_table


@credit.command("scorecard")
def scorecard(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="A version: name@version or id; a name means the live one.")],
    feature: Annotated[str | None, typer.Option("--feature", help="Only this feature.")] = None,
    as_json: Json = False,
) -> None:
    """Show a model's additive twin: the points of every bin of every feature. The model decides, not its twin, unless it was trained as one."""
    from plumbline.credit.service.scorecard import scorecard_of

    called = invocation(context)
    found = scorecard_of(called.installation, called.context, model, feature=feature)
    name = f"{found.model.name}@{found.model.version}"
    if as_json:
        print_json(found.to_dict())
        return
    gap = found.report["gaps"][0] if found.report["gaps"] else None
    told = "none: it is additive itself" if found.report["decides"] else "unknown"
    if gap is not None:
        told = f"{gap['difference']:+.4f} [{gap['low']:+.4f}, {gap['high']:+.4f}] on {gap['rows']:,} rows"
    error = found.report["points_error"]
    print_facts({"model": name, "points of an average applicant": found.base, "AUC of the champion less the twin's": told,
                 "rounding": f"{error['mean']:.1f} points on average, {error['largest']:.1f} at most"}, as_json=False)  # fmt: skip
    rows = [[b.feature, b.cell, f"{b.points:+d}", f"{b.log_odds:+.4f}"] for b in found.bins]
    print_table(
        ["feature", "bin", "points", "log-odds"], rows, right=("points", "log-odds"), title="", empty="It has no split."
    )
