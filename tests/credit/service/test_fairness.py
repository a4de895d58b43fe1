"""What is kept of how groups fare, and the search for alternatives."""

from __future__ import annotations

import pytest

from plumbline.credit import service, synthetic
from plumbline.credit.intake.schema import Schema
from plumbline.credit.service.alternatives import search_alternatives
from plumbline.credit.service.fairness import NOT_MEASURED, fairness_of
from plumbline.credit.service.promotion import gates
from plumbline.kernel.errors import Conflict, InvalidInput, NotFound
from plumbline.kernel.models import service as models
from tests.credit.trained import Lender

HOME = Schema.load("home_credit")


def test_training_keeps_how_groups_fare(embedded: Lender) -> None:
    found = fairness_of(embedded.installation, embedded.analyst, str(embedded.model_id))
    report = found.report
    assert report is not None
    assert report["rows"] == 1500
    assert report["outside"]["holds"]
    assert report["outside"]["moved"] == 0
    assert {"sex: F", "sex: M"} <= {g["group"] for g in report["groups"]}
    assert "lawful" not in report["statement"]
    measured = models.evaluations_of(embedded.installation, embedded.analyst, embedded.model_id)
    lowest = next(m.metrics["lowest_approval_rate_ratio"] for m in measured if m.evaluation.dataset == "policy")
    assert lowest == pytest.approx(min(g["ratio"]["value"] for g in report["groups"]))
    gate = next(g for g in gates(embedded.installation, embedded.admin, None, found.model) if g.name == "fairness")
    assert gate.state in ("ok", "missed")
    assert (gate.state == "missed") == (report["verdict"] == "fails")


def test_what_was_not_measured_is_unknown(other: Lender) -> None:
    found = fairness_of(other.installation, other.analyst, str(other.model_id))
    assert (found.report, found.reason) == (None, NOT_MEASURED)


def test_another_organizations_model_is_not_there(lender: Lender, other: Lender) -> None:
    with pytest.raises(NotFound):
        fairness_of(lender.installation, lender.analyst, str(other.model_id))


@pytest.mark.slow
def test_a_search_is_recorded_with_the_model(embedded: Lender) -> None:
    tables = synthetic.generate(1500, 1).tables
    key = str(embedded.model_id)
    found = search_alternatives(
        embedded.installation, embedded.analyst, key, tables=tables, schema=HOME, group="sex: M", most=3
    )
    assert len(found.search.tried) == 3
    assert found.search.rows < 1500  # the rows of the test have no part in it
    kept = fairness_of(embedded.installation, embedded.analyst, key)
    assert kept.report is not None
    assert kept.alternatives is not None
    assert [t["name"] for t in kept.alternatives["tried"]] == [t.name for t in found.search.tried]
    (entry,) = embedded.entries("credit.alternatives")
    assert entry.details["group"] == "sex: M"
    assert entry.details["tried"] == 3


def test_a_search_needs_the_models_schema_and_a_group(embedded: Lender) -> None:
    tables, key = synthetic.generate(300, 1, months=2).tables, str(embedded.model_id)
    other = Schema.from_toml(
        'dataset = { name = "x", id = "id" }\ntarget = { column = "y" }\n[columns]\nid = { type = "id" }\ny = { type = "flag" }\n'
    )
    with pytest.raises(Conflict):
        search_alternatives(embedded.installation, embedded.analyst, key, tables=tables, schema=other)
    with pytest.raises(InvalidInput, match="no group"):
        search_alternatives(embedded.installation, embedded.analyst, key, tables=tables, schema=HOME, group="sex: X")


def test_nobody_without_the_right_trains_or_searches(embedded: Lender) -> None:
    viewer = embedded.as_role("viewer")
    assert fairness_of(embedded.installation, viewer, str(embedded.model_id)).report is not None
    with pytest.raises(Exception, match=r"credit\.train"):
        search_alternatives(embedded.installation, viewer, str(embedded.model_id), tables={}, schema=HOME)
    with pytest.raises(Exception, match=r"credit\.train"):
        service.train(embedded.installation, viewer, tables={}, schema=HOME)
