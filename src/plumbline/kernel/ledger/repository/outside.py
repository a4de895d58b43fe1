"""What leaves the house and what comes back: destinations, cosignatures, and the logs of others that we witness.

``ledger_witnessed_logs`` belongs to no tenant; everything else names the organization.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from plumbline.kernel import clock
from plumbline.kernel.database import WriteSession, changed, scoped, upsert
from plumbline.kernel.ledger.repository.trees import Sealed
from plumbline.kernel.ledger.tables import Checkpoint, Cosignature, Destination, WitnessedLog

# cosignatures


def cosignatures(session: Session, organization_id: UUID, size: int) -> list[Cosignature]:
    """Of the checkpoint of ``size`` leaves, by the witness's name."""
    statement = scoped(Cosignature, organization_id).where(Cosignature.tree_size == size)
    return list(session.scalars(statement.order_by(Cosignature.witness)))


def note_with_cosignatures(session: Session, organization_id: UUID, sealed: Sealed) -> str:
    """The signed note of a checkpoint, followed by the lines of the witnesses that saw it."""
    return sealed.note + "".join(c.line for c in cosignatures(session, organization_id, sealed.size))


def cosigned_after(session: Session, organization_id: UUID, size: int, moment: datetime) -> bool:
    """Whether a cosignature of that checkpoint came in later than ``moment``, or with it."""
    found = scoped(Cosignature, organization_id).where(Cosignature.tree_size == size, Cosignature.received_at >= moment)
    return session.scalars(found.limit(1)).first() is not None


def add_cosignature(session: WriteSession, organization_id: UUID, size: int, *, witness: str, verifier_key: str, line: str, signed_at: datetime,
                    received_at: datetime) -> None:  # fmt: skip
    """Keep a line that was checked. The first word of a witness on a checkpoint stays, unless it has another key now."""
    values: dict[str, Any] = {"verifier_key": verifier_key, "line": line, "signed_at": signed_at, "received_at": received_at}  # fmt: skip
    made = upsert(session, Cosignature).values(
        organization_id=organization_id, tree_size=size, witness=witness, **values
    )
    session.execute(
        made.on_conflict_do_update(index_elements=["organization_id", "tree_size", "witness"], set_=values,
                                   where=sa.and_(Cosignature.organization_id == organization_id, Cosignature.verifier_key != verifier_key))
    )  # fmt: skip


# checkpoints on their way out


def sealed_after(session: Session, organization_id: UUID, size: int) -> list[tuple[int, datetime]]:
    """Size and time of the checkpoints of more than ``size`` leaves, the smallest first."""
    statement = sa.select(Checkpoint.tree_size, Checkpoint.sealed_at).where(
        Checkpoint.organization_id == organization_id, Checkpoint.tree_size > size
    )
    return [(found, at) for found, at in session.execute(statement.order_by(Checkpoint.tree_size))]


def sealed(session: Session, organization_id: UUID, sizes: list[int]) -> list[Sealed]:
    """The checkpoints of these sizes, the smallest first."""
    statement = scoped(Checkpoint, organization_id).where(Checkpoint.tree_size.in_(sizes))
    rows = session.scalars(statement.order_by(Checkpoint.tree_size))
    return [Sealed(r.tree_size, r.root_hash, r.note, clock.text(r.sealed_at)) for r in rows]


# destinations


def destinations(session: Session, organization_id: UUID) -> dict[str, Destination]:
    """By address; those that are no longer configured are among them."""
    return {row.address: row for row in session.scalars(scoped(Destination, organization_id))}


def remember_destination(session: WriteSession, organization_id: UUID, address: str, *, kind: str, tree_size: int, tried_at: datetime,
                         delivered_at: datetime | None, error: str | None) -> None:  # fmt: skip
    """How the last attempt ended. ``delivered_at`` stays as it was where this one delivered nothing (``None``)."""
    values: dict[str, Any] = {"tree_size": tree_size, "tried_at": tried_at, "error": error}
    made = upsert(session, Destination).values(
        organization_id=organization_id, address=address, kind=kind, delivered_at=delivered_at, **values
    )
    if delivered_at is not None:
        values["delivered_at"] = delivered_at
    session.execute(
        made.on_conflict_do_update(index_elements=["organization_id", "address"], set_=values,
                                   where=Destination.organization_id == organization_id)
    )  # fmt: skip


# logs of others


def witnessed_logs(session: Session) -> list[WitnessedLog]:
    return list(session.scalars(sa.select(WitnessedLog).order_by(WitnessedLog.origin)))


def witnessed_log(session: Session, origin: str) -> WitnessedLog | None:
    statement = sa.select(WitnessedLog).where(WitnessedLog.origin == origin)
    return session.scalars(statement, execution_options={"populate_existing": True}).first()


def add_witnessed_log(session: WriteSession, origin: str, verifier_key: str, now: datetime) -> bool:
    """Returns whether it was added; one of that origin that is there already stays as it is."""
    made = upsert(session, WitnessedLog).values(
        origin=origin, verifier_key=verifier_key, tree_size=0, root_hash=None, note=None, cosigned_at=None,
        created_at=now,
    )  # fmt: skip
    return changed(session.execute(made.on_conflict_do_nothing())) == 1


def change_witnessed_key(session: WriteSession, origin: str, old: str, new: str) -> bool:
    """Returns whether the log still had the old key, and has the new one now."""
    statement = (
        sa.update(WitnessedLog)
        .where(WitnessedLog.origin == origin, WitnessedLog.verifier_key == old)
        .values(verifier_key=new)
        .execution_options(synchronize_session=False)
    )
    return changed(session.execute(statement)) == 1


def remove_witnessed_log(session: WriteSession, origin: str) -> bool:
    return changed(session.execute(sa.delete(WitnessedLog).where(WitnessedLog.origin == origin))) == 1


def advance_witnessed_log(session: WriteSession, origin: str, verifier_key: str, old: int, *, size: int, root: bytes, note: str,
                          now: datetime) -> bool:  # fmt: skip
    """Check and write in one statement, so that of two requests from the same size only one succeeds; returns whether it did."""
    statement = (
        sa.update(WitnessedLog)
        .where(WitnessedLog.origin == origin, WitnessedLog.verifier_key == verifier_key, WitnessedLog.tree_size == old)
        .values(tree_size=size, root_hash=root, note=note, cosigned_at=now)
        .execution_options(synchronize_session=False)
    )
    return changed(session.execute(statement)) == 1
