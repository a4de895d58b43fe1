"""The room's first page: what decides, the last decisions, the last files."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from plumbline.console import formats, views
from plumbline.credit import service, why, words
from plumbline.credit.modelling.policy import LEVELS
from plumbline.credit.pages import reading
from plumbline.kernel.faces.http import House, Visitor
from plumbline.kernel.models.tables import Model
from plumbline.kernel.paging import PageRequest

router = APIRouter()
PER_PAGE = 25
FEW = 5


@router.get("/credit")
def credit_page(request: Request, house: House, visitor: Visitor, level: Annotated[str, Query()] = "", subject: Annotated[str, Query()] = "",
                cursor: Annotated[str, Query()] = "") -> Response:  # fmt: skip
    wanted = {"level": level if level in LEVELS else "", "subject": subject.strip()[:200].replace("\x00", "")}
    page = service.list_decisions(house, visitor, PageRequest.parse(PER_PAGE, cursor or None), level=wanted["level"] or None,
                                  subject_id=wanted["subject"] or None)  # fmt: skip
    active = {name: text for name, text in wanted.items() if text}
    address = f"/credit?{urlencode(active)}" if active else "/credit"
    model = reading.live(house, visitor)
    files = service.list_batches(house, visitor, PageRequest(FEW))
    return views.page(
        request, "credit/home.html", nav="credit", page=page, wanted=wanted, active=bool(active), newest=address if cursor else "",
        next=f"{address}{'&' if active else '?'}cursor={page.next}" if page.next else "", model=model, words=words, levels=LEVELS,
        line=_line(model), used=reading.models_by_id(house, visitor, [p.ml_model_id for p in page.items]),
        batches=service.views_of(house, visitor, files.items), may_score=visitor.may("credit.score"), may_batch=visitor.may("credit.batch"),
        later=bool(cursor),
    )  # fmt: skip


def _line(model: Model | None) -> str:
    """The live version in a few figures."""
    if model is None:
        return ""
    extra = model.extra
    told = [
        ("threshold", formats.percent(extra["threshold"], 1)),
        ("cut-off", f"{why.cut_off(why.scale_of(extra), extra['threshold']):.0f} points"),
    ]
    if "roc_auc" in model.metrics:
        told.append(("ROC AUC", formats.number(model.metrics["roc_auc"], 3)))
    told.append(("learnt from", formats.plural(extra["training"]["rows"], "application")))
    text = ", ".join(f"{name} {value}" for name, value in told)
    return text[0].upper() + text[1:]
