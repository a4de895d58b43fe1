"""``/api/v1/audit`` and ``/api/v1/ledger``."""

from fastapi import APIRouter

from plumbline.kernel.ledger.api.audit import router as audit
from plumbline.kernel.ledger.api.ledger import router as ledger
from plumbline.kernel.ledger.witness_api import router as witness

router = APIRouter()
router.include_router(audit)
router.include_router(ledger)
router.include_router(witness)
