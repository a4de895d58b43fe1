"""What an outsider needs to check that a decision is the one its entry commits to: salt, record, and the way to the root."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from uuid import UUID

from plumbline.kernel.errors import Corrupt, NotFound
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger import entry, tree
from plumbline.kernel.ledger.repository.trees import Trees
from plumbline.kernel.models import stored
from plumbline.kernel.models.matching import root_of
from plumbline.kernel.models.stored import UNFIT, Spoken, Stored

VERIFY = "See what was changed: plumbline ledger verify --records."


@dataclass(frozen=True, slots=True)
class Opening:
    """A single decision, opened: SHA-256 over ``salt`` and then ``record`` is ``record_sha256``, which its entry holds.

    :ivar record: canonical JSON (RFC 8785) of what was decided.
    :ivar record_sha256: 64 hexadecimal digits.
    :ivar entry_id: of the entry that says so; ``leaf_index`` is ``None`` while it waits to be sealed.
    """

    prediction_id: UUID
    salt: bytes
    record: bytes
    record_sha256: str
    entry_id: UUID
    leaf_index: int | None


@dataclass(frozen=True, slots=True)
class RowProof:
    """A decision of a batch, opened, with its place in the tree over the batch's records.

    SHA-256 over ``salt`` and ``record`` is ``record_sha256``; SHA-256 over a zero byte and that is the leaf at ``index`` (from 0) of
    ``size``; with ``path`` it leads to ``root`` (RFC 9162, 2.1.3.2), which the batch's entry holds as ``records_root``.

    :ivar entry_id: of that entry; ``leaf_index`` is ``None`` while it waits to be sealed.
    """

    prediction_id: UUID
    batch_id: UUID
    index: int
    size: int
    path: tuple[bytes, ...]
    root: bytes
    salt: bytes
    record: bytes
    record_sha256: bytes
    entry_id: UUID
    leaf_index: int | None


def record_opening(installation: Installation, organization_id: UUID, prediction_id: UUID) -> Opening | None:
    """A single decision, opened; ``None`` when it was erased: then only the hash in its entry is left.

    :raises NotFound: no such decision here, it came in a batch (:func:`proof_of_row`), or no entry speaks of it.
    :raises Corrupt: it is not the one that its entry commits to.
    """
    with installation.database.read(organization_id) as session:
        trees = Trees(session, organization_id)
        row = _row(trees, prediction_id)
        if row.batch_id is not None:
            raise NotFound(f"Decision '{prediction_id}' came in batch {row.batch_id}; no entry speaks of it alone.",
                           remedy="Ask for its proof among the records of the batch.")  # fmt: skip
        said = _said(trees, "record_sha256", "prediction_id", prediction_id, f"decision '{prediction_id}'")
    if row.record_salt is None:
        return None
    record = _record(row, organization_id, said)
    if entry.commitment(row.record_salt, record).hex() != said.bound:
        raise Corrupt(f"Decision '{prediction_id}' is not the one that its entry commits to.", remedy=VERIFY)
    return Opening(prediction_id, row.record_salt, record, said.bound, UUID(said.entry_id), said.leaf)


def proof_of_row(installation: Installation, organization_id: UUID, prediction_id: UUID) -> RowProof:
    """A decision of a batch, opened, with its path among the batch's records.

    :raises NotFound: no such decision here, it came in no batch, its batch has not ended, or it was erased.
    :raises Corrupt: it is not among the records its batch's entry commits to, or their file is gone or altered.
    """
    with installation.database.read(organization_id) as session:
        trees = Trees(session, organization_id)
        row = _row(trees, prediction_id)
        if row.batch_id is None:
            raise NotFound(f"Decision '{prediction_id}' came in no batch.", remedy="Its own entry commits to it.")
        batch_id = UUID(row.batch_id)
        said = _said(trees, "records_root", "batch_id", batch_id, f"batch '{batch_id}'")
    if row.record_salt is None:
        raise NotFound(f"Decision '{prediction_id}' was erased: without input and salt nobody can tell its record.",
                       remedy="See the ledger for its erasure.")  # fmt: skip
    path = stored.file_of(installation, batch_id)
    if not path.is_file():
        raise Corrupt(f"The file {path.name} of batch '{batch_id}' is gone.", remedy="Restore it from a backup.")
    hashes = path.read_bytes()
    root = root_of(hashes)
    if len(hashes) % 32 or root.hex() != said.bound:
        raise Corrupt(f"The file {path.name} of batch '{batch_id}' was altered.", remedy="Restore it from a backup.")
    record = _record(row, organization_id, said)
    digest = entry.commitment(row.record_salt, record)
    at = hashes.find(digest)
    while at % 32 and at >= 0:
        at = hashes.find(digest, at + 1)
    if at < 0:
        raise Corrupt(f"Decision '{prediction_id}' is not among the records of its batch.", remedy=VERIFY)
    index, size = at // 32, len(hashes) // 32
    way = tuple(tree.Tree(_nodes(hashes)).inclusion(index, size))
    return RowProof(
        prediction_id, batch_id, index, size, way, root, row.record_salt, record, digest, UUID(said.entry_id), said.leaf
    )


def _row(trees: Trees, prediction_id: UUID) -> Stored:
    row = stored.stored(trees, [prediction_id]).get(str(prediction_id))
    if row is None:
        raise NotFound(
            f"There is no decision '{prediction_id}' in this organization.", remedy="Look for it by its subject."
        )
    return row


def _said(trees: Trees, name: str, key: str, resource_id: UUID, whose: str) -> Spoken:
    with closing(stored.spoken(trees, name, key, resource_id)) as entries:
        for said in entries:
            if said.key == resource_id:
                return said
    raise NotFound(f"No entry of the ledger speaks of {whose}.", remedy="A batch has one when it has ended; for anything else see: plumbline ledger verify.")  # fmt: skip


def _record(row: Stored, organization_id: UUID, said: Spoken) -> bytes:
    try:
        return stored.record_of(row, organization_id, said.model_sha256)
    except UNFIT:
        raise Corrupt(f"Decision '{row.id}' holds values that no decision has.", remedy=VERIFY) from None


def _nodes(hashes: bytes) -> tree.Nodes:
    """The tree over packed record hashes, as :class:`tree.Tree` asks for it: a batch's tree is stored nowhere."""

    def nodes(level: int, start: int, stop: int) -> list[bytes]:
        width = 32 * tree.WIDTH**level
        if level:
            return [root_of(hashes[i * width : (i + 1) * width]) for i in range(start, stop)]
        return [tree.leaf_hash(hashes[i : i + 32]) for i in range(32 * start, min(32 * stop, len(hashes)), 32)]

    return nodes
