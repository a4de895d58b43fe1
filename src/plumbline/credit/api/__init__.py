"""The room's HTTP interface, a module for each of its nouns."""

from fastapi import APIRouter

from plumbline.credit.api import notices, outcomes, scoring, whatif

router = APIRouter(prefix="/credit")
for part in (scoring, whatif, outcomes, notices):
    router.include_router(part.router)
