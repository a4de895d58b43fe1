"""The script of docs/verify-without-plumbline.md, run as the page shows it, accepts sound proofs and no others."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import plumbline.kernel.ledger
from plumbline.kernel.ledger import entry, note, proof, tree
from plumbline.kernel.ledger.note import Checkpoint, VerifierKey
from plumbline.kernel.ledger.proof import Proof

PAGE = Path(__file__).resolve().parents[2] / "docs" / "verify-without-plumbline.md"
SHIPPED = Path(plumbline.kernel.ledger.__file__).with_name("check.sh")
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
[SCRIPT] = [block for block in BLOCKS if block.startswith("#!/bin/sh\n")]
[FROM_VKEY] = [block for block in BLOCKS if "openssl pkey " in block]

ORIGIN = "plumbline.example/ledger/01a20cee-17e0-7001-bf42-b72d32bb16d0"
LOG, OTHER, WITNESS = (Ed25519PrivateKey.from_private_bytes(hashlib.sha256(n).digest()) for n in (b"a", b"b", b"c"))
# what a shell, printf or awk could stumble over is in every leaf
LEAVES = [rf'{{"action":"é ☃ \"\\\\ %s $HOME `id` \u0007 -n {i}","v":1}}'.encode() for i in range(1000)]
HASHES = [tree.leaf_hash(leaf) for leaf in LEAVES]
SHELLS = [shell for shell in ("sh", "dash", "bash") if shutil.which(shell)]


def stored(level: int, start: int, stop: int) -> list[bytes]:
    width = 256**level
    return [tree.root(HASHES[i * width : (i + 1) * width]) for i in range(start, stop)]


TREE = tree.Tree(stored)


def text(size: int, origin: str = ORIGIN) -> str:
    return str(Checkpoint(origin, size, TREE.root(size)))


def made(index: int, size: int) -> Proof:
    signed = f"{text(size)}\n{note.sign(text(size), ORIGIN, LOG)}"
    return Proof(index, tuple(TREE.inclusion(index, size)), signed, LEAVES[index])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("the page cannot be tested: there is no openssl")
        pytest.skip("there is no openssl, which the page's script needs")
    path = tmp_path_factory.mktemp("outsider")
    (path / "check.sh").write_text(SCRIPT, "utf-8")
    for name, key in (("log", LOG), ("other", OTHER)):
        pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (path / f"{name}.pem").write_bytes(pem)
    return path


def run(folder: Path, file: str, key: str = "log.pem", shell: str = "sh") -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "TMPDIR": str(folder)}
    return subprocess.run([shell, "check.sh", file, key], cwd=folder, env=env, capture_output=True, text=True,
                          encoding="utf-8", check=False, timeout=60)  # fmt: skip


def check(folder: Path, content: str, key: str = "log.pem", shell: str = "sh") -> subprocess.CompletedProcess[str]:
    (folder / "one.tlog-proof").write_bytes(content.encode())
    return run(folder, "one.tlog-proof", key, shell)


def assert_refused(done: subprocess.CompletedProcess[str], why: str = "") -> None:
    assert done.returncode == 1, done
    assert done.stdout == ""
    assert re.search(f"^NOT PROVED: .*{why}", done.stderr, re.MULTILINE), done.stderr


def test_the_page_shows_the_script_that_is_shipped_and_it_is_short() -> None:
    assert SHIPPED.read_text("utf-8") == SCRIPT
    assert len(SCRIPT.splitlines()) <= 20
    assert not re.search(r"\b(python3?|perl|xxd|jq|curl)\b", SCRIPT)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 255, 256, 257, 1000])
def test_sound_proofs_are_accepted(folder: Path, size: int) -> None:
    for index in sorted({0, size // 3, size - 1} | ({255, 256} & set(range(size)))):
        one = made(index, size)
        proof.check(str(one), [VerifierKey(ORIGIN, LOG.public_key().public_bytes_raw())])
        for shell in SHELLS if size in (3, 257) else SHELLS[:1]:
            done = check(folder, str(one), shell=shell)
            assert done.returncode == 0, done.stderr
            assert done.stdout == f"PROVED: entry {index} of {size} in {ORIGIN}:\n{LEAVES[index].decode()}\n"
    assert sorted(p.name for p in folder.iterdir()) == ["check.sh", "log.pem", "one.tlog-proof", "other.pem"]


def test_an_entry_as_plumbline_logs_it_is_shown_and_its_opened_groups_match(folder: Path) -> None:
    salt, one = bytes(range(32)), UUID("01a20cee-17e0-7001-bf42-b72d32bb16d0")
    message = entry.content_message(
        details={"note": "naïve ☃"}, error_message=None, new_values={"n": 1.5}, old_values=None
    )
    (folder / "content.bin").write_bytes(salt + message)
    leaf = entry.leaf(
        id=one, organization_id=one, timestamp=datetime(2026, 11, 24, tzinfo=UTC), action="models.activate", actor_type="user",
        user_id=one, resource_type="model", resource_id=None, request_id=None, success=True, actor_commitment=bytes(32),
        content_commitment=entry.commitment(salt, message),
    )  # fmt: skip
    signed = str(Checkpoint(ORIGIN, 1, tree.leaf_hash(leaf)))
    done = check(folder, str(Proof(0, (), f"{signed}\n{note.sign(signed, ORIGIN, LOG)}", leaf)))
    assert done.stdout.splitlines()[1] == leaf.decode()

    summed = subprocess.run(["sha256sum", "content.bin"], cwd=folder, capture_output=True, text=True, check=True).stdout
    assert f'"content":"{summed.split()[0]}"' in done.stdout
    shown = subprocess.run(["tail", "-c", "+33", "content.bin"], cwd=folder, capture_output=True, check=True).stdout
    assert shown == message
    (folder / "content.bin").unlink()


def test_of_several_signatures_of_the_log_one_by_this_key_is_enough(folder: Path) -> None:
    signed = text(5)
    lines = [
        note.sign(signed, ORIGIN, OTHER),
        note.cosign(signed, "witness.example", WITNESS, 1_790_000_000),
        note.sign(signed, ORIGIN, LOG),
    ]
    content = str(replace(made(4, 5), note=signed + "\n" + "".join(lines)))
    assert check(folder, content).returncode == check(folder, content, "other.pem").returncode == 0
    longer = signed + "a line more\n"
    content = str(replace(made(4, 5), note=f"{longer}\n{note.sign(longer, ORIGIN, LOG)}"))
    assert check(folder, content).returncode == 0
    cosigned = note.cosign(signed, ORIGIN, OTHER, 5)  # under the log's name, and yet no signature of the text itself
    assert_refused(check(folder, str(replace(made(4, 5), note=f"{signed}\n{cosigned}")), "other.pem"), "no signature")


def test_a_verifier_key_becomes_the_pem_file(folder: Path) -> None:
    key = VerifierKey(ORIGIN, LOG.public_key().public_bytes_raw())
    env = {"PATH": os.environ["PATH"], "LAST_PART": str(key).split("+", 2)[2]}
    inner = folder / "vkey"
    inner.mkdir()
    subprocess.run(["sh", "-eu", "-c", FROM_VKEY], cwd=inner, env=env, check=True)
    assert (inner / "log.pem").read_bytes() == (folder / "log.pem").read_bytes()
    shutil.rmtree(inner)


# ---- what is refused ------------------------------------------------------------------------------------------------
SOUND = made(4, 7)  # three lines of path
LINES = str(SOUND).split("\n")
LEAF, INDEX, PATH, SIZE, ROOT, SIGNATURE = 1, 2, 3, 8, 9, 11


def edited(at: int, *lines: str) -> str:
    return "\n".join([*LINES[:at], *lines, *LINES[at + 1 :]])


def turned(line: str, byte: int) -> str:
    """The last word of the line, base64, with a bit of that byte turned."""
    before, _, word = line.rpartition(" ")
    raw = bytearray(note.unb64(word))
    raw[byte] ^= 1
    return f"{before} {note.b64(bytes(raw))}".strip()


def other_leaf() -> str:
    return f"extra {note.b64(LEAVES[4].replace(b'4', b'5'))}"


def forged() -> str:
    """All of it fits together, only the signature does not: another leaf, with the root it leads to."""
    leaf = LEAVES[4].replace(b"4", b"5")
    root = tree.root_from_inclusion(tree.leaf_hash(leaf), 4, 7, SOUND.path)
    return edited(LEAF, other_leaf()).replace(LINES[ROOT], note.b64(root))


NUMBERS = ["", "3", "5", "6", "7", "70", "-1", "+4", "04", "4 ", "4x", "0x4", "4 5", r"\0064", "9" * 30]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (edited(LEAF, other_leaf()), "not in the signed tree"),
        (edited(LEAF, turned(LINES[LEAF], 0)), "not in the signed tree"),
        (edited(LEAF, LINES[LEAF] + "!"), "the leaf"),
        (edited(LEAF), ""),
        *((edited(PATH + n, turned(LINES[PATH + n], byte)), "not in the signed tree") for n in range(3) for byte in (0, 31)),
        *((edited(PATH + n), "a line of the path is missing") for n in range(3)),
        *((edited(PATH + n, LINES[PATH + n], LINES[PATH]), "not in the signed tree") for n in range(3)),
        (edited(PATH, LINES[PATH + 1], LINES[PATH]), "not in the signed tree"),
        (edited(PATH, LINES[PATH][:-4]), "cut off"),
        (edited(PATH, "*" * 43 + "="), "cut off"),
        (edited(PATH, note.b64(bytes(65))), "cut off"),
        (str(replace(made(0, 1), index=1)), "index or size"),  # no path would give it away
        *((edited(INDEX, f"index {n}"), "") for n in NUMBERS if n != "4 "),
        *((edited(SIZE, n), "") for n in [*NUMBERS, "0", "8", "14"] if n != "7"),
        (edited(ROOT, turned(LINES[ROOT], 0)), "not in the signed tree"),
        (edited(ROOT, turned(LINES[ROOT], 31)), "not in the signed tree"),
        (forged(), "no signature"),
        (edited(7, ORIGIN + "x"), "no signature"),
        (str(SOUND).replace(ORIGIN, "else.example"), "no signature"),
        *((edited(SIGNATURE, turned(LINES[SIGNATURE], byte)), "no signature") for byte in (4, 35, 36, 67)),
        (edited(SIGNATURE, LINES[SIGNATURE][:-8]), "no signature"),
        (edited(SIGNATURE), "no signature"),
        (edited(SIGNATURE, note.sign(text(7), "else.example", LOG)[:-1]), "no signature"),
        (edited(SIGNATURE, note.sign(text(6), ORIGIN, LOG)[:-1]), "no signature"),
        (edited(0, "c2sp.org/tlog-proof@v2"), ""),
        (edited(0), ""),
        (edited(INDEX), ""),
        (edited(6), "cut off"),
        (edited(10), "cut off"),
        (edited(6, "", ""), "cut off"),
        ("\n" + str(SOUND), "cut off"),
        (str(SOUND) + "\n", "cut off"),
        (str(SOUND).replace("\n", "\r\n"), "cut off"),
        ("", "cut off"),
        ("\n\n", "cut off"),
    ],
)  # fmt: skip
def test_an_altered_file_is_refused(folder: Path, content: str, why: str) -> None:
    assert_refused(check(folder, content), why)


def test_a_number_cannot_hide_behind_a_shell_that_reads_backslashes(folder: Path) -> None:
    content = edited(0, r"c2sp.org/tlog-proof@v1 extra index 4 7\n").replace("index 4\n", "index -4\n")
    for shell in SHELLS:
        assert_refused(check(folder, content, shell=shell))


def test_a_truncated_file_is_refused(folder: Path) -> None:
    whole = str(SOUND)
    places = {len("\n".join(LINES[:n])) + more for n in range(1, len(LINES)) for more in (0, 1)} | {10, len(whole) - 1}
    for end in sorted(places - {len(whole)}):
        if end < len(whole):
            assert_refused(check(folder, whole[:end]))


@pytest.mark.parametrize(
    "key", ["other.pem", "none.pem", "check.sh", pytest.param("", id="no key")]
)  # fmt: skip
def test_the_wrong_key_is_refused(folder: Path, key: str) -> None:
    assert check(folder, str(SOUND)).returncode == 0
    assert_refused(run(folder, "one.tlog-proof", key), "no signature")


def test_a_long_entry_is_accepted(folder: Path) -> None:
    leaf = b'{"n":"' + b"x" * 300_000 + b'"}'
    signed = str(Checkpoint(ORIGIN, 1, tree.leaf_hash(leaf)))
    done = check(folder, str(Proof(0, (), f"{signed}\n{note.sign(signed, ORIGIN, LOG)}", leaf)))
    assert done.stdout.encode().endswith(b"\n" + leaf + b"\n")


def test_a_missing_file_is_refused(folder: Path) -> None:
    assert_refused(run(folder, "none.tlog-proof"), "no proof file")


def test_plumbline_s_own_check_refuses_the_same(folder: Path) -> None:
    key, whole = VerifierKey(ORIGIN, LOG.public_key().public_bytes_raw()), str(SOUND)
    for at in range(0, len(whole), 23):
        content = whole[:at] + chr(ord(whole[at]) ^ 1) + whole[at + 1 :]
        with pytest.raises(ValueError, match=r"."):
            proof.check(content, [key])
        assert_refused(check(folder, content))
