"""Notices of declines, reviews that applicants ask for, overrides: ``/credit/notices``, ``/credit/predictions/{id}/notice | review | override``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from plumbline.credit import service
from plumbline.credit.answers import notice_facts, review_facts
from plumbline.credit.notices.document import POLICY
from plumbline.credit.service import notices
from plumbline.kernel.faces.http import Caller, House
from plumbline.kernel.paging import PageRequest

router = APIRouter()
Decision = Literal["approve", "decline"]
State = Literal["open", "issued", "late", "withdrawn"]
A_PAGE: dict[int | str, dict[str, Any]] = {200: {"description": "The document", "content": {"text/html": {}}}}


class NoticeOut(BaseModel):
    """A decline's notice and its clock."""

    id: UUID | None
    prediction_id: UUID
    jurisdiction: str
    state: Literal["none", "open", "issued", "late", "withdrawn"] = Field(description="none: no notice is due.")
    due_at: datetime | None
    issued_at: datetime | None
    channel: str | None
    cause: str | None = Field(description="Why it was late.")
    reasons: list[dict[str, Any]]
    document_sha256: str | None = Field(description="SHA-256 of the page to print; it stands in the ledger.")
    earlier: list[dict[str, Any]] = Field(
        description="What went out before it was withdrawn and due again: when, how, its hash."
    )
    document: dict[str, Any] | None = Field(description="What stands in it, once it is issued.")


class IssuedOut(NoticeOut):
    repeated: bool = Field(description="It was issued before: this is the same document.")


class NoticePage(BaseModel):
    items: list[NoticeOut]
    next: str | None
    total: str | None


class IssueIn(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"channel": "letter"}})

    channel: Literal["letter", "email", "portal", "branch"]
    cause: str = Field("", max_length=4000, description="Why it is late; demanded after the clock has ended.")
    reasons: list[Annotated[str, Field(max_length=300)]] = Field(
        default=[],
        max_length=20,
        description="Of the person who declined what the model did not. Of the model's declines they are those that were scored.",
    )


class RequestIn(BaseModel):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"through": "email", "words": "My income rose in June."}}
    )

    through: Literal["letter", "email", "portal", "branch", "phone"]
    words: str = Field("", max_length=4000, description="What the applicant says about it.")


class OverrideIn(BaseModel):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"decision": "approve", "cause": "The payslip shows a second income."}}
    )  # fmt: skip

    decision: Decision
    cause: str = Field(max_length=4000, description="At least 10 characters; auditors read it.")


class ReviewOut(BaseModel):
    """A person's look at a decision. A proposal waits for a second person."""

    id: UUID
    prediction_id: UUID
    state: Literal["open", "acknowledged", "resolved"]
    due_at: datetime
    final_decision: Decision | None
    cause: str | None
    proposed_decision: Decision | None
    requested_at: datetime | None
    requested_through: str | None
    closed_at: datetime | None


@router.get("/notices", summary="Notices of declines, newest first")
def list_credit_notices(
    house: House, caller: Caller, limit: int | None = None, cursor: str | None = None, state: State | None = None,
    due_within: Annotated[int | None, Query(ge=0, le=365, description="Open ones due within so many days, and overdue ones.")] = None,
) -> NoticePage:  # fmt: skip
    page = notices.list_notices(house, caller, PageRequest.parse(limit, cursor), state=state, due_within=due_within)
    items = [NoticeOut(**notice_facts(n), document=None) for n in page.items]
    return NoticePage(items=items, next=page.next, total=page.total_text or None)


@router.get(
    "/predictions/{prediction_id}/notice", summary="Whether a notice is due, until when, or the one that went out"
)
def get_credit_notice(house: House, caller: Caller, prediction_id: UUID) -> NoticeOut:
    view = notices.notice_of(house, caller, prediction_id)
    if view.notice is None:
        known = {
            "prediction_id": prediction_id,
            "jurisdiction": view.jurisdiction,
            "state": view.state,
            "due_at": view.due_at,
        }
        return NoticeOut.model_validate(dict.fromkeys(NoticeOut.model_fields) | {"reasons": [], "earlier": []} | known)
    return NoticeOut(**notice_facts(view.notice), document=view.notice.document)


@router.get(
    "/predictions/{prediction_id}/notice.html",
    summary="The document as it was issued, to print",
    response_class=Response,
    responses=A_PAGE,
)
def print_credit_notice(house: House, caller: Caller, prediction_id: UUID) -> Response:
    page = notices.page_of(house, caller, prediction_id)
    return Response(page, media_type="text/html; charset=utf-8", headers={"Content-Security-Policy": POLICY})


@router.post("/predictions/{prediction_id}/notice", summary="Make the notice of a decline and record that it went out")
def issue_credit_notice(house: House, caller: Caller, prediction_id: UUID, given: IssueIn) -> IssuedOut:
    issued = notices.issue(
        house, caller, prediction_id, channel=given.channel, cause=given.cause, reasons=given.reasons
    )
    return IssuedOut(**notice_facts(issued.notice), document=issued.notice.document, repeated=issued.repeated)


@router.post("/predictions/{prediction_id}/review", summary="The applicant asks for a review, of any decision")
def request_credit_review(house: House, caller: Caller, prediction_id: UUID, given: RequestIn) -> ReviewOut:
    found = service.request_review(house, caller, prediction_id, through=given.through, words=given.words)
    return ReviewOut(**review_facts(found))


@router.post("/predictions/{prediction_id}/override", summary="A person's final decision, with a written cause")
def override_credit_decision(house: House, caller: Caller, prediction_id: UUID, given: OverrideIn) -> ReviewOut:
    found = service.override(house, caller, prediction_id, decision=given.decision, cause=given.cause)
    return ReviewOut(**review_facts(found))
