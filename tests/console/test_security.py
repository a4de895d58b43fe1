from __future__ import annotations

import httpx
import pytest

from plumbline.console.security import HEADERS

HOST = "http://testserver"
OURS = {"Origin": HOST}


def test_every_answer_carries_the_headers_pages_are_not_kept(client: httpx.Client) -> None:
    for path, status in (("/", 200), ("/lost", 404), ("/nowhere", 404), ("/signin?wrong=1", 422)):
        answer = client.get(path)
        assert answer.status_code == status
        for name, value in HEADERS.items():
            assert answer.headers.get_list(name) == [value], (path, name)


def test_the_policy_permits_no_inline_code_and_no_other_host(client: httpx.Client) -> None:
    policy = client.get("/").headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "http" not in policy
    assert policy.startswith("default-src 'none'; ")
    assert policy.endswith("frame-ancestors 'none'")


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({}, True),  # a script without a cookie: nobody's session can be lent
        ({"Cookie": "session=x"}, False),
        ({"Cookie": "session=x", **OURS}, True),
        ({"Cookie": "session=x", "Sec-Fetch-Site": "same-origin", **OURS}, True),
        ({"Cookie": "session=x", "Sec-Fetch-Site": "same-origin"}, True),
        ({"Cookie": "session=x", "Origin": "https://testserver"}, True),  # TLS ends at a proxy
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "http://testserver.evil.example"}, False),
        ({"Origin": "http://evil.example@testserver:80"}, False),
        ({"Origin": "http://testserver:8080"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site", **OURS}, False),
    ],
)
def test_a_change_is_accepted_only_from_our_own_pages(
    client: httpx.Client, headers: dict[str, str], passes: bool
) -> None:
    answer = client.post("/decision/verify", headers=headers)
    assert answer.status_code == (200 if passes else 403)
    if not passes:
        assert "Nothing was changed" in answer.text


def test_reading_is_allowed_from_everywhere(client: httpx.Client) -> None:
    assert (
        client.get("/", headers={"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}).status_code == 200
    )
