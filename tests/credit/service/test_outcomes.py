"""Outcomes come in, late and corrected; cohorts wait until they are mature."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from plumbline.credit import service
from plumbline.credit.service import outcomes
from plumbline.kernel.database import new_id, types
from plumbline.kernel.errors import Forbidden, InvalidInput
from plumbline.kernel.ledger.service.sealing import seal
from plumbline.kernel.models import predictions, records
from plumbline.kernel.paging import PageRequest
from tests.conftest import NOW
from tests.credit.pages.desk import csv
from tests.credit.trained import Lender, payload

COLUMNS = ("id", "organization_id", "prediction_type", "subject_id", "prediction_result", "probability", "ml_model_id", "metadata", "created_at")  # fmt: skip
LATER = timedelta(days=400)


def decide(
    lender: Lender, number: int, decision: str, at: datetime, *, p: float = 0.05, subject: str | None = None
) -> UUID:
    return decide_many(lender, [(subject or f"S-{number}", decision, p)], at)[0]


def decide_many(lender: Lender, given: Sequence[tuple[str, str, float]], at: datetime) -> list[UUID]:
    """Decisions as a batch writes them, without what a test of their outcomes does not need."""
    rows: list[dict[str, Any]] = [
        {"id": new_id(at), "organization_id": lender.id, "prediction_type": "credit", "subject_id": subject, "prediction_result": "Low",
         "probability": p, "ml_model_id": lender.model_id, "metadata": types.Encoded(f'{{"decision":"{decision}","points":500}}'), "created_at": at}
        for subject, decision, p in given
    ]  # fmt: skip
    with lender.installation.database.write(lender.id) as session:
        assert predictions.insert_many(session, rows, COLUMNS) == len(rows)
    return [row["id"] for row in rows]


def found(lender: Lender, key: UUID) -> Any:
    with lender.installation.database.read(lender.id) as session:
        return predictions.get(session, lender.id, key)


def told(key: UUID, outcome: str = "repaid", at: str = "2026-11-20", **rest: Any) -> dict[str, Any]:
    return {"prediction_id": str(key), "outcome": outcome, "outcome_at": at, **rest}


OCTOBER = datetime(2026, 10, 5, 12, tzinfo=NOW.tzinfo)


def test_an_outcome_is_written_with_where_it_comes_from(lender: Lender) -> None:
    key = decide(lender, 1, "approve", OCTOBER)
    made = outcomes.record(
        lender.installation, lender.analyst, [told(key, "default", event_at="2026-11-18", source="feed")]
    )
    assert (made.rows, made.accepted, made.unchanged, made.rejected, made.corrected) == (1, 1, 0, 0, 0)
    row = found(lender, key)
    assert (row.outcome, f"{row.outcome_at:%Y-%m-%d}") == ("default", "2026-11-20")
    assert row.extra == {
        "decision": "approve", "points": 500,
        "outcome": {"source": "feed", "event_at": "2026-11-18T00:00:00.000000Z", "recorded_at": "2026-11-24T09:41:00.000000Z",
                    "recorded_by": str(lender.people["analyst"])},
    }  # fmt: skip
    (entry,) = lender.entries("outcomes.record")
    assert entry.resource_id == key
    assert entry.details == {
        "prediction_type": "credit",
        "rows": 1,
        "accepted": 1,
        "corrected": 0,
        "unchanged": 0,
        "rejected": 0,
    }


def test_every_row_is_accepted_unchanged_or_rejected(lender: Lender, other: Lender) -> None:
    one, two, three = (decide(lender, n, "approve", OCTOBER) for n in range(3))
    theirs = decide(other, 9, "approve", OCTOBER)
    twin = [decide(lender, 0, "approve", OCTOBER, subject="TWIN") for _ in range(2)]
    early = decide(lender, 4, "approve", OCTOBER, subject="AGAIN")
    late = decide(lender, 5, "approve", OCTOBER + timedelta(days=20), subject="AGAIN")
    rows = [
        told(one), told(one, at="2026-11-21"), told(two), {"subject_id": "S-1", "outcome": "default", "outcome_at": "2026-11-20"},
        told(theirs), told(new_id(NOW)), told(three, at="2026-10-04"), {"subject_id": "TWIN", "outcome": "repaid", "outcome_at": "2026-11-20"},
        {"subject_id": "AGAIN", "outcome": "repaid", "outcome_at": "2026-11-20"},
        {"sk_id_curr": "AGAIN", "outcome": "default", "outcome_at": "2026-11-20", "event_at": "2026-10-10"},
        {"subject_id": "AGAIN", "outcome": "default", "outcome_at": "2026-10-01"}, {"subject_id": "NOBODY", "outcome": "repaid", "outcome_at": "2026-11-20"},
        {"subject_id": "erased", "outcome": "repaid", "outcome_at": "2026-11-20"}, "no row", told(twin[0], at="2026-10-05"), told(three, at="2027-01-01"),
    ]  # fmt: skip
    made = outcomes.record(lender.installation, lender.analyst, rows, source="feed")
    assert made.accepted + made.unchanged + made.rejected == made.rows == len(rows)
    assert {(r.row, r.rule) for r in made.rejects} == {
        (3, "contradictory"), (4, "contradictory"), (5, "unknown_decision"), (6, "unknown_decision"), (7, "before_decision"),
        (8, "ambiguous_subject"), (11, "before_decision"), (12, "unknown_decision"), (13, "unknown_decision"), (14, "row"), (16, "future"),
    }  # fmt: skip
    assert made.unchanged == 1
    outcome = {key: found(lender, key).outcome for key in (one, two, three, early, late, *twin)}
    assert outcome == {
        one: "repaid",
        two: None,
        three: None,
        early: "default",
        late: "repaid",
        twin[0]: "repaid",
        twin[1]: None,
    }
    assert found(other, theirs).outcome is None
    (entry,) = lender.entries("outcomes.record")
    assert {k: entry.details[k] for k in ("rows", "accepted", "unchanged", "rejected")} == {
        "rows": 16,
        "accepted": 4,
        "unchanged": 1,
        "rejected": 11,
    }


def test_a_correction_keeps_the_old_value_and_needs_a_reason_or_a_source(lender: Lender) -> None:
    house, key = lender.installation, decide(lender, 1, "approve", OCTOBER)
    outcomes.record(house, lender.analyst, [told(key, "repaid", "2026-11-10")], source="feed")
    again = outcomes.record(house, lender.analyst, [told(key, "repaid", "2026-11-12")], source="feed")
    assert (again.accepted, again.unchanged) == (0, 1)
    for row in (told(key, "default"), told(key, "default", source="person")):
        (reject,) = outcomes.record(house, lender.analyst, [row], source="feed").rejects
        assert reject.rule == "correction_without_reason"
    (reject,) = outcomes.record(house, lender.analyst, [told(key, "default", "2026-11-01", source="feed")]).rejects
    assert reject.rule == "older_than_known"
    with pytest.raises(InvalidInput, match="at least 10 characters"):
        outcomes.record(house, lender.analyst, [told(key, "default")], reason="typo")
    assert found(lender, key).outcome == "repaid"
    made = outcomes.record(house, lender.analyst, [told(key, "default")], reason="The branch had mixed up two loans.")
    assert (made.accepted, made.corrected) == (1, 1)
    row = found(lender, key)
    assert row.outcome == "default"
    assert [(e["outcome"], e["outcome_at"], e["source"]) for e in row.extra["outcome"]["earlier"]] == [
        ("repaid", "2026-11-10T00:00:00.000000Z", "feed")
    ]
    details = lender.entries("outcomes.record")[-1].details
    assert details["reason"] == "The branch had mixed up two loans."
    assert details["corrections"] == [{"prediction_id": str(key), "old": "repaid", "old_at": "2026-11-10T00:00:00.000000Z", "new": "default",
                                       "new_at": "2026-11-20T00:00:00.000000Z"}]  # fmt: skip
    named = outcomes.record(house, lender.analyst, [told(key, "repaid", "2026-11-22", source="feed")])
    assert named.corrected == 1
    assert [e["outcome"] for e in found(lender, key).extra["outcome"]["earlier"]] == ["repaid", "default"]
    # with a reason the date alone may be put right, and doing it again changes nothing
    for corrected, unchanged in ((1, 0), (0, 1)):
        date = outcomes.record(
            house, lender.analyst, [told(key, "repaid", "2026-11-21")], reason="It was told a day earlier."
        )
        assert (date.corrected, date.unchanged) == (corrected, unchanged)


def test_of_two_rows_that_say_the_same_the_one_that_may_correct_does(lender: Lender) -> None:
    house, key = lender.installation, decide(lender, 1, "approve", OCTOBER)
    outcomes.record(house, lender.analyst, [told(key, "default")], source="feed")
    made = outcomes.record(house, lender.analyst, [told(key), told(key, source="feed"), told(key)], source="feed")
    assert (made.accepted, made.corrected, made.unchanged) == (1, 1, 1)
    assert [(r.row, r.rule) for r in made.rejects] == [(1, "correction_without_reason")]
    assert found(lender, key).outcome == "repaid"


def test_one_that_cannot_be_used_fails_as_a_whole_where_that_is_asked(embedded: Lender) -> None:
    with pytest.raises(InvalidInput, match="no such decision"):
        outcomes.record(embedded.installation, embedded.analyst, [told(new_id(NOW))], whole=True)
    key = decide(embedded, 1, "approve", OCTOBER)
    with pytest.raises(InvalidInput, match="future"):
        outcomes.record(embedded.installation, embedded.analyst, [told(key), told(key, at="2027-01-01")], whole=True)
    assert found(embedded, key).outcome is None
    assert len(embedded.entries("outcomes.record", success=False)) == 2
    with pytest.raises(InvalidInput, match="no rows"):
        outcomes.record(embedded.installation, embedded.analyst, [])


def test_a_viewer_reads_and_writes_nothing(embedded: Lender) -> None:
    viewer = embedded.as_role("viewer")
    for act in (
        lambda: outcomes.record(embedded.installation, viewer, [{}]),
        lambda: outcomes.record_file(embedded.installation, viewer, io.BytesIO(b"x"), "o.csv"),
        lambda: outcomes.evaluate(embedded.installation, viewer),
    ):
        with pytest.raises(Forbidden, match=r"credit\.outcomes"):
            act()
    assert outcomes.performance(embedded.installation, viewer) == []
    with pytest.raises(Forbidden, match=r"credit\.read"):
        outcomes.performance(embedded.installation, replace(viewer, rights=frozenset()))


def test_a_file_sent_twice_changes_nothing(lender: Lender) -> None:
    keys = decide_many(lender, [(f"S-{n}", "approve", 0.05) for n in range(1200)], OCTOBER)
    lines = [
        "prediction_id,outcome,outcome_at",
        *(f"{key},{'default' if n % 9 == 0 else 'repaid'},2026-11-20" for n, key in enumerate(keys)),
    ]
    data = "\n".join(lines).encode()
    first = outcomes.record_file(lender.installation, lender.analyst, io.BytesIO(data), "C:\\feeds\\november.csv")
    assert (first.rows, first.accepted, first.unchanged, first.rejected) == (1200, 1200, 0, 0)
    again = outcomes.record_file(lender.installation, lender.analyst, io.BytesIO(data), "november.csv")
    assert (again.rows, again.accepted, again.unchanged, again.rejected) == (1200, 0, 1200, 0)
    one, two = lender.entries("outcomes.record")
    assert one.details["filename"] == "november.csv"
    assert one.details["file_sha256"] == two.details["file_sha256"] == first.file_sha256
    (cohort,) = outcomes.performance(lender.installation, lender.analyst)
    assert (cohort.tally.labelled, cohort.tally.events) == (1200, 134)


def test_the_ledger_vouches_for_decisions_whose_outcome_came_later(lender: Lender) -> None:
    house = lender.installation
    single = service.score(house, lender.analyst, payload(0)).id
    path = house.files / "branch.csv"
    path.write_bytes(csv(30))
    lender.batch(path)
    seal(house, lender.id)
    with house.database.read(lender.id) as session:
        keys = [p.id for p in predictions.page(session, lender.id, PageRequest(100), prediction_type="credit").items]
    assert single in keys
    made = outcomes.record(house, lender.analyst, [told(key, "default", "2026-11-24", source="feed") for key in keys])
    assert made.accepted == len(keys) == 31
    report = records.verify(house, lender.id)
    assert (report.decisions, report.findings) == (31, [])
    assert service.replay(house, lender.analyst, single).equal


# --- cohorts


def test_that_a_known_outcome_was_drawn_for_an_audit_is_news(lender: Lender) -> None:
    (key,) = decide_many(lender, [("101", "decline", 0.4)], NOW - timedelta(days=100))
    house = lender.installation
    row = told(key, "default", source="feed")
    assert outcomes.record(house, lender.analyst, [row], source="feed").accepted == 1
    assert outcomes.record(house, lender.analyst, [row], source="feed").unchanged == 1
    drawn = {**row, "source": "audit_sample", "inclusion_probability": 0.25}
    assert outcomes.record(house, lender.analyst, [drawn]).corrected == 1
    assert outcomes.record(house, lender.analyst, [drawn]).unchanged == 1
    noted = found(lender, key).extra["outcome"]
    assert (noted["source"], noted["inclusion_probability"]) == ("audit_sample", 0.25)
