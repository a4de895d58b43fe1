"""What the decision's page shows of its notice, of a review the applicant asks for, and of a person's own decision."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from plumbline.credit import words
from plumbline.credit.modelling.reasons import MOST_REASONS
from plumbline.credit.notices import Notice, jurisdictions
from plumbline.credit.service import DecisionView, notices
from plumbline.kernel.context import Context
from plumbline.kernel.errors import PlumblineError
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger.service.erasing import ERASED

Form = tuple[dict[str, str], dict[str, str]]
"""(faults by field id, what was typed)."""
EMPTY: Form = ({}, {})


@dataclass(frozen=True, slots=True)
class Forms:
    """What was typed into the dialogs, with its faults."""

    issue: Form = field(default_factory=lambda: EMPTY)
    request: Form = field(default_factory=lambda: EMPTY)
    override: Form = field(default_factory=lambda: EMPTY)


def card_of(installation: Installation, visitor: Context, view: DecisionView, forms: Forms, *, composed: bool = True) -> dict[str, Any]:  # fmt: skip
    """The template's variables.

    :param composed: show what a notice would say; of a row of a long file that reads the file.
    """
    found = notices.view_of(installation, visitor, view)
    texts = jurisdictions().get(found.jurisdiction)
    model, erased = view.prediction.extra["decision"], view.prediction.subject_id == ERASED
    waiting = view.review is not None and view.review.state != "resolved"
    asked = waiting and view.review is not None and view.review.requested_at is not None
    may_issue = visitor.may("credit.notice") and found.state == "open" and not erased
    draft: Notice | None = None
    fault: PlumblineError | None = None
    if composed and may_issue and model != "approve":
        made = notices.fault_of(installation, visitor, view)
        if isinstance(made, Notice):
            draft = made
        elif model == "decline" or not _about_reasons(made):  # else a person writes the reasons
            fault = made
    return {
        "notice": found, "late": found.late(visitor.now), "may_issue": may_issue and fault is None, "draft": draft, "notice_fault": fault,
        "notice_title": texts.title if texts else found.jurisdiction, "notice_most": texts.most if texts else MOST_REASONS,
        "own_reasons": model != "decline", "may_ask": visitor.may("credit.notice") and not asked and not erased,
        "may_override": visitor.may("credit.approve") and not waiting and not erased, "forms": forms, "channels": words.CHANNELS,
        "through": words.THROUGH,
    }  # fmt: skip


def _about_reasons(fault: PlumblineError) -> bool:
    return fault.where is not None and (fault.where.field or "").startswith("reasons")
