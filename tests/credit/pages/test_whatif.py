"""What would change a decision, on its page: suggestions, and sliders that score as they move."""

from __future__ import annotations

import re
from uuid import UUID

import pytest

from plumbline.credit import service, words
from plumbline.credit.service import whatif
from tests.browser_support import browser, serve, visit
from tests.credit import trained
from tests.credit.helped import helped
from tests.credit.pages.desk import Desk, csv

__all__ = ["browser", "visit"]
HTMX = {"HX-Request": "true"}


def number() -> int:
    return helped()[0][0]


def decided(desk: Desk) -> str:
    return str(service.score(desk.lender.installation, desk.lender.analyst, trained.payload(number())).id)


@pytest.mark.parametrize("role", ["viewer", "analyst"])
def test_a_decision_tells_later_what_would_change_it(desk: Desk, role: str) -> None:
    key = decided(desk)
    seen = desk.browser(role)
    assert f'hx-get="/credit/decisions/{key}/what-if"' in seen.get(f"/credit/decisions/{key}").text
    part = seen.get(f"/credit/decisions/{key}/what-if", headers=HTMX)
    assert "<html" not in part.text
    for change in helped()[0][1].changes:
        said = f"{words.short(change.text)}: {words.value(change.after, change.unit)} instead of {words.value(change.before, change.unit)}"
        assert said in part.text
    sliders = re.findall(r'<input id="w-(\w+)" name="w-\w+" type="range" value="([^"]+)"', part.text)
    present = trained.payload(number())["application"]
    assert {name: float(value) for name, value in sliders} == {name: present[name] for name, _ in sliders}
    assert {name for name, _ in sliders} == {"AMT_INCOME_TOTAL", "AMT_CREDIT", "AMT_ANNUITY", "AMT_GOODS_PRICE"}
    whole = seen.get(f"/credit/decisions/{key}/what-if")
    assert "<html" in whole.text
    assert "What would change it" in whole.text


def test_a_moved_slider_is_scored_at_a_sensible_value_and_nothing_is_recorded(desk: Desk) -> None:
    key = decided(desk)
    seen = desk.browser("viewer")
    present = trained.payload(number())["application"]
    form = {
        f"w-{name}": str(present[name]) for name in ("AMT_INCOME_TOTAL", "AMT_CREDIT", "AMT_ANNUITY", "AMT_GOODS_PRICE")
    }
    entries = desk.lender.count("audit_log")
    as_it_is = seen.post(f"/credit/decisions/{key}/what-if", form, headers=HTMX)
    assert "As decided" in as_it_is.text
    changes = {c.column: c.after for c in helped()[0][1].changes}
    near = {f"w-{name}": str(value + 0.1234) for name, value in changes.items()}  # as a slider stops
    moved = seen.post(f"/credit/decisions/{key}/what-if", form | near, headers=HTMX)
    told = whatif.what_if(desk.lender.installation, desk.lender.analyst, {"prediction_id": key, "changes": changes})
    assert told.after.decision == "approve"
    assert "Approved" in moved.text
    assert f"{told.after.points:.0f} <small>" in moved.text
    plain = seen.post(f"/credit/decisions/{key}/what-if", form | near)
    assert "<html" in plain.text
    for value in changes.values():
        assert f">{words.value(value)}</ins>" in moved.text
        assert f">{words.value(value)}</ins>" in plain.text
    assert desk.lender.count("audit_log") == entries
    assert desk.lender.count("predictions") == 1


@pytest.mark.parametrize("text", ["much", "nan", "inf", "-1e400", "1e400", "-99999999"])
def test_what_no_slider_sends_is_told_or_kept_within_the_limits(desk: Desk, text: str) -> None:
    key = decided(desk)
    answer = desk.browser("viewer").post(f"/credit/decisions/{key}/what-if", {"w-AMT_ANNUITY": text}, headers=HTMX)
    assert answer.status_code == 200
    info = next(f for f in trained.scorer().features if f.name == "AMT_ANNUITY")
    ends = [f"{words.value(end)}</ins>" for end in (info.lowest, info.highest)]
    assert "This cannot be scored." in answer.text or any(end in answer.text for end in ends)


def test_none_is_said_with_what_was_missing(desk: Desk) -> None:
    key = desk.score(decision="decline")
    page = desk.browser("viewer").get(f"/credit/decisions/{key}/what-if").text
    assert "<strong>None.</strong> Nothing within 3 changes an applicant can make gets there." in page
    assert "The lowest default risk on the way was" in page
    approved = desk.browser("viewer").get(f"/credit/decisions/{desk.score(decision='approve')}/what-if").text
    assert "The application is there already." in approved


def test_an_erased_input_and_a_damaged_model_are_told(desk: Desk) -> None:
    key = service.score(desk.lender.installation, desk.lender.analyst, trained.payload(number())).id
    desk.lender.change("DROP TRIGGER IF EXISTS predictions_frozen")
    desk.lender.change("UPDATE predictions SET content = NULL WHERE id = :i", i=key.bytes)
    seen = desk.browser("viewer")
    assert "/what-if" not in seen.get(f"/credit/decisions/{key}").text
    page = seen.get(f"/credit/decisions/{key}/what-if")
    assert page.status_code == 200
    assert "It cannot be looked for now." in page.text


def test_a_row_of_a_file_and_another_tenants_decision(desk: Desk) -> None:
    desk.scored(csv(20))
    (first, *_) = desk.lender.rows("SELECT id FROM predictions ORDER BY batch_row")
    key = UUID(bytes=first[0])
    assert "Try changes" in desk.browser("viewer").get(f"/credit/decisions/{key}/what-if").text
    other = desk.browser("viewer", "contoso")
    assert other.get(f"/credit/decisions/{key}/what-if").status_code == 404
    assert other.post(f"/credit/decisions/{key}/what-if", {}, headers=HTMX).status_code == 404


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize(("width", "theme"), [(1440, "light"), (390, "dark")])
def test_a_slider_scores_as_it_moves(desk: Desk, visit: object, width: int, theme: str) -> None:
    key = decided(desk)
    with serve(desk.app) as base:
        v = visit(width=width, theme=theme)  # type: ignore[operator]
        v.context.add_cookies([{"name": "plumbline", "value": desk.token("viewer"), "url": base}])
        v.page.goto(f"{base}/credit/decisions/{key}")
        v.page.wait_for_selector("#tried")
        assert "As decided" in v.page.inner_text("#tried")
        v.page.locator("input[name=w-AMT_CREDIT]").focus()
        v.page.keyboard.press("ArrowLeft")
        v.page.wait_for_selector("#tried .big")
        assert "Amount of the loan" in v.page.inner_text("#tried")
        assert v.violations() == []
        assert v.policy_violations() == []
        assert v.overflow() == 0
        assert v.said == []
