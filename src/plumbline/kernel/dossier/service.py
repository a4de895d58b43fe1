"""Making a dossier: the room tells the decision, the ledger proves it, and that it was asked for is an act itself."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from plumbline import __version__
from plumbline.kernel import clock, room
from plumbline.kernel.context import Context
from plumbline.kernel.dossier.telling import Dossier, Erasure, Event, ModelTold, PublicKey, Told, Wording
from plumbline.kernel.errors import Conflict, NotFound
from plumbline.kernel.identity import repository as people
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger import keys, note, queries
from plumbline.kernel.ledger import repository as ledger
from plumbline.kernel.ledger.proof import Proof
from plumbline.kernel.ledger.repository.trees import Trees
from plumbline.kernel.ledger.service import Act, proving, sealing
from plumbline.kernel.ledger.service.verifying import ERASE
from plumbline.kernel.ledger.tables import AuditEntry
from plumbline.kernel.models import predictions
from plumbline.kernel.models.evidence import Found, evidence_of
from plumbline.kernel.models.tables import Model, Prediction
from plumbline.kernel.paging import PageRequest

RIGHT = "dossier.make"


def make(installation: Installation, context: Context, prediction_id: UUID) -> Dossier:
    """Everything there is on a decision. What waits to be sealed is sealed first, the making of this dossier among it.

    :raises NotFound: no such decision here, its room tells none of its kind, or no entry of the ledger speaks of it.
    :raises Corrupt: the decision is not the one that its entry commits to.
    :raises Conflict: the ledger cannot be sealed now, or its public key is not at hand.
    """
    organization_id = context.organization_id
    with Act(installation.database, context, RIGHT, "prediction", resource_id=prediction_id, right=RIGHT) as act:
        with installation.database.read(organization_id) as session:
            row = predictions.get(session, organization_id, prediction_id)
            model = predictions.model_of(session, organization_id, row.ml_model_id)
        told = _told(installation, context, row)
        act.done(
            prediction_type=row.prediction_type, replay_equal=told.replay.equal, model_sha256=model.extra["sha256"]
        )
    sealing.seal(installation, organization_id)
    found = _evidence(installation, context, row)
    checkpoint = proving.checkpoint(installation, context)
    known = _keys(installation, found, checkpoint)
    erasure = _erasure(installation, organization_id, row)
    with installation.database.read(organization_id) as session:
        organization = people.organization(session, organization_id)
        made_by = people.names(session, organization_id, {context.user_id} if context.user_id else set())
    return Dossier(
        prediction_id=prediction_id, prediction_type=row.prediction_type, subject_id=row.subject_id, organization_id=organization_id,
        organization=organization.name if organization else "", made_at=context.now,
        made_by=(made_by.get(context.user_id) if context.user_id else None) or context.actor_id, program=f"Plumbline {__version__}",
        told=told, model=_model(model), stored=_stored(row), events=_events(installation, context, row, told, erasure), erasure=erasure,
        found=found, checkpoint=checkpoint, keys=known,
    )  # fmt: skip


def _told(installation: Installation, context: Context, row: Prediction) -> Told:
    hook = room.gathered(lambda r: r.dossiers).get(row.prediction_type)
    if hook is None:
        raise NotFound(f"There is no dossier for decisions of the kind '{row.prediction_type}'.",
                       remedy=f"The ledger's proof there is: plumbline ledger prove {row.id}")  # fmt: skip
    told: Told = room.load(hook)(installation, context, row.id)
    return told


def _evidence(installation: Installation, context: Context, row: Prediction) -> Found:
    """The decision's evidence; of an erased row of a batch, which nobody can open any more, the batch's entry alone."""
    if row.record_salt is not None or row.batch_id is None:
        return evidence_of(installation, context, row.id)
    with installation.database.read(context.organization_id) as session:
        entry_id = ledger.binding(session, context.organization_id, row.batch_id, batch=True)
    if entry_id is None:
        raise NotFound("No entry of the ledger speaks of this decision yet.", remedy="A batch is bound when it ends.")
    return evidence_of(installation, context, entry_id)


def _keys(installation: Installation, found: Found, checkpoint: str) -> tuple[PublicKey, ...]:
    origin, proof = found.entry.origin, Proof.parse(found.entry.proof).note

    def signed(text: str, key: note.VerifierKey) -> bool:
        try:
            note.open_checkpoint(text, [key])
        except ValueError:
            return False
        return True

    pairs = [(note.VerifierKey(origin, public), public) for public in keys.known_public(installation.settings)]
    known = tuple(PublicKey(str(v), keys.public_pem(p), signed(proof, v), signed(checkpoint, v)) for v, p in pairs)
    if not any(key.proof for key in known):
        raise Conflict("None of the public keys at hand fits the signature over this decision's entry.",
                       remedy="Put keys/ledger.pub back from its copy; see: plumbline ledger key show")  # fmt: skip
    return known


def _erasure(installation: Installation, organization_id: UUID, row: Prediction) -> Erasure | None:
    """The order by which a decision lost its input and its salt."""
    if row.record_salt is not None:
        return None
    wanted = str(row.id)
    with installation.database.read(organization_id) as session:
        for _, entry_id, text in Trees(session, organization_id).acts(ERASE):
            order = json.loads(text) if text else {}
            if wanted in order.get("records", ()):
                return Erasure(ledger.entry(session, organization_id, entry_id).timestamp, str(order.get("reason", "")), entry_id)  # fmt: skip
    return Erasure(None, "", None)


def _model(model: Model) -> ModelTold:
    return ModelTold(model.id, model.name, model.version, model.framework, model.extra["sha256"], model.trained_at, model.deployed_at,
                     dict(model.metrics or {}))  # fmt: skip


def _stored(row: Prediction) -> dict[str, Any]:
    """The row as it stands in the database, as JSON; where it came from (an address) is no part of a dossier."""
    plain = predictions.plain
    return {
        "id": str(row.id), "type": row.prediction_type, "subject_id": row.subject_id, "content": plain(row.content),
        "result": row.prediction_result, "probability": row.probability, "features": plain(row.features), "explanation": plain(row.explanation),
        "ml_model_id": str(row.ml_model_id), "user_id": str(row.user_id) if row.user_id else None,
        "batch_id": str(row.batch_id) if row.batch_id else None, "batch_row": row.batch_row, "processing_time_ms": row.processing_time_ms,
        "metadata": plain(row.extra), "outcome": row.outcome, "outcome_at": clock.text(row.outcome_at) if row.outcome_at else None,
        "created_at": clock.text(row.created_at),
    }  # fmt: skip


# --- who did what


def _events(
    installation: Installation, context: Context, row: Prediction, told: Told, erasure: Erasure | None
) -> tuple[Event, ...]:
    entries: list[AuditEntry] = []
    for key in dict.fromkeys((row.id, *told.about)):
        entries += _entries_about(installation, context, key)
    if erasure is not None and erasure.entry_id is not None:
        entries.append(queries.get_entry(installation, context, erasure.entry_id))
    entries.sort(key=lambda e: e.id)
    with installation.database.read(context.organization_id) as session:
        names = people.names(session, context.organization_id, {e.user_id for e in entries if e.user_id})
    return tuple(_event(entry, names, told.wording) for entry in entries)


def _entries_about(installation: Installation, context: Context, key: UUID) -> Iterable[AuditEntry]:
    request, wanted = PageRequest(500), queries.Query(resource_id=key)
    while True:
        page = queries.list_entries(installation, context, wanted, request)
        yield from page.items
        if page.next is None:
            return
        request = PageRequest.parse(500, page.next)


def _event(entry: AuditEntry, names: Mapping[UUID, str], wording: Wording) -> Event:
    details = entry.details if isinstance(entry.details, dict) else {}
    new = entry.new_values if isinstance(entry.new_values, dict) else {}
    what, text = _own(entry.action, details) or wording(entry.action, details, new)
    if entry.content_salt is None:
        text = "What it said was erased."
    if not entry.success:
        what, text = f"Tried and refused: {what[0].lower()}{what[1:]}", entry.error_message or text
    by = names.get(entry.user_id) if entry.user_id else None
    by = by or {"job": "a job", "system": "the program"}.get(entry.actor_type, "somebody whose name is erased")
    through = f" through {entry.client_id}" if entry.actor_type == "key" and entry.client_id else ""
    return Event(entry.timestamp, what, text, by + through, entry.action, entry.success, entry.id)


def _own(action: str, details: Mapping[str, Any]) -> tuple[str, str] | None:
    if action == RIGHT:
        if "replay_equal" not in details:  # refused, or it came to nothing
            return "Dossier made", ""
        told = {True: "The model gave the same result again.", False: "The model gave another result."}
        return "Dossier made", told.get(details["replay_equal"], "The model could not be run again.")
    if action == ERASE:
        return "Input, reasons and the subject’s name erased", f"“{details.get('reason', '')}”"
    return None
