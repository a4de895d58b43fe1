"""Drift's API, pages and commands: who may what, and what each says."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI

from plumbline.cli import run
from plumbline.console import charts
from plumbline.kernel.installation import Installation
from plumbline.kernel.jobs.service import run_inline
from plumbline.kernel.models import drift_report
from plumbline.kernel.models.service import Evaluated, drift
from tests.browser_support import Visit, serve
from tests.conftest import Firm, SteppingClock
from tests.kernel.models.drifting import batch, decide, people, trained
from tests.kernel.models.scale import register
from tests.kernel.models.site import signed_in, site, statuses, token_of

pytestmark = pytest.mark.usefixtures("scale_room")


@pytest.fixture
def app(installation: Installation) -> FastAPI:
    return site(installation)


def drifted(installation: Installation, firm: Firm, shifts: tuple[float, ...] = (0.0, 0.5, 2.0)) -> tuple[UUID, list[UUID]]:  # fmt: skip
    """A version with files that were compared, the last one far off; the version and the reports."""
    model = trained(installation, firm, evaluations=[Evaluated("test", 5, metrics={"mae": 0.5}, feature_importance={"x": 0.8, "city": 0.2})])  # fmt: skip
    runs = []
    for n, shift in enumerate(shifts):
        key = batch(installation, firm, model, people(900, n + 2, shift))
        found = drift.run(installation, firm.admin, model.id, batch_id=key)
        assert found.run_id is not None
        runs.append(found.run_id)
    return model.id, runs


def test_each_route_asks_for_its_right(installation: Installation, firm: Firm, app: FastAPI) -> None:
    model, (report,) = drifted(installation, firm, (2.0,))
    everybody = {"nobody": 401, "viewer": 200, "analyst": 200, "admin": 200}
    base = f"/models/{model}/drift"
    for path in ("", f"/{report}", f"/{report}/verification", f"/{report}/file"):
        assert statuses(app, firm, "GET", f"/api/v1{base}{path}") == everybody, path
    for path in ("", f"/{report}", f"/{report}?check=yes", f"/{report}/report", f"/{report}/report?format=json"):
        assert statuses(app, firm, "GET", f"{base}{path}") == everybody | {"nobody": 303}, path
    some = {"nobody": 401, "viewer": 403, "analyst": 202, "admin": 202}
    assert statuses(app, firm, "POST", f"/api/v1{base}", json={}) == some
    assert statuses(app, firm, "POST", base) == some | {"analyst": 303, "admin": 303}


def test_the_api_queues_lists_tells_and_verifies(installation: Installation, firm: Firm, app: FastAPI) -> None:
    model, runs = drifted(installation, firm)
    client = signed_in(app, firm, "analyst")
    base = "/api/v1/models/scale/drift"
    decide(installation, firm, drift_model(installation, firm, model), people(300, 3))
    asked = client.post(base, json={"since": "2026-11-24"}).json()
    assert asked["state"] == "queued"
    assert run_inline(installation, UUID(asked["job_id"])).state == "done"
    listed = client.get(base).json()
    assert [one["id"] for one in listed["items"][1:]] == [str(r) for r in reversed(runs)]
    assert [one["severity"] for one in listed["items"]] == ["stable", "major", "major", "stable"]
    assert listed["items"][0]["window_key"].startswith("2026-11-24T00:00:00.000000Z/")
    only = client.get(base, params={"detected": True, "limit": 1}).json()
    assert [one["id"] for one in only["items"]] == [str(runs[-1])]
    one = client.get(f"{base}/{runs[-1]}").json()
    assert (one["severity"], one["rows"], set(one["scores"])) == ("major", 900, {"psi", "kl_divergence", "ks_test"})
    assert client.get(f"{base}/{runs[-1]}/verification").json() == {"id": str(runs[-1]), "sound": True, "faults": []}
    file = client.get(f"{base}/{runs[-1]}/file", params={"format": "json"})
    assert sha256(file.content).hexdigest() == one["json_sha256"]
    assert drift_report.verify(file.content) == []
    assert json.loads(file.content)["importance"] == {"city": 0.2, "x": 0.8}
    for wrong in ({"since": "yesterday"}, {"since": "2026-12-01", "until": "2026-11-01"}, {"batch_id": str(model)}):
        assert client.post(base, json=wrong).status_code in (404, 422), wrong
    other = register(installation, firm.admin, name="old")
    told = client.post("/api/v1/models/old/drift", json={}).json()
    assert (told["state"], told["job_id"]) == ("no_reference", None)
    assert "no reference" in told["said"]
    assert client.get(f"/api/v1/models/{other.id}/drift/{runs[0]}").status_code == 404


def drift_model(installation: Installation, firm: Firm, key: UUID) -> Any:
    from plumbline.kernel.models import service

    return service.get(installation, firm.admin, key)


def test_nothing_of_another_organization_is_at_any_address(
    installation: Installation, firm: Firm, other_firm: Firm, app: FastAPI
) -> None:
    model, (report,) = drifted(installation, other_firm, (1.0,))
    mine, _ = drifted(installation, firm, (1.0,))
    client = signed_in(app, firm, "admin")
    for at in (model, mine):
        for path in (f"/{report}", f"/{report}/verification", f"/{report}/file"):
            assert client.get(f"/api/v1/models/{at}/drift{path}").status_code == 404
        for path in (f"/{report}", f"/{report}/report"):
            assert client.get(f"/models/{at}/drift{path}").status_code == 404
    assert client.get(f"/models/{model}/drift").status_code == 404
    assert client.post(f"/models/{model}/drift").status_code == 404


def test_pages_draw_the_drift_and_give_the_stored_report(installation: Installation, firm: Firm, app: FastAPI) -> None:
    model, runs = drifted(installation, firm)
    client = signed_in(app, firm, "analyst")
    for page in (f"/models/{model}", f"/models/{model}/drift"):
        text = client.get(page).text
        assert 'class="reasons heat-rows"' in text
        assert "moved most: corrected PSI" in text
    listed = client.get(f"/models/{model}/drift").text
    assert f"/models/{model}/drift/{runs[0]}" in listed
    assert "Major drift" in listed
    refused = client.post(f"/models/{model}/drift", data={"since": "2026-12-01", "until": "2026-11-01"})
    assert refused.status_code == 422
    assert "before it begins" in refused.text
    assert "Compare now" not in signed_in(app, firm, "viewer").get(f"/models/{model}/drift").text
    report = client.get(f"/models/{model}/drift/{runs[-1]}").text
    assert "Drifted columns" in report
    assert "does not verify" not in report
    assert "every number follows" in client.get(f"/models/{model}/drift/{runs[-1]}?check=yes").text
    stored = client.get(f"/models/{model}/drift/{runs[-1]}/report")
    style = stored.text.split("<style>")[1].split("</style>")[0].encode()
    assert b64encode(sha256(style).digest()).decode() in stored.headers["content-security-policy"]
    assert "script" not in stored.headers["content-security-policy"]
    old = register(installation, firm.admin, name="old").id
    assert "registered without a profile" in client.get(f"/models/{old}").text
    assert "registered without a profile" in client.get(f"/models/{old}/drift").text


def test_a_lost_file_is_told_on_the_page(installation: Installation, firm: Firm, app: FastAPI) -> None:
    model, (report,) = drifted(installation, firm, (2.0,))
    for path in (installation.files / "reports").rglob("*.*"):
        path.unlink()
    client = signed_in(app, firm, "analyst")
    page = client.get(f"/models/{model}/drift/{report}")
    assert page.status_code == 200
    assert "is gone" in page.text
    assert "does not verify" in client.get(f"/models/{model}/drift/{report}?check=yes").text
    assert client.get(f"/models/{model}/drift/{report}/report").status_code == 500


def test_the_commands_do_what_the_pages_do(
    installation: Installation, firm: Firm, database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    model = trained(installation, firm)
    decide(installation, firm, model, people(500, 2, 2.0))
    monkeypatch.setenv("PLUMBLINE_HOME", str(installation.settings.home))
    home = ["--database-url", database_url]

    def said(*words: str, code: int = 0, plain: bool = False) -> Any:
        assert run([*home, "models", "drift", *words, *([] if plain else ["--json"])]) == code, capsys.readouterr()
        out = capsys.readouterr().out
        return out if plain else json.loads(out)

    made = said("run", "scale", "--until", "2026-12-31")
    assert made["state"] == "compared"
    report = made["report_id"]
    assert said("run", "scale", "--until", "2026-12-31")["change"] == "same"
    assert [one["id"] for one in said("list", "--drifted")["items"]] == [report]
    assert said("list", "--not-drifted")["items"] == []
    assert "Major drift" in said("list", plain=True)
    shown = said("show", report, "--out", str(tmp_path / "r.json"))
    assert shown["scores"]["psi"]["is_drifted"] is True
    assert drift_report.verify((tmp_path / "r.json").read_bytes()) == []
    assert "ks_test" in said("show", report, plain=True)
    assert said("verify", report) == {"id": report, "sound": True, "faults": []}
    assert "follows from its counts" in said("verify", report, plain=True)
    (installation.files / shown["report_file_path"]).unlink()
    assert said("verify", report, code=3)["sound"] is False
    register(installation, firm.admin, name="old")
    assert said("run", "old")["state"] == "no_reference"
    assert run([*home, "models", "drift", "show", "nothing"]) == 2


def test_a_heat_map_names_its_cells_and_refuses_what_it_cannot_draw() -> None:
    drawn = charts.heat_rows("x moved", ["1 Nov", "2 Nov"], [("<b>x</b>", [0.0, 0.3]), ("y", [None, 0.1])], top=0.25, measure="PSI")  # fmt: skip
    assert "<b>" not in drawn
    assert drawn.count("<rect") == 4
    assert 'class="none"' in drawn
    assert 'class="q6"' in drawn
    for columns, rows in (
        ([], [("x", [])]),
        (["a"], []),
        (["a"], [("x", [1.0, 2.0])]),
        (["a"], [("x", [float("nan")])]),
    ):
        with pytest.raises(ValueError, match="x moved"):
            charts.heat_rows("x moved", columns, rows, top=1.0)


@dataclass
class Stage:
    base: str
    token: str
    paths: dict[str, str]

    def open(self, visit: Callable[..., Visit], path: str, **options: Any) -> Visit:
        seen = visit(**options)
        seen.context.add_cookies([{"name": "plumbline", "value": self.token, "url": self.base}])
        seen.page.goto(self.base + path)
        return seen


@pytest.fixture
def stage(sqlite_url: str, make_installation: Callable[..., Installation], clock: SteppingClock) -> Iterator[Stage]:
    installation = make_installation(sqlite_url)
    firm = Firm(installation, "northwind")
    clock.now += timedelta(days=1)
    model, runs = drifted(installation, firm, (0.0, 0.1, 0.5, 2.0))
    old = register(installation, firm.admin, name="old").id
    app = site(installation)
    paths = {"model": f"/models/{model}", "old": f"/models/{old}/drift", "drift": f"/models/{model}/drift",
             "report": f"/models/{model}/drift/{runs[-1]}?check=yes", "stored": f"/models/{model}/drift/{runs[-1]}/report"}  # fmt: skip
    with serve(app) as base:
        yield Stage(base, token_of(app, firm, "admin"), paths)


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize(("width", "theme"), [(1440, "light"), (390, "dark")])
def test_every_page_is_accessible_and_fits(stage: Stage, visit: Callable[..., Visit], width: int, theme: str) -> None:
    for name, path in stage.paths.items():
        seen = stage.open(visit, path, width=width, theme=theme)
        assert seen.violations() == [], name
        assert seen.policy_violations() == [], name
        assert name == "stored" or seen.overflow() == 0, name
        assert seen.said == [], name
