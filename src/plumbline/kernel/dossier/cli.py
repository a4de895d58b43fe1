"""``plumbline dossier``: all there is on a decision, in one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plumbline.kernel.faces.cli import invocation

if TYPE_CHECKING:
    from uuid import UUID


def dossier(
    context: typer.Context,
    decision: Annotated[str, typer.Argument(metavar="ID", help="The decision's id.")],
    out: Annotated[Path | None, typer.Option("--out", help="FILE.zip, FILE.html or FILE.json; default: dossier-….zip in this folder.")] = None,
    html: Annotated[bool, typer.Option("--html", help="The page alone instead of the ZIP.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print all of it as JSON.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:  # fmt: skip
    """All there is on a decision: input, model, reasons, who did what afterwards, replay and proof."""
    from plumbline.kernel.dossier import document, service

    key, suffix = _id(decision), _form(out, html=html, as_json=as_json)
    if out is not None:
        _demand_free(out, force)
    called = invocation(context)
    made = service.make(called.installation, called.context, key)
    data = {"zip": document.as_zip, "html": document.as_html, "json": document.as_json}[suffix](made)
    if suffix == "json" and out is None:
        typer.echo(data.decode())
        return
    _write(out or Path(made.file_name(suffix)), data, force)


def _id(text: str) -> UUID:
    from uuid import UUID

    from plumbline.kernel.errors import Usage

    try:
        return UUID(text)
    except ValueError:
        raise Usage(f"'{text}' is no id.", remedy="Copy one from the list: plumbline credit decisions") from None


def _form(out: Path | None, *, html: bool, as_json: bool) -> str:
    from plumbline.kernel.errors import Usage

    if html and as_json:
        raise Usage("--html and --json exclude each other.", remedy="Ask for one of them; the ZIP holds both.")
    asked = "html" if html else "json" if as_json else None
    named = out.suffix.lower().removeprefix(".") if out is not None else ""
    if named in ("zip", "html", "json") and asked not in (None, named):
        raise Usage(
            f"'{out}' is no name for {asked.upper()}.", remedy=f"Let it end in .{asked}, or leave --{asked} out."
        )
    return asked or (named if named in ("html", "json") else "zip")


def _demand_free(path: Path, force: bool) -> None:
    from plumbline.kernel.errors import Conflict

    if not force and path.exists():
        raise Conflict(
            f"The file '{path}' is there already.", remedy="Name another with --out, or replace it with --force."
        )


def _write(path: Path, data: bytes, force: bool) -> None:
    from plumbline.kernel.errors import Unavailable

    _demand_free(path, force)
    try:
        with path.open("wb" if force else "xb") as file:
            file.write(data)
    except OSError as error:
        raise Unavailable(f"'{path}' cannot be written: {error.strerror}.", remedy="Choose another file.") from None
    typer.echo(f"wrote {path} ({len(data):,} bytes); it holds personal data", err=True)
