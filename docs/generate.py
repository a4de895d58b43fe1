"""Writes the pages of ``docs/`` that are made from the code: architecture.svg, cli.md, api.md, schema.md.

``python3 dev.py docs`` runs it; ``--check`` writes nothing and answers 1 if a page differs from what it would write.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import picture

HERE = Path(__file__).resolve().parent
MADE = "<!-- made by docs/generate.py: change the code, then run python3 dev.py docs -->\n"


def cell(text: object) -> str:
    """Text inside a Markdown table."""
    return " ".join(str(text).split()).replace("|", "\\|").replace("<", "&lt;")


def rows(head: list[str], body: list[list[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in body:
        yield "| " + " | ".join(cell(c) for c in row) + " |"


# ---- the command line ----------------------------------------------------------------------------------------------


def cli() -> str:
    """Every command with its arguments and options."""
    import typer

    from plumbline.cli import app

    root = typer.main.get_command(app)
    lines = [
        "# The command line",
        "",
        MADE,
        "`plumbline --help` shows the groups, `plumbline GROUP COMMAND --help` the options. Exit codes: 0 done, 1 failure, 2 usage,",
        "3 ran well and the answer is no. Options before the group say where and as whom:",
        "",
        *rows(["option", "meaning"], [[_option(p), _meaning(p)] for p in root.params if p.name != "help"]),
    ]
    for path, command in _commands(root, ["plumbline"]):
        if hasattr(command, "commands"):
            lines += ["", f"## {' '.join(path)}", "", (command.help or "").strip()]
            continue
        level = "##" if len(path) == 2 else "###"
        arguments = "".join(f" {_argument(p)}" for p in command.params if p.param_type_name == "argument")
        lines += ["", f"{level} {' '.join(path)}{cell(arguments)}", "", " ".join((command.help or "").split())]
        options = [p for p in command.params if p.name not in ("help", "context") and not p.hidden]
        if options:
            lines += ["", *rows(["option", "meaning"], [[_option(p), _meaning(p)] for p in options])]
    return "\n".join(lines) + "\n"


def _commands(group: Any, path: list[str]) -> Iterator[tuple[list[str], Any]]:
    import typer

    context = typer.Context(group, info_name=path[-1])
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command.hidden:
            continue
        yield [*path, name], command
        if hasattr(command, "list_commands"):
            yield from _commands(command, [*path, name])


def _argument(parameter: Any) -> str:
    name = (parameter.metavar or parameter.name).upper()
    name += "…" if parameter.nargs != 1 else ""
    return name if parameter.required else f"[{name}]"


def _option(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{_argument(parameter)}`"
    names = ", ".join(f"`{n}`" for n in parameter.opts)
    if parameter.secondary_opts:
        names += " / " + ", ".join(f"`{n}`" for n in parameter.secondary_opts)
    return names if parameter.is_flag else f"{names} {_value(parameter)}"


def _value(parameter: Any) -> str:
    kind = parameter.type_descriptor.annotation
    return str(parameter.metavar or {Path: "PATH", str: "TEXT", int: "INTEGER", float: "NUMBER"}.get(kind, "VALUE"))


def _meaning(parameter: Any) -> str:
    text = parameter.help or ""
    default = parameter.default
    if parameter.required and parameter.param_type_name == "option":
        text += " Required."
    elif isinstance(default, str | int | float) and default != "" and not parameter.is_flag:
        text += f" Default: {getattr(default, 'value', default)}."
    if parameter.min is not None and parameter.max is not None:
        text += f" From {parameter.min} to {parameter.max}."
    if parameter.multiple:
        text += " May be given more than once."
    if parameter.envvar:
        text += f" Also: `{parameter.envvar}`."
    return text.strip()


# ---- the API -------------------------------------------------------------------------------------------------------


def api() -> str:
    """Every route with its right and the errors it answers."""
    from reach import reached

    from plumbline.app import create_app
    from plumbline.kernel.faces.http import ERRORS
    from plumbline.kernel.installation import Installation
    from plumbline.settings import load

    with tempfile.TemporaryDirectory() as home:
        installation = Installation(load(home=Path(home)))
        app = create_app(installation)
        schema = app.openapi()
        installation.close()
    endpoints = {route.operation_id or route.name: route.endpoint for route in _routes(app) if route.include_in_schema}
    lines = [
        "# The HTTP API",
        "",
        MADE,
        f"{len(schema['paths'])} paths. The whole description, with the fields of every request and answer, is served at",
        "`/api/v1/openapi.json`. A program sends `Authorization: Bearer plb_…`, a key made by `plumbline keys create`; a signed-in browser",
        "needs none. Lists answer `items`, `next` (a cursor) and `total`.",
        "",
        "An error is an RFC 9457 problem document, `application/problem+json`: `status`, `code`, `title`, `detail`, and where it helps `where`,",
        "`remedy` and `errors`.",
        "",
        *rows(["status", "meaning"], [[str(status), error["description"]] for status, error in sorted(ERRORS.items())]),
        "",
        "*Right* is what the caller must hold; of two, one may be asked only for what is not the caller's own or for a part of the answer. What",
        "changes a superuser needs a superuser. *Errors* are what the route itself answers besides what every route may (401, 403, 413, 422,",
        "429, 503).",
    ]
    everywhere = {401, 403, 413, 422, 429, 503}
    by_tag: dict[str, list[list[str]]] = {}
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            rights, statuses = reached(endpoints[operation["operationId"]])
            errors = sorted(s for s in statuses - everywhere if 400 <= s < 500)
            by_tag.setdefault(operation.get("tags", ["others"])[0], []).append(
                [method.upper(), f"`{path}`", operation.get("summary", ""), ", ".join(f"`{r}`" for r in sorted(rights - {"*"})) or "–",
                 ", ".join(map(str, errors)) or "–"]
            )  # fmt: skip
    for tag, body in by_tag.items():
        lines += ["", f"## {tag}", "", *rows(["method", "path", "what it does", "right", "errors"], body)]
    return "\n".join(lines) + "\n"


def _routes(router: Any) -> Iterator[Any]:
    from fastapi.routing import APIRoute

    for route in router.routes:
        if isinstance(route, APIRoute):
            yield route
        elif hasattr(route, "original_router"):  # one that was included
            yield from _routes(route.original_router)


# ---- the schema ----------------------------------------------------------------------------------------------------


def schema() -> str:
    """Every table: its columns on both engines, its keys, its checks, its owner."""
    from sqlalchemy.dialects import postgresql, sqlite

    from plumbline.kernel import room
    from plumbline.kernel.database import Table
    from plumbline.kernel.database.schema import tenant_tables

    room.declare_tables()
    owners = {part.tables: part.name for part in room.everything() if part.tables}
    owner_of = {m.local_table.name: (owners[m.class_.__module__], m.class_) for m in Table.registry.mappers}  # type: ignore[attr-defined]
    dialects = (sqlite.dialect(), postgresql.dialect())  # type: ignore[no-untyped-call]
    tables = sorted(
        Table.metadata.tables.values(), key=lambda t: (list(owners.values()).index(owner_of[t.name][0]), t.name)
    )
    lines = [
        "# The schema",
        "",
        MADE,
        f"{len(tables)} tables, the same on SQLite and PostgreSQL ([why](decisions/0001-one-schema-for-two-engines.md)). Every table with",
        "`organization_id` belongs to one tenant; PostgreSQL's row-level security shows an application its own rows only.",
        "`plumbline db sql` prints the statements, with triggers, policies and functions.",
        "",
        *rows(["table", "owner", "meaning"],
              [[f"[{t.name}](#{t.name})", owner_of[t.name][0], _first(owner_of[t.name][1].__doc__)] for t in tables]),
    ]  # fmt: skip
    for table in tables:
        owner, model = owner_of[table.name]
        lines += [
            "",
            f"## {table.name}",
            "",
            f"Owner: {owner}. {'Of one organization.' if table.name in tenant_tables() else 'Of the installation.'}",
        ]
        if own := " ".join((model.__doc__ or "").split()):
            lines += ["", own]
        body = []
        for column in sorted(table.c, key=lambda c: 0 if c.primary_key else 1 if c.name == "organization_id" else 2):
            types = [column.type.compile(dialect=d) for d in dialects]
            notes = ["key"] if column.primary_key else []
            notes += [f"→ {k.target_fullname}" for k in column.foreign_keys]
            body.append([f"`{column.name}`", *types, "yes" if column.nullable else "", ", ".join(notes)])
        lines += ["", *rows(["column", "SQLite", "PostgreSQL", "may be empty", ""], body)]
        facts = [f"- unique: {_columns(i)}{_where(i)}" for i in _unique(table)]
        facts += [f"- index: {_columns(i)}{_where(i)}" for i in _sorted(i for i in table.indexes if not i.unique)]
        facts += [
            f"- check: `{c.sqltext}`"
            for c in _sorted(c for c in table.constraints if type(c).__name__ == "CheckConstraint")
        ]
        lines += ["", *facts] if facts else []
    return "\n".join(lines) + "\n"


def _first(text: str | None) -> str:
    words = " ".join((text or "").split())
    return words.partition(". ")[0].rstrip(".") + "." if words else ""


def _sorted(items: Any) -> list[Any]:
    return sorted(items, key=lambda i: str(i.name))


def _unique(table: Any) -> list[Any]:
    found = [c for c in table.constraints if type(c).__name__ == "UniqueConstraint"]
    return _sorted([*found, *(i for i in table.indexes if i.unique)])


def _columns(index: Any) -> str:
    return ", ".join(f"`{c.name}`" for c in index.columns)


def _where(index: Any) -> str:
    condition = (
        getattr(index, "dialect_options", {}).get("postgresql", {}).get("where") if hasattr(index, "unique") else None
    )
    return f" where `{condition}`" if condition is not None else ""


PAGES: dict[str, Callable[[], str]] = {
    "architecture.svg": picture.draw,
    "schema.md": schema,
    "cli.md": cli,
    "api.md": api,
}


def main(arguments: list[str]) -> int:
    check = "--check" in arguments
    chosen = [a for a in arguments if a != "--check"] or list(PAGES)
    differing = []
    for name in chosen:
        text, path = PAGES[name](), HERE / name
        if path.exists() and path.read_text("utf-8") == text:
            continue
        differing.append(name)
        if not check:
            path.write_text(text, "utf-8")
    for name in differing:
        sys.stdout.write(f"docs/{name} {'differs from the code: run python3 dev.py docs' if check else 'written'}\n")
    return 1 if check and differing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
