"""``plumbline audit``: the audit log on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from plumbline.kernel.faces.cli import Cursor, Json, Limit, invocation, print_facts, print_json, print_page, print_table

if TYPE_CHECKING:
    from uuid import UUID

    from plumbline.kernel.ledger.queries import Query
    from plumbline.kernel.ledger.tables import AuditEntry

audit = typer.Typer(no_args_is_help=True, add_completion=False, help="The audit log: who did what, when, from where.")

Actor = Annotated[
    str, typer.Option("--actor", help="Id, user name or e-mail of a person, or the name of a program (cli:anna).")
]
Action = Annotated[str, typer.Option("--action", help="An action or its beginning: users finds users.create.")]
ResourceType = Annotated[
    str, typer.Option("--resource-type", help="What was acted upon: user, api_key, organization …")
]
ResourceId = Annotated[str, typer.Option("--resource-id", help="The id of what was acted upon.")]
Since = Annotated[
    str, typer.Option("--since", help="This day or time, or later (UTC): 2026-11-24 or 2026-11-24T09:30Z.")
]
Until = Annotated[str, typer.Option("--until", help="Before this time; a day is held whole.")]
Client = Annotated[str, typer.Option("--client", help="The program that acted: console, cli, the name of a key.")]
Success = Annotated[bool | None, typer.Option("--success/--failed", help="Only what was done, or only what was tried.")]


def _query(
    actor: str,
    action: str,
    resource_type: str,
    resource_id: str,
    since: str,
    until: str,
    client: str,
    success: bool | None,
) -> Query:
    from plumbline.kernel.ledger import queries

    return queries.Query(
        actor=actor, action=action, resource_type=resource_type, resource_id=_id(resource_id, "--resource-id") if resource_id else None,
        since=queries.moment(since, "since"), until=queries.moment(until, "until", end=True), client=client, success=success,
    )  # fmt: skip


def _id(text: str, name: str) -> UUID:
    from uuid import UUID

    try:
        return UUID(text)
    except ValueError:
        from plumbline.kernel.errors import Usage

        raise Usage(
            f"{name}: '{text}' is no id.", remedy="Copy one from the list: plumbline audit list --json"
        ) from None


@audit.command("list")
def list_(
    context: typer.Context, actor: Actor = "", action: Action = "", resource_type: ResourceType = "", resource_id: ResourceId = "",
    since: Since = "", until: Until = "", client: Client = "", success: Success = None, limit: Limit = 50, cursor: Cursor = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """The newest entries first."""
    from plumbline.kernel.ledger import queries
    from plumbline.kernel.paging import PageRequest

    query = _query(actor, action, resource_type, resource_id, since, until, client, success)
    called = invocation(context)
    page = queries.list_entries(called.installation, called.context, query, PageRequest.parse(limit, cursor))
    names = queries.names(called.installation, called.context, page.items)

    def row(entry: AuditEntry) -> dict[str, Any]:
        resource = names.get(entry.resource_id) if entry.resource_id and entry.resource_type == "user" else None
        return {
            "time": entry.timestamp, "who": _who(entry, names), "action": entry.action,
            "on": f"{entry.resource_type} {resource or entry.resource_id or ''}".strip(), "client": entry.client_id,
            "done": entry.success, "id": entry.id,
        } | (_every(entry) if as_json else {})  # fmt: skip

    print_page(
        page, ("time", "who", "action", "on", "client", "done", "id"), row, as_json=as_json, empty="No entry fits."
    )


@audit.command("show")
def show(
    context: typer.Context, entry: Annotated[str, typer.Argument(help="The entry's id.")], as_json: Json = False
) -> None:
    """Everything that is recorded of one act."""
    from plumbline.kernel.ledger import queries

    called = invocation(context)
    found = queries.get_entry(called.installation, called.context, _id(entry, "ENTRY"))
    names = queries.names(called.installation, called.context, [found])
    print_facts({"id": found.id, "who": _who(found, names)} | _every(found), as_json=as_json)


@audit.command("activity")
def activity(
    context: typer.Context, days: Annotated[int, typer.Option("--days", min=1, max=120, help="How many days back.")] = 30,
    actor: Actor = "", action: Action = "", resource_type: ResourceType = "", resource_id: ResourceId = "", since: Since = "",
    until: Until = "", client: Client = "", success: Success = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Acts per day."""
    from plumbline.kernel.ledger import queries

    query = _query(actor, action, resource_type, resource_id, since, until, client, success)
    called = invocation(context)
    found = queries.activity(called.installation, called.context, query, days=days)
    if as_json:
        print_json([{"day": d.day, "entries": d.entries, "failed": d.failed} for d in found])
        return
    print_table(
        ("day", "acts", "of these failed"),
        [(d.day, d.entries, d.failed) for d in found],
        right=("acts", "of these failed"),
    )


def _who(entry: AuditEntry, names: dict[UUID, str]) -> str:
    person = names.get(entry.user_id) if entry.user_id else None
    if entry.actor_type == "user":
        return person or entry.actor_id or "–"
    program = entry.client_id if entry.actor_type == "key" else entry.actor_id
    return f"{person} by {entry.actor_type} {program}" if person else f"{entry.actor_type} {program or ''}".strip()


def _every(entry: AuditEntry) -> dict[str, Any]:
    columns = {
        c.key: getattr(entry, c.key)
        for c in type(entry).__table__.columns
        if c.key not in ("id", "actor_salt", "content_salt")
    }
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in columns.items()}
