"""Files that cannot be used as they are: what the batch, its API and its downloads answer."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from plumbline.app import create_app
from plumbline.cli import run
from plumbline.credit import service
from plumbline.kernel.errors import InvalidInput, TooLarge
from plumbline.kernel.installation import Installation
from plumbline.kernel.jobs.service import run_inline
from plumbline.settings import Settings
from tests.conftest import SteppingClock
from tests.credit.trained import Lender, artifacts, unlabelled
from tests.support.http import Program

ROWS = 20


def main() -> pl.DataFrame:
    """A few applications, each with everything that is asked for."""
    return unlabelled()["application"].head(ROWS)


def csv(frame: pl.DataFrame) -> bytes:
    return frame.write_csv().encode()


def archive(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in members.items():
            target.writestr(name, content)
    return buffer.getvalue()


def bomb() -> bytes:
    return archive(**{"application.csv": csv(main()) + b"0" * (40 << 20)})


def program(lender: Lender) -> Program:
    return Program(create_app(lender.installation), lender.keys["analyst"])


def sent(call: Program, name: str, content: bytes) -> Any:
    return call("POST", "/api/v1/credit/batches", files={"file": (name, content)})


def leftovers(lender: Lender) -> list[str]:
    """Files of the store that belong to no batch, or that a batch should not show yet."""
    files = lender.installation.files
    return sorted(
        str(p.relative_to(files)) for p in files.rglob("*") if p.is_file() and not p.name.startswith("upload")
    )


def bare(lender: Lender) -> bool:
    return all(lender.count(table) == 0 for table in ("predictions", "credit_reviews", "findings"))


def changed(frame: pl.DataFrame, column: str, row: int, value: str) -> pl.DataFrame:
    """The table as text with another value in one cell (rows count from 1)."""
    texts = frame[column].cast(pl.String).to_list()
    texts[row - 1] = value
    return frame.with_columns(pl.Series(column, texts))


REFUSED: list[tuple[str, str, Callable[[], bytes], tuple[str, ...]]] = [
    (
        "the main table is missing",
        "tables.zip",
        lambda: archive(**{"bureau.csv": csv(unlabelled()["bureau"])}),
        ("tables.zip", "application"),
    ),
    (
        "a column is misspelled",
        "loans.csv",
        lambda: csv(main().rename({"AMT_CREDIT": "AMT_CREDT"})),
        ("loans.csv", "AMT_CREDT", "Did you mean AMT_CREDIT?"),
    ),
    (
        "a column of a linked table is misspelled",
        "tables.zip",
        lambda: archive(**{"application.csv": csv(main()), "bureau.csv": csv(unlabelled()["bureau"].rename({"SK_ID_CURR": "SK_ID_CUR"}))}),
        ("bureau.csv", "table bureau", "SK_ID_CUR", "Did you mean SK_ID_CURR?"),
    ),
    ("the id is missing", "loans.csv", lambda: csv(main().drop("SK_ID_CURR")), ("loans.csv", "column SK_ID_CURR", "id column")),
    (
        "most columns are missing",
        "loans.csv",
        lambda: csv(main().select("SK_ID_CURR", "AMT_CREDIT", "AMT_ANNUITY")),
        ("loans.csv", "required columns are missing"),
    ),
    ("a header alone", "loans.csv", lambda: csv(main().head(0)), ("loans.csv", "no rows")),
    ("blank lines alone", "loans.csv", lambda: b"\n\n\r\n", ("loans.csv", "empty")),
    ("UTF-16", "loans.csv", lambda: main().write_csv().encode("utf-16"), ("loans.csv", "line 1", "NUL", "Save it as UTF-8 CSV")),
    ("a program named .csv", "loans.csv", lambda: b"\x7fELF\x02\x01\x01\0\0\0" + bytes(range(256)) * 8, ("loans.csv", "binary")),
    ("a ZIP named .csv that is none", "loans.zip", lambda: b"PK\x03\x04 and then nothing", ("loans.zip", "damaged")),
    ("half a ZIP", "loans.zip", lambda: archive(**{"application.csv": csv(main())})[:-400], ("loans.zip", "damaged")),
    (
        "a path in a ZIP",
        "loans.zip",
        lambda: archive(**{"../../application.csv": csv(main())}),
        ("loans.zip", "../../application.csv", "leads out"),
    ),
    ("a ZIP bomb", "loans.zip", bomb, ("application.csv", "unpacks to more than 200 times its size", "Send it unpacked")),
    ("a quote that never closes", "loans.csv", lambda: csv(main()) + b'"1,2', ("loans.csv", f"line {ROWS + 2}", "quote")),
    ("no row that can be scored", "loans.csv", lambda: csv(changed(main().head(1), "SK_ID_CURR", 1, "")), ("loans.csv", "None of the 1 rows")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "words"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_a_file_that_cannot_be_used_fails_its_batch_with_the_place_and_decides_nothing(
    embedded: Lender, tmp_path: Path, name: str, content: Callable[[], bytes], words: tuple[str, ...]
) -> None:
    call = program(embedded)
    accepted = sent(call, name, content())
    assert accepted.status_code == 202, accepted.text
    key = accepted.json()["id"]
    ((job,),) = embedded.rows("SELECT id FROM jobs WHERE kind = 'credit.batch'")
    with pytest.raises((InvalidInput, TooLarge)):
        run_inline(embedded.installation, job_id(job))
    batch = call("GET", f"/api/v1/credit/batches/{key}").json()
    assert batch["status"] == "failed"
    for word in words:
        assert word in batch["error"]
    assert "Traceback" not in batch["error"]
    assert str(tmp_path) not in batch["error"]
    assert bare(embedded)
    assert embedded.entries("credit.batch.score") == []
    assert len(embedded.entries("jobs.failed", success=False)) == 1
    refused = call("GET", f"/api/v1/credit/batches/{key}/results")
    assert refused.status_code == 409
    assert words[-1] in refused.json()["detail"]


def job_id(value: Any) -> Any:
    from uuid import UUID

    return UUID(bytes=value) if isinstance(value, bytes) else value


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("loans.csv", b"", "The file is empty."),
        ("loans.xlsx", b"PK\x03\x04", "no file of a kind that can be read"),
        ("loans", b"a,b\n1,2\n", "no file of a kind that can be read"),
    ],
    ids=["empty", "a workbook", "no suffix"],
)
def test_what_can_be_seen_at_once_is_refused_at_once(embedded: Lender, name: str, content: bytes, said: str) -> None:
    answer = sent(program(embedded), name, content)
    assert answer.status_code == 422
    problem = answer.json()
    assert said in problem["detail"]
    assert problem["where"] == {"file": name}
    assert problem["remedy"]
    assert embedded.count("batch_uploads") == embedded.count("jobs") == 0
    assert [e.success for e in embedded.entries("credit.batch.submit", success=False)] == [False]
    assert leftovers(embedded) == []


@pytest.mark.parametrize("above", [1, 1_500_000], ids=["by a byte", "by more than a request may have"])
def test_a_file_over_the_limit_is_413_and_nothing_of_it_stays(
    embedded: Lender, tmp_path: Path, clock: SteppingClock, above: int
) -> None:
    settings = Settings(
        home=tmp_path, database_url=embedded.installation.settings.url, artifacts=artifacts(), max_upload_bytes=50_000
    )
    small = replace(embedded, installation=Installation.open(settings, clock=clock))
    try:
        call = program(small)
        fits, over = csv(main()), b"0" * (50_000 + above)
        assert len(fits) < 50_000
        answer = sent(call, "loans.csv", over)
        assert answer.status_code == 413
        assert answer.headers["content-type"].startswith("application/problem+json")
        assert answer.json()["code"] == "too-large"
        assert small.count("batch_uploads") == 0
        assert leftovers(small) == []
        assert sent(call, "loans.csv", fits).status_code == 202
    finally:
        small.installation.close()


@pytest.mark.parametrize("command", [("check", "--scoring"), ("batch", "run"), ("schema", "infer")])
def test_a_file_over_the_limit_is_refused_by_the_command(
    embedded: Lender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:  # fmt: skip
    monkeypatch.setenv("PLUMBLINE_MAX_UPLOAD_BYTES", "5000")
    monkeypatch.setenv("PLUMBLINE_ARTIFACTS", artifacts())
    path = tmp_path / "loans.csv"
    path.write_bytes(csv(main()))
    words = [
        "--home",
        str(tmp_path),
        "--database-url",
        embedded.installation.settings.url,
        "credit",
        *command,
        str(path),
    ]
    assert run(words) == 1
    said = capsys.readouterr()
    size = path.stat().st_size
    assert said.err.startswith(
        f"plumbline: loans.csv: The file has {size:,} bytes; the limit is 5,000. Split it, or raise "
    )
    assert len(said.err.splitlines()) == 1
    assert embedded.count("batch_uploads") == 0
    assert leftovers(embedded) == []


def test_a_zip_that_unpacks_to_more_than_the_setting_fails_its_batch(
    embedded: Lender, tmp_path: Path, clock: SteppingClock
) -> None:
    settings = Settings(
        home=tmp_path, database_url=embedded.installation.settings.url, artifacts=artifacts(), max_unpacked_bytes=10_000
    )
    small = replace(embedded, installation=Installation.open(settings, clock=clock))
    try:
        path = tmp_path / "loans.zip"
        path.write_bytes(archive(**{"application.csv": csv(main())}))
        view = small.submit(path)
        with pytest.raises(TooLarge):
            small.perform(view)
        view = service.batch_of(small.installation, small.analyst, view.batch.id)
        assert view.status == "failed"
        assert "unpacks to more than 10,000 bytes" in str(view.error)
        assert bare(small)
    finally:
        small.installation.close()


def test_bad_rows_are_rejected_with_line_and_column_and_the_others_are_decided(
    embedded: Lender, tmp_path: Path
) -> None:
    frame = main()
    ids = [str(v) for v in frame["SK_ID_CURR"]]
    for column, row, value in (
        ("SK_ID_CURR", 4, ids[1]),  # repeated
        ("SK_ID_CURR", 7, ""),  # missing
        ("AMT_CREDIT", 10, "a lot"),  # wrong type
        ("AMT_CREDIT", 12, "-5"),  # out of range
        ("EXT_SOURCE_2", 12, "1.5"),  # a second fault of the same row
    ):
        frame = changed(frame, column, row, value)
    path = tmp_path / "loans.csv"
    path.write_bytes(csv(frame) + b"1,2,3\n")
    view = embedded.batch(path)
    assert view.status == "completed"
    assert (view.batch.extra["scored"], view.batch.extra["rejected"], view.rows_done) == (ROWS - 4, 5, ROWS + 1)
    rejects = pl.read_csv(embedded.folder(view) / "rejects.csv", infer_schema=False).rows()
    assert [(line, column, value, rule) for line, _id, _table, column, value, rule, _message in rejects] == [
        ("5", "SK_ID_CURR", ids[1], "id_repeated"), ("8", "SK_ID_CURR", None, "id_missing"), ("11", "AMT_CREDIT", "a lot", "type"),
        ("13", "AMT_CREDIT", "-5.0", "range"), ("13", "EXT_SOURCE_2", "1.5", "range"), (str(ROWS + 2), None, None, "ragged"),
    ]  # fmt: skip
    assert {row[2] for row in rejects} == {"application"}
    kept = [v for i, v in enumerate(ids, start=1) if i not in (4, 7, 10, 12)]
    assert [str(v) for v in embedded.results(view)["sk_id_curr"]] == kept
    assert sorted(s for (s,) in embedded.rows("SELECT subject_id FROM predictions")) == sorted(kept)
    (entry,) = embedded.entries("credit.batch.score")
    assert (entry.details["rows"], entry.details["rejected"], entry.details["scored"]) == (ROWS + 1, 5, ROWS - 4)


def test_rejected_rows_do_not_move_the_decisions_of_the_others(embedded: Lender, tmp_path: Path) -> None:
    good, mixed = tmp_path / "good.csv", tmp_path / "mixed.csv"
    good.write_bytes(csv(main()))
    mixed.write_bytes(csv(changed(main(), "AMT_CREDIT", 3, "?")))
    whole, partly = (embedded.results(embedded.batch(path)) for path in (good, mixed))
    assert partly.equals(whole.filter(pl.int_range(pl.len()) != 2))


def test_orphans_and_absent_side_tables_are_told_and_fail_nothing(embedded: Lender, tmp_path: Path) -> None:
    tables = unlabelled()
    path = tmp_path / "tables.zip"
    path.write_bytes(archive(**{"application.csv": csv(main()), "bureau.csv": csv(tables["bureau"])}))
    orphans = tables["bureau"].filter(~pl.col("SK_ID_CURR").is_in(main()["SK_ID_CURR"].to_list())).height
    assert orphans
    view = embedded.batch(path)
    assert (view.status, view.batch.extra["scored"]) == ("completed", ROWS)
    told = view.batch.extra["warnings"]
    assert f"bureau: {orphans:,} rows belong to no row of application." in told
    assert any(w.startswith("No file for ") and "previous_application" in w and "bureau," not in w for w in told)


def test_an_absent_column_and_another_encoding_are_told_and_fail_nothing(embedded: Lender, tmp_path: Path) -> None:
    path = tmp_path / "loans.csv"
    path.write_bytes(changed(main().drop("AMT_ANNUITY"), "OCCUPATION_TYPE", 5, "Caféier").write_csv().encode("cp1252"))
    view = embedded.batch(path)
    assert (view.status, view.batch.extra["scored"]) == ("completed", ROWS)
    told = view.batch.extra["warnings"]
    assert "loans.csv is not UTF-8 (first seen in line 6); it was read as cp1252." in told
    assert "application: 1 columns are absent and count as empty: AMT_ANNUITY." in told


def test_the_label_in_a_file_to_score_is_not_read_and_moves_nothing(embedded: Lender, tmp_path: Path) -> None:
    plain, labelled = tmp_path / "plain.csv", tmp_path / "labelled.csv"
    plain.write_bytes(csv(main()))
    labelled.write_bytes(csv(main().with_columns(TARGET=pl.int_range(ROWS) % 2)))
    without, view = embedded.batch(plain), embedded.batch(labelled)
    assert embedded.results(view).equals(embedded.results(without))
    assert view.batch.extra["warnings"][0] == "The column TARGET is the label; it was left out and not read."
    assert not [f for (f,) in embedded.rows("SELECT features FROM predictions") if "TARGET" in str(f)]


def test_a_formula_in_a_cell_is_text_in_every_exported_csv(embedded: Lender, tmp_path: Path) -> None:
    evil = [
        '=HYPERLINK("http://198.51.100.1","x")',
        "+cmd|' /C calc'!A0",
        "-2+3+cmd|' /C calc'!A0",
        "@SUM(1+1)",
        "\t=1+1",
    ]
    frame = main().with_columns(SK_ID_CURR=pl.Series([*evil, *(f"A{i}" for i in range(ROWS - len(evil)))]))
    for row, formula in enumerate(evil, start=len(evil) + 1):
        frame = changed(frame, "AMT_CREDIT", row, formula)
    path = tmp_path / "loans.csv"
    path.write_bytes(csv(frame))
    view = embedded.batch(path)
    call = program(embedded)
    at = f"/api/v1/credit/batches/{view.batch.id}"
    results = pl.read_csv(call("GET", f"{at}/results").content, infer_schema=False)
    rejects = pl.read_csv(call("GET", f"{at}/rejects").content, infer_schema=False)
    assert results["sk_id_curr"].to_list()[: len(evil)] == [f"'{v}" for v in evil]
    assert [v for v in rejects["value"].to_list() if v] == [f"'{v}" for v in evil]
    for frame in (results, rejects):
        for name, column in frame.to_dict(as_series=False).items():
            # a number is none, whatever its sign
            assert not [v for v in column if v and v[0] in "=+-@\t\r" and not _number(v)], name
    assert embedded.results(view)["sk_id_curr"].to_list()[: len(evil)] == evil  # data stays as it was sent


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def test_a_file_that_vanished_before_its_job_ran_is_told(embedded: Lender, tmp_path: Path) -> None:
    path = tmp_path / "loans.csv"
    path.write_bytes(csv(main()))
    view = embedded.submit(path)
    shutil.rmtree(embedded.folder(view))
    with pytest.raises(InvalidInput, match="There is no such file"):
        embedded.perform(view)
    after = service.batch_of(embedded.installation, embedded.analyst, view.batch.id)
    assert after.status == "failed"
    assert "loans.csv" in str(after.error)
    assert bare(embedded)
