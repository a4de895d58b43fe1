"""``plumbline db``: migrations, run as the database's owner."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from plumbline.kernel.faces.cli import Json, invocation, print_facts, print_json, print_table

if TYPE_CHECKING:
    from plumbline.kernel.database import Database

db = typer.Typer(
    no_args_is_help=True, add_completion=False, help="The database: upgrade, downgrade, current, history, sql, check."
)


@contextmanager
def _owner(context: typer.Context) -> Iterator[Database]:
    """The login's own role: migrations make and grant what the application's role may only use."""
    from plumbline.kernel import room
    from plumbline.kernel.database import Database

    room.declare_tables()
    database = Database(invocation(context).settings().url, role="owner")
    try:
        yield database
    finally:
        database.close()


@db.command("upgrade")
def upgrade(
    context: typer.Context,
    to: Annotated[str, typer.Option("--to", help="A revision; all the newest without it.")] = "heads",
    as_json: Json = False,
) -> None:
    """Bring the database to what this program needs."""
    from plumbline.kernel.database import migrate

    with _owner(context) as database:
        before = migrate.applied(database)
        if to != "heads":
            _known(to)
        migrate.upgrade(database, to)
        after = migrate.applied(database)
    made = sorted(after - before)
    if as_json:
        print_json({"applied": made, "current": sorted(after)})
    else:
        typer.echo(f"applied {', '.join(made)}" if made else "nothing to do")


@db.command("downgrade")
def downgrade(
    context: typer.Context,
    target: Annotated[str, typer.Argument(help="A revision, ROOM@base, or base (everything goes).")],
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask: the tables that go take their rows with them.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Take migrations back, with the rows of the tables that go."""
    from plumbline.kernel.database import migrate
    from plumbline.kernel.errors import Usage

    if target != "base":
        _known(target)
    if not yes:
        raise Usage(
            "A downgrade removes tables and all their rows.",
            remedy=f"Make a backup, then: plumbline db downgrade {target} --yes",
        )
    with _owner(context) as database:
        before = migrate.applied(database)
        if not before:
            raise Usage("The database has no tables yet.", remedy="There is nothing to take back.")
        migrate.downgrade(database, target)
        after = migrate.applied(database)
    gone = sorted(before - after)
    if as_json:
        print_json({"removed": gone, "current": sorted(after)})
    else:
        typer.echo(f"took back {', '.join(gone)}" if gone else "nothing to do")


@db.command("current")
def current(context: typer.Context, as_json: Json = False) -> None:
    """What the database has, and whether that is what this program needs."""
    from plumbline.kernel.database import migrate

    with _owner(context) as database:
        there, known = migrate.applied(database), set(migrate.revisions())
    facts = {
        "applied": sorted(there),
        "lacks": sorted(known - there),
        "unknown": sorted(there - known),
        "fits": there == known,
    }
    print_facts(facts, as_json=as_json)


@db.command("history")
def history(context: typer.Context, as_json: Json = False) -> None:
    """Every migration of this program and whether the database has it."""
    from plumbline.kernel.database import migrate

    with _owner(context) as database:
        there = migrate.applied(database)
    rows = [{"revision": r.id, "room": r.room, "after": r.before, "needs": r.needs, "applied": r.id in there}
            for r in migrate.revisions().values()]  # fmt: skip
    if as_json:
        print_json(rows)
        return
    print_table(("revision", "room", "after", "needs", "applied"), [list(r.values()) for r in rows])


@db.command("sql")
def sql(
    dialect: Annotated[str, typer.Option("--dialect", help="postgresql or sqlite.")] = "postgresql",
    as_json: Json = False,
) -> None:
    """The statements of a whole upgrade, for those who run them by hand."""
    from plumbline.kernel.database import migrate
    from plumbline.kernel.errors import Usage

    if dialect not in ("postgresql", "sqlite"):
        raise Usage(
            f"'{dialect}' is not a database Plumbline speaks.", remedy="Use --dialect postgresql or --dialect sqlite."
        )
    text = migrate.sql(dialect)
    if as_json:
        print_json({"dialect": dialect, "sql": text})
    else:
        typer.echo(text)


@db.command("check")
def check(context: typer.Context, as_json: Json = False) -> None:
    """Compare the live database with what this program declares; exit code 3 when they differ."""
    from plumbline.kernel.database import migrate

    with _owner(context) as database:
        found = migrate.differences(database)
    if as_json:
        print_json({"fits": not found, "differences": found})
    else:
        for line in found:
            typer.echo(line)
        typer.echo(
            "The database fits." if not found else f"{len(found)} {'difference' if len(found) == 1 else 'differences'}."
        )
    if found:
        raise typer.Exit(3)


def _known(target: str) -> None:
    from plumbline.kernel.database import migrate
    from plumbline.kernel.errors import Usage

    rooms = [f"{room}@base" for room in migrate.locations()]
    if target not in (*migrate.revisions(), *rooms):
        raise Usage(
            f"There is no migration '{target}'.", remedy=f"Choose one of {', '.join([*migrate.revisions(), *rooms])}."
        )
