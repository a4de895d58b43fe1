"""Models: the registry, its files, and every decision they made."""

from plumbline.kernel.room import Entry, Room

part = Room(
    name="models",
    title="Models",
    tables="plumbline.kernel.models.tables",
    commands={"models": ("plumbline.kernel.models.cli:models", "Models: list, show, activate, roll back, drift.")},
    router="plumbline.kernel.models.api:router",
    pages="plumbline.kernel.models.pages:router",
    templates="plumbline.kernel.models",
    entries=(Entry("models", "Models", "/models", "models", group="record", right="models.read"),),
    findings="plumbline.kernel.models.service:triage",
    records="plumbline.kernel.models.records:verify",
    erasable="plumbline.kernel.models.erasing:erasable",
    jobs={
        "models.drift": "plumbline.kernel.models.jobs:drift",
        "models.evaluate": "plumbline.kernel.models.service.cohorts:perform",
    },
    schedules={"models evaluate": ("31 2 * * *", "models.evaluate")},
    rights={
        "models.read": ("viewer", "analyst", "admin"),
        "models.activate": ("admin",),
        "models.drift": ("analyst", "admin"),
    },
)
