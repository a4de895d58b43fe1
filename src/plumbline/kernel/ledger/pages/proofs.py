"""The proof of an entry or a decision: a card for any page, and the file to take away.

The card does not believe the database: with the public key, every hash from the decision to the signed root is made anew
each time it is shown. Another page shows it with ``{{ ui.later('proof', '/ledger/proofs/' ~ id ~ '/card') }}``, or at once with
:func:`card_of` and ``{% include "ledger/_proof.html" %}``.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from plumbline.console import formats, views
from plumbline.kernel.context import Context
from plumbline.kernel.database import time_of
from plumbline.kernel.errors import Conflict, Corrupt, NotFound, PlumblineError
from plumbline.kernel.faces.http import House, Visitor
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger import entry, keys, proof, repository, tree
from plumbline.kernel.ledger.note import ED25519, VerifierKey
from plumbline.kernel.ledger.repository.trees import Trees
from plumbline.kernel.ledger.service.proving import Evidence
from plumbline.kernel.models import predictions
from plumbline.kernel.models.evidence import DecisionEvidence, Found, evidence_of
from plumbline.settings import Settings

router = APIRouter()
LATE = timedelta(minutes=5)
"""What waits for longer is not sealed by itself: something hinders it, or no worker runs."""


@dataclass(frozen=True, slots=True)
class Step:
    """A link of the chain, with its hash if it has one; without a title a thin line between two."""

    title: str
    text: str = ""
    hash: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """What the card shows.

    :ivar state: ``verified`` (every hash leads to the signed root), ``sealed`` (no public key at hand to check with), ``broken``,
        ``waiting``, ``late`` (waits for too long), ``absent``.
    :ivar key: of what was asked for; ``entry_id`` of the entry that speaks of it, which may be the same.
    :ivar said: what to know besides, or why there is no proof.
    :ivar seen: witness → when it saw the checkpoint, by its own clock.
    """

    key: UUID
    state: str
    entry_id: UUID | None = None
    number: int | None = None
    at: datetime | None = None
    steps: tuple[Step, ...] = ()
    seen: tuple[tuple[str, datetime], ...] = ()
    said: str = ""


@router.get("/ledger/proofs/{evidence_id}")
def proof_file(house: House, visitor: Visitor, evidence_id: UUID) -> Response:
    """The proof of an entry or a decision as a file (C2SP tlog-proof); 409 while its entry waits to be sealed."""
    found = evidence_of(house, visitor, evidence_id, seal=False)
    return Response(found.entry.proof, media_type="text/plain; charset=utf-8",
                    headers={"Content-Disposition": f'attachment; filename="{evidence_id}.tlog-proof"'})  # fmt: skip


@router.get("/ledger/proofs/{evidence_id}/card")
def proof_card(request: Request, house: House, visitor: Visitor, evidence_id: UUID) -> Response:
    """The card alone; while the entry waits it asks for itself again."""
    return views.fragment(request, "ledger/_proof.html", proof=card_of(house, visitor, evidence_id))


def card_of(installation: Installation, context: Context, key: UUID) -> Card:
    """The card of an entry or a decision.

    :raises NotFound: there is neither of that id in this organization.
    """
    context.require("audit.read")
    organization_id = context.organization_id
    with installation.database.read(organization_id) as session:
        entry_id: UUID | None = key
        if not repository.there(session, organization_id, key):
            decided = predictions.get(session, organization_id, key)
            batch_id = decided.batch_id
            entry_id = repository.binding(session, organization_id, batch_id or key, batch=batch_id is not None)
            if entry_id is None:
                said = ("Its file is not decided to the end yet; then one entry binds all of its rows." if batch_id else
                        "No entry of the ledger speaks of this decision. Verify the ledger to learn why.")  # fmt: skip
                return Card(key, "absent", said=said)
        assert entry_id is not None
        waits = Trees(session, organization_id).index_of(entry_id) is None
    if waits:
        since = time_of(entry_id)
        return Card(key, "late" if context.now - since > LATE else "waiting", entry_id, at=since)
    try:
        found = evidence_of(installation, context, key, seal=False)
    except (NotFound, Conflict, Corrupt) as error:
        return Card(key, "absent" if isinstance(error, NotFound) else "broken", entry_id, said=str(error))
    return told(found, key, trusted(installation.settings, found.entry.origin))


def trusted(settings: Settings, origin: str) -> list[VerifierKey]:
    """The keys that sign this ledger and those of its witnesses. Read from files and settings alone: the key at hand may be in
    a vault, and asking it takes time."""
    path = settings.keys / "ledger.pub"
    try:
        own = keys.read_public(path) if path.exists() else keys.known_public(settings)
    except PlumblineError:
        return []
    found = [VerifierKey(origin, public) for public in own]
    for text in settings.ledger_witnesses:
        with suppress(ValueError):
            found.append(VerifierKey.parse(text.split()[-1]))
    return found


def told(found: Found, key: UUID, known: list[VerifierKey]) -> Card:
    """The chain of what was found, checked with these public keys."""
    e, d = found.entry, found.decision
    steps = [*(_to_entry(d) if d else ()), *_to_root(e, d)]
    card = Card(key, "broken", e.entry_id, e.leaf_index + 1, e.sealed_at, tuple(steps), tuple(e.cosigned.items()))
    if fault := _fault(e, d):
        return replace(card, said=fault)
    if not known:
        return replace(
            card, state="sealed", said="The public key is not at hand, so the signature was not checked here."
        )
    try:
        _, _, signatures = proof.check(e.proof, known, e.leaf)
    except ValueError as error:
        return replace(card, said=f"The proof does not hold: {error}.")
    signers = " and ".join(s.key.id.hex() for s in signatures if s.key.kind == ED25519)
    steps.append(Step(f"Signed {formats.when(e.sealed_at)}", f"By the key {signers}"))
    # where a witness's key is known, the time that it signed is told and not the one that is stored beside
    seen = e.cosigned | {s.key.name: datetime.fromtimestamp(s.at, UTC) for s in signatures if s.at is not None}
    steps += [Step(f"Seen {formats.when(at)}", f"By {name}, by its own clock") for name, at in sorted(seen.items())]
    said = (
        "What was decided was erased on request; its hash stays, and every proof holds." if d and d.salt is None else ""
    )
    return replace(card, state="verified", steps=tuple(steps), seen=tuple(sorted(seen.items())), said=said)


def _to_entry(d: DecisionEvidence) -> list[Step]:
    """From a decision to the entry that commits to it."""
    if d.sha256 is None:
        return [
            Step("This decision", "Erased; its hash stays among those of its file"),
            Step("", "Their root stands in the entry"),
        ]
    record = Step("This decision", "SHA-256 of its salted record", d.sha256.hex(), "record hash")
    if d.root is None or d.size is None or d.index is None:
        return [record, Step("", "Its hash stands in the entry")]
    return [
        record, Step("", f"Record {d.index + 1:,} of {d.size:,} in its file, {_ways(len(d.path))}"),
        Step("All decisions of the file", "Root of their tree", d.root.hex(), "root of the file's decisions"),
        Step("", "It stands in the entry"),
    ]  # fmt: skip


def _to_root(e: Evidence, d: DecisionEvidence | None) -> list[Step]:
    """From the entry to the root of the tree that holds it."""
    name = f"Entry {e.leaf_index + 1:,}" if d else f"This entry, number {e.leaf_index + 1:,}"
    return [
        Step(name, f"Leaf {e.leaf_index:,}, counted from 0", tree.leaf_hash(e.leaf).hex(), "leaf hash"),
        Step("", f"One of {e.tree_size:,}, {_ways(len(e.path))}"),
        Step(f"Tree of {formats.plural(e.tree_size, 'entry', 'entries')}", "Root of the checkpoint", e.root.hex(), "root hash"),
    ]  # fmt: skip


def _ways(hashes: int) -> str:
    return f"{formats.plural(hashes, 'hash', 'hashes')} to the root"


def _fault(e: Evidence, d: DecisionEvidence | None) -> str:
    """What does not hold between the decision and the leaf; empty: all of it does."""
    leaf = json.loads(e.leaf)
    content = e.content
    opened = content.salt is not None and content.message is not None
    if opened and entry.commitment(content.salt or b"", content.message or b"").hex() != leaf["content"]:
        return "The entry's content is not what its leaf commits to."
    if d is None or d.sha256 is None:
        return ""
    if d.salt is not None and d.record is not None and entry.commitment(d.salt, d.record) != d.sha256:
        return "The decision is not the one whose hash the entry holds."
    bound = d.sha256
    if d.root is not None and d.size is not None and d.index is not None:
        try:
            reached = tree.root_from_inclusion(tree.leaf_hash(d.sha256), d.index, d.size, d.path)
        except ValueError as error:
            return f"The way from the decision to the root of its file does not hold: {error}."
        if reached != d.root:
            return "The decision does not lead to the root of its file."
        bound = d.root
    details = (json.loads(content.message) or {}).get("details") or {} if content.message is not None else {}
    stated = details.get("record_sha256" if d.root is None else "records_root")
    return "" if not opened or stated == bound.hex() else "The entry commits to another decision."
