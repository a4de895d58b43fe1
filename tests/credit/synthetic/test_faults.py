"""Faulty files: every fault is on record, and nothing but the faults differs from the faultless file."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from plumbline.credit.synthetic import generate, write_stream
from plumbline.credit.synthetic.options import CHUNK
from plumbline.kernel.errors import Usage

ROWS = CHUNK + 400


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("faults")
    generate(ROWS, 31, months=1).write(root / "clean")
    generate(ROWS, 31, months=1, faults=True).write(root / "faulty")
    return root / "clean", root / "faulty"


def test_each_recorded_fault_is_in_the_file_and_no_other_line_differs(folders: tuple[Path, Path]) -> None:
    clean, faulty = (folder.joinpath("application.csv").read_text().split("\n") for folder in folders)
    assert len(clean) == len(faulty) == ROWS + 2  # header, rows, nothing after the last line feed
    record = pl.read_csv(folders[1] / "truth" / "faults.csv")
    header = next(csv.reader([clean[0]]))
    lines = set()
    ids_before: dict[int, set[str]] = {}
    for fault in record.iter_rows(named=True):
        number = fault["line"] - 1
        lines.add(number)
        before, after = next(csv.reader([clean[number]])), next(csv.reader([faulty[number]]))
        assert before[0] == str(fault["SK_ID_CURR"])
        if fault["kind"] == "ragged":
            assert len(after) != len(header)
            continue
        place = header.index(fault["column"])
        assert after[place] == str(fault["value"])
        assert [cell for i, cell in enumerate(before) if i != place] == [c for i, c in enumerate(after) if i != place]
        if fault["kind"] == "impossible_age":
            assert not -25_550 <= int(after[place]) <= -6_570
        elif fault["kind"] == "wrong_type":
            with pytest.raises(ValueError, match="could not convert"):
                float(after[place])
        else:
            ids_before.setdefault(number, set()).add(after[place])
    assert len(lines) == record.height
    assert [i for i in range(len(clean)) if clean[i] != faulty[i]] == sorted(lines)
    for number, repeated in ids_before.items():
        earlier = {row.split(",", 1)[0] for i, row in enumerate(faulty[:number]) if i not in lines}
        assert repeated <= earlier


def test_five_per_cent_have_an_impossible_age_and_every_kind_occurs(folders: tuple[Path, Path]) -> None:
    kinds = Counter(pl.read_csv(folders[1] / "truth" / "faults.csv")["kind"].to_list())
    assert kinds["impossible_age"] == pytest.approx(0.05 * ROWS, rel=0.01)
    assert set(kinds) == {"impossible_age", "wrong_type", "ragged", "repeated_id"}
    assert min(kinds.values()) >= 0.004 * ROWS


def test_ragged_lines_are_both_short_and_long(folders: tuple[Path, Path]) -> None:
    text = folders[1].joinpath("application.csv").read_text().split("\n")
    record = pl.read_csv(folders[1] / "truth" / "faults.csv").filter(pl.col("kind") == "ragged")
    widths = {len(next(csv.reader([text[line - 1]]))) for line in record["line"]}
    assert min(widths) < 122 < max(widths)


def test_tables_in_memory_and_side_tables_stay_faultless(folders: tuple[Path, Path]) -> None:
    faulty, clean = generate(500, 31, months=1, faults=True), generate(500, 31, months=1)
    assert all(clean.tables[name].equals(table) for name, table in faulty.tables.items())
    for path in folders[0].glob("*.csv"):
        if path.name != "application.csv":
            assert path.read_bytes() == (folders[1] / path.name).read_bytes()


def test_parquet_with_faults_is_refused_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(Usage, match="CSV"):
        write_stream(tmp_path, 100, 1, faults=True, format="parquet")
    with pytest.raises(Usage, match="CSV"):
        generate(100, 1, faults=True).write(tmp_path, "parquet")
    assert list(tmp_path.iterdir()) == []


def test_an_unlabelled_file_can_have_faults_too(tmp_path: Path) -> None:
    generate(100, 1, faults=True).write(tmp_path, labelled=False)
    header = (tmp_path / "application.csv").read_text().split("\n", 1)[0].split(",")
    assert len(header) == 121
    assert "TARGET" not in header
    assert pl.read_csv(tmp_path / "truth" / "faults.csv").height >= 4
