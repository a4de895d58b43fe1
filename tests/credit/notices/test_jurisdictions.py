"""Jurisdictions as data: what each file must hold, and what a faulty one is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline.credit.intake.schema import Schema
from plumbline.credit.notices import Creditor, jurisdictions
from plumbline.credit.notices.jurisdictions import parse
from plumbline.kernel.errors import InvalidInput

AT = datetime(2026, 11, 24, 9, 41, tzinfo=UTC)
TEXT = resources.files("plumbline.credit.notices").joinpath("texts", "neutral.toml").read_text(encoding="utf-8")


def test_three_are_shipped_and_name_their_sources() -> None:
    found = jurisdictions()
    assert set(found) == {"neutral", "us_reg_b", "eu_gdpr22_ccd"}
    assert all(j.sources and j.applies_from for code, j in found.items() if code != "neutral")
    assert {j.days for j in found.values()} == {30}


@pytest.mark.parametrize("code", ["neutral", "us_reg_b", "eu_gdpr22_ccd"])
def test_every_text_of_the_shipped_schema_is_a_reason_everywhere(code: str) -> None:
    """Reason groups of the schema and of the jurisdiction have a text for a bad and for a missing value, and none is refused."""
    here = jurisdictions()[code]
    schema = Schema.load("home_credit")
    assert set(here.groups) <= set(schema.reasons)
    for group, texts in schema.reasons.items():
        own = here.groups.get(group)
        for text in ((own.adverse if own else "") or texts.adverse, (own.missing if own else "") or texts.missing):
            assert text
            assert here.is_no_reason(text) is None
            assert group not in text


@pytest.mark.parametrize(
    "text",
    [
        "You did not reach the score that is needed", "Your credit score is below our cut-off", "Insufficient score", "Failed a MINIMUM  score",
        "Internal policies of ours", "Below the threshold",
    ],
)  # fmt: skip
@pytest.mark.parametrize("code", ["neutral", "us_reg_b", "eu_gdpr22_ccd"])
def test_not_reaching_a_score_is_no_reason(code: str, text: str) -> None:
    assert jurisdictions()[code].is_no_reason(text) is not None


@given(days=st.one_of(st.none(), st.integers(1, 400)), after=st.integers(0, 90))
def test_the_clock_is_never_longer_than_the_jurisdictions(days: int | None, after: int) -> None:
    final = AT + timedelta(days=after)
    us, eu = jurisdictions()["us_reg_b"], jurisdictions()["eu_gdpr22_ccd"]
    assert us.due(AT, final, days) == us.due(AT, None, days) <= AT + timedelta(days=30)
    assert AT < eu.due(AT, final, days) <= final + timedelta(days=30)
    assert eu.due(AT, None, days) - AT == timedelta(days=min(days or 30, 30))


def test_what_a_notice_needs_of_the_creditor_follows_from_its_texts() -> None:
    us = jurisdictions()["us_reg_b"]
    known = Creditor(creditor="Northwind", address="Hamburg", contact="x", authority="FTC")
    assert known.missing(us.named(bureau=True)) == ("bureau", "bureau_address")
    assert known.missing(us.named(bureau=False)) == ()
    assert Creditor().missing(jurisdictions()["neutral"].named(bureau=False)) == ("creditor", "address", "contact")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("days = 30\nstarts", "days = 0\nstarts"), "whole number from 1 to 365"),
        (('starts = "decision"', 'starts = "noon"'), "cannot start at 'noon'"),
        (("most = 4", 'most = "four"'), "whole number from 1 to 365"),
        (("{application}", "{shoe_size}"), "A text names 'shoe_size'"),
        (("{application}", "{creditor.__class__}"), "A text names 'creditor.__class__'"),
        (('heading = "', 'headline = "'), "heading is missing"),
        (("[text]", "[text"), "It is no TOML"),
        (('title = "Your questions and a review"', 'titel = "Your questions and a review"'), "another form"),
    ],
)
def test_a_faulty_file_says_what_is_wrong(change: tuple[str, str], said: str) -> None:
    assert change[0] in TEXT
    with pytest.raises(InvalidInput, match=said):
        parse(TEXT.replace(*change), "mine.toml")
