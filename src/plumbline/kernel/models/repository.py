"""Every query of the registry: versions, evaluations, metrics, profiles, drift reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from plumbline.kernel.database import WriteSession, changed, one, page, scoped
from plumbline.kernel.errors import NotFound
from plumbline.kernel.ledger.tables import AuditEntry
from plumbline.kernel.models.tables import DriftRun, DriftRunScore, Evaluation, Metric, Model, ModelProfile
from plumbline.kernel.paging import Page, PageRequest

MOST_NAMED = 5_000  # versions an inventory looks at


@dataclass(frozen=True, slots=True)
class Outline:
    """A version without its features and figures: enough to group and to count."""

    id: UUID
    name: str
    version: str
    is_active: bool


def model(session: Session, organization_id: UUID, key: UUID) -> Model:
    return one(session, scoped(Model, organization_id).where(Model.id == key), "model", key)


def version(session: Session, organization_id: UUID, name: str, number: str) -> Model:
    statement = scoped(Model, organization_id).where(Model.name == name, Model.version == number)
    return one(session, statement, "model", f"{name}@{number}")


def live(session: Session, organization_id: UUID, *, name: str | None = None, kind: str | None = None) -> Model | None:
    """The active version of a name, or of a kind the one that was activated last."""
    statement = scoped(Model, organization_id).where(Model.is_active.is_(sa.true()))
    if name is not None:
        statement = statement.where(Model.name == name)
    if kind is not None:
        statement = statement.where(Model.kind == kind)
    return session.scalars(statement.order_by(Model.deployed_at.desc(), Model.id.desc()).limit(1)).first()


def newest(session: Session, organization_id: UUID, name: str) -> Model | None:
    return session.scalars(
        scoped(Model, organization_id).where(Model.name == name).order_by(Model.id.desc()).limit(1)
    ).first()


def find(session: Session, organization_id: UUID, key: str | UUID) -> Model:
    """By id, by ``name@version``, or by ``name``: then the live version, without one the newest.

    :raises NotFound: nothing of that name in this organization.
    """
    if isinstance(key, UUID):
        return model(session, organization_id, key)
    try:
        return model(session, organization_id, UUID(key))
    except ValueError:
        pass
    _refuse_nul(key)
    name, at, number = key.rpartition("@")
    if at and name:
        return version(session, organization_id, name, number)
    found = live(session, organization_id, name=key) or newest(session, organization_id, key)
    if found is None:
        raise NotFound(
            f"There is no model '{key}' in this organization.",
            remedy="List them to see which there are: plumbline models list.",
        )
    return found


def _refuse_nul(key: str) -> None:
    if "\x00" in key:  # PostgreSQL cannot even ask for it
        raise NotFound(
            "There is no model of that name in this organization.",
            remedy="List them to see which there are: plumbline models list.",
        )


def models(session: Session, organization_id: UUID, request: PageRequest, *, name: str | None = None, kind: str | None = None,
           active: bool | None = None) -> Page[Model]:  # fmt: skip
    statement = scoped(Model, organization_id)
    if name is not None:
        statement = statement.where(Model.name == name)
    if kind is not None:
        statement = statement.where(Model.kind == kind)
    if active is not None:
        statement = statement.where(Model.is_active.is_(sa.true() if active else sa.false()))
    return page(session, statement, Model, request)


def versions(session: Session, organization_id: UUID, name: str, *, most: int = 100) -> list[Model]:
    """Newest first."""
    return list(
        session.scalars(scoped(Model, organization_id).where(Model.name == name).order_by(Model.id.desc()).limit(most))
    )


def outlines(session: Session, organization_id: UUID) -> list[Outline]:
    """Every version in short, newest first."""
    statement = (
        sa.select(Model.id, Model.name, Model.version, Model.is_active)
        .where(Model.organization_id == organization_id)
        .order_by(Model.id.desc())
        .limit(MOST_NAMED)
    )
    return [Outline(*row) for row in session.execute(statement)]


def models_of(session: Session, organization_id: UUID, keys: Sequence[UUID]) -> dict[UUID, Model]:
    if not keys:
        return {}
    return {m.id: m for m in session.scalars(scoped(Model, organization_id).where(Model.id.in_(keys)))}


def numbers(session: Session, organization_id: UUID, name: str) -> list[str]:
    """The versions a name has had."""
    return list(
        session.scalars(sa.select(Model.version).where(Model.organization_id == organization_id, Model.name == name))
    )


def insert_model(session: WriteSession, **values: Any) -> None:
    session.execute(sa.insert(Model), values)


def insert_evaluation(session: WriteSession, **values: Any) -> None:
    session.execute(sa.insert(Evaluation), values)


def insert_metrics(session: WriteSession, rows: list[dict[str, Any]]) -> None:
    if rows:
        session.execute(sa.insert(Metric), rows)


def retire(session: WriteSession, organization_id: UUID, key: UUID) -> int:
    """Take the live version out of service; 0 where it is live no more."""
    statement = sa.update(Model).where(
        Model.organization_id == organization_id, Model.id == key, Model.is_active.is_(sa.true())
    )
    return changed(session.execute(statement.values(is_active=False), execution_options={"synchronize_session": False}))


def put_in_service(
    session: WriteSession, organization_id: UUID, key: UUID, *, deployed_at: datetime, extra: dict[str, Any]
) -> int:
    """Make a version the live one; 0 where it is live already.

    :raises sqlalchemy.exc.IntegrityError: another version of the name is live.
    """
    statement = sa.update(Model).where(
        Model.organization_id == organization_id, Model.id == key, Model.is_active.is_(sa.false())
    )
    values = {"is_active": True, "deployed_at": deployed_at, "extra": extra}
    return changed(session.execute(statement.values(**values), execution_options={"synchronize_session": False}))


def evaluations(session: Session, organization_id: UUID, model_id: UUID, *, most: int = 200) -> list[Evaluation]:
    """Newest first."""
    statement = scoped(Evaluation, organization_id).where(Evaluation.ml_model_id == model_id)
    return list(session.scalars(statement.order_by(Evaluation.id.desc()).limit(most)))


def metrics(session: Session, organization_id: UUID, evaluation_ids: Sequence[UUID]) -> dict[UUID, dict[str, float]]:
    """Evaluation → its figures by name."""
    found: dict[UUID, dict[str, float]] = {key: {} for key in evaluation_ids}
    if not evaluation_ids:
        return found
    statement = (
        sa.select(Metric.evaluation_id, Metric.metric_name, Metric.metric_value)
        .where(Metric.organization_id == organization_id, Metric.evaluation_id.in_(evaluation_ids))
        .order_by(Metric.id)
    )
    for key, name, value in session.execute(statement):
        found[key][name] = value
    return found


def history(session: Session, organization_id: UUID, keys: Sequence[UUID], *, most: int = 20) -> list[AuditEntry]:
    """What was done to versions, newest first."""
    if not keys:
        return []
    statement = scoped(AuditEntry, organization_id).where(
        AuditEntry.resource_type == "model", AuditEntry.resource_id.in_(keys)
    )
    return list(session.scalars(statement.order_by(AuditEntry.id.desc()).limit(most)))


# --- profiles and drift


def insert_profile(session: WriteSession, **values: Any) -> None:
    session.execute(sa.insert(ModelProfile), values)


def reference(session: Session, organization_id: UUID, model_id: UUID) -> ModelProfile | None:
    """What a version was trained on; ``None`` for one that was registered without."""
    statement = scoped(ModelProfile, organization_id).where(
        ModelProfile.ml_model_id == model_id, ModelProfile.kind == "reference"
    )
    return session.scalars(statement).first()


def profile(session: Session, organization_id: UUID, key: UUID) -> ModelProfile | None:
    return session.scalars(scoped(ModelProfile, organization_id).where(ModelProfile.id == key)).first()


def batch_profiles(session: Session, organization_id: UUID, batch_id: UUID) -> list[ModelProfile]:
    """The chunks of a batch, in their order."""
    statement = scoped(ModelProfile, organization_id).where(ModelProfile.batch_id == batch_id)
    return list(session.scalars(statement.order_by(ModelProfile.part)))


def drift_run(session: Session, organization_id: UUID, key: UUID) -> DriftRun:
    found = session.scalars(scoped(DriftRun, organization_id).where(DriftRun.id == key)).first()
    if found is None:
        raise NotFound(
            f"There is no drift report '{key}' in this organization.",
            remedy="List them to see which there are: plumbline models drift list.",
        )
    return found


def drift_run_with(
    session: Session, organization_id: UUID, model_id: UUID, window_key: str, reference_id: UUID
) -> DriftRun | None:
    statement = scoped(DriftRun, organization_id).where(
        DriftRun.ml_model_id == model_id, DriftRun.window_key == window_key, DriftRun.reference_id == reference_id
    )
    return session.scalars(statement, execution_options={"populate_existing": True}).first()


def drift_runs(
    session: Session, organization_id: UUID, request: PageRequest, *, model_id: UUID | None = None, batch_id: UUID | None = None,
    detected: bool | None = None,
) -> Page[DriftRun]:  # fmt: skip
    statement = scoped(DriftRun, organization_id)
    if model_id is not None:
        statement = statement.where(DriftRun.ml_model_id == model_id)
    if batch_id is not None:
        statement = statement.where(DriftRun.batch_id == batch_id)
    if detected is not None:
        statement = statement.where(DriftRun.drift_detected.is_(sa.true() if detected else sa.false()))
    return page(session, statement, DriftRun, request)


def drift_scores(session: Session, organization_id: UUID, keys: Sequence[UUID]) -> dict[UUID, dict[str, DriftRunScore]]:
    """Report → its scores by type."""
    found: dict[UUID, dict[str, DriftRunScore]] = {key: {} for key in keys}
    if keys:
        for score in session.scalars(scoped(DriftRunScore, organization_id).where(DriftRunScore.report_id.in_(keys))):
            found[score.report_id][score.drift_type] = score
    return found


def insert_drift_run(session: WriteSession, values: dict[str, Any], scores: list[dict[str, Any]]) -> None:
    session.execute(sa.insert(DriftRun), values)
    session.execute(sa.insert(DriftRunScore), scores)


def replace_drift_run(
    session: WriteSession, organization_id: UUID, key: UUID, values: dict[str, Any], scores: list[dict[str, Any]]
) -> None:
    """The same window was compared again and its rows are others by now."""
    quiet = {"synchronize_session": False}
    session.execute(
        sa.update(DriftRun).where(DriftRun.organization_id == organization_id, DriftRun.id == key).values(**values),
        execution_options=quiet,
    )
    session.execute(
        sa.delete(DriftRunScore).where(
            DriftRunScore.organization_id == organization_id, DriftRunScore.report_id == key
        ),
        execution_options=quiet,
    )
    session.execute(sa.insert(DriftRunScore), scores)
