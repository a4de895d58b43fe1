"""Each route for each role, and for a program, and for nobody; and no route shows another organization's rows.

The routes come from the application; what each needs is stated here, so that a new route without a line fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from fastapi.routing import APIRoute, iter_route_contexts

from plumbline.kernel.identity import rights, service
from plumbline.kernel.ledger import queries
from plumbline.kernel.paging import PageRequest
from tests.support.house import House

PUBLIC = "public"
ANYONE = "anyone"  # who is signed in; a key as well unless said otherwise
PERSON = "person"  # who is signed in, not by a key
NEEDS: dict[tuple[str, str], str] = {
    ("GET", "/api/v1/users"): "users.read", ("POST", "/api/v1/users"): "users.manage", ("GET", "/api/v1/users/{user_id}"): "users.read",
    ("PATCH", "/api/v1/users/{user_id}"): "users.manage", ("POST", "/api/v1/users/{user_id}/password-reset"): "users.manage",
    ("GET", "/api/v1/users/{user_id}/sessions"): "users.manage", ("DELETE", "/api/v1/users/{user_id}/sessions"): "users.manage",
    ("DELETE", "/api/v1/users/{user_id}/sessions/{session_id}"): "users.manage", ("GET", "/api/v1/me"): ANYONE,
    ("POST", "/api/v1/me/password"): PERSON, ("GET", "/api/v1/keys"): "keys.own", ("POST", "/api/v1/keys"): "keys.own",
    ("DELETE", "/api/v1/keys/{key_id}"): "keys.own", ("GET", "/api/v1/audit"): "audit.read", ("GET", "/api/v1/audit/activity"): "audit.read",
    ("GET", "/api/v1/audit/{entry_id}"): "audit.read", ("GET", "/api/v1/health"): "health.read",
    ("GET", "/health/live"): PUBLIC, ("GET", "/health/ready"): PUBLIC, ("HEAD", "/health/live"): PUBLIC, ("HEAD", "/health/ready"): PUBLIC,
    ("GET", "/signin"): PUBLIC, ("POST", "/signin"): PUBLIC, ("GET", "/signin/once/{token}"): PUBLIC, ("POST", "/signin/once/{token}"): PUBLIC,
    ("POST", "/signout"): PUBLIC, ("GET", "/account"): PERSON, ("POST", "/account/theme"): ANYONE, ("POST", "/account/sessions/end"): PERSON,
    ("POST", "/account/sessions/{session_id}/end"): PERSON, ("GET", "/account/password"): PERSON, ("POST", "/account/password"): PERSON,
    ("GET", "/settings/users"): "users.read", ("GET", "/settings/users/new"): "users.manage", ("POST", "/settings/users/new"): "users.manage",
    ("GET", "/settings/users/{user_id}"): "users.read", ("POST", "/settings/users/{user_id}"): "users.manage",
    ("POST", "/settings/users/{user_id}/activity"): "users.manage", ("POST", "/settings/users/{user_id}/password-reset"): "users.manage",
    ("POST", "/settings/users/{user_id}/sessions/end"): "users.manage",
    ("POST", "/settings/users/{user_id}/sessions/{session_id}/end"): "users.manage", ("GET", "/settings/keys"): "keys.own",
    ("GET", "/settings/keys/new"): "keys.own", ("POST", "/settings/keys/new"): "keys.own", ("POST", "/settings/keys/{key_id}/revoke"): "keys.own",
    ("GET", "/audit"): "audit.read", ("GET", "/audit/{entry_id}"): "audit.read",
}  # fmt: skip
BODIES: dict[str, Any] = {
    "/api/v1/users": {"username": "x", "email": "x"}, "/api/v1/users/{user_id}": {"full_name": "Another"},
    "/api/v1/me/password": {"current": "wrong", "new": "another fine password"}, "/api/v1/keys": {"name": "x", "scopes": ["no.such.right"]},
}  # fmt: skip
BODIES["/api/v1/users"] = {"username": "no good", "email": "x@y.example"}
PACKAGES = (
    "plumbline.kernel.identity", "plumbline.kernel.ledger.api.audit", "plumbline.kernel.ledger.pages.audit", "plumbline.kernel.lifecycle",
)  # fmt: skip


def routes(house: House) -> Iterator[tuple[str, str]]:
    for found in iter_route_contexts(house.app.routes):
        route = found.original_route
        if isinstance(route, APIRoute) and route.endpoint.__module__.startswith(PACKAGES):
            for method in sorted(found.methods or ()):
                yield method, str(found.path)


@dataclass
class Ids:
    user: UUID
    session: UUID
    key: UUID
    entry: UUID

    def path(self, pattern: str) -> str:
        return pattern.format(
            user_id=self.user, session_id=self.session, key_id=self.key, entry_id=self.entry, token="abc"
        )


@pytest.fixture(scope="module")
def ids(house: House) -> dict[str, Ids]:
    """Things of either firm that the routes are asked for."""
    made = {}
    for name, firm in (("ours", house.firm), ("theirs", house.other)):
        admin = firm.as_role("admin")
        person = house.person("viewer", firm)
        session = house.browser(person, firm)
        context, _ = service.authenticate_session(house.installation, session.token or "", service.access.Client())
        key, _ = service.create_key(house.installation, admin, name="a key", scopes=["users.read"])
        entry = queries.list_entries(house.installation, admin, queries.Query(), PageRequest()).items[0].id
        made[name] = Ids(person.id, UUID(context.session_id), key, entry)
    return made


def test_every_route_says_what_it_needs(house: House) -> None:
    assert sorted(routes(house)) == sorted(NEEDS)


def test_operation_ids_are_unique_and_stable(house: House) -> None:
    names = [
        found.original_route.name
        for found in iter_route_contexts(house.app.routes)
        if isinstance(found.original_route, APIRoute)
    ]
    documented = [o["operationId"] for p in house.app.openapi()["paths"].values() for o in p.values()]
    assert len(documented) == len(set(documented))
    assert set(documented) <= set(names)


@pytest.mark.parametrize("role", ["viewer", "analyst", "admin"])
def test_a_role_reaches_what_it_has_a_right_to(house: House, ids: dict[str, Ids], role: str) -> None:
    held, person = rights.of_role(role), house.person(role)
    wrong = []
    for (method, pattern), need in NEEDS.items():
        browser = house.browser(person)  # anew each time: some routes end the session
        answer = browser.request(
            method, ids["ours"].path(pattern), json=BODIES.get(pattern) if pattern.startswith("/api") else None
        )
        allowed = need in (PUBLIC, ANYONE, PERSON) or need in held
        fits = answer.status_code < 500 and ((answer.status_code in (401, 403)) is not allowed)
        if not fits or (answer.is_redirect and answer.headers["location"].startswith("/signin?")):
            wrong.append((method, pattern, answer.status_code, answer.text[:200]))
    assert wrong == []


def test_nobody_reaches_what_is_not_public(house: House, ids: dict[str, Ids]) -> None:
    for (method, pattern), need in NEEDS.items():
        answer = house.browser().request(method, ids["ours"].path(pattern), json=BODIES.get(pattern))
        if need == PUBLIC:
            assert answer.status_code in (200, 303, 422), pattern
        elif method == "GET" and not pattern.startswith("/api"):
            assert (answer.status_code, answer.headers["location"][:13]) == (303, "/signin?next="), pattern
        else:
            assert answer.status_code == 401, pattern
            if pattern.startswith("/api"):
                assert answer.headers["content-type"] == "application/problem+json"
                assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_key_reaches_what_its_scopes_name(house: House, ids: dict[str, Ids]) -> None:
    """An administrator's key with one scope, for each scope."""
    admin = house.person("admin")
    for scope in sorted({n for n in NEEDS.values() if "." in n}):
        program = house.program(admin, scope)
        for (method, pattern), need in NEEDS.items():
            if need == PUBLIC or (need not in (scope, PERSON) and pattern.startswith("/settings")):
                continue
            if not pattern.startswith("/api/v1") and need != PERSON:
                continue
            answer = program(method, ids["ours"].path(pattern), json=BODIES.get(pattern))
            allowed = need in (scope, ANYONE)
            if scope == "users.manage" and pattern.endswith("/sessions/{session_id}/end"):
                continue
            assert answer.status_code < 500, (scope, pattern)
            assert (answer.status_code in (401, 403)) is not allowed, (scope, method, pattern, answer.text[:200])


def test_no_list_shows_a_word_of_another_organization(house: House, ids: dict[str, Ids]) -> None:
    """Before the test below: what somebody typed stands in the entry of the attempt."""
    admin = house.person("admin")
    theirs = [str(getattr(ids["theirs"], part)) for part in ("user", "session", "key", "entry")] + [
        "contoso",
        "Contoso",
        str(house.other.id),
    ]
    program = house.program(admin)
    shown = 0
    for (method, pattern), need in NEEDS.items():
        if method != "GET" or need == PUBLIC:
            continue
        path = ids["ours"].path(pattern)
        answer = program(method, path) if pattern.startswith("/api") else house.browser(admin).get(path)
        assert answer.status_code == 200, pattern
        assert [word for word in theirs if word in answer.text] == [], pattern
        shown += len(answer.text)
    assert shown > 10_000


def test_what_belongs_to_another_organization_is_not_there(house: House, ids: dict[str, Ids]) -> None:
    admin = house.person("admin")
    for method, pattern in NEEDS:
        if not any(part in pattern for part in ("{user_id}", "{key_id}", "{entry_id}", "{session_id}")):
            continue
        answer = house.browser(admin).request(method, ids["theirs"].path(pattern), json=BODIES.get(pattern))
        assert answer.status_code == 404, (method, pattern, answer.status_code)
