"""The room's HTTP interface, a module for each of its nouns."""

from fastapi import APIRouter

from plumbline.credit.api import fairness, notices, outcomes, scorecard, scoring, whatif

router = APIRouter(prefix="/credit")
for part in (scoring, whatif, fairness, scorecard, outcomes, notices):
    router.include_router(part.router)
