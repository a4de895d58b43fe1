from __future__ import annotations

import math

import polars as pl
import pytest

from plumbline.credit.intake.readers import open_frames
from plumbline.credit.intake.validation import validate_application
from plumbline.kernel.errors import InvalidInput

ORDER = {
    "id": 1, "age": 40, "income": 1000, "share": 0.25, "days": 365243, "job": "clerk", "owner": 1,
    "since": "2020-01-31", "extra": None,
}  # fmt: skip


def faults(payload, schema):
    with pytest.raises(InvalidInput) as caught:
        validate_application(payload, schema)
    return {(e.where.field or e.where.column): e.detail for e in caught.value.errors}


def test_an_application_becomes_typed_tables(schema):
    tables = validate_application(
        {"orders": ORDER, "loans": [{"loan": 10, "amount": 5}, {"loan": 11, "id": 1}]}, schema
    )
    assert tables["orders"].height == 1
    assert tables["orders"]["income"].to_list() == [1000.0]
    assert tables["loans"].rows() == [(10, 1, 5.0), (11, 1, None)]
    assert "bad" not in tables["orders"].columns
    assert list(tables) == ["orders", "loans"]


def test_it_is_typed_as_a_file_of_it_would_be(schema):
    one = validate_application({"orders": ORDER}, schema)["orders"]
    (chunk,) = open_frames({"orders": pl.DataFrame([ORDER])}, schema, scoring=True).chunks()
    assert chunk.frame.equals(one.select(chunk.frame.columns))


@pytest.mark.parametrize(
    ("change", "field", "text"),
    [
        ({"age": "40"}, "orders.age", "whole number"),
        ({"age": 40.0}, "orders.age", "whole number"),
        ({"age": True}, "orders.age", "number"),
        ({"age": 140}, "orders.age", "outside 18 to 110"),
        ({"days": 5}, "orders.days", "outside"),
        ({"income": math.nan}, "orders.income", "finite"),
        ({"income": math.inf}, "orders.income", "finite"),
        ({"income": 10**400}, "orders.income", "finite"),
        ({"share": "0.5"}, "orders.share", "number"),
        ({"share": False}, "orders.share", "number"),
        ({"job": 3}, "orders.job", "text"),
        ({"owner": 2}, "orders.owner", "0 or 1"),
        ({"owner": True}, "orders.owner", "0 or 1"),
        ({"since": "31.01.2020"}, "orders.since", "date"),
        ({"id": 1.5}, "orders.id", "whole number or a text"),
        ({"id": None}, "orders.id", "id is missing"),
        ({"bad": 1}, "orders.bad", "label"),
        ({"extra": [1]}, "orders.extra", "number"),
    ],
)
def test_a_cell_that_breaks_a_rule_is_named(schema, change, field, text):
    found = faults({"orders": {**ORDER, **change}}, schema)
    assert list(found) == [field]
    assert text in found[field]


def test_every_fault_is_reported_with_its_place(schema):
    found = faults(
        {
            "orders": {**ORDER, "age": "x", "incom": 5},
            "loans": [{"loan": 10}, {"loan": 1.5, "amont": 1}, 7],
            "loan": [],
        },
        schema,
    )
    assert set(found) == {"loan", "orders.age", "orders.incom", "loans[1].loan", "loans[1].amont", "loans[2]"}
    with pytest.raises(InvalidInput) as caught:
        validate_application({"orders": {**ORDER, "incom": 5}, "loans": [{"loan": 1, "amont": 2}]}, schema)
    assert [e.remedy for e in caught.value.errors] == ["Did you mean income?", "Did you mean amount?"]
    assert caught.value.errors[1].where.as_dict() == {
        "table": "loans",
        "row": 1,
        "column": "amont",
        "field": "loans[0].amont",
    }


def test_the_main_table_its_id_and_most_required_columns_must_be_there(schema):
    assert list(faults({}, schema)) == ["orders"]
    assert list(faults({"orders": []}, schema)) == ["orders"]
    assert "id column id is missing" in faults({"orders": {k: v for k, v in ORDER.items() if k != "id"}}, schema)["id"]
    few = {k: ORDER[k] for k in ("id", "age", "income", "share", "days")}
    assert "3 of 7 required columns" in faults({"orders": few}, schema)["job"]


def test_a_row_of_another_application_is_refused(schema):
    found = faults({"orders": ORDER, "loans": [{"loan": 1, "id": 2}]}, schema)
    assert found == {"loans[0].id": "The row belongs to another application."}


def test_keys_of_the_caller_may_stand_beside_the_tables(schema):
    assert validate_application({"orders": ORDER, "explain": True}, schema, beside=("explain",))
    assert "explain" in faults({"orders": ORDER, "explain": True}, schema)


def test_an_unseen_category_is_no_fault(schema):
    assert validate_application({"orders": {**ORDER, "job": "pilot"}}, schema)["orders"]["job"].to_list() == ["pilot"]
