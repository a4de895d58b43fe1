"""What decisions hold of a subject, and its erasure: input, features, explanation, salt and the subject's own name go.

The result stays: without its subject it is nobody's. The record in the ledger is a salted hash, which without the salt says
nothing.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from plumbline.kernel.database import WriteSession
from plumbline.kernel.ledger.service.erasing import ERASED, STEP, Held
from plumbline.kernel.models.tables import Batch, ModelProfile, Prediction


class Decisions:
    """The kernel's part in an erasure (:attr:`room.Room.erasable`)."""

    def find(self, session: Session, organization_id: UUID, subject: str) -> Held:
        held = Held()
        mine = (Prediction.organization_id == organization_id, Prediction.subject_id == subject)
        rows = session.execute(sa.select(Prediction.id, Prediction.batch_id).where(*mine).order_by(Prediction.id)).all()
        held.records = [row.id for row in rows]
        held.told = [("decisions: input, features, reasons and the subject's name", len(rows))]
        batches = {row.batch_id for row in rows if row.batch_id is not None}
        if batches:
            names = session.execute(
                sa.select(Batch.filename, Batch.id)
                .where(Batch.organization_id == organization_id, Batch.id.in_(batches))
                .order_by(Batch.id)
            )
            held.kept = [f"The file {name} of batch {key} still holds the subject's row, and so do its results: delete or replace them."
                         for name, key in names]  # fmt: skip
        if (
            rows
            and session.execute(
                sa.select(ModelProfile.id).where(ModelProfile.organization_id == organization_id).limit(1)
            ).first()
        ):
            held.kept.append("Drift profiles and reports hold counts, and of each column its smallest and largest value and the names of rare "
                             "levels; where those were the subject's own they stay: plumbline models drift list")  # fmt: skip
        return held

    def erase(self, session: WriteSession, organization_id: UUID, held: Held, now: datetime) -> None:
        for start in range(0, len(held.records), STEP):
            self._forget_flags(session, organization_id, held.records[start : start + STEP])
            session.execute(
                sa.update(Prediction)
                .where(Prediction.organization_id == organization_id, Prediction.id.in_(held.records[start : start + STEP]),
                       sa.or_(Prediction.subject_id != ERASED, Prediction.record_salt.is_not(None)))
                .values(content=sa.null(), features=sa.null(), explanation=sa.null(), record_salt=None, source_ip=None, subject_id=ERASED),
                execution_options={"synchronize_session": False},
            )  # fmt: skip

    def _forget_flags(self, session: WriteSession, organization_id: UUID, keys: list[UUID]) -> None:
        """What was unusual about the input is the subject's as well."""
        mine = (Prediction.organization_id == organization_id, Prediction.id.in_(keys))
        for key, extra in session.execute(sa.select(Prediction.id, Prediction.extra).where(*mine)).all():
            if extra.get("flags"):
                session.execute(
                    sa.update(Prediction)
                    .where(Prediction.organization_id == organization_id, Prediction.id == key)
                    .values(extra=extra | {"flags": []}),
                    execution_options={"synchronize_session": False},
                )


erasable = Decisions()
