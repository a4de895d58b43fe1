"""Files of applications: every row decided or rejected, in order, as it would have been alone, and bound by the ledger."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from plumbline.credit import service
from plumbline.credit.results import sha256_of
from plumbline.credit.service import batches
from plumbline.kernel.errors import Conflict, Forbidden, InvalidInput, NotFound, PlumblineError, TooLarge
from plumbline.kernel.models import predictions
from plumbline.kernel.paging import PageRequest
from tests.credit.service.files import applications, assert_whole, bytes_of, rows_of, spoiled, told, written
from tests.credit.trained import Lender, payload, portfolio, unlabelled, write_zip


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.csv.zst"])
def test_every_row_is_decided_or_rejected_in_the_order_of_the_file(lender: Lender, tmp_path: Path, name: str) -> None:
    frame = spoiled(applications())
    view = lender.batch(written(frame, tmp_path / name))
    rows = assert_whole(lender, view)
    bad = list(range(9, frame.height + 1, 9))
    assert view.batch.extra["rejected"] == len(bad)
    assert [r.batch_row for r in rows] == [n for n in range(1, frame.height + 1) if n not in bad]
    rejects = pl.read_csv(lender.folder(view) / "rejects.csv")
    assert rejects["line"].to_list() == [n + 1 for n in bad]  # the header is line 1
    assert set(rejects["column"]) == {"AMT_INCOME_TOTAL"}
    assert set(rejects["value"]) == {"a lot"}
    text = pl.read_csv(lender.folder(view) / "results.csv")
    assert text["probability"].to_list() == [r.probability for r in rows]


def test_the_same_table_gives_the_same_results_in_every_kind_of_file(embedded: Lender, tmp_path: Path) -> None:
    frame = applications()
    names = ("a.csv", "a.parquet", "a.csv.gz", "a.csv.zst", "a.tsv")
    made = []
    for name in names:
        path = tmp_path / name
        if name.endswith(".tsv"):
            frame.write_csv(path, separator="\t")
        else:
            written(frame, path)
        made.append(bytes_of(embedded, embedded.batch(path)))
    made.append(bytes_of(embedded, embedded.batch(write_zip(tmp_path / "a.zip", {"application": frame}))))
    assert all(files == made[0] for files in made)


def test_a_row_is_decided_as_it_is_alone_and_as_a_single_application(lender: Lender, tmp_path: Path) -> None:
    whole = lender.batch(write_zip(tmp_path / "all.zip"))
    rows = assert_whole(lender, whole)
    assert len(rows) == 120
    tables = unlabelled()
    for number in (0, 7, 60, 119):
        alone = {**tables, "application": tables["application"][number]}
        (single_row,) = assert_whole(lender, lender.batch(write_zip(tmp_path / f"{number}.zip", alone)))
        answer = service.score(lender.installation, lender.analyst, payload(number))
        with lender.installation.database.read(lender.id) as session:
            single = predictions.get(session, lender.id, answer.id)
        assert told(single_row) == told(rows[number]) == told(single)
        assert service.replay(lender.installation, lender.analyst, rows[number].id).equal
        explained = service.explain(lender.installation, lender.analyst, rows[number].id)
        assert explained["contributions"] == single.explanation["contributions"]


def test_the_size_of_the_chunks_changes_nothing(
    embedded: Lender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(spoiled(applications()), tmp_path / "a.csv")
    made = []
    for rows in (1, 7, 50, 65_536):
        monkeypatch.setattr(batches, "CHUNK_ROWS", rows)
        view = embedded.batch(path)
        assert len(view.batch.extra["parts"]) == -(-120 // rows)
        assert_whole(embedded, view)
        # a Parquet file keeps the chunks as row groups: its rows are the same, its bytes are not
        made.append((bytes_of(embedded, view) | {"results.parquet": b""}, embedded.results(view).rows()))
    assert all(files == made[0] for files in made)


def test_an_id_that_stands_in_an_earlier_chunk_is_rejected(
    embedded: Lender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "CHUNK_ROWS", 50)
    frame = applications()
    view = embedded.batch(written(pl.concat([frame, frame[3:5]]), tmp_path / "a.csv"))
    assert_whole(embedded, view)
    rejects = pl.read_csv(embedded.folder(view) / "rejects.csv")
    assert rejects["line"].to_list() == [122, 123]
    assert set(rejects["rule"]) == {"id_repeated"}


def test_a_chunk_without_an_accepted_row_is_no_obstacle(
    embedded: Lender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "CHUNK_ROWS", 40)
    good = spoiled(applications(), every=1000)
    for first in (0, 40, 80):
        bad = spoiled(good[first : first + 40], every=1)
        view = embedded.batch(written(pl.concat([good[:first], bad, good[first + 40 :]]), tmp_path / f"{first}.csv"))
        assert_whole(embedded, view)
        assert (view.batch.extra["scored"], view.batch.extra["rejected"]) == (80, 40)


def test_a_batch_whose_rows_are_all_rejected_has_failed_and_says_why(lender: Lender, tmp_path: Path) -> None:
    view = lender.submit(written(spoiled(applications(), every=1), tmp_path / "a.csv"))
    with pytest.raises(InvalidInput, match="None of the 120 rows"):
        lender.perform(view)
    view = service.batch_of(lender.installation, lender.analyst, view.batch.id)
    assert view.status == "failed"
    assert view.error is not None
    assert "None of the 120 rows" in view.error
    assert lender.count("predictions") == 0
    assert lender.entries("credit.batch.score") == []
    path, _ = batches.download(lender.installation, lender.analyst, view.batch.id, "rejects")
    assert pl.read_csv(path).height == 120
    with pytest.raises(Conflict, match="has failed"):
        batches.download(lender.installation, lender.analyst, view.batch.id, "results")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("SK_ID_CURR\n", "no rows"),
        ("a;b\n1;2\n", "missing"),
        ("\x00\x01\x02", ""),
    ],
    ids=["header only", "other columns", "no text"],
)
def test_a_file_that_cannot_be_read_fails_the_batch_with_its_name(
    embedded: Lender, tmp_path: Path, text: str, says: str
) -> None:
    path = tmp_path / "März.csv"
    if text.startswith("SK_ID"):
        applications()[:0].write_csv(path)
    else:
        path.write_text(text, encoding="utf-8")
    view = embedded.submit(path)
    with pytest.raises(InvalidInput):
        embedded.perform(view)
    view = service.batch_of(embedded.installation, embedded.analyst, view.batch.id)
    assert view.status == "failed"
    assert view.job is not None
    assert view.job.state == "failed"
    assert view.error is not None
    assert "März.csv" in view.error
    assert says in view.error
    assert embedded.count("predictions") == 0


def test_a_misspelled_column_is_told_with_file_column_and_remedy(lender: Lender, tmp_path: Path) -> None:
    frame = applications().rename({"AMT_CREDIT": "AMT_CREDITS"})
    view = lender.submit(written(frame, tmp_path / "a.csv"))
    with pytest.raises(InvalidInput) as refused:
        lender.perform(view)
    where = refused.value.where
    assert where is not None
    assert (where.file, where.column) == ("a.csv", "AMT_CREDITS")
    error = service.batch_of(lender.installation, lender.analyst, view.batch.id).error
    assert error is not None
    for part in ("a.csv", "AMT_CREDITS", "Did you mean AMT_CREDIT?"):
        assert part in error


@pytest.mark.parametrize(
    ("name", "over", "kind"),
    [("a.xlsx", None, InvalidInput), ("a.csv", None, InvalidInput), ("a.csv", 1, TooLarge)],
    ids=["kind", "empty", "large"],
)
def test_what_cannot_be_taken_in_leaves_no_row_no_job_and_no_file(
    embedded: Lender, tmp_path: Path, name: str, over: int | None, kind: type[PlumblineError]
) -> None:
    path = tmp_path / "sent"
    with path.open("wb") as file:  # a hole: it takes no room on the disk
        file.truncate(0 if over is None else embedded.installation.settings.max_upload_bytes + over)
    with pytest.raises(kind):
        service.submit_batch(embedded.installation, embedded.analyst, path, filename=name)
    assert embedded.count("batch_uploads") == embedded.count("jobs") == 0
    assert not list((embedded.installation.files / "batches").glob("*"))
    assert len(embedded.entries("credit.batch.submit", success=False)) == 1


def test_a_path_in_the_senders_name_for_the_file_leads_nowhere(embedded: Lender, tmp_path: Path) -> None:
    path = written(applications(), tmp_path / "a.csv")
    for name in ("../../etc/passwd.csv", r"..\..\x\passwd.csv", "/tmp/pass\nwd.csv"):
        view = embedded.submit(path, name)
        assert view.batch.filename == "passwd.csv"
        assert [f.name for f in embedded.folder(view).iterdir()] == ["upload.csv"]


def test_a_file_that_was_sent_before_is_pointed_out_to_who_sent_it(
    lender: Lender, other: Lender, tmp_path: Path
) -> None:
    path = written(applications(), tmp_path / "a.csv")
    first = lender.submit(path)
    assert first.batch.extra["same_as"] is None
    assert lender.submit(path, "b.csv").batch.extra["same_as"] == str(first.batch.id)
    assert lender.submit(path, context=lender.admin).batch.extra["same_as"] is None
    assert other.submit(path).batch.extra["same_as"] is None


def test_a_viewer_reads_batches_and_sends_none(lender: Lender, tmp_path: Path) -> None:
    path = written(applications(), tmp_path / "a.csv")
    viewer = lender.as_role("viewer")
    with pytest.raises(Forbidden):
        lender.submit(path, context=viewer)
    assert lender.count("batch_uploads") == 0
    view = lender.batch(path)
    assert service.batch_of(lender.installation, viewer, view.batch.id).status == "completed"
    with pytest.raises(Forbidden):
        service.resume_batch(lender.installation, viewer, view.batch.id)


def test_another_tenant_sees_neither_batch_nor_rows_nor_files(lender: Lender, other: Lender, tmp_path: Path) -> None:
    view = lender.batch(written(applications(), tmp_path / "a.csv"))
    key, house = view.batch.id, other.installation
    for role in ("admin", "viewer"):
        there = other.as_role(role)
        with pytest.raises(NotFound):
            service.batch_of(house, there, key)
        for which in ("results", "results.parquet", "rejects"):
            with pytest.raises(NotFound):
                batches.download(house, there, key, which)
        assert service.list_batches(house, there, PageRequest(10)).items == []
        assert service.rows_of(house, there, key, PageRequest(10)).items == []
    with pytest.raises(NotFound):
        service.cancel_batch(house, other.admin, key)
    with pytest.raises(NotFound):
        service.resume_batch(house, other.admin, key)
    with pytest.raises(NotFound):
        service.replay(house, other.admin, rows_of(lender, view)[0].id)
    assert {e.organization_id for e in other.entries("credit.batch.download", success=False)} == {other.id}


def test_reading_the_results_is_an_act_in_the_ledger(lender: Lender, tmp_path: Path) -> None:
    view = lender.submit(written(applications(), tmp_path / "loans.csv"))
    with pytest.raises(Conflict, match="not there yet"):
        batches.download(lender.installation, lender.analyst, view.batch.id, "results")
    view = lender.perform(view)
    path, name = batches.download(lender.installation, lender.as_role("viewer"), view.batch.id, "results")
    assert name == "loans-results.csv"
    (entry,) = lender.entries("credit.batch.download")
    assert entry.details["sha256"] == sha256_of(path) == view.batch.extra["files"]["results.csv"]
    assert entry.user_id == lender.people["viewer"]


def test_a_text_that_a_spreadsheet_would_run_is_no_formula_in_the_files(embedded: Lender, tmp_path: Path) -> None:
    frame = spoiled(applications(), every=1000).with_columns(
        pl.when(pl.int_range(pl.len()) == 4)
        .then(pl.lit("=1+1"))
        .otherwise(pl.col("AMT_INCOME_TOTAL"))
        .alias("AMT_INCOME_TOTAL")
    )
    view = embedded.batch(written(frame, tmp_path / "a.csv"))
    assert pl.read_csv(embedded.folder(view) / "rejects.csv")["value"].to_list() == ["'=1+1"]


def test_a_small_batch_puts_each_case_for_a_person_on_the_list(lender: Lender, tmp_path: Path) -> None:
    view = lender.batch(write_zip(tmp_path / "a.zip"))
    wanted = {r.id for r in rows_of(lender, view) if r.prediction_result == "High" or r.extra["decision"] == "review"}
    assert 0 < len(wanted) < 120
    assert lender.count("credit_reviews") == lender.count("findings") == len(wanted)


@pytest.mark.slow
def test_of_a_large_batch_the_riskiest_are_put_on_the_list(lender: Lender, tmp_path: Path) -> None:
    view = lender.batch(written(applications(copies=30), tmp_path / "a.parquet"))
    rows = assert_whole(lender, view)
    high = sorted((r.probability for r in rows if r.prediction_result == "High"), reverse=True)
    assert len(high) > 100
    found = lender.rows("SELECT probability FROM predictions p JOIN credit_reviews r ON r.prediction_id = p.id")
    assert sorted((p for (p,) in found), reverse=True) == high[:100]
    assert rows[0].features is None
    assert service.replay(lender.installation, lender.analyst, rows[-1].id).equal


def test_the_portfolio_has_history_that_moves_scores(embedded: Lender, tmp_path: Path) -> None:
    """Or the tests with linked tables would say little."""
    with_history = embedded.results(embedded.batch(write_zip(tmp_path / "a.zip")))
    without = embedded.results(embedded.batch(written(applications(), tmp_path / "a.csv")))
    assert (with_history["probability"] != without["probability"]).sum() > 60
    assert len(portfolio().tables) > 1
