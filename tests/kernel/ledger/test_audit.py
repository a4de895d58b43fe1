"""Reading the audit log: each filter, the pages of a list, the days. On both engines."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from plumbline.kernel import canonical
from plumbline.kernel.context import Context
from plumbline.kernel.errors import Forbidden, InvalidInput, NotFound
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger import entry, queries, repository
from plumbline.kernel.ledger.queries import Query
from plumbline.kernel.ledger.service import Act
from plumbline.kernel.ledger.tables import AuditEntry
from plumbline.kernel.paging import Page, PageRequest
from tests.conftest import NOW, Firm

START = NOW + timedelta(days=1)
THING = UUID("01a20cee-17e0-7001-bf42-b72d32bb16d0")


@pytest.fixture
def told(installation: Installation, firm: Firm) -> Firm:
    """Forty acts over ten days after the firm was made: each fourth one failed, two people, two programs."""
    for i in range(40):
        who = firm.as_role(("admin", "analyst")[i % 2])
        context = replace(who, now=START + timedelta(hours=6 * i), client_id=("console", "nightly")[i // 20])
        try:
            with Act(installation.database, context, ("things.make", "things.mend", "others.look")[i % 3], "thing",
                     resource_id=THING if i % 5 == 0 else uuid4()) as act:  # fmt: skip
                act.done(old={"n": i}, new={"n": i + 1}, note=f"number {i}")
                if i % 4 == 3:
                    raise InvalidInput(f"number {i} is odd")
        except InvalidInput:
            pass
    return firm


def found(firm: Firm, query: Query, limit: int = 500) -> list[AuditEntry]:
    return list(queries.list_entries(firm.installation, firm.admin, query, PageRequest(limit)).items)


def test_each_filter_finds_its_entries(told: Firm) -> None:
    since = Query(since=START)
    everything = found(told, since)
    assert len(everything) == 40
    admin, analyst = told.people["admin"], told.people["analyst"]
    checks: list[tuple[Query, int]] = [
        (replace(since, actor=str(admin)), 20), (replace(since, actor="northwind-analyst"), 20), (replace(since, actor="ANALYST@northwind.example"), 20),
        (replace(since, actor="nobody"), 0), (replace(since, action="things"), 27), (replace(since, action="things."), 27),
        (replace(since, action="things.make"), 14), (replace(since, action="hings"), 0), (replace(since, action="%"), 0),
        (replace(since, resource_type="thing"), 40), (replace(since, resource_type="thin"), 0), (replace(since, resource_id=THING), 8),
        (replace(since, client="nightly"), 20), (replace(since, success=False), 10), (replace(since, success=True), 30),
        (replace(since, until=START + timedelta(hours=6)), 1), (replace(since, since=START + timedelta(hours=6 * 39)), 1),
        (replace(since, since=START + timedelta(hours=6 * 39, microseconds=1)), 0),
        (replace(since, actor="northwind-admin", action="things", client="console", success=True, resource_id=THING), 2),
        (Query(actor="plumbline"), 1),
    ]  # fmt: skip
    for query, count in checks:
        assert len(found(told, query)) == count, query
    assert {e.user_id for e in found(told, replace(since, actor="northwind-analyst"))} == {analyst}
    assert all(
        e.error_message == f"{e.details['note']} is odd" and e.new_values is None
        for e in found(told, replace(since, success=False))
    )
    assert all(e.new_values == {"n": e.old_values["n"] + 1} for e in found(told, replace(since, success=True)))


def test_pages_follow_each_other_without_gap_or_repetition(told: Firm) -> None:
    for query in (Query(), Query(action="things", success=True)):
        everything = [e.id for e in found(told, query)]
        assert everything == sorted(everything, reverse=True)
        seen: list[UUID] = []
        cursor = None
        while True:
            page: Page[AuditEntry] = queries.list_entries(
                told.installation, told.admin, query, PageRequest.parse(7, cursor)
            )
            assert page.total == len(everything)
            seen += [e.id for e in page.items]
            cursor = page.next
            if cursor is None:
                break
        assert seen == everything


def test_days_are_counted_quiet_ones_too(told: Firm) -> None:
    at = replace(told.admin, now=START + timedelta(days=12))
    days = queries.activity(told.installation, at, Query(action="things"), days=14)
    assert [d.day for d in days] == [date(2026, 11, 24) + timedelta(days=i) for i in range(14)]
    assert sum(d.entries for d in days) == 27
    assert sum(d.failed for d in days) == 7
    assert days[-1].entries == 0
    for day in days:
        midnight = datetime(day.day.year, day.day.month, day.day.day, tzinfo=UTC)
        within = found(told, Query(action="things", since=midnight, until=midnight + timedelta(days=1)))
        assert (day.entries, day.failed) == (len(within), sum(not e.success for e in within))
    only = queries.activity(
        told.installation, at, Query(since=START + timedelta(days=1), until=START + timedelta(days=3))
    )
    assert [d.day for d in only] == [date(2026, 11, 26), date(2026, 11, 27), date(2026, 11, 28)]
    assert queries.activity(told.installation, at, Query(since=START + timedelta(days=9), until=START)) == []
    with pytest.raises(InvalidInput):
        queries.activity(told.installation, at, Query(), days=0)


def test_the_acts_that_occur_are_listed_once(told: Firm, other_firm: Firm) -> None:
    expected = ["organizations.create", "others.look", "things.make", "things.mend", "users.create"]
    assert queries.list_actions(told.installation, told.admin) == expected
    assert queries.list_actions(told.installation, other_firm.admin) == ["organizations.create", "users.create"]


def test_an_entry_is_told_whole_and_its_commitments_hold(told: Firm) -> None:
    (newest,) = found(told, Query(since=START), limit=1)
    one = queries.get_entry(told.installation, told.admin, newest.id)
    assert one.actor_salt
    assert one.content_salt
    actor = entry.actor_message(actor_id=one.actor_id, client_id=one.client_id, ip_address=one.ip_address, session_id=one.session_id,
                                user_agent=one.user_agent)  # fmt: skip
    assert entry.commitment(one.actor_salt, actor) == one.actor_commitment
    columns = ("details", "error_message", "new_values", "old_values")
    content = canonical.dumps({c: getattr(one, c) for c in columns})
    assert entry.commitment(one.content_salt, content) == one.content_commitment
    assert queries.names(told.installation, told.admin, [one]) == {told.people["analyst"]: "Analyst of Northwind"}


def test_reading_needs_the_right_and_the_organization(told: Firm, other_firm: Firm) -> None:
    stranger = Context(told.id, "key", "k", "c", NOW)
    for read in (lambda c: queries.list_entries(told.installation, c, Query(), PageRequest()), lambda c: queries.list_actions(told.installation, c),
                 lambda c: queries.activity(told.installation, c, Query()), lambda c: queries.get_entry(told.installation, c, THING)):  # fmt: skip
        with pytest.raises(Forbidden):
            read(stranger)
    (newest,) = found(told, Query(), limit=1)
    with pytest.raises(NotFound):
        queries.get_entry(told.installation, other_firm.admin, newest.id)


def test_a_failed_act_keeps_nothing_but_its_entry(installation: Installation, firm: Firm) -> None:
    from plumbline.kernel.identity.tables import User

    def broken() -> None:
        with Act(installation.database, firm.admin, "users.change", "user") as act:
            act.session.execute(sa.update(User).where(User.organization_id == firm.id).values(full_name="gone"))
            act.done(new={"full_name": "gone"})
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError):
        broken()
    (failed,) = found(firm, Query(success=False))
    assert (failed.error_message, failed.new_values) == (
        "ZeroDivisionError",
        None,
    )  # the text of a stranger's error may hold anything
    with installation.database.read(firm.id) as session:
        assert "gone" not in set(session.scalars(sa.select(User.full_name).where(User.organization_id == firm.id)))


@pytest.mark.parametrize(
    ("text", "end", "expected"),
    [
        ("", False, None),
        ("2026-11-24", False, datetime(2026, 11, 24, tzinfo=UTC)),
        ("2026-11-24", True, datetime(2026, 11, 25, tzinfo=UTC)),
        ("2026-11-24T09:30Z", True, datetime(2026, 11, 24, 9, 30, tzinfo=UTC)),
        ("2026-11-24T09:30+02:00", False, datetime(2026, 11, 24, 7, 30, tzinfo=UTC)),
    ],
)
def test_a_day_or_a_time_is_understood(text: str, end: bool, expected: datetime | None) -> None:
    assert queries.moment(text, "since", end=end) == expected


@pytest.mark.parametrize(
    "text", ["yesterday", "24.11.2026", "2026-13-01", "9999-12-31", "1968-12-31", "0001-01-01", "2026-11-24\x00"]
)
def test_what_is_no_time_is_refused_with_its_field(text: str) -> None:
    with pytest.raises(InvalidInput, match="field since"):
        queries.moment(text, "since", end=True)


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.integers(1, 119), st.sets(st.integers(0, 118)))
def test_filled_days_are_every_day_once(first: date, count: int, busy: set[int]) -> None:
    last = first + timedelta(days=count - 1)
    known = [repository.Day(first + timedelta(days=i), i + 1, 0) for i in sorted(busy) if i < count]
    days = repository.filled(known, first, last)
    assert [d.day for d in days] == [first + timedelta(days=i) for i in range(count)]
    assert sum(d.entries for d in days) == sum(d.entries for d in known)
