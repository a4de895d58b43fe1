"""What the room keeps. A further table's name begins with the room's."""

from __future__ import annotations

from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from plumbline.kernel.database import Table, TenantOwned, by_time, one_of, options, types


class Delivery(TenantOwned, Table):
    """One delivery and how it was judged."""

    __tablename__ = "punctuality_deliveries"
    __table_args__ = options(
        sa.UniqueConstraint("organization_id", "reference"),
        one_of("verdict", "early", "in_time", "late"),
        by_time("punctuality_deliveries"),
        owner="punctuality",
    )

    reference: Mapped[str]
    promised_on: Mapped[date] = mapped_column(types.Day)
    arrived_on: Mapped[date] = mapped_column(types.Day)
    verdict: Mapped[str]
    created_at: Mapped[datetime]
