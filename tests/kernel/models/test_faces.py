"""The registry's API, pages and commands: who may what, and what each says."""

from __future__ import annotations

import json
import re
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from fastapi import FastAPI

from plumbline.cli import run
from plumbline.kernel.identity import rights
from plumbline.kernel.installation import Installation
from plumbline.kernel.models import metrics, pictures, service
from plumbline.kernel.models.service import Evaluated
from plumbline.kernel.models.service.cards import card_of
from tests.conftest import Firm
from tests.kernel.models.scale import register
from tests.kernel.models.site import signed_in, site, statuses

pytestmark = pytest.mark.usefixtures("scale_room")


@pytest.fixture
def app(installation: Installation) -> FastAPI:
    return site(installation)


def measured(installation: Installation, firm: Firm, **given: Any) -> UUID:
    """A version with everything a page can draw."""
    rng = np.random.default_rng(7)
    p = rng.beta(2, 12, 2000)
    y = rng.random(2000) < p
    held = metrics.evaluate(y, p, threshold=0.2)
    evaluations = [
        Evaluated(dataset, 2000, metrics=held.values, intervals=held.intervals, undefined={"precision_at_k": "no k was stated"},
                  feature_importance={"x": 0.7, "ext_source_2": 0.3}, extra={"histogram": metrics.histogram(y, p).tolist()})
        for dataset in ("cross_validation", "test")
    ]  # fmt: skip
    costs = [1 - abs(i - 20) / 400 for i in range(201)]
    extra = {"threshold": 0.2, "curve": {"thresholds": [i / 200 for i in range(201)], "cost": costs, "low": [c - 0.1 for c in costs],
                                         "high": [c + 0.1 for c in costs], "approval_rate": [i / 200 for i in range(201)]},
             "training": {"rows": 8000, "events": 640}, "warnings": ["Few events <b>were</b> seen."]}  # fmt: skip
    return register(
        installation,
        firm.admin,
        evaluations=evaluations,
        extra=extra,
        metrics={"roc_auc": held.values["roc_auc"]},
        **given,
    ).id


def test_each_route_asks_for_its_right(installation: Installation, firm: Firm, app: FastAPI) -> None:
    key = register(installation, firm.admin).id
    everybody = {"nobody": 401, "viewer": 200, "analyst": 200, "admin": 200}
    for path in ("/api/v1/models", f"/api/v1/models/{key}", f"/api/v1/models/{key}/evaluations"):
        assert statuses(app, firm, "GET", path) == everybody, path
    for path in ("/models", f"/models/{key}"):
        assert statuses(app, firm, "GET", path) == everybody | {"nobody": 303}, path
    refused = {"nobody": 401, "viewer": 403, "analyst": 403}
    why = {"json": {"reason": "because"}}
    assert statuses(app, firm, "POST", f"/api/v1/models/{key}/activate", **why) == refused | {"admin": 200}
    assert statuses(app, firm, "POST", "/api/v1/models/scale/rollback", **why) == refused | {"admin": 404}
    second = register(installation, firm.admin).id
    why = {"data": {"reason": "because"}}
    assert statuses(app, firm, "POST", f"/models/{second}/activate", **why) == refused | {"admin": 303}
    assert statuses(app, firm, "POST", f"/models/{second}/rollback", **why) == refused | {"admin": 303}
    assert service.active(installation, firm.admin, "scale").id == key


def test_the_api_tells_a_version_and_what_was_measured(installation: Installation, firm: Firm, app: FastAPI) -> None:
    key = measured(installation, firm)
    client = signed_in(app, firm, "admin")
    (listed,) = client.get("/api/v1/models?name=scale&active=false").json()["items"]
    assert listed["id"] == str(key)
    assert len(listed["sha256"]) == 64
    one = client.get("/api/v1/models/scale@1").json()
    assert one["versions"] == ["1"]
    assert one["metadata"]["threshold"] == 0.2
    assert one["features"] == [{"name": "x", "dtype": "numeric"}]
    test, _ = client.get(f"/api/v1/models/{key}/evaluations").json()
    assert test["dataset"] == "test"
    assert test["undefined"] == {"precision_at_k": "no k was stated"}
    assert test["intervals"]["roc_auc"][0] < test["metrics"]["roc_auc"] < test["intervals"]["roc_auc"][1]
    refused = client.post(f"/api/v1/models/{key}/activate", json={})
    assert (refused.status_code, refused.json()["where"]) == (422, {"field": "reason"})
    assert client.post(f"/api/v1/models/{key}/activate", json={"reason": "first"}).json()["is_active"] is True
    again = client.post(f"/api/v1/models/{key}/activate", json={"reason": "first"})
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    for path in ("scale@9", "none", "%00", str(UUID(int=4))):
        assert client.get(f"/api/v1/models/{path}").status_code in (404, 422), path


def test_nothing_of_another_organization_is_at_any_address(
    installation: Installation, firm: Firm, other_firm: Firm, app: FastAPI
) -> None:
    theirs = register(installation, other_firm.admin).id
    client = signed_in(app, firm, "admin")
    for method, path in (("GET", ""), ("GET", "/evaluations"), ("POST", "/activate")):
        assert client.request(method, f"/api/v1/models/{theirs}{path}", json={"reason": "x"}).status_code == 404
    for method, path in (("GET", ""), ("POST", "/activate"), ("POST", "/rollback")):
        assert client.request(method, f"/models/{theirs}{path}", data={"reason": "x"}).status_code == 404
    assert client.get("/api/v1/models").json()["items"] == []
    assert "No model yet" in client.get("/models").text


def test_a_versions_page_draws_what_was_measured_and_asks_before_it_acts(
    installation: Installation, firm: Firm, app: FastAPI
) -> None:
    key = measured(installation, firm)
    client = signed_in(app, firm, "admin")
    text = client.get(f"/models/{key}").text
    for piece in ("How good it is", "ROC AUC", "Calibration", "Cost by threshold", "What it looks at", "no k was stated", 'data-open="activate"',
                  "Few events &lt;b&gt;were&lt;/b&gt; seen."):  # fmt: skip
        assert piece in text, piece
    assert 'data-open="activate"' not in signed_in(app, firm, "viewer").get(f"/models/{key}").text
    dialog = client.post(f"/models/{key}/activate", data={"reason": " "}, headers={"HX-Request": "true"})
    assert dialog.status_code == 422
    assert "A reason is needed" in dialog.text
    assert "<html" not in dialog.text
    whole = client.post(f"/models/{key}/activate", data={"reason": ""})
    assert (whole.status_code, "<html" in whole.text) == (422, True)
    done = client.post(f"/models/{key}/activate", data={"reason": "best so far"}, headers={"HX-Request": "true"})
    assert (done.status_code, done.headers["HX-Redirect"]) == (204, f"/models/{key}")
    text = client.get(f"/models/{key}").text
    assert "best so far" in text
    assert 'data-open="rollback"' not in text  # nothing was live before


def test_a_threshold_is_looked_at_and_nothing_changes(installation: Installation, firm: Firm, app: FastAPI) -> None:
    key = measured(installation, firm)
    reader = signed_in(app, firm, "viewer")
    told = reader.get(f"/models/{key}/cost?threshold=0.1", headers={"HX-Request": "true"})
    text = re.sub(r"\s+", " ", told.text)
    assert (
        "At <strong>10.0 %</strong> a decision costs 1.000 (0.900 to 1.100), 0.050 more than at 20.0 %; it approves 10.0 %."
        in text
    )
    assert "Tried 10.0 %" in text
    assert "<html" not in text
    same = re.sub(r"\s+", " ", reader.get(f"/models/{key}/cost?threshold=0.2").text)
    assert "as much as at 20.0 %; it approves 20.0 %." in same
    assert "Tried" not in same
    assert reader.get(f"/models/{key}/cost?threshold=1.5").status_code == 422
    assert service.get(installation, firm.admin, str(key)).extra["threshold"] == 0.2


def test_a_version_without_a_curve_has_no_threshold_to_look_at(
    installation: Installation, firm: Firm, app: FastAPI
) -> None:
    key, reader = register(installation, firm.admin).id, signed_in(app, firm, "viewer")
    for headers in ({}, {"HX-Request": "true"}):
        answer = reader.get(f"/models/{key}/cost?threshold=0.1", headers=headers)
        assert answer.status_code == 404
        assert "No cost curve was measured" in answer.text


def test_of_its_own_decisions_a_page_shows_the_newest_cohort_that_could_be_judged(
    installation: Installation, firm: Firm
) -> None:
    months = (("2026-01", "measured"), ("2026-02", "measured"), ("2026-03", "unknown"))
    given = [
        Evaluated(f"production:{month}", 100, metrics={"brier": 0.1}, extra={"verdict": verdict})
        for month, verdict in months
    ]
    key = register(installation, firm.admin, evaluations=[*given, Evaluated("test", 50, metrics={"brier": 0.2})]).id
    found = pictures.latest(service.detail(installation, firm.admin, key).evaluations)
    assert [one.evaluation.dataset for one in found] == ["test", "production:2026-02"]
    told = card_of(installation, firm.admin, key)
    assert len(told["evaluations"]) == 4  # the card holds them all
    assert not any("Its own decisions" in line for line in told["never_measured"])


def test_a_dialog_names_inputs_that_break(installation: Installation, firm: Firm, app: FastAPI) -> None:
    service.activate(installation, firm.admin, register(installation, firm.admin).id, reason="first")
    key = register(installation, firm.admin, features=[{"name": "z", "dtype": "numeric"}]).id
    client = signed_in(app, firm, "admin")
    assert "Its inputs break" in client.get(f"/models/{key}").text
    refused = client.post(f"/models/{key}/activate", data={"reason": "why not"}, headers={"HX-Request": "true"})
    assert refused.status_code == 422
    assert "why not" in refused.text
    assert client.post(f"/models/{key}/activate", data={"reason": "all know", "force": "yes"}).status_code == 303


def test_an_empty_registry_says_what_will_appear(firm: Firm, app: FastAPI) -> None:
    assert "No model yet" in signed_in(app, firm, "viewer").get("/models").text


def test_bins_of_a_histogram_hold_every_row_and_its_events() -> None:
    rng = np.random.default_rng(3)
    p = rng.beta(1, 9, 5000)
    y = rng.random(5000) < p
    bins = pictures.from_histogram(metrics.histogram(y, p).tolist())
    assert sum(n for _, _, n, _ in bins) == 5000
    assert sum(round(observed * n) for _, observed, n, _ in bins) == int(y.sum())
    assert len(bins) <= 21
    few = pictures.from_histogram(metrics.histogram(y[:150], p[:150]).tolist())
    assert [n >= pictures.IN_A_BIN for _, _, n, _ in few[:-1]] == [True] * (len(few) - 1)
    assert sum(predicted * n for predicted, _, n, _ in bins) / 5000 == pytest.approx(p.mean(), abs=5e-4)


def test_the_commands_do_what_the_pages_do(installation: Installation, firm: Firm, database_url: str, capsys: pytest.CaptureFixture[str],
                                           monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setenv("PLUMBLINE_HOME", str(installation.settings.home))
    first, second = measured(installation, firm), measured(installation, firm)
    called = ["--database-url", database_url]
    assert run([*called, "models", "activate", "scale@1"]) == 1
    assert "A reason is needed" in capsys.readouterr().err
    assert run([*called, "models", "activate", "scale@1", "--reason", "first"]) == 0
    assert (
        run([*called, "--as", "northwind-admin", "models", "activate", str(second), "--reason", "better", "--json"])
        == 0
    )
    assert json.loads(capsys.readouterr().out.partition("\n")[2])["previous_id"] == str(first)
    assert run([*called, "models", "rollback", "scale", "--reason", "worse"]) == 0
    assert "scale@1 is live" in capsys.readouterr().out
    assert run([*called, "models", "list", "--live", "--json"]) == 0
    assert [m["id"] for m in json.loads(capsys.readouterr().out)["items"]] == [str(first)]
    assert run([*called, "models", "show", "scale"]) == 0
    assert "roc_auc" in capsys.readouterr().out
    assert run([*called, "models", "show", "scale", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["evaluations"][0]["dataset"] == "test"
    assert run([*called, "models", "show", "none"]) == 1
    assert run([*called, "--as", "northwind-viewer", "models", "activate", "scale@2", "--reason", "me"]) == 1
    assert "models.activate" in capsys.readouterr().err
    assert "models.activate" in rights.of_role("admin")
