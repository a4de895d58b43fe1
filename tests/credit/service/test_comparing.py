"""Two versions on rows that neither has learnt from, recorded as an evaluation of the challenger."""

from __future__ import annotations

import pytest

from plumbline.credit import service, synthetic
from plumbline.credit.intake.schema import Schema
from plumbline.credit.modelling.splits import share_of_id
from plumbline.credit.service.comparing import TEST_FROM, compare_models
from plumbline.kernel.errors import Conflict, Forbidden, InvalidInput
from plumbline.kernel.models import service as models
from tests.credit.trained import Lender


@pytest.mark.slow
def test_a_challenger_is_compared_on_ids_that_both_kept_for_testing(lender: Lender) -> None:
    house, schema = lender.installation, Schema.load("home_credit")
    tables = synthetic.generate(3000, seed=11).tables
    challenger = service.train(house, lender.analyst, tables=tables, schema=schema, seed=7)
    done = compare_models(house, lender.analyst, str(challenger.id), tables=tables, schema=schema)
    ids = tables[schema.main.name][schema.id]
    unseen = sum((share_of_id(ids, 7) >= TEST_FROM) & (share_of_id(ids, int(done.champion.extra["seed"])) >= TEST_FROM))
    assert 0 < done.comparison.rows == unseen < done.rows_given == 3000
    assert "test ids of both" in done.unseen
    (kept,) = [
        m
        for m in models.evaluations_of(house, lender.analyst, challenger.id)
        if m.evaluation.dataset.startswith("comparison:")
    ]
    assert kept.evaluation.dataset == f"comparison:{done.champion.name}@{done.champion.version}"
    assert kept.evaluation.extra["comparison"]["rows"] == unseen
    (entry,) = lender.entries("credit.compare")
    assert entry.resource_id == challenger.id
    assert entry.details["rows"] == unseen

    whole = compare_models(
        house, lender.analyst, str(challenger.id), tables=tables, schema=schema, every_row_is_new=True
    )
    assert whole.comparison.rows == 3000
    assert "said to have come after" in whole.unseen

    with pytest.raises(InvalidInput, match="another one"):
        compare_models(house, lender.analyst, str(challenger.id), str(challenger.id), tables=tables, schema=schema)
    with pytest.raises(Forbidden):
        compare_models(house, lender.as_role("viewer"), str(challenger.id), tables=tables, schema=schema)
    seen = tables | {schema.main.name: tables[schema.main.name].filter(share_of_id(ids, 7) < TEST_FROM)}
    with pytest.raises(Conflict, match="known to be new"):
        compare_models(house, lender.analyst, str(challenger.id), tables=seen, schema=schema)
