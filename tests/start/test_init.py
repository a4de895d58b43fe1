"""The first organization and its administrator, made once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from plumbline.cli import run
from plumbline.kernel.identity import service as identity
from plumbline.kernel.identity.service.access import Client
from plumbline.kernel.installation import Installation
from plumbline.settings import Settings
from tests.conftest import Server


def made(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, str]:
    assert run([*words, "init", "--name", "Northwind", "--slug", "northwind", "--admin", "ada", "--json"]) == 0
    found: dict[str, str] = json.loads(capsys.readouterr().out)
    return found


def test_the_password_is_shown_once_and_a_second_init_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = ["--home", str(tmp_path / "home")]
    first = made(capsys, *home)
    assert (first["organization"], first["user"]) == ("Northwind", "ada")
    installation = Installation.open(Settings(home=tmp_path / "home"))
    try:
        identity.sign_in(installation, "ada", first["password"], Client())
    finally:
        installation.close()
    assert first["password"].encode() not in (tmp_path / "home" / "plumbline.db").read_bytes()

    assert run([*home, "init"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == (
        "plumbline: This installation has the organization 'northwind' already; its database is up to date. "
        "Add another with: plumbline users create-organization\n"
    )


def test_a_person_is_told_what_to_do_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--home", str(tmp_path), "init"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "The password is shown this once. Next: plumbline serve"


@pytest.mark.postgres
def test_an_empty_postgresql_is_made_ready(
    postgres: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = postgres.empty()
    where = ["--home", str(tmp_path), "--database-url", url]
    try:
        assert made(capsys, *where)["user"] == "ada"
        assert run([*where, "users", "list", "--json"]) == 0
        assert [user["name"] for user in json.loads(capsys.readouterr().out)["items"]] == ["ada"]
        assert run([*where, "init"]) == 1
    finally:
        postgres.drop(url)


def test_before_init_a_command_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--home", str(tmp_path), "audit", "list"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("plumbline: ")
    assert "plumbline init" in told
    assert len(told.splitlines()) == 1
