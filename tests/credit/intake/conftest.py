from __future__ import annotations

import pytest

from plumbline.credit.intake.schema import Schema

from .shop import HEADER, SCHEMA


@pytest.fixture(scope="session")
def schema() -> Schema:
    return Schema.from_toml(SCHEMA, "shop.toml")


@pytest.fixture
def write(tmp_path):
    """Write a file of the shop: its text, or rows under the usual header."""

    def write(content: str | bytes | list[str], name: str = "orders.csv", header: str = HEADER, end: str = "\n"):
        if isinstance(content, list):
            content = end.join([header, *content]) + end
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write
