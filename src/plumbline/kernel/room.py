"""The contract of a room: what it offers, as names that are loaded on first use.

A part of the kernel that has faces states them in the same way. A further room is one package and one entry point in
the group ``plumbline.rooms`` (docs/add-a-room.md); nothing else changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from operator import attrgetter
from typing import Any


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the sidebar. ``count`` names a function ``(installation, context) -> int`` of what waits for a person."""

    key: str
    label: str
    href: str
    icon: str
    group: str = "rooms"
    right: str | None = None
    count: str | None = None


@dataclass(frozen=True, slots=True)
class Room:
    """Names are ``"module:attribute"``; whatever a room does not have stays empty.

    :param commands: command groups, name → (``"module:app"``, one line of help).
    :param router: a FastAPI router for ``/api/v1``.
    :param pages: a FastAPI router of console pages.
    :param templates: the package whose ``templates`` folder the pages use.
    :param jobs: kind → ``"module:function"`` that performs it.
    :param schedules: name → (cron line, kind): made for each organization.
    :param migrations: the package that holds the room's migration history.
    :param tables: the module that declares its tables.
    :param rights: right → roles that hold it.
    :param model_kinds: kind → ``"module:loader"``.
    :param model_pages: kind → pages of the room about a version, as (title, path with ``{id}``): its page links to them.
    :param promotions: kind → ``"module:function"`` that says what a version must show before it is activated.
    :param outcomes: prediction type → ``"module:object"`` that says what its outcomes are
        (:class:`plumbline.kernel.models.outcomes.OutcomeKind`).
    :param findings: ``"module:object"`` with ``take``, ``note``, ``resolve``: how a finding of the room is worked on.
    :param records: ``"module:function"`` that checks the room's rows against what ledger entries commit to.
    :param erasable: ``"module:object"`` with ``find`` and ``erase``: what the room holds of a subject.
    :param sources: ``"module:tuple"`` of metric sources: what the room measures about its own work
        (:class:`plumbline.kernel.sources.MetricSource`).
    :param dossiers: prediction type → ``"module:function"`` that tells a decision of it in full.
    :param sdk: ``"module:class"`` behind ``Workspace.<name>``.
    :param demonstration: ``"module:function"`` that adds the room's chapter.
    """

    name: str
    title: str
    help: str = ""
    commands: dict[str, tuple[str, str]] | None = None
    router: str | None = None
    pages: str | None = None
    templates: str | None = None
    entries: tuple[Entry, ...] = ()
    jobs: dict[str, str] | None = None
    schedules: dict[str, tuple[str, str]] | None = None
    migrations: str | None = None
    tables: str | None = None
    rights: dict[str, tuple[str, ...]] | None = None
    model_kinds: dict[str, str] | None = None
    model_pages: dict[str, tuple[tuple[str, str], ...]] | None = None
    promotions: dict[str, str] | None = None
    outcomes: dict[str, str] | None = None
    findings: str | None = None
    records: str | None = None
    erasable: str | None = None
    sources: str | None = None
    dossiers: dict[str, str] | None = None
    sdk: str | None = None
    demonstration: str | None = None


def load(name: str) -> Any:
    """The object that ``"module:attribute"`` names."""
    module, _, attribute = name.partition(":")
    return attrgetter(attribute)(import_module(module))


KERNEL = (
    "plumbline.kernel.identity:part",
    "plumbline.kernel.ledger:part",
    "plumbline.kernel.models:part",
    "plumbline.kernel.jobs:part",
    "plumbline.kernel.findings:part",
    "plumbline.kernel.lifecycle:part",
    "plumbline.kernel.overview:part",
    "plumbline.kernel.dossier:part",
)


@cache
def parts() -> tuple[Room, ...]:
    """The kernel's own parts."""
    return tuple(load(name) for name in KERNEL)


@cache
def rooms() -> tuple[Room, ...]:
    """The installed rooms, in the order of their names."""
    found = sorted(entry_points(group="plumbline.rooms"), key=lambda e: e.name)
    return tuple(e.load() for e in found)


def everything() -> tuple[Room, ...]:
    return (*parts(), *rooms())


def declare_tables() -> None:
    """Import every table: the guard, migrations and checks must know them all."""
    for part in everything():
        if part.tables:
            import_module(part.tables)


def gathered(pick: Callable[[Room], dict[str, Any] | None]) -> dict[str, Any]:
    """One mapping of all parts; a name that two of them claim is a fault of the installation."""
    merged: dict[str, Any] = {}
    for part in everything():
        for key, value in (pick(part) or {}).items():
            if key in merged:
                raise RuntimeError(f"'{key}' is claimed twice, once by room '{part.name}'")
            merged[key] = value
    return merged
