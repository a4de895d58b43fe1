"""What would have been: scored again with changes, recording nothing; and what would have led elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from plumbline.credit import service
from plumbline.credit.service import whatif
from plumbline.kernel.errors import Forbidden, InvalidInput, NotFound
from tests.credit.helped import helped
from tests.credit.trained import Lender, application_with, payload, scorer, unlabelled, write_zip


def decided(lender: Lender, application: dict[str, Any]) -> Any:
    return service.score(lender.installation, lender.analyst, application)


def asked(lender: Lender, request: Any, role: str = "viewer") -> whatif.WhatIf:
    return whatif.what_if(lender.installation, lender.as_role(role), request)


def standing(answer: Any) -> whatif.Standing:
    return whatif.Standing(answer.probability, answer.risk_level, answer.decision, answer.points, answer.flags)


def rows(lender: Lender) -> list[int]:
    return [lender.count(table) for table in ("predictions", "audit_log", "credit_reviews", "findings")]


def test_a_change_is_scored_as_if_it_had_been_sent_and_nothing_is_recorded(lender: Lender) -> None:
    application = application_with(level="High")
    answer = decided(lender, application)
    before = rows(lender)
    changes = {"AMT_CREDIT": 90_000.0, "AMT_ANNUITY": 9000}
    told = asked(lender, {"prediction_id": str(answer.id), "changes": changes})
    assert rows(lender) == before
    assert told.prediction_id == answer.id
    assert told.before == standing(answer)
    assert [(c.column, c.before, c.after, c.possible) for c in told.changes] == [
        ("AMT_CREDIT", application["application"]["AMT_CREDIT"], 90_000.0, True),
        ("AMT_ANNUITY", application["application"]["AMT_ANNUITY"], 9000.0, True),
    ]
    assert told.model["sha256"] == lender.sha256
    sent = {**application, "application": {**application["application"], **changes}}
    assert told.after == standing(decided(lender, sent))
    moved = told.after.points - told.before.points
    assert sum(s.points for s in told.shifts) == pytest.approx(moved, abs=1.01)
    assert told.shifts == sorted(told.shifts, key=lambda s: (-abs(s.log_odds), s.group))


def test_no_change_is_the_decision_itself(lender: Lender) -> None:
    answer = decided(lender, payload(3))
    present = payload(3)["application"]["AMT_CREDIT"]
    for changes in ({}, {"AMT_CREDIT": present}):
        told = asked(lender, {"prediction_id": str(answer.id), "changes": changes})
        assert told.before == told.after == standing(answer)
        assert (told.changes, told.shifts) == ([], [])


def test_an_application_that_was_never_decided_is_asked_about_by_who_may_score(embedded: Lender) -> None:
    request = {**payload(5), "changes": {"AMT_INCOME_TOTAL": 500_000.0}}
    told = asked(embedded, request, "analyst")
    assert told.prediction_id is None
    assert embedded.count("predictions") == 0
    assert told.before == standing(decided(embedded, payload(5)))
    with pytest.raises(Forbidden):
        asked(embedded, request, "viewer")


def test_a_change_against_the_applicants_direction_is_scored_and_named(embedded: Lender) -> None:
    answer = decided(embedded, payload(3))
    wanted = {"AMT_CREDIT": 5e6, "CNT_CHILDREN": 3, "EXT_SOURCE_1": None}
    told = asked(embedded, {"prediction_id": str(answer.id), "changes": wanted})
    assert told.changes
    assert not any(c.possible for c in told.changes)


OF_A_DECISION = [
    ({}, "changes"), ({"changes": []}, "changes"), ({"changes": {"AMT_CREDITS": 1}}, "changes.AMT_CREDITS"),
    ({"changes": {"SK_ID_CURR": 1}}, "changes.SK_ID_CURR"), ({"changes": {"TARGET": 1}}, "changes.TARGET"),
    ({"changes": {"AMT_CREDIT": "much"}}, "application.AMT_CREDIT"),
    ({"changes": {"AMT_CREDIT": -5}}, "application.AMT_CREDIT"),
    ({"changes": {}, "application": {}}, "prediction_id"), ({"changes": {}, "model": "x"}, "prediction_id"),
]  # fmt: skip


@pytest.mark.parametrize(("rest", "field"), OF_A_DECISION)
def test_what_cannot_be_asked_of_a_decision_is_refused_with_its_field(
    embedded: Lender, rest: dict[str, Any], field: str
) -> None:
    answer = decided(embedded, payload(3))
    with pytest.raises(InvalidInput) as refused:
        asked(embedded, {"prediction_id": str(answer.id), **rest})
    assert refused.value.where is not None
    assert refused.value.where.field == field


@pytest.mark.parametrize(
    "request_", [[], {"changes": {}}, {"prediction_id": "x", "changes": {}}, {"model": 3, **payload(3)}]
)
def test_what_is_no_question_is_refused(embedded: Lender, request_: Any) -> None:
    with pytest.raises(InvalidInput):
        asked(embedded, request_, "analyst")


def test_counterfactuals_of_a_decision_lead_where_they_say(lender: Lender) -> None:
    for number, way_before in helped():
        answer = decided(lender, payload(number))
        before = rows(lender)
        told = whatif.counterfactual(lender.installation, lender.as_role("viewer"), answer.id)
        assert rows(lender) == before
        assert told.before == standing(answer)
        assert told.search.found[0] == way_before
        for way in told.search.found:
            changes = {c.column: c.after for c in way.changes}
            again = asked(lender, {"prediction_id": str(answer.id), "changes": changes})
            assert all(c.possible for c in again.changes)
            assert (again.after.probability, again.after.decision) == (way.probability, "approve")


def test_a_row_of_a_file_is_asked_about_like_one_that_was_sent(embedded: Lender, tmp_path: Path) -> None:
    view = embedded.batch(write_zip(tmp_path / "applications.zip"))
    found = embedded.rows("SELECT id, batch_row FROM predictions ORDER BY batch_row")
    number, way = helped()[0]
    key = UUID(bytes=found[number][0])
    single = decided(embedded, payload(number))
    changes = {c.column: c.after for c in way.changes}
    in_file = asked(embedded, {"prediction_id": str(key), "changes": changes})
    alone = asked(embedded, {"prediction_id": str(single.id), "changes": changes})
    assert (in_file.before, in_file.after, in_file.shifts) == (alone.before, alone.after, alone.shifts)
    first = whatif.counterfactual(embedded.installation, embedded.analyst, key).search
    assert first == whatif.counterfactual(embedded.installation, embedded.analyst, single.id).search
    assert view.batch.num_applications == unlabelled()["application"].height


@pytest.mark.parametrize("words", [{"decision": "decline"}, {"level": "High"}, {"max_changes": 0}, {"max_changes": 4}])
def test_a_target_that_is_none_is_refused(embedded: Lender, words: dict[str, Any]) -> None:
    answer = decided(embedded, payload(3))
    with pytest.raises(InvalidInput):
        whatif.counterfactual(embedded.installation, embedded.analyst, answer.id, **words)


def test_another_tenants_decision_is_not_there(lender: Lender, other: Lender) -> None:
    answer = decided(lender, payload(3))
    with pytest.raises(NotFound):
        asked(other, {"prediction_id": str(answer.id), "changes": {}})
    with pytest.raises(NotFound):
        whatif.counterfactual(other.installation, other.analyst, answer.id)


def test_an_erased_input_is_not_asked_about(embedded: Lender) -> None:
    answer = decided(embedded, payload(3))
    embedded.change("DROP TRIGGER IF EXISTS predictions_frozen")
    embedded.change("UPDATE predictions SET content = NULL WHERE id = :i", i=embedded.key(answer.id))
    with pytest.raises(NotFound, match="not stored any more"):
        whatif.counterfactual(embedded.installation, embedded.analyst, answer.id)


def test_only_the_schemas_mutable_columns_are_ever_proposed() -> None:
    mutable = {c.name for c in scorer().schema.main.columns.values() if c.mutable != "no"}
    assert mutable
    assert not mutable & {name.partition(".")[2] for name in scorer().schema.protected}
