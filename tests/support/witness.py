"""Logs and witnesses for tests: a log in memory, an installation that witnesses over a real socket, a witness that lies."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import Depends, FastAPI

from plumbline.console.security import same_origin
from plumbline.kernel.faces.http import install_errors
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger import keys, note, tree
from plumbline.kernel.ledger.note import VerifierKey
from plumbline.kernel.ledger.repository import outside
from plumbline.kernel.ledger.repository.trees import Trees
from plumbline.kernel.ledger.service import Act, delivering, sealing
from plumbline.kernel.ledger.service.delivering import deliver, destinations
from plumbline.kernel.ledger.witness_api import router
from plumbline.settings import Settings
from tests.browser_support import serve
from tests.conftest import Firm, SteppingClock

PREFIX = "/api/v1/ledger/witness"


@dataclass
class Log:
    """A log in memory; one with another ``salt`` has other leaves: a fork of it."""

    name: str
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    salt: str = ""

    @property
    def vkey(self) -> VerifierKey:
        return VerifierKey(self.name, self.key.public_key().public_bytes_raw())

    def fork(self) -> Log:
        return Log(self.name, self.key, self.salt + "'")

    def tree(self) -> tree.Tree:
        def nodes(level: int, start: int, stop: int) -> list[bytes]:
            width = tree.WIDTH**level
            leaves = [tree.leaf_hash(f"{self.salt}{i}".encode()) for i in range(start * width, stop * width)]
            return [tree.root(leaves[i * width : (i + 1) * width]) for i in range(stop - start)]

        return tree.Tree(nodes)

    def text(self, size: int) -> str:
        return str(note.Checkpoint(self.name, size, self.tree().root(size)))

    def note(self, size: int, key: Ed25519PrivateKey | None = None) -> str:
        text = self.text(size)
        return f"{text}\n{note.sign(text, self.name, key or self.key)}"

    def request(self, old: int, size: int, *, claimed: int | None = None) -> bytes:
        """An ``add-checkpoint`` body; ``claimed``: another old size in its first line than the proof's."""
        proof = self.tree().consistency(min(old, size), size)
        return body(old if claimed is None else claimed, proof, self.note(size))


def body(old: object, proof: list[bytes], signed: str) -> bytes:
    return (f"old {old}\n" + "".join(f"{note.b64(h)}\n" for h in proof) + "\n" + signed).encode()


def witness_app(installation: Installation) -> FastAPI:
    """The witness alone, with the application's check of origins and its errors."""
    app = FastAPI(dependencies=[Depends(same_origin)])
    app.state.installation = installation
    app.include_router(router, prefix="/api/v1")
    install_errors(app)

    @app.middleware("http")
    async def named(request: Any, call_next: Any) -> Any:
        request.state.request_id = "test"
        return await call_next(request)

    return app


@dataclass
class Neighbour:
    """Another installation, which witnesses: its own home, database and keys; the database stays when it is started anew."""

    url: str
    home: Path
    clock: SteppingClock
    installation: Installation = field(init=False)
    firm: Firm = field(init=False)

    def __post_init__(self) -> None:
        self.open()
        self.firm = Firm(self.installation, "neighbour")

    def open(self) -> None:
        self.installation = Installation.open(
            Settings(home=self.home, database_url=self.url, ledger_host="neighbour.example"), clock=self.clock
        )

    def restart(self) -> None:
        self.installation.close()
        self.open()

    @contextlib.contextmanager
    def serving(self) -> Iterator[str]:
        """The witness's address while it is served."""
        with serve(witness_app(self.installation)) as address:
            yield address + PREFIX


def copied(installation: Installation, home: Path, **settings: Any) -> Installation:
    """A second installation out of a copy of a SQLite home: a restored backup, a twin that goes on elsewhere."""
    home.mkdir()
    source = installation.settings.home
    with installation.database.connect() as connection:
        connection.exec_driver_sql("SELECT 1")
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql(f"VACUUM INTO '{home / 'plumbline.db'}'")
        connection.exec_driver_sql("BEGIN")
    shutil.copytree(source / "keys", home / "keys")
    return Installation.open(Settings(home=home, **settings), clock=installation.clock)


@dataclass(frozen=True)
class Reply:
    """What a scripted witness answers; ``late`` is waited for before the body, headers ``trickle`` until it is set."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "text/plain"})
    late: threading.Event | None = None
    trickle: threading.Event | None = None


@contextlib.contextmanager
def scripted(answer: Callable[[bytes], Reply]) -> Iterator[tuple[str, list[bytes]]]:
    """The address of a witness that answers as the function says, and the bodies it was sent."""
    heard: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            heard.append(b"GET " + self.path.encode())
            self.send_error(500)

        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            heard.append(asked)
            reply = answer(asked)
            if reply.late is not None:
                reply.late.wait(30)
            with contextlib.suppress(ConnectionError):
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                while reply.trickle is not None and not reply.trickle.wait(0.01):
                    self.send_header("X-More", "to come")
                    self.flush_headers()
                self.end_headers()
                self.wfile.write(reply.body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/w", heard
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)


@dataclass
class OtherWitness:
    """A witness's key in the test's hand, to sign right and wrong."""

    name: str = "w.example/witness"
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def vkey(self) -> VerifierKey:
        return VerifierKey(self.name, self.key.public_key().public_bytes_raw(), note.COSIGNATURE)

    def line(self, asked: bytes, at: int = 1_764_000_000) -> str:
        """Its cosignature of the checkpoint in a request."""
        text, _ = note.split(asked.decode().split("\n\n", 1)[1])
        return note.cosign(text, self.name, self.key, at)


class Ledger:
    """A firm's ledger in an installation with these destinations; growing it moves the clock by a minute."""

    def __init__(self, installation: Installation, clock: SteppingClock, firm: Firm | None = None) -> None:
        self.installation, self.clock = installation, clock
        self.firm = firm or Firm(installation, "northwind")
        self.id = self.firm.id
        sealing.seal(installation, self.id)

    def with_settings(self, **settings: Any) -> Ledger:
        """The same home, started with other settings."""
        made = Installation(self.installation.settings.model_copy(update=settings), clock=self.clock)
        return Ledger(made, self.clock, through(self.firm, made))

    def grow(self, entries: int = 1, said: str = "") -> int:
        self.clock.now += timedelta(minutes=1)
        for _ in range(entries):
            with Act(self.installation.database, self.firm.admin.at(self.clock.now), "test.act", "test") as act:
                act.done(new={"said": said} if said else None)
        return sealing.seal(self.installation, self.id).size

    @property
    def size(self) -> int:
        with self.installation.database.read(self.id) as session:
            head = Trees(session, self.id).head()
        assert head is not None
        return head.size

    @property
    def origin(self) -> str:
        return f"{keys.host(self.installation.settings)}/ledger/{self.id}"

    @property
    def vkey(self) -> note.VerifierKey:
        return note.VerifierKey(self.origin, keys.known_public(self.installation.settings)[0])

    def note(self, size: int | None = None) -> str:
        """With the cosignatures known."""
        with self.installation.database.read(self.id) as session:
            mark = Trees(session, self.id).checkpoint(size or self.size)
            assert mark is not None
            return outside.note_with_cosignatures(session, self.id, mark)

    def sizes(self) -> list[int]:
        with self.installation.database.read(self.id) as session:
            return [m.size for m in Trees(session, self.id).checkpoints()]

    def send(self, timeout: float = 10.0) -> delivering.Delivery:
        """To the only destination there is."""
        (sent,) = deliver(self.installation, self.id, timeout=timeout)
        (view,) = destinations(self.installation, self.id)
        assert (view.error, view.tree_size, view.address) == (sent.error, sent.tree_size, sent.address)
        assert view.tried_at is not None
        assert view.behind == max(0, self.size - sent.tree_size)
        return sent

    def files(self, root: Path) -> dict[str, str]:
        folder = root / self.origin
        return {p.name: p.read_text("utf-8") for p in sorted(folder.iterdir())} if folder.exists() else {}


def through(firm: Firm, installation: Installation) -> Firm:
    """The same firm, reached through another installation."""
    made = object.__new__(Firm)
    made.__dict__ = dict(firm.__dict__, installation=installation)
    return made
