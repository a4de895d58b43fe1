"""The files of a batch: a part per chunk while it runs, then results and rejects in the order of the upload.

Parts are written whole or not at all (temporary file, rename), and named by the attempt that wrote them: a worker that
was declared dead and comes back cannot touch the parts of the one that took over.
"""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import polars as pl

from plumbline.credit.modelling.scorer import Scored
from plumbline.kernel.errors import Unavailable

FORMULA = r"^[=+\-@\t\r]"
NUMBER = r"^[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?$"
RESULTS, RESULTS_PARQUET, REJECTS, RECORDS = "results.csv", "results.parquet", "rejects.csv", "records.sha256"


@dataclass(frozen=True, slots=True)
class Part:
    """One chunk's files: ``name`` is their common beginning; counts of the chunk.

    :ivar warnings: what was odd but accepted → number of cells.
    """

    name: str
    rows: int
    rejected: int
    warnings: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def told_warnings(counts: Iterable[Mapping[str, int]]) -> list[str]:
    """What was odd in the cells of all chunks, each with how often."""
    total: Counter[str] = Counter()
    for part in counts:
        total.update(part)
    return [f"{message} ({count:,})" for message, count in total.items()]


def table_of(scored: Scored, model_version: str, id_name: str) -> pl.DataFrame:
    """The results of a chunk as people get them: one row per application, in the order of the upload."""
    frame = scored.frame().rename({"id": id_name.lower()})
    return frame.with_columns(pl.lit(model_version).alias("model_version"))


def guarded(frame: pl.DataFrame) -> pl.DataFrame:
    """Text that a spreadsheet would run as a formula gets an apostrophe before it; a negative number is none."""

    def safe(name: str) -> pl.Expr:
        text = pl.col(name)
        runs = text.str.contains(FORMULA) & ~text.str.contains(NUMBER)
        return pl.when(runs).then("'" + text).otherwise(text).alias(name)

    return frame.with_columns(safe(name) for name, kind in frame.schema.items() if kind == pl.String)


@contextmanager
def written(path: Path) -> Iterator[IO[bytes]]:
    """A file that appears when it is complete; a full disk is told, and leaves nothing behind."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        with told(path.name):
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
    finally:
        with suppress(OSError):  # the error at hand is the one to tell
            temporary.unlink()


def poured(file: IO[bytes], write: Callable[[IO[bytes]], object]) -> None:
    """What a table's writer makes, written by us: from Polars a full disk comes as an error without its number."""
    made = BytesIO()
    write(made)
    file.write(made.getbuffer())


@contextmanager
def told(name: str) -> Iterator[None]:
    """A disk that takes no more, in words a person can act on."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise Unavailable(f"There is no room to write {name}; nothing of it was kept.",
                              remedy="Free some space (or raise the file size limit), then resume.") from None  # fmt: skip
        raise


def write_part(folder: Path, part: Part, results: pl.DataFrame, rejects: pl.DataFrame, records: bytes) -> None:
    """The three files of a chunk."""
    for suffix, frame in (("results", results), ("rejects", rejects)):
        with written(folder / f"{part.name}.{suffix}.parquet") as file:
            poured(file, partial(frame.write_parquet, compression="zstd"))
    with written(folder / f"{part.name}.records") as file:
        file.write(records)


def combine(parts: Path, folder: Path, ordered: Sequence[Part]) -> dict[str, str]:
    """Results (CSV, Parquet), rejects and record hashes of all parts; returns each file's SHA-256.

    The same parts give the same bytes, whoever wrote them and however often the batch was interrupted.
    """
    for name, suffix in ((RESULTS, "results"), (REJECTS, "rejects")):
        with written(folder / name) as file:
            for number, part in enumerate(ordered):
                frame = guarded(pl.read_parquet(parts / f"{part.name}.{suffix}.parquet"))
                poured(file, partial(frame.write_csv, include_header=number == 0))
    _one_parquet(folder / RESULTS_PARQUET, [parts / f"{part.name}.results.parquet" for part in ordered])
    with written(folder / RECORDS) as file:
        for part in ordered:
            file.write((parts / f"{part.name}.records").read_bytes())
    return {name: sha256_of(folder / name) for name in (RESULTS, RESULTS_PARQUET, REJECTS, RECORDS)}


def _one_parquet(target: Path, sources: Iterable[Path]) -> None:
    import pyarrow.parquet as pq

    with written(target) as file:
        writer = None
        for source in sources:
            table = pq.read_table(source)
            writer = writer or pq.ParquetWriter(file, table.schema, compression="zstd")
            writer.write_table(table.cast(writer.schema))
        if writer is not None:
            writer.close()


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
