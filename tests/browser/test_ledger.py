"""The ledger's pages and the proof card in a browser: sound, unsound, empty, hindered; light and dark, narrow and wide."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from plumbline.credit import service
from plumbline.kernel.ledger import queries
from plumbline.kernel.ledger.repository import outside
from plumbline.kernel.ledger.service import checking, delivering, sealing
from plumbline.kernel.paging import PageRequest
from tests.browser_support import serve
from tests.credit.pages.desk import Desk, csv
from tests.credit.trained import Lender
from tests.kernel.ledger.tampering import owning

pytestmark = [pytest.mark.browser, pytest.mark.slow]
MODES = [(1280, "light"), (360, "light"), (1280, "dark"), (360, "dark")]
PICTURES = os.environ.get("PLUMBLINE_PICTURES")
"""A folder to put pictures of every state into, for a person to look at."""


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder outside that holds checkpoints; ask for it before the desk."""
    folder = tmp_path_factory.mktemp("kept")
    monkeypatch.setenv("PLUMBLINE_LEDGER_STORES", json.dumps([str(folder)]))
    return folder


def seal(lender: Lender) -> None:
    sealing.seal(lender.installation, lender.id)


def verify(lender: Lender) -> None:
    checking.check(lender.installation, lender.admin, records=True)


def looked_at(visit: Any, base: str, token: str, pages: dict[str, str]) -> list[str]:
    """What is wrong with these pages (name → path), in every mode."""
    wrong: list[str] = []
    for width, theme in MODES:
        seen = visit(width, theme)
        seen.context.add_cookies([{"name": "plumbline", "value": token, "url": base}])
        for name, path in pages.items():
            seen.page.goto(base + path)
            seen.page.wait_for_load_state("networkidle")
            if PICTURES:
                seen.page.screenshot(path=f"{PICTURES}/{name}-{theme}-{width}.png", full_page=True)
            for details in seen.page.locator("main details").all():
                details.evaluate("one => one.open = true")
            at = f"{name} {width} {theme}"
            wrong += [f"{at}: {found}" for found in [*seen.violations(), *seen.policy_violations()]]
            wrong += [f"{at}: {seen.overflow()} px too wide"] if seen.overflow() > 0 else []
        wrong += seen.said
    return wrong


def test_a_sound_ledger_and_its_proofs(kept: Path, desk: Desk, visit: Any) -> None:
    lender = desk.lender
    single, batch = desk.score(level="High"), desk.scored(csv(60, faults=3)).batch.id
    row = service.rows_of(lender.installation, lender.analyst, batch, PageRequest(1)).items[0].id
    token = desk.token("admin")
    seal(lender)
    verify(lender)
    seal(lender)
    delivering.deliver(lender.installation, lender.id)
    waiting = desk.score(level="Low")
    entries = queries.list_entries(
        lender.installation, lender.admin, queries.Query(action="credit.score"), PageRequest(2)
    ).items
    with serve(desk.app) as base:
        assert looked_at(visit, base, token, {
            "sound": "/ledger", "entry": f"/audit/{entries[1].id}", "entry-waiting": f"/audit/{entries[0].id}", "entries": "/audit",
            "decision": f"/credit/decisions/{single}", "decision-row": f"/credit/decisions/{row}", "decision-waiting": f"/credit/decisions/{waiting}",
            "overview": "/",
        }) == []  # fmt: skip
        seen = visit(1280)
        seen.context.add_cookies([{"name": "plumbline", "value": token, "url": base}])
        seen.page.goto(f"{base}/credit/decisions/{row}")
        card = seen.page.get_by_role("region", name="Ledger proof")
        card.get_by_text("All decisions of the file").wait_for()
        with seen.page.expect_download() as download:
            card.get_by_role("link", name="Proof").click()
        assert download.value.suggested_filename == f"{row}.tlog-proof"
        card.get_by_role("link", name="See the entry").click()
        seen.page.get_by_role("heading", name="credit.batch.score").wait_for()


def test_a_verification_is_followed_to_its_result(desk: Desk, visit: Any) -> None:
    from plumbline.kernel.jobs import service as jobs

    lender, token = desk.lender, desk.token("viewer")
    seal(lender)
    with serve(desk.app) as base:
        seen = visit(1280)
        seen.context.add_cookies([{"name": "plumbline", "value": token, "url": base}])
        seen.page.goto(f"{base}/ledger")
        seen.page.get_by_role("button", name="Verify now").click()
        seen.page.get_by_text("Verifying everything").wait_for()
        assert seen.violations() == []
        jobs.run_inline(
            lender.installation, jobs.open_jobs(lender.installation, lender.admin, kind="ledger.verify.whole")[0].id
        )
        seen.page.get_by_role("button", name="Verify again").wait_for(timeout=15_000)
        assert seen.page.locator(".head .chip").inner_text() == "Sound"
        assert seen.said == []


def test_an_unsound_ledger(kept: Path, desk: Desk, visit: Any) -> None:
    lender = desk.lender
    single = desk.score(level="High")
    entry = (
        queries.list_entries(lender.installation, lender.admin, queries.Query(action="credit.score"), PageRequest(1))
        .items[0]
        .id
    )
    token = desk.token("admin")
    seal(lender)
    delivering.deliver(lender.installation, lender.id)
    with owning(lender.installation.settings.url, lender.id) as owner:
        owner.run("UPDATE audit_log SET action = 'credit.look' WHERE id = ?", entry)
        owner.run("UPDATE predictions SET probability = 0.01 WHERE id = ?", single)
    row = delivering.destinations(lender.installation, lender.id)[0].address
    with lender.installation.worker_database.write(lender.id) as session:
        outside.remember_destination(
            session,
            lender.id,
            row,
            kind="store",
            tree_size=999,
            tried_at=lender.admin.now,
            delivered_at=None,
            error=None,
        )
    verify(lender)
    seal(lender)
    delivering.deliver(lender.installation, lender.id)
    with serve(desk.app) as base:
        assert looked_at(visit, base, token, {
            "unsound": "/ledger", "unsound-entry": f"/audit/{entry}", "unsound-decision": f"/credit/decisions/{single}", "unsound-overview": "/",
        }) == []  # fmt: skip


def test_an_empty_and_a_hindered_ledger(desk: Desk, visit: Any) -> None:
    lender, token, other = desk.lender, desk.token("admin"), desk.token("admin", "contoso")
    seal(lender)
    (lender.installation.settings.keys / "ledger.key").unlink()
    lender.installation.clock.now += timedelta(minutes=10)  # type: ignore[attr-defined]
    desk.score(level="High")
    with serve(desk.app) as base:
        assert looked_at(visit, base, other, {"empty": "/ledger", "empty-overview": "/"}) == []
        assert looked_at(visit, base, token, {"hindered": "/ledger"}) == []
