"""What a file's chunks add up to, and that the whole is compared once, whatever happened on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import polars as pl
import pytest

from plumbline.credit import service
from plumbline.credit.features.matrix import FeatureInfo, Matrix
from plumbline.credit.modelling.reasons import shown
from plumbline.credit.service import batches, monitoring
from plumbline.credit.service.batches import BatchView
from plumbline.kernel.models.profiles import Profile, count
from plumbline.kernel.models.service import drift, drift_reports, profiling
from plumbline.kernel.models.service.profiling import Reference
from plumbline.kernel.models.tables import Batch
from plumbline.kernel.paging import PageRequest
from tests.credit.service.files import applications, spoiled, written
from tests.credit.service.workers import killed, started, until
from tests.credit.trained import Lender, payload, scorer, unlabelled, write_zip


def reference_of(lender: Lender) -> Reference:
    with lender.installation.database.read(lender.id) as session:
        found = profiling.reference_of(session, lender.id, lender.model_id)
    assert found is not None
    return found


def profile_of(lender: Lender, batch: Batch) -> Profile:
    with lender.installation.database.read(lender.id) as session:
        return profiling.of_batch(session, lender.id, reference_of(lender), batch.id)[0]


def moved() -> pl.DataFrame:
    """The portfolio after a recession: incomes a third, everybody out of work for long."""
    frame = applications()
    return frame.with_columns(pl.col("AMT_INCOME_TOTAL") / 3, pl.col("AMT_CREDIT") * 3)


def test_training_keeps_what_the_version_saw(lender: Lender) -> None:
    held = reference_of(lender)
    names = [f.name for f in scorer().features]
    assert [axis.spec.name for axis in held.grid.axes] == [*names, "probability"]
    assert held.profile.rows == 1500
    assert held.sha256 == held.profile.sha256


def test_a_file_is_counted_as_its_rows_are_seen_by_the_model(lender: Lender, tmp_path: Path) -> None:
    view = lender.batch(write_zip(tmp_path / "all.zip"))
    scored = scorer().transformer.transform(unlabelled())
    expected = count(reference_of(lender).grid, monitoring.columns_of(scored, scorer().score_matrix(scored).probability))  # fmt: skip
    assert profile_of(lender, view.batch) == expected
    assert view.batch.extra["drift"]["state"] == "compared"
    (run,) = drift_reports.list_runs(lender.installation, lender.analyst, PageRequest()).items
    assert monitoring.report_of(view.batch) == run.id
    assert run.batch_id == view.batch.id
    assert [e.resource_id for e in lender.entries("models.drift")] == [run.id]
    assert drift_reports.verify(lender.installation, lender.analyst, run.id).faults == []


def test_chunks_and_attempts_change_nothing(embedded: Lender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that fails in its midst, once in every chunk, has the profile of one that does not."""
    path = written(spoiled(applications()), tmp_path / "a.csv")
    whole = embedded.batch(path)
    monkeypatch.setattr(batches, "CHUNK_ROWS", 25)
    view = embedded.submit(path)
    insert, calls = profiling.store_part, []

    def failing(*given: Any) -> UUID:
        calls.append(given)
        made = insert(*given)
        if len(calls) % 2:
            raise RuntimeError("the machine went down")
        return made

    monkeypatch.setattr(monitoring, "store_part", failing)
    for _ in range(5):
        with pytest.raises(RuntimeError):
            embedded.perform(view)
        service.resume_batch(embedded.installation, embedded.analyst, view.batch.id)
    done = embedded.perform(view)
    assert done.status == "completed"
    assert profile_of(embedded, done.batch) == profile_of(embedded, whole.batch)
    assert embedded.rows("SELECT part FROM model_profiles WHERE kind = 'batch' AND part > 0 ORDER BY part") == [(1,), (2,), (3,), (4,)]  # fmt: skip


@pytest.mark.slow
def test_a_killed_worker_leaves_the_same_profile_and_one_report(
    lender: Lender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "CHUNK_ROWS", 25)
    path = written(spoiled(applications(copies=4)), tmp_path / "a.csv")
    straight = lender.batch(path)
    view = lender.submit(path)

    def now() -> BatchView:
        return service.batch_of(lender.installation, lender.analyst, view.batch.id)

    worker = started(lender, "victim")
    until(lambda: len(now().batch.extra["parts"]) >= 7)
    killed(worker)
    last = started(lender, "heir")
    try:
        until(lambda: now().status == "completed")
    finally:
        killed(last)
    assert profile_of(lender, now().batch) == profile_of(lender, straight.batch)
    assert len(lender.entries("models.drift")) == 2
    run = monitoring.report_of(now().batch)
    assert run is not None
    assert drift_reports.verify(lender.installation, lender.analyst, run).faults == []


def test_a_version_without_a_reference_scores_and_says_so(other: Lender, tmp_path: Path) -> None:
    view = other.batch(written(applications(), tmp_path / "a.csv"))
    assert view.status == "completed"
    assert view.batch.extra["drift"]["state"] == "no_reference"
    assert "no reference" in view.batch.extra["drift"]["said"]
    assert other.count("data_drift_reports") == 0
    told = drift.run(other.installation, other.analyst, other.model_id)
    assert told.state == "no_reference"
    assert told.run_id is None


def test_single_decisions_are_counted_like_a_file_of_them(lender: Lender, tmp_path: Path) -> None:
    """What is stored of a decision gives the same counts as the matrix in memory."""
    numbers = range(0, 120, 4)
    for n in numbers:
        service.score(lender.installation, lender.analyst, payload(n))
    tables = unlabelled()
    tables["application"] = tables["application"][list(numbers)]
    view = lender.batch(write_zip(tmp_path / "same.zip", tables))
    since = lender.installation.clock()
    with lender.installation.database.read(lender.id) as session:
        found, blank = profiling.of_singles(session, lender.id, reference_of(lender), since, since.replace(hour=23))
    assert blank == 0
    assert found == profile_of(lender, view.batch)


def test_applicants_who_moved_raise_one_finding_and_others_none(lender: Lender, other: Lender, tmp_path: Path) -> None:
    sound = lender.batch(write_zip(tmp_path / "sound.zip"))
    assert sound.batch.extra["drift"]["severity"] not in ("major", "moderate")
    assert lender.rows("SELECT 1 FROM findings WHERE room = 'models'") == []
    for n in range(2):
        lender.batch(write_zip(tmp_path / f"{n}.zip", unlabelled() | {"application": moved()}))
    runs = drift_reports.list_runs(lender.installation, lender.analyst, PageRequest()).items
    assert [run.extra["severity"] for run in runs[:2]] == ["major", "major"]
    assert {"AMT_INCOME_TOTAL", "AMT_CREDIT"} <= {f["feature"] for f in runs[0].drifted_features}
    found = lender.rows("SELECT severity, url FROM findings WHERE room = 'models'")
    assert [(severity, url.rsplit("/", 1)[-1]) for severity, url in found] == [("high", str(runs[0].id))]
    assert drift_reports.list_runs(other.installation, other.analyst, PageRequest()).items == []


def test_codes_of_categories_have_the_names_that_people_read() -> None:
    info = FeatureInfo("f", "category", frozenset(), levels=("a", "b"))
    values = np.array([0.0, 1.0, 2.0, -1.0, 7.0, np.nan])
    matrix = Matrix(pl.Series("id", range(6)), values[:, None], (info,))
    column = monitoring.columns_of(matrix, values)["f"]
    assert column.to_pylist() == [shown(info, v) for v in values.tolist()]
    taken = FeatureInfo("probability", "numeric", frozenset())
    assert monitoring.output_name((taken,)) == "probability (output)"
