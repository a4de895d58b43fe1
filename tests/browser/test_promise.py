"""What the product promises, once from the first page to the last in a real browser."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from plumbline.credit import service
from plumbline.kernel.jobs.worker import Worker
from plumbline.kernel.paging import PageRequest
from tests.browser_support import serve
from tests.credit.pages.desk import PASSWORD, Desk, csv

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_a_file_is_sent_decided_explained_and_taken_home(desk: Desk, visit: Any, tmp_path: Path) -> None:
    lender = desk.lender
    sent = tmp_path / "branch-north.csv"
    sent.write_bytes(csv(80, faults=2))
    worker = Worker(lender.installation, name="test", threads=1, poll=0.05)
    with serve(desk.app) as base:
        seen = visit()
        page = seen.page
        page.set_default_timeout(20_000)
        # a person signs in and is where she wanted to go
        page.goto(f"{base}/credit/batches/new")
        page.get_by_label("E-mail or user name").fill("northwind-analyst")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{base}/credit/batches/new")
        # she sends a file
        page.get_by_label("Applications").set_input_files(sent)
        page.get_by_text("branch-north.csv").wait_for()
        page.get_by_role("button", name="Score the file").click()
        page.wait_for_url(re.compile(r"/credit/batches/[0-9a-f-]{36}$"))
        page.get_by_text("Waiting for a worker").wait_for()
        address = page.url
        # the page follows the work without being asked
        worker.start()
        try:
            page.locator("h1").get_by_text("Completed").wait_for()
        finally:
            assert worker.stop()
        tiles = page.locator(".tile .big").all_inner_texts()
        assert tiles[:3] == ["80", "78", "2"]
        # she opens the worst of the file and reads why
        page.goto(f"{address}?level=High")
        page.locator("#rows a.row").first.click()
        page.wait_for_url(re.compile("/credit/decisions/"))
        key = UUID(page.url.rpartition("/")[2])
        told = service.explain(lender.installation, lender.analyst, key)
        assert told["reasons"]
        shown = page.get_by_role("region", name="Reasons").inner_text()
        for reason in told["reasons"]:
            assert reason["text"] in shown
        page.get_by_role("button", name="Replay", exact=True).click()
        page.get_by_text("Equal, bit for bit").wait_for()
        # she decides in the end, and must say why
        page.get_by_role("button", name="Resolve…").click()
        page.get_by_role("button", name="Resolve the review").click()
        page.get_by_role("dialog").get_by_text("Choose how the application is decided in the end.").first.wait_for()
        page.get_by_role("dialog").get_by_label("Decline").check()
        page.get_by_role("dialog").get_by_label("Cause").fill("The pay slips do not bear the instalments.")
        page.get_by_role("button", name="Resolve the review").click()
        page.get_by_text("The review is resolved: declined.").wait_for()
        # and takes the results home
        page.goto(address)
        with page.expect_download() as started:
            page.get_by_role("link", name="Results", exact=True).click()
        taken = tmp_path / "taken.csv"
        started.value.save_as(taken)
        assert started.value.suggested_filename == "branch-north-results.csv"
        batch = service.list_batches(lender.installation, lender.analyst, PageRequest(1)).items[0]
        assert (
            taken.read_bytes() == (lender.installation.files / "batches" / str(batch.id) / "results.csv").read_bytes()
        )
        assert taken.read_bytes().count(b"\n") == 79
        # a 422 that a form was answered with stands in the browser's log; nothing else may
        assert [line for line in seen.said if "422" not in line] == []
        assert seen.policy_violations() == []


def test_the_same_without_a_script(desk: Desk, visit: Any, tmp_path: Path) -> None:
    """Forms, links and pages alone carry a person through."""
    sent = tmp_path / "branch.csv"
    sent.write_bytes(csv(20))
    with serve(desk.app) as base:
        page = visit(script=False).page
        page.goto(f"{base}/credit/batches/new")
        page.fill("#login", "northwind-analyst")
        page.fill("#password", PASSWORD)
        page.click("button[type=submit]")
        page.set_input_files("#file", sent)
        page.get_by_role("button", name="Score the file").click()
        page.get_by_text("branch.csv is received").wait_for()
        batch = service.list_batches(desk.lender.installation, desk.lender.analyst, PageRequest(1)).items[0]
        desk.lender.perform(service.batch_of(desk.lender.installation, desk.lender.analyst, batch.id))
        page.reload()
        page.locator("#rows a.row").first.click()
        page.get_by_role("button", name="Replay", exact=True).click()
        page.get_by_text("ms: equal, bit for bit").wait_for()
