"""The example of docs/add-a-room.md is installed as a package of its own and is part of the product from then on."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "docs" / "example-room"
PASSWORD = "correct horse battery staple"
SET_UP = """
import sys
from plumbline import settings
from plumbline.kernel import room
from plumbline.kernel.database import Database, migrate
from plumbline.kernel.identity import service as identity
from plumbline.kernel.installation import Installation

chosen = settings.load(home=sys.argv[1])
room.declare_tables()
owner = Database(chosen.url, role="owner")
migrate.upgrade(owner)
owner.close()
house = Installation.open(chosen)
identity.initialize(house, name="Northwind", slug="northwind", username="imke", email="imke@northwind.example", password=sys.argv[2])
house.close()
"""
VISIT = """
import json, sys
from starlette.testclient import TestClient
from plumbline import settings
from plumbline.app import create_app
from plumbline.kernel.installation import Installation

house = Installation.open(settings.load(home=sys.argv[1]))
client = TestClient(create_app(house), headers={"Sec-Fetch-Site": "same-origin"})
stranger = client.get("/api/v1/punctuality/deliveries").status_code
client.post("/signin", data={"login": "imke", "password": sys.argv[2], "next": "/"})
body = {"reference": "B-2", "promised_on": "2026-11-20", "arrived_on": "2026-11-19"}
made = client.post("/api/v1/punctuality/deliveries", json=body)
again = client.post("/api/v1/punctuality/deliveries", json=body)
listed = client.get("/api/v1/punctuality/deliveries")
page = client.get("/punctuality")
print(json.dumps({
    "stranger": stranger, "made": [made.status_code, made.json()], "again": [again.status_code, again.json()],
    "listed": listed.json(), "page": [page.status_code, page.text], "described": list(client.get("/api/v1/openapi.json").json()["paths"]),
}))
house.close()
"""


@dataclass
class House:
    """An installation whose Python also finds the example room."""

    home: Path
    target: Path

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        env = {k: v for k, v in os.environ.items() if not k.startswith("PLUMBLINE_")} | {"PYTHONPATH": str(self.target)}
        return subprocess.run(
            [sys.executable, *arguments],
            env=env,
            cwd=self.home,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def plumbline(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.python("-m", "plumbline", "--home", str(self.home), *arguments)

    def script(self, code: str) -> str:
        done = self.python("-W", "ignore", "-c", code, str(self.home), PASSWORD)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    uv = Path(sys.executable).with_name("uv")
    if not uv.exists():
        reason = "uv, which builds the example, is not beside this Python"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    target, home = tmp_path_factory.mktemp("target"), tmp_path_factory.mktemp("home")
    install = [
        uv,
        "pip",
        "install",
        "-q",
        "--offline",
        "--no-deps",
        "--no-index",
        "--no-cache",
        "--python",
        sys.executable,
        "--target",
        target,
        EXAMPLE,
    ]
    subprocess.run([str(part) for part in install], check=True, timeout=120)
    made = House(home, target)
    made.script(SET_UP)
    return made


def rows(house: House, statement: str) -> list[Any]:
    with sqlite3.connect(house.home / "plumbline.db") as connection:
        return connection.execute(statement).fetchall()


@pytest.mark.slow
def test_its_table_is_migrated_and_fits_what_it_declares(house: House) -> None:
    assert rows(house, "SELECT strict FROM pragma_table_list WHERE name = 'punctuality_deliveries'") == [(1,)]
    checked = house.plumbline("db", "check")
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.slow
def test_its_command_judges_keeps_and_leaves_an_audit_entry(house: House) -> None:
    assert "punctuality" in house.plumbline("--help").stdout
    done = house.plumbline("punctuality", "record", "A-1", "2026-11-20", "2026-11-23", "--json")
    assert json.loads(done.stdout)["verdict"] == "late", done.stderr
    again = house.plumbline("punctuality", "record", "A-1", "2026-11-20", "2026-11-23")
    assert again.returncode == 1
    assert "recorded already" in again.stderr
    listed = json.loads(house.plumbline("punctuality", "list", "--json").stdout)
    assert [item["verdict"] for item in listed["items"] if item["reference"] == "A-1"] == ["late"]
    entries = rows(
        house, "SELECT success FROM audit_log WHERE action = 'punctuality.record' AND actor_type = 'system' ORDER BY id"
    )
    assert entries == [(1,), (0,)]


@pytest.mark.slow
def test_its_route_and_its_page_appear_behind_the_sign_in(house: House) -> None:
    seen = json.loads(house.script(VISIT))
    assert seen["stranger"] == 401
    assert seen["made"][0] == 201
    assert seen["made"][1]["verdict"] == "early"
    assert seen["again"][0] == 409
    assert "B-2" in [item["reference"] for item in seen["listed"]["items"]]
    assert "/api/v1/punctuality/deliveries" in seen["described"]
    status, text = seen["page"]
    assert status == 200
    assert "B-2" in text
    assert re.search(r'href="/punctuality"[^>]*aria-current="page"|aria-current="page"[^>]*href="/punctuality"', text)


@pytest.mark.slow
def test_without_it_the_product_does_not_know_it(house: House, tmp_path: Path) -> None:
    bare = House(house.home, tmp_path)
    assert "punctuality" not in bare.plumbline("--help").stdout
    refused = bare.plumbline("audit", "list")
    assert refused.returncode == 1
    assert "ahead of this Plumbline: it has punctuality_0001" in refused.stderr
