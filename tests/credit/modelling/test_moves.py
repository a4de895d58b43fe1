"""Sensible values: multiples of a unit, in the allowed direction, within the limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from plumbline.credit.features.matrix import FeatureInfo
from plumbline.credit.intake.schema import Column
from plumbline.credit.modelling.moves import Reference, limits, sensible, stepped, unit_of

SPANS = st.tuples(st.floats(-1e6, 1e6), st.floats(0.01, 1e6)).map(lambda p: (p[0], p[0] + p[1]))


@st.composite
def cases(draw: st.DrawFn) -> tuple[Column, float, tuple[float, float]]:
    kind = draw(st.sampled_from(["money", "ratio", "count", "integer"]))
    column = Column("c", kind, mutable=draw(st.sampled_from(["up", "down", "both"])))
    span = draw(SPANS)
    present = span[0] + draw(st.floats(0, 1)) * (span[1] - span[0])
    return column, float(round(present)) if kind in ("count", "integer") else present, span


@given(cases())
def test_steps_lie_beyond_the_present_value_within_the_limits_and_on_the_unit(
    case: tuple[Column, float, tuple[float, float]],
) -> None:
    column, present, span = case
    assume(abs(present) > 1e-3)
    unit = unit_of(column, present, span)
    found = stepped(column, present, span)
    assert len(found) <= 20_000
    for value in found:
        assert span[0] <= value <= span[1]
        assert column.mutable == "both" or (value > present) == (column.mutable == "up")
        assert value != present
        assert abs(value / unit - round(value / unit)) < 1e-3
    for side in ([v for v in found if v < present], [v for v in found if v > present]):
        distances = [abs(v - present) for v in side]
        assert distances == sorted(distances)
        assert len(side) == len(set(side))


@given(cases(), st.floats(0, 1))
def test_a_slider_stops_at_sensible_values_and_near_the_present_one_at_it(
    case: tuple[Column, float, tuple[float, float]], share: float
) -> None:
    column, present, span = case
    unit = unit_of(column, present, span)
    assert sensible(column, present, present, span) == present
    assert sensible(column, present, present + 0.4 * unit, span) == present
    value = sensible(column, present, span[0] + share * (span[1] - span[0]), span)
    assert min(span[0], present) - 1 <= value <= max(span[1], present) + 1


def test_a_value_outside_the_limits_moves_into_them() -> None:
    down, up = Column("m", "money", mutable="down"), Column("m", "money", mutable="up")
    assert stepped(down, 2_000.0, (100.0, 1_000.0))[:3] == [980.0, 960.0, 940.0]
    assert stepped(up, 2_000.0, (100.0, 1_000.0)) == []
    assert stepped(up, 50.0, (100.0, 1_000.0))[0] == 100.5
    assert stepped(down, 50.0, (100.0, 1_000.0)) == []


def test_units_are_about_a_hundredth() -> None:
    money, count = Column("m", "money"), Column("n", "count")
    assert unit_of(money, 464_823.135, (0, 1e7)) == 2000
    assert unit_of(money, 0.0, (0, 500.0)) == 5
    assert unit_of(count, 36, (0, 60)) == 1
    assert unit_of(Column("r", "ratio"), 0.37, (0, 1)) == pytest.approx(0.002)


def test_limits_are_the_narrower_of_the_schemas_and_what_training_saw() -> None:
    info = FeatureInfo("c", "numeric", frozenset(), lowest=10.0, highest=90.0)
    assert limits(Column("c", "money", range=(0, 50)), info) == (10.0, 50.0)
    assert limits(Column("c", "money"), info) == (10.0, 90.0)
    assert limits(Column("c", "money"), None) is None


def test_a_position_rises_from_the_lowest_over_the_median_to_the_highest() -> None:
    info = FeatureInfo("c", "numeric", frozenset(), lowest=0.0, highest=100.0, typical=20.0)
    reference = Reference.of(info, np.array([5.0, 10.0, 40.0]))
    assert reference is not None
    at = reference.position(np.array([-5.0, 0.0, 5.0, 20.0, 40.0, 100.0, 200.0]))
    assert at == pytest.approx([0, 0, 1 / 6, 0.5, 0.75, 1, 1])
    assert (np.diff(reference.position(np.linspace(0, 100, 400))) > 0).all()
    assert Reference.of(FeatureInfo("c", "numeric", frozenset()), np.array([1.0])) is None


def test_the_estimated_positions_are_near_the_populations() -> None:
    """What an artefact knows of the population is enough to say roughly how many people lie between two values."""
    from tests.credit import trained

    scorer = trained.scorer()
    people = trained.unlabelled()["application"]
    for name in ("AMT_CREDIT", "AMT_ANNUITY", "AMT_INCOME_TOTAL"):
        at = next(i for i, f in enumerate(scorer.features) if f.name == name)
        reference = Reference.of(scorer.features[at], scorer.tables.edges_of(at))
        assert reference is not None
        values = np.sort(people[name].drop_nulls().to_numpy())
        true = (np.arange(len(values)) + 0.5) / len(values)
        assert np.abs(reference.position(values) - true).mean() < 0.15
