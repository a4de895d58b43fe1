"""The dossier from a page: one file to keep or to send."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from plumbline.kernel.dossier import document, service
from plumbline.kernel.faces.http import House, Visitor

router = APIRouter()


@router.get("/decisions/{prediction_id}/dossier")
def dossier_file(house: House, visitor: Visitor, prediction_id: UUID) -> Response:
    """All there is on the decision, with its proof, in one ZIP; making it is an act of its own."""
    made = service.make(house, visitor, prediction_id)
    return Response(document.as_zip(made), media_type="application/zip",
                    headers={"Content-Disposition": f'attachment; filename="{made.file_name("zip")}"'})  # fmt: skip
