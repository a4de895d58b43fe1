"""One application: ``plumbline credit score | decisions | explain | replay``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from plumbline.credit.cli.groups import (
    Level,
    credit,
    key_of,
)
from plumbline.kernel.faces.cli import (
    Cursor,
    Json,
    Limit,
    invocation,
    print_facts,
    print_json,
    print_page,
    print_table,
)


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
