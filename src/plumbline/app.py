"""The web application: assembles the routers and pages of the kernel's parts and the rooms. No logic of its own."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hmac import compare_digest

from fastapi import Depends, FastAPI, Request
from prometheus_client import generate_latest
from starlette.responses import PlainTextResponse, Response

from plumbline import __version__
from plumbline.console import views
from plumbline.kernel import room
from plumbline.kernel.errors import Forbidden
from plumbline.kernel.faces.asgi import Metrics, Requests
from plumbline.kernel.faces.http import ERRORS, Problem, install_errors
from plumbline.kernel.installation import Installation
from plumbline.kernel.lifecycle.api import root


def create_app(installation: Installation, *, close: bool = False) -> FastAPI:
    """The API under ``/api/v1``, the console at ``/``, health and metrics beside them.

    :param close: close the installation when the server ends.
    """

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        if close:
            installation.close()

    app = FastAPI(
        title="Plumbline", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url="/api/v1/openapi.json",
        description="The system of record for automated decisions.", dependencies=[Depends(views.same_origin)],
        generate_unique_id_function=lambda route: route.name,
    )  # fmt: skip
    app.state.installation = installation
    for part in room.everything():
        if part.templates:
            views.register_templates(part.templates, part.name)
        if part.router:
            app.include_router(room.load(part.router), prefix="/api/v1", responses=ERRORS, tags=[part.name])
        if part.pages:
            app.include_router(room.load(part.pages), include_in_schema=False)
    app.include_router(root)
    install_errors(app)
    metrics = Metrics()
    _add_metrics(app, metrics)
    # the last one added is the outermost: headers stand on every answer, also on those of the limits
    app.add_middleware(Requests, metrics=metrics, largest_request=installation.settings.max_request_bytes,
                       largest_file=installation.settings.max_upload_bytes)  # fmt: skip
    views.install(app)
    _document_problems(app)
    return app


def _document_problems(app: FastAPI) -> None:
    """The problem document's schema, once; every route's errors point to it."""
    generate = app.openapi

    def openapi() -> dict[str, object]:
        if not app.openapi_schema:
            schema = generate()
            schemas = schema.setdefault("components", {}).setdefault("schemas", {})
            schemas["Problem"] = Problem.model_json_schema()
        return app.openapi_schema or generate()

    app.openapi = openapi  # type: ignore[method-assign]


def _add_metrics(app: FastAPI, metrics: Metrics) -> None:
    @app.get("/metrics", include_in_schema=False)
    def prometheus(request: Request) -> Response:
        installation: Installation = request.app.state.installation
        token = installation.settings.metrics_token
        if token is not None:
            allowed = compare_digest(request.headers.get("authorization", ""), f"Bearer {token.get_secret_value()}")
        else:
            host = request.client.host if request.client else ""
            allowed = host == "testclient" or ipaddress.ip_address(host).is_loopback
        if not allowed:
            raise Forbidden(
                "Metrics are for this machine, or for who holds the token.", remedy="Set PLUMBLINE_METRICS_TOKEN."
            )
        return PlainTextResponse(generate_latest(metrics.registry), media_type="text/plain; version=0.0.4")
