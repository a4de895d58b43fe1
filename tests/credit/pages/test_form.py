from __future__ import annotations

import pytest

from plumbline.credit.features.matrix import FeatureInfo
from plumbline.credit.intake.schema import Schema
from plumbline.credit.pages import form
from plumbline.kernel.errors import InvalidInput, Where

SCHEMA = Schema.from_toml("""
dataset = { name = "shop", id = "id", time = "" }
target = { column = "bad", bad = 1 }
columns.id = { type = "id" }
columns.bad = { type = "flag" }
columns.income = { type = "money", range = [0, 1000000], text = "Yearly income, before tax", unit = "amount" }
columns.age = { type = "integer", range = [18, 110], protected = "age", unit = "years", text = "Age" }
columns.job = { type = "category", levels = ["Clerk", "Cook"], sentinels = ["XNA"] }
columns.owner = { type = "flag", text = "Owns a house" }
columns.since = { type = "date" }
columns.secret = { type = "money", use = "none" }

[tables.loans]
key = ["loan"]
parent = "id"
columns.loan = { type = "id" }
columns.id = { type = "id" }
columns.owed = { type = "money" }
""")


def test_the_number_stands_first_then_what_matters_most_to_the_model() -> None:
    front, rest = form.fields(SCHEMA, {"owner": 0.2, "job": 0.5}, first=3)
    assert [f.name for f in front] == ["id", "job", "owner"]
    assert [f.name for f in rest] == ["income", "age", "since"]  # neither the label nor what is of no use


def test_a_control_says_what_it_takes() -> None:
    front, rest = form.fields(SCHEMA, {}, first=9)
    controls = {f.name: f for f in [*front, *rest]}
    assert controls["income"].label == "Yearly income"
    assert controls["income"].hint == "Before tax; 0 to 1,000,000"
    assert controls["income"].unit == ""
    assert controls["age"].hint == "18 to 110; not used by the model"
    assert controls["job"].options == (("Clerk", "Clerk"), ("Cook", "Cook"), ("XNA", "XNA"))
    assert controls["owner"].options == (("1", "Yes"), ("0", "No"))
    assert controls["since"].kind == "date"
    assert controls["id"].required
    assert not controls["income"].required


def test_importance_is_shared_out_among_the_columns_a_feature_is_made_from() -> None:
    features = {
        "RATIO": FeatureInfo("RATIO", "numeric", frozenset({"shop.income", "shop.age"})),
        "OWED": FeatureInfo("OWED", "numeric", frozenset({"loans.owed"})),
        "income": FeatureInfo("income", "numeric", frozenset({"shop.income"})),
    }
    found = form.importance({"RATIO": 0.4, "OWED": 0.5, "income": 0.1, "gone": 0.3}, features, "shop")
    assert found == {"income": pytest.approx(0.3), "age": pytest.approx(0.2)}


def test_texts_become_values_of_the_declared_types() -> None:
    given = {"f-id": "7", "f-income": "1200.50", "f-age": "\u22122", "f-job": "Cook", "f-owner": "1", "f-since": "2026-01-31", "other": "x",
             "history": '{"loans": [{"loan": 1, "owed": 5}]}'}  # fmt: skip
    payload, found = form.read(SCHEMA, given)
    assert found == {}
    row = payload[SCHEMA.main.name]
    assert {k: v for k, v in row.items() if v is not None} == {
        "id": 7, "income": 1200.5, "age": -2, "job": "Cook", "owner": 1, "since": "2026-01-31",
    }  # fmt: skip
    assert payload["loans"] == [{"loan": 1, "owed": 5}]


def test_what_was_left_empty_is_sent_as_empty() -> None:
    payload, _ = form.read(SCHEMA, {"f-id": "A-7"})
    row = payload[SCHEMA.main.name]
    assert row["id"] == "A-7"
    assert set(row) >= {name for name, c in SCHEMA.main.columns.items() if c.required and name != "bad"}
    assert "bad" not in row


def test_what_cannot_be_read_is_told_beside_its_control() -> None:
    _, found = form.read(SCHEMA, {"f-income": "1,200", "f-age": "old", "history": "[1]"})
    assert set(found) == {"f-income", "f-age", "f-id", "history"}
    assert "1200" not in found["f-income"]
    assert found["f-age"].startswith("Write a whole number")
    _, broken = form.read(SCHEMA, {"f-id": "1", "history": '{"loans": ['})
    assert broken["history"].startswith("line 1: This is not JSON")


def test_faults_of_the_service_find_their_controls() -> None:
    error = InvalidInput("3 faults.", errors=(
        InvalidInput("Too low.", where=Where(table=SCHEMA.main.name, column="age")),
        InvalidInput("Not a number.", where=Where(table="loans", row=2, column="owed", field="loans[1].owed")),
        InvalidInput("No such table.", where=Where(field="lones"), remedy="Did you mean loans?"),
    ))  # fmt: skip
    assert form.faults(error, SCHEMA) == {
        "f-age": "Too low.", "history": "loans[1].owed: Not a number.", "": "No such table. Did you mean loans?",
    }  # fmt: skip
    assert form.in_text(error)["json"].startswith("Too low. loans[1].owed: Not a number.")


def test_values_are_written_as_they_can_be_read_again() -> None:
    row = {"id": 7, "income": 1200.5, "age": 30, "owner": 0, "job": None}
    given = form.typed(row)
    assert given == {"f-id": "7", "f-income": "1200.5", "f-age": "30", "f-owner": "0"}
    payload, _ = form.read(SCHEMA, given)
    assert {k: v for k, v in payload[SCHEMA.main.name].items() if v is not None} == {
        k: v for k, v in row.items() if v is not None
    }
