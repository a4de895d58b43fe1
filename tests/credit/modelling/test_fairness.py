"""Groups, ratios and their intervals, verdicts; and that audited columns have no part in a score."""

from __future__ import annotations

import os
from dataclasses import replace
from math import exp, log, sqrt
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline.credit import synthetic
from plumbline.credit.features.transformer import Transformer
from plumbline.credit.intake.schema import Schema
from plumbline.credit.modelling.champion import Settings, cross_validate, fit
from plumbline.credit.modelling.contributions import TreeTables
from plumbline.credit.modelling.fairness import FairnessReport, Group, fairness, holm, katz, standardised, verdict_of
from plumbline.credit.modelling.groups import audited, groups_of, outside, proxies
from plumbline.credit.modelling.logistic import logistic
from plumbline.credit.modelling.training import train
from plumbline.credit.modelling.trees import Forest
from plumbline.kernel import canonical
from plumbline.kernel.errors import InvalidInput

HOME = Schema.load("home_credit")


def of(report: FairnessReport, group: str) -> Group:
    return next(g for g in report.groups if g.group == group)


def two(rows: int = 2000, seed: int = 0, gap: float = 0.8) -> tuple[pl.DataFrame, np.ndarray, np.ndarray]:
    """Two groups, one of which is scored riskier by ``gap`` log-odds, and outcomes drawn from the scores."""
    rng = np.random.default_rng(seed)
    member = rng.random(rows) < 0.4
    score = rng.normal(-2.0, 1.0, rows) + gap * member
    y = (rng.random(rows) < logistic(score)).astype(np.int8)
    return pl.DataFrame({"sex": np.where(member, "a", "b")}), y, score


# ratios


def test_katz_is_the_published_formula() -> None:
    found = katz(60, 100, 90, 120).figure
    half = 1.959963984540054 * sqrt(1 / 60 - 1 / 100 + 1 / 90 - 1 / 120)
    assert found.value == pytest.approx(0.8)
    assert (found.low, found.high) == pytest.approx((0.8 * exp(-half), 0.8 * exp(half)))


@given(n1=st.integers(1, 500), n0=st.integers(1, 500), s1=st.floats(0, 1), s0=st.floats(0, 1))
def test_a_ratio_lies_in_its_interval_whatever_the_counts(n1: int, n0: int, s1: float, s0: float) -> None:
    found = katz(round(s1 * n1), n1, round(s0 * n0), n0)
    assert found.figure.low < found.figure.value < found.figure.high < float("inf")
    assert 0 <= found.p(0.8) <= 1


@given(n1=st.integers(20, 500), n0=st.integers(20, 500), s1=st.floats(0.1, 0.9), s0=st.floats(0.1, 0.9))
def test_the_interval_and_the_test_say_the_same_of_one_group(n1: int, n0: int, s1: float, s0: float) -> None:
    found = katz(round(s1 * n1), n1, round(s0 * n0), n0)
    verdict = verdict_of(found.figure.value, found.p(0.8), 0.8)
    expected = "fails" if found.figure.high < 0.8 else "passes" if found.figure.low > 0.8 else "undetermined"
    assert verdict == expected


def test_where_all_are_approved_a_handful_proves_nothing() -> None:
    few, many = katz(3, 3, 4, 4), katz(300, 300, 400, 400)
    assert verdict_of(few.figure.value, few.p(0.8), 0.8) == "undetermined"
    assert verdict_of(many.figure.value, many.p(0.8), 0.8) == "passes"


def test_katz_agrees_with_a_bootstrap() -> None:
    rng = np.random.default_rng(1)
    drawn = (rng.binomial(900, 0.66, 20_000) / 900) / (rng.binomial(2100, 0.82, 20_000) / 2100)
    found = katz(594, 900, 1722, 2100).figure
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(drawn, (0.025, 0.975))), abs=0.004)


@given(p=st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_keeps_the_order_and_lies_between_one_and_all(p: list[float]) -> None:
    found = holm(p)
    assert all(a <= b <= min(1.0, a * len(p)) + 1e-12 for a, b in zip(p, found, strict=True))
    order = np.argsort(p, kind="stable")
    assert (np.diff(np.array(found)[order]) >= 0).all()


def test_standardised_difference_of_equal_scores_is_nothing() -> None:
    assert standardised(np.ones(50), np.ones(60)).value == 0
    assert standardised(np.arange(50.0) + 10, np.arange(50.0)).value > 0


# reports


def test_a_group_is_measured_against_all_others() -> None:
    groups, y, score = two()
    report = fairness(groups, y, score, threshold=0.2)
    a, b = of(report, "sex: a"), of(report, "sex: b")
    approved = logistic(score) < 0.2
    member = (groups["sex"] == "a").to_numpy()
    assert a.ratio.value == pytest.approx(approved[member].mean() / approved[~member].mean())
    assert b.ratio.value == pytest.approx(1 / a.ratio.value)
    assert a.others_rate == b.approval_rate.value
    assert (a.verdict, b.verdict, report.verdict) == ("fails", "passes", "fails")
    assert a.false_refusal is not None
    assert a.false_refusal.value == pytest.approx((~approved[member & (y == 0)]).mean())
    assert a.missed is not None
    assert a.missed.value == pytest.approx(approved[member & (y == 1)].mean())
    assert a.calibrated
    assert a.score_difference.low > 0
    assert a.rows + b.rows == report.rows
    assert [p.approved for p in a.over] == [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]
    canonical.dumps(report.to_dict())


def test_few_rows_are_undetermined_or_not_measured_at_all() -> None:
    groups, y, score = two(rows=400, gap=0.25)
    assert fairness(groups, y, score, threshold=0.2).verdict == "undetermined"
    report = fairness(groups, y, score, threshold=0.2, least=300)
    assert not report.groups
    assert report.verdict == "undetermined"
    assert set(report.small) == {"sex: a", "sex: b"}


def test_unknown_members_belong_to_no_side() -> None:
    groups, y, score = two()
    hidden = groups.with_columns(pl.when(pl.int_range(pl.len()) % 4 > 0).then("sex").alias("sex"))
    report = fairness(hidden, y, score, threshold=0.2)
    assert report.unknown == {"sex": 500}
    assert sum(g.rows for g in report.groups) == 1500


def test_intersections_are_a_family_of_their_own() -> None:
    groups, y, score = two()
    crossed = groups.with_columns(pl.Series("age", np.where(np.arange(2000) % 3 == 0, "young", "old")))
    report = fairness(crossed, y, score, threshold=0.2)
    alone = fairness(crossed.select("sex", "age"), y, score, threshold=0.2)
    assert [g.p for g in report.groups[:4]] == [g.p for g in alone.groups[:4]]
    young = of(report, "sex: a, age: young")
    assert young.rows == int(((crossed["sex"] == "a") & (crossed["age"] == "young")).sum())


def test_a_limit_that_cannot_be_is_refused() -> None:
    groups, y, score = two(rows=300)
    for limit in (0.0, 1.2):
        with pytest.raises(InvalidInput):
            fairness(groups, y, score, threshold=0.2, limit=limit)
    with pytest.raises(InvalidInput):
        fairness(groups, y[:-1], score, threshold=0.2)


# groups from columns


def test_groups_come_from_protected_columns() -> None:
    frame = synthetic.generate(400, 2).tables["application"]
    found = groups_of(frame, HOME)
    assert found.columns == ["sex", "marital_status", "age"]
    years = -frame["DAYS_BIRTH"].to_numpy() / 365.25
    expected = np.select([years < 30, years < 45, years < 62], ["under 30", "30 to 44", "45 to 61"], "62 and over")
    assert found["age"].to_list() == expected.tolist()
    assert set(found["sex"].drop_nulls()) == {"F", "M"}


def test_columns_for_audits_only_and_numbers_of_many_values_make_groups_too() -> None:
    schema = Schema.from_toml(
        'dataset = { name = "d", id = "id" }\ntarget = { column = "y", bad = 1 }\n[columns]\nid = { type = "id" }\ny = { type = "flag" }\n'
        'x = { type = "ratio" }\nregion = { type = "category", use = "audit" }\nweight = { type = "ratio", protected = "weight" }\n'
    )
    assert list(audited(schema)) == ["region", "weight"]
    frame = pl.DataFrame({"region": ["n", None, "s"] * 40, "weight": np.arange(120.0)})
    found = groups_of(frame, schema)
    assert found["region"].null_count() == 40
    assert found["weight"].n_unique() == 4


def test_features_that_tell_of_a_group_are_named() -> None:
    made = synthetic.generate(2500, 4, proxy_effect=0.6)
    matrix = Transformer.fit(made.tables, HOME).transform(made.tables)
    found = proxies(matrix, groups_of(made.tables["application"], HOME), least=100)
    assert {p.feature for p in found if p.attribute == "sex"} & {"OCCUPATION_TYPE", "DAYS_EMPLOYED"}
    assert all(p.auc >= 0.6 for p in found)


# audited columns stay outside


@pytest.mark.parametrize("excluded", [True, False])
def test_shuffling_protected_columns_moves_no_score_unless_they_are_learnt_from(excluded: bool) -> None:
    made = synthetic.generate(1200, 5, group_effect=1.0)
    transformer = Transformer.fit(made.tables, HOME, exclude_protected=excluded)
    matrix = transformer.transform(made.tables)
    y = made.tables["application"]["TARGET"].to_numpy().astype(np.int8)
    tables = TreeTables.build(Forest.from_text(fit(matrix.values, y, matrix.features, Settings(trees=40))))
    found = outside(transformer.transform, tables.raw, made.tables, HOME)
    assert found.columns == ("application.CODE_GENDER", "application.DAYS_BIRTH", "application.NAME_FAMILY_STATUS")
    assert found.rows == 1000
    assert found.holds is excluded
    assert bool(found.moved) is not excluded


# known truth


@pytest.mark.slow
@pytest.mark.parametrize(("group_effect", "proxy_effect"), [(0.0, 0.0), (0.5, 0.6)])
def test_the_true_ratio_lies_in_the_interval(group_effect: float, proxy_effect: float) -> None:
    """True probabilities as scores: the interval must cover what a very large portfolio has. (The benchmark: 100 seeds.)"""
    true = synthetic.approval_rate_ratio(
        synthetic.generate(60_000, 999, group_effect=group_effect, proxy_effect=proxy_effect, months=2).truth
    )
    assert true is not None
    covered = 0
    for seed in range(12):
        made = synthetic.generate(1500, seed, group_effect=group_effect, proxy_effect=proxy_effect, months=2)
        score = made.truth["log_odds"].to_numpy()
        cut = float(np.quantile(made.truth["pd"].to_numpy(), 0.8))
        groups = groups_of(made.tables["application"], HOME).select("sex")
        report = fairness(groups, made.tables["application"]["TARGET"], score, threshold=float(np.nextafter(cut, 1)))
        found = of(report, "sex: M").ratio
        covered += found.low <= true <= found.high
    assert covered >= 10


@pytest.mark.slow
def test_home_credit_fares_as_the_brief_says() -> None:
    root = os.environ.get("PLUMBLINE_DATA")
    if not root:
        pytest.skip("PLUMBLINE_DATA is not set")
    frame = pl.read_parquet(Path(root) / "credit/home_credit/application.parquet").drop("part")
    y, groups = frame["TARGET"].to_numpy(), groups_of(frame, HOME)
    age = pl.when(pl.col("age") == "under 30").then("age").otherwise(pl.lit("30 and over")).alias("age")
    for excluded, men, young in ((False, 0.870, 0.687), (True, 0.917, 0.685)):
        matrix = Transformer.fit({"application": frame}, HOME, exclude_protected=excluded).transform(
            {"application": frame}
        )
        raw = cross_validate(matrix, y, settings=Settings(leaves=8)).raw
        cut = float(np.nextafter(np.quantile(logistic(raw), 0.8), 1))
        report = fairness(groups.with_columns(age), y, raw, threshold=cut)
        assert of(report, "sex: M").ratio.value == pytest.approx(men, abs=0.02)
        assert of(report, "age: under 30").ratio.value == pytest.approx(young, abs=0.02)
        assert (of(report, "sex: M").verdict, of(report, "age: under 30").verdict) == ("passes", "fails")


def test_training_measures_groups_on_rows_the_score_had_not_seen() -> None:
    made = synthetic.generate(1200, 6)
    matrix = Transformer.fit(made.tables, HOME).transform(made.tables)
    y = made.tables["application"]["TARGET"].to_numpy()
    groups = groups_of(made.tables["application"], HOME)
    fast = Settings(trees=20)
    trained = train(matrix, y, settings=fast, groups=groups, limit=0.9)
    report = trained.report.fairness
    assert report is not None
    assert (report.rows, report.limit) == (1200, 0.9)
    assert train(matrix, y, settings=fast).report.fairness is None
    assert replace(trained.report, fairness=None).to_dict()["fairness"] is None
    assert log(of(report, "sex: M").ratio.value) == pytest.approx(-log(of(report, "sex: F").ratio.value), abs=0.02)
