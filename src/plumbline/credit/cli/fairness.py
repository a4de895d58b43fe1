"""How groups of people fare with a model: ``plumbline credit fairness``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from plumbline.credit.cli.groups import credit
from plumbline.kernel.faces.cli import Json, invocation, print_facts, print_json, print_table


@credit.command("fairness")
def fairness(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="A version: name@version or id; a name means the live one.")],
    as_json: Json = False,
) -> None:
    """Show how groups fare: approval-rate ratios and error rates with 95 % intervals. Exit code 3 if a group fails."""
    from plumbline.credit.service.fairness import fairness_of

    called = invocation(context)
    found = fairness_of(called.installation, called.context, model)
    if as_json:
        print_json(found.to_dict())
    elif found.report is None:
        typer.echo(found.reason)
    else:
        _report(f"{found.model.name}@{found.model.version}", found.report)
    if found.report is not None and found.report["verdict"] == "fails":
        raise typer.Exit(3)


def _report(name: str, report: dict[str, Any]) -> None:
    outside = report["outside"]
    score = f"no score moved when {', '.join(outside['columns'])} were shuffled among {outside['rows']:,} applications"
    if not outside["holds"]:
        score = f"{outside['moved']:,} of {outside['rows']:,} scores moved; features made from them: {', '.join(outside['features']) or 'none'}"
    facts = {
        "model": name, "verdict": f"{report['verdict']} (limit {report['limit']:g})", "rows": report["rows"],
        "threshold": f"{report['threshold']:.4%}", "audited columns": score,
    }  # fmt: skip
    print_facts(facts, as_json=False)
    heads = [
        "group",
        "rows",
        "verdict",
        "approval-rate ratio",
        "approved",
        "refused though good",
        "AUC",
        "expected",
        "defaults",
        "score",
    ]
    for size, title in ((1, "Groups"), (2, "Intersections")):
        rows = [_row(g) for g in report["groups"] if len(g["attributes"]) == size]
        if rows:
            print_table(heads, rows, right=tuple(heads[1:2] + heads[3:]), title=f"\n{title}")
    if report["small"]:
        typer.echo(
            f"\n{len(report['small'])} groups have fewer than {report['least']} rows (or others): nothing is said of them."
        )
    told = [f"{p['group']} ({p['attribute']}): {p['feature']} {p['auc']:.2f}" for p in report["proxies"]]
    if told:
        typer.echo("\nFeatures that tell of a group (AUC alone): " + "; ".join(told[:12]))
    typer.echo(f"\n{report['statement']}")


def _row(group: dict[str, Any]) -> list[Any]:
    return [
        group["group"], f"{group['rows']:,}", group["verdict"], _figure(group["ratio"]), _figure(group["approval_rate"], "%"),
        _figure(group["false_refusal"], "%"), _figure(group["roc_auc"]), f"{group['expected']:.1%}", _figure(group["observed"], "%"),
        f"{group['score_difference']['value']:+.2f}",
    ]  # fmt: skip


def _figure(found: dict[str, float] | None, unit: str = "") -> str:
    if found is None:
        return "-"
    value, low, high = found["value"], found["low"], found["high"]
    return f"{value:.1%} [{low:.1%}, {high:.1%}]" if unit else f"{value:.3f} [{low:.3f}, {high:.3f}]"
