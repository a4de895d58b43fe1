"""Decisions: what the ledger's record binds, pages, counts, batches."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from plumbline.kernel import canonical, clock
from plumbline.kernel.database import Database, new_id, types
from plumbline.kernel.errors import NotFound
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger import entry
from plumbline.kernel.models import predictions
from plumbline.kernel.models.tables import Model, Prediction
from plumbline.kernel.paging import PageRequest
from tests.conftest import NOW, Firm
from tests.kernel.models.scale import register

pytestmark = pytest.mark.usefixtures("scale_room")
SHA = "ab" * 32
COLUMNS = ("id", "organization_id", "prediction_type", "subject_id", "content", "prediction_result", "probability", "features", "ml_model_id",
           "metadata", "record_salt", "created_at")  # fmt: skip


def row(firm: Firm, model: Model, **given: Any) -> dict[str, Any]:
    values = {
        "id": new_id(NOW), "organization_id": firm.id, "prediction_type": "scale", "subject_id": "S-1",
        "content": {"application": {"x": 1.5, "big": 1e17, "tiny": 5e-324, "n": -0.0, "name": "Zoë\n\u2028"}, "rows": [1, None, True]},
        "prediction_result": "low", "probability": 0.125, "features": {"x": 1.5, "y": 1e22}, "ml_model_id": model.id,
        "extra": {"threshold": 0.0909, "decision": "approve"}, "record_salt": os.urandom(32), "created_at": NOW,
    }  # fmt: skip
    return values | given


def stored(installation: Installation, firm: Firm, **given: Any) -> tuple[dict[str, Any], str]:
    """A decision and what its act's entry says of it."""
    made = row(firm, register(installation, firm.admin), **given)
    with installation.database.write(firm.id) as session:
        predictions.insert_one(session, **made)
    return made, entry.record_hash(made["record_salt"], predictions.record_of(made, SHA))


def held(installation: Installation, firm: Firm, key: UUID) -> Prediction:
    with installation.database.read(firm.id) as session:
        return predictions.get(session, firm.id, key)


def test_a_stored_decision_is_the_one_its_entry_commits_to(installation: Installation, firm: Firm) -> None:
    made, bound = stored(installation, firm)
    kept = held(installation, firm, made["id"])
    assert predictions.check_record(kept, SHA, made["record_salt"], bound)
    assert not predictions.check_record(kept, "cd" * 32, made["record_salt"], bound)
    assert not predictions.check_record(kept, SHA, os.urandom(32), bound)


@pytest.mark.parametrize(
    "change",
    [{"probability": 0.126}, {"prediction_result": "high"}, {"subject_id": "S-2"}, {"content": {"application": {"x": 1.6}}}, {"features": None},
     {"extra": {"threshold": 0.0909, "decision": "decline"}}, {"created_at": NOW - timedelta(microseconds=1)}, {"prediction_type": "other"}],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_a_row_changed_by_the_databases_owner_no_longer_fits(installation: Installation, firm: Firm, database_url: str,
                                                             change: dict[str, Any]) -> None:  # fmt: skip
    made, bound = stored(installation, firm)
    owner = Database(database_url, role="owner")
    try:
        with owner.connect(write=True) as connection:
            table = {"extra": "metadata"}
            values = {table.get(k, k): v for k, v in change.items()}
            target = sa.update(Prediction.__table__).where(Prediction.id == made["id"]).values(values)  # type: ignore[arg-type]
            assert connection.execute(target.execution_options(tenant="all")).rowcount == 1
    finally:
        owner.close()
    assert not predictions.check_record(held(installation, firm, made["id"]), SHA, made["record_salt"], bound)


def test_an_outcome_written_later_changes_no_record(installation: Installation, firm: Firm) -> None:
    made, bound = stored(installation, firm)
    with installation.database.write(firm.id) as session:
        later = {"outcome": "repaid", "outcome_at": NOW, "extra": made["extra"] | {"outcome": {"source": "feed"}}}
        session.execute(
            sa.update(Prediction)
            .where(Prediction.organization_id == firm.id, Prediction.id == made["id"])
            .values(**later)
        )
    assert predictions.check_record(held(installation, firm, made["id"]), SHA, made["record_salt"], bound)


_leaf = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(
    st.characters(exclude_characters="\x00", exclude_categories=("Cs",)), max_size=8)  # fmt: skip
_object = st.dictionaries(
    st.text(st.characters(exclude_characters="\x00", exclude_categories=("Cs",)), max_size=6), _leaf, max_size=4
)


@given(content=_object, explanation=st.none() | _object, features=st.none() | _object, probability=st.floats(0, 1), subject=st.text(
    st.characters(exclude_characters="\x00", exclude_categories=("Cs",)), max_size=12), batch=st.none() | st.uuids())  # fmt: skip
def test_the_bytes_made_for_batches_are_those_of_the_record(content: Any, explanation: Any, features: Any, probability: float, subject: str,
                                                            batch: UUID | None) -> None:  # fmt: skip
    key, org = UUID(int=1), UUID(int=2)
    record = predictions.record_of({
        "id": key, "organization_id": org, "prediction_type": "credit", "subject_id": subject, "content": content, "explanation": explanation, "features": features,
        "prediction_result": "low", "probability": probability, "batch_id": batch, "created_at": NOW, "extra": {"a": 1},
    }, SHA)  # fmt: skip
    made = predictions.record_bytes(
        id=key, organization_id=org, prediction_type="credit", subject_id=subject, content=canonical.dumps(content).decode(),
        explanation=canonical.dumps(explanation).decode(), features=canonical.dumps(features).decode(), prediction_result="low", probability=probability, model_sha256=SHA, batch_id=batch,
        created_at=clock.text(NOW), metadata='{"a":1}',
    )  # fmt: skip
    assert made == canonical.dumps(record)


def test_many_are_written_at_once_with_texts_made_elsewhere(installation: Installation, firm: Firm) -> None:
    model = register(installation, firm.admin)
    rows = []
    for n in range(450):  # enough for COPY
        made = row(firm, model, subject_id=f"S-{n}", probability=n / 450)
        made["metadata"] = made.pop("extra")
        made["features"] = types.Encoded(json.dumps({"x": n}))
        rows.append(made)
    with installation.database.write(firm.id) as session:
        assert predictions.insert_many(session, rows, COLUMNS) == 450
    with installation.database.write(firm.id) as session:
        again = [one | {"probability": 1.0} for one in rows[:3]]
        assert predictions.insert_many(session, again, COLUMNS) == 0  # what is there stays as it is
        assert predictions.page(session, firm.id, PageRequest()).total == 450
    assert held(installation, firm, rows[7]["id"]).features == {"x": 7}
    assert held(installation, firm, rows[1]["id"]).probability == 1 / 450


def test_pages_are_filtered_by_what_decided_about_whom_when(installation: Installation, firm: Firm) -> None:
    model, other = register(installation, firm.admin), register(installation, firm.admin)
    with installation.database.write(firm.id) as session:
        key = new_id(NOW)
        predictions.insert_batch(session, id=key, organization_id=firm.id, user_id=None, ml_model_id=model.id, prediction_type="scale",
                                 filename="a.csv", file_size=1, file_sha256=SHA, status="pending", upload_date=NOW, extra={})  # fmt: skip
        for n in range(6):
            at = NOW + timedelta(days=n)
            made = row(firm, other if n == 5 else model, id=new_id(at), created_at=at, subject_id=f"S-{n % 2}", probability=0.1 + n / 10,
                       prediction_result="high" if n > 3 else "low", batch_id=key if n < 2 else None)  # fmt: skip
            predictions.insert_one(session, **made)
        shadow = row(firm, model, id=new_id(NOW + timedelta(days=9)), shadow_of=made["id"], subject_id="S-0")
        predictions.insert_one(session, **shadow)

    def subjects(**wanted: Any) -> int:
        with installation.database.read(firm.id) as session:
            found = predictions.page(session, firm.id, PageRequest(), **wanted)
            assert found.total == len(found.items)
            return len(found.items)

    assert subjects() == 6
    assert subjects(shadows=True) == 7
    assert subjects(subject_id="S-1") == 3
    assert subjects(model_id=other.id) == 1
    assert subjects(batch_id=key) == 2
    assert subjects(result="high") == 2
    assert subjects(prediction_type="other") == 0
    assert subjects(since=NOW + timedelta(days=1), until=NOW + timedelta(days=3)) == 2
    with installation.database.read(firm.id) as session:
        days = predictions.per_day(session, firm.id, since=NOW + timedelta(days=3))
        assert [(d.day, d.result, d.count) for d in days] == [
            ("2026-11-27", "low", 1), ("2026-11-28", "high", 1), ("2026-11-29", "high", 1),
        ]  # fmt: skip
        assert predictions.per_result(session, firm.id) == {"high": 2, "low": 4}
        assert predictions.per_result(session, firm.id, most=3) == {"high": 2, "low": 1}
        assert predictions.histogram(session, firm.id, bins=4) == [2, 2, 2, 0]
        assert predictions.histogram(session, firm.id, bins=4, batch_id=key) == [2, 0, 0, 0]


def test_a_batch_is_kept_and_followed(installation: Installation, firm: Firm) -> None:
    model, key = register(installation, firm.admin), new_id(NOW)
    with installation.database.write(firm.id) as session:
        predictions.insert_batch(session, id=key, organization_id=firm.id, user_id=firm.people["analyst"], ml_model_id=model.id,
                                 prediction_type="scale", filename="a.csv", file_size=1, file_sha256=SHA, status="pending", upload_date=NOW,
                                 extra={})  # fmt: skip
        assert predictions.update_batch(session, firm.id, key, status="completed", num_applications=7) == 1
        assert predictions.get_batch(session, firm.id, key).num_applications == 7
        assert predictions.batches(session, firm.id, PageRequest(), status="pending").total == 0
        assert [b.id for b in predictions.batches(session, firm.id, PageRequest(), prediction_type="scale").items] == [
            key
        ]
        assert predictions.batch_with_hash(session, firm.id, SHA, model.id, firm.people["analyst"]) == key
        assert predictions.batch_with_hash(session, firm.id, SHA, model.id, None) is None
        assert predictions.model_of(session, firm.id, model.id).version == "1"


def test_nothing_is_found_under_an_unknown_id(installation: Installation, firm: Firm) -> None:
    with installation.database.read(firm.id) as session:
        for look in (predictions.get, predictions.get_batch):
            with pytest.raises(NotFound):
                look(session, firm.id, UUID(int=5))
