"""The list's API, pages and commands."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI

from plumbline.cli import run
from plumbline.kernel.errors import Corrupt
from plumbline.kernel.findings import service
from plumbline.kernel.installation import Installation
from plumbline.kernel.models import service as models
from tests.conftest import Firm
from tests.kernel.models.scale import file, register
from tests.kernel.models.site import signed_in, site, statuses

pytestmark = pytest.mark.usefixtures("scale_room")
PART = {"HX-Request": "true"}


@pytest.fixture
def app(installation: Installation) -> FastAPI:
    return site(installation)


def damaged(installation: Installation, firm: Firm) -> UUID:
    """A real finding of the registry: a version that does not reproduce its golden rows."""
    model = register(installation, firm.admin, artifact=file(2.0, golden=3.0))
    with pytest.raises(Corrupt):
        models.load(installation, model)
    return service.list_findings(installation, firm.admin, PAGE).items[0].id


PAGE = service.PageRequest()


def raised(installation: Installation, firm: Firm, n: int, **given: Any) -> UUID:
    values = {
        "room": "models",
        "subject_id": UUID(int=n),
        "title": f"Case {n}",
        "severity": "low",
        "url": "/models",
        "fingerprint": f"f{n}",
    }
    with installation.database.write(firm.id) as session:
        return service.raise_finding(session, firm.admin, **(values | given))


def test_each_route_asks_for_its_right(installation: Installation, firm: Firm, app: FastAPI) -> None:
    key = damaged(installation, firm)
    everybody = {"nobody": 401, "viewer": 200, "analyst": 200, "admin": 200}
    for path in ("/api/v1/findings", f"/api/v1/findings/{key}"):
        assert statuses(app, firm, "GET", path) == everybody, path
    for path in ("/findings", f"/findings/{key}"):
        assert statuses(app, firm, "GET", path) == everybody | {"nobody": 303}, path
    for path, given in (("take", {}), ("notes", {"json": {"text": "seen"}})):
        assert statuses(app, firm, "POST", f"/api/v1/findings/{key}/{path}", **given) == everybody | {"viewer": 403}, (
            path
        )
    for path in ("take", "note"):
        assert statuses(app, firm, "POST", f"/findings/{key}/{path}", data={"text": "seen"}) == {
            "nobody": 401, "viewer": 403, "analyst": 303, "admin": 303,
        }, path  # fmt: skip
    done = {"json": {"note": "not needed", "decision": "accepted"}}
    assert statuses(app, firm, "POST", f"/api/v1/findings/{key}/resolve", **done) == {
        "nobody": 401,
        "viewer": 403,
        "analyst": 200,
        "admin": 409,
    }
    assert statuses(app, firm, "POST", f"/findings/{key}/resolve", data={"note": "x"}) == {
        "nobody": 401, "viewer": 403, "analyst": 422, "admin": 422,
    }  # fmt: skip


def test_the_api_lists_takes_and_resolves(installation: Installation, firm: Firm, app: FastAPI) -> None:
    key = damaged(installation, firm)
    client = signed_in(app, firm, "analyst")
    (listed,) = client.get("/api/v1/findings?state=waiting&severity=critical&room=models&owner=none").json()["items"]
    assert (listed["id"], listed["state"], listed["tags"]) == (str(key), "open", ["artifact"])
    assert client.post(f"/api/v1/findings/{key}/take").json()["owner_id"] == str(firm.people["analyst"])
    assert client.get("/api/v1/findings?owner=me").json()["total"] == "1"
    assert client.get(f"/api/v1/findings?owner={firm.people['viewer']}").json()["items"] == []
    for wrong in ("owner=you", "state=lost", "severity=grave", "room=%00"):
        assert client.get(f"/api/v1/findings?{wrong}").status_code == 422, wrong
    blank = client.post(f"/api/v1/findings/{key}/resolve", json={"note": " "})
    assert (blank.status_code, blank.json()["where"]) == (422, {"field": "note"})
    unheard = client.post(f"/api/v1/findings/{key}/resolve", json={"note": "x", "decision": "burnt"})
    assert (unheard.status_code, unheard.json()["where"]) == (422, {"field": "decision"})
    done = client.post(f"/api/v1/findings/{key}/resolve", json={"note": "not needed", "decision": "accepted"})
    assert done.json()["state"] == "suppressed"
    assert client.get(f"/api/v1/findings/{UUID(int=3)}").status_code == 404


def test_the_list_keeps_its_filters_while_a_finding_is_taken(
    installation: Installation, firm: Firm, app: FastAPI
) -> None:
    damaged(installation, firm)
    late = raised(
        installation, firm, 1, due_at=firm.admin.now - timedelta(hours=2), severity="high", title="Late & <b>loud</b>"
    )
    client = signed_in(app, firm, "analyst")
    text = client.get("/findings?severity=high&owner=none").text
    assert "Late &amp; &lt;b&gt;loud&lt;/b&gt;" in text
    assert "is damaged" not in text
    assert f'hx-post="/findings/{late}/take?severity=high&amp;owner=none"' in text
    assert "overdue" in text
    part = client.get("/findings?room=models", headers=PART)
    assert "<html" not in part.text
    assert "is damaged" in part.text
    analyst = firm.as_role("analyst")
    key = next(f.id for f in service.list_findings(installation, analyst, PAGE).items if f.id != late)
    swapped = client.post(f"/findings/{key}/take?room=models", headers=PART)
    assert (swapped.status_code, "<html" in swapped.text) == (200, False)
    assert "Analyst of Northwind" in swapped.text
    viewer = signed_in(app, firm, "viewer").get("/findings").text
    assert "/take" not in viewer
    assert "No finding fits these filters" in client.get("/findings?state=resolved").text


def test_pages_of_the_list_follow_each_other(installation: Installation, firm: Firm, app: FastAPI) -> None:
    rows = [{"room": "models", "subject_id": UUID(int=n), "title": f"Case {n:03}", "severity": "low", "url": "/", "fingerprint": f"f{n}"}
            for n in range(105)]  # fmt: skip
    with installation.database.write(firm.id) as session:
        service.raise_many(session, firm.admin, rows)
    client = signed_in(app, firm, "viewer")
    first = client.get("/findings?severity=low").text
    assert "100 of 105" in first
    following = first.partition('rel="next"')[0].rpartition('href="')[2].split('"')[0].replace("&amp;", "&")
    second = client.get(following).text
    assert "5 of 105" in second
    assert "End of the list" in second
    assert client.get("/findings?cursor=nonsense").status_code == 422


def test_a_finding_is_worked_on_from_its_page(installation: Installation, firm: Firm, app: FastAPI) -> None:
    key = damaged(installation, firm)
    client = signed_in(app, firm, "analyst")
    text = client.get(f"/findings/{key}").text
    for piece in ("Take it on", "The file is whole again", 'data-open="resolve"', "/audit?resource_id="):
        assert piece in text, piece
    assert client.post(f"/findings/{key}/take", data={"back": "finding"}).headers["location"] == f"/findings/{key}"
    refused = client.post(f"/findings/{key}/resolve", data={"note": "mended", "decision": "repaired"}, headers=PART)
    assert (refused.status_code, "<html" in refused.text) == (422, False)
    assert "still damaged" in refused.text
    assert "mended" in refused.text
    assert client.post(f"/findings/{key}/note", data={"text": " "}, headers=PART).status_code == 422
    done = client.post(f"/findings/{key}/resolve", data={"note": "not needed", "decision": "accepted"}, headers=PART)
    assert done.headers["HX-Redirect"] == f"/findings/{key}"
    assert "Suppressed" in client.get(f"/findings/{key}").text


def test_the_commands_do_the_same(installation: Installation, firm: Firm, database_url: str, capsys: pytest.CaptureFixture[str],
                                  monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setenv("PLUMBLINE_HOME", str(installation.settings.home))
    key = damaged(installation, firm)
    mine = ["--database-url", database_url, "--as", "northwind-analyst", "findings"]
    assert run([*mine, "list", "--json"]) == 0
    assert [f["id"] for f in json.loads(capsys.readouterr().out)["items"]] == [str(key)]
    assert run([*mine, "take", str(key)]) == 0
    assert "acknowledged" in capsys.readouterr().out
    assert run([*mine, "list", "--owner", "northwind-analyst", "--severity", "critical"]) == 0
    assert "Analyst of" in capsys.readouterr().out
    assert run([*mine, "note", str(key), "asked for the backup"]) == 0
    assert run([*mine, "resolve", str(key), "--note", "restored"]) == 1
    assert "still damaged" in capsys.readouterr().err
    assert run([*mine, "resolve", str(key), "--note", "not needed", "--decision", "accepted", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "suppressed"
    assert run([*mine, "show", str(key)]) == 0
    assert run([*mine, "show", "17"]) == 2
    assert run([*mine, "list"]) == 0
    assert "Nothing waits" in capsys.readouterr().out
