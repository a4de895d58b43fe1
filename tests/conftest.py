"""What every test may ask for: a database of either engine, an installation, people of two organizations."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from plumbline.kernel.context import Context
from plumbline.kernel.database import Database, migrate
from plumbline.kernel.installation import Installation
from plumbline.settings import Settings
from tests.postgres_support import Cluster

NOW = datetime(2026, 11, 24, 9, 41, 0, tzinfo=UTC)
_names = itertools.count(1)


class SteppingClock:
    """A clock that tests move by hand."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


class Server:
    """Makes databases: migrated once as a template, then copied."""

    def __init__(self, url: str, cluster: Cluster | None) -> None:
        self.admin = sa.make_url(url)
        self.cluster = cluster
        suffix = f"{os.getpid()}"
        self.template = f"pl_template_{suffix}"
        self.execute(f"CREATE DATABASE {self.template}")
        owner = Database(self.named(self.template), role="owner")
        migrate.upgrade(owner)
        owner.close()

    def named(self, name: str) -> str:
        return self.admin.set(database=name).render_as_string(hide_password=False)

    def execute(self, statement: str) -> None:
        engine = sa.create_engine(self.admin.set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)
        engine.dispose()

    def fresh(self) -> str:
        name = f"pl_{os.getpid()}_{next(_names)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {self.template}")
        return self.named(name)

    def empty(self) -> str:
        name = f"pl_{os.getpid()}_{next(_names)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.named(name)

    def drop(self, url: str) -> None:
        self.execute(f"DROP DATABASE IF EXISTS {sa.make_url(url).database} WITH (FORCE)")


@pytest.fixture(scope="session")
def postgres() -> Server:
    """The test run's PostgreSQL server."""
    if given := os.environ.get("PLUMBLINE_TEST_POSTGRES_URL"):
        return Server(given, None)
    cluster = Cluster()
    return Server(cluster.url("postgres"), cluster)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "plumbline.db"
    owner = Database(f"sqlite:///{path}", role="owner")
    migrate.upgrade(owner)
    owner.close()
    return path


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def engine_name(request: pytest.FixtureRequest) -> str:
    """Tests that use this (through ``database_url`` and what builds on it) run on both engines."""
    return str(request.param)


@pytest.fixture
def database_url(engine_name: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A migrated, empty database."""
    if engine_name == "sqlite":
        path = tmp_path / "plumbline.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    server: Server = request.getfixturevalue("postgres")
    url = server.fresh()
    yield url
    server.drop(url)


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A migrated SQLite file, for tests in which the engine makes no difference."""
    path = tmp_path / "plumbline.db"
    shutil.copy(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def clock() -> SteppingClock:
    return SteppingClock()


@pytest.fixture
def make_installation(tmp_path: Path, clock: SteppingClock) -> Iterator[Callable[..., Installation]]:
    made: list[Installation] = []

    def make(url: str, **settings: Any) -> Installation:
        installation = Installation.open(Settings(home=tmp_path, database_url=url, **settings), clock=clock)
        made.append(installation)
        return installation

    yield make
    for installation in made:
        installation.close()


@pytest.fixture
def installation(database_url: str, make_installation: Callable[..., Installation]) -> Installation:
    """An installation on either engine, as the application's role, with no organization yet."""
    return make_installation(database_url)


class Firm:
    """An organization with a person in each role."""

    def __init__(self, installation: Installation, slug: str) -> None:
        from plumbline.kernel.identity import service

        self.installation = installation
        self.password = "correct horse battery staple"
        made = service.initialize(installation, name=slug.title(), slug=slug, username=f"{slug}-admin", email=f"admin@{slug}.example",
                                  password=self.password)  # fmt: skip
        self.id: UUID = made.organization_id
        self.admin = self.context(made.user_id, "admin")
        self.people: dict[str, UUID] = {"admin": made.user_id}
        for role in ("analyst", "viewer"):
            self.people[role] = service.create_user(installation, self.admin, username=f"{slug}-{role}", email=f"{role}@{slug}.example",
                                                    full_name=f"{role.title()} of {slug.title()}", role=role, password=self.password)  # fmt: skip

    def context(self, user_id: UUID, role: str) -> Context:
        from plumbline.kernel.identity import rights

        return Context(organization_id=self.id, actor_type="user", actor_id=str(user_id), user_id=user_id, client_id="test",
                       now=self.installation.clock(), rights=rights.of_role(role), role=role, request_id="req-test", ip="203.0.113.9",
                       user_agent="pytest")  # fmt: skip

    def as_role(self, role: str) -> Context:
        return replace(self.context(self.people[role], role), now=self.installation.clock())


@pytest.fixture
def firm(installation: Installation) -> Firm:
    return Firm(installation, "northwind")


@pytest.fixture
def other_firm(installation: Installation, firm: Firm) -> Firm:
    """A second tenant beside ``firm``: nothing of it may ever be seen there."""
    return Firm(installation, "contoso")
