"""A desk at a lender with a model."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.credit.pages.desk import Desk
from tests.credit.trained import Lender, sqlite_lenders

__all__ = ["desk", "sqlite_lenders"]


@pytest.fixture
def desk(sqlite_lenders: dict[str, Lender], tmp_path: Path) -> Desk:
    return Desk(sqlite_lenders["northwind"], sqlite_lenders["contoso"], tmp_path)
