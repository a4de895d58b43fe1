"""The API, pages and commands of background work."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from fastapi import FastAPI

from plumbline.cli import run
from plumbline.kernel.installation import Installation
from plumbline.kernel.jobs.queue import enqueue
from plumbline.kernel.jobs.tables import Job
from tests.conftest import Firm
from tests.kernel.models.site import signed_in, site, statuses

PART = {"HX-Request": "true"}


@pytest.fixture
def app(installation: Installation) -> FastAPI:
    return site(installation)


def job(installation: Installation, firm: Firm, role: str = "analyst", **state: Any) -> UUID:
    """A job that somebody in this role asked for, moved to a state as a worker would leave it."""
    context = firm.as_role(role)
    with installation.database.write(firm.id) as session:
        key = enqueue(session, context, "credit.batch", {"batch_id": "x"}, total=1000)
        if state:
            session.execute(sa.update(Job).where(Job.organization_id == firm.id, Job.id == key).values(**state))
    return key


def test_each_route_asks_for_its_right(installation: Installation, firm: Firm, app: FastAPI) -> None:
    key = job(installation, firm, "admin")
    everybody = {"nobody": 401, "viewer": 200, "analyst": 200, "admin": 200}
    for path in ("/api/v1/jobs", f"/api/v1/jobs/{key}"):
        assert statuses(app, firm, "GET", path) == everybody, path
    for path in ("/jobs", f"/jobs/{key}", f"/jobs/{key}/progress"):
        assert statuses(app, firm, "GET", path) == everybody | {"nobody": 303}, path
    assert statuses(app, firm, "POST", f"/api/v1/jobs/{key}/cancel") == {
        "nobody": 401,
        "viewer": 403,
        "analyst": 403,
        "admin": 200,
    }
    assert statuses(app, firm, "POST", f"/api/v1/jobs/{key}/retry") == {
        "nobody": 401,
        "viewer": 403,
        "analyst": 403,
        "admin": 200,
    }
    assert statuses(app, firm, "POST", f"/jobs/{key}/cancel") == {
        "nobody": 401,
        "viewer": 403,
        "analyst": 403,
        "admin": 303,
    }
    assert statuses(app, firm, "POST", f"/jobs/{key}/retry") == {
        "nobody": 401,
        "viewer": 403,
        "analyst": 403,
        "admin": 303,
    }


def test_the_api_tells_how_far_a_job_is(installation: Installation, firm: Firm, other_firm: Firm, app: FastAPI) -> None:
    key = job(installation, firm, state="running", done=250, started_at=firm.admin.now)
    job(installation, other_firm)
    client = signed_in(app, firm, "analyst")
    assert [j["id"] for j in client.get("/api/v1/jobs").json()["items"]] == [str(key)]
    one = client.get(f"/api/v1/jobs/{key}").json()
    assert (one["state"], one["share"], one["done"], one["total"]) == ("running", 0.25, 250, 1000)
    assert client.get("/api/v1/jobs?state=done&kind=credit.batch").json()["total"] == "0"
    assert client.get("/api/v1/jobs?state=lost").status_code == 422
    asked = client.post(f"/api/v1/jobs/{key}/cancel").json()  # one's own job
    assert (asked["state"], asked["cancel_requested"]) == ("running", True)
    assert signed_in(app, firm, "admin").post(f"/api/v1/jobs/{key}/retry").status_code == 409
    assert signed_in(app, other_firm, "admin").get(f"/api/v1/jobs/{key}").status_code == 404
    assert signed_in(app, other_firm, "admin").post(f"/jobs/{key}/cancel").status_code == 404


def test_the_page_polls_until_the_job_has_ended(installation: Installation, firm: Firm, app: FastAPI) -> None:
    key = job(installation, firm, state="running", done=250, started_at=firm.admin.now)
    client = signed_in(app, firm, "analyst")
    text = client.get(f"/jobs/{key}").text
    assert f'hx-get="/jobs/{key}/progress"' in text
    assert 'data-open="cancel"' in text
    polled = client.get(f"/jobs/{key}/progress", headers=PART)
    assert (polled.status_code, "<html" in polled.text) == (200, False)
    assert "250 of 1,000" in polled.text
    with installation.database.write(firm.id) as session:
        failed = {"state": "failed", "error": "Disk <full>", "finished_at": firm.admin.now}
        session.execute(sa.update(Job).where(Job.organization_id == firm.id, Job.id == key).values(**failed))
    ended = client.get(f"/jobs/{key}/progress", headers=PART)
    assert (ended.status_code, ended.headers["HX-Refresh"]) == (286, "true")
    text = client.get(f"/jobs/{key}").text
    assert "Disk &lt;full&gt;" in text
    assert 'data-open="cancel"' not in text
    assert "Try again" not in text  # that is an administrator's
    admin = signed_in(app, firm, "admin")
    assert "Try again" in admin.get(f"/jobs/{key}").text
    assert admin.post(f"/jobs/{key}/retry").headers["location"] == f"/jobs/{key}"
    assert "Waiting for a worker" in admin.get(f"/jobs/{key}").text
    assert "is queued" in admin.post(f"/jobs/{key}/retry").headers["set-cookie"].replace("%20", " ")


def test_the_list_is_filtered_by_state(installation: Installation, firm: Firm, app: FastAPI) -> None:
    client = signed_in(app, firm, "viewer")
    assert "No job yet" in client.get("/jobs").text
    done = job(installation, firm, state="done", done=1000, started_at=firm.admin.now, finished_at=firm.admin.now)
    waiting = job(installation, firm)
    whole = client.get("/jobs").text
    assert f"/jobs/{done}" in whole
    assert f"/jobs/{waiting}" in whole
    part = client.get("/jobs?state=done", headers=PART).text
    assert f"/jobs/{done}" in part
    assert f"/jobs/{waiting}" not in part
    assert "<html" not in part
    assert "No job is in this state" in client.get("/jobs?state=failed").text


def test_the_commands_do_the_same(installation: Installation, firm: Firm, database_url: str, capsys: pytest.CaptureFixture[str],
                                  monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setenv("PLUMBLINE_HOME", str(installation.settings.home))
    key = job(installation, firm)
    called = ["--database-url", database_url, "jobs"]
    assert run([*called, "list", "--state", "queued", "--json"]) == 0
    assert [j["id"] for j in json.loads(capsys.readouterr().out)["items"]] == [str(key)]
    assert run([*called, "show", str(key)]) == 0
    assert "credit.batch" in capsys.readouterr().out
    assert run([*called, "cancel", str(key)]) == 0
    assert "is cancelled" in capsys.readouterr().out
    assert run([*called, "cancel", str(key)]) == 1
    assert "has ended" in capsys.readouterr().err
    assert run([*called, "retry", str(key), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "queued"
    assert run([*called, "list", "--state", "lost"]) == 1
    assert run([*called, "show", "17"]) == 2
