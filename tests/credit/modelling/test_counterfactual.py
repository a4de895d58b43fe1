"""Counterfactuals: each is verified, within what an applicant can change, and no smaller one was passed over."""

from __future__ import annotations

import itertools
import time
from functools import cache
from statistics import median
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.credit import trained

from plumbline.credit.features.transformer import Transformer
from plumbline.credit.intake.schema import Schema
from plumbline.credit.intake.validation import validate_application
from plumbline.credit.modelling.artifact import members_of
from plumbline.credit.modelling.counterfactual import APPROVED, Search, Target, counterfactual
from plumbline.credit.modelling.moves import Moves, moves_of
from plumbline.credit.modelling.policy import DECISIONS, LEVELS
from plumbline.credit.modelling.scorer import Scorer
from plumbline.credit.modelling.training import train
from plumbline.kernel.errors import InvalidInput

SHOP = """
dataset = { name = "shop", id = "no", table = "orders" }
target = { column = "unpaid", bad = 1 }
[columns]
no = { type = "id" }
unpaid = { type = "flag", use = "none" }
income = { type = "money", range = [0, 20000], mutable = "up", text = "Monthly income" }
amount = { type = "money", range = [0, 9000], severity = "reject", mutable = "down", text = "Amount" }
months = { type = "count", range = [3, 60], mutable = "both", unit = "months", text = "Term" }
account = { type = "flag", mutable = "up", text = "Pays by direct debit" }
channel = { type = "category", levels = ["branch", "web"], mutable = "both", text = "Channel" }
standing = { type = "ratio", range = [0, 1], text = "External score" }
[[features]]
name = "burden"
expression = "amount / months / income"
text = "Instalment to income"
"""
MUTABLE = {"income": "up", "amount": "down", "months": "both", "account": "up", "channel": "both"}


def orders(rows: int, seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    income = np.round(np.exp(rng.normal(7.6, 0.5, rows)), -1)
    amount = np.round(np.exp(rng.normal(7.3, 0.7, rows)).clip(100, 9000), -1)
    months = rng.integers(1, 21, rows) * 3
    account, standing = rng.integers(0, 2, rows), np.round(rng.random(rows), 4)
    web = rng.random(rows) < 0.4
    risk = -2 + 5 * (amount / months / income) - 1.2 * account - 2 * (standing - 0.5) + 0.6 * web
    return pl.DataFrame({
        "no": np.arange(rows) + 1, "unpaid": (rng.random(rows) < 1 / (1 + np.exp(-risk))).astype(np.int64),
        "income": income, "amount": amount, "months": months, "account": account,
        "channel": np.where(web, "web", "branch"), "standing": standing,
    })  # fmt: skip


@cache
def shop() -> Scorer:
    schema = Schema.from_toml(SHOP)
    tables = {"orders": orders(3000, 1)}
    transformer = Transformer.fit(tables, schema)
    made = train(transformer.transform(tables), tables["orders"]["unpaid"].to_numpy(), costs=(3.0, 1.0))
    return Scorer.load(members_of(made, transformer=transformer.to_dict(), schema=schema.to_dict()))


@cache
def unseen() -> pl.DataFrame:
    """New orders that are not approved."""
    found = orders(900, 2).drop("unpaid")
    return found.filter(shop().score({"orders": found}).frame()["decision"] != "approve")


def order(number: int) -> dict[str, pl.DataFrame]:
    return {"orders": unseen()[number % unseen().height]}


def allowed(before: Any, after: Any, way: str) -> bool:
    return way == "both" or (after > before) == (way == "up")


def check(scorer: Scorer, tables: dict[str, pl.DataFrame], found: Search, most: int) -> None:
    """What holds of every answer."""
    main = scorer.schema.main
    row = tables[main.name].row(0, named=True)
    for way in found.found:
        assert 1 <= len(way.changes) <= most
        assert len({c.column for c in way.changes}) == len(way.changes)
        changed = dict(row)
        for change in way.changes:
            column = main.columns[change.column]
            assert change.before == row[change.column] != change.after
            assert allowed(change.before, change.after, column.mutable)
            if column.range:
                assert column.range[0] <= change.after <= column.range[1]
            changed[change.column] = change.after
        frame = pl.DataFrame([changed], schema=tables[main.name].schema)
        scored = scorer.score({**tables, main.name: frame})
        level, decision = LEVELS[scored.level[0]], DECISIONS[scored.decision[0]]
        assert (level, decision, scored.probability[0]) == (way.level, way.decision, way.probability)
        assert found.target.reached(scored.level, scored.decision)[0]
        assert set(scored.flags.get(0, ())) <= set(scorer.explain(tables)[0].flags)


@settings(deadline=None, max_examples=60)
@given(number=st.integers(0, 400), most=st.integers(1, 3), level=st.sampled_from([None, "Low", "Medium"]))
def test_every_answer_gets_there_by_what_an_applicant_can_change(number: int, most: int, level: str | None) -> None:
    target = APPROVED if level is None else Target(level=level)
    found = counterfactual(shop(), order(number), target=target, max_changes=most)
    check(shop(), order(number), found, most)
    assert bool(found.found) != bool(found.reason)
    assert found.found == tuple(sorted(found.found, key=lambda c: (len(c.changes), c.distance)))


def reaching(scorer: Scorer, tables: dict[str, pl.DataFrame], moves: list[Moves], taken: tuple[Moves, ...]) -> float:
    """The smallest distance over every combination of values of these columns; infinite if none is approved."""
    states = list(itertools.product(*(range(1, len(m.values)) for m in taken)))
    frame = tables["orders"][np.zeros(len(states), dtype=np.int64)].with_columns(
        [
            pl.Series(m.column.name, [m.values[s[i]] for s in states], dtype=tables["orders"].schema[m.column.name])
            for i, m in enumerate(taken)
        ]
    )
    scored = scorer.score({"orders": frame})
    before = set(scorer.explain(tables)[0].flags)
    sound = np.array([set(scored.flags.get(i, ())) <= before for i in range(len(states))])
    there = (scored.decision == 0) & sound
    distances = np.array([sum(m.distances[s[i]] for i, m in enumerate(taken)) for s in states])
    return float(distances[there].min()) if there.any() else np.inf


@pytest.mark.parametrize("number", range(0, 60, 3))
def test_nothing_nearer_is_passed_over(number: int) -> None:
    """Against all values of one column and all pairs of values of two."""
    scorer, tables = shop(), order(number)
    moves = moves_of(scorer, tables["orders"].row(0, named=True))
    found = counterfactual(scorer, tables, max_changes=2, beam=10_000, most=50)
    singles = {m.column.name: reaching(scorer, tables, moves, (m,)) for m in moves}
    if any(np.isfinite(d) for d in singles.values()):
        told = {way.changes[0].column: way.distance for way in found.found}
        assert told == pytest.approx({name: d for name, d in singles.items() if np.isfinite(d)})
        return
    # Two columns at once: as many as brute force can be given.
    pairs = [pair for pair in itertools.combinations(moves, 2) if len(pair[0].values) * len(pair[1].values) < 40_000]
    best = min(reaching(scorer, tables, moves, pair) for pair in pairs)
    assert bool(found.found) == np.isfinite(best)
    if found.found:
        assert [len(way.changes) for way in found.found] == [2] * len(found.found)
        # Values between the same thresholds count as one, and a ratio's thresholds move with its other input.
        assert found.found[0].distance <= best + 0.05


@settings(deadline=None, max_examples=40)
@given(number=st.integers(0, 400))
def test_no_change_of_an_answer_can_be_left_out(number: int) -> None:
    scorer, tables = shop(), order(number)
    for way in counterfactual(scorer, tables).found:
        for left_out in way.changes if len(way.changes) > 1 else ():
            frame = tables["orders"].with_columns(
                [pl.lit(c.after, dtype=tables["orders"].schema[c.column]).alias(c.column)
                 for c in way.changes if c is not left_out]
            )  # fmt: skip
            assert scorer.explain({"orders": frame})[0].decision != "approve"


def test_the_same_question_has_the_same_answer_and_finds_something() -> None:
    answers = [counterfactual(shop(), order(n)) for n in range(25)]
    assert answers == [counterfactual(shop(), order(n)) for n in range(25)]
    assert {len(w.changes) for a in answers for w in a.found} >= {1, 2}


def test_where_nothing_helps_it_says_none() -> None:
    hopeless = order(0)["orders"].with_columns(
        standing=pl.lit(0.0), income=pl.lit(300.0), amount=pl.lit(9000.0), channel=pl.lit("branch")
    )
    tables = {"orders": hopeless}
    found = counterfactual(shop(), tables, max_changes=1)
    assert found.found == ()
    assert found.reason == "Nothing within one change an applicant can make gets there."
    assert found.best_probability is not None
    assert found.best_probability <= shop().explain(tables)[0].probability
    assert found.tried > 0


def test_an_application_that_is_there_needs_nothing() -> None:
    good = orders(900, 2).drop("unpaid")
    tables = {"orders": good.filter(shop().score({"orders": good}).frame()["decision"] == "approve")[0]}
    found = counterfactual(shop(), tables)
    assert (found.found, found.reason, found.tried) == ((), "The application is there already.", 0)


def test_what_is_missing_or_cannot_be_changed_stays() -> None:
    row = order(0)["orders"].row(0, named=True)
    names = [m.column.name for m in moves_of(shop(), {**row, "income": None, "account": 1})]
    assert names == ["amount", "months", "channel"]


@pytest.mark.parametrize("words", [{"decision": "decline"}, {"level": "High"}, {}, {"level": "low"}])
def test_a_target_that_is_none_is_refused(words: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        Target(**words)


def test_a_counterfactual_is_of_one_application() -> None:
    with pytest.raises(InvalidInput, match="one application"):
        counterfactual(shop(), {"orders": unseen()[:2]})
    with pytest.raises(InvalidInput, match="one change"):
        counterfactual(shop(), order(0), max_changes=0)


def test_the_demonstrations_applicants_are_told_within_a_fifth_of_a_second() -> None:
    scorer, taken = trained.scorer(), []
    for number in range(45):
        tables = validate_application(trained.payload(number), scorer.schema)
        if scorer.explain(tables)[0].decision == "approve":
            continue
        began = time.process_time()
        found = counterfactual(scorer, tables)
        taken.append(time.process_time() - began)
        check(scorer, tables, found, 3)
    assert len(taken) > 8
    assert median(taken) <= 0.2
