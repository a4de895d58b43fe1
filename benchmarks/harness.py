"""Measure, compare with a gate, print: the part all benchmarks share."""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Generic, Literal, TypeVar

T = TypeVar("T")
Verdict = Literal["ok", "missed", "no data", "info"]

REFERENCE_SECONDS = 0.47
"""CPU-seconds of ten million additions on the core all CPU gates are stated for."""
MISSED = 3
"""Exit code: it ran, and a gate was missed."""


def additions() -> float:
    """CPU-seconds of ten million additions in a loop at the top of a module (a function's local names are faster)."""
    code = compile("total = 0\nfor i in range(10_000_000):\n    total += i\n", "additions", "exec")
    begun = time.process_time()
    exec(code, {})
    return time.process_time() - begun


def cpu_seconds() -> float:
    """CPU-seconds of this process with all its threads, and of the children it has waited for."""
    spent = os.times()
    return time.process_time() + spent.children_user + spent.children_system


@dataclass(frozen=True, slots=True)
class Timing(Generic[T]):
    """One measurement: CPU-seconds, seconds on the clock, and what came out."""

    cpu: float
    wall: float
    result: T


def timed(work: Callable[[], T], *, best_of: int = 1) -> Timing[T]:
    """The run with the least CPU of ``best_of``; the garbage of what went before is collected first, and not counted."""
    runs = []
    for _ in range(best_of):
        gc.collect()
        cpu, wall = cpu_seconds(), time.perf_counter()
        result = work()
        runs.append(Timing(cpu_seconds() - cpu, time.perf_counter() - wall, result))
    return min(runs, key=lambda run: run.cpu)


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * round(share * 10_000) // 10_000) - 1)]


def milliseconds(work: Callable[[], object], times: int) -> list[float]:
    """Milliseconds on the clock of each of ``times`` calls, after some that warm up."""
    for _ in range(max(2, times // 20)):
        work()
    gc.collect()
    found = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        found.append((time.perf_counter() - begun) * 1000)
    return found


@dataclass(frozen=True, slots=True)
class Row:
    """A figure. ``scaled`` is what a CPU gate is held against: ``measured`` on the reference core."""

    group: str
    name: str
    measured: float | str | None
    unit: str
    gate: str
    verdict: Verdict
    scaled: float | None = None
    note: str = ""


class Bench:
    """The rows of one run.

    :ivar quick: a small run, to see that everything works; its figures mean little.
    :ivar factor: how much longer this core takes than the reference core; CPU gates are divided by it.
    """

    def __init__(self, title: str, arguments: Sequence[str] | None = None, *, options: Callable[[argparse.ArgumentParser], None] | None = None) -> None:  # fmt: skip
        parser = argparse.ArgumentParser(
            prog=f"dev.py bench {title}", description=f"Figures of {title}, each with its gate."
        )
        parser.add_argument("--quick", action="store_true", help="a small run")
        parser.add_argument(
            "--json", metavar="FILE", help="write the rows as JSON too; - is the standard output, without the table"
        )
        parser.add_argument(
            "--only", metavar="NAME", action="append", default=[], help="only this group (may be repeated)"
        )
        if options is not None:
            options(parser)
        self.options = parser.parse_args(arguments)
        self.quick: bool = self.options.quick
        self.title, self.rows = title, list[Row]()
        self.group = ""
        self._known: list[str] = []
        self.factor = min(additions() for _ in range(1 if self.quick else 3)) / REFERENCE_SECONDS
        self.begun = time.perf_counter()

    @property
    def data(self) -> Path | None:
        """The folder of real data, if there is one: ``PLUMBLINE_DATA``."""
        given = os.environ.get("PLUMBLINE_DATA")
        return Path(given) if given else None

    def measure(self, group: str, work: Callable[[], None]) -> None:
        """Run the measurements of a group, if it is wanted."""
        self._known.append(group)
        if self.options.only and group not in self.options.only:
            return
        self.group = group
        self.say(f"{group} …")
        try:
            work()
        except Exception as error:  # the other groups are still worth having
            traceback.print_exc()
            self._put(
                Row(group, "measured at all", "no", "", "yes", "missed", None, f"{type(error).__name__}: {error}")
            )

    def say(self, text: str) -> None:
        """Progress, for the person who waits."""
        print(f"[{time.perf_counter() - self.begun:6.0f} s] {text}", file=sys.stderr, flush=True)

    def least(self, name: str, value: float, gate: float, *, unit: str = "", cpu: bool = False, note: str = "") -> None:
        """A figure that must reach its gate; ``cpu``: work per CPU-time, held against the gate as on the reference core."""
        scaled = value * self.factor if cpu else None
        self._add(name, value, unit, f"≥ {gate:g}", (value if scaled is None else scaled) >= gate, scaled, note)

    def most(self, name: str, value: float, gate: float, *, unit: str = "", cpu: bool = False, note: str = "") -> None:
        """A figure that must not exceed its gate; ``cpu``: CPU-time, held against the gate as on the reference core."""
        scaled = value / self.factor if cpu else None
        self._add(name, value, unit, f"≤ {gate:g}", (value if scaled is None else scaled) <= gate, scaled, note)

    def within(self, name: str, value: float, low: float, high: float, *, unit: str = "", note: str = "") -> None:
        self._add(name, value, unit, f"{low:g} … {high:g}", low <= value <= high, None, note)

    def holds(self, name: str, truth: bool, *, shown: str | None = None, note: str = "") -> None:
        """Something that is so or not."""
        self._add(name, shown or ("yes" if truth else "no"), "", "yes", truth, None, note)

    def info(self, name: str, value: float | str, *, unit: str = "", cpu: bool = False, note: str = "") -> None:
        """A figure without a gate."""
        scaled = value / self.factor if cpu and not isinstance(value, str) else None
        self._put(Row(self.group, name, value, unit, "", "info", scaled, note))

    def no_data(self, name: str, reason: str) -> None:
        """A figure that cannot be had here."""
        self._put(Row(self.group, name, None, "", "", "no data", None, reason))

    def _add(
        self, name: str, value: float | str, unit: str, gate: str, passed: bool, scaled: float | None, note: str
    ) -> None:
        self._put(Row(self.group, name, value, unit, gate, "ok" if passed else "missed", scaled, note))

    def _put(self, row: Row) -> None:
        self.rows.append(row)
        self.say(f"  {row.name}: {shown(row.measured)} {row.unit} {row.gate and f'(gate {row.gate}) '}{row.verdict}")

    @property
    def exit_code(self) -> int:
        return MISSED if any(row.verdict == "missed" for row in self.rows) else 0

    def close(self) -> int:
        """Print everything; the exit code."""
        if unknown := [name for name in self.options.only if name not in self._known]:
            print(f"There is no group {', '.join(unknown)}; there are: {', '.join(self._known)}", file=sys.stderr)
            return 2
        after = additions() / REFERENCE_SECONDS
        body = {
            "benchmark": self.title, "quick": self.quick, "machine_factor": self.factor, "machine_factor_at_end": after,
            "seconds": time.perf_counter() - self.begun, "cores": os.cpu_count(), "rows": [asdict(row) for row in self.rows],
        }  # fmt: skip
        if self.options.json == "-":
            print(json.dumps(body, indent=1, ensure_ascii=False))
            return self.exit_code
        if self.options.json:
            Path(self.options.json).write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"\n{self.title}{' (quick: the figures mean little)' if self.quick else ''}: machine factor {self.factor:.2f} "
              f"at the beginning, {after:.2f} at the end; CPU gates are held against the scaled figure.\n")  # fmt: skip
        print(table(self.rows))
        return self.exit_code


def shown(value: float | str | None) -> str:
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    if isinstance(value, int) or (value == int(value) and abs(value) >= 1000):
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table: plain enough to read, and ready for a page."""
    head = ("group", "figure", "measured", "scaled", "gate", "", "note")
    cells = [head] + [
        (r.group, r.name, f"{shown(r.measured)} {r.unit}".strip(), "" if r.scaled is None else shown(r.scaled), r.gate, r.verdict, r.note)
        for r in rows
    ]  # fmt: skip
    widths = [max(len(line[i]) for line in cells) for i in range(len(head) - 1)]
    lines = ["| " + " | ".join([*(c.ljust(w) for c, w in zip(line, widths)), line[-1]]) + " |" for line in cells]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|---|")
    return "\n".join(lines)
