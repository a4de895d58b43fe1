"""One use case = one transaction = one audit entry. The command, the API and the page all call these."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from plumbline.kernel.context import Context
from plumbline.kernel.database import new_id
from plumbline.kernel.errors import Conflict, InvalidInput, Where
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger.service import Act
from plumbline.kernel.paging import Page, PageRequest
from plumbline_example_room import lateness, repository
from plumbline_example_room.tables import Delivery


def record(
    installation: Installation, context: Context, *, reference: str, promised_on: date, arrived_on: date
) -> tuple[UUID, lateness.Verdict]:
    """Judge a delivery and keep it.

    :raises InvalidInput: without a reference.
    :raises Conflict: the reference is recorded already.
    """
    database = installation.database
    with Act(database, context, "punctuality.record", "delivery", right="punctuality.record") as act:
        if not reference.strip():
            raise InvalidInput("The delivery has no reference.", where=Where(field="reference"), remedy="Name it.")
        verdict = lateness.judge(promised_on, arrived_on)
        key = new_id(context.now)
        new = {"reference": reference.strip(), "verdict": verdict}
        days = {"promised_on": promised_on, "arrived_on": arrived_on}
        if not repository.insert(
            act.session, id=key, organization_id=context.organization_id, created_at=context.now, **new, **days
        ):
            raise Conflict(
                f"The delivery '{new['reference']}' is recorded already.", remedy="See: plumbline punctuality list"
            )
        act.done(key, new={**new, **{name: day.isoformat() for name, day in days.items()}})
    return key, verdict


def deliveries(installation: Installation, context: Context, request: PageRequest) -> tuple[Page[Delivery], int]:
    """A page of them, and how many were late."""
    context.require("punctuality.read")
    with installation.database.read(context.organization_id) as session:
        organization = context.organization_id
        return repository.deliveries(session, organization, request), repository.late(session, organization)
