"""The Merkle tree of RFC 6962 / 9162 (pure): hashes, roots, inclusion and consistency proofs, and their checks.

Who makes a tree needs :class:`Tree`; who checks one needs only :func:`root_from_inclusion` and :func:`verify_consistency`.
A hash is 32 bytes of SHA-256; a faulty proof raises ``ValueError`` saying what is wrong.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

EMPTY = hashlib.sha256(b"").digest()
"""The root of a tree without leaves."""
WIDTH = 256
"""Leaves of a stored subtree, children of a stored node: as in C2SP tlog-tiles."""
HEIGHT = 8
"""Of a stored subtree: 2**HEIGHT = WIDTH."""

Nodes = Callable[[int, int, int], list[bytes]]
"""``nodes(level, start, stop)``: stored hashes; level 0 holds leaves, level n roots of complete subtrees of 256**n leaves."""


def leaf_hash(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(hashes: Sequence[bytes]) -> bytes:
    """The root over leaf hashes, in order (RFC 9162, 2.1.1): pairs are joined level by level, an odd one moves up."""
    if not hashes:
        return EMPTY
    level = list(hashes)
    sha256 = hashlib.sha256
    while len(level) > 1:
        joined = [sha256(b"\x01" + level[i] + level[i + 1]).digest() for i in range(0, len(level) - 1, 2)]
        if len(level) % 2:
            joined.append(level[-1])
        level = joined
    return level[0]


class Frontier:
    """The root of a growing list of leaves: the roots of the complete subtrees on its right edge, largest first."""

    def __init__(self) -> None:
        self.parts: list[tuple[int, bytes]] = []  # (height, hash), heights descending

    def add(self, part: bytes, height: int = 0) -> None:
        """Append a complete subtree of 2**height leaves; the leaves so far must fill a multiple of that."""
        while self.parts and self.parts[-1][0] == height:
            part = node_hash(self.parts.pop()[1], part)
            height += 1
        self.parts.append((height, part))

    def root(self, further: Iterable[tuple[int, bytes]] = ()) -> bytes:
        """The root of everything added, and of ``further`` smaller subtrees to its right."""
        parts = [*self.parts, *further]
        if not parts:
            return EMPTY
        folded = parts.pop()[1]
        while parts:
            folded = node_hash(parts.pop()[1], folded)
        return folded


class Tree:
    """Roots and proofs out of stored nodes."""

    def __init__(self, nodes: Nodes) -> None:
        self.nodes = nodes

    def root(self, size: int) -> bytes:
        return self._hash(0, size)

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """The path from a leaf to the root of the first ``size`` leaves (RFC 9162, 2.1.3.1)."""
        if not 0 <= index < size:
            raise ValueError("the index is outside of the tree")
        low, high, path = 0, size, []
        while high - low > 1:
            middle = low + _half(high - low)
            if index < middle:
                path.append(self._hash(middle, high))
                high = middle
            else:
                path.append(self._hash(low, middle))
                low = middle
        return path[::-1]

    def consistency(self, size1: int, size2: int) -> list[bytes]:
        """That the first ``size1`` of ``size2`` leaves are a tree of their own (RFC 9162, 2.1.4.1)."""
        if not 0 <= size1 <= size2:
            raise ValueError("the sizes go backwards")
        if size1 in (0, size2):
            return []
        low, high, path, whole = 0, size2, [], True
        while size1 != high:
            middle = low + _half(high - low)
            if size1 <= middle:
                path.append(self._hash(middle, high))
                high = middle
            else:
                path.append(self._hash(low, middle))
                low, whole = middle, False
        if not whole:
            path.append(self._hash(low, high))
        return path[::-1]

    def _hash(self, low: int, high: int) -> bytes:
        """The hash over leaves ``low`` to ``high``; ``low`` is a multiple of a power of two not smaller than their number."""
        if low == high:
            return EMPTY
        level, width = 0, 1
        while high - low >= WIDTH * width:
            level, width = level + 1, width * WIDTH
        full = (high - low) // width
        hashes = self.nodes(level, low // width, low // width + full)
        if len(hashes) != full:
            raise ValueError(f"nodes of the tree are missing between leaves {low} and {high}")
        if low + full * width < high:
            hashes = [*hashes, self._hash(low + full * width, high)]
        return root(hashes)


def _half(count: int) -> int:
    """The largest power of two smaller than ``count``."""
    return 1 << (count - 1).bit_length() - 1


def _demand_hashes(*hashes: bytes) -> None:
    if any(len(h) != 32 for h in hashes):
        raise ValueError("a hash is not 32 bytes")


def root_from_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root that a leaf hash and its path lead to (RFC 9162, 2.1.3.2); compare it with a signed one."""
    if not 0 <= index < size:
        raise ValueError("the index is outside of the tree")
    _demand_hashes(leaf, *path)
    node, last, found = index, size - 1, leaf
    for step in path:
        if last == 0:
            raise ValueError("the proof is too long")
        if node & 1 or node == last:
            found = node_hash(step, found)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            found = node_hash(found, step)
        node >>= 1
        last >>= 1
    if last:
        raise ValueError("the proof is too short")
    return found


def verify_consistency(size1: int, size2: int, root1: bytes, root2: bytes, path: Sequence[bytes]) -> None:
    """That the tree of ``size2`` leaves begins with that of ``size1`` (RFC 9162, 2.1.4.2); else ``ValueError``."""
    if not 0 <= size1 <= size2:
        raise ValueError("the sizes go backwards")
    _demand_hashes(root1, root2, *path)
    if size2 == 0 and root2 != EMPTY:
        raise ValueError("the empty tree has another root")
    if size1 == size2:
        if path or root1 != root2:
            raise ValueError("the same size needs the same root and an empty proof")
        return
    if size1 == 0:
        raise ValueError("an empty tree proves nothing")
    if not path:
        raise ValueError("the proof is empty")
    steps = [root1, *path] if size1 & (size1 - 1) == 0 else list(path)
    node, last = size1 - 1, size2 - 1
    while node & 1:
        node >>= 1
        last >>= 1
    found1 = found2 = steps[0]
    for step in steps[1:]:
        if last == 0:
            raise ValueError("the proof is too long")
        if node & 1 or node == last:
            found1, found2 = node_hash(step, found1), node_hash(step, found2)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            found2 = node_hash(found2, step)
        node >>= 1
        last >>= 1
    if last:
        raise ValueError("the proof is too short")
    if found1 != root1 or found2 != root2:
        raise ValueError("the trees are inconsistent")
