"""The page of one decision."""

from __future__ import annotations

import re
from datetime import timedelta
from uuid import UUID

import pytest

from plumbline.credit import service
from plumbline.credit.service import triage
from tests.credit.pages.desk import Desk, csv
from tests.credit.pages.test_room import moved

HTMX = {"HX-Request": "true"}


def review_of(desk: Desk, key: UUID) -> object:
    review = service.decision_of(desk.lender.installation, desk.lender.analyst, key).review
    assert review is not None
    return review


@pytest.mark.parametrize("role", ["viewer", "analyst", "admin"])
def test_a_decision_shows_its_reasons_and_only_who_may_act_can_act(desk: Desk, role: str) -> None:
    key = desk.score(level="High")
    page = desk.browser(role).get(f"/credit/decisions/{key}")
    assert page.status_code == 200
    told = service.explain(desk.lender.installation, desk.lender.analyst, key)
    for reason in told["reasons"]:
        assert reason["text"] in page.text
    assert "Base score" in page.text
    assert "Decision recorded" in page.text
    acts = [
        act in page.text
        for act in (
            f"/credit/decisions/{key}/take",
            f"/credit/decisions/{key}/resolve",
            f"/credit/decisions/{key}/note",
        )
    ]
    assert acts == [role != "viewer"] * 3


def test_the_waterfall_on_the_page_adds_up(desk: Desk) -> None:
    key = desk.score(level="High")
    page = desk.browser("viewer").get(f"/credit/decisions/{key}").text
    table = page.partition('<table class="reasons">')[2].partition("</table>")[0]
    figures = [
        int(text.replace("\u2212", "-").replace("+", "")) for text in re.findall(r'<td class="num">([^<]+)</td>', table)
    ]
    assert figures[0] + sum(figures[1:-1]) == figures[-1]
    stored = service.decision_of(desk.lender.installation, desk.lender.analyst, key).prediction
    assert figures[-1] == stored.extra["points"]


def test_the_decision_before_is_compared(desk: Desk) -> None:
    first = desk.score(level="Low", SK_ID_CURR=4711)
    moved(desk.lender, days=1)
    same = desk.score(level="Low", SK_ID_CURR=4711)
    moved(desk.lender, days=1)
    other = desk.score(level="High", SK_ID_CURR=4711)
    browser = desk.browser("viewer")
    assert "Against the previous decision" not in browser.get(f"/credit/decisions/{first}").text
    assert "Nothing is otherwise" in browser.get(f"/credit/decisions/{same}").text
    page = browser.get(f"/credit/decisions/{other}").text
    diff = page.partition("Against the previous decision")[2]
    assert f"/credit/decisions/{same}" in diff
    assert ">Low</del>" in diff
    assert ">High</ins>" in diff


def test_replay_says_equal_and_leaves_an_entry(desk: Desk) -> None:
    key = desk.score(level="High")
    browser = desk.browser("viewer")
    part = browser.post(f"/credit/decisions/{key}/replay", headers=HTMX)
    assert part.status_code == 200
    assert "Equal, bit for bit" in part.text
    assert "<html" not in part.text
    plain = browser.post(f"/credit/decisions/{key}/replay")
    assert plain.status_code == 303
    page = browser.get(f"/credit/decisions/{key}").text
    assert "equal, bit for bit" in page
    assert page.count(">Replayed<") == 2


def test_replay_of_a_changed_record_names_what_differs(desk: Desk) -> None:
    key = desk.score(level="High")
    desk.lender.change("UPDATE predictions SET probability = 0.5 WHERE id = :i", i=key.bytes)
    part = desk.browser().post(f"/credit/decisions/{key}/replay", headers=HTMX)
    assert "It came out otherwise" in part.text
    assert "probability: 0.5 stored" in part.text


def test_a_review_is_taken_noted_and_resolved(desk: Desk) -> None:
    key = desk.score(level="High")
    browser = desk.browser("analyst")
    assert browser.post(f"/credit/decisions/{key}/take").status_code == 303
    assert (
        browser.post(f"/credit/decisions/{key}/note", {"note": "Asked the branch for three pay slips."}).status_code
        == 303
    )
    page = browser.get(f"/credit/decisions/{key}").text
    assert f"/credit/decisions/{key}/take" not in page  # it is this person's already
    assert "Analyst of Northwind" in page
    assert "Asked the branch for three pay slips." in page
    answer = browser.post(
        f"/credit/decisions/{key}/resolve", {"final": "approve", "cause": "Salary rose after the bureau's report."}
    )
    assert answer.status_code == 303
    done = browser.get(f"/credit/decisions/{key}").text
    assert "Resolved" in done
    assert "Salary rose" in done
    assert "/resolve" not in done
    assert service.decision_of(desk.lender.installation, desk.lender.analyst, key).review.final_decision == "approve"  # type: ignore[union-attr]


def test_another_person_may_take_a_review_over(desk: Desk) -> None:
    key = desk.score(level="High")
    desk.browser("analyst").post(f"/credit/decisions/{key}/take")
    assert "Take over" in desk.browser("admin").get(f"/credit/decisions/{key}").text


@pytest.mark.parametrize("partial", [False, True])
def test_a_faulty_resolution_keeps_what_was_typed(desk: Desk, partial: bool) -> None:
    key = desk.score(level="High")
    headers = HTMX if partial else {}
    answer = desk.browser().post(
        f"/credit/decisions/{key}/resolve", {"final": "", "cause": "too short"}, headers=headers
    )
    assert answer.status_code == 422
    assert "Choose how the application is decided in the end." in answer.text
    assert "Write at least 10 characters; you wrote 9." in answer.text
    assert "too short</textarea>" in answer.text
    assert ("<html" in answer.text) is not partial
    note = desk.browser().post(f"/credit/decisions/{key}/note", {"note": "no"}, headers=headers)
    assert note.status_code == 422
    assert "Write at least 10 characters; you wrote 2." in note.text
    assert desk.lender.entries("credit.review.resolve") == []


def test_what_a_viewer_sends_is_refused(desk: Desk) -> None:
    key = desk.score(level="High")
    browser = desk.browser("viewer")
    for act, given in (
        ("take", {}),
        ("note", {"note": "Something that is long enough"}),
        ("resolve", {"final": "approve", "cause": "x"}),
    ):
        assert browser.post(f"/credit/decisions/{key}/{act}", given).status_code == 403
    assert review_of(desk, key).state == "open"  # type: ignore[attr-defined]


def test_a_resolved_review_is_not_resolved_again(desk: Desk) -> None:
    key = desk.score(level="High")
    triage.resolve(
        desk.lender.installation,
        desk.lender.analyst,
        review_of(desk, key).id,
        note="It is well founded.",
        decision="decline",
    )  # type: ignore[attr-defined]
    answer = desk.browser().post(
        f"/credit/decisions/{key}/resolve", {"final": "approve", "cause": "On second thoughts."}
    )
    assert answer.status_code == 409
    approved = desk.score(decision="approve")
    assert desk.browser().post(f"/credit/decisions/{approved}/take").status_code == 409


def test_another_tenant_finds_nothing(desk: Desk) -> None:
    key = desk.score(level="High")
    browser = desk.browser("admin", "contoso")
    for path in ("", "/why"):
        assert browser.get(f"/credit/decisions/{key}{path}").status_code == 404
    for act in ("replay", "take", "note", "resolve"):
        assert (
            browser.post(
                f"/credit/decisions/{key}/{act}",
                {"note": "A text that is long enough", "final": "approve", "cause": "Long enough too"},
            ).status_code
            == 404
        )
    assert desk.browser().get("/credit/decisions/00000000-0000-0000-0000-000000000000").status_code == 404


def test_what_is_unusual_about_the_data_is_said_in_words(desk: Desk) -> None:
    key = desk.score(level="Low", AMT_INCOME_TOTAL=9_000_000.0)
    page = desk.browser().get(f"/credit/decisions/{key}").text
    assert "Unusual about the data" in page
    assert "Yearly income lies outside of what the model met in training" in page


def test_a_row_of_a_file_is_explained_from_the_file(desk: Desk) -> None:
    view = desk.scored(csv(30))
    row = service.rows_of(desk.lender.installation, desk.lender.analyst, view.batch.id, _first()).items[0]
    browser = desk.browser("viewer")
    page = browser.get(f"/credit/decisions/{row.id}")
    assert "Base score" in page.text
    assert "branch.csv" in page.text
    assert "File scored" in page.text
    part = browser.get(f"/credit/decisions/{row.id}/why", headers=HTMX)
    assert "Base score" in part.text
    assert "<html" not in part.text


def test_a_decision_stays_readable_when_its_file_is_gone(desk: Desk) -> None:
    view = desk.scored(csv(30))
    row = service.rows_of(desk.lender.installation, desk.lender.analyst, view.batch.id, _first()).items[0]
    for file in desk.lender.folder(view).glob("upload*"):
        file.unlink()
    page = desk.browser().get(f"/credit/decisions/{row.id}")
    assert page.status_code == 200
    assert "The reasons cannot be made again now." in page.text


def test_an_overdue_review_says_so(desk: Desk) -> None:
    key = desk.score(level="High")
    page = desk.browser().get(f"/credit/decisions/{key}").text
    assert "overdue" not in page
    clock = desk.lender.installation.clock
    clock.now += timedelta(days=4)  # type: ignore[attr-defined]
    desk._tokens.clear()
    assert "This review is overdue." in desk.browser().get(f"/credit/decisions/{key}").text


def _first() -> object:
    from plumbline.kernel.paging import PageRequest

    return PageRequest(1)
