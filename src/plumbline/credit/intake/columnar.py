"""Frames and Parquet files as a source of rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from plumbline.credit.intake.casting import cast_frame
from plumbline.credit.intake.delimited import Block, Span
from plumbline.credit.intake.schema import Table
from plumbline.kernel.errors import InvalidInput, Where


class ColumnarFile:
    """A frame, or a Parquet file of which a block is read at a time. Lines are data rows here, counted from 1.

    :raises InvalidInput: the Parquet file is damaged.
    """

    def __init__(self, source: Path | pl.DataFrame, file: str) -> None:
        self.file = file
        self.warnings: list[str] = []
        try:
            self._lazy = source.lazy() if isinstance(source, pl.DataFrame) else pl.scan_parquet(source, glob=False)
            self.header = self._lazy.collect_schema().names()
            self.rows = int(self._lazy.select(pl.len()).collect().item())
        except (pl.exceptions.PolarsError, OSError) as error:
            raise self._damaged(error) from None

    def _damaged(self, error: Exception) -> InvalidInput:
        first = str(error).strip().partition("\n")[0]
        return InvalidInput(
            f"The Parquet file is damaged or incomplete ({first}).",
            where=Where(file=self.file),
            remedy="Write it again.",
        )

    def spans(self, size: int) -> list[Span]:
        """The file in runs of ``size`` rows; the last may be shorter."""
        return [Span(0, 0, row, min(size, self.rows - row), row + 1, True) for row in range(0, self.rows, size)]

    def first(self, table: Table, columns: Sequence[str]) -> pl.DataFrame:
        """The first rows, ids as text."""
        return self.read(Span(0, 0, 0, min(self.rows, 1_000), 1, True), table, columns, True).frame

    def read(self, span: Span, table: Table, columns: Sequence[str], text_ids: bool) -> Block:
        """The rows of ``span``, only the named columns of ``table``."""
        try:
            frame = self._lazy.select(columns).slice(span.first_row, span.rows).collect()
        except (pl.exceptions.PolarsError, OSError) as error:
            raise self._damaged(error) from None
        typed, bad = cast_frame(frame, table, text_ids)
        rows = np.arange(span.first_row, span.first_row + span.rows)
        return Block(typed, rows, rows + 1, bad, [], span.rows)
