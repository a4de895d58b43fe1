"""The other tools that benchmarks run beside ours, each in an environment of its own, made when it is first needed.

They lie under ``PLUMBLINE_BENCH_CACHE`` (``~/.cache/plumbline-bench`` if it is not set), 0.3 to 1.3 GB each, and stay.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PYTHON = "3.11"
"""The Python that all of them install on (NannyML needs less than 3.13)."""
PEERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "evidently": ("0.7.23", ("evidently==0.7.23", "pandas<3.1")),  # plain, it takes a pandas that it cannot import
    "nannyml": ("0.13.1", ("nannyml==0.13.1", "statsmodels")),  # which it needs and does not declare
    "whylogs": ("1.6.4", ("whylogs[viz]==1.6.4", "numpy<2", "pandas<3", "pyarrow<18")),
    "alibi-detect": ("0.13.0", ("alibi-detect==0.13.0", "numpy<2", "pandas<3", "pyarrow<18")),
    "optbinning": ("1.0.0", ("optbinning==1.0.0",)),
    "shap": ("0.51.0", ("shap==0.51.0", "lightgbm==4.7.0")),
    "fairlearn": ("0.15.0", ("fairlearn==0.15.0",)),
    "dice-ml": ("0.12", ("dice-ml==0.12", "lightgbm==4.7.0")),
}
QUIET = {
    "NML_DISABLE_USAGE_LOGGING": "1",
    "WHYLOGS_NO_ANALYTICS": "True",
    "DO_NOT_TRACK": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}


class NotRun(Exception):
    """A peer that cannot be had or that failed; the text says why."""


def cache() -> Path:
    return Path(os.environ.get("PLUMBLINE_BENCH_CACHE") or Path.home() / ".cache" / "plumbline-bench")


def folder_of(peer: str) -> Path:
    """Where the environment lies, made or not."""
    return cache() / f"{peer}-{PEERS[peer][0]}"


def _uv() -> str:
    beside = Path(sys.executable).parent / "uv"
    found = str(beside) if beside.exists() else shutil.which("uv")
    if not found:
        raise NotRun("uv is not installed")
    return found


def python_of(peer: str) -> Path:
    """The peer's Python, its environment made if need be.

    :raises NotRun: it could not be installed.
    """
    folder = folder_of(peer)
    made = folder / ".complete"
    python = folder / "bin" / "python"
    if made.exists():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    for command in (
        ["venv", "--python", PYTHON, str(folder)],
        ["pip", "install", "--python", str(python), *PEERS[peer][1]],
    ):
        try:
            done = subprocess.run([_uv(), *command], capture_output=True, text=True, timeout=900, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NotRun(f"it could not be installed: {error}") from None
        if done.returncode:
            raise NotRun(f"it could not be installed: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    made.touch()
    return python


def ask(
    script: str, task: str, files: Sequence[Path], peer: str | None = None, *, seconds: float = 900
) -> dict[str, Any]:
    """A task of a script beside this one in a fresh process, of a peer's Python or of ours.

    :raises NotRun: the peer is not to be had, failed, or took too long.
    """
    python = str(python_of(peer)) if peer else sys.executable
    command = [python, str(HERE / script), task, *map(str, files)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False, env={**os.environ, **QUIET})  # fmt: skip
    except subprocess.TimeoutExpired:
        raise NotRun(f"stopped after {seconds:.0f} s") from None
    if done.returncode:
        raise NotRun(f"it failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer
