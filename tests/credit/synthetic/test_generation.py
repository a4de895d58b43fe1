"""The seven tables: shape, sentinels, links, and the promise that a seed is a portfolio."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from plumbline.credit.intake.schema import Schema
from plumbline.credit.synthetic import Portfolio, generate, write_stream
from plumbline.credit.synthetic.chunks import chunk
from plumbline.credit.synthetic.options import CHUNK, Options
from plumbline.kernel.errors import Usage

EVERYTHING: dict[str, Any] = {
    "group_effect": 0.4,
    "proxy_effect": 0.5,
    "drift": True,
    "leak": "imputed",
    "faults": True,
}


def hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path, kind: Any) -> None:
    for name, seed in (("first", 5), ("again", 5), ("other", 6)):
        generate(400, seed).write(tmp_path / name, kind)
    first, again, other = (hashes(tmp_path / name) for name in ("first", "again", "other"))
    assert first == again
    assert len(first) == 9
    assert not set(first.values()) & set(other.values())


def test_streaming_to_files_gives_the_bytes_of_a_portfolio_made_in_memory(tmp_path: Path) -> None:
    size = CHUNK + 60  # a full chunk and a part of one
    generate(size, 3, months=2, **EVERYTHING).write(tmp_path / "memory")
    report = write_stream(tmp_path / "stream", size, 3, months=2, **EVERYTHING)
    assert hashes(tmp_path / "memory") == hashes(tmp_path / "stream")
    assert report.applications == size


def test_streaming_to_parquet_gives_the_rows_of_a_portfolio_made_in_memory(tmp_path: Path) -> None:
    size = CHUNK + 60
    portfolio = generate(size, 3, months=2)
    write_stream(tmp_path, size, 3, months=2, format="parquet")
    for name, table in portfolio.tables.items():
        assert pl.read_parquet(tmp_path / f"{name}.parquet").equals(table), name


def test_a_chunk_does_not_depend_on_how_many_applications_there_are() -> None:
    alone = chunk(Options(applications=CHUNK, seed=4, months=1), 0, CHUNK)
    among = chunk(Options(applications=5 * CHUNK, seed=4, months=1), 0, CHUNK)
    for name, table in alone.tables.items():
        assert table.equals(among.tables[name]), name
    assert np.array_equal(alone.lot, among.lot)


def test_ids_of_different_chunks_are_different() -> None:
    options = Options(applications=3 * CHUNK, seed=4, months=1)
    parts = [chunk(options, number, 300).tables for number in (0, 1, 2)]
    for table, key in (
        ("application", "SK_ID_CURR"),
        ("bureau", "SK_ID_BUREAU"),
        ("previous_application", "SK_ID_PREV"),
    ):
        ids = pl.concat([part[table][key] for part in parts])
        assert ids.n_unique() == len(ids)


def test_tables_have_the_columns_types_and_levels_of_the_shipped_schema(portfolio: Portfolio) -> None:
    schema = Schema.load("home_credit")
    assert list(portfolio.tables) == list(schema.tables)
    assert portfolio.tables["application"].width == 122
    for name, declared in schema.tables.items():
        table = portfolio.tables[name]
        assert set(table.columns) - {"TARGET"} == set(declared.columns) - {"TARGET"}
        for column in declared.columns.values():
            if column.name in table.columns:
                assert table[column.name].dtype == column.dtype, (name, column.name)
                if column.type == "category" and column.levels:
                    known = {*column.levels, *map(str, column.sentinels)}
                    assert set(table[column.name].drop_nulls().cast(pl.String)) <= known, (name, column.name)


def test_no_value_is_outside_a_range_that_rejects_its_row(portfolio: Portfolio) -> None:
    schema = Schema.load("home_credit")
    checked = 0
    for name, declared in schema.tables.items():
        for column in declared.columns.values():
            if column.range and column.severity == "reject" and column.name in portfolio.tables[name].columns:
                values = portfolio.tables[name][column.name].drop_nulls()
                assert values.is_between(*column.range).all(), (name, column.name)
                checked += 1
    assert checked >= 5


def test_children_belong_to_parents_but_for_a_few(portfolio: Portfolio) -> None:
    tables = portfolio.tables
    clients = tables["application"].select("SK_ID_CURR")
    for name in ("bureau", "previous_application", "POS_CASH_balance", "installments_payments"):
        strangers = tables[name].join(clients, on="SK_ID_CURR", how="anti").height
        assert 0 < strangers < 0.02 * tables[name].height, name
    for child, parent, key, most in (
        ("bureau_balance", "bureau", "SK_ID_BUREAU", 0.02),
        ("POS_CASH_balance", "previous_application", "SK_ID_PREV", 0.08),
        ("credit_card_balance", "previous_application", "SK_ID_PREV", 0.2),
        ("installments_payments", "previous_application", "SK_ID_PREV", 0.1),
    ):
        keys = tables[child].select(key).unique()
        orphans = keys.join(tables[parent], on=key, how="anti").height
        assert 0 < orphans < most * keys.height, child


def test_a_contract_belongs_to_one_client_in_every_table(portfolio: Portfolio) -> None:
    links = [
        portfolio.tables[name].select("SK_ID_PREV", "SK_ID_CURR")
        for name in ("previous_application", "POS_CASH_balance", "credit_card_balance", "installments_payments")
    ]
    owners = pl.concat(links).unique()
    assert owners["SK_ID_PREV"].is_unique().all()


def test_keys_name_a_row_and_part_payments_repeat_them(portfolio: Portfolio) -> None:
    for name, key in (
        ("application", ["SK_ID_CURR"]),
        ("bureau", ["SK_ID_BUREAU"]),
        ("bureau_balance", ["SK_ID_BUREAU", "MONTHS_BALANCE"]),
        ("previous_application", ["SK_ID_PREV"]),
        ("POS_CASH_balance", ["SK_ID_PREV", "MONTHS_BALANCE"]),
        ("credit_card_balance", ["SK_ID_PREV", "MONTHS_BALANCE"]),
    ):
        assert not portfolio.tables[name].select(key).is_duplicated().any(), name
    payments = portfolio.tables["installments_payments"]
    key = ["SK_ID_PREV", "NUM_INSTALMENT_VERSION", "NUM_INSTALMENT_NUMBER"]
    repeated = payments.filter(payments.select(key).is_duplicated())
    assert 0.01 < repeated.height / payments.height < 0.15
    paid = repeated.drop_nulls().group_by(key).agg(pl.col("AMT_PAYMENT").sum(), pl.first("AMT_INSTALMENT"), pl.len())
    complete = paid.filter(pl.col("len") == 2)
    assert ((complete["AMT_PAYMENT"] - complete["AMT_INSTALMENT"]).abs() < 1e-6).all()


def test_money_has_at_most_three_decimals(portfolio: Portfolio) -> None:
    checked = 0
    for name, table in portfolio.tables.items():
        for column in table.columns:
            if column.startswith("AMT_") and table[column].dtype == pl.Float64:
                values = table[column].drop_nulls()
                assert (values == values.round(3)).all(), (name, column)
                checked += 1
    assert checked == 29


def test_sentinels_stand_where_they_do_in_the_real_set(portfolio: Portfolio) -> None:
    application, previous = portfolio.tables["application"], portfolio.tables["previous_application"]
    nowhere = application["DAYS_EMPLOYED"] == 365_243
    assert (nowhere == (application["ORGANIZATION_TYPE"] == "XNA")).all()
    assert nowhere.mean() == pytest.approx(0.18, abs=0.02)
    for column, share in (("DAYS_FIRST_DRAWING", 0.94), ("DAYS_FIRST_DUE", 0.05), ("DAYS_LAST_DUE_1ST_VERSION", 0.1)):
        dated = previous[column].drop_nulls()
        assert (dated == 365_243).mean() == pytest.approx(share, abs=0.03), column
    assert 0.1 < (previous["DAYS_TERMINATION"].drop_nulls() == 365_243).mean() < 0.4
    assert (previous["CODE_REJECT_REASON"] == "XAP").any()
    assert (previous["SELLERPLACE_AREA"] == -1).any()


def test_shares_are_those_of_the_real_set(portfolio: Portfolio) -> None:
    tables = portfolio.tables
    application = tables["application"]
    clients = application.height
    assert sum(application[name].null_count() > 0.45 * clients for name in application.columns) == 49
    assert sum(dtype == pl.String for dtype in application.dtypes) == 16

    def with_history(name: str) -> float:
        return application.join(tables[name], on="SK_ID_CURR", how="semi").height / clients

    assert with_history("bureau") == pytest.approx(0.86, abs=0.02)
    assert with_history("previous_application") == pytest.approx(0.955, abs=0.02)
    assert with_history("credit_card_balance") == pytest.approx(0.28, abs=0.02)
    refused = tables["previous_application"]["NAME_CONTRACT_STATUS"] == "Refused"
    assert refused.mean() == pytest.approx(0.17, abs=0.04)
    payments = tables["installments_payments"]
    assert (payments["DAYS_ENTRY_PAYMENT"] > payments["DAYS_INSTALMENT"]).mean() == pytest.approx(0.082, abs=0.015)
    assert (payments["AMT_PAYMENT"] < payments["AMT_INSTALMENT"]).mean() == pytest.approx(0.095, abs=0.02)


def test_history_is_no_longer_than_asked_for() -> None:
    tables = generate(500, 2, months=3).tables
    for name, key in (("bureau_balance", "SK_ID_BUREAU"), ("POS_CASH_balance", "SK_ID_PREV")):
        assert tables[name].group_by(key).len()["len"].max() == 3


@pytest.mark.parametrize("applications", [1, 2, 19])
def test_small_portfolios_exist(applications: int) -> None:
    portfolio = generate(applications, 1)
    assert portfolio.tables["application"].height == applications
    assert portfolio.truth["pd"].mean() == pytest.approx(0.0807, abs=1e-9)


@pytest.mark.parametrize(
    "wrong",
    [{"applications": 0}, {"seed": -1}, {"default_rate": 0.0}, {"default_rate": 1.0}, {"effect_sd": 0.0}, {"months": 0},
     {"months": 97}, {"leak": "unknown"}],
)  # fmt: skip
def test_impossible_parameters_are_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(Usage) as fault:
        generate(**{"applications": 10, "seed": 1, **wrong})
    assert fault.value.where is not None
    assert fault.value.where.field == next(iter(wrong))
    assert fault.value.remedy
