"""What became of decisions, at the terminal."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl

from plumbline.kernel.clock import system_clock
from tests.credit.cli.test_commands import Call, call
from tests.credit.trained import Lender, payload

__all__ = ["call"]


def test_outcomes_are_imported_recorded_and_shown_by_cohort(call: Call, embedded: Lender, tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    keys = []
    for number in range(3):
        path.write_text(json.dumps(payload(number)))
        keys.append(call("credit", "score", str(path)))
    today = f"{system_clock():%Y-%m-%d}"
    feed = tmp_path / "feed.csv"
    feed.write_text(
        f"sk_id_curr,outcome,outcome_at\n{keys[0]['sk_id_curr']},repaid,{today}\n=1+1,repaid,{today}\n{keys[1]['sk_id_curr']},lost,{today}\n"
    )
    rejects = tmp_path / "made" / "rejects.csv"
    told = call("credit", "outcomes", "import", str(feed), "--rejects", str(rejects), code=3)
    assert (told["rows"], told["accepted"], told["rejected"]) == (3, 1, 2)
    assert pl.read_csv(rejects)["value"].to_list() == ["'=1+1", "lost"]
    text = call("credit", "outcomes", "import", str(feed), text=True, code=3)
    assert "3 rows: 0 accepted, 1 unchanged, 2 rejected" in text
    assert "unknown_decision" in text
    assert (
        call("credit", "outcomes", "record", "--decision", keys[1]["id"], "--outcome", "default", "--at", today)[
            "accepted"
        ]
        == 1
    )
    wrong = ("credit", "outcomes", "record", "--subject", keys[1]["sk_id_curr"], "--outcome", "repaid", "--at", today)
    assert "give a reason" in call(*wrong, code=1)
    assert call(*wrong, "--reason", "Two loans were mixed up.")["corrected"] == 1
    assert "name one of them" in call("credit", "outcomes", "record", "--outcome", "repaid", "--at", today, code=2)
    (cohort,) = call("credit", "outcomes", "cohorts")["items"]
    assert (cohort["state"], cohort["decisions"], cohort["cohort"]) == ("immature", 3, today[:7])
    text = call("credit", "outcomes", "cohorts", "--evaluate", text=True)
    assert "immature" in text
    assert "No estimate is made while outcomes are missing" in text
