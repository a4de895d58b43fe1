"""The triage list of all rooms.

A room raises a finding in the transaction of its own row and moves it on with :func:`follow` in the transaction of its
own act: its state is the truth, the list shows it. Work from the list goes to the room's service, so that an act has one
transaction and one entry wherever it began.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal, Protocol
from uuid import UUID

from plumbline.kernel import room as contract
from plumbline.kernel.context import Context
from plumbline.kernel.database import WriteSession, new_id
from plumbline.kernel.errors import Conflict, InvalidInput, Where
from plumbline.kernel.findings import repository
from plumbline.kernel.findings.tables import SEVERITIES, STATES, Finding
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger.service import Act
from plumbline.kernel.paging import Page, PageRequest

WAITING = "waiting"
"""Open or acknowledged: somebody still has to act."""


class Triage(Protocol):
    """What a room's ``findings`` names: how one of its findings is worked on. Each call is one act of the room.

    It may also have ``decisions``, pairs (word, text): what ``resolve`` understands, as a page offers it.
    """

    def take(self, installation: Installation, context: Context, subject_id: UUID) -> Any:
        """The person takes it on."""

    def note(self, installation: Installation, context: Context, subject_id: UUID, text: str) -> Any:
        """The person adds what was found out."""

    def resolve(
        self, installation: Installation, context: Context, subject_id: UUID, *, note: str, decision: str | None = None
    ) -> Any:
        """The person settles it; ``decision`` is a word of the room's own."""


def raise_finding(session: WriteSession, context: Context, *, room: str, subject_id: UUID, title: str, severity: str, url: str,
                  fingerprint: str, due_at: datetime | None = None, tags: Iterable[str] = (), score: float | None = None,
                  reopen: bool = False) -> UUID:  # fmt: skip
    """Put something on the list, once: a finding with this fingerprint stays the one it is.

    :param reopen: one that was closed opens again, with the title, severity and score given now.
    """
    row = _row(context, room=room, subject_id=subject_id, title=title, severity=severity, url=url, fingerprint=fingerprint, due_at=due_at,
               tags=tags, score=score)  # fmt: skip
    for key in repository.insert_new(session, [row]):
        return key
    held = repository.by_fingerprint(session, context.organization_id, room, fingerprint)
    assert held is not None  # the insert met it
    if reopen and held.state not in repository.OPEN:
        repository.update(session, context.organization_id, held.id, state="open", closed_at=None, owner_id=None, opened_at=context.now,
                          title=title, severity=severity, due_at=due_at, score=score)  # fmt: skip
    return held.id


def raise_many(session: WriteSession, context: Context, rows: Iterable[Mapping[str, Any]]) -> int:
    """Many at once, each with the arguments of :func:`raise_finding`; returns how many were new."""
    return len(repository.insert_new(session, [_row(context, **row) for row in rows]))


def _row(context: Context, *, room: str, subject_id: UUID, title: str, severity: str, url: str, fingerprint: str,
         due_at: datetime | None = None, tags: Iterable[str] = (), score: float | None = None) -> dict[str, Any]:  # fmt: skip
    if severity not in SEVERITIES:
        raise InvalidInput(
            f"There is no severity '{severity}'.",
            where=Where(field="severity"),
            remedy=f"Use one of {', '.join(SEVERITIES)}.",
        )
    return {
        "id": new_id(context.now), "organization_id": context.organization_id, "room": room, "subject_id": subject_id, "title": title,
        "severity": severity, "state": "open", "owner_id": None, "due_at": due_at, "tags": list(tags), "url": url,
        "fingerprint": fingerprint, "score": score, "opened_at": context.now, "closed_at": None,
    }  # fmt: skip


def follow(
    session: WriteSession, context: Context, *, room: str, subject_id: UUID, state: str, owner_id: UUID | None = None
) -> int:
    """The list follows what the room's own act did; returns how many findings moved. Without ``owner_id`` the owner stays."""
    if state not in STATES:
        raise InvalidInput(
            f"There is no state '{state}'.", where=Where(field="state"), remedy=f"Use one of {', '.join(STATES)}."
        )
    closed = None if state in repository.OPEN else context.now
    return repository.move(
        session, context.organization_id, room, subject_id, state=state, closed_at=closed, owner_id=owner_id
    )


def retitle(session: WriteSession, organization_id: UUID, *, room: str, subject_id: UUID, title: str) -> int:
    """Give the findings about one thing another title (a subject was erased)."""
    return repository.retitle(session, organization_id, room, subject_id, title)


def open_count(installation: Installation, context: Context) -> int:
    """How many wait for somebody to take them; stops at 10,001."""
    with installation.database.read(context.organization_id) as session:
        return repository.count(session, context.organization_id, ("open",))


def waiting_by_room(installation: Installation, context: Context) -> dict[str, int]:
    """Room → findings that are open or acknowledged."""
    context.require("findings.read")
    with installation.database.read(context.organization_id) as session:
        return repository.count_by_room(session, context.organization_id, repository.OPEN)


def list_findings(installation: Installation, context: Context, request: PageRequest, *, state: str | None = None,
                  room: str | None = None, severity: str | None = None,
                  owner: UUID | Literal["none"] | None = None) -> Page[Finding]:  # fmt: skip
    """Newest first.

    :param state: one of the four, or ``waiting`` for open and acknowledged.
    :param owner: a person, or ``none`` for what nobody took.
    """
    context.require("findings.read")
    states = _states(state)
    if severity is not None and severity not in SEVERITIES:
        raise InvalidInput(
            f"There is no severity '{severity}'.",
            where=Where(field="severity"),
            remedy=f"Use one of {', '.join(SEVERITIES)}.",
        )
    with installation.database.read(context.organization_id) as session:
        return repository.findings(session, context.organization_id, request, states=states, room=room, severity=severity,
                                   owner_id=owner if isinstance(owner, UUID) else None, unowned=owner == "none")  # fmt: skip


def _states(state: str | None) -> tuple[str, ...]:
    if state is None:
        return ()
    if state == WAITING:
        return repository.OPEN
    if state not in STATES:
        raise InvalidInput(
            f"There is no state '{state}'.", where=Where(field="state"), remedy=f"Use {WAITING}, {', '.join(STATES)}."
        )
    return (state,)


def get_finding(installation: Installation, context: Context, finding_id: UUID) -> Finding:
    context.require("findings.read")
    with installation.database.read(context.organization_id) as session:
        return repository.finding(session, context.organization_id, finding_id)


def take(installation: Installation, context: Context, finding_id: UUID) -> Finding:
    """Take a finding on, by the room's own act."""
    found, desk = _at_work(installation, context, finding_id)
    desk.take(installation, context, found.subject_id)
    return get_finding(installation, context, finding_id)


def note(installation: Installation, context: Context, finding_id: UUID, text: str) -> Finding:
    """Add a note, by the room's own act."""
    written = _written(text, "text")
    found, desk = _at_work(installation, context, finding_id)
    desk.note(installation, context, found.subject_id, written)
    return get_finding(installation, context, finding_id)


def resolve(
    installation: Installation, context: Context, finding_id: UUID, *, note: str, decision: str | None = None
) -> Finding:
    """Settle a finding, by the room's own act."""
    written = _written(note, "note")
    found, desk = _at_work(installation, context, finding_id)
    desk.resolve(installation, context, found.subject_id, note=written, decision=decision)
    return get_finding(installation, context, finding_id)


def rebuild(installation: Installation, context: Context) -> dict[str, dict[str, int]]:
    """Make the list anew from what the rooms hold, room by room; returns what differed (added, changed, removed).

    A room whose desk has no ``projection`` keeps its findings only here.
    """
    told: dict[str, dict[str, int]] = {}
    with Act(installation.database, context, "findings.rebuild", "finding", right="findings.rebuild") as act:
        for part in contract.everything():
            projection = getattr(_desk(part.name), "projection", None)
            if projection is not None:
                wanted = {row["fingerprint"]: row for row in projection(act.session, context.organization_id)}
                told[part.name] = _rebuilt(act.session, context, part.name, wanted)
        act.done(rooms=told)
    return told


def _rebuilt(session: WriteSession, context: Context, room: str, wanted: dict[str, dict[str, Any]]) -> dict[str, int]:
    held = {f.fingerprint: f for f in repository.of_room(session, context.organization_id, room)}
    new = [
        row | {"id": new_id(context.now), "organization_id": context.organization_id}
        for fingerprint, row in wanted.items()
        if fingerprint not in held
    ]
    repository.insert_new(session, new)
    changed = 0
    for fingerprint, row in wanted.items():
        there = held.get(fingerprint)
        differs = {} if there is None else {name: value for name, value in row.items() if getattr(there, name) != value}
        if there is not None and differs:
            changed += repository.update(session, context.organization_id, there.id, **differs)
    gone = [f.id for fingerprint, f in held.items() if fingerprint not in wanted]
    repository.remove(session, context.organization_id, gone)
    return {"added": len(new), "changed": changed, "removed": len(gone)}


def _written(text: str, field: str) -> str:
    if not text.strip():
        raise InvalidInput(
            "The note is empty.",
            where=Where(field=field),
            remedy="Write what you found, for those who read this later.",
        )
    return text.strip()


def _at_work(installation: Installation, context: Context, finding_id: UUID) -> tuple[Finding, Triage]:
    context.require("findings.triage")
    found = get_finding(installation, context, finding_id)
    if found.state not in repository.OPEN:
        raise Conflict(
            f"This finding is {found.state} already.", remedy="Open the room's page if it should be looked at again."
        )
    desk = _desk(found.room)
    if desk is None:
        raise Conflict(
            f"The room '{found.room}' is not installed here.", remedy="Install the room that raised this finding."
        )
    return found, desk


def _desk(room: str) -> Triage | None:
    named = next((part.findings for part in contract.everything() if part.name == room and part.findings), None)
    desk: Triage | None = contract.load(named) if named else None
    return desk


def decisions_of(room: str) -> tuple[tuple[str, str], ...]:
    """(word, text) of what may be decided about the room's findings; empty where it does not say."""
    return tuple(getattr(_desk(room), "decisions", ()))
