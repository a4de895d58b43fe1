"""Organizations, people, sessions, keys and rights."""

from plumbline.kernel.room import Entry, Room

part = Room(
    name="identity",
    title="Settings",
    tables="plumbline.kernel.identity.tables",
    commands={
        "users": ("plumbline.kernel.identity.cli:users", "People: list, add, change, sign out everywhere."),
        "keys": ("plumbline.kernel.identity.cli:keys", "API keys: list, make, revoke."),
    },
    router="plumbline.kernel.identity.api:router",
    pages="plumbline.kernel.identity.pages:router",
    templates="plumbline.kernel.identity",
    entries=(Entry("settings", "Settings", "/settings/users", "settings", group="record", right="users.read"),),
    rights={
        "users.read": ("viewer", "analyst", "admin"),
        "users.manage": ("admin",),
        "keys.own": ("analyst", "admin"),
        "keys.manage": ("admin",),
        "organizations.manage": (),
        "organizations.settings": ("admin",),
    },
)
