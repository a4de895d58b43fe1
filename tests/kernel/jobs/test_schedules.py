from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from plumbline.kernel.errors import InvalidInput
from plumbline.kernel.installation import Installation
from plumbline.kernel.jobs.worker import ensure_schedules, next_time, tick
from tests.kernel.jobs.workshop import Workshop

WANTED = {"nightly": ("15 3 * * *", "batch"), "often": ("* * * * *", "empty")}


def schedules(workshop: Workshop) -> list[tuple[object, ...]]:
    return workshop.ask("SELECT name, cron, kind, count(*) FROM job_schedules GROUP BY name, cron, kind ORDER BY name")


def make_due(workshop: Workshop, name: str) -> None:
    workshop.run("UPDATE job_schedules SET next_due = 1 WHERE name = :name", name=name)


def test_a_cron_line_is_read_in_utc() -> None:
    assert next_time("15 3 * * *", 0.0) == 3 * 3600 + 15 * 60
    assert next_time("15 3 * * *", 3 * 3600 + 15 * 60) == 27 * 3600 + 15 * 60
    with pytest.raises(InvalidInput, match="'at noon' is no cron line"):
        next_time("at noon", 0.0)


def test_every_organization_gets_the_schedules_once_and_changes_of_a_new_version(workshop: Workshop) -> None:
    ensure_schedules(workshop.installation, WANTED)
    ensure_schedules(workshop.installation, WANTED)
    assert schedules(workshop) == [("nightly", "15 3 * * *", "batch", 2), ("often", "* * * * *", "empty", 2)]
    ensure_schedules(workshop.installation, {**WANTED, "often": ("*/5 * * * *", "empty")})
    assert schedules(workshop)[1] == ("often", "*/5 * * * *", "empty", 2)
    assert tick(workshop.installation) == 0


def test_a_schedule_of_a_time_before_the_clock_was_set_back_is_corrected(workshop: Workshop) -> None:
    ensure_schedules(workshop.installation, WANTED)
    workshop.run("UPDATE job_schedules SET next_due = next_due + 864000")
    ensure_schedules(workshop.installation, WANTED)
    ((latest,),) = workshop.ask("SELECT max(next_due) FROM job_schedules")
    assert latest <= time.time() + 86400


def test_a_tick_fires_once_with_two_workers(workshop: Workshop) -> None:
    ensure_schedules(workshop.installation, WANTED)
    second = Installation.open(workshop.installation.settings)
    together = Barrier(2)

    def fire(installation: Installation) -> int:
        together.wait()
        return tick(installation)

    with ThreadPoolExecutor(2) as pool:
        for _ in range(5):
            workshop.run("DELETE FROM jobs")
            make_due(workshop, "often")
            assert sum(pool.map(fire, (workshop.installation, second))) == 2  # one each for two organizations
            assert (
                workshop.ask("SELECT organization_id, kind, count(*) FROM jobs GROUP BY 1, 2 ORDER BY count(*)")[-1][2]
                == 1
            )
            assert workshop.states() == {"queued": 2}
    second.close()


def test_missed_ticks_fire_once_and_never_beside_an_open_job(workshop: Workshop) -> None:
    ensure_schedules(workshop.installation, WANTED)
    for _ in range(3):
        make_due(workshop, "nightly")
        tick(workshop.installation)
    assert workshop.ask("SELECT kind, count(*) FROM jobs GROUP BY kind") == [("batch", 2)]
    assert workshop.ask("SELECT DISTINCT user_id FROM jobs") == [(None,)]
    assert tick(workshop.installation) == 0


def test_a_paused_schedule_does_not_fire(workshop: Workshop) -> None:
    ensure_schedules(workshop.installation, WANTED)
    make_due(workshop, "often")
    workshop.run(
        "UPDATE job_schedules SET paused = CAST(1 AS BOOLEAN)"
        if not workshop.owner.is_sqlite
        else "UPDATE job_schedules SET paused = 1"
    )
    assert tick(workshop.installation) == 0
    assert not workshop.states()
