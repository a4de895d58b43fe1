"""Up, down and up again is the same; what differs from the program is named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from plumbline.cli import run
from plumbline.kernel import room
from plumbline.kernel.database import Database, migrate
from plumbline.kernel.errors import Conflict
from tests.conftest import Server

FIRST = "kernel_0001"


@pytest.fixture
def owner(database_url: str) -> Iterator[Database]:
    room.declare_tables()
    made = Database(database_url, role="owner")
    yield made
    made.close()


def schema(database: Database) -> list[Any]:
    """Everything that makes the schema, in words, sorted."""
    queries = ["SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"]
    if not database.is_sqlite:
        queries = [
            (
                "SELECT table_name, column_name, data_type, is_nullable, column_default, numeric_precision, numeric_scale FROM information_schema.columns"
                " WHERE table_schema = 'public'"
            ),
            "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace",
            "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public'",
            "SELECT tgrelid::regclass::text, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
            "SELECT tablename, policyname, qual, with_check FROM pg_policies",
            "SELECT relname, relrowsecurity, relacl::text FROM pg_class WHERE relnamespace = 'public'::regnamespace",
            "SELECT proname, pg_get_functiondef(oid), proacl::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
        ]
    with database.connect() as connection:
        return sorted((tuple(map(str, row)) for q in queries for row in connection.exec_driver_sql(q)), key=str)


def test_up_down_up_gives_the_identical_schema(owner: Database) -> None:
    before = schema(owner)
    migrate.downgrade(owner, "base")
    left = [line for line in schema(owner) if "alembic_version" not in " ".join(line)]
    assert left == []
    migrate.upgrade(owner)
    assert schema(owner) == before
    assert migrate.differences(owner) == []


def test_a_fresh_database_differs_in_nothing(owner: Database) -> None:
    assert migrate.differences(owner) == []
    migrate.demand_current(owner)


def test_what_is_missing_is_named(owner: Database) -> None:
    trigger = "DROP TRIGGER users_updated_at" + ("" if owner.is_sqlite else " ON users")
    with owner.connect(write=True) as connection:
        connection.exec_driver_sql(trigger)
        connection.exec_driver_sql("ALTER TABLE organizations DROP COLUMN contact_email")
        if not owner.is_sqlite:
            connection.exec_driver_sql("DROP POLICY tenant ON api_keys")
            connection.exec_driver_sql("ALTER TABLE jobs DISABLE ROW LEVEL SECURITY")
            connection.exec_driver_sql("DROP FUNCTION plumbline_find_key")
    found = migrate.differences(owner)
    assert "trigger users_updated_at is missing" in found
    assert any("contact_email" in line and "add_column" in line for line in found)
    if owner.is_sqlite:
        assert len(found) == 2
    else:
        assert {
            "policy tenant on api_keys is missing",
            "row-level security on jobs is missing",
            "function plumbline_find_key is missing",
        } <= set(found)
        assert len(found) == 5


def test_what_is_not_ours_is_named(owner: Database) -> None:
    with owner.connect(write=True) as connection:
        if owner.is_sqlite:
            connection.exec_driver_sql("CREATE TRIGGER stray AFTER INSERT ON users BEGIN SELECT 1; END")
        else:
            connection.exec_driver_sql("CREATE POLICY stray ON users USING (true)")
    assert migrate.differences(owner) == [
        "trigger stray is not ours" if owner.is_sqlite else "policy stray on users is not ours"
    ]


def test_a_database_behind_or_ahead_is_told_apart(owner: Database) -> None:
    last = sorted(k for k, r in migrate.revisions().items() if r.room != "kernel")[-1]
    with owner.connect(write=True) as connection:
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{FIRST}' WHERE version_num = '{last}'")
    with pytest.raises(Conflict, match=f"behind this Plumbline: it lacks .*{last}.*plumbline db upgrade"):
        migrate.demand_current(owner)
    with owner.connect(write=True) as connection:
        connection.exec_driver_sql(f"INSERT INTO alembic_version VALUES ('{last}'), ('kernel_9999')")
    with pytest.raises(Conflict, match=r"ahead of this Plumbline: it has kernel_9999.*Install the newer Plumbline"):
        migrate.demand_current(owner)


def test_an_empty_database_is_told_so(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'empty.db'}")
    with pytest.raises(Conflict, match=r"no tables yet.*plumbline init"):
        migrate.demand_current(database)
    database.close()


# the command line over it


def test_the_commands_upgrade_check_and_take_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = ["--home", str(tmp_path)]

    def said(*words: str, code: int = 0) -> Any:
        assert run([*home, "db", *words, "--json"]) == code
        return json.loads(capsys.readouterr().out)

    assert said("current") == {"applied": [], "lacks": sorted(migrate.revisions()), "unknown": [], "fits": False}
    assert said("upgrade")["applied"] == sorted(migrate.revisions())
    assert said("upgrade")["applied"] == []
    assert said("current")["fits"] is True
    assert {r["revision"]: r["applied"] for r in said("history")} == dict.fromkeys(migrate.revisions(), True)
    assert said("check") == {"fits": True, "differences": []}
    database = Database(f"sqlite:///{tmp_path / 'plumbline.db'}", role="owner")
    with database.connect(write=True) as connection:
        connection.exec_driver_sql("DROP TRIGGER audit_log_delete")
    database.close()
    assert said("check", code=3)["differences"] == ["trigger audit_log_delete is missing"]
    assert run([*home, "db", "downgrade", "base"]) == 2
    assert "--yes" in capsys.readouterr().err
    assert said("downgrade", "base", "--yes")["current"] == []
    assert run([*home, "db", "upgrade", "--to", "nowhere"]) == 2
    assert f"Choose one of {FIRST}" in capsys.readouterr().err


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_the_printed_sql_makes_every_table(dialect: str, capsys: pytest.CaptureFixture[str]) -> None:
    room.declare_tables()
    assert run(["db", "sql", "--dialect", dialect]) == 0
    text = capsys.readouterr().out
    from plumbline.kernel.database.schema import Table

    assert [t for t in Table.metadata.tables if f"CREATE TABLE {t} " not in text] == []
    assert ("CREATE POLICY tenant ON users" in text) == (dialect == "postgresql")


def test_sql_for_another_engine_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["db", "sql", "--dialect", "oracle"]) == 2
    assert "--dialect postgresql" in capsys.readouterr().err


@pytest.mark.postgres
def test_the_application_s_role_owns_nothing(postgres: Server) -> None:
    url = postgres.fresh()
    app, owner = Database(url), Database(url, role="owner")
    try:
        for statement in ("DROP TABLE users", "ALTER TABLE users DISABLE ROW LEVEL SECURITY", "CREATE TABLE mine (id int)", "TRUNCATE users",
                          "SELECT * FROM plumbline_claim_job(ARRAY['x'], 'me', 1, now())", "DELETE FROM alembic_version"):  # fmt: skip
            with (
                pytest.raises(sa.exc.ProgrammingError, match=r"permission denied|must be owner"),
                app.connect(write=True) as connection,
            ):
                connection.exec_driver_sql(statement)
        with owner.connect() as connection:
            (powers,) = connection.exec_driver_sql(
                "SELECT count(*) FROM pg_roles WHERE rolname IN ('plumbline_app', 'plumbline_worker') AND (rolsuper OR rolbypassrls OR rolcanlogin)"
            ).one()
        assert powers == 0
    finally:
        app.close()
        owner.close()
        postgres.drop(url)
