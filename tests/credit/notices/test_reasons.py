"""Which reasons stand in a notice: laws over any stored reasons."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline.credit.notices import Grounds, jurisdictions, principal, stated
from plumbline.kernel.errors import InvalidInput

US = jurisdictions()["us_reg_b"]
NEUTRAL = jurisdictions()["neutral"]


def reason(code: str = "INCOME", contribution: float = 0.5, **given: Any) -> dict[str, Any]:
    return {
        "code": code,
        "contribution": contribution,
        "feature": "AMT",
        "missing": False,
        "text": "Income is low for the loan",
    } | given


stored = st.lists(
    st.builds(
        reason,
        code=st.sampled_from(["INCOME", "BUREAU_DEBT", "OTHER", "HOUSING"]),
        contribution=st.floats(0.001, 3),
        missing=st.booleans(),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda r: r["code"],
)


@given(stored)
def test_they_are_the_weightiest_as_stored_in_their_order(given: list[dict[str, Any]]) -> None:
    given.sort(key=lambda r: -r["contribution"])
    found = principal(Grounds(given), US)
    assert [(r.code, r.contribution, r.missing) for r in found] == [
        (r["code"], r["contribution"], r["missing"]) for r in given[: US.most]
    ]
    assert all(r.text and r.text != r.code for r in found)


def test_missing_information_has_its_own_text() -> None:
    bad = principal(Grounds([reason("BUREAU_LATE")]), US)[0]
    gone = principal(Grounds([reason("BUREAU_LATE", missing=True)]), US)[0]
    assert bad.text == "Delinquent past or present credit obligations with others"
    assert gone.text == "No record of payments to others is available"


def test_a_group_without_a_text_here_keeps_that_of_the_model() -> None:
    (found,) = principal(
        Grounds([reason("OWN_GROUP", text="Turnover of the shop fell")], {"AMT": "Turnover in twelve months"}), US
    )
    assert (found.text, found.detail) == ("Turnover of the shop fell", "Turnover in twelve months")


@given(stored, st.integers(0, 3))
def test_a_protected_one_is_never_named_and_never_left_out(given: list[dict[str, Any]], at: int) -> None:
    given.sort(key=lambda r: -r["contribution"])
    code = given[min(at, len(given) - 1)]["code"]
    with pytest.raises(InvalidInput, match=f"The reason {code} rests on a protected attribute") as raised:
        principal(Grounds(given, protected={code: "age"}), NEUTRAL)
    assert "train the model without that attribute" in str(raised.value)


def test_one_that_is_not_among_the_principal_ones_does_not_matter() -> None:
    given = [reason(f"G{i}", 5 - i) for i in range(5)]
    assert len(principal(Grounds(given, protected={"G4": "age"}), NEUTRAL)) == 4


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"text": ""}, "has no text for a bad value"),
        ({"text": "AMT"}, "has no text for a bad value"),
        ({"text": "OTHER", "missing": True}, "has no text for missing information"),
        ({"text": "Did not reach the score"}, "is no reason here: it says 'did not reach'"),
    ],
)
def test_one_that_cannot_be_told_stops_the_notice_and_is_named(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as raised:
        principal(Grounds([reason(), reason("OTHER", 0.1, **changes), reason("LAST", 0.05, text="")]), NEUTRAL)
    assert [str(e.where) for e in raised.value.errors] == ["field reasons.OTHER", "field reasons.LAST"]


@pytest.mark.parametrize("given", [[], [reason(contribution=-0.2)], [reason(contribution=0.0)]])
def test_nothing_that_spoke_against_it_is_no_notice(given: list[dict[str, Any]]) -> None:
    with pytest.raises(InvalidInput, match="Nothing that was scored spoke against"):
        principal(Grounds(given), US)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "Write the reasons of the person"), (["  "], "Write the reasons of the person"), (["Too short"], "has 9"), (["x" * 301], "has 301"),
        ([f"Reason number {i} of too many" for i in range(5)], "at most 4"), (["Below the minimum score of ours"], "says 'minimum score'"),
    ],
)  # fmt: skip
def test_a_persons_reasons_are_specific(given: list[str], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        stated(given, US)


def test_a_persons_reasons_stand_as_written() -> None:
    assert [r.text for r in stated(["Unable to verify\n employment", ""], US)] == ["Unable to verify employment"]
