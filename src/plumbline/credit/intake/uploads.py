"""From what was sent to one source of rows per table: unpacked within the limits, told apart by content and name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

from plumbline.credit.intake.columnar import ColumnarFile
from plumbline.credit.intake.delimited import DelimitedFile
from plumbline.credit.intake.limits import Budget, Limits, check_size, unpack_gzip, unpack_zip, unpack_zstd
from plumbline.credit.intake.schema import Schema, Table
from plumbline.kernel.errors import InvalidInput, TooLarge, Where

SUFFIXES = (".csv", ".tsv", ".txt", ".parquet", ".pq")
PACKED = (".gz", ".zst")

Source = DelimitedFile | ColumnarFile


def bare_name(filename: str) -> str:
    """The name without any path, of either kind of system."""
    return PureWindowsPath(PurePosixPath(filename).name).name or "upload"


def table_of(filename: str, schema: Schema) -> Table | None:
    """The table that a file of this name holds."""
    name = bare_name(filename).casefold()
    for suffix in (*PACKED, *SUFFIXES):
        name = name.removesuffix(suffix)
    for table in schema.tables.values():
        if name in {n.casefold() for n in (table.name, *table.files)}:
            return table
    return None


def find_sources(
    path: Path, schema: Schema, file: str, limits: Limits, folder: Path
) -> tuple[dict[str, Source], list[str]]:
    """The sources by table, the main one among them, and warnings about files that are no table.

    :param folder: where unpacked files go; nothing is written elsewhere.
    :raises InvalidInput, TooLarge: see :func:`plumbline.credit.intake.readers.open_upload`.
    """
    if path.is_dir():
        return _from_directory(path, schema, file, limits, folder)
    if not path.is_file():
        raise InvalidInput("There is no such file.", where=Where(file=file), remedy="Check its name.")
    check_size(path, limits, file)
    budget = Budget(limits, file)
    if _magic(path).startswith(b"PK\x03\x04"):
        return _from_zip(path, schema, file, budget, folder)
    return {schema.main.name: _single(path, file, schema.main, budget, folder)}, []


def _magic(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(8)


def _single(path: Path, file: str, table: Table, budget: Budget, folder: Path) -> Source:
    """One table's file, unpacked first if it is packed."""
    magic = _magic(path)
    if magic.startswith((b"\x1f\x8b", b"\x28\xb5\x2f\xfd")):
        to = folder / f"table-{table.name}"
        (unpack_gzip if magic.startswith(b"\x1f\x8b") else unpack_zstd)(path, to, budget)
        path, magic = to, _magic(to)
    if magic.startswith(b"PAR1"):
        return ColumnarFile(path, file)
    if magic.startswith(b"PK\x03\x04"):
        raise InvalidInput(
            "This is a ZIP file or workbook inside another file.", where=Where(file=file), remedy="Unpack it first."
        )
    return DelimitedFile(path, file, list(table.columns))


def _from_zip(
    path: Path, schema: Schema, file: str, budget: Budget, folder: Path
) -> tuple[dict[str, Source], list[str]]:
    ignored: list[str] = []

    def wanted(name: str) -> bool:
        if name in {"[Content_Types].xml", "workbook.xml"}:
            raise InvalidInput(
                "This is an office document, not a table.", where=Where(file=file), remedy="Save it as CSV."
            )
        if table_of(name, schema) is None:
            ignored.append(name)
            return False
        return True

    members = unpack_zip(path, folder, budget, wanted)
    return _assign(members, schema, file, budget, folder, ignored)


def _from_directory(
    path: Path, schema: Schema, file: str, limits: Limits, folder: Path
) -> tuple[dict[str, Source], list[str]]:
    budget = Budget(limits, file)
    files = sorted(f for f in path.iterdir() if f.is_file() and not f.name.startswith("."))
    found, ignored = [], []
    for item in files:
        if table_of(item.name, schema) is None:
            ignored.append(item.name)
            continue
        check_size(item, limits, item.name)
        found.append((item.name, item))
    if len(found) > limits.max_members:
        raise TooLarge(f"The directory has {len(found)} tables; the limit is {limits.max_members}.")
    return _assign(found, schema, file, budget, folder, ignored)


def _assign(
    files: Sequence[tuple[str, Path]], schema: Schema, file: str, budget: Budget, folder: Path, ignored: list[str]
) -> tuple[dict[str, Source], list[str]]:
    names: dict[str, str] = {}
    paths: dict[str, Path] = {}
    for name, path in files:
        table = table_of(name, schema)
        assert table is not None
        if table.name in names:
            raise InvalidInput(
                f"Two files hold the table {table.name}: {names[table.name]} and {name}.",
                where=Where(file=file, table=table.name),
                remedy="Remove one.",
            )
        names[table.name], paths[table.name] = name, path
    main = schema.main
    if main.name not in paths:
        accepted = ", ".join((main.name, *main.files))
        raise InvalidInput(
            f"The main table {main.name} is missing.",
            where=Where(file=file, table=main.name),
            remedy=f"Add a file named {main.name}.csv (or .parquet); accepted names: {accepted}.",
        )
    sources = {t: _single(p, bare_name(names[t]), schema.tables[t], budget, folder) for t, p in paths.items()}
    warnings = [f"{file}: {len(ignored)} files are no table and were left out: {', '.join(ignored[:5])}."]
    return sources, warnings if ignored else []
