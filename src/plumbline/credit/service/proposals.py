"""A schema proposed for a file that nobody has declared yet."""

from __future__ import annotations

import tempfile
from pathlib import Path

import polars as pl

from plumbline.credit.intake.casting import EMPTY
from plumbline.credit.intake.columnar import ColumnarFile
from plumbline.credit.intake.delimited import DelimitedFile
from plumbline.credit.intake.infer import infer
from plumbline.credit.intake.limits import Budget, Limits, check_size, unpack_gzip, unpack_zstd
from plumbline.kernel.errors import InvalidInput, Where

PACKED = ((b"\x1f\x8b", unpack_gzip), (b"\x28\xb5\x2f\xfd", unpack_zstd))


def propose_schema(path: Path, limits: Limits) -> str:
    """TOML of a schema for one table, from a CSV or Parquet file, packed (``.gz``, ``.zst``) or not.

    :raises InvalidInput: the file cannot be read as one table; names file and line.
    :raises TooLarge: over a limit.
    """
    check_size(path, limits, path.name)
    with tempfile.TemporaryDirectory(prefix="plumbline-infer-") as folder:
        return infer(_read(_unpacked(path, Path(folder), limits), path.name), path.name.split(".")[0])


def _magic(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(4)


def _unpacked(path: Path, folder: Path, limits: Limits) -> Path:
    for magic, unpack in PACKED:
        if _magic(path).startswith(magic):
            target = folder / "table"
            unpack(path, target, Budget(limits, path.name))
            return target
    return path


def _read(path: Path, file: str) -> pl.DataFrame:
    magic = _magic(path)
    if magic == b"PAR1":
        ColumnarFile(path, file)  # says what is wrong with a damaged one
        return pl.read_parquet(path, glob=False)
    if magic == b"PK\x03\x04":
        raise InvalidInput("This is an archive or an office document, not one table.", where=Where(file=file),
                           remedy="Unpack it, or save the table as CSV.")  # fmt: skip
    found = DelimitedFile(path, file, [])  # says what is wrong with one that is no text
    try:
        return pl.read_csv(path, separator=found.delimiter, infer_schema_length=None, null_values=list(EMPTY), glob=False,
                           encoding="utf8" if found.encoding == "utf-8" else found.encoding)  # fmt: skip
    except pl.exceptions.PolarsError as error:
        raise InvalidInput(f"The file cannot be read as a table: {str(error).strip().partition(chr(10))[0]}", where=Where(file=file),
                           remedy="See that each line has as many cells as the header.") from None  # fmt: skip
