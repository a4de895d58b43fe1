"""Champion against challenger: the intervals hold what they promise, and the verdict follows from them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plumbline.credit.modelling.comparison import Side, compare
from plumbline.kernel.errors import InvalidInput
from plumbline.kernel.models import metrics


def rows(seed: int, count: int, noise: float, base: float = 1.2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outcomes, the true probabilities, and the same with noise on the log-odds."""
    random = np.random.default_rng(seed)
    truth = random.normal(-2.4, base, count)
    p = 1 / (1 + np.exp(-truth))
    worse = 1 / (1 + np.exp(-(truth + random.normal(0, noise, count))))
    return (random.random(count) < p).astype(float), p, worse


def test_a_model_that_knows_more_is_shown_to_be_better() -> None:
    y, good, poor = rows(1, 20_000, 1.0)
    found = compare(y, Side("poor@1", poor, 1 / 11), Side("good@2", good, 1 / 11), cost_fn=10, cost_fp=1)
    assert {d.metric: d.verdict for d in found.differences} == dict.fromkeys(
        ("roc_auc", "brier", "log_loss", "cost_per_application"), "better"
    )
    back = compare(y, Side("good@2", good, 1 / 11), Side("poor@1", poor, 1 / 11), cost_fn=10, cost_fp=1)
    for there, here in zip(found.differences, back.differences):
        assert here.verdict == "worse"
        assert (here.low, here.high) == pytest.approx((-there.high, -there.low))
    assert sum(found.declined.values()) == found.rows == 20_000
    assert found.events == int(y.sum())


def test_a_model_against_itself_differs_in_nothing() -> None:
    y, p, _ = rows(2, 3000, 0.5)
    found = compare(y, Side("a", p, 0.1), Side("b", p, 0.1), cost_fn=10, cost_fp=1)
    assert all(d.difference == 0 and d.verdict == "no difference shown" for d in found.differences)
    assert found.declined["only champion"] == found.declined["only challenger"] == 0


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), threshold=st.floats(0.03, 0.4))
def test_each_figure_is_the_measure_of_its_side(seed: int, threshold: float) -> None:
    y, p, q = rows(seed, 400, 0.7)
    if not 0 < y.sum() < len(y):
        return
    found = compare(y, Side("a", p, threshold), Side("b", q, threshold), cost_fn=10, cost_fp=1)
    assert (auc := found.of("roc_auc")) is not None
    assert (auc.champion, auc.challenger) == pytest.approx((metrics.roc_auc(y, p), metrics.roc_auc(y, q)))
    assert (brier := found.of("brier")) is not None
    assert (brier.champion, brier.challenger) == pytest.approx((metrics.brier(y, p), metrics.brier(y, q)))
    assert (loss := found.of("log_loss")) is not None
    assert loss.challenger == pytest.approx(metrics.log_loss(y, q))
    assert (cost := found.of("cost_per_application")) is not None
    table = metrics.confusion(y, q >= threshold)
    assert cost.challenger == pytest.approx(metrics.cost_per_case(table, 10, 1))
    for d in found.differences:
        assert d.low <= d.difference <= d.high
        assert d.difference == pytest.approx(d.challenger - d.champion)


def test_the_interval_holds_zero_nineteen_times_in_twenty_where_nothing_differs() -> None:
    """Two models with noise of the same size: neither is better; a wrong verdict comes up in about one of twenty."""
    wrong = dict.fromkeys(("roc_auc", "brier", "log_loss", "cost_per_application"), 0)
    runs = 300
    for seed in range(runs):
        random = np.random.default_rng([seed, 1])  # not the stream that made the rows
        y, p, _ = rows(seed, 1500, 0.0)
        logit = np.log(p / (1 - p))
        one, two = (1 / (1 + np.exp(-(logit + random.normal(0, 0.6, len(p))))) for _ in range(2))
        for d in compare(y, Side("a", one, 1 / 11), Side("b", two, 1 / 11), cost_fn=10, cost_fp=1).differences:
            wrong[d.metric] += d.verdict != "no difference shown"
    assert all(count / runs <= 0.085 for count in wrong.values()), wrong  # 0.05 and three standard errors


def test_rows_of_one_class_have_no_area_and_say_so() -> None:
    found = compare(
        np.zeros(50), Side("a", np.full(50, 0.1), 0.2), Side("b", np.full(50, 0.3), 0.2), cost_fn=10, cost_fp=1
    )
    assert found.of("roc_auc") is None
    assert "roc_auc" in found.undefined
    assert (cost := found.of("cost_per_application")) is not None
    assert cost.difference == 1.0
    with pytest.raises(InvalidInput):
        compare(np.zeros(0), Side("a", np.zeros(0), 0.2), Side("b", np.zeros(0), 0.2), cost_fn=10, cost_fp=1)
