"""The demonstration: built once, opened after that, never where somebody else's data are."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from plumbline.cli import run
from tests.conftest import Firm, Server
from tests.start.process import Running, environment

DAYS = "3"


@dataclass
class Demonstration:
    """Where it is kept, and what its first run said."""

    where: list[str]
    folder: Path
    summary: dict[str, Any]
    told: str

    def demo(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "plumbline", *self.where, "demo", "--days", DAYS, *words], cwd=self.folder, env=environment(),
            capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def demonstration(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demonstration]:
    folder = tmp_path_factory.mktemp("demonstration")
    where = ["--home", str(folder / "home")]
    server: Server | None = None
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres")
        assert server is not None
        url = server.empty()
        where += ["--database-url", url]
    found = Demonstration(where, folder, {}, "")
    done = found.demo("--no-serve", "--json")
    found.summary, found.told = json.loads(done.stdout), done.stderr
    yield found
    if server is not None:
        server.drop(url)


@pytest.mark.slow
def test_the_first_run_builds_and_the_second_only_opens(demonstration: Demonstration) -> None:
    credit = demonstration.summary["credit"]
    assert "everything in it is synthetic" in demonstration.told
    assert credit["model"]["name"] == "credit-risk"
    assert 0.6 < credit["model"]["metrics"]["roc_auc"] < 0.95
    assert credit["decision"]["texts"]
    assert credit["batch"]["rows"] == 400
    assert len(credit["rows"]) == 8
    judged = credit["performance"]
    assert judged["outcomes"] > 200
    assert judged["defaults"] > 0
    assert judged["interval"][0] < judged["auc"] < judged["interval"][1]
    again = demonstration.demo("--no-serve", "--json")
    assert again.stderr == ""
    assert json.loads(again.stdout) == demonstration.summary
    shown = demonstration.demo("--no-serve").stdout
    assert "Model credit-risk@1" in shown
    assert f"{judged['outcomes']} outcomes are known" in shown
    assert "One file: branch-north.zip, 400 applications" in shown


@pytest.mark.slow
def test_the_link_signs_in_once(demonstration: Demonstration) -> None:
    with Running(*demonstration.where, "demo", folder=demonstration.folder) as running:
        address = running.until(r"^Console:\s+(\S+)$")[1]
        link = running.until(r"^Sign in:\s+(\S+)\s")[1]
        assert link.startswith(f"{address}/signin/once/")
        with httpx.Client(trust_env=False, base_url=address, headers={"Origin": address}) as person:
            page = person.get(link)
            assert '<form method="post"' in page.text
            for _ in range(2):  # opening the page does not use the link up
                assert person.get(link).status_code == 200
            entered = person.post(link)
            assert entered.status_code == 303
            assert "Ada Lind" in person.get("/").text
        with httpx.Client(trust_env=False, base_url=address, headers={"Origin": address}) as other:
            refused = other.post(link)
            assert refused.status_code != 303
            assert "This link does not work" in refused.text
            assert other.get("/").headers["location"].startswith("/signin")
        code, _ = running.end(signal.SIGTERM)
        assert code == 0


@pytest.mark.slow
def test_fresh_builds_the_same_firm_anew(demonstration: Demonstration) -> None:
    anew = json.loads(demonstration.demo("--no-serve", "--json", "--fresh").stdout)["credit"]
    before = demonstration.summary["credit"]
    assert anew["model"] == before["model"]
    assert anew["decision"]["id"] != before["decision"]["id"]
    kept = ("application", "probability", "decision", "reasons")
    assert [{k: r[k] for k in kept} for r in anew["rows"]] == [{k: r[k] for k in kept} for r in before["rows"]]
    demonstration.summary["credit"] = anew


@pytest.mark.slow
def test_a_build_that_was_interrupted_is_told_and_built_anew(tmp_path: Path) -> None:
    where = ["--home", str(tmp_path / "home")]
    with Running(*where, "demo", "--no-serve", "--days", "1", folder=tmp_path) as running:
        running.until("training a model")
        assert running.end(signal.SIGKILL)[0] == -signal.SIGKILL
    found = Demonstration(where, tmp_path, {}, "")
    told = found.demo("--no-serve", code=1)
    assert told.stdout == ""
    assert told.stderr == (
        "plumbline: The demonstration was interrupted while it was built. Build it anew: plumbline demo --fresh\n"
    )
    assert found.demo("--no-serve", "--json", "--fresh").stdout.startswith("{")


@pytest.mark.parametrize("words", [[], ["--fresh"]])
def test_another_organizations_database_is_refused(
    firm: Firm, database_url: str, tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "home" / "artifacts" / "kept"
    kept.parent.mkdir(parents=True)
    kept.write_text("a model")
    assert run(["--home", str(tmp_path / "home"), "--database-url", database_url, "demo", "--no-serve", *words]) == 1
    told = capsys.readouterr().err
    assert len(told.splitlines()) == 1
    assert "Give the demonstration a" in told
    assert kept.read_text() == "a model"
    from plumbline.kernel.identity import service as identity

    assert identity.organization_of(firm.installation, "northwind").id == firm.id
