"""The firm: its people, its history in time, and the chapters that the rooms add."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from plumbline.kernel import room
from plumbline.kernel.clock import system_clock
from plumbline.kernel.context import Context
from plumbline.kernel.database import Database, migrate
from plumbline.kernel.errors import Conflict, NotFound
from plumbline.kernel.identity import passwords, rights
from plumbline.kernel.identity import service as identity
from plumbline.kernel.identity.service.access import Client
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger.service import checking, sealing

if TYPE_CHECKING:
    from plumbline.settings import Settings

SLUG, NAME = "nordhaven", "Nordhaven Bank (demonstration)"
PEOPLE = (
    ("imke.brandt", "Imke Brandt", "analyst"),
    ("tomas.rey", "Tomás Rey", "viewer"),
    ("mara.voss", "Mara Voss", "admin"),
)
OWNER = ("ada.lind", "Ada Lind")
MARK = "demonstration.built"
EARLIER = timedelta(days=450)
"""How much older the firm is than the days that are told one by one: what became of a loan is known after a year."""


class HistoryClock:
    """The demonstration's time: it begins in the past and is moved on by the chapters; at the end it is the real one."""

    def __init__(self, start: datetime) -> None:
        self.now: datetime | None = start
        self.new_day: Callable[[], object] = lambda: None
        """Called when a day begins: what a worker does every minute is done once a day here."""

    def __call__(self) -> datetime:
        return self.now or system_clock()

    def move(self, step: timedelta) -> datetime:
        """Go on, but never beyond the present."""
        before, self.now = self(), min(self() + step, system_clock())
        if self.now.date() != before.date():
            self.new_day()
        return self.now

    def catch_up(self) -> None:
        """From here on the real time."""
        self.now = None


@dataclass
class Chapter:
    """What a room's chapter is given.

    :ivar since: the firm is older; from here on its history is told day by day, ``days`` of them.
    """

    installation: Installation
    clock: HistoryClock
    people: dict[str, UUID]
    organization_id: UUID
    folder: Path
    seed: int
    days: int
    since: datetime
    told: Callable[[str], None]
    password: str = field(repr=False)

    def sign_in(self, username: str) -> None:
        """As the person does at the start of a day, so that sessions are real."""
        client = Client(ip="127.0.0.1", user_agent="demonstration", client_id="demonstration")
        identity.sign_in(self.installation, username, self.password, client)

    def person(self, username: str) -> Context:
        """This person, at the demonstration's present time."""
        roles = {OWNER[0]: "admin"} | {name: role for name, _, role in PEOPLE}
        key = self.people[username]
        return Context(organization_id=self.organization_id, actor_type="user", actor_id=str(key), user_id=key, client_id="demonstration",
                       now=self.clock(), rights=rights.of_role(roles[username]), role=roles[username])  # fmt: skip


@dataclass
class Built:
    """A firm that is there. ``summary`` is what was decided, by room, as data."""

    installation: Installation
    admin_id: UUID
    summary: dict[str, Any] = field(default_factory=dict)

    def show(self) -> None:
        """Print what each room decided."""
        for part in room.rooms():
            if part.demonstration:
                shown = getattr(room.load(part.demonstration), "show", None)
                if shown is not None and part.name in self.summary:
                    shown(self.summary[part.name])


def build(settings: Settings, *, days: int, seed: int, fresh: bool, told: Callable[[str], None]) -> Built:
    """Build the firm, or open the one that was built before. The same seed and moment make the same firm."""
    owner = Database(settings.url, role="owner")
    try:
        if fresh:
            _clear(owner, settings)
        migrate.upgrade(owner)
    finally:
        owner.close()
    now = datetime.now(UTC).replace(microsecond=0)
    clock = HistoryClock(now - timedelta(days=days) - EARLIER)
    installation = Installation.open(settings, clock=clock)
    try:
        return _opened(installation, clock) or _built(installation, clock, settings, days, seed, told)
    except BaseException:
        installation.close()
        raise


def _clear(owner: Database, settings: Settings) -> None:
    """``--fresh``: only a demonstration is thrown away, never somebody's database."""
    if migrate.applied(owner):
        _demand_demonstration(owner)
        migrate.downgrade(owner, "base")
    for folder in ("artifacts", "files", "portfolio", "keys", "archive"):
        shutil.rmtree(settings.home / folder, ignore_errors=True)


def _demand_demonstration(owner: Database) -> None:
    from plumbline.kernel.identity import repository

    with owner.read(None) as session:
        found = repository.organizations(session)
    if any(o.slug != SLUG for o in found):
        raise Conflict(
            "This database holds other organizations than the demonstration's.",
            remedy="Give the demonstration a database of its own.",
        )


def _opened(installation: Installation, clock: HistoryClock) -> Built | None:
    """The firm of an earlier run; one that was not finished is told, not served."""
    try:
        found = identity.organization_of(installation, SLUG)
    except NotFound:
        try:
            other = identity.organization_of(installation, None)
        except NotFound:
            return None
        raise Conflict(f"This database belongs to '{other.slug}', not to the demonstration.",
                       remedy="Give the demonstration a home or database of its own.") from None  # fmt: skip
    clock.catch_up()
    if not (found.settings or {}).get(MARK):
        raise Conflict(
            "The demonstration was interrupted while it was built.", remedy="Build it anew: plumbline demo --fresh"
        )
    context = identity.system_context(installation, found.id, actor="demonstration")
    admin = identity.user_named(installation, context, OWNER[0])
    return Built(installation, admin.id, _summary(installation, context))


def firm_context(installation: Installation) -> Context:
    """The demonstration's own program, in the firm, now."""
    found = identity.organization_of(installation, SLUG)
    return identity.system_context(installation, found.id, actor="demonstration", client="demonstration")


def _summary(installation: Installation, context: Context) -> dict[str, Any]:
    summary = {}
    for part in room.rooms():
        if part.demonstration:
            told = getattr(room.load(part.demonstration), "summary", None)
            if told is not None:
                summary[part.name] = told(installation, context)
    return summary


def _built(
    installation: Installation,
    clock: HistoryClock,
    settings: Settings,
    days: int,
    seed: int,
    told: Callable[[str], None],
) -> Built:
    told(f"Building {NAME}: everything in it is synthetic")
    password = passwords.generated()
    made = identity.initialize(
        installation, name=NAME, slug=SLUG, username=OWNER[0], email=f"{OWNER[0]}@{SLUG}.example", password=password
    )
    clock.new_day = lambda: sealing.seal(installation, made.organization_id)
    clock.move(timedelta(minutes=3))
    owner = Context(organization_id=made.organization_id, actor_type="user", actor_id=str(made.user_id), user_id=made.user_id,
                    client_id="demonstration", now=clock(), rights=rights.EVERY, role="admin")  # fmt: skip
    identity.change_user(installation, owner, made.user_id, full_name=OWNER[1])
    people = {OWNER[0]: made.user_id}
    for username, full_name, role in PEOPLE:
        clock.move(timedelta(minutes=2))
        people[username] = identity.create_user(installation, replace(owner, now=clock()), username=username, full_name=full_name, role=role,
                                                email=f"{username}@{SLUG}.example", password=password)  # fmt: skip
    chapter = Chapter(
        installation, clock, people, made.organization_id, settings.home, seed, days, clock() + EARLIER, told, password
    )
    for username in people:
        clock.move(timedelta(minutes=1))
        chapter.sign_in(username)
    for part in room.rooms():
        if part.demonstration:
            room.load(part.demonstration)(chapter)
    clock.catch_up()
    context = firm_context(installation)
    identity.change_settings(installation, context, **{MARK: True})
    sealing.seal(installation, made.organization_id)
    checking.check(installation, context.at(installation.clock()), records=True)
    sealing.seal(installation, made.organization_id)
    return Built(installation, made.user_id, _summary(installation, context))
