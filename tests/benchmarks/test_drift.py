"""The benchmark of data drift: its data drift where they should, all rows are there, a missing peer is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from benchmarks.harness import MISSED

from benchmarks import drift_data, peers

ROOT = Path(__file__).parents[2]
ROWS = {
    "report quick": [
        "ours, seven measures, two files of 5,000 × 20", "SciPy KS + χ² to ours", "largest difference of KS from SciPy's",
        "Evidently PSI to ours", "Evidently PSI + KS + KL to ours", "Evidently default to ours", "NannyML JS to ours",
        "NannyML KS (binned) + χ² to ours", "whylogs KS to ours", "alibi-detect KS + χ² to ours",
    ],
    "stored": [
        "a file of 5,000 × 20 against a stored profile", "a report of 30 stored days summed", "a stored profile",
        "largest error of its KS", "sum of profiles = profile of the sum", "report.html", "writing it", "it holds no script",
        "report.json verifies from itself alone",
    ],
    "false alarms": ["ours: undrifted columns called drifted, of 9"],
    "small batches": ["reports with a false flag"],
    "import": ["importing the drift modules"],
}  # fmt: skip
TIMED = {"CPU-s", "CPU-ms", "MB"}


@pytest.mark.slow
def test_a_small_run_prints_every_row_and_ends_with_what_they_deserve() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PLUMBLINE_DATA"}
    command = [sys.executable, "-m", "benchmarks.drift", "--quick", "--without-peers", "--json", "-"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False, env=environment)
    rows = json.loads(done.stdout)["rows"]
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["group"], []).append(row["name"])
    assert found == ROWS, done.stderr[-2000:]
    assert done.returncode == (MISSED if any(row["verdict"] == "missed" for row in rows) else 0)
    assert [row["name"] for row in rows if row["verdict"] == "missed" and row["unit"] not in TIMED] == []
    peers = [row for row in rows if row["group"] == "report quick" and row["verdict"] == "no data"]
    assert {row["note"] for row in peers} == {"not run: --without-peers"}


def test_the_data_are_the_same_every_time_and_say_what_has_not_moved(tmp_path: Path) -> None:
    drift_data.both(tmp_path, "quick")
    once = pq.read_table(tmp_path / "quick-current.parquet")
    drift_data.write(tmp_path / "again.parquet", "quick", now=True)
    assert pq.read_table(tmp_path / "again.parquet").equals(once)
    assert once.num_columns == 20
    assert once.num_rows == 5_000
    assert {*drift_data.unmoved(20)} < {*once.column_names}
    assert "new level" in once["c2"].unique().to_pylist()


def test_a_peer_that_fails_or_is_not_to_be_had_is_told_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    files = tmp_path / "missing.parquet", tmp_path / "missing.parquet"
    with pytest.raises(peers.NotRun, match=r"failed: .*missing\.parquet"):
        peers.ask("drift_work.py", "ours", files)
    monkeypatch.setenv("PLUMBLINE_BENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(peers.NotRun, match="uv is not installed"):
        peers.ask("drift_work.py", "evidently_psi", files, "evidently")
