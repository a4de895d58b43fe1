"""A model's additive twin, to read and to add up by hand."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from plumbline.console import formats, views
from plumbline.credit.service.scorecard import Bin, Scorecard, scorecard_of
from plumbline.kernel.errors import NotFound
from plumbline.kernel.faces.http import House, Visitor
from plumbline.kernel.models import service as models

router = APIRouter()
SHOWN = 4
"""Features whose bins stand open: those whose points differ most."""
DATASETS = {"cross_validation": "Out of fold", "test": "Test"}


@router.get("/credit/models/{model}/scorecard", name="credit_scorecard_page")
def scorecard_page(request: Request, house: House, visitor: Visitor, model: str) -> Response:
    visitor.require("credit.read")
    version = models.get(house, visitor, model)
    try:
        found = scorecard_of(house, visitor, model)
    except NotFound as error:
        return views.page(request, "credit/scorecard.html", nav="credit", model=version, card=None, reason=str(error))
    return views.page(request, "credit/scorecard.html", nav="credit", model=version, card=found, reason="", gaps=_gaps(found), shown=SHOWN,
                      features=_features(found.bins))  # fmt: skip


def _gaps(card: Scorecard) -> list[tuple[str, ...]]:
    return [
        (
            DATASETS.get(g["dataset"], g["dataset"]), formats.number(g["rows"]), formats.number(g["champion"], 3), formats.number(g["twin"], 3),
            formats.number(g["difference"], 4, signed=True),
            f"{formats.number(g['low'], 4, signed=True)} to {formats.number(g['high'], 4, signed=True)}",
        )
        for g in card.report["gaps"]
    ]  # fmt: skip


def _features(bins: tuple[Bin, ...]) -> list[dict[str, Any]]:
    """Features with their bins, those whose points differ most first."""
    found = [
        {
            "name": name,
            "text": own[0].text,
            "bins": own,
            "span": max(b.points for b in own) - min(b.points for b in own),
        }
        for name, own in ((name, list(group)) for name, group in groupby(bins, key=lambda b: b.feature))
    ]
    return sorted(found, key=lambda f: -int(f["span"]))
