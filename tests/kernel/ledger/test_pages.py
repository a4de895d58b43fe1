"""The ledger's pages and commands."""

from __future__ import annotations

import json
from typing import Any

import pytest

from plumbline.cli import run
from plumbline.kernel.errors import InvalidInput
from plumbline.kernel.identity import service
from plumbline.kernel.ledger import queries
from plumbline.kernel.ledger.queries import Query
from plumbline.kernel.ledger.service import Act
from plumbline.kernel.paging import PageRequest
from tests.support.house import House


def entry_of(house: House, **query: Any) -> Any:
    return queries.list_entries(house.installation, house.firm.as_role("admin"), Query(**query), PageRequest()).items[0]


def test_the_filters_stand_in_the_address_and_in_the_form(house: House) -> None:
    browser = house.browser(house.person())
    page = browser.get("/audit?actor=northwind-admin&action=users.&since=2026-11-01&outcome=done&client=test")
    assert page.status_code == 200
    for shown in (
        'value="northwind-admin"',
        '<option value="users." selected>',
        'value="2026-11-01"',
        '<option value="done" selected>',
        'value="test"',
    ):
        assert shown in page.text
    assert 'role="img"' in page.text
    assert "Show as table" in page.text
    none = browser.get("/audit?actor=nobody")
    assert "No entry fits these filters" in none.text
    assert 'href="/audit"' in none.text


@pytest.mark.parametrize(
    ("query", "field", "said"),
    [
        ("resource_id=xx", "resource_id", "This is no id"),
        ("since=soon", "since", "no day or time"),
        ("until=9998-12-31", "until", "outside of the log"),
        ("outcome=perhaps", "outcome", "Choose done or failed"),
        ("cursor=!!!", "", "not one of ours"),
        ("client=%00", "client", "U+0000"),
    ],
)
def test_a_filter_that_cannot_be_used_says_what_to_do(house: House, query: str, field: str, said: str) -> None:
    answer = house.browser(house.person()).get(f"/audit?{query}&actor=kept")
    assert answer.status_code == 422
    assert said in answer.text
    assert 'value="kept"' in answer.text
    assert not field or f'id="{field}-err"' in answer.text


def test_a_list_goes_on_with_its_filters(house: House) -> None:
    admin = house.firm.as_role("admin")
    for i in range(101):
        with Act(house.installation.database, admin, "pages.turn", "page") as act:
            act.done(number=i)
    browser = house.browser(house.person())
    first = browser.get("/audit?action=pages.turn")
    assert "100 of 101 entries" in first.text
    following = first.text.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0].replace("&amp;", "&")
    assert following.startswith("/audit?action=pages.turn&cursor=")
    second = browser.get(following)
    assert "1 of 101 entries" in second.text
    assert "End of the list" in second.text
    assert 'href="/audit?action=pages.turn" rel="first"' in second.text


def test_an_entry_says_who_did_what_and_what_changed(house: House) -> None:
    admin, person = house.person("admin"), house.person()
    service.change_user(
        house.installation, house.firm.context(admin.id, "admin"), person.id, role="analyst", full_name="<b>Other</b>"
    )
    entry = entry_of(house, action="users.change")
    page = house.browser(house.person()).get(f"/audit/{entry.id}").text
    assert f"{admin.full_name}, 24 Nov 2026" in page
    assert ">viewer</del>" in page
    assert ">analyst</ins>" in page
    assert "<b>Other</b>" not in page
    assert f'data-copy="{entry.actor_commitment.hex()}"' in page
    assert f'data-copy="{entry.content_commitment.hex()}"' in page
    assert f'href="/audit?resource_id={person.id}"' in page
    assert entry.actor_salt.hex() not in page


def test_a_failure_says_that_nothing_was_changed(house: House) -> None:
    with pytest.raises(InvalidInput):
        service.create_user(house.installation, house.firm.as_role("admin"), username="a b", email="x")
    entry = entry_of(house, action="users.create", success=False)
    page = house.browser(house.person()).get(f"/audit/{entry.id}").text
    assert "It was tried and nothing was changed" in page
    assert "cannot be a user name" in page


def test_an_erased_entry_says_so(house: House) -> None:
    import sqlalchemy as sa

    from plumbline.kernel.ledger.tables import AuditEntry

    with Act(house.installation.database, house.firm.as_role("admin"), "things.erase", "thing") as act:
        act.done(new={"name": "somebody"})
    blank = dict.fromkeys(("details", "error_message", "new_values", "old_values", "content_salt", "actor_id", "client_id", "ip_address",
                           "session_id", "user_agent", "actor_salt"))  # fmt: skip
    entry = entry_of(house, action="things.erase")
    with house.installation.worker_database.write(house.firm.id) as session:
        session.execute(
            sa.update(AuditEntry)
            .where(AuditEntry.organization_id == house.firm.id, AuditEntry.id == entry.id)
            .values(**blank)
        )
    browser = house.browser(house.person())
    assert "erased on request" in browser.get(f"/audit/{entry.id}").text
    assert browser.get("/audit?action=things.erase").status_code == 200


def test_the_commands_list_show_and_count(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    home = ["--home", str(house.installation.settings.home), "--organization", "northwind"]
    service.change_user(house.installation, house.firm.as_role("admin"), house.person().id, full_name="Somebody New")

    def said(*words: str) -> Any:
        assert run([*home, "audit", *words, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    page = said(
        "list",
        "--action",
        "users.change",
        "--actor",
        "northwind-admin",
        "--success",
        "--limit",
        "1",
        "--since",
        "2026-11-01",
        "--client",
        "test",
    )
    assert len(page["items"]) == 1
    entry = page["items"][0]
    assert (entry["who"], entry["new_values"]) == ("northwind-admin", {"full_name": "Somebody New"})
    assert said("show", entry["id"])["old_values"]["full_name"].startswith("Person ")
    assert said("list", "--failed", "--actor", "nobody")["items"] == []
    assert said("list", "--limit", "2", "--cursor", said("list", "--limit", "2")["next"])["items"]
    assert sum(d["entries"] for d in said("activity", "--until", "2026-11-24")) > 5
    assert run([*home, "audit", "list", "--limit", "3"]) == 0
    assert "go on with --cursor" in capsys.readouterr().out
    assert run([*home, "audit", "show", "x"]) == 2
    assert run([*home, "audit", "list", "--since", "soon"]) == 1
    assert "2026-11-24" in capsys.readouterr().err
    assert run([*home, "--as", "northwind-viewer", "audit", "list"]) == 0
