"""Notices of declines: due, issued once, late with a cause, withdrawn, erased, and watched by the daily job."""

from __future__ import annotations

import hashlib
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from plumbline.credit import service
from plumbline.credit.service import creditors, notices
from plumbline.kernel.database import new_id
from plumbline.kernel.errors import Conflict, Forbidden, InvalidInput, NotFound
from plumbline.kernel.findings import service as findings
from plumbline.kernel.identity.service import change_settings
from plumbline.kernel.jobs.queue import enqueue
from plumbline.kernel.jobs.service import run_inline
from plumbline.kernel.ledger.service import erasing, sealing
from plumbline.kernel.models import service as models
from plumbline.kernel.paging import PageRequest
from tests.credit import trained
from tests.credit.trained import Lender

ADDRESS = {"address": "1 Harbour Road\n20457 Hamburg", "contact": "credit@northwind.example"}
US = ADDRESS | {
    "jurisdiction": "us_reg_b", "authority": "Federal Trade Commission, Washington, DC 20580", "bureau": "Bureau One",
    "bureau_address": "PO Box 1, Springfield; 800 555 0100",
}  # fmt: skip
CAUSE = "The print shop was closed for a week."


def settled(lender: Lender, **values: Any) -> None:
    creditors.change(lender.installation, lender.admin, **(values or ADDRESS))


def declined(lender: Lender) -> UUID:
    return service.score(lender.installation, lender.analyst, trained.application_with(decision="decline")).id


def approved(lender: Lender) -> UUID:
    return service.score(lender.installation, lender.analyst, trained.application_with(decision="approve")).id


def issue(lender: Lender, key: UUID, **given: Any) -> notices.Issued:
    return notices.issue(lender.installation, lender.analyst, key, **({"channel": "letter"} | given))


def state(lender: Lender, key: UUID) -> str:
    return notices.notice_of(lender.installation, lender.analyst, key).state


def later(lender: Lender, days: float) -> None:
    lender.installation.clock.now += timedelta(days=days)  # type: ignore[attr-defined]


def by_two(lender: Lender, key: UUID, decision: str) -> None:
    for person in (lender.analyst, lender.admin):
        service.override(lender.installation, person, key, decision=decision, cause="The payslips say otherwise.")


def watched(lender: Lender) -> None:
    with lender.installation.database.write(lender.id) as session:
        key = enqueue(session, lender.admin, "credit.notices", {})
    run_inline(lender.installation, key)


def listed(lender: Lender) -> list[Any]:
    found = findings.list_findings(lender.installation, lender.admin, PageRequest(100), room="credit").items
    return [f for f in found if f.tags == ["notice"]]


def test_a_decline_starts_the_clock_in_its_own_transaction(lender: Lender) -> None:
    key, other = declined(lender), approved(lender)
    view = notices.notice_of(lender.installation, lender.analyst, key)
    made = service.decision_of(lender.installation, lender.analyst, key).prediction.created_at
    assert (view.state, view.due_at) == ("open", made + timedelta(days=30))
    assert view.notice is not None
    assert state(lender, other) == "none"
    assert lender.count("credit_notices") == 1


def test_an_issued_notice_names_what_was_scored_and_its_hash_is_in_the_ledger(lender: Lender) -> None:
    settled(lender, **US)
    key = declined(lender)
    issued = issue(lender, key).notice
    stored = service.decision_of(lender.installation, lender.analyst, key).prediction.explanation["reasons"]
    assert [r["code"] for r in issued.reasons] == [r["code"] for r in stored][:4]
    assert [r["contribution"] for r in issued.reasons] == [r["contribution"] for r in stored][:4]
    page = notices.page_of(lender.installation, lender.analyst, key)
    assert hashlib.sha256(page).hexdigest() == issued.document_sha256
    text = page.decode()
    for reason in issued.reasons:
        assert reason["text"] in text
        assert reason["code"] not in text
    for word in (
        "Northwind",
        "20457 Hamburg",
        "Equal Credit Opportunity Act",
        "Bureau One",
        "more points mean a lower risk",
    ):
        assert word in text
    for name in ("CODE_GENDER", "DAYS_BIRTH", "NAME_FAMILY_STATUS"):
        assert name not in text
    (entry,) = lender.entries("credit.notice.issue")
    assert entry.resource_id == issued.id
    assert entry.details["document_sha256"] == issued.document_sha256
    assert entry.details["prediction_id"] == str(key)
    assert (issued.state, issued.channel, issued.issued_by) == ("issued", "letter", lender.people["analyst"])


def test_issuing_again_gives_the_same_document(lender: Lender) -> None:
    settled(lender)
    key = declined(lender)
    first = issue(lender, key)
    later(lender, 40)
    settled(lender, address="2 Other Street")
    again = issue(lender, key, channel="email")
    assert (first.repeated, again.repeated) == (False, True)
    assert again.notice.page == first.notice.page
    assert (again.notice.channel, again.notice.state) == ("letter", "issued")
    entries = lender.entries("credit.notice.issue")
    assert [e.details.get("repeated") for e in entries] == [None, True]
    assert len({e.details["document_sha256"] for e in entries}) == 1


def test_twins_issue_one_notice(lender: Lender) -> None:
    settled(lender)
    key = declined(lender)
    came: list[Any] = []

    def send() -> None:
        try:
            came.append(issue(lender, key))
        except Exception as error:
            came.append(error)

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(i.repeated for i in came) == [False, True, True, True]
    assert len({i.notice.document_sha256 for i in came}) == 1
    assert lender.count("credit_notices") == 1
    assert len(lender.entries("credit.notice.issue")) == 4


def test_after_its_clock_it_needs_a_cause_and_is_late(embedded: Lender) -> None:
    settled(embedded)
    key = declined(embedded)
    later(embedded, 31)
    with pytest.raises(InvalidInput, match=r"This notice was due on .*, 1 day ago\."):
        issue(embedded, key)
    with pytest.raises(InvalidInput, match="Write in at least 10 characters why"):
        issue(embedded, key, cause="  late   ")
    assert state(embedded, key) == "open"
    issued = issue(embedded, key, cause=CAUSE).notice
    assert (issued.state, issued.cause) == ("late", CAUSE)
    assert CAUSE not in issued.page  # type: ignore[operator]
    assert embedded.entries("credit.notice.issue")[0].details["cause"] == CAUSE
    assert len(embedded.entries("credit.notice.issue", success=False)) == 2


@pytest.mark.parametrize("decision", ["approve", "review"])
def test_without_a_decline_there_is_none(embedded: Lender, decision: str) -> None:
    settled(embedded)
    key = service.score(embedded.installation, embedded.analyst, trained.application_with(decision=decision)).id
    with pytest.raises(Conflict, match="no notice"):
        issue(embedded, key)
    assert embedded.count("credit_notices") == 0


def test_what_of_the_creditor_is_not_known_is_named(embedded: Lender) -> None:
    key = declined(embedded)
    with pytest.raises(InvalidInput, match="needs the creditor's address, how to reach the creditor") as raised:
        issue(embedded, key)
    assert "--address … --contact …" in str(raised.value)
    settled(embedded, **(US | {"bureau": ""}))
    with pytest.raises(InvalidInput, match="needs the credit bureau's name"):
        issue(embedded, key)


def test_an_override_withdraws_it_and_a_second_one_makes_it_due_again(lender: Lender) -> None:
    settled(lender)
    key, sent = declined(lender), declined(lender)
    issue(lender, sent)
    for one in (key, sent):
        by_two(lender, one, "approve")
        assert state(lender, one) == "withdrawn"
        with pytest.raises(Conflict, match="This application is approved"):
            issue(lender, one)
    assert [e.details["notice"] for e in lender.entries("credit.review.override")] == [
        "withdrawn",
        "withdrawn after it was issued",
    ]
    by_two(lender, key, "decline")
    assert state(lender, key) == "open"
    assert issue(lender, key).notice.state == "issued"
    first = notices.notice_of(lender.installation, lender.analyst, sent).notice
    by_two(lender, sent, "decline")
    again = issue(lender, sent).notice
    assert first is not None
    (kept,) = again.earlier
    assert (kept["page"], kept["document_sha256"], kept["channel"]) == (first.page, first.document_sha256, "letter")


def test_a_person_declines_what_the_model_approved_in_words_of_their_own(embedded: Lender) -> None:
    settled(embedded, **US)
    key = approved(embedded)
    later(embedded, 3)
    by_two(embedded, key, "decline")
    assert state(embedded, key) == "open"
    with pytest.raises(InvalidInput, match="the model's reasons are not those of the decline"):
        issue(embedded, key)
    with pytest.raises(InvalidInput, match="says 'internal polic'"):
        issue(embedded, key, reasons=["Not in line with internal policies"])
    issued = issue(embedded, key, reasons=["Unable to verify employment at the stated employer"]).notice
    assert [(r["code"], r["text"]) for r in issued.reasons] == [
        ("PERSON", "Unable to verify employment at the stated employer")
    ]
    assert "more points mean a lower risk" not in issued.page  # type: ignore[operator]


def test_reasons_of_the_models_decline_are_not_written_by_people(embedded: Lender) -> None:
    settled(embedded)
    with pytest.raises(InvalidInput, match="its reasons are those that were scored"):
        issue(embedded, declined(embedded), reasons=["The applicant was rude at the counter"])


def test_a_case_for_review_that_a_person_declined_runs_by_the_jurisdictions_clock(embedded: Lender) -> None:
    settled(embedded, **US)
    key = service.score(embedded.installation, embedded.analyst, trained.application_with(decision="review")).id
    made = service.decision_of(embedded.installation, embedded.analyst, key).prediction.created_at
    later(embedded, 10)
    service.override(
        embedded.installation, embedded.analyst, key, decision="decline", cause="The payslips are not genuine."
    )
    assert notices.notice_of(embedded.installation, embedded.analyst, key).due_at == made + timedelta(days=30)
    change_settings(embedded.installation, embedded.admin, four_eyes=False)
    settled(embedded, jurisdiction="eu_gdpr22_ccd", days=14)
    second = service.score(embedded.installation, embedded.analyst, trained.application_with(decision="review")).id
    later(embedded, 10)
    now = embedded.installation.clock()
    service.override(
        embedded.installation, embedded.analyst, second, decision="decline", cause="The payslips are not genuine."
    )
    due = notices.notice_of(embedded.installation, embedded.analyst, second).due_at
    assert due is not None
    assert abs(due - (now + timedelta(days=14))) < timedelta(minutes=1)


def test_a_damaged_model_or_changed_reasons_make_no_notice(embedded: Lender) -> None:
    settled(embedded)
    key = declined(embedded)
    embedded.change(
        "UPDATE predictions SET explanation = json_set(explanation, '$.reasons', json('[]')) WHERE id = :i", i=key.bytes
    )
    with pytest.raises(InvalidInput, match="Nothing that was scored spoke against"):
        issue(embedded, key)


def test_a_row_of_a_file_gets_the_same_notice(lender: Lender, tmp_path: Path) -> None:
    settled(lender)
    view = lender.batch(trained.write_zip(tmp_path / "branch.zip"))
    rows = service.rows_of(lender.installation, lender.analyst, view.batch.id, PageRequest(500)).items
    refused = [p for p in rows if p.extra["decision"] == "decline"]
    assert lender.count("credit_notices") == len(refused) > 0
    issued = issue(lender, refused[0].id).notice
    stored = service.decision_of(lender.installation, lender.analyst, refused[0].id).prediction.explanation["reasons"]
    assert [r["code"] for r in issued.reasons] == [r["code"] for r in stored][:4]
    assert all(len(r["text"]) > 10 for r in issued.reasons)


def test_an_erased_decision_has_none_and_an_issued_one_is_blanked(lender: Lender) -> None:
    settled(lender)
    key, sent = declined(lender), declined(lender)
    issue(lender, sent)
    subject = service.decision_of(lender.installation, lender.analyst, key).prediction.subject_id
    service.request_review(lender.installation, lender.analyst, key, through="email", words="Call me on 555 0199.")
    sealing.seal(lender.installation, lender.id)
    planned = erasing.erase(lender.installation, lender.admin, subject=subject, reason="The applicant asked for it.")
    assert ("notices: documents, reasons and causes", 2) in planned.told
    with pytest.raises(Conflict, match="were erased"):
        issue(lender, key)
    with pytest.raises(NotFound, match="was erased"):
        notices.page_of(lender.installation, lender.analyst, sent)
    for one, then in ((key, "withdrawn"), (sent, "issued")):
        row = notices.notice_of(lender.installation, lender.analyst, one).notice
        assert row is not None
        assert (row.state, row.document, row.page, row.reasons) == (then, None, None, None)
        assert service.decision_of(lender.installation, lender.analyst, one).review is not None
    review = service.decision_of(lender.installation, lender.analyst, key).review
    assert review is not None
    assert review.request is None
    assert "555 0199" not in str([e.new_values for e in lender.entries("credit.review.request")])
    with pytest.raises(Conflict, match="were erased"):
        service.request_review(lender.installation, lender.analyst, key, through="email")


def test_the_daily_job_puts_them_on_the_list_and_issuing_takes_them_off(lender: Lender) -> None:
    settled(lender)
    soon, gone = declined(lender), declined(lender)
    watched(lender)
    assert listed(lender) == []
    assert lender.entries("credit.notice.watch") == []
    later(lender, 26)
    watched(lender)
    watched(lender)
    assert [(f.severity, f.state) for f in listed(lender)] == [("high", "open")] * 2
    taken = next(f for f in listed(lender) if str(gone) in f.url)
    findings.take(lender.installation, lender.analyst, taken.id)
    later(lender, 5)
    watched(lender)
    found = listed(lender)
    assert [(f.severity, f.state, f.owner_id) for f in found] == [("critical", "open", None)] * 2
    assert all(f.title.startswith("Notice overdue since") for f in found)
    assert [e.details for e in lender.entries("credit.notice.watch")] == [
        {"started": 0, "due_soon": 2, "overdue": 0},
        {"started": 0, "due_soon": 0, "overdue": 2},
    ]
    with pytest.raises(Conflict, match="settled by issuing it"):
        findings.resolve(lender.installation, lender.analyst, found[0].id, note="It is done, I think.")
    issue(lender, soon, cause=CAUSE)
    by_two(lender, gone, "approve")
    assert [f.state for f in listed(lender)] == ["resolved"] * 2
    assert findings.rebuild(lender.installation, lender.admin)["credit"] == {"added": 0, "changed": 0, "removed": 0}


def test_the_daily_job_starts_clocks_that_were_not_started(lender: Lender) -> None:
    key = declined(lender)
    due = notices.notice_of(lender.installation, lender.analyst, key).due_at
    lender.change("DELETE FROM credit_notices")
    assert notices.notice_of(lender.installation, lender.analyst, key).due_at == due
    later(lender, 2)
    watched(lender)
    view = notices.notice_of(lender.installation, lender.analyst, key)
    assert view.notice is not None
    assert view.due_at == due
    assert [e.details["started"] for e in lender.entries("credit.notice.watch")] == [1]


def test_who_may_not_and_who_is_elsewhere(lender: Lender, other: Lender) -> None:
    settled(lender)
    key = declined(lender)
    with pytest.raises(Forbidden):
        notices.issue(lender.installation, lender.as_role("viewer"), key, channel="letter")
    with pytest.raises(Forbidden):
        creditors.change(lender.installation, lender.analyst, address="Elsewhere")
    with pytest.raises(NotFound):
        notices.issue(other.installation, other.analyst, key, channel="letter")
    with pytest.raises(NotFound):
        notices.notice_of(other.installation, other.analyst, new_id(lender.analyst.now))
    assert notices.list_notices(other.installation, other.analyst, PageRequest(10)).items == []
    with pytest.raises(InvalidInput, match="no way to send"):
        issue(lender, key, channel="pigeon")


def test_settings_are_checked(embedded: Lender) -> None:
    for wrong, said in (
        ({"jurisdiction": "atlantis"}, "no texts for the jurisdiction 'atlantis'"), ({"days": 31}, "can only be shorter"),
        ({"days": 0}, "can only be shorter"), ({"address": "x" * 401}, "401 characters"), ({"colour": "blue"}, "no setting 'colour'"),
    ):  # fmt: skip
        with pytest.raises(InvalidInput, match=said):
            creditors.change(embedded.installation, embedded.admin, **wrong)
    assert creditors.settings_of(embedded.installation, embedded.analyst)["creditor"] == "Northwind"
    assert creditors.change(embedded.installation, embedded.admin, **US, days=20)["days"] == 20
    assert creditors.change(embedded.installation, embedded.admin, bureau="")["bureau"] is None


def test_the_score_range_is_that_of_the_test_rows_whatever_became_known_later(embedded: Lender) -> None:
    settled(embedded, **US)
    key, house = declined(embedded), embedded.installation
    before = notices.draft(house, embedded.analyst, key)
    assert before.lowest is not None
    assert before.highest is not None
    assert 300 < before.lowest < before.highest < 900
    narrow = [[0] * 999 + [1], [0] * 1000]  # a later cohort: one good row at the very end of the scale
    cohort = models.Evaluated("production:2026-10", 1, extra={"histogram": narrow})
    later(embedded, 1)
    with house.database.write(embedded.id) as session:
        models.insert_evaluation(session, embedded.admin, embedded.model_id, cohort)
    after = notices.draft(house, embedded.analyst, key)
    assert (after.lowest, after.highest) == (before.lowest, before.highest)
