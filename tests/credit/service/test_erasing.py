"""A subject is erased: what was known of it is gone, and everything is still proved."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from plumbline.credit import service
from plumbline.kernel.errors import Forbidden, InvalidInput, NotFound
from plumbline.kernel.ledger import keys, note, proof
from plumbline.kernel.ledger.service import checking, erasing, proving, sealing
from plumbline.kernel.models import predictions
from plumbline.kernel.models.evidence import evidence_of
from tests.credit.trained import Lender, application_with, payload

REASON = "the applicant has asked for it"


def decided(lender: Lender, application: dict[str, Any]) -> Any:
    return service.score(lender.installation, lender.analyst, application)


def everywhere(lender: Lender, needle: str) -> list[str]:
    """Tables in which a text occurs, whatever the column."""
    found = []
    sqlite = lender.installation.database.is_sqlite
    names = (
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        if sqlite
        else "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    )
    for (table,) in lender.rows(names):
        rows = lender.rows(f"SELECT * FROM {table}") if sqlite else lender.rows(f"SELECT {table}::text FROM {table}")
        if any(needle in str(value) for row in rows for value in row):
            found.append(table)
    return found


def review_of(lender: Lender) -> UUID:
    """The only review there is."""
    ((key,),) = lender.rows("SELECT id FROM credit_reviews")
    return UUID(bytes=key) if isinstance(key, bytes) else UUID(str(key))


def sound(lender: Lender) -> None:
    checked = checking.check(lender.installation, lender.admin, records=True)
    assert checked.report.sound, checked.report.findings


def test_what_was_known_of_a_subject_is_gone_and_old_proofs_hold(lender: Lender) -> None:
    secret = "she said on the telephone that she is ill"
    answer = decided(lender, application_with(level="High"))
    kept = decided(lender, payload(1))
    review = review_of(lender)
    service.triage.take(lender.installation, lender.analyst, review)
    service.triage.note(lender.installation, lender.analyst, review, secret)
    service.triage.resolve(lender.installation, lender.analyst, review, note=secret, decision="decline")
    before = evidence_of(lender.installation, lender.admin, answer.id)
    assert set(everywhere(lender, answer.subject_id)) >= {"predictions", "findings"}
    assert set(everywhere(lender, secret)) == {"audit_log", "credit_reviews"}

    planned = erasing.plan(lender.installation, lender.admin, subject=answer.subject_id)
    assert planned.records == (answer.id,)
    assert len(planned.content_entries) == 3
    assert set(everywhere(lender, secret)) == {"audit_log", "credit_reviews"}, "a plan changes nothing"

    done = erasing.erase(lender.installation, lender.admin, subject=answer.subject_id, reason=REASON)
    assert done == planned
    assert everywhere(lender, answer.subject_id) == []
    assert everywhere(lender, secret) == []
    sound(lender)

    key = note.VerifierKey(before.entry.origin, keys.known_public(lender.installation.settings)[0])
    proof.check(before.entry.proof, [key])
    after = evidence_of(lender.installation, lender.admin, answer.id)
    assert after.decision is not None
    assert before.decision is not None
    assert (after.decision.sha256, after.decision.salt, after.decision.record) == (before.decision.sha256, None, None)
    with lender.installation.database.read(lender.id) as session:
        assert predictions.get(session, lender.id, answer.id).probability == answer.probability, (
            "the result is nobody's now"
        )
        assert predictions.get(session, lender.id, kept.id).content == payload(1)
    with pytest.raises(NotFound, match="not stored any more"):
        service.replay(lender.installation, lender.analyst, answer.id)
    assert not erasing.erase(lender.installation, lender.admin, subject=answer.subject_id, reason=REASON), (
        "nothing is left"
    )


def test_the_entry_of_an_erasure_does_not_say_whom(lender: Lender) -> None:
    answer = decided(lender, payload(0))
    erasing.erase(lender.installation, lender.admin, subject=answer.subject_id, reason=REASON)
    (entry,) = lender.entries("ledger.erase")
    assert entry.details["records"] == [str(answer.id)]
    assert answer.subject_id not in str(entry.details)


def test_a_blank_that_no_erasure_ordered_is_told(lender: Lender) -> None:
    answer = decided(lender, payload(0))
    sealing.seal(lender.installation, lender.id)
    lender.change("UPDATE predictions SET content = NULL, features = NULL, explanation = NULL, record_salt = NULL")
    report = checking.check(lender.installation, lender.admin, records=True).report
    assert [f.kind for f in report.findings] == ["decision-blanked"]
    assert str(answer.id) in report.findings[0].text


@pytest.mark.parametrize("where", ["entry", "rows"])
def test_a_killed_erasure_is_finished_by_the_next(lender: Lender, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = decided(lender, application_with(level="High"))

    def kill(*_: object, **__: object) -> int:
        raise KeyboardInterrupt

    if where == "entry":
        monkeypatch.setattr(erasing, "seal", kill)
    else:  # the audit log is blanked, the rooms' rows are not
        service.triage.note(lender.installation, lender.analyst, review_of(lender), "a word too many about a person")
        monkeypatch.setattr("plumbline.kernel.models.erasing.erasable.erase", kill)
    with pytest.raises(KeyboardInterrupt):
        erasing.erase(lender.installation, lender.admin, subject=answer.subject_id, reason=REASON)
    monkeypatch.undo()
    sound(lender)
    erasing.erase(lender.installation, lender.admin, subject=answer.subject_id, reason=REASON)
    assert everywhere(lender, answer.subject_id) == []
    sound(lender)


def test_an_old_copy_is_erased_again(lender: Lender) -> None:
    """A restored backup holds what was erased since: the sealed orders are applied once more."""
    secret = "a word too many about a person"
    answer = decided(lender, application_with(level="High"))
    review = review_of(lender)
    service.triage.note(lender.installation, lender.analyst, review, secret)
    (entry,) = lender.entries("credit.review.note")
    erasing.erase(lender.installation, lender.admin, subject=answer.subject_id, reason=REASON)
    sqlite = lender.installation.database.is_sqlite
    lender.change("DROP TRIGGER audit_log_update" if sqlite else "ALTER TABLE audit_log DISABLE TRIGGER USER")
    lender.change(
        f"UPDATE audit_log SET new_values = {':new' if sqlite else 'CAST(:new AS json)'}, content_salt = :salt WHERE id = :id",
        new=f'{{"note":"{secret}"}}', salt=entry.content_salt, id=lender.key(entry.id),
    )  # fmt: skip
    assert everywhere(lender, secret) == ["audit_log"]
    assert erasing.reapply(lender.installation, lender.id) == 1
    assert everywhere(lender, secret) == []
    sound(lender)


def test_a_person_s_traces_go_and_their_acts_stay(lender: Lender) -> None:
    answer = decided(lender, payload(0))
    (entry,) = lender.entries("credit.score")
    assert entry.ip_address == "203.0.113.9"
    erasing.erase(lender.installation, lender.admin, person=lender.people["analyst"], reason=REASON)
    (entry,) = lender.entries("credit.score")
    assert (entry.ip_address, entry.user_agent, entry.actor_salt) == (None, None, None)
    assert entry.user_id == lender.people["analyst"]
    assert entry.details["record_sha256"]
    sound(lender)
    found = proving.prove(lender.installation, lender.admin, entry.id)
    assert found.actor.bytes is None
    assert found.content.bytes is not None
    assert evidence_of(lender.installation, lender.admin, answer.id).decision is not None


def test_other_organizations_keep_theirs(lender: Lender, other: Lender) -> None:
    mine, theirs = decided(lender, payload(0)), decided(other, payload(0))
    assert mine.subject_id == theirs.subject_id
    erasing.erase(lender.installation, lender.admin, subject=mine.subject_id, reason=REASON)
    with other.installation.database.read(other.id) as session:
        assert predictions.get(session, other.id, theirs.id).content == payload(0)


def test_what_is_refused(lender: Lender) -> None:
    for given in ({}, {"subject": "1", "person": lender.people["viewer"]}):
        with pytest.raises(InvalidInput, match="subject or about a person"):
            erasing.plan(lender.installation, lender.admin, **given)
    with pytest.raises(InvalidInput, match="at least 10"):
        erasing.erase(lender.installation, lender.admin, subject="1", reason="why")
    with pytest.raises(Forbidden):
        erasing.plan(lender.installation, lender.analyst, subject="1")
    with pytest.raises(InvalidInput, match="everybody who was erased"):
        erasing.plan(lender.installation, lender.admin, subject="erased")
    assert not erasing.plan(lender.installation, lender.admin, subject="nobody")
