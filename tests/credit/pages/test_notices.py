"""Notice, review and override on the decision's page."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from plumbline.credit import service
from plumbline.credit.pages import reading
from plumbline.credit.service import creditors, notices
from plumbline.kernel.paging import PageRequest
from tests.credit.pages.desk import Desk, csv
from tests.credit.pages.test_room import moved

HTMX = {"HX-Request": "true"}
CAUSE = "The print shop was closed for a week."


def settled(desk: Desk) -> None:
    creditors.change(
        desk.lender.installation, desk.lender.admin, address="1 Harbour Road", contact="credit@northwind.example"
    )


def state(desk: Desk, key: UUID) -> str:
    return notices.notice_of(desk.lender.installation, desk.lender.analyst, key).state


def test_the_card_says_what_is_missing_then_offers_the_notice(desk: Desk) -> None:
    key = desk.score(decision="decline")
    browser = desk.browser("analyst")
    page = browser.get(f"/credit/decisions/{key}").text
    assert "It cannot be issued yet." in page
    assert "plumbline credit notices settings --address … --contact …" in page
    settled(desk)
    page = browser.get(f"/credit/decisions/{key}").text
    assert "Issue the notice…" in page
    answer = browser.post(f"/credit/decisions/{key}/notice", {"channel": "letter"})
    assert answer.status_code == 303
    page = browser.get(f"/credit/decisions/{key}").text
    assert "Notice issued" in page
    assert "Issue the notice…" not in page
    printed = browser.get(f"/credit/decisions/{key}/notice")
    assert "1 Harbour Road" in printed.text
    assert "style-src 'sha256-" in printed.headers["content-security-policy"]
    assert "no-store" in printed.headers["cache-control"]


@pytest.mark.parametrize("partial", [True, False])
def test_a_late_one_asks_for_the_cause_and_keeps_what_was_typed(desk: Desk, partial: bool) -> None:
    settled(desk)
    key = desk.score(decision="decline")
    moved(desk.lender, days=31)
    browser = desk.browser("analyst")
    assert "Overdue" in browser.get(f"/credit/decisions/{key}").text
    given = {"channel": "email", "cause": "late"}
    answer = browser.post(f"/credit/decisions/{key}/notice", given, headers=HTMX if partial else {})
    assert answer.status_code == 422
    assert ("<html" in answer.text) != partial
    assert "why it is late; that stands in the ledger" in answer.text
    assert "\nlate</textarea>" in answer.text
    assert browser.post(f"/credit/decisions/{key}/notice", given | {"cause": CAUSE}).status_code == 303
    assert state(desk, key) == "late"
    page = browser.get(f"/credit/decisions/{key}").text
    assert "Issued late" in page
    assert CAUSE in page


def test_a_review_is_asked_for_on_a_decision_that_had_none(desk: Desk) -> None:
    key = desk.score(decision="approve")
    browser = desk.browser("analyst")
    page = browser.get(f"/credit/decisions/{key}").text
    assert "Notice to the applicant" not in page
    assert "Review asked for…" in page
    wrong = browser.post(f"/credit/decisions/{key}/request-review", {"through": ""}, headers=HTMX)
    assert wrong.status_code == 422
    answer = browser.post(
        f"/credit/decisions/{key}/request-review", {"through": "email", "words": "I was told <b>no</b>."}
    )
    assert answer.status_code == 303
    page = browser.get(f"/credit/decisions/{key}").text
    assert "Review asked for by the applicant" in page
    assert "I was told &lt;b&gt;no&lt;/b&gt;." in page
    assert f"/credit/decisions/{key}/resolve" in page
    assert "Review asked for…" not in page


def test_an_override_is_proposed_by_one_and_confirmed_by_another(desk: Desk) -> None:
    key = desk.score(decision="approve")
    browser = desk.browser("analyst")
    for given, said in (
        ({"final": "decline", "cause": "no"}, "Write at least 10"),
        ({"final": "", "cause": CAUSE}, "Choose approve or"),
    ):
        answer = browser.post(f"/credit/decisions/{key}/override", given, headers=HTMX)
        assert answer.status_code == 422
        assert said in answer.text
    given = {"final": "decline", "cause": "The employer does not exist."}
    assert browser.post(f"/credit/decisions/{key}/override", given).status_code == 303
    page = browser.get(f"/credit/decisions/{key}").text
    assert "A second person has to confirm." in page
    assert "Override proposed" in page
    assert browser.post(f"/credit/decisions/{key}/resolve", given).status_code == 409
    admin = desk.browser("admin")
    assert admin.post(f"/credit/decisions/{key}/resolve", given).status_code == 303
    page = admin.get(f"/credit/decisions/{key}").text
    assert "Declined by a person" in page
    assert "Reasons of the person who declined" in page
    settled(desk)
    sent = {"channel": "branch", "reasons": "Unable to verify the employment given"}
    assert admin.post(f"/credit/decisions/{key}/notice", {"channel": "branch"}, headers=HTMX).status_code == 422
    assert admin.post(f"/credit/decisions/{key}/notice", sent).status_code == 303
    assert "Unable to verify the employment given" in admin.get(f"/credit/decisions/{key}/notice").text


def test_who_may_not_sees_no_acts_and_is_refused(desk: Desk) -> None:
    settled(desk)
    key = desk.score(decision="decline")
    acts = {
        "notice": {"channel": "letter"}, "request-review": {"through": "email"}, "override": {"final": "approve", "cause": CAUSE},
    }  # fmt: skip
    viewer, elsewhere = desk.browser("viewer"), desk.browser("admin", "contoso")
    page = viewer.get(f"/credit/decisions/{key}").text
    assert "Notice to the applicant" in page
    for act, given in acts.items():
        assert f'action="/credit/decisions/{key}/{act}"' not in page
        assert viewer.post(f"/credit/decisions/{key}/{act}", given).status_code == 403
        assert elsewhere.post(f"/credit/decisions/{key}/{act}", given).status_code == 404
    assert elsewhere.get(f"/credit/decisions/{key}/notice").status_code == 404
    assert viewer.get(f"/credit/decisions/{key}/notice").status_code == 409
    assert state(desk, key) == "open"
    assert (
        timedelta(0)
        < notices.notice_of(desk.lender.installation, desk.lender.analyst, key).due_at
        - desk.lender.installation.clock()
    )  # type: ignore[operator]


def test_of_a_long_file_the_page_does_not_read_the_file_to_show_a_draft(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled(desk)
    house, done = desk.lender.installation, desk.scored(csv(60))
    rows = service.rows_of(house, desk.lender.analyst, done.batch.id, PageRequest(60)).items
    refused = next(p.id for p in rows if p.extra["decision"] == "decline")
    browser, told = desk.browser("analyst"), 'aria-label="Reasons in the notice"'
    assert told in browser.get(f"/credit/decisions/{refused}").text
    monkeypatch.setattr(reading, "INLINE", 10)
    page = browser.get(f"/credit/decisions/{refused}").text
    assert told not in page
    assert "Issue the notice…" in page
    assert browser.post(f"/credit/decisions/{refused}/notice", {"channel": "letter"}).status_code == 303
    assert state(desk, refused) == "issued"
