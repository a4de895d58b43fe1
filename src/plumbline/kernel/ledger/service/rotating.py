"""Changing the key that signs: an entry under the old key names the new one, and one checkpoint carries both signatures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from plumbline.kernel.context import Context
from plumbline.kernel.errors import Conflict, InvalidInput, Where
from plumbline.kernel.identity import repository as identity
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger import keys, note
from plumbline.kernel.ledger.keys import Keys
from plumbline.kernel.ledger.repository.trees import Sealed, Trees
from plumbline.kernel.ledger.service.acts import Act
from plumbline.kernel.ledger.service.sealing import seal
from plumbline.kernel.ledger.service.verifying import ROTATE

MIN_REASON = 10


@dataclass(frozen=True, slots=True)
class Rotated:
    """``organizations``: how many ledgers the new key took over. ``to_configure``: the key is not in a file of ours: set it."""

    old: bytes | None
    new: bytes
    organizations: int
    to_configure: bool


def rotate(
    installation: Installation, context: Context, *, reason: str, new_key: str | None = None, lost: bool = False
) -> Rotated:
    """Take a new key for every organization's ledger. Interrupted, the same call goes on.

    :param new_key: PEM of the new key, needed where the present one comes from the environment or a command; else one is made.
    :param lost: the old key is gone: nothing vouches for the new one but people, so tell them its public key.
    :raises Conflict: there is nothing to rotate, the key is missing (say ``lost``) or there (do not).
    """
    context.require("ledger.keys")
    if len(reason.strip()) < MIN_REASON:
        raise InvalidInput(
            f"Write at least {MIN_REASON} characters on why; you wrote {len(reason.strip())}.",
            where=Where(field="reason"),
        )
    settings = installation.settings
    configured = settings.ledger_key is not None or settings.ledger_key_command is not None
    heads = _heads(installation)
    if not heads:
        raise Conflict(
            "Nothing was sealed yet: there is no key to replace.", remedy="Put the key you want in place, then seal."
        )
    present = keys.load(settings)
    signed = _signed_by(present, heads)
    if lost:
        return _replace(installation, context, reason, heads, present, signed, new_key, configured=configured)
    if present is None or not signed:
        raise Conflict("The key that signed the last checkpoints is not there.",
                       remedy="Put it back; if it is lost for good: plumbline ledger key rotate --lost.")  # fmt: skip
    old = present.private[0]
    following = present.private[1] if len(present.private) > 1 else None
    if following is None:
        if configured and new_key is None:
            raise InvalidInput("The present key is configured, so the new one is yours to make.", where=Where(field="new_key"),
                               remedy="Give a PEM: openssl genpkey -algorithm ed25519 -out new.pem; then --new-key new.pem.")  # fmt: skip
        following = keys.parse_private(new_key, "the new key") if new_key else Ed25519PrivateKey.generate()
        (settings.keys / keys.NEXT).unlink(missing_ok=True)  # of an earlier rotation that is through
        keys.write_private(settings.keys / keys.NEXT, following)
    both = Keys((old, following))
    count = _hand_over(installation, context, reason, heads, both, lost=False)
    keys.remember_public(settings, both.public)
    if not configured:
        keys.finish_rotation(settings)
    return Rotated(both.public[0], both.public[1], count, configured)


def _replace(installation: Installation, context: Context, reason: str, heads: dict[UUID, Sealed], present: Keys | None, signed: bool,
             new_key: str | None, *, configured: bool) -> Rotated:  # fmt: skip
    settings = installation.settings
    if signed:
        raise Conflict("The key is not lost: it signed the last checkpoints.", remedy="Rotate without --lost.")
    former = keys.known_public(settings)
    if present is None:
        keys.write_private(
            settings.keys / keys.LOG,
            keys.parse_private(new_key, "the new key") if new_key else Ed25519PrivateKey.generate(),
        )
        present = keys.load(settings)
        assert present is not None
    new = Keys(present.private[:1])
    old = next((p for head in heads.values() for p in former if _signed(head, p)), None)
    count = _hand_over(installation, context, reason, heads, new, lost=True, old=old)
    keys.remember_public(settings, new.public)
    return Rotated(old, new.public[0], count, configured)


def _heads(installation: Installation) -> dict[UUID, Sealed]:
    with installation.database.read(None) as session:
        found = [o.id for o in identity.organizations(session)]
    heads = {}
    for organization_id in found:
        with installation.database.read(organization_id) as session:
            head = Trees(session, organization_id).head()
        if head is not None:
            heads[organization_id] = head
    return heads


def _signed(head: Sealed, public: bytes) -> bool:
    origin = note.Checkpoint.parse(note.split(head.note)[0]).origin
    try:
        note.open_note(head.note, [note.VerifierKey(origin, public)])
    except ValueError:
        return False
    return True


def _signed_by(present: Keys | None, heads: dict[UUID, Sealed]) -> bool:
    return present is not None and all(any(_signed(head, p) for p in present.public) for head in heads.values())


def _hand_over(installation: Installation, context: Context, reason: str, heads: dict[UUID, Sealed], signing: Keys, *, lost: bool,
               old: bytes | None = None) -> int:  # fmt: skip
    """An entry in each ledger, and a checkpoint over it. Those that an interrupted call has done are left alone."""
    new = signing.public[-1]
    before = old if lost else signing.public[0]
    count = 0
    for organization_id, head in heads.items():
        if _signed(head, new):
            continue
        mine = replace(context, organization_id=organization_id, now=installation.clock())
        with Act(installation.database, mine, ROTATE, "ledger", right="ledger.keys") as act:
            act.details = {"old": note.b64(before or b""), "new": note.b64(new), "lost": lost, "reason": reason.strip()}
        seal(installation, organization_id, with_keys=signing, replacing=lost)
        count += 1
    return count
