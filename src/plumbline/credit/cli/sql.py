"""A model as SQL: ``plumbline credit sql``."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from plumbline.credit.cli.groups import credit, make_room
from plumbline.kernel.faces.cli import Json, invocation, print_facts, print_json


class Engine(StrEnum):
    postgresql = "postgresql"
    duckdb = "duckdb"
    sqlite = "sqlite"


@credit.command("sql")
def sql(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="Name, name@version or id of a credit model.")],
    dialect: Annotated[Engine, typer.Option("--dialect", help="The engine it is for.")],
    out: Annotated[Path | None, typer.Option("--out", help="A file to write; default: standard output.")] = None,
    table: Annotated[str, typer.Option("--table", help="The table or view of the model's features.")] = "features",
    key: Annotated[
        str | None, typer.Option("--key", help="The column that names a row; default: the schema's id.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a model as one SELECT that gives the scorer's probabilities to the last bit."""
    from dataclasses import asdict

    from plumbline.credit.service.sql_export import sql_export

    called = invocation(context)
    made = sql_export(called.installation, called.context, model, dialect.value, table=table, key=key)
    if out is None:
        if as_json:
            print_json(asdict(made))
        else:
            typer.echo(made.text, nl=False)
        return
    make_room(out)
    temporary = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        temporary.write_text(made.text, encoding="utf-8", newline="\n")
        temporary.replace(out)
    finally:
        temporary.unlink(missing_ok=True)
    print_facts({
        "file": str(out), "bytes": out.stat().st_size, "dialect": made.dialect, "table": made.table,
        "columns": len(made.columns), "model": f"{made.model['name']}@{made.model['version']}",
        "sha256": made.model["sha256"],
    }, as_json=as_json)  # fmt: skip
