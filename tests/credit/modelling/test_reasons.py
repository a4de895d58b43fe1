from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from plumbline.credit.features.matrix import FeatureInfo
from plumbline.credit.modelling.reasons import ReasonBook

FEATURES = tuple(
    FeatureInfo(f"f{i}", "numeric", frozenset({f"t.f{i}"}), reason=code, typical=float(i), unit="EUR")
    for i, code in enumerate(["B", "A", "B", "C", None, "D", "E"])
)


@dataclass
class Text:
    adverse: str
    missing: str
    unit: str = ""
    direction: str = ""


BOOK = ReasonBook.of(FEATURES, {c: Text(f"{c} is bad", f"{c} is not known") for c in "ABCDE"})

shapes = st.integers(1, 12).flatmap(
    lambda n: st.tuples(
        arrays(np.float64, (7, n), elements=st.sampled_from([-1.0, -0.1, 0.0, 0.001, 0.02, 0.5, 1.0, 3.0])),
        arrays(np.float64, (n, 7), elements=st.sampled_from([1.0, np.nan])),
    )
)


def test_features_are_grouped_by_code_and_one_without_stands_alone() -> None:
    assert [g.code for g in BOOK.groups] == ["A", "B", "C", "D", "E", "f4"]
    assert BOOK.groups[1].features == (0, 2)
    assert BOOK.without_text == ("f4",)
    assert BOOK.group_of.tolist() == [1, 0, 1, 2, 5, 3, 4]


@given(shapes)
def test_reasons_push_toward_default_largest_first_and_count(case: tuple[np.ndarray, np.ndarray]) -> None:
    contributions, values = case
    sums = BOOK.sums(contributions)
    ranked = BOOK.rank(sums, contributions, values)
    for row in range(len(values)):
        mine = sums[:, row]
        chosen = [g for g in ranked.groups[row].tolist() if g >= 0]
        assert chosen == BOOK.rank_one(mine.tolist())
        pushes = mine[mine > 0].sum()
        assert all(mine[g] > 0 and mine[g] >= 0.02 * pushes * (1 - 1e-9) for g in chosen)
        assert [mine[g] for g in chosen] == sorted((mine[g] for g in chosen), reverse=True)
        eligible = int(((mine > 0) & (mine >= 0.02 * pushes)).sum())
        assert len(chosen) == min(4, eligible)
        for place, g in enumerate(chosen):
            detail = BOOK.detail(g, float(mine[g]), contributions[:, row], values[row], FEATURES)
            assert detail.missing == ranked.missing[row, place]
            assert (detail.value is None) == detail.missing
            leading = max(BOOK.groups[g].features, key=lambda f: (contributions[f, row], -f))
            assert detail.feature == f"f{leading}"


def test_missing_information_has_its_own_text() -> None:
    contributions = np.array([0.1, 0, 0.9, 0, 0, 0, 0.0])
    row = np.array([5.0, 1, np.nan, 1, 1, 1, 1])
    missing = BOOK.detail(1, 1.0, contributions, row, FEATURES)
    assert (missing.text, missing.feature, missing.value, missing.typical) == ("B is not known", "f2", None, 2.0)
    row[2] = 7.0
    bad = BOOK.detail(1, 1.0, contributions, row, FEATURES)
    assert (bad.text, bad.value, bad.missing, bad.unit) == ("B is bad", 7.0, False, "EUR")


def test_a_category_is_told_by_its_level() -> None:
    info = FeatureInfo("job", "category", frozenset({"t.job"}), levels=("clerk", "cook"), has_other=True, typical=0.0)
    book = ReasonBook.of([info])
    told = [book.detail(0, 1.0, np.ones(1), np.array([v]), [info]) for v in (0.0, 1.0, 2.0)]
    assert [t.value for t in told] == ["clerk", "cook", "other"]
    assert told[0].typical == "clerk"


def test_books_survive_json() -> None:
    assert ReasonBook.from_dict(json.loads(json.dumps(BOOK.to_dict()))) == BOOK
