"""One database per engine for all tests here: making one takes longer than most of them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from plumbline.kernel.installation import Installation
from plumbline.settings import Settings
from tests.conftest import NOW, Firm, Server, SteppingClock
from tests.kernel.jobs.workshop import House, Workshop


@pytest.fixture(scope="session", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    home = tmp_path_factory.mktemp("jobs")
    server: Server | None = None
    if request.param == "sqlite":
        path: Path = request.getfixturevalue("sqlite_template")
        url = f"sqlite:///{shutil.copy(path, home / 'plumbline.db')}"
    else:
        server = request.getfixturevalue("postgres")
        assert server is not None
        url = server.fresh()
    clock = SteppingClock()
    installation = Installation.open(Settings(home=home, database_url=url), clock=clock)
    firm, other = Firm(installation, "northwind"), Firm(installation, "contoso")
    made = House(url, home, installation, clock, firm, other)
    yield made
    made.owner.close()
    installation.close()
    if server is not None:
        server.drop(url)


@pytest.fixture
def workshop(house: House) -> Iterator[Workshop]:
    house.clear()
    house.clock.now = NOW
    made = Workshop(house)
    yield made
    made.close()
