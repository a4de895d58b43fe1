"""The bytes an audit entry commits to (pure).

A group is the RFC 8785 object of its columns, nulls included; its commitment is SHA-256 over 32 random bytes and that
object. The leaf of the tree is an RFC 8785 object of the remaining columns and the two commitments, so that erasing a
group leaves every proof valid.
"""

from __future__ import annotations

import hashlib
import json.encoder
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
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


def actor_text(values: Mapping[str, Any]) -> bytes:
    """:func:`actor_message` of a stored row."""
    return actor_message(**{name: values[name] for name in ACTOR[:-1]})


def content_text(values: Mapping[str, Any]) -> bytes:
    """:func:`content_message` of a stored row, whose JSON columns are text."""
    as_text = {
        name: Encoded(values[name]) if values[name] is not None else None
        for name in ("details", "new_values", "old_values")
    }
    return content_message(error_message=values["error_message"], **as_text)


def leaf_text(values: Mapping[str, Any]) -> bytes:
    """:func:`leaf` of a stored row, whose keys and time are as :data:`COLUMNS` has them."""

    def key(name: str) -> UUID | None:
        return UUID(key_text(values[name])) if values[name] else None

    identity, organization = key("id"), key("organization_id")
    assert identity is not None
    assert organization is not None
    return leaf(
        id=identity, organization_id=organization, timestamp=clock.parse(values["timestamp"]), action=values["action"],
        actor_type=values["actor_type"], user_id=key("user_id"), resource_type=values["resource_type"], resource_id=key("resource_id"),
        request_id=values["request_id"], success=bool(values["success"]), actor_commitment=values["actor_commitment"],
        content_commitment=values["content_commitment"],
    )  # fmt: skip


ACTOR = ("actor_id", "client_id", "ip_address", "session_id", "user_agent", "actor_salt")
CONTENT = ("details", "error_message", "new_values", "old_values", "content_salt")
"""The columns of each group, its salt last."""


def record_hash(salt: bytes, record: dict[str, Any]) -> str:
    """What an act's entry says of the decision it made: SHA-256 over a salt and the RFC 8785 object of the row."""
    return commitment(salt, canonical.dumps(record)).hex()


COLUMNS = (
    "id", "organization_id", "timestamp", "action", "actor_type", "user_id", "resource_type", "resource_id", "request_id", "success",
    "actor_id", "client_id", "ip_address", "session_id", "user_agent", "actor_salt", "actor_commitment",
    "details", "error_message", "new_values", "old_values", "content_salt", "content_commitment",
)  # fmt: skip
"""The order in which :func:`sealed` takes a row."""


def key_text(key: bytes | str) -> str:
    """A key as it stands in leaves: SQLite keeps 16 bytes, PostgreSQL is asked for the text."""
    if isinstance(key, str):
        return key
    h = key.hex()
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


_often = lru_cache(maxsize=4096)(key_text)  # organizations and people return in row after row


def sealed(row: Sequence[Any]) -> tuple[bytes, str | None]:
    """The leaf hash of a row as it lies in the database, and what is wrong with its groups, if anything.

    :param row: :data:`COLUMNS` as stored: time and JSON as text, keys as the engine gives them. An erased group has neither
        salt nor values, only its commitment.
    """
    (key, organization, timestamp, action, actor_type, user, resource_type, resource, request, success, actor_id, client, ip, session, agent,
     actor_salt, actor_commitment, details, error, new, old, content_salt, content_commitment) = row  # fmt: skip
    fault = None
    sha256 = hashlib.sha256
    if actor_salt is None:
        if not actor_id is client is ip is session is agent is None:
            fault = "its actor fields have lost their salt"
    elif (
        sha256(
            actor_salt
            + (
                f'{{"actor_id":{_text(actor_id)},"client_id":{_text(client)},"ip_address":{_text(ip)},'
                f'"session_id":{_text(session)},"user_agent":{_text(agent)}}}'
            ).encode()
        ).digest()
        != actor_commitment
    ):
        fault = "its actor fields are not those it was written with"
    if content_salt is None:
        if not details is error is new is old is None:
            fault = "its content has lost its salt"
    elif (
        sha256(
            content_salt
            + (
                f'{{"details":{details or "null"},"error_message":{_text(error)},'
                f'"new_values":{new or "null"},"old_values":{old or "null"}}}'
            ).encode()
        ).digest()
        != content_commitment
    ):
        fault = "its content is not what it was written with"
    on = f'"{key_text(resource)}"' if resource else "null"
    person = f'"{_often(user)}"' if user else "null"
    leaf_bytes = (
        f'{{"action":{quote(action)},"actor":"{actor_commitment.hex()}","actor_type":{quote(actor_type)},'
        f'"content":"{content_commitment.hex()}","id":"{key_text(key)}","organization_id":"{_often(organization)}",'
        f'"request_id":{_text(request)},"resource_id":{on},'
        f'"resource_type":{quote(resource_type)},"success":{"true" if success else "false"},'
        f'"timestamp":"{timestamp}","user_id":{person},"v":1}}'
    ).encode()
    return sha256(b"\x00" + leaf_bytes).digest(), fault
