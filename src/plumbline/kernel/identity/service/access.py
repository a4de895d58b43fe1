"""Signing in and out, and who a request comes from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from plumbline.kernel.context import Context
from plumbline.kernel.database import new_id
from plumbline.kernel.errors import Conflict, NotSignedIn, TooMany
from plumbline.kernel.identity import passwords, repository, rights, tokens
from plumbline.kernel.identity.tables import User
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger.service import Act, audit

TOUCH = timedelta(seconds=60)  # `last_activity` and `last_used_at` are exact to this
ONE_MORE_EVERY = 30.0  # seconds between attempts once a bucket is empty
_WRONG = "The name or the password is not right."


@dataclass(frozen=True, slots=True)
class Client:
    """Where a request comes from, as far as the edge knows."""

    ip: str | None = None
    user_agent: str | None = None
    request_id: str | None = None
    client_id: str = "console"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """``token`` goes into the cookie and is told nowhere else."""

    token: str
    session_id: UUID
    user_id: UUID
    organization_id: UUID
    must_change_password: bool


def _limit(installation: Installation, *names: str) -> None:
    """One bucket for the account and one for the address; both are asked before any password is looked at."""
    now = installation.clock().timestamp()
    for name in names:
        with installation.database.write(None) as session:
            left = repository.take_token(session, tokens.stored(f"sign-in:{name}"), now=now, per_second=1 / ONE_MORE_EVERY,
                                         capacity=float(installation.settings.sign_in_attempts))  # fmt: skip
        if left < 0:
            raise TooMany(
                "Too many attempts to sign in.",
                retry_after=int(-left * ONE_MORE_EVERY) + 1,
                remedy="Wait a minute, then try again.",
            )


def _person(user: User, client: Client, installation: Installation, session_id: UUID | None = None) -> Context:
    return Context(
        organization_id=user.organization_id, actor_type="user", actor_id=str(user.id), user_id=user.id, client_id=client.client_id,
        now=installation.clock(), rights=rights.EVERY if user.is_superuser else rights.of_role(user.role), role=user.role,
        session_id=str(session_id) if session_id else None, request_id=client.request_id, ip=client.ip, user_agent=client.user_agent,
    )  # fmt: skip


def sign_in(installation: Installation, name: str, password: str, client: Client) -> SignedIn:
    """Check a password and begin a session. Unknown names take as long and get the same answer as wrong passwords."""
    _limit(installation, f"account:{name.strip().casefold()}", f"address:{client.ip}")
    user = _find(installation, name)
    fits, better = passwords.matches(password, user.password_hash if user and user.is_active else None)
    if user is None or not user.is_active or not fits:
        _refused(installation, user, client)
        raise NotSignedIn(_WRONG, remedy="Try again, or ask your administrator for a new password.")
    context = _person(user, client, installation)
    with Act(installation.database, context, "sessions.begin", "user", resource_id=user.id) as act:
        if better:
            repository.update_user(
                act.session, user.organization_id, user.id, password_hash=better, updated_at=context.now
            )
        return _begin(act, installation, user)


def use_once_link(installation: Installation, token: str, client: Client) -> SignedIn:
    """Begin a session by a link that works a single time."""
    _limit(installation, f"address:{client.ip}")
    with installation.database.read(None) as session:
        found = repository.find_session(session, tokens.stored(token))
        row = None
        if found is not None:
            installation.database.enter(session, found[1])
            row = repository.signed_in(session, found[1], found[0])
    now = installation.clock()
    if (
        row is None
        or row[0].purpose != "once"
        or not row[0].is_active
        or row[0].expires_at <= now
        or not row[1].is_active
    ):
        raise NotSignedIn(
            "This link has been used or is too old.", remedy="Ask for a new one, or sign in with your password."
        )
    link, user = row
    context = _person(user, client, installation)
    with Act(installation.database, context, "sessions.begin", "user", resource_id=user.id) as act:
        if not repository.end_sessions(act.session, user.organization_id, key=link.id):
            raise Conflict("This link was used a moment ago.")
        act.done(by="once link")
        return _begin(act, installation, user)


def sign_out(installation: Installation, context: Context) -> None:
    with Act(installation.database, context, "sessions.end", "user", resource_id=context.user_id) as act:
        if context.session_id:
            act.done(
                sessions_ended=repository.end_sessions(
                    act.session, context.organization_id, key=UUID(context.session_id)
                )
            )


def authenticate_session(installation: Installation, token: str, client: Client) -> tuple[Context, User]:
    """Who holds this cookie; raises :class:`NotSignedIn` where it is unknown, ended, too old or idle for too long."""
    now, settings = installation.clock(), installation.settings
    with installation.database.read(None) as session:
        found = repository.find_session(session, tokens.stored(token))
        row = None
        if found is not None:
            installation.database.enter(session, found[1])
            row = repository.signed_in(session, found[1], found[0])
    if row is None:
        raise NotSignedIn("Nobody is signed in.", remedy="Sign in.")
    held, user = row
    idle = timedelta(minutes=settings.session_idle_minutes)
    if (
        held.purpose != "session"
        or not held.is_active
        or not user.is_active
        or held.expires_at <= now
        or held.last_activity + idle <= now
    ):
        raise NotSignedIn("The session has ended.", remedy="Sign in again.")
    if now - held.last_activity >= TOUCH:
        with installation.database.write(user.organization_id) as writing:
            repository.touch_session(writing, user.organization_id, held.id, now)
    return _person(user, client, installation, held.id), user


def authenticate_key(installation: Installation, key: str, client: Client) -> tuple[Context, User]:
    """Which program this is, and for whom it acts. A mistyped key is refused without a look at the database."""
    wrong = NotSignedIn("The API key is not valid.", remedy="Make a new one: plumbline keys create")
    if not tokens.well_formed(key):
        raise wrong
    now = installation.clock()
    with installation.database.read(None) as session:
        found = repository.find_key(session, tokens.stored(key))
        row = None
        if found is not None:
            installation.database.enter(session, found[1])
            row = repository.key_and_owner(session, found[1], found[0])
    if row is None:
        raise wrong
    held, user = row
    if held.revoked_at is not None or not user.is_active or (held.expires_at is not None and held.expires_at <= now):
        raise wrong
    if held.client_limit is not None:
        with installation.database.write(None) as writing:
            left = repository.take_token(writing, tokens.stored(f"key:{held.id}"), now=now.timestamp(), per_second=held.client_limit / 60,
                                         capacity=float(held.client_limit))  # fmt: skip
        if left < 0:
            raise TooMany(f"The key '{held.name}' has made more than {held.client_limit} requests in a minute.", retry_after=1,
                          remedy="Slow down, or raise the key's limit.")  # fmt: skip
    if held.last_used_at is None or now - held.last_used_at >= TOUCH:
        with installation.database.write(user.organization_id) as writing:
            repository.update_key(writing, user.organization_id, held.id, last_used_at=now)
    owner = rights.EVERY if user.is_superuser else rights.of_role(user.role)
    scopes = frozenset(held.scopes)
    granted = scopes if "*" in owner else owner & scopes
    context = Context(
        organization_id=user.organization_id, actor_type="key", actor_id=str(held.id), user_id=user.id, client_id=held.name, now=now,
        rights=granted, role=user.role, request_id=client.request_id, ip=client.ip, user_agent=client.user_agent,
    )  # fmt: skip
    return context, user


def _find(installation: Installation, name: str) -> User | None:
    with installation.database.read(None) as session:
        found = repository.find_user(session, name)
        if found is None:
            return None
        installation.database.enter(session, found[1])
        return repository.user(session, found[1], found[0])


def _begin(act: Act, installation: Installation, user: User) -> SignedIn:
    token, key, now = tokens.session_token(), new_id(act.context.now), act.context.now
    repository.insert_session(
        act.session, id=key, organization_id=user.organization_id, user_id=user.id, purpose="session", token_hash=tokens.stored(token),
        ip_address=act.context.ip or "local", user_agent=act.context.user_agent, created_at=now,
        expires_at=now + timedelta(hours=installation.settings.session_hours), last_activity=now, is_active=True,
    )  # fmt: skip
    repository.update_user(act.session, user.organization_id, user.id, last_login=now, updated_at=now)
    act.done(session=str(key))
    return SignedIn(token, key, user.id, user.organization_id, user.must_change_password)


def _refused(installation: Installation, user: User | None, client: Client) -> None:
    """A failed sign-in is an entry of the person's organization, or of the installation's first one."""
    from plumbline.kernel.identity.service.organizations import organization_of

    if user is not None:
        context = _person(user, client, installation)
    else:
        context = Context(organization_id=organization_of(installation, None).id, actor_type="system", actor_id="unknown",
                          client_id=client.client_id, now=installation.clock(), request_id=client.request_id, ip=client.ip,
                          user_agent=client.user_agent)  # fmt: skip
    with installation.database.write(context.organization_id) as session:
        audit(session, context, "sessions.begin", "user", user.id if user else None, error="wrong name or password")
