"""Single applications that cannot be decided, and a model whose file is damaged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from plumbline.app import create_app
from plumbline.credit import service
from plumbline.kernel.errors import Corrupt
from plumbline.kernel.installation import Installation
from plumbline.settings import Settings
from tests.conftest import SteppingClock
from tests.credit.trained import Lender, artifacts, payload, unlabelled
from tests.support.http import Program

SCORE = "/api/v1/credit/score"


def program(lender: Lender) -> Program:
    return Program(create_app(lender.installation), lender.keys["analyst"])


def nothing_decided(lender: Lender) -> bool:
    return all(lender.count(table) == 0 for table in ("predictions", "credit_reviews"))


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
@pytest.mark.parametrize("table", ["application", "bureau"])
def test_a_number_that_is_none_is_422_and_decides_nothing(embedded: Lender, word: str, table: str) -> None:
    application = payload(0)
    column = "AMT_CREDIT" if table == "application" else "AMT_CREDIT_SUM"
    rows = (
        application["application"]
        if table == "application"
        else application.setdefault("bureau", [{"SK_ID_BUREAU": 1}])[0]
    )
    rows[column] = "@"
    body = json.dumps(application).replace('"@"', word)
    answer = program(embedded)("POST", SCORE, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert problem["detail"]
    assert nothing_decided(embedded)


def row_of(application: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = application["application"]
    return row


FAULTS: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("wrong type", {"AMT_CREDIT": "many"}, {"table": "application", "column": "AMT_CREDIT", "field": "application.AMT_CREDIT"}, "a number"),
    ("a truth value", {"AMT_CREDIT": True}, {"table": "application", "column": "AMT_CREDIT", "field": "application.AMT_CREDIT"}, "a number"),
    ("out of range", {"AMT_CREDIT": -1}, {"table": "application", "column": "AMT_CREDIT", "field": "application.AMT_CREDIT"}, "outside 0 to"),
    ("misspelled", {"AMT_CREDT": 1}, {"table": "application", "column": "AMT_CREDT", "field": "application.AMT_CREDT"}, "no column AMT_CREDT"),
    ("the label", {"TARGET": 1}, {"table": "application", "column": "TARGET", "field": "application.TARGET"}, "label"),
    ("no id", {"SK_ID_CURR": None}, {"table": "application", "column": "SK_ID_CURR", "field": "application.SK_ID_CURR"}, "id is missing"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "where", "said"), [case[1:] for case in FAULTS], ids=[case[0] for case in FAULTS])
def test_a_fault_of_an_application_is_422_with_its_field(
    embedded: Lender, change: dict[str, Any], where: dict[str, Any], said: str
) -> None:
    application = payload(0)
    row_of(application).update(change)
    answer = program(embedded)("POST", SCORE, json=application)
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["where"] == where
    assert said in problem["detail"]
    if "AMT_CREDT" in change:
        assert problem["remedy"] == "Did you mean AMT_CREDIT?"
    assert nothing_decided(embedded)
    assert len(embedded.entries("credit.score", success=False)) == 1


def test_every_fault_of_an_application_is_told_at_once(embedded: Lender) -> None:
    application = payload(0)
    row_of(application).update({"AMT_CREDIT": -1, "DAYS_BIRTH": "old"})
    application["bureu"] = []
    answer = program(embedded)("POST", SCORE, json=application)
    assert answer.status_code == 422
    fields = {e["where"]["field"]: e for e in answer.json()["errors"]}
    assert set(fields) == {"application.AMT_CREDIT", "application.DAYS_BIRTH", "bureu"}
    assert fields["bureu"]["remedy"] == "Did you mean bureau?"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[1]", b'"x"', b"\xff\xfe{}", b'{"application": {}, "application": {}}', b"[" * 100_000],
    ids=["nothing", "half", "a list", "a text", "no UTF-8", "a name twice", "very deep"],
)  # fmt: skip
def test_a_body_that_is_no_application_is_422(embedded: Lender, body: bytes) -> None:
    answer = program(embedded)("POST", SCORE, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"]
    assert nothing_decided(embedded)


@pytest.fixture
def own_files(embedded: Lender, tmp_path: Path, clock: SteppingClock) -> Iterator[Lender]:
    """The lender with model files of its own, that a test may damage."""
    shutil.copytree(artifacts(), tmp_path / "artifacts")
    settings = Settings(
        home=tmp_path, database_url=embedded.installation.settings.url, artifacts=str(tmp_path / "artifacts")
    )
    installation = Installation.open(settings, clock=clock)
    yield replace(embedded, installation=installation)
    installation.close()


def model_file(lender: Lender) -> Path:
    return Path(lender.installation.settings.artifact_root) / lender.installation.artifacts.path(lender.sha256)


def flip(path: Path) -> None:
    """One bit in the middle."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(bytes(data))


def test_a_model_file_that_does_not_match_its_hash_decides_nothing_and_raises_one_finding(own_files: Lender) -> None:
    flip(model_file(own_files))
    call = program(own_files)
    for _ in range(2):
        answer = call("POST", SCORE, json=payload(0))
        assert answer.status_code == 500
        assert answer.json()["code"] == "corrupt"
        assert "not what its hash says" in answer.json()["detail"]
        assert answer.json()["remedy"]
    assert nothing_decided(own_files)
    failed = own_files.entries("credit.score", success=False)
    assert len(failed) == 2
    assert all("not what its hash says" in e.error_message for e in failed)
    ((room, severity, state, title),) = own_files.rows("SELECT room, severity, state, title FROM findings")
    assert (room, severity, state) == ("models", "critical", "open")
    assert "is damaged" in title


def test_a_batch_does_not_begin_with_a_damaged_model_and_is_not_taken_in(own_files: Lender, tmp_path: Path) -> None:
    path = tmp_path / "loans.csv"
    unlabelled()["application"].head(5).write_csv(path)
    waiting = own_files.submit(path)
    flip(model_file(own_files))
    # another process than the one that took it in: nothing of the model is at hand there
    again = Installation.open(
        own_files.installation.settings.model_copy(
            update={"artifacts": f"{own_files.installation.settings.artifact_root}/."}
        ),
        clock=own_files.installation.clock,
    )
    fresh = replace(own_files, installation=again)
    try:
        with pytest.raises(Corrupt):
            fresh.perform(waiting)
        view = service.batch_of(again, fresh.analyst, waiting.batch.id)
        assert view.status == "failed"
        assert "not what its hash says" in str(view.error)
        answer = program(fresh)("POST", "/api/v1/credit/batches", files={"file": ("more.csv", path.read_bytes())})
        assert answer.status_code == 500
        assert answer.json()["code"] == "corrupt"
        assert fresh.count("batch_uploads") == 1
        assert nothing_decided(fresh)
        assert [r[0] for r in fresh.rows("SELECT severity FROM findings")] == ["critical"]
    finally:
        again.close()
