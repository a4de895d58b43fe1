"""The evidence of an entry or a decision, whole: the entry's proof, and for a decision what its entry commits to, opened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from plumbline.kernel import clock
from plumbline.kernel.context import Context
from plumbline.kernel.errors import NotFound
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger import repository as ledger
from plumbline.kernel.ledger.service import proving
from plumbline.kernel.ledger.service.proving import Evidence, Opening
from plumbline.kernel.models import opening, predictions


@dataclass(frozen=True, slots=True)
class DecisionEvidence:
    """What binds a decision to its entry.

    :ivar salt: with ``record`` after it, its SHA-256 is ``sha256``; both ``None``: erased, only the hash is left.
    :ivar sha256: the record's hash: of a single decision it stands in the entry's content as ``record_sha256``; of a batch's row
        it is a leaf of the tree whose root stands there as ``records_root``; ``None``: an erased row of a batch, of which nobody
        can say any more which leaf it was.
    :ivar index: place among the batch's ``size`` records, with its ``path`` to the ``root``; ``None`` for a single decision.
    """

    prediction_id: UUID
    sha256: bytes | None
    salt: bytes | None
    record: bytes | None
    index: int | None = None
    size: int | None = None
    path: tuple[bytes, ...] = ()
    root: bytes | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """``decision`` is ``None`` where an entry itself was asked for."""

    entry: Evidence
    decision: DecisionEvidence | None = None

    def as_dict(self) -> dict[str, Any]:
        """As JSON: bytes in hexadecimal, the leaf and the opened groups as the texts that were hashed."""
        e = self.entry
        told: dict[str, Any] = {
            "entry": {
                "id": str(e.entry_id), "leaf_index": e.leaf_index, "leaf": e.leaf.decode(), "origin": e.origin, "tree_size": e.tree_size,
                "root": e.root.hex(), "path": [h.hex() for h in e.path], "sealed_at": clock.text(e.sealed_at),
                "cosigned": {name: clock.text(at) for name, at in e.cosigned.items()}, "actor": _opened(e.actor), "content": _opened(e.content),
                "proof": e.proof,
            },
            "decision": None,
        }  # fmt: skip
        if (d := self.decision) is not None:
            told["decision"] = {
                "id": str(d.prediction_id), "record_sha256": d.sha256.hex() if d.sha256 else None, "salt": d.salt.hex() if d.salt else None,
                "record": d.record.decode() if d.record else None, "index": d.index, "size": d.size, "path": [h.hex() for h in d.path],
                "records_root": d.root.hex() if d.root else None,
            }  # fmt: skip
        return told


def _opened(group: Opening) -> dict[str, str | None]:
    return {
        "salt": group.salt.hex() if group.salt else None,
        "message": group.message.decode() if group.message is not None else None,
    }


def evidence_of(installation: Installation, context: Context, key: UUID, *, seal: bool = True) -> Found:
    """The evidence of an audit entry, or of a decision (single or a batch's), by its id.

    :param seal: seal first what waits; else :class:`Conflict` says that it does.
    :raises NotFound: there is neither an entry nor a decision of that id, or its act left no entry.
    """
    context.require("audit.read")
    organization_id = context.organization_id
    with installation.database.read(organization_id) as session:
        if ledger.there(session, organization_id, key):
            return Found(proving.prove(installation, context, key, seal=seal))
        decided = predictions.get(session, organization_id, key)
        act = ledger.binding(session, organization_id, decided.batch_id or key, batch=decided.batch_id is not None)
    if act is None:
        raise NotFound("No entry of the ledger speaks of this decision yet." if decided.batch_id else "No entry of the ledger speaks of this decision.",
                       remedy="A batch is bound when it ends; else verify: plumbline ledger verify --records.")  # fmt: skip
    entry = proving.prove(installation, context, act, seal=seal)
    if decided.batch_id is not None and decided.record_salt is None:
        return Found(entry, DecisionEvidence(key, None, None, None))
    return Found(entry, _decision(installation, organization_id, key, entry, single=decided.batch_id is None))


def _decision(
    installation: Installation, organization_id: UUID, key: UUID, entry: Evidence, *, single: bool
) -> DecisionEvidence:
    if not single:
        row = opening.proof_of_row(installation, organization_id, key)
        return DecisionEvidence(
            key, row.record_sha256, row.salt, row.record, row.index, row.size, tuple(row.path), row.root
        )
    said = orjson.loads(entry.content.message or b"null") or {}
    stated = (said.get("details") or {}).get("record_sha256")
    if stated is None:
        raise NotFound("The content of this decision's entry was erased.", remedy="See the ledger for its erasure.")
    opened = opening.record_opening(installation, organization_id, key)
    return DecisionEvidence(
        key, bytes.fromhex(stated), opened.salt if opened else None, opened.record if opened else None
    )
