"""``/api/v1/punctuality``."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from plumbline.kernel.faces.http import Caller, House
from plumbline.kernel.paging import PageRequest
from plumbline_example_room import service

router = APIRouter()


class NewDelivery(BaseModel):
    """What is to be judged."""

    reference: str
    promised_on: date
    arrived_on: date


class Delivery(NewDelivery):
    """A judged delivery."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    verdict: str


@router.post("/punctuality/deliveries", status_code=201, summary="Judge a delivery and keep it")
def record_delivery(house: House, caller: Caller, body: NewDelivery) -> Delivery:
    given = body.model_dump()
    key, verdict = service.record(house, caller, **given)
    return Delivery(id=key, verdict=verdict, **given)


@router.get("/punctuality/deliveries", summary="Deliveries, newest first")
def list_deliveries(house: House, caller: Caller, limit: int = 100, cursor: str | None = None) -> dict[str, Any]:
    page, late = service.deliveries(house, caller, PageRequest.parse(limit, cursor))
    items = [Delivery.model_validate(item) for item in page.items]
    return {"items": items, "next": page.next, "total": page.total_text, "late": late}
