"""The daily watch over notices: what has no clock gets one, what is due soon or overdue is put on the triage list."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from plumbline.credit import repository
from plumbline.credit.service import clocks
from plumbline.credit.tables import CreditNotice
from plumbline.kernel.context import Context
from plumbline.kernel.database import WriteSession
from plumbline.kernel.findings import service as findings
from plumbline.kernel.installation import Installation
from plumbline.kernel.jobs.queue import Claim
from plumbline.kernel.ledger.service import audit

BACK = timedelta(days=60)
"""So far back it looks for declines whose clock was not started with them (of long files)."""
STEP = 2000
"""Declines in one transaction, and findings in one day; what is left is put on the list the next day."""


def watch(installation: Installation, claim: Claim) -> None:
    """The daily job: start clocks that are missing, and put on the triage list what is due soon or overdue.

    One entry says what it did; where there was nothing to do, none.
    """
    now = installation.clock()
    context, org = claim.context(now), claim.organization_id
    started = warned = over = 0
    while True:
        with installation.database.read(org) as session:
            missing = repository.declines_without_notice(session, org, now - BACK, STEP)
        if not missing:
            break
        with claim.chunk(len(missing)) as session:
            begun = clocks.start(session, context, dict(missing))
        if not begun:  # another run has them
            break
        started += begun
    with installation.database.write(org) as session:
        warn = timedelta(days=clocks.chosen(session, org).jurisdiction.warn_days)
        for notice, subject in repository.unwarned_notices(session, org, now, overdue=True, most=STEP):
            over += 1
            if notice.warned_at is not None:  # what is overdue is taken anew
                findings.follow(session, context, room=clocks.ROOM, subject_id=notice.id, state="resolved")
            _raise(session, context, notice, subject, overdue_at=now, owner_id=None)
        for notice, subject in repository.unwarned_notices(session, org, now + warn, overdue=False, most=STEP):
            warned += 1
            _raise(session, context, notice, subject, warned_at=now)
        if started or warned or over:
            audit(session, context, "credit.notice.watch", "credit_notice",
                  details={"started": started, "due_soon": warned, "overdue": over})  # fmt: skip
        claim.finish(session)


def _raise(session: WriteSession, context: Context, notice: CreditNotice, subject: str, **values: Any) -> None:
    """Say of a notice since when it is on the list, and put it there."""
    org = context.organization_id
    repository.update_notices(session, org, [notice.id], updated_at=context.now, **values)
    marked = repository.notice_of(session, org, notice.prediction_id)
    assert marked is not None
    findings.raise_finding(session, context, reopen=True, **clocks.finding_of(marked, subject))
