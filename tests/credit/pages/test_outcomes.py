"""The page of performance by month, and the form by which outcomes come in."""

from __future__ import annotations

import os
import re
from datetime import timedelta
from pathlib import Path

import pytest

from plumbline.credit.service import outcomes
from tests.browser_support import browser, serve, visit
from tests.conftest import SteppingClock
from tests.credit.pages.desk import Desk
from tests.credit.service.test_cohorts import labels, october
from tests.credit.service.test_outcomes import LATER, OCTOBER, decide_many, told

__all__ = ["browser", "visit"]
HTMX = {"HX-Request": "true"}


def furnished(desk: Desk, clock: SteppingClock) -> None:
    """A mature month, one of one class, an incomplete one and an immature one."""
    house, lender = desk.lender.installation, desk.lender
    rows = october(lender, accepted=1500, declined=420)
    outcomes.record(house, lender.analyst, labels(rows), source="feed")
    few = decide_many(lender, [(f"N-{n}", "approve", 0.03) for n in range(60)], OCTOBER + timedelta(days=30))
    outcomes.record(house, lender.analyst, [told(k) for k in few], source="feed")
    clock.now += timedelta(days=20)
    decide_many(lender, [(f"I-{n}", "approve", 0.03) for n in range(80)], clock.now)
    clock.now += LATER
    decide_many(lender, [(f"L-{n}", "approve", 0.03) for n in range(70)], clock.now)
    outcomes.evaluate(house, lender.analyst)


@pytest.mark.parametrize("role", ["viewer", "analyst"])
def test_each_month_says_whether_it_can_be_judged(desk: Desk, clock: SteppingClock, role: str) -> None:
    seen = desk.browser(role)
    assert "Nothing is decided yet" in seen.get("/credit/performance").text
    furnished(desk, clock)
    desk._tokens.clear()
    page = desk.browser(role).get("/credit/performance").text
    for words in ("October 2026", "November 2026", "December 2026", "Mature", "Immature", "Incomplete", "No estimate is made while outcomes are missing",
                  "One class only: 0 of 60 rows are events", "80 of 80 outcomes are missing"):  # fmt: skip
        assert words in page, words
    assert ("Upload outcomes" in page) == (role == "analyst")
    link = re.search(r'href="(/credit/performance\?cohort=2026-10&amp;model=[^"]+)"', page)
    assert link
    month = desk.browser(role).get(link[1].replace("&amp;", "&")).text
    assert "ROC AUC, accepted only" in month
    assert "Labels only for accepted." in month
    assert "Recall" in month
    assert "/credit/performance" in desk.browser(role).get("/credit").text


def test_a_decision_says_what_became_of_it_and_what_was_known_before(desk: Desk) -> None:
    key, lender = desk.score(decision="approve"), desk.lender
    address, seen = f"/credit/decisions/{key}", desk.browser("viewer")
    assert "What became of it" not in seen.get(address).text
    outcomes.record(lender.installation, lender.analyst, [told(key, "default", "2026-11-24", source="feed")])
    reason = "The branch had mixed up two loans."
    outcomes.record(lender.installation, lender.analyst, [told(key, "repaid", "2026-11-24")], reason=reason)
    page = seen.get(address).text
    for words in (
        "What became of it",
        "Repaid",
        "A person",
        "Before it was corrected: default, known since 24 Nov 2026.",
        "Outcome corrected",
        reason,
    ):
        assert words in page, words


def test_the_page_of_a_version_sets_its_newest_cohort_beside_its_test(desk: Desk, clock: SteppingClock) -> None:
    furnished(desk, clock)
    desk._tokens.clear()
    page = desk.browser("viewer").get(f"/models/{desk.lender.model_id}").text
    assert "Production 2026-10" in page
    assert "Production 2026-11" not in page  # of one class
    assert "accepted only" in page
    assert page.count("<td>ROC AUC</td>") == 1
    assert "accepted" not in re.findall(r"<td>([^<]+)</td>", page)
    assert "Performance measured" in page


@pytest.mark.parametrize("query", ["cohort=x&model=y", "cohort=2026-10", "model=%00"])
def test_a_month_that_is_not_there_is_none(desk: Desk, query: str) -> None:
    assert desk.browser("viewer").get(f"/credit/performance?{query}").status_code == 200


def test_a_file_is_sent_and_its_faults_are_shown(desk: Desk) -> None:
    key = desk.score(decision="approve")
    seen = desk.browser("analyst")
    assert "Record the outcomes" in seen.get("/credit/outcomes/new").text
    good = f"prediction_id,outcome,outcome_at\n{key},repaid,2026-11-24\n"
    answer = seen.post(
        "/credit/outcomes",
        {"source": "feed"},
        files={"file": ("o.csv", good + "<b>x</b>,repaid,2026-11-24\n")},
        headers=HTMX,
    )
    assert answer.status_code == 200
    assert "2 rows: 1 accepted, 0 unchanged, 1 rejected" in answer.text
    assert "&lt;b&gt;x" in answer.text
    assert "<html" not in answer.text
    done = seen.post("/credit/outcomes", {}, files={"file": ("o.csv", good)})
    assert done.status_code == 303
    assert done.headers["location"] == "/credit/performance"
    for data, words in (({}, "No file was sent."), ({"file": ("o.csv", b"a,b\n1,2\n")}, "There is no field")):
        refused = (
            seen.post("/credit/outcomes", {"reason": ""}, files=data)
            if data
            else seen.post("/credit/outcomes", {"reason": ""})
        )
        assert refused.status_code == 422
        assert words in refused.text.replace("&#39;", "'")
    short = seen.post("/credit/outcomes", {"reason": "typo"}, files={"file": ("o.csv", good)})
    assert "Write at least 10 characters; you wrote 4." in short.text
    viewer = desk.browser("viewer")
    assert viewer.get("/credit/outcomes/new").status_code == 403
    assert viewer.post("/credit/outcomes", {}, files={"file": ("o.csv", good)}).status_code == 403


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize(("width", "theme"), [(1440, "light"), (390, "dark")])
def test_the_page_is_sound_in_a_browser(
    desk: Desk, visit: object, clock: SteppingClock, width: int, theme: str
) -> None:
    furnished(desk, clock)
    with serve(desk.app) as base:
        v = visit(width=width, theme=theme)  # type: ignore[operator]
        v.context.add_cookies([{"name": "plumbline", "value": desk.token("analyst"), "url": base}])
        for number, address in enumerate(("/credit/performance", "/credit/outcomes/new")):
            v.page.goto(f"{base}{address}")
            if folder := os.environ.get("PLUMBLINE_PICTURES"):
                v.page.screenshot(path=str(Path(folder) / f"outcomes-{number}-{width}.png"), full_page=True)
            assert v.violations() == []
            assert v.policy_violations() == []
            assert v.overflow() == 0
            assert v.said == []
