from __future__ import annotations

import csv
import gzip
import io
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plumbline.credit.intake.readers import REJECT_SCHEMA, open_frames, open_upload
from plumbline.credit.intake.schema import Schema
from plumbline.kernel.errors import InvalidInput

from .shop import HEADER, ROW, SCHEMA


def rows(count, start=1):
    return [ROW.format(id=i) for i in range(start, start + count)]


def read(path, schema, *, scoring=True, size=65536, start=0, **more):
    with open_upload(path, schema, scoring=scoring, **more) as upload:
        return upload, list(upload.chunks(start, size))


def frame_of(chunks):
    return pl.concat([c.frame for c in chunks])


def rejects_of(chunks):
    return pl.concat([c.rejects for c in chunks])


def test_a_file_becomes_typed_rows_in_file_order(write, schema):
    upload, chunks = read(write(rows(5)), schema, size=2)
    assert upload.rows == 5
    assert [(c.index, c.first_row, c.rows) for c in chunks] == [(0, 1, 2), (1, 3, 2), (2, 5, 1)]
    frame = frame_of(chunks)
    assert frame["id"].to_list() == [1, 2, 3, 4, 5]
    assert frame.schema == {
        "id": pl.Int64,
        "age": pl.Int64,
        "income": pl.Float64,
        "share": pl.Float64,
        "days": pl.Int64,
        "job": pl.String,
        "owner": pl.Int64,
        "since": pl.Date,
        "extra": pl.Float64,
    }
    assert chunks[0].rejects.schema == REJECT_SCHEMA
    assert np.concatenate([c.positions for c in chunks]).tolist() == [1, 2, 3, 4, 5]
    assert "No file for loans, months: the rows have no history there." in upload.warnings


def test_empty_na_nan_and_null_are_missing(write, schema):
    path = write([",".join([str(i), t, t, t, t, t, t, t, t]) for i, t in enumerate(["", "NA", "NaN", "null", '""'])])
    _, chunks = read(path, schema)
    frame = frame_of(chunks)
    assert frame.height == 5
    assert all(frame[c].null_count() == 5 for c in frame.columns if c != "id")
    # A cell that cannot be typed sends the rows down the other path; missing must mean the same there.
    _, chunks = read(write(path.read_text() + ROW.format(id=9).replace("0.5", "x", 1) + "\n"), schema)
    assert all(frame_of(chunks)[c].null_count() >= 5 for c in frame.columns if c != "id")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_delimiter_and_the_kind_of_line_break_are_found(write, schema, delimiter, end):
    lines = [line.replace(",", delimiter) for line in [HEADER, *rows(3)]]
    _, chunks = read(write(end.join(lines)), schema)
    assert frame_of(chunks)["income"].to_list() == [1000.5] * 3
    assert frame_of(chunks)["extra"].to_list() == [0.5] * 3


def test_a_byte_order_mark_is_no_part_of_the_first_name(write, schema):
    _, chunks = read(write(b"\xef\xbb\xbf" + "\n".join([HEADER, *rows(2)]).encode()), schema)
    assert frame_of(chunks)["id"].to_list() == [1, 2]


def test_cp1252_is_read_with_a_warning_that_names_the_line(write, schema):
    text = "\n".join([HEADER, *rows(2), ROW.format(id=3).replace("clerk", "Bäcker")])
    upload, chunks = read(write(text.encode("cp1252")), schema)
    assert frame_of(chunks)["job"].to_list() == ["clerk", "clerk", "Bäcker"]
    assert any("cp1252" in w and "line 4" in w and "orders.csv" in w for w in upload.warnings)
    upload, chunks = read(write(text), schema)
    assert frame_of(chunks)["job"][2] == "Bäcker"
    assert not any("cp1252" in w for w in upload.warnings)


def test_line_breaks_and_delimiters_inside_quotes_are_part_of_a_cell(write, schema):
    odd = ROW.format(id=1).replace("clerk", '"clerk,\nof ""law"""')
    bad = ROW.format(id=3).replace("40", "x")
    _, chunks = read(write([odd, ROW.format(id=2), bad]), schema, size=2)
    assert frame_of(chunks)["job"].to_list() == ['clerk,\nof "law"', "clerk"]
    assert rejects_of(chunks).row(0, named=True)["line"] == 5


def test_blank_lines_are_no_rows_but_count_as_lines(write, schema):
    text = "\n".join(
        [HEADER, "", ROW.format(id=1), "", "", ROW.format(id=2), ROW.format(id=3).replace("40", "9"), "", ""]
    )
    for size in (1, 2, 65536):
        upload, chunks = read(write(text), schema, size=size)
        assert upload.rows == 3
        assert frame_of(chunks)["id"].to_list() == [1, 2]
        assert rejects_of(chunks)["line"].to_list() == [7]


def test_whole_numbers_written_with_a_point_are_whole(write, schema):
    lines = [ROW.format(id=i).replace("-30", "-30.0").replace(",1,", ",1.0,") for i in (1, 2)]
    lines.append(ROW.format(id=3).replace("-30", "-30.5"))
    _, chunks = read(write(lines), schema, size=2)
    assert frame_of(chunks)["days"].to_list() == [-30, -30]
    reject = rejects_of(chunks).row(0, named=True)
    assert (reject["column"], reject["value"], reject["rule"], reject["line"]) == ("days", "-30.5", "type", 4)


def test_the_two_ways_of_reading_agree(write, schema):
    rng = np.random.default_rng(5)
    numbers = [repr(float(x)) for x in rng.normal(size=300) * 10.0 ** rng.integers(-12, 9, 300)]
    lines = [ROW.format(id=i).replace("0.25", n) for i, n in enumerate(numbers)]
    _, fast = read(write(lines), schema)
    _, slow = read(write([*lines, ROW.format(id=999).replace("40", "x")]), schema)
    assert frame_of(slow).equals(frame_of(fast))
    assert frame_of(fast)["share"].to_list() == [float(n) for n in numbers]


def fault(path, schema, **more):
    with (
        pytest.raises(InvalidInput) as caught,
        open_upload(path, schema, scoring=more.pop("scoring", True), **more) as up,
    ):
        list(up.chunks())
    assert caught.value.remedy
    return caught.value


def test_a_wrong_type_in_a_required_column_rejects_the_row_and_names_the_cell(write, schema):
    lines = rows(5)
    lines[2] = lines[2].replace("40", "forty").replace("1000.5", "1e999")
    lines[4] = lines[4].replace("2020-01-31", "31.1.2020").replace(",1,", ",2,")
    upload, chunks = read(write(lines), schema, size=2)
    found = rejects_of(chunks).select("line", "id", "table", "column", "value", "rule").rows()
    assert found == [
        (4, "3", "orders", "age", "forty", "type"),
        (4, "3", "orders", "income", "1e999", "type"),
        (6, "5", "orders", "owner", "2", "type"),
        (6, "5", "orders", "since", "31.1.2020", "type"),
    ]
    assert [c.rejected_rows for c in chunks] == [0, 1, 1]
    assert frame_of(chunks).height + sum(c.rejected_rows for c in chunks) == upload.rows
    assert np.concatenate([c.positions for c in chunks]).tolist() == [1, 2, 4]


def test_a_wrong_type_in_another_column_counts_as_empty_with_a_counted_warning(write, schema):
    lines = rows(3)
    lines[1] = lines[1].removesuffix("0.5") + "half"
    _, chunks = read(write(lines), schema)
    assert frame_of(chunks)["extra"].to_list() == [0.5, None, 0.5]
    assert chunks[0].rejects.height == 0
    assert chunks[0].warnings == {"orders.extra: This is not a number. It counts as empty.": 1}


def test_a_value_outside_a_rejecting_range_rejects_and_outside_a_warning_one_warns(write, schema):
    lines = rows(4)
    lines[0] = lines[0].replace("40", "140")
    lines[1] = lines[1].replace("1000.5", "2e6")
    lines[2] = lines[2].replace("-30", "365243")
    lines[3] = lines[3].replace("-30", "30")
    _, chunks = read(write(lines), schema)
    found = rejects_of(chunks).select("line", "column", "value", "rule").rows()
    assert found == [(2, "age", "140", "range"), (5, "days", "30", "range")]
    assert chunks[0].warnings == {"orders.income: The value is outside 0 to 1e+06.": 1}


def test_missing_and_repeated_ids_are_rejected_across_chunks(write, schema):
    lines = [
        *rows(3),
        ROW.format(id=""),
        ROW.format(id=2),
        ROW.format(id=7),
        ROW.format(id=7),
        *rows(4, 10),
        ROW.format(id="x"),
    ]
    _, chunks = read(write(lines), schema, size=2)
    found = rejects_of(chunks).select("line", "id", "rule", "value").rows()
    assert found == [
        (5, None, "id_missing", None),
        (6, "2", "id_repeated", "2"),
        (8, "7", "id_repeated", "7"),
        (13, None, "type", "x"),
    ]
    assert frame_of(chunks)["id"].to_list() == [1, 2, 3, 7, 10, 11, 12, 13]


def test_ids_that_are_texts_stay_texts(write, schema):
    _, chunks = read(write([ROW.format(id=i) for i in ("A1", "007", "A1")]), schema)
    assert frame_of(chunks)["id"].to_list() == ["A1", "007"]


def test_a_ragged_line_is_rejected_with_its_line(write, schema):
    lines = rows(5)
    lines[1] += ",surplus"
    lines[3] = "4,40"
    _, chunks = read(write(lines), schema)
    found = rejects_of(chunks).select("line", "rule", "message").rows()
    assert found == [
        (3, "ragged", "The line has 10 cells where 9 are needed."),
        (5, "ragged", "The line has 2 cells where 9 are needed."),
    ]
    assert frame_of(chunks)["id"].to_list() == [1, 3, 5]
    assert chunks[0].positions.tolist() == [1, 3, 5]


def test_one_cell_too_many_and_one_too_few_do_not_make_up_for_each_other(write, schema):
    lines = rows(4)
    lines[1] += ",surplus"
    lines[2] = lines[2].rpartition(",")[0]
    for size in (2, 65536):
        _, chunks = read(write(lines), schema, size=size)
        assert rejects_of(chunks)["rule"].to_list() == ["ragged", "ragged"]
        assert frame_of(chunks)["id"].to_list() == [1, 4]


def test_a_stray_quote_spoils_its_own_row_alone(write, schema):
    lines = rows(5)
    lines[1] = lines[1].replace("clerk", 'a"b"c"d"')
    lines[3] = lines[3].replace("clerk", '"a"b"c"')
    _, chunks = read(write(lines), schema)
    found = rejects_of(chunks)
    assert set(found["rule"]) <= {"ragged"}
    assert {1, 3, 5} <= set(frame_of(chunks)["id"].to_list())
    assert frame_of(chunks).height + found["line"].n_unique() == 5


def test_a_batch_resumes_at_any_chunk_with_the_same_chunks(write, schema):
    lines = [*rows(4), ROW.format(id=2), "5,ragged", ROW.format(id=5), ROW.format(id=6).replace("40", "x"), *rows(3, 6)]
    path = write(lines)
    _, whole = read(path, schema, size=3)
    for start in range(len(whole) + 1):
        _, part = read(path, schema, size=3, start=start)
        assert [c.index for c in part] == [c.index for c in whole[start:]]
        for a, b in zip(part, whole[start:], strict=True):
            assert a.frame.equals(b.frame)
            assert a.rejects.equals(b.rejects)
            assert a.positions.tolist() == b.positions.tolist()


cells = st.sampled_from(
    ["", "1", "40", "x", "365243", "-5", "0.5", "NA", '"a,b"', '"two\nlines"', "2020-02-30", "1e400", " 7 "]
)
lines = st.lists(st.lists(cells, min_size=1, max_size=11).map(",".join), min_size=1, max_size=25)


@settings(max_examples=60, deadline=None)
@given(lines=lines, size=st.integers(1, 9), newline=st.sampled_from(["\n", "\r\n"]))
def test_accepted_plus_rejected_is_always_the_rows_of_the_file(lines, size, newline):
    schema = Schema.from_toml(SCHEMA)
    lines = [line for line in lines if line.strip()] or ["1"]
    text = newline.join([HEADER, *lines])
    expected = len([r for r in csv.reader(io.StringIO(text)) if r]) - 1
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        file.write(text.encode())
        file.flush()
        upload, chunks = read(Path(file.name), schema, size=size)
    assert upload.rows == expected == sum(c.rows for c in chunks)
    for chunk in chunks:
        assert chunk.frame.height + chunk.rejected_rows == chunk.rows
        assert chunk.rejects["line"].n_unique() == chunk.rejected_rows
        assert len(chunk.positions) == chunk.frame.height
    assert frame_of(chunks)["id"].n_unique() == frame_of(chunks).height


def test_a_binary_file_named_csv_is_refused(write, schema):
    error = fault(write(b"\x00\x01\x02" * 50), schema)
    assert "binary" in error.detail
    assert error.where.file == "orders.csv"
    late = fault(write("\n".join([HEADER, *rows(2)]).encode() + b"\n3,\x00"), schema)
    assert (late.where.line, "NUL" in late.detail) == (4, True)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_refused(write, schema, content):
    assert "empty" in fault(write(content), schema).detail


def test_a_file_with_a_header_alone_is_refused(write, schema):
    assert "no rows" in fault(write(HEADER + "\n"), schema).detail


def test_a_quote_that_is_never_closed_is_refused_with_its_line(write, schema):
    lines = rows(4)
    lines[2] = lines[2].replace("clerk", '"clerk')
    error = fault(write(lines), schema)
    assert "never closed" in error.detail
    assert error.where.line == 4


def test_a_file_without_an_id_column_is_refused(write, schema):
    error = fault(write(rows(2), header=HEADER.replace("id,", "number,", 1)), schema)
    assert (error.where.file, error.where.line, error.where.column) == ("orders.csv", 1, "id")


def test_a_misspelled_column_is_refused_with_a_suggestion(write, schema):
    for wrong in ("incom", "Income"):
        error = fault(write(rows(2), header=HEADER.replace("income", wrong)), schema)
        assert error.where.column == wrong
        assert "Did you mean income?" in error.remedy


def test_an_unknown_column_is_left_out_with_a_warning(write, schema):
    upload, chunks = read(write([r + ",z" for r in rows(2)], header=HEADER + ",colour"), schema)
    assert "colour" not in frame_of(chunks).columns
    assert any("colour" in w for w in upload.warnings)


def test_too_few_of_the_required_columns_are_refused(write, schema):
    error = fault(write(["1,40,3"], header="id,age,share"), schema)
    assert "5 of 7 required columns are missing" in error.detail
    assert error.where.file == "orders.csv"


def test_one_absent_column_counts_as_empty_with_a_warning(write, schema):
    upload, chunks = read(write([r.rpartition(",")[0] for r in rows(2)], header=HEADER.removesuffix(",extra")), schema)
    assert frame_of(chunks).height == 2
    assert any("extra" in w and "count as empty" in w for w in upload.warnings)


def test_two_headers_alike_are_refused(write, schema):
    error = fault(write([r + ",1" for r in rows(2)], header=HEADER + ",age"), schema)
    assert "Two columns are called age" in error.detail
    assert error.where.column == "age"


def test_the_label_is_left_out_when_scoring_and_needed_when_training(write, schema):
    labelled = write([*(r + ",1" for r in rows(2)), ROW.format(id=3) + ",oops"], header=HEADER + ",bad")
    upload, chunks = read(labelled, schema)
    assert "bad" not in frame_of(chunks).columns
    assert frame_of(chunks).height == 3
    assert any("bad" in w and "label" in w for w in upload.warnings)
    _, chunks = read(labelled, schema, scoring=False)
    assert frame_of(chunks)["bad"].to_list() == [1, 1]
    assert rejects_of(chunks).select("line", "column", "rule").rows() == [(4, "bad", "type")]
    error = fault(write(rows(2)), schema, scoring=False)
    assert error.where.column == "bad"


def test_a_row_without_a_label_cannot_be_trained_on(write, schema):
    path = write([ROW.format(id=1) + ",0", ROW.format(id=2) + ","], header=HEADER + ",bad")
    _, chunks = read(path, schema, scoring=False)
    assert rejects_of(chunks).select("line", "id", "rule").rows() == [(3, "2", "label_missing")]


def test_the_clients_file_name_loses_its_path(write, schema):
    for name in ("../../etc/my.csv", "C:\\Users\\me\\my.csv"):
        upload, _ = read(write(rows(1)), schema, filename=name)
        assert upload.filename == "my.csv"


def test_parquet_and_packed_files_give_the_same_rows(write, schema, tmp_path):
    path = write(rows(40))
    _, chunks = read(path, schema)
    expected = frame_of(chunks)
    packed = tmp_path / "orders.csv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    zst = tmp_path / "orders.csv.zst"
    with pa.CompressedOutputStream(str(zst), "zstd") as stream:
        stream.write(path.read_bytes())
    parquet = tmp_path / "orders.parquet"
    expected.with_columns(pl.col("days").cast(pl.Float64), pl.col("owner").cast(pl.Boolean)).write_parquet(parquet)
    for other in (packed, zst, parquet):
        upload, chunks = read(other, schema, size=7)
        assert upload.rows == 40
        assert frame_of(chunks).equals(expected), other


def test_faults_in_parquet_name_row_and_column(schema, tmp_path):
    path = tmp_path / "orders.parquet"
    pl.read_csv("\n".join([HEADER, *rows(4)]).encode()).with_columns(
        pl.Series("days", [-1.0, -2.5, float("nan"), None]), pl.Series("age", ["20", "30", "x", "40"])
    ).write_parquet(path)
    _, chunks = read(path, schema, size=3)
    found = rejects_of(chunks).select("line", "id", "column", "value", "rule").rows()
    assert found == [(2, "2", "days", "-2.5", "type"), (3, "3", "age", "x", "type")]
    assert frame_of(chunks)["days"].to_list() == [-1, None]
    path.write_bytes(path.read_bytes()[:100])
    assert "damaged" in fault(path, schema).detail


def test_frames_in_memory_keep_the_same_rules(write, schema):
    _, chunks = read(write(rows(4)), schema)
    frame = frame_of(chunks).with_columns(pl.Series("age", [20, 200, 30, 40]))
    upload = open_frames({"orders": frame}, schema, scoring=True)
    chunks = list(upload.chunks())
    assert rejects_of(chunks).select("line", "column", "rule").rows() == [(2, "age", "range")]
    with pytest.raises(InvalidInput, match="no table ordrs"):
        open_frames({"ordrs": frame}, schema, scoring=True)
