"""The whole product's interface over lenders with a trained model."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api.world import World, opened
from tests.credit.trained import embedded, lenders, sqlite_lenders

__all__ = ["embedded", "lenders", "sqlite_lenders"]


@pytest.fixture(scope="module")
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Read and written by the tests of one module; in an SQLite file unless a test is parametrized with ``BOTH``."""
    yield from opened(request, tmp_path_factory.mktemp("world"), getattr(request, "param", "sqlite"))
