"""The ledger on the command line, as an auditor and an operator use it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from plumbline.cli import run
from plumbline.kernel.database import Database
from plumbline.kernel.ledger import keys, note, proof
from tests.conftest import Firm

Told = Callable[..., Any]


@pytest.fixture
def told(sqlite_url: str, firm: Firm, capsys: pytest.CaptureFixture[str]) -> Told:
    """The answer of a command of the ledger (or of the audit log): its JSON, or with ``text=True`` its text; errors as text."""
    home = ["--home", str(firm.installation.settings.home), "--database-url", sqlite_url, "--organization", "northwind"]

    def call(*words: str, code: int = 0, text: bool = False) -> Any:
        capsys.readouterr()
        assert (
            run([*home, *(() if words[0] == "audit" else ("ledger",)), *words, *([] if text else ["--json"])]) == code
        )
        out = capsys.readouterr()
        if text:
            return out.out + out.err
        return out.err if code not in (0, 3) else json.loads(out.out)

    return call


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One engine is enough for words on a terminal."""
    return sqlite_url


def test_from_the_first_seal_to_a_proof(told: Told, tmp_path: Path) -> None:
    before = told("status")
    assert (before["entries_sealed"], before["root"], before["obstacle"], before["verifier_keys"]) == (
        0,
        None,
        None,
        [],
    )
    assert before["waiting"] == 3
    assert "Nothing is sealed yet" in told("checkpoint", code=1, text=True)
    assert "There is no key yet" in told("key", "show", code=1)
    done = told("seal")
    assert (done["sealed"], done["size"], done["deliveries"]) == (4, 4, [])  # the act itself is the fourth
    assert told("status")["waiting"] == 0
    (row,) = told("checkpoints")
    assert (row["size"], row["note"]) == (4, done["checkpoint"])
    assert told("checkpoint", text=True) == done["checkpoint"]

    verified = told("verify", "--records")
    assert verified["sound"]
    assert (verified["entries"], verified["decisions"], verified["findings"]) == (4, 0, [])
    assert "sound" in told("verify", text=True)

    (shown,) = told("key", "show")
    key = note.VerifierKey.parse(shown["verifier_key"])
    assert told("key", "show", "--pem", text=True) == shown["pem"]
    entry = told("audit", "list")["items"][-1]["id"]
    file = tmp_path / "entry.tlog-proof"
    told("prove", entry, "--out", str(file), text=True)
    found, checkpoint, _ = proof.check(file.read_text("utf-8"), [key])
    assert (found.index, checkpoint.origin) == (0, key.name)
    assert json.loads(found.leaf or b"")["id"] == entry
    assert told("prove", entry)["entry"]["leaf"] == (found.leaf or b"").decode()


def test_a_checkpoint_that_was_kept_is_held_against_the_ledger(told: Told, tmp_path: Path, sqlite_url: str) -> None:
    told("seal")
    kept = tmp_path / "kept.checkpoint"
    told("checkpoint", "--out", str(kept), text=True)
    told("seal")
    assert told("verify", "--since", str(kept))["from_size"] == 4
    assert told("verify", "--checkpoint", str(kept))["sound"]
    assert told("consistency", str(kept))["consistent"]
    assert told("consistency", "4", "5")["path"]
    assert "There is no checkpoint of 3" in told("consistency", "3", code=1)

    stranger = tmp_path / "stranger.pem"
    stranger.write_text(keys.public_pem(Ed25519PrivateKey.generate().public_key().public_bytes_raw()))
    refused = told("verify", "--key", str(stranger), code=3)
    assert {f["kind"] for f in refused["findings"]} == {"signature"}
    assert "NOT SOUND" in told("verify", "--key", str(stranger), code=3, text=True)
    (shown,) = told("key", "show")
    assert told("verify", "--key", shown["verifier_key"])["sound"]

    later = tmp_path / "later.checkpoint"
    told("checkpoint", "--out", str(later), text=True)
    owner = Database(sqlite_url, role="owner")
    with owner.connect(write=True) as connection:  # the newest batch is gone, as after restoring an old copy
        for table in ("ledger_checkpoints", "ledger_leaves", "audit_log"):
            connection.exec_driver_sql(f"DROP TRIGGER {table}_delete")
        connection.exec_driver_sql(
            "DELETE FROM audit_log WHERE id IN (SELECT entry_id FROM ledger_leaves WHERE leaf_index >= 4)"
        )
        connection.exec_driver_sql("DELETE FROM audit_log WHERE id NOT IN (SELECT entry_id FROM ledger_leaves)")
        connection.exec_driver_sql("DELETE FROM ledger_leaves WHERE leaf_index >= 4")
        connection.exec_driver_sql("DELETE FROM ledger_checkpoints WHERE tree_size > 4")
        connection.exec_driver_sql("DELETE FROM ledger_pending")
    owner.close()
    assert told("verify", "--checkpoint", str(kept))["sound"], "an old checkpoint cannot know"
    found = told("verify", "--checkpoint", str(later), code=3)
    assert "cut" in {f["kind"] for f in found["findings"]}
    assert "was cut off" in told("consistency", str(later), code=3)["fault"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "no signed note"),
        ("x\n", "no signed note"),
        ("origin\n5\nAAAA\n\n— origin AAAA\n", "malformed|cut off|not 32|base64"),
        (None, "cannot be read"),
    ],
    ids=["empty", "a line", "a forged form", "no file"],
)
def test_a_file_that_is_no_checkpoint_is_told(told: Told, tmp_path: Path, content: str | None, words: str) -> None:
    told("seal")
    file = tmp_path / "given"
    if content is not None:
        file.write_text(content, "utf-8")
    for option in (("verify", "--since"), ("verify", "--checkpoint"), ("consistency",)):
        assert re.search(words, told(*option, str(file), code=1)), option


def test_another_organization_s_checkpoint_is_none_of_this_one(told: Told, other_firm: Firm, tmp_path: Path) -> None:
    from plumbline.kernel.ledger.service import sealing

    told("seal")
    theirs = sealing.seal(other_firm.installation, other_firm.id).note
    assert theirs is not None
    file = tmp_path / "theirs"
    file.write_text(theirs, "utf-8")
    assert "another ledger" in told("verify", "--since", str(file), code=1)


def test_erasure_and_retention_begin_with_a_dry_run(told: Told, firm: Firm) -> None:
    told("seal")
    dry = told("erase", "--user", "northwind-admin")
    assert dry["done"] is False
    assert dry["plan"]["actor_entries"]
    assert "would erase: entries of the audit log" in told("erase", "--user", "northwind-admin", text=True)
    assert "at least 10" in told("erase", "--user", "northwind-admin", "--yes", code=1)
    done = told("erase", "--user", "northwind-admin", "--yes", "--reason", "left the firm years ago")
    assert done["done"]
    assert "Nothing is known" in told("erase", "--subject", "nobody", text=True)
    assert "subject or about a person" in told("erase", code=1)
    assert told("verify")["sound"]
    assert told("prune", "--retention-days", "365")["pruning"]["entries"] == 0
    assert "would archive and remove 0 entries" in told("prune", "--retention-days", "365", text=True)


def test_a_key_is_rotated_and_witnesses_are_registered(told: Told, tmp_path: Path) -> None:
    told("seal")
    assert told("key", "rotate", "--reason", "the yearly change of the key")["organizations"] == 1
    assert len(told("key", "show")) == 2
    assert told("verify")["sound"]
    assert "not lost" in told("key", "rotate", "--lost", "--reason", "we cannot find it anywhere", code=1)
    log = note.VerifierKey("bank.example/ledger/1", Ed25519PrivateKey.generate().public_key().public_bytes_raw())
    told("witness", "add", str(log))
    assert [w["origin"] for w in told("witness", "list")] == ["bank.example/ledger/1"]
    assert told("witness", "key")["verifier_key"].startswith("plumbline.local/witness+")
    told("witness", "remove", "bank.example/ledger/1")
    assert told("witness", "list") == []
    assert "no verifier key" in told("witness", "add", "nonsense", code=1)


@pytest.mark.skipif(os.name == "nt", reason="modes are POSIX's")
def test_the_key_s_file_is_its_owner_s_alone(told: Told, firm: Firm) -> None:
    told("seal")
    folder = firm.installation.settings.keys
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / keys.LOG).stat().st_mode & 0o777 == 0o600


def test_what_is_no_id_or_not_there_is_told(told: Told) -> None:
    assert "is no id" in told("prove", "nonsense", code=2)
    assert "There is no decision" in told("prove", "019ab2f4-8f00-7a31-9c1d-0d6a5f3b2c11", code=1)
