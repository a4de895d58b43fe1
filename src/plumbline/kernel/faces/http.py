"""The HTTP edge: who asks, with what limits, and how an error is answered."""

from __future__ import annotations

import logging
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from plumbline.console import views
from plumbline.kernel import canonical, room
from plumbline.kernel.context import Context
from plumbline.kernel.errors import (
    Forbidden,
    InvalidInput,
    NotFound,
    NotSignedIn,
    PlumblineError,
    TooLarge,
    TooMany,
    Where,
)
from plumbline.kernel.identity import service as identity
from plumbline.kernel.identity.service.access import Client
from plumbline.kernel.identity.tables import User
from plumbline.kernel.installation import Installation

log = logging.getLogger("plumbline.http")
CROSS = "plumbline-organization"
_bearer = HTTPBearer(
    auto_error=False, description="An API key: `Authorization: Bearer plb_…`. A signed-in browser needs none."
)


class Problem(BaseModel):
    """RFC 9457 problem document."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    where: dict[str, Any] | None = None
    remedy: str | None = None
    errors: list[dict[str, Any]] | None = None
    request_id: str | None = None


ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    for status, text in {
        400: "The call is wrong", 401: "Nobody is signed in, or the key is not valid", 403: "The right is missing",
        404: "Not found in this organization", 409: "The state of things does not permit it", 413: "Too large",
        422: "The input cannot be used; nothing was changed", 429: "Too many requests", 503: "Not available now",
    }.items()
}  # fmt: skip
"""Every route's documented errors."""


def cookie_name(request: Request) -> str:
    return "__Host-plumbline" if request.url.scheme == "https" else "plumbline"


async def installation_of(request: Request) -> Installation:
    found: Installation = request.app.state.installation
    return found


House = Annotated[Installation, Depends(installation_of)]


def client_of(request: Request, client_id: str) -> Client:
    agent = request.headers.get("user-agent")
    return Client(ip=request.client.host if request.client else None, user_agent=agent[:500] if agent else None,
                  request_id=request.state.request_id, client_id=client_id)  # fmt: skip


def _authenticated(request: Request) -> tuple[Context, User]:
    installation: Installation = request.app.state.installation
    scheme, _, credential = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        context, user = identity.authenticate_key(installation, credential.strip(), client_of(request, "api"))
    elif token := request.cookies.get(cookie_name(request)):
        context, user = identity.authenticate_session(installation, token, client_of(request, "console"))
    else:
        raise NotSignedIn("Nobody is signed in.", remedy="Send an API key as a bearer token, or sign in.")
    if slug := request.headers.get(CROSS):
        context = identity.cross(installation, context, slug)
    return context, user


def api_context(request: Request, _documented: Annotated[Any, Depends(_bearer)]) -> Context:
    """Who calls the API: an API key's program, or the person signed in to the console."""
    context, user = _authenticated(request)
    if user.must_change_password and context.actor_type == "user":
        raise Forbidden("The password must be changed first.", remedy="Sign in to the console and choose a new one.")
    return context


Caller = Annotated[Context, Depends(api_context)]


def page_context(request: Request) -> Context:
    """Who looks at a page; makes the shell around it."""
    context, user = _authenticated(request)
    request.state.shell = _shell(request, context, user)
    request.state.now = context.now
    if user.must_change_password and not request.url.path.startswith(("/account/password", "/signout")):
        raise _PasswordFirst
    return context


Visitor = Annotated[Context, Depends(page_context)]


class _PasswordFirst(Exception):
    pass


def _shell(request: Request, context: Context, user: User) -> views.Shell:
    installation: Installation = request.app.state.installation
    with installation.database.read(context.organization_id) as session:
        from plumbline.kernel.identity import repository

        organization = repository.organization(session, context.organization_id)
    groups: dict[str, list[views.NavEntry]] = {
        "work": [views.NavEntry("overview", "Overview", "/", "overview")],
        "rooms": [],
        "record": [],
    }
    for part in room.everything():
        for entry in part.entries:
            if entry.right is None or context.may(entry.right):
                count = room.load(entry.count)(installation, context) if entry.count else 0
                groups[entry.group].append(views.NavEntry(entry.key, entry.label, entry.href, entry.icon, count))
    order = ["credit", "threats", "posture", "infrastructure", "documents"]
    groups["rooms"].sort(key=lambda e: order.index(e.key) if e.key in order else len(order))
    record = ["decisions", "models", "ledger", "data", "notifications", "settings"]
    groups["record"].sort(key=lambda e: record.index(e.key) if e.key in record else len(record))
    return views.Shell(
        organization=organization.name if organization else "", environment=installation.settings.environment,
        user_name=user.full_name or user.username, user_role=user.role,
        nav_groups=(
            views.NavGroup("Work", tuple(groups["work"]), show_title=False), views.NavGroup("Rooms", tuple(groups["rooms"])),
            views.NavGroup("Record", tuple(groups["record"])),
        ),
        account=(views.NavEntry("account", "Your account", "/account", "settings"),), search="",
    )  # fmt: skip


async def json_body(request: Request) -> Any:
    """The request's JSON, read once; NaN, infinity and broken texts are refused with their place."""
    return canonical.loads(await request.body())


JsonBody = Annotated[Any, Depends(json_body)]


def is_api(request: Request) -> bool:
    return request.url.path.startswith(("/api/", "/health", "/metrics"))


def answer(request: Request, error: PlumblineError) -> Response:
    """An error in the form its asker reads: a problem document or a page."""
    request_id = getattr(request.state, "request_id", "")
    if is_api(request):
        response: Response = JSONResponse(
            error.problem() | {"request_id": request_id}, error.status, media_type="application/problem+json"
        )
    elif isinstance(error, NotSignedIn) and request.method in ("GET", "HEAD"):
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        response = views.redirect(request, "/signin" if target == "/" else f"/signin?next={quote(target, safe='')}")
    else:
        response = views.error_page(request, error, request_id=request_id)
    if isinstance(error, TooMany):
        response.headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, NotSignedIn) and is_api(request):
        response.headers["WWW-Authenticate"] = 'Bearer realm="plumbline"'
    return response


def install_errors(app: FastAPI) -> None:
    """One answer for each kind of error."""

    def known(request: Request, error: Exception) -> Response:
        assert isinstance(error, PlumblineError)
        return answer(request, error)

    def password_first(request: Request, _error: Exception) -> Response:
        return RedirectResponse("/account/password", status_code=303)

    def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        faults = tuple(
            InvalidInput(
                f"{e['msg']}.",
                where=Where(field=".".join(str(p) for p in e["loc"] if p not in ("body", "query", "path")) or None),
            )
            for e in error.errors()
        )
        one = (
            faults[0]
            if len(faults) == 1
            else InvalidInput(f"{len(faults)} fields cannot be used; nothing was changed.", errors=faults)
        )
        return answer(request, one)

    def other(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if isinstance(
            error.__cause__, PlumblineError
        ):  # ours, met while a body was read: the framework made a 400 of it
            return answer(request, error.__cause__)
        wrapped: PlumblineError = NotFound(
            "There is nothing at this address.", remedy="Go back, or begin at the overview."
        )
        if error.status_code != 404:
            wrapped = _Plain(str(error.detail), error.status_code)
        response = answer(request, wrapped)
        response.headers.update(error.headers or {})
        return response

    app.add_exception_handler(PlumblineError, known)
    app.add_exception_handler(_PasswordFirst, password_first)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, other)


class _Plain(PlumblineError):
    code, title = "http", "The request cannot be answered"

    def __init__(self, detail: str, status: int) -> None:
        super().__init__(f"{detail}.")
        self.status = status  # type: ignore[misc]


class Unexpected(PlumblineError):
    """What nobody foresaw: the log has the traceback under the request's id, the answer has only the id."""

    status, code, title = 500, "unexpected", "Something went wrong on our side"


def too_large(limit: int) -> TooLarge:
    return TooLarge(
        f"The request is larger than {limit:,} bytes.", remedy="Send less, or raise the limit in the settings."
    )
