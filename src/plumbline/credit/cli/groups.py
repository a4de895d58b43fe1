"""The groups that the commands are registered with, and the options they share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from plumbline.kernel.faces.cli import invocation, progress

if TYPE_CHECKING:
    from plumbline.credit.intake.readers import Limits
    from plumbline.credit.intake.schema import Schema
    from plumbline.credit.service.training import Checked
    from plumbline.kernel.installation import Installation

credit = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Credit scoring: train, score one or a file, explain, replay."
)
schemas = typer.Typer(no_args_is_help=True, add_completion=False, help="Schema files: what a data set's columns mean.")
batch = typer.Typer(no_args_is_help=True, add_completion=False, help="Files of applications.")
credit.add_typer(schemas, name="schema")
credit.add_typer(batch, name="batch")

SchemaName = Annotated[str, typer.Option("--schema", help="A schema file, or the name of one that is shipped.")]
Seed = Annotated[int, typer.Option("--seed", help="The same seed gives the same result.")]


class Format(StrEnum):
    csv = "csv"
    parquet = "parquet"


class Level(StrEnum):
    low = "Low"
    medium = "Medium"
    high = "High"


def make_room(*targets: Path | None) -> None:
    """The folders that files will be written to: what is wrong with them is told before the work, not after it."""
    for target in targets:
        if target is not None:
            target.parent.mkdir(parents=True, exist_ok=True)


def limits(context: typer.Context) -> Limits:
    """Of files that are only looked at: no installation is needed."""
    from plumbline.credit.intake.readers import Limits

    settings = invocation(context).settings()
    return Limits(max_bytes=settings.max_upload_bytes, max_unpacked_bytes=settings.max_unpacked_bytes)


def with_outcomes(installation: Installation, path: Path, schema: Schema) -> Checked:
    """Read and validate what a model is taught or measured on; what was rejected or looks odd is told on stderr.

    :raises InvalidInput: nothing there can be read.
    """
    from plumbline.credit import service
    from plumbline.credit.service.training import limits_of

    with progress("reading"):
        found = service.check_files(path, schema, scoring=False, limits=limits_of(installation))
    for warning in found.warnings:
        typer.echo(f"  {warning}", err=True)
    if found.rejected_rows:
        rejected = f"  {found.rejected_rows:,} of {found.rows:,} rows were rejected: see plumbline credit check"
        typer.echo(rejected, err=True)
    return found


def key_of(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise typer.BadParameter(f"'{text}' is no id") from None
