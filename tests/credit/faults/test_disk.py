"""A disk that takes no more: a clear answer, nothing half-written, and everything goes on once there is room."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from plumbline.app import create_app
from plumbline.credit import service
from plumbline.credit.service import batches
from plumbline.kernel.errors import Unavailable
from plumbline.kernel.models import predictions
from tests.credit.trained import Lender, payload, unlabelled
from tests.support.http import Program

ROOT = Path(__file__).parents[3]
SCORE = "/api/v1/credit/score"
TABLES = ("predictions", "credit_reviews", "findings", "batch_uploads", "jobs", "audit_log")


@contextmanager
def full(lender: Lender, pages: int = 0) -> Iterator[None]:
    """The database file may grow by so many pages and no more: SQLite's own error of a full disk."""
    engine = lender.installation.database.engine

    def limit(connection: Any, _record: Any) -> None:
        (now,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {now + pages}")

    sa.event.listen(engine, "connect", limit)
    engine.dispose()
    try:
        yield
    finally:
        sa.event.remove(engine, "connect", limit)
        engine.dispose()


def counts(lender: Lender) -> dict[str, int]:
    return {table: lender.count(table) for table in TABLES}


def stored_batches(lender: Lender) -> list[str]:
    return sorted(path.name for path in (lender.installation.files / "batches").glob("*"))


def table(to: Path, rows: int = 60) -> Path:
    unlabelled()["application"].head(rows).write_csv(to)
    return to


def test_a_full_disk_is_503_and_every_decision_is_whole_or_not_there(embedded: Lender) -> None:
    call = Program(create_app(embedded.installation), embedded.keys["analyst"])
    decided = {call("POST", SCORE, json=payload(0)).json()["id"]}
    refused = 0
    with full(embedded, pages=12):
        for number in range(1, 40):
            answer = call("POST", SCORE, json=payload(number))
            if answer.status_code == 200:
                decided.add(answer.json()["id"])
                continue
            refused += 1
            problem = answer.json()
            assert answer.status_code == 503
            assert problem["code"] == "unavailable"
            assert problem["detail"] == "The database's disk is full; nothing was changed."
            assert problem["remedy"] == "Free some space, then try again."
            assert problem["request_id"]
            if refused == 3:
                break
        assert refused == 3
        readable = call("GET", "/api/v1/credit/predictions?limit=100")
        assert {p["id"] for p in readable.json()["items"]} == decided
    entries = embedded.entries("credit.score")
    assert {str(e.resource_id) for e in entries} == decided
    assert len(entries) == embedded.count("predictions") == len(decided)
    with embedded.installation.database.read(embedded.id) as session:
        for entry in entries:
            row = predictions.get(session, embedded.id, entry.resource_id)
            assert row.record_salt is not None
            assert predictions.check_record(row, embedded.sha256, row.record_salt, entry.details["record_sha256"])
    assert call("POST", SCORE, json=payload(2)).status_code == 200


def test_a_file_that_finds_no_room_in_the_database_is_not_kept(embedded: Lender, tmp_path: Path) -> None:
    path = table(tmp_path / "loans.csv")
    with full(embedded):
        refused: Unavailable | None = None
        while refused is None:  # until the free pages of the file are used up
            before, kept = counts(embedded), stored_batches(embedded)
            try:
                embedded.submit(path)
            except Unavailable as error:
                refused = error
        assert "disk is full" in refused.detail
        after = counts(embedded)
        assert after.pop("audit_log") - before.pop("audit_log") <= 1  # that it was tried, if that found room
        assert after == before
        assert stored_batches(embedded) == kept
        assert list((embedded.installation.files / "incoming").iterdir()) == []
    assert embedded.batch(path).status == "completed"


def test_a_batch_that_meets_a_full_database_fails_and_goes_on_when_there_is_room(
    embedded: Lender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "CHUNK_ROWS", 10)
    path = table(tmp_path / "loans.csv", 120)
    whole = embedded.batch(path)
    view = embedded.submit(path)
    with full(embedded, pages=40), pytest.raises(Unavailable, match="disk is full"):
        embedded.perform(view)
    stopped = service.batch_of(embedded.installation, embedded.analyst, view.batch.id)
    assert stopped.status == "failed"
    assert "disk is full" in str(stopped.error)
    assert embedded.count("predictions") == 120 + stopped.rows_done
    assert 0 < stopped.rows_done < 120
    service.resume_batch(embedded.installation, embedded.analyst, view.batch.id)
    done = embedded.perform(view)
    assert done.status == "completed"
    assert embedded.count("predictions") == 240
    for name in ("results.csv", "results.parquet", "rejects.csv"):
        assert (embedded.folder(done) / name).read_bytes() == (embedded.folder(whole) / name).read_bytes(), name


# files of results: the limit of a file's size stands for a disk of their own that is full


def limited(lender: Lender, job: Any, largest: int) -> dict[str, Any]:
    """The batch's job performed by a process that may write no file larger than ``largest`` bytes."""
    settings = lender.installation.settings
    words = [settings.url, str(settings.home), settings.artifact_root, str(job), str(largest)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.credit.faults.limited", *words],
        cwd=ROOT,
        capture_output=True,  # standard error by a pipe: a file would be limited as well
        check=True,
        timeout=120,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.slow
@pytest.mark.postgres
def test_results_that_find_no_room_fail_the_batch_which_can_be_resumed(
    postgres_lenders: dict[str, Lender], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lender = postgres_lenders["northwind"]
    monkeypatch.setattr(batches, "CHUNK_ROWS", 40)
    path = table(tmp_path / "loans.csv", 120)
    whole = lender.batch(path)
    size = (lender.folder(whole) / "results.csv").stat().st_size
    parts = max(p.stat().st_size for p in (lender.folder(whole) / "parts").iterdir())
    for largest, decided in ((100, 0), (size - 1, 120)):  # the first part, and the combined file
        assert decided == 0 or parts < largest
        view = lender.submit(path)
        told = limited(lender, view.batch.job_id, largest)
        assert told["error"] == "Unavailable"
        assert "There is no room to write" in told["text"]
        failed = service.batch_of(lender.installation, lender.analyst, view.batch.id)
        assert failed.status == "failed"
        assert "There is no room to write" in str(failed.error)
        assert "Free some space" in str(failed.error)
        assert failed.rows_done == decided
        assert not (lender.folder(view) / "results.csv").exists()
        assert [p.name for p in lender.folder(view).rglob(".*")] == []
        service.resume_batch(lender.installation, lender.analyst, view.batch.id)
        done = lender.perform(view)
        assert done.status == "completed"
        assert (lender.folder(done) / "results.csv").read_bytes() == (lender.folder(whole) / "results.csv").read_bytes()
    assert lender.count("predictions") == 3 * 120
    assert len(lender.entries("credit.batch.score")) == 3
