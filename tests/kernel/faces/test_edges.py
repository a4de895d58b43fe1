"""What every answer has, whoever asked: an id, headers, an error somebody can act on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from plumbline.kernel.context import Context
from plumbline.kernel.errors import Forbidden
from tests.support.house import House


def test_an_error_is_a_problem_document_with_a_remedy(house: House) -> None:
    program = house.program(house.person("admin"))
    answer = program("GET", "/api/v1/users/019ab2f0-1c00-7bd2-8f4e-51f0c2a7de90")
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (problem["status"], problem["code"], problem["type"]) == (
        404,
        "not-found",
        "urn:plumbline:problem:not-found",
    )
    assert problem["remedy"]
    assert problem["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("method", "path", "body", "fields"),
    [
        ("GET", "/api/v1/users?limit=0", None, ["limit"]),
        ("GET", "/api/v1/users?limit=501", None, ["limit"]),
        ("GET", "/api/v1/users?cursor=nonsense", None, ["cursor"]),
        ("GET", "/api/v1/users/not-an-id", None, ["user_id"]),
        ("POST", "/api/v1/users", {"username": "a", "email": 1, "shoe": 44}, ["username", "email", "shoe"]),
        ("POST", "/api/v1/keys", {"name": "a\x00b", "scopes": []}, ["name", "scopes"]),
        (
            "POST",
            "/api/v1/keys",
            {"name": "x", "scopes": ["users.read"], "expires_at": "2030-01-01T00:00:00"},
            ["expires_at"],
        ),
        ("PATCH", "/api/v1/users/019ab2f0-1c00-7bd2-8f4e-51f0c2a7de90", {"role": "owner"}, ["role"]),
        ("GET", "/api/v1/audit?since=yesterday", None, ["since"]),
        ("GET", "/api/v1/audit?actor=%00", None, ["actor"]),
        ("GET", "/api/v1/audit?action=a%00", None, ["action"]),
        ("GET", "/api/v1/audit?until=9999-12-31", None, ["until"]),
        ("GET", "/api/v1/audit/activity?days=121", None, ["days"]),
    ],
)
def test_what_cannot_be_used_names_each_field(
    house: House, method: str, path: str, body: Any, fields: list[str]
) -> None:
    answer = house.program(house.person("admin"))(method, path, json=body)
    assert answer.status_code == 422
    problem = answer.json()
    places = [problem["where"]["field"]] if "where" in problem else [e["where"]["field"] for e in problem["errors"]]
    assert sorted(places) == sorted(fields)


@pytest.mark.parametrize(
    "body", [b"{", b"\xff\xfe", b'{"username": "\\ud800x", "email": "a@b.example"}', b"[]", b"", b'"' * 100]
)
def test_broken_bodies_are_no_accident(house: House, body: bytes) -> None:
    answer = house.program(house.person("admin"))(
        "POST", "/api/v1/users", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid-input"


def test_a_request_keeps_a_sane_id_and_gets_one_otherwise(house: House) -> None:
    browser = house.browser()
    assert browser.get("/health/live", headers={"X-Request-ID": "abc-1.2"}).headers["x-request-id"] == "abc-1.2"
    for given in ("a b", "x" * 65, "<script>", ""):
        assert len(browser.get("/health/live", headers={"X-Request-ID": given}).headers["x-request-id"]) == 32


def test_the_request_s_id_stands_in_the_entry(house: House) -> None:
    admin = house.person("admin")
    program = house.program(admin)
    program(
        "PATCH",
        f"/api/v1/users/{house.person().id}",
        json={"full_name": "Somebody Else"},
        headers={"X-Request-ID": "req-42"},
    )
    entry = program("GET", "/api/v1/audit?action=users.change&limit=1").json()["items"][0]
    assert (entry["request_id"], entry["actor_type"], entry["user_name"], entry["client_id"]) == (
        "req-42",
        "key",
        admin.full_name,
        "test program",
    )
    assert entry["old_values"] == {
        "full_name": entry["resource_name"].replace("Somebody Else", entry["old_values"]["full_name"])
    }
    assert entry["new_values"] == {"full_name": "Somebody Else"}


@pytest.mark.parametrize("path", ["/signin", "/health/live", "/api/v1/users", "/nothing/here", "/api/v1/nothing"])
def test_every_answer_has_the_security_headers(house: House, path: str) -> None:
    headers = house.browser().get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "server" not in headers


def test_a_lost_address_is_told_in_the_form_of_its_asker(house: House) -> None:
    page = house.browser().get("/nothing/here")
    assert page.status_code == 404
    assert page.headers["content-type"].startswith("text/html")
    assert house.browser().get("/api/v1/nothing").json()["code"] == "not-found"
    method = house.browser().request("PUT", "/api/v1/users")
    assert method.status_code == 405
    assert "allow" in method.headers


def test_a_request_that_is_too_large_is_refused_unread(house: House) -> None:
    limit = house.installation.settings.max_request_bytes
    program = house.program(house.person("admin"))
    answer = program("POST", "/api/v1/users", content=b"x" * (limit + 1), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
    assert answer.json()["code"] == "too-large"


def test_a_superuser_crosses_by_a_header_and_nobody_else(house: House) -> None:
    admin = house.program(house.person("admin"))
    assert admin("GET", "/api/v1/me", headers={"Plumbline-Organization": "contoso"}).status_code == 403


def test_the_documentation_names_every_error_and_has_examples(house: House) -> None:
    document = json.loads(json.dumps(house.app.openapi()))
    mine = {
        p: o
        for p, o in document["paths"].items()
        if p.startswith(("/api/v1/users", "/api/v1/keys", "/api/v1/audit", "/api/v1/me"))
    }
    for path, operations in mine.items():
        for operation in operations.values():
            assert {"401", "403", "404", "409", "422", "429", "503"} <= set(operation["responses"]), path
            assert operation.get("description") or operation.get("summary")
    for name in ("Person", "NewPerson", "Key", "NewKey", "Entry", "HealthReport"):
        assert document["components"]["schemas"][name]["example"]


def test_a_missing_right_is_named() -> None:
    from datetime import UTC, datetime
    from uuid import UUID

    context = Context(UUID(int=1), "key", "k", "c", datetime.now(UTC), rights=frozenset({"users.read"}))
    with pytest.raises(Forbidden, match=r"needs the right 'credit.score'"):
        context.require("credit.score")
