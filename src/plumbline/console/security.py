"""What a browser is told to refuse, and what we refuse from a browser."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from plumbline.kernel.errors import Forbidden

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "Cache-Control": "no-store",
}
RAW = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class SecurityHeaders:
    """Adds the headers above to every answer that does not set them itself (a static file keeps its own caching).

    Plain ASGI: a ``BaseHTTPMiddleware`` would run a task and a stream per request for seven constant lines.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add_missing(message)
            await send(message)

        await self.app(scope, receive, guarded)


def _add_missing(message: MutableMapping[str, Any]) -> None:
    headers = list(message.get("headers", ()))
    present = {name.lower() for name, _ in headers}
    message["headers"] = headers + [pair for pair in RAW if pair[0] not in present]


async def same_origin(request: Request) -> None:
    """Refuses a request that changes something and comes from another site. A dependency for the whole application.

    A browser says where a request comes from: ``Sec-Fetch-Site``, or ``Origin`` where it is old. Either must name us.
    A request without both is no browser of the last years: it passes only without a cookie, as a script with a key
    does, since without a cookie nobody can be made to lend his session. Sign-in is covered too: a foreign page cannot
    sign a reader into somebody else's account.

    :raises Forbidden: the request comes from elsewhere, or with a cookie and no word about its origin.
    """
    if request.method in SAFE:
        return
    headers = request.headers
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if origin is not None:
        # The host alone: behind a proxy that ends TLS our own scheme is http, the browser's https.
        ours = urlsplit(origin).netloc.lower() == headers.get("host", "").lower() != ""
        trusted = ours and site in (None, "same-origin", "none")
    elif site is not None:
        trusted = site in ("same-origin", "none")
    else:
        trusted = "cookie" not in headers
    if not trusted:
        raise Forbidden(
            "This request did not come from a page of this console. Nothing was changed.",
            remedy="Open the page here and repeat the act.",
        )
