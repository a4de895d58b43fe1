"""The console page ``/punctuality``."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from plumbline.console import views
from plumbline.kernel.faces.http import House, Visitor
from plumbline.kernel.paging import PageRequest
from plumbline_example_room import service

router = APIRouter()


@router.get("/punctuality")
def deliveries_page(request: Request, house: House, visitor: Visitor, cursor: str | None = None) -> Response:
    page, late = service.deliveries(house, visitor, PageRequest.parse(100, cursor))
    return views.page(request, "punctuality/deliveries.html", nav="punctuality", page=page, late=late)
