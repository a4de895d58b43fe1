"""Checkpoints leave the house: copies go to stores, and witnesses send cosignatures back.

Who holds an earlier checkpoint sees when history before it is rewritten or cut off; in the house nobody could. A destination
that is away, slow or lies is recorded with what it did and tried again in the next run; nothing of it stops the sealing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger import keys, note
from plumbline.kernel.ledger.note import VerifierKey
from plumbline.kernel.ledger.repository import outside
from plumbline.kernel.ledger.repository.trees import Sealed, Trees
from plumbline.kernel.ledger.service.reaching import (
    TIMEOUT,
    Answer,
    Store,
    Undelivered,
    cosigned,
    masked,
    post,
    witness_of,
)

MOST_MISSING = 100
"""A store that lacks more checkpoints than that gets the newest and the last of each day (UTC)."""
ALARM = "Alarm: "
"""Begins an error that speaks of our history, not of the way there: somebody has to look."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Delivery:
    """A destination after a run: ``sent`` checkpoints went out now; the largest that it has is of ``tree_size``."""

    address: str
    kind: str
    witness: str | None
    sent: int
    tree_size: int
    error: str | None


@dataclass(frozen=True, slots=True)
class DestinationView:
    """A configured destination. ``behind``: sealed entries that it has seen nothing of. Never tried: no times."""

    address: str
    kind: str
    witness: str | None
    tree_size: int
    behind: int
    delivered_at: datetime | None
    tried_at: datetime | None
    error: str | None

    @property
    def alarm(self) -> bool:
        """Whether the error says that history was rewritten or cut off."""
        return self.error is not None and self.error.startswith(ALARM)


@dataclass(frozen=True, slots=True)
class CosignatureView:
    """A witness's word: that it saw the checkpoint, and when by its own clock."""

    witness: str
    verifier_key: str
    line: str
    signed_at: datetime
    received_at: datetime


@dataclass(frozen=True, slots=True)
class _Configured:
    """A destination as the settings name it."""

    text: str
    kind: str

    @property
    def row(self) -> str:
        """Its address in the table. A witness's has its key: with another key it is another witness."""
        return " ".join(masked(self.text).split()) if self.kind == "witness" else masked(self.text)

    @property
    def address(self) -> str:
        return self.row.split(" ")[0] if self.kind == "witness" else self.row

    @property
    def witness(self) -> str | None:
        parts = self.text.split()
        return parts[1].split("+")[0] if self.kind == "witness" and len(parts) == 2 else None


def _configured(installation: Installation) -> list[_Configured]:
    """Witnesses first: what they say goes into the stores in the same run."""
    witnesses = [_Configured(text, "witness") for text in installation.settings.ledger_witnesses]
    stores = [_Configured(text, "store") for text in installation.settings.ledger_stores]
    return list({each.row: each for each in [*witnesses, *stores]}.values())


def destinations(installation: Installation, organization_id: UUID) -> list[DestinationView]:
    """Where checkpoints go by the settings, and how far that has come."""
    with installation.database.read(organization_id) as session:
        rows, head = outside.destinations(session, organization_id), Trees(session, organization_id).head()
    size, views = head.size if head else 0, []
    for each in _configured(installation):
        row = rows.get(each.row)
        has = row.tree_size if row else 0
        delivered, tried, error = (row.delivered_at, row.tried_at, row.error) if row else (None, None, None)
        views.append(DestinationView(each.address, each.kind, each.witness, has, max(0, size - has), delivered, tried, error))  # fmt: skip
    return views


def cosignatures(installation: Installation, organization_id: UUID, size: int) -> list[CosignatureView]:
    """What witnesses said of the checkpoint of ``size`` leaves, by their names."""
    with installation.database.read(organization_id) as session:
        rows = outside.cosignatures(session, organization_id, size)
    return [CosignatureView(r.witness, r.verifier_key, r.line, r.signed_at, r.received_at) for r in rows]


def kept_outside(installation: Installation, organization_id: UUID) -> list[str]:
    """The newest checkpoint that each store holds of this ledger, for :func:`verifying.verify` to trust.

    One that cannot be reached, or whose file no known key signed, is left out: what is wrong there, :func:`deliver` records.
    """
    with installation.database.read(organization_id) as session:
        tree = Trees(session, organization_id).origin()
    if tree is None:
        return []
    known, kept = [VerifierKey(tree[0], public) for public in keys.known_public(installation.settings)], []
    for each in _configured(installation):
        if each.kind == "store":
            with suppress(Undelivered, ValueError):
                text = (Store(each.text).read(f"{tree[0]}/checkpoint") or b"").decode("utf-8")
                note.open_checkpoint(text, known)
                kept.append(text)
    return kept


def deliver(installation: Installation, organization_id: UUID, *, timeout: float = TIMEOUT) -> list[Delivery]:
    """Send what was sealed to every configured destination that lacks it; before the first seal there is nothing to send.

    A witness is asked to cosign the newest checkpoint. A store gets ``<origin>/<size, 12 digits>.checkpoint`` for each that it
    lacks (of more than 100 the newest and the last of each day) and ``<origin>/checkpoint``, the newest. Numbered files are
    never written over; the newest is renewed when cosignatures come in later. What goes wrong at a destination is kept with
    it; only a fault of our own database is raised. Nothing outside is called within a transaction.

    :param timeout: seconds a witness may be silent; three times that a store may take for a file.
    """
    done = []
    for each in _configured(installation):
        with installation.worker_database.read(organization_id) as session:
            # the row before the head: what another worker does in between must not look as if the tree had shrunk
            row = outside.destinations(session, organization_id).get(each.row)
            head = Trees(session, organization_id).head()
            if head is None:
                return []
            renewed = each.kind == "store" and row is not None and row.delivered_at is not None and outside.cosigned_after(
                session, organization_id, head.size, row.delivered_at)  # fmt: skip
        has = row.tree_size if row else 0
        if row is not None and row.error is None and has == head.size and not renewed:
            done.append(Delivery(each.address, each.kind, each.witness, 0, has, None))
            continue
        attempt, began, error = _Attempt(installation, organization_id, head, has), installation.clock(), None
        try:
            if has > head.size:
                raise attempt.cut_off(has)
            if each.kind == "witness":
                attempt.to_witness(each.text, timeout)
            else:
                attempt.to_store(each.text, timeout)
        except Undelivered as fault:
            error = str(fault)
        with installation.worker_database.write(organization_id) as write:
            outside.remember_destination(write, organization_id, each.row, kind=each.kind, tree_size=attempt.has, tried_at=began,
                                         delivered_at=began if error is None or attempt.sent else None, error=error)  # fmt: skip
        done.append(Delivery(each.address, each.kind, each.witness, attempt.sent, attempt.has, error))
    return done


class _Attempt:
    """One run to one destination; how far it came (``has``, ``sent``) is known also when it fails."""

    def __init__(self, installation: Installation, organization_id: UUID, head: Sealed, has: int) -> None:
        self.installation, self.organization_id, self.head, self.has = installation, organization_id, head, has
        self.sent = 0
        self.text = note.split(head.note)[0]
        self.origin = note.Checkpoint.parse(self.text).origin

    def cut_off(self, seen: int) -> Undelivered:
        return Undelivered(f"{ALARM}a tree of {seen:,} entries was delivered there, but this ledger has {self.head.size:,}: it was cut off or restored"
                           " from an old copy.", remedy="Find out which, and verify the ledger against the checkpoint there.")  # fmt: skip

    def rewritten(self, size: int) -> Undelivered:
        return Undelivered(f"{ALARM}another checkpoint of {size:,} entries lies there: history was rewritten, or a copy of this installation goes on"
                           " elsewhere.", remedy="Find out which, and verify the ledger against the checkpoint there.")  # fmt: skip

    def _demand_reached(self, seen: int) -> None:
        """That our tree is as large as what was seen outside, be it by what another worker sealed meanwhile."""
        if seen > self.head.size:
            self.head = self._tree(lambda trees: trees.head()) or self.head
            self.text = note.split(self.head.note)[0]
        if seen > self.head.size:
            raise self.cut_off(seen)

    def _tree(self, ask: Callable[[Trees], T]) -> T:
        """What the tree says, in a transaction of its own."""
        try:
            with self.installation.worker_database.read(self.organization_id) as session:
                return ask(Trees(session, self.organization_id))
        except ValueError as error:
            raise Undelivered(f"{ALARM}no proof can be made: {error}.", remedy="Verify the ledger.") from None

    # stores

    def to_store(self, address: str, timeout: float) -> None:
        """
        :raises Undelivered: what is wrong there.
        """
        store, latest = Store(address, timeout), f"{self.origin}/checkpoint"
        if (there := store.read(latest)) is not None:
            self._demand_continued(there)
        with self.installation.worker_database.read(self.organization_id) as session:
            missing = outside.sealed_after(session, self.organization_id, self.has)
        for size in chosen([m for m in missing if m[0] <= self.head.size]) or [self.head.size]:
            name, signed = f"{self.origin}/{size:012}.checkpoint", self._signed(size)
            there = store.read(name)
            if there is None or not self._same(size, there, signed):
                store.write(name, signed.encode())
                self.sent += 1
            if size < self.head.size:
                self.has = size
        store.write(latest, self._signed(self.head.size).encode())
        self.has = self.head.size

    def _signed(self, size: int) -> str:
        with self.installation.worker_database.read(self.organization_id) as session:
            (found,) = outside.sealed(session, self.organization_id, [size])
            return outside.note_with_cosignatures(session, self.organization_id, found)

    def _same(self, size: int, there: bytes, signed: str) -> bool:
        """Whether the file speaks of the same tree (its cosignatures may be fewer); not when its writing was cut off."""
        text = f"{note.split(signed)[0]}\n".encode()
        if there.startswith(text):
            return len(there) > len(text) and there.endswith(b"\n")
        if text.startswith(there):
            return False
        raise self.rewritten(size)

    def _demand_continued(self, there: bytes) -> None:
        """That our history continues the store's newest checkpoint. One that was cut off says nothing; the numbered ones do."""
        try:
            last = note.Checkpoint.parse(note.split(there.decode("utf-8"))[0])
        except ValueError:
            return
        self._demand_reached(last.size)
        if self._tree(lambda trees: trees.tree().root(last.size)) != last.root:
            raise self.rewritten(last.size)

    # witnesses

    def to_witness(self, setting: str, timeout: float) -> None:
        """
        :raises Undelivered: what is wrong there.
        """
        url, key = witness_of(setting)
        answer = self._ask(url, timeout)
        if answer.status == 409 and answer.size is not None and answer.size != self.has:
            self._demand_reached(answer.size)
            self.has = answer.size
            answer = self._ask(url, timeout)
        if answer.status != 200:
            raise self._refused(answer, key)
        line, at = cosigned(self.text, answer.text, key)
        with self.installation.worker_database.write(self.organization_id) as write:
            outside.add_cosignature(write, self.organization_id, self.head.size, witness=key.name, verifier_key=str(key), line=line, signed_at=at,
                                    received_at=self.installation.clock())  # fmt: skip
        self.has, self.sent = self.head.size, 1

    def _ask(self, url: str, timeout: float) -> Answer:
        """``add-checkpoint`` with the proof from what the witness has."""
        old, size = self.has, self.head.size
        proof = self._tree(lambda trees: trees.tree().consistency(old, size))
        body = f"old {old}\n" + "".join(f"{note.b64(h)}\n" for h in proof) + f"\n{self.head.note}"
        return post(f"{url}/add-checkpoint", body.encode(), timeout)

    def _refused(self, answer: Answer, key: VerifierKey) -> Undelivered:
        """A refusal in words."""
        said = f" It says: {' '.join(answer.text.split())[:200]}" if answer.text.strip() else ""
        if answer.status == 409 and self.has == self.head.size:
            return self.rewritten(self.has)
        if answer.status == 422:
            return Undelivered(f"{ALARM}{key.name} finds that this ledger does not continue the {self.has:,} entries that it has seen: history was"
                               f" rewritten, or it errs.{said}", remedy="Verify the ledger against a checkpoint kept elsewhere.")  # fmt: skip
        if answer.status in (403, 404):
            what = "the key that signs this log" if answer.status == 403 else "this log, or nothing is at its address"
            ours = " ".join(
                str(VerifierKey(self.origin, p)) for p in keys.known_public(self.installation.settings)[-1:]
            )
            return Undelivered(f"{key.name} does not know {what} ({answer.status}).{said}",
                               remedy=f"See the address, and have this key registered there: {ours}")  # fmt: skip
        if 300 <= answer.status < 400:
            return Undelivered(f"{key.name} sends elsewhere ({answer.status}), which is not followed.",
                               remedy="Put the address it names into ledger_witnesses.")  # fmt: skip
        return Undelivered(f"{key.name} answered {answer.status}.{said}", remedy="It is tried again; ask who runs it.")


def chosen(missing: Sequence[tuple[int, datetime]]) -> list[int]:
    """Which of the checkpoints that a store lacks are sent: all, or of too many the newest and the last of each day."""
    if len(missing) <= MOST_MISSING:
        return [size for size, _ in missing]
    return sorted({at.astimezone(UTC).date(): size for size, at in sorted(missing)}.values())
