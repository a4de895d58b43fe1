from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plumbline.credit.intake.infer import infer, suspected_sentinels
from plumbline.credit.intake.schema import Schema
from plumbline.kernel.errors import InvalidInput


def test_types_ranges_sentinels_label_and_protected_columns_are_proposed():
    rng = np.random.default_rng(1)
    n = 400
    frame = pl.DataFrame(
        {
            "row": np.arange(n),
            "Default": rng.integers(0, 2, n),
            "age": rng.integers(18, 80, n),
            "average": rng.random(n),
            "monthly income": rng.random(n) * 5000,
            "late": np.where(np.arange(n) % 40 == 0, 98, rng.integers(0, 9, n)),
            "job": ["clerk", "smith", "XNA", None] * (n // 4),
            "empty": [None] * (n - 1) + [0.5],
            "CODE_GENDER": ["F", "M"] * (n // 2),
        }
    )
    text = infer(frame, "trial set")
    schema = Schema.from_toml(text)
    columns = schema.main.columns
    assert (schema.name, schema.id, schema.target.column) == ("trial set", "row", "Default")
    assert {n: c.type for n, c in columns.items()} == {
        "row": "id",
        "Default": "flag",
        "age": "count",
        "average": "ratio",
        "monthly income": "money",
        "late": "count",
        "job": "category",
        "empty": "ratio",
        "CODE_GENDER": "category",
    }
    assert columns["late"].sentinels == (98,)
    assert columns["late"].range == (0, 8)
    assert columns["job"].sentinels == ("XNA",)
    assert columns["job"].levels == ("clerk", "smith")
    assert schema.protected == {"application.age": "age", "application.CODE_GENDER": "sex"}
    assert not columns["empty"].required
    assert "99.8% empty" in text


def test_sentinels_are_codes_that_stand_apart():
    assert suspected_sentinels(np.array([0.0, 1, 2, 17, 96, 98])) == [96, 98]
    assert suspected_sentinels(np.array([-5000.0, -3, -1, 365243])) == [365243]
    assert suspected_sentinels(np.array([-9.0, -8, -7, 0, 1, 5, 80])) == [-9, -8, -7]
    assert suspected_sentinels(np.arange(100.0)) == []
    assert suspected_sentinels(np.array([-20.0, -1, 0, 3])) == []


def test_a_table_without_an_id_is_refused():
    with pytest.raises(InvalidInput, match="can be the id"):
        infer(pl.DataFrame({"a": [1, 1], "b": ["x", "x"]}), "t")


values = st.one_of(
    st.lists(st.one_of(st.none(), st.integers(-(2**53), 2**53)), min_size=4, max_size=4),
    st.lists(st.one_of(st.none(), st.floats(allow_nan=True)), min_size=4, max_size=4),
    st.lists(st.one_of(st.none(), st.text()), min_size=4, max_size=4),
)


@settings(max_examples=80, deadline=None)
@given(
    columns=st.dictionaries(st.text(min_size=1, max_size=12), values, max_size=6), name=st.text(min_size=1, max_size=9)
)
def test_what_is_inferred_always_parses(columns, name):
    columns = {k: v for k, v in columns.items() if k != "id" and "\0" not in k and k.isprintable()}
    frame = pl.DataFrame({"id": [1, 2, 3, 4], **columns}, strict=False)
    schema = Schema.from_toml(infer(frame, name))
    assert list(schema.main.columns) == ["id", *columns]


@pytest.mark.skipif("PLUMBLINE_DATA" not in os.environ, reason="PLUMBLINE_DATA is not set")
@pytest.mark.parametrize(
    ("path", "identity", "label", "protected", "sentinels"),
    [
        ("give_me_some_credit/train", "id", "SeriousDlqin2yrs", {"age"}, {"NumberOfTimes90DaysLate": (96, 98)}),
        ("uci_default/train", "USER_ID", "DID_DEFAULT_PAYMENT", {"SEX", "MARITALSTATUS", "AGE"}, {}),
        ("heloc/train", "row", "RiskPerformance", set(), {}),
        (
            "home_credit/application",
            "SK_ID_CURR",
            "TARGET",
            {"CODE_GENDER", "NAME_FAMILY_STATUS", "DAYS_BIRTH"},
            {"DAYS_EMPLOYED": (365243,), "ORGANIZATION_TYPE": ("XNA",)},
        ),
    ],
)
def test_public_sets_are_described(path, identity, label, protected, sentinels):
    frame = pl.read_parquet(Path(os.environ["PLUMBLINE_DATA"]) / "credit" / f"{path}.parquet")
    schema = Schema.from_toml(infer(frame, "set"))
    assert (schema.id, schema.target.column) == (identity, label)
    assert {p.removeprefix("application.") for p in schema.protected} == protected
    for name, codes in sentinels.items():
        assert schema.main.columns[name].sentinels == codes
