"""The acts of the decision's page on notices, on reviews that applicants ask for, and on final decisions by people."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from plumbline.console import views
from plumbline.credit import service, words
from plumbline.credit.notices.document import POLICY
from plumbline.credit.pages import decision
from plumbline.credit.pages.notice_card import Forms, card_of
from plumbline.credit.service import notices
from plumbline.kernel.errors import InvalidInput
from plumbline.kernel.faces.http import House, Visitor

router = APIRouter()
Text = Annotated[str, Form()]


@router.get("/credit/decisions/{prediction_id}/notice")
def notice_page(house: House, visitor: Visitor, prediction_id: UUID) -> Response:
    """The document as it was issued: it prints as it stands."""
    page = notices.page_of(house, visitor, prediction_id)
    return Response(page, media_type="text/html; charset=utf-8", headers={"Content-Security-Policy": POLICY})


@router.post("/credit/decisions/{prediction_id}/notice")
def issue_notice(
    request: Request, house: House, visitor: Visitor, prediction_id: UUID, channel: Text = "", cause: Text = "", reasons: Text = ""
) -> Response:  # fmt: skip
    try:
        issued = notices.issue(
            house, visitor, prediction_id, channel=channel, cause=cause, reasons=reasons.splitlines()
        )
    except InvalidInput as error:
        given = {"channel": channel, "cause": cause, "reasons": reasons}
        return _faulty(request, house, visitor, prediction_id, "issue", error, given)
    said = (
        "This notice was issued before: it is the same document."
        if issued.repeated
        else "The notice is issued. Its hash stands in the ledger."
    )
    return views.redirect(request, f"/credit/decisions/{prediction_id}", flash=said)


@router.post("/credit/decisions/{prediction_id}/request-review")
def request_review(
    request: Request, house: House, visitor: Visitor, prediction_id: UUID, through: Text = "", words: Text = ""
) -> Response:
    try:
        review = service.request_review(house, visitor, prediction_id, through=through, words=words)
    except InvalidInput as error:
        return _faulty(request, house, visitor, prediction_id, "request", error, {"through": through, "words": words})
    return views.redirect(
        request, f"/credit/decisions/{prediction_id}", flash=f"The review is open, due on {review.due_at:%d %b %Y}."
    )


@router.post("/credit/decisions/{prediction_id}/override")
def override_decision(
    request: Request, house: House, visitor: Visitor, prediction_id: UUID, final: Text = "", cause: Text = ""
) -> Response:
    try:
        review = service.override(house, visitor, prediction_id, decision=final, cause=cause)
    except InvalidInput as error:
        return _faulty(request, house, visitor, prediction_id, "override", error, {"final": final, "cause": cause})
    return views.redirect(request, f"/credit/decisions/{prediction_id}", flash=decision.said_of(review))


FIELDS = {"decision": "final-1", "channel": "channel", "cause": "cause", "reasons": "reasons", "through": "through"}


def _faulty(request: Request, house: House, visitor: Visitor, prediction_id: UUID, form: str, error: InvalidInput,
            given: dict[str, Any]) -> Response:  # fmt: skip
    """The dialog again, with what was typed and what to do about it."""
    name = (error.where.field if error.where else None) or ""
    found = {FIELDS.get(name.partition(".")[0], f"{form}-error"): words.told(error)}
    forms = Forms(**{form: (found, given)})
    if not views.is_partial(request):
        return decision.page_of(request, house, visitor, prediction_id, status=422, forms=forms)
    view = service.decision_of(house, visitor, prediction_id)
    return views.fragment(
        request, f"credit/_{form}.html", status=422, view=view, words=words, found=found, given=given, **card_of(house, visitor, view, forms)
    )  # fmt: skip
