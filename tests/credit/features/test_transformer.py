from __future__ import annotations

import json
import math
import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plumbline.credit.features.transformer import Transformer
from plumbline.credit.intake.readers import open_frames
from plumbline.credit.intake.schema import Schema
from plumbline.kernel.errors import InvalidInput

SCHEMA = """
dataset = { name = "shop", id = "id", table = "orders" }
target = { column = "bad", bad = 1 }
columns.bad = { type = "flag", use = "none" }
columns.age = { type = "integer", protected = "age" }
columns.income = { type = "money" }
columns.debt = { type = "ratio", unless_missing = "income" }
columns.days = { type = "integer", sentinels = [365243], sentinel_flag = true }
columns.job = { type = "category", sentinels = ["XNA"] }
columns.branch = { type = "category", use = "audit" }

[tables.loans]
key = ["loan"]
parent = "id"
time = "days"
columns.loan = { type = "id" }
columns.id = { type = "id" }
columns.days = { type = "integer" }
columns.amount = { type = "money" }
columns.rate = { type = "ratio" }
columns.state = { type = "category", sentinels = ["?"] }

[tables.months]
key = ["loan", "month"]
parent = "loan"
parent_table = "loans"
columns.loan = { type = "id" }
columns.month = { type = "integer" }
columns.late = { type = "count" }

[[features]]
name = "LATE_SHARE"
table = "months"
expression = "share(late > 0)"
[[features]]
name = "WORST_LATE"
table = "months"
expression = "max(late)"
[[features]]
name = "LOANS"
table = "loans"
expression = "count()"
[[features]]
name = "LOANS_RECENT"
table = "loans"
window = 100
expression = "count()"
[[features]]
name = "OPEN_SHARE"
table = "loans"
expression = "share(state == 'open')"
[[features]]
name = "AMOUNT"
table = "loans"
expression = "sum(amount)"
[[features]]
name = "AMOUNT_OPEN_TO_ALL"
table = "loans"
filter = "state in ['open', 'sold']"
expression = "sum(amount) / (sum(abs(amount)) + 1)"
[[features]]
name = "RATE"
table = "loans"
aggregate = "mean"
expression = "rate"
[[features]]
name = "RATE_RANGE"
table = "loans"
expression = "max(rate) - min(rate)"
[[features]]
name = "STATES"
table = "loans"
expression = "distinct(state)"
[[features]]
name = "LATE"
table = "loans"
expression = "mean(LATE_SHARE)"
[[features]]
name = "WORST"
table = "loans"
expression = "max(WORST_LATE)"
[[features]]
name = "AMOUNT_TO_INCOME"
expression = "AMOUNT / income"
[[features]]
name = "PER_YEAR"
expression = "income / age"
[[features]]
name = "PER_YEAR_TWICE"
expression = "PER_YEAR * 2"
[[features]]
name = "MONTHLY"
expression = "income / 12 - 1 / (debt - 0.1)"
"""
SHOP = Schema.from_toml(SCHEMA, "shop.toml")

money = st.one_of(st.none(), st.integers(-(10**9), 10**9).map(lambda v: v / 1000), st.just(-0.0))
ratio = st.one_of(st.none(), st.floats(-1e5, 1e5), st.just(-0.0), st.just(math.nan))


def columns(row, count):
    """Lists of cells, column by column."""
    return st.lists(st.tuples(*row.values()), min_size=count, max_size=count).map(
        lambda rows: dict(zip(row, zip(*rows, strict=True), strict=True)) if rows else {name: [] for name in row}
    )


@st.composite
def shops(draw):
    people = draw(st.integers(1, 6))
    loans = draw(st.integers(0, 12))
    months = draw(st.integers(0, 15))
    orders = draw(
        columns(
            {
                "age": st.one_of(st.none(), st.integers(18, 90)),
                "income": money,
                "debt": ratio,
                "days": st.one_of(st.none(), st.integers(-99, 0), st.just(365243)),
                "job": st.sampled_from(["clerk", "smith", "pilot", "XNA", None]),
                "branch": st.sampled_from(["north", "south"]),
            },
            people,
        )
    )
    loan = draw(
        columns(
            {
                "id": st.integers(0, people + 1),
                "days": st.integers(-200, 0),
                "amount": money,
                "rate": ratio,
                "state": st.sampled_from(["open", "closed", "sold", "?", None]),
            },
            loans,
        )
    )
    month = draw(
        columns({"loan": st.integers(0, loans + 1), "month": st.integers(-9, 0), "late": st.integers(0, 5)}, months)
    )
    frames = {
        "orders": pl.DataFrame({"id": range(people), **orders}, strict=False),
        "loans": pl.DataFrame({"loan": range(loans), **loan}, strict=False),
        "months": pl.DataFrame(month, strict=False),
    }
    return {
        name: frame.with_columns(
            [pl.col(c.name).cast(c.dtype) for c in SHOP.tables[name].columns.values() if c.name in frame.columns]
        )
        for name, frame in frames.items()
    }


def bits(matrix):
    return np.ascontiguousarray(matrix.values).view(np.uint64)


@settings(max_examples=60, deadline=None)
@given(tables=shops(), seed=st.integers(0, 2**16))
def test_one_row_many_rows_and_shuffled_rows_give_the_same_bits(tables, seed):
    transformer = Transformer.fit(tables, SHOP, exclude_protected=False)
    whole = transformer.transform(tables)
    shuffled = {name: frame.sample(fraction=1, shuffle=True, seed=seed) for name, frame in tables.items()}
    other = transformer.transform(shuffled)
    order = other.ids.to_list()
    assert (bits(other) == bits(whole)[order]).all()
    assert {order[row]: flags for row, flags in other.flags.items()} == whole.flags
    with_history = transformer.transform({"orders": tables["orders"]}, transformer.history(shuffled))
    assert (bits(with_history) == bits(whole)).all()
    for row in range(tables["orders"].height):
        own = tables["loans"].filter(pl.col("id") == row)
        alone = {
            "orders": tables["orders"].slice(row, 1),
            "loans": own,
            "months": tables["months"].filter(pl.col("loan").is_in(own["loan"].to_list())),
        }
        one = transformer.transform(alone)
        assert (bits(one)[0] == bits(whole)[row]).all()
        assert one.flags.get(0) == whole.flags.get(row)


def test_a_long_table_gives_the_bits_of_its_rows_alone():
    rng = np.random.default_rng(3)
    people, loans = 70_000, 150_000
    tables = {
        "orders": pl.DataFrame(
            {
                "id": rng.permutation(people),
                "age": rng.integers(18, 90, people),
                "income": rng.integers(0, 10**7, people) / 1000,
                "debt": rng.random(people),
                "days": np.where(rng.random(people) < 0.2, 365243, -rng.integers(0, 99, people)),
                "job": rng.choice(["clerk", "smith", "pilot", "XNA"], people, p=[0.6, 0.2, 0.001, 0.199]),
            }
        ),
        "loans": pl.DataFrame(
            {
                "loan": np.arange(loans),
                "id": rng.integers(0, people, loans),
                "days": -rng.integers(0, 200, loans),
                "amount": rng.integers(-(10**9), 10**9, loans) / 1000,
                "rate": rng.normal(size=loans),
                "state": rng.choice(["open", "closed", "?"], loans),
            }
        ),
        "months": pl.DataFrame(
            {"loan": rng.integers(0, loans, 200_000), "month": [-1] * 200_000, "late": rng.integers(0, 3, 200_000)}
        ),
    }
    transformer = Transformer.fit(tables, SHOP)
    whole = transformer.transform(tables)
    shuffled = {name: frame.sample(fraction=1, shuffle=True, seed=7) for name, frame in tables.items()}
    other = transformer.transform(shuffled)
    assert (bits(other)[np.argsort(other.ids)] == bits(whole)[np.argsort(whole.ids)]).all()
    for row in (*range(40), 65_535, 65_536, people - 1):
        own = tables["loans"].filter(pl.col("id") == whole.ids[row])
        months = tables["months"].filter(pl.col("loan").is_in(own["loan"].to_list()))
        one = transformer.transform({"orders": tables["orders"].slice(row, 1), "loans": own, "months": months})
        assert (bits(one)[0] == bits(whole)[row]).all()
        assert one.flags.get(0) == whole.flags.get(row)


@pytest.fixture
def tables():
    return {
        "orders": pl.DataFrame(
            {
                "id": [1, 2, 3, 4],
                "age": [20, 30, 40, 50],
                "income": [100.0, None, 0.0, 50.0],
                "debt": [0.5, 900.0, 0.25, -0.0],
                "days": [-5, 365243, None, 0],
                "job": ["clerk", "XNA", "smith", "clerk"],
                "branch": ["north", "south", "north", "south"],
            }
        ),
        "loans": pl.DataFrame(
            {
                "loan": [10, 11, 12, 13, 14],
                "id": [1, 1, 2, 2, 9],
                "days": [-10, -150, -20, -30, -1],
                "amount": [0.1, 0.2, None, None, 5.0],
                "rate": [0.25, 0.75, None, 1.0, 1.0],
                "state": ["open", "closed", "?", None, "open"],
            }
        ),
        "months": pl.DataFrame({"loan": [10, 10, 10, 11, 77], "month": [-1, -2, -3, -1, -1], "late": [0, 2, 0, 1, 5]}),
    }


def column(matrix, name):
    return matrix.values[:, matrix.names.index(name)].tolist()


def same(found, expected):
    return np.array_equal(np.array(found), np.array(expected, dtype=float), equal_nan=True)


NAN = math.nan


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("income", [100, NAN, 0, 50]),
        ("debt", [0.5, NAN, 0.25, 0]),
        ("days", [-5, NAN, NAN, 0]),
        ("days_SENTINEL", [0, 1, NAN, 0]),
        ("job", [0, NAN, 1, 0]),
        ("LOANS", [2, 2, NAN, NAN]),
        ("LOANS_RECENT", [1, 2, NAN, NAN]),
        ("OPEN_SHARE", [0.5, NAN, NAN, NAN]),
        ("AMOUNT", [0.3, NAN, NAN, NAN]),
        ("AMOUNT_OPEN_TO_ALL", [0.1 / 1.1, NAN, NAN, NAN]),
        ("RATE", [0.5, 1.0, NAN, NAN]),
        ("RATE_RANGE", [0.5, 0, NAN, NAN]),
        ("STATES", [2, 0, NAN, NAN]),
        ("LATE", [(333333333 + 10**9) / (2 * 10**9), NAN, NAN, NAN]),
        ("WORST", [2, NAN, NAN, NAN]),
        ("AMOUNT_TO_INCOME", [0.3 / 100, NAN, NAN, NAN]),
        ("MONTHLY", [100 / 12 - 1 / 0.4, NAN, 0 - 1 / (0.25 - 0.1), 50 / 12 - 1 / -0.1]),
    ],
)
def test_what_the_declarations_mean(tables, name, expected):
    matrix = Transformer.fit(tables, SHOP).transform(tables)
    assert same(column(matrix, name), expected), column(matrix, name)


def test_sums_of_money_are_exact(tables):
    tables["loans"] = pl.DataFrame(
        {"loan": range(1000), "id": [1] * 1000, "days": [-1] * 1000, "amount": [0.1] * 1000, "rate": [0.1] * 1000,
         "state": ["open"] * 1000}
    )  # fmt: skip
    matrix = Transformer.fit(tables, SHOP).transform(tables)
    assert column(matrix, "AMOUNT")[0] == 100.0
    assert column(matrix, "RATE")[0] == 0.1


def test_protected_columns_leave_with_all_that_is_made_of_them(tables):
    excluded = Transformer.fit(tables, SHOP)
    included = Transformer.fit(tables, SHOP, exclude_protected=False)
    assert set(included.names) - set(excluded.names) == {"age", "PER_YEAR", "PER_YEAR_TWICE"}
    changed = {**tables, "orders": tables["orders"].with_columns(pl.col("age") + 7, branch=pl.lit("west"))}
    assert (bits(excluded.transform(changed)) == bits(excluded.transform(tables))).all()
    assert "branch" not in included.names
    lineage = {f.name: f.lineage for f in included.features}
    assert lineage["PER_YEAR_TWICE"] == {"orders.income", "orders.age"}
    assert lineage["LATE"] == {"months.late"}
    assert lineage["AMOUNT_OPEN_TO_ALL"] == {"loans.state", "loans.amount"}
    assert lineage["LOANS_RECENT"] == {"loans.days"}
    assert lineage["LOANS"] == {"loans.id"}
    assert lineage["debt"] == {"orders.debt", "orders.income"}


def test_it_is_stored_as_data_and_gives_the_same_matrix(tables):
    fitted = Transformer.fit(tables, SHOP)
    stored = json.loads(json.dumps(fitted.to_dict(), sort_keys=True))
    again = Transformer.from_dict(stored)
    assert again == fitted
    assert (bits(again.transform(tables)) == bits(fitted.transform(tables))).all()
    with pytest.raises(InvalidInput, match="version"):
        Transformer.from_dict({**stored, "version": 99})


def test_rare_levels_share_a_code_and_unseen_ones_are_flagged(tables):
    jobs = ["clerk"] * 600 + ["smith"] * 398 + ["rare", "rarer"]
    orders = pl.DataFrame({"id": range(1000), "job": jobs, "age": [30] * 1000, "income": [1.0] * 1000})
    fitted = Transformer.fit({"orders": orders}, SHOP)
    info = next(f for f in fitted.features if f.name == "job")
    assert (info.levels, info.has_other, info.typical) == (("clerk", "smith"), True, 0.0)
    trial = pl.DataFrame(
        {"id": [1, 2, 3, 4], "job": ["rare", "pilot", None, "smith"], "age": [30] * 4, "income": [1.0] * 4}
    )
    matrix = fitted.transform({"orders": trial})
    assert same(column(matrix, "job"), [2, 2, NAN, 1])
    assert matrix.flags == {1: ("unseen:job",), 2: ("missing:job", "sparse")}


def test_values_outside_training_and_missing_where_it_never_was_are_flagged(tables):
    fitted = Transformer.fit(tables, SHOP, exclude_protected=False)
    orders = tables["orders"].with_columns(
        age=pl.Series([20, 99, None, 50]),
        income=pl.Series([100.0, 100.0, 1e6, None]),
        days=pl.Series([-5, 365243, -9, 0]),
    )
    flags = fitted.transform({**tables, "orders": orders}).flags
    assert "outside:age" in flags[1]
    assert "missing:age" in flags[2]
    assert {"outside:income", "outside:days"} <= set(flags[2])
    assert 0 not in flags
    assert "missing:income" not in flags[3]


def test_a_row_with_many_important_inputs_empty_is_sparse(tables):
    fitted = Transformer.fit(tables, SHOP, exclude_protected=False)
    assert fitted.important == {"age", "income", "debt", "job"}
    empty = pl.DataFrame({"id": [1], "age": [None], "income": [None], "days": [None], "job": [None]}).cast(
        {"age": pl.Int64, "income": pl.Float64, "days": pl.Int64, "job": pl.String}
    )
    assert "sparse" in fitted.transform({"orders": empty}).flags[0]


def test_an_absent_linked_table_means_no_history(tables):
    fitted = Transformer.fit(tables, SHOP)
    alone = fitted.transform({"orders": tables["orders"]})
    assert same(column(alone, "LOANS"), [NAN] * 4)
    assert same(column(alone, "income"), [100, NAN, 0, 50])
    without_months = fitted.transform({k: v for k, v in tables.items() if k != "months"})
    assert same(column(without_months, "LATE"), [NAN] * 4)
    assert same(column(without_months, "LOANS"), [2, 2, NAN, NAN])


def test_ids_may_be_text_in_one_table_and_numbers_in_another(tables):
    fitted = Transformer.fit(tables, SHOP)
    mixed = {**tables, "orders": tables["orders"].with_columns(pl.col("id").cast(pl.String))}
    assert (bits(fitted.transform(mixed)) == bits(fitted.transform(tables))).all()


def test_ranges_shares_and_typical_values_are_those_of_training(tables):
    info = {f.name: f for f in Transformer.fit(tables, SHOP).features}
    assert (info["income"].lowest, info["income"].highest, info["income"].typical) == (0, 100, 50)
    assert (info["income"].missing_share, info["days"].missing_share) == (0.25, 0.5)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (('expression = "sum(amount)"', 'expression = "sum(amout)"'), "features.AMOUNT.expression"),
        (('expression = "sum(amount)"', 'expression = "amount"'), "features.AMOUNT.expression"),
        (('expression = "sum(amount)"', 'expression = "sum(mean(amount))"'), "features.AMOUNT.expression"),
        (('filter = "state', 'filter = "stat'), "features.AMOUNT_OPEN_TO_ALL.filter"),
        (('time = "days"', ""), "features.LOANS_RECENT.window"),
        (('expression = "income / age"', 'expression = "job"'), "features.PER_YEAR.expression"),
        (('expression = "income / age"', 'window = 3\nexpression = "income / age"'), "features.PER_YEAR.window"),
    ],
)
def test_a_declaration_that_cannot_be_computed_names_file_and_feature(tables, change, field):
    assert change[0] in SCHEMA
    schema = Schema.from_toml(SCHEMA.replace(*change), "shop.toml")
    with pytest.raises(InvalidInput) as caught:
        Transformer.fit(tables, schema)
    assert (caught.value.where.file, caught.value.where.field) == ("shop.toml", field)


def test_training_needs_rows_and_the_main_table(tables):
    with pytest.raises(InvalidInput, match="no rows"):
        Transformer.fit({"orders": tables["orders"].clear()}, SHOP)
    with pytest.raises(InvalidInput, match="table orders is missing"):
        Transformer.fit({}, SHOP)
    fitted = Transformer.fit(tables, SHOP)
    assert fitted.transform({"orders": tables["orders"].clear()}).values.shape == (0, len(fitted.features))


@pytest.mark.skipif("PLUMBLINE_DATA" not in os.environ, reason="PLUMBLINE_DATA is not set")
def test_the_home_credit_tables_become_one_matrix():
    folder = Path(os.environ["PLUMBLINE_DATA"]) / "credit" / "home_credit" / "linked"
    schema = Schema.load("home_credit")
    files = {name: folder / f"{name}.parquet" for name in schema.linked}
    frames = {name: pl.read_parquet(path) for name, path in files.items() if path.is_file()}
    frames["application"] = pl.read_parquet(folder / "application_train.parquet")
    upload = open_frames(frames, schema, scoring=False)
    (chunk,) = upload.chunks()
    assert chunk.rejected_rows == 0
    assert chunk.frame["CNT_FAM_MEMBERS"].dtype == pl.Int64
    tables = {"application": chunk.frame, **upload.linked}
    fitted = Transformer.fit(tables, schema)
    matrix = fitted.transform(tables)
    assert not {"DAYS_BIRTH", "CODE_GENDER", "NAME_FAMILY_STATUS", "EMPLOYED_TO_AGE"} & set(matrix.names)
    assert np.nanmax(matrix.values[:, matrix.names.index("DAYS_EMPLOYED")]) <= 0
    assert column(matrix, "DAYS_EMPLOYED_SENTINEL") == [float(v == 365243) for v in chunk.frame["DAYS_EMPLOYED"]]
    known = ~np.isnan(matrix.values[:, matrix.names.index("BUREAU_LOANS")])
    assert known.sum() == 3397
    small = {"application": chunk.frame.slice(100, 3)}
    ids = small["application"]["SK_ID_CURR"].to_list()
    for name in upload.linked:
        if name != "bureau_balance":
            small[name] = tables[name].filter(pl.col("SK_ID_CURR").is_in(ids))
    loans = small["bureau"]["SK_ID_BUREAU"].to_list()
    small["bureau_balance"] = tables["bureau_balance"].filter(pl.col("SK_ID_BUREAU").is_in(loans))
    assert (bits(fitted.transform(small)) == bits(matrix)[100:103]).all()
