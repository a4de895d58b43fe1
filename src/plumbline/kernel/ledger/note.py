"""Signed notes, checkpoints and cosignatures (pure), as C2SP signed-note, tlog-checkpoint and tlog-cosignature define them.

A note is a text and, after an empty line, signatures: ``— <name> <base64 of key id and signature>``. A checkpoint is a note
whose text says origin, size and root of a tree. A cosignature says besides that a witness saw it, and when. What does not
hold raises ``ValueError`` saying what is wrong.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519, COSIGNATURE = 1, 4
"""Kinds of keys: a log's own, and a witness's, whose signature holds the time."""
_DASH = "\u2014"
MOST_SIGNATURES = 100


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def unb64(text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"'{text[:60]}' is not base64") from None
    if b64(data) != text:
        raise ValueError(f"'{text[:60]}' is not canonical base64")
    return data


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key under a name. Its text form, the *vkey*, is ``name+id+base64``."""

    name: str
    public: bytes
    kind: int = ED25519

    def __post_init__(self) -> None:
        if not self.name or any(c.isspace() or c == "+" or ord(c) < 32 for c in self.name):
            raise ValueError("the name of a key has no spaces, no control characters and no plus sign")
        if self.kind not in (ED25519, COSIGNATURE):
            raise ValueError(f"keys of kind {self.kind} are not known here")
        if len(self.public) != 32:
            raise ValueError("an Ed25519 key is 32 bytes")

    @property
    def id(self) -> bytes:
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{b64(bytes([self.kind]) + self.public)}"

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        parts = text.strip().split("+", 2)
        if len(parts) != 3:
            raise ValueError("a verifier key is written name+id+base64")
        raw = unb64(parts[2])
        if not raw:
            raise ValueError("the verifier key is empty")
        key = cls(parts[0], raw[1:], raw[0])
        if key.id.hex() != parts[1]:
            raise ValueError("the id of the verifier key is not that of its name and bytes")
        return key


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature that was checked. ``at`` is a witness's time, in seconds since 1970."""

    key: VerifierKey
    line: str
    at: int | None = None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The tree of ``origin`` when it had ``size`` leaves."""

    origin: str
    size: int
    root: bytes

    def __str__(self) -> str:
        return f"{self.origin}\n{self.size}\n{b64(self.root)}\n"

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        if not text.endswith("\n"):
            raise ValueError("the checkpoint is cut off")
        lines = text[:-1].split("\n")
        if len(lines) < 3 or "" in lines:
            raise ValueError("a checkpoint has three lines: origin, size and root")
        origin, size, root = lines[:3]
        if not (len(size) < 20 and size.isascii() and size.isdigit() and str(int(size)) == size):
            raise ValueError("the checkpoint's size is no whole number")
        found = unb64(root)
        if len(found) != 32:
            raise ValueError("the checkpoint's root is not 32 bytes")
        return cls(origin, int(size), found)


def sign(text: str, name: str, key: Ed25519PrivateKey) -> str:
    """The signature line of a log's own key."""
    _demand_text(text)
    mine = VerifierKey(name, key.public_key().public_bytes_raw())
    return f"{_DASH} {name} {b64(mine.id + key.sign(text.encode()))}\n"


def cosign(text: str, name: str, key: Ed25519PrivateKey, at: int) -> str:
    """The line of a witness that saw the checkpoint at that second (cosignature/v1)."""
    _demand_text(text)
    _demand_time(at)
    mine = VerifierKey(name, key.public_key().public_bytes_raw(), COSIGNATURE)
    signed = struct.pack(">Q", at) + key.sign(_cosigned(text, at))
    return f"{_DASH} {name} {b64(mine.id + signed)}\n"


def _demand_text(text: str) -> None:
    if not text.endswith("\n"):
        raise ValueError("a note's text ends in a newline")
    _demand_printable(text)


def _demand_printable(text: str) -> None:
    if any(ord(c) < 32 and c != "\n" for c in text):
        raise ValueError("the note holds a control character")


def _demand_time(at: int) -> None:
    if not 0 <= at < 2**63:
        raise ValueError("the time of a cosignature is out of range")


def _cosigned(text: str, at: int) -> bytes:
    return f"cosignature/v1\ntime {at}\n{text}".encode()


def split(note: str) -> tuple[str, list[str]]:
    """Text and signature lines, unchecked."""
    _demand_printable(note)
    cut = note.rfind("\n\n")
    if cut < 0 or not note.endswith("\n"):
        raise ValueError("this is no signed note, or it is cut off")
    lines = [line + "\n" for line in note[cut + 2 : -1].split("\n")] if len(note) > cut + 2 else []
    if not 1 <= len(lines) <= MOST_SIGNATURES:
        raise ValueError("the note has no signature, or too many")
    return note[: cut + 1], lines


def open_note(note: str, keys: Iterable[VerifierKey]) -> tuple[str, list[Signature]]:
    """The text and who of ``keys`` signed it.

    :raises ValueError: the note is malformed, a signature by one of ``keys`` is false, or none of them signed.
    """
    text, lines = split(note)
    known = {(key.name, key.id): key for key in keys}
    good: dict[VerifierKey, Signature] = {}
    for line in lines:
        parts = line[:-1].split(" ")
        if len(parts) != 3 or parts[0] != _DASH or not parts[1]:
            raise ValueError("a signature line is malformed")
        raw = unb64(parts[2])
        if len(raw) < 5:
            raise ValueError("a signature is cut off")
        key = known.get((parts[1], raw[:4]))
        if key is None:
            continue
        at, signature, message = None, raw[4:], text.encode()
        if key.kind == COSIGNATURE:
            if len(raw) != 4 + 8 + 64:
                raise ValueError(f"the cosignature by {key.name} is cut off")
            at = int(struct.unpack(">Q", raw[4:12])[0])
            _demand_time(at)
            signature, message = raw[12:], _cosigned(text, at)
        try:
            Ed25519PublicKey.from_public_bytes(key.public).verify(signature, message)
        except InvalidSignature:
            raise ValueError(f"the signature by {key.name} is false") from None
        good.setdefault(key, Signature(key, line, at))
    if not good:
        raise ValueError("no known key signed this")
    return text, list(good.values())


def open_checkpoint(note: str, keys: Iterable[VerifierKey]) -> tuple[Checkpoint, list[Signature]]:
    """A signed checkpoint; its origin must be the name of a log's key that signed it.

    :raises ValueError: as :func:`open_note`, or the text is no checkpoint, or only others signed it.
    """
    text, signatures = open_note(note, keys)
    found = Checkpoint.parse(text)
    if not any(s.key.kind == ED25519 and s.key.name == found.origin for s in signatures):
        raise ValueError(f"no known key of {found.origin} signed this checkpoint")
    return found, signatures
