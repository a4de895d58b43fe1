"""The tree's storage keeps to its organization, whatever ids it is asked about."""

from __future__ import annotations

import sqlalchemy as sa

from plumbline.kernel.ledger import entry
from plumbline.kernel.ledger.repository.trees import Trees
from plumbline.kernel.ledger.service import sealing
from plumbline.kernel.ledger.tables import AuditEntry, Leaf
from tests.conftest import Firm


def ids(firm: Firm) -> list[object]:
    with firm.installation.database.read(firm.id) as session:
        return list(session.scalars(sa.select(AuditEntry.id).where(AuditEntry.organization_id == firm.id)))


def test_nothing_of_another_organization_is_seen_or_changed(firm: Firm, other_firm: Firm) -> None:
    ours, theirs = ids(firm), ids(other_firm)
    with firm.installation.database.read(firm.id) as session:
        trees = Trees(session, firm.id)
        assert trees.waiting() == len(ours)
        assert {entry.key_text(row[0]) for row in trees.pending(1000)} == {str(key) for key in ours}
    for one in (firm, other_firm):
        sealing.seal(one.installation, one.id)
    with firm.installation.database.read(firm.id) as session:
        trees = Trees(session, firm.id)
        leaves = set(session.scalars(sa.select(Leaf.leaf_hash).where(Leaf.organization_id == firm.id)))
        assert set(trees.nodes(0, 0, 1000)) == leaves
        assert all(trees.index_of(key) is None for key in theirs)  # type: ignore[arg-type]
        assert all(trees.index_of(key) is not None for key in ours)  # type: ignore[arg-type]
        assert {entry.key_text(row[0]) for row in trees.entries_between(0, 1000)} == {str(key) for key in ours}
        assert trees.counts() == (len(ours), len(ours), 0)
        assert [mark.size for mark in trees.checkpoints()] == [len(ours)]
    with firm.installation.worker_database.write(firm.id) as session:
        trees = Trees(session, firm.id)
        assert trees.blank(theirs, entry.ACTOR) == 0  # type: ignore[arg-type]
        assert trees.blank(theirs, entry.CONTENT) == 0  # type: ignore[arg-type]
        trees.give_up_below(2)
        assert trees.delete_between(0, 2) == 2
    assert len(ids(firm)) == len(ours) - 2
    assert ids(other_firm) == theirs
