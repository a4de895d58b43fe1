"""A delimited text file read in blocks of rows: typed at once where that works, cell by cell where it does not.

One pass finds where each row begins (a line break inside quotes is part of a cell) and settles encoding and row count;
after it any block can be read alone, so an interrupted batch goes on where it stopped.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from plumbline.credit.intake.casting import EMPTY, EXACT, BadCells, cast_frame
from plumbline.credit.intake.schema import NUMERIC, WHOLE, Table
from plumbline.kernel.errors import InvalidInput, Where

SCAN = 1 << 20
DELIMITERS = ",;\t|"
LONGEST_HEADER = 1 << 20
LF, CR, QUOTE = 10, 13, 34


@dataclass(frozen=True, slots=True)
class Span:
    """A run of whole rows: where its bytes are, the data row (from 0) and the physical line it begins with.

    :ivar plain: each line of it is a row (none is blank, no cell holds a line break).
    """

    offset: int
    length: int
    first_row: int
    rows: int
    line: int
    plain: bool


@dataclass(frozen=True, slots=True)
class Block:
    """Rows as read: ``frame`` typed, ``rows`` their data rows in the file (from 0), ``lines`` their physical lines.

    Rows with a wrong number of cells are not in ``frame`` but in ``ragged``: (data row, line, message).
    """

    frame: pl.DataFrame
    rows: npt.NDArray[np.int64]
    lines: npt.NDArray[np.int64]
    bad: list[BadCells]
    ragged: list[tuple[int, int, str]]
    total: int


class DelimitedFile:
    """:raises InvalidInput: empty, binary, not readable as text, a quote that is never closed."""

    def __init__(self, path: Path, file: str, known: Sequence[str]) -> None:
        self.path, self.file = path, file
        self.warnings: list[str] = []
        self.encoding = "utf-8"
        self._decimal: set[str] = set()
        self._spans: dict[int, list[Span]] = {}
        self._scan_bytes()
        self.header_bytes, self.start = self._header()
        self.delimiter, self.header = self._dialect(known)
        self.rows = sum(span.rows for span in self.spans(16_384))

    def fault(self, detail: str, remedy: str, line: int | None = None) -> InvalidInput:
        return InvalidInput(detail, where=Where(file=self.file, line=line), remedy=remedy)

    def _header(self) -> tuple[bytes, int]:
        with self.path.open("rb") as stream:
            head = stream.read(LONGEST_HEADER)
        begin = 3 if head.startswith(b"\xef\xbb\xbf") else 0
        if not head[begin:].strip():
            raise self.fault("The file is empty.", "Send a file with a header line and rows.")
        while head[begin : begin + 1] in {b"\n", b"\r"}:
            begin += 1
        end, quoted = begin, False
        while True:
            stop = head.find(b"\n", end)
            quoted ^= bool(head.count(b'"', end, len(head) if stop < 0 else stop) % 2)
            if stop < 0 or not quoted:
                break
            end = stop + 1
        if stop < 0:
            if len(head) == LONGEST_HEADER:
                raise self.fault("The header line does not end.", "Save the file as CSV with line breaks.")
            stop = len(head) - 1
        self._before = head[:begin].count(b"\n")
        return head[begin : stop + 1], stop + 1

    def _scan_bytes(self) -> None:
        """Whether all of it is text, and in which encoding."""
        decoder = codecs.getincrementaldecoder("utf-8")()
        fault, base = -1, 0
        with self.path.open("rb") as stream:
            while piece := stream.read(SCAN):
                place = piece.find(b"\0")
                if place >= 0:
                    raise self.fault(
                        "The file is binary, not text (it has NUL bytes).",
                        "Save it as UTF-8 CSV, or send Parquet.",
                        self._line_at(base + place),
                    )
                if fault < 0 and not (piece.isascii() and decoder.getstate()[0] == b""):
                    try:
                        decoder.decode(piece)
                    except UnicodeDecodeError as error:
                        fault = base + error.start
                base += len(piece)
        if fault < 0 and decoder.getstate()[0]:
            fault = base - 1
        if fault >= 0:
            self.encoding = "cp1252"
            line = self._line_at(fault)
            self.warnings.append(f"{self.file} is not UTF-8 (first seen in line {line}); it was read as cp1252.")

    def _line_at(self, offset: int) -> int:
        with self.path.open("rb") as stream:
            return 1 + stream.read(offset).count(b"\n")

    def _dialect(self, known: Sequence[str]) -> tuple[str, list[str]]:
        try:
            text = self.header_bytes.decode(self.encoding)
        except UnicodeDecodeError:
            raise self.fault("The header is neither UTF-8 nor cp1252.", "Save the file as UTF-8.", 1) from None
        wanted = set(known)
        best: tuple[tuple[int, int], str, list[str]] | None = None
        for delimiter in DELIMITERS:
            try:
                cells = [c.strip() for c in next(csv.reader(io.StringIO(text), delimiter=delimiter, strict=True))]
            except (csv.Error, StopIteration):
                continue
            score = (len(wanted & set(cells)), len(cells))
            if best is None or score > best[0]:
                best = (score, delimiter, cells)
        if best is None:
            raise self.fault("The header line cannot be read.", "Check its quotes.", 1)
        return best[1], best[2]

    def spans(self, size: int) -> list[Span]:
        """The file in runs of ``size`` rows; the last may be shorter."""
        if size not in self._spans:
            self._spans[size] = list(self._scan_rows(size))
        return self._spans[size]

    def _scan_rows(self, size: int) -> Iterator[Span]:
        first_line = 1 + self._before + self.header_bytes.count(b"\n")
        buffer = bytearray(SCAN)
        view, numbers, mask = memoryview(buffer), np.frombuffer(buffer, dtype=np.uint8), np.empty(SCAN, dtype=bool)
        base = row_start = span_start = self.start
        line = span_line = row_line = first_line
        quoted, last, rows, row = False, LF, 0, 0
        with self.path.open("rb", buffering=0) as stream:
            stream.seek(self.start)
            while count := stream.readinto(view):
                piece, hit = numbers[:count], mask[:count]
                breaks = np.flatnonzero(np.equal(piece, LF, out=hit))
                ordinal = np.arange(line, line + len(breaks))
                quotes = np.flatnonzero(np.equal(piece, QUOTE, out=hit))
                line += len(breaks)
                if len(quotes) or quoted:
                    plain = ((np.searchsorted(quotes, breaks) + quoted) & 1) == 0
                    breaks, ordinal = breaks[plain], ordinal[plain]
                    quoted ^= bool(len(quotes) & 1)
                if len(breaks):
                    starts = np.empty_like(breaks)
                    starts[0], starts[1:] = row_start - base, breaks[:-1] + 1
                    width = breaks - starts
                    before = np.where(breaks > 0, piece[breaks - 1], last)
                    real = (width > 1) | ((width == 1) & (before != CR))
                    upto = np.cumsum(real)
                    done = 0
                    # A run ends after its size-th row; blank lines behind it belong to the next.
                    for end in range(size - rows, int(upto[-1]) + 1, size):
                        at = int(np.searchsorted(upto, end))
                        stop = base + int(breaks[at]) + 1
                        next_line = int(ordinal[at]) + 1
                        yield Span(span_start, stop - span_start, row, size, span_line, next_line - span_line == size)
                        row += size
                        rows, done = 0, at + 1
                        span_start, span_line = stop, next_line
                    rows = int(upto[-1]) - int(upto[done - 1]) if done else rows + int(upto[-1])
                    row_start, row_line = base + int(breaks[-1]) + 1, int(ordinal[-1]) + 1
                base += count
                last = int(piece[-1])
        if quoted:
            raise self.fault(
                "A quote that opens in or after this line is never closed.", "Close it or double it.", row_line
            )
        if base > row_start and not (base == row_start + 1 and last == CR):
            rows, row_line = rows + 1, row_line + 1
        if rows:
            yield Span(span_start, base - span_start, row, rows, span_line, row_line - span_line == rows)

    def first(self, table: Table, columns: Sequence[str]) -> pl.DataFrame:
        """The first rows that have the right number of cells, as text."""
        with self.path.open("rb") as stream:
            stream.seek(self.start)
            data = self._utf8(stream.read(SCAN // 2))
        starts, ends, _ = self._rows(data, 1)
        good = np.flatnonzero(self._counts(data, starts, ends) == len(self.header) - 1)[:500]
        frame, _ = self._texts(data, starts[good], ends[good], columns)
        self._learn(frame, table)
        return frame

    def _utf8(self, data: bytes) -> bytes:
        return data if self.encoding == "utf-8" else data.decode(self.encoding, errors="replace").encode("utf-8")

    def read(self, span: Span, table: Table, columns: Sequence[str], text_ids: bool) -> Block:
        """The rows of ``span``, only the named columns of ``table``."""
        with self.path.open("rb") as stream:
            stream.seek(span.offset)
            data = stream.read(span.length)
        data = self._utf8(data)
        few = len(columns) < len(self.header) // 2
        even = self._each_even(data, span) if few else self._even(data, span.rows)
        if even and (span.plain or not self._has_blanks(data)):
            frame = self._typed(data, span.rows, table, columns, text_ids)
            if frame is not None:
                rows = np.arange(span.first_row, span.first_row + span.rows)
                return Block(frame, rows, self._lines(data, span), [], [], span.rows)
        return self._by_cell(data, span, table, columns, text_ids)

    def _even(self, data: bytes, rows: int) -> bool:
        """Whether the delimiters outside quotes are as many as the rows need. One row too short beside one too long
        pass here; the parser refuses the long one, if it reads whole rows."""
        numbers = np.frombuffer(data, dtype=np.uint8)
        count = int(np.count_nonzero(numbers == ord(self.delimiter)))
        quotes = np.flatnonzero(numbers == QUOTE)
        if len(quotes):
            opens, closes = quotes[0::2], quotes[1::2]
            lengths = closes - opens
            inside = np.repeat(opens - np.cumsum(lengths) + lengths, lengths) + np.arange(int(lengths.sum()))
            count -= int(np.count_nonzero(numbers[inside] == ord(self.delimiter)))
        return count == rows * (len(self.header) - 1)

    def _has_blanks(self, data: bytes) -> bool:
        return data[:1] in {b"\n", b"\r"} or b"\n\n" in data or b"\n\r\n" in data

    def _each_even(self, data: bytes, span: Span) -> bool:
        starts, ends, _ = self._rows(data, span.line)
        return len(starts) == span.rows and bool((self._counts(data, starts, ends) == len(self.header) - 1).all())

    def _counts(self, data: bytes, starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Delimiters outside quotes in each row."""
        numbers = np.frombuffer(data, dtype=np.uint8)
        delimiters = numbers == ord(self.delimiter)
        if b'"' in data:
            delimiters &= (np.cumsum(numbers == QUOTE) & 1) == 0
        if len(starts) == 0:
            return np.zeros(0, dtype=np.int64)
        # reduceat over (start, end) pairs; the odd entries, between rows, are dropped.
        edges = np.minimum(np.stack([starts, ends], axis=1).ravel(), len(data) - 1)
        counts: npt.NDArray[np.int64] = np.add.reduceat(delimiters, edges, dtype=np.int64)[0::2]
        if ends[-1] >= len(data):
            counts[-1] = int(delimiters[starts[-1] :].sum())
        return counts

    def _lines(self, data: bytes, span: Span) -> npt.NDArray[np.int64]:
        if span.plain:
            return np.arange(span.line, span.line + span.rows)
        return self._rows(data, span.line)[2]

    def _rows(
        self, data: bytes, line: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """First byte, byte after the last, and line of each row that is not blank."""
        numbers = np.frombuffer(data, dtype=np.uint8)
        breaks = np.flatnonzero(numbers == LF)
        quotes = np.flatnonzero(numbers == QUOTE)
        plain = (np.searchsorted(quotes, breaks) & 1) == 0
        ends = breaks[plain]
        lines = np.concatenate([[line], line + np.flatnonzero(plain) + 1])
        if len(ends) == 0 or ends[-1] != len(data) - 1:
            ends = np.append(ends, len(data))
        starts = np.concatenate([[0], ends[:-1] + 1])
        lines = lines[: len(starts)]
        width = ends - starts
        carriage = (width > 0) & (numbers[np.maximum(ends - 1, 0)] == CR)
        real = width - carriage > 0
        return starts[real], ends[real], lines[real]

    def _parse(self, data: bytes, types: dict[str, pl.DataType], columns: Sequence[str]) -> pl.DataFrame:
        names = list(types)
        few = len(columns) < len(names) // 2
        return pl.read_csv(
            data,
            has_header=False,
            separator=self.delimiter,
            schema=types,
            columns=[names.index(name) for name in columns] if few else None,
            null_values=list(EMPTY),
        ).select(columns)

    def _names(self) -> list[str]:
        """The header with a place-holder for cells without a name."""
        return [name or f"\0{i}" for i, name in enumerate(self.header)]

    def _typed(
        self, data: bytes, rows: int, table: Table, columns: Sequence[str], text_ids: bool
    ) -> pl.DataFrame | None:
        """The block read with the schema's types, or None where a cell does not fit them."""
        types: dict[str, pl.DataType] = {}
        for name in self._names():
            column = table.columns.get(name) if name in columns else None
            if column is None or column.type == "date" or (column.type == "id" and text_ids):
                types[name] = pl.String()
            elif column.type in WHOLE and name in self._decimal:
                types[name] = pl.Float64()
            else:
                types[name] = column.dtype
        try:
            frame = self._parse(data, types, columns)
        except pl.exceptions.PolarsError:
            return None
        if frame.height != rows:
            return None
        numeric = [c for c in columns if table.columns[c].type in NUMERIC]
        reals = [c for c in numeric if types[c].is_float()]
        if reals and not all(frame.select(pl.col(reals).is_finite().all()).row(0)):
            return None
        flags = [c for c in columns if table.columns[c].type == "flag"]
        if flags and not all(frame.select(pl.col(flags).is_between(0, 1).all()).row(0)):
            return None
        wholes = [c for c in numeric if table.columns[c].type in WHOLE and types[c].is_float()]
        if wholes:
            exact = (pl.col(wholes) == pl.col(wholes).floor()) & (pl.col(wholes).abs() <= EXACT)
            if not all(frame.select(exact.all()).row(0)):
                return None
            frame = frame.with_columns(pl.col(wholes).cast(pl.Int64))
        dates = [c for c in columns if table.columns[c].type == "date"]
        if dates:
            typed, bad = cast_frame(frame.select(dates), table, text_ids)
            if bad:
                return None
            frame = frame.with_columns(typed.get_columns())
        return frame

    def _by_cell(self, data: bytes, span: Span, table: Table, columns: Sequence[str], text_ids: bool) -> Block:
        starts, ends, lines = self._rows(data, span.line)
        rows = np.arange(span.first_row, span.first_row + len(starts))
        counts = self._counts(data, starts, ends)
        wrong = counts != len(self.header) - 1
        ragged = [
            (int(rows[i]), int(lines[i]), f"The line has {counts[i] + 1} cells where {len(self.header)} are needed.")
            for i in np.flatnonzero(wrong).tolist()
        ]
        good = np.flatnonzero(~wrong)
        frame, clear = self._texts(data, starts[good], ends[good], columns)
        for i in good[~clear].tolist():
            ragged.append((int(rows[i]), int(lines[i]), "The quotes in the line cannot be made out."))
        good = good[clear]
        typed, bad = cast_frame(frame, table, text_ids)
        self._learn(frame, table)
        return Block(typed, rows[good], lines[good], bad, ragged, len(starts))

    def _texts(
        self, data: bytes, starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], columns: Sequence[str]
    ) -> tuple[pl.DataFrame, npt.NDArray[np.bool_]]:
        """These rows, every cell as text, and which of them could be read (the frame holds only those)."""
        clear = np.ones(len(starts), dtype=bool)
        if len(starts) == 0:
            return pl.DataFrame(schema={name: pl.String() for name in columns}), clear
        pieces = [data[a:b] for a, b in zip(starts.tolist(), ends.tolist())]
        try:
            frame = self._parse(b"\n".join(pieces), {name: pl.String() for name in self._names()}, columns)
            if frame.height == len(pieces):
                return frame, clear
        except pl.exceptions.PolarsError:
            pass
        # Some quote stands where none belongs: one row after the other, so that it spoils its own row alone.
        places = [self.header.index(name) for name in columns]
        cells: list[list[str | None]] = []
        for number, piece in enumerate(pieces):
            try:
                records = list(csv.reader(io.StringIO(piece.decode(), newline=""), delimiter=self.delimiter))
            except csv.Error:
                records = []
            clear[number] = len(records) == 1 and len(records[0]) == len(self.header)
            if clear[number]:
                cells.append([None if records[0][i] in EMPTY else records[0][i] for i in places])
        return pl.DataFrame(cells, schema={name: pl.String() for name in columns}, orient="row"), clear

    def _learn(self, frame: pl.DataFrame, table: Table) -> None:
        """Whole numbers written with a decimal point are read as such from now on; it changes speed, not values."""
        wholes = [name for name in frame.columns if table.columns[name].type in WHOLE]
        if wholes and frame.height:
            pointed = frame.select(pl.col(wholes).str.contains(".", literal=True).any()).row(0)
            self._decimal.update(name for name, point in zip(wholes, pointed) if point)
