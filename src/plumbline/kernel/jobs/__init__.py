"""Durable background work over one table, on both engines."""

from plumbline.kernel.room import Entry, Room

part = Room(
    name="jobs",
    title="Data",
    tables="plumbline.kernel.jobs.tables",
    commands={"jobs": ("plumbline.kernel.jobs.cli:jobs", "Background jobs: list, show, cancel, retry.")},
    router="plumbline.kernel.jobs.api:router",
    pages="plumbline.kernel.jobs.pages:router",
    templates="plumbline.kernel.jobs",
    entries=(Entry("data", "Data", "/jobs", "data", group="record", right="jobs.read"),),
    rights={"jobs.read": ("viewer", "analyst", "admin"), "jobs.manage": ("admin",)},
)
