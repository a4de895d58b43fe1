"""A lender whose decisions dossiers are made of, and a browser that opens them."""

from __future__ import annotations

from uuid import UUID

import pytest

from plumbline.credit import service
from plumbline.credit.service import triage
from tests.browser_support import browser, visit
from tests.credit import trained
from tests.credit.trained import Lender, embedded, sqlite_lenders

__all__ = ["browser", "embedded", "sqlite_lenders", "visit"]
HOSTILE = 'Asked for <script>alert(1)</script> & "the" payslip'
CAUSE = "The payslip shows a <b>second</b> income."


def reviewed(lender: Lender) -> UUID:
    """A decision that a person took on, wrote about and settled."""
    key = service.score(lender.installation, lender.analyst, trained.application_with(level="High")).id
    review = service.decision_of(lender.installation, lender.analyst, key).review
    assert review is not None
    triage.take(lender.installation, lender.analyst, review.id)
    triage.note(lender.installation, lender.analyst, review.id, HOSTILE)
    triage.resolve(lender.installation, lender.analyst, review.id, note=CAUSE, decision="approve")
    return key


@pytest.fixture
def decided(embedded: Lender) -> UUID:
    return reviewed(embedded)
