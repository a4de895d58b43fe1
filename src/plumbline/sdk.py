"""The product in a program: the same services, in process."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

from plumbline import settings
from plumbline.kernel import room
from plumbline.kernel.clock import Clock, system_clock
from plumbline.kernel.identity import service as identity
from plumbline.kernel.installation import Installation


class Workspace:
    """An installation's rooms, opened in process: ``Workspace(home).credit.score(frame)``.

    :param home: folder of the embedded database; default as for the command line.
    :param database_url: another database, as for ``--database-url``.
    :param organization: short name; default: the installation's first.
    :param user: act as this person; default: the program itself.
    """

    def __init__(self, home: str | Path | None = None, *, database_url: str | None = None, organization: str | None = None,
                 user: str | None = None, clock: Clock = system_clock) -> None:  # fmt: skip
        from dataclasses import replace

        from plumbline.kernel.identity import rights

        self.installation = Installation.open(
            settings.load(home=Path(home) if home else None, database_url=database_url), clock=clock
        )
        found = identity.organization_of(self.installation, organization)
        self._context = identity.system_context(self.installation, found.id, actor="sdk", client="sdk")
        if user is not None:
            person = identity.user_named(self.installation, self._context, user)
            held = rights.EVERY if person.is_superuser else rights.of_role(person.role)
            self._context = replace(
                self._context,
                actor_type="user",
                actor_id=str(person.id),
                user_id=person.id,
                rights=held,
                role=person.role,
            )

    def context(self) -> Any:
        """Who acts, now."""
        return self._context.at(self.installation.clock())

    def __getattr__(self, name: str) -> Any:
        for part in room.everything():
            if part.name == name and part.sdk:
                made = room.load(part.sdk)(self)
                self.__dict__[name] = made
                return made
        raise AttributeError(name)

    def close(self) -> None:
        self.installation.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
