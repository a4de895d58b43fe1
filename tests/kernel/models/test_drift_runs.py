"""Drift runs: one report a window, recomputable, one finding a version, nothing of another organization."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import numpy as np
import pytest
import sqlalchemy as sa

from plumbline.kernel.database import Database
from plumbline.kernel.errors import Conflict, Corrupt, Forbidden, InvalidInput, NotFound
from plumbline.kernel.findings import service as findings
from plumbline.kernel.installation import Installation
from plumbline.kernel.jobs.service import run_inline
from plumbline.kernel.ledger.tables import AuditEntry
from plumbline.kernel.models.profiles import count
from plumbline.kernel.models.service import drift, drift_reports, profiling
from plumbline.kernel.models.tables import DriftRun, DriftRunScore, Model
from plumbline.kernel.paging import PageRequest
from tests.conftest import Firm, SteppingClock
from tests.kernel.models.drifting import SPECS, batch, decide, people, trained
from tests.kernel.models.scale import register

pytestmark = pytest.mark.usefixtures("scale_room")


def entries(installation: Installation, firm: Firm, action: str) -> list[AuditEntry]:
    with installation.database.read(firm.id) as session:
        statement = sa.select(AuditEntry).where(AuditEntry.organization_id == firm.id, AuditEntry.action == action)
        return list(session.scalars(statement.order_by(AuditEntry.id)))


def waiting(installation: Installation, firm: Firm) -> list[tuple[str, str, str]]:
    page = findings.list_findings(installation, firm.admin, PageRequest(), state="waiting", room="models")
    return [(f.severity, f.title, f.url) for f in page.items]


def test_single_decisions_of_a_window_are_compared(installation: Installation, firm: Firm, clock: SteppingClock) -> None:  # fmt: skip
    model = trained(installation, firm)
    decide(installation, firm, model, people(200, 5, 3.0))
    clock.now += timedelta(days=2)
    begun, columns = clock.now, people(600, 2, 1.0)
    decide(installation, firm, model, columns)
    clock.now += timedelta(days=2)
    analyst = firm.as_role("analyst")
    outcome = drift.run(installation, analyst, "scale", since=begun, until=begun + timedelta(days=1))
    assert outcome.run_id is not None
    kept = drift_reports.get_run(installation, analyst, outcome.run_id)
    with installation.database.read(firm.id) as session:
        held = profiling.reference_of(session, firm.id, model.id)
    assert held is not None
    assert kept.run.extra["current_sha256"] == count(held.grid, columns).sha256
    assert (kept.run.extra["rows"], kept.run.extra["reference_rows"], kept.run.drift_detected) == (600, 4000, True)
    assert {f["feature"] for f in kept.run.drifted_features} == {"x", "probability"}
    assert {name: (s.threshold, s.is_drifted) for name, s in kept.scores.items()} == {
        "psi": (0.1, True), "kl_divergence": (0.05, True), "ks_test": (0.129, True),
    }  # fmt: skip
    assert set(kept.scores["psi"].feature_drifts) == {spec.name for spec in SPECS}
    assert set(kept.scores["ks_test"].feature_drifts) == {"x", "probability"}
    assert drift_reports.verify(installation, analyst, outcome.run_id).faults == []
    (entry,) = entries(installation, firm, "models.drift")
    assert (entry.resource_id, entry.success) == (outcome.run_id, True)


def test_a_window_has_one_report(installation: Installation, firm: Firm, clock: SteppingClock) -> None:
    model = trained(installation, firm)
    decide(installation, firm, model, people(300, 2, 2.0))
    since, until = clock.now, clock.now + timedelta(hours=1)
    first = drift.run(installation, firm.admin, model.id, since=since, until=until)
    again = drift.run(installation, firm.admin, model.id, since=since, until=until)
    assert (first.run_id, first.details["change"]) == (again.run_id, "new")
    assert again.details == first.details | {"change": "same"}
    clock.now += timedelta(minutes=1)
    decide(installation, firm, model, people(300, 3))
    third = drift.run(installation, firm.as_role("admin"), model.id, since=since, until=until)
    assert (third.run_id, third.details["change"]) == (first.run_id, "replaced")
    with installation.database.read(firm.id) as session:
        for table, rows in ((DriftRun, 1), (DriftRunScore, 3)):
            assert session.scalar(sa.select(sa.func.count()).where(table.organization_id == firm.id)) == rows
    assert third.run_id is not None
    run = drift_reports.get_run(installation, firm.admin, third.run_id).run
    assert (run.extra["rows"], run.created_at) == (600, clock.now)
    assert drift_reports.verify(installation, firm.admin, run.id).faults == []


def test_a_file_is_the_sum_of_its_chunks(installation: Installation, firm: Firm) -> None:
    model = trained(installation, firm)
    parts = [people(500, n, 0.6) for n in range(3)]
    whole = {name: [v for part in parts for v in part[name].tolist()] for name in parts[0]}
    outcome = drift.run(installation, firm.admin, model.id, batch_id=batch(installation, firm, model, *parts))
    once = drift.run(installation, firm.admin, model.id, batch_id=batch(installation, firm, model, {k: np.array(v) for k, v in whole.items()}))  # fmt: skip
    assert outcome.comparison is not None
    assert once.comparison is not None
    assert outcome.comparison.report.current == once.comparison.report.current
    assert outcome.run_id != once.run_id


def test_what_cannot_be_compared_is_told_and_leaves_no_report(
    installation: Installation, firm: Firm, clock: SteppingClock
) -> None:
    old = register(installation, firm.admin, name="old")
    model = trained(installation, firm)
    assert drift.run(installation, firm.admin, old.id).state == "no_reference"
    assert drift.request(installation, firm.admin, "old")[0] is None
    assert drift.run(installation, firm.admin, model.id).state == "no_rows"
    key = batch(installation, firm, model, people(50, 3), scored=60)
    assert drift.run(installation, firm.admin, model.id, batch_id=key).state == "incomplete"
    assert drift_reports.list_runs(installation, firm.admin, PageRequest()).items == []
    assert drift_reports.trail(installation, firm.admin, old.id).reference is None
    for wrong in ({"since": clock.now, "until": clock.now}, {"batch_id": key, "since": clock.now}):
        with pytest.raises(InvalidInput):
            drift.run(installation, firm.admin, model.id, **wrong)
        with pytest.raises(InvalidInput):
            drift.request(installation, firm.admin, model.id, **wrong)
    with pytest.raises(InvalidInput, match="was not decided by"):
        drift.run(installation, firm.admin, old.id, batch_id=key)
    with pytest.raises(Forbidden):
        drift.run(installation, firm.as_role("viewer"), model.id)


def test_erased_decisions_are_left_out_and_counted(installation: Installation, firm: Firm) -> None:
    model = trained(installation, firm)
    decide(installation, firm, model, people(100, 2))
    decide(installation, firm, model, people(7, 3), features=None)
    outcome = drift.run(installation, firm.admin, model.id)
    assert outcome.comparison is not None
    assert outcome.comparison.window.told["erased"] == 7
    assert outcome.comparison.report.current.rows == 100


def test_a_job_keeps_the_report_with_its_own_end(installation: Installation, firm: Firm) -> None:
    model = trained(installation, firm)
    decide(installation, firm, model, people(400, 2))
    job, _said = drift.request(installation, firm.as_role("analyst"), model.id)
    assert job is not None
    assert run_inline(installation, job).state == "done"
    (run,) = drift_reports.list_runs(installation, firm.admin, PageRequest(), model="scale").items
    assert run.extra["rows"] == 400
    assert [e.resource_id for e in entries(installation, firm, "models.drift")] == [run.id]
    assert len(entries(installation, firm, "models.drift_request")) == 1


def test_drift_is_one_finding_a_version_closed_by_hand(
    installation: Installation, firm: Firm, clock: SteppingClock
) -> None:
    model = trained(installation, firm)
    keys = [batch(installation, firm, model, people(800, n, shift)) for n, shift in enumerate((0.0, 0.5, 2.0, 2.0))]
    runs = []
    for number, key in enumerate(keys):
        runs.append(drift.run(installation, firm.admin, model.id, batch_id=key))
        if number == 0:
            assert waiting(installation, firm) == []
    (told,) = waiting(installation, firm)
    assert told[0] == "high"
    assert told[1].startswith("scale 1: Major drift of")
    assert told[2] == f"/models/{model.id}/drift/{runs[-1].run_id}"
    found = findings.list_findings(installation, firm.admin, PageRequest(), state="waiting", room="models").items[0]
    findings.take(installation, firm.admin, found.id)
    findings.note(installation, firm.admin, found.id, "The branch in Ulm has opened.")
    with pytest.raises(InvalidInput, match="Of drift there is no decision 'repaired'"):
        findings.resolve(installation, firm.admin, found.id, note="x", decision="repaired")
    assert findings.resolve(installation, firm.admin, found.id, note="Known.").state == "resolved"
    assert drift.run(installation, firm.admin, model.id, batch_id=keys[-1]).details["change"] == "same"
    assert waiting(installation, firm) == []  # nothing new was seen
    drift.run(installation, firm.admin, model.id, batch_id=batch(installation, firm, model, people(800, 9, 2.0)))
    assert len(waiting(installation, firm)) == 1
    assert findings.resolve(installation, firm.admin, found.id, note="So it is now.", decision="accepted").state == "suppressed"  # fmt: skip
    drift.run(installation, firm.admin, model.id, batch_id=batch(installation, firm, model, people(800, 10, 3.0)))
    assert waiting(installation, firm) == []
    assert {e.resource_id for e in entries(installation, firm, "models.finding_resolve")} == {model.id}


def test_a_changed_number_file_or_profile_is_named(
    installation: Installation, firm: Firm, database_url: str, clock: SteppingClock
) -> None:
    model = trained(installation, firm)
    key = batch(installation, firm, model, people(400, 2, 1.0))
    run_id = drift.run(installation, firm.admin, model.id, batch_id=key).run_id
    assert run_id is not None
    run = drift_reports.get_run(installation, firm.admin, run_id).run

    def faults() -> list[str]:
        return drift_reports.verify(installation, firm.admin, run_id).faults

    assert faults() == []
    owner = Database(database_url, role="owner")

    def change(statement: str) -> None:
        with owner.connect(write=True) as connection:
            connection.execute(sa.text(statement).execution_options(tenant="all"))

    change("UPDATE data_drift_scores SET drift_score = drift_score * 0.99 WHERE drift_type = 'ks_test'")
    assert faults() == ["data_drift_scores.drift_score of 'ks_test' differs from the JSON."]
    change("UPDATE data_drift_reports SET drift_score = 0.01")
    assert any("data_drift_reports.drift_score is 0.01" in fault for fault in faults())
    change("UPDATE model_profiles SET row_count = row_count + 1 WHERE kind = 'batch'")
    assert any("is not what its hash says" in fault for fault in faults())
    path = installation.files / run.extra["json_path"]
    body = json.loads(path.read_bytes())
    body["features"][0]["psi"] += 0.01
    path.write_text(json.dumps(body))
    assert any(fault.startswith(run.extra["json_path"]) for fault in faults())
    assert any("features[0].psi" in fault for fault in faults())
    with pytest.raises(Corrupt):
        drift_reports.columns_of(installation, run)
    (installation.files / run.report_file_path).unlink()
    assert any("is gone" in fault for fault in faults())
    change("UPDATE model_profiles SET sha256 = 'ab' WHERE kind = 'reference'")
    with pytest.raises(Corrupt, match="is not what its hash says"):
        drift.run(installation, firm.admin, model.id, batch_id=key)
    owner.close()


def foreign(
    installation: Installation, twin: Firm, model: Model, batch_id: UUID, run_id: UUID
) -> list[Callable[[], Any]]:
    """Everything that can be asked with the ids of another organization."""
    mine = twin.admin
    return [
        lambda: drift_reports.get_run(installation, mine, run_id),
        lambda: drift_reports.verify(installation, mine, run_id),
        lambda: drift_reports.model_of(installation, mine, model.id),
        lambda: drift.run(installation, mine, model.id),
        lambda: drift.request(installation, mine, model.id),
        lambda: drift.run(installation, mine, "scale", batch_id=batch_id),
    ]


def test_twins_never_see_each_other(installation: Installation, firm: Firm, other_firm: Firm) -> None:
    made: dict[Any, Any] = {}
    for twin in (firm, other_firm):
        model = trained(installation, twin)
        decide(installation, twin, model, people(250, 4, 1.5))
        key = batch(installation, twin, model, people(300, 5, 1.5))
        made[twin.id] = (model, key, drift.run(installation, twin.admin, model.id, batch_id=key).run_id)
    for twin, beside in ((firm, other_firm), (other_firm, firm)):
        theirs = made[beside.id][0]
        mine = drift.run(installation, twin.admin, "scale")
        assert mine.comparison is not None
        assert mine.comparison.report.current.rows == 250
        runs = drift_reports.list_runs(installation, twin.admin, PageRequest()).items
        assert {run.organization_id for run in runs} == {twin.id}
        for ask in foreign(installation, twin, *made[beside.id]):
            with pytest.raises(NotFound):
                ask()
        assert drift_reports.trail(installation, twin.admin, theirs.id).runs == []
        with installation.database.read(twin.id) as session:
            assert profiling.reference_of(session, twin.id, theirs.id) is None


def test_an_accepted_decision_for_a_damaged_file_needs_its_own_word(installation: Installation, firm: Firm) -> None:
    model = register(installation, firm.admin)
    with installation.database.write(firm.id) as session:
        key = findings.raise_finding(session, firm.admin, room="models", subject_id=model.id, title="x", severity="critical",
                                     url=f"/models/{model.id}", fingerprint=f"artifact:{model.id}")  # fmt: skip
    with pytest.raises(InvalidInput, match="Of a damaged file there is no decision 'explained'"):
        findings.resolve(installation, firm.admin, key, note="x", decision="explained")
    assert findings.resolve(installation, firm.admin, key, note="It is whole.").state == "resolved"
    with pytest.raises(Conflict):
        findings.take(installation, firm.admin, key)
