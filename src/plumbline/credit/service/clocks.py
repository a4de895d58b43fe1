"""The clocks of notices, moved in the transactions of the acts that start and stop them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from plumbline.credit import repository
from plumbline.credit.notices import Creditor, Jurisdiction, jurisdictions
from plumbline.credit.tables import CreditNotice
from plumbline.kernel import clock
from plumbline.kernel.context import Context
from plumbline.kernel.database import WriteSession, new_id
from plumbline.kernel.errors import Corrupt, Where
from plumbline.kernel.findings import service as findings
from plumbline.kernel.identity import repository as people
from plumbline.kernel.models.tables import Prediction

ROOM = "credit"
SETTING = "credit_notices"
"""Name of the organization's setting: jurisdiction, creditor, days."""
DEFAULT = "neutral"
ISSUED = ("issued", "late")


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the organization chose: whose texts and clock, in whose name, and a clock of its own if it is shorter."""

    jurisdiction: Jurisdiction
    creditor: Creditor
    days: int | None = None


def chosen(session: Session, organization_id: UUID) -> Chosen:
    """Without a choice: no particular jurisdiction, and a creditor of whom only the organization's name is known.

    :raises Corrupt: the stored choice names a jurisdiction that is not shipped any more.
    """
    organization = people.organization(session, organization_id)
    given: dict[str, Any] = ((organization.settings or {}) if organization else {}).get(SETTING) or {}
    code = given.get("jurisdiction", DEFAULT)
    found = jurisdictions().get(code)
    if found is None:
        raise Corrupt(f"There are no texts for the jurisdiction '{code}'.", where=Where(field="jurisdiction"),
                      remedy=f"Choose one of {', '.join(jurisdictions())}: plumbline credit notices settings")  # fmt: skip
    named = {"creditor": organization.name if organization else "", **given}
    return Chosen(found, Creditor.of(named), given.get("days"))


def start(session: WriteSession, context: Context, declined: Mapping[UUID, datetime | None]) -> int:
    """Start the clock of each of these declines that has none; how many were started.

    :param declined: decision → when a person declined what the model did not; None where the model declined.
    """
    if not declined:
        return 0
    now = chosen(session, context.organization_id)
    rows = []
    for key, decided_at in repository.decided_at(session, context.organization_id, list(declined)):
        due = now.jurisdiction.due(decided_at, declined[key], now.days)
        rows.append({
            "id": new_id(context.now), "organization_id": context.organization_id, "prediction_id": key, "kind": "adverse_action",
            "jurisdiction": now.jurisdiction.code, "state": "open", "due_at": due, "created_at": context.now, "updated_at": context.now,
        })  # fmt: skip
    return repository.insert_notices(session, rows)


def settle(session: WriteSession, context: Context, decided: Prediction, decision: str) -> str | None:
    """A person's final decision moves the clock: an approval withdraws the notice, a decline starts it.

    :returns: what became of the notice, or None if nothing changed.
    """
    org = context.organization_id
    there = repository.notice_of(session, org, decided.id)
    if decision == "approve":
        if there is None or there.state == "withdrawn":
            return None
        close(session, context, there.id, state="withdrawn")
        return "withdrawn" if there.state == "open" else "withdrawn after it was issued"
    if there is None:
        start(session, context, {decided.id: None if decided.extra["decision"] == "decline" else context.now})
        return "due"
    if there.state != "withdrawn":
        return None
    now = chosen(session, org)
    earlier = there.earlier or []
    if there.issued_at is not None:  # what the applicant has in hand is kept beside what will follow
        told = {
            name: getattr(there, name)
            for name in ("jurisdiction", "channel", "cause", "reasons", "document", "page", "document_sha256")
        }
        earlier = [*earlier, {"issued_at": clock.text(there.issued_at), **told}]
    repository.update_notices(
        session, org, [there.id], state="open", jurisdiction=now.jurisdiction.code,
        due_at=now.jurisdiction.due(decided.created_at, context.now, now.days), earlier=earlier or None, issued_at=None, issued_by=None, channel=None, cause=None, reasons=None,
        document=None, page=None, document_sha256=None, owner_id=None, warned_at=None, overdue_at=None, closed_at=None, updated_at=context.now,
    )  # fmt: skip
    return "due again"


def finding_of(notice: CreditNotice, subject_id: str) -> dict[str, Any]:
    """What the triage list shows of a notice whose clock is running out, or has."""
    over = notice.overdue_at is not None
    said = f"Notice {'overdue since' if over else 'due on'} {notice.due_at:%d %B %Y}"
    return {
        "room": ROOM, "subject_id": notice.id, "title": f"{said}: application {subject_id}", "severity": "critical" if over else "high",
        "url": f"/credit/decisions/{notice.prediction_id}", "fingerprint": f"notice:{notice.prediction_id}", "due_at": notice.due_at,
        "tags": ["notice"], "score": None,
    }  # fmt: skip


def close(session: WriteSession, context: Context, notice_id: UUID, **values: Any) -> None:
    """The clock stops, and with it what the triage list says of it."""
    repository.update_notices(
        session, context.organization_id, [notice_id], closed_at=context.now, updated_at=context.now, **values
    )
    findings.follow(session, context, room=ROOM, subject_id=notice_id, state="resolved")
