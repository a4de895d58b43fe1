"""The pages of identity, as a browser meets them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest

from plumbline.kernel.identity import service
from plumbline.kernel.identity.pages import own_path
from plumbline.kernel.ledger import queries
from plumbline.kernel.paging import PageRequest
from tests.support.house import House
from tests.support.http import Browser

FOREIGN = [
    "https://evil.example/", "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example", "/\n/evil.example",
    "javascript:alert(1)", "http:evil.example", "evil.example", "/\x00", "/x\r\nSet-Cookie: a=b", "/signin?next=/signin", "/signout", "", " /audit",
    "/" + "x" * 2001,
]  # fmt: skip


@pytest.mark.parametrize("target", FOREIGN)
def test_a_sign_in_never_leads_elsewhere(target: str) -> None:
    assert own_path(target) == "/"


@pytest.mark.parametrize(
    "target", ["/", "/audit?actor=x&since=2026-11-01", "/credit/ä", "/a//b", "/x?next=https://evil.example"]
)
def test_a_sign_in_goes_on_where_it_was_asked(target: str) -> None:
    assert own_path(target) == target


@pytest.mark.parametrize("target", [t for t in FOREIGN if t])
def test_no_redirect_and_no_form_carries_a_foreign_address(house: House, target: str) -> None:
    person = house.person()
    browser = house.browser()
    page = browser.get(f"/signin?next={quote(target)}")
    assert page.status_code == 200
    assert 'name="next"' not in page.text
    answer = browser.sign_in(person.username, house.firm.password, target)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert len(answer.headers.get_list("set-cookie")) == 1


def test_the_way_to_a_page_leads_through_the_sign_in_and_back(house: House) -> None:
    person = house.person()
    browser = house.browser()
    asked = browser.get("/settings/users?cursor=")
    assert asked.headers["location"] == "/signin?next=%2Fsettings%2Fusers%3Fcursor%3D"
    form = browser.get(asked.headers["location"])
    assert 'name="next" value="/settings/users?cursor="' in form.text
    answer = browser.sign_in(person.username.upper(), house.firm.password, "/settings/users?cursor=")
    assert (answer.status_code, answer.headers["location"]) == (303, "/settings/users?cursor=")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("plumbline=")
    assert {"HttpOnly", "Path=/", "SameSite=lax", "Max-Age=43200"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert browser.get("/settings/users").status_code == 200
    assert browser.get("/signin?next=/audit").headers["location"] == "/audit"


def test_over_https_the_cookie_is_bound_to_the_host(house: House) -> None:
    person = house.person()
    browser = house.browser(base="https://plumbline.example")
    cookie = browser.sign_in(person.username, house.firm.password).headers["set-cookie"]
    assert cookie.startswith("__Host-plumbline=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    assert browser.get("/account").status_code == 200


def test_a_planted_session_is_not_taken_over(house: House) -> None:
    """Fixation: the token that the browser brought along is ended, the new one was never known to anybody."""
    attacker, victim = house.person(), house.person()
    planted = house.browser(attacker).token
    browser = house.browser()
    browser.token = planted or ""
    answer = browser.sign_in(victim.username, house.firm.password)
    fresh = re.match(r"plumbline=([^;]+)", answer.headers["set-cookie"])
    assert fresh
    assert fresh[1] != planted
    thief = house.browser()
    thief.token = planted or ""
    assert thief.get("/account").status_code == 303
    browser.token = "a-token-of-the-attacker-s-own-choice"
    answer = browser.sign_in(victim.username, house.firm.password)
    assert "own-choice" not in answer.headers["set-cookie"]


def test_a_wrong_password_keeps_what_was_typed_and_says_nothing_more(house: House) -> None:
    person = house.person()
    texts = []
    for login, password in ((person.username, "wrong"), ("nobody<script>", "wrong"), (person.username, ""), ("", "")):
        answer = house.browser().sign_in(login, password)
        assert answer.status_code == 422
        assert "set-cookie" not in answer.headers
        assert "<script>" not in answer.text.replace("<script src=", "")
        assert 'aria-invalid="true"' in answer.text
        texts.append(re.sub(r'value="[^"]*"', "", answer.text))
    assert len(set(texts)) == 1


def test_too_many_attempts_say_when_to_come_back(house: House) -> None:
    object.__setattr__(house.installation.settings, "sign_in_attempts", 2)
    try:
        answers = [house.browser(address="203.0.113.55").sign_in(f"somebody-{i}", "wrong") for i in range(3)]
    finally:
        object.__setattr__(house.installation.settings, "sign_in_attempts", 100_000)
    assert [a.status_code for a in answers] == [422, 422, 429]
    assert int(answers[2].headers["retry-after"]) >= 1
    assert "Too many attempts" in answers[2].text


def test_looking_at_a_link_does_not_use_it_up(house: House) -> None:
    person = house.person()
    link = service.once_link(house.installation, house.firm.as_role("admin"), person.id)
    for _ in range(3):
        scanner = house.browser()
        assert scanner.get(f"/signin/once/{link}").status_code == 200
        assert scanner.client.head(f"/signin/once/{link}").status_code in (200, 405)
        assert scanner.token is None
    browser = house.browser()
    answer = browser.post(f"/signin/once/{link}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert browser.get("/account").status_code == 200
    again = house.browser().post(f"/signin/once/{link}")
    assert again.status_code == 422
    assert "used or is too old" in again.text


def test_signing_out_ends_the_session_and_not_only_the_cookie(house: House) -> None:
    browser = house.browser(house.person())
    token = browser.token
    answer = browser.post("/signout")
    assert answer.headers["location"] == "/signin"
    assert any(c.startswith("plumbline=") and "Max-Age=0" in c for c in answer.headers.get_list("set-cookie"))
    thief = house.browser()
    thief.token = token or ""
    assert thief.get("/account").status_code == 303
    assert house.browser().post("/signout").status_code == 303  # nobody's: no error


def test_a_temporary_password_must_be_changed_before_anything_else(house: House) -> None:
    person = house.person()
    password = service.reset_password(house.installation, house.firm.as_role("admin"), person.id)
    browser = house.browser()
    assert browser.sign_in(person.username, password, "/audit").headers["location"] == "/account/password"
    for path in ("/account", "/settings/users", "/audit"):
        assert browser.get(path).headers["location"] == "/account/password"
    assert browser.get("/api/v1/me").status_code == 403
    assert "given to you" in browser.get("/account/password").text
    bad = browser.post("/account/password", {"current": password, "new": "short", "again": "short"})
    assert bad.status_code == 422
    assert "Use at least 12" in bad.text
    unlike = browser.post("/account/password", {"current": password, "new": "a fine new password", "again": "another"})
    assert unlike.status_code == 422
    done = browser.post(
        "/account/password", {"current": password, "new": "a fine new password", "again": "a fine new password"}
    )
    assert (done.status_code, done.headers["location"]) == (303, "/")
    assert browser.get("/account").status_code == 200


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({"Origin": "http://127.0.0.1"}, True),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({}, False),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "http://127.0.0.1.evil.example"}, False),
        ({"Origin": "http://127.0.0.1", "Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
    ],
)
def test_a_request_from_another_site_changes_nothing(house: House, headers: dict[str, str], passes: bool) -> None:
    browser = house.browser(house.person())
    for method, path in (
        ("POST", "/account/theme"),
        ("DELETE", "/api/v1/users/00000000-0000-7000-8000-000000000000/sessions"),
    ):
        answer = browser.client.request(method, path, headers=headers)
        assert (answer.status_code == 403 and "did not come from a page of this console" in answer.text) is not passes
    signing = Browser(house.app).client.post(
        "/signin", data={"login": "x", "password": "y"}, headers={"Origin": "https://evil.example"}
    )
    assert signing.status_code == 403  # nobody is signed in to somebody else's account


def test_no_header_can_be_written_through_what_is_typed(house: House) -> None:
    admin = house.person("admin")
    browser = house.browser(admin)
    person = house.person()
    nasty = "x\r\nSet-Cookie: stolen=1\r\n\r\n<script>alert(1)</script>"
    for path, data in (
        (f"/settings/users/{person.id}", {"full_name": nasty, "role": "viewer"}),
        ("/account/theme", {"theme": nasty}),
        ("/signin", {"login": nasty, "password": nasty, "next": "/" + nasty}),
    ):
        answer = browser.post(path, data)
        assert answer.status_code < 500
        assert "stolen" not in str(answer.headers.get_list("set-cookie"))
        assert all("\n" not in v and "\r" not in v for v in answer.headers.values())
    shown = browser.get(f"/settings/users/{person.id}")
    assert "<script>alert" not in shown.text
    browser.client.cookies.set("flash", quote("ok:<img src=x onerror=alert(1)>", safe=""), domain="127.0.0.1")
    assert "<img src=x" not in browser.get("/account").text


# one's own account


def test_the_account_page_ends_sessions(house: House) -> None:
    person = house.person()
    here, there = house.browser(person), house.browser(person)
    page = here.get("/account")
    assert page.text.count("Sign out<span") == 2
    assert page.text.count("This browser") == 1
    sessions = service.list_sessions(house.installation, house.firm.as_role("admin"), person.id)
    context, _ = service.authenticate_session(house.installation, there.token or "", service.access.Client())
    assert len(sessions) == 2
    assert here.post(f"/account/sessions/{context.session_id}/end").headers["location"] == "/account"
    assert there.get("/account").status_code == 303
    other = house.browser(house.person())
    foreign = service.authenticate_session(house.installation, other.token or "", service.access.Client())[0].session_id
    assert here.post(f"/account/sessions/{foreign}/end").status_code == 404
    assert here.post("/account/sessions/end").headers["location"] == "/signin"
    assert here.get("/account").status_code == 303
    assert other.get("/account").status_code == 200


def test_the_theme_is_chosen_by_the_reader(house: House) -> None:
    browser = house.browser(house.person())
    for theme, attribute in (("dark", 'data-theme="dark"'), ("light", 'data-theme="light"')):
        assert browser.post("/account/theme", {"theme": theme}).status_code == 303
        assert attribute in browser.get("/account").text
    browser.post("/account/theme", {"theme": ""})
    assert "data-theme=" not in browser.get("/account").text


# people


def test_a_new_person_gets_a_password_that_is_shown_once(house: House) -> None:
    browser = house.browser(house.person("admin"))
    form = {"username": "Jonas.Weiss", "email": "jonas@weiss.example", "full_name": "Jonas Weiß", "role": "analyst"}
    answer = browser.post("/settings/users/new", form)
    assert answer.status_code == 200
    password = re.search(r'data-copy="([^"]+)"', answer.text)
    assert password
    person = service.user_named(house.installation, house.firm.as_role("admin"), "jonas.weiss")
    assert (person.role, person.full_name, person.must_change_password) == ("analyst", "Jonas Weiß", True)
    assert house.browser().sign_in("jonas.weiss", password[1]).headers["location"] == "/account/password"
    assert password[1] not in browser.get(f"/settings/users/{person.id}").text
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("typed", "field", "said"),
    [
        ({"username": "a b"}, "username", "Use 2 to 100 letters"),
        ({"email": "nothing"}, "email", "name@example.org"),
        ({"role": "owner"}, "role", "Choose one of viewer"),
        ({"username": "northwind-viewer"}, "username", "is taken"),
        ({"full_name": "a\x00b"}, "full_name", "cannot be kept"),
        ({"email": "viewer@northwind.example"}, "email", "is taken"),
    ],
)
def test_a_form_keeps_what_was_typed_and_says_what_to_do(
    house: House, typed: dict[str, str], field: str, said: str
) -> None:
    browser = house.browser(house.person("admin"))
    form = {"username": "some.body", "email": "some@body.example", "full_name": "Some Body", "role": "viewer"} | typed
    answer = browser.post("/settings/users/new", form)
    assert answer.status_code == 422
    assert said in answer.text
    assert f'href="#{field}"' in answer.text
    if field != "role":
        assert re.search(rf'id="{field}"[^>]*aria-describedby="[^"]*{field}-err" aria-invalid="true"', answer.text)
    assert all(value in answer.text for name, value in form.items() if name not in (field, "role"))


def test_a_person_is_changed_deactivated_and_let_in_again(house: House) -> None:
    browser, person = house.browser(house.person("admin")), house.person()
    theirs = house.browser(person)
    path = f"/settings/users/{person.id}"

    def now() -> Any:
        return service.user_named(house.installation, house.firm.as_role("admin"), str(person.id))

    assert browser.post(path, {"full_name": "Another Name", "role": "analyst"}).headers["location"] == path
    assert (now().full_name, now().role) == ("Another Name", "analyst")
    assert theirs.get("/account").status_code == 303
    nothing = browser.post(path, {"full_name": "Another Name", "role": "analyst"})
    assert nothing.status_code == 422
    assert "Nothing would change" in nothing.text
    assert browser.post(f"{path}/activity", {"active": "no"}).status_code == 303
    assert not now().is_active
    assert "Activate…" in browser.get(path).text
    assert browser.post(f"{path}/activity", {"active": "yes"}).status_code == 303
    assert now().is_active
    reset = browser.post(f"{path}/password-reset", headers={"HX-Request": "true"})
    assert "<html" not in reset.text
    password = re.search(r'data-copy="([^"]+)"', reset.text)
    assert password
    assert house.browser().sign_in(person.username, password[1]).status_code == 303
    assert browser.post(f"{path}/sessions/end").status_code == 303
    assert "Signed in nowhere" in browser.get(path).text


def test_who_may_not_manage_people_sees_them_only(house: House) -> None:
    viewer, person = house.browser(house.person()), house.person()
    assert person.full_name in viewer.get("/settings/users").text
    page = viewer.get(f"/settings/users/{person.id}").text
    assert "Save changes" not in page
    assert "Deactivate…" not in page
    assert "Sessions" not in page
    assert "API keys" not in viewer.get("/settings/users").text
    superuser = house.browser(house.person("admin")).get(f"/settings/users/{house.firm.people['admin']}").text
    assert "Deactivate…" not in superuser


def test_the_last_administrator_is_kept_in_the_dialog(house: House) -> None:
    """The other firm has one administrator, who is a superuser: he alone may try."""
    context = house.other.context(house.other.people["admin"], "admin")
    from dataclasses import replace

    from plumbline.kernel.identity import rights

    link = service.once_link(house.installation, replace(context, rights=rights.EVERY), house.other.people["admin"])
    browser = house.browser()
    browser.post(f"/signin/once/{link}")
    path = f"/settings/users/{house.other.people['admin']}/activity"
    part = browser.post(path, {"active": "no"}, headers={"HX-Request": "true"})
    assert part.status_code == 422
    assert "last administrator" in part.text
    assert "<html" not in part.text
    whole = browser.post(path, {"active": "no"})
    assert whole.status_code == 422
    assert "last administrator" in whole.text


# keys


def test_a_key_is_made_used_and_revoked(house: House) -> None:
    browser = house.browser(house.person("analyst"))
    form = browser.get("/settings/keys/new").text
    assert 'value="audit.read"' in form
    assert 'value="users.manage"' not in form
    empty = browser.post("/settings/keys/new", {"name": "", "expires": "90"})
    assert empty.status_code == 422
    unlimited = {
        "name": "my nightly program",
        "scopes": ["audit.read", "users.read"],
        "expires": "30",
        "client_limit": "x",
    }
    bad = browser.post("/settings/keys/new", unlimited)
    assert bad.status_code == 422
    assert "my nightly program" in bad.text
    assert bad.text.count(" checked") == 2
    made = browser.post("/settings/keys/new", unlimited | {"client_limit": "600"})
    assert made.status_code == 200
    key = re.search(r'data-copy="(plb_[^"]+)"', made.text)
    assert key
    listed = browser.get("/settings/keys").text
    assert key[1] not in listed
    assert key[1][:8] in listed
    context, _ = service.authenticate_key(house.installation, key[1], service.access.Client())
    assert context.rights == {"audit.read", "users.read"}
    key_id = context.actor_id
    assert (
        house.browser(house.person("analyst")).post(f"/settings/keys/{key_id}/revoke").status_code == 404
    )  # somebody else's
    assert browser.post(f"/settings/keys/{key_id}/revoke").headers["location"] == "/settings/keys"
    assert "Revoked" in browser.get("/settings/keys").text
    assert browser.post(f"/settings/keys/{key_id}/revoke").status_code == 303  # pressed twice: told, no error
    rows = queries.list_entries(
        house.installation, house.firm.as_role("admin"), queries.Query(action="keys."), PageRequest()
    ).items
    assert [r.action for r in rows if str(r.resource_id) == key_id and r.success] == ["keys.revoke", "keys.create"]


def test_a_scope_the_maker_does_not_hold_is_refused(house: House) -> None:
    browser = house.browser(house.person("analyst"))
    answer = browser.post("/settings/keys/new", {"name": "sly", "scopes": ["users.manage"], "expires": ""})
    assert answer.status_code == 403


def test_an_expired_key_is_shown_as_such(house: House) -> None:
    person = house.person("analyst")
    service.create_key(house.installation, house.firm.context(person.id, "analyst"), name="soon over", scopes=["audit.read"],
                       expires_at=house.clock.now + timedelta(minutes=5))  # fmt: skip
    house.clock.now += timedelta(minutes=6)
    assert "Expired" in house.browser(person).get("/settings/keys").text
