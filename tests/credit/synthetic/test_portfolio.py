"""Handing a portfolio on: one client as JSON, the report, the files."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from plumbline.credit.synthetic import Portfolio, generate, to_application_json
from plumbline.credit.synthetic.files import Files
from plumbline.kernel.errors import NotFound, Usage


def test_one_client_comes_with_all_own_rows_and_no_others(portfolio: Portfolio) -> None:
    tables = portfolio.tables
    cards = tables["credit_card_balance"]["SK_ID_CURR"].unique()
    loans = tables["bureau_balance"].join(tables["bureau"], on="SK_ID_BUREAU")["SK_ID_CURR"].unique()
    both = tables["application"].filter(
        pl.col("SK_ID_CURR").is_in(cards.implode()) & pl.col("SK_ID_CURR").is_in(loans.implode())
    )
    client = both["SK_ID_CURR"][0]
    found = to_application_json(portfolio, client)
    assert list(found) == list(tables)
    json.dumps(found, allow_nan=False)
    for name in ("bureau", "previous_application", "POS_CASH_balance", "credit_card_balance", "installments_payments"):
        assert len(found[name]) == tables[name].filter(pl.col("SK_ID_CURR") == client).height, name
        assert {row["SK_ID_CURR"] for row in found[name]} <= {client}
    own = {row["SK_ID_BUREAU"] for row in found["bureau"]}
    assert {row["SK_ID_BUREAU"] for row in found["bureau_balance"]} <= own
    assert found["bureau_balance"]
    assert found["credit_card_balance"]


def test_the_label_is_left_out_and_an_empty_cell_is_null(portfolio: Portfolio) -> None:
    row = portfolio.tables["application"].row(0, named=True)
    application = to_application_json(portfolio, row["SK_ID_CURR"])["application"]
    assert application == {name: value for name, value in row.items() if name != "TARGET"}


def test_a_client_without_history_has_empty_tables(portfolio: Portfolio) -> None:
    application = portfolio.tables["application"]
    lonely = application.join(portfolio.tables["bureau"], on="SK_ID_CURR", how="anti")["SK_ID_CURR"][0]
    found = to_application_json(portfolio, lonely)
    assert found["bureau"] == []
    assert found["bureau_balance"] == []


def test_an_unknown_client_is_not_found(portfolio: Portfolio) -> None:
    with pytest.raises(NotFound, match="no application 1"):
        to_application_json(portfolio, 1)


def test_the_report_says_what_the_tables_hold(portfolio: Portfolio) -> None:
    report = portfolio.report()
    assert report.applications == 6_000
    assert report.rows == {name: table.height for name, table in portfolio.tables.items()}
    assert report.default_rate == portfolio.tables["application"]["TARGET"].mean()
    assert report.expected_default_rate == pytest.approx(0.0807, abs=1e-9)
    assert report.best_auc == portfolio.best_auc
    assert report.effect_sd["group"] == 0.0
    assert generate(1, 1).report().to_dict()["best_auc"] is None


def test_written_files_hold_the_tables_and_the_truth(tmp_path: Path) -> None:
    portfolio = generate(150, 9, months=4)
    portfolio.write(tmp_path, "parquet")
    for name, table in portfolio.tables.items():
        assert pl.read_parquet(tmp_path / f"{name}.parquet").equals(table), name
    assert pl.read_parquet(tmp_path / "truth" / "truth.parquet").equals(portfolio.truth)
    summary = json.loads((tmp_path / "truth" / "portfolio.json").read_text())
    assert summary["options"]["seed"] == 9
    assert summary["report"] == portfolio.report().to_dict()


def test_csv_reads_back_as_the_same_table(tmp_path: Path) -> None:
    portfolio = generate(150, 9, months=4)
    portfolio.write(tmp_path)
    for name, table in portfolio.tables.items():
        assert pl.read_csv(tmp_path / f"{name}.csv", schema=table.schema).equals(table), name


def test_a_failure_leaves_no_half_written_files(tmp_path: Path) -> None:
    portfolio = generate(50, 9, months=1)

    def fail() -> None:
        with Files(tmp_path, portfolio.options, "csv", labelled=True) as files:
            files.add("bureau", portfolio.tables["bureau"])
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_format_is_named(tmp_path: Path) -> None:
    with pytest.raises(Usage, match="feather"):
        generate(5, 9, months=1).write(tmp_path, "feather")  # type: ignore[arg-type]
