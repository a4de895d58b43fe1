"""Versions: numbers, files, findings of damage, activation, rollback."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa

from plumbline.kernel.context import Context
from plumbline.kernel.errors import Conflict, Corrupt, Forbidden, InvalidInput, NotFound, PlumblineError
from plumbline.kernel.findings import service as findings
from plumbline.kernel.identity.tables import Organization
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger.tables import AuditEntry
from plumbline.kernel.models import service
from plumbline.kernel.models.service import Evaluated
from plumbline.kernel.models.tables import Model
from plumbline.kernel.paging import PageRequest
from tests.conftest import Firm
from tests.kernel.models.scale import Meeting, file, register

pytestmark = pytest.mark.usefixtures("scale_room")


def entries(installation: Installation, firm: Firm, action: str) -> list[AuditEntry]:
    statement = (
        sa.select(AuditEntry)
        .where(AuditEntry.organization_id == firm.id, AuditEntry.action == action)
        .order_by(AuditEntry.id)
    )
    with installation.database.read(firm.id) as session:
        return list(session.scalars(statement))


def demand_four_eyes(installation: Installation, firm: Firm) -> None:
    with installation.database.write(firm.id) as session:
        session.execute(sa.update(Organization).where(Organization.id == firm.id).values(settings={"four_eyes": True}))


def artifact_of(installation: Installation, model: Model) -> Path:
    assert model.artifact_path is not None
    return Path(installation.settings.artifact_root.removeprefix("file://")) / model.artifact_path


def second_admin(installation: Installation, firm: Firm) -> Context:
    from plumbline.kernel.identity import service as identity

    key = identity.create_user(installation, firm.admin, username=f"{firm.id.hex[-8:]}-second", email=f"second@{firm.id.hex[-8:]}.example",
                               role="admin", password=firm.password)  # fmt: skip
    return firm.context(key, "admin")


def test_versions_count_up_by_name_and_own_numbers_are_kept(installation: Installation, firm: Firm) -> None:
    assert [register(installation, firm.admin).version for _ in range(3)] == ["1", "2", "3"]
    assert register(installation, firm.admin, version="2026.1").version == "2026.1"
    assert register(installation, firm.admin).version == "4"
    assert register(installation, firm.admin, name="other").version == "1"
    with pytest.raises(Conflict, match="version '3' of 'scale' already"):
        register(installation, firm.admin, version="3")


def test_versions_counted_at_once_are_all_kept(installation: Installation, firm: Firm) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: register(installation, firm.admin).version, range(8)))
    assert sorted(made, key=int) == [str(n) for n in range(1, 9)]


def test_a_version_keeps_what_was_measured_and_names_its_file(installation: Installation, firm: Firm) -> None:
    test = Evaluated("test", 500, metrics={"roc_auc": 0.75, "brier": 0.1}, undefined={"recall": "no events"},
                     intervals={"roc_auc": (0.7, 0.8)}, confusion_matrix={"labels": ["0", "1"], "counts": [[1, 2], [3, 4]]},
                     training_data_size=2000, extra={"threshold": 0.2})  # fmt: skip
    model = register(installation, firm.admin, evaluations=[test, Evaluated("policy", 100)], extra={"seed": 7})
    assert model.extra == model.extra | {
        "seed": 7,
        "trained_by": str(firm.admin.user_id),
        "size": len(file(2.0)),
        "artifact_state": "live",
    }
    assert artifact_of(installation, model).read_bytes() == file(2.0)
    policy, held = service.evaluations_of(installation, firm.admin, model.id)
    assert (policy.evaluation.dataset, policy.metrics) == ("policy", {})
    assert held.metrics == {"roc_auc": 0.75, "brier": 0.1}
    assert held.evaluation.extra["intervals"] == {"roc_auc": [0.7, 0.8]}
    assert held.evaluation.extra["undefined"] == {"recall": "no events"}
    (entry,) = entries(installation, firm, "models.register")
    assert entry.resource_id == model.id
    assert entry.new_values == f'{{"name":"scale","sha256":"{model.extra["sha256"]}","version":"1"}}' or entry.new_values == {
        "name": "scale", "sha256": model.extra["sha256"], "version": "1",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"metrics": {"mae": float("nan")}}, "metrics.mae"),
        ({"evaluations": [Evaluated("test", 1, metrics={"r2": float("inf")})]}, "test.r2"),
        ({"kind": "unheard"}, "kind"),
        ({"name": "a@b"}, "name"),
        ({"version": "1/2"}, "version"),
    ],
)
def test_what_cannot_be_a_version_is_refused_with_its_place(
    installation: Installation, firm: Firm, given: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        register(installation, firm.admin, **given)
    assert refused.value.where is not None
    assert refused.value.where.field == field
    assert service.list_models(installation, firm.admin, PageRequest()).total == 0


def test_registering_needs_the_rooms_right_and_stores_nothing_without_it(
    installation: Installation, firm: Firm
) -> None:
    with pytest.raises(Forbidden):
        register(installation, firm.as_role("viewer"), right="models.activate")
    assert installation.artifacts.hashes() == []
    assert [e.success for e in entries(installation, firm, "models.register")] == [False]


def test_without_four_eyes_a_reason_is_asked_and_stands_in_the_entry(installation: Installation, firm: Firm) -> None:
    first, second = register(installation, firm.admin), register(installation, firm.admin, 3.0)
    with pytest.raises(NotFound, match="No version of 'scale' is live"):
        service.active(installation, firm.admin, "scale")
    with pytest.raises(InvalidInput, match="A reason is needed"):
        service.activate(installation, firm.admin, first.id, reason="  ")
    service.activate(installation, firm.admin, "scale@1", reason="first one")
    live = service.activate(installation, firm.admin, second.id, reason="scores better")
    assert live.is_active
    assert live.deployed_at == firm.admin.now
    assert live.extra["previous_id"] == str(first.id)
    assert service.active(installation, firm.admin, "scale").id == second.id
    assert service.active(installation, firm.admin, kind="scale").id == second.id
    assert not service.get(installation, firm.admin, first.id).is_active
    failed, _, done = entries(installation, firm, "models.activate")
    assert (failed.success, done.success) == (False, True)
    text = f"{done.old_values}{done.new_values}{done.details}"
    for said in (str(first.id), first.extra["sha256"], str(second.id), second.extra["sha256"], "scores better"):
        assert said in text


def test_with_four_eyes_who_trained_a_version_may_not_activate_it(installation: Installation, firm: Firm) -> None:
    demand_four_eyes(installation, firm)
    model = register(installation, firm.admin)
    with pytest.raises(Forbidden, match="You trained scale@1"):
        service.activate(installation, firm.admin, model.id, reason="mine")
    machine = replace(firm.admin, user_id=None, actor_type="system")
    with pytest.raises(Forbidden, match="A person has to"):
        service.activate(installation, machine, model.id, reason="mine")
    assert service.activate(installation, second_admin(installation, firm), model.id).is_active


def test_two_administrators_mean_four_eyes_unless_the_organization_says_otherwise(
    installation: Installation, firm: Firm
) -> None:
    model = register(installation, firm.admin)
    assert not service.detail(installation, firm.admin, model.id).four_eyes
    second_admin(installation, firm)
    assert service.detail(installation, firm.admin, model.id).four_eyes
    with pytest.raises(Forbidden):
        service.activate(installation, firm.admin, model.id, reason="mine")


def test_inputs_that_break_with_the_live_version_refuse_unless_forced_with_a_reason(
    installation: Installation, firm: Firm
) -> None:
    wide = [{"name": "x", "dtype": "numeric"}, {"name": "city", "dtype": "category"}]
    service.activate(installation, firm.admin, register(installation, firm.admin, features=wide).id, reason="first")
    less = register(installation, firm.admin, features=[{"name": "x", "dtype": "category"}])
    with pytest.raises(Conflict, match="'x' was numeric and is category, 'city' is missing"):
        service.activate(installation, firm.admin, less.id, reason="why not")
    assert service.active(installation, firm.admin, "scale").version == "1"
    more = register(installation, firm.admin, features=[*wide, {"name": "new", "dtype": "numeric"}])
    service.activate(installation, firm.admin, more.id, reason="one more input is no break")
    service.activate(installation, firm.admin, less.id, reason="callers have changed", force=True)
    assert "'city' is missing" in str(entries(installation, firm, "models.activate")[-1].details)


def test_rolling_back_goes_one_further_each_time(installation: Installation, firm: Firm) -> None:
    for factor in (1.0, 2.0, 3.0):
        service.activate(installation, firm.admin, register(installation, firm.admin, factor).id, reason="next")
    assert service.rollback(installation, firm.admin, "scale", reason="worse").version == "2"
    assert service.rollback(installation, firm.admin, "scale", reason="worse still").version == "1"
    with pytest.raises(NotFound, match="Nothing was live before"):
        service.rollback(installation, firm.admin, "scale", reason="again")
    assert service.active(installation, firm.admin, "scale").version == "1"
    service.activate(installation, firm.admin, "scale@3", reason="mended")
    assert service.rollback(installation, firm.admin, "scale", reason="not quite").version == "1"
    assert len(entries(installation, firm, "models.rollback")) == 3


@pytest.mark.parametrize("first_live", [True, False])
def test_of_two_activations_at_once_one_loses_and_changes_nothing(
    installation: Installation, firm: Firm, first_live: bool
) -> None:
    if first_live:
        service.activate(installation, firm.admin, register(installation, firm.admin).id, reason="first")
    rivals = [register(installation, firm.admin, factor, kind="meeting") for factor in (5.0, 6.0)]
    Meeting.barrier = threading.Barrier(2, timeout=20)

    def attempt(model: Model) -> str:
        try:
            return service.activate(installation, firm.admin, model.id, reason="mine is better").version
        except PlumblineError as error:
            return error.code

    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(attempt, rivals))
    assert sorted(ended)[1] == "conflict", ended
    with installation.database.read(firm.id) as session:
        live = list(
            session.scalars(
                sa.select(Model.version).where(Model.organization_id == firm.id, Model.is_active.is_(sa.true()))
            )
        )
    assert live == [v for v in ended if v != "conflict"]


def test_an_altered_file_is_found_at_load_and_no_other_version_takes_its_place(
    installation: Installation, firm: Firm
) -> None:
    service.activate(installation, firm.admin, register(installation, firm.admin, 1.0).id, reason="first")
    model = service.activate(installation, firm.admin, register(installation, firm.admin, 2.0).id, reason="second")
    assert service.load(installation, model).score(4.0) == 8.0
    path = artifact_of(installation, model)
    whole = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(whole[:-30] + bytes([whole[-30] ^ 1]) + whole[-29:])
    with pytest.raises(Corrupt, match="not what its hash says"):
        service.load(installation, model, fresh=True)
    with pytest.raises(Corrupt):  # what was at hand is gone with it
        service.load(installation, model)
    assert service.active(installation, firm.admin, "scale").id == model.id
    (found,) = findings.list_findings(installation, firm.admin, PageRequest(), state="waiting").items
    assert (found.room, found.severity, found.subject_id, found.url) == (
        "models",
        "critical",
        model.id,
        f"/models/{model.id}",
    )
    assert [e.success for e in entries(installation, firm, "models.load")] == [False]
    assert service.detail(installation, firm.admin, model.id).damaged
    path.unlink()
    with pytest.raises(Corrupt, match="missing from the store"):
        service.load(installation, model)
    installation.artifacts.put(whole)
    assert service.load(installation, model).score(4.0) == 8.0


def test_damage_found_inside_a_writing_transaction_is_reported_after_it(installation: Installation, firm: Firm) -> None:
    model = register(installation, firm.admin)
    artifact_of(installation, model).unlink()
    with pytest.raises(Corrupt), installation.database.write(firm.id):
        service.load(installation, model)
    for thread in threading.enumerate():
        if thread.name == "models.load":
            thread.join(timeout=20)
    assert findings.open_count(installation, firm.admin) == 1


def test_a_version_whose_golden_rows_come_out_otherwise_is_never_activated(
    installation: Installation, firm: Firm
) -> None:
    model = register(installation, firm.admin, artifact=file(2.0, golden=3.0))
    with pytest.raises(Corrupt, match="golden row"):
        service.activate(installation, firm.admin, model.id, reason="looks good")
    assert not service.get(installation, firm.admin, model.id).is_active
    assert findings.open_count(installation, firm.admin) == 1
    assert [e.success for e in entries(installation, firm, "models.activate")] == [False]


def test_damage_is_settled_by_repair_or_accepted_once_it_is_not_live(installation: Installation, firm: Firm) -> None:
    service.activate(installation, firm.admin, register(installation, firm.admin, 1.0).id, reason="first")
    model = service.activate(installation, firm.admin, register(installation, firm.admin, 2.0).id, reason="second")
    path = artifact_of(installation, model)
    whole = path.read_bytes()
    path.unlink()
    with pytest.raises(Corrupt):
        service.load(installation, model, fresh=True)
    (found,) = findings.list_findings(installation, firm.admin, PageRequest()).items
    analyst = firm.as_role("analyst")
    taken = findings.take(installation, analyst, found.id)
    assert (taken.state, taken.owner_id) == ("acknowledged", firm.people["analyst"])
    with pytest.raises(Conflict, match="still damaged"):
        findings.resolve(installation, analyst, found.id, note="done")
    with pytest.raises(Conflict, match="is live"):
        findings.resolve(installation, analyst, found.id, note="never mind", decision="accepted")
    service.rollback(installation, firm.admin, "scale", reason="damaged")
    findings.note(installation, analyst, found.id, "restored from the backup of Monday")
    installation.artifacts.put(whole)
    settled = findings.resolve(installation, analyst, found.id, note="restored")
    assert (settled.state, settled.closed_at, settled.owner_id) == ("resolved", analyst.now, firm.people["analyst"])
    path.unlink()
    with pytest.raises(Corrupt):
        service.load(installation, model, fresh=True)
    again = findings.get_finding(installation, analyst, found.id)
    assert (again.state, again.owner_id, again.closed_at) == ("open", None, None)
    assert (
        findings.resolve(installation, analyst, found.id, note="not needed", decision="accepted").state == "suppressed"
    )


def test_a_name_finds_its_live_version_else_the_newest(installation: Installation, firm: Firm) -> None:
    register(installation, firm.admin)
    register(installation, firm.admin)
    assert service.get(installation, firm.admin, "scale").version == "2"
    service.activate(installation, firm.admin, "scale@1", reason="the old one")
    assert service.get(installation, firm.admin, "scale").version == "1"
    (line,) = service.inventory(installation, firm.admin)
    assert (line.name, line.live and line.live.version, line.newest.version, line.versions) == ("scale", "1", "2", 2)
    for unknown in ("scale@9", "none", UUID(int=1)):
        with pytest.raises(NotFound):
            service.get(installation, firm.admin, unknown)


def test_one_load_serves_threads_and_versions_of_equal_content(installation: Installation, firm: Firm) -> None:
    one, same = register(installation, firm.admin, 7.0), register(installation, firm.admin, 7.0)
    with ThreadPoolExecutor(4) as pool:
        loaded = list(pool.map(lambda m: service.load(installation, m), [one, same] * 4))
    assert len({id(s) for s in loaded}) == 1
