"""The room's decisions, single and of batches, against the entries they left: as they were made, and after somebody was at them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from plumbline.credit import service
from plumbline.credit.service import batches
from plumbline.credit.service.batches import BatchView
from plumbline.kernel.jobs import service as jobs
from plumbline.kernel.ledger import tree
from plumbline.kernel.ledger.service.sealing import seal
from plumbline.kernel.models import records
from plumbline.kernel.models.records import RecordsReport
from tests.credit.service.files import applications, rows_of, spoiled, written
from tests.credit.trained import Lender, lender, lenders, payload

__all__ = ["lender", "lenders"]


def checked(lender: Lender) -> RecordsReport:
    seal(lender.installation, lender.id)
    return records.verify(lender.installation, lender.id)


def decided(lender: Lender, number: int) -> UUID:
    key: UUID = service.score(lender.installation, lender.analyst, payload(number)).id
    return key


def by_kind(report: RecordsReport) -> dict[str, Any]:
    assert len({f.kind for f in report.findings}) == report.count
    return {f.kind: f for f in report.findings}


def test_single_decisions_and_a_batch_are_as_their_entries_say(lender: Lender, tmp_path: Path) -> None:
    keys = [decided(lender, n) for n in range(3)]
    view = lender.batch(written(spoiled(applications()), tmp_path / "a.csv"))
    report = checked(lender)
    rows = rows_of(lender, view)
    assert (report.decisions, report.findings, report.notes) == (3 + len(rows), [], [])
    opened = records.record_opening(lender.installation, lender.id, keys[1])
    (_, entry, _) = lender.entries("credit.score")
    assert opened is not None
    assert (
        hashlib.sha256(opened.salt + opened.record).hexdigest()
        == opened.record_sha256
        == entry.details["record_sha256"]
    )
    row = rows[57]
    proof = records.proof_of_row(lender.installation, lender.id, row.id)
    assert (proof.index, proof.size) == (57, len(rows))
    assert (
        tree.root_from_inclusion(tree.leaf_hash(proof.record_sha256), 57, proof.size, proof.path).hex()
        == view.batch.extra["records_root"]
    )
    assert hashlib.sha256(proof.salt + proof.record).digest() == proof.record_sha256


def test_what_was_done_to_decisions_is_named(lender: Lender, tmp_path: Path) -> None:
    single, gone = decided(lender, 0), decided(lender, 1)
    view = lender.batch(written(spoiled(applications()), tmp_path / "a.csv"))
    seal(lender.installation, lender.id)
    rows = rows_of(lender, view)
    lender.change("UPDATE predictions SET probability = probability / 2 WHERE id = :id", id=lender.key(single))
    lender.change("DELETE FROM credit_reviews WHERE prediction_id = :id", id=lender.key(gone))
    lender.change("DELETE FROM predictions WHERE id = :id", id=lender.key(gone))
    found = by_kind(checked(lender))
    assert sorted(found) == ["decision-changed", "decision-removed"]
    assert found["decision-changed"].subject == str(single)
    assert found["decision-removed"].subject == str(gone)
    lender.change("UPDATE predictions SET subject_id = '1' WHERE id = :id", id=lender.key(rows[7].id))
    texts = [f.text for f in checked(lender).findings if f.subject == str(rows[7].id)]
    assert len(texts) == 1
    assert f"{rows[7].id} (subject 1, row {rows[7].batch_row}) was changed" in texts[0]


@pytest.fixture
def chunks_of_20(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "CHUNK_ROWS", 20)


def cancelled(lender: Lender, path: Path) -> BatchView:
    """A batch stopped by a person after its first chunks."""
    view = lender.submit(path)
    assert view.batch.job_id is not None

    def stop(done: int, _total: int | None) -> None:
        if done == 40:
            service.cancel_batch(lender.installation, lender.analyst, view.batch.id)

    jobs.run_inline(lender.installation, view.batch.job_id, stop)
    return view


@pytest.mark.usefixtures("chunks_of_20")
def test_a_cancelled_batch_is_noted_until_it_was_resumed_and_ended(lender: Lender, tmp_path: Path) -> None:
    view = cancelled(lender, written(applications(), tmp_path / "a.csv"))
    rows = len(rows_of(lender, view))
    assert rows
    report = checked(lender)
    assert (report.decisions, report.findings) == (0, [])
    assert report.notes == [
        f"{rows} decisions have no entry yet: their batches have not ended (1 pending, cancelled or failed)."
    ]
    lender.perform(service.resume_batch(lender.installation, lender.analyst, view.batch.id))
    report = checked(lender)
    assert (report.decisions, report.findings, report.notes) == (120, [], [])
