"""Console pages of identity: signing in and out, one's own account, people, API keys."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from plumbline.console import views
from plumbline.kernel.context import Context
from plumbline.kernel.errors import Conflict, Forbidden, InvalidInput, NotSignedIn, PlumblineError, TooMany, Where
from plumbline.kernel.faces.http import House, Visitor, client_of, cookie_name
from plumbline.kernel.identity import passwords, rights, service
from plumbline.kernel.identity.tables import User
from plumbline.kernel.installation import Installation
from plumbline.kernel.paging import PageRequest

router = APIRouter()
Typed = Annotated[str, Form()]
NAV = "settings"
YEAR = 365 * 24 * 3600
EXPIRY = {"30": "30 days", "90": "90 days", "365": "One year", "": "Never"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f\\]")


# signing in and out


def own_path(target: str) -> str:
    """Where a sign-in goes on: a path of this console, else the overview. Never another site's address."""
    if not target.startswith("/") or target.startswith("//") or len(target) > 2000 or _CONTROL.search(target):
        return "/"
    parts = urlsplit(target)
    if parts.scheme or parts.netloc or parts.path.startswith(("/signin", "/signout")):
        return "/"
    return target


def _held(request: Request, house: Installation) -> Context | None:
    """Who is signed in on this browser already."""
    token = request.cookies.get(cookie_name(request))
    if not token:
        return None
    try:
        return service.authenticate_session(house, token, client_of(request, "console"))[0]
    except NotSignedIn:
        return None


def _enter(request: Request, house: Installation, signed: service.SignedIn, target: str) -> Response:
    """Every sign-in has a token of its own; the one that the browser brought along ends."""
    before = _held(request, house)
    if before is not None:
        service.sign_out(house, before)
    response = views.redirect(request, "/account/password" if signed.must_change_password else target)
    response.set_cookie(
        cookie_name(request), signed.token, max_age=int(house.settings.session_hours * 3600), path="/", httponly=True, samesite="lax",
        secure=request.url.scheme == "https",
    )  # fmt: skip
    return response


@router.get("/signin")
def sign_in_page(request: Request, house: House, next: Annotated[str, Query()] = "") -> Response:  # noqa: A002
    target = own_path(next)
    if _held(request, house) is not None:
        return views.redirect(request, target)
    return views.page(request, "signin.html", nav="", next="" if target == "/" else target)


@router.post("/signin")
def sign_in(request: Request, house: House, login: Typed = "", password: Typed = "", next: Typed = "") -> Response:  # noqa: A002
    target = own_path(next)
    try:
        signed = service.sign_in(house, login, password, client_of(request, "console"))
    except (NotSignedIn, TooMany) as error:
        status = 429 if isinstance(error, TooMany) else 422
        response = views.page(request, "signin.html", nav="", status=status, next="" if target == "/" else target, login=login[:320],
                              error=f"{error.detail} {error.remedy}")  # fmt: skip
        if isinstance(error, TooMany):
            response.headers["Retry-After"] = str(error.retry_after)
        return response
    return _enter(request, house, signed, target)


@router.get("/signin/once/{token}")
def once_page(request: Request, token: str) -> Response:
    """Only shows a button: what fetches addresses ahead of its reader (mail scanners, chat previews) must not use the link up."""
    return views.page(request, "identity/once.html", nav="", token=token, error="")


@router.post("/signin/once/{token}")
def use_once_link(request: Request, house: House, token: str) -> Response:
    try:
        signed = service.use_once_link(house, token, client_of(request, "console"))
    except (NotSignedIn, Conflict, TooMany) as error:
        said = f"{error.detail} {error.remedy or 'Ask for a new one.'}"
        return views.page(
            request,
            "identity/once.html",
            nav="",
            status=429 if isinstance(error, TooMany) else 422,
            token="",
            error=said,
        )
    return _enter(request, house, signed, "/")


@router.post("/signout")
def sign_out(request: Request, house: House) -> Response:
    held = _held(request, house)
    if held is not None:
        service.sign_out(house, held)
    response = views.redirect(request, "/signin", flash="You are signed out.")
    _forget(request, response)
    return response


def _forget(request: Request, response: Response) -> None:
    response.delete_cookie(
        cookie_name(request), path="/", httponly=True, samesite="lax", secure=request.url.scheme == "https"
    )


# one's own account


@router.get("/account")
def account_page(request: Request, house: House, visitor: Visitor) -> Response:
    person = _self(house, visitor)
    return views.page(
        request, "identity/account.html", nav="", person=person, sessions=service.list_sessions(house, visitor, person.id),
        current=visitor.session_id or "", chosen=request.cookies.get("theme", ""),
    )  # fmt: skip


@router.post("/account/theme")
def choose_theme(request: Request, visitor: Visitor, theme: Typed = "") -> Response:
    response = views.redirect(request, "/account", flash="The appearance is changed.")
    if theme in views.THEMES:
        # readable by the page's script, which switches it too
        response.set_cookie(
            "theme", theme, max_age=YEAR, path="/", samesite="lax", secure=request.url.scheme == "https"
        )
    else:
        response.delete_cookie("theme", path="/")
    return response


@router.post("/account/sessions/end")
def end_own_sessions(request: Request, house: House, visitor: Visitor) -> Response:
    """Everywhere, this place included."""
    service.end_sessions(house, visitor, _self(house, visitor).id)
    response = views.redirect(request, "/signin", flash="You are signed out everywhere.")
    _forget(request, response)
    return response


@router.post("/account/sessions/{session_id}/end")
def end_own_session(request: Request, house: House, visitor: Visitor, session_id: UUID) -> Response:
    service.end_sessions(house, visitor, _self(house, visitor).id, session_id)
    if str(session_id) != visitor.session_id:
        return views.redirect(request, "/account", flash="That session is ended.")
    response = views.redirect(request, "/signin", flash="You are signed out.")
    _forget(request, response)
    return response


@router.get("/account/password")
def password_page(request: Request, house: House, visitor: Visitor) -> Response:
    return views.page(
        request,
        "change_password.html",
        nav="",
        forced=_self(house, visitor).must_change_password,
        minimum=passwords.SHORTEST,
    )


@router.post("/account/password")
def change_password(
    request: Request, house: House, visitor: Visitor, current: Typed = "", new: Typed = "", again: Typed = ""
) -> Response:
    forced = _self(house, visitor).must_change_password
    found: dict[str, str] = {}
    if not current:
        found["current"] = "Type the password you signed in with."
    if new != again:
        found["again"] = "This is not the same password. Type it again."
    if not found:
        try:
            service.change_own_password(house, visitor, current=current, new=new)
        except InvalidInput as error:
            found = _mended(error, ("current", "new"), {"password": "new"})
    if found:
        return views.page(
            request, "change_password.html", nav="", status=422, errors=found, forced=forced, minimum=passwords.SHORTEST
        )
    return views.redirect(
        request, "/" if forced else "/account", flash="Your password is changed; your other sessions have ended."
    )


# people


@router.get("/settings/users")
def users_page(request: Request, house: House, visitor: Visitor, cursor: Annotated[str, Query()] = "") -> Response:
    page = service.list_users(house, visitor, PageRequest.parse(100, cursor))
    return views.page(
        request, "identity/users.html", nav=NAV, page=page, may=_may(visitor), newest="/settings/users" if cursor else "",
        next=f"/settings/users?cursor={page.next}" if page.next else "",
    )  # fmt: skip


@router.get("/settings/users/new")
def new_user_page(request: Request, visitor: Visitor) -> Response:
    visitor.require("users.manage")
    return views.page(request, "identity/user_new.html", nav=NAV, given={"role": "viewer"}, found={}, roles=_ROLES)


@router.post("/settings/users/new")
def add_user(
    request: Request,
    house: House,
    visitor: Visitor,
    username: Typed = "",
    email: Typed = "",
    full_name: Typed = "",
    role: Typed = "",
) -> Response:
    given = {"username": username, "email": email, "full_name": full_name, "role": role}
    try:
        _sound(given)
        key = service.create_user(
            house, visitor, username=username, email=email, full_name=full_name.strip() or None, role=role
        )
    except (InvalidInput, Conflict) as error:
        return views.page(
            request,
            "identity/user_new.html",
            nav=NAV,
            status=422,
            given=given,
            found=_mended(error, given),
            roles=_ROLES,
        )
    password = service.reset_password(house, visitor, key)
    return views.page(
        request,
        "identity/user_added.html",
        nav=NAV,
        person=service.user_named(house, visitor, str(key)),
        password=password,
    )


@router.get("/settings/users/{user_id}")
def user_page(request: Request, house: House, visitor: Visitor, user_id: UUID) -> Response:
    return _user(request, house, visitor, user_id)


@router.post("/settings/users/{user_id}")
def change_user(
    request: Request, house: House, visitor: Visitor, user_id: UUID, full_name: Typed = "", role: Typed = ""
) -> Response:
    given = {"full_name": full_name, "role": role}
    try:
        _sound(given)
        name = full_name.strip() or ("" if service.user_named(house, visitor, str(user_id)).full_name else None)
        service.change_user(house, visitor, user_id, role=role or None, full_name=name)
    except (InvalidInput, Conflict) as error:
        return _user(request, house, visitor, user_id, given=given, found=_mended(error, given))
    return views.redirect(request, f"/settings/users/{user_id}", flash="The person is changed.")


@router.post("/settings/users/{user_id}/activity")
def set_user_activity(request: Request, house: House, visitor: Visitor, user_id: UUID, active: Typed = "") -> Response:
    try:
        service.change_user(house, visitor, user_id, is_active=active == "yes")
    except (InvalidInput, Conflict) as error:
        return _refused(request, house, visitor, user_id, "identity/_activity.html", error)
    said = "may sign in again" if active == "yes" else "may no longer sign in; their sessions have ended"
    return views.redirect(request, f"/settings/users/{user_id}", flash=f"The person {said}.")


@router.post("/settings/users/{user_id}/password-reset")
def reset_password(request: Request, house: House, visitor: Visitor, user_id: UUID) -> Response:
    """The new password stands in this one answer and nowhere else."""
    password = service.reset_password(house, visitor, user_id)
    person = service.user_named(house, visitor, str(user_id))
    if views.is_partial(request):
        return views.fragment(request, "identity/_password.html", person=person, password=password)
    return views.page(request, "identity/user_added.html", nav=NAV, person=person, password=password)


@router.post("/settings/users/{user_id}/sessions/end")
def end_user_sessions(request: Request, house: House, visitor: Visitor, user_id: UUID) -> Response:
    service.end_sessions(house, visitor, user_id)
    return views.redirect(request, f"/settings/users/{user_id}", flash="The person is signed out everywhere.")


@router.post("/settings/users/{user_id}/sessions/{session_id}/end")
def end_user_session(request: Request, house: House, visitor: Visitor, user_id: UUID, session_id: UUID) -> Response:
    service.end_sessions(house, visitor, user_id, session_id)
    return views.redirect(request, f"/settings/users/{user_id}", flash="That session is ended.")


_ROLES = [
    ("viewer", "Viewer", "Reads everything of the organization."),
    ("analyst", "Analyst", "Scores, reviews and decides."),
    ("admin", "Administrator", "Also manages people, keys and models."),
]


def _user(request: Request, house: Installation, visitor: Context, user_id: UUID, *, given: Mapping[str, str] | None = None,
          found: dict[str, str] | None = None) -> Response:  # fmt: skip
    visitor.require("users.read")
    person = service.user_named(house, visitor, str(user_id))
    may = _may(visitor)
    may["change"] = may["users"] and (not person.is_superuser or visitor.may("*"))
    sees = may["users"] or (person.id == visitor.user_id and visitor.actor_type == "user")
    return views.page(
        request, "identity/user.html", nav=NAV, status=422 if found else 200, person=person, may=may, roles=_ROLES, found=found or {},
        given=given or {"full_name": person.full_name or "", "role": person.role}, own=person.id == visitor.user_id,
        sessions=service.list_sessions(house, visitor, person.id) if sees else None, current=visitor.session_id or "",
    )  # fmt: skip


def _refused(
    request: Request, house: Installation, visitor: Context, user_id: UUID, template: str, error: PlumblineError
) -> Response:
    """A dialog shows its error inside; without a script the page shows it."""
    found = {"": f"{error.detail} {error.remedy or ''}".strip()}
    if views.is_partial(request):
        return views.fragment(
            request, template, status=422, person=service.user_named(house, visitor, str(user_id)), found=found
        )
    return _user(request, house, visitor, user_id, found=found)


def _self(house: Installation, visitor: Context) -> User:
    if visitor.user_id is None or visitor.actor_type != "user":
        raise Forbidden("This page is for people who are signed in.", remedy="Sign in.")
    return service.user_named(house, visitor, str(visitor.user_id))


def _may(visitor: Context) -> dict[str, bool]:
    return {"users": visitor.may("users.manage"), "keys": visitor.may("keys.own"), "change": False}


# API keys


@router.get("/settings/keys")
def keys_page(request: Request, house: House, visitor: Visitor, cursor: Annotated[str, Query()] = "") -> Response:
    page = service.list_keys(house, visitor, PageRequest.parse(50, cursor))
    return views.page(
        request, "identity/keys.html", nav=NAV, page=page, now=visitor.now, may=_may(visitor) | {"all": visitor.may("keys.manage")},
        names=service.names_of(house, visitor, {k.user_id for k in page.items}), newest="/settings/keys" if cursor else "",
        next=f"/settings/keys?cursor={page.next}" if page.next else "",
    )  # fmt: skip


@router.get("/settings/keys/new")
def new_key_page(request: Request, visitor: Visitor) -> Response:
    visitor.require("keys.own")
    return _key_form(request, visitor, {"expires": "90"}, {})


@router.post("/settings/keys/new")
def make_key(
    request: Request, house: House, visitor: Visitor, name: Typed = "", scopes: Annotated[list[str], Form()] = [], expires: Typed = "",  # noqa: B006
    client_limit: Typed = "",
) -> Response:  # fmt: skip
    given = {"name": name, "scopes": scopes, "expires": expires, "client_limit": client_limit}
    try:
        _sound({"name": name, **{f"scopes-{i}": s for i, s in enumerate(scopes)}})
        if expires not in EXPIRY:
            raise InvalidInput("Choose when the key ends.")
        limit = int(client_limit) if client_limit.strip().isascii() and client_limit.strip().isdigit() else None
        if client_limit.strip() and (limit is None or not 1 <= limit <= 1_000_000):
            return _key_form(
                request,
                visitor,
                given,
                {"client_limit": "Write a whole number from 1 to 1,000,000, or leave it empty."},
            )
        until = visitor.now + timedelta(days=int(expires)) if expires else None
        key, text = service.create_key(house, visitor, name=name, scopes=scopes, expires_at=until, client_limit=limit)
    except InvalidInput as error:
        return _key_form(request, visitor, given, _mended(error, given))
    return views.page(
        request,
        "identity/key_made.html",
        nav=NAV,
        name=name.strip(),
        text=text,
        key=key,
        scopes=sorted(set(scopes)),
        until=until,
    )


@router.post("/settings/keys/{key_id}/revoke")
def revoke_key(request: Request, house: House, visitor: Visitor, key_id: UUID) -> Response:
    try:
        service.revoke_key(house, visitor, key_id)
    except Conflict as error:
        return views.redirect(request, "/settings/keys", flash=error.detail, kind="info")
    return views.redirect(
        request, "/settings/keys", flash="The key is revoked. Programs that use it are refused from now on."
    )


def _key_form(request: Request, visitor: Context, given: Mapping[str, Any], found: dict[str, str]) -> Response:
    held = sorted(right for right in rights.all_rights() if visitor.may(right))
    return views.page(
        request, "identity/key_new.html", nav=NAV, status=422 if found else 200, given=given, found=found, held=held,
        expiry=list(EXPIRY.items()),
    )  # fmt: skip


# forms


def _sound(given: Mapping[str, str]) -> None:
    """No database text holds U+0000, and no name is longer than a line."""
    for field, text in given.items():
        if "\x00" in text or len(text) > 320:
            raise InvalidInput(
                "This text cannot be kept.", where=Where(field=field), remedy="Use at most 320 plain characters."
            )


def _mended(error: PlumblineError, fields: Iterable[str], renamed: Mapping[str, str] | None = None) -> dict[str, str]:
    """The form's field → what to do; what belongs to no field stands in the summary alone."""
    field = error.where.field if error.where and error.where.field else ""
    field = (renamed or {}).get(field, field)
    return {field if field in fields else "": f"{error.detail} {error.remedy or ''}".strip()}
