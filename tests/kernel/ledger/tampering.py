"""Who owns the database and wants to change what the ledger says: a small world to attack, and the attacks.

The attacker has the tables' owner's rights: he takes the guards off, edits any table, hashes everything again, signs with
whatever key he has, and puts the guards back. What he does not have is what was kept outside: the public key, and
checkpoints of former days.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from plumbline.kernel.context import Context
from plumbline.kernel.database import Database, WriteSession
from plumbline.kernel.database.types import Encoded
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger import entry, keys, note
from plumbline.kernel.ledger.repository.trees import Trees
from plumbline.kernel.ledger.service import sealing
from plumbline.kernel.ledger.service.acts import audit
from tests.conftest import NOW, Firm, SteppingClock

BATCH, BATCHES = 300, 3
SIZE = BATCH * BATCHES
APART = timedelta(hours=3)
VICTIM = 400
"""The leaf most attacks are after: in the middle of the second batch, not in a subtree's first or last place."""
WHITEWASH = '{"risk":"low"}'
TABLES = ("audit_log", "ledger_leaves", "ledger_nodes", "ledger_checkpoints", "ledger_trees")


@dataclass(frozen=True)
class World:
    """Two organizations of three sealed batches each; ``notes`` are mine, kept outside, by size."""

    url: str
    key: Ed25519PrivateKey
    mine: Context
    theirs: Context
    notes: dict[int, str]
    entries: list[UUID]

    @property
    def public(self) -> bytes:
        return self.key.public_key().public_bytes_raw()

    @property
    def pem(self) -> str:
        return keys.pem(self.key).decode()


def build(installation: Installation, clock: SteppingClock, url: str, key: Ed25519PrivateKey) -> World:
    """Each batch is of three minutes' acts, sealed ten minutes after its first, hours after the batch before."""
    firms = [Firm(installation, "northwind").admin, Firm(installation, "contoso").admin]
    notes: dict[int, str] = {}
    for batch in range(BATCHES):
        start = NOW + batch * APART
        for context in firms:
            with installation.database.read(context.organization_id) as session:
                there = Trees(session, context.organization_id).waiting()  # of the organization's making
            add(installation, context, BATCH - there, start + timedelta(seconds=5))
            clock.now = start + timedelta(minutes=10)
            done = sealing.seal(installation, context.organization_id)
            assert (done.sealed, done.size) == (BATCH, BATCH * (batch + 1))
            if context is firms[0]:
                notes[done.size] = str(done.note)
    with installation.database.read(firms[0].organization_id) as session:
        trees = Trees(session, firms[0].organization_id)
        found = trees._all(
            "SELECT entry_id FROM ledger_leaves WHERE organization_id = ? ORDER BY leaf_index", trees.key
        )
        entries = [trees._id(row[0]) for row in found]
    return World(url, key, firms[0], firms[1], notes, entries)


def add(installation: Installation, context: Context, count: int, start: datetime) -> list[UUID]:
    """Entries as the application writes them, half a second apart."""
    with installation.database.write(context.organization_id) as session:
        return [write_entry(session, context, start + i * timedelta(seconds=0.5), i) for i in range(count)]


def write_entry(session: WriteSession, context: Context, at: datetime, number: int) -> UUID:
    action = ("PREDICT", "LOGIN", "RESOLVE", "EXPORT")[number % 4]
    return audit(session, context.at(at), action, "prediction", context.user_id, old={"status": "open"},
                 new={"note": f"é {number}", "status": "resolved"}, details={"number": number, "risk": "high"})  # fmt: skip


class Inside:
    """The owner's transaction with the guards off."""

    def __init__(self, session: WriteSession, organization_id: UUID) -> None:
        self.session = session
        self.trees = Trees(session, organization_id)
        self.key = self.trees.key

    def run(self, statement: str, *values: Any) -> list[Any]:
        bound = tuple(v.bytes if isinstance(v, UUID) and self.trees.sqlite else v for v in values)
        done = self.trees.connection.exec_driver_sql(self.trees._sql(statement), bound)
        return list(done) if done.returns_rows else []

    def leaf(self, index: int) -> tuple[UUID, bytes]:
        found = self.run(
            "SELECT entry_id, leaf_hash FROM ledger_leaves WHERE organization_id = ? AND leaf_index = ?",
            self.key,
            index,
        )[0]
        return self.trees._id(found[0]), bytes(found[1])

    def put_leaf(self, index: int, entry_id: UUID, leaf_hash: bytes) -> None:
        self.run("INSERT INTO ledger_leaves (organization_id, leaf_index, entry_id, leaf_hash) VALUES (?, ?, ?, ?)",
                 self.key, index, entry_id, leaf_hash)  # fmt: skip

    def remove_leaf(self, entry_id: UUID) -> None:
        self.run("DELETE FROM ledger_leaves WHERE entry_id = ?", entry_id)

    def removewrite_entry(self, entry_id: UUID) -> None:
        self.run("DELETE FROM audit_log WHERE id = ?", entry_id)

    def queue(self, entry_id: UUID) -> None:
        self.run("INSERT INTO ledger_pending (organization_id, entry_id) VALUES (?, ?)", self.key, entry_id)

    def recommit(self, entry_id: UUID, details: str = WHITEWASH) -> None:
        """Other content, and the commitment to it: the salt lies beside."""
        row = self.run(f"SELECT {self.trees.columns()} FROM audit_log a WHERE a.id = ?", entry_id)[0]
        values = dict(zip(entry.COLUMNS, row))
        kept = {c: Encoded(values[c]) if values[c] else None for c in ("new_values", "old_values")}
        message = entry.content_message(details=Encoded(details), error_message=values["error_message"], **kept)
        self.run("UPDATE audit_log SET details = ?, content_commitment = ? WHERE id = ?", details,
                 entry.commitment(bytes(values["content_salt"]), message), entry_id)  # fmt: skip

    def rebuild(self, key: Ed25519PrivateKey | None) -> None:
        """Leaf hashes, nodes and roots of what stands there now, at the checkpoints' sizes; signed where there is a key."""
        rows = self.run(
            f"SELECT l.leaf_index, {self.trees.columns()} FROM ledger_leaves l JOIN audit_log a ON a.id = l.entry_id"
            " WHERE l.organization_id = ? ORDER BY l.leaf_index",
            self.key,
        )
        statement = self.trees._sql(
            "UPDATE ledger_leaves SET leaf_hash = ? WHERE organization_id = ? AND leaf_index = ?"
        )
        self.trees.connection.exec_driver_sql(statement, [(entry.sealed(r[1:])[0], self.key, r[0]) for r in rows])
        self.run("DELETE FROM ledger_nodes WHERE organization_id = ?", self.key)
        self.trees.add_nodes(0, len(rows))
        there = self.trees.origin()
        assert there is not None
        for mark in self.trees.checkpoints():
            size = min(mark.size, len(rows))
            checkpoint = note.Checkpoint(there[0], size, self.trees.tree().root(size))
            text = f"{checkpoint}\n{note.sign(str(checkpoint), there[0], key)}" if key else mark.note
            self.run("UPDATE ledger_checkpoints SET tree_size = ?, root_hash = ?, note = ? WHERE organization_id = ? AND tree_size = ?",
                     size, checkpoint.root, text, self.key, mark.size)  # fmt: skip

    def cut(self, size: int) -> None:
        """As if a copy of the day when there were ``size`` entries had been restored."""
        self.run("DELETE FROM audit_log WHERE id IN (SELECT entry_id FROM ledger_leaves WHERE organization_id = ? AND leaf_index >= ?)",
                 self.key, size)  # fmt: skip
        self.run("DELETE FROM ledger_leaves WHERE organization_id = ? AND leaf_index >= ?", self.key, size)
        self.run("DELETE FROM ledger_checkpoints WHERE organization_id = ? AND tree_size > ?", self.key, size)
        self.run("DELETE FROM ledger_nodes WHERE organization_id = ? AND node_index >= ?", self.key, size // 256)


@contextmanager
def owning(url: str, organization_id: UUID) -> Iterator[Inside]:
    """One transaction of the owner's, without guards; afterwards they stand as before: he covers his traces."""
    database = Database(url, role="owner", pool_size=1)
    try:
        with database.write(None) as session:
            inside = Inside(session, organization_id)
            back = _guards_off(inside)
            yield inside
            for statement in back:
                inside.run(statement)
    finally:
        database.close()


@dataclass
class Case:
    """A copy of the world, and how the attacker gets at it."""

    world: World
    url: str
    installation: Installation
    clock: SteppingClock

    @contextmanager
    def inside(self) -> Iterator[Inside]:
        with owning(self.url, self.world.mine.organization_id) as inside:
            yield inside

    @contextmanager
    def both(self) -> Iterator[tuple[Inside, Inside]]:
        with self.inside() as mine:
            yield mine, Inside(mine.session, self.world.theirs.organization_id)

    def add(self, count: int, start: datetime) -> list[UUID]:
        return add(self.installation, self.world.mine, count, start)

    def seal(self, at: datetime) -> None:
        self.clock.now = at
        sealing.seal(self.installation, self.world.mine.organization_id)


def _guards_off(inside: Inside) -> list[str]:
    """Returns what puts them back."""
    if inside.trees.sqlite:
        marks = ", ".join("?" * len(TABLES))
        found = inside.run(
            f"SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN ({marks})", *TABLES
        )
        for name, _ in found:
            inside.run(f"DROP TRIGGER {name}")
        return [row[1] for row in found]
    for table in TABLES:
        inside.run(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    return [f"ALTER TABLE {table} ENABLE TRIGGER USER" for table in TABLES]
