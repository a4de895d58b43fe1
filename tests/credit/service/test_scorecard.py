"""The additive twin as a scorecard."""

from __future__ import annotations

import pytest

from plumbline.credit.service.scorecard import scorecard_of
from plumbline.kernel.errors import NotFound
from plumbline.kernel.models import service as models
from tests.credit.trained import Lender


def test_points_of_bins_are_those_of_the_model(lender: Lender) -> None:
    key = str(lender.model_id)
    found = scorecard_of(lender.installation, lender.analyst, key)
    scale = models.load(lender.installation, found.model).policy.scale
    assert {b.feature for b in found.bins} >= {"EXT_SOURCE_2", "EXT_SOURCE_3"}
    assert all(b.points == round(-scale.factor * b.log_odds) for b in found.bins)
    assert len({b.feature for b in found.bins}) == found.report["features"]
    own = [b for b in found.bins if b.feature == "EXT_SOURCE_2"]
    assert own[0].cell.startswith("up to")
    assert own[-1].cell == "missing"
    assert [b.points for b in own[:-1]] == sorted(b.points for b in own[:-1])  # a better score never costs points
    assert scorecard_of(lender.installation, lender.analyst, key, feature="EXT_SOURCE_2").bins == tuple(own)


def test_levels_of_categories_are_named(embedded: Lender) -> None:
    found = scorecard_of(embedded.installation, embedded.analyst, str(embedded.model_id))
    features = {f.name: f for f in models.load(embedded.installation, found.model).features}
    cells = {b.cell for b in found.bins if features[b.feature].kind == "category"}
    assert any("Working" in c or "Laborers" in c or "Secondary" in c for c in cells)


def test_a_feature_that_it_does_not_have(embedded: Lender) -> None:
    with pytest.raises(NotFound, match="no feature"):
        scorecard_of(embedded.installation, embedded.analyst, str(embedded.model_id), feature="SHOE_SIZE")


def test_nothing_of_it_is_told_of_another_organizations_model(lender: Lender, other: Lender) -> None:
    with pytest.raises(NotFound):
        scorecard_of(lender.installation, lender.analyst, str(other.model_id))
