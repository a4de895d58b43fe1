"""Who gets in, for how long, and what they hold then. On both engines."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from plumbline.kernel.database import Database
from plumbline.kernel.errors import Conflict, Forbidden, InvalidInput, NotFound, NotSignedIn, TooMany
from plumbline.kernel.identity import passwords, rights, service, tokens
from plumbline.kernel.identity.service.access import Client
from plumbline.kernel.identity.tables import User, UserSession
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger import queries
from plumbline.kernel.paging import PageRequest
from tests.conftest import Firm, SteppingClock
from tests.support.http import statements

HERE = Client(ip="198.51.100.7", user_agent="a browser")
one_engine = pytest.mark.parametrize(
    "engine_name", ["sqlite"]
)  # no statement of its own that the engines could differ in


def refused(installation: Installation, token: str) -> bool:
    try:
        service.authenticate_session(installation, token, HERE)
    except NotSignedIn:
        return True
    return False


def test_a_session_lives_until_it_ends_or_idles(installation: Installation, firm: Firm, clock: SteppingClock) -> None:
    signed = service.sign_in(installation, " Northwind-Analyst ", firm.password, HERE)
    context, user = service.authenticate_session(installation, signed.token, HERE)
    assert (context.user_id, context.role, context.organization_id) == (firm.people["analyst"], "analyst", firm.id)
    assert context.rights == rights.of_role("analyst")
    assert user.last_login == clock.now
    clock.now += timedelta(minutes=59)
    assert not refused(installation, signed.token)
    clock.now += timedelta(minutes=61)
    assert refused(installation, signed.token)  # idle since the last look
    again = service.sign_in(installation, "analyst@northwind.example", firm.password, HERE)
    for _ in range(12):
        clock.now += timedelta(minutes=59)
        assert not refused(installation, again.token)
    clock.now += timedelta(minutes=13)
    assert refused(installation, again.token)  # twelve hours, however busy


def test_each_sign_in_has_a_token_of_its_own_and_only_its_hash_is_kept(installation: Installation, firm: Firm) -> None:
    first, second = (service.sign_in(installation, "northwind-viewer", firm.password, HERE) for _ in range(2))
    assert first.token != second.token
    assert len(first.token) >= 43
    with installation.database.read(firm.id) as session:
        rows = session.execute(sa.select(UserSession).where(UserSession.organization_id == firm.id)).scalars().all()
    kept = {r.token_hash for r in rows}
    assert kept == {tokens.stored(first.token), tokens.stored(second.token)}
    service.sign_out(installation, service.authenticate_session(installation, first.token, HERE)[0])
    assert refused(installation, first.token)
    assert not refused(installation, second.token)


def test_a_changed_role_and_a_deactivation_end_all_sessions(installation: Installation, firm: Firm) -> None:
    key = firm.people["viewer"]
    for change in ({"role": "analyst"}, {"is_active": False}):
        signed = service.sign_in(installation, "northwind-viewer", firm.password, HERE)
        service.change_user(installation, firm.admin, key, **change)  # type: ignore[arg-type]
        assert refused(installation, signed.token)
    with pytest.raises(NotSignedIn):
        service.sign_in(installation, "northwind-viewer", firm.password, HERE)
    service.change_user(installation, firm.admin, key, is_active=True)
    signed = service.sign_in(installation, "northwind-viewer", firm.password, HERE)
    service.change_user(installation, firm.admin, key, full_name="Only a name")
    assert not refused(installation, signed.token)


@one_engine
def test_an_own_new_password_ends_the_other_sessions_only(installation: Installation, firm: Firm) -> None:
    here, there = (service.sign_in(installation, "northwind-viewer", firm.password, HERE) for _ in range(2))
    context, _ = service.authenticate_session(installation, here.token, HERE)
    for current, new, field in (("wrong", "another fine password", "current"), (firm.password, "short", "password"),
                                (firm.password, "passwordpassword", "password"), (firm.password, firm.password, "password")):  # fmt: skip
        with pytest.raises(InvalidInput) as caught:
            service.change_own_password(installation, context, current=current, new=new)
        assert caught.value.where is not None
        assert caught.value.where.field == field
    service.change_own_password(installation, context, current=firm.password, new="another fine password")
    assert refused(installation, there.token)
    assert not refused(installation, here.token)
    with pytest.raises(NotSignedIn):
        service.sign_in(installation, "northwind-viewer", firm.password, HERE)


def test_a_link_works_once_and_for_half_an_hour(installation: Installation, firm: Firm, clock: SteppingClock) -> None:
    link = service.once_link(installation, firm.admin, firm.people["viewer"])
    assert refused(installation, link)  # it is no session
    signed = service.use_once_link(installation, link, HERE)
    assert not refused(installation, signed.token)
    with pytest.raises(NotSignedIn):
        service.use_once_link(installation, link, HERE)
    with pytest.raises(NotSignedIn):
        service.use_once_link(installation, signed.token, HERE)  # a session is no link
    late = service.once_link(installation, firm.admin, firm.people["viewer"])
    clock.now += timedelta(minutes=31)
    with pytest.raises(NotSignedIn):
        service.use_once_link(installation, late, HERE)


def test_attempts_are_limited_by_account_and_by_address(
    database_url: str, make_installation: Callable[..., Installation], clock: SteppingClock
) -> None:
    installation = make_installation(database_url, sign_in_attempts=3)
    Firm(installation, "northwind")

    def tried(name: str, ip: str) -> str:
        try:
            service.sign_in(installation, name, "wrong", replace(HERE, ip=ip))
        except TooMany as error:
            return "limited" if error.retry_after >= 1 else "limited for no time"
        except NotSignedIn:
            return "wrong"
        return "in"

    assert [tried("northwind-viewer", f"203.0.113.{i}") for i in range(4)] == ["wrong"] * 3 + ["limited"]
    assert [tried(f"nobody-{i}", "203.0.113.77") for i in range(4)] == ["wrong"] * 3 + ["limited"]
    assert tried("NORTHWIND-viewer ", "203.0.113.99") == "limited"  # the same account, written otherwise
    clock.now -= timedelta(hours=1)
    assert tried("northwind-viewer", "203.0.113.98") == "limited"  # a clock set back fills nothing
    clock.now += timedelta(hours=1, seconds=65)
    assert tried("northwind-viewer", "203.0.113.97") == "wrong"


def test_unknown_and_known_names_get_the_same_answer_in_the_same_time(
    sqlite_url: str, make_installation: Callable[..., Installation]
) -> None:
    installation = make_installation(sqlite_url, sign_in_attempts=1000)
    firm = Firm(installation, "northwind")
    service.change_user(installation, firm.admin, firm.people["analyst"], is_active=False)
    best: dict[str, float] = {}
    said: set[str] = set()
    for _ in range(4):
        for name in ("northwind-viewer", "nobody", "northwind-analyst", "no\x00body"):
            began = time.perf_counter()
            with pytest.raises(NotSignedIn) as caught:
                service.sign_in(installation, name, "not the password", HERE)
            best[name] = min(best.get(name, 9.0), time.perf_counter() - began)
            said.add(str(caught.value))
    assert len(said) == 1
    assert max(best.values()) < 3 * min(best.values())  # a missing hash would make it thirty times


def test_a_refused_sign_in_is_an_entry_of_the_person_or_of_the_first_organization(
    installation: Installation, firm: Firm, other_firm: Firm
) -> None:
    for name in ("contoso-viewer", "nobody"):
        with pytest.raises(NotSignedIn):
            service.sign_in(installation, name, "wrong", HERE)
    failed = queries.Query(action="sessions.begin", success=False)
    theirs = queries.list_entries(installation, other_firm.admin, failed, PageRequest()).items
    assert [(e.user_id, e.resource_id) for e in theirs] == [(other_firm.people["viewer"],) * 2]
    first = queries.list_entries(installation, firm.admin, failed, PageRequest()).items
    assert [(e.actor_type, e.actor_id, e.resource_id) for e in first] == [("system", "unknown", None)]
    assert "nobody" not in str([vars(e) for e in first])  # what was typed may be a password


# keys


@one_engine
def test_a_mistyped_key_is_refused_without_a_query(installation: Installation, firm: Firm) -> None:
    _, key = service.create_key(installation, firm.admin, name="nightly", scopes=["users.read"])
    assert service.authenticate_key(installation, key, HERE)[0].rights == {"users.read"}
    typos = [key[:i] + ("A" if key[i] != "A" else "B") + key[i + 1 :] for i in range(4, len(key))]
    swapped = [key[:i] + key[i + 1] + key[i] + key[i + 2 :] for i in range(4, len(key) - 1) if key[i] != key[i + 1]]
    with statements(installation) as sent:
        for wrong in [*typos, *swapped, key[:-1], key + "0", "", "plb_", "Bearer", key.upper(), "plb_" + "é" * 47]:
            with pytest.raises(NotSignedIn):
                service.authenticate_key(installation, wrong, HERE)
    assert sent == []
    with statements(installation) as sent, pytest.raises(NotSignedIn):
        service.authenticate_key(installation, tokens.api_key(), HERE)
    assert sent != []


@one_engine
def test_a_key_holds_its_scopes_as_long_as_its_owner_does(installation: Installation, firm: Firm) -> None:
    analyst = firm.as_role("analyst")
    with pytest.raises(Forbidden):
        service.create_key(installation, analyst, name="too much", scopes=["users.manage"])
    for scopes in ([], ["no.such.right"]):
        with pytest.raises(InvalidInput):
            service.create_key(installation, analyst, name="x", scopes=scopes)
    _, key = service.create_key(installation, analyst, name="reader", scopes=["audit.read", "keys.own"])
    assert service.authenticate_key(installation, key, HERE)[0].rights == {"audit.read", "keys.own"}
    service.change_user(installation, firm.admin, firm.people["analyst"], role="viewer")
    assert service.authenticate_key(installation, key, HERE)[0].rights == {"audit.read"}
    service.change_user(installation, firm.admin, firm.people["analyst"], is_active=False)
    with pytest.raises(NotSignedIn):
        service.authenticate_key(installation, key, HERE)


def test_a_key_ends_when_it_expires_or_is_revoked(installation: Installation, firm: Firm, clock: SteppingClock) -> None:
    _, short = service.create_key(
        installation, firm.admin, name="short", scopes=["users.read"], expires_at=clock.now + timedelta(hours=1)
    )
    key, revoked = service.create_key(installation, firm.admin, name="revoked", scopes=["users.read"])
    service.authenticate_key(installation, short, HERE)
    clock.now += timedelta(hours=1)
    service.revoke_key(installation, firm.admin, key)
    for ended in (short, revoked):
        with pytest.raises(NotSignedIn):
            service.authenticate_key(installation, ended, HERE)
    with pytest.raises(Conflict):
        service.revoke_key(installation, firm.admin, key)
    with pytest.raises(InvalidInput):
        service.create_key(
            installation, firm.as_role("admin"), name="past", scopes=["users.read"], expires_at=clock.now
        )


@one_engine
def test_a_key_s_own_limit_is_per_minute(installation: Installation, firm: Firm, clock: SteppingClock) -> None:
    _, key = service.create_key(installation, firm.admin, name="slow", scopes=["users.read"], client_limit=2)
    service.authenticate_key(installation, key, HERE)
    service.authenticate_key(installation, key, HERE)
    with pytest.raises(TooMany):
        service.authenticate_key(installation, key, HERE)
    clock.now += timedelta(minutes=2)
    service.authenticate_key(installation, key, HERE)


@one_engine
def test_a_key_does_not_reach_its_owner_s_account(installation: Installation, firm: Firm) -> None:
    key, text = service.create_key(installation, firm.admin, name="reader", scopes=["users.read"])
    context, user = service.authenticate_key(installation, text, HERE)
    assert (context.actor_type, context.actor_id, context.user_id) == ("key", str(key), user.id)
    for act in (
        lambda: service.end_sessions(installation, context, user.id),
        lambda: service.list_sessions(installation, context, user.id),
        lambda: service.change_own_password(installation, context, current=firm.password, new="another fine password"),
    ):
        with pytest.raises(Forbidden):
            act()


# people


@one_engine
def test_an_administrator_has_no_power_over_a_superuser(installation: Installation, firm: Firm) -> None:
    superuser = firm.people["admin"]  # the first person of an installation is one
    admin = service.create_user(
        installation, firm.admin, username="second", email="second@northwind.example", role="admin"
    )
    context = firm.context(admin, "admin")
    for act in (
        lambda c: service.reset_password(installation, c, superuser),
        lambda c: service.once_link(installation, c, superuser),
        lambda c: service.end_sessions(installation, c, superuser),
        lambda c: service.change_user(installation, c, superuser, role="viewer"),
    ):
        with pytest.raises(Forbidden):
            act(context)
        act(replace(context, rights=rights.EVERY))


@one_engine
def test_the_last_administrator_stays(installation: Installation, firm: Firm) -> None:
    everything = replace(firm.admin, rights=rights.EVERY)
    for change in ({"role": "viewer"}, {"is_active": False}):
        with pytest.raises(Conflict, match="last administrator"):
            service.change_user(installation, everything, firm.people["admin"], **change)  # type: ignore[arg-type]
    service.change_user(installation, everything, firm.people["viewer"], role="admin")
    service.change_user(installation, everything, firm.people["admin"], role="analyst")


def test_names_are_unique_in_the_installation_however_they_are_written(
    installation: Installation, firm: Firm, other_firm: Firm
) -> None:
    for username, email in (
        ("NORTHWIND-viewer", "x@y.example"),
        ("fresh", "Viewer@Northwind.example"),
        ("viewer@northwind.example", "z@y.example"),
    ):
        with pytest.raises(Conflict):
            service.create_user(installation, other_firm.admin, username=username, email=email)
    for username, email, role in (
        ("a b", "x@y.example", "viewer"),
        ("ab", "nothing", "viewer"),
        ("ab", "x@y.example", "owner"),
    ):
        with pytest.raises(InvalidInput):
            service.create_user(installation, firm.admin, username=username, email=email, role=role)
    key = service.create_user(installation, firm.admin, username="  Mixed.Case ", email="Mixed@Case.example")
    assert service.user_named(installation, firm.admin, "MIXED.case").id == key


@one_engine
def test_an_imported_bcrypt_hash_is_replaced_at_the_sign_in(installation: Installation, firm: Firm) -> None:
    from pwdlib.hashers.bcrypt import BcryptHasher

    def stored() -> str | None:
        return service.user_named(installation, firm.admin, "northwind-viewer").password_hash

    with installation.database.write(firm.id) as session:
        session.execute(
            sa.update(User).where(User.organization_id == firm.id, User.id == firm.people["viewer"]).values(
                password_hash=BcryptHasher(rounds=4).hash("an imported password"))
        )  # fmt: skip
    service.sign_in(installation, "northwind-viewer", "an imported password", HERE)
    assert (stored() or "").startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    service.sign_in(installation, "northwind-viewer", "an imported password", HERE)


@pytest.mark.parametrize(
    "password", ["elevenchars", "passwordpassword", "PasswordPassword", "aaaaaaaaaaaab", "northwind-viewer", "x" * 1025]
)
def test_what_everybody_tries_is_no_password(password: str) -> None:
    with pytest.raises(InvalidInput):
        passwords.check_new(password, username="northwind-viewer")


# organizations


def test_a_superuser_crosses_and_it_is_an_entry_there(installation: Installation, firm: Firm, other_firm: Firm) -> None:
    with pytest.raises(Forbidden):
        service.cross(installation, firm.as_role("admin"), "contoso")
    crossed = service.cross(installation, replace(firm.admin, rights=rights.EVERY), "contoso")
    assert crossed.organization_id == other_firm.id
    entry = queries.list_entries(
        installation, other_firm.admin, queries.Query(action="organizations.cross"), PageRequest()
    ).items[0]
    assert (entry.user_id, entry.details) == (firm.people["admin"], {"from_organization": str(firm.id)})
    with pytest.raises(NotFound):
        service.organization_of(installation, "nowhere")


@one_engine
def test_the_entry_of_a_new_organization_names_who_made_it(installation: Installation, firm: Firm) -> None:
    with pytest.raises(Forbidden):
        service.create_organization(
            installation, firm.as_role("admin"), name="X", slug="x", username="xx", email="x@x.example"
        )
    superuser = replace(firm.admin, rights=rights.EVERY)
    made = service.create_organization(
        installation, superuser, name="Fabrikam", slug="fabrikam", username="fabi", email="fabi@fabrikam.example"
    )
    there = replace(superuser, organization_id=made.organization_id)
    entries = queries.list_entries(installation, there, queries.Query(), PageRequest()).items
    assert [(e.action, e.user_id, e.actor_id) for e in entries] == [
        ("organizations.create", firm.people["admin"], str(firm.people["admin"]))
    ]
    assert not service.user_named(installation, there, "fabi").is_superuser
    for name, slug in (("Fabrikam", "other"), ("Other", "fabrikam")):
        with pytest.raises(Conflict):
            service.create_organization(
                installation, superuser, name=name, slug=slug, username="zz", email="z@z.example"
            )


def test_roles_contain_each_other() -> None:
    assert rights.of_role("viewer") < rights.of_role("analyst") < rights.of_role("admin")
    assert "organizations.manage" not in rights.of_role("admin")


@one_engine
def test_four_eyes_are_asked_once_two_hold_the_right(installation: Installation, firm: Firm) -> None:
    def asked(database: Database) -> bool:
        with database.read(firm.id) as session:
            return service.four_eyes(session, firm.id, "users.manage")

    assert not asked(installation.database)
    service.create_user(installation, firm.admin, username="second", email="second@northwind.example", role="admin")
    assert asked(installation.database)
