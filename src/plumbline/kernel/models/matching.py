"""What happened to a list of records: the hashes that were committed to against those of the rows that are there (pure)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import overload
from uuid import UUID

import numpy as np

from plumbline.kernel.ledger import tree

BLANK = bytes(32)
"""Stands in :class:`Hashes` for an erased row, whose hash nobody can make any more."""
UNREADABLE = b"\xff" * 32
"""Stands for a row whose values no decision could have had."""
_BLOCK = 16
"""Leaves are hashed in blocks of 2**_BLOCK, so that a large list is never held as objects."""


class Hashes(Sequence["bytes | None"]):
    """Packed hashes of 32 bytes, one after the other; ``None`` for an erased row."""

    def __init__(self, data: bytes | bytearray) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data) // 32

    @overload
    def __getitem__(self, index: int) -> bytes | None: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[bytes | None]: ...
    def __getitem__(self, index: int | slice) -> bytes | Sequence[bytes | None] | None:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        found = bytes(self.data[32 * index : 32 * index + 32])
        return None if found == BLANK else found


def root_of(data: bytes | bytearray) -> bytes:
    """The root over packed record hashes, each one a leaf."""
    growing, leaf = tree.Frontier(), tree.leaf_hash
    data = bytes(data)
    step = 32 << _BLOCK
    whole = len(data) // step * step
    for start in range(0, whole, step):
        growing.add(tree.root([leaf(data[i : i + 32]) for i in range(start, start + step, 32)]), _BLOCK)
    rest = [leaf(data[i : i + 32]) for i in range(whole, len(data), 32)]
    return growing.root([(0, tree.root(rest))] if rest else ())


@dataclass(frozen=True, slots=True)
class Differences:
    """All by place, counted from 0 in the list of the file and in that of the rows.

    :ivar changed: (file, row): the row that stands where this hash stood.
    :ivar erased: (file, row): a row without a hash that stands there.
    :ivar moved: (file, row): the row is as it was, but stands elsewhere in the order.
    :ivar added: rows without a place in the file.
    :ivar removed: (file, row): the hash has no row; it stood before this one.
    """

    changed: list[tuple[int, int]] = field(default_factory=list)
    erased: list[tuple[int, int]] = field(default_factory=list)
    moved: list[tuple[int, int]] = field(default_factory=list)
    added: list[int] = field(default_factory=list)
    removed: list[tuple[int, int]] = field(default_factory=list)


def matched(file_hashes: Sequence[bytes | None], row_hashes: Sequence[bytes | None]) -> Differences:
    """Each hash of the file with its row, and what is left over between them, paired in order.

    Hashes are salted, so equal ones are the same record. Between two rows that are as they were, the n-th hash without a row
    and the n-th row without a hash are the same decision, changed; where there are more of one kind, the last of them were
    removed or added (which of several neighbours it was, no hash can tell).

    :param row_hashes: in the order in which the rows stand now; ``None`` for an erased row.
    """
    found = Differences()
    size, rows = len(file_hashes), len(row_hashes)
    low, shorter = 0, min(size, rows)
    while low < shorter and file_hashes[low] == row_hashes[low]:
        low += 1
    tail = 0
    while tail < shorter - low and file_hashes[size - 1 - tail] == row_hashes[rows - 1 - tail]:
        tail += 1
    places = {file_hashes[p]: p for p in range(low, size - tail)}
    pairs = []
    for row in range(low, rows - tail):
        one = row_hashes[row]
        place = places.pop(one, None) if one is not None else None
        if place is not None:
            pairs.append((place, row))
    kept = _ascending(pairs)
    anchored = set(kept)
    found.moved.extend(sorted(pair for pair in pairs if pair not in anchored))
    moved_places, moved_rows = {p for p, _ in found.moved}, {r for _, r in found.moved}
    before = (low - 1, low - 1)
    for place, row in [*kept, (size - tail, rows - tail)]:
        empty = [p for p in range(before[0] + 1, place) if p not in moved_places]
        free = [r for r in range(before[1] + 1, row) if r not in moved_rows]
        _pair(found, empty, free, row, row_hashes)
        before = (place, row)
    return found


def _pair(
    found: Differences, empty: list[int], free: list[int], before: int, row_hashes: Sequence[bytes | None]
) -> None:
    """What is left of the file and of the rows between two that are as they were."""
    surplus = len(free) - len(empty)
    if surplus > 0:  # an erased row had its place: rather one with a hash is new
        candidates = [r for r in free if row_hashes[r] is None] + [r for r in free if row_hashes[r] is not None]
        new = set(candidates[-surplus:])
        found.added.extend(sorted(new))
        free = [r for r in free if r not in new]
    for place, row in zip(empty, free):
        (found.erased if row_hashes[row] is None else found.changed).append((place, row))
    found.removed.extend((place, before) for place in empty[len(free) :])


def _ascending(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest part of the pairs, in the order of their rows, whose places ascend."""
    if all(a[0] < b[0] for a, b in pairwise(pairs)):
        return pairs
    ends: list[int] = []  # the smallest place that ends an ascent of each length
    at: list[int] = []  # and its index
    previous: list[int] = []
    for i, (place, _) in enumerate(pairs):
        length = bisect_left(ends, place)
        previous.append(at[length - 1] if length else -1)
        ends[length : length + 1] = [place]
        at[length : length + 1] = [i]
    kept, i = [], at[-1]
    while i >= 0:
        kept.append(pairs[i])
        i = previous[i]
    return kept[::-1]


def without(keys: bytearray, named: bytearray) -> list[UUID]:
    """Packed ids that are not among ``named``, without an object for each."""
    if not keys:
        return []
    # as text of fixed length: all have 16 bytes, so that numpy's ends in NUL differ in nothing
    missing = ~np.isin(
        np.frombuffer(keys, dtype="S16"), np.frombuffer(named, dtype="S16") if named else np.empty(0, "S16")
    )
    return [UUID(bytes=bytes(keys[16 * i : 16 * i + 16])) for i in np.flatnonzero(missing).tolist()]
