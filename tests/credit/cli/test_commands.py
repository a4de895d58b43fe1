"""The room's commands from a portfolio to a replayed decision, as a person or a script calls them."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from plumbline.cli import run
from plumbline.credit import synthetic
from tests.credit.trained import Lender, payload, unlabelled, write_zip

Call = Callable[..., Any]


def before(lender: Lender) -> list[str]:
    settings = lender.installation.settings
    return ["--home", str(settings.home), "--database-url", settings.url, "--organization", "northwind"]


@pytest.fixture
def call(embedded: Lender, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Run a command: the parsed JSON where it prints any, its text with ``text=True``, else what it says of its failure."""
    monkeypatch.setenv("PLUMBLINE_ARTIFACTS", embedded.installation.settings.artifacts or "")
    capsys.readouterr()

    def said(*words: str, code: int = 0, text: bool = False) -> Any:
        found = run([*before(embedded), *words, *(() if text else ("--json",))])
        told = capsys.readouterr()
        assert found == code, told.err
        assert "Traceback" not in told.err
        if code in (1, 2):
            return told.err
        return told.out if text else json.loads(told.out)

    return said


@pytest.fixture
def application(tmp_path: Path) -> Path:
    path = tmp_path / "application.json"
    path.write_text(json.dumps(payload(0)))
    return path


def test_one_application_is_decided_listed_explained_and_replayed(call: Call, application: Path) -> None:
    answer = call("credit", "score", str(application))
    assert answer["decision"] in ("approve", "review", "decline")
    (listed,) = call("credit", "decisions", "--subject", answer["subject_id"])["items"]
    assert (listed["id"], listed["decision"]) == (answer["id"], answer["decision"])
    assert call("credit", "decisions", "--level", answer["risk_level"])["items"] == [listed]
    others = {"Low", "Medium", "High"} - {answer["risk_level"]}
    assert not any(call("credit", "decisions", "--level", level)["items"] for level in others)
    why = call("credit", "explain", answer["id"])
    biggest = answer["reasons"][0]
    assert why["groups"][biggest["code"]] == pytest.approx(biggest["contribution"])
    again = call("credit", "replay", answer["id"])
    assert again["equal"] is True
    assert again["probability"] == repr(answer["probability"])


def test_standard_input_gives_the_same_answer(call: Call, application: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stdin:
        buffer = io.BytesIO(application.read_bytes())

    monkeypatch.setattr(sys, "stdin", Stdin())
    piped, read = call("credit", "score", "-"), call("credit", "score", str(application))
    assert {k: piped[k] for k in ("probability", "decision", "reasons")} == {
        k: read[k] for k in ("probability", "decision", "reasons")
    }


def test_a_list_goes_on_at_its_cursor(call: Call, tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / "one.json").write_text(json.dumps(payload(number)))
        call("credit", "score", str(tmp_path / "one.json"))
    first = call("credit", "decisions", "--limit", "2")
    rest = call("credit", "decisions", "--limit", "2", "--cursor", first["next"])
    assert rest["next"] is None
    assert len({one["id"] for one in first["items"] + rest["items"]}) == 3


def test_a_replay_that_differs_is_a_no(call: Call, embedded: Lender, application: Path) -> None:
    answer = call("credit", "score", str(application))
    for (name,) in embedded.rows(
        "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name LIKE '%predictions'"
    ):
        embedded.change(f'DROP TRIGGER "{name}"')
    (table,) = embedded.rows("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE '%predictions'")
    embedded.change(f"UPDATE {table[0]} SET probability = 0.5")
    again = call("credit", "replay", answer["id"], code=3)
    assert again["equal"] is False
    assert any("probability" in one for one in again["differences"].split("; "))


@pytest.mark.parametrize("kind", ["zip", "folder", "parquet"])
def test_files_are_scored_and_their_results_copied(call: Call, tmp_path: Path, kind: str) -> None:
    tables = unlabelled()
    source = tmp_path / "in"
    source.mkdir()
    if kind == "zip":
        sent = write_zip(source / "in.zip")
    elif kind == "folder":
        sent = source
        for name, frame in tables.items():
            frame.write_csv(source / f"{name}.csv")
    else:
        sent = source / "application.parquet"
        tables["application"].write_parquet(sent)
    out, rejects = tmp_path / "new" / "results.csv", tmp_path / "rejects.csv"
    batch = call("credit", "batch", "run", str(sent), "--out", str(out), "--rejects", str(rejects))
    assert (batch["status"], batch["rows"], batch["rejected"]) == ("completed", 120, 0)
    results = pl.read_csv(out)
    assert results["sk_id_curr"].to_list() == tables["application"]["SK_ID_CURR"].to_list()
    assert sum(batch["summary"]["levels"].values()) == 120
    assert rejects.read_text().splitlines()[1:] == []
    assert call("credit", "batch", "status", batch["id"])["summary"] == batch["summary"]
    assert [one["id"] for one in call("credit", "batch", "list")["items"]] == [batch["id"]]
    assert len(call("credit", "decisions", "--batch", batch["id"], "--limit", "200")["items"]) == 120


def test_a_queued_batch_is_cancelled_and_resumed(call: Call, tmp_path: Path) -> None:
    key = call("credit", "batch", "run", str(write_zip(tmp_path / "in.zip")), "--queue")["id"]
    assert call("credit", "batch", "status", key)["status"] == "pending"
    cancelled = call("credit", "batch", "cancel", key)
    assert (cancelled["status"], cancelled["error"]) == ("failed", "the job was cancelled")
    assert "nothing to cancel" in call("credit", "batch", "cancel", key, code=1)
    assert call("credit", "batch", "resume", key, "--queue")["status"] == "pending"
    assert call("credit", "batch", "resume", key)["status"] == "completed"
    assert "Only a failed or cancelled batch" in call("credit", "batch", "resume", key, code=1)


def test_a_file_without_one_good_row_fails_and_leaves_its_rejects(call: Call, tmp_path: Path) -> None:
    frame = unlabelled()["application"].with_columns(pl.lit(9000).alias("DAYS_BIRTH"))
    frame.write_csv(tmp_path / "bad.csv")
    rejects = tmp_path / "rejects.csv"
    call("credit", "batch", "run", str(tmp_path / "bad.csv"), "--rejects", str(rejects), code=1)
    assert (pl.read_csv(rejects)["column"] == "DAYS_BIRTH").all()


def test_rejected_rows_are_told_by_check(call: Call, tmp_path: Path) -> None:
    call("credit", "generate", str(tmp_path / "p"), "-n", "80", "--faults", "--unlabelled", "--seed", "3")
    rejects = tmp_path / "rejects.csv"
    told = call("credit", "check", str(tmp_path / "p"), "--scoring", "--rejects", str(rejects), code=3)
    assert told["rows"] == told["accepted"] + told["rejected"]
    assert told["rejected"] > 0
    assert pl.read_csv(rejects).height == len(told["rejects"])
    call("credit", "generate", str(tmp_path / "good"), "-n", "80")
    assert call("credit", "check", str(tmp_path / "good"))["rejected"] == 0


def test_the_same_seed_generates_the_same_files(call: Call, tmp_path: Path) -> None:
    for name in ("a", "b"):
        call("credit", "generate", str(tmp_path / name), "-n", "30", "--format", "parquet")
    for path in (tmp_path / "a").glob("*.parquet"):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "csv.zst", "parquet"])
def test_a_schema_is_proposed_for_each_kind_of_file(call: Call, tmp_path: Path, suffix: str) -> None:
    import gzip

    import pyarrow as pa

    frame, path = synthetic.generate(60, 3).tables["application"], tmp_path / f"people.{suffix}"
    text = frame.write_csv().encode()
    if suffix == "parquet":
        frame.write_parquet(path)
    elif suffix == "csv.gz":
        path.write_bytes(gzip.compress(text))
    elif suffix == "csv.zst":
        with pa.CompressedOutputStream(str(path), "zstd") as packed:
            packed.write(text)
    else:
        path.write_bytes(text)
    proposed = call("credit", "schema", "infer", str(path))["schema"]
    assert 'name = "people", id = "SK_ID_CURR"' in proposed
    assert 'column = "TARGET", bad = 1' in proposed
    out = tmp_path / "deep" / "people.toml"
    assert call("credit", "schema", "infer", str(path), "--out", str(out))["written"] == str(out)
    assert out.read_text() == proposed


def test_versions_are_shown_activated_and_rolled_back(call: Call, tmp_path: Path) -> None:
    call("credit", "generate", str(tmp_path / "p"), "-n", "700", "--seed", "5")
    trained = call("credit", "train", str(tmp_path / "p"), "--purpose", "Consumer loans", "--not-for", " ")
    assert trained["model"] == "credit-risk@2"
    assert call("models", "card", "credit-risk@2")["stated"] == {
        "purpose": "Consumer loans", "owner": "not stated", "not_for": "not stated",
    }  # fmt: skip
    assert [(m["version"], m["live"]) for m in call("models", "list")["items"]] == [("2", False), ("1", True)]
    assert "A reason is needed" in call("models", "activate", "credit-risk@2", code=1)
    assert call("models", "activate", "credit-risk@2", "--reason", "newer data")["live"] is True
    assert call("models", "show", "credit-risk")["version"] == "2"
    assert call("models", "rollback", "credit-risk", "--reason", "worse than it looked")["version"] == "1"
    assert [(m["version"], m["live"]) for m in call("models", "list")["items"]] == [("2", False), ("1", True)]


def test_an_inactive_version_decides_when_it_is_named(call: Call, application: Path) -> None:
    assert call("credit", "score", str(application), "--model", "credit-risk@1")["model"]["version"] == "1"


WRONG: list[tuple[int, tuple[str, ...], str]] = [
    (1, ("credit", "score", "gone.json"), "There is no file 'gone.json'. Give the path of a JSON file"),
    (1, ("credit", "score", "{broken}"), "broken.json, line 2: This is not JSON"),
    (1, ("credit", "score", "{list}"), "An application is a JSON object."),
    (1, ("credit", "score", "{application}", "--model", "nobody"), "There is no model 'nobody'"),
    (1, ("credit", "explain", "01a20e18-4ef0-7a9f-a1d9-e1936294e928"), "There is no decision"),
    (1, ("credit", "replay", "01a20e18-4ef0-7a9f-a1d9-e1936294e928"), "There is no decision"),
    (1, ("credit", "batch", "status", "01a20e18-4ef0-7a9f-a1d9-e1936294e928"), "batch"),
    (1, ("credit", "check", "{broken}", "--schema", "unheard_of"), "Name a .toml file, or one of: home_credit."),
    (1, ("credit", "batch", "run", "{broken}"), "is no file of a kind that can be read. Send CSV"),
    (1, ("credit", "generate", "{broken}", "-n", "10"), "broken.json"),
    (1, ("credit", "schema", "infer", "{application}"), "There are no rows"),
    (
        1,
        ("credit", "schema", "infer", "{table}", "--out", "{broken}/x.toml"),
        "broken.json: File exists. Check the path",
    ),
    (1, ("credit", "decisions", "--cursor", "mine"), "The cursor is not one of ours."),
    (1, ("models", "rollback", "credit-risk", "--reason", "x"), "Nothing was live before credit-risk@1."),
    (2, ("credit", "decisions", "--level", "huge"), "'huge' is not one of"),
    (2, ("credit", "explain", "17"), "'17' is no id"),
    (2, ("credit", "check", "gone"), "does not exist"),
    (2, ("credit", "score"), "Missing argument"),
    (2, ("credit", "generate", "{broken}", "-n", "0"), "greater than or equal to 1"),
    (2, ("credit", "guess"), "No such command 'guess'"),
]


@pytest.mark.parametrize(("code", "words", "told"), WRONG, ids=[" ".join(words[:3]) for _, words, _ in WRONG])
def test_an_error_says_what_and_what_to_do(
    call: Call, application: Path, code: int, words: tuple[str, ...], told: str
) -> None:
    folder = application.parent
    (folder / "broken.json").write_text('{"application": 1\n')
    (folder / "list.json").write_text("[1]")
    (folder / "table.csv").write_text("id,amount\n1,10\n2,20\n")
    places = {
        "table": folder / "table.csv",
        "broken": folder / "broken.json",
        "list": folder / "list.json",
        "application": application,
    }
    said = call(*(word.format(**places) if "{" in word else word for word in words), code=code, text=True)
    assert told in said
    assert "unexpected error" not in said
    if code == 1:
        assert said.startswith("plumbline: ")
        assert len(said.splitlines()) == 1


def test_faults_of_an_application_are_told_one_by_one(call: Call, tmp_path: Path) -> None:
    wrong = payload(0)
    wrong["application"] |= {"AMT_CREDIT": "much", "DAYS_BIRTH": 9000}
    (tmp_path / "wrong.json").write_text(json.dumps(wrong))
    first, *rest = call("credit", "score", str(tmp_path / "wrong.json"), code=1).splitlines()
    assert "2 faults" in first
    assert {column for column in ("AMT_CREDIT", "DAYS_BIRTH") if any(column in line for line in rest)} == {
        "AMT_CREDIT",
        "DAYS_BIRTH",
    }
    (tmp_path / "wrong.json").write_text("{}")
    assert len(call("credit", "score", str(tmp_path / "wrong.json"), code=1).splitlines()) == 1


def test_a_pipe_gets_whole_ids_and_no_padding(call: Call, application: Path) -> None:
    key = call("credit", "score", str(application))["id"]
    for words in (
        ("credit", "decisions"),
        ("credit", "explain", key),
        ("credit", "score", str(application)),
        ("models", "list"),
    ):
        told = call(*words, text=True)
        assert [line for line in told.splitlines() if line != line.rstrip()] == []
    assert key in call("credit", "decisions", text=True)


def test_a_person_may_only_do_what_the_role_allows(call: Call, application: Path, tmp_path: Path) -> None:
    sent = str(write_zip(tmp_path / "in.zip"))
    for words in (("score", str(application)), ("batch", "run", sent)):
        said = call("--as", "northwind-viewer", "credit", *words, code=1)
        assert said.startswith("plumbline: ")
    assert call("--as", "northwind-analyst", "credit", "score", str(application))["decision"]
    assert len(call("--as", "northwind-viewer", "credit", "decisions")["items"]) == 1


class TestProcess:
    """The command in a process of its own, as a shell runs it."""

    @staticmethod
    def plumbline(lender: Lender, *words: str, stdin: bytes = b"", **more: str) -> subprocess.CompletedProcess[bytes]:
        env = {k: v for k, v in os.environ.items() if not k.startswith("PLUMBLINE_")}
        env |= {"PLUMBLINE_ARTIFACTS": lender.installation.settings.artifacts or "", "POLARS_MAX_THREADS": "1"} | more
        return subprocess.run(
            [sys.executable, "-m", "plumbline", *before(lender), *words], input=stdin, env=env, capture_output=True, check=False,
            timeout=60,
        )  # fmt: skip

    def test_an_application_is_piped_through(self, embedded: Lender) -> None:
        done = self.plumbline(embedded, "credit", "score", "-", "--json", stdin=json.dumps(payload(0)).encode())
        assert (done.returncode, done.stderr) == (0, b"")
        assert json.loads(done.stdout)["model"]["name"] == "credit-risk"

    def test_a_failure_is_one_line_on_stderr(self, embedded: Lender) -> None:
        done = self.plumbline(embedded, "credit", "score", "gone.json")
        assert (done.returncode, done.stdout) == (1, b"")
        assert len(done.stderr.splitlines()) == 1

    def test_rejects_are_exit_code_three(self, embedded: Lender, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
            frame = unlabelled()["application"]
            late = frame.with_columns(pl.lit(9000).alias("DAYS_BIRTH")).head(1)
            archive.writestr(
                "application.csv",
                pl.concat([frame.slice(1, 20), late.select(frame.columns)], how="vertical_relaxed").write_csv(),
            )
        done = self.plumbline(embedded, "credit", "check", str(tmp_path / "in.zip"), "--scoring")
        assert done.returncode == 3, done.stderr
        assert b"21 rows: 20 accepted, 1 rejected" in done.stdout
