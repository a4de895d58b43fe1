"""Which declines have a clock, when it begins, and what else may come between."""

from __future__ import annotations

from typing import Any

import pytest

from plumbline.credit import service
from plumbline.credit.service import notices
from plumbline.kernel.errors import Conflict, InvalidInput
from plumbline.kernel.identity.service import change_settings
from plumbline.kernel.ledger.service import erasing, sealing
from plumbline.kernel.paging import PageRequest
from tests.credit.service.test_notices import approved, declined, issue, later, settled, state, watched
from tests.credit.trained import Lender

CAUSE = "The payslips say otherwise."


def test_the_daily_job_looks_at_what_people_decided_in_the_end(lender: Lender) -> None:
    house, analyst = lender.installation, lender.analyst
    change_settings(house, lender.admin, four_eyes=False)
    granted, refused, left = declined(lender), approved(lender), approved(lender)
    service.override(house, analyst, granted, decision="approve", cause=CAUSE)
    service.override(house, analyst, refused, decision="decline", cause=CAUSE)
    due = notices.notice_of(house, analyst, refused).due_at
    lender.change("DELETE FROM credit_notices")
    later(lender, 2)
    watched(lender)
    assert [notices.notice_of(house, analyst, key).state for key in (granted, refused, left)] == [
        "none",
        "open",
        "none",
    ]
    assert notices.notice_of(house, analyst, refused).notice is not None
    assert notices.notice_of(house, analyst, refused).due_at == due


def test_confirming_the_models_decline_does_not_begin_the_clock_anew(lender: Lender) -> None:
    house, key = lender.installation, declined(lender)
    due = notices.notice_of(house, lender.analyst, key).due_at
    lender.change("DELETE FROM credit_notices")
    later(lender, 3)
    view = service.decision_of(house, lender.analyst, key)
    assert view.review is not None
    service.triage.resolve(house, lender.analyst, view.review.id, note=CAUSE, decision="decline")
    kept = notices.notice_of(house, lender.analyst, key)
    assert kept.notice is not None
    assert kept.due_at == due


def test_an_erasure_while_a_notice_is_written_wins(lender: Lender, monkeypatch: pytest.MonkeyPatch) -> None:
    settled(lender)
    house, key, compose = lender.installation, declined(lender), notices.compose
    subject = service.decision_of(house, lender.analyst, key).prediction.subject_id
    sealing.seal(house, lender.id)

    def overtaken(*given: Any) -> Any:
        made = compose(*given)
        erasing.erase(house, lender.admin, subject=subject, reason="The applicant asked for it.")
        return made

    monkeypatch.setattr(notices, "compose", overtaken)
    with pytest.raises(Conflict, match="were erased"):
        issue(lender, key)
    row = notices.notice_of(house, lender.analyst, key).notice
    assert row is not None
    assert (row.state, row.document, row.page, row.reasons) == ("withdrawn", None, None, None)


def test_an_erasure_takes_what_went_out_before_as_well(lender: Lender) -> None:
    settled(lender)
    change_settings(lender.installation, lender.admin, four_eyes=False)
    house, key = lender.installation, declined(lender)
    issue(lender, key)
    for decision in ("approve", "decline"):
        service.override(house, lender.analyst, key, decision=decision, cause=CAUSE)
    assert state(lender, key) == "open"
    subject = service.decision_of(house, lender.analyst, key).prediction.subject_id
    sealing.seal(house, lender.id)
    erasing.erase(house, lender.admin, subject=subject, reason="The applicant asked for it.")
    row = notices.notice_of(house, lender.analyst, key).notice
    assert row is not None
    assert (row.state, row.earlier) == ("withdrawn", None)


def test_what_went_out_has_no_days_left(embedded: Lender) -> None:
    with pytest.raises(InvalidInput, match="issued is not due any more"):
        notices.list_notices(embedded.installation, embedded.analyst, PageRequest(10), state="issued", due_within=5)
