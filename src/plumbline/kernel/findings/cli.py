"""``plumbline findings``: what waits for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from plumbline.kernel.faces.cli import Cursor, Json, Limit, invocation, print_facts, print_json, print_page, print_table

if TYPE_CHECKING:
    from uuid import UUID

    from plumbline.kernel.findings.tables import Finding

findings = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="What waits for a person, over all rooms: list, take, note, resolve.",
)

Key = Annotated[str, typer.Argument(metavar="FINDING", help="The finding's id.")]


def _id(text: str) -> UUID:
    from uuid import UUID

    from plumbline.kernel.errors import Usage

    try:
        return UUID(text)
    except ValueError:
        raise Usage(f"'{text}' is no id.", remedy="Copy one from the list: plumbline findings list") from None


def facts(finding: Finding) -> dict[str, Any]:
    return {
        "id": finding.id, "room": finding.room, "title": finding.title, "severity": finding.severity, "state": finding.state,
        "owner_id": finding.owner_id, "due_at": finding.due_at, "tags": finding.tags, "score": finding.score, "subject_id": finding.subject_id,
        "url": finding.url, "opened_at": finding.opened_at, "closed_at": finding.closed_at,
    }  # fmt: skip


@findings.command("list")
def list_(
    context: typer.Context,
    state: Annotated[str, typer.Option("--state", help="waiting (open or acknowledged), open, acknowledged, resolved, suppressed, all.")] = "waiting",
    room: Annotated[str | None, typer.Option("--room", help="Of this room only.")] = None,
    severity: Annotated[str | None, typer.Option("--severity", help="critical, high, medium or low.")] = None,
    owner: Annotated[str | None, typer.Option("--owner", help="A person's name, or 'none'.")] = None,
    limit: Limit = 50, cursor: Cursor = None, as_json: Json = False,
) -> None:  # fmt: skip
    """The newest first."""
    from plumbline.kernel.findings import service
    from plumbline.kernel.identity import service as identity
    from plumbline.kernel.paging import PageRequest

    called = invocation(context)
    person: UUID | Literal["none"] | None = None
    if owner is not None:
        person = "none" if owner == "none" else identity.user_named(called.installation, called.context, owner).id
    page = service.list_findings(called.installation, called.context, PageRequest.parse(limit, cursor),
                                 state=None if state == "all" else state, room=room, severity=severity, owner=person)  # fmt: skip
    names = identity.names_of(called.installation, called.context, {f.owner_id for f in page.items if f.owner_id})

    def row(finding: Finding) -> dict[str, Any]:
        owner_name = names.get(finding.owner_id) if finding.owner_id else None
        return facts(finding) | {"owner": owner_name, "due": finding.due_at}

    print_page(
        page, ("severity", "title", "room", "state", "owner", "due", "id"), row, as_json=as_json, empty="Nothing waits."
    )


@findings.command("show")
def show(context: typer.Context, finding: Key, as_json: Json = False) -> None:
    """One finding."""
    from plumbline.kernel.findings import service

    called = invocation(context)
    print_facts(facts(service.get_finding(called.installation, called.context, _id(finding))), as_json=as_json)


@findings.command("take")
def take(context: typer.Context, finding: Key, as_json: Json = False) -> None:
    """Take a finding on (with --as NAME: for that person)."""
    from plumbline.kernel.findings import service

    called = invocation(context)
    _done(service.take(called.installation, called.context, _id(finding)), as_json)


@findings.command("note")
def note(
    context: typer.Context,
    finding: Key,
    text: Annotated[str, typer.Argument(help="What you found out.")],
    as_json: Json = False,
) -> None:
    """Add a note; it stays in the ledger."""
    from plumbline.kernel.findings import service

    called = invocation(context)
    _done(service.note(called.installation, called.context, _id(finding), text), as_json)


@findings.command("resolve")
def resolve(context: typer.Context, finding: Key, note: Annotated[str, typer.Option("--note", help="How it was settled.")],
            decision: Annotated[str | None, typer.Option("--decision", help="A word of the room's own, such as approve.")] = None,
            as_json: Json = False) -> None:  # fmt: skip
    """Settle a finding."""
    from plumbline.kernel.findings import service

    called = invocation(context)
    _done(service.resolve(called.installation, called.context, _id(finding), note=note, decision=decision), as_json)


@findings.command("rebuild")
def rebuild(context: typer.Context, as_json: Json = False) -> None:
    """Make the list anew from what the rooms hold, and say what differed."""
    from plumbline.kernel.findings import service

    called = invocation(context)
    told = service.rebuild(called.installation, called.context)
    if as_json:
        print_json(told)
    else:
        print_table(("room", "added", "changed", "removed"), [[room, *counts.values()] for room, counts in told.items()],
                    right=("added", "changed", "removed"))  # fmt: skip


def _done(finding: Finding, as_json: bool) -> None:
    if as_json:
        print_facts(facts(finding), as_json=True)
    else:
        typer.echo(f"'{finding.title}' is {finding.state}.")
