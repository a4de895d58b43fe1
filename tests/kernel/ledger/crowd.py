"""Processes that write and seal at once, and such as end in the middle of sealing."""

from __future__ import annotations

import multiprocessing
import os
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime, timedelta
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from uuid import UUID

from plumbline.kernel.clock import Clock, system_clock
from plumbline.kernel.context import Context
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger.service import sealing
from plumbline.kernel.ledger.service.acts import audit
from plumbline.settings import Settings
from tests.conftest import SteppingClock

_processes = multiprocessing.get_context("forkserver")
# there is one list for all: without the workshop's module its workers would start slowly in a run of all tests
_processes.set_forkserver_preload(["tests.kernel.jobs.workshop", "tests.kernel.ledger.crowd"])
BEHIND = timedelta(seconds=2)
"""How long ago an act began that is committed late."""
PATIENCE = 60
"""Seconds after which a process that says nothing is given up."""


class RolledBack(Exception):
    """A use case that fails at its end."""


@contextmanager
def _installation(url: str, home: str, clock: Clock = system_clock) -> Iterator[Installation]:
    installation = Installation.open(Settings(home=Path(home), database_url=url), clock=clock)
    try:
        yield installation
    finally:
        installation.close()


def write(url: str, home: str, context: Context, count: int, seed: int, parent: Connection) -> None:
    """``count`` acts, every twentieth rolled back; every tenth began long before it is committed, and others are meanwhile."""
    chance = random.Random(seed)
    kept: list[UUID] = []
    with _installation(url, home) as installation:
        database = installation.database
        parent.send("ready")
        parent.recv()
        slow = ExitStack()
        held: list[UUID] = []
        began: datetime | None = None
        for number in range(count):
            if number % 10 == 2:
                began = system_clock() - BEHIND
                if not database.is_sqlite:  # its entry has been written, but nobody sees it yet
                    session = slow.enter_context(database.write(context.organization_id))
                    held.append(audit(session, context.at(began), "slow", "thing"))
            with suppress(RolledBack):
                with database.write(context.organization_id) as session:
                    key = audit(session, context.at(system_clock()), "fast", "thing", details={"number": number})
                    if chance.random() < 0.05:
                        raise RolledBack
                kept.append(key)
            if number % 10 == 8 and began is not None:
                slow.close()  # commits
                if database.is_sqlite:  # one writer at a time: what is late there is an act that waited for its turn
                    with database.write(context.organization_id) as session:
                        held.append(audit(session, context.at(began), "slow", "thing"))
                kept += held
                held.clear()
        slow.close()
        kept += held
    parent.send(kept)


def seal(url: str, home: str, organization_id: UUID, parent: Connection) -> None:
    """Seals again and again until it is told to stop."""
    sealed = 0
    with _installation(url, home) as installation:
        parent.send("ready")
        parent.recv()
        while not parent.poll(0.005):
            sealed += sealing.seal(installation, organization_id).sealed
    parent.send(sealed)


def die(url: str, home: str, organization_id: UUID, now: datetime, at: str) -> None:
    """Seals, and is gone before the step: no clean-up, no rollback."""
    with _installation(url, home, SteppingClock(now)) as installation:
        sealing.seal(installation, organization_id, step=lambda step: os._exit(9) if step == at else None)


class Member:
    """A process of the crowd, and the line to it."""

    def __init__(self, work: Any, *given: Any) -> None:
        self.line, theirs = _processes.Pipe()
        self.process: BaseProcess = _processes.Process(target=work, args=(*given, theirs))
        self.process.start()
        theirs.close()

    def hear(self) -> Any:
        assert self.line.poll(PATIENCE), "a process says nothing"
        return self.line.recv()

    def tell(self) -> None:
        self.line.send("go on")

    def end(self) -> None:
        self.process.join(PATIENCE)
        assert self.process.exitcode == 0
        self.line.close()


def dies(url: str, home: Path, organization_id: UUID, now: datetime, at: str) -> int | None:
    """The exit code of a process that seals until the step."""
    process = _processes.Process(target=die, args=(url, str(home), organization_id, now, at))
    process.start()
    process.join(PATIENCE)
    return process.exitcode
