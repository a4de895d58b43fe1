"""The first page, as people of each role see it."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from plumbline.kernel.findings import service as findings
from plumbline.kernel.paging import PageRequest
from tests.credit.pages.desk import Desk, csv

HTMX = {"HX-Request": "true"}


@pytest.mark.parametrize("role", ["viewer", "analyst", "admin"])
def test_the_first_page_tells_what_there_is(desk: Desk, role: str) -> None:
    desk.score(level="High")
    desk.score(level="Low")
    page = desk.browser(role).get("/")
    assert page.status_code == 200
    assert "High default risk" in page.text
    assert "entries sealed" in page.text
    assert "Low risk <b>1</b>" in page.text
    assert "Calibration" in page.text
    assert ("/take" in page.text) is (role != "viewer")


def test_an_organization_with_nothing_is_told_where_to_begin(desk: Desk) -> None:
    desk.other.change("UPDATE ml_models SET is_active = 0 WHERE organization_id = :o", o=desk.other.id.bytes)
    page = desk.browser("admin", "contoso").get("/").text
    assert "Begin here" in page
    assert "plumbline credit --help" in page
    assert "No decision in this time" in page
    assert "Nothing waits for a person" in page


def test_the_period_is_swapped_in(desk: Desk) -> None:
    desk.score(level="High")
    desk.lender.installation.clock.now += timedelta(days=10)  # type: ignore[attr-defined]
    browser = desk.browser()
    week = browser.get("/?days=7", headers=HTMX).text
    month = browser.get("/?days=30", headers=HTMX).text
    assert "<html" not in week + month
    assert "No decision in this time" in week
    assert "High risk <b>1</b>" in month
    assert browser.get("/?days=9", headers=HTMX).text == week


def test_findings_are_filtered_by_room_and_taken(desk: Desk) -> None:
    desk.score(level="High")
    lender = desk.lender
    finding = findings.list_findings(lender.installation, lender.analyst, PageRequest(1)).items[0]
    browser = desk.browser()
    assert "High default risk" in browser.get("/?room=credit", headers=HTMX).text
    assert "Nothing waits" in browser.get("/?room=models", headers=HTMX).text
    part = browser.post(f"/overview/findings/{finding.id}/take", {"room": "credit"}, headers=HTMX)
    assert part.status_code == 200
    assert "Yours" in part.text
    assert (
        'href="/?room=credit" hx-get="/?room=credit" hx-target="#findings" hx-swap="innerHTML" hx-push-url="true" aria-current="true"'
        in part.text
    )
    assert findings.get_finding(lender.installation, lender.analyst, finding.id).owner_id == lender.people["analyst"]
    plain = desk.browser("admin").post(f"/overview/findings/{finding.id}/take", {"room": "//elsewhere"})
    assert plain.status_code == 303
    assert plain.headers["location"] == "/"


def test_a_viewer_takes_nothing_and_another_tenant_finds_nothing(desk: Desk) -> None:
    desk.score(level="High")
    finding = findings.list_findings(desk.lender.installation, desk.lender.analyst, PageRequest(1)).items[0]
    assert desk.browser("viewer").post(f"/overview/findings/{finding.id}/take").status_code == 403
    assert desk.browser("admin", "contoso").post(f"/overview/findings/{finding.id}/take").status_code == 404


def test_a_running_job_is_followed_to_its_end(desk: Desk) -> None:
    view = desk.send(csv(10), "north.csv")
    browser = desk.browser("viewer")
    page = browser.get("/").text
    assert "Credit batch, north.csv" in page
    address = re.search(r'hx-get="(/overview/jobs/[^"]+)"', page)
    assert address is not None
    assert browser.get(address[1], headers=HTMX).status_code == 200
    desk.lender.perform(view)
    ended = browser.get(address[1], headers=HTMX)
    assert ended.status_code == 286
    assert f"/credit/batches/{view.batch.id}" in ended.text
    assert desk.browser("admin", "contoso").get(address[1]).status_code == 404
