"""Decisions against what sealed entries commit to: as they were made, and after somebody was at them."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from plumbline.kernel import canonical, room
from plumbline.kernel.database import new_id
from plumbline.kernel.errors import NotFound
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger import entry
from plumbline.kernel.ledger.repository.trees import Trees
from plumbline.kernel.ledger.scanning import MOST
from plumbline.kernel.ledger.service import Act
from plumbline.kernel.ledger.service.sealing import seal
from plumbline.kernel.models import predictions, records, stored
from plumbline.kernel.models.records import RecordsReport
from plumbline.kernel.models.tables import Model
from tests.conftest import NOW, Firm, SteppingClock
from tests.kernel.models.recorded import (
    COLUMNS,
    batch_of,
    change,
    checked,
    erase,
    kinds,
    row_ids,
    rows_of,
    single,
)
from tests.kernel.models.scale import register

pytestmark = pytest.mark.usefixtures("scale_room")


@pytest.fixture
def model(installation: Installation, firm: Firm) -> Model:
    return register(installation, firm.admin)


def test_the_check_is_offered_to_the_ledger() -> None:
    names = [part.records for part in room.everything() if part.records]
    assert records.verify in [room.load(name) for name in names]


def test_decisions_as_they_were_made_are_found_so(installation: Installation, firm: Firm, model: Model) -> None:
    key = single(installation, firm, model)
    batch = batch_of(installation, firm, model, 20)
    single(installation, firm, model, probability=1e-9, subject_id='Zoë \U0001f600 \\"\n', features=None)
    told: list[tuple[int, int]] = []
    seal(installation, firm.id)
    report = records.verify(installation, firm.id, told=lambda done, total: told.append((done, total)))
    assert (report.decisions, report.findings, report.count, report.notes) == (22, [], 0, [])
    assert told[-1] == (22, 22)
    # an outcome that is written later changes no record, neither of a row whose text is taken as it lies
    outcome = '{"decision":"approve","outcome":{"source":"feed"},"threshold":0.5}'
    cast = "" if installation.database.is_sqlite else "::jsonb"
    assert (
        change(
            installation, f"UPDATE predictions SET metadata = cast(:m as text){cast} WHERE id = :id", m=outcome, id=key
        )
        == 1
    )
    with installation.database.read(firm.id) as session:
        row = session.scalars(
            sa.select(predictions.Prediction).where(
                predictions.Prediction.organization_id == firm.id,
                predictions.Prediction.batch_id == batch,
                predictions.Prediction.batch_row == 7,
            )
        ).one()
    later = canonical.dumps({**row.extra, "outcome": {"source": "feed"}}).decode()
    change(installation, f"UPDATE predictions SET metadata = cast(:m as text){cast} WHERE id = :id", m=later, id=row.id)
    assert checked(installation, firm).findings == []


def test_a_decision_waits_for_its_seal_and_is_none_of_anothers(
    installation: Installation, firm: Firm, other_firm: Firm, model: Model
) -> None:
    single(installation, firm, model)
    batch_of(installation, firm, model, 3)
    report = records.verify(installation, firm.id)
    assert (report.decisions, report.findings, report.notes) == (0, [], ["4 decisions wait to be sealed."])
    report = checked(installation, other_firm)
    assert (report.decisions, report.findings, report.notes) == (0, [], [])


@pytest.mark.parametrize(
    "how",
    ["probability = probability / 2", "subject_id = 'S-9'", "prediction_result = 'high'", "record_salt = :salt", "batch_row = NULL, batch_id = :batch",
     "shadow_of = :batch", "features = NULL", "explanation = NULL", "created_at = :text"],
    ids=lambda how: str(how).split(" ")[0],
)  # fmt: skip
def test_a_changed_decision_is_named(installation: Installation, firm: Firm, model: Model, how: str) -> None:
    single(installation, firm, model, subject_id="S-0")
    key = single(installation, firm, model)
    batch = batch_of(installation, firm, model, 1)
    given: dict[str, Any] = {
        "salt": bytes(7),
        "batch": batch,
        "text": "-infinity" if not installation.database.is_sqlite else "yesterday",
    }
    seal(installation, firm.id)
    change(
        installation,
        f"UPDATE predictions SET {how} WHERE id = :id",
        id=key,
        **{k: v for k, v in given.items() if f":{k}" in how},
    )
    report = checked(installation, firm)
    first = next(f for f in report.findings if f.kind == "decision-changed")
    assert str(key) in first.text
    assert first.subject == str(key)
    assert first.leaf_index is not None
    assert first.entry_id is not None
    assert kinds(report) == ["decision-added", "decision-changed"] if "batch_row" in how else ["decision-changed"]


def test_removed_and_added_decisions_are_named(installation: Installation, firm: Firm, model: Model) -> None:
    gone, copy = single(installation, firm, model), single(installation, firm, model)
    seal(installation, firm.id)
    change(installation, "DELETE FROM predictions WHERE id = :id", id=gone)
    new = new_id(NOW)
    columns = [c.name for c in predictions.Prediction.__table__.columns if c.name != "id"]
    change(installation, f"INSERT INTO predictions (id, {', '.join(columns)}) SELECT :new, {', '.join(columns)} FROM predictions WHERE id = :id",
           new=new, id=copy)  # fmt: skip
    report = checked(installation, firm)
    assert kinds(report) == ["decision-added", "decision-removed"]
    assert {f.kind: f.subject for f in report.findings} == {"decision-added": str(new), "decision-removed": str(gone)}
    assert f"Decision {new} (subject S-1)" in next(f.text for f in report.findings if f.kind == "decision-added")


def test_a_decision_repeated_by_an_entry_of_its_own_is_found_by_the_first_one(
    installation: Installation, firm: Firm, model: Model
) -> None:
    """Whoever changes a row and has an entry sealed that fits it."""
    key = single(installation, firm, model)
    seal(installation, firm.id)
    change(installation, "UPDATE predictions SET probability = 0.5 WHERE id = :id", id=key)
    with installation.database.read(firm.id) as session:
        row = stored.stored(Trees(session, firm.id), [key])[str(key)]
    sha256 = model.extra["sha256"]
    assert row.record_salt is not None
    with Act(installation.database, firm.admin, "scale.decide", "prediction") as act:
        act.done(key, prediction_id=str(key), model_sha256=sha256,
                 record_sha256=entry.commitment(row.record_salt, stored.record_of(row, firm.id, sha256)).hex())  # fmt: skip
    assert kinds(checked(installation, firm)) == ["decision-changed"]


def test_a_model_that_was_exchanged_is_told_once_and_a_decision_of_another_one_by_its_id(
    installation: Installation, firm: Firm, model: Model
) -> None:
    key = single(installation, firm, model)
    batch_of(installation, firm, model, 5)
    other = register(installation, firm.admin, 3.0)
    seal(installation, firm.id)
    change(installation, "UPDATE predictions SET ml_model_id = :model WHERE id = :id", model=other.id, id=key)
    report = checked(installation, firm)
    assert kinds(report) == ["decision-changed"]
    assert report.findings[0].subject == str(key)
    set_sha = (
        "json_set(metadata, '$.sha256', 'no')"
        if installation.database.is_sqlite
        else "jsonb_set(metadata, '{sha256}', '\"no\"')"
    )
    change(installation, f"UPDATE ml_models SET metadata = {set_sha} WHERE id = :id", id=model.id)
    report = checked(installation, firm)
    assert kinds(report) == ["model-changed", "model-changed"]  # each row of a model speaks of its own
    assert {f.subject for f in report.findings} == {str(model.id), str(other.id)}


@pytest.mark.parametrize("listed", [True, False])
def test_an_erased_decision_is_allowed_where_a_sealed_entry_lists_it(
    installation: Installation, firm: Firm, model: Model, listed: bool
) -> None:
    single(installation, firm, model)
    key = single(installation, firm, model)
    row = row_ids(installation, firm, batch_of(installation, firm, model, 5))[2]
    erase(installation, firm, [key, row], listed=listed)
    report = checked(installation, firm)
    assert report.decisions == 7
    if listed:
        assert kinds(report) == []
        assert report.notes == ["2 decisions were erased and cannot be compared."]
        assert records.record_opening(installation, firm.id, key) is None
        with pytest.raises(NotFound, match="erased"):
            records.proof_of_row(installation, firm.id, row)
    else:
        assert kinds(report) == ["decision-blanked", "decision-blanked"]
        assert {f.subject for f in report.findings} == {str(key), str(row)}
        assert any("row 3" in f.text for f in report.findings)


def test_a_decision_that_lost_its_salt_alone_was_not_erased(
    installation: Installation, firm: Firm, model: Model
) -> None:
    key = single(installation, firm, model)
    erase(installation, firm, [key], listed=True, salt_only=True)
    (found,) = checked(installation, firm).findings
    assert (found.kind, found.subject) == ("decision-blanked", str(key))


def test_an_entry_whose_words_were_erased_makes_no_decision_an_added_one(
    installation: Installation, firm: Firm, model: Model
) -> None:
    key = single(installation, firm, model)
    seal(installation, firm.id)
    with installation.worker_database.write(firm.id) as session:
        trees = Trees(session, firm.id)
        one = next(s for s in stored.spoken(trees, "record_sha256", "prediction_id") if s.key == key)
        assert trees.blank([UUID(one.entry_id)], entry.CONTENT) == 1
    report = checked(installation, firm)
    assert report.findings == []
    assert report.notes == ["1 decision has an entry whose words were erased."]


def test_decisions_older_than_what_retention_kept_are_not_taken_for_added_ones(
    installation: Installation, firm: Firm, model: Model, clock: SteppingClock
) -> None:
    single(installation, firm, model)
    batch = batch_of(installation, firm, model, 3)
    size = seal(installation, firm.id).size
    clock.now += timedelta(days=1)
    with Act(installation.database, firm.as_role("admin"), "later", "firm"):
        pass
    seal(installation, firm.id)
    with installation.worker_database.write(firm.id) as session:
        Trees(session, firm.id).give_up_below(size)
    with installation.worker_database.write(firm.id) as session:
        assert Trees(session, firm.id).delete_between(0, size) == size
    report = checked(installation, firm)
    assert (report.findings, report.decisions) == ([], 0)
    assert report.notes == ["4 decisions are older than the entries that retention has kept."]
    with installation.database.write(firm.id) as session:
        predictions.insert_many(
            session, [{**rows_of(firm, model, batch, [9])[0][0], "batch_id": None, "created_at": clock.now}], COLUMNS
        )
    assert kinds(records.verify(installation, firm.id)) == ["decision-added"]


def test_a_shadow_without_an_entry_is_noted(installation: Installation, firm: Firm, model: Model) -> None:
    (row,), _ = rows_of(firm, model, new_id(NOW), [1])
    key = single(installation, firm, model)
    with installation.database.write(firm.id) as session:
        predictions.insert_many(session, [row | {"batch_id": None, "shadow_of": key}], [*COLUMNS, "shadow_of"])
    report = checked(installation, firm)
    assert (report.findings, report.notes) == ([], ["1 shadow decision has no entry of its own."])


# --- batches


def test_changed_added_moved_and_removed_rows_of_a_batch_are_named(
    installation: Installation, firm: Firm, model: Model
) -> None:
    batch = batch_of(installation, firm, model, 30)
    keys = row_ids(installation, firm, batch)
    seal(installation, firm.id)
    change(installation, "UPDATE predictions SET probability = 0.25 WHERE id = :id", id=keys[4])
    change(installation, "DELETE FROM predictions WHERE id = :id", id=keys[9])
    change(installation, "UPDATE predictions SET batch_row = 300 WHERE id = :id", id=keys[14])
    (new,), _ = rows_of(firm, model, batch, [21])
    with installation.database.write(firm.id) as session:
        predictions.insert_many(session, [new | {"subject_id": "N-1"}], COLUMNS)
    report = checked(installation, firm)
    assert report.decisions == 30
    assert kinds(report) == ["decision-added", "decision-changed", "decision-changed", "decision-removed"]
    texts = [f.text for f in report.findings]
    assert (
        texts[0]
        == f"Decision {keys[4]} (subject S-5, row 5) was changed: it is not the one that stood at position 5 of 30 in the records of batch {batch}."
    )
    assert texts[1] == (f"A decision was removed: position 10 of 30 in the records of batch {batch}, after decision {keys[8]} (subject S-9, row 9)"
                        f" and before decision {keys[10]} (subject S-11, row 11).")  # fmt: skip
    assert (
        texts[2]
        == f"Decision {new['id']} (subject N-1, row 21) was added to batch {batch}: its records do not hold it."
    )
    assert texts[3].startswith(f"Decision {keys[14]} (subject S-15, row 300) was changed: its row number")


@pytest.mark.parametrize("state", ["missing", "altered"])
def test_without_the_file_the_root_decides_and_no_row_can_be_named(
    installation: Installation, firm: Firm, model: Model, state: str
) -> None:
    batch = batch_of(installation, firm, model, 10)
    keys = row_ids(installation, firm, batch)
    path = stored.file_of(installation, batch)
    if state == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-32])
    report = checked(installation, firm)
    assert report.findings == []
    (note,) = report.notes
    assert "single rows cannot be named" in note
    assert str(batch) in note
    assert state in note
    change(installation, "UPDATE predictions SET probability = 0.25 WHERE id = :id", id=keys[4])
    (found,) = checked(installation, firm).findings
    assert (found.kind, found.subject) == ("batch-changed", str(batch))
    erase(installation, firm, keys[:1], listed=True)
    (found,) = checked(installation, firm).findings
    assert found.kind == "batch-changed"
    assert "cannot be compared" in found.text


def test_a_batch_that_is_gone_is_named(installation: Installation, firm: Firm, model: Model) -> None:
    batch, other = batch_of(installation, firm, model, 3), batch_of(installation, firm, model, 2)
    seal(installation, firm.id)
    change(installation, "DELETE FROM predictions WHERE batch_id = :id", id=batch)
    change(installation, "DELETE FROM predictions WHERE batch_id = :id", id=other)
    change(installation, "DELETE FROM batch_uploads WHERE id = :id", id=other)
    report = checked(installation, firm)
    assert [(f.kind, f.subject) for f in report.findings] == [
        ("batch-removed", str(batch)),
        ("batch-removed", str(other)),
    ]


def test_rows_of_a_batch_that_has_not_ended_are_noted_and_those_of_one_that_never_was_named(
    installation: Installation, firm: Firm, model: Model
) -> None:
    batch_of(installation, firm, model, 3, status="failed")
    batch_of(installation, firm, model, 2, status="processing")
    report = checked(installation, firm)
    assert (report.findings, report.decisions) == ([], 0)
    assert report.notes == [
        "5 decisions have no entry yet: their batches have not ended (2 pending, cancelled or failed)."
    ]
    invented = batch_of(installation, firm, model, 2, status="failed")
    change(installation, "UPDATE batch_uploads SET status = 'completed' WHERE id = :id", id=invented)
    report = checked(installation, firm)
    assert kinds(report) == ["decision-added", "decision-added"]
    assert all(str(invented) in f.text for f in report.findings)


def test_a_batch_whose_row_tells_another_root_was_changed(installation: Installation, firm: Firm, model: Model) -> None:
    batch = batch_of(installation, firm, model, 2)
    cast = "" if installation.database.is_sqlite else "::jsonb"
    change(
        installation,
        f"UPDATE batch_uploads SET metadata = cast(:m as text){cast} WHERE id = :id",
        m='{"records_root": "00"}',
        id=batch,
    )
    (found,) = checked(installation, firm).findings
    assert (found.kind, found.subject) == ("batch-changed", str(batch))


def test_findings_are_kept_up_to_a_limit_and_all_counted(sqlite_url: str, make_installation: Any) -> None:
    installation = make_installation(sqlite_url)
    firm = Firm(installation, "northwind")
    batch_of(installation, firm, register(installation, firm.admin), MOST + 50)
    change(installation, "UPDATE predictions SET probability = 0.25")
    report = checked(installation, firm)
    assert (len(report.findings), report.count, report.decisions) == (MOST, MOST + 50, MOST + 50)


# --- at size


@pytest.mark.slow
def test_one_altered_one_added_and_one_removed_of_a_hundred_thousand_are_named(
    installation: Installation, firm: Firm, model: Model
) -> None:
    batch = batch_of(installation, firm, model, 100_000)
    seal(installation, firm.id)

    def timed() -> tuple[RecordsReport, float]:
        before = time.process_time()
        report = records.verify(installation, firm.id)
        return report, time.process_time() - before

    clean, seconds = timed()
    assert (clean.decisions, clean.findings) == (100_000, [])
    keys = row_ids(installation, firm, batch)
    change(installation, "UPDATE predictions SET prediction_result = 'high' WHERE id = :id", id=keys[41_999])
    change(installation, "DELETE FROM predictions WHERE id = :id", id=keys[77_000])
    (new,), _ = rows_of(firm, model, batch, [5_000])
    with installation.database.write(firm.id) as session:
        predictions.insert_many(session, [new], COLUMNS)
    report, again = timed()
    print(
        f"\n100,000 rows on {'SQLite' if installation.database.is_sqlite else 'PostgreSQL'}: {seconds:.2f} CPU-s clean, {again:.2f} tampered"
    )
    assert kinds(report) == ["decision-added", "decision-changed", "decision-removed"]
    texts = "\n".join(f.text for f in report.findings)
    for said in (f"{keys[41_999]} (subject S-42000, row 42000) was changed", f"{new['id']} (subject S-5000, row 5000) was added",
                 f"removed: position 77001 of 100000 in the records of batch {batch}, after decision {keys[76_999]}"):  # fmt: skip
        assert said in texts
    assert max(seconds, again) < (6 if installation.database.is_sqlite else 15)
