"""Health tells what is missing and what to do, and nothing that is secret."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from plumbline.cli import run
from plumbline.kernel.database import Database
from plumbline.kernel.installation import Installation
from plumbline.kernel.jobs.tables import Job, Worker
from plumbline.kernel.lifecycle import health
from plumbline.settings import Settings
from tests.conftest import NOW, Firm, SteppingClock
from tests.support.house import House
from tests.support.http import Browser, application


def states(found: health.Health) -> dict[str, str]:
    return {c.name: c.state for c in found.checks}


def seen(installation: Installation, at: object) -> None:
    with installation.database.write(None) as session:
        session.execute(sa.delete(Worker))
        session.execute(sa.insert(Worker), {"name": "w", "started_at": at, "seen_at": at, "threads": 2})


def test_a_sound_installation_is_healthy_and_says_its_figures(
    installation: Installation, firm: Firm, clock: SteppingClock
) -> None:
    seen(installation, clock.now)
    found = health.check(installation)
    assert found.healthy
    assert {c.name for c in found.checks if c.state == "bad"} == set()
    facts = {c.name: c.facts for c in found.checks}
    assert facts["worker"]["threads"] == 2
    assert facts["migrations"]["lacks"] == []
    assert facts["tables"]["bytes"] > 100_000
    assert {"users", "audit_log", "jobs"} <= set(facts["tables"]["rows"])
    assert ("wal" in facts) == installation.database.is_sqlite
    if installation.database.is_sqlite:
        assert facts["tables"]["rows"]["users"] == 3
    assert facts["database"]["clock_skew"] < 1


def test_the_model_store_is_left_as_it_was(installation: Installation) -> None:
    health.check(installation)
    assert installation.artifacts.hashes() == []


def test_a_worker_that_fell_silent_is_told_apart_from_none(installation: Installation, clock: SteppingClock) -> None:
    assert states(health.ready(installation))["worker"] == "ok"  # none has been started
    seen(installation, clock.now - timedelta(seconds=60))
    assert states(health.ready(installation))["worker"] == "ok"
    clock.now += timedelta(seconds=1)
    found = health.ready(installation)
    assert states(found)["worker"] == "bad"
    assert not found.healthy
    (check,) = (c for c in found.checks if c.name == "worker")
    assert "plumbline worker" in (check.remedy or "")


def test_jobs_that_wait_are_counted_over_all_organizations(
    installation: Installation, firm: Firm, other_firm: Firm
) -> None:
    from plumbline.kernel.database import new_id

    for of in (firm, other_firm):
        with installation.database.write(of.id) as session:
            session.execute(sa.insert(Job), {
                "id": new_id(NOW), "organization_id": of.id, "kind": "test", "arguments": {}, "state": "queued", "priority": 0, "due_at": 1.0,
                "attempts": 0, "max_attempts": 3, "done": 0, "cancel_requested": False, "token": 0, "created_at": NOW,
            })  # fmt: skip
    (check,) = (c for c in health.check(installation).checks if c.name == "backlog")
    assert check.facts["waiting"] == 2
    assert check.facts["oldest"] > 1e6
    assert check.state == "warn"


def test_an_empty_database_is_told_as_one_cause(tmp_path: Path) -> None:
    installation = Installation(Settings(home=tmp_path))
    try:
        found = health.check(installation)
        (check,) = (c for c in found.checks if c.name == "migrations")
        assert (check.state, check.remedy) == ("bad", "Run: plumbline init")
        assert not found.healthy
    finally:
        installation.close()


def test_a_database_that_does_not_answer_is_one_cause_and_no_secret(tmp_path: Path) -> None:
    url = "postgresql://anna:top-secret@127.0.0.1:1/nowhere"
    installation = Installation(Settings(home=tmp_path, database_url=url))
    try:
        for found in (health.check(installation), health.ready(installation)):
            assert states(found)["database"] == "bad"
            assert not {"migrations", "worker", "backlog", "tables"} & set(states(found))
            assert "top-secret" not in str(found)
        browser = Browser(application(installation))
        answer = browser.get("/health/ready")
        assert answer.status_code == 503
        assert answer.json() == {"ready": False, "checks": {"database": "bad", "artifacts": "ok"}}
        assert browser.get("/health/live").status_code == 200
    finally:
        installation.close()


def test_a_store_that_cannot_be_written_is_bad(
    sqlite_url: str, tmp_path: Path, make_installation: Callable[..., Installation]
) -> None:
    (tmp_path / "a-file").write_text("in the way")
    installation = make_installation(sqlite_url, artifacts=str(tmp_path / "a-file"))
    (check,) = (c for c in health.ready(installation).checks if c.name == "artifacts")
    assert check.state == "bad"
    assert "setting 'artifacts'" in (check.remedy or "")


def test_a_full_disk_is_bad_and_a_filling_one_a_warning(sqlite_url: str, make_installation: Callable[..., Installation],
                                                        monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    installation = make_installation(sqlite_url)
    for free, state in ((100_000_000, "bad"), (1_000_000_000, "warn"), (3_000_000_000, "ok")):
        monkeypatch.setattr(shutil, "disk_usage", lambda _p, free=free: type("Usage", (), {"free": free}))
        assert states(health.check(installation))["disk"] == state


# faces


def test_load_balancers_learn_a_word_and_people_everything(house: House) -> None:
    browser = house.browser()
    assert browser.get("/health/live").json() == {"live": True}
    ready = browser.get("/health/ready")
    assert ready.json() == {
        "ready": True,
        "checks": dict.fromkeys(("database", "migrations", "artifacts", "worker"), "ok"),
    }
    for path in ("/health/live", "/health/ready"):
        answer = browser.client.head(path)
        assert (answer.status_code, answer.content) == (200, b"")
    report = house.program(house.person("analyst"), "health.read")("GET", "/api/v1/health").json()
    assert report["healthy"] is True
    assert {"database", "migrations", "artifacts", "worker", "backlog", "ledger", "disk", "wal", "tables"} == {
        c["name"] for c in report["checks"]
    }
    assert house.program(house.person("analyst"), "users.read")("GET", "/api/v1/health").status_code == 403


def test_the_command_s_answer_is_its_exit_code(
    sqlite_template: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = ["--home", str(tmp_path)]
    assert run([*home, "health", "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["healthy"] is False
    shutil.copy(sqlite_template, tmp_path / "plumbline.db")
    assert run([*home, "health", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["healthy"] is True
    database = Database(f"sqlite:///{tmp_path / 'plumbline.db'}")
    with database.write(None) as session:
        session.execute(
            sa.insert(Worker), {"name": "w", "started_at": NOW, "seen_at": NOW.replace(year=2020), "threads": 2}
        )
    database.close()
    assert run([*home, "health"]) == 3
    assert "plumbline worker" in " ".join(capsys.readouterr().out.split())


def test_settings_are_shown_with_their_source_and_without_secrets(tmp_path: Path, capsys: pytest.CaptureFixture[str],
                                                                   monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    (tmp_path / "plumbline.toml").write_text("port = 8500\n")
    monkeypatch.setenv("PLUMBLINE_METRICS_TOKEN", "very-secret")
    monkeypatch.setenv("PLUMBLINE_DATABASE_URL", "postgresql://anna:hidden@db.example/plumbline")
    assert run(["--home", str(tmp_path), "config", "show", "--json"]) == 0
    out = capsys.readouterr().out
    shown = {r["name"]: (r["value"], r["source"]) for r in json.loads(out)}
    assert shown["port"] == ("8500", "plumbline.toml")
    assert shown["metrics_token"] == ("********", "PLUMBLINE_METRICS_TOKEN")
    assert shown["host"] == ("127.0.0.1", "default")
    assert "very-secret" not in out
    assert "hidden" not in out
    assert run(["--home", str(tmp_path), "config", "show"]) == 0
    assert "Port the server listens on" in " ".join(capsys.readouterr().out.split())
