"""What stands outside, as it is reached: a store of files, a witness over HTTP. Every fault of theirs is an :class:`Undelivered`."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import TypeVar

from plumbline import __version__
from plumbline.kernel.errors import MissingExtra, Unavailable
from plumbline.kernel.ledger import note
from plumbline.kernel.ledger.note import VerifierKey

TIMEOUT = 10.0
"""Seconds that a witness may be silent; twice that it may take in all, three times that a store may take for a file."""
LARGEST = 64 * 1024
"""Bytes of a witness's answer that are read."""
T = TypeVar("T")
_hanging: dict[str, threading.Thread] = {}


class Undelivered(Unavailable):
    """What went wrong at a destination; kept with it, never raised to whoever seals."""


def within(seconds: float, address: str, call: Callable[[], T]) -> T:
    """What the call returns, if it does in time.

    A driver that retries for minutes, a mount whose server is gone, an answer that trickles: none of them may keep the worker
    from sealing. The call goes on in a thread of its own; while it does, the address is not asked again.

    :raises Undelivered: it takes longer, or still one of an earlier run does.
    """
    if (earlier := _hanging.get(address)) is not None and earlier.is_alive():
        raise Undelivered("What was asked there in an earlier run is still not answered.", remedy="See that it runs and can be reached.")  # fmt: skip
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(call())
        except BaseException as error:
            done.set_exception(error)

    thread = threading.Thread(target=run, name="plumbline-outside", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        _hanging[address] = thread
        raise Undelivered(f"There was no answer within {seconds:g} s.", remedy="See that it runs and can be reached; it is tried again.")  # fmt: skip
    return done.result()


def masked(address: str) -> str:
    """Without the name and password that an address may hold."""
    return re.sub(r"//[^/@\s]*@", "//…@", address)


class Store:
    """A folder or any fsspec address; its faults come as :class:`Undelivered`."""

    def __init__(self, address: str, timeout: float = TIMEOUT) -> None:
        import fsspec

        self.address, self.seconds = masked(address), 3 * timeout
        try:
            self.files, self.root = within(self.seconds, self.address, lambda: fsspec.core.url_to_fs(address))
        except Undelivered:
            raise
        except ImportError as error:
            if address.startswith(("s3://", "s3a://")):
                raise Undelivered(str(MissingExtra("cloud", "A store of checkpoints on S3"))) from None
            raise Undelivered(f"A package for this address is not installed: {error}.", remedy="Install it.") from None
        except Exception as error:  # each kind of file system has its own
            raise self._fault("opened", error) from None
        self.local = "file" in ((self.files.protocol,) if isinstance(self.files.protocol, str) else self.files.protocol)

    def _fault(self, what: str, error: Exception) -> Undelivered:
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
        return Undelivered(f"The store cannot be {what}: {masked(said)[:300]}.",
                           remedy="See its address, and that it may be read, listed and written.")  # fmt: skip

    def read(self, name: str) -> bytes | None:
        """The file's bytes, ``None`` where there is none."""
        return within(self.seconds, self.address, lambda: self._read(f"{self.root}/{name}"))

    def write(self, name: str, data: bytes) -> None:
        """On a local disk all or nothing."""
        within(self.seconds, self.address, lambda: self._write(f"{self.root}/{name}", data))

    def _read(self, path: str) -> bytes | None:
        try:
            return bytes(self.files.cat_file(path))
        except FileNotFoundError:
            return None
        except Exception as error:
            raise self._fault("read", error) from None

    def _write(self, path: str, data: bytes) -> None:
        try:
            if not self.local:
                self.files.pipe_file(path, data)
                return
            final = Path(path)
            final.parent.mkdir(parents=True, exist_ok=True)
            temporary = final.with_name(f".{final.name}.{token_hex(8)}")
            try:
                with temporary.open("xb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                temporary.replace(final)
            finally:
                temporary.unlink(missing_ok=True)
        except Exception as error:
            raise self._fault("written", error) from None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a witness answered; ``size``: of the tree it has, where it says so."""

    status: int
    size: int | None
    text: str


def witness_of(setting: str) -> tuple[str, VerifierKey]:
    """Address and key of a configured witness."""
    remedy = "Write 'URL VERIFIER-KEY' in ledger_witnesses, the key as its owner publishes it."
    parts = setting.split()
    if len(parts) != 2 or not parts[0].startswith(("https://", "http://")):
        raise Undelivered("This is not an http(s) address and a verifier key.", remedy=remedy)
    try:
        key = VerifierKey.parse(parts[1])
    except ValueError as error:
        raise Undelivered(f"The witness's verifier key is wrong: {error}.", remedy=remedy) from None
    if key.kind != note.COSIGNATURE:
        raise Undelivered(f"The key {key.name} is a log's, not a witness's.", remedy=remedy)
    return parts[0].rstrip("/"), key


def post(url: str, body: bytes, timeout: float) -> Answer:
    """The answer, up to its limits of size and time; redirects are not followed."""
    import httpx  # noqa: F401 - loaded here, so that its loading takes nothing of the witness's time

    return within(2 * timeout, url, lambda: _post(url, body, timeout))


def _post(url: str, body: bytes, timeout: float) -> Answer:
    import httpx

    # unpacked, 64 kB could be many MB
    headers = {"Content-Type": "text/plain; charset=utf-8", "Accept-Encoding": "identity", "User-Agent": f"plumbline/{__version__}"}  # fmt: skip
    found = bytearray()
    try:
        with httpx.Client(timeout=timeout) as client, client.stream("POST", url, content=body, headers=headers) as got:
            for chunk in got.iter_raw(4096):
                found += chunk
                if len(found) > LARGEST:
                    raise Undelivered("The witness answered with more than 64 kB.", remedy="See that the address is a witness's.")  # fmt: skip
    except httpx.TimeoutException:
        raise Undelivered(f"The witness was silent for {timeout:g} s.", remedy="It is tried again; ask who runs it.") from None  # fmt: skip
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        raise Undelivered(f"The witness cannot be reached: {error}.", remedy="See its address and that it runs; it is tried again.") from None  # fmt: skip
    text, kind = found.decode("utf-8", "replace"), got.headers.get("content-type", "").split(";")[0].strip().lower()
    digits = text.removesuffix("\n")
    told = kind == "text/x.tlog.size" and digits.isascii() and digits.isdigit() and len(digits) < 20
    return Answer(got.status_code, int(digits) if told else None, text)


def cosigned(text: str, answer: str, key: VerifierKey) -> tuple[str, datetime]:
    """The witness's line over our text among those of an answer, and its time."""
    try:
        said, (signature, *_) = note.open_note(f"{text}\n{answer}", [key])
        if said != text or signature.at is None:
            raise ValueError("it speaks of another text")
        return signature.line, datetime.fromtimestamp(signature.at, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise Undelivered(f"{key.name} lies, or is not who the settings say: {error}.",
                          remedy="Compare its verifier key with that in ledger_witnesses.") from None  # fmt: skip
