"""One application decided and recorded: what stands in the database, in the ledger, and what comes out again."""

from __future__ import annotations

import copy
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plumbline.credit import service
from plumbline.kernel.database import new_id
from plumbline.kernel.errors import Conflict, Forbidden, InvalidInput, NotFound
from plumbline.kernel.models import predictions
from plumbline.kernel.paging import PageRequest
from tests.conftest import SteppingClock
from tests.credit.trained import Lender, application_with, payload, portfolio, scorer, unlabelled

PROTECTED = ("CODE_GENDER", "DAYS_BIRTH", "NAME_FAMILY_STATUS")


def decided(lender: Lender, application: dict[str, Any]) -> Any:
    return service.score(lender.installation, lender.analyst, application)


def stored(lender: Lender, key: Any) -> Any:
    with lender.installation.database.read(lender.id) as session:
        return predictions.get(session, lender.id, key)


def test_a_decision_is_one_row_and_one_entry_that_binds_it(lender: Lender) -> None:
    answer = decided(lender, payload(0))
    assert lender.count("predictions") == 1
    (entry,) = lender.entries("credit.score")
    assert entry.resource_id == answer.id
    assert entry.user_id == lender.people["analyst"]
    row = stored(lender, answer.id)
    assert (row.probability, row.prediction_result, row.subject_id) == (
        answer.probability,
        answer.risk_level,
        answer.subject_id,
    )
    assert row.content == payload(0)
    assert row.user_id == lender.people["analyst"]
    assert entry.details["model_sha256"] == answer.model["sha256"] == lender.sha256
    assert predictions.check_record(row, lender.sha256, row.record_salt, entry.details["record_sha256"])


@pytest.mark.parametrize(
    "change",
    ["probability = probability / 2", "prediction_result = 'Low'", "subject_id = '1'"],
    ids=["probability", "level", "subject"],
)
def test_a_row_that_was_changed_behind_our_back_is_found(lender: Lender, change: str) -> None:
    answer = decided(lender, application_with(level="High"))
    (entry,) = lender.entries("credit.score")
    if lender.installation.database.is_sqlite:
        lender.change("DROP TRIGGER IF EXISTS predictions_frozen")
        for (name,) in lender.rows(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'predictions'"
        ):
            lender.change(f"DROP TRIGGER {name}")
    else:
        lender.change("ALTER TABLE predictions DISABLE TRIGGER USER")
    lender.change(f"UPDATE predictions SET {change}")
    row = stored(lender, answer.id)
    assert not predictions.check_record(row, lender.sha256, row.record_salt, entry.details["record_sha256"])


@pytest.mark.parametrize(
    ("level", "decision", "severity"),
    [("High", None, "high"), ("Medium", "review", "medium"), ("Low", "approve", None)],
)
def test_high_risk_and_cases_for_a_person_get_a_review_and_a_finding(
    lender: Lender, level: str, decision: str | None, severity: str | None
) -> None:
    answer = decided(lender, application_with(level=level, decision=decision))
    view = service.decision_of(lender.installation, lender.analyst, answer.id)
    found = lender.rows("SELECT severity, room, state, url FROM findings")
    if severity is None:
        assert view.review is None
        assert found == []
        return
    assert view.review is not None
    assert view.review.state == "open"
    assert [tuple(f) for f in found] == [(severity, "credit", "open", f"/credit/decisions/{answer.id}")]


def test_the_same_request_again_gets_the_same_answer_and_no_second_row(lender: Lender, clock: SteppingClock) -> None:
    application = {**application_with(level="High"), "id": str(new_id(clock.now))}
    first = decided(lender, copy.deepcopy(application))
    again = decided(lender, copy.deepcopy(application))
    assert again == first
    assert lender.count("predictions") == 1
    assert lender.count("credit_reviews") == 1
    assert [e.details.get("repeated") for e in lender.entries("credit.score")] == [None, True]


def test_the_same_request_many_times_at_once_is_decided_once(lender: Lender, clock: SteppingClock) -> None:
    application = {**payload(0), "id": str(new_id(clock.now))}
    answers: list[Any] = []
    gate = threading.Barrier(6)

    def send() -> None:
        gate.wait()
        answers.append(decided(lender, copy.deepcopy(application)))

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 6
    assert all(a == answers[0] for a in answers)
    assert lender.count("predictions") == 1
    assert [e.details.get("repeated") for e in lender.entries("credit.score")].count(None) == 1


def test_an_id_that_was_used_for_another_application_is_a_conflict(lender: Lender, clock: SteppingClock) -> None:
    key = str(new_id(clock.now))
    decided(lender, {**payload(0), "id": key})
    with pytest.raises(Conflict) as refused:
        decided(lender, {**payload(1), "id": key})
    assert refused.value.where is not None
    assert refused.value.where.field == "id"
    assert lender.count("predictions") == 1


def test_another_tenants_id_is_a_conflict_that_tells_nothing(
    lender: Lender, other: Lender, clock: SteppingClock
) -> None:
    key = new_id(clock.now)
    there = decided(other, {**payload(0), "id": str(key)})
    with pytest.raises(Conflict) as refused:
        decided(lender, {**payload(0), "id": str(key)})
    told = str(refused.value)
    assert str(there.probability) not in told
    assert there.subject_id not in told
    assert "contoso" not in told
    assert lender.rows("SELECT organization_id FROM predictions") == [(lender.key(other.id),)]
    (failed,) = lender.entries("credit.score", success=False)
    assert failed.organization_id == lender.id
    for ask in (service.decision_of, service.explain, service.replay):
        with pytest.raises(NotFound):
            ask(lender.installation, lender.analyst, key)
    assert service.list_decisions(lender.installation, lender.analyst, PageRequest(10)).items == []


@pytest.mark.parametrize(
    "wanted",
    ["no id", "9b2f6b9e-3f0c-4a4e-9f57-3a8f2b1c0d11", 7, {"a": 1}],
    ids=["text", "version 4", "number", "object"],
)
def test_an_id_that_is_no_recent_uuid_of_version_7_is_refused(embedded: Lender, wanted: Any) -> None:
    with pytest.raises(InvalidInput) as refused:
        decided(embedded, {**payload(0), "id": wanted})
    assert refused.value.where is not None
    assert refused.value.where.field == "id"
    assert embedded.count("predictions") == 0


@pytest.mark.parametrize("model", [5, {"name": "x"}, ["credit-risk"], True])
def test_a_model_that_is_no_name_is_refused(embedded: Lender, model: Any) -> None:
    with pytest.raises(InvalidInput, match="name of a model"):
        decided(embedded, {**payload(0), "model": model})


def test_an_unknown_model_is_not_found_and_another_tenants_one_too(lender: Lender, other: Lender) -> None:
    for name in ("nobody", "credit-risk@99", str(other.model_id)):
        with pytest.raises(NotFound):
            decided(lender, {**payload(0), "model": name})
    named = decided(lender, {**payload(0), "model": "credit-risk@1"})
    assert named.model["sha256"] == lender.sha256


def test_who_may_only_read_cannot_score(lender: Lender) -> None:
    with pytest.raises(Forbidden):
        service.score(lender.installation, lender.as_role("viewer"), payload(0))
    assert lender.count("predictions") == 0
    (failed,) = lender.entries("credit.score", success=False)
    assert failed.user_id == lender.people["viewer"]
    answer = decided(lender, payload(0))
    assert service.decision_of(lender.installation, lender.as_role("viewer"), answer.id).prediction.id == answer.id


def test_a_failed_call_leaves_one_failed_entry_and_nothing_else(lender: Lender) -> None:
    broken = copy.deepcopy(payload(0))
    broken["application"]["AMT_CREDIT"] = "a lot"
    broken["application"]["DAYS_BIRTH"] = 100_000
    with pytest.raises(InvalidInput) as refused:
        decided(lender, broken)
    fields = {e.where.field for e in refused.value.errors if e.where}
    assert fields == {"application.AMT_CREDIT", "application.DAYS_BIRTH"}
    assert lender.count("predictions") == lender.count("credit_reviews") == lender.count("findings") == 0
    assert lender.entries("credit.score") == []
    (failed,) = lender.entries("credit.score", success=False)
    assert "2 faults" in failed.error_message
    assert "a lot" not in failed.error_message


@pytest.mark.parametrize("number", [2**53, 2**62])
def test_a_whole_number_that_json_cannot_carry_is_refused_with_its_place(lender: Lender, number: int) -> None:
    application = copy.deepcopy(payload(0))
    application["application"]["SK_ID_CURR"] = number
    for name in (
        "bureau",
        "previous_application",
        "POS_CASH_balance",
        "credit_card_balance",
        "installments_payments",
        "bureau_balance",
    ):
        application.pop(name, None)
    with pytest.raises(InvalidInput, match="too large"):
        decided(lender, application)
    assert lender.count("predictions") == 0


def test_a_text_with_a_nul_character_is_refused(lender: Lender) -> None:
    application = copy.deepcopy(payload(0))
    application["application"]["NAME_CONTRACT_TYPE"] = "Cash\x00loans"
    with pytest.raises(InvalidInput, match=r"U\+0000"):
        decided(lender, application)
    assert lender.count("predictions") == 0


def test_a_replay_is_equal_bit_for_bit(lender: Lender) -> None:
    for number in range(8):
        answer = decided(lender, payload(number))
        again = service.replay(lender.installation, lender.as_role("viewer"), answer.id)
        assert again.differences == []
        assert again.equal
        assert again.probability == answer.probability == again.stored_probability
    entries = lender.entries("credit.replay")
    assert [e.details["equal"] for e in entries] == [True] * 8


def test_contributions_and_base_add_up_to_the_raw_score(lender: Lender) -> None:
    for number in range(6):
        answer = decided(lender, payload(number))
        told = service.explain(lender.installation, lender.analyst, answer.id)
        raw = stored(lender, answer.id).extra["raw"]
        assert abs(told["base"] + sum(told["contributions"].values()) - raw) <= 1e-12
        assert abs(told["base"] + sum(told["groups"].values()) - raw) <= 1e-12
        assert [r["code"] for r in told["reasons"]] == [r["code"] for r in answer.reasons]


def test_protected_columns_are_in_the_input_and_in_nothing_that_was_made_from_it(lender: Lender) -> None:
    answer = decided(lender, application_with(level="High"))
    row = stored(lender, answer.id)
    assert set(PROTECTED) <= set(row.content["application"])
    names = [
        *row.features,
        *row.explanation["contributions"],
        *[r.get("feature") or "" for r in row.explanation["reasons"]],
    ]
    assert not [n for n in names if any(p in n for p in PROTECTED)]


@pytest.mark.parametrize("column", PROTECTED)
def test_permuting_a_protected_column_moves_no_score(column: str) -> None:
    before = scorer().score(unlabelled()).frame()
    tables = unlabelled()
    main = tables["application"]
    shuffled = main[column].shuffle(seed=3)
    assert (shuffled != main[column]).any()
    tables["application"] = main.with_columns(shuffled)
    assert scorer().score(tables).frame().equals(before)


@settings(max_examples=15, deadline=None)
@given(order=st.permutations(range(40)), sizes=st.lists(st.integers(1, 15), min_size=1, max_size=5))
def test_a_score_does_not_depend_on_what_is_scored_beside_it(order: list[int], sizes: list[int]) -> None:
    tables = unlabelled()
    main = tables["application"]
    whole = scorer().score(tables).frame()
    at = 0
    for size in sizes:
        chosen = order[at : at + size]
        at += size
        if not chosen:
            break
        part = scorer().score({**tables, "application": main[chosen]}).frame()
        assert part.equals(whole[chosen])


def test_the_portfolio_is_not_the_training_data() -> None:
    """Or the tests above would say little: the model must meet rows it has not seen."""
    assert portfolio().options.seed != 1
