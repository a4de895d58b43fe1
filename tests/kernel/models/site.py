"""The kernel's faces of models, findings and jobs as one small application, and people signed in to it."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from fastapi import Depends, FastAPI

from plumbline.console import views
from plumbline.kernel import room
from plumbline.kernel.faces.asgi import Metrics, Requests
from plumbline.kernel.faces.http import ERRORS, install_errors
from plumbline.kernel.identity import service as identity
from plumbline.kernel.identity.service.access import Client
from plumbline.kernel.installation import Installation
from tests.conftest import Firm

with warnings.catch_warnings():  # it would like a client that is not installed
    warnings.simplefilter("ignore")
    import starlette.testclient

if TYPE_CHECKING:
    from starlette.testclient import TestClient

PARTS = ("models", "findings", "jobs")


def site(installation: Installation) -> FastAPI:
    app = FastAPI(dependencies=[Depends(views.same_origin)], generate_unique_id_function=lambda route: route.name)
    app.state.installation = installation
    for part in room.parts():
        if part.name in PARTS:
            assert part.router is not None
            assert part.pages is not None
            assert part.templates is not None
            views.register_templates(part.templates, part.name)
            app.include_router(room.load(part.router), prefix="/api/v1", responses=ERRORS, tags=[part.name])
            app.include_router(room.load(part.pages), include_in_schema=False)
    views.install(app)
    install_errors(app)
    settings = installation.settings
    app.add_middleware(
        Requests, metrics=Metrics(), largest_request=settings.max_request_bytes, largest_file=settings.max_upload_bytes
    )
    return app


def token_of(app: FastAPI, firm: Firm, role: str) -> str:
    """A session's token of the firm's person in this role; each signs in once, for sign-ins are limited."""
    held: dict[Any, str] = app.state._state.setdefault("tokens", {})
    if (firm.id, role) not in held:
        installation: Installation = app.state.installation
        user = identity.user_named(installation, firm.admin, str(firm.people[role]))
        held[firm.id, role] = identity.sign_in(installation, user.username, firm.password, Client(ip="127.0.0.1")).token
    return held[firm.id, role]


def signed_in(app: FastAPI, firm: Firm, role: str | None, **headers: str) -> TestClient:
    """A browser of the person in this role, or of nobody."""
    client = starlette.testclient.TestClient(
        app, follow_redirects=False, headers={"Origin": "http://testserver"} | headers
    )
    if role is not None:
        client.cookies.set("plumbline", token_of(app, firm, role))
    return client


def statuses(app: FastAPI, firm: Firm, method: str, path: str, **given: Any) -> dict[str, int]:
    """Role → the status of this request."""
    return {
        role or "nobody": signed_in(app, firm, role).request(method, path, **given).status_code
        for role in (None, "viewer", "analyst", "admin")
    }
