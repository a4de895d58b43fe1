"""Model files: one deterministic ZIP, addressed by its SHA-256, that holds data and never code."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from secrets import token_hex
from typing import Any

import numpy as np
import numpy.typing as npt

from plumbline.kernel.errors import Corrupt, InvalidInput, NotFound, TooLarge, Where

MOST_MEMBERS = 1000
MOST_BYTES = 512 * 1024 * 1024
SUFFIXES = frozenset({".json", ".npy", ".npz", ".txt"})
_CODE = {".pkl", ".pickle", ".joblib", ".dill", ".pt", ".pth", ".skops"}
_STAMP = (1980, 1, 1, 0, 0, 0)
_PICKLE_STARTS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


def _check_name(name: str) -> None:
    path = PurePosixPath(name)
    where = Where(file=name)
    if not name or name.startswith("/") or "\\" in name or ":" in name or ".." in path.parts or str(path) != name:
        raise InvalidInput("A model file may only hold plain relative names.", where=where)
    suffix = path.suffix.lower()
    if suffix in _CODE:
        raise InvalidInput(
            f"A model file may not hold {suffix} data: loading it can run code.",
            where=where,
            remedy="Store arrays as .npy and settings as .json.",
        )
    if suffix not in SUFFIXES:
        raise InvalidInput(f"A model file may not hold '{suffix}' members.", where=where,
                           remedy="Use .json, .npy, .npz or .txt.")  # fmt: skip


def _check_content(name: str, data: bytes) -> None:
    if data.startswith(_PICKLE_STARTS):
        raise InvalidInput("A member is a pickle: loading it can run code.", where=Where(file=name))


def pack(members: Mapping[str, bytes]) -> bytes:
    """One ZIP of the members: sorted, stored, dated 1980-01-01, mode 0644. Equal members, equal bytes, anywhere.

    :raises InvalidInput: a name or content that :func:`unpack` would refuse.
    :raises TooLarge: more than 1,000 members or 512 MiB.
    """
    if len(members) > MOST_MEMBERS or sum(map(len, members.values())) > MOST_BYTES:
        raise TooLarge("A model file has at most 1,000 members and 512 MiB.", remedy="Train a smaller model.")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            _check_name(name)
            _check_content(name, members[name])
            info = zipfile.ZipInfo(name, _STAMP)
            info.create_system = 3
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(info, members[name])
    return buffer.getvalue()


def unpack(data: bytes) -> dict[str, bytes]:
    """The members of a model file, every one checked before any is read.

    :raises Corrupt: not a ZIP, or a member that fails its checksum.
    :raises InvalidInput: code (pickle, joblib, skops …), absolute or ``..`` paths, links, directories, repeated names.
    :raises TooLarge: more than 1,000 members or 512 MiB, by what the directory says before unpacking.
    """
    remedy = "Fetch the file again from where it was made."
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise Corrupt(f"The model file is not a ZIP archive: {error}.", remedy=remedy) from None
    with archive:
        entries = archive.infolist()
        if len(entries) > MOST_MEMBERS or sum(entry.file_size for entry in entries) > MOST_BYTES:
            raise TooLarge("The model file has more than 1,000 members or 512 MiB.", remedy=remedy)
        seen: set[str] = set()
        for entry in entries:
            _check_name(entry.filename)
            kind = stat.S_IFMT(entry.external_attr >> 16)
            if kind not in (0, stat.S_IFREG):
                raise InvalidInput("A model file may not hold links.", where=Where(file=entry.filename))
            if entry.filename in seen:
                raise InvalidInput("A name occurs twice in the model file.", where=Where(file=entry.filename))
            seen.add(entry.filename)
        members: dict[str, bytes] = {}
        for entry in entries:
            try:
                members[entry.filename] = archive.read(entry)
            except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
                where = Where(file=entry.filename)
                raise Corrupt(f"A member cannot be read: {error}.", where=where, remedy=remedy) from None
            _check_content(entry.filename, members[entry.filename])
    return members


def array_to_bytes(array: npt.NDArray[Any]) -> bytes:
    """A ``.npy`` member."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def array_from_bytes(data: bytes, name: str = "") -> npt.NDArray[Any]:
    """Read a ``.npy`` member; objects are refused.

    :raises Corrupt: not an array of plain numbers.
    """
    try:
        return np.asarray(np.lib.format.read_array(io.BytesIO(data), allow_pickle=False))
    except (ValueError, EOFError) as error:
        raise Corrupt(f"This is not an array of plain numbers: {error}.", where=Where(file=name),
                      remedy="Restore the model file from a backup.") from None  # fmt: skip


class ArtifactStore:
    """Model files by content under any fsspec address: ``sha256/ab/abcd….zip``."""

    def __init__(self, root: str) -> None:
        import fsspec

        self._files, self._root = fsspec.core.url_to_fs(root)

    def path(self, sha256: str) -> str:
        """The address of a file, relative to the root."""
        if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
            raise InvalidInput("A SHA-256 has 64 hexadecimal digits.", where=Where(field="sha256"))
        return f"sha256/{sha256[:2]}/{sha256}.zip"

    def put(self, data: bytes) -> str:
        """Store bytes and return their SHA-256; what is there already and sound is left alone.

        On a local disk: a temporary file, fsync, rename, fsync of the folder, so that a crash leaves all or nothing.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        path = f"{self._root}/{self.path(sha256)}"
        if self._files.exists(path) and hashlib.sha256(self._files.cat_file(path)).hexdigest() == sha256:
            return sha256
        folder = path.rsplit("/", 1)[0]
        self._files.makedirs(folder, exist_ok=True)
        temporary = f"{folder}/.{sha256}.{token_hex(8)}"
        if "file" not in ((self._files.protocol,) if isinstance(self._files.protocol, str) else self._files.protocol):
            self._files.pipe_file(temporary, data)
            self._files.mv(temporary, path)
            return sha256
        with Path(temporary).open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
        if os.name == "posix":
            handle = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        return sha256

    def get(self, sha256: str) -> bytes:
        """The bytes, their hash computed on every load.

        :raises NotFound: no such file.
        :raises Corrupt: the bytes are not what the hash says.
        """
        path = self.path(sha256)
        try:
            data = bytes(self._files.cat_file(f"{self._root}/{path}"))
        except FileNotFoundError:
            raise NotFound("The model file is missing from the store.", where=Where(file=path),
                           remedy="Restore it from a backup, or roll back to another version.") from None  # fmt: skip
        if hashlib.sha256(data).hexdigest() != sha256:
            raise Corrupt("The model file is not what its hash says.", where=Where(file=path),
                          remedy="Restore it from a backup, or roll back to another version.")  # fmt: skip
        return data

    def has(self, sha256: str) -> bool:
        return bool(self._files.exists(f"{self._root}/{self.path(sha256)}"))

    def delete(self, sha256: str) -> None:
        """Remove a file that no version refers to any more; one that is gone already is no fault."""
        path = f"{self._root}/{self.path(sha256)}"
        if self._files.exists(path):
            self._files.rm_file(path)

    def hashes(self) -> list[str]:
        """Every stored hash, sorted."""
        base = f"{self._root}/sha256"
        if not self._files.exists(base):
            return []
        names = (str(path).rsplit("/", 1)[-1] for path in self._files.find(base))
        return sorted(name.removesuffix(".zip") for name in names if name.endswith(".zip"))
