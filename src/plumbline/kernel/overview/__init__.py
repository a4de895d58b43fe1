"""The first page: what was decided, what waits, what runs, what is recorded."""

from plumbline.kernel.room import Room

part = Room(
    name="overview",
    title="Overview",
    pages="plumbline.kernel.overview.pages:router",
    templates="plumbline.kernel.overview",
)
