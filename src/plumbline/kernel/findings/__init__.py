"""One triage list over all rooms."""

from plumbline.kernel.room import Entry, Room

part = Room(
    name="findings",
    title="Findings",
    tables="plumbline.kernel.findings.tables",
    commands={"findings": ("plumbline.kernel.findings.cli:findings", "What waits for a person: list, take, note, resolve.")},
    router="plumbline.kernel.findings.api:router",
    pages="plumbline.kernel.findings.pages:router",
    templates="plumbline.kernel.findings",
    entries=(
        Entry("findings", "Findings", "/findings", "findings", group="work", right="findings.read",
              count="plumbline.kernel.findings.service:open_count"),
    ),
    rights={"findings.read": ("viewer", "analyst", "admin"), "findings.triage": ("analyst", "admin"), "findings.rebuild": ("admin",)},
)  # fmt: skip
