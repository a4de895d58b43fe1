"""A ledger to measure: audit entries as a busy house writes them, inserted in bulk and sealed while the clock moves."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from benchmarks.harness import cpu_seconds
from benchmarks.house import House
from benchmarks.processes import say
from benchmarks.watch import Watch, high_water, largest_child
from plumbline.kernel.database import new_id
from plumbline.kernel.database.bulk import bulk_insert
from plumbline.kernel.database.types import Encoded
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger import entry
from plumbline.kernel.ledger.repository.trees import Sealed, Trees
from plumbline.kernel.ledger.service import sealing, verifying
from plumbline.kernel.ledger.tables import AuditEntry
from plumbline.settings import Settings

STEP = timedelta(milliseconds=864)
"""Between two entries: 100,000 a day."""
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"
ACTIONS = ("credit.score", "identity.sign_in", "findings.resolve", "reports.export")


class Clock:
    """A clock that is moved by hand."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def rows(count: int, organization_id: UUID, clock: Clock, first: int) -> Iterator[dict[str, Any]]:
    """``count`` entries, each at the clock's time, which moves on from one to the next; ``first`` numbers them."""
    people = [new_id(clock.now) for _ in range(200)]
    chance = random.Random(first)
    for i in range(first, first + count):
        clock.now += STEP + timedelta(microseconds=chance.randrange(1000))
        actor = {
            "actor_id": f"analyst{i % 200}@example.com", "client_id": "console",
            "ip_address": f"10.{i % 200}.{i % 250}.{i % 99}",
            "session_id": f"s_{i * 7919 & 0xFFFFFFFF:08x}", "user_agent": AGENT,
        }  # fmt: skip
        content: dict[str, Any] = {
            "details": Encoded('{"reason":"second line review","risk":"high","threshold":0.15}'), "error_message": None,
            "new_values": Encoded(f'{{"note":"é {i}","status":"resolved"}}'),
            "old_values": Encoded(f'{{"note":"é {i}","status":"open"}}'),
        }  # fmt: skip
        actor_salt, content_salt = os.urandom(32), os.urandom(32)
        yield {
            "id": new_id(clock.now), "organization_id": organization_id, "timestamp": clock.now,
            "action": ACTIONS[i % 4], "actor_type": "user", "user_id": people[i % 200],
            "resource_type": "prediction", "resource_id": new_id(clock.now), "request_id": str(new_id(clock.now)),
            "success": True,
            **actor, "actor_salt": actor_salt,
            "actor_commitment": entry.commitment(actor_salt, entry.actor_message(**actor)),
            **content, "content_salt": content_salt,
            "content_commitment": entry.commitment(content_salt, entry.content_message(**content)),
        }  # fmt: skip


@dataclass
class Spent:
    """What growing a ledger cost: the sealing process, the database's server, the clock on the wall."""

    entries: int = 0
    cpu: float = 0.0
    server: float = 0.0
    wall: float = 0.0
    inserted_wall: float = 0.0
    slowest: float = 0.0


class Grown:
    """A house whose ledger holds ``entries`` entries and the few that made it, all sealed.

    :ivar size: leaves of its tree.
    :ivar watch: what the machine does meanwhile.
    """

    def __init__(self, engine: str, home: Path, url: str | None, entries: int, progress: Any) -> None:
        self.engine, self.entries = engine, entries
        self.house = House(home, url)
        self.watch = Watch(self.house)
        self.batch = min(sealing.BATCH, max(256, entries // 10))
        self.spent = Spent()
        self.clock = Clock(self.house.installation.clock())
        self.house.installation.clock = self.clock
        self.organization_id = self.house.organization_id
        sealing.seal(self.house.installation, self.organization_id)
        for first in range(0, entries, self.batch):
            self._grow(first, min(self.batch, entries - first))
            if not (first + self.batch) % max(self.batch, entries // 5):
                progress(f"  {engine}: {self.spent.entries:,} entries sealed")
        if not self.house.owner.is_sqlite:  # as autovacuum would within minutes
            with self.house.owner.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
                connection.exec_driver_sql("VACUUM ANALYZE")
        self.size = self.marks()[-1].size

    @property
    def installation(self) -> Installation:
        return self.house.installation

    def _grow(self, first: int, count: int) -> None:
        begun = time.perf_counter()
        with self.installation.database.write(self.organization_id) as session:
            bulk_insert(
                session, AuditEntry, rows(count, self.organization_id, self.clock, first), columns=entry.COLUMNS
            )
        self.spent.inserted_wall += time.perf_counter() - begun
        self.clock.now += timedelta(seconds=30)
        server, cpu, wall = self.watch.server(), time.process_time(), time.perf_counter()
        done = sealing.seal(self.installation, self.organization_id)
        took = time.perf_counter() - wall
        self.spent.wall += took
        self.spent.slowest = max(self.spent.slowest, took)
        self.spent.cpu += time.process_time() - cpu
        self.spent.server += self.watch.server() - server
        self.spent.entries += done.sealed

    def marks(self) -> list[Sealed]:
        """The checkpoints, the smallest first."""
        with self.installation.database.read(self.organization_id) as session:
            return Trees(session, self.organization_id).checkpoints()

    def close(self) -> None:
        self.house.close()


def verified(home: str, database_url: str, organization_id: str, processes: int | None, since: str | None) -> None:
    """In a process of its own: verify, and say what it took."""
    installation = Installation.open(Settings(home=Path(home), database_url=database_url))
    cpu, wall = cpu_seconds(), time.perf_counter()
    report = verifying.verify(installation, UUID(organization_id), processes=processes, since=since)
    wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
    installation.close()
    say({
        "wall": wall, "cpu": cpu, "sound": report.sound, "entries": report.entries, "checkpoints": report.checkpoints,
        "first": report.findings[0].text if report.findings else "",
        "own_bytes": high_water(), "child_bytes": largest_child(),
    })  # fmt: skip
