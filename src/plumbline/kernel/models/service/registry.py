"""Versions: register, find, list, and what was measured on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa

from plumbline.kernel.context import Context
from plumbline.kernel.database import WriteSession, new_id
from plumbline.kernel.errors import Conflict, InvalidInput, NotFound, Where
from plumbline.kernel.findings import repository as listed
from plumbline.kernel.identity import repository as people
from plumbline.kernel.identity.service import four_eyes
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger.service import Act
from plumbline.kernel.ledger.tables import AuditEntry
from plumbline.kernel.models import repository
from plumbline.kernel.models.artifacts import unpack
from plumbline.kernel.models.service.scorers import ROOM, fingerprint, kinds
from plumbline.kernel.models.tables import Evaluation, Model
from plumbline.kernel.paging import Page, PageRequest

if TYPE_CHECKING:
    from plumbline.kernel.models.profiles import Profile

ACTIVATE = "models.activate"
_TRIES = 20


@dataclass(frozen=True, slots=True)
class Evaluated:
    """How a version did on one set of rows.

    :ivar dataset: train, validation, policy, test, cross_validation, production_batch or ``production:2026-10``.
    :ivar undefined: metric → why it does not exist here; such a metric has no value.
    :ivar intervals: metric → its 95 % interval.
    :ivar confusion_matrix: ``{labels, counts, threshold}``.
    :ivar feature_importance: feature → share.
    :ivar cross_validation_scores: metric → folds and how they were made.
    :ivar extra: what pages draw: ``reliability``, ``curve``, ``threshold``, ``histogram``, …
    """

    dataset: str
    sample_count: int
    metrics: dict[str, float] = field(default_factory=dict)
    undefined: dict[str, str] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    confusion_matrix: dict[str, Any] | None = None
    feature_importance: dict[str, float] | None = None
    cross_validation_scores: dict[str, Any] | None = None
    training_data_size: int | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Measured:
    """A stored evaluation with its figures by name."""

    evaluation: Evaluation
    metrics: dict[str, float]


def newest_of_each(evaluations: Sequence[Measured]) -> list[Measured]:
    """The newest evaluation of each dataset, of evaluations newest first."""
    seen: dict[str, Measured] = {}
    for one in evaluations:
        seen.setdefault(one.evaluation.dataset, one)
    return list(seen.values())


@dataclass(frozen=True, slots=True)
class Line:
    """A name in the inventory: its live version, its newest one, and how many there are."""

    name: str
    live: Model | None
    newest: Model
    versions: int


@dataclass(frozen=True, slots=True)
class Detail:
    """One version and what stands around it."""

    model: Model
    live: Model | None
    versions: list[Model]
    evaluations: list[Measured]
    history: list[AuditEntry]
    people: dict[UUID, str]
    four_eyes: bool
    damaged: bool


def register(installation: Installation, context: Context, *, name: str, kind: str, framework: str, model_type: str, artifact: bytes,
             features: list[dict[str, Any]], target_classes: Any, metrics: dict[str, float], trained_at: datetime,
             evaluations: Sequence[Evaluated], extra: dict[str, Any], version: str | None = None, right: str,
             reference: Profile | None = None, noted: dict[str, Any] | None = None) -> Model:  # fmt: skip
    """Keep a trained model as a new version, not live.

    The file is stored first: it is addressed by its content, so one that no row refers to does no harm.

    :param features: ``[{name, dtype, …}]`` in the order of the model's inputs.
    :param version: default: the next whole number of this name.
    :param right: what the caller must hold; the room that trains says which.
    :param noted: what else the audit entry says.
    :param reference: the training rows as the version sees them; without it the drift of its inputs is unknown.
    :raises InvalidInput: an empty name, a kind no room knows, a figure that is not finite, a file that may hold code.
    :raises Conflict: the version is there already.
    """
    sha256 = ""
    if context.may(right):  # without it the act below refuses, and nothing is stored
        unpack(artifact)
        sha256 = installation.artifacts.put(artifact)
    with Act(installation.database, context, "models.register", "model", right=right) as act:
        _check(name, kind, version, metrics, evaluations)
        row: dict[str, Any] = {
            "id": new_id(context.now), "organization_id": context.organization_id, "name": name, "kind": kind, "model_type": model_type,
            "framework": framework, "artifact_path": installation.artifacts.path(sha256), "features": features,
            "target_classes": target_classes, "metrics": metrics, "trained_at": trained_at, "deployed_at": None, "is_active": False,
            "created_at": context.now,
            "extra": {
                **extra, "sha256": sha256, "size": len(artifact), "trained_by": str(context.user_id) if context.user_id else None,
                "artifact_state": "live",
            },
        }  # fmt: skip
        row["version"] = _insert(act.session, context, row, version)
        for one in evaluations:
            insert_evaluation(act.session, context, row["id"], one)
        if reference is not None:
            # NumPy and Arrow are loaded only where something was counted
            from plumbline.kernel.models.service.profiling import store_reference

            store_reference(act.session, context, row["id"], reference)
            act.done(reference_sha256=reference.sha256)
        act.done(row["id"], new={"name": name, "version": row["version"], "sha256": sha256}, **(noted or {}))
        return repository.model(act.session, context.organization_id, row["id"])


def _check(
    name: str, kind: str, version: str | None, metrics: dict[str, float], evaluations: Sequence[Evaluated]
) -> None:
    if not name.strip() or "@" in name or "/" in name:
        raise InvalidInput(
            f"'{name}' cannot be the name of a model.",
            where=Where(field="name"),
            remedy="Use a name without '@' and '/'.",
        )
    if version is not None and (not version.strip() or "@" in version or "/" in version):
        raise InvalidInput(
            f"'{version}' cannot be a version.", where=Where(field="version"), remedy="Use a text without '@' and '/'."
        )
    if kind not in kinds():
        raise InvalidInput(f"No room here knows models of the kind '{kind}'.", where=Where(field="kind"),
                           remedy=f"Use one of {', '.join(sorted(kinds())) or 'none: no room is installed'}.")  # fmt: skip
    for dataset, figures in (("metrics", metrics), *((e.dataset, e.metrics) for e in evaluations)):
        for figure, value in figures.items():
            if not math.isfinite(value):
                raise InvalidInput(f"The figure '{figure}' is {value}.", where=Where(field=f"{dataset}.{figure}"),
                                   remedy="Leave it out and say in 'undefined' why it does not exist.")  # fmt: skip


def _insert(session: WriteSession, context: Context, row: dict[str, Any], version: str | None) -> str:
    """Write the row under its version; two that count at once take turns."""
    for _ in range(_TRIES):
        number = version
        if number is None:
            taken = repository.numbers(session, context.organization_id, row["name"])
            number = str(max((int(v) for v in taken if v.isdecimal()), default=0) + 1)
        try:
            with session.begin_nested():
                repository.insert_model(session, **row, version=number)
        except sa.exc.IntegrityError as error:
            if version is not None:
                raise Conflict(f"There is a version '{version}' of '{row['name']}' already.", where=Where(field="version"),
                               remedy="Leave the version out, or choose another one.") from None  # fmt: skip
            if "version" not in str(error.orig):
                raise
        else:
            return number
    raise Conflict(f"Many versions of '{row['name']}' are being registered at once.", remedy="Try again.")


def insert_evaluation(session: WriteSession, context: Context, model_id: UUID, one: Evaluated) -> None:
    """A further evaluation of a version, in the transaction of the act that made it."""
    key = new_id(context.now)
    repository.insert_evaluation(
        session, id=key, organization_id=context.organization_id, ml_model_id=model_id, evaluation_date=context.now.date(),
        dataset=one.dataset, training_data_size=one.training_data_size, sample_count=one.sample_count,
        confusion_matrix=one.confusion_matrix, feature_importance=one.feature_importance,
        cross_validation_scores=one.cross_validation_scores, created_at=context.now,
        extra={
            **one.extra, "as_of": context.now.isoformat(), "undefined": one.undefined,
            "intervals": {name: list(pair) for name, pair in one.intervals.items()},
        },
    )  # fmt: skip
    repository.insert_metrics(
        session,
        [
            {"id": new_id(context.now), "organization_id": context.organization_id, "evaluation_id": key, "metric_name": name,
             "metric_value": float(value), "recorded_at": context.now}
            for name, value in one.metrics.items()
        ],
    )  # fmt: skip


def active(installation: Installation, context: Context, name: str | None = None, kind: str | None = None) -> Model:
    """The version that decides now: of a name, or of a kind the one activated last.

    :raises NotFound: none is live.
    """
    with installation.database.read(context.organization_id) as session:
        found = repository.live(session, context.organization_id, name=name, kind=kind)
    if found is None:
        what = f"model '{name}'" if name else f"model of the kind '{kind}'" if kind else "model"
        raise NotFound(f"No version of a {what} is live in this organization." if not name else f"No version of '{name}' is live.",
                       remedy="Train one if there is none, then activate it: plumbline models activate NAME@VERSION")  # fmt: skip
    return found


def get(installation: Installation, context: Context, key: str | UUID) -> Model:
    """By id, ``name@version``, or ``name`` (the live version, else the newest)."""
    with installation.database.read(context.organization_id) as session:
        return repository.find(session, context.organization_id, key)


def list_models(installation: Installation, context: Context, request: PageRequest, *, name: str | None = None, kind: str | None = None,
                active: bool | None = None) -> Page[Model]:  # fmt: skip
    """Versions, newest first."""
    context.require("models.read")
    with installation.database.read(context.organization_id) as session:
        return repository.models(session, context.organization_id, request, name=name, kind=kind, active=active)


def inventory(installation: Installation, context: Context) -> list[Line]:
    """One line a name, the one with the newest version first."""
    context.require("models.read")
    with installation.database.read(context.organization_id) as session:
        grouped: dict[str, list[repository.Outline]] = {}
        for outline in repository.outlines(session, context.organization_id):
            grouped.setdefault(outline.name, []).append(outline)
        wanted = {o.id for group in grouped.values() for o in group if o.is_active or o is group[0]}
        whole = repository.models_of(session, context.organization_id, list(wanted))
        lives = {name: next((whole[o.id] for o in group if o.is_active), None) for name, group in grouped.items()}
        return [Line(name, lives[name], whole[group[0].id], len(group)) for name, group in grouped.items()]


def evaluations_of(installation: Installation, context: Context, key: str | UUID) -> list[Measured]:
    """What was measured on a version, newest first."""
    context.require("models.read")
    with installation.database.read(context.organization_id) as session:
        model = repository.find(session, context.organization_id, key)
        return _measured(session, context.organization_id, model.id)


def _measured(session: Any, organization_id: UUID, model_id: UUID) -> list[Measured]:
    rows = repository.evaluations(session, organization_id, model_id)
    figures = repository.metrics(session, organization_id, [e.id for e in rows])
    return [Measured(e, figures[e.id]) for e in rows]


def detail(installation: Installation, context: Context, key: str | UUID) -> Detail:
    """One version with its siblings, figures and history."""
    context.require("models.read")
    org = context.organization_id
    with installation.database.read(org) as session:
        model = repository.find(session, org, key)
        siblings = repository.versions(session, org, model.name)
        history = repository.history(session, org, [model.id])
        mentioned = {e.user_id for e in history if e.user_id}
        if model.extra.get("trained_by"):
            mentioned.add(UUID(model.extra["trained_by"]))
        finding = listed.by_fingerprint(session, org, ROOM, fingerprint(model.id))
        return Detail(
            model=model, live=repository.live(session, org, name=model.name), versions=siblings,
            evaluations=_measured(session, org, model.id), history=history, people=people.names(session, org, mentioned),
            four_eyes=four_eyes(session, org, ACTIVATE), damaged=finding is not None and finding.state in listed.OPEN,
        )  # fmt: skip
