"""Notices of declines: what is due, issued once, and watched until it is.

A notice is due for every decline that stands. An approval on worse terms than were asked for would need one as well, but
terms are not what is decided here: nothing of the kind is made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from plumbline.credit import repository
from plumbline.credit.modelling.points import PointScale
from plumbline.credit.modelling.scorer import Scorer
from plumbline.credit.notices import Basis, Grounds, Notice, Principal, as_html, compose, principal, stated
from plumbline.credit.service import clocks
from plumbline.credit.service.decisions import DecisionView, decision_of, explain
from plumbline.credit.service.reviews import ASK, held
from plumbline.credit.tables import CreditNotice
from plumbline.kernel.context import Context
from plumbline.kernel.errors import Conflict, InvalidInput, NotFound, PlumblineError, Where
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger.service import Act
from plumbline.kernel.ledger.service.erasing import ERASED
from plumbline.kernel.models import service as models
from plumbline.kernel.paging import Page, PageRequest

CHANNELS = ("letter", "email", "portal", "branch")
"""How a notice can have gone out."""
LEAST = 10
"""Characters of the cause of a late notice."""


@dataclass(frozen=True, slots=True)
class NoticeView:
    """What stands about a decision's notice.

    ``state`` is ``none`` where no notice is due; ``due_at`` the end of the clock; ``notice`` the row, once the clock is kept.
    """

    prediction_id: UUID
    state: str
    due_at: datetime | None
    jurisdiction: str
    notice: CreditNotice | None
    standing: str

    def late(self, now: datetime) -> bool:
        return self.state == "open" and self.due_at is not None and now > self.due_at


@dataclass(frozen=True, slots=True)
class Issued:
    """A notice that went out; ``repeated``: it had before, and this is the same document."""

    notice: CreditNotice
    repeated: bool


def view_of(installation: Installation, context: Context, decision: DecisionView) -> NoticeView:
    """The notice of a decision that is at hand."""
    p, org = decision.prediction, context.organization_id
    with installation.database.read(org) as session:
        there = repository.notice_of(session, org, p.id)
        now = clocks.chosen(session, org)
    standing = _standing(decision)
    if there is not None:
        # what is still to be written is written in the words chosen now; its clock is the one it was started with
        code = now.jurisdiction.code if there.state == "open" else there.jurisdiction
        return NoticeView(p.id, there.state, there.due_at, code, there, standing)
    if standing != "decline" or p.subject_id == ERASED:
        return NoticeView(p.id, "none", None, now.jurisdiction.code, None, standing)
    due = now.jurisdiction.due(p.created_at, _final_at(decision), now.days)
    return NoticeView(p.id, "open", due, now.jurisdiction.code, None, standing)


def notice_of(installation: Installation, context: Context, prediction_id: UUID) -> NoticeView:
    """Whether a notice is due, until when, or the one that went out."""
    return view_of(installation, context, decision_of(installation, context, prediction_id))


def page_of(installation: Installation, context: Context, prediction_id: UUID) -> bytes:
    """The document as it was issued, to print.

    :raises Conflict: none was issued.
    :raises NotFound: it was erased.
    """
    view = notice_of(installation, context, prediction_id)
    if view.notice is None or view.notice.issued_at is None:
        raise Conflict("No notice was issued for this decision.", remedy="Issue it first where one is due.")
    if view.notice.page is None:
        raise NotFound(
            "The document of this notice was erased.", remedy="See the ledger for its erasure; its hash stands there."
        )
    return view.notice.page.encode()


def list_notices(installation: Installation, context: Context, request: PageRequest, *, state: str | None = None,
                 due_within: int | None = None) -> Page[CreditNotice]:  # fmt: skip
    """Notices, newest first.

    :param due_within: only open ones whose clock ends within so many days from now, or has ended.
    :raises InvalidInput: a clock is asked for of notices that have none any more.
    """
    if due_within is not None and state not in (None, "open"):
        raise InvalidInput(f"A notice that is {state} is not due any more.", where=Where(field="state"),
                           remedy="Leave out the state, or the days.")  # fmt: skip
    context.require("credit.read")
    before = None if due_within is None else context.now + timedelta(days=due_within)
    with installation.database.read(context.organization_id) as session:
        return repository.notices(
            session, context.organization_id, request, state="open" if before else state, due_before=before
        )


def draft(installation: Installation, context: Context, prediction_id: UUID, reasons: Sequence[str] = ()) -> Notice:
    """The notice as it would go out now; nothing is recorded.

    :raises PlumblineError: what :func:`issue` would refuse.
    """
    context.require("credit.read")
    reading = reading_of(context)
    decision = decision_of(installation, reading, prediction_id)
    return _composed(installation, reading, decision, reasons)


def issue(installation: Installation, context: Context, prediction_id: UUID, *, channel: str, cause: str = "",
          reasons: Sequence[str] = ()) -> Issued:  # fmt: skip
    """Make the notice of a decline and record that it went out: one document, one entry with its hash. A second call gives the
    same document.

    :param channel: one of :data:`CHANNELS`.
    :param cause: why it is late; demanded after the clock has ended.
    :param reasons: of the person who declined what the model did not; of a decline by the model they are those that were scored.
    :raises Conflict: no decline stands, or the decision is erased.
    :raises InvalidInput: the reasons cannot be told, something of the creditor is not known, or a late one has no cause.
    """
    org = context.organization_id
    with Act(installation.database, context, "credit.notice.issue", "credit_notice", right=ASK) as act:
        act.done(prediction_id=str(prediction_id))
        reading = reading_of(context)
        decision = decision_of(installation, reading, prediction_id)
        view = view_of(installation, reading, decision)
        if view.notice is not None:
            act.resource_id = view.notice.id
            if view.state in clocks.ISSUED:
                return _again(act, view.notice)
        if channel not in CHANNELS:
            raise InvalidInput(f"'{channel}' is no way to send a notice.", where=Where(field="channel"),
                               remedy=f"Use one of {', '.join(CHANNELS)}.")  # fmt: skip
        made = _composed(installation, reading, decision, reasons)
        assert view.due_at is not None
        because = cause.strip()
        late = context.now > view.due_at
        if late and len(because) < LEAST:
            raise InvalidInput(
                f"This notice was due on {view.due_at:%d %B %Y}, {_days(context.now - view.due_at)} ago.", where=Where(field="cause"),
                remedy=f"Write in at least {LEAST} characters why it is late; that stands in the ledger.",
            )  # fmt: skip
        page = as_html(made)
        sha256 = hashlib.sha256(page).hexdigest()

        held(act.session, context, prediction_id)  # an override, an erasure or a twin may have come first
        review = repository.review_of(act.session, org, prediction_id)
        if review is not None and review.final_decision == "approve":
            raise _approved()
        there = repository.notice_of(act.session, org, prediction_id)
        if there is None:
            clocks.start(act.session, context, {prediction_id: _final_at(decision)})
            there = repository.notice_of(act.session, org, prediction_id)
            assert there is not None
        if there.state in clocks.ISSUED:
            return _again(act, there)
        if there.state != "open":
            raise _approved()
        state = "late" if late else "issued"
        told = [reason.to_dict() for reason in made.reasons]
        clocks.close(
            act.session, context, there.id, state=state, jurisdiction=made.jurisdiction, issued_at=context.now, issued_by=context.user_id,
            channel=channel, cause=because or None, reasons=told, document=made.to_dict(), page=page.decode(), document_sha256=sha256,
        )  # fmt: skip
        act.done(
            there.id, old={"state": "open"}, new={"state": state, "channel": channel}, document_sha256=sha256, due_at=there.due_at.isoformat(),
            jurisdiction=made.jurisdiction, text_version=made.version, reasons=[r.code for r in made.reasons], reasons_version=made.reasons_version,
            **({"cause": because} if because else {}),
        )  # fmt: skip
        issued = repository.notice_of(act.session, org, prediction_id)
        assert issued is not None
        return Issued(issued, False)


def _again(act: Act, there: CreditNotice) -> Issued:
    act.done(there.id, repeated=True, document_sha256=there.document_sha256)
    return Issued(there, True)


def _composed(installation: Installation, context: Context, decision: DecisionView, reasons: Sequence[str]) -> Notice:
    p = decision.prediction
    if p.subject_id == ERASED or p.content is None:
        raise Conflict("The input and the reasons of this decision were erased: no notice can be made from it any more.",
                       remedy="Answer the applicant from the dossier made before the erasure, or let them apply again.")  # fmt: skip
    standing = _standing(decision)
    if standing == "review":
        raise Conflict(
            "Nobody has decided about this application yet: no notice is due.", remedy="Resolve its review first."
        )
    if standing == "approve":
        raise _approved()
    with installation.database.read(context.organization_id) as session:
        now = clocks.chosen(session, context.organization_id)
    by_model = p.extra["decision"] == "decline"
    if by_model and any(text.strip() for text in reasons):
        raise InvalidInput("The model declined this application: its reasons are those that were scored.", where=Where(field="reasons"),
                           remedy="Leave the reasons out; override the decision if a person decides otherwise.")  # fmt: skip
    own = p.extra["decision"] == "approve" or any(text.strip() for text in reasons)
    scorer: Scorer = models.load(installation, decision.model)
    explained = _explained(installation, context, decision)
    chosen: tuple[Principal, ...]
    chosen = stated(reasons, now.jurisdiction) if own else principal(_grounds(explained, scorer), now.jurisdiction)
    lowest, highest = _range(installation, context, decision, scorer.policy.scale)
    against = [code for code, weight in explained["groups"].items() if weight > 0]
    basis = Basis(
        prediction_id=str(p.id), application=p.subject_id, decided_at=_final_at(decision) or p.created_at, scored_at=p.created_at, points=p.extra["points"], by_person=own,
        lowest=lowest, highest=highest, on_bureau=now.jurisdiction.bureau is not None and now.jurisdiction.rests_on_bureau(against),
        reasons_version=explained["version"],
    )  # fmt: skip
    return compose(now.jurisdiction, now.creditor, basis, chosen, context.now)


def _approved() -> Conflict:
    return Conflict("This application is approved: no notice of a decline is due.",
                    remedy="Override the decision first if a person declines it after all.")  # fmt: skip


def _standing(decision: DecisionView) -> str:
    """What holds: a person's final decision, or the model's."""
    review = decision.review
    return str((review.final_decision if review else None) or decision.prediction.extra["decision"])


def _final_at(decision: DecisionView) -> datetime | None:
    """When a person declined what the model did not."""
    review = decision.review
    if review is None or review.final_decision != "decline" or decision.prediction.extra["decision"] == "decline":
        return None
    return review.decided_at or review.closed_at


def _explained(installation: Installation, context: Context, decision: DecisionView) -> dict[str, Any]:
    """What was stored of the explanation; of a row of a file it is made again in full and must agree with what was stored.

    :raises Conflict: it came out otherwise, so what was scored is not known for certain.
    """
    stored = decision.prediction.explanation or {}
    if stored.get("groups") and all("text" in r for r in stored.get("reasons", ())):
        return dict(stored)
    again = explain(installation, context, decision.prediction.id)
    if [(r["code"], r["contribution"]) for r in again["reasons"]] != [
        (r["code"], r["contribution"]) for r in stored.get("reasons", ())
    ]:
        raise Conflict("The reasons of this decision came out otherwise when they were made again.",
                       remedy="Replay the decision to see what differs; its input or its model was changed.")  # fmt: skip
    return again


def _grounds(explained: dict[str, Any], scorer: Scorer) -> Grounds:
    attributes = scorer.schema.protected
    protected = {
        feature.reason or feature.name: attributes[column]
        for feature in scorer.features
        for column in sorted(feature.lineage & attributes.keys())
    }
    return Grounds(explained["reasons"], {f.name: f.text for f in scorer.features}, protected)


def _range(
    installation: Installation, context: Context, decision: DecisionView, scale: PointScale
) -> tuple[float | None, float | None]:
    """Points of the applications the version was measured on, lowest and highest; None where they are not kept."""
    import numpy as np

    measured = {
        one.evaluation.dataset: one.evaluation.extra
        for one in reversed(models.evaluations_of(installation, context, decision.model.id))
    }
    for dataset in ("test", "policy", "cross_validation"):  # not what became known of its accepted ones later
        if fine := measured.get(dataset, {}).get("histogram"):
            counts = np.sum(np.asarray(fine, dtype=np.int64), axis=0)
            used = np.flatnonzero(counts)
            if len(used):
                ends = np.clip((used[[0, -1]] + 0.5) / len(counts), 1e-9, 1 - 1e-9)
                best, worst = scale.points(np.log(ends / (1 - ends))).tolist()
                return worst, best
    return None, None


def reading_of(context: Context) -> Context:
    """Who may issue a notice may read what it is made from."""
    return replace(context, rights=context.rights | {"credit.read", "models.read"})


def _days(span: timedelta) -> str:
    return "1 day" if span.days == 1 else f"{span.days} days" if span.days else "less than a day"


def fault_of(installation: Installation, context: Context, decision: DecisionView) -> Notice | PlumblineError:
    """The draft of a decision that is at hand, or why there is none."""
    context.require("credit.read")
    try:
        return _composed(installation, reading_of(context), decision, ())
    except PlumblineError as error:
        return error
