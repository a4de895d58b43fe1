"""What an entry commits to is, to the byte, the RFC 8785 object of the same values, whatever the Unicode."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from plumbline.kernel import canonical, clock
from plumbline.kernel.database.types import Encoded
from plumbline.kernel.ledger import entry

ODD = '\x00\x08\x1f"\\/\x7f\x85\u2028\u2029\ufeff\ufffe\U0001f469\u200d\U0001f680e\u0301\u202e'
TEXT = st.text(st.characters(exclude_categories=["Cs"])) | st.just(ODD)
MAYBE = st.none() | TEXT
STORED = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))  # what a JSON column may hold
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False) | STORED,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(STORED, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
HASH = st.binary(min_size=32, max_size=32)


@given(MAYBE, MAYBE, MAYBE, MAYBE, MAYBE)
@example(ODD, ODD, ODD, ODD, ODD)
def test_the_actor_s_message(
    actor: str | None, client: str | None, ip: str | None, session: str | None, agent: str | None
) -> None:
    group = {"actor_id": actor, "client_id": client, "ip_address": ip, "session_id": session, "user_agent": agent}
    assert entry.actor_message(**group) == rfc8785.dumps(group)


@given(VALUES, MAYBE, VALUES, VALUES)
def test_the_content_s_message(details: Any, error: str | None, new: Any, old: Any) -> None:
    group: dict[str, Any] = {"details": details, "error_message": error, "new_values": new, "old_values": old}
    assert entry.content_message(**group) == rfc8785.dumps(group)
    encoded: dict[str, Any] = {
        k: v if k == "error_message" or v is None else Encoded(canonical.dumps(v).decode()) for k, v in group.items()
    }
    assert entry.content_message(**encoded) == rfc8785.dumps(group)


@given(TEXT, TEXT, TEXT, MAYBE, st.uuids(), st.uuids(), st.none() | st.uuids(), st.none() | st.uuids(), st.booleans(),
       st.datetimes(timezones=st.just(UTC)), HASH, HASH)  # fmt: skip
def test_the_leaf(
    action: str, actor_type: str, resource_type: str, request: str | None, id: UUID, organization: UUID,  # noqa: A002
    user: UUID | None, resource: UUID | None, success: bool, moment: datetime, actor: bytes, content: bytes,
) -> None:  # fmt: skip
    made = entry.leaf(id=id, organization_id=organization, timestamp=moment, action=action, actor_type=actor_type, user_id=user,
                      resource_type=resource_type, resource_id=resource, request_id=request, success=success,
                      actor_commitment=actor, content_commitment=content)  # fmt: skip
    same: dict[str, Any] = {
        "id": str(id), "organization_id": str(organization), "timestamp": clock.text(moment), "action": action,
        "actor_type": actor_type, "user_id": str(user) if user else None, "resource_type": resource_type,
        "resource_id": str(resource) if resource else None, "request_id": request, "success": success,
        "actor": actor.hex(), "content": content.hex(), "v": 1,
    }  # fmt: skip
    assert made == rfc8785.dumps(same)


@given(HASH, st.dictionaries(STORED, VALUES, max_size=4))
def test_a_record_s_hash_is_its_salt_and_its_canonical_object(salt: bytes, record: dict[str, Any]) -> None:
    assert entry.record_hash(salt, record) == hashlib.sha256(salt + rfc8785.dumps(record)).hexdigest()


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_salt_is_32_bytes(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        entry.commitment(bytes(length), b"{}")
