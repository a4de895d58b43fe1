"""Data drift: a full report of two files, stored profiles, false alarms and the report's files, beside the peers.

``python3 dev.py bench drift [--quick] [--large-peers] [--without-peers] [--only GROUP] [--json FILE]``. Files s
(100,000 × 20) and l (1,000,000 × 50) come from ``drift_data.py``. Peers are installed on demand, each in an environment
of its own (``peers.py``: 0.3 to 1.3 GB each); on l they need ten minutes and 4 GB, so only with ``--large-peers``.
Each task runs in a fresh process and imports before it is measured.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import drift_data, peers
from benchmarks.harness import Bench
from benchmarks.peers import NotRun

GATES: tuple[tuple[str, str, str | None, float | None, float | None], ...] = (
    ("SciPy KS + χ²", "scipy", None, None, 3.5),
    ("Evidently PSI", "evidently_psi", "evidently", 10, 30),
    ("Evidently PSI + KS + KL", "evidently_three", "evidently", None, 100),
    ("Evidently default", "evidently_default", "evidently", None, None),
    ("NannyML JS", "nannyml_js", "nannyml", 5, 25),
    ("NannyML KS (binned) + χ²", "nannyml_ks", "nannyml", None, 2),
    ("whylogs KS", "whylogs_ks", "whylogs", 15, 40),
    ("alibi-detect KS + χ²", "alibi_ks", "alibi-detect", None, 6),
)
"""Name, task, environment, the ratio to reach on s, on l."""


class Files:
    """The two files of each size, made when first asked for, and our own figures on them."""

    def __init__(self, bench: Bench, folder: Path) -> None:
        self.bench, self.folder = bench, folder
        self._ours: dict[str, dict[str, Any]] = {}

    def get(self, size: str) -> tuple[Path, Path]:
        return drift_data.both(self.folder, size)

    def ours(self, size: str) -> dict[str, Any]:
        """The least of some runs."""
        if size not in self._ours:
            runs = [peers.ask("drift_work.py", "ours", self.get(size)) for _ in range(1 if self.bench.quick else 3)]
            self._ours[size] = min(runs, key=lambda run: run["cpu"])
        return self._ours[size]

    @cached_property
    def large(self) -> str:
        return "quick" if self.bench.quick else "l"


def main(arguments: Sequence[str] | None = None) -> int:
    def options(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--large-peers", action="store_true", help="the peers on the large files too (ten minutes)")
        parser.add_argument("--without-peers", action="store_true", help="ours and SciPy only: nothing is installed")

    bench = Bench("drift", arguments, options=options)
    with tempfile.TemporaryDirectory(prefix="plumbline-bench-") as temporary:
        files = Files(bench, Path(temporary))
        sizes = ("quick",) if bench.quick else ("s", "l")
        for size in sizes:
            bench.measure(f"report {size}", partial(report, bench, files, size))
        bench.measure("stored", lambda: stored(bench, files))
        bench.measure("false alarms", lambda: false_alarms(bench, files))
        bench.measure("small batches", lambda: small_batches(bench))
        bench.measure("import", lambda: imported(bench))
    return bench.close()


def _size(size: str) -> str:
    rows, columns = drift_data.SIZES[size]
    return f"{rows:,} × {columns}"


def report(bench: Bench, files: Files, size: str) -> None:
    """All measures of two Parquet files, reading included, and the same by the peers."""
    ours = files.ours(size)
    bench.info(f"ours, seven measures, two files of {_size(size)}", ours["cpu"], unit="CPU-s", cpu=True,
               note=f"{ours['megabytes']:.0f} MB above the imports")  # fmt: skip
    if size == "l":
        bench.most("ours: most memory", ours["megabytes"], 350, unit="MB")
    memory = []
    for name, task, peer, small, large in GATES:
        answer = _peer(bench, files, size, name, task, peer)
        if answer is None:
            continue
        memory += [answer["megabytes"]] if peer else []
        ratio, gate = answer["cpu"] / ours["cpu"], {"s": small, "l": large}.get(size)
        note = f"{answer['cpu']:.2f} CPU-s, {answer['megabytes']:,.0f} MB"
        if gate is None:
            bench.info(f"{name} to ours", ratio, unit="×", note=note)
        else:
            bench.least(f"{name} to ours", ratio, gate, unit="×", note=note)
        if task == "scipy":
            _same_ks(bench, ours["ks"], answer["ks"])
    if size == "l" and memory:
        bench.least("the most frugal peer's memory to ours", min(memory) / ours["megabytes"], 4, unit="×")


def _peer(bench: Bench, files: Files, size: str, name: str, task: str, peer: str | None) -> dict[str, Any] | None:
    if peer and bench.options.without_peers:
        bench.no_data(f"{name} to ours", "not run: --without-peers")
        return None
    if peer and size == "l" and not bench.options.large_peers:
        bench.no_data(f"{name} to ours", "not run: needs --large-peers")
        return None
    try:
        return peers.ask("drift_work.py", task, files.get(size), peer)
    except NotRun as reason:
        bench.no_data(f"{name} to ours", f"not run: {reason}")
        return None


def _same_ks(bench: Bench, ours: dict[str, float | None], theirs: dict[str, float]) -> None:
    worst = max(abs(value - (ours[name] or 0.0)) for name, value in theirs.items())
    bench.most("largest difference of KS from SciPy's", worst, 1e-12, note=f"{len(theirs)} columns")


def stored(bench: Bench, files: Files) -> None:
    """A file against the stored counts of its reference, which no peer but whylogs can hold."""
    size = files.large
    runs = [peers.ask("drift_work.py", "ours_stored", files.get(size)) for _ in range(1 if bench.quick else 3)]
    best = min(runs, key=lambda run: run["cpu"])
    bench.most(f"a file of {_size(size)} against a stored profile", best["cpu"], 0.8, unit="CPU-s", cpu=True,
               note=f"{best['megabytes']:.0f} MB above the imports")  # fmt: skip
    bench.most("a report of 30 stored days summed", best["window"] * 1000, 50, unit="CPU-ms", cpu=True)
    bench.most("a stored profile", best["profile"] / 1000, 30, unit="kB", note=f"its grid, once per reference: {best['grid'] / 1000:.0f} kB")  # fmt: skip
    ks = files.ours(size)["ks"]
    worst = max(abs((value or 0.0) - (ks[name] or 0.0)) for name, value in best["ks"].items())
    limit = 0.0002 if size == "l" else 0.01
    bench.most("largest error of its KS", worst, limit)
    bench.holds(
        "sum of profiles = profile of the sum", peers.ask("drift_work.py", "ours_sum", files.get(size))["equal"]
    )
    bench.most("report.html", best["html"] / 1000, 150, unit="kB")
    bench.most("writing it", best["html_cpu"] * 1000, 50, unit="CPU-ms", cpu=True)
    bench.holds("it holds no script", not best["script"])
    bench.holds("report.json verifies from itself alone", not best["faults"],
                note=f"{best['json'] / 1000:.0f} kB, {best['verify'] * 1000:.0f} CPU-ms")  # fmt: skip
    if not bench.quick:
        _peer_files(bench, files)


def _peer_files(bench: Bench, files: Files) -> None:
    html = _peer(bench, files, "s", "Evidently's report", "evidently_psi", "evidently")
    if html:
        bench.info("Evidently's HTML of 20 columns", html["html"] / 1000, unit="kB")
    profile = _peer(bench, files, "s", "whylogs' profile", "whylogs_ks", "whylogs")
    if profile:
        bench.info("whylogs' profile of 20 columns", profile["profile"] / 1000, unit="kB")


def false_alarms(bench: Bench, files: Files) -> None:
    """Columns that are the same on both sides."""
    size = files.large
    same = drift_data.unmoved(drift_data.SIZES[size][1])
    wrong = sorted({*same} & {*files.ours(size)["drifted"]})
    bench.most(f"ours: undrifted columns called drifted, of {len(same)}", len(wrong), 0, note=", ".join(wrong))
    if bench.quick:
        return
    size = "l" if bench.options.large_peers else "s"
    answer = _peer(bench, files, size, "whylogs' false alarms", "whylogs_ks", "whylogs")
    if answer:
        same = drift_data.unmoved(drift_data.SIZES[size][1])
        bench.info(f"whylogs: undrifted columns called drifted, of {len(same)}, on {size}", len({*same} & {*answer["drifted"]}))  # fmt: skip


def small_batches(bench: Bench) -> None:
    """Reports over ten real columns without drift: random rows of one file on both sides."""
    if bench.data is None:
        bench.no_data("reports with a false flag", "PLUMBLINE_DATA is not set")
        return
    import pyarrow.parquet as pq

    from plumbline.kernel.models.columns import inferred
    from plumbline.kernel.models.drift import compare_columns

    path = bench.data / "credit" / "give_me_some_credit" / "train.parquet"
    if not path.exists():
        bench.no_data("reports with a false flag", f"{path.name} of Give Me Some Credit is not there")
        return
    table = pq.read_table(path).drop_columns(["id", "SeriousDlqin2yrs"])
    specs = inferred(table)
    columns = {spec.name: table[spec.name].to_numpy() for spec in specs}
    random, times = np.random.default_rng(20261124), 50 if bench.quick else 1_000

    def flagged(before: int, now: int) -> tuple[float, float]:
        ours = plain = 0
        for _ in range(times):
            drawn = random.choice(table.num_rows, before + now, replace=False)
            sides = [
                {name: values[part] for name, values in columns.items()} for part in (drawn[:before], drawn[before:])
            ]
            found = compare_columns(*sides, specs)
            ours += any(f.is_drifted for f in found.features)
            plain += any(f.measures is not None and f.measures.psi >= 0.1 for f in found.features)
        return ours / times * 100, plain / times * 100

    for before, now in ((100, 100), (200, 200), (500, 500), (1_000, 1_000), (20_000, 100)):
        share, plain = flagged(before, now)
        bench.most(f"reports with a false flag, {before:,} against {now:,} rows", share, 10 if bench.quick else 5, unit="%",
                   note=f"plain PSI ≥ .1: {plain:.1f} %; {times} draws")  # fmt: skip


def imported(bench: Bench) -> None:
    code = "import time; b = time.process_time(); import plumbline.kernel.models.drift_report; print(time.process_time() - b)"
    times = [float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ.copy()).stdout)
             for _ in range(1 if bench.quick else 5)]  # fmt: skip
    bench.most("importing the drift modules", min(times), 0.3, unit="CPU-s", cpu=True, note="with NumPy, scipy.special, pyarrow")  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
