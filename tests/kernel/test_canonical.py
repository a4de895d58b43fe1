"""Canonical JSON is RFC 8785, whichever way it is made."""

from __future__ import annotations

import math

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from plumbline.kernel import canonical
from plumbline.kernel.errors import InvalidInput

WHOLE = st.integers(-(2**53) + 1, 2**53 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
VALUES = st.recursive(
    st.none() | st.booleans() | WHOLE | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXT, inner, max_size=5),
    max_leaves=20,
)


@given(VALUES)
def test_the_bytes_are_those_of_rfc_8785(value):
    assert canonical.dumps(value) == rfc8785.dumps(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_comes_back_with_every_bit(value):
    again = float(canonical.loads(canonical.dumps([value]))[0])
    assert again == value


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"a": [1, math.nan]}, "$.a[1]"),
        ({"a": math.inf}, "$.a"),
        ({"a": "x\x00"}, "$.a"),
        ({"a": "\ud800"}, "$.a"),
        ({"a": {"b": 2**53}}, "$.a.b"),
        ({"a": object()}, "$.a"),
        ({"\x00": 1}, "$"),
    ],
)
def test_what_json_cannot_carry_is_refused_with_its_place(value, place):
    with pytest.raises(InvalidInput) as refused:
        canonical.dumps(value)
    assert refused.value.where.field == place


@pytest.mark.parametrize("text", ['{"a": NaN}', '{"a": Infinity}', "{", "", '{"a": 1e999}'])
def test_what_is_no_json_is_refused(text):
    with pytest.raises(InvalidInput):
        canonical.loads(text)
