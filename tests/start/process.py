"""The command in a process of its own, as a person starts it."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType


def environment(**more: str) -> dict[str, str]:
    """Nothing of the tests' own settings."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PLUMBLINE_", "PYTEST"))}
    return kept | {"POLARS_MAX_THREADS": "1", "PYTHONUNBUFFERED": "1"} | more


class Running:
    """A started command: what it says arrives line by line."""

    def __init__(self, *words: str, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "plumbline", *words], cwd=folder, env=environment(), text=True, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )  # fmt: skip
        self.said: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._readers = [
            threading.Thread(target=self._read, args=(stream,), daemon=True)
            for stream in (self.process.stdout, self.process.stderr)
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: Iterator[str]) -> None:
        for line in stream:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def until(self, pattern: str, within: float = 60.0) -> re.Match[str]:
        """The first line that matches."""
        deadline = time.monotonic() + within
        ended = 0
        while ended < len(self._readers):
            line = self._lines.get(timeout=max(0.01, deadline - time.monotonic()))
            if line is None:
                ended += 1
                continue
            self.said.append(line)
            if found := re.search(pattern, line):
                return found
        raise AssertionError(f"it ended without a line like {pattern}:\n" + "\n".join(self.said))

    def end(self, number: signal.Signals = signal.SIGTERM, within: float = 20.0) -> tuple[int, float]:
        """Send the signal; the exit code and the seconds it took."""
        began = time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(timeout=within)
        return code, time.monotonic() - began

    def __enter__(self) -> Running:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(timeout=20)
        for reader in self._readers:
            reader.join(timeout=5)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
