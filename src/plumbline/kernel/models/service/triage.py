"""How a finding of the registry is worked on: a model's file that is missing or damaged."""

from __future__ import annotations

from uuid import UUID

from plumbline.kernel.context import Context
from plumbline.kernel.errors import Conflict, Corrupt, InvalidInput, Where
from plumbline.kernel.findings.service import follow
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger.service import Act
from plumbline.kernel.models import repository
from plumbline.kernel.models.service.registry import get
from plumbline.kernel.models.service.scorers import ROOM, load

RIGHT = "findings.triage"


class Desk:
    """Each call is one act with one entry; the subject of a finding is the version."""

    decisions = (("repaired", "The file is whole again"), ("accepted", "It stays damaged and is not needed"))

    def take(self, installation: Installation, context: Context, subject_id: UUID) -> None:
        with Act(
            installation.database, context, "models.finding_take", "model", resource_id=subject_id, right=RIGHT
        ) as act:
            repository.model(act.session, context.organization_id, subject_id)
            follow(
                act.session, context, room=ROOM, subject_id=subject_id, state="acknowledged", owner_id=context.user_id
            )
            act.done(new={"state": "acknowledged", "owner_id": str(context.user_id) if context.user_id else None})

    def note(self, installation: Installation, context: Context, subject_id: UUID, text: str) -> None:
        """The note stands in the ledger's entry."""
        with Act(
            installation.database, context, "models.finding_note", "model", resource_id=subject_id, right=RIGHT
        ) as act:
            repository.model(act.session, context.organization_id, subject_id)
            act.done(note=text)

    def resolve(
        self, installation: Installation, context: Context, subject_id: UUID, *, note: str, decision: str | None = None
    ) -> None:
        """Settle it.

        :param decision: ``repaired`` (the default): the file is read again and must be whole; ``accepted``: the version stays
            damaged and is not asked about again.
        :raises Conflict: said to be repaired, but still damaged; or accepted while it is the live version.
        """
        chosen = decision or "repaired"
        words = [word for word, _ in self.decisions]
        if chosen not in words:
            raise InvalidInput(
                f"There is no decision '{chosen}'.",
                where=Where(field="decision"),
                remedy=f"Use one of {', '.join(words)}.",
            )
        model = get(installation, context, subject_id)
        fault: Corrupt | None = None
        if chosen == "repaired" and context.may(RIGHT):
            try:
                load(installation, model, fresh=True)
            except Corrupt as error:
                fault = error
        with Act(
            installation.database, context, "models.finding_resolve", "model", resource_id=subject_id, right=RIGHT
        ) as act:
            act.done(note=note, decision=chosen)
            if fault is not None:
                raise Conflict(f"{model.name}@{model.version} is still damaged: {fault.detail}",
                               remedy="Restore the file, or decide 'accepted'.") from fault  # fmt: skip
            if chosen == "accepted" and repository.model(act.session, context.organization_id, subject_id).is_active:
                raise Conflict(
                    f"{model.name}@{model.version} is live and cannot decide.",
                    remedy="Roll back first, then accept the damage.",
                )
            state = "resolved" if chosen == "repaired" else "suppressed"
            follow(act.session, context, room=ROOM, subject_id=subject_id, state=state)
            act.done(new={"state": state})


triage = Desk()
