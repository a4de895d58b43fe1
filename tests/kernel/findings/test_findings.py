"""One list over all rooms: raised once, moved by the room's own act, worked on through the room's service."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from plumbline.kernel import room
from plumbline.kernel.context import Context
from plumbline.kernel.database import new_id
from plumbline.kernel.errors import Conflict, Forbidden, InvalidInput, NotFound
from plumbline.kernel.findings import service
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger.service import Act
from plumbline.kernel.ledger.tables import AuditEntry
from plumbline.kernel.paging import PageRequest
from plumbline.kernel.room import Room
from tests.conftest import Firm, SteppingClock


class Desk:
    """The room's own service: each call is one act that moves its row (here: none) and the list."""

    def _act(
        self,
        installation: Installation,
        context: Context,
        subject_id: UUID,
        verb: str,
        state: str | None,
        **details: Any,
    ) -> None:
        with Act(
            installation.database, context, f"bench.{verb}", "case", resource_id=subject_id, right="findings.triage"
        ) as act:
            if state:
                service.follow(
                    act.session, context, room="bench", subject_id=subject_id, state=state, owner_id=context.user_id
                )
            act.done(**details)

    def take(self, installation: Installation, context: Context, subject_id: UUID) -> None:
        self._act(installation, context, subject_id, "take", "acknowledged")

    def note(self, installation: Installation, context: Context, subject_id: UUID, text: str) -> None:
        self._act(installation, context, subject_id, "note", None, note=text)

    def resolve(
        self, installation: Installation, context: Context, subject_id: UUID, *, note: str, decision: str | None = None
    ) -> None:
        self._act(installation, context, subject_id, "resolve", "resolved", note=note, decision=decision)


desk = Desk()


@pytest.fixture(autouse=True)
def _bench_room(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = room.rooms()
    monkeypatch.setattr(
        room,
        "rooms",
        lambda: (*installed, Room(name="bench", title="Bench", findings="tests.kernel.findings.test_findings:desk")),
    )


def raised(installation: Installation, context: Context, n: int = 1, **given: Any) -> UUID:
    values: dict[str, Any] = {
        "room": "bench", "subject_id": UUID(int=n), "title": f"Case {n}", "severity": "high", "url": f"/bench/{n}", "fingerprint": f"case:{n}",
    }  # fmt: skip
    with installation.database.write(context.organization_id) as session:
        return service.raise_finding(session, context, **(values | given))


def test_the_same_thing_is_on_the_list_once(installation: Installation, firm: Firm) -> None:
    first = raised(installation, firm.admin)
    assert raised(installation, firm.admin, title="Case 1, seen again", severity="low") == first
    (found,) = service.list_findings(installation, firm.admin, PageRequest()).items
    assert (found.title, found.severity, found.state) == ("Case 1", "high", "open")
    assert service.open_count(installation, firm.admin) == 1


def test_a_closed_finding_opens_again_only_when_asked(
    installation: Installation, firm: Firm, clock: SteppingClock
) -> None:
    key = raised(installation, firm.admin)
    service.resolve(installation, firm.as_role("analyst"), key, note="settled")
    assert raised(installation, firm.admin) == key
    assert service.open_count(installation, firm.admin) == 0
    clock.now += timedelta(hours=1)
    assert raised(installation, firm.as_role("analyst"), severity="critical", reopen=True) == key
    found = service.get_finding(installation, firm.admin, key)
    assert (found.state, found.severity, found.owner_id, found.closed_at, found.opened_at) == (
        "open",
        "critical",
        None,
        None,
        clock.now,
    )


def test_many_are_raised_at_once_and_only_new_ones_count(installation: Installation, firm: Firm) -> None:
    raised(installation, firm.admin, 1)
    rows = [{"room": "bench", "subject_id": UUID(int=n), "title": f"Case {n}", "severity": "low", "url": "/b", "fingerprint": f"case:{n}"}
            for n in range(1, 1203)]  # fmt: skip
    with installation.database.write(firm.id) as session:
        assert service.raise_many(session, firm.admin, rows) == 1201
        assert service.raise_many(session, firm.admin, []) == 0
    assert service.open_count(installation, firm.admin) == 1202


def test_work_from_the_list_is_one_act_of_the_room(installation: Installation, firm: Firm) -> None:
    key, analyst = raised(installation, firm.admin), firm.as_role("analyst")
    taken = service.take(installation, analyst, key)
    assert (taken.state, taken.owner_id) == ("acknowledged", firm.people["analyst"])
    service.note(installation, analyst, key, "  asked for the payslip ")
    settled = service.resolve(installation, analyst, key, note="payslip is genuine", decision="upheld")
    assert (settled.state, settled.closed_at) == ("resolved", analyst.now)
    with installation.database.read(firm.id) as session:
        told = list(session.execute(sa.select(AuditEntry.action, AuditEntry.details).where(
            AuditEntry.organization_id == firm.id, AuditEntry.resource_id == UUID(int=1)).order_by(AuditEntry.id)))  # fmt: skip
    assert [action for action, _ in told] == ["bench.take", "bench.note", "bench.resolve"]
    assert '"asked for the payslip"' in str(told[1][1]).replace("'", '"')
    with pytest.raises(Conflict, match="resolved already"):
        service.take(installation, analyst, key)


def test_every_finding_of_a_subject_follows_and_keeps_its_owner(installation: Installation, firm: Firm) -> None:
    analyst = firm.as_role("analyst")
    keys = [raised(installation, firm.admin, 1, fingerprint=f"f{i}") for i in range(2)] + [
        raised(installation, firm.admin, 2)
    ]
    with installation.database.write(firm.id) as session:
        assert (
            service.follow(
                session, analyst, room="bench", subject_id=UUID(int=1), state="acknowledged", owner_id=analyst.user_id
            )
            == 2
        )
        assert service.follow(session, analyst, room="bench", subject_id=UUID(int=1), state="suppressed") == 2
        assert service.follow(session, analyst, room="credit", subject_id=UUID(int=1), state="open") == 0
    held = [service.get_finding(installation, analyst, key) for key in keys]
    assert [(f.state, f.owner_id) for f in held] == [("suppressed", analyst.user_id)] * 2 + [("open", None)]


def test_the_list_is_filtered_and_paged_newest_first(installation: Installation, firm: Firm) -> None:
    analyst = firm.as_role("analyst")
    keys = [raised(installation, firm.admin, n, severity="critical" if n == 3 else "low") for n in range(1, 6)]
    service.take(installation, analyst, keys[0])
    service.resolve(installation, analyst, keys[1], note="gone")

    def found(**wanted: Any) -> list[UUID]:
        return [f.id for f in service.list_findings(installation, analyst, PageRequest(), **wanted).items]

    assert found() == keys[::-1]
    assert found(state="waiting") == [keys[4], keys[3], keys[2], keys[0]]
    assert found(state="resolved") == [keys[1]]
    assert found(severity="critical") == [keys[2]]
    assert found(room="credit") == []
    assert found(owner=firm.people["analyst"]) == [keys[1], keys[0]]
    assert found(owner="none", state="waiting") == [keys[4], keys[3], keys[2]]
    assert service.waiting_by_room(installation, analyst) == {"bench": 4}
    first = service.list_findings(installation, analyst, PageRequest(limit=2))
    rest = service.list_findings(installation, analyst, PageRequest.parse(10, first.next))
    assert [f.id for f in (*first.items, *rest.items)] == keys[::-1]
    assert (first.total, rest.next) == (5, None)
    for wrong in ({"state": "lost"}, {"severity": "grave"}):
        with pytest.raises(InvalidInput):
            found(**wrong)


def test_what_is_wrong_is_refused(installation: Installation, firm: Firm) -> None:
    with pytest.raises(InvalidInput, match="severity 'grave'"):
        raised(installation, firm.admin, severity="grave")
    key = raised(installation, firm.admin)
    with pytest.raises(InvalidInput, match="The note is empty"):
        service.note(installation, firm.as_role("analyst"), key, " ")
    with pytest.raises(Forbidden):
        service.take(installation, firm.as_role("viewer"), key)
    with pytest.raises(NotFound):
        service.take(installation, firm.admin, new_id(firm.admin.now))
    stray = raised(installation, firm.admin, 9, room="gone")
    with pytest.raises(Conflict, match="'gone' is not installed"):
        service.take(installation, firm.admin, stray)
    with installation.database.write(firm.id) as session, pytest.raises(InvalidInput, match="state 'lost'"):
        service.follow(session, firm.admin, room="bench", subject_id=UUID(int=1), state="lost")


def test_a_finding_is_not_kept_when_the_rooms_row_is_not(installation: Installation, firm: Firm) -> None:
    def raised_and_failed() -> None:
        with installation.database.write(firm.id) as session:
            given = {"subject_id": UUID(int=1), "title": "t", "severity": "low", "url": "/", "fingerprint": "f"}
            service.raise_finding(session, firm.admin, room="bench", **given)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        raised_and_failed()
    assert service.open_count(installation, firm.admin) == 0


def test_nothing_of_one_organization_is_seen_or_moved_by_another(
    installation: Installation, firm: Firm, other_firm: Firm
) -> None:
    mine, theirs = raised(installation, firm.admin), raised(installation, other_firm.admin)
    assert mine != theirs
    with installation.database.write(other_firm.id) as session:
        assert service.follow(session, other_firm.admin, room="bench", subject_id=UUID(int=1), state="resolved") == 1
    assert service.get_finding(installation, firm.admin, mine).state == "open"
    assert [f.id for f in service.list_findings(installation, firm.admin, PageRequest()).items] == [mine]
    for act in (service.get_finding, service.take):
        with pytest.raises(NotFound):
            act(installation, firm.admin, theirs)
    assert service.waiting_by_room(installation, other_firm.admin) == {}
