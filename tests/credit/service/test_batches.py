"""A file of applications becomes decisions: all of them, in order, once, and bound to the ledger."""

from __future__ import annotations

import gzip
import io
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import polars as pl
import pytest

from plumbline.credit import service
from plumbline.credit.service import batches
from plumbline.kernel.errors import Conflict, InvalidInput, NotFound
from plumbline.kernel.jobs.worker import Worker
from plumbline.kernel.ledger import tree
from plumbline.kernel.models import predictions
from plumbline.kernel.paging import PageRequest
from tests.credit.trained import Lender, payload, unlabelled, write_zip

ROWS = 120
DEADLINE = 60.0


def wait_for(condition: Any, what: str) -> None:
    end = time.monotonic() + DEADLINE
    pause = 0.01
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not happen within {DEADLINE} s")
        time.sleep(pause)  # between looks, never instead of one


def as_csv(frame: pl.DataFrame) -> bytes:
    return frame.write_csv().encode()


def sent_as(kind: str, to: Path) -> Path:
    application = unlabelled()["application"]
    plain = as_csv(application)
    path = to / f"loans.{kind}"
    if kind == "csv":
        path.write_bytes(plain)
    elif kind == "parquet":
        application.write_parquet(path)
    elif kind == "csv.gz":
        path.write_bytes(gzip.compress(plain))
    elif kind == "csv.zst":
        import pyarrow as pa

        with pa.CompressedOutputStream(pa.OSFile(str(path), "wb"), "zstd") as out:
            out.write(plain)
    else:
        write_zip(path, {"application": application})
    return path


def test_every_kind_of_file_gives_the_same_decisions(embedded: Lender, tmp_path: Path) -> None:
    found = {}
    for kind in ("csv", "parquet", "csv.gz", "csv.zst", "zip"):
        view = embedded.batch(sent_as(kind, tmp_path))
        assert (view.status, view.batch.num_applications, view.rejected) == ("completed", ROWS, 0), kind
        found[kind] = (embedded.folder(view) / "results.csv").read_bytes()
    assert len(set(found.values())) == 1
    ids = pl.read_csv(io.BytesIO(found["csv"]))["sk_id_curr"].to_list()
    assert ids == unlabelled()["application"]["SK_ID_CURR"].to_list()


def test_a_row_of_a_file_is_decided_as_it_is_alone(lender: Lender, tmp_path: Path) -> None:
    view = lender.batch(write_zip(tmp_path / "portfolio.zip"))
    results = lender.results(view)
    for number in (0, 7, ROWS - 1):
        alone = service.score(lender.installation, lender.analyst, payload(number))
        row = results.row(number, named=True)
        assert (row["probability"], row["risk_level"], row["decision"], row["points"]) == (
            alone.probability, alone.risk_level, alone.decision, alone.points,
        )  # fmt: skip
        assert [row[f"reason_{i}"] for i in range(1, 5) if row[f"reason_{i}"]] == [r["code"] for r in alone.reasons]


def test_accepted_and_rejected_are_the_rows_of_the_file(embedded: Lender, tmp_path: Path) -> None:
    lines = as_csv(unlabelled()["application"]).split(b"\n")
    faulty = b"\n".join([lines[0], lines[1], lines[1], b"1,2,3", *lines[2:]])
    path = tmp_path / "loans.csv"
    path.write_bytes(faulty)
    view = embedded.batch(path)
    results, rejects = embedded.results(view), pl.read_csv(embedded.folder(view) / "rejects.csv")
    assert view.status == "completed"
    assert (view.batch.num_applications, view.rejected, results.height) == (ROWS + 2, 2, ROWS)
    assert rejects.select("line", "rule").rows() == [(3, "id_repeated"), (4, "ragged")]
    assert embedded.count("predictions") == ROWS


def test_the_one_entry_of_a_batch_binds_each_of_its_rows(lender: Lender, tmp_path: Path) -> None:
    view = lender.batch(sent_as("csv", tmp_path))
    (entry,) = lender.entries("credit.batch.score")
    hashes = (lender.folder(view) / "records.sha256").read_bytes()
    parts = [hashes[i : i + 32] for i in range(0, len(hashes), 32)]
    assert entry.details["records_root"] == tree.root([tree.leaf_hash(part) for part in parts]).hex()
    assert entry.details["results_sha256"] == view.batch.extra["files"]["results.csv"]
    rows = service.rows_of(lender.installation, lender.analyst, view.batch.id, PageRequest(limit=500)).items
    with lender.installation.database.read(lender.id) as session:
        for light, expected in zip(reversed(rows), parts, strict=True):
            row = predictions.get(session, lender.id, light.id)
            assert row.record_salt is not None
            assert predictions.check_record(row, lender.sha256, row.record_salt, expected.hex())
            wrong = bytes(32)
            assert not predictions.check_record(row, lender.sha256, wrong, expected.hex())


def test_a_row_of_a_file_replays_bit_for_bit(lender: Lender, tmp_path: Path) -> None:
    view = lender.batch(write_zip(tmp_path / "portfolio.zip"))
    rows = service.rows_of(lender.installation, lender.analyst, view.batch.id, PageRequest(limit=500)).items
    for row in rows[::40]:
        again = service.replay(lender.installation, lender.analyst, row.id)
        assert (again.equal, again.differences) == (True, [])


def test_the_same_file_again_is_pointed_out(embedded: Lender, tmp_path: Path) -> None:
    path = sent_as("csv", tmp_path)
    first = embedded.batch(path)
    assert first.batch.extra["same_as"] is None
    assert embedded.submit(path).batch.extra["same_as"] == str(first.batch.id)


def test_a_file_none_of_whose_rows_can_be_used_fails(embedded: Lender, tmp_path: Path) -> None:
    path = tmp_path / "loans.csv"
    path.write_bytes(as_csv(unlabelled()["application"].with_columns(DAYS_BIRTH=pl.lit(1000))))
    view = embedded.submit(path)
    assert view.batch.job_id is not None
    with pytest.raises(InvalidInput, match="None of the 120 rows"):
        embedded.perform(view)
    failed = service.batch_of(embedded.installation, embedded.analyst, view.batch.id)
    assert failed.status == "failed"
    assert "None of the 120 rows can be scored" in (failed.error or "")
    assert embedded.count("predictions") == 0
    assert embedded.entries("credit.batch.score") == []


def test_batches_and_their_files_are_their_organizations(lender: Lender, other: Lender, tmp_path: Path) -> None:
    view = lender.batch(sent_as("csv", tmp_path))
    key = view.batch.id
    assert service.list_batches(other.installation, other.admin, PageRequest()).items == []
    for call in (
        lambda: service.batch_of(other.installation, other.admin, key),
        lambda: service.cancel_batch(other.installation, other.admin, key),
        lambda: service.resume_batch(other.installation, other.admin, key),
        lambda: batches.download(other.installation, other.admin, key, "results"),
    ):
        with pytest.raises(NotFound):
            call()
    assert service.rows_of(other.installation, other.admin, key, PageRequest()).items == []


def small_chunks(monkeypatch: pytest.MonkeyPatch, rows: int = 16) -> None:
    """A batch keeps the chunk size it began with: so few rows make many chunks."""
    monkeypatch.setattr(batches, "CHUNK_ROWS", rows)


def test_a_cancelled_batch_keeps_what_it_decided_and_goes_on_from_there(
    lender: Lender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_chunks(monkeypatch)
    path = sent_as("csv", tmp_path)
    whole = lender.batch(path)
    view = lender.submit(path)
    key = view.batch.id
    worker = Worker(lender.installation, name="one", threads=1, poll=0.01)
    write = lender.installation.database.write
    asked: list[int] = []

    def cancel_after_two(organization_id: UUID | None) -> Any:
        if len(asked) == 0 and lender.count("predictions") >= ROWS + 32:
            asked.append(1)
            service.cancel_batch(lender.installation, lender.analyst, key)
        return write(organization_id)

    monkeypatch.setattr(lender.installation.database, "write", cancel_after_two)
    worker.start()
    try:
        wait_for(lambda: service.batch_of(lender.installation, lender.analyst, key).status == "failed", "the cancellation")
    finally:
        worker.stop()
        monkeypatch.setattr(lender.installation.database, "write", write)
    stopped = service.batch_of(lender.installation, lender.analyst, key)
    assert 32 <= stopped.rows_done < ROWS
    assert lender.count("predictions") == ROWS + stopped.rows_done
    with pytest.raises(Conflict):
        service.cancel_batch(lender.installation, lender.analyst, key)
    service.resume_batch(lender.installation, lender.analyst, key)
    done = lender.perform(stopped)
    assert done.status == "completed"
    assert lender.count("predictions") == 2 * ROWS
    for name in ("results.csv", "results.parquet", "rejects.csv"):
        assert (lender.folder(done) / name).read_bytes() == (lender.folder(whole) / name).read_bytes(), name
    with pytest.raises(Conflict):
        service.resume_batch(lender.installation, lender.analyst, key)


@pytest.mark.slow
def test_killed_in_the_middle_it_gives_the_same_files_and_decides_nothing_twice(
    lender: Lender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_chunks(monkeypatch, 8)
    path = write_zip(tmp_path / "portfolio.zip")
    whole = lender.batch(path)
    view = lender.submit(path)
    key = view.batch.id
    code = (
        "import sys, pathlib\n"
        "from plumbline.kernel.installation import Installation\n"
        "from plumbline.kernel.jobs.worker import Worker\n"
        "from plumbline.settings import Settings\n"
        "home, url, artifacts, name = sys.argv[1:]\n"
        "house = Installation.open(Settings(home=pathlib.Path(home), database_url=url, artifacts=artifacts))\n"
        "Worker(house, name=name, threads=1, lease=1.0, poll=0.01).run_forever()\n"
    )
    settings = lender.installation.settings

    def begin(name: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", code, str(settings.home), settings.url, settings.artifact_root, name])

    def done() -> int:
        return service.batch_of(lender.installation, lender.analyst, key).rows_done

    for number, at_least in enumerate((8, 40)):
        worker = begin(f"killed-{number}")
        wait_for(lambda least=at_least: done() >= least, f"row {at_least}")
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        assert done() < ROWS, "the worker was too fast to be killed in the middle"
    last = begin("last")
    try:
        wait_for(lambda: service.batch_of(lender.installation, lender.analyst, key).status == "completed", "the end")
    finally:
        last.terminate()
        assert last.wait(30) == 0
    for name in ("results.csv", "results.parquet", "rejects.csv"):
        assert (lender.folder(view) / name).read_bytes() == (lender.folder(whole) / name).read_bytes(), name
    assert lender.count("predictions") == 2 * ROWS
    rows = service.rows_of(lender.installation, lender.analyst, key, PageRequest(limit=500)).items
    assert sorted(row.batch_row for row in rows) == list(range(1, ROWS + 1))
    assert len(lender.entries("credit.batch.score")) == 2
    assert len(lender.entries("jobs.done")) == 2
    hashes = (lender.folder(view) / "records.sha256").read_bytes()
    finished = service.batch_of(lender.installation, lender.analyst, key)
    assert finished.batch.extra["records_root"] == tree.root([tree.leaf_hash(hashes[i : i + 32]) for i in range(0, len(hashes), 32)]).hex()
    with lender.installation.database.read(lender.id) as session:
        for light in rows:
            row = predictions.get(session, lender.id, light.id)
            assert row.record_salt is not None
            assert row.batch_row is not None
            part = hashes[32 * (row.batch_row - 1) : 32 * row.batch_row]
            assert predictions.check_record(row, lender.sha256, row.record_salt, part.hex())
