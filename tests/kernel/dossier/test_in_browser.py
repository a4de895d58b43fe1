"""The page of a dossier in a browser: at home on a desk, a phone and paper, by day and by night."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from plumbline.kernel.dossier import document, service
from tests.browser_support import Visit
from tests.credit.trained import Lender

pytestmark = pytest.mark.browser


@pytest.fixture
def page(embedded: Lender, decided: UUID, tmp_path: Path) -> Path:
    path = tmp_path / "dossier.html"
    path.write_bytes(document.as_html(service.make(embedded.installation, embedded.analyst, decided)))
    return path


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (1280, "dark"), (360, "light"), (320, "dark")])
def test_it_reads_well(page: Path, visit: Callable[..., Visit], tmp_path: Path, width: int, theme: str) -> None:
    there = visit(width, theme)
    asked: list[str] = []
    there.page.on("request", lambda request: asked.append(request.url))
    there.page.goto(page.as_uri())
    assert there.violations() == []
    assert there.overflow() == 0
    assert there.said == []
    assert there.policy_violations() == []
    assert asked == [page.as_uri()]
    there.page.screenshot(path=tmp_path / f"dossier-{width}-{theme}.png", full_page=True)


def test_it_reads_without_script_and_on_paper(page: Path, visit: Callable[..., Visit]) -> None:
    there = visit(1280, script=False)
    there.page.goto(page.as_uri())
    assert there.page.locator("h1").inner_text().startswith("Application ")
    pdf = there.page.pdf(prefer_css_page_size=True)
    assert pdf.startswith(b"%PDF")
    assert b"/Count" in pdf


def test_what_is_copied_from_the_page_is_what_was_written(page: Path, visit: Callable[..., Visit]) -> None:
    there = visit(360)
    there.page.goto(page.as_uri())
    blocks = [there.page.locator("pre").nth(i).evaluate("e => e.textContent") for i in range(3)]
    assert blocks[0].startswith("c2sp.org/tlog-proof@v1\nextra ")
    assert blocks[1].startswith("-----BEGIN PUBLIC KEY-----\n")
    assert blocks[2].encode() == document.shipped("check.sh")
