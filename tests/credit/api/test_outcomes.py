"""What became of decisions, as a program says it."""

from __future__ import annotations

import io

import polars as pl

from plumbline.credit.service import outcomes
from tests.conftest import SteppingClock
from tests.credit.api.test_endpoints import Ask, ask, problem
from tests.credit.service.test_cohorts import labels, october
from tests.credit.service.test_outcomes import LATER
from tests.credit.trained import Lender, payload

__all__ = ["ask"]
TODAY = "2026-11-24"


def test_one_outcome_is_said_corrected_and_refused(ask: Ask) -> None:
    decided = ask("POST", "/score", json=payload(0)).json()
    row = {"prediction_id": decided["id"], "outcome": "repaid", "outcome_at": TODAY}
    told = ask("POST", "/outcomes", json=row).json()
    assert {k: told[k] for k in ("rows", "accepted", "corrected", "unchanged", "rejected")} == {
        "rows": 1, "accepted": 1, "corrected": 0, "unchanged": 0, "rejected": 0,
    }  # fmt: skip
    assert ask("POST", "/outcomes", json=row).json()["unchanged"] == 1
    changed = {"sk_id_curr": decided["sk_id_curr"], "outcome": "default", "outcome_at": TODAY}
    assert "give a reason" in problem(ask("POST", "/outcomes", json=changed, status=422))["detail"]
    told = ask("POST", "/outcomes", json=changed | {"reason": "Two loans were mixed up."}).json()
    assert [(c["prediction_id"], c["old"], c["new"]) for c in told["corrections"]] == [
        (decided["id"], "repaid", "default")
    ]
    one = ask("GET", f"/predictions/{decided['id']}").json()
    assert one["metadata"]["outcome"]["earlier"][0]["outcome"] == "repaid"
    assert ask("POST", f"/predictions/{decided['id']}/replay").json()["equal"] is True


def test_a_list_tells_of_each_row(ask: Ask) -> None:
    decided = ask("POST", "/score", json=payload(1)).json()
    row = {"prediction_id": decided["id"], "outcome": "repaid", "outcome_at": TODAY}
    rows = [row, row, row | {"outcome": "gone"}, 7]
    told = ask("POST", "/outcomes", json={"outcomes": rows, "source": "feed"}).json()
    assert (told["accepted"], told["unchanged"], told["rejected"]) == (1, 1, 2)
    assert [(r["row"], r["field"], r["rule"]) for r in told["rejects"]] == [(3, "outcome", "outcome"), (4, "", "row")]
    assert ask("POST", "/outcomes", json=rows).json()["unchanged"] == 2
    for wrong in (
        None,
        [],
        {"outcomes": 1},
        {"outcomes": [], "sauce": "feed"},
        {"outcomes": [row], "reason": 7},
        {**row, "reason": "short"},
    ):
        ask("POST", "/outcomes", json=wrong, status=422)
    ask("POST", "/outcomes", key="viewer", json=row, status=401)  # a viewer has no key
    ask("POST", "/outcomes", key=None, json=row, status=401)


def test_a_file_comes_in_and_the_cohort_is_told(ask: Ask, embedded: Lender, clock: SteppingClock) -> None:
    given = labels(october(embedded))
    buffer = io.BytesIO()
    pl.DataFrame(given).write_parquet(buffer)
    told = ask(
        "POST", "/outcomes/file", files={"file": ("feed.parquet", buffer.getvalue())}, data={"source": "rule"}
    ).json()
    assert (told["rows"], told["accepted"], len(told["file_sha256"])) == (400, 400, 64)
    text = pl.DataFrame(given).write_csv()
    assert ask("POST", "/outcomes/file", files={"file": ("feed.csv", text)}).json()["unchanged"] == 400
    (cohort,) = ask("GET", "/performance").json()["items"]
    assert (cohort["cohort"], cohort["state"], cohort["verdict"], cohort["metrics"]) == (
        "2026-10",
        "immature",
        "unknown",
        {},
    )
    assert cohort["sources"] == {"rule": 400}
    assert cohort["estimate"] is None
    clock.now += LATER
    outcomes.evaluate(embedded.installation, embedded.analyst)
    (cohort,) = ask("GET", "/performance", params={"model": "credit-risk@1"}, key="admin").json()["items"]
    assert (cohort["state"], cohort["verdict"]) == ("mature", "measured")
    low, high = cohort["intervals"]["roc_auc_accepted"]
    assert low < cohort["metrics"]["roc_auc_accepted"] < high
    assert cohort["undefined"]["recall"] == "labels only for accepted"
    ask("GET", "/performance", params={"model": "nothing"}, status=404)
    assert (
        "no field 'a'"
        in problem(ask("POST", "/outcomes/file", files={"file": ("x.csv", b"a,b\n1,2\n")}, status=422))["detail"]
    )
    ask("POST", "/outcomes/file", status=422)
