"""Whatever is typed into an address or a form of the console, a page comes back, never an accident."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.routing import APIRoute, iter_route_contexts

from tests.api.world import BOTH, Route, World, administrator, routes, sent, signed_in

NASTY = (
    "", "a\x00b", "-1", "9" * 30, "nan", "<script>alert(1)</script>", "%00%s{}[]'", "\u4f60\U0001f600\u202e\ue000", "\r\nSet-Cookie: a=b", "A" * 5000,
    "01a20cee-17e0-70b5-b32e-0455d3063eb9", "9999-12-31T23:59:59-23:59", "AAAA====",
)  # fmt: skip
ENDS = {"POST /signout", "POST /account/sessions/end"}  # these end the session that asks
PARTIAL = {"HX-Request": "true"}


def fields(world: World) -> Iterator[tuple[Route, str, str]]:
    """Every query and form field of every page."""
    named: dict[str, list[str]] = {}
    for context in iter_route_contexts(world.app.routes):
        route = context.original_route
        if isinstance(route, APIRoute):
            for method in context.methods or ():
                named[f"{method} {context.path}"] = [field.alias for field in route.dependant.body_params]
    for route in routes(world.app):
        if not route.path.startswith(("/api/", "/health", "/metrics")) and route.label not in ENDS:
            for name in route.queries:
                yield route, "query", name
            for name in named[route.label]:
                yield route, "form", name
            for name in route.parameters:
                yield route, "path", name


def asked(world: World, browser: Any, route: Route, kind: str, name: str, value: str, headers: dict[str, str]) -> str:
    address, given = world.mine.address(route), sent(route)
    if kind == "query":
        given = given | {"params": {name: value}}
    elif kind == "form":
        given = {"data": given.get("data", {}) | {name: value}}
    else:
        own = {part: world.mine.value(route, part) for part in route.parameters}
        address = route.path.format(**own | {name: quote(value, safe="") or "-"})
    answer = browser.request(route.method, address, headers=headers, **given)
    if answer.status_code >= 500:
        return f"{route.label} {kind} {name}={value[:40]!r} {headers}: {answer.status_code}"
    if "<script>alert" in answer.text:
        return f"{route.label} {kind} {name}: written as it was typed"
    return ""


def faults(world: World, values: tuple[str, ...]) -> list[str]:
    admin = administrator(world.ours).user_id
    assert admin is not None
    browser = signed_in(world.app, world.ours, admin)
    found = [
        asked(world, browser, route, kind, name, value, PARTIAL if number % 2 else {})
        for at, (route, kind, name) in enumerate(fields(world))
        for number, value in enumerate(values, at)
    ]
    assert len(found) > 100 * len(values)
    assert browser.get("/").status_code == 200
    return [fault for fault in found if fault]


@BOTH
@pytest.mark.slow
def test_nothing_that_is_typed_makes_a_page_fail(world: World) -> None:
    assert faults(world, NASTY) == []
