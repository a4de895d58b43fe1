"""What the ledger is compared with: the usual hash chain, each row's hash over the hash before and the row's JSON.

Written as fast as ours: the same rows by the same query, the fast JSON encoder, COPY on PostgreSQL. It signs nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from benchmarks.entries import Grown
from benchmarks.harness import Bench, timed
from benchmarks.watch import noted
from plumbline.kernel.ledger import entry
from plumbline.kernel.ledger.repository.trees import Trees

_COLUMNS = tuple(c for c in entry.COLUMNS if not c.endswith(("_salt", "_commitment")))
_AT = [entry.COLUMNS.index(c) for c in _COLUMNS]
_KEYS = frozenset({"id", "organization_id", "user_id", "resource_id"})
START = bytes(32)


def text(row: Sequence[Any]) -> bytes:
    """A row's JSON."""
    values = {
        name: entry.key_text(row[i]) if name in _KEYS and row[i] is not None else row[i]
        for name, i in zip(_COLUMNS, _AT)
    }
    values["success"] = bool(values["success"])
    return orjson.dumps(values, option=orjson.OPT_SORT_KEYS)


def following(before: bytes, row: bytes) -> bytes:
    return hashlib.sha256(before + row).digest()


class Chain:
    """A chain over the first ``grown.entries`` entries of a ledger, in a table of its own beside it."""

    def __init__(self, grown: Grown) -> None:
        self.grown, self.owner = grown, grown.house.owner
        binary, key = ("BLOB", "BLOB") if self.owner.is_sqlite else ("bytea", "uuid")
        with self.owner.connect(write=True) as connection:
            connection.exec_driver_sql(
                f"CREATE TABLE naive_chain (place bigint PRIMARY KEY, entry_id {key} NOT NULL, hash {binary} NOT NULL)"
            )
            if not self.owner.is_sqlite:
                connection.exec_driver_sql("GRANT SELECT ON naive_chain TO plumbline_app")

    def append(self) -> None:
        """All entries, in batches as large as the sealer's."""
        head = START
        for start in range(0, self.grown.entries, self.grown.batch):
            stop = min(start + self.grown.batch, self.grown.entries)
            with self.grown.installation.database.read(self.grown.organization_id) as session:
                found = Trees(session, self.grown.organization_id).entries_between(start, stop)
            made = []
            for place, row in enumerate(found, start):
                head = following(head, text(row))
                made.append((place, row[0], head))
            self._insert(made)
        if not self.owner.is_sqlite:
            with self.owner.connect(write=True) as connection:
                connection.exec_driver_sql("ANALYZE naive_chain")

    def _insert(self, made: list[tuple[int, Any, bytes]]) -> None:
        with self.owner.connect(write=True) as connection:
            if self.owner.is_sqlite:
                connection.exec_driver_sql("INSERT INTO naive_chain VALUES (?, ?, ?)", made)
                return
            driver = connection.connection.driver_connection
            assert driver is not None
            with driver.cursor() as cursor, cursor.copy("COPY naive_chain FROM STDIN") as copy:
                for row in made:
                    copy.write_row(row)

    def verify(self) -> bool:
        """Recompute all of it."""
        head = START
        for stored, row in self._rows(0):
            head = following(head, text(row))
            if head != stored:
                return False
        return True

    def _rows(self, start: int) -> Iterator[tuple[bytes, Sequence[Any]]]:
        with self.grown.installation.database.read(self.grown.organization_id) as session:
            trees = Trees(session, self.grown.organization_id)
            statement = (
                f"SELECT c.hash, {trees.columns()} FROM naive_chain c JOIN audit_log a ON a.id = c.entry_id"
                " WHERE a.organization_id = ? AND c.place >= ? ORDER BY c.place"
            )
            with trees.stream(statement, start) as found:
                for row in found:
                    yield bytes(row[0]), row[1:]

    def prove(self, place: int, path: Path) -> None:
        """What has to be handed over for one entry: the hash before it, itself, and every row up to the head."""
        with path.open("wb") as file:
            file.write(self._hash(place - 1).hex().encode() + b"\n")
            file.writelines(text(row) + b"\n" for _, row in self._rows(place))

    def head(self) -> bytes:
        return self._hash(self.grown.entries - 1)

    def _hash(self, place: int) -> bytes:
        with self.owner.connect() as connection:
            found = connection.exec_driver_sql(f"SELECT hash FROM naive_chain WHERE place = {place}").scalar()
        return bytes(found) if found is not None else START


def checked(path: Path) -> bytes:
    """The head that a proof leads to."""
    with path.open("rb") as file:
        return _led(bytes.fromhex(file.readline().decode()), file)


def _led(head: bytes, lines: Iterable[bytes]) -> bytes:
    for line in lines:
        head = following(head, line[:-1])
    return head


def compared(bench: Bench, grown: Grown) -> None:
    """The naive peer, on the same rows."""
    theirs, place = Chain(grown), grown.entries // 2
    with grown.watch.window() as window:
        run = timed(theirs.append)
    bench.info(
        "naive chain: entries appended per CPU-second",
        grown.entries / run.cpu,
        note=noted(f"read, hashed, inserted; {run.cpu:.1f} CPU-s", grown.watch.share(window.server)),
    )
    with grown.watch.window() as window:
        run = timed(theirs.verify)
    assert run.result
    bench.info(
        "naive chain: verifying all of it",
        run.cpu,
        unit="CPU-s",
        cpu=True,
        note=noted(f"{run.wall:.1f} s on the clock, one process", grown.watch.share(window.server), window.load),
    )
    file = grown.house.settings.home / "chain.proof"
    theirs.prove(place, file)
    size = file.stat().st_size
    run = timed(lambda: checked(file))
    assert run.result == theirs.head()
    file.unlink()
    bench.info(
        "naive chain: proof of the entry in the middle",
        size,
        unit="bytes",
        note=f"the hash before it and {grown.entries - place:,} rows, each readable by whoever checks",
    )
    bench.info(
        "naive chain: checking that proof",
        run.cpu * 1000,
        unit="CPU-ms",
        cpu=True,
        note=f"{run.wall * 1000:,.0f} ms on the clock",
    )
    with grown.installation.database.read(grown.organization_id) as session:
        row = Trees(session, grown.organization_id).entries_between(place, place + 1)[0]
    erased = [None if name in entry.ACTOR else value for name, value in zip(entry.COLUMNS, row)]
    breaks = following(bytes(32), text(row)) != following(bytes(32), text(erased))
    bench.info(
        "naive chain: what it cannot show",
        "no proof without all later rows" + ("; an erasure breaks it" if breaks else ""),
        note="and with no signed head, whoever owns the table can write all of it anew",
    )
