"""``/ledger/witness``: the witness of other logs, as C2SP tlog-witness speaks (plain text in and out)."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import PlainTextResponse, Response

from plumbline.kernel.faces.http import House
from plumbline.kernel.ledger.service import witnessing

router = APIRouter()
_TEXT: dict[str, Any] = {"text/plain": {"schema": {"type": "string"}}}
_SIZE: dict[str, Any] = {"text/x.tlog.size": {"schema": {"type": "string", "pattern": "^[0-9]+\n$"}}}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "Our cosignature: a signature line of a note", "content": _TEXT},
    400: {"description": "The request is malformed, or the old size is above that of the checkpoint", "content": _TEXT},
    403: {"description": "No signature by the log's key", "content": _TEXT},
    404: {"description": "The log is not witnessed here", "content": _TEXT},
    409: {"description": "The old size is not that of the last checkpoint we cosigned, whose size is the body; or another root of the same size"
                         " (plain text)", "content": {**_SIZE, **_TEXT}},
    413: {"description": "More than 64 kB", "content": _TEXT},
    422: {"description": "The consistency proof fails", "content": _TEXT},
}  # fmt: skip
_EXAMPLE = (
    "old 2\nfu0XVqLpv6FOGAbiAB26zgqSPbLGmqBgrwOCJTmOz3I=\n\nbank.example/ledger/019ab2f0-1c00-7bd2-8f4e-51f0c2a7de90\n3\n"
    "g7VHDdP39fXrSyKFkdTZ6WSOd8w9GXbmS4aGCLoRjhE=\n\n— bank.example/ledger/019ab2f0-1c00-7bd2-8f4e-51f0c2a7de90 tGxq…\n"
)


async def _body(request: Request) -> bytes:
    """The request's bytes; reading ends when there are too many."""
    found = bytearray()
    async for chunk in request.stream():
        found += chunk
        if len(found) > witnessing.LARGEST:
            break
    return bytes(found)


@router.post(
    "/ledger/witness/add-checkpoint", response_class=PlainTextResponse, responses=_ANSWERS,
    openapi_extra={"requestBody": {"required": True, "content": {"text/plain": {"schema": {"type": "string"}, "example": _EXAMPLE}}}},
)  # fmt: skip
def add_witnessed_checkpoint(house: House, body: Annotated[bytes, Depends(_body)]) -> Response:
    """Cosign a checkpoint of a log that is registered here, if it only adds to what we have seen of it.

    The body is the old size (`old N`), the consistency proof from there in base64, a hash a line, an empty line, and the
    signed checkpoint. No key is needed: the signature on the checkpoint says who asks.
    """
    answer = witnessing.add_checkpoint(house, body)
    # the type exactly as the protocol names it: given as `media_type`, a charset would be added
    return Response(answer.text, answer.status, headers={"content-type": answer.content_type})


@router.get(
    "/ledger/witness/key", response_class=PlainTextResponse, responses={200: {"description": "A verifier key", "content": _TEXT}}
)  # fmt: skip
def get_witness_key(house: House) -> str:
    """The verifier key of our cosignatures: who is to be witnessed puts it into the setting `ledger_witnesses`."""
    return f"{witnessing.verifier_key(house)}\n"
