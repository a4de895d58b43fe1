"""Punctuality: a delivery was promised for a day; did it come in time?"""

from plumbline.kernel.room import Entry, Room

room = Room(
    name="punctuality",
    title="Punctuality",
    help="Promised and actual days of deliveries.",
    tables="plumbline_example_room.tables",
    migrations="plumbline_example_room.migrations",
    commands={"punctuality": ("plumbline_example_room.cli:punctuality", "Deliveries: record one, list them.")},
    router="plumbline_example_room.api:router",
    pages="plumbline_example_room.pages:router",
    templates="plumbline_example_room",
    entries=(Entry("punctuality", "Punctuality", "/punctuality", "clock", right="punctuality.read"),),
    rights={"punctuality.read": ("viewer", "analyst", "admin"), "punctuality.record": ("analyst", "admin")},
)
