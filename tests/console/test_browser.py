"""The gallery in a real Chromium under the real policy: what a reader sees, presses and types."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from plumbline.console.assets import has_asset
from tests.browser_support import Visit

pytestmark = pytest.mark.browser
Open = Callable[..., Visit]
PAGES = ("/", "/decision", "/list?room=credit", "/list?room=documents", "/form", "/components", "/signin?wrong=1", "/password?wrong=1",
         "/forbidden", "/lost")  # fmt: skip
EXPECTED_STATUS = re.compile(r"status of (403|404|422|409)|^Response Status Error Code 409")


def complaints(visit: Visit) -> list[str]:
    return [line for line in visit.said if not EXPECTED_STATUS.search(line)]


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_axe_finds_nothing_and_the_policy_is_never_broken(gallery: str, visit: Open, width: int, theme: str) -> None:
    opened = visit(width, theme)
    found = []
    for path in PAGES:
        opened.page.goto(gallery + path)
        found += [f"{path}: {line}" for line in opened.violations() + opened.policy_violations()]
        assert opened.overflow() <= 0, path
    assert found == []
    assert complaints(opened) == []


def test_no_page_scrolls_sideways_at_320_pixels(gallery: str, visit: Open) -> None:
    opened = visit(320)
    for path in PAGES:
        opened.page.goto(gallery + path)
        assert opened.overflow() <= 0, path


def test_targets_on_a_phone_are_large_and_the_actions_stand_at_the_bottom(gallery: str, visit: Open) -> None:
    page = visit(390).page
    page.goto(gallery + "/decision")
    bar = page.locator(".head .acts").bounding_box()
    assert bar is not None
    assert bar["y"] + bar["height"] == 844
    for button in page.locator(".head .acts .btn, .top button:visible").all():
        box = button.bounding_box()
        assert box is not None
        assert box["height"] >= 44


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["htmx", "own"])
def test_tabs_periods_polling_and_dialogs_work_with_either_script(gallery: str, visit: Open, engine: str) -> None:
    if engine == "htmx" and not has_asset("vendor/htmx.min.js"):
        pytest.skip("htmx is not built into this tree")
    opened = visit()
    opened.context.add_cookies([{"name": "js", "value": engine, "url": gallery}])
    page = opened.page
    page.goto(gallery + "/")
    assert page.evaluate("typeof window.htmx") == ("object" if engine == "htmx" else "undefined")
    page.get_by_role("link", name="Threats").nth(1).click()
    expect(page.locator("#findings tbody tr")).to_have_count(2)
    expect(page).to_have_url(gallery + "/?room=threats")
    expect(page.locator("#findings [aria-current]")).to_be_focused()
    page.locator("#findings .tabs").get_by_text("None", exact=True).click()
    expect(page.get_by_text("Nothing to decide")).to_be_visible()
    page.go_back()
    expect(page.locator("#findings tbody tr")).to_have_count(2)
    page.get_by_role("link", name="30 days").click()
    expect(page.locator("#outcomes .pt")).to_have_count(61)
    # The strip asks for itself every 3 s and stops at its end.
    expect(page.locator("#job-4471")).to_contain_text("412,100 of 412,100", timeout=12_000)
    expect(page.locator("#job-4471").get_by_role("link", name="Open the result")).to_be_visible()

    page.goto(gallery + "/decision")
    page.get_by_role("button", name="Verify again").click()
    expect(page.get_by_text("Checked just now")).to_be_visible()
    page.get_by_role("button", name="Overturn…").click()
    page.get_by_label("What did you check?").fill("Too short")
    page.get_by_role("button", name="Overturn decision").click()
    expect(page.get_by_text("you wrote 9").first).to_be_visible()
    expect(page.get_by_label("What did you check?")).to_have_value("Too short")
    expect(page.get_by_label("Reason")).to_be_focused()
    assert opened.violations() == []
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_be_hidden()
    expect(page.get_by_role("button", name="Overturn…")).to_be_focused()
    page.get_by_role("button", name="Overturn…").click()
    page.get_by_label("Reason").select_option("Fact was wrong")
    page.get_by_label("What did you check?").fill("The bureau entry belonged to another person.")
    page.get_by_role("button", name="Overturn decision").click()
    expect(page).to_have_url(re.compile("done=1"))
    expect(page.get_by_text("entry 1,284,903 holds it")).to_be_visible()

    page.goto(gallery + "/components")
    expect(page.get_by_text("The report is here.")).to_be_visible()
    page.locator("#trouble").click()
    expect(page.locator("#live")).to_have_text("This job has ended already. Nothing was changed. Start a new one.")
    expect(page.get_by_text("The report is here.")).to_be_visible()
    assert page.evaluate("Object.keys(localStorage).length") == 0
    assert opened.policy_violations() == []
    assert complaints(opened) == []


def test_the_keyboard_alone_reaches_everything(gallery: str, visit: Open) -> None:
    page = visit().page
    page.goto(gallery + "/list")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    for key in "jjjk":
        page.keyboard.press(key)
    expect(page.locator("a.row").nth(1)).to_be_focused()
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.type("jk/")
    expect(page.locator("#q")).to_have_value("jk/")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page).to_have_url(gallery + "/decision")


def test_the_account_menu_opens_and_escape_closes_it(gallery: str, visit: Open) -> None:
    opened = visit()
    page = opened.page
    page.goto(gallery + "/")
    page.get_by_role("button", name="account of Imke Brandt").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    assert opened.violations() == []
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Sign out")).to_be_hidden()


def test_the_theme_is_switched_and_kept_without_a_flash(gallery: str, visit: Open) -> None:
    page = visit().page
    page.goto(gallery + "/")
    page.get_by_role("button", name="Switch between light and dark").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(13, 15, 19)"
    page.reload()
    assert 'data-theme="dark"' in page.content(), "the server writes it, so the first paint is right"


def test_charts_show_their_numbers_under_the_pointer(gallery: str, visit: Open) -> None:
    page = visit().page
    page.goto(gallery + "/")
    point = page.locator("#outcomes .pt").nth(30)
    point.scroll_into_view_if_needed()
    page.evaluate(
        "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )  # scrolling hides it
    point.hover()
    expect(page.locator("#tip")).to_be_visible()
    assert page.locator("#tip tr").count() == 4
    page.keyboard.press("Escape")
    expect(page.locator("#tip")).to_be_hidden()
    page.locator("#outcomes summary").click()
    expect(page.locator("#outcomes .as-table table")).to_be_visible()


def test_the_phones_menu_is_a_popover_with_large_targets(gallery: str, visit: Open) -> None:
    opened = visit(390, "dark")
    page = opened.page
    page.goto(gallery + "/")
    expect(page.locator("#nav")).to_be_hidden()
    expect(page.locator(".where")).to_have_text("Nordhaven Bank, production")
    page.get_by_role("button", name="Open menu").click()
    expect(page.get_by_role("link", name="Infrastructure").first).to_be_visible()
    assert opened.violations() == []
    page.keyboard.press("Escape")
    expect(page.locator("#nav")).to_be_hidden()


def test_a_chosen_file_is_named_and_a_wrong_form_comes_back_at_its_first_fault(
    gallery: str, visit: Open, tmp_path: Path
) -> None:
    table = tmp_path / "applications.csv"
    table.write_bytes(b"a" * 4200)
    page = visit().page
    page.goto(gallery + "/form")
    page.set_input_files("#table", table)
    expect(page.locator(".chosen li")).to_have_text("applications.csv4.2 kB")
    page.get_by_role("button", name="Score the batch").click()
    expect(page.get_by_role("alert")).to_contain_text("Give the batch a name.")
    expect(page.locator("#name")).to_be_focused()
    page.locator("#name").fill("Q4")
    page.set_input_files("#table", table)
    page.get_by_role("button", name="Score the batch").click()
    expect(page.get_by_role("status").first).to_contain_text("“Q4” takes applications.csv.")
    page.get_by_role("button", name="Close this message").click()
    expect(page.get_by_text("takes applications.csv")).to_be_hidden()


def test_the_zone_shows_that_a_file_is_held_over_it(gallery: str, visit: Open) -> None:
    page = visit().page
    page.goto(gallery + "/form")
    data = page.evaluate_handle(
        "() => { const d = new DataTransfer(); d.items.add(new File(['abc'], 'dropped.csv')); return d; }"
    )
    page.dispatch_event("#table", "dragover", {"dataTransfer": data})
    expect(page.locator(".drop")).to_have_class("drop over")
    page.dispatch_event("#table", "drop", {"dataTransfer": data})
    expect(page.locator(".drop")).to_have_class("drop")


def test_a_hash_is_copied_whole(gallery: str, visit: Open) -> None:
    opened = visit(permissions=["clipboard-read", "clipboard-write"])
    page = opened.page
    page.goto(gallery + "/decision")
    page.get_by_role("button", name="Copy entry hash").click()
    expect(page.locator("#live")).to_have_text("Copied")
    assert (
        page.evaluate("navigator.clipboard.readText()")
        == "b41e77c02f6ad08e93c1a7714de05b8cf2906e31aa84c7d25f0be1934c865d19"
    )


def test_without_any_script_lists_filters_and_the_menu_still_work(gallery: str, visit: Open) -> None:
    page = visit(script=False).page
    page.goto(gallery + "/")
    page.locator("#findings .tabs a").nth(1).click()
    expect(page.locator("#findings tbody tr")).to_have_count(2)
    page.goto(gallery + "/list")
    page.get_by_label("Room", exact=True).select_option("threats")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("tbody tr")).to_have_count(2)
    expect(page).to_have_url(re.compile("room=threats"))
    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_role("button", name="Open menu").click()
    expect(page.locator("#nav")).to_be_visible()


def test_print_shows_the_content_alone(gallery: str, visit: Open) -> None:
    page = visit(390, "dark").page
    page.goto(gallery + "/list")
    page.emulate_media(media="print", color_scheme="dark")
    for hidden in (".side", ".filters", ".head .acts", ".foot nav"):
        expect(page.locator(hidden)).to_be_hidden()
    expect(page.locator("tbody tr").first).to_be_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
