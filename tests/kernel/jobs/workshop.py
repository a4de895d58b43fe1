"""Handlers to be performed, worker processes to be killed, and what is counted afterwards."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import pytest
import sqlalchemy as sa

from plumbline.kernel.database import Database, WriteSession
from plumbline.kernel.installation import Installation
from plumbline.kernel.jobs.queue import Claim, enqueue
from plumbline.kernel.jobs.worker import Worker
from plumbline.settings import Settings
from tests.conftest import Firm, SteppingClock

T = TypeVar("T")
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["tests.kernel.jobs.workshop"])  # a worker then starts in milliseconds
NAME = "here"  # of this process's worker
OWN = "kind NOT LIKE 'ledger.%' AND kind NOT LIKE 'models.%' AND kind NOT LIKE 'credit.%'"
"""The workshop's own jobs: a worker also makes those that the product's schedules ask for."""


def until(condition: Callable[[], T], *, within: float = 30.0, every: float = 0.02) -> T:
    """Wait for a condition; the test fails when it does not come."""
    deadline = time.monotonic() + within
    while not (found := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {within} s: {condition}")
        threading.Event().wait(every)
    return found


def text(statement: str) -> sa.TextClause:
    return sa.text(statement).execution_options(tenant="all")


def write_rows(session: WriteSession, claim: Claim, first: int, count: int) -> None:
    rows = [{"job": str(claim.job_id), "n": first + i, "worker": NAME} for i in range(count)]
    session.execute(text("INSERT INTO job_rows (job, n, worker) VALUES (:job, :n, :worker)"), rows)


# handlers


def batch(installation: Installation, claim: Claim) -> None:
    """`chunks` chunks of `rows` rows; computing takes `pause` seconds each, outside the transaction."""
    rows = claim.arguments["rows"]
    while claim.done < claim.arguments["chunks"] * rows:
        threading.Event().wait(claim.arguments["pause"])
        with claim.chunk(rows) as session:
            write_rows(session, claim, claim.done, rows)
    with installation.database.write(claim.organization_id) as session:
        claim.finish(session)


def empty(installation: Installation, claim: Claim) -> None:
    with installation.database.write(claim.organization_id) as session:
        claim.finish(session)


def poison(_installation: Installation, _claim: Claim) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def held(_installation: Installation, claim: Claim) -> None:
    """Two chunks; between them it waits while a file `hold-WORKER` is there, and tells so by `held-WORKER`."""
    folder = Path(claim.arguments["folder"])
    while claim.done < 2:
        if claim.done == 1 and (hold := folder / f"hold-{NAME}").exists():
            (folder / f"held-{NAME}").touch()
            while hold.exists():
                threading.Event().wait(0.01)
        try:
            with claim.chunk(1) as session:
                write_rows(session, claim, claim.done, 1)
        except BaseException as error:
            (folder / f"{type(error).__name__}-{NAME}").touch()
            raise


HANDLERS = {kind: f"tests.kernel.jobs.workshop:{kind}" for kind in ("batch", "empty", "poison", "held")}


def work(url: str, home: str, name: str, threads: int, lease: float, ahead: float) -> None:
    """A worker process; its clock is `ahead` seconds before the machine's."""
    global NAME
    NAME = name
    installation = Installation.open(Settings(home=Path(home), database_url=url))
    Worker(
        installation, HANDLERS, name=name, threads=threads, lease=lease, poll=0.05, seconds=lambda: time.time() + ahead
    ).run_forever()
    installation.close()


class House:
    """A database with two organizations and a table for handlers to write to."""

    def __init__(
        self, url: str, home: Path, installation: Installation, clock: SteppingClock, firm: Firm, other: Firm
    ) -> None:
        self.url, self.home, self.installation, self.clock, self.firm, self.other = (
            url,
            home,
            installation,
            clock,
            firm,
            other,
        )
        self.owner = Database(url, role="owner")
        self.make_table()

    def run(self, statement: str, **given: Any) -> None:
        with self.owner.connect(write=True) as connection:
            connection.execute(text(statement), given)

    def make_table(self) -> None:
        self.run(
            "CREATE TABLE job_rows (job text NOT NULL, n integer NOT NULL, worker text NOT NULL, PRIMARY KEY (job, n))"
        )
        if not self.owner.is_sqlite:
            self.run("GRANT ALL ON job_rows TO plumbline_app")

    def clear(self) -> None:
        for table in ("job_rows", "jobs", "job_schedules", "job_workers"):
            self.run(f"DELETE FROM {table}")


class Workshop:
    """The house, tidied up for one test, and its workers."""

    def __init__(self, house: House) -> None:
        self.house, self.installation, self.firm, self.other, self.owner = (
            house,
            house.installation,
            house.firm,
            house.other,
            house.owner,
        )
        self.run = house.run
        self.processes: list[BaseProcess] = []

    def ask(self, statement: str, **given: Any) -> list[Any]:
        with self.owner.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement), given)]

    def add(self, kind: str, count: int = 1, **given: Any) -> list[UUID]:
        options = {
            k: given.pop(k)
            for k in ("max_attempts", "delay", "dedupe_key", "priority", "total", "subject_id")
            if k in given
        }
        with self.installation.database.write(self.firm.id) as session:
            return [enqueue(session, self.firm.admin, kind, given, **options) for _ in range(count)]

    def start(self, name: str, *, threads: int = 4, lease: float = 1.0, ahead: float = 0.0) -> BaseProcess:
        process = _processes.Process(
            target=work, args=(self.house.url, str(self.house.home), name, threads, lease, ahead), daemon=True
        )
        process.start()
        self.processes.append(process)
        return process

    def kill(self, process: BaseProcess) -> None:
        process.kill()
        process.join()

    def close(self) -> None:
        for process in self.processes:
            if process.is_alive():
                self.kill(process)

    # what is counted

    def states(self) -> Counter[str]:
        return Counter(dict(self.ask(f"SELECT state, count(*) FROM jobs WHERE {OWN} GROUP BY state")))

    def ended(self, count: int) -> bool:
        return self.ask(f"SELECT count(*) FROM jobs WHERE {OWN} AND state NOT IN ('queued', 'running')") == [(count,)]

    def rows(self) -> int:
        return int(self.ask("SELECT count(*) FROM job_rows")[0][0])

    def entries(self) -> Counter[tuple[str, int]]:
        """Audit entries of the ends of jobs: (action, how many entries one job has) → jobs."""
        ends = "action IN ('jobs.done', 'jobs.failed', 'jobs.cancelled') AND resource_id IN (SELECT id FROM jobs)"
        per_job = self.ask(f"SELECT min(action), count(*) FROM audit_log WHERE {ends} GROUP BY resource_id")
        return Counter((action, count) for action, count in per_job)

    def job(self, job_id: UUID, column: str) -> Any:
        key = job_id.bytes if self.owner.is_sqlite else job_id
        return self.ask(f"SELECT {column} FROM jobs WHERE id = :id", id=key)[0][0]
