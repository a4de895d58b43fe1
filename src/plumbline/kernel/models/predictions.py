"""Decisions of every room, and the batches they came in: rows, pages, counts, and what the ledger says of a row.

Rooms write these rows in the transaction of their own act; the queries here (and those of whole scans,
:mod:`plumbline.kernel.models.stored`, and of outcomes, :mod:`plumbline.kernel.models.labels`) are the only ones on the two tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session, defer

from plumbline.kernel import canonical, clock
from plumbline.kernel.database import WriteSession, bulk_insert, changed, first_id, scoped
from plumbline.kernel.database import page as page_of
from plumbline.kernel.errors import InvalidInput, NotFound
from plumbline.kernel.ledger import entry
from plumbline.kernel.models import repository
from plumbline.kernel.models.tables import Batch, Model, Prediction
from plumbline.kernel.paging import Page, PageRequest

LATER = frozenset({"outcome"})
"""Names in a decision's metadata that are written after it was made: the ledger's record leaves them out."""
LOOKED_AT = 50_000
"""Counts for pages look at this many of the newest decisions at most."""
_EXACT = 2**53 - 1
_S = TypeVar("_S", bound="sa.Select[*tuple[Any, ...]]")


LIGHT = tuple(
    defer(column, raiseload=True) for column in (Prediction.content, Prediction.features, Prediction.explanation)
)
"""What a list leaves out: kilobytes of JSON a row."""


def insert_one(session: WriteSession, **row: Any) -> None:
    """One decision, by attribute name (``extra`` is the column ``metadata``); JSON may be :class:`types.Encoded`."""
    session.execute(sa.insert(Prediction), row)


def insert_many(session: WriteSession, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> int:
    """Many decisions, by database column name (``metadata``, not ``extra``); a row whose id is there is left as it is.

    :returns: how many were inserted.
    """
    return bulk_insert(session, Prediction, rows, columns=columns)


def get(session: Session, organization_id: UUID, key: UUID) -> Prediction:
    """One decision with all it holds.

    :raises NotFound: no such decision in this organization.
    """
    found = session.scalars(scoped(Prediction, organization_id).where(Prediction.id == key)).first()
    if found is None:
        raise NotFound(f"There is no decision '{key}' in this organization.", remedy="Look for it by its subject.")
    return found


def page(session: Session, organization_id: UUID, request: PageRequest, *, prediction_type: str | None = None,
         subject_id: str | None = None, model_id: UUID | None = None, batch_id: UUID | None = None, result: str | None = None,
         since: datetime | None = None, until: datetime | None = None, shadows: bool = False) -> Page[Prediction]:  # fmt: skip
    """Newest first; ``since`` ≤ time of the id < ``until``. What explains each is not read: use :func:`get`."""
    statement = _chosen(
        scoped(Prediction, organization_id),
        prediction_type,
        subject_id,
        model_id,
        batch_id,
        result,
        since,
        until,
        shadows,
    )
    return page_of(session, statement.options(*LIGHT), Prediction, request)


def _chosen(statement: _S, prediction_type: str | None = None, subject_id: str | None = None, model_id: UUID | None = None,
            batch_id: UUID | None = None, result: str | None = None, since: datetime | None = None, until: datetime | None = None,
            shadows: bool = False) -> _S:  # fmt: skip
    """The id holds the time, and the index begins with it."""
    conditions = [
        column == wanted
        for column, wanted in (
            (Prediction.prediction_type, prediction_type), (Prediction.subject_id, subject_id), (Prediction.ml_model_id, model_id),
            (Prediction.batch_id, batch_id), (Prediction.prediction_result, result),
        )
        if wanted is not None
    ]  # fmt: skip
    if since is not None:
        conditions.append(Prediction.id >= first_id(since))
    if until is not None:
        conditions.append(Prediction.id < first_id(until))
    if not shadows:
        conditions.append(Prediction.shadow_of.is_(None))
    return statement.where(*conditions)


def riskiest(session: Session, organization_id: UUID, batch_id: UUID, result: str, most: int) -> list[Prediction]:
    """The decisions of a batch with this result and the highest probabilities, highest first."""
    statement = scoped(Prediction, organization_id).where(
        Prediction.batch_id == batch_id, Prediction.prediction_result == result
    )
    return list(
        session.scalars(statement.options(*LIGHT).order_by(Prediction.probability.desc(), Prediction.id).limit(most))
    )


def singles(
    session: Session, organization_id: UUID, model_id: UUID, since: datetime, until: datetime
) -> Iterator[tuple[Any, float]]:
    """Inputs by name and probability of each decision that a version made one by one, ``since`` ≤ time of the id < ``until``,
    in their order; inputs are ``None`` where they were erased."""
    statement = sa.select(Prediction.features, Prediction.probability).where(
        Prediction.organization_id == organization_id, Prediction.batch_id.is_(None)
    )
    statement = _chosen(statement, model_id=model_id, since=since, until=until).order_by(Prediction.id)
    for row in session.execute(statement, execution_options={"yield_per": 1000}):
        yield row[0], row[1]


# --- counts for pages


@dataclass(frozen=True, slots=True)
class DayCount:
    """How often a result was given on a day (``YYYY-MM-DD``, UTC)."""

    day: str
    result: str
    count: int


def per_day(session: Session, organization_id: UUID, *, prediction_type: str | None = None, model_id: UUID | None = None,
            batch_id: UUID | None = None, since: datetime | None = None, until: datetime | None = None,
            most: int = LOOKED_AT) -> list[DayCount]:  # fmt: skip
    """Decisions per day and result, in the order of the days, among the newest ``most`` that fit."""
    created = Prediction.created_at
    on_postgresql = session.connection().dialect.name == "postgresql"
    day = (
        sa.func.to_char(sa.func.timezone("UTC", created), "YYYY-MM-DD")
        if on_postgresql
        else sa.func.substr(created, 1, 10)
    )
    inner = sa.select(sa.type_coerce(day, sa.Text()).label("day"), Prediction.prediction_result.label("result"))
    inner = inner.where(Prediction.organization_id == organization_id)
    inner = (
        _chosen(inner, prediction_type, None, model_id, batch_id, None, since, until)
        .order_by(Prediction.id.desc())
        .limit(most)
    )
    rows = inner.subquery()
    statement = (
        sa.select(rows.c.day, rows.c.result, sa.func.count())
        .group_by(rows.c.day, rows.c.result)
        .order_by(rows.c.day, rows.c.result)
    )
    return [DayCount(*row) for row in session.execute(statement)]


def per_result(session: Session, organization_id: UUID, *, prediction_type: str | None = None, model_id: UUID | None = None,
               batch_id: UUID | None = None, since: datetime | None = None, until: datetime | None = None,
               most: int = LOOKED_AT) -> dict[str, int]:  # fmt: skip
    """Decisions per result among the newest ``most`` that fit."""
    inner = sa.select(Prediction.prediction_result.label("result")).where(Prediction.organization_id == organization_id)
    inner = (
        _chosen(inner, prediction_type, None, model_id, batch_id, None, since, until)
        .order_by(Prediction.id.desc())
        .limit(most)
    )
    rows = inner.subquery()
    counted = session.execute(sa.select(rows.c.result, sa.func.count()).group_by(rows.c.result).order_by(rows.c.result))
    return {row[0]: row[1] for row in counted}


def histogram(session: Session, organization_id: UUID, *, bins: int = 50, low: float = 0.0, high: float = 1.0,
              prediction_type: str | None = None, model_id: UUID | None = None, batch_id: UUID | None = None,
              since: datetime | None = None, until: datetime | None = None, most: int = LOOKED_AT) -> list[int]:  # fmt: skip
    """Counts of ``probability`` in equal bins from ``low`` to ``high`` (what lies outside counts at the ends), among the newest ``most``."""
    statement = sa.select(Prediction.probability).where(Prediction.organization_id == organization_id)
    statement = (
        _chosen(statement, prediction_type, None, model_id, batch_id, None, since, until)
        .order_by(Prediction.id.desc())
        .limit(most)
    )
    counts = [0] * bins
    scale = bins / (high - low)
    for p in session.scalars(statement):
        counts[min(bins - 1, max(0, int((p - low) * scale)))] += 1
    return counts


# --- what the ledger says of a row


def record_of(row: Prediction | Mapping[str, Any], model_sha256: str) -> dict[str, Any]:
    """The columns of a decision that never change, as the act's entry commits to them (:func:`entry.record_hash`).

    Later writes (an outcome) are left out; an erased row has no record any more.

    :param row: a stored row, or its values by attribute name before it is written (JSON as values, not as text).
    """

    def value(name: str) -> Any:
        return row.get(name) if isinstance(row, Mapping) else getattr(row, name)

    batch = value("batch_id")
    return {
        "batch_id": str(batch) if batch else None,
        "content": plain(value("content")),
        "created_at": clock.text(value("created_at")),
        "explanation": plain(value("explanation")),
        "features": plain(value("features")),
        "id": str(value("id")),
        "metadata": plain({k: v for k, v in (value("extra") or {}).items() if k not in LATER}),
        "model_sha256": model_sha256,
        "organization_id": str(value("organization_id")),
        "prediction_result": value("prediction_result"),
        "prediction_type": value("prediction_type"),
        "probability": value("probability"),
        "subject_id": value("subject_id"),
    }


def record_bytes(*, id: UUID | str, organization_id: UUID, prediction_type: str, subject_id: str, content: str, explanation: str, features: str,  # noqa: A002
                 prediction_result: str, probability: float, model_sha256: str, batch_id: UUID | str | None, created_at: str,
                 metadata: str) -> bytes:  # fmt: skip
    """The canonical bytes of :func:`record_of` without building it, for batches.

    :param id: keys may be given as their text.
    :param content: canonical JSON text, as ``explanation``, ``features`` and ``metadata`` are; ``"null"`` for none.
    :param created_at: as :func:`clock.text` writes it.
    """
    quote = entry.quote
    batch = f'"{batch_id}"' if batch_id else "null"
    # between these bounds Python's shortest form is that of RFC 8785
    p = repr(probability) if 1e-4 <= probability < 1.0 else canonical.dumps(probability).decode()
    return (
        f'{{"batch_id":{batch},"content":{content},"created_at":"{created_at}","explanation":{explanation},"features":{features},"id":"{id}","metadata":{metadata},'
        f'"model_sha256":"{model_sha256}","organization_id":"{organization_id}","prediction_result":{quote(prediction_result)},'
        f'"prediction_type":{quote(prediction_type)},"probability":{p},"subject_id":{quote(subject_id)}}}'
    ).encode()


def plain(value: Any) -> Any:
    """``jsonb`` writes 1e17 out and reads it back as a whole number, which canonical JSON refuses: a double it was."""
    match value:
        case bool():
            return value
        case int() if abs(value) > _EXACT:
            return float(value)
        case dict():
            return {k: plain(v) for k, v in value.items()}
        case list() | tuple():
            return [plain(v) for v in value]
    return value


def check_record(row: Prediction | Mapping[str, Any], model_sha256: str, salt: bytes, expected_hex: str) -> bool:
    """Whether a stored decision is still the one that its act's entry committed to."""
    try:
        return entry.record_hash(salt, record_of(row, model_sha256)) == expected_hex
    except (InvalidInput, OverflowError):  # values that no decision of ours could have held
        return False


# --- batches


def insert_batch(session: WriteSession, **row: Any) -> None:
    session.execute(sa.insert(Batch), row)


def update_batch(session: WriteSession, organization_id: UUID, key: UUID, **values: Any) -> int:
    statement = sa.update(Batch).where(Batch.organization_id == organization_id, Batch.id == key).values(**values)
    return changed(session.execute(statement, execution_options={"synchronize_session": False}))


def get_batch(session: Session, organization_id: UUID, key: UUID) -> Batch:
    """
    :raises NotFound: no such batch in this organization.
    """
    found = session.scalars(scoped(Batch, organization_id).where(Batch.id == key)).first()
    if found is None:
        raise NotFound(
            f"There is no batch '{key}' in this organization.", remedy="List the batches to see which there are."
        )
    return found


def batches(session: Session, organization_id: UUID, request: PageRequest, *, prediction_type: str | None = None,
            status: str | None = None) -> Page[Batch]:  # fmt: skip
    statement = scoped(Batch, organization_id)
    if prediction_type is not None:
        statement = statement.where(Batch.prediction_type == prediction_type)
    if status is not None:
        statement = statement.where(Batch.status == status)
    return page_of(session, statement, Batch, request)


def batch_with_hash(
    session: Session, organization_id: UUID, sha256: str, model_id: UUID, user_id: UUID | None
) -> UUID | None:
    """The newest batch of the same bytes, model and person: a file sent twice is pointed out."""
    statement = sa.select(Batch.id).where(
        Batch.organization_id == organization_id,
        Batch.file_sha256 == sha256,
        Batch.ml_model_id == model_id,
        Batch.user_id == user_id,
    )
    return session.scalars(statement.order_by(Batch.id.desc()).limit(1)).first()


def model_of(session: Session, organization_id: UUID, key: UUID) -> Model:
    """The version that decided."""
    return repository.model(session, organization_id, key)
