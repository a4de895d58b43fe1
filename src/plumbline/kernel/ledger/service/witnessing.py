"""This installation as a witness of other logs: it cosigns what only adds to what it has seen before (C2SP tlog-witness)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from plumbline.kernel.context import Context
from plumbline.kernel.errors import Conflict, InvalidInput, NotFound, Where
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger import keys, note, tree
from plumbline.kernel.ledger.note import VerifierKey
from plumbline.kernel.ledger.repository import outside
from plumbline.kernel.ledger.repository.trees import Trees
from plumbline.kernel.ledger.service.acts import Act
from plumbline.kernel.ledger.tables import WitnessedLog

LARGEST = 64 * 1024
"""Bytes of a request; a checkpoint and the longest proof are under 4 kB."""
MOST_HASHES = 63
MOST_LEAVES = 2**63 - 1
PLAIN, SIZE = "text/plain; charset=utf-8", "text/x.tlog.size"
RIGHT = "ledger.witness"


@dataclass(frozen=True, slots=True)
class WitnessedView:
    """A log we witness: the largest tree we cosigned (0: none yet), and when."""

    origin: str
    verifier_key: str
    tree_size: int
    root: bytes | None
    cosigned_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, ``Content-Type`` and body of an answer."""

    status: int
    content_type: str
    text: str


def verifier_key(installation: Installation) -> VerifierKey:
    """What others check our cosignatures with; its text is what they put into their ``ledger_witnesses``."""
    mine = keys.witness(installation.settings)
    return VerifierKey(mine.name, mine.public, note.COSIGNATURE)


def register(installation: Installation, context: Context, verifier_key_text: str) -> WitnessedView:
    """Witness a log from now on; its origin is the name of its key. One that is registered with this key stays as it is.

    Another key is taken where the checkpoint we cosigned last carries its signature beside the old one's: the log has changed
    its key in the open, and what we saw of it stays.

    :raises Forbidden: without the right ``ledger.witness``.
    :raises InvalidInput: the text is no key of a log (kind 1), or the log is one of our own.
    :raises Conflict: the origin is registered with another key.
    """
    with Act(installation.database, context, "ledger.witness.register", "witnessed_log", right=RIGHT) as act:
        key = _parsed(verifier_key_text)
        act.done(new={"origin": key.name, "verifier_key": str(key)})
        _demand_foreign(installation, key)
        outside.add_witnessed_log(act.session, key.name, str(key), context.now)
        row = outside.witnessed_log(act.session, key.name)
        assert row is not None
        if row.verifier_key != str(key) and _handed_over(row, key):
            act.done(old={"verifier_key": row.verifier_key})
            outside.change_witnessed_key(act.session, key.name, row.verifier_key, str(key))
            row = outside.witnessed_log(act.session, key.name) or row
        if row.verifier_key != str(key):
            raise Conflict(f"The log {key.name} is registered with another key.",
                           remedy="A change of keys is taken from the checkpoint that both keys signed, once it was cosigned here; else forget the log first.")  # fmt: skip
        return _view(row)


def _handed_over(row: WitnessedLog, key: VerifierKey) -> bool:
    try:
        note.open_checkpoint(row.note or "", [key])
    except ValueError:
        return False
    return True


def forget(installation: Installation, context: Context, origin: str) -> None:
    """Witness a log no longer. What was seen of it is forgotten: registered again, it begins with any tree.

    :raises Forbidden: without the right ``ledger.witness``. :raises NotFound: no log of that origin is registered.
    """
    with Act(installation.database, context, "ledger.witness.forget", "witnessed_log", right=RIGHT) as act:
        row = outside.witnessed_log(act.session, origin)
        if row is None or not outside.remove_witnessed_log(act.session, origin):
            raise NotFound(f"No log '{origin}' is registered here.", remedy="List the witnessed logs to see which are.")
        act.done(old={"origin": origin, "verifier_key": row.verifier_key, "tree_size": row.tree_size})


def list_logs(installation: Installation, context: Context) -> list[WitnessedView]:
    """The logs that this installation witnesses, by origin. They belong to the installation, not to an organization.

    :raises Forbidden: without the right ``audit.read``.
    """
    context.require("audit.read")
    with installation.database.read(context.organization_id) as session:
        return [_view(row) for row in outside.witnessed_logs(session)]


def add_checkpoint(installation: Installation, body: bytes) -> Answer:
    """Answer an ``add-checkpoint`` request of C2SP tlog-witness: 200 with our cosignature, or why not.

    400 malformed, or the old size is above the new; 403 not signed by the log's key; 404 unknown log; 409 the old size is
    not what we cosigned last (the body says what is), or another root of the same size; 413 too large; 422 the proof fails.

    The row of the log is the record: no audit entry is written. With one, two installations that witness each other
    would never come to rest, each cosignature being a new entry that the other is to cosign.
    """
    if len(body) > LARGEST:
        return _plain(413, f"a request has at most {LARGEST} bytes")
    try:
        old, proof, signed = _split(body)
        text, _ = note.split(signed)
        checkpoint = note.Checkpoint.parse(text)
        if checkpoint.size > MOST_LEAVES:
            raise ValueError("the checkpoint's size is too large")
    except ValueError as error:
        return _plain(400, str(error))
    with installation.database.read(None) as session:
        row = outside.witnessed_log(session, checkpoint.origin)
    if row is None:
        return _plain(404, "this log is not witnessed here")
    try:
        note.open_checkpoint(signed, [VerifierKey.parse(row.verifier_key)])
    except ValueError as error:
        return _plain(403, str(error))
    if refusal := _refusal(row, old, proof, checkpoint):
        return refusal
    mine, now = keys.witness(installation.settings), installation.clock()
    line = note.cosign(text, mine.name, mine.private, int(now.timestamp()))
    with installation.database.write(None) as write:
        kept = outside.advance_witnessed_log(write, row.origin, row.verifier_key, old, size=checkpoint.size, root=checkpoint.root, note=signed,
                                             now=now)  # fmt: skip
        present = row if kept else outside.witnessed_log(write, row.origin)
    if kept:
        return Answer(200, PLAIN, line)
    if present is None or present.verifier_key != row.verifier_key:
        return _plain(404, "this log is not witnessed here")
    return Answer(409, SIZE, f"{present.tree_size}\n")  # another request was faster


def _refusal(row: WitnessedLog, old: int, proof: list[bytes], checkpoint: note.Checkpoint) -> Answer | None:
    """Why the checkpoint does not continue what we cosigned last, if it does not."""
    if old > checkpoint.size:
        return _plain(400, "the old size is above that of the checkpoint")
    if old != row.tree_size:
        return Answer(409, SIZE, f"{row.tree_size}\n")
    seen = tree.EMPTY if row.root_hash is None or not old else row.root_hash
    if old == checkpoint.size and checkpoint.root != seen:
        return _plain(
            409, "another root of this size was cosigned before" if old else "this is not the empty tree's root"
        )
    try:
        if old:
            tree.verify_consistency(old, checkpoint.size, seen, checkpoint.root, proof)
        elif proof:
            raise ValueError("the proof from the empty tree is empty")
    except ValueError as error:
        return _plain(422, str(error))
    return None


def _split(body: bytes) -> tuple[int, list[bytes], str]:
    """Old size, proof and signed note of a request.

    :raises ValueError: what is malformed.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("the request is not UTF-8") from None
    head, separator, signed = text.partition("\n\n")
    lines = head.split("\n")
    number = lines[0].removeprefix("old ")
    if (
        not separator
        or number == lines[0]
        or not (number.isascii() and number.isdigit() and str(int(number)) == number)
    ):
        raise ValueError("a request is the old size, a proof, an empty line and a checkpoint")
    if len(lines) > 1 + MOST_HASHES:
        raise ValueError(f"a proof has at most {MOST_HASHES} hashes")
    proof = [note.unb64(line) for line in lines[1:]]
    if any(len(h) != 32 for h in proof):
        raise ValueError("a hash of the proof is not 32 bytes")
    return int(number), proof, signed


def _plain(status: int, text: str) -> Answer:
    return Answer(status, PLAIN, text + "\n")


def _parsed(text: str) -> VerifierKey:
    where = Where(field="verifier_key")
    try:
        key = VerifierKey.parse(text)
    except ValueError as error:
        raise InvalidInput(f"This is no verifier key: {error}.", where=where,
                           remedy="Give the log's key as its owner publishes it: name+id+base64.") from None  # fmt: skip
    if key.kind != note.ED25519:
        raise InvalidInput(f"The key {key.name} is a witness's, not a log's.", where=where,
                           remedy="Give the key that signs the log's checkpoints (kind 1).")  # fmt: skip
    return key


def _demand_foreign(installation: Installation, key: VerifierKey) -> None:
    """To witness oneself says nothing.

    :raises InvalidInput: the log is of this installation.
    """
    from plumbline.kernel.identity import repository as identity

    own = key.public in keys.known_public(installation.settings)
    with installation.database.read(None) as session:
        organizations = [o.id for o in identity.organizations(session)]
    for organization_id in organizations:
        with installation.database.read(organization_id) as session:
            there = Trees(session, organization_id).origin()
        own = own or key.name in (f"{keys.host(installation.settings)}/ledger/{organization_id}", there and there[0])
    if own:
        raise InvalidInput(f"The log {key.name} is this installation's own.", where=Where(field="verifier_key"),
                           remedy="A witness is of use where somebody else runs it: register your log there.")  # fmt: skip


def _view(row: WitnessedLog) -> WitnessedView:
    return WitnessedView(row.origin, row.verifier_key, row.tree_size, row.root_hash, row.cosigned_at, row.created_at)
