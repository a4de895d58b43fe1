"""How the ledger stands: its size, what waits, what hinders it, who has its checkpoints, when it was verified last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from plumbline.kernel import clock
from plumbline.kernel.context import Context
from plumbline.kernel.database import page, scoped, time_of
from plumbline.kernel.errors import PlumblineError
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger import keys
from plumbline.kernel.ledger.note import VerifierKey
from plumbline.kernel.ledger.repository.trees import Sealed, Trees
from plumbline.kernel.ledger.service import sealing
from plumbline.kernel.ledger.tables import Verification
from plumbline.kernel.paging import Page, PageRequest


@dataclass(frozen=True, slots=True)
class Standing:
    """
    :ivar waiting: entries that are not sealed yet; the oldest of them since ``waiting_since``.
    :ivar obstacle: why sealing would be refused now, in words; ``None``: nothing is in its way.
    :ivar verifier_keys: the public keys under this ledger's name, the present one last.
    :ivar verified: the last verification, if there was one.
    """

    origin: str
    size: int
    root: bytes | None
    sealed_at: datetime | None
    checkpoints: int
    waiting: int
    waiting_since: datetime | None
    pruned_below: int
    obstacle: str | None
    verifier_keys: tuple[str, ...]
    verified: Verification | None


def standing(installation: Installation, context: Context) -> Standing:
    context.require("audit.read")
    organization_id = context.organization_id
    with installation.database.read(organization_id) as session:
        trees = Trees(session, organization_id)
        there, head, waiting, oldest = trees.origin(), trees.head(), trees.waiting(), trees.oldest_waiting()
        count = trees.checkpoint_count()
        last = page(session, scoped(Verification, organization_id), Verification, PageRequest(1), count=False).items
    origin, pruned = there or (f"{keys.host(installation.settings)}/ledger/{organization_id}", 0)
    try:
        present = keys.load(installation.settings)
        known = keys.known_public(installation.settings, present)
        obstacle = sealing.obstacle(installation, head, present)
    except PlumblineError as error:
        known, obstacle = [], str(error)
    return Standing(
        origin=origin, size=head.size if head else 0, root=head.root if head else None,
        sealed_at=clock.parse(head.sealed_at) if head else None, checkpoints=count, waiting=waiting,
        waiting_since=time_of(oldest) if oldest else None, pruned_below=pruned, obstacle=obstacle,
        verifier_keys=tuple(str(VerifierKey(origin, p)) for p in known), verified=last[0] if last else None,
    )  # fmt: skip


def checkpoints(
    installation: Installation, context: Context, *, limit: int = 100, below: int | None = None
) -> list[Sealed]:
    """The newest first; ``below``: only those of smaller trees."""
    context.require("audit.read")
    with installation.database.read(context.organization_id) as session:
        return Trees(session, context.organization_id).newest(limit, below)


def verifications(installation: Installation, context: Context, request: PageRequest) -> Page[Verification]:
    """The newest first."""
    context.require("audit.read")
    with installation.database.read(context.organization_id) as session:
        return page(session, scoped(Verification, context.organization_id), Verification, request)


def verification(installation: Installation, context: Context, key: UUID) -> Verification | None:
    context.require("audit.read")
    with installation.database.read(context.organization_id) as session:
        return session.scalars(scoped(Verification, context.organization_id).where(Verification.id == key)).first()


def lag(installation: Installation, organization_id: UUID) -> float | None:
    """Seconds the oldest entry waits to be sealed; ``None``: none does."""
    with installation.database.read(organization_id) as session:
        oldest = Trees(session, organization_id).oldest_waiting()
    return None if oldest is None else max(0.0, (installation.clock() - time_of(oldest)).total_seconds())
