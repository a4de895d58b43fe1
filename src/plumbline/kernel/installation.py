"""One installation: its settings, database, model files and clock, opened once per process."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from plumbline.kernel import room
from plumbline.kernel.clock import Clock, system_clock
from plumbline.kernel.database import Database, migrate

if TYPE_CHECKING:
    from plumbline.kernel.models.artifacts import ArtifactStore
    from plumbline.settings import Settings


class Installation:
    """What services work with.

    :param clock: the time of every act; the demonstration and tests pass their own.
    """

    def __init__(self, settings: Settings, *, clock: Clock = system_clock) -> None:
        room.declare_tables()
        self.settings = settings
        self.clock = clock
        self.database = Database(settings.url, role="app")

    @classmethod
    def open(cls, settings: Settings, *, clock: Clock = system_clock) -> Installation:
        """An installation whose database fits this program; says what to do otherwise."""
        installation = cls(settings, clock=clock)
        try:
            migrate.demand_current(installation.database)
            if settings.environment == "production":
                installation.database.demand_plain_login()
        except BaseException:
            installation.close()
            raise
        return installation

    @cached_property
    def worker_database(self) -> Database:
        """The worker's role: it may claim jobs of every organization."""
        return self.database if self.database.is_sqlite else Database(self.settings.url, role="worker")

    @cached_property
    def artifacts(self) -> ArtifactStore:
        from plumbline.kernel.models.artifacts import ArtifactStore

        return ArtifactStore(self.settings.artifact_root)

    @property
    def files(self) -> Path:
        self.settings.files.mkdir(parents=True, exist_ok=True)
        return self.settings.files

    def close(self) -> None:
        self.database.close()
        if "worker_database" in self.__dict__ and self.worker_database is not self.database:
            self.worker_database.close()
