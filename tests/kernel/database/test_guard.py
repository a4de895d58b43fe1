"""The guard knows eleven ways to write a statement, and lets none of them see two organizations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import aliased

from plumbline.kernel import room
from plumbline.kernel.database import Database
from plumbline.kernel.database.guard import ReadOnly, TenantMissing, unscoped
from plumbline.kernel.identity.tables import ApiKey, Organization, User, UserSession

ORG = UUID("01a00000-0000-7000-8000-000000000001")
Other = aliased(User, name="other")
U, S = User.__table__, UserSession.__table__


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    room.declare_tables()
    made = Database(sqlite_url)
    yield made
    made.close()


def mine(table: Any) -> Any:
    return (table.c if isinstance(table, sa.Table) else table).organization_id == ORG


SOUND: dict[str, Callable[[], Any]] = {
    "plain select": lambda: sa.select(U.c.id).where(mine(U)),
    "entity": lambda: sa.select(User).where(mine(User)),
    "join": lambda: (
        sa.select(User, UserSession)
        .join(UserSession, UserSession.user_id == User.id)
        .where(mine(User), mine(UserSession))
    ),
    "subquery": lambda: sa.select(User).where(mine(User), User.id.in_(sa.select(ApiKey.user_id).where(mine(ApiKey)))),
    "alias": lambda: sa.select(Other.id).where(mine(Other)),
    "union all": lambda: sa.union_all(sa.select(User.id).where(mine(User)), sa.select(ApiKey.id).where(mine(ApiKey))),
    "update": lambda: sa.update(User).where(mine(User)).values(full_name="x"),
    "delete": lambda: sa.delete(ApiKey).where(mine(ApiKey)),
    "exists": lambda: sa.select(Organization.id).where(sa.exists().where(mine(User), User.role == "admin")),
    "count": lambda: sa.select(sa.func.count()).select_from(User).where(mine(User)),
    "recursive": lambda: sa.select(sa.select(User.id).where(mine(User)).cte("found", recursive=True).c.id),
    "no tenant table": lambda: sa.select(Organization),
}
UNSOUND: dict[str, Callable[[], Any]] = {
    "plain select": lambda: sa.select(U.c.id),
    "entity": lambda: sa.select(User),
    "join, one side": lambda: (
        sa.select(User, UserSession).join(UserSession, UserSession.user_id == User.id).where(mine(User))
    ),
    "forgotten subquery": lambda: sa.select(User).where(mine(User), User.id.in_(sa.select(ApiKey.user_id))),
    "alias": lambda: sa.select(Other.id).where(mine(User)),
    "union all, one part": lambda: sa.union_all(sa.select(User.id).where(mine(User)), sa.select(ApiKey.id)),
    "text": lambda: sa.text("SELECT id FROM users WHERE organization_id = :o").bindparams(o=ORG.bytes),
    "update": lambda: sa.update(User).where(User.role == "viewer").values(full_name="x"),
    "delete": lambda: sa.delete(ApiKey),
    "exists": lambda: sa.select(Organization.id).where(sa.exists().where(User.role == "admin")),
    "count": lambda: sa.select(sa.func.count()).select_from(User),
    "recursive": lambda: sa.select(sa.select(User.id).cte("found", recursive=True).c.id),
    "insert from select": lambda: sa.insert(S).from_select(["id"], sa.select(User.id)),
    "another comparison": lambda: sa.select(User.id).where(User.organization_id != ORG),
}


@pytest.mark.parametrize("form", SOUND)
def test_a_statement_of_one_organization_passes(database: Database, form: str) -> None:
    for _ in range(2):  # the second time from the cache
        with database.write(ORG) as session:
            session.execute(SOUND[form]())


@pytest.mark.parametrize("form", UNSOUND)
def test_a_statement_that_forgets_the_organization_is_refused(database: Database, form: str) -> None:
    for _ in range(2):
        with pytest.raises(TenantMissing), database.write(ORG) as session:
            session.execute(UNSOUND[form]())


@pytest.mark.parametrize("reason", ["unknown", "all", "schema"])
def test_an_exemption_is_written_at_the_statement(database: Database, reason: str) -> None:
    with database.read(ORG) as session:
        session.execute(sa.select(User), execution_options={"tenant": reason})
        with pytest.raises(TenantMissing):
            session.execute(sa.select(User), execution_options={"tenant": "whatever"})


@pytest.mark.parametrize("form", ["update", "delete"])
def test_a_reading_session_cannot_write(database: Database, form: str) -> None:
    with pytest.raises(ReadOnly), database.read(ORG) as session:
        session.execute(SOUND[form]())
    with pytest.raises(ReadOnly), database.read(ORG) as session:
        session.execute(sa.insert(Organization), {"id": ORG})


def test_the_refusal_names_the_table_and_its_alias() -> None:
    assert unscoped(UNSOUND["alias"]()) == {"users as other"}
    assert unscoped(UNSOUND["join, one side"]()) == {"user_sessions"}
