"""Migrations: one history per room, applied together; also what tells an old or a newer database from a fitting one."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from plumbline.kernel import room
from plumbline.kernel.database import ddl
from plumbline.kernel.database.ddl import postgresql
from plumbline.kernel.database.engine import Database
from plumbline.kernel.database.schema import Table
from plumbline.kernel.errors import Conflict, Forbidden

if TYPE_CHECKING:
    from alembic.config import Config

KERNEL = "plumbline.kernel.database.migrations.versions"


@dataclass(frozen=True, slots=True)
class Revision:
    """A migration file: ``0001_….py`` in a room's history; its id is ``ROOM_0001``."""

    id: str
    room: str
    before: str | None
    needs: str | None


def _folder(package: str) -> Path:
    spec = find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(next(iter(spec.submodule_search_locations)))


def locations() -> dict[str, Path]:
    """Room → the folder of its history."""
    return {"kernel": _folder(KERNEL), **{r.name: _folder(r.migrations) for r in room.rooms() if r.migrations}}


@cache
def revisions() -> dict[str, Revision]:
    """All migrations, read from the files' heads: Alembic itself takes too long to load at each start."""
    found = {}
    for name, folder in locations().items():
        for path in sorted(folder.glob("[0-9]*.py")):
            text = path.read_text("utf-8")
            value = {k: _constant(text, k) for k in ("revision", "down_revision", "depends_on")}
            found[str(value["revision"])] = Revision(
                str(value["revision"]), name, value["down_revision"], value["depends_on"]
            )
    return found


def _constant(text: str, name: str) -> str | None:
    match = re.search(rf'^{name} = (?:"([^"]+)"|None)$', text, re.MULTILINE)
    if match is None:
        raise RuntimeError(f"a migration file does not state {name}")
    return match[1]


def applied(database: Database) -> set[str]:
    """Every migration the database has, also those Alembic does not list because another one depends on them."""
    with database.connect() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return set()
        listed = {row[0] for row in connection.exec_driver_sql("SELECT version_num FROM alembic_version")}
    known = revisions()
    closed: set[str] = set()
    queue = list(listed)
    while queue:
        key = queue.pop()
        closed.add(key)
        if key in known:
            queue += [k for k in (known[key].before, known[key].needs) if k and k not in closed]
    return closed


def demand_current(database: Database) -> None:
    """Refuse to work on a database that is behind or ahead of this program."""
    there, known = applied(database), set(revisions())
    if not there:
        raise Conflict("The database has no tables yet.", remedy="Run: plumbline init")
    if ahead := sorted(there - known):
        raise Conflict(
            f"The database is ahead of this Plumbline: it has {', '.join(ahead)}.",
            remedy="Install the newer Plumbline.",
        )
    if behind := sorted(known - there):
        raise Conflict(
            f"The database is behind this Plumbline: it lacks {', '.join(behind)}.", remedy="Run: plumbline db upgrade"
        )


def _config(**attributes: Any) -> Config:
    from alembic.config import Config

    room.declare_tables()
    config = Config(output_buffer=io.StringIO(), stdout=attributes.pop("stdout", io.StringIO()))
    config.set_main_option("script_location", str(_folder("plumbline.kernel.database.migrations")))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", "\n".join(str(p) for p in locations().values()))
    config.attributes.update(attributes)
    return config


@contextmanager
def _migrating(database: Database) -> Iterator[sa.Connection]:
    """One transaction over all steps. SQLite's foreign keys sleep meanwhile (a batch step drops the table) and are
    checked before the end."""
    raw = database.engine.execution_options(write=True, tenant="schema")
    with raw.connect() as connection:
        if database.is_sqlite:
            driver = connection.connection.driver_connection
            assert driver is not None
            driver.execute("PRAGMA foreign_keys=OFF")  # has no effect inside a transaction: before BEGIN
        try:
            with connection.begin():
                yield connection
                if database.is_sqlite:
                    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
                    if broken:
                        raise Conflict(
                            f"The migration would leave {len(broken)} rows without their parents; nothing was changed."
                        )
        finally:
            if database.is_sqlite:
                connection.connection.driver_connection.execute("PRAGMA foreign_keys=ON")  # type: ignore[union-attr]


def upgrade(database: Database, target: str = "heads") -> None:
    from alembic import command

    if not database.is_sqlite:
        _make_roles(database)
    with _migrating(database) as connection:
        command.upgrade(_config(connection=connection), target)


def downgrade(database: Database, target: str = "base") -> None:
    """``target``: a revision, ``ROOM@base`` or ``base`` (everything goes)."""
    from alembic import command

    with _migrating(database) as connection:
        if target == "base":
            config = _config(connection=connection)
            for name in [*(r.name for r in room.rooms() if r.migrations), "kernel"]:
                if any(revisions()[k].room == name for k in applied_on(connection)):
                    command.downgrade(config, f"{name}@base")
        else:
            command.downgrade(_config(connection=connection), target)


def applied_on(connection: sa.Connection) -> set[str]:
    rows = connection.exec_driver_sql("SELECT version_num FROM alembic_version")
    return {row[0] for row in rows} & set(revisions())


def sql(dialect: str) -> str:
    """The statements of a whole upgrade, for those who run them by hand."""
    from alembic import command

    config = _config(dialect=dialect)
    command.upgrade(config, "heads", sql=True)
    buffer = config.output_buffer
    assert isinstance(buffer, io.StringIO)
    return buffer.getvalue()


def differences(database: Database) -> list[str]:
    """What the live database has otherwise than the program declares: tables, columns, indexes, triggers, policies, functions."""
    from alembic import autogenerate
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    config = _config()
    script = ScriptDirectory.from_config(config)
    with database.engine.execution_options(tenant="schema", write=False).connect() as connection, connection.begin():
        config.attributes["connection"] = connection
        from alembic.runtime.environment import EnvironmentContext

        found: list[Any] = []

        def compare(_revision: Any, migration: MigrationContext) -> list[Any]:
            found.extend(autogenerate.compare_metadata(migration, Table.metadata))
            return []

        with EnvironmentContext(config, script, fn=compare):
            script.run_env()
        lost = ddl.expected(connection.dialect.name) - ddl.live(connection)
        extra = ddl.live(connection) - ddl.expected(connection.dialect.name)
    texts = [str(d) for d in found]
    texts += [f"{name} is missing" for name in sorted(lost)] + [f"{name} is not ours" for name in sorted(extra)]
    return texts


def _make_roles(database: Database) -> None:
    with database.connect(write=True) as connection:
        (may,) = connection.exec_driver_sql(
            "SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user"
        ).one()
        there = {
            r[0]
            for r in connection.exec_driver_sql(
                "SELECT rolname FROM pg_roles WHERE pg_has_role(current_user, oid, 'member')"
            )
        }
        if set(postgresql.ROLES) <= there and not may:
            return
        if not may:
            raise Forbidden(
                "This login may not make the roles that Plumbline's tables are granted to.",
                remedy="Let an administrator run: " + "; ".join(postgresql.make_roles(can_create=False)),
            )
        for statement in postgresql.make_roles(can_create=True):
            connection.exec_driver_sql(statement)
