"""The benchmark of the ledger: all its rows are there, and what it is compared with is a fair peer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.chain import START, checked, following
from benchmarks.harness import MISSED
from benchmarks.watch import HIGH, Window, high_water, noted

ROOT = Path(__file__).parents[2]
ROWS = {
    "seal sqlite": [
        "sealing 20,000 entries: CPU of the process", "entries sealed per CPU-second of the process", "sealing all 3,000 entries",
        "entries inserted per second, in bulk, made here",
    ],
    "verify sqlite": [
        "verifying 3,002 entries with all cores, on the clock", "everything was found sound",
        "its most memory, all processes together", "the same in one process", "only what came since a checkpoint: 300 entries",
    ],
    "prove sqlite": [
        "the path of an entry in 3,002, p50", "the whole proof of an entry, p50", "the whole proof of an entry, p95", "a proof file",
        "checking a proof file, p50", "the consistency proof of a checkpoint with the last one, p50",
        "an entry whose actor is erased keeps its proof",
    ],
    "act sqlite": ["an audit entry adds to a use case of two statements", "of it a commitment: salt, text, SHA-256"],
    "storage sqlite": ["leaves, nodes and checkpoints per entry"],
    "chain sqlite": [
        "naive chain: entries appended per CPU-second", "naive chain: verifying all of it",
        "naive chain: proof of the entry in the middle", "naive chain: checking that proof", "naive chain: what it cannot show",
    ],
}  # fmt: skip


@pytest.mark.slow
def test_a_small_run_prints_every_row_and_ends_with_what_they_deserve() -> None:
    command = [sys.executable, "-m", "benchmarks.ledger", "--quick", "--entries", "3000", "--engine", "sqlite", "--json", "-"]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False, env=os.environ.copy())  # fmt: skip
    rows = json.loads(done.stdout)["rows"]
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["group"], []).append(row["name"])
    assert found == ROWS, done.stderr[-2000:]
    assert done.returncode == (MISSED if any(row["verdict"] == "missed" for row in rows) else 0)
    by_name = {row["name"]: row for row in rows}
    assert by_name["everything was found sound"]["verdict"] == "ok"
    assert by_name["an entry whose actor is erased keeps its proof"]["verdict"] == "ok"
    assert (
        by_name["naive chain: proof of the entry in the middle"]["measured"] > by_name["a proof file"]["measured"] * 100
    )


def test_a_naive_proof_leads_to_its_head_and_not_with_another_row(tmp_path: Path) -> None:
    head = START
    for row in (b"1", b"2", b"3"):
        head = following(head, row)
    first = following(START, b"1")
    file = tmp_path / "proof"
    file.write_bytes(first.hex().encode() + b"\n2\n3\n")
    assert checked(file) == head
    file.write_bytes(first.hex().encode() + b"\n2\n4\n")
    assert checked(file) != head


def test_others_on_the_cores_are_told_beside_a_figure() -> None:
    assert Window(others=HIGH).load == ""
    assert noted("2 cores", "", Window(others=0.5).load) == "2 cores; load high: others used 50% of the cores"
    assert high_water() > 10_000_000
