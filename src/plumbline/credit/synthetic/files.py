"""The files of a portfolio, written chunk by chunk and put in place together."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import orjson
import polars as pl

from plumbline.kernel.errors import Usage, Where

from . import vocabulary as words
from .chunks import Stream
from .faults import faulty_csv, no_faults
from .options import Options
from .portfolio import Report

TRUTH_FOLDER = "truth"


class Files:
    """Writes into a hidden folder beside the destination's files; :meth:`finish` moves them into place.

    Leaving the ``with`` block before :meth:`finish` has run removes what was written.
    """

    def __init__(self, folder: Path, options: Options, kind: str, *, labelled: bool) -> None:
        if kind not in ("csv", "parquet"):
            raise Usage(f"There is no format {kind!r}.", where=Where(field="format"), remedy="Choose csv or parquet.")
        if options.faults and kind != "csv":
            raise Usage(
                "Faulty rows can only be written as CSV: a Parquet file has no ragged lines and no mistyped cells.",
                where=Where(field="format"),
                remedy="Choose csv, or generate without faults.",
            )
        self.folder = folder
        self.options = options
        self.kind = kind
        self.labelled = labelled
        self._writers: dict[str, _CsvFile | _ParquetFile] = {}
        self._faults = [no_faults()]
        self._applications = 0
        folder.mkdir(parents=True, exist_ok=True)
        self.scratch = Path(tempfile.mkdtemp(prefix=".generating-", dir=folder))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for writer in self._writers.values():
            writer.close()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def add(self, table: str, frame: pl.DataFrame) -> None:
        """Append rows to a table's file."""
        self._writer(table).add(frame)

    def add_applications(self, number: int, frame: pl.DataFrame) -> None:
        """Append chunk ``number`` of the application table, with faults if the options ask for them."""
        if not self.labelled:
            frame = frame.drop(words.TARGET)
        writer = self._writer("application")
        if self.options.faults and isinstance(writer, _CsvFile):
            rng = Stream.FAULTS.of(self.options, number)
            text, record = faulty_csv(rng, frame, self._applications + 2, header=self._applications == 0)
            writer.handle.write(text)
            self._faults.append(record)
        else:
            writer.add(frame)
        self._applications += frame.height

    def finish(self, truth: pl.DataFrame, intercept: float, report: Report) -> None:
        """Write truth, faults and report, and move all files to the destination."""
        for writer in self._writers.values():
            writer.close()
        hidden = self.scratch / TRUTH_FOLDER
        hidden.mkdir()
        extras = {"truth": truth} | ({"faults": pl.concat(self._faults)} if self.options.faults else {})
        for name, frame in extras.items():
            path = hidden / f"{name}.{self.kind}"
            if self.kind == "csv":
                frame.write_csv(path)
            else:
                frame.write_parquet(path)
        summary: dict[str, Any] = {
            "options": self.options.to_dict(), "labelled": self.labelled, "intercept": intercept,
            "report": report.to_dict(),
        }  # fmt: skip
        text = orjson.dumps(summary, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)
        (hidden / "portfolio.json").write_bytes(text)
        (self.folder / TRUTH_FOLDER).mkdir(exist_ok=True)
        (self.folder / TRUTH_FOLDER / "faults.csv").unlink(missing_ok=True)  # of files that are being replaced
        for path in sorted(hidden.iterdir()):
            path.replace(self.folder / TRUTH_FOLDER / path.name)
        for table in words.TABLES:
            name = f"{table}.{self.kind}"
            (self.scratch / name).replace(self.folder / name)

    def _writer(self, table: str) -> _CsvFile | _ParquetFile:
        if table not in self._writers:
            path = self.scratch / f"{table}.{self.kind}"
            self._writers[table] = _CsvFile(path) if self.kind == "csv" else _ParquetFile(path)
        return self._writers[table]


class _CsvFile:
    def __init__(self, path: Path) -> None:
        self.handle: BinaryIO = path.open("wb")
        self._begun = False

    def add(self, frame: pl.DataFrame) -> None:
        frame.write_csv(self.handle, include_header=not self._begun)
        self._begun = True

    def close(self) -> None:
        self.handle.close()


class _ParquetFile:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: Any = None

    def add(self, frame: pl.DataFrame) -> None:
        import pyarrow.parquet as pq

        rows = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, rows.schema, compression="zstd")
        self._writer.write_table(rows)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
