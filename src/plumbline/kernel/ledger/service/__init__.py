"""Use cases of the ledger. What every part needs stands here; the others are imported by their noun (``service.sealing`` …)."""

from plumbline.kernel.ledger.service.acts import Act, audit

__all__ = ["Act", "audit"]
