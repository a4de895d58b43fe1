"""Two organizations with the same data: nothing of the one is ever shown to, or changed by, the other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from plumbline.app import create_app
from plumbline.kernel.database.schema import tenant_tables
from plumbline.kernel.identity import service as identity
from plumbline.kernel.models import predictions
from plumbline.kernel.models.tables import Prediction
from tests.api.test_fuzz import things
from tests.credit.trained import Lender
from tests.support.http import Program

BODIES: dict[str, Any] = {
    "change_user": {"full_name": "Changed"}, "activate_model": {"reason": "because it is better"}, "rollback_model": {"reason": "because it was better"},
    "note_finding": {"text": "a note of ten"}, "resolve_finding": {"note": "a note of ten characters"},
}  # fmt: skip
OURS = {"name", "which"}  # parameters that are words, not ids


def routes(app: Any) -> list[tuple[str, str, str, list[str]]]:
    """(method, path, operation, parameters) of every API route that names a thing by its id."""
    found = []
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            names = re.findall(r"{(\w+)}", path)
            if set(names) - OURS:
                found.append((method.upper(), path, operation["operationId"], names))
    return found


def ids_of(lender: Lender, folder: Path) -> dict[str, str]:
    folder.mkdir(exist_ok=True)
    found = things(lender, folder)
    key, _ = identity.create_key(lender.installation, lender.admin, name="a program", scopes=["credit.read"])
    signed = identity.sign_in(
        lender.installation,
        f"{lender.slug}-viewer",
        "correct horse battery staple",
        identity.access.Client(ip="203.0.113.1"),
    )
    return found | {"key_id": str(key), "session_id": str(signed.session_id)}


def snapshot(lender: Lender) -> dict[str, int]:
    """Rows of each tenant table, by organization."""
    counted = {}
    for table in sorted(tenant_tables() - {"audit_log", "ledger_pending"}):
        rows = lender.rows(f"SELECT count(*) FROM {table} WHERE organization_id = :o", o=lender.key(lender.id))
        counted[table] = int(rows[0][0])
    return counted


@pytest.fixture
def two(lenders: dict[str, Lender], tmp_path: Path) -> tuple[Lender, Lender, dict[str, str], dict[str, str]]:
    ours, theirs = lenders["northwind"], lenders["contoso"]
    return ours, theirs, ids_of(ours, tmp_path / "ours"), ids_of(theirs, tmp_path / "theirs")


def test_no_route_finds_a_thing_of_another_organization(two: Any) -> None:
    ours, theirs, mine, foreign = two
    app = create_app(ours.installation)
    program = Program(app, ours.keys["admin"])
    before, audit = (
        snapshot(theirs),
        theirs.rows("SELECT count(*) FROM audit_log WHERE organization_id = :o", o=theirs.key(theirs.id)),
    )
    asked = routes(app)
    assert len(asked) >= 20
    for method, path, operation, names in asked:
        unknown = [name for name in names if name not in foreign]
        assert not unknown, f"{path} has a parameter this test does not know: {unknown}"
        address = path.format(**{name: (mine if name in OURS else foreign)[name] for name in names})
        answer = program(method, address, json=BODIES.get(operation))
        assert answer.status_code == 404, f"{method} {address}: {answer.status_code} {answer.text[:300]}"
        held = path.format(**mine)
        own = program(method, held) if method == "GET" else None
        assert own is None or own.status_code == 200, (
            f"{method} {held} finds not even its own: {own.status_code} {own.text[:200]}"
        )
    assert snapshot(theirs) == before
    assert theirs.rows("SELECT count(*) FROM audit_log WHERE organization_id = :o", o=theirs.key(theirs.id)) == audit


def foreign_words(program: Any, app: Any, foreign: dict[str, str], theirs: Lender) -> list[str]:
    """Where something of the other organization stands in a list of ours."""
    words = {v for k, v in foreign.items() if k not in OURS} | {str(theirs.id), theirs.slug}
    found = []
    for path, methods in app.openapi()["paths"].items():
        if "get" in methods and "{" not in path and path.startswith("/api/"):
            text = program("GET", path).text
            found += [f"{path}: {word}" for word in words if word in text]
    return found


def test_no_list_shows_anything_of_another_organization(two: Any) -> None:
    ours, theirs, _, foreign = two
    app = create_app(ours.installation)
    assert foreign_words(Program(app, ours.keys["admin"]), app, foreign, theirs) == []


def test_this_would_find_a_query_that_forgets_the_tenant(
    embedded: Lender, sqlite_lenders: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    theirs = sqlite_lenders["contoso"]
    foreign = ids_of(theirs, tmp_path / "theirs")
    app = create_app(embedded.installation)
    program = Program(app, embedded.keys["admin"])
    assert foreign_words(program, app, foreign, theirs) == []

    def forgetful(model: Any, _organization_id: Any) -> Any:
        return sa.select(model).execution_options(tenant="all")

    def page(session: Any, statement: Any, model: Any, request: Any) -> Any:
        from plumbline.kernel.database import page as counted

        return counted(session, statement, model, request, count=False)

    monkeypatch.setattr(predictions, "scoped", forgetful)
    monkeypatch.setattr(predictions, "page_of", page)
    assert any(word.startswith("/api/v1/credit/predictions") for word in foreign_words(program, app, foreign, theirs))
    assert Prediction.__tablename__ in tenant_tables()
