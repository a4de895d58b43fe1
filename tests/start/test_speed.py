"""What a command costs before it does anything: people and scripts call it often."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from plumbline.cli import run
from tests.start.process import environment

HEAVY = (
    "polars",
    "numpy",
    "lightgbm",
    "sqlalchemy",
    "fastapi",
    "pydantic",
    "jinja2",
    "uvicorn",
    "scipy",
    "pyarrow",
    "alembic",
)
"""Pydantic only once a command's options are read: typer itself uses it."""


def cpu_seconds(*words: str) -> float:
    """The least of some runs: other work on the machine only adds."""

    def once() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-m", "plumbline", *words], env=environment(), check=True, capture_output=True, timeout=60
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    return min(once() for _ in range(4))


def test_help_is_fast() -> None:
    assert cpu_seconds("--help") < 0.35


@pytest.mark.parametrize("words", [["--help"], ["credit", "--help"], ["--version"], ["credit", "score"]])
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    program = f"import json, sys\nfrom plumbline.cli import run\nrun({words!r})\nprint(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    told = subprocess.run(
        [sys.executable, "-c", program], env=environment(), check=True, capture_output=True, text=True, timeout=60
    )
    loaded = set(json.loads(told.stdout.splitlines()[-1]))
    assert loaded <= ({"pydantic"} if words[0] == "credit" else set())


@pytest.mark.slow
def test_a_list_is_fast(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--home", str(tmp_path), "init"]) == 0
    capsys.readouterr()
    pace = cpu_seconds("--help")  # on a busy machine a CPU-second does less
    assert cpu_seconds("--home", str(tmp_path), "audit", "list") < max(0.6, 6 * pace)
