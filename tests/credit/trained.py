"""Two lenders with one small trained model in service: trained once a run, copied for each test."""

from __future__ import annotations

import atexit
import copy
import itertools
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import polars as pl
import pytest
import sqlalchemy as sa

from plumbline.credit import service, synthetic
from plumbline.credit.intake.schema import Schema
from plumbline.credit.modelling.scorer import Scorer
from plumbline.credit.service.batches import BatchView, incoming
from plumbline.kernel.context import Context
from plumbline.kernel.database import Database, migrate
from plumbline.kernel.identity import rights
from plumbline.kernel.identity.service import create_key
from plumbline.kernel.installation import Installation
from plumbline.kernel.jobs.service import run_inline
from plumbline.kernel.models import service as models
from plumbline.kernel.models.artifacts import ArtifactStore, unpack
from plumbline.kernel.models.profiles import Profile
from plumbline.kernel.models.service.profiling import reference_of
from plumbline.kernel.models.tables import Model
from plumbline.settings import Settings
from tests.conftest import Firm, Server, SteppingClock

ROLES = ("admin", "analyst", "viewer")
SCOPES = {role: sorted(rights.of_role(role)) for role in ROLES}
_names = itertools.count(1)


@dataclass
class Lender:
    """An organization with a person in each role, an API key of each, and an active model."""

    installation: Installation
    id: UUID
    slug: str
    people: dict[str, UUID]
    keys: dict[str, str]
    model_id: UUID
    sha256: str

    def as_role(self, role: str) -> Context:
        return Context(organization_id=self.id, actor_type="user", actor_id=str(self.people[role]), user_id=self.people[role], client_id="test",
                       now=self.installation.clock(), rights=rights.of_role(role), role=role, request_id="req-test", ip="203.0.113.9",
                       user_agent="pytest")  # fmt: skip

    @property
    def admin(self) -> Context:
        return self.as_role("admin")

    @property
    def analyst(self) -> Context:
        return self.as_role("analyst")

    def rows(self, statement: str, **given: Any) -> list[Any]:
        """What a statement finds, over all organizations, read as the database's owner."""
        owner = Database(self.installation.settings.url, role="owner")
        try:
            with owner.connect() as connection:
                return list(connection.execute(sa.text(statement).execution_options(tenant="all"), given))
        finally:
            owner.close()

    def change(self, statement: str, **given: Any) -> None:
        """Change the database behind the product's back, as its owner."""
        owner = Database(self.installation.settings.url, role="owner")
        try:
            with owner.connect(write=True) as connection:
                connection.execute(sa.text(statement).execution_options(tenant="all"), given)
        finally:
            owner.close()

    def key(self, value: UUID) -> Any:
        """An id as this engine stores it."""
        return value.bytes if self.installation.database.is_sqlite else value

    def entries(self, action: str, *, success: bool = True) -> list[Any]:
        """Audit entries of an action as the ledger's table holds them, oldest first."""
        from plumbline.kernel.ledger.tables import AuditEntry

        with self.installation.database.read(self.id) as session:
            statement = sa.select(AuditEntry).where(
                AuditEntry.organization_id == self.id, AuditEntry.action == action, AuditEntry.success == success
            )
            return list(session.scalars(statement.order_by(AuditEntry.id)))

    def count(self, table: str) -> int:
        return int(self.rows(f"SELECT count(*) FROM {table}")[0][0])

    # batches

    def submit(self, path: Path, name: str | None = None, context: Context | None = None) -> BatchView:
        """Send a copy of a file."""
        received = incoming(self.installation)
        shutil.copyfile(path, received)
        return service.submit_batch(self.installation, context or self.analyst, received, filename=name or path.name)

    def perform(self, view: BatchView) -> BatchView:
        assert view.batch.job_id is not None
        run_inline(self.installation, view.batch.job_id)
        return service.batch_of(self.installation, self.analyst, view.batch.id)

    def batch(self, path: Path, name: str | None = None) -> BatchView:
        """Send a file and perform its job here."""
        return self.perform(self.submit(path, name))

    def folder(self, view: BatchView) -> Path:
        return self.installation.files / "batches" / str(view.batch.id)

    def results(self, view: BatchView) -> pl.DataFrame:
        return pl.read_parquet(self.folder(view) / "results.parquet")


@dataclass
class World:
    """What a furnished database holds, without the installation it was made with."""

    lenders: dict[str, Lender]
    model: Model
    reference: Profile

    def opened(self, installation: Installation) -> dict[str, Lender]:
        return {slug: replace(lender, installation=installation) for slug, lender in self.lenders.items()}


@cache
def folder() -> Path:
    """Of this run: the artefacts and the database that copies are made from."""
    made = Path(tempfile.mkdtemp(prefix="plumbline-credit-"))
    owner = os.getpid()
    # a forked or spawned child that imports this module must not remove it
    atexit.register(lambda: os.getpid() == owner and shutil.rmtree(made, ignore_errors=True))
    return made


def artifacts() -> str:
    return str(folder() / "artifacts")


@cache
def portfolio() -> synthetic.Portfolio:
    """Applications no model here was trained on."""
    return synthetic.generate(120, 7)


def payload(number: int) -> dict[str, Any]:
    """One application of the portfolio as a caller sends it."""
    found = portfolio()
    return synthetic.to_application_json(found, found.tables["application"]["SK_ID_CURR"][number])


@cache
def scorer() -> Scorer:
    """The lenders' model, without any installation."""
    sha256 = _sqlite_world().lenders["northwind"].sha256
    return Scorer.load(unpack(ArtifactStore(artifacts()).get(sha256)))


@cache
def _levels() -> tuple[tuple[str, str], ...]:
    frame = scorer().score(unlabelled()).frame()
    return tuple(zip(frame["risk_level"].to_list(), frame["decision"].to_list(), strict=True))


def unlabelled() -> dict[str, pl.DataFrame]:
    """The portfolio's tables as they are scored."""
    tables = dict(portfolio().tables)
    tables["application"] = tables["application"].drop("TARGET")
    return tables


def application_with(*, level: str | None = None, decision: str | None = None) -> dict[str, Any]:
    """An application that the model puts there."""
    for number, (found_level, found_decision) in enumerate(_levels()):
        if level in (None, found_level) and decision in (None, found_decision):
            return copy.deepcopy(payload(number))
    raise AssertionError(f"the portfolio has no application with {level}, {decision}")


def write_zip(to: Path, tables: dict[str, pl.DataFrame] | None = None) -> Path:
    """Linked tables as one ZIP file of CSVs."""
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, frame in (tables or unlabelled()).items():
            archive.writestr(f"{name}.csv", frame.write_csv())
    return to


def furnish(installation: Installation, given: World | None = None) -> World:
    """Two organizations with the model in service; trained here unless it is given. The second one's was registered without
    a reference profile."""
    trained, reference = (given.model, given.reference) if given else (None, None)
    lenders = {}
    for slug in ("northwind", "contoso"):
        firm = Firm(installation, slug)
        keys = {
            role: create_key(installation, firm.context(firm.people[role], role), name=role, scopes=SCOPES[role])[1]
            for role in ROLES
            if "keys.own" in rights.of_role(role)
        }
        analyst = firm.as_role("analyst")
        if trained is None:
            made = synthetic.generate(1500, 1)
            trained = model = service.train(
                installation, analyst, tables=made.tables, schema=Schema.load("home_credit")
            )
        else:
            extra = {
                k: v for k, v in trained.extra.items() if k not in ("sha256", "size", "trained_by", "artifact_state")
            }
            model = models.register(
                installation, analyst, name=trained.name, kind=trained.kind, framework=trained.framework, model_type=trained.model_type,
                artifact=installation.artifacts.get(trained.extra["sha256"]), features=trained.features, target_classes=trained.target_classes,
                metrics=trained.metrics, trained_at=analyst.now, evaluations=[], extra=extra, right="credit.train",
                reference=reference if slug == "northwind" else None,
            )  # fmt: skip
        models.activate(installation, firm.as_role("admin"), str(model.id), reason="the first version")
        lenders[slug] = Lender(installation, firm.id, slug, firm.people, keys, model.id, str(model.extra["sha256"]))
        if reference is None:
            with installation.database.read(firm.id) as session:
                held = reference_of(session, firm.id, model.id)
            assert held is not None
            reference = held.profile
    assert trained is not None
    assert reference is not None
    return World(lenders, trained, reference)


@cache
def _sqlite_world() -> World:
    url = f"sqlite:///{folder() / 'plumbline.db'}"
    owner = Database(url, role="owner")
    migrate.upgrade(owner)
    owner.close()
    installation = Installation.open(
        Settings(home=folder(), database_url=url, artifacts=artifacts()), clock=SteppingClock()
    )
    world = furnish(installation)
    installation.close()  # the last connection puts all of it in the one file that is copied
    return world


_postgres: dict[int, tuple[str, World]] = {}


def _postgres_world(server: Server) -> tuple[str, World]:
    """The name of the template database, and what it holds."""
    if id(server) not in _postgres:
        name = f"pl_credit_{os.getpid()}"
        server.execute(f"CREATE DATABASE {name} TEMPLATE {server.template}")
        installation = Installation.open(
            Settings(home=folder(), database_url=server.named(name), artifacts=artifacts()), clock=SteppingClock()
        )
        world = furnish(installation, _sqlite_world())
        installation.close()
        _postgres[id(server)] = (name, world)
    return _postgres[id(server)]


def copied(engine: str, request: pytest.FixtureRequest, home: Path) -> tuple[str, World]:
    """A database of the test's own that holds the lenders."""
    if engine == "sqlite":
        world = _sqlite_world()
        home.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder() / "plumbline.db", home / "plumbline.db")
        return f"sqlite:///{home / 'plumbline.db'}", world
    server: Server = request.getfixturevalue("postgres")
    template, world = _postgres_world(server)
    name = f"pl_credit_{os.getpid()}_{next(_names)}"
    server.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    return server.named(name), world


@pytest.fixture
def lenders(
    engine_name: str, request: pytest.FixtureRequest, tmp_path: Path, clock: SteppingClock
) -> Iterator[dict[str, Lender]]:
    """Both lenders, on either engine, with the tests' clock."""
    yield from _lenders(engine_name, request, tmp_path, clock)


@pytest.fixture
def sqlite_lenders(request: pytest.FixtureRequest, tmp_path: Path, clock: SteppingClock) -> Iterator[dict[str, Lender]]:
    """Both lenders in an SQLite file, for tests in which the engine makes no difference."""
    yield from _lenders("sqlite", request, tmp_path, clock)


@pytest.fixture
def postgres_lenders(
    request: pytest.FixtureRequest, tmp_path: Path, clock: SteppingClock
) -> Iterator[dict[str, Lender]]:
    yield from _lenders("postgresql", request, tmp_path, clock)


def _lenders(
    engine: str, request: pytest.FixtureRequest, home: Path, clock: Callable[[], Any]
) -> Iterator[dict[str, Lender]]:
    url, world = copied(engine, request, home)
    installation = Installation.open(Settings(home=home, database_url=url, artifacts=artifacts()), clock=clock)
    yield world.opened(installation)
    installation.close()
    if engine != "sqlite":
        server: Server = request.getfixturevalue("postgres")
        server.drop(url)


@pytest.fixture
def lender(lenders: dict[str, Lender]) -> Lender:
    return lenders["northwind"]


@pytest.fixture
def other(lenders: dict[str, Lender]) -> Lender:
    """The tenant beside ``lender``."""
    return lenders["contoso"]


@pytest.fixture
def embedded(sqlite_lenders: dict[str, Lender]) -> Lender:
    """A lender in an SQLite file."""
    return sqlite_lenders["northwind"]
