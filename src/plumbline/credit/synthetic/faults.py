"""Faulty rows in a written application file, with a record of each, for testing how files are read.

Kinds: ``impossible_age`` (5 % of the rows: DAYS_BIRTH outside any applicant's age), ``repeated_id`` (the id of an earlier
faultless row), ``wrong_type`` (AMT_CREDIT is no number), ``ragged`` (fields missing at the end, or one too many), 0.5 %
each. A row has one fault at most.
"""

from __future__ import annotations

from io import BytesIO
from typing import Final

import numpy as np
import polars as pl

from . import vocabulary as words

SHARES: Final = {"impossible_age": 0.05, "wrong_type": 0.005, "ragged": 0.005, "repeated_id": 0.005}
FEWEST_ROWS: Final = 20  # below, a chunk is left without faults
_AGES = ("-40000", "-120", "9000", "365243", "-73050")
_NO_NUMBERS = ("1O5000", "45O 000", "unknown amount", "27.000,00,0")
_DROPPED_FIELDS = 3
RECORD: Final = {
    "line": pl.Int64, words.CLIENT: pl.Int64, "kind": pl.String, "column": pl.String, "value": pl.String,
}  # fmt: skip


def no_faults() -> pl.DataFrame:
    return pl.DataFrame(schema=RECORD)


def faulty_csv(
    rng: np.random.Generator, application: pl.DataFrame, first_line: int, *, header: bool
) -> tuple[bytes, pl.DataFrame]:
    """The applications as CSV text with faults, and the record of them.

    :param first_line: physical line of the first data row in the whole file (its header is line 1).
    :param header: whether the text begins with the header.
    :returns: text and record; the record's ``SK_ID_CURR`` is the row's own, ``value`` the cell as written.
    """
    faults = _plan(rng, application)
    text = application.cast({"DAYS_BIRTH": pl.String, "AMT_CREDIT": pl.String, words.CLIENT: pl.String})
    cells = [pl.col(name) for name in text.columns]
    for place, name in enumerate(text.columns):
        here = faults.filter(pl.col("column") == name)
        if here.height:
            changed = text[name].scatter(here["row"], here["value"])
            cells[place] = pl.lit(changed)
    buffer = BytesIO()
    text.select(cells).write_csv(buffer, include_header=header)
    lines = buffer.getvalue().split(b"\n")
    for order, row in enumerate(faults.filter(pl.col("kind") == "ragged")["row"]):
        line = lines[row + header]
        # The last fields are numbers, so their commas are separators.
        lines[row + header] = line.rsplit(b",", _DROPPED_FIELDS)[0] if order % 2 == 0 else line + b",0"
    record = faults.select((pl.col("row") + first_line).alias("line"), words.CLIENT, "kind", "column", "value")
    return b"\n".join(lines), record.cast(RECORD)  # type: ignore[arg-type]


def _plan(rng: np.random.Generator, application: pl.DataFrame) -> pl.DataFrame:
    size = application.height
    schema = {"row": pl.Int64, "kind": pl.String, "column": pl.String, "value": pl.String, words.CLIENT: pl.Int64}
    if size < FEWEST_ROWS:
        return pl.DataFrame(schema=schema)
    ids = application[words.CLIENT].to_numpy()
    counts = {kind: max(1, round(size * share)) for kind, share in SHARES.items()}
    # Row 0 stays faultless, so a repeated id always has an earlier row to repeat.
    chosen = 1 + rng.permutation(size - 1)[: sum(counts.values())]
    faultless = np.setdiff1d(np.arange(size), chosen)
    rows: list[tuple[int, str, str | None, str | None, int]] = []
    start = 0
    for kind, count in counts.items():
        for row in chosen[start : start + count].tolist():
            column, value = _cell(rng, kind, row, ids, faultless)
            rows.append((row, kind, column, value, int(ids[row])))
        start += count
    return pl.DataFrame(rows, schema=schema, orient="row").sort("row")


def _cell(
    rng: np.random.Generator, kind: str, row: int, ids: np.ndarray[tuple[int], np.dtype[np.int64]],
    faultless: np.ndarray[tuple[int], np.dtype[np.int64]],
) -> tuple[str | None, str | None]:  # fmt: skip
    if kind == "impossible_age":
        return "DAYS_BIRTH", _AGES[int(rng.integers(len(_AGES)))]
    if kind == "wrong_type":
        return "AMT_CREDIT", _NO_NUMBERS[int(rng.integers(len(_NO_NUMBERS)))]
    if kind == "repeated_id":
        earlier = faultless[np.searchsorted(faultless, row) - 1]
        return words.CLIENT, str(ids[earlier])
    return None, None
