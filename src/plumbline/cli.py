"""The command ``plumbline``: assembles the command groups of the kernel's parts and the rooms. No logic of its own.

Groups load when they are used: this module, and each command module's head, import typer and the standard library
only (docs/decisions/0008).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from plumbline.kernel import room
from plumbline.kernel.faces.cli import Invocation, invocation

OWN = {
    "init": ("plumbline.start:init", "Make the database, the first organization and its administrator."),
    "serve": ("plumbline.start:serve", "Serve the API, the console and the background worker."),
    "worker": ("plumbline.start:worker", "Run a further background worker."),
    "demo": ("plumbline.start:demo", "Build a firm with its people, models and decisions, and serve it."),
    "db": ("plumbline.kernel.database.cli:db", "The database: upgrade, downgrade, current, history, sql, check."),
    "config": ("plumbline.kernel.lifecycle.cli:config", "The effective settings and where they come from."),
    "health": ("plumbline.kernel.lifecycle.cli:health", "Is everything there that is needed?"),
}


class Lazy(TyperGroup):
    """Knows its groups by name and one line of help; loads the one that is called."""

    def known(self) -> dict[str, tuple[str, str]]:
        return {**room.gathered(lambda r: r.commands), **OWN}

    def list_commands(self, ctx: Any) -> list[str]:
        first = ["demo", "init", "serve", "worker"]
        return [*first, *sorted(set(self.known()) - set(first))]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        found = self.known().get(cmd_name)
        if found is None:
            return None
        target, line = found
        if getattr(self, "listing", False):  # the root's help shows names only
            return TyperCommand(cmd_name, help=line, callback=lambda: None)
        loaded = room.load(target)
        if isinstance(loaded, typer.Typer):
            command = typer.main.get_command(loaded)
        else:
            single = typer.Typer(add_completion=False)
            single.command(cmd_name, help=line)(loaded)
            command = typer.main.get_command(single)
        command.name = cmd_name
        return command

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self.listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self.listing = False


app = typer.Typer(
    cls=Lazy, no_args_is_help=True, pretty_exceptions_enable=False, help="The system of record for automated decisions."
)


def _version(wanted: bool) -> None:
    if wanted:
        from plumbline import __version__

        typer.echo(f"plumbline {__version__}")
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    home: Annotated[
        Path | None, typer.Option("--home", help="Folder of the embedded database and files.", envvar="PLUMBLINE_HOME")
    ] = None,
    database_url: Annotated[
        str | None,
        typer.Option(
            "--database-url", help="sqlite:///FILE or postgresql://USER@HOST/NAME.", envvar="PLUMBLINE_DATABASE_URL"
        ),
    ] = None,
    organization: Annotated[
        str | None, typer.Option("--organization", help="Short name of the organization to work in.")
    ] = None,
    acting: Annotated[str | None, typer.Option("--as", help="Act as this person.")] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """The system of record for automated decisions."""
    context.obj = Invocation(home=home, database_url=database_url, organization=organization, acting=acting)
    context.call_on_close(invocation(context).close)


def main(arguments: list[str] | None = None) -> None:
    """Run the command; one line and an exit code for every error, never a traceback."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """0 done, 1 failure, 2 usage, 3 ran well and the answer is no."""
    command = typer.main.get_command(app)
    try:
        result = command.main(arguments, prog_name="plumbline", standalone_mode=False)
    except Exception as error:
        return _told(error)
    except KeyboardInterrupt:
        typer.echo("stopped", err=True)
        return 130
    return result if isinstance(result, int) else 0


def _told(error: Exception) -> int:
    show, code = getattr(error, "show", None), getattr(error, "exit_code", None)
    if show is not None and code is not None:  # typer's own: usage, a missing argument
        show()
        return int(code)
    if type(error).__name__ in ("Abort", "Exit"):
        return int(code if code is not None else 1)
    from plumbline.kernel.errors import PlumblineError

    if isinstance(error, PlumblineError):
        typer.echo(f"plumbline: {error}", err=True)
        further = [one for one in error.errors if str(one) != str(error)]
        for one in further[:20]:
            typer.echo(f"  {one}", err=True)
        if len(further) > 20:
            typer.echo(f"  … and {len(further) - 20} more", err=True)
        return error.exit_code
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        typer.echo(
            f"plumbline: {error.filename}: {error.strerror}. Check the path, and that you may write there.", err=True
        )
        return 1
    return _unexpected(error)


def _unexpected(error: Exception) -> int:
    """Keep the traceback in a file, say its id."""
    import tempfile
    import traceback
    import uuid

    key = uuid.uuid4().hex[:12]
    path = Path(tempfile.gettempdir()) / f"plumbline-error-{key}.log"
    text = "".join(traceback.format_exception(error))
    try:
        path.write_text(text, "utf-8")
        path.chmod(0o600)
        place = f"The details are in {path}."
    except OSError:
        place = "The details could not be written."
    typer.echo(f"plumbline: an unexpected error happened ({key}). {place}", err=True)
    return 1
