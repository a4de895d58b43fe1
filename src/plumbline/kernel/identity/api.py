"""``/api/v1/users``, ``/me`` and ``/keys``: people, their sign-ins and their API keys."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from plumbline.kernel.context import Context
from plumbline.kernel.errors import Forbidden
from plumbline.kernel.faces.http import Caller, House
from plumbline.kernel.identity import service
from plumbline.kernel.identity.tables import User
from plumbline.kernel.paging import PageRequest

router = APIRouter()

Role = Literal["viewer", "analyst", "admin"]
Name = Annotated[str, Field(min_length=2, max_length=100)]
Text = Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")]
Password = Annotated[str, Field(min_length=12, max_length=1024)]
Limit = Annotated[int, Query(ge=1, le=500, description="How many rows at most.")]
Cursor = Annotated[str | None, Query(description="`next` of the page before.")]
_PERSON: dict[str, Any] = {
    "id": "019ab2f0-1c00-7bd2-8f4e-51f0c2a7de90", "username": "imke.brandt", "email": "imke.brandt@nordhaven.example",
    "full_name": "Imke Brandt", "role": "analyst", "is_active": True, "is_superuser": False, "must_change_password": False,
    "last_login": "2026-11-24T09:12:04Z", "created_at": "2026-10-01T08:00:00Z", "updated_at": "2026-11-24T09:12:04Z",
}  # fmt: skip
_KEY: dict[str, Any] = {
    "id": "019ab2f4-8f00-7a31-9c1d-0d6a5f3b2c11", "user_id": "019ab2f0-1c00-7bd2-8f4e-51f0c2a7de90", "name": "nightly scoring",
    "prefix": "plb_4Tz9", "scopes": ["credit.score"], "client_limit": 600, "created_at": "2026-11-01T08:00:00Z",
    "expires_at": "2027-11-01T08:00:00Z", "last_used_at": "2026-11-24T02:00:11Z", "revoked_at": None,
}  # fmt: skip


class Person(BaseModel):
    """A person of the organization."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra={"example": _PERSON})

    id: UUID
    username: str
    email: str
    full_name: str | None
    role: Role
    is_active: bool
    is_superuser: bool
    must_change_password: bool
    last_login: datetime | None
    created_at: datetime
    updated_at: datetime


class PersonPage(BaseModel):
    """``next`` is the cursor of the following page, null on the last."""

    items: list[Person]
    next: str | None
    total: str


class NewPerson(BaseModel):
    """Without a password one is made, told once in the answer and to be changed at the first sign-in."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"username": "jonas.weiss", "email": "jonas.weiss@nordhaven.example",
                                                                             "full_name": "Jonas Weiss", "role": "viewer"}})  # fmt: skip

    username: Name
    email: Annotated[str, Field(max_length=320, pattern=r"^[^\x00]*$")]
    full_name: Text | None = None
    role: Role = "viewer"
    password: Password | None = None


class AddedPerson(BaseModel):
    """``password`` is told here and never again; null where the request gave one."""

    person: Person
    password: str | None


class PersonChange(BaseModel):
    """What is left out stays. Another role or ``is_active: false`` ends the person's sessions."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"role": "analyst"}})

    role: Role | None = None
    is_active: bool | None = None
    full_name: Text | None = None


class TemporaryPassword(BaseModel):
    """Told here and never again; it must be changed at the next sign-in."""

    password: str


class SignIn(BaseModel):
    """A sign-in that lasts. The token itself is known to the browser alone."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    ip_address: str
    user_agent: str | None
    created_at: datetime
    last_activity: datetime
    expires_at: datetime


class EndedSessions(BaseModel):
    sessions_ended: int


class OwnPassword(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"current": "the one until now", "new": "four plain words suffice"}},
    )

    current: Annotated[str, Field(max_length=1024)]
    new: Password


class Me(BaseModel):
    """Who calls, for which organization, with which rights (``*``: all of them)."""

    person: Person
    organization_id: UUID
    acts_as: Literal["user", "key"]
    rights: list[str]


class Key(BaseModel):
    """An API key. Of its text only the first eight characters are known."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra={"example": _KEY})

    id: UUID
    user_id: UUID
    name: str
    prefix: str
    scopes: list[str]
    client_limit: int | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


class KeyPage(BaseModel):
    """``next`` is the cursor of the following page, null on the last."""

    items: list[Key]
    next: str | None
    total: str


class NewKey(BaseModel):
    """``scopes`` are rights the caller holds; ``client_limit`` is in requests a minute."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"name": "nightly scoring", "scopes": ["credit.score"],
                                                                             "client_limit": 600}})  # fmt: skip

    name: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
    scopes: Annotated[list[Annotated[str, Field(max_length=100)]], Field(min_length=1, max_length=200)]
    expires_at: AwareDatetime | None = None
    client_limit: Annotated[int, Field(ge=1, le=1_000_000)] | None = None


class MadeKey(BaseModel):
    """``key`` is told here and never again."""

    id: UUID
    key: str


@router.get("/users")
def list_users(house: House, caller: Caller, limit: Limit = 100, cursor: Cursor = None) -> PersonPage:
    """People of the organization, the newest first."""
    page = service.list_users(house, caller, PageRequest.parse(limit, cursor))
    return PersonPage(items=[Person.model_validate(u) for u in page.items], next=page.next, total=page.total_text)


@router.post("/users", status_code=201)
def create_user(house: House, caller: Caller, new: NewPerson) -> AddedPerson:
    """Add a person."""
    key = service.create_user(house, caller, **new.model_dump())
    told = service.reset_password(house, caller, key) if new.password is None else None
    return AddedPerson(person=_person(house, caller, key), password=told)


@router.get("/users/{user_id}")
def get_user(house: House, caller: Caller, user_id: UUID) -> Person:
    """One person."""
    caller.require("users.read")
    return _person(house, caller, user_id)


@router.patch("/users/{user_id}")
def change_user(house: House, caller: Caller, user_id: UUID, change: PersonChange) -> Person:
    """Change a person's role, name or whether they may sign in."""
    service.change_user(house, caller, user_id, **change.model_dump())
    return _person(house, caller, user_id)


@router.post("/users/{user_id}/password-reset")
def reset_user_password(house: House, caller: Caller, user_id: UUID) -> TemporaryPassword:
    """Give a person a new password; all their sessions end."""
    return TemporaryPassword(password=service.reset_password(house, caller, user_id))


@router.get("/users/{user_id}/sessions")
def list_user_sessions(house: House, caller: Caller, user_id: UUID) -> list[SignIn]:
    """Where a person is signed in; one's own, or anybody's with the right to manage people."""
    return [SignIn.model_validate(s) for s in service.list_sessions(house, caller, user_id)]


@router.delete("/users/{user_id}/sessions")
def end_user_sessions(house: House, caller: Caller, user_id: UUID) -> EndedSessions:
    """Sign a person out everywhere."""
    return EndedSessions(sessions_ended=service.end_sessions(house, caller, user_id))


@router.delete("/users/{user_id}/sessions/{session_id}", status_code=204)
def end_user_session(house: House, caller: Caller, user_id: UUID, session_id: UUID) -> None:
    """Sign a person out of one place."""
    service.end_sessions(house, caller, user_id, session_id)


@router.get("/me")
def get_me(house: House, caller: Caller) -> Me:
    """Who this key or session stands for."""
    if caller.user_id is None:
        raise Forbidden("Nobody stands behind this call.")
    return Me(person=_person(house, caller, caller.user_id), organization_id=caller.organization_id,
              acts_as="key" if caller.actor_type == "key" else "user", rights=sorted(caller.rights))  # fmt: skip


@router.post("/me/password", status_code=204)
def change_my_password(house: House, caller: Caller, passwords: OwnPassword) -> None:
    """Choose another password; all other sessions of the person end. Not with a key."""
    service.change_own_password(house, caller, current=passwords.current, new=passwords.new)


@router.get("/keys")
def list_keys(house: House, caller: Caller, limit: Limit = 100, cursor: Cursor = None) -> KeyPage:
    """API keys: all of the organization with the right to manage them, else one's own."""
    page = service.list_keys(house, caller, PageRequest.parse(limit, cursor))
    return KeyPage(items=[Key.model_validate(k) for k in page.items], next=page.next, total=page.total_text)


@router.post("/keys", status_code=201)
def create_key(house: House, caller: Caller, new: NewKey) -> MadeKey:
    """Make an API key for a program."""
    key, text = service.create_key(house, caller, **new.model_dump())
    return MadeKey(id=key, key=text)


@router.delete("/keys/{key_id}", status_code=204)
def revoke_key(house: House, caller: Caller, key_id: UUID) -> None:
    """Refuse a key from now on, for good."""
    service.revoke_key(house, caller, key_id)


def _person(house: House, caller: Context, key: UUID) -> Person:
    found: User = service.user_named(house, caller, str(key))
    return Person.model_validate(found)
