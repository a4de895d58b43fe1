"""What the room holds of a subject beside its decisions: the words of reviews, and the name on the triage list."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from plumbline.credit import repository
from plumbline.credit.decision import concern
from plumbline.credit.service.reviews import ROOM, Concern, title_of
from plumbline.kernel.database import WriteSession
from plumbline.kernel.findings import service as findings
from plumbline.kernel.ledger.service.erasing import ERASED, Held


class Reviews:
    """The room's part in an erasure (:attr:`room.Room.erasable`)."""

    def find(self, session: Session, organization_id: UUID, subject: str) -> Held:
        rows = repository.reviews_of_subject(session, organization_id, subject)
        return Held(resources=rows, told=[("reviews: notes and causes", len(rows))])

    def erase(self, session: WriteSession, organization_id: UUID, held: Held, now: datetime) -> None:
        for review, level, extra, probability in repository.reviews_with(session, organization_id, held.resources):
            one = Concern(review.prediction_id, ERASED, level, extra["decision"], probability)
            title = title_of(one, concern(level, one.decision) or "medium")
            findings.retitle(session, organization_id, room=ROOM, subject_id=review.id, title=title)
            if review.note is None and review.cause in (None, ERASED):
                continue
            cause = None if review.cause is None else ERASED
            repository.update_review(session, organization_id, review.id, note=None, cause=cause, updated_at=now)


erasable = Reviews()
