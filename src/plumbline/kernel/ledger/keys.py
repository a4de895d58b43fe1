"""The keys that sign checkpoints: outside of the database, so that who owns the database cannot sign.

A private key comes from the setting ``ledger_key`` (the environment), from ``ledger_key_command``, or from the file
``keys/ledger.key`` in the home (mode 0600), which is made when it is needed first. ``keys/ledger.pub`` lists the public keys
this installation has signed with, the newest last: give it to whoever is to check the ledger.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from plumbline.kernel.errors import Conflict, InvalidInput, Unavailable
from plumbline.kernel.ledger.note import ED25519, VerifierKey, b64, unb64
from plumbline.settings import Settings

LOG, NEXT, WITNESS = "ledger.key", "ledger.key.next", "witness.key"
"""Files of private keys: the log's, the one a rotation goes to, and the one we witness others with."""
_COMMAND_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Keys:
    """What an installation signs with: usually one key, two while a rotation goes on (the last one stays)."""

    private: tuple[Ed25519PrivateKey, ...]

    @property
    def public(self) -> tuple[bytes, ...]:
        return tuple(key.public_key().public_bytes_raw() for key in self.private)


def load(settings: Settings) -> Keys | None:
    """The log's key as it is configured, ``None`` where none was made yet.

    :raises Unavailable: the command that should give it fails. :raises InvalidInput: it is no Ed25519 key.
    """
    if settings.ledger_key is not None:
        first = parse_private(settings.ledger_key.get_secret_value(), "the setting ledger_key")
    elif settings.ledger_key_command:
        first = parse_private(_printed(settings.ledger_key_command), "what ledger_key_command prints")
    else:
        found = _read(settings.keys / LOG)
        if found is None:
            return None
        first = found
    following = _read(settings.keys / NEXT)
    if (
        following is None or following.public_key() == first.public_key()
    ):  # a configured key was rotated to, and is set now
        return Keys((first,))
    return Keys((first, following))


def make(settings: Settings) -> Keys:
    """The first key of an installation, in its file; whoever comes second takes the one that is there."""
    write_private(settings.keys / LOG, Ed25519PrivateKey.generate())
    made = load(settings)
    assert made is not None
    return made


def parse_private(text: str, where: str) -> Ed25519PrivateKey:
    """A PEM (PKCS 8) of an Ed25519 key."""
    try:
        key = serialization.load_pem_private_key(text.strip().encode() + b"\n", None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise InvalidInput(f"There is no private key in {where}.",
                           remedy="Give an Ed25519 key as PEM: openssl genpkey -algorithm ed25519") from None  # fmt: skip
    if not isinstance(key, Ed25519PrivateKey):
        raise InvalidInput(
            f"The key in {where} is no Ed25519 key.", remedy="Make one: openssl genpkey -algorithm ed25519"
        )
    return key


def write_private(path: Path, key: Ed25519PrivateKey) -> bool:
    """Write a key that only its owner may read; one that is there already stays. Returns whether it was written."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # one per thread; mode 0600
    temporary = Path(name)
    with os.fdopen(handle, "wb") as file:
        file.write(pem(key))
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)  # unlike a rename it does not replace what another process has just made
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    return True


def pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_pem(public: bytes) -> str:
    """As OpenSSL reads it."""
    key = Ed25519PublicKey.from_public_bytes(public)
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def finish_rotation(settings: Settings) -> None:
    """The next key becomes the key."""
    (settings.keys / NEXT).replace(settings.keys / LOG)


def witness(settings: Settings) -> NamedKey:
    """The key this installation cosigns other logs with, made when it is needed first."""
    path = settings.keys / WITNESS
    key = _read(path)
    if key is None:
        write_private(path, Ed25519PrivateKey.generate())
        key = _read(path)
        assert key is not None
    return NamedKey(f"{host(settings)}/witness", key)


@dataclass(frozen=True, slots=True)
class NamedKey:
    """A name and the private key that signs under it."""

    name: str
    private: Ed25519PrivateKey

    @property
    def public(self) -> bytes:
        return self.private.public_key().public_bytes_raw()


def host(settings: Settings) -> str:
    """The first part of every origin."""
    if settings.ledger_host:
        return settings.ledger_host
    if settings.public_url:
        from urllib.parse import urlsplit

        return urlsplit(settings.public_url).hostname or "plumbline.local"
    return "plumbline.local"


# --- public keys


def known_public(settings: Settings, present: Keys | None = None) -> list[bytes]:
    """The public keys of ``keys/ledger.pub`` and of the key at hand.

    :param present: that key, where it was loaded already: a vault's command takes its time.
    """
    path = settings.keys / "ledger.pub"
    found = read_public(path) if path.exists() else []
    present = present or load(settings)
    for public in present.public if present else ():
        if public not in found:
            found.append(public)
    return found


def remember_public(settings: Settings, publics: tuple[bytes, ...]) -> None:
    """List these keys in ``keys/ledger.pub``, if they are not there.

    Others may read and write at this moment: the list appears with its first lines, and grows by whole lines alone.
    """
    path = settings.keys / "ledger.pub"
    there = read_public(path) if path.exists() else []
    missing = "".join(f"{b64(bytes([ED25519]) + p)}\n" for p in publics if p not in there).encode("ascii")
    if not missing:
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            _appended(handle, missing)
            Path(name).chmod(0o644)
            os.link(name, path)
        except FileExistsError:  # another one was first
            pass
        else:
            return
        finally:
            Path(name).unlink()
    _appended(os.open(path, os.O_WRONLY | os.O_APPEND), missing)


def _appended(handle: int, lines: bytes) -> None:
    """In one write, kept by the disk."""
    try:
        os.write(handle, lines)
        os.fsync(handle)
    finally:
        os.close(handle)


def read_public(path: Path) -> list[bytes]:
    """The public keys in a file: ours (a line each), verifier keys, or a PEM.

    :raises InvalidInput: there is no public key in it.
    """
    try:
        return parse_public(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError):
        raise InvalidInput(
            f"The key file {path} cannot be read.", remedy="Give the file with the public key."
        ) from None
    except ValueError as error:
        raise InvalidInput(
            f"There is no public key in {path}: {error}.", remedy="Give keys/ledger.pub, a verifier key or a PEM."
        ) from None


def parse_public(text: str) -> list[bytes]:
    """
    :raises ValueError: what is wrong with the text.
    """
    if "-----BEGIN" in text:
        try:
            key = serialization.load_pem_public_key(text.strip().encode() + b"\n")
        except (ValueError, UnsupportedAlgorithm):
            raise ValueError("the PEM holds no public key") from None
        if not isinstance(key, Ed25519PublicKey):
            raise ValueError("it is no Ed25519 key")
        return [key.public_bytes_raw()]
    found = []
    for line in filter(None, map(str.strip, text.splitlines())):
        if len(line) != 44:  # 33 bytes in base64, which may hold any of a verifier key's signs; that is always longer
            found.append(VerifierKey.parse(line).public)
            continue
        raw = unb64(line)
        if len(raw) != 33 or raw[0] != ED25519:
            raise ValueError("a line is neither a verifier key nor one of our public keys")
        found.append(raw[1:])
    if not found:
        raise ValueError("it is empty")
    return found


def demand(keys: Keys | None, *, sealed: bool) -> None:
    """Refuse to go on without the key where there are checkpoints: a new one would only look like a forgery.

    :raises Conflict: the key is lost.
    """
    if keys is None and sealed:
        raise Conflict("The ledger's key is missing, but checkpoints were signed with one; nothing was sealed.",
                       remedy="Put keys/ledger.key back from its copy; if it is lost: plumbline ledger key rotate --lost.")  # fmt: skip


def _read(path: Path) -> Ed25519PrivateKey | None:
    try:
        text = path.read_text("ascii")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        raise Unavailable(f"The key file {path} cannot be read.", remedy="See who owns it and its mode.") from None
    return parse_private(text, str(path))


def _printed(command: str) -> str:
    try:
        done = subprocess.run(
            shlex.split(command), capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired, ValueError):
        done = None
    if done is None or done.returncode:
        raise Unavailable("The command that should print the ledger's key failed.",
                          remedy="Run what ledger_key_command says yourself and see why.")  # fmt: skip
    return done.stdout
