from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline.credit.modelling.points import PointScale
from plumbline.kernel.errors import InvalidInput


def test_the_customary_scale() -> None:
    scale = PointScale.of()
    assert scale.factor == pytest.approx(28.8539, abs=1e-4)
    assert scale.offset == pytest.approx(487.12, abs=5e-3)
    assert scale.points(np.array([-math.log(50), -math.log(100), 0.0])).tolist() == [600, 620, 487]


@given(st.floats(300, 900), st.floats(1, 200), st.floats(5, 60), st.floats(-8, 8))
def test_doubling_the_odds_adds_the_doubling_points(points: float, odds: float, doubling: float, x: float) -> None:
    scale = PointScale.of(points, odds, doubling)
    gained = scale.contribution(np.array([x - math.log(2)])) - scale.contribution(np.array([x]))
    assert gained[0] == pytest.approx(doubling)
    assert PointScale.from_dict(scale.to_dict()) == scale


def test_odds_must_be_possible() -> None:
    with pytest.raises(InvalidInput):
        PointScale.of(odds=0)
