"""The document: complete, the same bytes again, and harmless whatever the texts hold."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline.credit.notices import Basis, Creditor, Notice, Principal, as_html, as_json, compose, jurisdictions
from plumbline.kernel.errors import InvalidInput

AT = datetime(2026, 11, 24, 9, 41, tzinfo=UTC)
WHO = Creditor("Northwind", "1 Harbour Road", "credit@northwind.example", "FTC", "Bureau One", "PO Box 1")
BASIS = Basis("019a", "100002", AT, AT, 512.0, False, 401.0, 702.0, True, "1")
REASONS = (
    Principal("INCOME", "Income is low for the loan", "Yearly income", False, 0.5),
    Principal("LATE", "Late payments", "", True, 0.2),
)


def made(code: str = "us_reg_b", **changes: object) -> Notice:
    return compose(jurisdictions()[code], WHO, replace(BASIS, **changes), REASONS, AT)  # type: ignore[arg-type]


class Reader(HTMLParser):
    """Elements and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs


@pytest.mark.parametrize("code", sorted(jurisdictions()))
def test_it_is_whole_and_loads_nothing(code: str) -> None:
    page = as_html(made(code))
    assert page == as_html(made(code))
    read = Reader()
    read.feed(page.decode())
    assert not {"script", "link", "img", "iframe", "form", "object"} & set(read.tags)
    assert not [a for a in read.attributes if a[0] in ("src", "href", "style") or a[0].startswith("on")]
    assert ("lang", "en") in read.attributes
    assert read.tags.count("h1") == 1
    text = page.decode()
    for words in (
        "Northwind",
        "1 Harbour Road",
        "100002",
        "24 November 2026",
        "Income is low for the loan",
        "Yearly income",
    ):
        assert words in text
    assert "{" not in text.partition("</style>")[2]


def test_score_and_bureau_stand_there_where_they_belong() -> None:
    told = as_html(made()).decode()
    assert "Your score: 512 points, computed on 24 November 2026" in told
    assert "from 401 to 702 points" in told
    assert "Bureau One" in told
    assert "Bureau One" not in as_html(made(on_bureau=False)).decode()
    assert "512" not in as_html(made(by_person=True)).decode()
    assert "from not recorded to not recorded" in as_html(made(lowest=None, highest=None)).decode()


def test_the_json_says_the_same() -> None:
    told = json.loads(as_json(made()))
    assert told == made().to_dict()
    assert [r["text"] for r in told["reasons"]] == [r.text for r in REASONS]
    assert told["jurisdiction"]["code"] == "us_reg_b"
    assert told["score"] == {"points": 512, "lowest": 401, "highest": 702}


@given(st.text(max_size=60))
def test_no_text_from_outside_becomes_markup(text: str) -> None:
    hostile = f'{text}<script>alert(1)</script>" onload="x"{{creditor}}'
    who = replace(WHO, creditor=hostile, contact=hostile)
    basis = replace(BASIS, application=hostile)
    made = compose(jurisdictions()["us_reg_b"], who, basis, (Principal("A", hostile, hostile, False, 1.0),), AT)
    read = Reader()
    read.feed(as_html(made).decode())
    assert "script" not in read.tags
    assert not [a for a in read.attributes if a[0].startswith("on")]


def test_what_is_missing_of_the_creditor_is_named_with_how_to_set_it() -> None:
    with pytest.raises(InvalidInput) as raised:
        compose(jurisdictions()["us_reg_b"], Creditor("Northwind"), BASIS, REASONS, AT)
    assert [str(e.where) for e in raised.value.errors] == [
        "field address", "field contact", "field authority", "field bureau", "field bureau_address",
    ]  # fmt: skip
    assert "--bureau-address …" in str(raised.value)
