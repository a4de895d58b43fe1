from __future__ import annotations

import pytest

from plumbline.credit.synthetic import Portfolio, generate


@pytest.fixture(scope="session")
def portfolio() -> Portfolio:
    """6,000 applications with the default parameters; tests must not change it."""
    return generate(6_000, seed=11)
