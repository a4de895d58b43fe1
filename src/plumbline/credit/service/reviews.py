"""A person's look at a decision. The review is the truth, the finding its projection: both move in one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from plumbline.credit import repository
from plumbline.credit.decision import concern
from plumbline.credit.tables import Review
from plumbline.kernel.context import Context
from plumbline.kernel.database import WriteSession, new_id
from plumbline.kernel.errors import Conflict, InvalidInput, Where
from plumbline.kernel.findings import service as findings
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger.service import Act
from plumbline.kernel.paging import Page, PageRequest

DUE = timedelta(days=3)
ROOM = "credit"
MIN_NOTE = 10


@dataclass(frozen=True, slots=True)
class Concern:
    """A decision that a person should look at."""

    prediction_id: UUID
    subject_id: str
    level: str
    decision: str
    probability: float


def open_reviews(session: WriteSession, context: Context, decided: Sequence[Concern]) -> int:
    """Open a review and a finding for each decision that needs one; returns how many."""
    rows: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    due = context.now + DUE
    for one in decided:
        severity = concern(one.level, one.decision)
        if severity is None:
            continue
        key = new_id(context.now)
        rows.append({
            "id": key, "organization_id": context.organization_id, "prediction_id": one.prediction_id, "state": "open", "owner_id": None,
            "note": None, "due_at": due, "final_decision": None, "cause": None, "closed_at": None, "created_at": context.now,
            "updated_at": context.now,
        })  # fmt: skip
        found.append(_finding(key, one, severity, due))
    repository.insert_reviews(session, rows)
    findings.raise_many(session, context, found)
    return len(rows)


def title_of(one: Concern, severity: str) -> str:
    what = "High default risk" if severity == "high" else "Close to the threshold"
    return f"{what}, {one.probability:.1%}: application {one.subject_id}"


def _finding(review_id: UUID, one: Concern, severity: str, due: datetime) -> dict[str, Any]:
    """What the triage list shows of a review."""
    return {
        "room": ROOM, "subject_id": review_id, "title": title_of(one, severity), "severity": severity,
        "url": f"/credit/decisions/{one.prediction_id}", "fingerprint": str(one.prediction_id), "due_at": due, "tags": [one.decision],
        "score": one.probability,
    }  # fmt: skip


def list_reviews(
    installation: Installation, context: Context, request: PageRequest, *, state: str | None = None
) -> Page[Review]:
    context.require("credit.read")
    with installation.database.read(context.organization_id) as session:
        return repository.reviews(session, context.organization_id, request, state=state)


class Triage:
    """How a finding of this room is worked on (``subject_id`` is the review)."""

    def projection(self, session: Session, organization_id: UUID) -> Iterator[dict[str, Any]]:
        """Every finding the room's reviews call for, as the list must show it."""
        for review, subject_id, level, extra, probability in repository.reviewed(session, organization_id):
            one = Concern(review.prediction_id, subject_id, level, extra["decision"], probability)
            severity = concern(level, extra["decision"]) or "medium"
            yield _finding(review.id, one, severity, review.due_at) | {
                "state": review.state, "owner_id": review.owner_id, "opened_at": review.created_at, "closed_at": review.closed_at,
            }  # fmt: skip

    def take(self, installation: Installation, context: Context, subject_id: UUID) -> None:
        """Take it; taking over another's is permitted and recorded."""
        with Act(
            installation.database,
            context,
            "credit.review.take",
            "credit_review",
            resource_id=subject_id,
            right="credit.approve",
        ) as act:
            review = self._open(act, subject_id)
            if context.user_id is None:
                raise InvalidInput("A review is taken by a person.", remedy="Name one: --as USER.")
            repository.update_review(act.session, context.organization_id, review.id, state="acknowledged", owner_id=context.user_id,
                                     updated_at=context.now)  # fmt: skip
            findings.follow(
                act.session, context, room=ROOM, subject_id=review.id, state="acknowledged", owner_id=context.user_id
            )
            act.done(
                old=_state(review),
                new={"state": "acknowledged", "owner_id": str(context.user_id)},
                prediction_id=str(review.prediction_id),
            )

    def note(self, installation: Installation, context: Context, subject_id: UUID, text: str) -> None:
        """Add a note below those that are there."""
        with Act(
            installation.database,
            context,
            "credit.review.note",
            "credit_review",
            resource_id=subject_id,
            right="credit.approve",
        ) as act:
            review = self._open(act, subject_id)
            words = _words(text)
            whole = f"{review.note}\n{words}" if review.note else words
            repository.update_review(
                act.session, context.organization_id, review.id, note=whole, updated_at=context.now
            )
            act.done(new={"note": words}, prediction_id=str(review.prediction_id))

    def resolve(
        self, installation: Installation, context: Context, subject_id: UUID, *, note: str, decision: str | None = None
    ) -> None:
        """Close it with a written cause, and with the final decision where it differs from or confirms the model's."""
        with Act(
            installation.database,
            context,
            "credit.review.resolve",
            "credit_review",
            resource_id=subject_id,
            right="credit.approve",
        ) as act:
            review = self._open(act, subject_id)
            cause = _words(note)
            if decision not in (None, "approve", "decline"):
                raise InvalidInput(
                    f"'{decision}' is no final decision.",
                    where=Where(field="decision"),
                    remedy="Choose approve or decline.",
                )
            repository.update_review(act.session, context.organization_id, review.id, state="resolved", cause=cause, final_decision=decision,
                                     owner_id=review.owner_id or context.user_id, closed_at=context.now, updated_at=context.now)  # fmt: skip
            findings.follow(
                act.session,
                context,
                room=ROOM,
                subject_id=review.id,
                state="resolved",
                owner_id=review.owner_id or context.user_id,
            )
            act.done(old=_state(review), new={"state": "resolved", "cause": cause, "final_decision": decision},
                     prediction_id=str(review.prediction_id))  # fmt: skip

    def _open(self, act: Act, subject_id: UUID) -> Review:
        review = repository.review(act.session, act.context.organization_id, subject_id)
        if review.state == "resolved":
            raise Conflict("This review is closed.", remedy="Its decision and cause stand in the ledger.")
        return review


def _state(review: Review) -> dict[str, Any]:
    return {"state": review.state, "owner_id": str(review.owner_id) if review.owner_id else None}


def _words(text: str) -> str:
    words = text.strip()
    if len(words) < MIN_NOTE:
        raise InvalidInput(f"Write at least {MIN_NOTE} characters; you wrote {len(words)}.", where=Where(field="note"))
    return words[:4000]


triage = Triage()
