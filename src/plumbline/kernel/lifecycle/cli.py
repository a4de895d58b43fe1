"""``plumbline health`` and ``plumbline config``."""

from __future__ import annotations

import typer

from plumbline.kernel.faces.cli import Json, invocation, print_json, print_table

config = typer.Typer(
    no_args_is_help=True, add_completion=False, help="The effective settings and where they come from."
)


def health(context: typer.Context, as_json: Json = False) -> None:
    """Is everything there that is needed? Exit code 3 when something is bad."""
    from plumbline.kernel.installation import Installation
    from plumbline.kernel.lifecycle import health as view

    # not `open`: a database that does not fit is what this command is asked about
    installation = Installation(invocation(context).settings())
    try:
        found = view.check(installation)
    finally:
        installation.close()
    if as_json:
        print_json({"healthy": found.healthy, "version": found.version, "at": found.at, "checks": list(found.checks)})
    else:
        print_table(
            ("check", "state", "found", "what to do"), [(c.name, c.state, c.said, c.remedy or "") for c in found.checks]
        )
    if not found.healthy:
        raise typer.Exit(3)


@config.command("show")
def show(context: typer.Context, as_json: Json = False) -> None:
    """Every setting with its effective value, secrets masked."""
    from plumbline import settings

    rows = settings.shown(invocation(context).settings())
    if as_json:
        print_json(rows)
        return
    print_table(
        ("setting", "value", "from", "meaning"), [(r["name"], r["value"], r["source"], r["meaning"]) for r in rows]
    )


@config.callback()
def _group() -> None:
    """Keeps `show` a command of its own: a group with one command would swallow its name."""
