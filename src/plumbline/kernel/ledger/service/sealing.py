"""Sealing: what waits becomes leaves, and a signed checkpoint says so.

A batch is hashed outside of the transaction; only its rows are written inside, under the tree's lock, if the tree is still the
one that was read. Killed at any step, either all of a batch is there or nothing; entries that were committed late come in
a later batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from plumbline.kernel import clock
from plumbline.kernel.context import Context
from plumbline.kernel.errors import Conflict, Corrupt, PlumblineError
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger import entry, keys, note
from plumbline.kernel.ledger.keys import Keys
from plumbline.kernel.ledger.repository.trees import Sealed, Trees
from plumbline.kernel.ledger.service.acts import Act

BATCH = 20_000
"""Entries of one checkpoint at most: SQLite's writers wait about 0.3 s for it."""
CLOCK_STEP = timedelta(minutes=5)
"""A clock that was set back by no more still seals, with the time of the checkpoint before."""

Step = Callable[[str], None]
"""Told before each step of a batch; tests end the process there."""


@dataclass(frozen=True, slots=True)
class SealResult:
    """``sealed`` entries went into the tree, which has ``size`` leaves now and the checkpoint ``note`` (none: still empty)."""

    sealed: int
    size: int
    note: str | None
    sealed_at: datetime | None


def seal(installation: Installation, organization_id: UUID, *, with_keys: Keys | None = None, batch: int = BATCH, replacing: bool = False,
         step: Step = lambda _: None) -> SealResult:  # fmt: skip
    """Seal everything of an organization that waits; nothing waiting, nothing happens.

    :param with_keys: sign with these; default: the installation's.
    :param replacing: the key is replaced: the last checkpoint need not be signed by it.
    :raises Conflict: the key is missing or not the one that signed before, or the clock was set back.
    :raises Corrupt: an entry is not what it was written with; nothing of its batch is sealed.
    """
    total = 0
    while True:
        done, head = _batch(installation, organization_id, with_keys, batch, replacing, step)
        total += done
        if done < batch:
            break
    at = clock.parse(head.sealed_at) if head else None
    return SealResult(total, head.size if head else 0, head.note if head else None, at)


def seal_now(installation: Installation, context: Context) -> SealResult:
    """Seal because somebody asks for it: an act, whose entry goes into the tree that it asks for.

    :raises Forbidden: without the right ``ledger.seal``; else as :func:`seal`, and the entry of the act waits with the others.
    """
    with Act(installation.database, context, "ledger.seal", "ledger", right="ledger.seal"):
        pass
    return seal(installation, context.organization_id)


def _batch(installation: Installation, organization_id: UUID, with_keys: Keys | None, limit: int, replacing: bool,
           step: Step) -> tuple[int, Sealed | None]:  # fmt: skip
    """One checkpoint; returns how many entries it took, and the head of the tree."""
    while True:
        with installation.worker_database.read(organization_id) as session:
            trees = Trees(session, organization_id)
            head, rows = trees.head(), trees.pending(limit)
        if not rows:
            return 0, head
        leaves = _leaves(rows)
        signing = with_keys or _signing(installation, head)
        if head is not None and not replacing:
            _demand_same_key(head, signing)
        sealed_at = _moment(installation.clock(), head)
        step("hashed")
        with installation.worker_database.write(organization_id) as session:
            trees = Trees(session, organization_id)
            trees.lock()
            step("locked")
            if (present := trees.head()) != head:
                continue  # another sealer was faster
            size = head.size if head else 0
            trees.begin(f"{keys.host(installation.settings)}/ledger/{organization_id}")
            there = trees.origin()
            assert there is not None
            if head is not None:
                _demand_intact(trees, head, there[0])
            elif trees.beyond() or trees.nodes(1, 0, 1):
                raise Corrupt("There are leaves, but no checkpoint any more that was signed over them; nothing was sealed.", remedy=_VERIFY)  # fmt: skip
            if doubled := trees.sealed_and_waiting():
                raise Corrupt(f"Entry {doubled} waits, but was sealed before; nothing was sealed.", remedy=_VERIFY)
            step("tree")
            trees.add_leaves(size, leaves)
            step("leaves")
            new = size + len(leaves)
            trees.add_nodes(size, new)
            step("nodes")
            checkpoint = note.Checkpoint(there[0], new, trees.tree().root(new))
            text = str(checkpoint)
            signed = text + "\n" + "".join(note.sign(text, checkpoint.origin, key) for key in signing.private)
            trees.add_checkpoint(new, checkpoint.root, signed, sealed_at)
            step("checkpoint")
            trees.unqueue(size, new)
            step("unqueued")
            present = Sealed(new, checkpoint.root, signed, clock.text(sealed_at))
        step("committed")
        return len(leaves), present


def obstacle(installation: Installation, head: Sealed | None, present: Keys | None) -> str | None:
    """Why sealing with this key would be refused now, in words."""
    try:
        keys.demand(present, sealed=head is not None)
        if head is not None and present is not None:
            _demand_same_key(head, present)
        _moment(installation.clock(), head)
    except PlumblineError as error:
        return str(error)
    return None


def _leaves(rows: list[tuple[object, ...]]) -> list[tuple[object, bytes]]:
    leaves = []
    for row in rows:
        leaf, fault = entry.sealed(row)
        if fault:
            raise Corrupt(f"Entry {entry.key_text(row[0])} was changed before it was sealed: {fault}.",  # type: ignore[arg-type]
                          remedy="See who can write to the database; the entries that wait cannot be sealed as they stand.")  # fmt: skip
        leaves.append((row[0], leaf))
    return leaves


def _signing(installation: Installation, head: Sealed | None) -> Keys:
    """The configured key, made where no tree was sealed yet."""
    found = keys.load(installation.settings)
    if found is None:
        sealed = head is not None or _any_sealed(installation)
        found = keys.load(installation.settings)  # another sealer has just made it, and sealed
        keys.demand(found, sealed=sealed)
        found = found or keys.make(installation.settings)
    keys.remember_public(installation.settings, found.public)
    return found


def _any_sealed(installation: Installation) -> bool:
    """Whether a checkpoint of any organization is there."""
    from plumbline.kernel.identity import repository as identity

    with installation.database.read(None) as session:
        found = [o.id for o in identity.organizations(session)]
    for organization_id in found:
        with installation.database.read(organization_id) as session:
            if Trees(session, organization_id).head() is not None:
                return True
    return False


def _demand_same_key(head: Sealed, signing: Keys) -> None:
    """A key that did not sign the last checkpoint is a foreign one."""
    origin = note.Checkpoint.parse(note.split(head.note)[0]).origin
    try:
        note.open_note(head.note, [note.VerifierKey(origin, public) for public in signing.public])
    except ValueError:
        raise Conflict(f"The ledger's key is not the one that signed the checkpoint of {head.size:,} entries; nothing was sealed.",
                       remedy="Put the right key back, or change it as it should be: plumbline ledger key rotate.") from None  # fmt: skip


_VERIFY = "Run plumbline ledger verify with a checkpoint kept elsewhere; see who can write to the database."


def _demand_intact(trees: Trees, head: Sealed, origin: str) -> None:
    """What stands in the tree is what was signed: a further signature would vouch for all of it."""
    said = note.Checkpoint.parse(note.split(head.note)[0])
    try:
        root = trees.tree().root(head.size)
    except ValueError:
        root = b""
    if said != note.Checkpoint(origin, head.size, head.root) or root != head.root or trees.beyond():
        raise Corrupt(
            f"The tree is not the one that was signed with {head.size:,} entries; nothing was sealed.", remedy=_VERIFY
        )


def _moment(now: datetime, head: Sealed | None) -> datetime:
    if head is None:
        return now
    before = clock.parse(head.sealed_at)
    if now >= before:
        return now
    if before - now <= CLOCK_STEP:
        return before
    raise Conflict(f"The clock says {now:%Y-%m-%d %H:%M} UTC, but the last checkpoint was sealed at {before:%Y-%m-%d %H:%M} UTC; nothing was sealed.",
                   remedy="Set the clock right; what waits is sealed then.")  # fmt: skip
