"""Nobody rewrites an entry: not the application, not the worker, not by a trick of the engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from plumbline.kernel.database import Database
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger.service import audit
from plumbline.kernel.ledger.tables import AuditEntry, Leaf, Tree
from tests.conftest import Firm

FIXED = ("timestamp", "action", "actor_type", "user_id", "resource_type", "resource_id", "request_id", "success", "actor_commitment",
         "content_commitment", "organization_id")  # fmt: skip
ACTOR = ("actor_id", "client_id", "ip_address", "session_id", "user_agent", "actor_salt")
CONTENT = ("details", "error_message", "new_values", "old_values", "content_salt")
REFUSED = (sa.exc.IntegrityError, sa.exc.ProgrammingError, sa.exc.InternalError, sa.exc.DatabaseError)
A = AuditEntry.__table__
COLUMNS = [A.c.id, *(c for c in A.columns if c.name != "id")]


def rows(database: Database, firm: Firm) -> list[tuple[object, ...]]:
    with database.read(firm.id) as session:
        return [
            tuple(r)
            for r in session.execute(sa.select(*COLUMNS).where(A.c.organization_id == firm.id).order_by(A.c.id))
        ]


@pytest.fixture
def databases(database_url: str, installation: Installation, firm: Firm) -> Iterator[list[Database]]:
    """Every role there is: on PostgreSQL the worker may change rows as far as the guard lets it."""
    made = [Database(database_url, role=role) for role in ("app", "worker", "owner")]
    yield made
    for database in made:
        database.close()


def test_no_column_of_an_entry_can_be_changed(databases: list[Database], firm: Firm) -> None:
    before = rows(databases[0], firm)
    other = {"success": False, "user_id": firm.people["viewer"], "resource_id": firm.people["viewer"], "organization_id": firm.people["viewer"],
             "actor_commitment": b"x" * 32, "content_commitment": b"x" * 32, "actor_salt": b"x" * 32, "content_salt": b"x" * 32,
             "timestamp": firm.installation.clock().replace(year=2020), "actor_type": "job", "details": {"x": 1}, "old_values": {"x": 1},
             "new_values": {"x": 1}}  # fmt: skip
    for database in databases:
        for column in (*FIXED, *ACTOR, *CONTENT):
            with pytest.raises(REFUSED), database.write(firm.id) as session:
                session.execute(
                    sa.update(A).where(A.c.organization_id == firm.id).values({column: other.get(column, "changed")})
                )
    assert rows(databases[0], firm) == before


def test_no_entry_can_be_removed_or_replaced(databases: list[Database], firm: Firm) -> None:
    before = rows(databases[0], firm)
    statements = ["DELETE FROM audit_log"]
    if databases[0].is_sqlite:
        columns = ", ".join(c.name for c in A.columns)
        statements += [
            f"INSERT OR REPLACE INTO audit_log SELECT {columns} FROM audit_log",
            f"REPLACE INTO audit_log SELECT {columns} FROM audit_log",
        ]
    else:
        statements += ["TRUNCATE audit_log", "TRUNCATE audit_log CASCADE", "TRUNCATE ledger_leaves"]
    for database in databases:
        for statement in statements:
            with pytest.raises(REFUSED), database.write(firm.id) as session:
                session.connection().exec_driver_sql(statement)
    assert rows(databases[0], firm) == before


def test_a_sealed_leaf_stays(databases: list[Database], firm: Firm) -> None:
    """Leaves are written by the worker; then nobody changes or removes them."""
    worker = firm.installation.worker_database
    with worker.write(firm.id) as session:
        key = session.scalars(sa.select(A.c.id).where(A.c.organization_id == firm.id).limit(1)).one()
        session.execute(
            sa.insert(Leaf), {"organization_id": firm.id, "leaf_index": 0, "entry_id": key, "leaf_hash": b"h" * 32}
        )
    for database in databases:
        for statement in (sa.update(Leaf).where(Leaf.organization_id == firm.id).values(leaf_hash=b"x" * 32),
                          sa.delete(Leaf).where(Leaf.organization_id == firm.id)):  # fmt: skip
            with pytest.raises(REFUSED), database.write(firm.id) as session:
                session.execute(statement)


def test_an_erasure_blanks_a_group_whole_and_keeps_its_commitment(installation: Installation, firm: Firm) -> None:
    worker = installation.worker_database
    before = {r[0]: r for r in rows(worker, firm)}
    mine = A.c.organization_id == firm.id
    for half in ({"actor_id": None, "actor_salt": None}, {"details": None, "content_salt": None}):
        with pytest.raises(REFUSED), worker.write(firm.id) as session:
            session.execute(sa.update(A).where(mine).values(half))
    for group in (ACTOR, CONTENT):
        with worker.write(firm.id) as session:
            session.execute(sa.update(A).where(mine).values(dict.fromkeys(group)))
    names = [c.name for c in COLUMNS]
    for after in rows(worker, firm):
        values, old = dict(zip(names, after)), dict(zip(names, before[after[0]]))
        assert all(values[c] is None for c in (*ACTOR, *CONTENT))
        assert all(values[c] == old[c] for c in FIXED)
    if not installation.database.is_sqlite:
        with pytest.raises(REFUSED), installation.database.write(firm.id) as session:
            session.execute(sa.update(A).where(mine).values(dict.fromkeys(ACTOR)))


def test_retention_removes_only_what_was_given_up(installation: Installation, firm: Firm) -> None:
    worker = installation.worker_database
    keys = [r[0] for r in rows(worker, firm)]
    with worker.write(firm.id) as session:
        for i, key in enumerate(keys):
            session.execute(
                sa.insert(Leaf), {"organization_id": firm.id, "leaf_index": i, "entry_id": key, "leaf_hash": b"h" * 32}
            )
        session.execute(sa.insert(Tree), {"organization_id": firm.id, "pruned_below": 2, "origin": "test"})
    with pytest.raises(REFUSED), worker.write(firm.id) as session:
        session.execute(sa.delete(A).where(A.c.organization_id == firm.id, A.c.id == keys[2]))
    with worker.write(firm.id) as session:
        session.execute(sa.delete(A).where(A.c.organization_id == firm.id, A.c.id.in_(keys[:2])))
    assert [r[0] for r in rows(worker, firm)] == keys[2:]


@pytest.mark.postgres
@pytest.mark.parametrize("engine_name", ["postgresql"])
def test_another_organization_s_entries_do_not_exist(installation: Installation, firm: Firm, other_firm: Firm) -> None:
    """Row-level security below the guard: also for a statement that asks for everything."""
    for database in (installation.database, installation.worker_database):
        for organization in (firm.id, other_firm.id, None):
            with database.read(organization) as session:
                seen = set(session.scalars(sa.select(A.c.organization_id), execution_options={"tenant": "all"}))
            assert seen == ({organization} if organization else set())
    with (
        pytest.raises(sa.exc.ProgrammingError, match="row-level security"),
        installation.database.write(firm.id) as session,
    ):
        audit(session, other_firm.admin, "forged", "thing")
