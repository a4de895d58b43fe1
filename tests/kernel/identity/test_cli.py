"""People and keys on the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from plumbline.cli import run
from plumbline.kernel.identity import service
from plumbline.kernel.identity.service.access import Client
from tests.support.house import House

Said = Any


@pytest.fixture
def said(house: House, capsys: pytest.CaptureFixture[str]) -> Said:
    home = ["--home", str(house.installation.settings.home), "--organization", "northwind"]

    def call(*words: str, code: int = 0, acting: str | None = None) -> Any:
        before = ["--as", acting] if acting else []
        assert run([*home, *before, *words, "--json"]) == code
        told = capsys.readouterr()
        return told.err if code else json.loads(told.out)

    return call


def test_a_person_from_the_first_day_to_the_last(house: House, said: Said) -> None:
    made = said(
        "users", "create", "Mara.Lindt", "--email", "mara@lindt.example", "--name", "Mara Lindt", "--role", "analyst"
    )
    assert house.browser().sign_in("mara.lindt", made["password"]).headers["location"] == "/account/password"
    assert said("users", "show", "mara@lindt.example")["must change password"] is True
    assert "reset-password" in said("users", "link", "mara.lindt", code=1)
    assert said("users", "change", "mara.lindt", "--role", "viewer", "--name", "Mara")["role"] == "viewer"
    assert [s["ip_address"] for s in said("users", "sessions", "mara.lindt")] == []  # the changed role ended them
    again = said("users", "reset-password", "mara.lindt")["password"]
    assert again != made["password"]
    house.browser().sign_in("mara.lindt", again)
    (session,) = said("users", "sessions", "mara.lindt")
    assert said("users", "sign-out", "mara.lindt", "--session", session["id"])["sessions ended"] == 1
    assert said("users", "sign-out", "mara.lindt")["sessions ended"] == 0
    assert said("users", "change", "mara.lindt", "--inactive")["active"] is False
    assert "Nothing would change" in said("users", "change", "mara.lindt", "--inactive", code=1)
    assert [u["name"] for u in said("users", "list", "--limit", "1")["items"]] == ["mara.lindt"]
    assert "no user 'nobody'" in said("users", "show", "nobody", code=1)


def test_a_link_signs_in_once(house: House, said: Said) -> None:
    person = house.person()
    link = said("users", "link", person.username)["link"]
    found = re.fullmatch(r"http://127\.0\.0\.1:8400(/signin/once/\S+)", link)
    assert found
    browser = house.browser()
    assert browser.post(found[1]).status_code == 303
    assert browser.get("/account").status_code == 200


def test_organizations_are_for_superusers(house: House, said: Said) -> None:
    made = said(
        "users",
        "create-organization",
        "fabrikam",
        "--name",
        "Fabrikam",
        "--admin",
        "fabi",
        "--email",
        "fabi@fabrikam.example",
    )
    assert made["administrator"] == "fabi"
    assert "fabrikam" in {o["slug"] for o in said("users", "organizations")}
    assert "organizations.manage" in said("users", "organizations", code=1, acting=house.person("admin").username)


def test_a_key_is_made_for_a_person(house: House, said: Said) -> None:
    person = house.person("analyst")
    assert "--as USER" in said("keys", "create", "nightly", "--scope", "audit.read", code=1)
    made = said(
        "keys",
        "create",
        "nightly",
        "--scope",
        "audit.read",
        "--scope",
        "users.read",
        "--days",
        "30",
        "--limit",
        "60",
        acting=person.username,
    )
    context, owner = service.authenticate_key(house.installation, made["key"], Client())
    assert (context.rights, owner.id) == ({"audit.read", "users.read"}, person.id)
    rows = {k["id"]: k for k in said("keys", "list")["items"]}
    assert (rows[made["id"]]["state"], rows[made["id"]]["owner"]) == ("active", person.full_name)
    assert made["key"] not in json.dumps(rows)
    assert said("keys", "revoke", made["id"])["state"] == "revoked"
    assert {k["id"]: k["state"] for k in said("keys", "list")["items"]}[made["id"]] == "revoked"
    assert "revoked already" in said("keys", "revoke", made["id"], code=1)
    assert "no id" in said("keys", "revoke", "x", code=2)


def test_tables_are_for_people(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    home = ["--home", str(house.installation.settings.home), "--organization", "northwind"]
    assert run([*home, "users", "list"]) == 0
    out = capsys.readouterr().out
    assert "northwind-admin" in out
    assert "last sign-in" in out
    assert run([*home, "users", "sessions", "northwind-viewer"]) == 0
    assert "Signed in nowhere" in capsys.readouterr().out


def test_without_a_database_the_remedy_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--home", str(tmp_path), "users", "list"]) == 1
    assert "plumbline init" in capsys.readouterr().err
