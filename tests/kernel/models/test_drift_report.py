"""The report's files: everything follows from the counts in them, and the page asks for nothing from anywhere."""

from __future__ import annotations

import copy
import re
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plumbline.kernel import canonical
from plumbline.kernel.models.columns import ColumnSpec
from plumbline.kernel.models.drift import DriftReport, compare, compare_columns
from plumbline.kernel.models.drift_report import to_html, to_json, verify
from plumbline.kernel.models.profiles import Profile

ABOUT = {
    "model": {"name": "credit", "version": "3"},
    "window": {"from": "2026-11-01", "to": "2026-11-07"},
    "reference": "r-1",
}
SPECS = (
    ColumnSpec("amount", specials=(-9,)), ColumnSpec("visits"), ColumnSpec("region", "category"), ColumnSpec("score", "probability"),
    ColumnSpec("gone"),
)  # fmt: skip


def sides(seed: int = 1, rows: int = 3_000, shift: float = 0.4) -> tuple[dict[str, Any], dict[str, Any]]:
    random = np.random.default_rng(seed)

    def side(n: int, h: float, levels: str) -> dict[str, Any]:
        amount = random.normal(h, size=n)
        amount[random.random(n) < 0.02 + h / 10] = np.nan
        amount[random.random(n) < 0.05] = -9
        return {"amount": amount, "visits": random.poisson(2, n), "region": random.choice(list(levels), n),
                "score": random.beta(2, 5 - h, n), "gone": np.full(n, np.nan)}  # fmt: skip

    return side(rows, 0.0, "abcdef"), side(rows // 2, shift, "abcdeg")


def made(**more: Any) -> DriftReport:
    return compare_columns(*sides(**more), SPECS, {"amount": 3, "visits": 1})


@given(st.integers(0, 2**32 - 1), st.integers(2, 900), st.floats(0, 2), st.booleans())
@settings(max_examples=25)
def test_every_report_verifies_from_its_json_alone(seed: int, rows: int, shift: float, exact: bool) -> None:
    report = made(seed=seed, rows=rows, shift=shift)
    if not exact:
        report = compare(report.reference, report.current)
    assert verify(to_json(report, ABOUT)) == []


def test_equal_input_gives_equal_bytes_and_canonical_ones() -> None:
    first, second = made(), made()
    assert to_json(first, ABOUT) == to_json(second, ABOUT)
    assert to_html(first, ABOUT) == to_html(second, ABOUT)
    assert canonical.dumps(canonical.loads(to_json(first, ABOUT))) == to_json(first, ABOUT)
    assert canonical.loads(to_json(first, ABOUT))["about"] == ABOUT


def _move(cells: list[int]) -> None:
    at = next(i for i, rows in enumerate(cells) if rows)
    cells[at] -= 1
    cells[at - 1] += 1


CHANGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "a measure": lambda b: b["features"][0].update(psi=b["features"][0]["psi"] + 1e-6),
    "a verdict": lambda b: b["features"][-1].update(severity="moderate"),
    "a corrected p": lambda b: b["features"][1].update(q=0.5),
    "a bin": lambda b: b["features"][0]["histogram"]["current"].reverse(),
    "a cell": lambda b: _move(b["current"]["cells"]["amount"]),
    "an edge": lambda b: b["grid"]["columns"][0]["edges"].__setitem__(0, -99),
    "exact KS": lambda b: _of(b, "amount").update(ks=_of(b, "amount")["ks"] + 0.001),
    "where KS opens": lambda b: _of(b, "amount")["ks_at"].update(reference=1),
    "Wasserstein": lambda b: _of(b, "amount").update(wasserstein=3.0),
    "a score row": lambda b: b["scores"]["ks_test"].update(drift_score=0),
    "the report's score": lambda b: b.update(drift_score=0.0),
    "the verdict": lambda b: b.update(drift_detected=not b["drift_detected"]),
    "a parameter": lambda b: b["parameters"].update(moderate=0.2),
    "an importance": lambda b: b["importance"].update(visits=30),
    "a new level": lambda b: b["current"]["new"]["region"].update(g=1),
    "missing share": lambda b: _of(b, "amount").update(missing_current=0.0),
    "no features": lambda b: b.update(features=[]),
    "no grid": lambda b: b.pop("grid"),
    "another format": lambda b: b.update(format="x"),
}


def _of(body: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(f for f in body["features"] if f["feature"] == name)
    return found


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_whatever_is_changed_is_found(change: str) -> None:
    body = canonical.loads(to_json(made(), ABOUT))
    changed = copy.deepcopy(body)
    CHANGES[change](changed)
    assert changed != body
    faults = verify(changed)
    assert faults
    assert all(isinstance(fault, str) for fault in faults)
    assert verify(canonical.dumps(changed)) == faults


def test_what_is_no_report_is_told_and_does_not_raise() -> None:
    for odd in (b"{}", b"[]", b"not JSON", "", b'{"format": 3}'):
        assert verify(odd)


class _Read(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.style = self.policy = ""
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag
        if dict(attrs).get("http-equiv") == "Content-Security-Policy":
            self.policy = dict(attrs)["content"] or ""

    def handle_data(self, data: str) -> None:
        if self._inside == "style":
            self.style += data

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""


def test_the_page_forbids_all_but_its_own_style_and_keeps_to_it() -> None:
    read = _Read()
    read.feed(to_html(made(), ABOUT).decode())
    digest = b64encode(sha256(read.style.encode()).digest()).decode()
    assert read.policy == f"default-src 'none'; style-src 'sha256-{digest}'"
    assert not {"script", "link", "img", "iframe", "object", "form", "base"} & {tag for tag, _ in read.tags}
    for tag, attributes in read.tags:
        assert not [name for name in attributes if name.startswith("on") or name in {"style", "src"}], tag
        assert (attributes.get("href") or "#").startswith("#")
    assert "url(" not in read.style
    assert "@import" not in read.style
    assert all(attributes.get("aria-label") for tag, attributes in read.tags if tag == "svg")


def test_names_and_levels_are_escaped() -> None:
    nasty = "<script>alert(1)</script>"
    before, now = {nasty: ["a"] * 50}, {nasty: ["a"] * 40 + ["<b>new</b>"] * 10}
    html = to_html(compare_columns(before, now, [ColumnSpec(nasty, "category")]), {"model": nasty}).decode()
    assert "<script" not in html
    assert "<b>" not in html
    assert "&lt;b&gt;new&lt;/b&gt;" in html


def test_the_page_says_what_was_found() -> None:
    html = to_html(made(shift=0.8), ABOUT).decode()
    text = re.sub(r"<[^>]+>", " ", html)
    assert "Drift found" in text
    assert "unseen level: g" in text
    assert "gone: f" in text
    assert re.search(r"missing \d\.\d% → \d+\.\d%", text)
    report = made(rows=60)
    assert "Too few rows to tell" in to_html(report).decode()
    assert "No rows to compare" in to_html(compare(report.reference, Profile.empty(report.reference.grid))).decode()


def test_fifty_columns_fit_a_hundred_and_fifty_kilobytes() -> None:
    random = np.random.default_rng(2)
    before = {f"number {i}": random.lognormal(10, 2, 2_000) for i in range(35)}
    now = {f"number {i}": random.lognormal(10, 2.2, 2_000) for i in range(35)}
    for i in range(15):
        levels = [f"a level with a name {k}" for k in range(50)]
        before[f"text {i}"], now[f"text {i}"] = random.choice(levels, 2_000), random.choice(levels, 2_000)
    specs = [ColumnSpec(name, "numeric" if name[0] == "n" else "category") for name in before]
    assert len(to_html(compare_columns(before, now, specs), ABOUT)) <= 150_000
