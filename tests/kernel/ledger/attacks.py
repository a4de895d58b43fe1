"""The twenty-six attacks of the design's table; each returns what the finding has to say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.conftest import NOW
from tests.kernel.ledger.tampering import APART, BATCH, BATCHES, SIZE, VICTIM, WHITEWASH, Case, Inside, write_entry


def clear_column(case: Case, index: int = VICTIM) -> str:
    with case.inside() as owner:
        key, _ = owner.leaf(index)
        owner.run("UPDATE audit_log SET action = 'LOGOUT' WHERE id = ?", key)
    return f"Leaf {index}: entry {key} was changed"


def content(case: Case) -> str:
    with case.inside() as owner:
        key, _ = owner.leaf(VICTIM)
        owner.run("UPDATE audit_log SET details = ? WHERE id = ?", WHITEWASH, key)
    return f"Leaf {VICTIM}: entry {key} was changed: its content is not what it was written with"


def content_and_commitment(case: Case) -> str:
    with case.inside() as owner:
        key, _ = owner.leaf(VICTIM)
        owner.recommit(key)
    return f"Leaf {VICTIM}: entry {key} was changed after it was sealed"


def _everything(case: Case, key: Ed25519PrivateKey | None) -> None:
    with case.inside() as owner:
        owner.recommit(owner.leaf(VICTIM)[0])
        owner.rebuild(key)


def everything_without_key(case: Case) -> str:
    _everything(case, None)
    return f"Checkpoint {2 * BATCH}: its signed note does not match its row"


def everything_with_the_key(case: Case) -> str:
    _everything(case, case.world.key)
    return "history before it was rewritten, between leaf 0 and leaf "


def everything_with_a_new_key(case: Case) -> str:
    _everything(case, Ed25519PrivateKey.generate())
    return f"Checkpoint {2 * BATCH}: no known key signed this"


def row_deleted(case: Case) -> str:
    with case.inside() as owner:
        key, _ = owner.leaf(VICTIM)
        owner.removewrite_entry(key)
    return f"Leaf {VICTIM}: entry {key} was deleted"


def row_and_leaf_deleted(case: Case) -> str:
    with case.inside() as owner:
        key, _ = owner.leaf(VICTIM)
        owner.removewrite_entry(key)
        owner.remove_leaf(key)
    return f"Leaf {VICTIM}: it is missing"


def _renumbered(case: Case, key: Ed25519PrivateKey | None) -> UUID:
    with case.inside() as owner:
        gone, _ = owner.leaf(VICTIM)
        owner.removewrite_entry(gone)
        owner.remove_leaf(gone)
        for index in range(VICTIM + 1, SIZE):
            owner.run("UPDATE ledger_leaves SET leaf_index = ? WHERE organization_id = ? AND leaf_index = ?",
                      index - 1, owner.key, index)  # fmt: skip
        owner.rebuild(key)
        return owner.leaf(2 * BATCH - 1)[0]


def renumbered_without_key(case: Case) -> str:
    _renumbered(case, None)
    return f"Checkpoint {SIZE - 1}: its signed note does not match its row"


def renumbered_with_the_key(case: Case) -> str:
    return f"Leaf {2 * BATCH - 1}: entry {_renumbered(case, case.world.key)} is dated"


def insert(case: Case, owner: Inside) -> UUID:
    return write_entry(owner.session, case.world.mine, NOW + timedelta(minutes=2), 1)


def row_not_queued(case: Case) -> str:
    with case.inside() as owner:
        key = insert(case, owner)
    return (
        f"1 entry is neither sealed nor waiting: inserted past the queue, or the queue was emptied. The first: {key}."
    )


def row_with_old_time(case: Case) -> str:
    with case.inside() as owner:
        key = insert(case, owner)
        owner.queue(key)
    case.seal(NOW + BATCHES * APART)
    return f"Leaf {SIZE}: entry {key} is dated"


def leaves_reordered(case: Case) -> str:
    with case.inside() as owner:
        (first, hash1), (second, hash2) = owner.leaf(10), owner.leaf(20)
        owner.remove_leaf(first)
        owner.remove_leaf(second)
        owner.put_leaf(10, second, hash2)
        owner.put_leaf(20, first, hash1)
    return f"Leaf 20: entry {first} stands behind a later one"


def old_backup(case: Case) -> str:
    with case.inside() as owner:
        owner.cut(2 * BATCH)
    return f"The history ends at {2 * BATCH} entries, but had {SIZE} once"


def tail_cut(case: Case) -> str:
    """The checkpoints stay."""
    with case.inside() as owner:
        marks = owner.run("SELECT organization_id, tree_size, root_hash, note, sealed_at FROM ledger_checkpoints"
                          " WHERE organization_id = ? AND tree_size = ?", owner.key, SIZE)  # fmt: skip
        owner.cut(2 * BATCH)
        owner.run("INSERT INTO ledger_checkpoints (organization_id, tree_size, root_hash, note, sealed_at) VALUES (?, ?, ?, ?, ?)",
                  *marks[0])  # fmt: skip
    return f"Leaf {2 * BATCH}: it is missing"


def split_view(case: Case) -> str:
    """A copy is restored, and other things happen in it than did."""
    old_backup(case)
    case.add(BATCH + 50, NOW + 2 * APART)
    case.seal(NOW + 2 * APART + timedelta(minutes=10))
    return f"history before it was rewritten, between leaf 0 and leaf {SIZE - 1}"


def last_checkpoint_deleted(case: Case) -> str:
    with case.inside() as owner:
        owner.run("DELETE FROM ledger_checkpoints WHERE organization_id = ? AND tree_size = ?", owner.key, SIZE)
    return f"{BATCH} leaves stand behind the last checkpoint"


def unsealed(case: Case) -> str:
    with case.inside() as owner:
        key, _ = owner.leaf(SIZE - 1)
        owner.remove_leaf(key)
        owner.queue(key)
    return f"Leaf {SIZE - 1}: it is missing"


def queue_emptied(case: Case) -> str:
    waiting = case.add(3, NOW + BATCHES * APART)
    with case.inside() as owner:
        owner.run("DELETE FROM ledger_pending WHERE organization_id = ?", owner.key)
    return f"3 entries are neither sealed nor waiting: inserted past the queue, or the queue was emptied. The first: {waiting[0]}"


def node_edited(case: Case) -> str:
    with case.inside() as owner:
        owner.run("UPDATE ledger_nodes SET hash = ? WHERE organization_id = ? AND node_index = 1", bytes(32), owner.key)
    return "Stored node 1 of level 1 is not that of the leaves 256 to 511"


def rows_swapped(case: Case) -> str:
    with case.both() as (mine, theirs):
        ours, others = mine.leaf(5)[0], theirs.leaf(5)[0]
        mine.run("UPDATE audit_log SET organization_id = ? WHERE id = ?", theirs.key, ours)
        mine.run("UPDATE audit_log SET organization_id = ? WHERE id = ?", mine.key, others)
        return f"Leaf 5: entry {ours} "


def leaves_swapped(case: Case) -> str:
    with case.both() as (mine, theirs):
        (ours, hash1), (others, hash2) = mine.leaf(5), theirs.leaf(5)
        mine.remove_leaf(ours)
        theirs.remove_leaf(others)
        mine.put_leaf(5, others, hash2)
        theirs.put_leaf(5, ours, hash1)
    return f"Leaf 5: entry {others} "


def blanked(case: Case) -> str:
    with case.inside() as owner:
        key, _ = owner.leaf(VICTIM)
        owner.trees.blank([key], ("details", "error_message", "new_values", "old_values", "content_salt"))
    return f"Leaf {VICTIM}: the content of entry {key} was blanked without a sealed erasure"


def _sealed_at(owner: Inside, size: int, at: datetime) -> None:
    owner.run("UPDATE ledger_checkpoints SET sealed_at = ? WHERE organization_id = ? AND tree_size = ?",
              at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), owner.key, size)  # fmt: skip


def clock_set_back(case: Case) -> str:
    """Our sealer refuses that; one who puts the last checkpoint's time away meanwhile gets it to."""
    back = NOW + APART
    with case.inside() as owner:
        _sealed_at(owner, SIZE, NOW)
    case.add(50, back)
    case.seal(back + timedelta(minutes=5))
    with case.inside() as owner:
        _sealed_at(owner, SIZE, NOW + 2 * APART + timedelta(minutes=10))
    return f"Checkpoint {SIZE + 50} was sealed 2026-11-24T12:46:00.000000Z, before its predecessor"


def sealed_at_edited(case: Case) -> str:
    with case.inside() as owner:
        _sealed_at(owner, SIZE, NOW)
    return f"Checkpoint {SIZE} was sealed 2026-11-24T09:41:00.000000Z, before its predecessor"


def note_edited(case: Case) -> str:
    with case.inside() as owner:
        owner.run("UPDATE ledger_checkpoints SET note = replace(note, ?, ?) WHERE organization_id = ? AND tree_size = ?",
                  f"\n{SIZE}\n", f"\n{SIZE + 1}\n", owner.key, SIZE)  # fmt: skip
    return f"Checkpoint {SIZE}: the signature by plumbline.local/ledger/{case.world.mine.organization_id} is false"


@dataclass(frozen=True)
class Attack:
    """``kind`` is the finding's.

    :ivar needs: the size of the smallest checkpoint that has to be kept outside for the attack to be found; ``None``: the
        public key is enough.
    :ivar both: it hits the other organization as well.
    :ivar behind_rls: the kind on PostgreSQL, where row-level security hides what belongs to another organization now.
    """

    do: Callable[[Case], str]
    kind: str
    needs: int | None = None
    both: bool = False
    behind_rls: str | None = None

    def kind_on(self, engine: str) -> str:
        return self.behind_rls or self.kind if engine == "postgresql" else self.kind


ATTACKS = [
    Attack(clear_column, "changed"),
    Attack(content, "changed"),
    Attack(content_and_commitment, "changed"),
    Attack(everything_without_key, "note"),
    Attack(everything_with_the_key, "rewritten", needs=2 * BATCH),
    Attack(everything_with_a_new_key, "signature"),
    Attack(row_deleted, "deleted"),
    Attack(row_and_leaf_deleted, "missing"),
    Attack(renumbered_without_key, "note"),
    Attack(renumbered_with_the_key, "post-dated"),
    Attack(row_not_queued, "inserted"),
    Attack(row_with_old_time, "back-dated"),
    Attack(leaves_reordered, "reordered"),
    Attack(old_backup, "cut", needs=SIZE),
    Attack(tail_cut, "missing"),
    Attack(split_view, "rewritten", needs=SIZE),
    Attack(last_checkpoint_deleted, "beyond"),
    Attack(unsealed, "missing"),
    Attack(queue_emptied, "inserted"),
    Attack(node_edited, "node"),
    Attack(rows_swapped, "moved", both=True, behind_rls="deleted"),
    Attack(leaves_swapped, "moved", both=True, behind_rls="deleted"),
    Attack(blanked, "blanked"),
    Attack(clock_set_back, "clock"),
    Attack(sealed_at_edited, "clock"),
    Attack(note_edited, "signature"),
]
