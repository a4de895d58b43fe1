"""Which version decides: activate one, or go back to the one before."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from plumbline.kernel.context import Context
from plumbline.kernel.errors import Conflict, Forbidden, InvalidInput, NotFound, PlumblineError, Where
from plumbline.kernel.identity.service import four_eyes
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger.service import Act
from plumbline.kernel.models import repository
from plumbline.kernel.models.service.gates import Gate, gates
from plumbline.kernel.models.service.registry import ACTIVATE, get
from plumbline.kernel.models.service.scorers import load
from plumbline.kernel.models.tables import Model


@dataclass(frozen=True, slots=True)
class Difference:
    """A feature of the live version that the new one lacks (``now`` is None) or reads as another type."""

    name: str
    before: str
    now: str | None

    def __str__(self) -> str:
        return f"'{self.name}' is missing" if self.now is None else f"'{self.name}' was {self.before} and is {self.now}"


def contract(live: Model | None, wanted: Model) -> list[Difference]:
    """How the inputs of a version break with those of the live one; new inputs are no break."""
    if live is None:
        return []
    now = _types(wanted.features)
    return [
        Difference(name, dtype, now.get(name))
        for name, dtype in _types(live.features).items()
        if now.get(name) != dtype
    ]


def _types(features: list[dict[str, Any]]) -> dict[str, str]:
    return {str(f["name"]): str(f.get("dtype") or f.get("type") or f.get("kind") or "") for f in features}


def activate(
    installation: Installation, context: Context, key: str | UUID, *, reason: str | None = None, force: bool = False
) -> Model:
    """Make a version the live one of its name.

    Before: its file is read, hashed and loaded (so its golden rows are scored), and its inputs are compared with those of
    the live version, and its room's gates are asked. Where the organization asks for four eyes, who trained it may not
    activate it; else a reason is asked.

    :param force: take a version whose inputs break with those of the live one, or that misses a gate; needs a reason.
    :raises Conflict: it is live already, its inputs break, it misses a gate, or another version was activated meanwhile.
    :raises Forbidden: four eyes, and no second person.
    :raises InvalidInput: a reason is needed.
    :raises Corrupt: the file is damaged.
    """
    wanted = get(installation, context, key)
    with installation.database.read(context.organization_id) as session:
        seen = repository.live(session, context.organization_id, name=wanted.name)
    return _switch(installation, context, "models.activate", wanted, seen, reason, force)


def rollback(
    installation: Installation, context: Context, name: str, *, reason: str | None = None, force: bool = False
) -> Model:
    """Put the version before the live one back, after the same checks; once more goes one further back.

    :raises NotFound: nothing is live, or nothing was before it.
    """
    if not context.may(ACTIVATE):  # refused before anything is told, and the attempt is an entry
        Act(installation.database, context, "models.rollback", "model", right=ACTIVATE).__enter__()
    with installation.database.read(context.organization_id) as session:
        seen = repository.live(session, context.organization_id, name=name)
        if seen is None:
            raise NotFound(
                f"No version of '{name}' is live.", remedy="Activate one: plumbline models activate NAME@VERSION"
            )
        before = seen.extra.get("previous_id")
        if before is None:
            raise NotFound(
                f"Nothing was live before {name}@{seen.version}.",
                remedy="Choose a version: plumbline models list --name NAME",
            )
        wanted = repository.model(session, context.organization_id, UUID(before))
    return _switch(installation, context, "models.rollback", wanted, seen, reason, force)


def _switch(installation: Installation, context: Context, action: str, wanted: Model, seen: Model | None, reason: str | None,
            force: bool) -> Model:  # fmt: skip
    """``seen`` is the live version the decision was made against: if another is live by now, nothing is changed."""
    org, why = context.organization_id, (reason or "").strip()
    fault: PlumblineError | None = None
    asked: list[Gate] = []
    if context.may(ACTIVATE):
        try:
            load(installation, wanted, fresh=True)  # before the transaction: it may take a second and write a finding
            if action == "models.activate":  # what was live once has passed them; the gates read what was measured
                asked = gates(installation, replace(context, rights=context.rights | {"models.read"}), seen, wanted)
        except PlumblineError as error:
            fault = error
    with Act(installation.database, context, action, "model", resource_id=wanted.id, right=ACTIVATE) as act:
        act.done(new=_named(wanted), old=_named(seen))
        if fault is not None:
            raise fault
        if seen is not None and seen.id == wanted.id:
            raise Conflict(f"{wanted.name}@{wanted.version} is live already.", remedy="There is nothing to do.")
        second = four_eyes(act.session, org, ACTIVATE)
        _consent(context, wanted, why, second)
        breaks = contract(seen, wanted)
        if breaks and not (force and why):
            raise Conflict(f"The inputs of {wanted.name}@{wanted.version} break with those of {_called(seen)}: {_told(breaks)}.",
                           where=Where(field="features"),
                           remedy="Send the inputs it needs, or force the activation and give the reason.")  # fmt: skip
        missed = [gate for gate in asked if gate.state == "missed"]
        if missed and not (force and why):
            raise Conflict(f"{wanted.name}@{wanted.version} misses {'a gate' if len(missed) == 1 else f'{len(missed)} gates'}:"
                           f" {' '.join(f'{gate.name}: {gate.said}' for gate in missed)}", where=Where(field="gates"),
                           remedy="Mend it and train again, or force the activation and give the reason.")  # fmt: skip
        extra = dict(wanted.extra)
        if action == "models.activate":  # going back keeps what was before it: once more goes one further
            extra["previous_id"] = str(seen.id) if seen else None
        if seen is not None and not repository.retire(act.session, org, seen.id):
            raise _overtaken(wanted)
        try:
            with act.session.begin_nested():
                done = repository.put_in_service(act.session, org, wanted.id, deployed_at=context.now, extra=extra)
        except sa.exc.IntegrityError:
            raise _overtaken(wanted) from None
        if not done:
            raise _overtaken(wanted)
        act.done(reason=why or None, four_eyes=second, forced=[*map(str, breaks), *(gate.name for gate in missed)] or None,
                 gates={gate.name: gate.state for gate in asked} or None)  # fmt: skip
        return repository.model(act.session, org, wanted.id)


def _consent(context: Context, wanted: Model, why: str, second: bool) -> None:
    if not second:
        if not why:
            raise InvalidInput("A reason is needed: nobody else looks at this activation.", where=Where(field="reason"),
                               remedy="Write why this version shall decide from now on.")  # fmt: skip
        return
    if context.user_id is None:
        raise Forbidden("A person has to activate a version: your organization asks for four eyes.",
                        remedy="Act as somebody: plumbline --as NAME models activate …")  # fmt: skip
    if wanted.extra.get("trained_by") == str(context.user_id):
        raise Forbidden(f"You trained {wanted.name}@{wanted.version}: your organization asks for a second person to activate it.",
                        remedy="Ask another administrator to activate it.")  # fmt: skip


def _named(model: Model | None) -> dict[str, str] | None:
    return None if model is None else {"id": str(model.id), "version": model.version, "sha256": model.extra["sha256"]}


def _called(model: Model | None) -> str:
    return "nothing" if model is None else f"{model.name}@{model.version}"


def _told(breaks: list[Difference]) -> str:
    listed = ", ".join(str(b) for b in breaks[:5])
    return listed if len(breaks) <= 5 else f"{listed} and {len(breaks) - 5} more"


def _overtaken(wanted: Model) -> Conflict:
    return Conflict(f"Another version of '{wanted.name}' was activated a moment ago; nothing was changed.",
                    remedy="See which one is live now, then decide again.")  # fmt: skip
