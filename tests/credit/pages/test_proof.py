"""The ledger's proof on the page of a decision, and its dossier."""

from __future__ import annotations

import io
import zipfile

import pytest

from plumbline.credit import service
from plumbline.kernel.ledger.service import erasing, sealing
from plumbline.kernel.models.evidence import evidence_of
from plumbline.kernel.paging import PageRequest
from tests.credit.pages.desk import Desk, csv


def test_a_decision_waits_and_then_shows_its_chain(desk: Desk) -> None:
    key = desk.score(level="High")
    browser = desk.browser("viewer")
    waiting = browser.get(f"/credit/decisions/{key}").text
    assert "It is sealed within a minute" in waiting
    assert f'hx-get="/ledger/proofs/{key}/card" hx-trigger="every 10s"' in waiting
    sealing.seal(desk.lender.installation, desk.lender.id)
    found = evidence_of(desk.lender.installation, desk.lender.analyst, key)
    assert found.decision is not None
    assert found.decision.sha256 is not None
    page = browser.get(f"/credit/decisions/{key}").text
    for value in (found.decision.sha256, found.entry.root):
        assert f'data-copy="{value.hex()}"' in page
    assert f"Recorded as entry {found.entry.leaf_index + 1}, sealed" in page
    assert f'href="/audit/{found.entry.entry_id}"' in page
    assert f'href="/ledger/proofs/{key}"' in page


def test_the_chain_of_a_row_leads_through_its_file_and_is_read_later(desk: Desk) -> None:
    batch = desk.scored(csv(30)).batch.id
    row = service.rows_of(desk.lender.installation, desk.lender.analyst, batch, PageRequest(1)).items[0].id
    sealing.seal(desk.lender.installation, desk.lender.id)
    browser = desk.browser("viewer")
    card = f"/ledger/proofs/{row}/card"
    page = browser.get(f"/credit/decisions/{row}").text
    assert f'hx-get="{card}" hx-trigger="load"' in page
    assert "Tree of" not in page
    found = evidence_of(desk.lender.installation, desk.lender.analyst, row).decision
    assert found is not None
    assert found.root is not None
    part = browser.get(card).text
    assert f"Record {(found.index or 0) + 1} of {found.size} in its file" in part
    assert f'data-copy="{found.root.hex()}"' in part
    assert "Verified" in part


def test_the_card_of_a_changed_decision_says_so(desk: Desk) -> None:
    key = desk.score(level="High")
    sealing.seal(desk.lender.installation, desk.lender.id)
    desk.lender.change("UPDATE predictions SET probability = 0.01 WHERE id = :id", id=key.bytes)
    part = desk.browser("viewer").get(f"/ledger/proofs/{key}/card").text
    assert "Does not hold" in part
    assert "is not the one that its entry commits to" in part


def test_an_erased_decision_keeps_its_proof(desk: Desk) -> None:
    key = desk.score(level="High", SK_ID_CURR=4711)
    batch = desk.scored(csv(5)).batch.id
    row = service.rows_of(desk.lender.installation, desk.lender.analyst, batch, PageRequest(1)).items[0]
    sealing.seal(desk.lender.installation, desk.lender.id)
    for subject in ("4711", row.subject_id):
        erasing.erase(desk.lender.installation, desk.lender.admin, reason="The person asked for it.", subject=subject)
    browser = desk.browser("viewer")
    for one in (key, row.id):
        part = browser.get(f"/ledger/proofs/{one}/card").text
        assert "Verified" in part, one
        assert "erased on request" in part


def test_a_row_of_a_file_that_is_not_done_has_no_proof_yet(desk: Desk) -> None:
    batch = desk.scored(csv(5)).batch.id
    row = service.rows_of(desk.lender.installation, desk.lender.analyst, batch, PageRequest(1)).items[0].id
    waiting = desk.send(csv(5), "waiting.csv").batch.id
    desk.lender.change("UPDATE predictions SET batch_id = :b WHERE id = :id", b=waiting.bytes, id=row.bytes)
    part = desk.browser("viewer").get(f"/ledger/proofs/{row}/card").text
    assert "one entry binds all of its rows" in part


@pytest.mark.parametrize("role", ["viewer", "analyst", "admin"])
def test_a_dossier_is_for_those_who_may_make_one(desk: Desk, role: str) -> None:
    key = desk.score(level="High")
    browser = desk.browser(role)
    path = f"/decisions/{key}/dossier"
    assert (path in browser.get(f"/credit/decisions/{key}").text) is (role != "viewer")
    got = browser.get(path)
    if role == "viewer":
        assert got.status_code == 403
        return
    assert got.headers["content-type"] == "application/zip"
    assert got.headers["content-disposition"].endswith('.zip"')
    assert zipfile.ZipFile(io.BytesIO(got.content)).testzip() is None


def test_another_tenant_finds_neither(desk: Desk) -> None:
    key = desk.score(level="High")
    sealing.seal(desk.lender.installation, desk.lender.id)
    theirs = desk.browser("admin", "contoso")
    for path in (f"/ledger/proofs/{key}/card", f"/ledger/proofs/{key}", f"/decisions/{key}/dossier"):
        assert theirs.get(path).status_code == 404
