"""What a dossier is written as: the same bytes each time, one page that loads and runs nothing, hostile words as words."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from html import unescape
from uuid import UUID

import pytest

from plumbline.kernel import canonical
from plumbline.kernel.dossier import document, service
from plumbline.kernel.dossier.telling import Dossier, Replay, Table
from tests.credit.trained import Lender
from tests.kernel.dossier.conftest import CAUSE, HOSTILE


@pytest.fixture
def dossier(embedded: Lender, decided: UUID) -> Dossier:
    return service.make(embedded.installation, embedded.analyst, decided)


def test_the_same_dossier_gives_the_same_bytes(dossier: Dossier) -> None:
    first = document.as_zip(dossier)
    assert document.as_zip(dossier) == first
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        assert archive.testzip() is None
        assert {info.date_time for info in archive.infolist()} == {(2026, 11, 24, 9, 41, 0)}
        assert all(re.fullmatch(r"[A-Za-z0-9.-]+", name) for name in archive.namelist())
        lines = [line.split("  ") for line in archive.read("SHA256SUMS").decode().splitlines()]
        sums = {name: sha256 for sha256, name in lines}
        assert set(sums) == set(archive.namelist()) - {"SHA256SUMS"}
        assert all(hashlib.sha256(archive.read(name)).hexdigest() == sha256 for name, sha256 in sums.items())


def test_a_time_before_all_zips_is_the_first_they_know(dossier: Dossier) -> None:
    old = replace(dossier, made_at=datetime(1970, 1, 1, tzinfo=UTC))
    with zipfile.ZipFile(io.BytesIO(document.as_zip(old))) as archive:
        assert archive.infolist()[0].date_time == (1980, 1, 1, 0, 0, 0)


def test_the_page_loads_and_runs_nothing(dossier: Dossier) -> None:
    page = document.as_html(dossier).decode()
    assert not re.search(
        r"\b(src|srcset|action|data-src|background)\s*=|@import|url\(|<(script|iframe|object|embed|form|link|img|base)\b",
        page,
    )
    assert all(target.startswith("#") for target in re.findall(r'href="([^"]*)"', page))
    targets = set(re.findall(r'\bid="([^"]*)"', page))
    assert {target[1:] for target in re.findall(r'href="([^"]*)"', page)} <= targets
    assert len(re.findall(r'\bid="', page)) == len(targets)
    assert "default-src 'none'" in page


def test_hostile_words_are_words(dossier: Dossier) -> None:
    told = replace(
        dossier.told, subject='<img src=x onerror="alert(1)">', limits=("</ul><script>alert(2)</script>",),
        given=(Table("<b>table</b>", ("<i>a", "b"), (("<script>alert(3)</script>", None),), under=("<u>x",)),),
        replay=Replay(False, "Another result.", ("<script>alert(4)</script>",)),
    )  # fmt: skip
    made = replace(dossier, told=told, organization="<h1>Bank</h1>", made_by="<script>alert(5)</script>")
    page = document.as_html(made).decode()
    assert "<script" not in page
    assert "<img" not in page
    assert "<b>second</b>" not in page
    for words in (HOSTILE, CAUSE, told.subject, told.limits[0], "alert(3)", "alert(4)", "alert(5)", "Not equal"):
        assert words in unescape(page)
    readme = document.files(made)["README.txt"].decode()
    assert '<img src=x onerror="alert(1)">' in readme  # a text file: nothing to escape
    assert readme.endswith("\n")


def test_the_json_is_canonical_and_holds_all_of_it(dossier: Dossier) -> None:
    data = document.as_json(dossier)
    whole = canonical.loads(data)
    assert canonical.dumps(whole) == data
    assert whole["format"] == "plumbline-dossier/1"
    assert whole["decision"]["id"] == str(dossier.prediction_id)
    assert whole["decision"]["outcome"] == "Approved after a review"
    assert whole["replay"]["equal"] is True
    assert whole["evidence"]["entry"]["proof"] == dossier.found.entry.proof
    assert whole["evidence"]["decision"]["record"]
    assert whole["checkpoint"] == dossier.checkpoint
    assert [key["proof"] for key in whole["keys"]] == [True]
    assert [e["action"] for e in whole["history"]] == [
        "credit.score", "credit.review.take", "credit.review.note", "credit.review.resolve", "dossier.make",
    ]  # fmt: skip
    whole["evidence"]["entry"]["actor"] = None
    assert b"203.0.113.9" not in canonical.dumps(whole)  # where it was asked from stands in the proof's opening alone


def test_a_wide_table_is_a_list_and_a_narrow_one_a_table(dossier: Dossier) -> None:
    wide = Table("wide", tuple("abcdef"), (("1", None, "3", "4", "5", "6"),))
    narrow = Table("narrow", ("a", "b"), (("1", None),), figures=frozenset({1}))
    page = document.as_html(replace(dossier, told=replace(dossier.told, given=(wide, narrow), used=()))).decode()
    assert '<span class="pair"><span class="soft">a</span> 1</span>' in page
    assert '<span class="soft">b</span>' not in page
    assert '<th scope="col" class="num">b</th>' in page
    assert "not given" in page
    assert "It is not at hand any more." in page
