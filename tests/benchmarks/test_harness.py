"""The harness of the benchmarks: what passes, what fails, what only informs, and with which exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.harness import MISSED, Bench, milliseconds, quantile, timed
from benchmarks.quality import SETS, schema_of
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import harness

ROOT = Path(__file__).parents[2]


def verdicts(bench: Bench) -> list[str]:
    return [row.verdict for row in bench.rows]


@pytest.fixture(scope="module")
def factor() -> float:
    return harness.additions() / harness.REFERENCE_SECONDS


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, factor: float) -> Bench:
    """On a machine whose speed is measured once."""
    monkeypatch.setattr(harness, "additions", lambda: factor * harness.REFERENCE_SECONDS)
    monkeypatch.delenv("PLUMBLINE_DATA", raising=False)
    return Bench("test", ["--quick"])


def test_a_gate_is_met_on_the_line_and_missed_beyond_it(bench: Bench) -> None:
    bench.least("a", 0.8, 0.8)
    bench.least("b", 0.799, 0.8)
    bench.most("c", 10.0, 10.0)
    bench.most("d", 10.1, 10.0)
    bench.within("e", 1.1, 0.9, 1.1)
    bench.within("f", 0.8, 0.9, 1.1)
    bench.holds("g", True)
    bench.holds("h", False)
    assert verdicts(bench) == ["ok", "missed"] * 4
    assert bench.exit_code == MISSED


def test_a_cpu_gate_is_held_against_the_figure_as_on_the_reference_core(bench: Bench, factor: float) -> None:
    bench.most("fits", 10.0 * factor * 0.999, 10.0, unit="CPU-s", cpu=True)
    bench.most("does not", 10.0 * factor * 1.001, 10.0, unit="CPU-s", cpu=True)
    assert verdicts(bench) == ["ok", "missed"]
    assert bench.rows[0].scaled == pytest.approx(9.99)
    assert bench.rows[0].measured == pytest.approx(9.99 * factor)


def test_what_cannot_be_measured_or_only_informs_fails_nothing(bench: Bench) -> None:
    bench.no_data("a", "no folder")
    bench.info("b", 1e9, unit="rows")
    assert bench.data is None
    assert verdicts(bench) == ["no data", "info"]
    assert bench.exit_code == 0


def test_a_group_that_breaks_is_a_missed_row_and_the_others_still_run(bench: Bench) -> None:
    def broken() -> None:
        raise ValueError("no such file")

    bench.measure("broken", broken)
    bench.measure("whole", lambda: bench.info("a", 1))
    assert [(row.group, row.verdict) for row in bench.rows] == [("broken", "missed"), ("whole", "info")]
    assert "no such file" in bench.rows[0].note


def test_only_the_groups_that_are_asked_for_run_and_a_wrong_name_is_told(
    monkeypatch: pytest.MonkeyPatch, factor: float, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(harness, "additions", lambda: factor)
    chosen = Bench("test", ["--only", "b", "--only", "c"])
    for group in "ab":
        chosen.measure(group, lambda: chosen.info("x", 1))
    assert [row.group for row in chosen.rows] == ["b"]
    assert chosen.close() == 2
    assert "no group c; there are: a, b" in capsys.readouterr().err


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60), st.sampled_from([0.01, 0.25, 0.5, 0.95, 0.99, 1.0]))
def test_a_quantile_is_the_smallest_value_with_its_share_of_values_at_or_below(
    values: list[float], share: float
) -> None:
    found = quantile(values, share)
    assert found in values
    assert sum(v <= found for v in values) >= share * len(values) - 1e-9
    assert sum(v < found for v in values) < share * len(values) + 1e-9


def test_time_is_that_of_the_best_run_and_a_childs_counts() -> None:
    calls = iter([3_000_000, 1_000, 3_000_000])
    spent = timed(lambda: sum(range(next(calls))), best_of=3)
    assert spent.result == sum(range(1_000))
    child = timed(lambda: subprocess.run([sys.executable, "-c", "sum(range(5_000_000))"], check=True))
    assert child.cpu > 0.02
    assert len(milliseconds(lambda: None, 7)) == 7


@pytest.mark.parametrize("real", SETS, ids=lambda real: str(real.name))
def test_the_schemas_of_the_real_sets_can_be_read_and_declare_their_target(real: object) -> None:
    schema = schema_of(real)  # type: ignore[arg-type] # one of SETS
    assert schema.target is not None
    assert schema.target.column in schema.main.columns
    assert schema.main.columns[schema.target.column].use == "none"


def test_in_heloc_zero_is_the_bad_outcome_and_in_the_others_one() -> None:
    bad = {real.schema: target.bad for real in SETS if (target := schema_of(real).target)}
    assert bad == {"gmsc": 1, "uci": 1, "heloc": 0, "home_credit": 1}


@pytest.mark.slow
def test_a_quick_run_says_its_rows_as_json_and_ends_with_what_they_deserve() -> None:
    command = [
        sys.executable,
        "-m",
        "benchmarks.credit",
        "--quick",
        "--json",
        "-",
        "--only",
        "reasons",
        "--only",
        "quality",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False, env={"PATH": ""})
    body = json.loads(done.stdout)
    assert done.returncode == (MISSED if any(row["verdict"] == "missed" for row in body["rows"]) else 0)
    assert {row["verdict"] for row in body["rows"] if row["group"] == "quality"} == {"no data"}
    assert {row["verdict"] for row in body["rows"] if row["group"] == "reasons"} == {"ok"}
    assert 0.05 < body["machine_factor"] < 50
