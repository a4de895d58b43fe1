"""The first page: what was decided, what waits, what runs, what is recorded."""

from plumbline.kernel.room import Room

part = Room(
    name="overview",
    title="Overview",
    commands={"metrics": ("plumbline.kernel.overview.cli:metrics", "What each room measures about its own work.")},
    router="plumbline.kernel.overview.api:router",
    pages="plumbline.kernel.overview.pages:router",
    templates="plumbline.kernel.overview",
)
