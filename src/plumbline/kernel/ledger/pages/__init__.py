"""Console pages of the ledger: how it stands, its entries, its checkpoints, and the proofs that other pages show."""

from __future__ import annotations

from fastapi import APIRouter

from plumbline.kernel.ledger.pages import audit, ledger, proofs

router = APIRouter()
for part in (ledger.router, proofs.router, audit.router):
    router.include_router(part)
