"""A person's look at a decision. The review is the truth, the finding its projection: both move in one transaction.

The model's decision stays what it is. A final decision that turns what stands (a decline into an approval, or the other way)
is an override: a person makes it with a written cause, and a second person where the organization asks for four eyes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from plumbline.credit import repository
from plumbline.credit.decision import concern
from plumbline.credit.service import clocks
from plumbline.credit.tables import Review
from plumbline.kernel.context import Context
from plumbline.kernel.database import WriteSession, new_id
from plumbline.kernel.errors import Conflict, Forbidden, InvalidInput, Where
from plumbline.kernel.findings import service as findings
from plumbline.kernel.identity.service import four_eyes
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger.service import Act
from plumbline.kernel.ledger.service.erasing import ERASED
from plumbline.kernel.models.tables import Prediction
from plumbline.kernel.paging import Page, PageRequest

DUE = timedelta(days=3)
ROOM = clocks.ROOM
MIN_NOTE = 10
MOST = 4000
RIGHT = "credit.approve"
ASK = "credit.notice"
THROUGH = ("letter", "email", "portal", "branch", "phone")
"""How an applicant can have asked for a review."""
OPENS = {"state": "open", "owner_id": None, "note": None, "final_decision": None, "cause": None, "closed_at": None}
WORDS = {"approve": "approval", "decline": "decline"}


@dataclass(frozen=True, slots=True)
class Concern:
    """A decision that a person should look at."""

    prediction_id: UUID
    subject_id: str
    level: str
    decision: str
    probability: float


def open_reviews(session: WriteSession, context: Context, decided: Sequence[Concern]) -> int:
    """Open a review and a finding for each decision that needs one, and start the clock of each decline's notice.

    :returns: how many reviews were opened.
    """
    rows: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    due = context.now + DUE
    for one in decided:
        severity = concern(one.level, one.decision)
        if severity is None:
            continue
        key = new_id(context.now)
        rows.append({
            "id": key, "organization_id": context.organization_id, "prediction_id": one.prediction_id, **OPENS, "due_at": due,
            "created_at": context.now, "updated_at": context.now,
        })  # fmt: skip
        found.append(finding_of(key, one, severity, due))
    repository.insert_reviews(session, rows)
    findings.raise_many(session, context, found)
    clocks.start(session, context, {one.prediction_id: None for one in decided if one.decision == "decline"})
    return len(rows)


def title_of(one: Concern, *, requested: bool = False) -> str:
    """The finding of a review: why it is looked at, and which application."""
    why = {"high": "High default risk", "medium": "Close to the threshold", None: "Looked at by a person"}
    what = "Review asked for by the applicant" if requested else why[concern(one.level, one.decision)]
    return f"{what}, {one.probability:.1%}: application {one.subject_id}"


def finding_of(
    review_id: UUID, one: Concern, severity: str, due: datetime, *, requested: bool = False
) -> dict[str, Any]:
    """What the triage list shows of a review."""
    return {
        "room": ROOM, "subject_id": review_id, "title": title_of(one, requested=requested), "severity": severity,
        "url": f"/credit/decisions/{one.prediction_id}", "fingerprint": str(one.prediction_id), "due_at": due, "tags": [one.decision],
        "score": one.probability,
    }  # fmt: skip


def list_reviews(
    installation: Installation, context: Context, request: PageRequest, *, state: str | None = None
) -> Page[Review]:
    context.require("credit.read")
    with installation.database.read(context.organization_id) as session:
        return repository.reviews(session, context.organization_id, request, state=state)


def request_review(installation: Installation, context: Context, prediction_id: UUID, *, through: str, words: str = "") -> Review:  # fmt: skip
    """The applicant asks for a person's look at any decision: its review opens, or opens again, with a due date.

    :param through: how it was asked for, one of :data:`THROUGH`.
    :param words: what the applicant says about it.
    :raises Conflict: it was asked for already and is not done, or the decision is erased.
    """
    with Act(installation.database, context, "credit.review.request", "credit_review", right=ASK) as act:
        if through not in THROUGH:
            raise InvalidInput(f"'{through}' is no way to ask.", where=Where(field="through"),
                               remedy=f"Use one of {', '.join(THROUGH)}.")  # fmt: skip
        said = words.strip()[:MOST] or None
        decided = held(act.session, context, prediction_id)
        there = repository.review_of(act.session, context.organization_id, prediction_id)
        if there is not None and there.state != "resolved" and there.requested_at is not None:
            raise Conflict(f"This review was asked for on {there.requested_at:%d %B %Y} and is due on {there.due_at:%d %B %Y}.",
                           remedy="Add what is new as a note to the review.")  # fmt: skip
        days = timedelta(days=clocks.chosen(act.session, context.organization_id).jurisdiction.review_days)
        due = context.now + days
        if there is not None and there.state != "resolved":
            due = min(due, there.due_at)
        before = state_of(there) if there else None
        asked = {"requested_at": context.now, "requested_through": through, "request": said, "due_at": due}
        review = _opened(act.session, context, decided, there, **asked)
        act.done(review.id, old=before, new={"state": review.state, "due_at": due.isoformat(), "through": through, "words": said},
                 prediction_id=str(prediction_id), decision=decided.extra["decision"])  # fmt: skip
    return review


def override(installation: Installation, context: Context, prediction_id: UUID, *, decision: str, cause: str) -> Review:
    """A person's final decision on any decision, reviewed before or not; the review opens and is decided in this act.

    :raises InvalidInput: no cause, or no final decision.
    :raises Conflict: the same person proposed it; a second one has to confirm.
    """
    with Act(installation.database, context, "credit.review.override", "credit_review", right=RIGHT) as act:
        because = written(cause, "cause")
        final(decision)
        decided = held(act.session, context, prediction_id)
        there = repository.review_of(act.session, context.organization_id, prediction_id)
        if there is None or there.state == "resolved":
            there = _opened(act.session, context, decided, there, due_at=context.now + DUE)
        decide(act, there, decided, because, decision)
        return repository.review(act.session, context.organization_id, there.id)


def held(session: WriteSession, context: Context, prediction_id: UUID) -> Prediction:
    """A decision, held until the transaction ends.

    :raises Conflict: it was erased.
    """
    decided = repository.hold(session, context.organization_id, prediction_id)
    if decided.subject_id == ERASED:
        raise Conflict("The input and the reasons of this decision were erased: there is nothing left to look at.",
                       remedy="The applicant can apply again. See the ledger for the erasure.")  # fmt: skip
    return decided


def _opened(session: WriteSession, context: Context, decided: Prediction, there: Review | None, **values: Any) -> Review:  # fmt: skip
    """The decision's review, open, and its finding."""
    org = context.organization_id
    key = there.id if there else new_id(context.now)
    if there is None:
        repository.insert_review(session, {"id": key, "organization_id": org, "prediction_id": decided.id, **OPENS, "created_at": context.now,
                                           "updated_at": context.now, **values})  # fmt: skip
    elif there.state == "resolved":  # what was decided stands until it is decided again
        values |= {"reopened_at": context.now}
        repository.change_review(
            session, org, key, state="open", owner_id=None, closed_at=None, updated_at=context.now, **values
        )
    else:
        repository.change_review(session, org, key, updated_at=context.now, **values)
    review = repository.review(session, org, key)
    one = Concern(
        decided.id, decided.subject_id, decided.prediction_result, decided.extra["decision"], decided.probability
    )
    row = finding_of(
        key, one, concern(one.level, one.decision) or "medium", review.due_at, requested=review.requested_at is not None
    )
    findings.raise_finding(session, context, reopen=True, **row)
    findings.retitle(session, org, room=ROOM, subject_id=key, title=row["title"])
    return review


def decide(act: Act, review: Review, decided: Prediction, cause: str, decision: str | None) -> None:
    """Close a review with the final decision; or propose it, where a second person has to make it."""
    context, org = act.context, act.context.organization_id
    standing = review.final_decision or decided.extra["decision"]
    if decision is None and review.requested_at is not None:
        raise InvalidInput("The applicant asked for this review: it ends with a decision.", where=Where(field="decision"),
                           remedy="Choose approve or decline.")  # fmt: skip
    before = state_of(review)
    turns = decision is not None and standing in WORDS and standing != decision
    proposed_by = review.proposed_by if turns and review.proposed_decision == decision else None
    if turns:
        if context.user_id is None:
            raise Forbidden(f"A {WORDS[standing]} is overridden by a person.", remedy="Name one: --as USER.")
        if four_eyes(act.session, org, RIGHT):
            if proposed_by == context.user_id:
                raise Conflict("You proposed this decision: your organization asks for a second person to make it.",
                               remedy="Ask another person who may approve.")  # fmt: skip
            if proposed_by is None:
                _propose(act, review, decided, cause, str(decision))
                return
    if proposed_by is not None:
        cause = f"{review.proposed_cause}\n{cause}"
    final = decision or review.final_decision
    owner = review.owner_id or context.user_id
    repository.change_review(
        act.session, org, review.id, state="resolved", cause=cause, final_decision=final, owner_id=owner,
        decided_by=context.user_id if decision else review.decided_by, decided_at=context.now if decision else review.decided_at,
        closed_at=context.now, updated_at=context.now, proposed_decision=None,
        proposed_cause=None, proposed_by=None, proposed_at=None,
    )  # fmt: skip
    findings.follow(act.session, context, room=ROOM, subject_id=review.id, state="resolved", owner_id=owner)
    notice = None
    if decision and decided.subject_id != ERASED:
        notice = clocks.settle(act.session, context, decided, decision)
    told = {
        "overrides": standing if turns else None,
        "proposed_by": str(proposed_by) if proposed_by else None,
        "notice": notice,
    }
    act.done(review.id, old=before, new={"state": "resolved", "cause": cause, "final_decision": final}, prediction_id=str(decided.id),
             model_decision=decided.extra["decision"], **{k: v for k, v in told.items() if v is not None})  # fmt: skip


def _propose(act: Act, review: Review, decided: Prediction, cause: str, decision: str) -> None:
    context = act.context
    act.action = "credit.review.propose"  # nothing is decided yet
    before = state_of(review)
    repository.change_review(
        act.session, context.organization_id, review.id, state="acknowledged", owner_id=context.user_id, proposed_decision=decision,
        proposed_cause=cause, proposed_by=context.user_id, proposed_at=context.now, updated_at=context.now,
    )  # fmt: skip
    findings.follow(
        act.session, context, room=ROOM, subject_id=review.id, state="acknowledged", owner_id=context.user_id
    )
    act.done(review.id, old=before, new={"state": "acknowledged", "proposed_decision": decision, "cause": cause},
             prediction_id=str(decided.id), model_decision=decided.extra["decision"])  # fmt: skip


def state_of(review: Review) -> dict[str, Any]:
    return {"state": review.state, "owner_id": str(review.owner_id) if review.owner_id else None}


def final(decision: str | None) -> None:
    if decision not in WORDS:
        raise InvalidInput(
            f"'{decision}' is no final decision.", where=Where(field="decision"), remedy="Choose approve or decline."
        )


def written(text: str, field: str = "note") -> str:
    """The words of a person about a review.

    :raises InvalidInput: they are too few to say anything.
    """
    words = text.strip()
    if len(words) < MIN_NOTE:
        raise InvalidInput(f"Write at least {MIN_NOTE} characters; you wrote {len(words)}.", where=Where(field=field))
    return words[:MOST]
