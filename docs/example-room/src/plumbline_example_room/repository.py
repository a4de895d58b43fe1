"""Every query of the room, limited to the organization."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from plumbline.kernel.database import WriteSession, changed, page, scoped, upsert
from plumbline.kernel.paging import Page, PageRequest
from plumbline_example_room.tables import Delivery


def insert(session: WriteSession, **values: Any) -> bool:
    """False if the organization has a delivery of that reference."""
    statement = upsert(session, Delivery).values(**values)
    unique = ["organization_id", "reference"]
    return changed(session.execute(statement.on_conflict_do_nothing(index_elements=unique))) == 1


def deliveries(session: Session, organization_id: UUID, request: PageRequest) -> Page[Delivery]:
    return page(session, scoped(Delivery, organization_id), Delivery, request)


def late(session: Session, organization_id: UUID) -> int:
    counted = sa.select(sa.func.count()).select_from(Delivery)
    return session.scalar(counted.where(Delivery.organization_id == organization_id, Delivery.verdict == "late")) or 0
