"""Decisions of a room that only records them, with the entries that bind them, and what may be done to them behind its back."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from plumbline.kernel import clock
from plumbline.kernel.database import Database, new_id, types
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger import entry
from plumbline.kernel.ledger.repository.trees import Trees
from plumbline.kernel.ledger.service import Act
from plumbline.kernel.ledger.service.sealing import seal
from plumbline.kernel.models import predictions, records, stored
from plumbline.kernel.models.matching import root_of
from plumbline.kernel.models.records import RecordsReport
from plumbline.kernel.models.tables import Model
from tests.conftest import NOW, Firm

COLUMNS = ("id", "organization_id", "prediction_type", "subject_id", "content", "prediction_result", "probability", "features", "explanation", "ml_model_id",
           "batch_id", "batch_row", "metadata", "record_salt", "created_at")  # fmt: skip


def single(installation: Installation, firm: Firm, model: Model, **given: Any) -> UUID:
    """A decision as a room records it."""
    key = new_id(NOW)
    row = {
        "id": key, "organization_id": firm.id, "prediction_type": "scale", "subject_id": "S-1",
        "content": {"x": 1.5, "big": 1e17, "tiny": 5e-324, "whole": 2.0, "name": "Zoë\u2028"}, "prediction_result": "low", "probability": 0.125,
        "features": {"y": 1e22}, "explanation": {"reasons": [{"code": "A", "contribution": -0.25}]}, "ml_model_id": model.id, "extra": {"decision": "approve", "threshold": 0.5}, "record_salt": os.urandom(32),
        "created_at": NOW,
    } | given  # fmt: skip
    with Act(installation.database, firm.admin, "scale.decide", "prediction") as act:
        predictions.insert_one(act.session, **row)
        sha256 = model.extra["sha256"]
        act.done(key, prediction_id=str(key), model_sha256=sha256,
                 record_sha256=entry.record_hash(row["record_salt"], predictions.record_of(row, sha256)))  # fmt: skip
    return key


def rows_of(firm: Firm, model: Model, batch: UUID, numbers: Sequence[int]) -> tuple[list[dict[str, Any]], bytes]:
    """Rows of a batch and their record hashes, made as the credit room makes them."""
    encoded, sha256 = types.Encoded, model.extra["sha256"]
    at, rows, made = clock.text(NOW), [], bytearray()
    for n in numbers:
        key = UUID(int=(new_id(NOW).int >> 64 << 64) | 0x8000_0000_0000_0000 | n)
        content = f'{{"file":"{"cd" * 32}","inputs_sha256":"{"ef" * 32}","row":{n}}}'
        metadata = f'{{"decision":"approve","flags":[],"log_odds":-{n}.5,"model_sha256":"{sha256}","points":{n},"raw":-2.5,"threshold":0.0909}}'
        why = f'{{"reasons":[{{"code":"A","contribution":{n}.5}}],"version":"v1"}}'
        salt = os.urandom(32)
        p = (n + 1) / 1_000_003
        made += entry.commitment(salt, predictions.record_bytes(
            id=key, organization_id=firm.id, prediction_type="scale", subject_id=f"S-{n}", content=content, explanation=why, features="null",
            prediction_result="low", probability=p, model_sha256=sha256, batch_id=batch, created_at=at, metadata=metadata,
        ))  # fmt: skip
        rows.append({
            "id": key, "organization_id": firm.id, "prediction_type": "scale", "subject_id": f"S-{n}", "content": encoded(content), "explanation": encoded(why),
            "prediction_result": "low", "probability": p, "features": None, "ml_model_id": model.id, "batch_id": batch, "batch_row": n,
            "metadata": encoded(metadata), "record_salt": salt, "created_at": NOW,
        })  # fmt: skip
    return rows, bytes(made)


def batch_of(installation: Installation, firm: Firm, model: Model, count: int, *, status: str = "completed") -> UUID:
    """A batch of so many rows, numbered from 1; with its file and entry when it is completed."""
    key = new_id(NOW)
    rows, made = rows_of(firm, model, key, range(1, count + 1))
    root = root_of(made).hex()
    with installation.database.write(firm.id) as session:
        predictions.insert_batch(session, id=key, organization_id=firm.id, user_id=None, ml_model_id=model.id, prediction_type="scale",
                                 filename="a.csv", file_size=1, file_sha256="ab" * 32, status=status, upload_date=NOW,
                                 extra={"records_root": root})  # fmt: skip
        predictions.insert_many(session, rows, COLUMNS)
    if status == "completed":
        path = stored.file_of(installation, key)
        path.parent.mkdir(parents=True)
        path.write_bytes(made)
        with Act(installation.database, firm.admin, "scale.batch", "batch") as act:
            act.done(
                key, batch_id=str(key), records_root=root, model_sha256=model.extra["sha256"], rows=count, scored=count
            )
    return key


def change(installation: Installation, statement: str, **given: Any) -> int:
    """Change the database behind the product's back, as its owner; keys as this engine stores them."""
    owner = Database(installation.settings.url, role="owner")
    values = {k: v.bytes if isinstance(v, UUID) and owner.is_sqlite else v for k, v in given.items()}
    try:
        with owner.connect(write=True) as connection:
            return int(connection.execute(sa.text(statement).execution_options(tenant="all"), values).rowcount)
    finally:
        owner.close()


def checked(installation: Installation, firm: Firm) -> RecordsReport:
    seal(installation, firm.id)
    return records.verify(installation, firm.id)


def kinds(report: RecordsReport) -> list[str]:
    assert report.count == len(report.findings)
    return sorted(f.kind for f in report.findings)


def erase(
    installation: Installation, firm: Firm, keys: Sequence[UUID], *, listed: bool, salt_only: bool = False
) -> None:
    if listed:
        with Act(installation.database, firm.admin, "ledger.erase", "ledger") as act:
            act.done(records=[str(k) for k in keys], actor_entries=[], content_entries=[])
        seal(installation, firm.id)
    what = "record_salt = NULL" + ("" if salt_only else ", content = NULL, features = NULL, subject_id = 'erased'")
    for key in keys:
        change(installation, f"UPDATE predictions SET {what} WHERE id = :id", id=key)


def row_ids(installation: Installation, firm: Firm, batch: UUID) -> list[UUID]:
    with installation.database.read(firm.id) as session, stored.stored_batch(Trees(session, firm.id), batch) as rows:
        return [UUID(row.id) for row in rows]
