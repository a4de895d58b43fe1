"""How a finding of the registry is worked on: a model's file that is missing or damaged, or inputs that have drifted."""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class About:
    """What a finding is about: a damaged file of a version, or the drift of its inputs."""

    model_id: UUID
    drift: bool

    @property
    def words(self) -> tuple[str, ...]:
        return ("explained", "accepted") if self.drift else ("repaired", "accepted")


def about(installation: Installation, context: Context, subject_id: UUID) -> About:
    """The subject of a finding on damage is the version, of one on drift its reference.

    :raises NotFound: neither of them is in this organization.
    """
    org = context.organization_id
    with installation.database.read(org) as session:
        if (reference := repository.profile(session, org, subject_id)) is not None:
            return About(reference.ml_model_id, True)
        return About(repository.model(session, org, subject_id).id, False)


class Desk:
    """Each call is one act with one entry on the version."""

    decisions = (
        ("repaired", "The file is whole again"),
        ("explained", "The cause of the drift is known and dealt with"),
        ("accepted", "It stays as it is and is not asked about again"),
    )

    def take(self, installation: Installation, context: Context, subject_id: UUID) -> None:
        with Act(
            installation.database, context, "models.finding_take", "model", resource_id=subject_id, right=RIGHT
        ) as act:
            act.resource_id = about(installation, context, subject_id).model_id
            follow(
                act.session, context, room=ROOM, subject_id=subject_id, state="acknowledged", owner_id=context.user_id
            )
            act.done(new={"state": "acknowledged", "owner_id": str(context.user_id) if context.user_id else None})

    def note(self, installation: Installation, context: Context, subject_id: UUID, text: str) -> None:
        """The note stands in the ledger's entry."""
        with Act(
            installation.database, context, "models.finding_note", "model", resource_id=subject_id, right=RIGHT
        ) as act:
            act.resource_id = about(installation, context, subject_id).model_id
            act.done(note=text)

    def resolve(
        self, installation: Installation, context: Context, subject_id: UUID, *, note: str, decision: str | None = None
    ) -> None:
        """Settle it.

        :param decision: of a damaged file ``repaired`` (the default): it is read again and must be whole; of drift ``explained``
            (the default): the next drifted window opens the finding again; of either ``accepted``: it is not asked about again.
        :raises Conflict: said to be repaired, but still damaged; or accepted while it is the live version.
        """
        subject = about(installation, context, subject_id)
        chosen = decision or subject.words[0]
        if chosen not in subject.words:
            raise InvalidInput(
                f"Of {'drift' if subject.drift else 'a damaged file'} there is no decision '{chosen}'.",
                where=Where(field="decision"),
                remedy=f"Use one of {', '.join(subject.words)}.",
            )
        model = get(installation, context, subject.model_id)
        fault: Corrupt | None = None
        if chosen == "repaired" and context.may(RIGHT):
            try:
                load(installation, model, fresh=True)
            except Corrupt as error:
                fault = error
        with Act(
            installation.database, context, "models.finding_resolve", "model", resource_id=model.id, right=RIGHT
        ) as act:
            act.done(note=note, decision=chosen)
            if fault is not None:
                raise Conflict(f"{model.name}@{model.version} is still damaged: {fault.detail}",
                               remedy="Restore the file, or decide 'accepted'.") from fault  # fmt: skip
            live = repository.model(act.session, context.organization_id, model.id).is_active
            if chosen == "accepted" and live and not subject.drift:
                raise Conflict(
                    f"{model.name}@{model.version} is live and cannot decide.",
                    remedy="Roll back first, then accept the damage.",
                )
            state = "suppressed" if chosen == "accepted" else "resolved"
            follow(act.session, context, room=ROOM, subject_id=subject_id, state=state)
            act.done(new={"state": state})


triage = Desk()
