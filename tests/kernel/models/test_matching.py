"""A batch's list of records against the rows that are there."""

from __future__ import annotations

import hashlib
import os
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline.kernel.ledger import tree
from plumbline.kernel.models.matching import Differences, Hashes, matched, root_of, without


def hashes(count: int) -> list[bytes]:
    return [hashlib.sha256(str(n).encode()).digest() for n in range(count)]


def test_a_list_that_is_as_it_was_differs_in_nothing() -> None:
    assert matched(hashes(5), hashes(5)) == Differences()
    assert matched([], []) == Differences()


def test_several_differences_at_once_are_told_apart() -> None:
    file = hashes(12)
    other = [hashlib.sha256(b"other %d" % n).digest() for n in range(3)]
    # 2 changed, 5 removed, one added before 8, 10 erased, and 11 added at the end
    rows: list[bytes | None] = [
        *file[:2],
        other[0],
        *file[3:5],
        *file[6:8],
        other[1],
        *file[8:10],
        None,
        file[11],
        other[2],
    ]
    found = matched(file, rows)
    assert found == Differences(changed=[(2, 2)], erased=[(10, 10)], added=[7, 12], removed=[(5, 5)])


def test_rows_in_another_order_are_moved_not_changed() -> None:
    file = hashes(6)
    found = matched(file, [*file[:1], *file[2:5], file[1], file[5]])
    assert found == Differences(moved=[(1, 4)])
    assert matched(file, file[::-1]).changed == []


def test_an_erased_row_keeps_its_place_when_another_one_was_added_beside_it() -> None:
    file = hashes(3)
    assert matched(file, [file[0], b"x" * 32, None, file[2]]) == Differences(erased=[(1, 2)], added=[1])


_hash = st.integers(0, 40).map(lambda n: hashlib.sha256(str(n).encode()).digest())


@given(st.lists(_hash, max_size=12, unique=True), st.lists(st.none() | _hash, max_size=14))
def test_every_place_and_every_row_is_told_once(file: list[bytes], rows: list[bytes | None]) -> None:
    found = matched(file, rows)
    pairs = [*found.changed, *found.erased, *found.moved]
    places = [p for p, _ in pairs] + [p for p, _ in found.removed]
    told = [r for _, r in pairs] + found.added
    assert len(set(places)) == len(places)
    assert len(set(told)) == len(told)
    rest = [h for p, h in enumerate(file) if p not in places]
    assert rest == [h for r, h in enumerate(rows) if r not in told]  # as it was, in its order
    assert all(file[p] == rows[r] for p, r in found.moved)
    assert all(rows[r] is None for _, r in found.erased)
    assert all(rows[r] is not None and rows[r] not in file for _, r in found.changed if rows.count(rows[r]) == 1)
    assert all(0 <= r <= len(rows) for _, r in found.removed)


@given(st.integers(1, 60), st.data())
def test_what_was_done_to_a_list_is_found(count: int, data: st.DataObject) -> None:
    file = hashes(count)
    gone = data.draw(st.sets(st.integers(0, count - 1)))
    altered = data.draw(st.sets(st.integers(0, count - 1))) - gone
    rows: list[bytes] = [
        hashlib.sha256(b"altered %d" % i).digest() if i in altered else h for i, h in enumerate(file) if i not in gone
    ]
    at = data.draw(st.sets(st.integers(0, len(rows))))
    for place in sorted(at, reverse=True):
        rows.insert(place, hashlib.sha256(b"added %d" % place).digest())
    found = matched(file, rows)
    assert found.moved == found.erased == []
    # between neighbours no hash can tell a change from a removal and an addition; the sums hold all the same
    assert len(found.changed) + len(found.removed) == len(gone) + len(altered)
    assert len(found.changed) + len(found.added) == len(at) + len(altered)
    packed = matched(Hashes(b"".join(file)), Hashes(b"".join(rows)))
    assert packed == found


def test_packed_hashes_end_where_they_end() -> None:
    file = hashes(3)
    packed = Hashes(b"".join([file[0], bytes(32), file[2]]))
    assert list(packed) == packed[:] == [file[0], None, file[2]]
    with pytest.raises(IndexError):
        packed[3]


@given(st.integers(0, 300))
def test_the_root_over_packed_hashes_is_that_of_the_tree(count: int) -> None:
    file = hashes(count)
    assert root_of(b"".join(file)) == tree.root([tree.leaf_hash(h) for h in file])


def test_the_root_of_several_blocks_is_that_of_the_tree() -> None:
    data = os.urandom(32 * (2 * 65_536 + 3))
    assert root_of(data) == tree.root([tree.leaf_hash(data[i : i + 32]) for i in range(0, len(data), 32)])


@given(
    st.lists(st.uuids() | st.integers(0, 5).map(lambda n: UUID(int=n << 64)), unique=True), st.lists(st.integers(0, 20))
)
def test_ids_that_are_not_named_are_found_also_those_ending_in_zeros(keys: list[UUID], chosen: list[int]) -> None:
    named = {keys[i] for i in chosen if i < len(keys)}
    found = without(bytearray().join(k.bytes for k in keys), bytearray().join(k.bytes for k in named))
    assert found == [k for k in keys if k not in named]
