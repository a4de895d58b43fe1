"""The Merkle tree against published figures and against RFC 6962's own recursive definition."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plumbline.kernel.ledger import tree

VECTORS = Path(__file__).parent / "vectors"
MERKLE: dict[str, Any] = json.loads((VECTORS / "merkle.json").read_text("utf-8"))
ARGON: dict[str, Any] = json.loads((VECTORS / "argon2020.json").read_text("utf-8"))
EMPTY, SOME = bytes.fromhex(MERKLE["empty_root"]), bytes.fromhex(MERKLE["some_hash"])
LEAVES = [tree.leaf_hash(bytes.fromhex(leaf)) for leaf in MERKLE["leaves"]]
ROOTS = [bytes.fromhex(one) for one in MERKLE["roots"]]

MANY = 70_000
HASHES = [tree.leaf_hash(b"%d" % i) for i in range(MANY)]


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


# ---- RFC 6962, 2.1: the definition itself, over leaves low to high --------------------------------------------------
@cache
def mth(low: int, high: int) -> bytes:
    if high - low == 0:
        return hashlib.sha256().digest()
    if high - low == 1:
        return HASHES[low]
    k = split(high - low)
    return node(mth(low, low + k), mth(low + k, high))


def split(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def path(m: int, low: int, high: int) -> list[bytes]:
    n = high - low
    if n == 1:
        return []
    k = split(n)
    if m < k:
        return [*path(m, low, low + k), mth(low + k, high)]
    return [*path(m - k, low + k, high), mth(low, low + k)]


def proof(m: int, n: int) -> list[bytes]:
    return subproof(m, 0, n, True)


def subproof(m: int, low: int, high: int, whole: bool) -> list[bytes]:
    n = high - low
    if m == n:
        return [] if whole else [mth(low, high)]
    k = split(n)
    if m <= k:
        return [*subproof(m, low, low + k, whole), mth(low + k, high)]
    return [*subproof(m - k, low + k, high, False), mth(low, low + k)]


# ---- stored nodes: leaves, and roots of complete subtrees of 256 and 65,536 leaves ----------------------------------
def stored(hashes: list[bytes]) -> tree.Tree:
    levels = [hashes]
    while len(levels[-1]) >= tree.WIDTH:
        full = len(levels[-1]) // tree.WIDTH
        levels.append([tree.root(levels[-1][i * tree.WIDTH : (i + 1) * tree.WIDTH]) for i in range(full)])
    return tree.Tree(lambda level, start, stop: levels[level][start:stop])


BIG = stored(HASHES)
SIZES = st.integers(1, MANY) | st.integers(0, 16).flatmap(
    lambda power: st.integers(max(1, 2**power - 2), min(MANY, 2**power + 2))
)


def flipped(data: bytes, bit: int) -> bytes:
    return (int.from_bytes(data, "big") ^ 1 << bit).to_bytes(len(data), "big")


def proved(leaf: bytes, index: int, size: int, steps: list[bytes], root: bytes) -> bool:
    try:
        return tree.root_from_inclusion(leaf, index, size, steps) == root
    except ValueError:
        return False


def consistent(size1: int, size2: int, root1: bytes, root2: bytes, steps: list[bytes]) -> bool:
    try:
        tree.verify_consistency(size1, size2, root1, root2, steps)
    except ValueError:
        return False
    return True


# ---- published figures ----------------------------------------------------------------------------------------------
def test_hashes_are_the_published_ones() -> None:
    assert EMPTY == tree.EMPTY
    for one in MERKLE["hashes"]:
        parts = [bytes.fromhex(part) for part in one["of"]]
        assert (tree.leaf_hash if one["kind"] == "leaf" else tree.node_hash)(*parts).hex() == one["is"]


def test_roots_and_nodes_are_the_published_ones() -> None:
    small, frontier = stored(LEAVES), tree.Frontier()
    for size, root in enumerate(ROOTS):
        assert tree.root(LEAVES[:size]) == small.root(size) == frontier.root() == root
        if size < len(LEAVES):
            frontier.add(LEAVES[size])
    for height, row in enumerate(MERKLE["nodes"]):
        for i, found in enumerate(row):
            assert tree.root(LEAVES[i << height : (i + 1) << height]).hex() == found


def test_proofs_are_the_published_ones() -> None:
    small = stored(LEAVES)
    for one in MERKLE["inclusion"]:
        assert [h.hex() for h in small.inclusion(one["index"], one["size"])] == one["path"]
    for one in MERKLE["consistency"]:
        assert [h.hex() for h in small.consistency(*one["sizes"])] == one["path"]


Inclusion = tuple[bytes, int, int, list[bytes], bytes]
Consistency = tuple[int, int, bytes, bytes, list[bytes]]
WRAP = 2**64  # the suite's numbers are unsigned: one below zero is the largest


def inclusion_cases() -> Iterator[tuple[str, bool, Inclusion]]:
    """The suite's files are made from few proofs by a fixed list of changes; so are they here."""
    for one in MERKLE["inclusion"]:
        i, size, steps = one["index"], one["size"], [bytes.fromhex(h) for h in one["path"]]
        leaf, root, name = LEAVES[i], ROOTS[size], f"{i} of {size}: "
        yield name + "sound", True, (leaf, i, size, steps, root)
        for at in ((i - 1) % WRAP, i + 1, i ^ 2):
            yield f"{name}index {at}", False, (leaf, at, size, steps, root)
        for other in (size * 2, size // 2):
            yield f"{name}size {other}", False, (leaf, i, other, steps, root)
        yield name + "short leaf", False, (b"WrongLeaf", i, size, steps, root)
        for wrong in (EMPTY, SOME):
            yield f"{name}root {wrong.hex()[:8]}", False, (leaf, i, size, steps, wrong)
        for extra in (b"", root):
            yield f"{name}{len(extra)} bytes behind", False, (leaf, i, size, [*steps, extra], root)
            yield f"{name}{len(extra)} bytes before", False, (leaf, i, size, [extra, *steps], root)
        for n in range(len(steps)):
            bad = [flipped(h, 251) if n == at else h for at, h in enumerate(steps)]
            yield f"{name}bit of step {n}", False, (leaf, i, size, bad, root)
        if steps:
            yield name + "last step missing", False, (leaf, i, size, steps[:-1], root)
        if len(steps) > 1:
            yield name + "step inserted", False, (leaf, i, size, [steps[0], SOME, *steps[1:]], root)
    for i, size in ((0, 0), (0, 1), (1, 0), (2, 1)):
        for leaf, root in ((SOME, b""), (b"", EMPTY), (SOME, EMPTY)):
            yield f"{i} of {size}: {len(leaf)} and {len(root)} bytes", False, (leaf, i, size, [], root)
    only = tree.leaf_hash(b"data")
    for leaf, root in itertools.product((only, b""), repeat=2):
        yield f"alone: {len(leaf)} and {len(root)} bytes", leaf == root == only, (leaf, 0, 1, [], root)


def consistency_cases() -> Iterator[tuple[str, bool, Consistency]]:
    for one in MERKLE["consistency"]:
        (a, b), steps = one["sizes"], [bytes.fromhex(h) for h in one["path"]]
        root1, root2, name = ROOTS[a], ROOTS[b], f"{one['sizes'][0]} to {one['sizes'][1]}: "
        yield name + "sound", True, (a, b, root1, root2, steps)
        if not steps:
            continue
        for size1, size2 in ((a - 1, b), (a + 1, b), (a ^ 2, b), (a, b * 2), (a, b // 2)):
            yield f"{name}sizes {size1} to {size2}", False, (size1, size2, root1, root2, steps)
        for r1, r2 in ((b"WrongRoot", root2), (root1, b"WrongRoot"), (root2, root1)):
            yield f"{name}roots {r1.hex()[:8]} {r2.hex()[:8]}", False, (a, b, r1, r2, steps)
        yield name + "no proof", False, (a, b, root1, root2, [])
        for extra in (b"", root1, root2):
            yield f"{name}{extra.hex()[:8]} behind", False, (a, b, root1, root2, [*steps, extra])
            yield f"{name}{extra.hex()[:8]} before", False, (a, b, root1, root2, [extra, *steps])
        yield name + "first step doubled", False, (a, b, root1, root2, [steps[0], *steps])
        yield name + "last step missing", False, (a, b, root1, root2, steps[:-1])
        for n in range(len(steps)):
            bad = [flipped(h, 252) if n == at else h for at, h in enumerate(steps)]
            yield f"{name}bit of step {n}", False, (a, b, root1, root2, bad)
    one_root, other = b"don't care 1", b"don't care 2"
    for a, b, root1, root2, steps in (
        (0, 0, one_root, other, []), (1, 1, one_root, other, []), (0, 0, one_root, one_root, []), (0, 1, one_root, other, []),
        (1, 0, one_root, other, []), (2, 1, one_root, other, []), (1, 2, one_root, other, []),
        (0, 0, EMPTY, other, []), (1, 1, EMPTY, other, []), (0, 0, EMPTY, EMPTY, [EMPTY]), (1, 1, EMPTY, EMPTY, [EMPTY]),
        (0, 1, EMPTY, other, []), (0, 1, EMPTY, EMPTY, [EMPTY]),
    ):  # fmt: skip
        yield f"{a} to {b}: {root1!r} {root2!r} {len(steps)}", False, (a, b, root1, root2, steps)
    # the one of 196 that we judge otherwise: the suite holds two equal roots for consistent though they are 12 bytes
    yield "equal roots that are no hashes", False, (1, 1, other, other, [])


def test_the_196_cases_of_the_published_suite_are_judged_as_it_does() -> None:
    inclusion, consistency = list(inclusion_cases()), list(consistency_cases())
    assert (len(inclusion), len(consistency)) == (98, 98)
    wrong = [name for name, sound, case in inclusion if proved(*case) is not sound]
    wrong += [name for name, sound, case in consistency if consistent(*case) is not sound]
    assert wrong == []


def test_a_real_certificate_log_of_a_thousand_million_entries_checks() -> None:
    leaf, root, older = (base64.b64decode(ARGON[key]) for key in ("leaf", "root", "older_root"))
    steps, consistency = ([base64.b64decode(h) for h in ARGON[key]] for key in ("path", "consistency"))
    assert tree.root_from_inclusion(tree.leaf_hash(leaf), ARGON["index"], ARGON["size"], steps) == root
    assert not proved(tree.leaf_hash(leaf), ARGON["index"] + 1, ARGON["size"], steps, root)
    assert not proved(tree.leaf_hash(leaf + b"\0"), ARGON["index"], ARGON["size"], steps, root)
    assert consistent(ARGON["older_size"], ARGON["size"], older, root, consistency)
    assert not consistent(ARGON["older_size"] + 1, ARGON["size"], older, root, consistency)


# ---- properties -----------------------------------------------------------------------------------------------------
def test_every_root_and_proof_below_70_is_that_of_the_rfc() -> None:
    frontier = tree.Frontier()
    for size in range(70):
        assert BIG.root(size) == tree.root(HASHES[:size]) == frontier.root() == mth(0, size)
        for i in range(size):
            steps = BIG.inclusion(i, size)
            assert steps == path(i, 0, size)
            assert tree.root_from_inclusion(HASHES[i], i, size, steps) == mth(0, size)
        for older in range(1, size + 1):
            steps = BIG.consistency(older, size)
            assert steps == proof(older, size)
            tree.verify_consistency(older, size, mth(0, older), mth(0, size), steps)
        frontier.add(HASHES[size])


@given(SIZES, st.data())
@settings(max_examples=60, deadline=None)
def test_roots_and_proofs_of_any_size_are_those_of_the_rfc(size: int, data: st.DataObject) -> None:
    index, older = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    assert BIG.root(size) == mth(0, size)
    steps = BIG.inclusion(index, size)
    assert steps == path(index, 0, size)
    assert tree.root_from_inclusion(HASHES[index], index, size, steps) == mth(0, size)
    steps = BIG.consistency(older, size)
    assert steps == proof(older, size)
    tree.verify_consistency(older, size, mth(0, older), mth(0, size), steps)


@given(SIZES)
@settings(max_examples=40, deadline=None)
def test_a_frontier_of_stored_subtrees_has_the_root_of_the_leaves(size: int) -> None:
    frontier, at = tree.Frontier(), 0
    while size - at >= tree.WIDTH:
        frontier.add(BIG.nodes(1, at // tree.WIDTH, at // tree.WIDTH + 1)[0], tree.HEIGHT)
        at += tree.WIDTH
    rest = tree.Frontier()
    for one in HASHES[at:size]:
        rest.add(one)
    assert frontier.root(rest.parts) == mth(0, size)
    for one in HASHES[at:size]:
        frontier.add(one)
    assert frontier.root() == mth(0, size)


@pytest.mark.parametrize(("index", "size"), [(0, 1), (0, 2), (4, 5), (6, 7), (3, 13)])
def test_no_bit_of_an_inclusion_proof_can_change(index: int, size: int) -> None:
    leaf, steps, root = HASHES[index], BIG.inclusion(index, size), BIG.root(size)
    assert proved(leaf, index, size, steps, root)
    for bit in range(256):
        assert not proved(flipped(leaf, bit), index, size, steps, root)
        assert not proved(leaf, index, size, steps, flipped(root, bit))
        for n, step in enumerate(steps):
            assert not proved(leaf, index, size, [*steps[:n], flipped(step, bit), *steps[n + 1 :]], root)
    for bit in range(64):
        assert not proved(leaf, index ^ 1 << bit, size, steps, root)


@pytest.mark.parametrize(("size1", "size2"), [(1, 2), (3, 5), (4, 7), (6, 13)])
def test_no_bit_of_a_consistency_proof_can_change(size1: int, size2: int) -> None:
    steps, root1, root2 = BIG.consistency(size1, size2), BIG.root(size1), BIG.root(size2)
    assert consistent(size1, size2, root1, root2, steps)
    for bit in range(256):
        assert not consistent(size1, size2, flipped(root1, bit), root2, steps)
        assert not consistent(size1, size2, root1, flipped(root2, bit), steps)
        for n, step in enumerate(steps):
            assert not consistent(size1, size2, root1, root2, [*steps[:n], flipped(step, bit), *steps[n + 1 :]])


@given(SIZES, st.data())
@settings(max_examples=60, deadline=None)
def test_a_proof_holds_for_its_own_place_alone(size: int, data: st.DataObject) -> None:
    index, other = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size - 1))
    steps, root = BIG.inclusion(index, size), BIG.root(size)
    if other != index:
        assert not proved(HASHES[index], other, size, steps, root)
        assert not proved(HASHES[other], index, size, steps, root)
    assert not proved(HASHES[index], index, size, [*steps, SOME], root)
    assert not proved(HASHES[index], index, size, [SOME, *steps], root)
    if steps:
        assert not proved(HASHES[index], index, size, steps[:-1], root)
        assert not proved(HASHES[index], index, size, steps[1:], root)


# ---- refusals say why -----------------------------------------------------------------------------------------------
H = HASHES[0]


@pytest.mark.parametrize(
    ("ask", "why"),
    [
        (lambda: BIG.inclusion(5, 5), "outside of the tree"),
        (lambda: BIG.inclusion(-1, 5), "outside of the tree"),
        (lambda: BIG.consistency(6, 5), "go backwards"),
        (lambda: BIG.root(MANY + 1), "nodes of the tree are missing"),
        (lambda: tree.root_from_inclusion(H, 5, 5, []), "outside of the tree"),
        (lambda: tree.root_from_inclusion(H, 0, 1, [H]), "too long"),
        (lambda: tree.root_from_inclusion(H, 0, 3, [H]), "too short"),
        (lambda: tree.root_from_inclusion(H[1:], 0, 1, []), "not 32 bytes"),
        (lambda: tree.root_from_inclusion(H, 0, 2, [H + H]), "not 32 bytes"),
        (lambda: tree.verify_consistency(2, 1, H, H, []), "go backwards"),
        (lambda: tree.verify_consistency(1, 1, H, EMPTY, []), "same root"),
        (lambda: tree.verify_consistency(0, 1, EMPTY, H, []), "empty tree"),
        (lambda: tree.verify_consistency(1, 2, H, H, []), "proof is empty"),
        (lambda: tree.verify_consistency(1, 2, H, H, [H, H]), "too long"),
        (lambda: tree.verify_consistency(1, 4, H, H, [H]), "too short"),
        (lambda: tree.verify_consistency(1, 2, H, H, [H]), "inconsistent"),
    ],
)
def test_a_refusal_says_why(ask: Callable[[], object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        ask()
