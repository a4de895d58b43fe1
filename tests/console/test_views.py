from __future__ import annotations

import re
from html.parser import HTMLParser
from urllib.parse import unquote

import httpx
import pytest
from jinja2 import UndefinedError
from starlette.requests import Request

from plumbline.console import views
from plumbline.kernel.errors import InvalidInput, Where

PAGES = (
    "/",
    "/decision",
    "/list",
    "/form",
    "/components",
    "/signin?wrong=1",
    "/password?wrong=1",
    "/forbidden",
    "/lost",
)


class Tags(HTMLParser):
    """Every element of a page with the names of its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, list[str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, [name for name, _ in attrs]))


def request(headers: dict[str, str] | None = None, path: str = "/x") -> Request:
    raw = [(k.lower().encode(), v.encode()) for k, v in (headers or {}).items()]
    return Request({"type": "http", "method": "GET", "path": path, "headers": raw, "query_string": b"", "scheme": "http",
                    "server": ("testserver", 80), "state": {}})  # fmt: skip


@pytest.mark.parametrize("path", PAGES)
def test_pages_hold_no_inline_style_or_script_one_h1_and_unique_ids(client: httpx.Client, path: str) -> None:
    text = client.get(path).text
    found = Tags()
    found.feed(text)
    assert "style" not in {tag for tag, _ in found.seen}
    for tag, names in found.seen:
        assert not [name for name in names if name == "style" or name.startswith(("on", "hx-on"))]
        assert tag != "script" or "src" in names
    assert len(re.findall(r"<h1\b", text)) == 1
    ids = re.findall(r'\sid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    for target in re.findall(r'aria-describedby="([^"]+)"', text):
        assert set(target.split()) <= set(ids)
    assert set(re.findall(r'<label[^>]* for="([^"]+)"', text)) <= set(ids)


def test_the_sidebar_marks_where_the_reader_is_and_counts_only_what_waits(client: httpx.Client) -> None:
    text = client.get("/list").text
    assert re.findall(r'<a href="([^"]+)" aria-current="page">', text) == ["/list"]
    assert text.count('class="count"') == 1
    assert "Nordhaven Bank" in text
    assert 'action="/signout"' in text


def test_before_sign_in_nothing_of_the_shell_is_shown(client: httpx.Client) -> None:
    text = client.get("/signin?wrong=1").text
    for secret in ("Nordhaven Bank", "Imke Brandt", 'id="nav"', "/signout"):
        assert secret not in text
    assert text.count('role="alert"') == 1
    assert text.count('aria-describedby="signin-err"') == 2, "one error for both fields"
    assert "imke.brandt@nordhaven.example" in text, "what was typed stays"


def test_a_name_that_is_not_given_is_an_error_not_an_empty_text() -> None:
    with pytest.raises(UndefinedError, match="job"):
        views.fragment(request(), "job.html")


def test_text_from_outside_is_escaped_and_starts_no_request(client: httpx.Client) -> None:
    text = client.get("/components").text
    assert '<span class="pre" hx-disable>&lt;img src=x onerror=alert(1)&gt;' in text


def test_templates_of_two_packages_cannot_share_a_name() -> None:
    views.register_templates("tests.console.gallery", "gallery")
    with pytest.raises(ValueError, match="already come from"):
        views.register_templates("plumbline.console", "gallery")


def test_the_theme_is_the_shells_or_the_cookies_and_nothing_else(client: httpx.Client) -> None:
    for cookie, shown in (("dark", True), ("light", True), ('"><script>', False)):
        client.cookies.set("theme", cookie)
        text = client.get("/").text
        assert (f'data-theme="{cookie}"' in text) is shown
        assert '<html lang="en">' in text or shown


def test_a_message_survives_one_redirect_and_is_shown_once(client: httpx.Client) -> None:
    sent = client.post("/form", data={"name": "Q4 <b>"}, files={"table": ("q4.csv", b"1")})
    assert sent.status_code == 303
    assert "httponly" in sent.headers["set-cookie"].lower()
    shown = client.get(sent.headers["location"])
    assert "“Q4 &lt;b&gt;” takes q4.csv." in shown.text
    assert "takes q4.csv" not in client.get("/form").text


def test_a_redirect_answers_a_script_and_a_form_each_in_its_way() -> None:
    part = views.redirect(request({"HX-Request": "true"}), "/credit/1?state=open", flash="Done.")
    assert (part.status_code, part.headers["hx-redirect"]) == (204, "/credit/1?state=open")
    assert "ok%3ADone." in part.headers["set-cookie"]
    assert unquote(views.redirect(request(), "/a b").headers["location"]) == "/a b"


@pytest.mark.parametrize(
    "href", ["https://evil.example", "//evil.example", "/\\evil.example", "evil", "/a\r\nSet-Cookie: x=1", "/\t/evil"]
)
def test_a_redirect_never_leaves_this_site(href: str) -> None:
    with pytest.raises(ValueError, match="stays on this site"):
        views.redirect(request(), href)


def test_a_form_with_faults_keeps_what_was_typed_and_names_each_field(client: httpx.Client) -> None:
    answer = client.post("/decision/overturn", data={"note": "Too <short>"})
    assert answer.status_code == 422
    assert "Too &lt;short&gt;" in answer.text
    assert 'aria-describedby="note-hint note-err"' in answer.text
    assert 'href="#reason"' in answer.text
    assert answer.text.count('aria-invalid="true"') == 2
    assert "<html" not in answer.text


def test_errors_are_pages_for_people_and_one_line_for_a_script(client: httpx.Client) -> None:
    whole = client.get("/forbidden")
    assert whole.status_code == 403
    assert "Nothing was changed." in whole.text
    assert "req_8f2c41b7e06d52c8817ba4f9" in whole.text
    part = client.get("/break", headers={"HX-Request": "true"})
    assert (part.status_code, part.headers["content-type"]) == (409, "text/plain; charset=utf-8")
    assert part.text == "This job has ended already. Nothing was changed. Start a new one."


def test_an_error_lists_the_faults_it_is_made_of() -> None:
    faults = tuple(InvalidInput(f"bad <{n}>", where=Where(row=n)) for n in (3, 9))
    body = bytes(views.error_page(request(), InvalidInput("2 rows are wrong.", errors=faults)).body).decode()
    assert "row 3: bad &lt;3&gt;" in body
    assert "row 9: bad &lt;9&gt;" in body


def test_a_job_is_polled_until_it_has_ended(client: httpx.Client) -> None:
    codes = [client.get("/job").status_code for _ in range(2)]
    assert codes == [200, 286]
    job = views.JobView("1", "Import", "/job", "running", 5, 0)
    assert job.share is None
    assert b'<progress max="100" aria' in views.job_fragment(request(), job).body
    ended = views.JobView("1", "Import", "/job", "failed", 5, 9, error="The file ends early.")
    answer = views.job_fragment(request(), ended, reload=True)
    assert (answer.status_code, answer.headers["hx-refresh"]) == (286, "true")
    assert b"The file ends early." in answer.body


def test_pages_are_compressed(client: httpx.Client) -> None:
    answer = client.get("/", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
