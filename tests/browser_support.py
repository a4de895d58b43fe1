"""A real browser and a real server on the loopback for tests of pages.

``from tests.browser_support import browser, serve, visit`` in a ``conftest.py`` makes the fixtures known.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
LISTEN = """window.__policy = [];
document.addEventListener("securitypolicyviolation", (e) => window.__policy.push(e.violatedDirective + " " + e.blockedURI));"""


def chromium_path() -> str:
    """The browser to drive: CHROMIUM_PATH, else the first known name on PATH; without one the test is skipped, in CI it fails."""
    named = os.environ.get("CHROMIUM_PATH")
    found = named or next(
        (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
    )
    if found:
        return found
    reason = "no Chromium: set CHROMIUM_PATH or put chromium on PATH"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@contextlib.contextmanager
def serve(app: Any) -> Iterator[str]:
    """The address of an application served by uvicorn in a thread, on a free port of the loopback."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="auto", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            # Connections wait in the listener's queue until the server takes them: nothing to wait for here.
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=10)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium a module: while Playwright is open its event loop runs in this thread, and other tests need theirs."""
    path = chromium_path()
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield started
        started.close()


class Visit:
    """One browser context that keeps what the browser complained about: errors, failed requests, policy violations."""

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.said: list[str] = []
        context.add_init_script(LISTEN)
        self.page: Page = context.new_page()
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("requestfailed", self._failed)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.said.append(message.text)

    def _failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # cut off by the next page: not a failure
            self.said.append(f"failed {request.url}")

    def violations(self) -> list[str]:
        """What axe finds on the page as it stands, one line a rule."""
        found = Axe().run(self.page, options={"runOnly": RULES}).response["violations"]
        return [f"{v['impact']} {v['id']}: {[n['target'] for n in v['nodes'][:4]]}" for v in found]

    def policy_violations(self) -> list[str]:
        return list(self.page.evaluate("window.__policy"))

    def overflow(self) -> int:
        """By how many pixels the page is wider than the window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@pytest.fixture
def visit(browser: Browser) -> Iterator[Any]:
    """``visit(width=1440, theme="light", script=True)`` opens a fresh context; everything is closed afterwards."""
    opened: list[BrowserContext] = []

    def start(width: int = 1440, theme: str = "light", *, script: bool = True, **options: Any) -> Visit:
        context = browser.new_context(
            viewport={"width": width, "height": 900 if width > 800 else 844},
            color_scheme="dark" if theme == "dark" else "light",
            java_script_enabled=script,
            **options,
        )
        opened.append(context)
        return Visit(context)

    yield start
    for context in opened:
        context.close()
