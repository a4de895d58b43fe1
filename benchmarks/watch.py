"""What the machine does while something is measured: the server's CPU, other processes' CPU, memory (Linux)."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import cpu_seconds
from benchmarks.house import House

PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
HIGH = 0.1
"""Share of the cores that others may use before a figure on the clock is said to be late."""


def _stat(pid: int) -> tuple[int, list[int]] | None:
    """Parent, and [utime, stime, cutime, cstime] in ticks."""
    try:
        fields = (PROC / str(pid) / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[1]), [int(v) for v in fields[11:15]]


def busy() -> float:
    """CPU-seconds of everything on the machine since it was started, what the host took away among them."""
    with suppress(OSError):
        first = (PROC / "stat").read_text("ascii").split("\n")[0]
        user, nice, system, _, _, irq, soft, steal = map(int, first.split()[1:9])
        return (user + nice + system + irq + soft + steal) / _TICKS
    return 0.0


@dataclass
class Window:
    """One measured stretch. ``others`` is the share of the cores that went to processes that are none of ours."""

    wall: float = 0.0
    server: float = 0.0
    others: float = 0.0

    @property
    def load(self) -> str:
        return f"load high: others used {self.others:.0%} of the cores" if self.others > HIGH else ""


class Watch:
    """Of a house: where its database has a server on this machine, that server's CPU."""

    def __init__(self, house: House) -> None:
        self.postmaster: int | None = None
        self.sqlite = house.owner.is_sqlite
        if house.owner.is_sqlite:
            return
        with house.owner.connect() as connection:
            backend = int(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())
            if (found := _stat(backend)) and "postgres" in (PROC / str(backend) / "comm").read_text("ascii"):
                self.postmaster = found[0]

    def server(self) -> float:
        """CPU-seconds of the server's processes so far, of those that ended too; 0 without one."""
        if self.postmaster is None:
            return 0.0
        whole = sum((_stat(self.postmaster) or (0, [0]))[1])
        for name in os.listdir(PROC):  # noqa: PTH208 - names alone, quickly
            if name.isdigit() and (found := _stat(int(name))) and found[0] == self.postmaster:
                whole += sum(found[1])
        return whole / _TICKS

    def share(self, seconds: float, unit: str = "CPU-s") -> str:
        """The server's part of a cost, in words; nothing on SQLite, which has no server."""
        if self.sqlite:
            return ""
        return (
            "the server's part is not known here"
            if self.postmaster is None
            else f"and {seconds:.3g} {unit} of the server"
        )

    @contextmanager
    def window(self) -> Iterator[Window]:
        """Measure a block; children it waits for count as ours."""
        found = Window()
        wall, own, server, all_of_it = time.perf_counter(), cpu_seconds(), self.server(), busy()
        yield found
        found.wall = time.perf_counter() - wall
        found.server = self.server() - server
        ours = cpu_seconds() - own + found.server
        found.others = max(0.0, busy() - all_of_it - ours) / found.wall / (os.cpu_count() or 1)


def noted(*parts: str) -> str:
    """What is to be said beside a figure."""
    return "; ".join(part for part in parts if part)


def high_water() -> int:
    """The most bytes this process held at a time (``getrusage`` would tell its parent's, if that was more)."""
    with suppress(OSError):
        for line in (PROC / "self" / "status").read_text("ascii", "replace").split("\n"):
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def largest_child() -> int:
    """The most bytes a child held that was waited for; 0 without one."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
