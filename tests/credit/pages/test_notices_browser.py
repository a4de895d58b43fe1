"""The cards and dialogs of a notice in a browser, and the printed document as everybody reads it."""

from __future__ import annotations

from typing import Any

import pytest

from plumbline.credit import service
from tests.browser_support import browser, serve, visit
from tests.credit.pages.desk import Desk
from tests.credit.pages.test_notices import CAUSE, moved, settled

__all__ = ["browser", "visit"]


@pytest.mark.browser
@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (390, "dark")])
def test_it_is_issued_in_its_dialog_and_printed(desk: Desk, visit: Any, width: int, theme: str) -> None:
    settled(desk)
    key = desk.score(decision="decline")
    service.request_review(desk.lender.installation, desk.lender.analyst, key, through="email", words="My income rose.")
    moved(desk.lender, days=31)
    with serve(desk.app) as base:
        v = visit(width=width, theme=theme)
        v.context.add_cookies([{"name": "plumbline", "value": desk.token("analyst"), "url": base}])
        page = v.page
        page.goto(f"{base}/credit/decisions/{key}")
        assert v.violations() == []
        page.get_by_role("button", name="Issue the notice…").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("How it goes out").select_option("email")
        dialog.get_by_role("button", name="Issue the notice").click()
        dialog.get_by_text("Write in at least 10 characters").first.wait_for()
        assert v.violations() == []
        dialog.get_by_label("Why it is late").fill(CAUSE)
        dialog.get_by_role("button", name="Issue the notice").click()
        page.get_by_role("link", name="Print page").wait_for()
        assert v.violations() == []
        assert v.overflow() <= 0
        page.get_by_role("link", name="Print page").click()
        page.get_by_role("heading", level=1).wait_for()
        assert v.violations() == []
        assert v.policy_violations() == []
