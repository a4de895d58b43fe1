"""Servers to be asked: the product's own, with two addresses for the benchmark, and FastAPI alone beside it."""

from __future__ import annotations

import os
import socket
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import sqlalchemy as sa
import uvicorn
from fastapi import APIRouter, FastAPI, Request
from sqlalchemy.orm import Session

from benchmarks.processes import say
from plumbline.app import create_app
from plumbline.credit.answers import listed
from plumbline.credit.api import PredictionOut, PredictionPage
from plumbline.kernel.faces.http import Caller, House
from plumbline.kernel.installation import Installation
from plumbline.kernel.jobs.worker import Worker, ensure_schedules
from plumbline.kernel.ledger.service import Act
from plumbline.kernel.models.predictions import LIGHT
from plumbline.kernel.models.tables import Prediction
from plumbline.settings import Settings

PREFIX = "/api/v1/benchmark"
CPU, EMPTY, ROWS = f"{PREFIX}/cpu", f"{PREFIX}/empty", f"{PREFIX}/rows"

spent = APIRouter(prefix=PREFIX)


@spent.get("/cpu")
def cpu() -> dict[str, float]:
    """CPU-seconds of the server's process so far."""
    return {"seconds": time.process_time()}


own = APIRouter(prefix=PREFIX)


@own.post("/empty")
def empty(house: House, context: Caller) -> dict[str, bool]:
    """A use case that does nothing but happen: who asks, for which organization, one audit entry."""
    with Act(house.database, context, "benchmark.empty", "benchmark", right="credit.read") as act:
        act.done()
    return {"done": True}


@own.get("/rows")
def plain(request: Request) -> PredictionPage:
    """The newest fifty decisions as FastAPI and SQLAlchemy alone would list them: no key, no tenant, no page, no count."""
    with Session(request.app.state.plain) as session:
        rows = session.scalars(sa.select(Prediction).options(*LIGHT).order_by(Prediction.id.desc()).limit(50)).all()
    return PredictionPage(items=[PredictionOut(**listed(row)) for row in rows], next=None, total=None)


def serve(home: str, database_url: str, worker_threads: int) -> None:
    """The product's server on a free port, which it says first."""
    installation = Installation.open(
        Settings(home=Path(home), database_url=database_url, worker_threads=worker_threads)
    )
    app = create_app(installation)
    app.state.plain = sa.create_engine(installation.database.url)
    for router in (spent, own):
        app.include_router(router)
    worker = None
    if worker_threads:
        ensure_schedules(installation)
        worker = Worker(installation, name=f"benchmark-{os.getpid()}", threads=worker_threads)
        worker.start()
    _listen(app)
    if worker is not None:
        worker.stop()
    installation.close()


def bare() -> None:
    """FastAPI alone: a list of fifty rows, and nothing that answers for them."""
    app, now = FastAPI(), datetime.now(UTC)
    rows: list[dict[str, Any]] = [
        {"id": UUID(int=i), "subject_id": str(100_000 + i), "probability": i / 101, "risk_level": "Low", "decision": "approve",
         "points": 600.0, "model_id": UUID(int=7), "batch_id": None, "created_at": now}
        for i in range(50)
    ]  # fmt: skip

    @app.get(ROWS)
    def listed() -> PredictionPage:
        return PredictionPage(items=[PredictionOut(**row) for row in rows], next=None, total="50")

    app.include_router(spent)
    _listen(app)


def _listen(app: FastAPI) -> None:
    # Named as TCP, because asyncio turns Nagle's algorithm off only for sockets that say so.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        say({"port": listener.getsockname()[1]})
        uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_keep_alive=120)).run(
            sockets=[listener]
        )
