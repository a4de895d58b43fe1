"""The audit log: every act leaves one append-only entry, committed to by hash, sealed into a tree that outsiders can check."""

from plumbline.kernel.room import Entry, Room

part = Room(
    name="ledger",
    title="Ledger",
    tables="plumbline.kernel.ledger.tables",
    commands={
        "audit": ("plumbline.kernel.ledger.cli.audit:audit", "The audit log: who did what, when, from where."),
        "ledger": (
            "plumbline.kernel.ledger.cli.ledger:ledger",
            "The ledger: seal, verify, prove, checkpoints, witnesses, keys.",
        ),
    },
    router="plumbline.kernel.ledger.api:router",
    pages="plumbline.kernel.ledger.pages:router",
    templates="plumbline.kernel.ledger",
    entries=(Entry("ledger", "Ledger", "/ledger", "ledger", group="record", right="audit.read"),),
    jobs={
        "ledger.seal": "plumbline.kernel.ledger.jobs:seal",
        "ledger.verify": "plumbline.kernel.ledger.jobs:verify",
        "ledger.verify.whole": "plumbline.kernel.ledger.jobs:verify",
    },
    schedules={
        "ledger seal": ("* * * * *", "ledger.seal"),
        "ledger verify": ("17 3 * * *", "ledger.verify"),
        "ledger verify whole": ("43 4 1 * *", "ledger.verify.whole"),
    },
    sdk="plumbline.kernel.ledger.sdk:Ledger",
    rights={
        "audit.read": ("viewer", "analyst", "admin"),
        "ledger.verify": ("viewer", "analyst", "admin"),
        "ledger.seal": ("analyst", "admin"),
        "ledger.keys": ("admin",),
        "ledger.witness": ("admin",),
        "ledger.erase": ("admin",),
        "ledger.prune": ("admin",),
    },
)
