"""What would have been, as a program asks."""

from __future__ import annotations

from tests.credit.api.test_endpoints import Ask, ask, problem
from tests.credit.helped import helped
from tests.credit.trained import application_with, payload

__all__ = ["ask"]


def test_a_decision_is_asked_about_and_the_counterfactuals_it_names_hold(ask: Ask) -> None:
    number, _ = helped()[0]
    answer = ask("POST", "/score", json=payload(number)).json()
    told = ask("GET", f"/predictions/{answer['id']}/counterfactual").json()
    assert told["target"] == {"decision": "approve", "level": None}
    assert told["found"]
    for way in told["found"]:
        changes = {c["column"]: c["after"] for c in way["changes"]}
        again = ask("POST", "/what-if", json={"prediction_id": answer["id"], "changes": changes}).json()
        assert again["before"]["probability"] == answer["probability"]
        assert again["after"]["probability"] == way["probability"]
        assert again["after"]["decision"] == "approve"
        assert again["changes"] == [c | {"possible": True} for c in way["changes"]]
    listed = ask("GET", "/predictions").json()["items"]
    assert [p["id"] for p in listed] == [answer["id"]]


def test_none_is_told_with_its_reason(ask: Ask) -> None:
    answer = ask("POST", "/score", json=application_with(decision="decline")).json()
    told = ask("GET", f"/predictions/{answer['id']}/counterfactual", params={"level": "Low", "max_changes": 1}).json()
    assert told["found"] == []
    assert told["reason"] == "Nothing within one change an applicant can make gets there."


def test_faults_are_problems(ask: Ask) -> None:
    answer = ask("POST", "/score", json=payload(3)).json()
    wrong = ask("POST", "/what-if", json={"prediction_id": answer["id"], "changes": {"AMT_CREDITT": 1}}, status=422)
    assert "Did you mean AMT_CREDIT?" in str(problem(wrong))
    ask("POST", "/what-if", json=[1], status=422)
    ask("GET", f"/predictions/{answer['id']}/counterfactual", params={"decision": "decline"}, status=422)
    ask("GET", "/predictions/019a0b1c-2d3e-7f40-8a51-6b7c8d9e0f10/counterfactual", status=404)
    ask("POST", "/what-if", key=None, json={}, status=401)
