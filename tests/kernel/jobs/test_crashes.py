"""Real worker processes that are killed, stopped and starved, on both engines: no row lost, none twice."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from functools import partial

import pytest

from tests.conftest import Server
from tests.kernel.jobs.workshop import OWN, Workshop, until


def under_kills(
    workshop: Workshop, *, jobs: int, kills: int, progress: Callable[[], int], whole: int, lease: float, within: float
) -> None:
    """Two workers until all jobs have ended; one of them is killed each time another share of the work is done."""
    chance = random.Random(kills)

    def reached(share: float) -> bool:
        return progress() >= share

    workers = {name: workshop.start(name, lease=lease) for name in ("a", "b")}
    for share in (whole * (killed + 0.5) / (kills + 1) for killed in range(kills)):
        until(partial(reached, share), within=within)
        name = chance.choice("ab")
        workshop.kill(workers[name])
        workers[name] = workshop.start(name, lease=lease)
    until(lambda: workshop.ended(jobs), within=within)


def all_rows_once(workshop: Workshop, *, jobs: int, chunks: int, rows: int) -> None:
    assert workshop.states() == {"done": jobs}
    assert workshop.ask("SELECT count(*), count(DISTINCT job), min(n), max(n) FROM job_rows") == [
        (jobs * chunks * rows, jobs, 0, chunks * rows - 1)
    ]
    assert workshop.ask(f"SELECT min(done), max(done) FROM jobs WHERE {OWN}") == [(chunks * rows, chunks * rows)]
    assert workshop.entries() == {("jobs.done", 1): jobs}


@pytest.mark.parametrize(
    ("jobs", "chunks", "rows", "kills"),
    [(6, 12, 10, 3), pytest.param(12, 80, 100, 14, marks=pytest.mark.slow)],
)
def test_jobs_of_many_chunks_survive_kills_with_every_row_once(
    workshop: Workshop, jobs: int, chunks: int, rows: int, kills: int
) -> None:
    workshop.add("batch", jobs, chunks=chunks, rows=rows, pause=0.02, max_attempts=100)
    under_kills(
        workshop, jobs=jobs, kills=kills, progress=workshop.rows, whole=jobs * chunks * rows, lease=0.5, within=120
    )
    all_rows_once(workshop, jobs=jobs, chunks=chunks, rows=rows)
    assert workshop.ask("SELECT max(attempts) > 1 FROM jobs")[0][0]  # the kills did hit running jobs


def test_a_worker_that_was_stopped_and_wakes_after_the_take_over_writes_nothing_more(workshop: Workshop) -> None:
    folder = workshop.house.home
    for left in folder.glob("*-sleeper"):
        left.unlink()
    (folder / "hold-sleeper").touch()
    (job_id,) = workshop.add("held", folder=str(folder))
    sleeper = workshop.start("sleeper", threads=1, lease=0.5)
    until((folder / "held-sleeper").exists)
    assert sleeper.pid
    os.kill(sleeper.pid, signal.SIGSTOP)
    workshop.start("other", threads=1, lease=0.5)
    until(lambda: workshop.ended(1))
    (folder / "hold-sleeper").unlink()
    os.kill(sleeper.pid, signal.SIGCONT)
    until((folder / "Lost-sleeper").exists)
    assert workshop.states() == {"done": 1}
    assert workshop.ask("SELECT n, worker FROM job_rows ORDER BY n") == [(0, "sleeper"), (1, "other")]
    assert workshop.job(job_id, "attempts") == 2
    assert workshop.entries() == {("jobs.done", 1): 1}


def test_a_terminated_worker_ends_its_chunk_gives_the_job_back_and_exits_clean(workshop: Workshop) -> None:
    (job_id,) = workshop.add("batch", chunks=100_000, rows=1, pause=0.0)
    process = workshop.start("a", threads=1)
    until(lambda: workshop.rows() > 3)
    process.terminate()
    process.join(20)
    assert process.exitcode == 0
    assert workshop.states() == {"queued": 1}
    assert workshop.job(job_id, "done") == workshop.rows()
    assert workshop.job(job_id, "lease_until") is None
    assert workshop.job(job_id, "attempts") == 0
    assert workshop.ask("SELECT * FROM job_workers") == []


def test_a_job_that_kills_its_worker_each_time_ends_failed_and_others_are_done(workshop: Workshop) -> None:
    workshop.add("poison", max_attempts=2, priority=1)
    workshop.add("empty", 5)
    worker = workshop.start("a", threads=1, lease=0.3)

    def ended() -> bool:
        nonlocal worker
        if not worker.is_alive():
            worker = workshop.start("a", threads=1, lease=0.3)
        return workshop.ended(6)

    until(ended)
    assert workshop.states() == {"failed": 1, "done": 5}
    assert workshop.entries() == {("jobs.done", 1): 5, ("jobs.failed", 1): 1}
    assert workshop.ask("SELECT error FROM jobs WHERE kind = 'poison'") == [
        ("Its worker died 2 times while performing it.",)
    ]


def test_jobs_run_and_a_dead_workers_job_is_taken_over_after_the_clock_was_set_back(workshop: Workshop) -> None:
    """On SQLite the machine's clock decides; on PostgreSQL workers with wrong clocks make no difference."""
    folder = workshop.house.home
    (folder / "hold-early").touch()
    workshop.add("held", folder=str(folder))
    early = workshop.start("early", threads=1, lease=0.5, ahead=7200.0)
    until((folder / "held-early").exists)
    workshop.kill(early)
    workshop.add("empty", 3)
    workshop.start("late", threads=1, lease=0.5)
    until(lambda: workshop.ended(4))
    assert workshop.states() == {"done": 4}
    assert workshop.ask("SELECT n, worker FROM job_rows ORDER BY n") == [(0, "early"), (1, "late")]
    (folder / "hold-early").unlink()


@pytest.mark.slow
def test_three_thousand_empty_jobs_are_each_done_once(workshop: Workshop) -> None:
    workshop.add("empty", 3000)
    for name in "ab":
        workshop.start(name, lease=5.0)
    until(lambda: workshop.ended(3000), within=120, every=0.1)
    assert workshop.states() == {"done": 3000}
    assert workshop.entries() == {("jobs.done", 1): 3000}
    assert workshop.ask(f"SELECT max(attempts) FROM jobs WHERE {OWN}") == [(1,)]


@pytest.mark.slow
def test_ten_thousand_jobs_survive_twenty_kills(workshop: Workshop) -> None:
    def done() -> int:
        return workshop.states()["done"]

    workshop.add("batch", 10_000, chunks=1, rows=1, pause=0.0, max_attempts=100)
    under_kills(workshop, jobs=10_000, kills=20, progress=done, whole=10_000, lease=1.0, within=300)
    all_rows_once(workshop, jobs=10_000, chunks=1, rows=1)


@pytest.mark.slow
@pytest.mark.postgres
def test_workers_outlive_a_restart_of_postgresql(workshop: Workshop, request: pytest.FixtureRequest) -> None:
    if workshop.owner.is_sqlite:
        pytest.skip("an embedded database does not restart")
    server: Server = request.getfixturevalue("postgres")
    if server.cluster is None:
        pytest.skip("the given PostgreSQL server is not ours to restart")
    workshop.add("batch", 6, chunks=40, rows=10, pause=0.02, max_attempts=20)
    workers = [workshop.start(name) for name in "ab"]

    def written(rows: int) -> bool:
        return workshop.rows() >= rows

    for mode, share in (("fast", 400), ("immediate", 1200)):
        until(partial(written, share))
        workshop.owner.close()
        server.cluster.stop(mode)
        server.cluster.start()
    until(lambda: workshop.ended(6), within=60)
    all_rows_once(workshop, jobs=6, chunks=40, rows=10)
    assert all(worker.is_alive() for worker in workers)
