"""Console pages of the room: its home, one application to score, one decision, files of applications."""

from __future__ import annotations

from fastapi import APIRouter

from plumbline.console import views
from plumbline.credit.pages import batches, decision, fairness, home, notices, outcomes, scorecard, scoring, whatif

views.register_templates("plumbline.credit", "credit")
router = APIRouter()
for part in (
    home.router,
    scoring.router,
    decision.router,
    whatif.router,
    batches.router,
    outcomes.router,
    fairness.router,
    scorecard.router,
    notices.router,
):
    router.include_router(part)
