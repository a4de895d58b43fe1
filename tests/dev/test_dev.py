"""dev.py: what can be said of it without making a .venv."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "dev.py"
HOLD = """
import importlib.util, pathlib, sys
spec = importlib.util.spec_from_file_location("dev", sys.argv[1])
dev = importlib.util.module_from_spec(spec)
spec.loader.exec_module(dev)
with dev.alone(sys.argv[2]):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def dev(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("dev", SOURCE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SOURCE), *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_it_can_be_read_by_an_old_python() -> None:
    ast.parse(SOURCE.read_text("utf-8"), feature_version=(3, 6))


def test_it_needs_the_standard_library_only() -> None:
    outside = {"packaging", "hatch_build"}  # under .venv's own Python; our own
    tree = ast.parse(SOURCE.read_text("utf-8"))
    names = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    names |= {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert {n.partition(".")[0] for n in names} - outside <= sys.stdlib_module_names


def test_help_names_every_command_and_each_has_its_own(dev: ModuleType) -> None:
    told = call("--help")
    assert told.returncode == 0
    for name, *_ in dev.COMMANDS:
        assert f"\n  {name} " in told.stdout
        own = call(name, "--help")
        assert own.returncode == 0
        assert own.stdout.startswith(f"python3 dev.py {name}")


@pytest.mark.parametrize("arguments", [("frobnicate",), ("setup", "everything"), ("bench", "nothing-of-that-name")])
def test_an_unknown_word_is_told_with_those_that_are_known(arguments: tuple[str, ...]) -> None:
    told = call(*arguments)
    assert told.returncode == 2
    assert "dev.py: " in told.stderr


def test_the_lock_file_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    lock = str(tmp_path / "lock")
    command = [sys.executable, "-c", HOLD, str(SOURCE), lock]
    first = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert first.stdout
    assert first.stdout.readline() == "held\n"
    second = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert second.stderr
    assert second.stdout
    assert "waiting" in second.stderr.readline()
    first.communicate("\n")
    began = time.monotonic()
    assert second.stdout.readline() == "held\n"
    assert time.monotonic() - began < 5
    second.communicate("\n")
    assert (first.returncode, second.returncode) == (0, 0)


def test_a_killed_holder_lets_go_of_the_lock_file(tmp_path: Path, dev: ModuleType) -> None:
    lock = tmp_path / "lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(SOURCE), str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout
    assert holder.stdout.readline() == "held\n"
    with lock.open("a+b") as handle:
        assert not dev.try_lock(handle)
    holder.kill()
    holder.communicate()
    with lock.open("a+b") as handle:
        assert dev.try_lock(handle)


def test_the_lock_fits_the_project_and_names_no_host(dev: ModuleType) -> None:
    assert dev.lock_faults() == []


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("--index-url https" + "://example.org/simple\n", "names no host"),
        ("left-pad==1.0\n", "no hash"),
        ("left-pad>=1.0 \\\n    --hash=sha256:00\n", "no version"),
        ("--no-binary left-pad\n", "an option"),
    ],
)
def test_a_lock_line_that_must_not_be_is_named(dev: ModuleType, tmp_path: Path, line: str, fault: str) -> None:
    (tmp_path / "core.txt").write_text("right-pad==1.0 \\\n    --hash=sha256:11\n" + line)
    dev.REQ = str(tmp_path)
    pins, faults = dev.read_pins("core.txt")
    assert pins["right-pad"] == [("1.0", "", 1)]
    assert any(fault in f for f in faults)


def test_a_pin_that_pyproject_does_not_allow_is_named(dev: ModuleType, tmp_path: Path) -> None:
    for name in ("uv", "build", "assets", "core", "test"):
        text = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8")
        if name == "core":
            text = text.replace("\npolars==", "\npolars==0.")
        (tmp_path / f"{name}.txt").write_text(text)
    dev.REQ = str(tmp_path)
    faults = dev.lock_faults()
    assert any("polars 0." in f and "is not >=" in f for f in faults)
    assert any("polars differs between core.txt and test.txt" in f for f in faults)


def test_only_files_that_run_by_themselves_are_benchmarks(dev: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    (folder / "credit.py").write_text('if __name__ == "__main__":\n    pass\n')
    (folder / "machine.py").write_text("FACTOR = 1\n")
    dev.ROOT = str(tmp_path)
    assert dev.benchmarks() == ["credit"]


@pytest.mark.parametrize(
    ("ci", "named", "asked"), [("true", "", True), ("", "", False), ("true", "/opt/chromium", False)]
)
def test_a_browser_is_installed_only_in_ci_by_root_where_none_is(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ci: str, named: str, asked: bool
) -> None:
    words = tmp_path / "words"
    apt = tmp_path / "apt-get"
    apt.write_text(f'#!/bin/sh\necho "$@" >> {words}\n')
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CI", ci)
    monkeypatch.setenv("CHROMIUM_PATH", named)
    monkeypatch.setattr(dev.os, "geteuid", lambda: 0, raising=False)
    monkeypatch.setattr(dev, "ROOT", str(tmp_path))
    dev.browser()
    said = words.read_text().splitlines() if words.exists() else []
    assert said == (["update -qq", "install -y -qq --no-install-recommends chromium"] if asked else [])
