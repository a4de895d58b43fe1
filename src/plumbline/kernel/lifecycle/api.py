"""Health over HTTP: in full for people and monitors with a key, in a word for load balancers."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict

from plumbline.kernel.faces.http import Caller, House
from plumbline.kernel.lifecycle import health

router = APIRouter()
root = APIRouter(tags=["lifecycle"])
"""Outside of ``/api/v1``; needs no key, so it tells names and states alone."""


class HealthCheck(BaseModel):
    """One thing looked at; ``facts`` are figures by name, sizes in bytes and times in seconds."""

    name: str
    state: Literal["ok", "warn", "bad"]
    said: str
    remedy: str | None
    facts: dict[str, Any]


class HealthReport(BaseModel):
    """``healthy`` unless a check is bad."""

    model_config = ConfigDict(json_schema_extra={"example": {
        "healthy": True, "version": "0.1.0", "at": "2026-11-24T09:41:00Z",
        "checks": [{"name": "database", "state": "ok", "said": "PostgreSQL 18.6 answers.", "remedy": None,
                    "facts": {"engine": "PostgreSQL 18.6", "ms": 0.8, "pool_size": 20, "pool_in_use": 1, "clock_skew": 0.0}}],
    }})  # fmt: skip

    healthy: bool
    version: str
    at: datetime
    checks: list[HealthCheck]


class Liveness(BaseModel):
    model_config = ConfigDict(json_schema_extra={"example": {"live": True}})

    live: bool


class Readiness(BaseModel):
    """State of each check by its name."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"ready": True, "checks": {"database": "ok", "migrations": "ok"}}}
    )

    ready: bool
    checks: dict[str, Literal["ok", "warn", "bad"]]


@router.get("/health")
def get_health(house: House, caller: Caller) -> HealthReport:
    """Everything that is needed, with figures and what to do. Answers 200 also when something is bad: read `healthy`."""
    caller.require("health.read")
    found = health.check(house)
    checks = [
        HealthCheck(name=c.name, state=c.state, said=c.said, remedy=c.remedy, facts=c.facts) for c in found.checks
    ]
    return HealthReport(healthy=found.healthy, version=found.version, at=found.at, checks=checks)


@root.get("/health/live")
def get_liveness() -> Liveness:
    """The process answers."""
    return Liveness(live=True)


@root.get(
    "/health/ready", responses={503: {"model": Readiness, "description": "Something that is needed is not there"}}
)
def get_readiness(house: House, response: Response) -> Readiness:
    """Database, migrations, model files and workers are there: send work here."""
    found = health.ready(house)
    if not found.healthy:
        response.status_code = 503
    return Readiness(ready=found.healthy, checks={c.name: c.state for c in found.checks})


# load balancers ask with HEAD, which FastAPI answers with 405 unless told
root.add_api_route("/health/live", get_liveness, methods=["HEAD"], include_in_schema=False, name="head_liveness")
root.add_api_route("/health/ready", get_readiness, methods=["HEAD"], include_in_schema=False, name="head_readiness")
