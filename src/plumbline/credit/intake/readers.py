"""One upload to typed rows: accepted, rejected with the reason, in file order, from any chunk on."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from plumbline.credit.intake.casting import BadCells
from plumbline.credit.intake.columnar import ColumnarFile
from plumbline.credit.intake.delimited import Block
from plumbline.credit.intake.limits import Limits
from plumbline.credit.intake.schema import Schema, Table
from plumbline.credit.intake.uploads import Source, bare_name, find_sources
from plumbline.credit.intake.validation import check_columns, outside, repeated_ids
from plumbline.kernel.errors import InvalidInput, Where

__all__ = ["REJECT_SCHEMA", "Chunk", "Limits", "Upload", "open_frames", "open_upload"]

REJECT_SCHEMA: dict[str, pl.DataType] = {
    "line": pl.Int64(),
    "id": pl.String(),
    "table": pl.String(),
    "column": pl.String(),
    "value": pl.String(),
    "rule": pl.String(),
    "message": pl.String(),
}
BLOCK = 16_384
CHUNK = 65_536


@dataclass(frozen=True, slots=True)
class Chunk:
    """A run of rows of the main table.

    :ivar first_row: the first data row of the run, counted from 1 in the file.
    :ivar rows: rows of the file in the run; accepted plus rejected.
    :ivar frame: the accepted rows, typed by the schema, in file order.
    :ivar positions: the data row, counted from 1, of each accepted row.
    :ivar rejects: one line per fault; a row may have several. ``line`` is the physical line of a text file, the data
        row of another.
    :ivar rejected_rows: distinct rows rejected.
    :ivar warnings: what is odd but accepted → number of cells.
    """

    index: int
    first_row: int
    rows: int
    frame: pl.DataFrame
    positions: npt.NDArray[np.int64]
    rejects: pl.DataFrame
    warnings: dict[str, int]

    @property
    def rejected_rows(self) -> int:
        return self.rows - self.frame.height


@dataclass(slots=True)
class Upload:
    """An opened upload; close it (or use it in ``with``) to remove what was unpacked.

    :ivar warnings: about the files as a whole.
    :ivar linked: the linked tables, typed.
    :ivar linked_rejects: rows of linked tables that could not be used; they fail nothing.
    :ivar rows: data rows of the main table.
    """

    schema: Schema
    scoring: bool
    filename: str
    source: Source
    columns: list[str]
    text_ids: bool
    warnings: list[str]
    linked: dict[str, pl.DataFrame] = field(default_factory=dict)
    linked_rejects: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=REJECT_SCHEMA))
    _folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def rows(self) -> int:
        return self.source.rows

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the unpacked files."""
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def chunks(self, start: int = 0, rows: int = CHUNK) -> Iterator[Chunk]:
        """The main table in runs of ``rows``, from run ``start`` on; the same runs whenever it is called.

        Ids that stand in rows before ``start`` are read again, so that a repeated one is found there too.
        """
        size = BLOCK if rows % BLOCK == 0 else rows
        spans = self.source.spans(size)
        per_chunk = rows // size
        seen: set[Any] = set()
        for span in spans[: start * per_chunk]:
            # Whole rows: whether a row counts at all depends on its other cells too.
            frame = self.source.read(span, self.schema.main, self.columns, self.text_ids).frame
            seen.update(frame[self.schema.id].drop_nulls().to_list())
        for index in range(start, -(-len(spans) // per_chunk)):
            blocks = [
                self.source.read(span, self.schema.main, self.columns, self.text_ids)
                for span in spans[index * per_chunk : (index + 1) * per_chunk]
            ]
            parts = [self._checked(block, seen) for block in blocks]
            yield Chunk(
                index=index,
                first_row=index * rows + 1,
                rows=sum(block.total for block in blocks),
                frame=pl.concat([part.frame for part in parts]) if len(parts) > 1 else parts[0].frame,
                positions=np.concatenate([part.positions for part in parts]),
                rejects=pl.concat([part.rejects for part in parts]),
                warnings=_added(part.warnings for part in parts),
            )

    def _checked(self, block: Block, seen: set[Any]) -> _Checked:
        main, frame = self.schema.main, block.frame
        label = self.schema.target.column if self.schema.target and not self.scoring else None
        unreadable = {i for b in block.bad if b.column == self.schema.id for i in b.index.tolist()}
        bad = [b for b in block.bad if main.columns[b.column].required or b.column in {self.schema.id, label}]
        loose = [b for b in block.bad if b not in bad]
        for found in repeated_ids(frame[self.schema.id], seen):
            # An id that could not be read is there, in its way: it has its own line already.
            keep = np.array([i not in unreadable for i in found.index.tolist()], dtype=bool)
            if keep.any():
                values = [v for v, k in zip(found.values, keep.tolist()) if k]
                bad.append(BadCells(found.column, found.rule, found.index[keep], values, found.message))
        if label is not None and frame[label].null_count():
            wrong = {i for b in block.bad if b.column == label for i in b.index.tolist()}
            empty = np.array([i for i in frame[label].is_null().arg_true().to_list() if i not in wrong], dtype=np.int64)
            if len(empty):
                bad.append(BadCells(label, "label_missing", empty, [None] * len(empty), "The label is missing."))
        bad += outside(frame, main, "reject")
        warnings = {f"{main.name}.{b.column}: {b.message} It counts as empty.": len(b.index) for b in loose}
        rejects = _rejects(block, bad, main, self.schema.id, len(self.source.header))
        rows = block.rows
        if bad:
            keep_rows = np.ones(frame.height, dtype=bool)
            for b in bad:
                keep_rows[b.index] = False
            frame, rows = frame.filter(pl.Series(keep_rows)), rows[keep_rows]
        for b in outside(frame, main, "warn"):
            warnings[f"{main.name}.{b.column}: {b.message}"] = len(b.index)
        return _Checked(frame, rows + 1, rejects, warnings)


@dataclass(frozen=True, slots=True)
class _Checked:
    frame: pl.DataFrame
    positions: npt.NDArray[np.int64]
    rejects: pl.DataFrame
    warnings: dict[str, int]


def _added(counts: Iterator[dict[str, int]] | Any) -> dict[str, int]:
    total: dict[str, int] = {}
    for part in counts:
        for message, number in part.items():
            total[message] = total.get(message, 0) + number
    return total


def _rejects(block: Block, bad: list[BadCells], table: Table, identity: str, cells: int) -> pl.DataFrame:
    if not bad and not block.ragged:
        return pl.DataFrame(schema=REJECT_SCHEMA)
    ids = block.frame[identity].cast(pl.String).to_list() if bad else []
    lines: list[tuple[Any, ...]] = []
    for b in bad:
        for i, value in zip(b.index.tolist(), b.values):
            lines.append((int(block.lines[i]), ids[i], table.name, b.column, value, b.rule, b.message))
    for _, line, message in block.ragged:
        lines.append((line, None, table.name, None, None, "ragged", message))
    order = {name: i for i, name in enumerate(table.columns)}
    lines.sort(key=lambda x: (x[0], order.get(x[3], -1), x[5]))
    return pl.DataFrame(lines, schema=REJECT_SCHEMA, orient="row")


def open_upload(
    path: Path,
    schema: Schema,
    *,
    scoring: bool,
    filename: str | None = None,
    limits: Limits | None = None,
    folder: Path | None = None,
) -> Upload:
    """Open one upload: CSV or Parquet, packed or not, a ZIP file of tables, or a directory of them.

    :param scoring: the label, if there is one, is not read; otherwise it must be there.
    :param filename: the name the client gave, for messages; any path in it is dropped.
    :param folder: where to make the folder for unpacked files; the system's by default.
    :raises InvalidInput: the file as a whole cannot be used (nothing of it is); names file, line and column.
    :raises TooLarge: over a limit.
    """
    file = bare_name(filename or path.name)
    unpacked = tempfile.TemporaryDirectory(prefix="plumbline-intake-", dir=folder)
    try:
        sources, warnings = find_sources(path, schema, file, limits or Limits(), Path(unpacked.name))
        upload = _opened(sources, warnings, schema, scoring, file)
    except BaseException:
        unpacked.cleanup()
        raise
    if any(Path(unpacked.name).iterdir()):
        upload._folder = unpacked
    else:
        unpacked.cleanup()
    return upload


def open_frames(tables: Mapping[str, pl.DataFrame], schema: Schema, *, scoring: bool, name: str = "frames") -> Upload:
    """The same for tables in memory, with the same rules.

    :raises InvalidInput: an unknown table, no main table, columns that cannot be used.
    """
    for table in tables:
        if table not in schema.tables:
            raise InvalidInput(f"There is no table {table} in {schema.name}.", where=Where(table=table))
    if schema.main.name not in tables:
        raise InvalidInput(f"The main table {schema.main.name} is missing.", where=Where(table=schema.main.name))
    sources: dict[str, Source] = {t: ColumnarFile(f, name) for t, f in tables.items()}
    return _opened(sources, [], schema, scoring, name)


def _opened(sources: dict[str, Source], warnings: list[str], schema: Schema, scoring: bool, file: str) -> Upload:
    main = schema.main
    source = sources[main.name]
    warnings = [*warnings, *source.warnings]
    where = Where(file=source.file, line=None if isinstance(source, ColumnarFile) else 1)
    warnings += check_columns(source.header, main, schema, scoring, where)
    if source.rows == 0:
        raise InvalidInput("The file has a header but no rows.", where=where, remedy="Send a file with rows.")
    label = schema.target.column if schema.target else None
    columns = [n for n in source.header if n in main.columns and not (scoring and n == label)]
    text_ids = _text_ids(source.first(main, columns)[schema.id].drop_nulls())
    upload = Upload(schema, scoring, file, source, columns, text_ids, warnings)
    absent = [name for name in schema.linked if name not in sources]
    if absent:
        upload.warnings.append(f"No file for {', '.join(absent)}: the rows have no history there.")
    if len(sources) > 1:
        _read_linked(upload, {n: s for n, s in sources.items() if n != main.name})
    return upload


def _text_ids(ids: pl.Series) -> bool:
    """Whether ids are texts: more than a few of the first ones are no whole number as one writes it."""
    plain = ids.cast(pl.String).str.contains(r"^-?(0|[1-9]\d{0,17})$")
    return bool(len(ids)) and int(plain.sum()) < 0.9 * len(ids)


def _read_linked(upload: Upload, sources: dict[str, Source]) -> None:
    schema = upload.schema
    main_ids = pl.concat(
        [
            upload.source.read(span, schema.main, [schema.id], upload.text_ids).frame
            for span in upload.source.spans(BLOCK)
        ]
    )[schema.id]
    rejects = [upload.linked_rejects]
    keys = {schema.main.name: main_ids}
    for name, table in schema.linked.items():
        if name not in sources:
            continue
        source = sources[name]
        where = Where(file=source.file, table=name, line=None if isinstance(source, ColumnarFile) else 1)
        upload.warnings += source.warnings + check_columns(source.header, table, schema, upload.scoring, where)
        frame, refused, warnings = _linked_table(source, table, upload.text_ids)
        upload.linked[name] = frame
        rejects.append(refused)
        upload.warnings += [f"{message} ({count:,})" for message, count in warnings.items()]
        if len(table.key) == 1:
            keys[name] = frame[table.key[0]]
    for name, frame in upload.linked.items():
        table = schema.tables[name]
        assert table.parent is not None
        if table.parent_table in keys:
            known = keys[table.parent_table].unique().drop_nulls()
            orphans = frame.height - int(frame[table.parent].is_in(known.implode()).sum())
            if orphans:
                upload.warnings.append(f"{name}: {orphans:,} rows belong to no row of {table.parent_table}.")
    upload.linked_rejects = pl.concat(rejects)


def _linked_table(source: Source, table: Table, text_ids: bool) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, int]]:
    """A linked table whole; a row whose keys cannot be read is left out, another bad cell counts as empty."""
    assert table.parent is not None
    columns = [n for n in source.header if n in table.columns]
    frames, rejects, warnings = [], [pl.DataFrame(schema=REJECT_SCHEMA)], []
    for span in source.spans(4 * BLOCK):
        block = source.read(span, table, columns, text_ids)
        bad = [b for b in block.bad if table.columns[b.column].required or b.column == table.parent]
        counts = {
            f"{table.name}.{b.column}: {b.message} It counts as empty": len(b.index) for b in block.bad if b not in bad
        }
        frame = block.frame
        lost = frame[table.parent].is_null().to_numpy().copy()
        for b in bad:
            lost[b.index] = True
        if dropped := int(lost.sum()) + len(block.ragged):
            counts[f"{table.name}: rows without a usable key or with a wrong number of cells were left out"] = dropped
            rejects.append(_rejects(block, bad, table, table.parent, len(source.header)))
            frame = frame.filter(pl.Series(~lost))
        for b in outside(frame, table, "warn"):
            counts[f"{table.name}.{b.column}: {b.message}"] = len(b.index)
        warnings.append(counts)
        frames.append(frame)
    if not frames:
        typed = {
            n: pl.String() if text_ids and table.columns[n].type == "id" else table.columns[n].dtype for n in columns
        }
        return pl.DataFrame(schema=typed), rejects[0], {}
    return pl.concat(frames), pl.concat(rejects), _added(warnings)
