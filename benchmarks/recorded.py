"""Decisions with everything around them: database, audit, jobs, the network."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from pathlib import Path
from typing import Any
from uuid import UUID

from benchmarks.harness import Bench, milliseconds, quantile, timed
from benchmarks.house import House, bodies
from benchmarks.material import Material
from benchmarks.processes import call, end, start, told
from plumbline.credit import service
from plumbline.credit.service.batches import folder_of
from plumbline.kernel.jobs.service import run_inline


def batches(bench: Bench, material: Material, pure: float | None) -> None:
    """The large file through a durable batch; then again, its worker killed on the way and another going on."""
    house = House(material.folder / "batches")
    house.take_model(material)
    whole = _submitted(house, material, "whole.csv")
    run = timed(lambda: run_inline(house.installation, whole.batch.job_id))
    done = service.batch_of(house.installation, house.context, whole.batch.id)
    size = (material.folder / "batches" / "plumbline.db").stat().st_size / 1e6
    bench.info(f"durable batch of {material.rows:,} rows into SQLite", run.cpu, unit="CPU-s", cpu=True,
               note=f"database {size:.0f} MB; {done.status}; every row with its record hash in the ledger")  # fmt: skip
    if pure is not None:
        bench.most(
            "more than the same without a database", run.cpu - pure, 8 * material.rows / 307_511, unit="CPU-s", cpu=True
        )
    killed = _submitted(house, material, "killed.csv")
    kills = _killed_and_resumed(house, killed.batch.id)
    resumed = service.batch_of(house.installation, house.context, killed.batch.id)
    equal = resumed.status == "completed" and _sums(house, done.batch.id) == _sums(house, resumed.batch.id)
    same_rows = _rows(house, done.batch.id) == _rows(house, resumed.batch.id)
    bench.holds(
        "resumed = uninterrupted: result files", equal, note=f"{kills} times kill −9 in the midst, then another worker"
    )
    bench.holds("resumed = uninterrupted: decisions in the database", same_rows,
                note=f"{_rows(house, resumed.batch.id)[0]:,} rows, none missing, none twice, all bits equal")  # fmt: skip
    house.close()
    shutil.rmtree(material.folder / "batches")


def _submitted(house: House, material: Material, name: str) -> Any:
    copy = Path(shutil.copy(material.file, material.folder / name))
    return service.submit_batch(house.installation, house.context, copy, filename=name)


def _killed_and_resumed(house: House, key: UUID) -> int:
    """A worker is killed each time another chunk is committed, until two were; the third ends the job."""
    given = {"home": str(house.settings.home), "database_url": house.settings.url, "lease": 1.0}
    pause = threading.Event()
    for number in range(3):
        before = service.batch_of(house.installation, house.context, key).rows_done
        worker = start("processes:work", {**given, "name": f"worker-{number}"})
        while worker.poll() is None:
            view = service.batch_of(house.installation, house.context, key)
            if view.status in ("completed", "failed"):
                end(worker)
                return number
            if number < 2 and view.rows_done > before:
                pause.wait(0.3)  # into the next chunk
                worker.kill()
                worker.wait()
            pause.wait(0.05)
    return 2


def _sums(house: House, key: UUID) -> list[str]:
    folder = folder_of(house.installation, key)
    return [
        hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in ("results.csv", "results.parquet", "rejects.csv")
    ]


def _rows(house: House, key: UUID) -> tuple[int, str]:
    """How many decisions a batch has, and a hash over what they say, in the order of the file."""
    stored = key.bytes if house.owner.is_sqlite else key
    digest, count = hashlib.sha256(), 0
    for row in house.ask("SELECT batch_row, subject_id, prediction_result, probability, explanation, metadata FROM predictions"
                         " WHERE batch_id = :key ORDER BY batch_row", key=stored):  # fmt: skip
        digest.update(repr(row).encode())
        count += 1
    return count, digest.hexdigest()


def replay(bench: Bench, house: House, material: Material) -> None:
    """Decided, recorded, and decided again from what is stored."""
    made = [service.score(house.installation, house.context, material.application(i)).id for i in range(40)]
    turn = iter(range(10**9))
    equal: list[bool] = []

    def again() -> None:
        equal.append(service.replay(house.installation, house.context, made[next(turn) % len(made)]).equal)

    found = milliseconds(again, 40 if bench.quick else 200)
    bench.most(
        "replay of a decision, p50",
        quantile(found, 0.5),
        50,
        unit="ms",
        note=f"p95 {quantile(found, 0.95):.1f}; with its audit entry",
    )
    bench.holds("every replay equal, bit for bit", all(equal), note=f"{len(equal)} replays")


def api(bench: Bench, house: House, material: Material) -> None:
    """POST /api/v1/credit/score over loopback, one after the other: key, database, audit."""
    server = start("servers:serve", house.server(worker_threads=2))
    try:
        port = told(server)["port"]
        asks = [call(port, house.key, "/api/v1/credit/score", body) for body in bodies(material, 20)]
        turn = iter(range(10**9))
        spent = call(port, None, "/api/v1/benchmark/cpu")
        before = house.ask("SELECT count(*) FROM predictions")[0][0]
        times = 60 if bench.quick else 600

        def one() -> bytes:
            return asks[next(turn) % len(asks)]()

        cpu = json.loads(spent())["seconds"]
        found = milliseconds(one, times)
        cpu = (json.loads(spent())["seconds"] - cpu) / (times + max(2, times // 20)) * 1000
        note = f"p95 of {times:,} requests, one client, seven tables each"
        bench.most("API: score over loopback, p50", quantile(found, 0.5), 15, unit="ms",
                   note=f"key, database, audit, two workers; {cpu:.1f} CPU-ms of the server")  # fmt: skip
        bench.most("API: score over loopback, p95", quantile(found, 0.95), 50, unit="ms", note=note)
        written = house.ask("SELECT count(*) FROM predictions")[0][0] - before
        bench.holds("API: as many decisions recorded as answered", written == times + max(2, times // 20))
    finally:
        end(server)
