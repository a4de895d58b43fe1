"""Training stops at a leak unless somebody says why it should not."""

from __future__ import annotations

import pytest

from plumbline.credit import service, synthetic
from plumbline.credit.intake.schema import Schema
from plumbline.credit.service.promotion import gates
from plumbline.kernel.errors import Conflict, InvalidInput
from plumbline.kernel.models import service as models
from tests.credit.trained import Lender

HOME = Schema.load("home_credit")
WHY = "To show what a leak does to the figures of a model."


@pytest.fixture(scope="module")
def leaking() -> dict[str, object]:
    return dict(synthetic.generate(6000, 3, leak="imputed", months=2).tables)


def test_nothing_is_trained_on_a_leak(embedded: Lender, leaking: dict) -> None:  # type: ignore[type-arg]
    before = embedded.count("ml_models")
    with pytest.raises(Conflict) as told:
        service.train(embedded.installation, embedded.analyst, tables=leaking, schema=HOME)
    assert all(name in str(told.value) for name in synthetic.IMPUTED_COLUMNS)
    assert "--accept-leak" in (told.value.remedy or "")
    assert embedded.count("ml_models") == before
    (entry,) = embedded.entries("credit.train", success=False)  # that it was tried stands in the log
    assert entry.success is False
    assert entry.user_id == embedded.analyst.user_id
    assert "nothing was trained" in (entry.error_message or "")
    assert {name.removeprefix("application.") for name in entry.details["leaks"]} == set(synthetic.IMPUTED_COLUMNS)


def test_a_reason_has_to_say_something(embedded: Lender, leaking: dict) -> None:  # type: ignore[type-arg]
    with pytest.raises(InvalidInput, match="too short"):
        service.train(embedded.installation, embedded.analyst, tables=leaking, schema=HOME, accept_leak="  because  ")


def test_the_reason_stands_in_the_audit_entry_and_with_the_model(embedded: Lender, leaking: dict) -> None:  # type: ignore[type-arg]
    model = service.train(embedded.installation, embedded.analyst, tables=leaking, schema=HOME, accept_leak=WHY)
    entry = embedded.entries("models.register")[-1]
    assert entry.details["leaks_accepted"] == WHY
    assert {name.removeprefix("application.") for name in entry.details["leaks"]} == set(synthetic.IMPUTED_COLUMNS)
    leaks = model.extra["leaks"]
    assert leaks["accepted"] == WHY
    assert len(leaks["alarms"]) == 8
    gate = next(g for g in gates(embedded.installation, embedded.admin, None, model) if g.name == "leaks")
    assert gate.state == "missed"


def test_a_clean_training_says_that_it_looked(embedded: Lender) -> None:
    model = models.get(embedded.installation, embedded.analyst, str(embedded.model_id))
    leaks = model.extra["leaks"]
    assert leaks["alarms"] == []
    assert leaks["accepted"] is None
    assert leaks["rows"] == 1500
    assert leaks["columns"] > 100
