"""How much an upload may weigh, and unpacking that stays within it."""

from __future__ import annotations

import gzip
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from plumbline.kernel.errors import InvalidInput, TooLarge, Where

PIECE = 1 << 20
# Below this many unpacked bytes a high ratio is a file of zeros or a tiny file, no attack.
RATIO_FROM = 16 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """:ivar max_bytes: of the file as sent.
    :ivar max_unpacked_bytes: of all that comes out of it, counted while unpacking.
    :ivar max_ratio: unpacked to packed, once more than 16 MB came out.
    :ivar max_members: files in an archive or a directory.
    """

    max_bytes: int = 2_000_000_000
    max_unpacked_bytes: int = 8_000_000_000
    max_ratio: float = 200.0
    max_members: int = 64


class Budget:
    """Counts what comes out of one upload."""

    def __init__(self, limits: Limits, file: str) -> None:
        self.limits, self.file, self.out = limits, file, 0

    def copy(self, pieces: Iterator[bytes], packed: int, to: Path, member: str | None = None) -> None:
        """Write ``pieces`` to ``to``; ``packed`` is the size of what they come from.

        :raises TooLarge: more came out than may; what was written is removed.
        """
        here = 0
        where = Where(file=member or self.file)
        try:
            with to.open("xb") as target:
                for piece in pieces:
                    here += len(piece)
                    self.out += len(piece)
                    if self.out > self.limits.max_unpacked_bytes:
                        raise TooLarge(
                            f"The file unpacks to more than {self.limits.max_unpacked_bytes:,} bytes.",
                            where=where,
                            remedy="Split it into smaller files.",
                        )
                    if here > RATIO_FROM and here > self.limits.max_ratio * max(packed, 1):
                        raise TooLarge(
                            f"The file unpacks to more than {self.limits.max_ratio:g} times its size.",
                            where=where,
                            remedy="Send it unpacked.",
                        )
                    target.write(piece)
        except BaseException:
            to.unlink(missing_ok=True)
            raise


def check_size(path: Path, limits: Limits, file: str) -> None:
    """:raises TooLarge: the file as sent is over the limit."""
    size = path.stat().st_size
    if size > limits.max_bytes:
        raise TooLarge(
            f"The file has {size:,} bytes; the limit is {limits.max_bytes:,}.",
            where=Where(file=file),
            remedy="Split it, or raise the limit in the settings.",
        )


def _pieces(stream: Any, file: str, what: str) -> Iterator[bytes]:
    try:
        while piece := stream.read(PIECE):
            yield bytes(piece)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise InvalidInput(
            f"The {what} file is damaged or incomplete ({error}).", where=Where(file=file), remedy="Send it again."
        ) from None


def unpack_gzip(path: Path, to: Path, budget: Budget) -> None:
    """:raises InvalidInput: damaged; :raises TooLarge: over a limit."""
    with gzip.open(path, "rb") as stream:
        budget.copy(_pieces(stream, budget.file, "gzip"), path.stat().st_size, to)


def unpack_zstd(path: Path, to: Path, budget: Budget) -> None:
    """:raises InvalidInput: damaged; :raises TooLarge: over a limit."""
    import pyarrow as pa

    with pa.OSFile(str(path), "rb") as raw, pa.CompressedInputStream(raw, "zstd") as stream:
        budget.copy(_pieces(stream, budget.file, "zstd"), path.stat().st_size, to)


def unpack_zip(path: Path, folder: Path, budget: Budget, wanted: Callable[[str], bool]) -> list[tuple[str, Path]]:
    """Unpack the wanted members; each gets a name of our own in ``folder``, so no name in the archive can lead out.

    :param wanted: whether a member of that file name is of interest.
    :returns: (name in the archive, file) in the order of the archive.
    :raises InvalidInput: damaged, encrypted, or a member with an absolute path, ``..`` or a link.
    :raises TooLarge: over a limit.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise InvalidInput(
            f"The ZIP file is damaged or incomplete ({error}).", where=Where(file=budget.file), remedy="Send it again."
        ) from None
    with archive:
        members = [m for m in archive.infolist() if not m.is_dir()]
        if len(members) > budget.limits.max_members:
            raise TooLarge(
                f"The ZIP file has {len(members)} members; the limit is {budget.limits.max_members}.",
                where=Where(file=budget.file),
                remedy="Leave out what is no table.",
            )
        for member in members:
            _check_member(member, budget.file)
        found: list[tuple[str, Path]] = []
        for number, member in enumerate(members):
            if not wanted(PurePosixPath(member.filename).name):
                continue
            to = folder / f"member-{number:03d}"
            try:
                stream: IO[bytes] = archive.open(member)
            except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
                raise InvalidInput(
                    f"The member {member.filename} cannot be read ({error}).",
                    where=Where(file=budget.file),
                    remedy="Make the ZIP file again.",
                ) from None
            with stream:
                budget.copy(_pieces(stream, member.filename, "ZIP"), member.compress_size, to, member.filename)
            found.append((member.filename, to))
        return found


def _check_member(member: zipfile.ZipInfo, file: str) -> None:
    # orig_filename: the name as it stands in the archive; `filename` has been cut at a NUL and cleaned already.
    name = member.orig_filename.replace("\\", "/")
    parts = name.split("/")
    fault = None
    if name.startswith("/") or (len(name) > 1 and name[1] == ":"):
        fault = "has an absolute path"
    elif ".." in parts:
        fault = "leads out of the archive"
    elif "\0" in name:
        fault = "has a name with a NUL character"
    elif stat.S_ISLNK(member.external_attr >> 16):
        fault = "is a link"
    elif member.flag_bits & 1:
        fault = "is encrypted"
    if fault:
        raise InvalidInput(
            f"The member {name!r} {fault}.",
            where=Where(file=file),
            remedy="Make a plain ZIP file of the tables alone.",
        )
