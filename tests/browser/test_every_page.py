"""Every page of the product: nothing an axe test finds serious, no sideways scroll, nothing the policy forbids."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import APIRouter

from plumbline.credit import service
from plumbline.credit.service.monitoring import report_of
from plumbline.kernel import room
from plumbline.kernel.findings import service as findings
from plumbline.kernel.identity import service as identity
from plumbline.kernel.ledger import queries
from plumbline.kernel.ledger.service import checking, sealing
from plumbline.kernel.paging import PageRequest
from tests.browser_support import serve
from tests.credit.pages.desk import Desk, csv

pytestmark = [pytest.mark.browser, pytest.mark.slow]
MODES = [(1440, "light"), (390, "light"), (1440, "dark"), (390, "dark")]
MORE = (
    "/?room=models", "/?days=1", "/?days=30", "/credit?level=High", "/credit?subject=nobody", "/credit/score?example=3",
    "/credit/score?by=json&example=3",
)  # fmt: skip
"""Pages whose state stands in the address."""
OUTSIDE = ("/signin", "/signin/once/{token}")
"""Seen by those who are not signed in."""


def addresses() -> list[str]:
    """The path of every page route, as the parts and rooms state them."""
    found: list[str] = []

    def walk(router: APIRouter) -> None:
        for route in router.routes:
            inner = getattr(route, "original_router", None)
            if inner is not None:
                walk(inner)
            elif "GET" in getattr(route, "methods", ()):
                found.append(route.path)  # type: ignore[attr-defined]

    for part in room.everything():
        if part.pages:
            walk(room.load(part.pages))
    return found


def samples(desk: Desk) -> dict[str, list[str]]:
    """Something of everything: parameter of a path → ids to put there."""
    lender = desk.lender
    house = lender.installation
    first = desk.score(level="Low", SK_ID_CURR=4711)
    second = desk.score(level="High", SK_ID_CURR=4711, AMT_INCOME_TOTAL=9_000_000.0)
    resolved = desk.score(level="High")
    review = service.decision_of(house, lender.analyst, resolved).review
    assert review is not None
    service.triage.note(house, lender.analyst, review.id, "Asked the branch for the last three pay slips.")
    service.triage.resolve(house, lender.analyst, review.id, note="It is well founded.", decision="decline")
    done = desk.scored(csv(60, faults=3))
    failed = desk.send(csv(20).replace(b"AMT_CREDIT", b"AMT_CREDITS"), "a file with a long name and faults.csv")
    with contextlib.suppress(Exception):
        lender.perform(failed)
    waiting = desk.send(csv(20), "waiting.csv")
    row = service.rows_of(house, lender.analyst, done.batch.id, PageRequest(1)).items[0]
    entry = queries.list_entries(house, lender.admin, queries.Query(), PageRequest(1)).items[0]
    finding = findings.list_findings(house, lender.admin, PageRequest(1)).items[0]
    size = sealing.seal(house, lender.id).size
    verification = checking.check(house, lender.admin, records=True)
    verifying = checking.request(house, lender.admin)
    return {
        "prediction_id": [str(k) for k in (first, second, resolved, row.id)], "batch_id": [str(v.batch.id) for v in (done, failed, waiting)],
        "finding_id": [str(finding.id)], "model_id": [str(lender.model_id)], "model": [str(lender.model_id)], "entry_id": [str(entry.id)], "user_id": [str(lender.people["viewer"])],
        "job_id": [str(v.batch.job_id) for v in (done, failed, waiting)], "which": ["results"], "key_id": [str(_key(desk))],
        "evidence_id": [str(k) for k in (first, row.id, entry.id)], "tree_size": [str(size)],
        "verification_id": [str(verification.id)], "verifying_id": [str(verifying)],
        "report_id": [str(report_of(done.batch))],
        "token": [identity.once_link(house, lender.admin, lender.people["viewer"])],
    }  # fmt: skip


def _key(desk: Desk) -> UUID:
    return identity.create_key(desk.lender.installation, desk.lender.admin, name="page test", scopes=["credit.read"])[0]


def filled(path: str, ids: dict[str, list[str]]) -> list[str]:
    names = [part[1:].partition(":")[0].rstrip("}") for part in path.split("/") if part.startswith("{")]
    missing = [name for name in names if name not in ids]
    assert not missing, f"{path}: give samples of {missing} above"
    paths = [path]
    for name in names:
        paths = [one.replace("{" + name + "}", key) for one in paths for key in ids[name]]
    return paths


def pages(base: str, desk: Desk, token: str, candidates: list[str]) -> Iterator[str]:
    """Those of the addresses that answer a whole page: parts of pages, files and redirects are not looked at."""
    with httpx.Client(base_url=base, cookies={"plumbline": token}) as client:
        for path in candidates:
            answer = client.get(path)
            assert answer.status_code < 400 or answer.status_code == 409, f"{path}: {answer.status_code}"
            if answer.status_code == 200 and answer.text.startswith("<!doctype html"):
                yield path


@pytest.mark.parametrize(("width", "theme"), MODES)
def test_every_page_can_be_used_by_everybody(desk: Desk, visit: Any, width: int, theme: str) -> None:
    ids = samples(desk)
    inside = [path for pattern in addresses() if pattern not in OUTSIDE for path in filled(pattern, ids)]
    token, empty = desk.token("admin"), desk.token("admin", "contoso")
    desk.other.change("UPDATE ml_models SET is_active = 0 WHERE organization_id = :o", o=desk.other.id.bytes)
    wrong: list[str] = []
    with serve(desk.app) as base:
        whole = [*pages(base, desk, token, [*inside, *MORE])]
        assert len(whole) > 20
        bare = [
            "/",
            "/credit",
            "/credit/score",
            "/credit/batches",
            "/credit/batches/new",
            "/findings",
            "/models",
            "/jobs",
            "/ledger",
        ]
        looks = [
            (token, [*whole, "/nowhere"]), (empty, bare),
            ("", [path for pattern in OUTSIDE for path in filled(pattern, ids)]),
        ]  # fmt: skip
        for cookie, paths in looks:
            seen = visit(width, theme)
            if cookie:
                seen.context.add_cookies([{"name": "plumbline", "value": cookie, "url": base}])
            for path in paths:
                seen.page.goto(base + path)
                for details in seen.page.locator("main details").all()[:3]:
                    details.evaluate("one => one.open = true")
                serious = [found for found in seen.violations() if found.startswith(("serious", "critical"))]
                wrong += [f"{path}: {found}" for found in serious]
                wrong += [f"{path}: policy {found}" for found in seen.policy_violations()]
                wrong += [f"{path}: {seen.overflow()} px too wide"] if seen.overflow() > 0 else []
            wrong += [line for line in seen.said if "404" not in line]
    assert wrong == [], "\n".join(wrong)


def test_a_dialog_is_as_good_as_its_page(desk: Desk, visit: Any) -> None:
    key = desk.score(level="High")
    with serve(desk.app) as base:
        for width in (1440, 390):
            seen = visit(width)
            seen.context.add_cookies([{"name": "plumbline", "value": desk.token("analyst"), "url": base}])
            seen.page.goto(f"{base}/credit/decisions/{key}")
            seen.page.get_by_role("button", name="Resolve…").click()
            seen.page.get_by_role("button", name="Resolve the review").click()
            seen.page.locator("dialog [role=alert]").wait_for()
            assert [found for found in seen.violations() if found.startswith(("serious", "critical"))] == []
            assert seen.overflow() <= 0
            seen.page.keyboard.press("Escape")
            assert not seen.page.locator("dialog[open]").count()
