from __future__ import annotations

from math import exp
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline.credit import why
from plumbline.credit.features.matrix import FeatureInfo
from plumbline.credit.modelling.points import PointScale
from plumbline.kernel.models.calibration import CalibrationMap

SCALE = PointScale.of()
STRAIGHT = {"kind": "identity", "intercept": 0.0, "slope": 1.0, "knots": [], "values": []}
LINE = {"kind": "platt", "intercept": -0.3, "slope": 0.8, "knots": [], "values": []}
BENT = {"kind": "isotonic", "intercept": 0.0, "slope": 1.0, "knots": [-4.0, -2.0, 0.0], "values": [-3.6, -2.2, 0.4]}
changes = st.floats(-1.5, 1.5, allow_nan=False)


def explained(groups: dict[str, float], base: float, calibration: dict[str, Any]) -> why.Why:
    raw = base + sum(groups.values())
    log_odds = float(CalibrationMap.from_dict(calibration).apply(np.array([raw]))[0])
    points = round(SCALE.offset - SCALE.factor * log_odds)
    extra = {"policy": {"points": SCALE.to_dict()}, "calibration": calibration}
    return why.why({"base": base, "groups": groups}, extra, raw=raw, points=points, threshold=1 / 11)


@given(st.dictionaries(st.sampled_from([f"G{i}" for i in range(24)]), changes, max_size=24), st.floats(-4, 0),
       st.sampled_from([STRAIGHT, LINE, BENT]))  # fmt: skip
def test_the_steps_lead_from_the_base_to_the_score_exactly(
    groups: dict[str, float], base: float, calibration: dict[str, Any]
) -> None:
    found = explained(groups, base, calibration)
    assert found.base + sum(move.points for move in found.moves) == found.final
    assert len(found.moves) <= why.MOST + 1
    assert all(abs(move.points - move.exact) < 2 for move in found.moves)


@given(st.lists(st.floats(-60, 60), min_size=1, max_size=12), st.integers(-1, 1))
def test_whole_parts_sum_to_the_total_and_stay_near_what_they_round(parts: list[float], off: int) -> None:
    total = round(sum(parts)) + off
    found = why.whole(parts, total)
    assert sum(found) == total
    assert all(abs(n - part) < 3 for n, part in zip(found, parts, strict=True))


def test_small_groups_are_told_as_one() -> None:
    found = explained({"BIG": 0.8, "SMALL": 0.004, "TINY": -0.002, "NONE": 0.0}, -2.5, STRAIGHT)
    assert [(m.code, m.rest) for m in found.moves] == [("BIG", 0), ("", 2)]
    assert found.moves[0].points < 0  # more risk, fewer points


def test_the_cut_off_is_the_score_of_the_threshold() -> None:
    probability = 1 / 11
    log_odds = -2.302585092994046
    assert why.cut_off(SCALE, probability) == pytest.approx(SCALE.offset - SCALE.factor * log_odds)
    assert 1 / (1 + exp(-log_odds)) == pytest.approx(probability)


def test_the_note_of_a_group_names_the_feature_that_moved_it_in_its_own_direction() -> None:
    told = {"base": -2.0, "groups": {"LATE": 0.5, "INCOME": -0.4}, "contributions": {"A": 0.7, "B": -0.2, "C": -0.4}}
    extra = {"policy": {"points": SCALE.to_dict()}, "calibration": STRAIGHT}
    found = why.why(told, extra, raw=-1.9, points=round(SCALE.offset + SCALE.factor * 1.9), threshold=0.1)
    features = {
        "A": FeatureInfo("A", "numeric", frozenset(), reason="LATE", text="Share paid late, last year", typical=0.1),
        "C": FeatureInfo(
            "C",
            "category",
            frozenset(),
            reason="INCOME",
            text="Source of income",
            levels=("Working", "Pensioner"),
            typical=0.0,
        ),
    }
    facts = why.facts({"A": 0.33333, "B": 2.0, "C": None}, features, told["contributions"], found.per_log_odds)
    assert [f.name for f in facts] == ["A", "C", "B"]
    assert facts[1].value == "–"
    assert facts[1].typical == "Working"
    chart = why.picture(found, told, {"A": "LATE", "B": "LATE", "C": "INCOME"}, {f.name: f for f in facts})
    assert [(row.label, row.note) for row in chart.rows[1:-1]] == [
        ("Late", "Share paid late: 0.333"),
        ("Income", "Source of income not given"),
    ]
    assert chart.rows[1].kind == "against"
    assert chart.rows[2].kind == "for"


def test_recent_scores_count_everything_once_and_more_points_mean_less_risk() -> None:
    probabilities = [0] * 100
    probabilities[1], probabilities[50] = 7, 3
    low, counts = why.score_counts(probabilities, SCALE, width=10)
    assert sum(counts) == 10
    assert counts[0] == 3  # a risk of one half stands lowest
    assert counts[-1] == 7
    assert low <= SCALE.offset < low + 20
    assert why.score_counts([0] * 10, SCALE, width=10) == (0, [])
