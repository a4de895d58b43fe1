"""The pages of models, findings and jobs in a real browser: readable by all, no wider than the window, nothing refused by the policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from plumbline.kernel.findings import service as findings
from plumbline.kernel.installation import Installation
from plumbline.kernel.jobs.queue import enqueue
from plumbline.kernel.jobs.tables import Job
from plumbline.kernel.models import service
from tests.browser_support import Visit, serve
from tests.conftest import Firm
from tests.kernel.models.site import site, token_of
from tests.kernel.models.test_faces import measured

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("scale_room")]
FEATURES = [{"name": n, "dtype": "numeric" if i % 3 else "category", "reason": f"R{i:02}", "text": "What the bureau said last"}
            for i, n in enumerate(("x", "ext_source_2", "bureau.days_credit_mean_of_active_loans", "employed_days", "city"))]  # fmt: skip


@dataclass
class Stage:
    """A served firm: two versions, the second waiting for activation, findings and jobs in several states."""

    base: str
    token: str
    firm: Firm
    live: UUID
    waiting: UUID
    finding: UUID
    running: UUID

    def open(self, visit: Callable[..., Visit], path: str, **options: Any) -> Visit:
        seen = visit(**options)
        seen.context.add_cookies([{"name": "plumbline", "value": self.token, "url": self.base}])
        seen.page.goto(self.base + path)
        return seen


@pytest.fixture
def stage(sqlite_url: str, make_installation: Callable[..., Installation]) -> Iterator[Stage]:
    installation = make_installation(sqlite_url)
    firm = Firm(installation, "northwind")
    first = measured(installation, firm, name="credit-risk", features=FEATURES)
    live = measured(installation, firm, name="credit-risk", features=FEATURES)
    for key in (first, live):
        service.activate(installation, firm.admin, key, reason="Lower cost on the policy rows")
    waiting = measured(installation, firm, name="credit-risk", features=FEATURES[:4])
    measured(installation, firm, name="documents-kind")
    with installation.database.write(firm.id) as session:
        for n, severity in enumerate(("low", "medium", "high", "critical")):
            finding = findings.raise_finding(
                session, firm.admin, room="models", subject_id=live, title=f"Finding {n}: declined within {n} points of the cut-off", url=f"/models/{live}",
                severity=severity, fingerprint=f"f{n}", due_at=firm.admin.now + timedelta(hours=3 * n - 4), tags=("review", "income"), score=0.7,
            )  # fmt: skip
        states = ({"state": "running", "done": 412_000, "started_at": firm.admin.now - timedelta(minutes=2)},
                  {"state": "failed", "error": "The disk is full; nothing was changed.", "done": 20, "started_at": firm.admin.now,
                   "finished_at": firm.admin.now + timedelta(seconds=9)},
                  {"state": "done", "done": 900_000, "started_at": firm.admin.now, "finished_at": firm.admin.now + timedelta(minutes=3)})  # fmt: skip
        keys: list[UUID] = []
        for n, state in enumerate(states):
            key = enqueue(session, firm.as_role("analyst"), "credit.batch", {"n": n}, total=900_000)
            session.execute(sa.update(Job).where(Job.organization_id == firm.id, Job.id == key).values(**state))
            keys.append(key)
    app = site(installation)
    with serve(app) as base:
        yield Stage(base, token_of(app, firm, "admin"), firm, live, waiting, finding, keys[0])


def paths(stage: Stage) -> dict[str, str]:
    return {
        "models": "/models", "model": f"/models/{stage.live}", "version": f"/models/{stage.waiting}", "findings": "/findings",
        "finding": f"/findings/{stage.finding}", "jobs": "/jobs", "job": f"/jobs/{stage.running}",
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("width", "theme"), [(1440, "light"), (390, "dark"), (1440, "dark"), (390, "light")])
def test_every_page_is_accessible_and_fits(stage: Stage, visit: Callable[..., Visit], width: int, theme: str) -> None:
    for name, path in paths(stage).items():
        seen = stage.open(visit, path, width=width, theme=theme)
        assert seen.violations() == [], name
        assert seen.policy_violations() == [], name
        assert seen.overflow() == 0, name
        assert seen.said == [], name


@pytest.mark.slow
def test_a_version_is_activated_through_its_question(stage: Stage, visit: Callable[..., Visit]) -> None:
    seen = stage.open(visit, f"/models/{stage.waiting}")
    page = seen.page
    page.get_by_role("button", name="Activate…").click()
    page.get_by_role("button", name="Activate version 3").click()
    assert "A reason is needed" in page.get_by_role("alert").inner_text()
    assert seen.violations() == []
    page.get_by_label("Why this version?").fill("Scores the new products as well")
    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Activate version 3").click()
    page.get_by_text("credit-risk 3 is live.").wait_for()
    assert page.get_by_role("button", name="Roll back…").count() == 1


@pytest.mark.slow
def test_a_finding_is_taken_in_place(stage: Stage, visit: Callable[..., Visit]) -> None:
    page = stage.open(visit, "/findings?severity=high").page
    page.get_by_role("button", name="Take").click()
    page.locator("#findings .chip", has_text="Taken").wait_for()
    assert page.url.endswith("severity=high")
