"""Proofs: that an entry was recorded, when at the latest, and that a later tree only adds to an earlier one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from plumbline.kernel import clock
from plumbline.kernel.context import Context
from plumbline.kernel.errors import Conflict, NotFound
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger import entry, note, repository
from plumbline.kernel.ledger.proof import Proof
from plumbline.kernel.ledger.repository import outside
from plumbline.kernel.ledger.repository.trees import Trees
from plumbline.kernel.ledger.service import sealing


@dataclass(frozen=True, slots=True)
class Opening:
    """What a commitment in the leaf holds: SHA-256 of ``salt`` and ``message`` is the commitment. ``None`` both: erased."""

    salt: bytes | None
    message: bytes | None

    @property
    def bytes(self) -> bytes | None:
        """What ``sha256sum`` is run over."""
        return None if self.salt is None or self.message is None else self.salt + self.message


@dataclass(frozen=True, slots=True)
class Evidence:
    """An entry's proof and what it is about.

    :ivar proof: the text of the proof file (C2SP tlog-proof@v1, the leaf as its extra data).
    :ivar sealed_at: the entry was there then, by this installation's clock; ``cosigned`` says so by others'.
    :ivar cosigned: witness → its time.
    """

    entry_id: UUID
    leaf_index: int
    leaf: bytes
    origin: str
    tree_size: int
    root: bytes
    path: tuple[bytes, ...]
    sealed_at: datetime
    proof: str
    actor: Opening
    content: Opening
    cosigned: dict[str, datetime]


def prove(installation: Installation, context: Context, entry_id: UUID, *, seal: bool = True) -> Evidence:
    """The proof of an entry against the first checkpoint that holds it, or the first one after it that a witness cosigned.

    :param seal: seal first if the entry still waits; else :class:`Conflict` says that it does.
    :raises NotFound: no such entry in this organization.
    """
    context.require("audit.read")
    organization_id = context.organization_id
    with installation.database.read(organization_id) as session:
        waits = Trees(session, organization_id).index_of(entry_id) is None
        if waits:
            repository.entry(session, organization_id, entry_id)  # or there is none
    if waits:
        if not seal:
            raise Conflict(
                "The entry waits to be sealed.", remedy="It is sealed within a minute, or now: plumbline ledger seal."
            )
        sealing.seal(installation, organization_id)
    with installation.database.read(organization_id) as session:
        trees = Trees(session, organization_id)
        index = trees.index_of(entry_id)
        found = trees.entries_between(index, index + 1) if index is not None else []
        if index is None or not found:
            raise NotFound(f"The entry '{entry_id}' is not in the log any more: retention removed it.",
                           remedy="Its leaf still proves that it was there; the archive holds its words.")  # fmt: skip
        size = trees.first_cosigned(index + 1)
        mark = trees.checkpoint(size) if size else None
        mark = mark or trees.covering(index)
        if mark is None:
            raise Conflict(
                "The checkpoint over this entry is missing.", remedy="Verify the ledger: plumbline ledger verify."
            )
        signed = outside.note_with_cosignatures(session, organization_id, mark)
        cosigned = {c.witness: c.signed_at for c in outside.cosignatures(session, organization_id, mark.size)}
        path = tuple(trees.tree().inclusion(index, mark.size))
    leaf, actor, content = opened(found[0])
    proof = Proof(index, path, signed, leaf)
    origin = note.Checkpoint.parse(note.split(mark.note)[0]).origin
    return Evidence(
        entry_id,
        index,
        leaf,
        origin,
        mark.size,
        mark.root,
        path,
        clock.parse(mark.sealed_at),
        str(proof),
        actor,
        content,
        cosigned,
    )


def opened(row: Any) -> tuple[bytes, Opening, Opening]:
    """Leaf bytes and the two groups of a stored row (:data:`entry.COLUMNS`)."""
    values = dict(zip(entry.COLUMNS, row))
    actor = entry.actor_text(values) if values["actor_salt"] is not None else None
    content = entry.content_text(values) if values["content_salt"] is not None else None
    return entry.leaf_text(values), Opening(values["actor_salt"], actor), Opening(values["content_salt"], content)


def checkpoint(installation: Installation, context: Context, size: int | None = None) -> str:
    """A checkpoint as it leaves the house, with its cosignatures; the last one without ``size``.

    :raises NotFound: nothing is sealed yet, or no checkpoint has that size.
    """
    context.require("audit.read")
    with installation.database.read(context.organization_id) as session:
        trees = Trees(session, context.organization_id)
        mark = trees.head() if size is None else trees.checkpoint(size)
        if mark is None:
            what = "Nothing is sealed yet." if size is None else f"There is no checkpoint of {size:,} entries."
            raise NotFound(
                what,
                remedy="Seal first: plumbline ledger seal."
                if size is None
                else "List them: plumbline ledger checkpoints.",
            )
        return outside.note_with_cosignatures(session, context.organization_id, mark)
