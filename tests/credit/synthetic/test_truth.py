"""The causes: they are what the tables show, they add up, and nothing else is one."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plumbline.credit.synthetic import (
    EFFECT_NAMES,
    EFFECTS,
    Portfolio,
    approval_rate_ratio,
    best_possible_auc,
    generate,
    measures,
)
from plumbline.credit.synthetic.truth import intercept


def test_log_odds_are_the_intercept_plus_the_effects_and_give_the_probability(portfolio: Portfolio) -> None:
    truth = portfolio.truth
    summed = portfolio.intercept + sum(truth[name].to_numpy() for name in EFFECT_NAMES)
    assert np.allclose(summed, truth["log_odds"].to_numpy(), atol=1e-12)
    assert np.allclose(1.0 / (1.0 + np.exp(-truth["log_odds"].to_numpy())), truth["pd"].to_numpy(), atol=1e-15)
    assert truth["SK_ID_CURR"].equals(portfolio.tables["application"]["SK_ID_CURR"])


def test_each_effect_can_be_computed_by_hand_from_the_tables(portfolio: Portfolio) -> None:
    """Plain loops over the first clients' rows, written apart from the product's expressions."""
    ids = portfolio.tables["application"]["SK_ID_CURR"].head(300).to_list()
    rows: dict[str, dict[int, list[dict[str, object]]]] = {}
    for name in ("installments_payments", "credit_card_balance", "previous_application", "bureau", "application"):
        rows[name] = defaultdict(list)
        wanted = portfolio.tables[name].filter(pl.col("SK_ID_CURR").is_in(ids))
        for row in wanted.iter_rows(named=True):
            rows[name][row["SK_ID_CURR"]].append(row)
    found = dict(zip(ids, measures(portfolio.tables).head(300).iter_rows(named=True), strict=True))
    seen = set()
    for client in ids:
        application = rows["application"][client][0]
        scores = [application[f"EXT_SOURCE_{n}"] for n in (1, 2, 3) if application[f"EXT_SOURCE_{n}"] is not None]
        days = application["DAYS_EMPLOYED"]
        paid = [row for row in rows["installments_payments"][client] if row["DAYS_ENTRY_PAYMENT"] is not None]
        limits = sum(row["AMT_CREDIT_LIMIT_ACTUAL"] for row in rows["credit_card_balance"][client])
        earlier = rows["previous_application"][client]
        active = [row for row in rows["bureau"][client] if row["CREDIT_ACTIVE"] == "Active"]
        credit = sum(row["AMT_CREDIT_SUM"] or 0.0 for row in active)
        expected = {
            "external_score": sum(scores) / len(scores) if scores else None,
            "years_employed": None if days == 365_243 else -days / 365.25,
            "annuity_to_income": application["AMT_ANNUITY"] / application["AMT_INCOME_TOTAL"],
            "late_share": sum(r["DAYS_ENTRY_PAYMENT"] > r["DAYS_INSTALMENT"] for r in paid) / len(paid) if paid else None,
            "card_use": sum(r["AMT_BALANCE"] for r in rows["credit_card_balance"][client]) / limits if limits else None,
            "refused_share": sum(r["NAME_CONTRACT_STATUS"] == "Refused" for r in earlier) / len(earlier) if earlier else None,
            "debt_to_credit": sum(r["AMT_CREDIT_SUM_DEBT"] or 0.0 for r in active) / credit if credit else None,
        }  # fmt: skip
        for name, value in expected.items():
            assert found[client][name] == (None if value is None else pytest.approx(value, rel=1e-9)), name
            seen.add((name, value is None))
    assert len(seen) >= 12  # most measures occurred both with and without a value


def test_effects_are_piecewise_linear_in_their_measure(portfolio: Portfolio) -> None:
    scale = 1.15 / 1.166
    found = measures(portfolio.tables)
    for effect in EFFECTS:
        value = found[effect.measure].fill_null(effect.absent).to_numpy().clip(effect.low, effect.high)
        expected = effect.weight * (value - effect.centre) * scale
        assert np.allclose(portfolio.truth[effect.name].to_numpy(), expected, atol=1e-12), effect.name


def test_measures_do_not_depend_on_the_order_of_rows(portfolio: Portfolio) -> None:
    shuffled = {
        name: table if name == "application" else table.sample(fraction=1.0, shuffle=True, seed=9)
        for name, table in portfolio.tables.items()
    }
    assert measures(shuffled).equals(measures(portfolio.tables))


def test_effects_have_the_stated_spread_and_no_mean(portfolio: Portfolio) -> None:
    truth = portfolio.truth
    assert truth["log_odds"].std() == pytest.approx(1.15, abs=0.04)
    assert truth["external_scores"].std() == pytest.approx(0.77, abs=0.03)
    for name in EFFECT_NAMES[:-1]:
        assert truth[name].std() > 0.18, name
        assert abs(float(truth[name].mean())) < 0.03, name  # type: ignore[arg-type]


def test_twenty_and_more_application_columns_have_no_effect(portfolio: Portfolio) -> None:
    causes = {
        column.split(".")[1] for effect in EFFECTS for column in effect.columns if column.startswith("application.")
    }
    application = portfolio.tables["application"]
    log_odds = portfolio.truth["log_odds"].to_numpy()
    idle = []
    for name in application.columns:
        values = application[name]
        if name in {"SK_ID_CURR", "TARGET"} | causes or values.dtype == pl.String or values.n_unique() < 3:
            continue
        filled = values.cast(pl.Float64).rank()
        known = filled.is_not_null().to_numpy()
        correlation = np.corrcoef(filled.drop_nulls().to_numpy(), log_odds[known])[0, 1]
        if abs(correlation) < 4.5 / np.sqrt(known.sum()):
            idle.append(name)
    assert len(idle) >= 60
    assert {"FLOORSMAX_AVG", "REGION_POPULATION_RELATIVE", "DAYS_ID_PUBLISH", "DAYS_LAST_PHONE_CHANGE"} <= set(idle)


@settings(max_examples=40, deadline=None)
@given(
    rate=st.floats(0.001, 0.999),
    log_odds=st.lists(st.floats(-6.0, 6.0), min_size=1, max_size=60).map(np.array),
)
def test_the_intercept_gives_the_wanted_default_rate(rate: float, log_odds: np.ndarray) -> None:  # type: ignore[type-arg]
    constant = intercept(log_odds, rate)
    assert np.mean(1.0 / (1.0 + np.exp(-(log_odds + constant)))) == pytest.approx(rate, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([0.01, 0.05, 0.1, 0.3, 0.5, 0.9]), min_size=2, max_size=25))
def test_best_auc_is_the_sum_over_pairs(values: list[float]) -> None:
    won = pairs = 0.0
    for i, bad in enumerate(values):
        for j, good in enumerate(values):
            if i != j:
                weight = bad * (1.0 - good)
                pairs += weight
                won += weight * (1.0 if bad > good else 0.5 if bad == good else 0.0)
    assert best_possible_auc(np.array(values)) == pytest.approx(won / pairs, rel=1e-9)


def test_best_auc_is_what_the_true_probability_reaches(portfolio: Portfolio) -> None:
    probability = portfolio.truth["pd"].to_numpy()
    rng = np.random.default_rng(3)
    reached = []
    ranks = pl.Series(probability).rank().to_numpy()
    for _ in range(60):
        bad = rng.random(probability.size) < probability
        count = bad.sum()
        reached.append((ranks[bad].sum() - count * (count + 1) / 2) / (count * (bad.size - count)))
    assert portfolio.best_auc == pytest.approx(np.mean(reached), abs=4 * np.std(reached) / np.sqrt(60))
    assert 0.77 < portfolio.best_auc < 0.82


def test_outcomes_are_drawn_from_the_true_probabilities(portfolio: Portfolio) -> None:
    probability = portfolio.truth["pd"].to_numpy()
    outcome = portfolio.tables["application"]["TARGET"].to_numpy()
    assert probability.mean() == pytest.approx(0.0807, abs=1e-9)
    for part in np.array_split(np.argsort(probability), 10):
        spread = np.sqrt((probability[part] * (1 - probability[part])).sum())
        assert abs(outcome[part].sum() - probability[part].sum()) < 4 * spread


def test_a_wider_effect_sd_makes_better_prediction_possible() -> None:
    reached = [generate(2_000, 4, effect_sd=sd, months=2).best_auc for sd in (0.9, 1.1, 1.3)]
    assert reached == sorted(reached)
    assert reached[-1] - reached[0] > 0.05


def test_the_group_is_treated_alike_without_effects_and_worse_with_them() -> None:
    ratio = {
        (group, proxy): approval_rate_ratio(generate(12_000, 8, group_effect=group, proxy_effect=proxy, months=2).truth)
        for group in (0.0, 0.5)
        for proxy in (0.0, 0.6)
    }
    assert ratio[0.0, 0.0] == pytest.approx(1.0, abs=0.02)
    assert ratio[0.5, 0.6] < ratio[0.5, 0.0] < ratio[0.0, 0.6] < ratio[0.0, 0.0]  # type: ignore[operator]


def test_the_direct_penalty_is_added_to_the_log_odds_of_the_group_alone() -> None:
    truth = generate(1_000, 8, group_effect=0.5, months=2).truth
    gender = generate(1_000, 8, group_effect=0.5, months=2).tables["application"]["CODE_GENDER"]
    assert set(truth.filter(gender == "M")["group"]) == {0.5}
    assert set(truth.filter(gender != "M")["group"]) == {0.0}


def test_the_proxy_shortens_the_groups_employment_and_nothing_else() -> None:
    plain, proxied = (generate(1_000, 8, proxy_effect=effect, months=2).tables for effect in (0.0, 0.6))
    for name, table in plain.items():
        if name != "application":
            assert table.equals(proxied[name]), name
    before, after = plain["application"], proxied["application"]
    changed = {name for name in before.columns if not before[name].equals(after[name], null_equal=True)}
    assert changed - {"TARGET"} == {"DAYS_EMPLOYED"}
    moved = before["DAYS_EMPLOYED"] != after["DAYS_EMPLOYED"]
    assert set(before.filter(moved)["CODE_GENDER"]) == {"M"}
    assert (after.filter(moved)["DAYS_EMPLOYED"] > before.filter(moved)["DAYS_EMPLOYED"]).all()


def test_drift_moves_applicants_but_neither_histories_nor_the_mechanism() -> None:
    before, after = (generate(3_000, 8, drift=drift, months=2) for drift in (False, True))
    assert before.intercept == after.intercept
    for name, table in before.tables.items():
        if name != "application":
            assert table.equals(after.tables[name]), name
    old, new = before.tables["application"], after.tables["application"]
    assert ((new["AMT_INCOME_TOTAL"] / old["AMT_INCOME_TOTAL"]) - 1.2).abs().max() < 1e-6  # type: ignore[operator]
    emptied = (new["EXT_SOURCE_2"].null_count() - old["EXT_SOURCE_2"].null_count()) / old.height
    assert emptied == pytest.approx(0.15, abs=0.02)
    assert (new["NAME_INCOME_TYPE"] == "Working").mean() < 0.8 * (old["NAME_INCOME_TYPE"] == "Working").mean()  # type: ignore[operator]
    scale = 1.15 / 1.166
    burden = measures(after.tables)["annuity_to_income"].to_numpy().clip(0.2, 0.5)
    assert np.allclose(after.truth["annuity_burden"].to_numpy(), 3.0 * (burden - 0.2394) * scale, atol=1e-12)
