"""The key that seals: made once, never replaced by itself, from wherever it is kept."""

from __future__ import annotations

import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import SecretStr

from plumbline.kernel.errors import Conflict, InvalidInput, Unavailable
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger import keys
from plumbline.kernel.ledger.service import sealing, verifying
from plumbline.settings import Settings
from tests.conftest import Firm
from tests.kernel.ledger.sealed import private, state, write

Make = Callable[..., Installation]


def test_the_first_seal_makes_a_key_only_its_owner_may_read(
    firm: Firm, installation: Installation, tmp_path: Path
) -> None:
    sealing.seal(installation, firm.id)
    path = tmp_path / "keys" / "ledger.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    found = keys.load(installation.settings)
    assert found is not None
    assert keys.read_public(tmp_path / "keys" / "ledger.pub") == list(found.public)
    assert b"PRIVATE" not in (tmp_path / "keys" / "ledger.pub").read_bytes()


def test_a_lost_key_is_not_replaced_by_a_new_one(
    firm: Firm, other_firm: Firm, installation: Installation, tmp_path: Path
) -> None:
    """Also not for an organization that was never sealed: it is one key for all."""
    sealing.seal(installation, firm.id)
    path = tmp_path / "keys" / "ledger.key"
    kept = path.read_bytes()
    path.unlink()
    write(firm, 3)
    for organization in (firm.id, other_firm.id):
        before = state(installation, organization)
        with pytest.raises(Conflict, match="key is missing"):
            sealing.seal(installation, organization)
        assert state(installation, organization) == before
        assert not path.exists()
    path.write_bytes(kept)
    assert sealing.seal(installation, firm.id).sealed == 3


def test_a_foreign_key_seals_nothing(firm: Firm, installation: Installation, tmp_path: Path) -> None:
    sealing.seal(installation, firm.id)
    (tmp_path / "keys" / "ledger.key").write_text(private(Ed25519PrivateKey.generate()))
    write(firm, 3)
    before = state(installation, firm.id)
    with pytest.raises(Conflict, match="not the one that signed"):
        sealing.seal(installation, firm.id)
    assert state(installation, firm.id) == before


def test_what_is_no_key_seals_nothing(firm: Firm, installation: Installation, tmp_path: Path) -> None:
    path = tmp_path / "keys" / "ledger.key"
    path.parent.mkdir()
    before = state(installation, firm.id)
    good = private(Ed25519PrivateKey.generate())
    for text, words in [("", "no private key"), ("rubbish", "no private key"), (good[:60], "no private key"),
                        (private(rsa.generate_private_key(65537, 2048)), "no Ed25519 key")]:  # fmt: skip
        path.write_text(text)
        with pytest.raises(InvalidInput, match=words) as told:
            sealing.seal(installation, firm.id)
        assert not text or text not in str(told.value)  # a secret is not repeated
        assert path.read_text() == text
    path.write_bytes(b"\xff\x00")
    with pytest.raises(Unavailable, match="cannot be read"):
        sealing.seal(installation, firm.id)
    assert state(installation, firm.id) == before


def test_the_key_may_come_from_the_environment(
    firm: Firm, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = Ed25519PrivateKey.generate()
    monkeypatch.setenv("PLUMBLINE_LEDGER_KEY", private(key))
    home = tmp_path / "elsewhere"
    installation = Installation.open(Settings(home=home, database_url=database_url), clock=firm.installation.clock)
    try:
        sealing.seal(installation, firm.id)
        report = verifying.verify(installation, firm.id, publics=[key.public_key().public_bytes_raw()])
    finally:
        installation.close()
    assert report.sound
    assert [p.name for p in (home / "keys").iterdir()] == ["ledger.pub"]


def test_the_key_may_be_printed_by_a_command(
    firm: Firm, database_url: str, tmp_path: Path, make_installation: Make
) -> None:
    key = Ed25519PrivateKey.generate()
    vault = tmp_path / "print the key"
    vault.write_text(f"#!/bin/sh\necho looked up >&2\ncat <<'END'\n{private(key)}\nEND\n")
    vault.chmod(0o700)
    installation = make_installation(database_url, ledger_key_command=f"'{vault}' --name ledger")
    sealing.seal(installation, firm.id)
    assert verifying.verify(installation, firm.id, publics=[key.public_key().public_bytes_raw()]).sound
    assert not (tmp_path / "keys" / "ledger.key").exists()
    write(firm, 3)
    before = state(installation, firm.id)
    vault.write_text("#!/bin/sh\necho the vault is closed >&2\nexit 1\n")
    unclosed = make_installation(database_url, ledger_key_command="'unclosed")
    missing = make_installation(database_url, ledger_key_command=str(tmp_path / "not-there"))
    for failing in (installation, missing, unclosed):
        with pytest.raises(Unavailable, match="command that should print"):
            sealing.seal(failing, firm.id)
    vault.write_text("#!/bin/sh\necho\n")
    with pytest.raises(InvalidInput, match="what ledger_key_command prints"):
        sealing.seal(installation, firm.id)
    assert state(installation, firm.id) == before


def test_threads_that_make_the_first_key_at_once_have_the_same(tmp_path: Path) -> None:
    """A server's threads seal on demand while its worker does."""
    for attempt in range(30):
        settings = Settings(home=tmp_path / str(attempt), ledger_key=None)
        start = threading.Barrier(4)
        made: list[Any] = []

        def make(settings: Settings = settings, start: threading.Barrier = start, made: list[Any] = made) -> None:
            start.wait()
            try:
                made.append(keys.make(settings).public)
            except Exception as error:
                made.append(error)

        threads = [threading.Thread(target=make) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(made) == 4
        assert set(map(type, made)) == {tuple}, made
        assert len(set(made)) == 1
        assert [p.name for p in settings.keys.iterdir()] == ["ledger.key"]


def test_the_list_of_public_keys_holds_any_key(tmp_path: Path) -> None:
    """Base64 has plus signs and slashes, as verifier keys have."""
    settings = Settings(home=tmp_path)
    publics = [Ed25519PrivateKey.generate().public_key().public_bytes_raw() for _ in range(300)]
    publics += [b"\xff" + b"\xfb\xef\xbe" * 10 + b"\x01", b"\xfb" * 32, b"\xff" * 32]
    for public in publics:
        keys.remember_public(settings, (public,))
    keys.remember_public(settings, tuple(publics[:3]))
    assert keys.read_public(tmp_path / "keys" / "ledger.pub") == publics


def test_a_secret_setting_is_not_shown(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, ledger_key=SecretStr(private(Ed25519PrivateKey.generate())))
    assert "PRIVATE KEY" not in repr(settings)
