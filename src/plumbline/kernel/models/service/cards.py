"""The model card of a version, out of the record."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from plumbline.kernel import clock
from plumbline.kernel.context import Context
from plumbline.kernel.installation import Installation
from plumbline.kernel.models import card, repository
from plumbline.kernel.models.service.registry import detail


def card_of(installation: Installation, context: Context, key: str | UUID) -> dict[str, Any]:
    """
    :param key: id, ``name@version``, or name (the live version, else the newest).
    :raises NotFound: there is no such version in this organization.
    """
    found = detail(installation, context, key)
    with installation.database.read(context.organization_id) as session:
        row = repository.reference(session, context.organization_id, found.model.id)
    held = (
        None
        if row is None
        else {"id": str(row.id), "rows": row.row_count, "sha256": row.sha256, "made": clock.text(row.created_at)}
    )
    return card.card(found, held)
