"""Notices and reviews at the terminal, from the settings to the printed page."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tests.credit.cli.test_commands import Call, call
from tests.credit.trained import Lender, application_with

__all__ = ["call"]


def scored(call: Call, folder: Path, decision: str) -> str:
    path = folder / "application.json"
    path.write_text(json.dumps(application_with(decision=decision)))
    return str(call("credit", "score", str(path))["id"])


@pytest.fixture
def declined(call: Call, tmp_path: Path) -> str:
    return scored(call, tmp_path, "decline")


def test_from_the_settings_to_the_printed_page(call: Call, declined: str, tmp_path: Path) -> None:
    told = call("credit", "notices", "issue", declined, "--channel", "letter", code=1)
    assert "plumbline credit notices settings --address … --contact …" in told
    assert call("credit", "notices", "settings")["jurisdiction"] == "neutral"
    call("credit", "notices", "settings", "--address", "1 Harbour Road", "--contact", "credit@northwind.example")
    assert {j["code"] for j in call("credit", "notices", "jurisdictions")["items"]} == {
        "neutral",
        "us_reg_b",
        "eu_gdpr22_ccd",
    }
    made = tmp_path / "draft.html"
    assert "reasons" in call("credit", "notices", "draft", declined, "--to", str(made))
    assert "1 Harbour Road" in made.read_text()
    assert [n["state"] for n in call("credit", "notices", "list", "--due-within", "31")["items"]] == ["open"]
    page = tmp_path / "out" / "notice.html"
    issued = call("credit", "notices", "issue", declined, "--channel", "letter", "--to", str(page))
    assert hashlib.sha256(page.read_bytes()).hexdigest() == issued["document_sha256"]
    assert call("credit", "notices", "issue", declined, "--channel", "letter")["repeated"] is True
    shown = call("credit", "notices", "show", declined, "--to", str(tmp_path / "again.html"))
    assert shown["document"] == issued["document"]
    assert (tmp_path / "again.html").read_bytes() == page.read_bytes()
    text = call("credit", "notices", "show", declined, text=True)
    assert "issued" in text
    assert issued["reasons"][0]["text"] in text
    assert "letter" in call("credit", "notices", "list", text=True)


def test_a_review_is_asked_for_and_listed(call: Call, declined: str) -> None:
    made = call("credit", "reviews", "request", declined, "--through", "branch", "--words", "I have a second income.")
    assert made["state"] == "open"
    assert [r["prediction_id"] for r in call("credit", "reviews", "list", "--state", "open")["items"]] == [declined]
    assert "is due on" in call("credit", "reviews", "request", declined, "--through", "branch", code=1)


def test_an_override_needs_a_cause_and_a_person(call: Call, declined: str, embedded: Lender) -> None:
    assert "Missing option" in call("credit", "reviews", "override", declined, "approve", code=2)
    assert "Write at least 10 characters" in call(
        "credit", "reviews", "override", declined, "approve", "--cause", "why not", code=1
    )
    people = [("--as", f"northwind-{role}") for role in ("analyst", "admin")]
    made = [
        call(*person, "credit", "reviews", "override", declined, "approve", "--cause", "The payslips are genuine.")
        for person in people
    ]
    assert [m["state"] for m in made] == ["acknowledged", "resolved"]
    assert call("credit", "notices", "show", declined)["state"] == "withdrawn"
