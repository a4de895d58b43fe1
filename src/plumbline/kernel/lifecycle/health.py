"""Is everything there that is needed? A view over the installation that changes nothing and tells no secret.

Each check says what it found and, where something is wrong, what to do. ``bad`` makes the installation unhealthy;
``warn`` is what will be bad if nobody acts.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa

from plumbline import __version__
from plumbline.kernel.database import migrate
from plumbline.kernel.database.schema import Table
from plumbline.kernel.errors import PlumblineError
from plumbline.kernel.installation import Installation
from plumbline.kernel.jobs import repository as jobs
from plumbline.kernel.jobs.tables import Worker

State = Literal["ok", "warn", "bad"]
HEARTBEAT = timedelta(seconds=60)
LEAST_FREE, LITTLE_FREE = 200_000_000, 2_000_000_000  # bytes of disk
LARGE_WAL = 256_000_000  # readers let it grow to 150 MB at times; beyond that something holds it
LONG_WAIT = 900.0  # seconds a due job may wait before it is said aloud
SEAL_LAG = 600.0  # seconds an entry may wait for its seal before it is said aloud
MOST_SKEW = 5.0  # seconds between our clock and the database's


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. ``facts`` are figures by name, sizes in bytes and times in seconds."""

    name: str
    state: State
    said: str
    remedy: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Health:
    """``healthy`` unless a check is bad."""

    version: str
    at: datetime
    checks: tuple[Check, ...]

    @property
    def healthy(self) -> bool:
        return all(c.state != "bad" for c in self.checks)


def check(installation: Installation) -> Health:
    """Everything; takes some ten milliseconds, more on a database with thousands of tables."""
    return _asked(installation, (_database, _migrations, _artifacts, _worker, _backlog, _ledger, _disk, _wal, _tables))


def ready(installation: Installation) -> Health:
    """Only what a load balancer has to know before it sends work here."""
    return _asked(installation, (_database, _migrations, _artifacts, _worker))


def _asked(installation: Installation, checks: Sequence[Callable[[Installation], Check | None]]) -> Health:
    found: list[Check] = []
    for one in checks:
        if found and found[0].state == "bad" and one in _NEED_DATABASE:
            continue  # one cause is told once
        try:
            made = one(installation)
        except PlumblineError as error:
            made = Check(one.__name__.removeprefix("_"), "bad", error.detail, error.remedy)
        if made is not None:
            found.append(made)
    return Health(__version__, installation.clock(), tuple(found))


def _database(installation: Installation) -> Check:
    database = installation.database
    began, ours = time.perf_counter(), time.time()
    with database.connect() as connection:
        if database.is_sqlite:
            connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar()
            version, theirs = f"SQLite {connection.exec_driver_sql('SELECT sqlite_version()').scalar()}", ours
        else:
            text = str(connection.exec_driver_sql("SHOW server_version").scalar())
            theirs = float(connection.exec_driver_sql("SELECT extract(epoch FROM clock_timestamp())").scalar() or 0.0)
            version = f"PostgreSQL {text.split(maxsplit=1)[0]}"
    pool: Any = database.engine.pool
    skew = theirs - ours
    facts = {"engine": version, "ms": round((time.perf_counter() - began) * 1000, 1), "pool_size": pool.size(),
             "pool_in_use": pool.checkedout(), "clock_skew": round(skew, 3)}  # fmt: skip
    if abs(skew) > MOST_SKEW:
        return Check(
            "database",
            "warn",
            f"It answers, but its clock is {skew:+.0f} s from this machine's.",
            "Set both clocks by NTP.",
            facts,
        )
    return Check("database", "ok", f"{version} answers.", facts=facts)


def _migrations(installation: Installation) -> Check:
    there, known = migrate.applied(installation.database), set(migrate.revisions())
    facts = {"applied": sorted(there), "lacks": sorted(known - there), "unknown": sorted(there - known)}
    try:
        migrate.demand_current(installation.database)
    except PlumblineError as error:
        return Check("migrations", "bad", error.detail, error.remedy, facts)
    return Check("migrations", "ok", "The database fits this program.", facts=facts)


def _artifacts(installation: Installation) -> Check:
    """Writes random bytes, reads them back, removes them: two probes at once do not meet."""
    try:
        store = installation.artifacts
        key = store.put(os.urandom(32))
        store.get(key)
        store.delete(key)
    except (OSError, PlumblineError, ImportError, ValueError) as error:
        said = error.detail if isinstance(error, PlumblineError) else type(error).__name__
        return Check("artifacts", "bad", f"Model files cannot be written: {said}.".replace("..", "."),
                     "See that the store of the setting 'artifacts' is there and may be written.")  # fmt: skip
    return Check("artifacts", "ok", "Model files can be written and read.")


def _worker(installation: Installation) -> Check:
    """A worker is expected once one has announced itself; one that stops in order takes its name back."""
    now = installation.clock()
    with installation.database.read(None) as session:
        workers = list(session.scalars(sa.select(Worker).order_by(Worker.seen_at.desc())))
    alive = [w for w in workers if now - w.seen_at <= HEARTBEAT]
    facts = {"alive": len(alive), "threads": sum(w.threads for w in alive), "silent": len(workers) - len(alive),
             "last_seen": workers[0].seen_at if workers else None}  # fmt: skip
    if alive:
        return Check("worker", "ok", f"{len(alive)} at work with {facts['threads']} threads.", facts=facts)
    if not workers:
        return Check("worker", "ok", "None has been started yet.", facts=facts)
    seconds = (now - workers[0].seen_at).total_seconds()
    return Check(
        "worker",
        "bad",
        f"None has been heard of for {_span(seconds)}.",
        "Start one: plumbline serve, or plumbline worker.",
        facts,
    )


def _backlog(installation: Installation) -> Check:
    waiting, oldest = jobs.backlog(installation.database)
    facts = {"waiting": waiting, "oldest": None if oldest is None else round(oldest, 1)}
    if not waiting:
        return Check("backlog", "ok", "No job waits.", facts=facts)
    said = f"{waiting:,} {'job waits' if waiting == 1 else 'jobs wait'}, the oldest for {_span(oldest or 0.0)}."
    if (oldest or 0.0) > LONG_WAIT:
        return Check("backlog", "warn", said, "Start a worker, or more of them: plumbline worker.", facts)
    return Check("backlog", "ok", said, facts=facts)


def _ledger(installation: Installation) -> Check:
    """Whether what was done is sealed in time, in every organization."""
    from plumbline.kernel.identity import repository as identity
    from plumbline.kernel.ledger.service import standing

    with installation.database.read(None) as session:
        organizations = identity.organizations(session)
    lags = {o.slug: lag for o in organizations if (lag := standing.lag(installation, o.id)) is not None}
    if not lags:
        return Check("ledger", "ok", "Everything that was done is sealed.", facts={"oldest": 0.0})
    slug, oldest = max(lags.items(), key=lambda item: item[1])
    facts = {"oldest": round(oldest, 1), "organizations": len(lags)}
    if oldest > SEAL_LAG:
        return Check("ledger", "warn", f"An entry of '{slug}' has waited {_span(oldest)} to be sealed.",
                     "See why: plumbline ledger status; a worker must run, and the key must be there.", facts)  # fmt: skip
    return Check("ledger", "ok", "What was done is sealed within a minute.", facts=facts)


def _disk(installation: Installation) -> Check:
    folders = {"home": installation.settings.home}
    if installation.database.is_sqlite:
        folders["database"] = Path(str(installation.database.url.database)).parent
    free = {name: shutil.disk_usage(_existing(folder)).free for name, folder in folders.items()}
    least = min(free.values())
    facts = {f"free_{name}": value for name, value in free.items()}
    said = f"{_size(least)} are free."
    if least < LEAST_FREE:
        return Check("disk", "bad", said, "Free some space: the database stops when none is left.", facts)
    return Check(
        "disk",
        "warn" if least < LITTLE_FREE else "ok",
        said,
        "Free some space." if least < LITTLE_FREE else None,
        facts,
    )


def _wal(installation: Installation) -> Check | None:
    if not installation.database.is_sqlite:
        return None
    path = Path(f"{installation.database.url.database}-wal")
    size = path.stat().st_size if path.exists() else 0
    if size > LARGE_WAL:
        return Check("wal", "warn", f"The write-ahead log has grown to {_size(size)}.",
                     "Let no read last for long; it shrinks at the next checkpoint.", {"bytes": size})  # fmt: skip
    return Check("wal", "ok", f"The write-ahead log has {_size(size)}.", facts={"bytes": size})


def _tables(installation: Installation) -> Check:
    """Estimates: an exact count of a large table takes longer than anybody wants to wait."""
    database, names = installation.database, sorted(Table.metadata.tables)
    rows: dict[str, int] = {}
    with database.connect() as connection:
        if database.is_sqlite:
            pages = int(connection.exec_driver_sql("PRAGMA page_count").scalar() or 0)
            size = pages * int(connection.exec_driver_sql("PRAGMA page_size").scalar() or 0)
            there = {r[0] for r in connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'")}
            for name in (n for n in names if n in there):
                newest = connection.exec_driver_sql(f'SELECT coalesce(max(rowid), 0) FROM "{name}"').scalar()
                rows[name] = int(newest or 0)
        else:
            size = int(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar() or 0)
            for name, count in connection.exec_driver_sql(
                "SELECT relname, reltuples FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
            ):
                if name in Table.metadata.tables:
                    rows[name] = max(0, int(count))  # -1: never analysed
    return Check("tables", "ok", f"The database has {_size(size)}.", facts={"bytes": size, "rows": rows})


_NEED_DATABASE = (_migrations, _worker, _backlog, _ledger, _tables)


def _existing(folder: Path) -> Path:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


def _size(count: int) -> str:
    for unit, step in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= step:
            return f"{count / step:.3g} {unit}"
    return f"{count} bytes"


def _span(seconds: float) -> str:
    for unit, step in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * step:
            return f"{seconds / step:.0f} {unit}"
    return f"{seconds:.0f} s"
