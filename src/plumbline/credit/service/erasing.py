"""What the room holds of a subject beside its decisions: the words of reviews, notices, and the name on the triage list."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from plumbline.credit import repository
from plumbline.credit.service import clocks
from plumbline.credit.service.reviews import ROOM, Concern, title_of
from plumbline.kernel.context import Context
from plumbline.kernel.database import WriteSession
from plumbline.kernel.findings import service as findings
from plumbline.kernel.ledger.service.erasing import ERASED, Held


class Words:
    """The room's part in an erasure (:attr:`room.Room.erasable`)."""

    def find(self, session: Session, organization_id: UUID, subject: str) -> Held:
        reviews = repository.reviews_of_subject(session, organization_id, subject)
        notices = repository.notices_of_subject(session, organization_id, subject)
        told = [("reviews: requests, notes and causes", len(reviews)), ("notices: documents, reasons and causes", len(notices))]  # fmt: skip
        return Held(resources=[*reviews, *notices], told=told)

    def erase(self, session: WriteSession, organization_id: UUID, held: Held, now: datetime) -> None:
        self._reviews(session, organization_id, held, now)
        for notice in repository.notices_with(session, organization_id, held.resources):
            key = notice.id
            if (
                notice.state != "open"
                and notice.page is None
                and notice.earlier is None
                and notice.cause in (None, ERASED)
            ):
                continue
            title = clocks.finding_of(notice, ERASED)["title"]
            findings.retitle(session, organization_id, room=ROOM, subject_id=key, title=title)
            cause = notice.cause and ERASED
            repository.update_notices(session, organization_id, [key], document=None, page=None, reasons=None, earlier=None, cause=cause, updated_at=now)  # fmt: skip
            if notice.state == "open":  # there is nothing left to issue it from
                clocks.close(session, Context(organization_id, "system", "erasure", "ledger", now), key, state="withdrawn", cause=ERASED)  # fmt: skip

    def _reviews(self, session: WriteSession, organization_id: UUID, held: Held, now: datetime) -> None:
        for review, level, extra, probability in repository.reviews_with(session, organization_id, held.resources):
            one = Concern(review.prediction_id, ERASED, level, extra["decision"], probability)
            title = title_of(one, requested=review.requested_at is not None)
            findings.retitle(session, organization_id, room=ROOM, subject_id=review.id, title=title)
            words = (review.note, review.request, review.proposed_cause, review.cause)
            if all(text in (None, ERASED) for text in words):
                continue
            values = {"note": None, "request": None, "proposed_cause": review.proposed_cause and ERASED, "cause": review.cause and ERASED}  # fmt: skip
            repository.update_review(session, organization_id, review.id, **values, updated_at=now)


erasable = Words()
