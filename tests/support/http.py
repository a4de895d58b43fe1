"""A client of the whole application, in the test's own process."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI
from httpx import Response

from plumbline.app import create_app
from plumbline.kernel.installation import Installation

with warnings.catch_warnings():  # starlette would rather have a client that is not published yet for all our Pythons
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

BASE = "http://127.0.0.1"
SAME_ORIGIN = {"Origin": BASE}


def application(installation: Installation) -> FastAPI:
    """The product's application."""
    return create_app(installation)


@dataclass
class Browser:
    """A browser on one address: keeps its cookies and says where its requests come from. It follows no redirect."""

    app: FastAPI
    base: str = BASE
    address: str = "198.51.100.7"
    client: TestClient = field(init=False)

    def __post_init__(self) -> None:
        self.client = TestClient(self.app, base_url=self.base, follow_redirects=False, client=(self.address, 50000))

    def get(self, path: str, **rest: Any) -> Response:
        return self.client.get(path, **rest)

    def post(self, path: str, data: dict[str, Any] | None = None, **rest: Any) -> Response:
        headers = {"Origin": self.base} | rest.pop("headers", {})
        return self.client.post(path, data=data or {}, headers=headers, **rest)

    def request(self, method: str, path: str, **rest: Any) -> Response:
        headers = {"Origin": self.base} | rest.pop("headers", {})
        return self.client.request(method, path, headers=headers, **rest)

    def sign_in(self, login: str, password: str, next_path: str = "") -> Response:
        return self.post("/signin", {"login": login, "password": password, "next": next_path})

    @property
    def token(self) -> str | None:
        return self.client.cookies.get("plumbline")

    @token.setter
    def token(self, value: str) -> None:
        self.client.cookies.clear()
        self.client.cookies.set("plumbline", value, domain="127.0.0.1", path="/")


@dataclass
class Program:
    """A program with an API key."""

    app: FastAPI
    key: str
    base: str = BASE
    client: TestClient = field(init=False)

    def __post_init__(self) -> None:
        self.client = TestClient(
            self.app, base_url=self.base, follow_redirects=False, headers={"Authorization": f"Bearer {self.key}"}
        )

    def __call__(self, method: str, path: str, **rest: Any) -> Response:
        return self.client.request(method, path, **rest)


@contextmanager
def statements(installation: Installation) -> Iterator[list[str]]:
    """What is sent to the database meanwhile."""
    import sqlalchemy as sa

    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        sent.append(statement)

    sa.event.listen(installation.database.engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        sa.event.remove(installation.database.engine, "before_cursor_execute", note)
