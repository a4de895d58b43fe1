"""The life of an installation: its health."""

from plumbline.kernel.room import Room

part = Room(
    name="lifecycle",
    title="Health",
    router="plumbline.kernel.lifecycle.api:router",
    rights={"health.read": ("viewer", "analyst", "admin")},
)
