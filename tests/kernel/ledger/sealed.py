"""What tests of sealing write, and what they look at afterwards."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives import serialization

from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger.repository.trees import Sealed, Trees
from plumbline.kernel.ledger.service import verifying
from plumbline.kernel.ledger.service.acts import audit
from tests.conftest import Firm


def write(firm: Firm, count: int, **details: Any) -> list[UUID]:
    """Acts of one second, the clock's."""
    context = firm.admin.at(firm.installation.clock())
    with firm.installation.database.write(firm.id) as session:
        return [audit(session, context, "thing.do", "thing", details=details or {"number": i}) for i in range(count)]


def state(installation: Installation, organization_id: UUID) -> tuple[list[UUID], list[Sealed], int]:
    """The entries in the order of their leaves, the checkpoints, and how many entries wait."""
    with installation.database.read(organization_id) as session:
        trees = Trees(session, organization_id)
        rows = trees._all(
            "SELECT leaf_index, entry_id FROM ledger_leaves WHERE organization_id = ? ORDER BY leaf_index", trees.key
        )
        assert [r[0] for r in rows] == list(range(len(rows)))
        return [trees._id(r[1]) for r in rows], trees.checkpoints(), trees.waiting()


def assert_sound(installation: Installation, organization_id: UUID, size: int) -> None:
    report = verifying.verify(installation, organization_id)
    assert report.sound, report.findings
    assert (report.size, report.entries, report.waiting) == (size, size, 0)


def private(key: Any) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
