"""The gallery in a server and in a client without a browser."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.browser_support import browser, serve, visit  # noqa: F401  fixtures
from tests.console.gallery.app import app


@pytest.fixture(scope="module")
def gallery() -> Iterator[str]:
    """The address of the gallery."""
    with serve(app) as address:
        yield address


@pytest.fixture
def client(gallery: str) -> Iterator[httpx.Client]:
    """A client without a browser, over a real connection; it calls the server ``testserver``."""
    with httpx.Client(base_url=gallery, headers={"Host": "testserver"}) as made:
        yield made


@pytest.fixture(autouse=True)
def fresh_job() -> None:
    app.state.polls = 0
