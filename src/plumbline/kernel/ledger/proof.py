"""The proof file of an entry (pure): C2SP tlog-proof@v1, with the leaf's bytes as its extra data.

Whoever holds the log's public key can check it without the log: the leaf's hash and the path lead to the root that the
checkpoint signs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from plumbline.kernel.ledger import tree
from plumbline.kernel.ledger.note import Checkpoint, Signature, VerifierKey, b64, open_checkpoint, unb64

HEADER = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True, slots=True)
class Proof:
    """``leaf``: the bytes that were logged; ``note``: the signed checkpoint."""

    index: int
    path: tuple[bytes, ...]
    note: str
    leaf: bytes | None = None

    def __str__(self) -> str:
        extra = f"extra {b64(self.leaf)}\n" if self.leaf is not None else ""
        return f"{HEADER}\n{extra}index {self.index}\n" + "".join(f"{b64(h)}\n" for h in self.path) + "\n" + self.note

    @classmethod
    def parse(cls, text: str) -> Proof:
        """
        :raises ValueError: what is malformed.
        """
        head, separator, note = text.partition("\n\n")
        lines = head.split("\n")
        if not separator or lines.pop(0) != HEADER:
            raise ValueError("this is no proof file, or it is cut off")
        leaf = unb64(lines.pop(0).removeprefix("extra ")) if lines and lines[0].startswith("extra ") else None
        number = lines.pop(0).removeprefix("index ") if lines and lines[0].startswith("index ") else ""
        if not (len(number) < 20 and number.isascii() and number.isdigit() and str(int(number)) == number):
            raise ValueError("the proof does not say the index of its entry")
        path = tuple(unb64(line) for line in lines)
        if len(path) > 63:
            raise ValueError("the proof is too long")
        return cls(int(number), path, note, leaf)


def check(
    text: str, keys: Iterable[VerifierKey], leaf: bytes | None = None
) -> tuple[Proof, Checkpoint, list[Signature]]:
    """That the leaf is in the tree that one of ``keys`` signed.

    :param leaf: the bytes that should have been logged; without it those in the file are taken.
    :raises ValueError: what does not hold.
    """
    proof = Proof.parse(text)
    data = proof.leaf if leaf is None else leaf
    if data is None:
        raise ValueError("the proof does not hold its leaf, and none was given")
    checkpoint, signatures = open_checkpoint(proof.note, keys)
    found = tree.root_from_inclusion(tree.leaf_hash(data), proof.index, checkpoint.size, proof.path)
    if found != checkpoint.root:
        raise ValueError("the entry is not in the tree that was signed: the roots differ")
    return proof, checkpoint, signatures


def consistent(
    note1: str, note2: str, path: Sequence[bytes], keys: Iterable[VerifierKey]
) -> tuple[Checkpoint, Checkpoint]:
    """That the later of two signed checkpoints of one log only adds to the earlier.

    :raises ValueError: what does not hold.
    """
    known = list(keys)
    first, _ = open_checkpoint(note1, known)
    second, _ = open_checkpoint(note2, known)
    if first.origin != second.origin:
        raise ValueError("the checkpoints are of two logs")
    tree.verify_consistency(first.size, second.size, first.root, second.root, path)
    return first, second
