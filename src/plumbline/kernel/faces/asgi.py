"""Around every request: its id, its limit, its measurement, and an answer where nobody foresaw the error."""

from __future__ import annotations

import logging
import re
import time
import uuid
from typing import Any

from fastapi import Request
from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from plumbline.kernel.faces.http import Unexpected, answer, too_large

log = logging.getLogger("plumbline.http")
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_FILES = (
    "multipart/form-data",
    "application/octet-stream",
    "application/zip",
    "text/csv",
    "application/vnd.apache.parquet",
)


class Metrics:
    """Prometheus series of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self.requests = Counter("plumbline_http_requests_total", "Requests answered", labels, registry=self.registry)
        self.seconds = Histogram("plumbline_http_request_seconds", "Time to answer", ("method", "route"), registry=self.registry,
                                 buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10))  # fmt: skip


class Requests:
    """Pure ASGI: a request id (the caller's if it is a sane one), a byte limit, metrics, one log line."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, largest_request: int, largest_file: int) -> None:
        self.app, self.metrics = app, metrics
        self.largest_request, self.largest_file = largest_request, largest_file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"").decode("latin-1")
        request_id = given if _ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        is_file = headers.get(b"content-type", b"").decode("latin-1").startswith(_FILES)
        limit = self.largest_file + 1_000_000 if is_file else self.largest_request
        began, status, started, received = time.perf_counter(), 500, False, 0

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise too_large(limit)
            return message

        async def tagged(message: Message) -> None:
            nonlocal status, started
            if message["type"] == "http.response.start":
                status, started = message["status"], True
                message["headers"] = [*message.get("headers", []), (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            declared = headers.get(b"content-length", b"0")
            if declared.isdigit() and int(declared) > limit:
                await answer(Request(scope), too_large(limit))(scope, receive, tagged)
            else:
                await self.app(scope, limited, tagged)
        except Exception:
            log.exception("unexpected error", extra={"request_id": request_id, "path": scope["path"]})
            if started:
                raise
            error = Unexpected(f"An unexpected error happened; nothing was changed. Its id is {request_id}.",
                               remedy="Try again; if it stays, give this id to your administrator.")  # fmt: skip
            await answer(Request(scope), error)(scope, receive, tagged)
        finally:
            self._measure(scope, status, time.perf_counter() - began, request_id)

    def _measure(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        route: Any = scope.get("route")
        path = getattr(route, "path", "unmatched")  # the pattern, never the address: ids are no labels
        self.metrics.requests.labels(scope["method"], path, str(status)).inc()
        self.metrics.seconds.labels(scope["method"], path).observe(seconds)
        log.info("request", extra={"request_id": request_id, "method": scope["method"], "route": path, "status": status,
                                   "ms": round(seconds * 1000, 2)})  # fmt: skip
