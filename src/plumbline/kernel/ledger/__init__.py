"""The audit log: every act leaves one append-only entry, committed to by hash."""

from plumbline.kernel.room import Entry, Room

part = Room(
    name="ledger",
    title="Ledger",
    tables="plumbline.kernel.ledger.tables",
    commands={"audit": ("plumbline.kernel.ledger.cli:audit", "The audit log: who did what, when, from where.")},
    router="plumbline.kernel.ledger.api:router",
    pages="plumbline.kernel.ledger.pages:router",
    templates="plumbline.kernel.ledger",
    entries=(Entry("ledger", "Ledger", "/audit", "ledger", group="record", right="audit.read"),),
    rights={"audit.read": ("viewer", "analyst", "admin")},
)
