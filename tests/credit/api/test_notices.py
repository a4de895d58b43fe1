"""Notices, reviews and overrides, as a program asks."""

from __future__ import annotations

import hashlib

from plumbline.credit.service import creditors
from tests.credit.api.test_endpoints import Ask, ask, problem
from tests.credit.trained import Lender, application_with

__all__ = ["ask"]


def test_a_notice_is_due_issued_once_and_printed(ask: Ask, embedded: Lender) -> None:
    key = ask("POST", "/score", json=application_with(decision="decline")).json()["id"]
    told = ask("GET", f"/predictions/{key}/notice").json()
    assert (told["state"], told["document"], told["issued_at"]) == ("open", None, None)
    assert told["due_at"]
    ask("GET", f"/predictions/{key}/notice.html", status=409)
    refused = problem(ask("POST", f"/predictions/{key}/notice", json={"channel": "letter"}, status=422))
    assert {e["where"]["field"] for e in refused["errors"]} == {"address", "contact"}
    creditors.change(
        embedded.installation, embedded.admin, address="1 Harbour Road", contact="credit@northwind.example"
    )
    first = ask("POST", f"/predictions/{key}/notice", json={"channel": "letter"}).json()
    again = ask("POST", f"/predictions/{key}/notice", json={"channel": "email"}).json()
    assert (first.pop("repeated"), again.pop("repeated")) == (False, True)
    assert first == again
    assert first["document"]["reasons"] == first["reasons"] != []
    page = ask("GET", f"/predictions/{key}/notice.html")
    assert hashlib.sha256(page.content).hexdigest() == first["document_sha256"]
    assert "style-src 'sha256-" in page.headers["content-security-policy"]
    (listed,) = ask("GET", "/notices", params={"state": "issued"}).json()["items"]
    assert listed["prediction_id"] == key
    assert ask("GET", "/notices", params={"due_within": 40}).json()["items"] == []


def test_faults_of_a_notice_are_problems(ask: Ask) -> None:
    key = ask("POST", "/score", json=application_with(decision="approve")).json()["id"]
    assert ask("GET", f"/predictions/{key}/notice").json()["state"] == "none"
    assert (
        "no notice"
        in problem(ask("POST", f"/predictions/{key}/notice", json={"channel": "letter"}, status=409))["detail"]
    )
    ask("POST", f"/predictions/{key}/notice", json={"channel": "pigeon"}, status=422)
    ask("POST", f"/predictions/{key}/notice", json={"channel": "letter", "colour": "blue"}, status=422)
    ask("POST", f"/predictions/{key}/notice", key="nobody", json={"channel": "letter"}, status=401)
    nowhere = "019a0b1c-2d3e-7f40-8a51-6b7c8d9e0f10"
    ask("GET", f"/predictions/{nowhere}/notice", status=404)
    ask("POST", f"/predictions/{nowhere}/notice", json={"channel": "letter"}, status=404)


def test_a_review_is_asked_for_and_an_override_takes_two(ask: Ask) -> None:
    key = ask("POST", "/score", json=application_with(decision="decline")).json()["id"]
    review = ask(
        "POST", f"/predictions/{key}/review", json={"through": "phone", "words": "I have a second income."}
    ).json()
    assert (review["state"], review["requested_through"]) == ("open", "phone")
    ask("POST", f"/predictions/{key}/review", json={"through": "phone"}, status=409)
    ask("POST", f"/predictions/{key}/override", json={"decision": "approve", "cause": "no"}, status=422)
    ask("POST", f"/predictions/{key}/override", json={"decision": "approve"}, status=422)
    given = {"decision": "approve", "cause": "The payslips show a second income."}
    proposed = ask("POST", f"/predictions/{key}/override", json=given).json()
    assert (proposed["state"], proposed["proposed_decision"], proposed["final_decision"]) == (
        "acknowledged",
        "approve",
        None,
    )
    ask("POST", f"/predictions/{key}/override", json=given, status=409)
    done = ask("POST", f"/predictions/{key}/override", key="admin", json=given).json()
    assert (done["state"], done["final_decision"]) == ("resolved", "approve")
    decision = ask("GET", f"/predictions/{key}").json()
    assert decision["decision"] == "decline"
    assert decision["review"]["final_decision"] == "approve"
    assert ask("GET", f"/predictions/{key}/notice").json()["state"] == "withdrawn"
