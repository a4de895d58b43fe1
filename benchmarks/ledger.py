"""The ledger: sealing, verifying, proofs and what an audit entry costs, on both engines, beside a naive hash chain.

``python3 dev.py bench ledger [--entries 1000000] [--engine sqlite|postgresql|both] [--quick] [--only GROUP]``. The
PostgreSQL is that of ``bench load``. A group that is asked for alone still grows the ledger it needs.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from benchmarks.chain import compared
from benchmarks.entries import AGENT, Grown
from benchmarks.harness import Bench, quantile
from benchmarks.load import NO_SERVER, database, uuid
from benchmarks.processes import ask
from benchmarks.watch import noted
from plumbline.kernel.identity.tables import User
from plumbline.kernel.ledger import entry, keys, note, proof
from plumbline.kernel.ledger.repository.trees import Trees
from plumbline.kernel.ledger.service import Act, comparing, proving

WHOLE = 1_000_000
"""The gates are stated for so many entries."""
ENGINES = ("sqlite", "postgresql")
TABLES = ("ledger_leaves", "ledger_nodes", "ledger_checkpoints")


class Ledgers:
    """The grown ledger of an engine, made when it is first asked for; ``None`` where there is no server."""

    def __init__(self, bench: Bench, folder: Path, engine: str) -> None:
        self.bench, self.folder, self.engine = bench, folder / engine, engine
        self._stack = ExitStack()
        self._grown: Grown | None = None
        self._begun = False

    def get(self) -> Grown | None:
        if self._grown is None:
            try:
                url = self._stack.enter_context(database(self.engine))
            except LookupError:
                return None
            if self._begun:
                raise RuntimeError("The ledger to measure could not be made; see the group before.")
            self._begun = True
            self._grown = Grown(self.engine, self.folder, url, entries(self.bench), self.bench.say)
            self._stack.callback(self._grown.close)
        return self._grown

    def close(self) -> None:
        self._stack.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def entries(bench: Bench) -> int:
    return bench.options.entries or (20_000 if bench.quick else WHOLE)


def main(arguments: Sequence[str] | None = None) -> int:
    def options(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--entries", type=int, help=f"how many the ledger holds ({WHOLE}; 20000 in a quick run)")
        parser.add_argument("--engine", choices=(*ENGINES, "both"), default="both", help="which database (both)")

    bench = Bench("ledger", arguments, options=options)
    chosen = ENGINES if bench.options.engine == "both" else (bench.options.engine,)
    with tempfile.TemporaryDirectory(prefix="plumbline-bench-") as temporary:
        for engine in chosen:
            ledgers = Ledgers(bench, Path(temporary), engine)
            for name, work in GROUPS.items():
                bench.measure(f"{name} {engine}", partial(on, bench, ledgers, name, work))
            ledgers.close()
    return bench.close()


def on(bench: Bench, ledgers: Ledgers, name: str, work: Callable[[Bench, Grown], None]) -> None:
    grown = ledgers.get()
    if grown is None:
        bench.no_data(name, NO_SERVER)
    else:
        work(bench, grown)


def seal(bench: Bench, grown: Grown) -> None:
    spent = grown.spent
    bench.most(
        "sealing 20,000 entries: CPU of the process",
        spent.cpu / spent.entries * 20_000,
        1,
        unit="CPU-s",
        cpu=True,
        note=noted(
            "the gate is 20,000 entries per CPU-second", grown.watch.share(spent.server / spent.entries * 20_000)
        ),
    )
    bench.info(
        "entries sealed per CPU-second of the process",
        spent.entries / spent.cpu,
        note=f"{spent.entries / spent.cpu * bench.factor:,.0f} as on the reference core",
    )
    bench.info(
        f"sealing all {grown.entries:,} entries",
        spent.cpu,
        unit="CPU-s",
        cpu=True,
        note=noted(
            f"{spent.wall:.1f} s on the clock, {len(grown.marks())} checkpoints, the slowest {spent.slowest:.2f} s",
            grown.watch.share(spent.server),
        ),
    )
    bench.info("entries inserted per second, in bulk, made here", grown.entries / grown.spent.inserted_wall)


def verify(bench: Bench, grown: Grown) -> None:
    """In fresh processes, as the command would: on all cores, in one, and only what came since a checkpoint."""
    sqlite, share_of_whole = grown.house.owner.is_sqlite, grown.entries / WHOLE
    runs = []
    for _ in range(1 if bench.quick else 2):
        with grown.watch.window() as window:
            runs.append((read(grown, None, None), window))
    run, window = min(runs, key=lambda r: r[0]["wall"])
    cores = os.cpu_count() or 1
    bench.most(
        f"verifying {grown.size:,} entries with all cores, on the clock",
        run["wall"],
        max(1.0, (10 if sqlite else 12) * share_of_whole),
        unit="s",
        cpu=True,
        note=noted(
            f"{run['cpu']:.1f} CPU-s",
            grown.watch.share(window.server),
            f"all of it spread over {cores} cores: {(run['cpu'] + window.server) / cores:.1f} s",
            f"{run['checkpoints']} checkpoints",
            window.load,
        ),
    )
    bench.holds("everything was found sound", run["sound"] and run["entries"] == grown.size, note=run["first"])
    crew = min(cores, 1 + grown.size // 25_600) if grown.size > 102_400 else 0
    bench.info(
        "its most memory, all processes together",
        (run["own_bytes"] + crew * (run["child_bytes"] if crew else 0)) / 1e6,
        unit="MB",
        note=noted(
            "the aim is 300 MB",
            f"{run['own_bytes'] / 1e6:.0f} MB and {crew} × {run['child_bytes'] / 1e6:.0f} MB" if crew else "",
        ),
    )
    with grown.watch.window() as window:
        run = read(grown, 1, None)
    bench.info(
        "the same in one process",
        run["cpu"],
        unit="CPU-s",
        cpu=True,
        note=noted(f"{run['wall']:.1f} s on the clock", grown.watch.share(window.server), window.load),
    )
    mark = [m for m in grown.marks() if m.size <= 0.9 * grown.size + grown.batch / 2][-1]
    with grown.watch.window() as window:
        run = read(grown, None, mark.note)
    bench.info(
        f"only what came since a checkpoint: {grown.size - mark.size:,} entries",
        run["cpu"],
        unit="CPU-s",
        cpu=True,
        note=noted(
            f"the aim is {2.5 * share_of_whole:.2g}",
            f"{run['wall']:.1f} s on the clock",
            grown.watch.share(window.server),
            "" if run["sound"] else run["first"],
        ),
    )


def read(grown: Grown, processes: int | None, since: str | None) -> dict[str, Any]:
    settings = grown.house.settings
    return ask(
        "entries:verified",
        {
            "home": str(settings.home),
            "database_url": settings.url,
            "organization_id": str(grown.organization_id),
            "processes": processes,
            "since": since,
        },
    )


def costs(work: Callable[[Any], object], over: Sequence[Any]) -> list[float]:
    """CPU-milliseconds of this process of each call, after some that warm up."""
    for one in over[: max(2, len(over) // 20)]:
        work(one)
    found = []
    for one in over:
        begun = time.process_time()
        work(one)
        found.append((time.process_time() - begun) * 1000)
    return found


def prove(bench: Bench, grown: Grown) -> None:
    times = 60 if bench.quick else 400
    chance = random.Random(7)
    installation, context, mine = grown.installation, grown.house.context, grown.organization_id
    places = [chance.randrange(grown.size) for _ in range(times)]
    with installation.database.read(mine) as session:
        trees = Trees(session, mine)
        ids = [uuid(trees.entries_between(i, i + 1)[0][0]) for i in places]
        asked = grown.watch.server()
        found = costs(lambda i: trees.tree().inclusion(i, grown.size), places)
        asked = grown.watch.server() - asked
    shared = grown.watch.share(asked / (times + max(2, times // 20)) * 1000, "CPU-ms")
    bench.most(
        f"the path of an entry in {grown.size:,}, p50",
        quantile(found, 0.5),
        2,
        unit="CPU-ms",
        cpu=True,
        note=noted(f"p95 {quantile(found, 0.95):.2f}; {times} random entries", shared),
    )
    made: list[proving.Evidence] = []
    found = costs(lambda key: made.append(proving.prove(installation, context, key)), ids)
    bench.most("the whole proof of an entry, p50", quantile(found, 0.5), 10, unit="CPU-ms", cpu=True)
    bench.most("the whole proof of an entry, p95", quantile(found, 0.95), 10, unit="CPU-ms", cpu=True)
    sizes = [len(e.proof.encode()) for e in made]
    bench.most(
        "a proof file",
        max(sizes),
        2500,
        unit="bytes",
        note=f"the largest of {len(set(ids)):,}; the median {statistics.median(sizes):.0f}",
    )
    known = [note.VerifierKey(made[0].origin, public) for public in keys.known_public(grown.house.settings)]
    found = costs(lambda e: proof.check(e.proof, known, e.leaf), made[-times:])
    bench.info(
        "checking a proof file, p50",
        quantile(found, 0.5),
        unit="CPU-ms",
        cpu=True,
        note="signature, path, leaf; needs no database",
    )
    inner = [m.size for m in grown.marks()[:-1]]
    found = costs(
        lambda size: comparing.compare(installation, context, size), [chance.choice(inner) for _ in range(times)]
    )
    bench.info(
        "the consistency proof of a checkpoint with the last one, p50",
        quantile(found, 0.5),
        unit="CPU-ms",
        cpu=True,
        note=f"p95 {quantile(found, 0.95):.2f}; made and checked",
    )
    with installation.database.read(mine) as session:
        row = dict(zip(entry.COLUMNS, Trees(session, mine).entries_between(places[0], places[0] + 1)[0]))
    erased = [None if name in entry.ACTOR else value for name, value in row.items()]
    leaf, fault = entry.sealed(erased)
    bench.holds(
        "an entry whose actor is erased keeps its proof", fault is None and leaf == entry.sealed(list(row.values()))[0]
    )


def act(bench: Bench, grown: Grown) -> None:
    """A use case of two statements, bare and with the entry that every act leaves; in turn, round by round."""
    installation, mine = grown.installation, grown.organization_id
    context = replace(
        grown.house.context,
        session_id="s_0123abcd",
        request_id="3f0b0d8c-7f0b-4a3c-9d55-0f2b5b1f6a11",
        ip="192.0.2.17",
        user_agent=AGENT,
    )
    mine_alone = (User.organization_id == mine, User.id == context.user_id)
    reading = sa.select(User.full_name, User.role).where(*mine_alone)
    writing = sa.update(User).where(*mine_alone)
    turn = iter(range(10**9))

    def bare() -> None:
        with installation.database.write(mine) as session:
            session.execute(reading).one()
            session.execute(writing, {"full_name": f"Person {next(turn)}"})

    def audited() -> None:
        with Act(
            installation.database, context, "users.update", "user", resource_id=context.user_id, right="users.manage"
        ) as done:
            before = done.session.execute(reading).one()
            after = f"Person {next(turn)}"
            done.session.execute(writing, {"full_name": after})
            done.done(old={"full_name": before[0], "role": before[1]}, new={"full_name": after, "role": before[1]})

    each, rounds = (50, 6) if bench.quick else (200, 30)
    spent: dict[Callable[[], None], list[tuple[float, float]]] = {bare: [], audited: []}
    with grown.watch.window() as window:
        for number in range(rounds + 1):
            for use_case in (bare, audited) if number % 2 else (audited, bare):
                server, cpu = grown.watch.server(), time.process_time()
                for _ in range(each):
                    use_case()
                if number:  # the first round warms up
                    spent[use_case].append(
                        ((time.process_time() - cpu) / each * 1e6, (grown.watch.server() - server) / each * 1e6)
                    )
    without, with_it = (statistics.median(cpu for cpu, _ in spent[u]) for u in (bare, audited))
    added = statistics.median(b[0] - a[0] for a, b in zip(spent[bare], spent[audited]))
    least = [min(cpu for cpu, _ in spent[u]) for u in (bare, audited)]
    server_without, server_with = (statistics.mean(server for _, server in spent[u]) for u in (bare, audited))
    bench.most(
        "an audit entry adds to a use case of two statements",
        added,
        300,
        unit="CPU-µs",
        cpu=True,
        note=noted(
            f"{without:.0f} without, {with_it:.0f} with it; medians of {rounds} rounds of {each}, in turn",
            f"the least of each: {least[1] - least[0]:.0f}",
            grown.watch.share(server_with - server_without, "CPU-µs"),
            window.load,
        ),
    )
    key, begun = context.actor_id, time.process_time()
    for _ in range(each * 20):
        salt = os.urandom(32)
        entry.commitment(
            salt,
            entry.actor_message(
                actor_id=key, client_id="console", ip_address=context.ip, session_id="s_0123abcd", user_agent=AGENT
            ),
        )
    bench.info(
        "of it a commitment: salt, text, SHA-256",
        (time.process_time() - begun) / each / 20 * 1e6,
        unit="CPU-µs",
        cpu=True,
        note="an entry has two",
    )


def storage(bench: Bench, grown: Grown) -> None:
    sizes: dict[str, float] = {}
    with grown.house.owner.connect() as connection:
        for table in (*TABLES, "audit_log"):
            if grown.house.owner.is_sqlite:
                mine = f"SELECT name FROM sqlite_master WHERE tbl_name = '{table}'"
                statement = f"SELECT sum(pgsize) FROM dbstat WHERE name IN ({mine})"
            else:
                statement = f"SELECT pg_total_relation_size('{table}')"
            try:
                sizes[table] = float(connection.exec_driver_sql(statement).scalar_one())
            except sa.exc.OperationalError:
                bench.no_data("leaves, nodes and checkpoints per entry", "this SQLite was built without dbstat")
                return
    parts = ", ".join(f"{t.removeprefix('ledger_')} {sizes[t] / grown.size:.1f}" for t in TABLES)
    bench.info(
        "leaves, nodes and checkpoints per entry",
        sum(sizes[t] for t in TABLES) / grown.size,
        unit="bytes",
        note=f"{parts}, with indexes; the entry itself, with five indexes, {sizes['audit_log'] / grown.size:.0f}",
    )


GROUPS = {"seal": seal, "verify": verify, "prove": prove, "act": act, "storage": storage, "chain": compared}

if __name__ == "__main__":
    sys.exit(main())
