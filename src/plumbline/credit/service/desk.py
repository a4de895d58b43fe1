"""How a finding of the room is worked on: a review that waits for a person, or a notice whose clock runs out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from plumbline.credit import repository
from plumbline.credit.decision import concern
from plumbline.credit.service import clocks
from plumbline.credit.service.reviews import RIGHT, ROOM, Concern, decide, final, finding_of, state_of, written
from plumbline.credit.tables import CreditNotice, Review
from plumbline.kernel.context import Context
from plumbline.kernel.errors import Conflict, InvalidInput
from plumbline.kernel.findings import service as findings
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger.service import Act


class Triage:
    """``subject_id`` is the review, or the notice."""

    def projection(self, session: Session, organization_id: UUID) -> Iterator[dict[str, Any]]:
        """Every finding the room's reviews and notices call for, as the list must show it."""
        for review, subject_id, level, extra, probability in repository.reviewed(session, organization_id):
            one = Concern(review.prediction_id, subject_id, level, extra["decision"], probability)
            severity = concern(level, extra["decision"]) or "medium"
            yield finding_of(review.id, one, severity, review.due_at, requested=review.requested_at is not None) | {
                "state": review.state, "owner_id": review.owner_id, "opened_at": review.reopened_at or review.created_at,
                "closed_at": review.closed_at,
            }  # fmt: skip
        for notice, subject_id in repository.listed_notices(session, organization_id):
            waiting = "acknowledged" if notice.owner_id else "open"
            yield clocks.finding_of(notice, subject_id) | {
                "state": waiting if notice.state == "open" else "resolved", "owner_id": notice.owner_id,
                "opened_at": notice.overdue_at or notice.warned_at, "closed_at": notice.closed_at,
            }  # fmt: skip

    def take(self, installation: Installation, context: Context, subject_id: UUID) -> None:
        """Take it; taking over another's is permitted and recorded."""
        with self._act(installation, context, "take", subject_id) as act:
            subject = self._open(act, subject_id)
            if context.user_id is None:
                raise InvalidInput(f"A {_noun(subject)} is taken by a person.", remedy="Name one: --as USER.")
            before = _told(subject)
            taken = {"owner_id": context.user_id, "updated_at": context.now}
            if isinstance(subject, CreditNotice):
                repository.update_notices(act.session, context.organization_id, [subject.id], **taken)
            else:
                repository.change_review(
                    act.session, context.organization_id, subject.id, state="acknowledged", **taken
                )
            findings.follow(
                act.session, context, room=ROOM, subject_id=subject.id, state="acknowledged", owner_id=context.user_id
            )
            act.done(old=before, new={"state": "acknowledged", "owner_id": str(context.user_id)}, prediction_id=str(subject.prediction_id))  # fmt: skip

    def note(self, installation: Installation, context: Context, subject_id: UUID, text: str) -> None:
        """Add a note below those that are there; on a notice it stands in the ledger."""
        with self._act(installation, context, "note", subject_id) as act:
            subject = self._open(act, subject_id)
            words = written(text)
            if isinstance(subject, Review):
                whole = f"{subject.note}\n{words}" if subject.note else words
                repository.change_review(
                    act.session, context.organization_id, subject.id, note=whole, updated_at=context.now
                )
            act.done(new={"note": words}, prediction_id=str(subject.prediction_id))

    def resolve(
        self, installation: Installation, context: Context, subject_id: UUID, *, note: str, decision: str | None = None
    ) -> None:
        """Close a review with a written cause, and with the final decision where it differs from or confirms the model's.

        :raises Conflict: it is closed already; the same person proposed it; or it is a notice, which is settled by issuing it.
        """
        with self._act(installation, context, "resolve", subject_id) as act:
            subject = self._open(act, subject_id)
            if isinstance(subject, CreditNotice):
                raise Conflict(
                    "A notice is settled by issuing it, or by a final decision that approves.",
                    remedy=f"Issue it on the decision's page or with: plumbline credit notices issue {subject.prediction_id}",
                )
            cause = written(note)
            if decision is not None:
                final(decision)
            decided = repository.hold(act.session, context.organization_id, subject.prediction_id)
            # read again: it may have been decided while we waited
            decide(act, self._review(act, subject_id), decided, cause, decision)

    def _act(self, installation: Installation, context: Context, what: str, subject_id: UUID) -> Act:
        return Act(installation.database, context, f"credit.review.{what}", "credit_review", resource_id=subject_id, right=RIGHT)  # fmt: skip

    def _open(self, act: Act, subject_id: UUID) -> Review | CreditNotice:
        notice = repository.find_notice(act.session, act.context.organization_id, subject_id)
        if notice is None:
            return self._review(act, subject_id)
        act.action, act.resource_type = act.action.replace(".review.", ".notice."), "credit_notice"
        if notice.state != "open":
            raise Conflict(f"This notice is {notice.state} already.", remedy="The ledger says by whom and when.")
        return notice

    def _review(self, act: Act, subject_id: UUID) -> Review:
        review = repository.review(act.session, act.context.organization_id, subject_id)
        if review.state == "resolved":
            raise Conflict("This review is closed.", remedy="Its decision and cause stand in the ledger.")
        return review


def _noun(subject: Review | CreditNotice) -> str:
    return "review" if isinstance(subject, Review) else "notice"


def _told(subject: Review | CreditNotice) -> dict[str, Any]:
    if isinstance(subject, Review):
        return state_of(subject)
    return {"state": subject.state, "owner_id": str(subject.owner_id) if subject.owner_id else None}


triage = Triage()
