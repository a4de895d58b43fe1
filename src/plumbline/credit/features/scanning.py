"""Tables in files, as plans that read them as they are needed.

For programs that hold more than fits: training and batches of the product itself read through the intake, which validates each row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl

from plumbline.credit.intake.casting import EMPTY, cast_column
from plumbline.credit.intake.schema import Column, Schema
from plumbline.kernel.errors import InvalidInput, Where


def scanned(files: Mapping[str, Path], schema: Schema, *, text_ids: bool = False) -> dict[str, pl.LazyFrame]:
    """Parquet (``.parquet``) and CSV (``.csv``, UTF-8, commas) files by the name of their table, typed by the schema.

    Cells are read as the intake reads them: one that does not fit counts as empty. Rows are not checked and none is
    refused, so this is for files that have been through the intake, or need not be. A file that breaks off is found
    when its rows are read, as a Polars error.

    :param text_ids: ids are texts (otherwise whole numbers).
    :raises InvalidInput: a table the schema does not declare, no file or another kind of file, or one that cannot be
        read.
    """
    return {name: _scan(name, path, schema, text_ids) for name, path in files.items()}


def _scan(name: str, path: Path, schema: Schema, text_ids: bool) -> pl.LazyFrame:
    where = Where(file=path.name, table=name)
    if name not in schema.tables:
        raise InvalidInput(f"The schema declares no table {name}.", where=where)
    if not path.is_file():
        raise InvalidInput("There is no such file.", where=where, remedy="Check the path.")
    try:
        if path.suffix == ".parquet":
            lazy = pl.scan_parquet(path, glob=False)
        elif path.suffix == ".csv":
            lazy = pl.scan_csv(path, infer_schema=False, null_values=list(EMPTY), glob=False)
        else:
            raise InvalidInput(
                "Only Parquet and CSV files are read lazily.", where=where, remedy="Write it as .parquet or .csv."
            )
        types = lazy.collect_schema()
    except pl.exceptions.PolarsError as error:
        first = str(error).strip().partition("\n")[0]
        raise InvalidInput(f"The file cannot be read ({first}).", where=where, remedy="Write it again.") from None
    columns = schema.tables[name].columns
    return lazy.select(_typed(columns[column], types[column], text_ids) for column in types if column in columns)


def _typed(column: Column, given: pl.DataType, text_ids: bool) -> pl.Expr:
    wanted = pl.String() if column.type == "id" and text_ids else column.dtype
    if given == wanted and column.type in {"id", "category", "date"}:
        return pl.col(column.name)
    cast = _cast(column, text_ids)
    return pl.col(column.name).map_batches(cast, return_dtype=wanted, is_elementwise=True)


def _cast(column: Column, text_ids: bool) -> Callable[[pl.Series], pl.Series]:
    return lambda series: cast_column(series, column, text_ids)
