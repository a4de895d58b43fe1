"""The page of how groups fare."""

from __future__ import annotations

import pytest

from plumbline.credit.pages.intervals import Interval, intervals
from plumbline.credit.service.fairness import fairness_of
from tests.credit.pages.desk import Desk


def test_everyone_who_may_read_sees_ratios_errors_and_what_is_outside_the_score(desk: Desk) -> None:
    lender = desk.lender
    report = fairness_of(lender.installation, lender.analyst, str(lender.model_id)).report
    assert report is not None
    page = desk.browser("viewer").get(f"/credit/models/{lender.model_id}/fairness")
    assert page.status_code == 200
    for said in (
        "Approval-rate ratio",
        "Errors by group",
        "Outside the score",
        "No search was made",
        report["statement"],
        "CODE_<wbr>GENDER",
    ):
        assert said in page.text
    assert page.text.count('class="whisker"') >= sum(len(g["attributes"]) == 1 for g in report["groups"])
    assert f"/credit/models/{lender.model_id}/fairness" in desk.browser().get("/credit").text


def test_a_model_that_was_not_measured_says_why(desk: Desk) -> None:
    page = desk.browser("analyst", "contoso").get(f"/credit/models/{desk.other.model_id}/fairness")
    assert page.status_code == 200
    assert "It was not measured" in page.text


def test_another_tenants_model_is_not_there(desk: Desk) -> None:
    assert desk.browser("analyst", "contoso").get(f"/credit/models/{desk.lender.model_id}/fairness").status_code == 404


def test_an_interval_says_its_numbers_and_escapes_its_names() -> None:
    drawn = intervals(
        "One is low",
        [Interval("<a>", "note", 0.7, 0.6, 0.79)],
        limit=0.8,
        limit_name="Limit",
        write=lambda v: f"{v:.2f}",
    )
    assert "&lt;a&gt;" in drawn
    assert "0.60–0.79" in drawn
    assert "style=" not in drawn
    with pytest.raises(ValueError, match="nothing to draw"):
        intervals("none", [], limit=0.8, limit_name="Limit", write=str)


def test_the_scorecard_shows_points_and_what_the_twin_gives_up(desk: Desk) -> None:
    page = desk.browser("viewer").get(f"/credit/models/{desk.lender.model_id}/scorecard")
    assert page.status_code == 200
    for said in ("Against the model", "Out of fold", "A second opinion", "Missing"):
        assert said in page.text
    assert desk.browser("analyst", "contoso").get(f"/credit/models/{desk.lender.model_id}/scorecard").status_code == 404
    shown = desk.browser().get(f"/models/{desk.lender.model_id}").text
    assert f'href="/credit/models/{desk.lender.model_id}/scorecard"' in shown
    assert f'href="/credit/models/{desk.lender.model_id}/fairness"' in shown
