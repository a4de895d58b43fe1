"""Proof files: the specification's example, there and back, and that nothing altered passes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from plumbline.kernel.ledger import note, proof, tree
from plumbline.kernel.ledger.note import Checkpoint, VerifierKey
from plumbline.kernel.ledger.proof import Proof

EXAMPLE: str = json.loads((Path(__file__).parent / "vectors" / "notes.json").read_text("utf-8"))["c2sp"]["tlog_proof"]
ORIGIN = "plumbline.example/ledger/01a20cee-17e0-7001-bf42-b72d32bb16d0"
PRIVATE = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"log").digest())
KEY = VerifierKey(ORIGIN, PRIVATE.public_key().public_bytes_raw())
LEAVES = [f'{{"action":"Prüfung {i}","v":1}}'.encode() for i in range(300)]
HASHES = [tree.leaf_hash(leaf) for leaf in LEAVES]


def stored(level: int, start: int, stop: int) -> list[bytes]:
    return (
        HASHES[start:stop] if level == 0 else [tree.root(HASHES[i * 256 : (i + 1) * 256]) for i in range(start, stop)]
    )


TREE = tree.Tree(stored)


def signed(size: int, origin: str = ORIGIN) -> str:
    text = str(Checkpoint(origin, size, TREE.root(size)))
    return f"{text}\n{note.sign(text, origin, PRIVATE)}"


def made(index: int, size: int) -> Proof:
    return Proof(index, tuple(TREE.inclusion(index, size)), signed(size), LEAVES[index])


def test_the_example_of_the_specification_is_read_and_written_byte_for_byte() -> None:
    one = Proof.parse(EXAMPLE)
    assert (one.index, len(one.path), one.leaf and one.leaf[:15]) == (73894, 5, b"age-v1.2.1-darw")
    assert one.note.startswith("example.com/fancylog\n109482\n")
    assert str(one) == EXAMPLE
    with pytest.raises(ValueError, match="base64"):  # the example abridges its signatures
        proof.check(EXAMPLE, [KEY])


@given(st.integers(1, 300), st.data())
@settings(deadline=None, max_examples=50)
def test_a_proof_comes_back_and_checks(size: int, data: st.DataObject) -> None:
    one = made(data.draw(st.integers(0, size - 1)), size)
    assert Proof.parse(str(one)) == one
    found, checkpoint, [signature] = proof.check(str(one), [KEY])
    assert (found, checkpoint.size, signature.key) == (one, size, KEY)
    bare = replace(one, leaf=None)
    assert Proof.parse(str(bare)) == bare
    assert proof.check(str(bare), [KEY], LEAVES[one.index])[0] == bare


@given(st.binary(max_size=80))
def test_any_bytes_can_be_a_leaf(leaf: bytes) -> None:
    text = str(Checkpoint(ORIGIN, 1, tree.leaf_hash(leaf)))
    one = Proof(0, (), f"{text}\n{note.sign(text, ORIGIN, PRIVATE)}", leaf)
    assert proof.check(str(one), [KEY])[0].leaf == leaf


def test_no_shorter_proof_and_no_changed_letter_checks() -> None:
    text = str(made(2, 5))
    for end in range(len(text)):
        with pytest.raises(ValueError, match=r"."):
            proof.check(text[:end], [KEY])
    for i, letter in enumerate(text):
        with pytest.raises(ValueError, match=r"."):
            proof.check(text[:i] + chr(ord(letter) ^ 1) + text[i + 1 :], [KEY])


ONE = made(2, 5)
LINES = str(ONE).split("\n")


def edited(at: int, *lines: str) -> str:
    return "\n".join([*LINES[:at], *lines, *LINES[at + 1 :]])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no proof file"),
        ("\n".join(LINES[:6]), "no proof file"),
        (edited(0, "c2sp.org/tlog-proof@v2"), "no proof file"),
        (edited(1, "extra !!!!"), "base64"),
        (edited(1), "does not hold its leaf"),
        (edited(1, f"extra {note.b64(LEAVES[3])}"), "roots differ"),
        (edited(2), "does not say the index"),
        *((edited(2, f"index {n}"), "does not say the index") for n in ("", "-5", "02", "two", "2 ", "²")),
        (edited(2, "index 3"), "roots differ"),
        (edited(2, "index 5"), "outside of the tree"),
        (edited(3), "too short"),
        (edited(3, LINES[3], LINES[3]), "too long"),
        (edited(3, note.b64(bytes(64))), "not 32 bytes"),
        (edited(3, "!!!!"), "base64"),
        (edited(3, LINES[4]), "roots differ"),
        (edited(3, *[LINES[3]] * 64), "too long"),
        (str(replace(ONE, note=signed(6))), "too short|roots differ"),
        (str(replace(ONE, note=signed(5, "else.example"))), "no known key signed this"),
    ],
)
def test_a_proof_is_refused_with_its_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        proof.check(text, [KEY])


def test_the_leaf_that_is_given_is_the_one_that_is_proved() -> None:
    with pytest.raises(ValueError, match="roots differ"):
        proof.check(str(ONE), [KEY], LEAVES[3])


def test_a_later_checkpoint_adds_to_an_earlier() -> None:
    for older, size in ((1, 2), (5, 300), (256, 257), (300, 300)):
        path = TREE.consistency(older, size)
        first, second = proof.consistent(signed(older), signed(size), path, [KEY])
        assert (first.size, second.size) == (older, size)
        if older < size:
            refused(signed(older), signed(size), [], "proof is empty")
            refused(signed(size), signed(older), path, "go backwards")


def test_a_rewritten_history_is_no_addition() -> None:
    text = str(Checkpoint(ORIGIN, 5, tree.root([*HASHES[:4], HASHES[9]])))
    rewritten = f"{text}\n{note.sign(text, ORIGIN, PRIVATE)}"
    refused(rewritten, signed(8), TREE.consistency(5, 8), "inconsistent")
    refused(rewritten, signed(5), [], "same root")


def test_checkpoints_of_two_logs_are_not_compared() -> None:
    keys = [KEY, VerifierKey("else.example", KEY.public)]
    refused(signed(5), signed(8, "else.example"), TREE.consistency(5, 8), "two logs", keys)


def refused(note1: str, note2: str, path: Any, why: str, keys: list[VerifierKey] | None = None) -> None:
    with pytest.raises(ValueError, match=why):
        proof.consistent(note1, note2, path, keys or [KEY])
