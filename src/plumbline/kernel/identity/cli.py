"""``plumbline users`` and ``plumbline keys``: people, their sign-ins, organizations, API keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from plumbline.kernel.faces.cli import Cursor, Json, Limit, invocation, print_facts, print_json, print_page, print_table

if TYPE_CHECKING:
    from uuid import UUID

    from plumbline.kernel.context import Context
    from plumbline.kernel.identity.tables import ApiKey, User
    from plumbline.kernel.installation import Installation

users = typer.Typer(no_args_is_help=True, add_completion=False, help="People: list, add, change, sign out everywhere.")
keys = typer.Typer(no_args_is_help=True, add_completion=False, help="API keys: list, make, revoke.")

Who = Annotated[str, typer.Argument(metavar="USER", help="User name, e-mail or id.")]
Role = Annotated[str, typer.Option("--role", help="viewer, analyst or admin.")]
ONCE = "shown once; it must be changed at the next sign-in"


def _opened(context: typer.Context) -> tuple[Installation, Context]:
    called = invocation(context)
    return called.installation, called.context


def _person(user: User) -> dict[str, Any]:
    return {
        "name": user.username, "full name": user.full_name, "email": user.email, "role": user.role, "active": user.is_active,
        "last sign-in": user.last_login, "id": user.id, "superuser": user.is_superuser, "must change password": user.must_change_password,
        "created": user.created_at,
    }  # fmt: skip


@users.command("list")
def list_users(context: typer.Context, limit: Limit = 50, cursor: Cursor = None, as_json: Json = False) -> None:
    """The newest people first."""
    from plumbline.kernel.identity import service
    from plumbline.kernel.paging import PageRequest

    installation, actor = _opened(context)
    page = service.list_users(installation, actor, PageRequest.parse(limit, cursor))
    print_page(page, ("name", "full name", "email", "role", "active", "last sign-in", "id"), _person, as_json=as_json)


@users.command("show")
def show(context: typer.Context, user: Who, as_json: Json = False) -> None:
    """One person."""
    from plumbline.kernel.identity import service

    installation, actor = _opened(context)
    actor.require("users.read")
    print_facts(_person(service.user_named(installation, actor, user)), as_json=as_json)


@users.command("create")
def create(
    context: typer.Context,
    username: Annotated[str, typer.Argument(help="What the person signs in with.")],
    email: Annotated[str, typer.Option("--email", help="The person's address.")],
    full_name: Annotated[str | None, typer.Option("--name", help="The person's full name.")] = None,
    role: Role = "viewer",
    as_json: Json = False,
) -> None:
    """Add a person; their password is shown once."""
    from plumbline.kernel.identity import service

    installation, actor = _opened(context)
    key = service.create_user(installation, actor, username=username, email=email, full_name=full_name, role=role)
    password = service.reset_password(installation, actor, key)
    print_facts({"id": key, "name": username, "role": role, "password": password, "note": ONCE}, as_json=as_json)


@users.command("change")
def change(
    context: typer.Context,
    user: Who,
    role: Annotated[
        str | None, typer.Option("--role", help="viewer, analyst or admin; ends the person's sessions.")
    ] = None,
    full_name: Annotated[str | None, typer.Option("--name", help="Another full name.")] = None,
    active: Annotated[
        bool | None,
        typer.Option("--active/--inactive", help="Whether the person may sign in; --inactive ends their sessions."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Change a person's role, name or whether they may sign in."""
    from plumbline.kernel.identity import service

    installation, actor = _opened(context)
    found = service.user_named(installation, actor, user)
    service.change_user(installation, actor, found.id, role=role, is_active=active, full_name=full_name)
    print_facts(_person(service.user_named(installation, actor, str(found.id))), as_json=as_json)


@users.command("reset-password")
def reset_password(context: typer.Context, user: Who, as_json: Json = False) -> None:
    """Give a person a new password, shown once; all their sessions end."""
    from plumbline.kernel.identity import service

    installation, actor = _opened(context)
    found = service.user_named(installation, actor, user)
    print_facts(
        {"name": found.username, "password": service.reset_password(installation, actor, found.id), "note": ONCE},
        as_json=as_json,
    )


@users.command("link")
def link(context: typer.Context, user: Who, as_json: Json = False) -> None:
    """A link that signs a person in a single time within 30 minutes."""
    from plumbline.kernel.errors import Conflict
    from plumbline.kernel.identity import service

    installation, actor = _opened(context)
    found = service.user_named(installation, actor, user)
    if found.must_change_password:
        raise Conflict(f"'{found.username}' must change a password first, and a link does not tell it.",
                       remedy=f"Use: plumbline users reset-password {found.username}")  # fmt: skip
    settings = installation.settings
    base = settings.public_url or f"http://{settings.host}:{settings.port}"
    address = f"{base.rstrip('/')}/signin/once/{service.once_link(installation, actor, found.id)}"
    print_facts({"name": found.username, "link": address, "note": "works once, for 30 minutes"}, as_json=as_json)


@users.command("sessions")
def sessions(context: typer.Context, user: Who, as_json: Json = False) -> None:
    """Where a person is signed in."""
    from plumbline.kernel.identity import service

    installation, actor = _opened(context)
    found = service.list_sessions(installation, actor, service.user_named(installation, actor, user).id)
    columns = ("id", "ip_address", "created_at", "last_activity", "expires_at", "user_agent")
    if as_json:
        print_json([{c: getattr(s, c) for c in columns} for s in found])
        return
    print_table(("id", "address", "since", "last used", "ends", "browser"), [[getattr(s, c) for c in columns] for s in found],
                empty="Signed in nowhere.")  # fmt: skip


@users.command("sign-out")
def sign_out(
    context: typer.Context,
    user: Who,
    session: Annotated[
        str | None, typer.Option("--session", help="Only this one; its id is in `users sessions`.")
    ] = None,
    as_json: Json = False,
) -> None:
    """End a person's sessions."""
    from plumbline.kernel.identity import service

    installation, actor = _opened(context)
    found = service.user_named(installation, actor, user)
    ended = service.end_sessions(installation, actor, found.id, None if session is None else _id(session, "--session"))
    print_facts({"name": found.username, "sessions ended": ended}, as_json=as_json)


@users.command("organizations")
def organizations(context: typer.Context, as_json: Json = False) -> None:
    """The organizations of the installation."""
    from plumbline.kernel.identity import service

    installation, actor = _opened(context)
    rows = [{"slug": o.slug, "name": o.name, "active": o.is_active, "created": o.created_at, "id": o.id}
            for o in service.list_organizations(installation, actor)]  # fmt: skip
    if as_json:
        print_json(rows)
        return
    print_table(("slug", "name", "active", "created", "id"), [list(r.values()) for r in rows])


@users.command("create-organization")
def create_organization(
    context: typer.Context,
    slug: Annotated[str, typer.Argument(help="Short name: small letters, digits, hyphens.")],
    name: Annotated[str, typer.Option("--name", help="The organization's name.")],
    admin: Annotated[str, typer.Option("--admin", help="User name of its first administrator.")],
    email: Annotated[str, typer.Option("--email", help="The administrator's address.")],
    as_json: Json = False,
) -> None:
    """Make a further organization; its administrator's password is shown once."""
    from plumbline.kernel.identity import service

    installation, actor = _opened(context)
    made = service.create_organization(installation, actor, name=name, slug=slug, username=admin, email=email)
    print_facts({"id": made.organization_id, "slug": slug, "administrator": made.username, "password": made.password, "note": "shown once"},
                as_json=as_json)  # fmt: skip


@users.command("four-eyes")
def four_eyes(
    context: typer.Context,
    choice: Annotated[str, typer.Argument(help="on, off, or default (on as soon as two people could do such acts).")],
    as_json: Json = False,
) -> None:
    """Whether binding acts, such as activating a model, need a second person."""
    from plumbline.kernel.identity import service

    values = {"on": True, "off": False, "default": None}
    if choice not in values:
        raise typer.BadParameter("choose on, off or default", param_hint="CHOICE")
    installation, actor = _opened(context)
    service.change_settings(installation, actor, four_eyes=values[choice])
    print_facts({"four eyes": choice}, as_json=as_json)


@keys.command("list")
def list_keys(context: typer.Context, limit: Limit = 50, cursor: Cursor = None, as_json: Json = False) -> None:
    """API keys, the newest first; of their texts only the beginning is known."""
    from plumbline.kernel.identity import service
    from plumbline.kernel.paging import PageRequest

    installation, actor = _opened(context)
    page = service.list_keys(installation, actor, PageRequest.parse(limit, cursor))
    names = service.names_of(installation, actor, {k.user_id for k in page.items})

    def row(key: ApiKey) -> dict[str, Any]:
        state = (
            "revoked" if key.revoked_at else "expired" if key.expires_at and key.expires_at <= actor.now else "active"
        )
        return {
            "name": key.name, "begins with": key.prefix, "state": state, "owner": names.get(key.user_id), "scopes": ", ".join(key.scopes),
            "expires": key.expires_at, "last used": key.last_used_at, "id": key.id, "client limit": key.client_limit,
            "created": key.created_at, "revoked": key.revoked_at,
        }  # fmt: skip

    print_page(
        page, ("name", "begins with", "state", "owner", "scopes", "expires", "last used", "id"), row, as_json=as_json
    )


@keys.command("create")
def create_key(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The program that will use it.")],
    scope: Annotated[
        list[str],
        typer.Option("--scope", help="A right of the key, such as credit.score; may be given more than once."),
    ],
    days: Annotated[
        int | None, typer.Option("--days", min=1, max=3650, help="Valid for so many days; for ever without it.")
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Requests a minute.")] = None,
    as_json: Json = False,
) -> None:
    """Make a key for the person that --as names; its text is shown once."""
    from datetime import timedelta

    from plumbline.kernel.identity import service

    installation, actor = _opened(context)
    expires = None if days is None else actor.now + timedelta(days=days)
    key, text = service.create_key(installation, actor, name=name, scopes=scope, expires_at=expires, client_limit=limit)
    print_facts(
        {"id": key, "name": name, "key": text, "scopes": sorted(set(scope)), "expires": expires, "note": "shown once"},
        as_json=as_json,
    )


@keys.command("revoke")
def revoke(
    context: typer.Context, key: Annotated[str, typer.Argument(help="The key's id.")], as_json: Json = False
) -> None:
    """Refuse a key from now on, for good."""
    from plumbline.kernel.identity import service

    installation, actor = _opened(context)
    service.revoke_key(installation, actor, _id(key, "KEY"))
    print_facts({"id": key, "state": "revoked"}, as_json=as_json)


def _id(text: str, name: str) -> UUID:
    from uuid import UUID

    try:
        return UUID(text)
    except ValueError:
        from plumbline.kernel.errors import Usage

        raise Usage(f"{name}: '{text}' is no id.", remedy="Copy one from the list.") from None
