"""Two organizations with identical data: no function of a repository shows one of them a row of the other."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from datetime import timedelta
from types import ModuleType
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from plumbline.kernel.database import Table, scoped
from plumbline.kernel.errors import NotFound
from plumbline.kernel.identity import repository as identity
from plumbline.kernel.identity import service
from plumbline.kernel.identity.tables import User
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger import repository as ledger
from plumbline.kernel.ledger.tables import AuditEntry
from plumbline.kernel.paging import PageRequest
from tests.conftest import Firm

BEFORE_THE_TENANT = {
    "find_session",
    "find_key",
    "find_user",
    "first_organization",
    "organization",
    "organization_by_slug",
    "organizations",
    "take_token",
}
WITHOUT_A_DATABASE = {"conditions", "filled"}
NEW_ROWS = {"insert_user", "insert_session", "insert_key"}  # their organization is a value of the row


def functions(module: ModuleType) -> dict[str, Callable[..., Any]]:
    found = {
        n: f
        for n, f in vars(module).items()
        if inspect.isfunction(f) and f.__module__.startswith(module.__name__) and not n.startswith("_")
    }
    return {n: f for n, f in found.items() if n not in BEFORE_THE_TENANT | WITHOUT_A_DATABASE | NEW_ROWS}


ALL = {f"{m.__name__.split('.')[2]}.{n}": f for m in (identity, ledger) for n, f in functions(m).items()}
WRITES = {n for n in ALL if n.partition(".")[2].startswith(("update_", "end_", "touch_"))}


class Twin:
    """The same acts in both firms; what is asked is asked by ``a``, about ids of ``b``."""

    def __init__(self, installation: Installation, a: Firm, b: Firm) -> None:
        self.installation, self.a, self.b = installation, a, b
        self.ids: dict[UUID, set[UUID]] = {}
        self.session_of, self.key_of, self.entry_of = {}, {}, {}
        for firm in (a, b):
            link = service.once_link(installation, firm.admin, firm.people["viewer"])
            self.session_of[firm.id] = service.use_once_link(
                installation, link, service.access.Client(ip="x")
            ).session_id
            self.key_of[firm.id] = service.create_key(installation, firm.admin, name="same", scopes=["users.read"])[0]
            ids: set[UUID] = {firm.id}
            with installation.database.read(firm.id) as session:
                for table in Table.metadata.sorted_tables:
                    if {"id", "organization_id"} <= set(table.c.keys()):
                        ids |= set(session.scalars(sa.select(table.c.id).where(table.c.organization_id == firm.id)))
                self.entry_of[firm.id] = session.scalars(scoped(AuditEntry, firm.id)).first().id  # type: ignore[union-attr]
            self.ids[firm.id] = ids

    def values(self, name: str, parameter: str) -> Any:
        """What a parameter of a function is given: ids are those of ``b``."""
        b = self.b
        keys = {"key_and_owner": self.key_of, "update_key": self.key_of, "entry": self.entry_of, "signed_in": self.session_of,
                "touch_session": self.session_of, "end_sessions": self.session_of, "there": self.entry_of}.get(name)  # fmt: skip
        return {
            "organization_id": self.a.id, "key": keys[b.id] if keys else b.people["viewer"], "user_id": b.people["viewer"],
            "keys": set(b.people.values()), "name": "contoso-viewer", "request": PageRequest(), "roles": ("viewer", "analyst", "admin"),
            "wanted": ledger.Filter(), "resource_id": b.people["viewer"], "batch": False, "now": self.installation.clock() + timedelta(days=1), "keep": None,
        }[parameter]  # fmt: skip

    def call(self, name: str, function: Callable[..., Any], *, write: bool) -> Any:
        given: dict[str, Any] = {}
        for parameter in inspect.signature(function).parameters.values():
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                given |= {"full_name": "changed"} if "user" in name else {"name": "changed"}
            elif parameter.name != "session":
                given[parameter.name] = self.values(name, parameter.name)
        database = self.installation.database
        with database.write(self.a.id) if write else database.read(self.a.id) as session:
            return function(session, **given)


def uuids(value: Any) -> Iterator[UUID]:
    """Every id within what a function returned."""
    if isinstance(value, UUID):
        yield value
    elif isinstance(value, Table):
        for column in sa.inspect(type(value)).columns:
            yield from uuids(getattr(value, sa.inspect(type(value)).get_property_by_column(column).key))
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from uuids(key)
            yield from uuids(part)
    elif isinstance(value, list | tuple | set):
        for part in value:
            yield from uuids(part)
    elif is_dataclass(value) and not isinstance(value, type):
        yield from uuids(
            list(vars(value).values()) if hasattr(value, "__dict__") else [getattr(value, s) for s in value.__slots__]
        )


@pytest.fixture
def twin(installation: Installation, firm: Firm, other_firm: Firm) -> Twin:
    return Twin(installation, firm, other_firm)


def test_no_row_of_the_other_organization_appears(twin: Twin) -> None:
    seen = 0
    for name, function in ALL.items():
        write = name in WRITES
        try:
            returned = twin.call(name.partition(".")[2], function, write=write)
        except NotFound:
            continue
        if write:
            assert returned in (0, None), name
        found = set(uuids(returned))
        assert not found & twin.ids[twin.b.id], name
        seen += bool(found & twin.ids[twin.a.id])
    assert seen >= 2  # the lists did show what is a's


def test_nothing_of_the_other_organization_changed(twin: Twin) -> None:
    def rows() -> list[Any]:
        with twin.installation.database.read(twin.b.id) as session:
            return [session.execute(sa.select(t).where(t.c.organization_id == twin.b.id).order_by(t.c.id)).all()
                    for t in Table.metadata.sorted_tables if {"id", "organization_id"} <= set(t.c.keys())]  # fmt: skip

    before = rows()
    for name in WRITES:
        twin.call(name.partition(".")[2], ALL[name], write=True)
    assert len(WRITES) >= 4
    assert rows() == before


def test_counts_are_of_one_organization(twin: Twin) -> None:
    with twin.installation.database.read(twin.a.id) as session:
        assert identity.holders(session, twin.a.id, ("viewer", "analyst", "admin")) == 3
        assert identity.users(session, twin.a.id, PageRequest()).total == 3
        entries = ledger.entries(session, twin.a.id, ledger.Filter(), PageRequest())
        assert (
            entries.total
            == sum(d.entries for d in ledger.activity(session, twin.a.id, ledger.Filter()))
            == len(entries.items)
        )


def test_a_repository_that_forgot_its_filter_would_be_found(twin: Twin) -> None:
    """The test's own test: row-level security hides it on PostgreSQL, so there the other firm's session asks."""

    def users_of_everybody(session: Any, organization_id: UUID) -> list[User]:
        if not twin.installation.database.is_sqlite:
            twin.installation.database.enter(session, twin.b.id)
        return list(session.scalars(sa.select(User), execution_options={"tenant": "all"}))

    found = set(uuids(twin.call("users_of_everybody", users_of_everybody, write=False)))
    assert found & twin.ids[twin.b.id]
