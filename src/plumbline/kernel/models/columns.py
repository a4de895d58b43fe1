"""Columns to be profiled: what they are, and the two forms every count starts from – sorted numbers, tallied levels.

A source is an Arrow table or record batch, a mapping name → NumPy or Arrow array, or a Parquet file, of which one
column at a time is in memory. Missing is null and NaN; ±inf are values. Nothing given is ever changed in place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from plumbline.kernel.errors import InvalidInput, Where

Floats = npt.NDArray[np.float64]
Kind = Literal["numeric", "category", "probability"]
KINDS: tuple[Kind, ...] = ("numeric", "category", "probability")


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """What a column is.

    :ivar kind: ``numeric``; ``category`` (text, boolean or codes, each value a level); ``probability``, the model's
        output, counted like ``numeric`` but with its own rule in a report (*output drift*).
    :ivar specials: numbers that are codes, not amounts (−9, 365243 …): each is a bin of its own and takes no part in
        edges, KS, Wasserstein or range. Numbers only, finite, and not for a ``category``.
    """

    name: str
    kind: Kind = "numeric"
    specials: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InvalidInput(f"'{self.kind}' is no kind of column.", where=Where(column=self.name),
                               remedy=f"Use one of {', '.join(KINDS)}.")  # fmt: skip
        if self.kind == "category" and self.specials:
            raise InvalidInput(
                "A category needs no special values: each level is a bin.", where=Where(column=self.name)
            )
        found = tuple(sorted({float(value) + 0.0 for value in self.specials}))
        if not np.isfinite(found).all():
            raise InvalidInput("A special value must be a finite number.", where=Where(column=self.name))
        object.__setattr__(self, "specials", found)


class Columns(Protocol):
    """A source: gives one whole column at a time."""

    def names(self) -> list[str]: ...

    def column(self, name: str) -> Any:
        """An Arrow array, chunked array or NumPy array."""


class InMemory:
    """An Arrow table, an Arrow record batch, or a mapping name → NumPy or Arrow array."""

    def __init__(self, table: Any) -> None:
        self._table = table
        self._names = list(table) if isinstance(table, Mapping) else list(table.schema.names)

    def names(self) -> list[str]:
        return self._names

    def column(self, name: str) -> Any:
        return self._table[name] if isinstance(self._table, Mapping) else self._table.column(name)

    def schema(self) -> Any:
        if isinstance(self._table, Mapping):
            return pa.schema([(name, _arrow(column, name).type) for name, column in self._table.items()])
        return self._table.schema


class ParquetColumns:
    """A Parquet file, read column by column; text is read as dictionaries, four times faster."""

    def __init__(self, path: str | Path) -> None:
        import pyarrow.parquet as pq

        self._path = str(path)
        try:
            self._file = pq.ParquetFile(self._path)
        except (OSError, pa.ArrowException) as error:
            raise InvalidInput(f"This is not a Parquet file that can be read: {error}", where=Where(file=self._path)) from None  # fmt: skip
        self._text = [f.name for f in self._file.schema_arrow if pa.types.is_string(f.type) or pa.types.is_large_string(f.type)]  # fmt: skip
        if self._text:
            self._file = pq.ParquetFile(self._path, read_dictionary=self._text)

    def names(self) -> list[str]:
        return list(self._file.schema_arrow.names)

    def schema(self) -> Any:
        return self._file.schema_arrow

    def column(self, name: str) -> Any:
        try:
            return self._file.read(columns=[name], use_threads=False).column(name)
        except (OSError, pa.ArrowException) as error:
            raise InvalidInput(f"The column cannot be read: {error}", where=Where(file=self._path, column=name)) from None  # fmt: skip


def source(columns: Any) -> InMemory | ParquetColumns:
    """The source behind what was given: a path of a Parquet file, a table, a batch, a mapping, or a source already."""
    if isinstance(columns, InMemory | ParquetColumns):
        return columns
    return ParquetColumns(columns) if isinstance(columns, str | Path) else InMemory(columns)


def inferred(columns: Any, *, specials: Mapping[str, tuple[float, ...]] | None = None) -> tuple[ColumnSpec, ...]:
    """A specification for each column whose Arrow type can be profiled: numbers ``numeric``, text, booleans and
    dictionaries ``category``. Others (times, lists, bytes) are left out. Identifiers are not recognised: leave them
    out yourself, as free text."""
    found = []
    for field in source(columns).schema():
        if _is_number(field.type):
            found.append(ColumnSpec(field.name, "numeric", (specials or {}).get(field.name, ())))
        elif _is_level(field.type):
            found.append(ColumnSpec(field.name, "category"))
    return tuple(found)


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _is_level(kind: Any) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_level(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind) or pa.types.is_boolean(kind))  # fmt: skip


def _arrow(column: Any, name: str) -> Any:
    if isinstance(column, pa.Array | pa.ChunkedArray):
        return column
    try:
        return pa.array(column, from_pandas=True)
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise InvalidInput(f"These values cannot be profiled: {error}", where=Where(column=name)) from None


def ascending(column: Any, name: str) -> tuple[Floats, int]:
    """All values that are not missing, ascending, as doubles in memory of our own; and how many are missing.

    :raises InvalidInput: the column holds no numbers.
    """
    if isinstance(column, np.ndarray) and column.dtype.kind in "fiub":
        values = column.astype(np.float64)  # always a copy
    else:
        values = _doubles(_arrow(column, name), name)
    values.sort()  # NaN comes last; with AVX-512 or AVX2 faster than one pass of a mask
    present = int(values.searchsorted(np.nan))
    return values[:present], len(column) - present


def _doubles(column: Any, name: str) -> Floats:
    """The values that are not null, in order, in memory of our own."""
    kind = column.type
    if pa.types.is_null(kind):
        return np.empty(0)
    if pa.types.is_boolean(kind):
        column = column.cast(pa.uint8())
    elif not _is_number(kind):
        raise InvalidInput(f"The column holds {kind}, not numbers.", where=Where(column=name),
                           remedy="Profile it as a category, or leave it out.")  # fmt: skip
    elif pa.types.is_decimal(kind):
        column = column.cast(pa.float64(), safe=False)
    out = np.empty(len(column) - column.null_count, dtype=np.float64)
    begun = 0
    for chunk in _chunks(column):
        values = _shared(chunk.drop_null() if chunk.null_count else chunk)
        out[begun : begun + len(values)] = values
        begun += len(values)
    return out


def _chunks(column: Any) -> list[Any]:
    return column.chunks if isinstance(column, pa.ChunkedArray) else [column]


def _shared(array: Any) -> npt.NDArray[Any]:
    """The buffer of an Arrow array of numbers without nulls, not copied. (``to_numpy`` imports pandas where it can.)"""
    kind = np.dtype(array.type.to_pandas_dtype())
    if not len(array):
        return np.empty(0, kind)
    return np.frombuffer(array.buffers()[1], kind, len(array), array.offset * kind.itemsize)


def tallied(column: Any, name: str) -> tuple[dict[str, int], int]:
    """Rows of each level, and of none. A level is the value as text (a whole number without ``.0``)."""
    column = _arrow(column, name)
    levels: dict[str, int] = {}
    missing = 0
    for chunk in _chunks(column):
        for level, rows in _chunk_levels(chunk, name):
            if level is None:
                missing += rows
            else:
                levels[level] = levels.get(level, 0) + rows
    return levels, missing


def _chunk_levels(chunk: Any, name: str) -> Iterator[tuple[str | None, int]]:
    if pa.types.is_null(chunk.type):
        yield None, len(chunk)
        return
    if not pa.types.is_dictionary(chunk.type):
        if not (_is_level(chunk.type) or _is_number(chunk.type)):
            raise InvalidInput(f"The column holds {chunk.type}, which has no levels.", where=Where(column=name))
        chunk = chunk.dictionary_encode()
    codes = chunk.indices.drop_null() if chunk.indices.null_count else chunk.indices
    counts = np.bincount(_shared(codes), minlength=len(chunk.dictionary))
    yield None, len(chunk) - len(codes)
    for value, rows in zip(chunk.dictionary.to_pylist(), counts.tolist(), strict=True):
        if rows:
            yield _level(value), rows


def _level(value: Any) -> str | None:
    if value is None or (isinstance(value, float) and value != value):  # noqa: PLR0124 - NaN
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
