"""``credit check``, ``train`` and ``fairness`` as a person or a script calls them."""

from __future__ import annotations

from pathlib import Path

from plumbline.credit import synthetic
from plumbline.credit.service.fairness import fairness_of
from tests.credit.cli.test_commands import Call, call
from tests.credit.trained import Lender

__all__ = ["call"]


def test_groups_are_shown_and_a_failing_one_is_an_exit_code(call: Call, embedded: Lender) -> None:
    key = str(embedded.model_id)
    report = fairness_of(embedded.installation, embedded.analyst, key).report
    assert report is not None
    code = 3 if report["verdict"] == "fails" else 0
    assert call("credit", "fairness", key, code=code)["report"] == report
    text = call("credit", "fairness", key, code=code, text=True)
    for said in ("sex: M", "no score moved", report["statement"]):
        assert said in text


def test_leaks_are_told_by_check_and_stop_the_training(call: Call, tmp_path: Path) -> None:
    synthetic.write_stream(tmp_path / "leaky", 6000, 3, leak="imputed", months=2)
    application = tmp_path / "leaky" / "application.csv"
    found = call("credit", "check", str(application), code=3)
    assert {a["column"].partition(".")[2] for a in found["leaks"]["alarms"]} == set(synthetic.IMPUTED_COLUMNS)
    told = call("credit", "check", str(application), code=3, text=True)
    assert "8 leaks" in told
    said = call("credit", "train", str(application), code=1)
    assert "--accept-leak" in said
    scoring = call("credit", "check", str(application), "--scoring")
    assert scoring["leaks"] is None


def test_the_twin_may_be_trained_to_decide(call: Call, tmp_path: Path) -> None:
    synthetic.write_stream(tmp_path / "clean", 1500, 4, months=2)
    made = call(
        "credit", "train", str(tmp_path / "clean" / "application.csv"), "--name", "scorecard", "--twin-champion"
    )
    assert made["twin"]["decides"] is True
    assert made["twin"]["gaps"] == []
    card = call("credit", "scorecard", made["model"])
    assert card["decides"] is True
    assert "additive itself" in call("credit", "scorecard", made["model"], text=True)
