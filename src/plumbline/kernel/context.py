"""Who acts, for which organization, when and from where: made at the edge and passed down."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from uuid import UUID

from plumbline.kernel.errors import Forbidden

ActorType = Literal["user", "key", "job", "system"]


@dataclass(frozen=True, slots=True)
class Context:
    """One act's circumstances. Nothing below the edges reads a global clock, user or tenant.

    ``rights`` are names of acts (``"credit.score"``); ``"*"`` is held by the command line of the embedded home and by
    superusers. ``client_id`` names the program that acts (``console``, ``cli``, an API key's client). ``user_id`` is
    the person: behind a key its owner, behind a job who asked for it.
    """

    organization_id: UUID
    actor_type: ActorType
    actor_id: str
    client_id: str
    now: datetime
    user_id: UUID | None = None
    rights: frozenset[str] = frozenset()
    role: str = ""
    session_id: str | None = None
    request_id: str | None = None
    ip: str | None = None
    user_agent: str | None = None

    def may(self, right: str) -> bool:
        return right in self.rights or "*" in self.rights

    def require(self, right: str) -> None:
        """Raise :class:`Forbidden` naming the right that is missing."""
        if not self.may(right):
            raise Forbidden(
                f"This needs the right '{right}', which {self.actor_type} '{self.actor_id}' does not hold.",
                remedy="Ask an administrator of your organization for a role that holds it.",
            )

    def at(self, now: datetime) -> Context:
        """The same actor at another moment (a long job renews its time)."""
        return replace(self, now=now)
