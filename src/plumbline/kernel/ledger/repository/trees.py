"""The tree's storage: leaves, nodes, checkpoints, the queue of what waits. Statements are the driver's own, for speed.

All of them name the organization; on PostgreSQL row-level security stands behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from plumbline.kernel import clock
from plumbline.kernel.ledger import tree
from plumbline.kernel.ledger.entry import COLUMNS

_KEYS = frozenset({"id", "organization_id", "user_id", "resource_id"})
_JSON = frozenset({"details", "new_values", "old_values"})
_COPY_FROM = 200


@dataclass(frozen=True, slots=True)
class Sealed:
    """A row of ``ledger_checkpoints``; ``sealed_at`` as text of 27 characters, which sorts as time does."""

    size: int
    root: bytes
    note: str
    sealed_at: str


class Trees:
    """One organization's tree, in the session's transaction."""

    def __init__(self, session: Session, organization_id: UUID) -> None:
        self.connection = session.connection()
        self.sqlite = self.connection.dialect.name == "sqlite"
        self.organization_id = organization_id
        self.key: Any = organization_id.bytes if self.sqlite else organization_id

    def _all(self, statement: str, *values: Any) -> list[Any]:
        return list(self.connection.exec_driver_sql(self._sql(statement), values))

    def _sql(self, statement: str) -> str:
        return statement if self.sqlite else statement.replace("?", "%s")

    def _id(self, value: Any) -> UUID:
        return UUID(bytes=value) if isinstance(value, bytes) else value

    # reading

    def origin(self) -> tuple[str, int] | None:
        """The tree's origin and below which leaf its entries may be gone; ``None`` before the first seal."""
        found = self._all("SELECT origin, pruned_below FROM ledger_trees WHERE organization_id = ?", self.key)
        return (found[0][0], found[0][1]) if found else None

    def head(self) -> Sealed | None:
        """The last checkpoint."""
        found = self._checkpoints("ORDER BY tree_size DESC LIMIT 1")
        return found[0] if found else None

    def checkpoints(self) -> list[Sealed]:
        """All of them, the smallest first."""
        return self._checkpoints("ORDER BY tree_size")

    def newest(self, limit: int, below: int | None = None) -> list[Sealed]:
        """The largest first."""
        bound = [] if below is None else [below]
        return self._checkpoints(
            f"{'AND tree_size < ?' if bound else ''} ORDER BY tree_size DESC LIMIT {int(limit)}", *bound
        )

    def checkpoint_count(self) -> int:
        return int(self._all("SELECT count(*) FROM ledger_checkpoints WHERE organization_id = ?", self.key)[0][0])

    def checkpoint(self, size: int) -> Sealed | None:
        found = self._checkpoints("AND tree_size = ?", size)
        return found[0] if found else None

    def covering(self, index: int) -> Sealed | None:
        """The first checkpoint that holds the leaf."""
        found = self._checkpoints("AND tree_size > ? ORDER BY tree_size LIMIT 1", index)
        return found[0] if found else None

    def first_cosigned(self, size: int) -> int | None:
        """The smallest checkpoint of so many entries or more that a witness cosigned."""
        found = self._all(
            "SELECT min(tree_size) FROM ledger_cosignatures WHERE organization_id = ? AND tree_size >= ?",
            self.key,
            size,
        )
        return None if found[0][0] is None else int(found[0][0])

    def _checkpoints(self, rest: str, *values: Any) -> list[Sealed]:
        rows = self._all(
            f"SELECT tree_size, root_hash, note, {self._time('sealed_at')} FROM ledger_checkpoints WHERE organization_id = ? {rest}",
            self.key,
            *values,
        )
        return [Sealed(size, bytes(root), note, at) for size, root, note, at in rows]

    def nodes(self, level: int, start: int, stop: int) -> list[bytes]:
        """As :class:`tree.Tree` asks for them."""
        if start >= stop:
            return []
        if level == 0:
            rows = self._all("SELECT leaf_hash FROM ledger_leaves WHERE organization_id = ? AND leaf_index >= ? AND leaf_index < ? ORDER BY leaf_index",
                             self.key, start, stop)  # fmt: skip
        else:
            rows = self._all("SELECT hash FROM ledger_nodes WHERE organization_id = ? AND level = ? AND node_index >= ? AND node_index < ?"
                             " ORDER BY node_index", self.key, level, start, stop)  # fmt: skip
        return [bytes(row[0]) for row in rows]

    def tree(self) -> tree.Tree:
        """For one root or proof: it reads tiles of 256 hashes and keeps them, for a path's steps lie side by side."""
        tiles: dict[tuple[int, int], list[bytes]] = {}

        def nodes(level: int, start: int, stop: int) -> list[bytes]:
            tile = start // tree.WIDTH
            if (stop - 1) // tree.WIDTH != tile:
                return self.nodes(level, start, stop)
            if (level, tile) not in tiles:
                tiles[level, tile] = self.nodes(level, tile * tree.WIDTH, (tile + 1) * tree.WIDTH)
            return tiles[level, tile][start - tile * tree.WIDTH : stop - tile * tree.WIDTH]

        return tree.Tree(nodes)

    def index_of(self, entry_id: UUID) -> int | None:
        """Where an entry stands in the tree, ``None`` before it is sealed."""
        found = self._all(
            "SELECT leaf_index FROM ledger_leaves WHERE organization_id = ? AND entry_id = ?",
            self.key,
            self._bound(entry_id),
        )
        return found[0][0] if found else None

    def waiting(self) -> int:
        """How many entries wait to be sealed."""
        return int(self._all("SELECT count(*) FROM ledger_pending WHERE organization_id = ?", self.key)[0][0])

    def oldest_waiting(self) -> UUID | None:
        found = self._all(
            "SELECT entry_id FROM ledger_pending WHERE organization_id = ? ORDER BY entry_id LIMIT 1", self.key
        )
        return self._id(found[0][0]) if found else None

    def pending(self, limit: int) -> list[Any]:
        """Entries that wait, in the order of their ids, as :func:`entry.sealed` takes them."""
        return self._all(
            f"SELECT {self.columns()} FROM ledger_pending p JOIN audit_log a ON a.id = p.entry_id AND a.organization_id = p.organization_id"
            f" WHERE p.organization_id = ? ORDER BY p.entry_id LIMIT {int(limit)}",
            self.key,
        )

    def columns(self) -> str:
        """:data:`entry.COLUMNS` of ``audit_log a`` with keys, JSON and times as text on PostgreSQL."""
        if self.sqlite:
            return ", ".join(f"a.{c}" for c in COLUMNS)
        shown = {c: f"a.{c}::text" for c in _KEYS | _JSON} | {"timestamp": self._time("a.timestamp")}
        return ", ".join(shown.get(c, f"a.{c}") for c in COLUMNS)

    def _time(self, column: str) -> str:
        if self.sqlite:
            return column
        return f"""coalesce(to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), '')"""  # infinity has no text

    @contextmanager
    def stream(self, statement: str, *values: Any) -> Iterator[Iterator[Any]]:
        """Rows of a long result one by one, without holding them."""
        driver = self.connection.connection.driver_connection
        assert driver is not None
        cursor = driver.cursor() if self.sqlite else driver.cursor("ledger_scan", binary=True)
        try:
            if not self.sqlite:
                cursor.itersize = 5000
            cursor.execute(self._sql(statement), (self.key, *values))
            yield iter(cursor)
        finally:
            cursor.close()

    def acts(self, action: str) -> list[tuple[int, UUID, str | None]]:
        """Sealed entries of an action: index, id, and their details as JSON text."""
        details = "a.details" if self.sqlite else "a.details::text"
        rows = self._all(
            f"SELECT l.leaf_index, a.id, {details} FROM audit_log a JOIN ledger_leaves l ON l.entry_id = a.id"
            " AND l.organization_id = a.organization_id WHERE a.organization_id = ? AND a.action = ? ORDER BY l.leaf_index",
            self.key,
            action,
        )
        return [(index, self._id(key), text) for index, key, text in rows]

    def beyond(self) -> int:
        """Leaves after the last checkpoint: there are none."""
        return int(
            self._all(
                "SELECT count(*) FROM ledger_leaves WHERE organization_id = ? AND leaf_index >="
                " coalesce((SELECT max(tree_size) FROM ledger_checkpoints WHERE organization_id = ?), 0)",
                self.key, self.key,
            )[0][0]
        )  # fmt: skip

    def counts(self) -> tuple[int, int, int]:
        """Entries, leaves, and entries that wait, at one moment."""
        mine = " WHERE organization_id = ?"
        found = self._all(
            f"SELECT (SELECT count(*) FROM audit_log{mine}), (SELECT count(*) FROM ledger_leaves{mine}), (SELECT count(*) FROM ledger_pending{mine})",
            self.key, self.key, self.key,
        )[0]  # fmt: skip
        return int(found[0]), int(found[1]), int(found[2])

    def length(self) -> int:
        """The largest leaf's index and one."""
        return int(
            self._all("SELECT coalesce(max(leaf_index) + 1, 0) FROM ledger_leaves WHERE organization_id = ?", self.key)[
                0
            ][0]
        )

    def misplaced(self, limit: int) -> list[UUID]:
        """Places in the queue for entries that are sealed, or are not there."""
        rows = self._all(
            "SELECT p.entry_id FROM ledger_pending p WHERE p.organization_id = ? AND (EXISTS (SELECT 1 FROM ledger_leaves l WHERE l.entry_id = p.entry_id)"
            " OR NOT EXISTS (SELECT 1 FROM audit_log a WHERE a.id = p.entry_id AND a.organization_id = p.organization_id))"
            f" ORDER BY p.entry_id LIMIT {int(limit)}",
            self.key,
        )
        return [self._id(r[0]) for r in rows]

    def sealed_and_waiting(self) -> UUID | None:
        """An entry in the queue that has a leaf already, if any."""
        found = self._all(
            "SELECT p.entry_id FROM ledger_pending p JOIN ledger_leaves l ON l.entry_id = p.entry_id WHERE p.organization_id = ? LIMIT 1",
            self.key,
        )
        return self._id(found[0][0]) if found else None

    def neither(self, limit: int) -> tuple[int, list[UUID]]:
        """Entries that are neither sealed nor waiting: how many, and the first of them."""
        where = (
            "FROM audit_log a WHERE a.organization_id = ? AND NOT EXISTS (SELECT 1 FROM ledger_leaves l WHERE l.entry_id = a.id)"
            " AND NOT EXISTS (SELECT 1 FROM ledger_pending p WHERE p.organization_id = a.organization_id AND p.entry_id = a.id)"
        )
        rows = self._all(f"SELECT a.id {where} ORDER BY a.id LIMIT {int(limit)}", self.key)
        if len(rows) < limit:
            return len(rows), [self._id(r[0]) for r in rows]
        return int(self._all(f"SELECT count(*) {where}", self.key)[0][0]), [self._id(r[0]) for r in rows]

    # writing: the sealer's, as the worker

    def lock(self) -> None:
        """One sealer at a time. SQLite's write transaction is the lock."""
        if not self.sqlite:
            self.connection.exec_driver_sql(
                "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"ledger:{self.organization_id}",)
            )

    def begin(self, origin: str) -> None:
        """The tree's row, when it is sealed first."""
        if (
            self.origin() is not None
        ):  # the guard against REPLACE refuses a second row even where a conflict would be ignored
            return
        self.connection.exec_driver_sql(
            self._sql("INSERT INTO ledger_trees (organization_id, pruned_below, origin) VALUES (?, 0, ?)"),
            (self.key, origin),
        )  # fmt: skip

    def add_leaves(self, start: int, leaves: Sequence[tuple[Any, bytes]]) -> None:
        """``(entry id as the engine gave it, leaf hash)`` from index ``start`` on."""
        self._insert("ledger_leaves", ("organization_id", "leaf_index", "entry_id", "leaf_hash"),
                     [(self.key, start + i, entry_id, leaf) for i, (entry_id, leaf) in enumerate(leaves)])  # fmt: skip

    def add_nodes(self, size: int, new: int) -> None:
        """The subtrees that leaves ``size`` to ``new`` have completed."""
        level = 0
        while new >> tree.HEIGHT * (level + 1):
            first, last = size >> tree.HEIGHT * (level + 1), new >> tree.HEIGHT * (level + 1)
            below = self.nodes(level, first * tree.WIDTH, last * tree.WIDTH)
            rows = [
                (self.key, level + 1, first + i, tree.root(below[i * tree.WIDTH : (i + 1) * tree.WIDTH]))
                for i in range(last - first)
            ]
            self._insert("ledger_nodes", ("organization_id", "level", "node_index", "hash"), rows)
            level += 1

    def add_checkpoint(self, size: int, root: bytes, note: str, sealed_at: datetime) -> None:
        self._insert("ledger_checkpoints", ("organization_id", "tree_size", "root_hash", "note", "sealed_at"),
                     [(self.key, size, root, note, clock.text(sealed_at) if self.sqlite else sealed_at)])  # fmt: skip

    def unqueue(self, start: int, stop: int) -> None:
        """What has a leaf does not wait any more."""
        self.connection.exec_driver_sql(
            self._sql("DELETE FROM ledger_pending WHERE organization_id = ? AND entry_id IN"
                      " (SELECT entry_id FROM ledger_leaves WHERE organization_id = ? AND leaf_index >= ? AND leaf_index < ?)"),
            (self.key, self.key, start, stop),
        )  # fmt: skip

    def _insert(self, table: str, columns: Sequence[str], rows: list[tuple[Any, ...]]) -> None:
        if not rows:
            return
        names = ", ".join(columns)
        if self.sqlite or len(rows) < _COPY_FROM:
            marks = ", ".join("?" * len(columns))
            self.connection.exec_driver_sql(self._sql(f"INSERT INTO {table} ({names}) VALUES ({marks})"), rows)
            return
        driver = self.connection.connection.driver_connection
        assert driver is not None
        with driver.cursor() as cursor:  # COPY into the table itself is refused under row-level security
            cursor.execute(f"CREATE TEMP TABLE IF NOT EXISTS sealing_{table} (LIKE {table}) ON COMMIT DROP")
            with cursor.copy(f"COPY sealing_{table} ({names}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
            cursor.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM sealing_{table}")
            cursor.execute(f"DROP TABLE sealing_{table}")

    def _bound(self, key: UUID) -> Any:
        return key.bytes if self.sqlite else key

    # erasure and retention: the worker's

    def blank(self, entry_ids: Iterable[UUID], columns: Sequence[str]) -> int:
        """Set a group of these entries to NULL; the guard lets only whole groups go. Returns how many rows there were."""
        assigned = ", ".join(f"{c} = NULL" for c in columns)
        salt = columns[-1]
        done = 0
        for entry_id in entry_ids:
            done += self.connection.exec_driver_sql(
                self._sql(f"UPDATE audit_log SET {assigned} WHERE organization_id = ? AND id = ? AND {salt} IS NOT NULL"),
                (self.key, self._bound(entry_id)),
            ).rowcount  # fmt: skip
        return done

    def give_up_below(self, index: int) -> None:
        """Let retention delete the entries of smaller leaves."""
        self.connection.exec_driver_sql(
            self._sql("UPDATE ledger_trees SET pruned_below = ? WHERE organization_id = ? AND pruned_below < ?"),
            (index, self.key, index),
        )

    def entries_between(self, start: int, stop: int) -> list[Any]:
        """Stored rows of these leaves as :data:`entry.COLUMNS`, in the order of the leaves; deleted ones are left out."""
        return self._all(
            f"SELECT {self.columns()} FROM ledger_leaves l JOIN audit_log a ON a.id = l.entry_id AND a.organization_id = l.organization_id"
            " WHERE l.organization_id = ? AND l.leaf_index >= ? AND l.leaf_index < ? ORDER BY l.leaf_index",
            self.key, start, stop,
        )  # fmt: skip

    def first_since(self, moment: datetime) -> int | None:
        """The first leaf whose entry is not older than ``moment``; ``None`` when all are."""
        found = self._all(
            "SELECT min(l.leaf_index) FROM audit_log a JOIN ledger_leaves l ON l.entry_id = a.id AND l.organization_id = a.organization_id"
            " WHERE a.organization_id = ? AND a.timestamp >= ?",
            self.key, clock.text(moment) if self.sqlite else moment,
        )  # fmt: skip
        return None if found[0][0] is None else int(found[0][0])

    def oldest(self) -> int | None:
        """The leaf of the entry with the smallest id; ``None`` without sealed entries."""
        found = self._all(
            "SELECT l.leaf_index FROM audit_log a LEFT JOIN ledger_leaves l ON l.entry_id = a.id WHERE a.organization_id = ? ORDER BY a.id LIMIT 1",
            self.key,
        )
        return found[0][0] if found else None

    def delete_between(self, start: int, stop: int) -> int:
        """Remove the entries of these leaves; the guard demands that they were given up. Returns how many."""
        return self.connection.exec_driver_sql(
            self._sql("DELETE FROM audit_log WHERE organization_id = ? AND id IN"
                      " (SELECT entry_id FROM ledger_leaves WHERE organization_id = ? AND leaf_index >= ? AND leaf_index < ?)"),
            (self.key, self.key, start, stop),
        ).rowcount  # fmt: skip
