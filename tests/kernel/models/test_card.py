"""The model card: out of the record alone, and what it does not hold is not stated."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from fastapi import FastAPI

from plumbline.cli import run
from plumbline.kernel.installation import Installation
from plumbline.kernel.models import card, service
from plumbline.kernel.models.service.cards import card_of
from tests.conftest import Firm
from tests.kernel.models.scale import register
from tests.kernel.models.site import signed_in, site, statuses
from tests.kernel.models.test_faces import measured

pytestmark = pytest.mark.usefixtures("scale_room")


@pytest.fixture
def app(installation: Installation) -> FastAPI:
    return site(installation)


def test_what_nobody_said_or_measured_is_told_as_such(installation: Installation, firm: Firm) -> None:
    told = card_of(installation, firm.admin, register(installation, firm.admin).id)
    assert told["stated"] == dict.fromkeys(("purpose", "owner", "not_for"), "not stated")
    assert told["subgroups"] == told["leaks"] == told["drift_reference"] == told["threshold"] == "not stated"
    assert len(told["never_measured"]) == 5
    assert told["evaluations"] == []


def test_what_was_measured_stands_with_its_rows_and_intervals(installation: Installation, firm: Firm) -> None:
    key = measured(installation, firm)
    service.activate(installation, firm.admin, str(key), reason="best <i>so</i> far")
    told = card_of(installation, firm.admin, key)
    model = service.get(installation, firm.admin, str(key))
    assert (told["model"]["sha256"], told["model"]["live"]) == (model.extra["sha256"], True)
    (test,) = [e for e in told["evaluations"] if e["dataset"] == "test"]
    auc = test["figures"]["roc_auc"]
    assert test["rows"] == 2000
    assert auc["interval"][0] < auc["value"] < auc["interval"][1]
    assert test["undefined"]["precision_at_k"] == "no k was stated"
    assert "Test rows" not in " ".join(told["never_measured"])
    assert told["features"][0]["share"] == max(f["share"] or 0 for f in told["features"])
    assert [(e["action"], e["reason"]) for e in told["history"] if e["reason"]] == [
        ("models.activate", "best <i>so</i> far")
    ]


def test_the_page_has_no_script_and_shows_the_figures_of_the_json(
    installation: Installation, firm: Firm, app: FastAPI
) -> None:
    key = measured(installation, firm)
    service.activate(installation, firm.admin, str(key), reason="best <i>so</i> far")
    reader = signed_in(app, firm, "viewer")
    page, plain = reader.get(f"/models/{key}/card"), reader.get(f"/api/v1/models/{key}/card")
    assert page.headers["content-security-policy"].startswith(card.POLICY)
    assert "<script" not in page.text
    assert "best &lt;i&gt;so&lt;/i&gt; far" in page.text
    assert json.loads(plain.text) == card_of(installation, firm.admin, key)
    auc = next(e for e in plain.json()["evaluations"] if e["dataset"] == "test")["figures"]["roc_auc"]["value"]
    assert re.search(rf"roc_auc<td class=n>{auc:.4f}<", page.text)
    assert reader.get(f"/api/v1/models/{key}/card?format=html").text == page.text
    everybody = {"nobody": 401, "viewer": 200, "analyst": 200, "admin": 200}
    assert statuses(app, firm, "GET", f"/api/v1/models/{key}/card") == everybody


def test_the_command_writes_the_page(
    installation: Installation, firm: Firm, database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = measured(installation, firm)
    home = ["--home", str(tmp_path), "--database-url", database_url]
    assert run([*home, "models", "card", str(key), "--out", str(tmp_path / "card.html")]) == 0
    assert "never measured: How groups of people fare." in capsys.readouterr().out
    assert (tmp_path / "card.html").read_text("utf-8") == card.to_html(card_of(installation, firm.admin, key))
    assert run([*home, "models", "card", str(key), "--out", str(tmp_path / "none" / "card.html")]) == 1
