"""A challenger against the champion at the terminal: the same rows, what was wrong with the file, and the answer's exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from plumbline.cli import run
from tests.credit.cli.test_commands import Call, before, call
from tests.credit.trained import Lender

__all__ = ["call"]


@pytest.fixture
def taught(call: Call, tmp_path: Path) -> Path:
    """Where a challenger ``credit-risk@2`` was taught."""
    call("credit", "generate", str(tmp_path / "taught"), "-n", "700", "--seed", "5")
    assert call("credit", "train", str(tmp_path / "taught"))["model"] == "credit-risk@2"
    return tmp_path / "taught"


def test_a_partly_bad_file_is_compared_on_its_good_rows_and_says_what_was_rejected(
    call: Call, taught: Path, embedded: Lender, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    call("credit", "generate", str(tmp_path / "later"), "-n", "600", "--seed", "8", "--faults")
    checked = call("credit", "check", str(tmp_path / "later"), code=3)
    assert checked["rejected"] > 0
    assert checked["warnings"]
    words = ("credit", "compare", "credit-risk@2", str(tmp_path / "later"), "--new-rows")
    code = run([*before(embedded), *words, "--json"])
    told = capsys.readouterr()
    body = json.loads(told.out)
    assert (body["champion"], body["challenger"]) == ("credit-risk@1", "credit-risk@2")
    assert body["rows"] == body["rows_given"] == checked["accepted"]
    assert [line.strip() for line in told.err.splitlines()] == [
        *checked["warnings"],
        f"{checked['rejected']} of {checked['rows']} rows were rejected: see plumbline credit check",
    ]
    worse = any(
        d["verdict"] == "worse" and d["metric"] in ("roc_auc", "cost_per_application") for d in body["differences"]
    )
    assert code == (3 if worse else 0)
    text = call(*words, text=True, code=code)
    assert f"credit-risk@2 against credit-risk@1 on {checked['accepted']:,} of {checked['accepted']:,} rows" in text
    assert all(d["metric"] in text for d in body["differences"])
    assert sum(body["declined"].values()) == checked["accepted"]


def test_training_on_a_partly_bad_file_says_the_same(
    call: Call, embedded: Lender, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    call("credit", "generate", str(tmp_path / "p"), "-n", "700", "--seed", "8", "--faults")
    checked = call("credit", "check", str(tmp_path / "p"), code=3)
    assert run([*before(embedded), "credit", "train", str(tmp_path / "p"), "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["model"] == "credit-risk@2"
    assert f"{checked['rejected']} of {checked['rows']} rows were rejected" in told.err
    assert all(warning in told.err for warning in checked["warnings"])


def test_mistakes_are_told(call: Call, taught: Path) -> None:
    said = call("credit", "compare", "credit-risk@1", str(taught), code=1)
    assert "A model is compared with another one" in said
    assert "There is no model 'nobody'" in call("credit", "compare", "nobody", str(taught), code=1)
    assert "does not exist" in call("credit", "compare", "credit-risk@2", str(taught / "gone"), code=2)
