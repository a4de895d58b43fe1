"""The dossier over HTTP and from the command line: its forms, who may have it, and that asking for it is an act."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from plumbline.cli import run
from plumbline.credit import service as credit
from plumbline.kernel.database import new_id
from plumbline.kernel.dossier import service
from plumbline.kernel.errors import Corrupt, Forbidden, NotFound
from plumbline.kernel.models import predictions
from tests.credit import trained
from tests.credit.trained import Lender
from tests.support.http import Program, application

MAKE = "dossier.make"


def path(key: UUID, form: str = "") -> str:
    return f"/api/v1/decisions/{key}/dossier" + (f"?format={form}" if form else "")


# HTTP


def test_each_form_is_a_file_and_one_entry(embedded: Lender, decided: UUID) -> None:
    caller = Program(application(embedded.installation), embedded.keys["analyst"])
    name = f"dossier-{decided.hex[-8:]}"
    for form, media in (
        ("", "application/zip"),
        ("zip", "application/zip"),
        ("html", "text/html; charset=utf-8"),
        ("json", "application/json"),
    ):
        before = len(embedded.entries(MAKE))
        answer = caller("GET", path(decided, form))
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == media
        assert answer.headers["content-disposition"] == f'attachment; filename="{name}.{form or "zip"}"'
        assert answer.headers["cache-control"] == "no-store"
        entries = embedded.entries(MAKE)
        assert len(entries) == before + 1
        assert entries[-1].resource_type == "prediction"
        assert entries[-1].resource_id == decided
        assert entries[-1].details == {
            "model_sha256": embedded.sha256,
            "prediction_type": "credit",
            "replay_equal": True,
        }
    assert not embedded.entries("credit.replay")
    held = zipfile.ZipFile(io.BytesIO(caller("GET", path(decided)).content)).read("dossier.json")
    assert json.loads(held)["history"][-1]["entry_id"] == str(embedded.entries(MAKE)[-1].id)


def test_a_form_that_there_is_not_is_refused(embedded: Lender, decided: UUID) -> None:
    caller = Program(application(embedded.installation), embedded.keys["analyst"])
    assert caller("GET", path(decided, "pdf")).status_code == 422
    assert caller("GET", "/api/v1/decisions/42/dossier").status_code == 422
    assert not embedded.entries(MAKE)


def test_who_only_looks_may_not_have_one(embedded: Lender, decided: UUID) -> None:
    with pytest.raises(Forbidden, match=MAKE):
        service.make(embedded.installation, embedded.as_role("viewer"), decided)
    [refused] = embedded.entries(MAKE, success=False)
    assert refused.resource_id == decided
    told = service.make(embedded.installation, embedded.admin, decided)
    assert [e.what for e in told.events][-2:] == ["Tried and refused: dossier made", "Dossier made"]


def test_a_key_needs_the_right_and_those_to_what_is_shown(embedded: Lender, decided: UUID) -> None:
    from plumbline.kernel.identity.service import create_key

    for scopes in (["credit.read", "audit.read"], [MAKE, "audit.read"], [MAKE, "credit.read"]):
        _, secret = create_key(embedded.installation, embedded.analyst, name="a key", scopes=scopes)
        answer = Program(application(embedded.installation), secret)("GET", path(decided))
        assert answer.status_code == 403, scopes
        assert answer.headers["content-type"] == "application/problem+json"


def test_of_another_organization_there_is_nothing(sqlite_lenders: dict[str, Lender], decided: UUID) -> None:
    other = sqlite_lenders["contoso"]
    answer = Program(application(other.installation), other.keys["admin"])("GET", path(decided))
    nothing = Program(application(other.installation), other.keys["admin"])("GET", path(uuid4()))
    assert answer.status_code == nothing.status_code == 404
    assert answer.json()["detail"].replace(str(decided), "") == nothing.json()["detail"].replace(
        nothing.url.path.split("/")[4], ""
    )


def test_it_is_documented(embedded: Lender) -> None:
    operation = application(embedded.installation).openapi()["paths"]["/api/v1/decisions/{prediction_id}/dossier"][
        "get"
    ]
    assert operation["operationId"] == "get_dossier"
    assert set(operation["responses"]["200"]["content"]) == {"application/zip", "text/html", "application/json"}
    assert {"401", "403", "404", "409"} <= set(operation["responses"])
    assert operation["responses"]["200"]["content"]["application/json"]["example"]["format"] == "plumbline-dossier/1"


# what there is no dossier of


def test_a_kind_that_no_room_tells_is_named(embedded: Lender) -> None:
    key = new_id(embedded.analyst.now)
    with embedded.installation.database.write(embedded.id) as session:
        predictions.insert_one(
            session, id=key, organization_id=embedded.id, prediction_type="weather", subject_id="Oslo", content={}, prediction_result="rain",
            probability=0.9, features=None, explanation=None, ml_model_id=embedded.model_id, extra={}, created_at=embedded.analyst.now,
        )  # fmt: skip
    with pytest.raises(NotFound, match="'weather'") as caught:
        service.make(embedded.installation, embedded.analyst, key)
    assert caught.value.remedy
    assert not embedded.entries(MAKE)
    [failed] = embedded.entries(MAKE, success=False)
    assert "weather" in failed.error_message


def test_a_decision_that_was_changed_has_none(embedded: Lender, decided: UUID) -> None:
    embedded.change("UPDATE predictions SET probability = 0.01 WHERE id = :id", id=embedded.key(decided))
    with pytest.raises(Corrupt, match="not the one"):
        service.make(embedded.installation, embedded.analyst, decided)


# the command line


def cli(lender: Lender, *words: str) -> int:
    settings = lender.installation.settings
    return run(["--home", str(settings.home), "--database-url", settings.url, "--organization", "northwind", *words])


@pytest.fixture
def here(embedded: Lender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PLUMBLINE_ARTIFACTS", embedded.installation.settings.artifacts or "")
    return folder


def test_the_command_writes_a_file_and_says_so(
    embedded: Lender, decided: UUID, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"dossier-{decided.hex[-8:]}"
    assert cli(embedded, "dossier", str(decided)) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert f"wrote {name}.zip" in said.err
    assert "dossier.html" in zipfile.ZipFile(here / f"{name}.zip").namelist()
    assert cli(embedded, "dossier", str(decided), "--html") == 0
    assert (here / f"{name}.html").read_bytes().startswith(b"<!doctype html>")
    for out in ("some.html", "some.json", "some.zip", "some"):
        assert cli(embedded, "dossier", str(decided), "--out", out) == 0
    assert (here / "some.html").read_bytes().startswith(b"<!doctype html>")
    assert json.loads((here / "some.json").read_bytes())["format"] == "plumbline-dossier/1"
    assert zipfile.is_zipfile(here / "some.zip")
    assert zipfile.is_zipfile(here / "some")
    capsys.readouterr()
    assert cli(embedded, "dossier", str(decided), "--json") == 0
    assert json.loads(capsys.readouterr().out)["decision"]["id"] == str(decided)
    assert len(list(here.iterdir())) == 6


def test_a_file_that_is_there_stays(
    embedded: Lender, decided: UUID, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "kept.zip").write_text("mine")
    assert cli(embedded, "dossier", str(decided), "--out", "kept.zip") == 1
    assert "--force" in capsys.readouterr().err
    assert (here / "kept.zip").read_text() == "mine"
    assert not embedded.entries(MAKE)  # refused before anything was read
    assert cli(embedded, "dossier", str(decided), "--out", "kept.zip", "--force") == 0
    assert zipfile.is_zipfile(here / "kept.zip")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("42",), 2), (("{id}", "--html", "--json"), 2), (("{id}", "--html", "--out", "x.zip"), 2), (("{id}", "--json", "--out", "x.html"), 2),
        (("00000000-0000-7000-8000-000000000000",), 1), (("{id}", "--out", "no/such/folder/x.zip"), 1),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said(
    embedded: Lender, decided: UUID, here: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], code: int
) -> None:
    assert cli(embedded, "dossier", *(word.format(id=decided) for word in words)) == code
    said = capsys.readouterr().err
    assert said.strip()
    assert "unexpected" not in said
    assert not list(here.iterdir())


def test_the_command_acts_as_who_is_named(
    embedded: Lender, decided: UUID, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = embedded.installation.settings
    words = [
        "--home",
        str(settings.home),
        "--database-url",
        settings.url,
        "--organization",
        "northwind",
        "--as",
        "northwind-viewer",
    ]
    assert run([*words, "dossier", str(decided)]) == 1
    assert MAKE in capsys.readouterr().err


def test_one_of_a_decision_nobody_looked_at(embedded: Lender) -> None:
    key = credit.score(embedded.installation, embedded.analyst, trained.application_with(level="Low")).id
    told = service.make(embedded.installation, embedded.analyst, key).told
    assert told.summary.endswith("No person had to look at it.")
    assert told.outcome == "Approved"
