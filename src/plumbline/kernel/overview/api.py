"""``/api/v1/metrics``: what each room measures about its own work."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from plumbline.kernel.faces.http import Caller, House
from plumbline.kernel.overview.service import metric_facts
from plumbline.kernel.sources import taken

router = APIRouter()


class MetricOut(BaseModel):
    """A metric source, measured now. Without a value it says why; a share of fewer than 20 has none."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "key": "credit.notices_in_time", "title": "Notices that went out in time", "unit": "share", "direction": "up", "window_days": 91,
        "value": 0.97, "numerator": 97, "denominator": 100, "measured_at": "2026-11-24T09:41:00Z", "evidence": "/findings?room=credit", "reason": "",
    }})  # fmt: skip

    key: str
    title: str
    unit: Literal["share", "number"]
    direction: Literal["up", "down", "one"] = Field(
        description="Which way is better; `one`: the nearer to 1 the better."
    )
    window_days: int | None = Field(description="How far back it looks; null: at the newest there is.")
    value: float | None
    numerator: float | None
    denominator: float | None
    measured_at: datetime | None
    evidence: str = Field(description="The page where a person can see it.")
    reason: str


class MetricList(BaseModel):
    items: list[MetricOut]


@router.get("/metrics")
def list_metrics(house: House, caller: Caller) -> MetricList:
    """Every metric source that the caller may see, measured now."""
    return MetricList(items=[MetricOut(**metric_facts(source, sample)) for source, sample in taken(house, caller)])
