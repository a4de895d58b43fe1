"""``Workspace.ledger``: seal, verify, prove, keep to a retention, in process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from plumbline.kernel.ledger.service import checking, proving, pruning, sealing
from plumbline.kernel.models.evidence import Found, evidence_of

if TYPE_CHECKING:
    from plumbline.kernel.context import Context
    from plumbline.kernel.installation import Installation
    from plumbline.kernel.ledger.service.pruning import Pruning
    from plumbline.kernel.ledger.service.sealing import SealResult
    from plumbline.kernel.ledger.service.verifying import Report


class Workspace(Protocol):
    """Where it is opened: an installation, and who acts."""

    installation: Installation

    def context(self) -> Context: ...


class Ledger:
    """The ledger of the workspace's organization."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def seal(self) -> SealResult:
        """Seal what waits; what a worker does every minute."""
        return sealing.seal(self._workspace.installation, self._workspace.context().organization_id)

    def verify(self, *, records: bool = False, trusted: tuple[str, ...] = (), since: str | None = None) -> Report:
        """Read everything again; ``report.sound`` says whether it is all there, unchanged, in order and signed.

        :param records: check every decision against its entry as well.
        :param trusted: checkpoints kept elsewhere, as text; ``since``: read only what came after this one.
        """
        workspace = self._workspace
        return checking.check(
            workspace.installation, workspace.context(), records=records, trusted=trusted, since=since
        ).report

    def prove(self, key: UUID | str) -> Found:
        """The evidence of an entry or a decision; ``found.entry.proof`` is the text of the proof file."""
        return evidence_of(self._workspace.installation, self._workspace.context(), UUID(str(key)))

    def checkpoint(self, size: int | None = None) -> str:
        """A signed checkpoint to keep elsewhere; the last one without ``size``."""
        return proving.checkpoint(self._workspace.installation, self._workspace.context(), size)

    def cleanup_old_entries(self, retention_days: int, batch_size: int = 1000) -> Pruning:
        """Archive and remove entries older than so many days, so many in a transaction; leaves and proofs stay."""
        workspace = self._workspace
        return pruning.prune(
            workspace.installation, workspace.context(), retention_days=retention_days, batch_size=batch_size
        )
