from __future__ import annotations

import json

import pytest

from plumbline.credit.features.compile import compile_features
from plumbline.credit.intake.schema import Schema, Target
from plumbline.kernel.errors import InvalidInput, NotFound

SMALL = """
dataset = { name = "small", id = "id", time = "" }
target = { column = "y", bad = 1 }
costs = { false_negative = 5, false_positive = 2 }
columns.y = { type = "flag" }
columns.age = { type = "integer", range = [18, 110], protected = "age" }
columns.income = { type = "money", monotone = -1, mutable = "up", reason = "INCOME" }
columns.late = { type = "count", monotone = 1, sentinels = [96, 98] }

[tables.loans]
key = ["loan"]
parent = "id"
time = "days"
columns.loan = { type = "id" }
columns.id = { type = "id" }
columns.days = { type = "integer" }

[[features]]
name = "LOANS"
table = "loans"
expression = "count()"
reason = "INCOME"

[reasons.INCOME]
adverse = "Income is low"
missing = "Income was not given"
"""


def test_a_schema_file_declares_tables_columns_features_and_reasons():
    schema = Schema.from_toml(SMALL)
    assert (schema.name, schema.id, schema.time, schema.model) == ("small", "id", None, "credit-risk")
    assert schema.target == Target("y", 1)
    assert schema.costs.false_negative == 5
    assert list(schema.tables) == ["application", "loans"]
    assert schema.main.columns["late"].sentinels == (96, 98)
    assert schema.main.columns["income"].required
    assert not schema.tables["loans"].columns["days"].required
    assert schema.tables["loans"].parent_table == "application"
    assert schema.protected == {"application.age": "age"}
    assert schema.column("application.income").mutable == "up"


def test_its_stored_form_survives_json_with_sorted_keys():
    for schema in (Schema.from_toml(SMALL), Schema.load("home_credit")):
        again = Schema.from_dict(json.loads(json.dumps(schema.to_dict(), sort_keys=True)))
        assert again == schema
        assert list(again.main.columns) == list(schema.main.columns)


@pytest.mark.parametrize(
    ("old", "new", "field", "remedy"),
    [
        ('"money"', '"mony"', "tables.application.columns.income.type", "money"),
        ("monotone = -1", "monoton = -1", "tables.application.columns.income.monoton", "'monotone'"),
        ("[18, 110]", "[110, 18]", "tables.application.columns.age.range", "lowest"),
        ("[96, 98]", '["96"]', "tables.application.columns.late.sentinels", ""),
        ('column = "y"', 'column = "z"', "dataset", "y."),
        ("costs", "cost", "cost", "'costs'"),
        ('parent = "id"', 'parent = "idd"', "tables.loans", "'id'"),
        ('table = "loans"', 'table = "loan"', "features.LOANS.table", "'loans'"),
        ('"INCOME"\n\n[reasons', '"INCOM"\n\n[reasons', "features.LOANS.reason", "reasons"),
        ('missing = "Income was not given"', "", "reasons.INCOME.missing", "missing"),
        ("false_positive = 2", "false_positive = 0", "costs", ""),
        ('id = "id", ', "", "dataset.id", "id ="),
    ],
)
def test_a_fault_in_a_schema_file_names_the_file_and_the_key(old, new, field, remedy):
    assert old in SMALL
    with pytest.raises(InvalidInput) as caught:
        Schema.from_toml(SMALL.replace(old, new, 1), "small.toml")
    assert caught.value.where.file == "small.toml"
    assert caught.value.where.field == field
    assert remedy in (caught.value.remedy or "")


def test_a_syntax_fault_names_the_file_and_the_line():
    with pytest.raises(InvalidInput, match="line 2") as caught:
        Schema.from_toml("a = 1\nb = = 2", "broken.toml")
    assert caught.value.where.file == "broken.toml"


def test_tables_in_a_circle_are_refused():
    text = SMALL + '\n[tables.a]\nkey=["k"]\nparent="k"\nparent_table="b"\ncolumns.k={type="id"}\n'
    text += '[tables.b]\nkey=["k"]\nparent="k"\nparent_table="a"\ncolumns.k={type="id"}\n'
    with pytest.raises(InvalidInput, match="circle"):
        Schema.from_toml(text)


def test_loading_finds_a_shipped_name_or_a_file(tmp_path):
    assert "home_credit" in Schema.shipped()
    path = tmp_path / "mine.toml"
    path.write_text(SMALL, encoding="utf-8")
    assert Schema.load(path).name == "small"
    with pytest.raises(NotFound, match="no schema nothing"):
        Schema.load("nothing")
    with pytest.raises(NotFound):
        Schema.load(tmp_path / "none.toml")


def test_the_home_credit_schema_has_seven_tables_and_every_feature_a_reason():
    schema = Schema.load("home_credit")
    assert {t: len(c.columns) for t, c in schema.tables.items()} == {
        "application": 122,
        "bureau": 17,
        "bureau_balance": 3,
        "previous_application": 37,
        "POS_CASH_balance": 8,
        "credit_card_balance": 23,
        "installments_payments": 8,
    }
    assert set(schema.protected) == {
        "application.CODE_GENDER",
        "application.NAME_FAMILY_STATUS",
        "application.DAYS_BIRTH",
    }
    plan = compile_features(schema)
    for info in plan.infos.values():
        if not info.lineage & set(schema.protected):
            assert info.reason in schema.reasons, info.name
            assert info.text, info.name
    for reason in schema.reasons.values():
        assert reason.adverse != reason.missing
