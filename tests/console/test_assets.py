from __future__ import annotations

import gzip
import re

import httpx
import pytest

from plumbline.console.assets import assets, static_url


def test_a_hashed_name_may_be_kept_for_ever_and_a_plain_one_is_asked_again(client: httpx.Client) -> None:
    address = static_url("console.css")
    assert re.fullmatch(r"/static/console\.[0-9a-f]{8}\.css", address)
    kept, asked = client.get(address), client.get("/static/console.css")
    assert kept.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert asked.headers["cache-control"] == "no-cache"
    assert kept.content == asked.content
    assert client.get("/static/console.00000000.css").status_code == 404


def test_files_come_packed_to_who_takes_it_and_are_not_sent_twice(client: httpx.Client) -> None:
    address = static_url("console.css")
    packed = client.get(address, headers={"Accept-Encoding": "gzip"})
    plain = client.get(address, headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(plain.content) / 3
    assert "content-encoding" not in plain.headers
    assert packed.content == plain.content == assets()["console.css"].body
    assert gzip.decompress(assets()["console.css"].packed or b"") == plain.content
    again = client.get(address, headers={"If-None-Match": plain.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_the_font_is_referred_to_by_its_hashed_name() -> None:
    names = re.findall(rb"url\(([^)]+)\)", assets()["font.css"].body)
    expected = assets().get("vendor/inter.woff2")
    assert names == [expected.hashed.encode() if expected else b"vendor/inter.woff2"]


@pytest.mark.parametrize(
    "path", ["../views.py", "..%2fviews.py", "vendor/", "", "console.css/", "vendor/manifest.json"]
)
def test_nothing_but_known_files_is_served(client: httpx.Client, path: str) -> None:
    assert client.get(f"/static/{path}").status_code == 404


def test_static_files_answer_head_and_refuse_to_be_changed(client: httpx.Client) -> None:
    head = client.head(static_url("console.js"))
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) > 0
    refused = client.post(static_url("console.js"), headers={"Origin": "http://testserver"})
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")


def test_a_file_that_is_not_there_has_no_address() -> None:
    with pytest.raises(LookupError, match=r"nothing\.css"):
        static_url("nothing.css")


def test_the_policy_would_let_through_everything_our_own_files_do() -> None:
    for name in ("console.js", "swap.js"):
        source = assets()[name].body.decode()
        assert not re.search(r"\beval\(|new Function|innerHTML\s*=|insertAdjacentHTML|document\.write", source), name
    assert not re.search(rb"@import|url\((?!vendor)", assets()["console.css"].body)
