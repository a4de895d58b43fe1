"""The bytes an audit entry commits to (pure).

A group is the RFC 8785 object of its columns, nulls included; its commitment is SHA-256 over 32 random bytes and that
object. The leaf of the tree is an RFC 8785 object of the remaining columns and the two commitments, so that erasing a
group leaves every proof valid.
"""

from __future__ import annotations

import hashlib
import json.encoder
from datetime import datetime
from typing import Any
from uuid import UUID

from plumbline.kernel import canonical, clock
from plumbline.kernel.database.types import Encoded

quote = json.encoder.encode_basestring  # equals RFC 8785 string escaping


def _text(value: str | None) -> str:
    return "null" if value is None else quote(value)


def _json(value: Any) -> str:
    """A JSON column: already canonical text (:class:`types.Encoded`), or a value."""
    if value is None:
        return "null"
    return value.text if isinstance(value, Encoded) else canonical.dumps(value).decode()


def actor_message(
    *,
    actor_id: str | None,
    client_id: str | None,
    ip_address: str | None,
    session_id: str | None,
    user_agent: str | None,
) -> bytes:
    return (
        f'{{"actor_id":{_text(actor_id)},"client_id":{_text(client_id)},"ip_address":{_text(ip_address)},'
        f'"session_id":{_text(session_id)},"user_agent":{_text(user_agent)}}}'
    ).encode()


def content_message(*, details: Any, error_message: str | None, new_values: Any, old_values: Any) -> bytes:
    return (
        f'{{"details":{_json(details)},"error_message":{_text(error_message)},'
        f'"new_values":{_json(new_values)},"old_values":{_json(old_values)}}}'
    ).encode()


def commitment(salt: bytes, message: bytes) -> bytes:
    """``salt`` is always 32 random bytes: without it the commitment says nothing, even of an IP address."""
    if len(salt) != 32:
        raise ValueError("a salt is 32 bytes")
    return hashlib.sha256(salt + message).digest()


def leaf(
    *, id: UUID, organization_id: UUID, timestamp: datetime, action: str, actor_type: str, user_id: UUID | None,  # noqa: A002
    resource_type: str, resource_id: UUID | None, request_id: str | None, success: bool, actor_commitment: bytes, content_commitment: bytes,
) -> bytes:  # fmt: skip
    return (
        f'{{"action":{quote(action)},"actor":"{actor_commitment.hex()}","actor_type":{quote(actor_type)},'
        f'"content":"{content_commitment.hex()}","id":"{id}","organization_id":"{organization_id}",'
        f'"request_id":{_text(request_id)},"resource_id":{_text(str(resource_id) if resource_id else None)},'
        f'"resource_type":{quote(resource_type)},"success":{"true" if success else "false"},'
        f'"timestamp":"{clock.text(timestamp)}","user_id":{_text(str(user_id) if user_id else None)},"v":1}}'
    ).encode()


def record_hash(salt: bytes, record: dict[str, Any]) -> str:
    """What an act's entry says of the decision it made: SHA-256 over a salt and the RFC 8785 object of the row."""
    return commitment(salt, canonical.dumps(record)).hex()
