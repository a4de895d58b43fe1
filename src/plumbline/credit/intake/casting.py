"""Cells to the types the schema declares, with each cell that does not fit named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from plumbline.credit.intake.schema import REAL, WHOLE, Column, Table

EMPTY: tuple[str, ...] = ("", "NA", "NaN", "null")
Rule = Literal["type", "range", "ragged", "id_missing", "id_repeated", "label_missing"]

# Whole numbers beyond this are no longer exact as floating point, which every model input becomes.
EXACT = 2**53

_WHAT = {
    "integer": "a whole number",
    "count": "a whole number",
    "flag": "0 or 1",
    "money": "an amount",
    "ratio": "a number",
    "category": "a text",
    "date": "a date like 2026-01-31",
    "id": "a whole number, as the ids before it",
}


@dataclass(frozen=True, slots=True, eq=False)
class BadCells:
    """Cells of one column that break one rule: their places in the frame (from 0), and how they looked."""

    column: str
    rule: Rule
    index: npt.NDArray[np.int64]
    values: list[str | None]
    message: str


def cast_frame(frame: pl.DataFrame, table: Table, text_ids: bool) -> tuple[pl.DataFrame, list[BadCells]]:
    """The columns of ``frame`` that ``table`` declares, typed; a cell that does not fit is empty and named.

    :param text_ids: ids are texts (otherwise whole numbers).
    """
    columns, bad = [], []
    for series in frame.iter_columns():
        column = table.columns[series.name]
        typed = cast_column(series, column, text_ids)
        columns.append(typed)
        if typed.null_count() != series.null_count() or series.dtype.is_float():
            given = series.is_not_null()
            if series.dtype.is_float():
                given &= series.is_not_nan().fill_null(value=False)
            lost = (given & typed.is_null()).to_numpy()
            index = np.flatnonzero(lost)
            if len(index) and series.dtype == pl.String:
                blank = series.gather(index).str.strip_chars().is_in([*EMPTY, "nan"]).to_numpy()
                index = index[~blank]
            if len(index):
                values = series.gather(index).cast(pl.String).to_list()
                bad.append(BadCells(series.name, "type", index, values, f"This is not {_WHAT[column.type]}."))
    return pl.DataFrame(columns), bad


def cast_column(series: pl.Series, column: Column, text_ids: bool = False) -> pl.Series:
    """A column as the schema types it; null where a cell does not fit."""
    dtype = series.dtype
    if column.type == "id" and text_ids:
        return _text(series)
    if column.type == "category":
        return _text(series)
    if column.type == "date":
        if dtype == pl.String:
            return series.str.strip_chars().str.to_date("%Y-%m-%d", strict=False)
        return series.cast(pl.Date, strict=False) if dtype.is_temporal() else _nothing(series, pl.Date())
    if dtype == pl.Boolean and column.type == "flag":
        return series.cast(pl.Int64)
    if dtype == pl.String:
        series = series.str.strip_chars()
        if column.type == "flag":
            series = series.str.to_lowercase().replace({"true": "1", "false": "0"})
    elif not dtype.is_numeric():
        return _nothing(series, column.dtype)
    if column.type in REAL:
        number = series.cast(pl.Float64, strict=False)
        return _where(number, number.is_finite())
    whole = _whole(series)
    if column.type == "flag":
        return _where(whole, (whole == 0) | (whole == 1))
    if column.type in WHOLE:
        return _where(whole, whole.is_between(-EXACT, EXACT))
    return whole


def _whole(series: pl.Series) -> pl.Series:
    if series.dtype.is_integer():
        return series.cast(pl.Int64, strict=False)
    if series.dtype == pl.String:
        whole = series.cast(pl.Int64, strict=False)
        if whole.null_count() == series.null_count():
            return whole
        return whole.zip_with(whole.is_not_null(), _whole(series.cast(pl.Float64, strict=False)))
    number = series.cast(pl.Float64, strict=False)
    exact = (number == number.floor()) & number.is_between(-float(EXACT), float(EXACT))
    return _where(number, exact).cast(pl.Int64)


def _text(series: pl.Series) -> pl.Series:
    """Text as it stands; whole numbers without a decimal point, so that a code has one spelling."""
    if series.dtype.is_float():
        whole = _whole(series)
        if whole.null_count() == series.null_count() + int(series.is_nan().sum()):
            return whole.cast(pl.String)
        return _where(series, series.is_not_nan()).cast(pl.String)
    return series.cast(pl.String, strict=False)


def _where(series: pl.Series, keep: pl.Series) -> pl.Series:
    if keep.all(ignore_nulls=True):
        return series
    return series.set(~keep.fill_null(value=False), None)


def _nothing(series: pl.Series, dtype: pl.DataType) -> pl.Series:
    return pl.Series(series.name, [None] * len(series), dtype=dtype)
