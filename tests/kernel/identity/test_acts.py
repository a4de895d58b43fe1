"""Every use case leaves exactly one entry, also when it is refused; and no secret is ever in one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import pytest
import sqlalchemy as sa

from plumbline.kernel.context import Context
from plumbline.kernel.errors import PlumblineError
from plumbline.kernel.identity import rights, service
from plumbline.kernel.identity.service.access import Client
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger.tables import AuditEntry, PendingEntry
from tests.conftest import Firm

HERE = Client(ip="198.51.100.7")


@dataclass
class Case:
    """``refused`` is a call by somebody who may not, or that cannot be done."""

    action: str
    done: Callable[[Any], Any]
    refused: Callable[[Any], Any] | None = None


@dataclass
class Stage:
    installation: Installation
    firm: Firm
    admin: Context
    viewer: Context
    key: Any = None

    @property
    def target(self) -> Any:
        return self.firm.people["viewer"]


CASES: dict[str, Case] = {
    "sign_in": Case("sessions.begin", lambda s: service.sign_in(s.installation, "northwind-viewer", s.firm.password, HERE),
                    lambda s: service.sign_in(s.installation, "northwind-viewer", "wrong", HERE)),
    "change_settings": Case("organizations.change", lambda s: service.change_settings(s.installation, s.admin, four_eyes=False),
                            lambda s: service.change_settings(s.installation, s.viewer, four_eyes=False)),
    "sign_out": Case("sessions.end", lambda s: service.sign_out(s.installation, s.viewer)),
    "use_once_link": Case("sessions.begin", lambda s: service.use_once_link(s.installation, s.link, HERE)),
    "once_link": Case("users.once_link", lambda s: service.once_link(s.installation, s.admin, s.target),
                      lambda s: service.once_link(s.installation, s.viewer, s.target)),
    "create_user": Case("users.create", lambda s: service.create_user(s.installation, s.admin, username="new", email="new@n.example"),
                        lambda s: service.create_user(s.installation, s.viewer, username="new", email="new@n.example")),
    "create_key": Case("keys.create", lambda s: service.create_key(s.installation, s.admin, name="k", scopes=["users.read"]),
                       lambda s: service.create_key(s.installation, s.viewer, name="k", scopes=["users.read"])),
    "revoke_key": Case("keys.revoke", lambda s: service.revoke_key(s.installation, s.admin, s.key),
                       lambda s: service.revoke_key(s.installation, s.viewer, s.key)),
    "cross": Case("organizations.cross", lambda s: service.cross(s.installation, replace(s.admin, rights=rights.EVERY), "northwind")),
    "initialize": Case("organizations.create",
                       lambda s: service.initialize(s.installation, name="F", slug="f", username="ff", email="f@f.example", superuser=False)),
    "create_organization": Case(
        "organizations.create",
        lambda s: service.create_organization(s.installation, replace(s.admin, rights=rights.EVERY), name="G", slug="g", username="gg", email="g@g.example")),
    "end_sessions": Case("sessions.end", lambda s: service.end_sessions(s.installation, s.admin, s.target),
                         lambda s: service.end_sessions(s.installation, s.viewer, s.firm.people["analyst"])),
    "change_own_password": Case(
        "users.change_password", lambda s: service.change_own_password(s.installation, s.viewer, current=s.firm.password, new="another fine password"),
        lambda s: service.change_own_password(s.installation, s.viewer, current="wrong", new="another fine password")),
    "reset_password": Case("users.reset_password", lambda s: service.reset_password(s.installation, s.admin, s.target),
                           lambda s: service.reset_password(s.installation, s.viewer, s.target)),
    "change_user": Case("users.change", lambda s: service.change_user(s.installation, s.admin, s.target, role="analyst"),
                        lambda s: service.change_user(s.installation, s.viewer, s.target, role="admin")),
}  # fmt: skip
READS = {"list_users", "list_keys", "list_sessions", "list_organizations", "names_of", "user_named", "organization_of", "four_eyes",
         "system_context", "authenticate_key", "authenticate_session"}  # fmt: skip


def entries(installation: Installation) -> list[AuditEntry]:
    """Of all organizations; on PostgreSQL one after the other, as row-level security wants it."""
    from plumbline.kernel.identity.tables import Organization

    found: list[AuditEntry] = []
    with installation.database.read(None) as session:
        keys = list(session.scalars(sa.select(Organization.id)))
    for key in keys:
        with installation.database.read(key) as session:
            found += session.scalars(sa.select(AuditEntry).where(AuditEntry.organization_id == key))
    return found


def test_every_use_case_is_here() -> None:
    functions = {name for name in service.__all__ if inspect.isfunction(getattr(service, name))}
    assert functions == set(CASES) | READS


@pytest.fixture
def stage(installation: Installation, firm: Firm) -> Stage:
    made = Stage(installation, firm, firm.admin, firm.as_role("viewer"))
    made.key = service.create_key(installation, made.admin, name="first", scopes=["users.read"])[0]
    made.link = service.once_link(installation, made.admin, made.target)  # type: ignore[attr-defined]
    return made


def test_an_act_leaves_one_entry(stage: Stage) -> None:
    """All in one firm, one after the other: a case ends no session or password that a later one needs."""
    before = {e.id for e in entries(stage.installation)}
    for name, case in CASES.items():
        if case.refused is not None:
            with pytest.raises(PlumblineError):
                case.refused(stage)
            (failed,) = (e for e in entries(stage.installation) if e.id not in before)
            assert (failed.action, failed.success) == (case.action, False), name
            assert failed.error_message, name
            assert failed.new_values is None, name
            before.add(failed.id)
        returned = case.done(stage)
        (entry,) = (e for e in entries(stage.installation) if e.id not in before)
        assert (entry.action, entry.success, entry.error_message) == (case.action, True, None), name
        assert len(entry.actor_salt or b"") == len(entry.content_commitment) == 32, name
        secrets = [
            str(part) for part in (returned if isinstance(returned, tuple) else (returned,)) if isinstance(part, str)
        ]
        secrets += [getattr(returned, part) for part in ("token", "password") if hasattr(returned, part)]
        told = str({k: v for k, v in vars(entry).items() if k != "_sa_instance_state"})
        assert not [s for s in [*secrets, stage.firm.password, "another fine password"] if s in told], name
        before.add(entry.id)


def test_every_entry_waits_to_be_sealed(stage: Stage) -> None:
    with stage.installation.database.read(stage.firm.id) as session:
        waiting = set(
            session.scalars(sa.select(PendingEntry.entry_id).where(PendingEntry.organization_id == stage.firm.id))
        )
    assert waiting == {e.id for e in entries(stage.installation)}


def test_a_read_leaves_none(stage: Stage) -> None:
    from plumbline.kernel.paging import PageRequest

    given: dict[str, Any] = {"installation": stage.installation, "context": stage.admin, "request": PageRequest(), "user_id": stage.target,
                             "keys": {stage.target}, "name": "northwind-viewer", "slug": None, "token": "x", "key": "x", "client": HERE}  # fmt: skip
    before = len(entries(stage.installation))
    for name in READS - {"system_context", "four_eyes"}:
        function = getattr(service, name)
        with suppress(PlumblineError):
            function(**{p: given[p] for p in inspect.signature(function).parameters})
        assert len(entries(stage.installation)) == before, name
