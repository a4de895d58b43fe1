"""What tests of checkpoints outside the house share: ledgers with destinations, a neighbour that witnesses, a witness that does as it is told."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger import note
from plumbline.kernel.ledger.service import witnessing
from plumbline.settings import Settings
from tests.conftest import SteppingClock
from tests.support.witness import Ledger, Neighbour, OtherWitness, Reply

WITNESS = OtherWitness()

TYPED = {"Content-Type": "text/x.tlog.size"}


@pytest.fixture
def begin(database_url: str, tmp_path: Path, clock: SteppingClock) -> Iterator[Callable[..., Ledger]]:
    """A ledger on either engine with these settings."""
    with ExitStack() as opened:

        def make(**settings: Any) -> Ledger:
            installation = Installation.open(
                Settings(home=tmp_path, database_url=database_url, **settings), clock=clock
            )
            opened.callback(installation.close)
            return Ledger(installation, clock)

        yield make


@pytest.fixture
def begin_sqlite(sqlite_url: str, tmp_path: Path, clock: SteppingClock) -> Iterator[Callable[..., Ledger]]:
    """Where the engine makes no difference."""
    with ExitStack() as opened:

        def make(**settings: Any) -> Ledger:
            installation = Installation.open(Settings(home=tmp_path, database_url=sqlite_url, **settings), clock=clock)
            opened.callback(installation.close)
            return Ledger(installation, clock)

        yield make


@pytest.fixture
def neighbour(
    engine_name: str, request: pytest.FixtureRequest, tmp_path: Path, clock: SteppingClock
) -> Iterator[Neighbour]:
    """Another installation on the same kind of engine."""
    home, server = tmp_path / "neighbour", None
    home.mkdir()
    if engine_name == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), home / "plumbline.db")
        url = f"sqlite:///{home / 'plumbline.db'}"
    else:
        server = request.getfixturevalue("postgres")
        url = server.fresh()
    made = Neighbour(url, home, clock)
    yield made
    made.installation.close()
    if server is not None:
        server.drop(url)


@pytest.fixture(scope="module")
def standing(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """One ledger for the examples; each reaches it through an installation of its own settings."""
    home, clock = tmp_path_factory.mktemp("standing"), SteppingClock()
    shutil.copy(sqlite_template, home / "plumbline.db")
    installation = Installation.open(Settings(home=home), clock=clock)
    yield Ledger(installation, clock)
    installation.close()


@pytest.fixture
def told_to(standing: Ledger) -> Iterator[Callable[..., Ledger]]:
    """The standing ledger, a little grown, with these destinations."""
    with ExitStack() as opened:

        def make(**settings: Any) -> Ledger:
            standing.grow()
            made = standing.with_settings(**settings)
            opened.callback(made.installation.close)
            return made

        yield make


def numbered(size: int) -> str:
    return f"{size:012}.checkpoint"


def named(address: str, key: note.VerifierKey) -> dict[str, list[str]]:
    return {"ledger_witnesses": [f"{address} {key}"]}


def agree(neighbour: Neighbour, ledger: Ledger) -> None:
    """The neighbour is to witness the ledger."""
    context = replace(neighbour.firm.admin, rights=frozenset({"*"}))
    witnessing.register(neighbour.installation, context, str(ledger.vkey))


def good(asked: bytes) -> Reply:
    return Reply(body=WITNESS.line(asked).encode())


def told(size: object) -> Reply:
    return Reply(409, f"{size}\n".encode(), TYPED)
