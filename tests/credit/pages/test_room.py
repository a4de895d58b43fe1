"""The room's first page, and the form of one application."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest

from plumbline.credit import service
from plumbline.credit.pages import form
from plumbline.credit.pages.scoring import example_of
from plumbline.kernel.paging import PageRequest
from tests.credit import trained
from tests.credit.pages.desk import Desk, csv
from tests.credit.trained import Lender

ROLES = ("viewer", "analyst", "admin")


def moved(lender: Lender, **step: float) -> None:
    clock = lender.installation.clock
    clock.now += timedelta(**step)  # type: ignore[attr-defined]


@pytest.mark.parametrize("role", ROLES)
def test_the_room_shows_what_decides_and_the_last_decisions(desk: Desk, role: str) -> None:
    key = desk.score(level="High")
    view = desk.scored(csv(12))
    page = desk.browser(role).get("/credit")
    assert page.status_code == 200
    assert "credit-risk 1</a> decides" in page.text
    assert f"/credit/decisions/{key}" in page.text
    assert f"/credit/batches/{view.batch.id}" in page.text
    acts = 'href="/credit/score"' in page.text, 'href="/credit/batches/new"' in page.text
    assert acts == ((False, False) if role == "viewer" else (True, True))


def test_an_organization_without_a_model_is_told_how_to_make_one(desk: Desk) -> None:
    desk.other.change("UPDATE ml_models SET is_active = 0 WHERE organization_id = :o", o=desk.other.id.bytes)
    browser = desk.browser("admin", "contoso")
    room, score = browser.get("/credit"), browser.get("/credit/score")
    assert "plumbline credit train portfolio" in room.text
    assert score.status_code == 200
    assert "No model decides yet" in score.text


def test_decisions_are_filtered_in_the_address_and_paged_by_key(desk: Desk) -> None:
    desk.scored(csv(60))
    desk.score(level="High", SK_ID_CURR=555)
    browser = desk.browser("viewer")
    assert "1 of 1 decisions" in browser.get("/credit?subject=555").text
    first = browser.get("/credit")
    assert "25 of 61 decisions" in first.text
    assert 'rel="first"' not in first.text
    after = re.search(r'href="(/credit\?cursor=[^"]+)" rel="next"', first.text)
    assert after is not None
    second = browser.get(after[1])
    assert 'rel="first"' in second.text
    shown = [set(re.findall(r"/credit/decisions/([0-9a-f-]{36})", text.text)) for text in (first, second)]
    assert len(shown[0] | shown[1]) == 50
    for level in ("Low", "High"):
        page = browser.get(f"/credit?level={level}")
        cells = re.findall(r'<td class="p2 soft">(Low|Medium|High)</td>', page.text)
        assert cells
        assert set(cells) == {level}
    assert "No decision fits these filters" in browser.get("/credit?subject=nobody").text


def test_a_broken_cursor_is_told_and_a_strange_level_is_no_filter(desk: Desk) -> None:
    browser = desk.browser("viewer")
    assert browser.get("/credit?cursor=%21").status_code == 422
    assert browser.get("/credit?level=Highest&subject=%00").status_code == 200


# --- one application


def test_the_form_shows_a_dozen_fields_and_keeps_the_others_behind(desk: Desk) -> None:
    page = desk.browser().get("/credit/score").text
    front, _, rest = page.partition('<details class="as-table">')
    assert len(re.findall(r'id="f-\w+"', front)) == form.FIRST
    assert len(re.findall(r'id="f-\w+"', rest)) > 90
    assert 'id="f-TARGET"' not in page
    assert front.index('id="f-SK_ID_CURR"') < front.index('id="f-EXT_SOURCE')


def test_what_the_form_sends_is_decided_and_recorded(desk: Desk) -> None:
    sent = trained.application_with(level="Low")
    given = form.typed(sent.pop("application")) | {"history": json.dumps(sent)}
    answer = desk.browser().post("/credit/score", given)
    assert answer.status_code == 303
    key = answer.headers["location"].rpartition("/")[2]
    kept = service.list_decisions(desk.lender.installation, desk.lender.analyst, PageRequest(5)).items
    assert [str(p.id) for p in kept] == [key]
    assert kept[0].prediction_result == "Low"
    assert len(desk.lender.entries("credit.score")) == 1


def test_a_form_with_faults_keeps_what_was_typed_and_decides_nothing(desk: Desk) -> None:
    given = {
        "f-SK_ID_CURR": "7001",
        "f-AMT_CREDIT": "many",
        "f-AMT_INCOME_TOTAL": "90000",
        "f-DAYS_BIRTH": "-3",
        "history": '{"lones": []}',
    }
    page = desk.browser().post("/credit/score", given)
    assert page.status_code == 422
    assert 'value="many"' in page.text
    assert 'value="90000"' in page.text
    assert re.search(r'id="f-AMT_CREDIT-err">Write a number', page.text)
    mended = desk.browser().post("/credit/score", given | {"f-AMT_CREDIT": "135000"})
    assert mended.status_code == 422
    assert re.search(r'id="f-DAYS_BIRTH-err">The value is outside', mended.text)
    assert "There is no table lones" in mended.text
    assert "lones" in mended.text.partition("<textarea")[2]
    assert "<details" in mended.text
    assert desk.lender.count("predictions") == 0


def test_json_is_decided_too_and_its_faults_have_their_place(desk: Desk) -> None:
    browser = desk.browser()
    wrong = browser.post(
        "/credit/score", {"by": "json", "json": '{"application": {"SK_ID_CURR": 1, "AMT_CREDIT": "x"}}'}
    )
    assert wrong.status_code == 422
    assert "application.AMT_CREDIT: The value must be a number." in wrong.text
    assert browser.post("/credit/score", {"by": "json", "json": "[1"}).status_code == 422
    assert browser.post("/credit/score", {"by": "json", "json": "[1]"}).status_code == 422
    sent = json.dumps(trained.application_with(level="High"))
    assert browser.post("/credit/score", {"by": "json", "json": sent}).status_code == 303


def test_an_example_is_synthetic_the_same_for_a_seed_and_can_be_scored(desk: Desk) -> None:
    browser = desk.browser()
    page = browser.get("/credit/score?example=5")
    assert "Synthetic application, made from the seed 5" in page.text
    values = [
        re.findall(r'id="(f-\w+)"[^>]* value="([^"]*)"', browser.get(f"/credit/score?example={seed}").text)
        for seed in (5, 5, 6)
    ]
    assert values[0] == values[1] != values[2]
    made = example_of(trained.scorer().schema, 5)
    assert made is not None
    assert f'value="{made["application"]["SK_ID_CURR"]}"' in page.text
    assert "TARGET" not in made["application"]
    made["application"]["SK_ID_CURR"] = 4712  # the same with another number is another application
    assert browser.post("/credit/score", {"by": "json", "json": json.dumps(made)}).status_code == 303
    assert browser.get("/credit/score?example=x").status_code == 200
    assert browser.get("/credit/score?example=" + "9" * 40).status_code == 200


def test_a_viewer_may_neither_open_the_form_nor_send_it(desk: Desk) -> None:
    browser = desk.browser("viewer")
    assert browser.get("/credit/score").status_code == 403
    assert browser.post("/credit/score", {"f-SK_ID_CURR": "1"}).status_code == 403
    assert desk.lender.count("predictions") == 0
    assert len(desk.lender.entries("credit.score", success=False)) == 1
