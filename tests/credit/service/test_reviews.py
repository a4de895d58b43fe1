"""Reviews that applicants ask for, and final decisions by people: one entry each, a cause, and two people where asked."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from plumbline.credit import repository, service
from plumbline.credit.service import triage
from plumbline.credit.tables import Review
from plumbline.kernel.context import Context
from plumbline.kernel.errors import Conflict, Forbidden, InvalidInput, NotFound
from plumbline.kernel.findings import service as findings
from plumbline.kernel.identity.service import change_settings
from plumbline.kernel.paging import PageRequest
from tests.credit import trained
from tests.credit.trained import Lender

CAUSE = "The payslips show a second income."


def scored(lender: Lender, **where: str) -> UUID:
    return service.score(lender.installation, lender.analyst, trained.application_with(**where)).id


def review_of(lender: Lender, key: UUID) -> Review:
    found = service.decision_of(lender.installation, lender.analyst, key).review
    assert found is not None
    return found


def asked(lender: Lender, key: UUID, words: str = "My income rose in June.") -> Review:
    return service.request_review(lender.installation, lender.analyst, key, through="email", words=words)


def overridden(
    lender: Lender, key: UUID, decision: str = "approve", person: Context | None = None, cause: str = CAUSE
) -> Review:
    return service.override(lender.installation, person or lender.analyst, key, decision=decision, cause=cause)


def one_pair_of_eyes(lender: Lender) -> None:
    change_settings(lender.installation, lender.admin, four_eyes=False)


def listed(lender: Lender) -> list[Any]:
    found = findings.list_findings(lender.installation, lender.admin, PageRequest(100), room="credit").items
    return [f for f in found if f.tags != ["notice"]]


def rebuilt(lender: Lender) -> dict[str, int]:
    return findings.rebuild(lender.installation, lender.admin)["credit"]


UNCHANGED = {"added": 0, "changed": 0, "removed": 0}


@pytest.mark.parametrize("decision", ["approve", "review", "decline"])
def test_an_applicant_may_ask_whatever_the_decision_was(lender: Lender, decision: str) -> None:
    key = scored(lender, decision=decision)
    before = [f.due_at for f in listed(lender)]
    review = asked(lender, key)
    assert (review.state, review.requested_through, review.request) == ("open", "email", "My income rose in June.")
    now = lender.installation.clock()
    assert now < review.due_at <= now + timedelta(days=30)
    (finding,) = listed(lender)
    assert finding.title.startswith("Review asked for by the applicant")
    assert (finding.state, finding.subject_id, finding.due_at) == (
        "open",
        review.id,
        before[0] if before else review.due_at,
    )
    (entry,) = lender.entries("credit.review.request")
    assert (entry.resource_id, entry.details["prediction_id"]) == (review.id, str(key))
    assert rebuilt(lender) == UNCHANGED


def test_a_closed_review_opens_again_and_what_was_decided_stands_until_then(lender: Lender) -> None:
    one_pair_of_eyes(lender)
    key = scored(lender, decision="review")
    triage.resolve(lender.installation, lender.analyst, review_of(lender, key).id, note=CAUSE, decision="decline")
    review = asked(lender, key)
    assert (review.state, review.final_decision, review.owner_id) == ("open", "decline", None)
    assert [f.state for f in listed(lender)] == ["open"]
    assert rebuilt(lender) == UNCHANGED
    with pytest.raises(InvalidInput, match="it ends with a decision"):
        triage.resolve(lender.installation, lender.analyst, review.id, note=CAUSE)
    triage.resolve(lender.installation, lender.analyst, review.id, note=CAUSE, decision="approve")
    assert review_of(lender, key).final_decision == "approve"
    assert lender.entries("credit.review.resolve")[1].details["overrides"] == "decline"
    assert rebuilt(lender) == UNCHANGED


def test_it_is_asked_for_once(lender: Lender) -> None:
    key = scored(lender, decision="approve")
    came: list[Any] = []

    def ask() -> None:
        try:
            came.append(asked(lender, key))
        except Conflict as error:
            came.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(c, Review) for c in came) == 1
    assert all("Add what is new as a note" in str(c) for c in came if not isinstance(c, Review))
    assert lender.count("credit_reviews") == 1
    assert (
        len(lender.entries("credit.review.request")),
        len(lender.entries("credit.review.request", success=False)),
    ) == (1, 2)


@pytest.mark.parametrize("cause", ["", "   ", "Too short", " because \n"])
def test_an_override_without_a_cause_is_refused(embedded: Lender, cause: str) -> None:
    key = scored(embedded, decision="decline")
    before = review_of(embedded, key)
    with pytest.raises(InvalidInput, match="Write at least 10 characters"):
        overridden(embedded, key, cause=cause)
    with pytest.raises(InvalidInput, match="Write at least 10 characters"):
        triage.resolve(embedded.installation, embedded.analyst, before.id, note=cause, decision="approve")
    after = review_of(embedded, key)
    assert (after.state, after.final_decision) == ("open", None)
    assert embedded.entries("credit.review.override") == embedded.entries("credit.review.resolve") == []


@pytest.mark.parametrize(("model", "final"), [("decline", "approve"), ("approve", "decline")])
def test_turning_a_decision_takes_two_people(lender: Lender, model: str, final: str) -> None:
    key = scored(lender, decision=model)
    proposed = overridden(lender, key, final)
    assert (proposed.state, proposed.final_decision, proposed.proposed_decision) == ("acknowledged", None, final)
    assert rebuilt(lender) == UNCHANGED
    with pytest.raises(Conflict, match="second person"):
        overridden(lender, key, final)
    done = overridden(lender, key, final, lender.admin, "I saw the papers myself.")
    assert (done.state, done.final_decision, done.proposed_decision, done.decided_by) == (
        "resolved",
        final,
        None,
        lender.people["admin"],
    )
    assert done.cause == f"{CAUSE}\nI saw the papers myself."
    (first,) = lender.entries("credit.review.propose")
    (second,) = lender.entries("credit.review.override")
    assert (first.user_id, second.user_id) == (lender.people["analyst"], lender.people["admin"])
    assert (second.details["overrides"], second.details["proposed_by"]) == (model, str(lender.people["analyst"]))
    assert second.details["model_decision"] == model
    assert [f.state for f in listed(lender)] == ["resolved"]
    assert rebuilt(lender) == UNCHANGED


def test_the_model_stays_what_it_decided(embedded: Lender) -> None:
    one_pair_of_eyes(embedded)
    key = scored(embedded, decision="decline")
    before = service.decision_of(embedded.installation, embedded.analyst, key).prediction
    overridden(embedded, key)
    after = service.decision_of(embedded.installation, embedded.analyst, key)
    assert after.prediction.extra == before.extra
    assert (after.prediction.prediction_result, after.prediction.probability) == (
        before.prediction_result,
        before.probability,
    )
    assert after.prediction.extra["decision"] == "decline"
    assert after.review is not None
    assert after.review.final_decision == "approve"
    assert service.replay(embedded.installation, embedded.analyst, key).equal


def test_a_second_person_may_leave_it_as_it_was(embedded: Lender) -> None:
    key = scored(embedded, decision="decline")
    overridden(embedded, key)
    done = overridden(embedded, key, "decline", embedded.admin, "The second income is not proven.")
    assert (done.state, done.final_decision, done.proposed_decision, done.cause) == (
        "resolved", "decline", None, "The second income is not proven.",
    )  # fmt: skip


def test_deciding_what_the_model_left_open_takes_one(embedded: Lender) -> None:
    key = scored(embedded, decision="review")
    triage.resolve(embedded.installation, embedded.analyst, review_of(embedded, key).id, note=CAUSE, decision="approve")
    assert review_of(embedded, key).final_decision == "approve"
    assert "overrides" not in embedded.entries("credit.review.resolve")[0].details


def test_a_program_overrides_nothing(embedded: Lender) -> None:
    one_pair_of_eyes(embedded)
    key = scored(embedded, decision="decline")
    with pytest.raises(Forbidden, match="overridden by a person"):
        overridden(embedded, key, person=replace(embedded.admin, user_id=None))


def test_two_at_once_decide_once(lender: Lender) -> None:
    key = scored(lender, decision="review")
    review = review_of(lender, key).id
    came: list[Any] = []

    def decide(word: str) -> None:
        try:
            triage.resolve(lender.installation, lender.analyst, review, note=CAUSE, decision=word)
            came.append(word)
        except Conflict as error:
            came.append(error)

    threads = [threading.Thread(target=decide, args=(word,)) for word in ("approve", "decline", "approve")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made = [c for c in came if isinstance(c, str)]
    assert len(made) == 1
    assert review_of(lender, key).final_decision == made[0]
    assert len(lender.entries("credit.review.resolve")) == 1


def test_who_may_not_and_who_is_elsewhere(lender: Lender, other: Lender) -> None:
    key = scored(lender, decision="decline")
    for act in (
        lambda c: service.request_review(lender.installation, c, key, through="email"),
        lambda c: service.override(lender.installation, c, key, decision="approve", cause=CAUSE),
    ):
        with pytest.raises(Forbidden):
            act(lender.as_role("viewer"))
        with pytest.raises(NotFound):
            act(other.analyst)
    with pytest.raises(InvalidInput, match="no way to ask"):
        service.request_review(lender.installation, lender.analyst, key, through="pigeon")
    with pytest.raises(InvalidInput, match="no final decision"):
        overridden(lender, key, "perhaps")
    with lender.installation.database.read(other.id) as session:
        assert repository.reviews(session, other.id, PageRequest(10)).items == []
