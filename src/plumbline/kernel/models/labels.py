"""Queries of the truth about decisions: which decision a row is about, what is known of it, cohorts, and their evaluations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple, cast
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from plumbline.kernel.database import WriteSession, scoped, types
from plumbline.kernel.models.tables import Evaluation, Metric, Model, Prediction

STEP = 500
_TABLE = cast(sa.Table, Prediction.__table__)


class Known(NamedTuple):
    """A decision and what is known of its outcome; ``noted`` is its ``metadata.outcome``."""

    id: UUID
    subject_id: str
    created_at: datetime
    outcome: str | None
    outcome_at: datetime | None
    noted: dict[str, Any] | None


def _part(session: Session, *path: str) -> sa.ColumnElement[Any]:
    """A text in a decision's metadata."""
    if session.connection().dialect.name == "postgresql":
        return sa.type_coerce(sa.func.jsonb_extract_path_text(_TABLE.c.metadata, *path), sa.Text())
    return sa.type_coerce(sa.func.json_extract(_TABLE.c.metadata, f"$.{'.'.join(path)}"), sa.Text())


def _noted(session: Session) -> sa.ColumnElement[Any]:
    """``metadata.outcome`` as a value."""
    if session.connection().dialect.name == "postgresql":
        return sa.type_coerce(sa.func.jsonb_extract_path(_TABLE.c.metadata, "outcome"), types.Json())
    return sa.type_coerce(sa.func.json_extract(_TABLE.c.metadata, "$.outcome"), types.Json())


def _mine(organization_id: UUID, prediction_type: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        _TABLE.c.organization_id == organization_id,
        _TABLE.c.prediction_type == prediction_type,
        _TABLE.c.shadow_of.is_(None),
    )


def _parts(keys: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(keys), STEP):
        yield keys[start : start + STEP]


def _columns(session: Session) -> tuple[Any, ...]:
    c = _TABLE.c
    return c.id, c.subject_id, c.created_at, c.outcome, c.outcome_at, _noted(session)


def by_id(
    session: WriteSession, organization_id: UUID, prediction_type: str, keys: Sequence[UUID]
) -> dict[UUID, Known]:
    """Those of these decisions that are there, locked until the transaction ends; no shadows."""
    statement = sa.select(*_columns(session)).where(*_mine(organization_id, prediction_type))
    found: dict[UUID, Known] = {}
    for part in _parts(sorted(set(keys))):
        for row in session.execute(statement.where(_TABLE.c.id.in_(part)).order_by(_TABLE.c.id).with_for_update()):
            found[row[0]] = Known(*row)
    return found


def by_subject(
    session: WriteSession, organization_id: UUID, prediction_type: str, subjects: Sequence[str]
) -> dict[str, list[Known]]:
    """Every decision about these subjects, oldest first, locked until the transaction ends."""
    statement = sa.select(*_columns(session)).where(*_mine(organization_id, prediction_type))
    found: dict[str, list[Known]] = {}
    for part in _parts(sorted(set(subjects))):
        for row in session.execute(
            statement.where(_TABLE.c.subject_id.in_(part)).order_by(_TABLE.c.subject_id, _TABLE.c.id).with_for_update()
        ):
            found.setdefault(row[1], []).append(Known(*row))
    for decisions in found.values():
        decisions.sort(key=lambda k: (k.created_at, k.id))
    return found


def write(session: WriteSession, organization_id: UUID, rows: Sequence[dict[str, Any]]) -> None:
    """Outcomes of decisions: ``key``, ``outcome``, ``outcome_at`` and ``noted`` (JSON text for ``metadata.outcome``) each.

    The rest of the metadata is left as it lies, so that what the ledger committed to can still be shown.
    """
    if not rows:
        return
    noted = sa.bindparam("noted", type_=sa.Text())
    if session.connection().dialect.name == "postgresql":
        extra: Any = sa.func.jsonb_set(
            _TABLE.c.metadata,
            sa.cast(sa.literal("{outcome}"), sa.ARRAY(sa.Text())),
            sa.cast(noted, _TABLE.c.metadata.type),
        )
    else:
        extra = sa.func.json_set(_TABLE.c.metadata, "$.outcome", sa.func.json(noted))
    statement = (
        sa.update(_TABLE)
        .where(_TABLE.c.organization_id == organization_id, _TABLE.c.id == sa.bindparam("key"))
        .values(outcome=sa.bindparam("outcome"), outcome_at=sa.bindparam("outcome_at"), metadata=extra)
    )
    session.execute(statement, list(rows))


# --- cohorts


class DayGroup(NamedTuple):
    """Decisions of one version, day and standing; ``day`` in UTC, ``youngest`` the time of the last one."""

    model_id: UUID
    day: date
    decision: str | None
    outcome: str | None
    source: str | None
    decisions: int
    youngest: datetime


def _day(session: Session) -> sa.ColumnElement[str]:
    created = _TABLE.c.created_at
    if session.connection().dialect.name == "postgresql":
        return sa.type_coerce(sa.func.to_char(sa.func.timezone("UTC", created), "YYYY-MM-DD"), sa.Text())
    return sa.type_coerce(sa.func.substr(created, 1, 10), sa.Text())


def by_day(
    session: Session, organization_id: UUID, prediction_type: str, model_id: UUID | None = None
) -> Iterator[DayGroup]:
    """How the decisions of a type stand, counted by version and day."""
    c = _TABLE.c
    rows = sa.select(c.ml_model_id, _day(session).label("day"), _part(session, "decision").label("decision"), c.outcome,
                     _part(session, "outcome", "source").label("source"), c.created_at).where(*_mine(organization_id, prediction_type))  # fmt: skip
    if model_id is not None:
        rows = rows.where(c.ml_model_id == model_id)
    inner = rows.subquery()
    group = (inner.c.ml_model_id, inner.c.day, inner.c.decision, inner.c.outcome, inner.c.source)
    statement = sa.select(*group, sa.func.count(), sa.func.max(inner.c.created_at)).group_by(*group)
    for model, day, *rest in session.execute(statement):
        yield DayGroup(model, date.fromisoformat(day), *rest)


def of_ids(
    session: Session, organization_id: UUID, prediction_type: str, keys: Sequence[UUID]
) -> Iterator[tuple[UUID, UUID, date, str | None, str | None, str | None]]:
    """Id, version, day, decision, outcome and source of these decisions."""
    c = _TABLE.c
    statement = sa.select(
        c.id, c.ml_model_id, _day(session), _part(session, "decision"), c.outcome, _part(session, "outcome", "source")
    )
    for part in _parts(keys):
        for row in session.execute(statement.where(*_mine(organization_id, prediction_type), c.id.in_(part))):
            yield row[0], row[1], date.fromisoformat(row[2]), row[3], row[4], row[5]


class Judged(NamedTuple):
    """A decision with its outcome, as a cohort is measured on it; ``drawn`` is the probability an audit drew it with."""

    id: UUID
    probability: float
    decision: str | None
    outcome: str | None
    source: str | None
    drawn: str | float | None


def of_cohort(
    session: Session, organization_id: UUID, prediction_type: str, model_id: UUID, since: datetime, until: datetime
) -> Iterator[Judged]:
    """The decisions of a version, ``since`` ≤ their time < ``until``, in the order of their ids."""
    c = _TABLE.c
    statement = sa.select(
        c.id,
        c.probability,
        _part(session, "decision"),
        c.outcome,
        _part(session, "outcome", "source"),
        _part(session, "outcome", "inclusion_probability"),
    ).where(
        *_mine(organization_id, prediction_type), c.ml_model_id == model_id, c.created_at >= since, c.created_at < until
    )
    for row in session.execute(statement.order_by(c.id), execution_options={"yield_per": 5000}):
        yield Judged(*row)


# --- their evaluations


def cohort_evaluations(
    session: Session, organization_id: UUID, model_ids: Iterable[UUID], prefix: str
) -> dict[tuple[UUID, str], Evaluation]:
    """The evaluation of each version's datasets whose names begin with ``prefix``."""
    statement = scoped(Evaluation, organization_id).where(
        Evaluation.ml_model_id.in_(list(model_ids)), Evaluation.dataset.startswith(prefix, autoescape=True)
    )
    return {(e.ml_model_id, e.dataset): e for e in session.scalars(statement.order_by(Evaluation.id))}


def lock_version(session: WriteSession, organization_id: UUID, key: UUID) -> None:
    """Two that measure the same cohort at once take turns."""
    session.execute(
        sa.select(Model.id).where(Model.organization_id == organization_id, Model.id == key).with_for_update()
    )


def replace_evaluation(
    session: WriteSession, organization_id: UUID, key: UUID, values: dict[str, Any], figures: list[dict[str, Any]]
) -> None:
    """The same cohort was measured again: other labels, later."""
    quiet = {"synchronize_session": False}
    session.execute(
        sa.update(Evaluation)
        .where(Evaluation.organization_id == organization_id, Evaluation.id == key)
        .values(**values),
        execution_options=quiet,
    )
    session.execute(
        sa.delete(Metric).where(Metric.organization_id == organization_id, Metric.evaluation_id == key),
        execution_options=quiet,
    )
    if figures:
        session.execute(sa.insert(Metric), figures)
