"""Pages out of templates: the shell a page stands in, the environment that finds a room's templates, redirects, errors.

A room registers its templates once (``register_templates("plumbline.credit", "credit")``) and then renders
``page(request, "credit/applications.html", nav="credit", …)``. Who asks and what the sidebar holds is the
application's business: it puts a :class:`Shell` into ``request.state.shell`` before a page function runs.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import quote, unquote

from jinja2 import BaseLoader, ChoiceLoader, Environment, PackageLoader, PrefixLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from plumbline.console import charts, formats
from plumbline.console.assets import has_asset, serve, static_url
from plumbline.console.security import SecurityHeaders, same_origin
from plumbline.kernel.errors import PlumblineError

__all__ = [
    "JobView",
    "NavEntry",
    "NavGroup",
    "Shell",
    "error_page",
    "fragment",
    "install",
    "is_partial",
    "job_fragment",
    "page",
    "redirect",
    "register_templates",
    "same_origin",
    "shell_of",
    "static_url",
]

STOP_POLLING = 286
FLASH = "flash"
THEMES = ("light", "dark")


@dataclass(frozen=True, slots=True)
class NavEntry:
    """One line of the sidebar. ``count`` is shown only where somebody must act, so leave it 0 otherwise."""

    key: str
    label: str
    href: str
    icon: str
    count: int = 0


@dataclass(frozen=True, slots=True)
class NavGroup:
    """A titled group of the sidebar: Work (its title is not drawn), Rooms, Record."""

    title: str
    entries: tuple[NavEntry, ...]
    show_title: bool = True


@dataclass(frozen=True, slots=True)
class Shell:
    """What stands around a page: where the reader is, who he is, where he can go.

    ``theme`` is ``light``, ``dark`` or empty (then the cookie of the theme switch, then the system decides).
    ``account`` are further lines of the account menu. ``search``, ``sign_out`` and ``home`` are addresses;
    an empty ``search`` leaves the search field out.
    """

    organization: str
    environment: str
    user_name: str
    user_role: str
    nav_groups: tuple[NavGroup, ...]
    theme: str = ""
    account: tuple[NavEntry, ...] = ()
    search: str = "/search"
    search_hint: str = "Search decisions and subjects"
    sign_out: str = "/signout"
    home: str = "/"


@dataclass(frozen=True, slots=True)
class JobView:
    """A running job as a page shows it. ``state``: queued, running, done, failed, cancelled.

    ``href`` answers the fragment that the page polls, ``result`` is where its outcome stands, ``cancel`` the address
    that a POST cancels it at. ``total`` is 0 while it is not known.
    """

    key: str
    title: str
    href: str
    state: str
    done: int = 0
    total: int = 0
    unit: str = "rows"
    note: str = ""
    error: str = ""
    result: str = ""
    result_label: str = "Open the result"
    cancel: str = ""

    @property
    def ended(self) -> bool:
        return self.state in ("done", "failed", "cancelled")

    @property
    def share(self) -> float | None:
        return min(1.0, self.done / self.total) if self.total > 0 else None


_now: ContextVar[datetime | None] = ContextVar("console_now", default=None)
_rooms: dict[str, BaseLoader] = {}
_packages: dict[str, str] = {}


def register_templates(package: str, name: str) -> None:
    """Makes ``<package>/templates/x.html`` known as ``name/x.html``. Registering the same again changes nothing.

    :raises ValueError: the package has no ``templates`` folder, or the name belongs to another package.
    """
    known = _packages.setdefault(name, package)
    if known != package:
        raise ValueError(f"templates named {name} already come from {known}")
    if name not in _rooms:
        _rooms[name] = PackageLoader(package)


def _ago(at: datetime | None) -> str:
    return formats.ago(at, _now.get() or datetime.now(UTC))


@cache
def environment() -> Environment:
    """The one template environment. A name that is not given to a template is an error, not an empty text."""
    own = PackageLoader("plumbline.console")
    made = Environment(
        loader=ChoiceLoader([own, PrefixLoader(_rooms)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        cache_size=-1,
        auto_reload=False,
    )
    made.filters |= {
        "ago": _ago,
        "attributes": formats.attributes,
        "breakable": formats.breakable,
        "by_severity": formats.by_severity,
        "bytes": formats.size,
        "compact": formats.compact,
        "day": formats.day,
        "duration": formats.duration,
        "held": formats.held,
        "initials": formats.initials,
        "iso": formats.iso,
        "money": formats.money,
        "number": formats.number,
        "percent": formats.percent,
        "plural": formats.plural,
        "points": formats.points,
        "short_hash": formats.short_hash,
        "when": formats.when,
    }
    made.globals |= {"static_url": static_url, "has_asset": has_asset, "charts": charts}
    # The macros are a global: an {% import %} in every template would be one line that each of them can forget.
    made.globals["ui"] = made.get_template("components.html").module
    return made


def shell_of(request: Request) -> Shell | None:
    """What the application put around this request; None before sign-in."""
    shell = getattr(request.state, "shell", None)
    return shell if isinstance(shell, Shell) else None


def is_partial(request: Request) -> bool:
    """The script of a page asks for a part of it: answer with a fragment."""
    return request.headers.get("hx-request") == "true"


def _render(request: Request, template: str, status: int, context: dict[str, Any]) -> HTMLResponse:
    # The application may set the time of a request (a demonstration, a test); a page shows "2 min ago" by it.
    given = getattr(request.state, "now", None)
    mark = _now.set(given if isinstance(given, datetime) else datetime.now(UTC))
    try:
        body = environment().get_template(template).render(context)
    finally:
        _now.reset(mark)
    return HTMLResponse(body, status_code=status)


def page(request: Request, template: str, *, nav: str, status: int = 200, **context: Any) -> HTMLResponse:
    """A whole page. ``nav`` is the key of the sidebar's entry that is current.

    A template sees its own context and ``shell``, ``nav``, ``theme``, ``engine``, ``flash``, ``path``.
    """
    shell = shell_of(request)
    theme = (shell.theme if shell else "") or request.cookies.get("theme", "")
    own_script = request.cookies.get("js") == "own" or not has_asset("vendor/htmx.min.js")
    flash = _read_flash(request)
    context |= {
        "shell": shell,
        "nav": nav,
        "theme": theme if theme in THEMES else "",
        "engine": "own" if own_script else "htmx",
        "flash": flash,
        "path": request.url.path,
    }
    response = _render(request, template, status, context)
    if flash:
        response.delete_cookie(FLASH, path="/")
    return response


def fragment(request: Request, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
    """A part of a page for a swap: no shell. 422 is swapped in as well (a form with its errors)."""
    return _render(request, template, status, context)


def job_fragment(request: Request, job: JobView, *, reload: bool = False) -> HTMLResponse:
    """The inside of a job's strip; 286 once the job has ended, which stops the polling.

    :param reload: ask the page to load itself anew at the end, where its content depends on the job.
    """
    response = _render(request, "job.html", STOP_POLLING if job.ended else 200, {"job": job})
    if reload and job.ended:
        response.headers["HX-Refresh"] = "true"
    return response


def redirect(request: Request, href: str, *, flash: str = "", kind: str = "ok") -> Response:
    """Go on to another page of ours after an act, with one sentence about it on top of that page.

    :param kind: ok, info, warn or bad.
    :raises ValueError: the address leaves this site.
    """
    if not href.startswith("/") or href.startswith(("//", "/\\")) or any(c in href for c in "\r\n\t"):
        raise ValueError("a redirect stays on this site: give a path that begins with one slash")
    response: Response
    if is_partial(request):
        response = Response(status_code=204, headers={"HX-Redirect": quote(href, safe="/?&=#%:+,;@~!$'()*[]")})
    else:
        response = RedirectResponse(href, status_code=303)
    if flash:
        secure = request.url.scheme == "https"
        value = quote(f"{kind}:{flash[:400]}", safe="")
        response.set_cookie(FLASH, value, max_age=60, path="/", httponly=True, samesite="lax", secure=secure)
    return response


def _read_flash(request: Request) -> tuple[str, str] | None:
    kind, colon, text = unquote(request.cookies.get(FLASH, "")).partition(":")
    return (kind, text) if colon and kind in ("ok", "info", "warn", "bad") and text else None


def error_page(request: Request, error: PlumblineError, *, request_id: str = "", nav: str = "") -> Response:
    """An error as a page, or as one line of plain text where a part of a page was asked for (the console says it aloud).

    Give an error without internals: for an unexpected one make a ``PlumblineError`` that only says so.
    """
    if is_partial(request):
        known = f" Request {request_id}." if request_id and error.status >= 500 else ""
        said = [error.detail, error.remedy or ""]
        if "othing was changed" not in error.detail:
            said.insert(1, "Nothing was changed.")
        return PlainTextResponse(" ".join(s for s in said if s) + known, status_code=error.status)
    return page(request, "error.html", nav=nav, status=error.status, error=error, request_id=request_id)


def install(app: Starlette) -> None:
    """Gives an application the static files, compression and the security headers.

    The check of a request's origin is a dependency of the application: ``FastAPI(dependencies=[Depends(same_origin)])``.
    """
    app.mount("/static", serve, name="static")
    app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=5)
    app.add_middleware(SecurityHeaders)
