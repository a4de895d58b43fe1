"""What only a browser shows: the dialogs, the keyboard, and that nothing is refused by the page's own policy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser_support import serve
from tests.support.house import House

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def address(house: House) -> Iterator[str]:
    with serve(house.app) as base:
        yield base


def signed_in(visit: Any, address: str, house: House, **options: Any) -> Any:
    person = house.person("admin")
    opened = visit(**options)
    page = opened.page
    page.goto(f"{address}/settings/users")
    page.fill("#login", person.username)
    page.fill("#password", house.firm.password)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{address}/settings/users")
    return opened


@pytest.mark.parametrize(("width", "theme"), [(1440, "light"), (390, "dark")])
def test_every_page_is_accessible_and_fits(house: House, address: str, visit: Any, width: int, theme: str) -> None:
    person = house.person()
    opened = signed_in(visit, address, house, width=width, theme=theme)
    for path in ("/account", "/account/password", "/settings/users", "/settings/users/new", f"/settings/users/{person.id}", "/settings/keys",
                 "/settings/keys/new", "/audit", "/audit?outcome=failed", "/audit?actor=nobody"):  # fmt: skip
        opened.page.goto(address + path)
        assert opened.violations() == [], path
        assert opened.policy_violations() == [], path
        assert opened.overflow() == 0, path
    opened.page.goto(f"{address}/audit")
    opened.page.locator("a.row").first.click()
    opened.page.wait_for_url(re.compile(r"/audit/[0-9a-f-]{36}$"))
    assert opened.violations() == []
    assert opened.overflow() == 0
    assert opened.said == []


def test_a_password_is_reset_in_the_dialog_and_a_person_deactivated(house: House, address: str, visit: Any) -> None:
    person = house.person()
    opened = signed_in(visit, address, house)
    page = opened.page
    page.goto(f"{address}/settings/users/{person.id}")
    page.get_by_role("button", name="Reset password…").click()
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0
    page.get_by_role("button", name="Reset password…").click()
    page.locator("#reset").get_by_role("button", name="Reset password").click()
    page.get_by_text("It is shown here once").wait_for()
    password = page.locator("#reset [data-copy]").get_attribute("data-copy")
    assert house.browser().sign_in(person.username, password).headers["location"] == "/account/password"
    page.get_by_role("link", name="I have noted it").click()
    page.get_by_role("button", name="Deactivate…").click()
    assert opened.violations() == []
    page.locator("#activity").get_by_role("button", name="Deactivate").click()
    page.get_by_text("may no longer sign in").wait_for()
    assert page.get_by_text("Inactive", exact=True).count() == 1
    assert opened.said == []


def test_a_key_is_revoked_in_its_dialog(house: House, address: str, visit: Any) -> None:
    opened = signed_in(visit, address, house)
    page = opened.page
    page.goto(f"{address}/settings/keys/new")
    page.fill("#name", "a browser’s key")
    page.get_by_role("button", name="Make the key").click()  # no right chosen
    page.get_by_text("Name at least one right").first.wait_for()
    assert page.input_value("#name") == "a browser’s key"
    page.get_by_label("audit.read").check()
    page.get_by_role("button", name="Make the key").click()
    page.get_by_text("Copy it now").wait_for()
    page.goto(f"{address}/settings/keys")
    page.get_by_role("button", name="Revoke…").first.click()
    page.locator("dialog[open]").get_by_role("button", name="Revoke key").click()
    page.get_by_text("The key is revoked").wait_for()
    assert opened.policy_violations() == []


def test_without_a_script_people_sign_in_and_change_a_name(house: House, address: str, visit: Any) -> None:
    person = house.person()
    opened = signed_in(visit, address, house, script=False)
    page = opened.page
    page.goto(f"{address}/settings/users/{person.id}")
    page.fill("#full_name", "Without A Script")
    page.get_by_role("button", name="Save changes").click()
    page.get_by_text("The person is changed").wait_for()
    assert page.locator("h1").inner_text().startswith("Without A Script")
