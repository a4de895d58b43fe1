"""Many rows at once: what is there already stays, and it is fast."""

from __future__ import annotations

import os
import time
import uuid
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from plumbline.kernel.database import Table, bulk_insert, new_id
from plumbline.kernel.database.ids import first_id, time_of
from plumbline.kernel.installation import Installation
from plumbline.kernel.models.tables import Model, Prediction
from tests.conftest import NOW, Firm

COLUMNS = [c.name for c in Prediction.__table__.columns]


def filled(table: type[Table], firm: Firm, **given: Any) -> dict[str, Any]:
    """A row with every column that must be there."""
    made: dict[str, Any] = {}
    for column in table.__table__.columns:
        if not column.nullable:
            kind = type(column.type).__name__
            made[column.name] = {"Text": "x" * 8, "Json": {"a": 1}, "Timestamp": NOW, "Flag": False, "Id": firm.id}.get(
                kind, 1
            )
    return made | {"id": new_id(NOW), "organization_id": firm.id} | given


def row(firm: Firm, **given: Any) -> dict[str, Any]:
    """A prediction of a model that is made with the first one."""
    if not hasattr(firm, "model"):
        values = filled(Model, firm, model_type="classification")
        with firm.installation.database.write(firm.id) as session:
            session.execute(sa.insert(Model.__table__), values)
        firm.model = values["id"]  # type: ignore[attr-defined]
    return filled(Prediction, firm, ml_model_id=firm.model, **given)  # type: ignore[attr-defined]


def count(installation: Installation, firm: Firm) -> int:
    with installation.database.read(firm.id) as session:
        return (
            session.scalar(
                sa.select(sa.func.count()).select_from(Prediction).where(Prediction.organization_id == firm.id)
            )
            or 0
        )


@pytest.mark.parametrize("many", [5, 250])
def test_rows_whose_id_is_there_are_left_as_they_are(installation: Installation, firm: Firm, many: int) -> None:
    rows = [row(firm) for _ in range(many)]
    with installation.database.write(firm.id) as session:
        assert bulk_insert(session, Prediction, rows[: many - 2], columns=COLUMNS) == many - 2
    with installation.database.write(firm.id) as session:
        assert bulk_insert(session, Prediction, iter(rows), columns=COLUMNS) == 2
        assert bulk_insert(session, Prediction, [], columns=COLUMNS) == 0
    assert count(installation, firm) == many


def test_a_fault_in_the_last_row_leaves_nothing(installation: Installation, firm: Firm) -> None:
    rows = [row(firm) for _ in range(300)] + [row(firm, organization_id=None)]
    with (
        pytest.raises(sa.exc.SQLAlchemyError if installation.database.is_sqlite else Exception),
        installation.database.write(firm.id) as session,
    ):
        bulk_insert(session, Prediction, rows, columns=COLUMNS)
    assert count(installation, firm) == 0


@pytest.mark.slow
def test_it_inserts_fifty_thousand_rows_a_second(installation: Installation, firm: Firm) -> None:
    least = 50_000 if installation.database.is_sqlite else 40_000

    base = row(firm)
    best = 0.0
    for _ in range(3):
        first = new_id(NOW).int
        made = [base | {"id": uuid.UUID(int=first + i)} for i in range(40_000)]
        began = time.perf_counter()
        with installation.database.write(firm.id) as session:
            bulk_insert(session, Prediction, made, columns=COLUMNS)
        best = max(best, len(made) / (time.perf_counter() - began))
    print(f"{installation.database.engine.dialect.name}: {best:,.0f} rows/s")
    others = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))  # the figures are for processors of one's own
    assert best >= least / others


def test_ids_ascend_and_say_their_time() -> None:
    moment = NOW + timedelta(days=1)  # of this test alone: ids of one moment go on from the last
    made = [new_id(moment) for _ in range(10_000)]  # more than fit into its millisecond
    assert made == sorted(made)
    assert len(set(made)) == 10_000
    assert time_of(made[0]) == moment
    assert time_of(made[-1]) - moment < timedelta(seconds=1)
    assert all(first_id(moment) <= k and k.version == 7 for k in made)


def test_a_clock_that_is_set_back_gives_earlier_ids() -> None:
    moment = NOW + timedelta(days=2)
    later = new_id(moment)
    assert new_id(moment - timedelta(hours=1)) < later
