"""Signed notes, checkpoints and cosignatures: published ones, their round trip, and what is refused."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from plumbline.kernel.ledger import note
from plumbline.kernel.ledger.note import COSIGNATURE, Checkpoint, VerifierKey

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "vectors" / "notes.json").read_text("utf-8"))
GO, C2SP, SUNLIGHT = VECTORS["go"], VECTORS["c2sp"], VECTORS["sunlight"]
PETER, ENOCH = (VerifierKey.parse(text) for text in GO["keys"])

ORIGIN = "plumbline.example/ledger/01a20cee-17e0-7001-bf42-b72d32bb16d0"
LOG, OTHER, WITNESS = (Ed25519PrivateKey.from_private_bytes(hashlib.sha256(n).digest()) for n in (b"a", b"b", b"c"))
ROOT = hashlib.sha256(b"root").digest()
TEXT = str(Checkpoint(ORIGIN, 5, ROOT))


def known(key: Ed25519PrivateKey, name: str = ORIGIN, kind: int = note.ED25519) -> VerifierKey:
    return VerifierKey(name, key.public_key().public_bytes_raw(), kind)


KEY, OTHER_KEY, WITNESS_KEY = known(LOG), known(OTHER), known(WITNESS, "witness.example", COSIGNATURE)
LINE = note.sign(TEXT, ORIGIN, LOG)
COSIGNED = note.cosign(TEXT, "witness.example", WITNESS, 1_790_000_000)
NOTE = f"{TEXT}\n{LINE}"


def false(line: str) -> str:
    """The same line with the last bit of its signature turned."""
    dash, name, text = line[:-1].split(" ")
    raw = note.unb64(text)
    return f"{dash} {name} {note.b64(raw[:-1] + bytes([raw[-1] ^ 1]))}\n"


# ---- published ------------------------------------------------------------------------------------------------------
def test_a_signature_equals_go_s_byte_for_byte() -> None:
    private, name = GO["private"].split("+", 4), "PeterNeumann"
    assert private[2] == name
    raw = base64.b64decode(private[4])
    assert raw[0] == note.ED25519
    assert note.sign(GO["text"], name, Ed25519PrivateKey.from_private_bytes(raw[1:])) == GO["lines"][0]


def test_go_s_notes_open() -> None:
    both = GO["text"] + "\n" + "".join(GO["lines"])
    text, signatures = note.open_note(both, [PETER, ENOCH])
    assert text == GO["text"]
    assert [(s.key, s.line, s.at) for s in signatures] == [
        (PETER, GO["lines"][0], None),
        (ENOCH, GO["lines"][1], None),
    ]
    assert [s.key for s in note.open_note(both, [ENOCH])[1]] == [ENOCH]
    assert [s.key for s in note.open_note(both.replace(GO["lines"][0], GO["lines"][0] * 2), [PETER])[1]] == [PETER]


@pytest.mark.parametrize(
    "bad",
    [
        lambda text, line: text,
        lambda text, line: text + "\n",
        lambda text, line: text + "\n" + line[:-1],
        lambda text, line: "\x01" + text + "\n" + line,
        lambda text, line: text + "\n" + line.replace("PeterNeumann", "Bad Name"),
        lambda text, line: text + "\n" + line + "Unexpected line.\n",
        lambda text, line: text + "\n" + line * 101,
        lambda text, line: text + "\n" + line[:60] + "ABCD" + line[60:],
        lambda text, line: text + "\n" + line.replace("PeterNeumann", "CarmenSandiego"),
        lambda text, line: text + "\n" + line.replace("x08g", "xxxx"),
    ],
)
def test_what_go_refuses_is_refused(bad: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        note.open_note(bad(GO["text"], GO["lines"][0]), [PETER])


def test_a_key_of_go_is_read_whole_or_not_at_all() -> None:
    text = GO["keys"][0]
    assert str(VerifierKey.parse(text)) == text
    manglings = {text[i:j] for i in range(len(text)) for j in range(i + 1, len(text) + 1)} - {text}
    manglings |= {text[:i] + chr(ord(text[i]) + 1) + text[i + 1 :] for i in range(len(text))}
    for bad in manglings | set(GO["refused_keys"]):
        with pytest.raises(ValueError, match=r"."):
            VerifierKey.parse(bad)


def test_sunlight_s_cosignatures_check_and_tell_their_time() -> None:
    for one in SUNLIGHT["notes"]:
        key = VerifierKey.parse(one["key"])
        assert key.kind == COSIGNATURE
        text, [signature] = note.open_note(one["note"], [key])
        assert (signature.key, signature.at) == (key, SUNLIGHT["at"])
        assert Checkpoint.parse(text).size == 300
        with pytest.raises(ValueError, match="no known key of"):  # a witness alone does not speak for the log
            note.open_checkpoint(one["note"], [key])


def test_the_examples_of_the_specifications_are_well_formed() -> None:
    """Their keys are not published, so the signatures themselves cannot be checked."""
    text, [line] = note.split("A line.\n\nAnd one after an empty one: è.\n\n" + C2SP["signature_line"])
    assert text == "A line.\n\nAnd one after an empty one: è.\n"
    dash, name, signature = line[:-1].split(" ")
    assert (dash, name, len(note.unb64(signature))) == ("\u2014", "quasimodo.example/salvatore", 4 + 64)

    text, lines = note.split(C2SP["cosigned"])
    assert str(Checkpoint.parse(text)) == text
    assert [line.split(" ")[1] for line in lines] == ["example.com/behind-the-sofa", "witness.example.com/w1"]
    cosignature = note.unb64(lines[1][:-1].split(" ")[2])
    assert len(cosignature) == 4 + 8 + 64
    assert struct.unpack(">Q", cosignature[4:12])[0] == C2SP["cosigned_at"]
    with pytest.raises(ValueError, match="no known key signed this"):
        note.open_note(C2SP["cosigned"], [KEY])


# ---- there and back -------------------------------------------------------------------------------------------------
ONE_LINE = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1)
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"], exclude_characters="+"), min_size=1)


@given(st.lists(ONE_LINE | st.just(""), min_size=1, max_size=6), NAMES, st.integers(0, 2**63 - 1))
@settings(deadline=None)
def test_what_is_signed_opens(lines: list[str], name: str, at: int) -> None:
    text = "".join(line + "\n" for line in lines)
    keys = [known(LOG, name), known(WITNESS, name, COSIGNATURE)]
    assert [VerifierKey.parse(str(key)) for key in keys] == keys
    made = f"{text}\n{note.sign(text, name, LOG)}{note.cosign(text, name, WITNESS, at)}"
    opened, signatures = note.open_note(made, keys)
    assert opened == text
    assert [(s.key, s.at) for s in signatures] == [(keys[0], None), (keys[1], at)]


@given(ONE_LINE, st.integers(0, 2**63), st.binary(min_size=32, max_size=32))
def test_a_checkpoint_comes_back(origin: str, size: int, root: bytes) -> None:
    one = Checkpoint(origin, size, root)
    assert Checkpoint.parse(str(one)) == one


def test_a_checkpoint_may_say_more_after_its_root() -> None:
    text = f"{TEXT}an extension\n"
    assert note.open_checkpoint(f"{text}\n{note.sign(text, ORIGIN, LOG)}", [KEY])[0] == Checkpoint(ORIGIN, 5, ROOT)


def test_signatures_of_the_unknown_are_passed_over() -> None:
    found, signatures = note.open_checkpoint(f"{NOTE}{note.sign(TEXT, 'else.example', OTHER)}{COSIGNED}", [KEY])
    assert found == Checkpoint(ORIGIN, 5, ROOT)
    assert [s.key for s in signatures] == [KEY]


def test_during_a_change_of_keys_either_signature_is_enough() -> None:
    both = NOTE + note.sign(TEXT, ORIGIN, OTHER) + COSIGNED
    assert [s.key for s in note.open_checkpoint(both, [OTHER_KEY])[1]] == [OTHER_KEY]
    assert len(note.open_checkpoint(both, [KEY, OTHER_KEY, WITNESS_KEY])[1]) == 3


# ---- refusals -------------------------------------------------------------------------------------------------------
def test_no_shorter_note_opens() -> None:
    for end in range(len(NOTE)):
        with pytest.raises(ValueError, match=r"."):
            note.open_checkpoint(NOTE[:end], [KEY])


def test_no_letter_of_the_text_can_change() -> None:
    for i, letter in enumerate(TEXT):
        with pytest.raises(ValueError, match=r"."):
            note.open_checkpoint(NOTE[:i] + chr(ord(letter) ^ 1) + NOTE[i + 1 :], [KEY])


def test_no_bit_of_a_signature_can_change() -> None:
    raw = note.unb64(LINE[:-1].split(" ")[2])
    for bit in range(len(raw) * 8):
        bad = bytearray(raw)
        bad[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ValueError, match=r"is false|no known key"):
            note.open_note(f"{TEXT}\n\u2014 {ORIGIN} {note.b64(bytes(bad))}\n", [KEY])


@pytest.mark.parametrize(
    ("bad", "keys", "why"),
    [
        (NOTE, [], "no known key signed this"),
        (NOTE, [OTHER_KEY], "no known key signed this"),
        (NOTE, [known(LOG, "else.example")], "no known key signed this"),
        (NOTE + false(note.sign(TEXT, ORIGIN, OTHER)), [KEY, OTHER_KEY], "is false"),
        (NOTE + false(COSIGNED), [KEY, WITNESS_KEY], "witness.example is false"),
        (NOTE + note.cosign(TEXT + "more\n", "witness.example", WITNESS, 1), [KEY, WITNESS_KEY], "is false"),
        (f"{TEXT}\n{COSIGNED}", [KEY, WITNESS_KEY], "no known key of"),
        (f"{TEXT}\n{note.cosign(TEXT, ORIGIN, LOG, 1)}", [known(LOG, ORIGIN, COSIGNATURE)], "no known key of"),
        (f"{TEXT}\n{note.sign(TEXT, 'else.example', LOG)}", [KEY, known(LOG, "else.example")], "no known key of"),
        (TEXT, [KEY], "no signed note"),
        (TEXT + "\n", [KEY], "no signature, or too many"),
        (NOTE[:-1], [KEY], "cut off"),
        (NOTE.replace("\n", "\r\n"), [KEY], "control character"),
        (NOTE.replace("ledger", "led\tger"), [KEY], "control character"),
        (NOTE + "\n", [KEY], "no signature, or too many"),
        (NOTE + LINE * 100, [KEY], "no signature, or too many"),
        (NOTE.replace("\u2014", "-"), [KEY], "malformed"),
        (NOTE.replace("\u2014 ", "\u2014  "), [KEY], "malformed"),
        (NOTE[:-1] + " \n", [KEY], "malformed"),
        (NOTE[:-1] + "=\n", [KEY], "base64"),
        (NOTE[:-3] + "!=\n", [KEY], "base64"),
        (f"{TEXT}\n\u2014 {ORIGIN} {note.b64(KEY.id)}\n", [KEY], "cut off"),
        (f"{TEXT}\n\u2014 witness.example {note.b64(WITNESS_KEY.id + b'12345678')}\n", [WITNESS_KEY], "cut off"),
    ],
)  # fmt: skip
def test_a_note_is_refused_with_its_reason(bad: str, keys: list[VerifierKey], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        note.open_checkpoint(bad, keys)


def test_base64_has_one_spelling() -> None:
    """Otherwise the same signature could be written in several ways, and a note would not stay byte for byte itself."""
    assert note.unb64("AA==") == b"\0"
    for bad in ("AB==", "AA=", "AA", "AA==\n", " AA==", "A_==", "A-A=", "AA==AA==", "é"):
        with pytest.raises(ValueError, match="base64"):
            note.unb64(bad)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "cut off"),
        (TEXT[:-1], "cut off"),
        (f"{ORIGIN}\n5\n", "three lines"),
        (f"\n5\n{note.b64(ROOT)}\n", "three lines"),
        (TEXT + "\n", "three lines"),
        *(
            (f"{ORIGIN}\n{n}\n{note.b64(ROOT)}\n", "whole number")
            for n in ("05", "-5", "+5", "5.0", " 5", "5_0", "٥", "²")
        ),
        (f"{ORIGIN}\n5\n{note.b64(ROOT[1:])}\n", "32 bytes"),
        (f"{ORIGIN}\n5\n{ROOT.hex()}\n", "32 bytes"),
        (f"{ORIGIN}\n5\n{note.b64(ROOT)[:-2]}!=\n", "base64"),
    ],
)
def test_a_checkpoint_is_refused_with_its_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Checkpoint.parse(text)


PUBLIC = KEY.public


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "name.id.base64"),
        ("name+00000000", "name.id.base64"),
        ("name+00000000+", "empty"),
        ("name+00000000+!!!!", "base64"),
        (f"name+00000000+{note.b64(b'%c' % 1 + PUBLIC)}", "not that of its name"),
        (str(KEY).replace(KEY.id.hex(), KEY.id.hex().upper()), "not that of its name"),
        (f"other{KEY}", "not that of its name"),
        (f"na me+00000000+{note.b64(b'%c' % 1 + PUBLIC)}", "no spaces"),
        (f"na\u2003me+00000000+{note.b64(b'%c' % 1 + PUBLIC)}", "no spaces"),
        (f"+00000000+{note.b64(b'%c' % 1 + PUBLIC)}", "no spaces"),
        (f"name+00000000+{note.b64(b'%c' % 2 + PUBLIC)}", "kind 2"),
        (f"name+00000000+{note.b64(b'%c' % 1 + PUBLIC[1:])}", "32 bytes"),
        (f"name+00000000+{note.b64(b'%c' % 1 + PUBLIC + b'0')}", "32 bytes"),
    ],
)
def test_a_verifier_key_is_refused_with_its_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        VerifierKey.parse(text)


def test_only_whole_lines_are_signed() -> None:
    for text in ("", "no newline"):
        with pytest.raises(ValueError, match="newline"):
            note.sign(text, ORIGIN, LOG)
        with pytest.raises(ValueError, match="newline"):
            note.cosign(text, ORIGIN, LOG, 0)
