"""A version that misses a gate is not activated, unless somebody forces it with a reason; what was asked stands in the entry."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from plumbline.credit import service, synthetic
from plumbline.credit.intake.schema import Schema
from plumbline.kernel.errors import Conflict
from plumbline.kernel.models import service as models
from plumbline.kernel.models.card import to_html
from plumbline.kernel.models.service.cards import card_of
from plumbline.kernel.models.service.gates import gates
from plumbline.kernel.models.tables import Model
from tests.credit.trained import Lender


def version(lender: Lender, *evaluations: models.Evaluated, **noted: Any) -> Model:
    """The same file as a further version, with other things measured or noted."""
    house, one = lender.installation, models.get(lender.installation, lender.admin, str(lender.model_id))
    extra = {
        k: v for k, v in one.extra.items() if k not in ("sha256", "size", "trained_by", "artifact_state", "previous_id")
    } | noted
    return models.register(
        house, lender.admin, name=one.name, kind=one.kind, framework=one.framework, model_type=one.model_type,
        artifact=house.artifacts.get(lender.sha256), features=one.features, target_classes=one.target_classes, metrics=one.metrics,
        trained_at=one.trained_at, evaluations=evaluations, extra=extra, right="credit.train",
    )  # fmt: skip


def comparison(lender: Lender, low: float, high: float, verdict: str) -> models.Evaluated:
    told = {
        "metric": "roc_auc",
        "champion": 0.75,
        "challenger": 0.74,
        "difference": (low + high) / 2,
        "low": low,
        "high": high,
        "verdict": verdict,
    }
    live = models.get(lender.installation, lender.admin, str(lender.model_id))
    return models.Evaluated(
        dataset=f"comparison:{live.name}@{live.version}", sample_count=900,
        extra={"champion_id": str(live.id), "comparison": {"champion": f"{live.name}@{live.version}", "rows": 900, "differences": [told]}},
    )  # fmt: skip


def calibrated(p: float) -> models.Evaluated:
    return models.Evaluated(dataset="test", sample_count=900, metrics={"calibration_p": p, "calibration_slope": 0.9})


def states(lender: Lender, wanted: Model) -> dict[str, str]:
    live = models.active(lender.installation, lender.admin, kind="credit")
    return {gate.name: gate.state for gate in gates(lender.installation, lender.admin, live, wanted)}


def test_what_was_not_measured_is_unknown_and_recorded(lender: Lender) -> None:
    wanted = version(lender)
    found = states(lender, wanted)
    assert found["comparison"] == found["calibration"] == "unknown"
    assert found["reasons"] == "ok"
    models.activate(lender.installation, lender.admin, str(wanted.id), reason="the second version")
    (entry,) = [e for e in lender.entries("models.activate") if e.resource_id == wanted.id]
    assert entry.details["gates"] == found
    assert entry.details["forced"] is None


@pytest.mark.parametrize(
    ("gate", "evaluated", "noted"),
    [("comparison", (-0.03, -0.01, "worse"), {}), ("calibration", 0.001, {}), ("reasons", None, {"without_reason_text": ["AMT_X", "AMT_Y"]})],
    ids=["worse", "uncalibrated", "no reason text"],
)  # fmt: skip
def test_a_missed_gate_refuses_unless_forced_with_a_reason(
    lender: Lender, gate: str, evaluated: Any, noted: dict[str, Any]
) -> None:
    measured = (
        [comparison(lender, *evaluated)]
        if gate == "comparison"
        else [calibrated(evaluated)]
        if evaluated is not None
        else []
    )
    wanted = version(lender, *measured, **noted)
    assert states(lender, wanted)[gate] == "missed"
    with pytest.raises(Conflict, match=f"misses a gate: {gate}"):
        models.activate(lender.installation, lender.admin, str(wanted.id), reason="we want it")
    key = replace(lender.admin, rights=frozenset({"models.activate"}))  # who may not read is asked all the same
    with pytest.raises(Conflict, match=f"misses a gate: {gate}"):
        models.activate(lender.installation, key, str(wanted.id), reason="we want it")
    assert models.active(lender.installation, lender.admin, kind="credit").id == lender.model_id
    models.activate(
        lender.installation, lender.admin, str(wanted.id), reason="the risk committee accepted it", force=True
    )
    (entry,) = [e for e in lender.entries("models.activate") if e.resource_id == wanted.id]
    assert entry.details["forced"] == [gate]
    assert entry.details["gates"][gate] == "missed"


def test_sound_evidence_passes(lender: Lender) -> None:
    wanted = version(lender, comparison(lender, -0.002, 0.004, "no difference shown"), calibrated(0.4))
    found = states(lender, wanted)
    assert (found["comparison"], found["calibration"], found["leaks"], found["reasons"]) == ("ok", "ok", "ok", "ok")


def test_a_comparison_with_another_version_than_the_live_one_says_nothing(lender: Lender) -> None:
    wanted = version(lender, comparison(lender, 0.01, 0.02, "better"))
    assert states(lender, wanted)["comparison"] == "ok"
    other = version(lender)
    models.activate(lender.installation, lender.admin, str(other.id), reason="the second version")
    assert states(lender, wanted)["comparison"] == "unknown"


def test_going_back_asks_no_gate(lender: Lender) -> None:
    wanted = version(lender, without_reason_text=["AMT_X"])
    models.activate(
        lender.installation, lender.admin, str(wanted.id), reason="the risk committee accepted it", force=True
    )
    models.rollback(lender.installation, lender.admin, wanted.name, reason="the committee changed its mind")
    assert models.active(lender.installation, lender.admin, kind="credit").id == lender.model_id


WHY = "To show what a leak does to the figures of a model."


def test_a_trained_model_shows_what_the_gates_ask_for(embedded: Lender) -> None:
    model = models.get(embedded.installation, embedded.admin, str(embedded.model_id))
    found = {gate.name: gate for gate in gates(embedded.installation, embedded.admin, None, model)}
    assert found["leaks"].state == "ok"
    measured = models.evaluations_of(embedded.installation, embedded.admin, model.id)
    report = next(m.evaluation.extra["fairness"] for m in measured if m.evaluation.dataset == "policy")
    verdicts = [g["verdict"] for g in report["groups"]]
    assert len(verdicts) > 5
    assert found["fairness"].state == ("missed" if "fails" in verdicts else "ok")
    assert f"of {len(verdicts)} are undetermined" in found["fairness"].said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("gate", "made", "options", "said"),
    [("fairness", {"group_effect": 2.0}, {"exclude_protected": False}, "sex: M"), ("leaks", {"leak": "imputed"}, {"accept_leak": WHY}, WHY)],
    ids=["unequal", "leaking"],
)  # fmt: skip
def test_training_that_shows_something_bad_stops_the_activation(
    embedded: Lender, gate: str, made: dict[str, Any], options: dict[str, Any], said: str
) -> None:
    house = embedded.installation
    tables = synthetic.generate(6000, 3, months=2, **made).tables
    wanted = service.train(house, embedded.analyst, tables=tables, schema=Schema.load("home_credit"), **options)
    live = models.active(house, embedded.admin, kind="credit")
    found = {one.name: one for one in gates(house, embedded.admin, live, wanted)}
    assert found[gate].state == "missed"
    assert said in found[gate].said
    with pytest.raises(Conflict, match=rf"misses (a gate|2 gates): .*{gate}"):
        models.activate(house, embedded.admin, str(wanted.id), reason="we want it")
    models.activate(house, embedded.admin, str(wanted.id), reason="the risk committee accepted it", force=True)
    (entry,) = [e for e in embedded.entries("models.activate") if e.resource_id == wanted.id]
    assert gate in entry.details["forced"]


def test_the_card_tells_groups_leaks_and_drift_reference(embedded: Lender) -> None:
    told = card_of(embedded.installation, embedded.admin, embedded.model_id)
    assert {g["verdict"] for g in told["subgroups"]["groups"]} <= {"passes", "fails", "undetermined"}
    assert told["leaks"] == {"columns": told["leaks"]["columns"], "alarms": [], "accepted": None}
    assert told["drift_reference"]["rows"] > 1000
    assert "How groups fare" in to_html(told)
