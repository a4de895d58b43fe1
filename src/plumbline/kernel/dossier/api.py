"""``/api/v1/decisions/{id}/dossier``: all there is on a decision, in one file."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Response

from plumbline.kernel.dossier import document, service
from plumbline.kernel.faces.http import Caller, House

router = APIRouter()
MEDIA = {"zip": "application/zip", "html": "text/html; charset=utf-8", "json": "application/json"}
_EXAMPLE: dict[str, Any] = {
    "format": document.FORMAT, "program": "Plumbline 0.1.0", "made_at": "2026-11-24T09:41:00.000000Z", "made_by": "Ada Lind",
    "organization": {"id": "019ab2f0-1c00-7bd2-8f4e-51f0c2a7de90", "name": "Northwind"},
    "decision": {
        "id": "019ab2f4-8f00-7a31-9c1d-0d6a5f3b2c11", "type": "credit", "subject": "Application 100002", "outcome": "Declined",
        "reasons": [{"text": "The debt is high for the income", "fact": "Debt by income", "value": "0.62", "typical": "0.28", "weight": "−23.1 points"}],
    },
    "replay": {"equal": True, "sentence": "The stored model was run again on the stored input and gave the same result, equal bit for bit.",
               "differences": [], "milliseconds": 4.2},
    "evidence": {"entry": {"id": "019ab2f4-8f00-7a31-9c1d-0d6a5f3b2c12", "leaf_index": 48210, "tree_size": 48211}, "decision": None},
}  # fmt: skip
_FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file, to be saved: `format` says which.",
        "headers": {"content-disposition": {"description": "Its name.", "schema": {"type": "string"}}},
        "content": {
            "application/zip": {"schema": {"type": "string", "format": "binary"}}, "text/html": {"schema": {"type": "string"}},
            "application/json": {"schema": {"type": "object"}, "example": _EXAMPLE},
        },
    }
}  # fmt: skip


@router.get("/decisions/{prediction_id}/dossier", response_class=Response, responses=_FILE)
def get_dossier(
    house: House, caller: Caller, prediction_id: UUID,
    form: Annotated[Literal["zip", "html", "json"], Query(alias="format", description="The ZIP holds the other two and the files of the proof.")] = "zip",
) -> Response:  # fmt: skip
    """All there is on a decision: input, model, reasons, who did what afterwards, replay and proof. Asking for it is an act of its own."""
    made = service.make(house, caller, prediction_id)
    data = {"zip": document.as_zip, "html": document.as_html, "json": document.as_json}[form](made)
    return Response(
        data, media_type=MEDIA[form], headers={"content-disposition": f'attachment; filename="{made.file_name(form)}"'}
    )
