"""Batches that are killed, cancelled or given up in the middle end as if nothing had happened."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from plumbline.credit import service
from plumbline.credit.service import batches
from plumbline.credit.service.batches import BatchView
from plumbline.kernel.errors import Conflict, Unavailable
from plumbline.kernel.jobs import service as jobs
from tests.credit.service.files import applications, assert_whole, bytes_of, rows_of, spoiled, told, written
from tests.credit.service.workers import killed, started, until
from tests.credit.trained import Lender, write_zip


def now(lender: Lender, view: BatchView) -> BatchView:
    return service.batch_of(lender.installation, lender.analyst, view.batch.id)


def parts(lender: Lender, view: BatchView) -> int:
    return len(now(lender, view).batch.extra["parts"])


def reached(lender: Lender, view: BatchView, goal: int) -> bool:
    return parts(lender, view) >= goal


@pytest.fixture
def chunks_of_20(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "CHUNK_ROWS", 20)


def cancelled_after(lender: Lender, view: BatchView, chunks: int) -> BatchView:
    """Performed here until the cancellation that comes when so many chunks are done."""
    assert view.batch.job_id is not None

    def stop(done: int, _total: int | None) -> None:
        if done == 20 * (chunks - 1):
            service.cancel_batch(lender.installation, lender.analyst, view.batch.id)

    jobs.run_inline(lender.installation, view.batch.job_id, stop)
    return now(lender, view)


@pytest.mark.usefixtures("chunks_of_20")
def test_a_cancelled_batch_is_resumed_with_the_bytes_of_one_that_was_not(lender: Lender, tmp_path: Path) -> None:
    path = written(spoiled(applications()), tmp_path / "a.csv")
    straight = lender.batch(path)
    view = cancelled_after(lender, lender.submit(path), 3)
    assert view.status == "failed"
    assert view.error is not None
    assert "Cancelled" in view.error
    assert view.job is not None
    assert view.job.state == "cancelled"
    before = rows_of(lender, view)
    assert 0 < len(before) <= 60
    with pytest.raises(Conflict):
        batches.download(lender.installation, lender.analyst, view.batch.id, "results")
    resumed = service.resume_batch(lender.installation, lender.analyst, view.batch.id)
    assert (resumed.status, resumed.error) == ("pending", None)
    after = lender.perform(resumed)
    rows = assert_whole(lender, after)
    assert [(r.id, r.record_salt, r.created_at) for r in rows[: len(before)]] == [
        (r.id, r.record_salt, r.created_at) for r in before
    ]
    assert bytes_of(lender, after) == bytes_of(lender, straight)
    assert [told(r) for r in rows] == [told(r) for r in rows_of(lender, straight)]
    (entry,) = lender.entries("credit.batch.resume")
    assert entry.details["rows_done"] == 60


@pytest.mark.usefixtures("chunks_of_20")
def test_only_a_failed_or_cancelled_batch_can_be_resumed(lender: Lender, tmp_path: Path) -> None:
    path = written(applications(), tmp_path / "a.csv")
    view = lender.submit(path)
    with pytest.raises(Conflict, match="worked on"):
        service.resume_batch(lender.installation, lender.analyst, view.batch.id)
    view = cancelled_after(lender, view, 2)
    service.resume_batch(lender.installation, lender.analyst, view.batch.id)
    with pytest.raises(Conflict, match="worked on"):
        service.resume_batch(lender.installation, lender.analyst, view.batch.id)
    view = lender.perform(view)
    with pytest.raises(Conflict, match="completed"):
        service.resume_batch(lender.installation, lender.analyst, view.batch.id)
    with pytest.raises(Conflict, match="completed"):
        service.cancel_batch(lender.installation, lender.analyst, view.batch.id)
    assert_whole(lender, view)


def test_a_batch_that_is_cancelled_before_it_began_is_shown_so_and_can_be_resumed(
    lender: Lender, tmp_path: Path
) -> None:
    view = lender.submit(written(applications(), tmp_path / "a.csv"))
    view = service.cancel_batch(lender.installation, lender.analyst, view.batch.id)
    assert view.status == "failed"
    assert view.error == "the job was cancelled"
    service.resume_batch(lender.installation, lender.analyst, view.batch.id)
    assert_whole(lender, lender.perform(view))


@pytest.mark.usefixtures("chunks_of_20")
def test_a_job_that_was_given_up_leaves_the_batch_failed_and_resumable(lender: Lender, tmp_path: Path) -> None:
    view = lender.submit(written(applications(), tmp_path / "a.csv"))
    lender.change("UPDATE jobs SET attempts = max_attempts")  # as after so many deaths of its workers
    with pytest.raises(Unavailable, match="died 5 times"):
        lender.perform(view)
    view = now(lender, view)
    assert view.batch.status == "pending"  # nobody lived to write it
    assert view.status == "failed"
    assert view.error is not None
    assert "died 5 times" in view.error
    service.resume_batch(lender.installation, lender.analyst, view.batch.id)
    assert_whole(lender, lender.perform(view))


@pytest.mark.usefixtures("chunks_of_20")
def test_a_failed_jobs_retry_goes_on_as_a_resumed_batch_does(embedded: Lender, tmp_path: Path) -> None:
    view = cancelled_after(embedded, embedded.submit(written(applications(), tmp_path / "a.csv")), 2)
    assert view.batch.job_id is not None
    jobs.retry(embedded.installation, embedded.admin, view.batch.job_id)
    assert_whole(embedded, embedded.perform(view))


@pytest.mark.usefixtures("chunks_of_20")
def test_a_file_without_a_good_row_stays_failed_when_it_is_resumed(embedded: Lender, tmp_path: Path) -> None:
    view = embedded.submit(written(spoiled(applications(), every=1), tmp_path / "a.csv"))
    for _ in range(2):
        with pytest.raises(Exception, match="None of the 120 rows"):
            embedded.perform(view)
        assert now(embedded, view).status == "failed"
        service.resume_batch(embedded.installation, embedded.analyst, view.batch.id)
    assert embedded.entries("credit.batch.score") == []


@pytest.mark.slow
def test_a_batch_survives_the_kill_of_its_worker_byte_for_byte(
    lender: Lender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(spoiled(applications(copies=15)), tmp_path / "a.csv")
    monkeypatch.setattr(batches, "CHUNK_ROWS", 25)
    straight = lender.batch(path)
    view = lender.submit(path)
    for number in range(3):
        worker = started(lender, f"victim-{number}")
        until(partial(reached, lender, view, parts(lender, view) + 7))
        killed(worker)
        assert now(lender, view).status == "processing"
    last = started(lender, "heir")
    try:
        until(lambda: now(lender, view).status == "completed")
    finally:
        killed(last)
    view = now(lender, view)
    assert view.job is not None
    assert view.job.attempts == 4
    rows = assert_whole(lender, view)
    assert bytes_of(lender, view) == bytes_of(lender, straight)
    assert [told(r) for r in rows] == [told(r) for r in rows_of(lender, straight)]
    assert len(lender.entries("jobs.done")) == 2
    again = service.replay(lender.installation, lender.analyst, rows[1234].id)
    assert again.equal


@pytest.mark.slow
def test_a_small_batch_with_history_survives_a_kill_without_a_second_finding(
    lender: Lender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_zip(tmp_path / "a.zip")
    monkeypatch.setattr(batches, "CHUNK_ROWS", 1)
    straight = lender.batch(path)
    once = lender.count("findings")
    assert once > 0
    view = lender.submit(path)
    worker = started(lender, "victim")
    until(lambda: parts(lender, view) >= 10)
    killed(worker)
    assert now(lender, view).status == "processing"
    last = started(lender, "heir")
    try:
        until(lambda: now(lender, view).status == "completed")
    finally:
        killed(last)
    view = now(lender, view)
    assert_whole(lender, view)
    assert bytes_of(lender, view) == bytes_of(lender, straight)
    assert lender.count("findings") == lender.count("credit_reviews") == 2 * once
