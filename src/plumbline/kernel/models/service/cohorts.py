"""Cohorts: which are mature, and how their version did. A cohort is measured once, and again when its labels have changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

import numpy as np

from plumbline.kernel import clock, room
from plumbline.kernel.context import Context
from plumbline.kernel.database import WriteSession, new_id
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger.service import Act
from plumbline.kernel.models import labels, repository
from plumbline.kernel.models.cohorts import PREFIX, Standing, Tally, bounds, key_of, seen_of, standing, youngest
from plumbline.kernel.models.outcomes import OutcomeKind
from plumbline.kernel.models.performance import UNKNOWN, Performance, performance
from plumbline.kernel.models.service.outcomes import kind_of
from plumbline.kernel.models.service.registry import Measured
from plumbline.kernel.models.tables import Evaluation, Model

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from plumbline.kernel.jobs.queue import Claim

SHOWN = (
    "roc_auc",
    "roc_auc_accepted",
    "calibration_slope",
    "calibration_slope_accepted",
    "cost_per_application",
    "cost_per_case",
)
"""Figures that an entry tells of a cohort, before and after."""
Change = Literal["new", "changed"]


@dataclass(frozen=True, slots=True)
class Cohort:
    """One version's decisions of one month or week (``key``), how they stand, and what was measured, if it is mature."""

    model: Model
    key: str
    tally: Tally
    standing: Standing
    measured: Measured | None = None

    @property
    def dataset(self) -> str:
        return f"{PREFIX}{self.key}"


@dataclass(slots=True)
class Evaluated:
    """What a run of the evaluation did: mature cohorts that were measured now, and how many were as they had been."""

    written: list[tuple[UUID, str, Change]] = field(default_factory=list)
    unchanged: int = 0
    waiting: int = 0


def cohorts(
    installation: Installation, context: Context, prediction_type: str, *, right: str, model_id: UUID | None = None
) -> list[Cohort]:
    """Every cohort of a type of decisions (or of one version), the newest first."""
    context.require(right)
    with installation.database.read(context.organization_id) as session:
        return _cohorts(session, context, kind_of(prediction_type), model_id)


def _cohorts(session: Session, context: Context, kind: OutcomeKind, model_id: UUID | None) -> list[Cohort]:
    org = context.organization_id
    found = _tallies(session, org, kind, model_id)
    models = repository.models_of(session, org, list({key for key, _ in found}))
    rows = labels.cohort_evaluations(session, org, models, PREFIX)
    figures = repository.metrics(session, org, [e.id for e in rows.values()])
    made = []
    for (version, key), tally in found.items():
        kept = rows.get((version, f"{PREFIX}{key}"))
        measured = Measured(kept, figures[kept.id]) if kept is not None else None
        stands = standing(tally, kind, context.now)
        made.append(
            Cohort(models[version], key, tally.matured(kind) if stands.state == "mature" else tally, stands, measured)
        )
    return sorted(made, key=lambda c: (c.key, c.model.id), reverse=True)


def _tallies(session: Session, org: UUID, kind: OutcomeKind, model_id: UUID | None) -> dict[tuple[UUID, str], Tally]:
    """Counted in the database as the versions decided; then what people decided in the end is put right."""
    found: dict[tuple[UUID, str], Tally] = {}
    for g in labels.by_day(session, org, kind.prediction_type, model_id):
        tally = found.setdefault((g.model_id, key_of(g.day, kind.period)), Tally())
        tally.add(kind, g.decision, g.outcome, g.source, g.decisions)
        tally.youngest = youngest((tally.youngest, g.youngest))
    finals = dict(kind.finals(session, org)) if kind.finals is not None else {}
    for key, model, day, decision, outcome, source in labels.of_ids(session, org, kind.prediction_type, list(finals)):
        changed = found.get((model, key_of(day, kind.period)))
        if changed is not None and finals[key] != decision:
            changed.add(kind, decision, outcome, source, -1)
            changed.add(kind, finals[key], outcome, source)
    return found


def evaluate(
    installation: Installation, context: Context, prediction_type: str, *, right: str, model_id: UUID | None = None
) -> Evaluated:
    """Measure every mature cohort whose labels are not those of its last evaluation.

    The evaluation of a cohort is one row, whatever is run how often; ``metadata.as_of`` says when its labels were read. A cohort
    that is no longer mature (outcomes were taken back) keeps its last one.
    """
    context.require(right)
    org, kind = context.organization_id, kind_of(prediction_type)
    with installation.database.read(org) as session:
        found = _cohorts(session, context, kind, model_id)
        finals = dict(kind.finals(session, org)) if kind.finals is not None else {}
        result = Evaluated(waiting=sum(c.standing.state != "mature" for c in found))
        fresh = []
        for cohort in found:
            if cohort.standing.state != "mature":
                continue
            columns = _columns(session, org, kind, cohort, finals)
            if cohort.measured is not None and cohort.measured.evaluation.extra.get("labels_sha256") == columns.sha256:
                result.unchanged += 1
            else:
                fresh.append((cohort, columns))
    for cohort, columns in reversed(fresh):  # computed before the transaction that keeps it
        made = performance(columns.probability, columns.labels, columns.seen, kind.rates(cohort.model), selective=cohort.tally.selective,
                           drawn=columns.drawn, cost_name=kind.cost_name)  # fmt: skip
        with Act(
            installation.database, context, "models.evaluate", "model", resource_id=cohort.model.id, right=right
        ) as act:
            change = _keep(act, kind, cohort, columns, made)
        if change is None:
            result.unchanged += 1
        else:
            result.written.append((cohort.model.id, cohort.key, change))
    return result


@dataclass(frozen=True, slots=True)
class _Columns:
    probability: np.ndarray[Any, np.dtype[np.float64]]
    labels: np.ndarray[Any, np.dtype[np.int8]]
    seen: np.ndarray[Any, np.dtype[np.bool_]]
    drawn: np.ndarray[Any, np.dtype[np.float64]]
    sha256: str


def _columns(session: Session, org: UUID, kind: OutcomeKind, cohort: Cohort, finals: Mapping[UUID, str]) -> _Columns:
    """A cohort's decisions as arrays, and the hash of what its figures depend on."""
    rows = list(labels.of_cohort(session, org, kind.prediction_type, cohort.model.id, *bounds(cohort.key)))
    truth = {kind.words[0]: 0, kind.words[1]: 1}
    seen = np.array([seen_of(kind, finals.get(r.id, r.decision), r.outcome, r.source) for r in rows], dtype=bool)
    known = np.array([truth.get(r.outcome or "", UNKNOWN) for r in rows], dtype=np.int8)
    if kind.silence_is_negative:
        known[(known == UNKNOWN) & seen] = 0
    probability = np.array([r.probability for r in rows], dtype=np.float64)
    digest = hashlib.sha256(b"".join(r.id.bytes for r in rows))
    drawn = np.array([np.nan if r.drawn is None else float(r.drawn) for r in rows], dtype=np.float64)
    for part in (probability.astype("<f8"), known, seen, drawn.astype("<f8")):
        digest.update(part.tobytes())
    return _Columns(probability, known, seen, drawn, digest.hexdigest())


def _keep(act: Act, kind: OutcomeKind, cohort: Cohort, columns: _Columns, made: Performance) -> Change | None:
    """Write the evaluation of a cohort, or put it in the place of the one that is there; ``None`` where another run has written
    one since the labels were read: it may know more."""
    context, session, measured = act.context, act.session, made.measured
    labels.lock_version(session, context.organization_id, cohort.model.id)
    there = labels.cohort_evaluations(session, context.organization_id, [cohort.model.id], cohort.dataset).get(
        (cohort.model.id, cohort.dataset)
    )
    known = None if cohort.measured is None else cohort.measured.evaluation.extra["labels_sha256"]
    if (there.extra["labels_sha256"] if there is not None else None) != known:
        act.done(cohort=cohort.key, superseded=True)
        return None
    before = repository.metrics(session, context.organization_id, [there.id])[there.id] if there is not None else {}
    counts = measured.counts
    values: dict[str, Any] = {
        "evaluation_date": context.now.date(), "sample_count": made.labelled,
        "confusion_matrix": None if cohort.tally.selective else {
            "labels": list(kind.words), "counts": [[counts.tn, counts.fp], [counts.fn, counts.tp]], "threshold": measured.threshold,
        },
        "extra": {
            "as_of": clock.text(context.now), "verdict": made.verdict, "reason": made.reason, "labels_sha256": columns.sha256,
            "undefined": dict(measured.undefined), "intervals": {n: list(pair) for n, pair in measured.intervals.items()},
            "cohort": _told(cohort, made), **({"histogram": made.histogram} if made.histogram else {}),
        },
    }  # fmt: skip
    key = there.id if there is not None else new_id(context.now)
    figures = [
        {"id": new_id(context.now), "organization_id": context.organization_id, "evaluation_id": key, "metric_name": name,
         "metric_value": float(value), "recorded_at": context.now}
        for name, value in measured.values.items()
    ]  # fmt: skip
    _write(session, context, cohort, there, key, values, figures)
    act.done(
        old={n: before[n] for n in SHOWN if n in before} or None, new={n: measured.values[n] for n in SHOWN if n in measured.values},
        cohort=cohort.key, labelled=made.labelled, events=made.events, verdict=made.verdict, labels_sha256=columns.sha256,
    )  # fmt: skip
    return "changed" if there is not None else "new"


def _write(session: WriteSession, context: Context, cohort: Cohort, there: Evaluation | None, key: UUID, values: dict[str, Any],
           figures: list[dict[str, Any]]) -> None:  # fmt: skip
    if there is not None:
        labels.replace_evaluation(session, context.organization_id, key, values, figures)
        return
    repository.insert_evaluation(
        session, id=key, organization_id=context.organization_id, ml_model_id=cohort.model.id, dataset=cohort.dataset,
        training_data_size=None, feature_importance=None, cross_validation_scores=None, created_at=context.now, **values,
    )  # fmt: skip
    repository.insert_metrics(session, figures)


def _told(cohort: Cohort, made: Performance) -> dict[str, Any]:
    tally = cohort.tally
    return {
        "rows": tally.rows, "awaited": tally.awaited, "labelled": tally.labelled, "events": made.events, "declined": tally.declined,
        "undecided": tally.undecided, "aside": tally.aside, "sources": {k: n for k, n in sorted(tally.sources.items()) if n},
        "selective": tally.selective, **({"audit_sample": made.audit} if made.audit else {}), "youngest": clock.text(tally.youngest) if tally.youngest else None,
    }  # fmt: skip


def kinds() -> Iterable[str]:
    """The prediction types whose rooms say what their outcomes are."""
    return sorted(room.gathered(lambda r: dict(r.outcomes) if r.outcomes else None))


def perform(installation: Installation, claim: Claim) -> None:
    """The nightly job: all types of decisions, each cohort in a transaction of its own."""
    for prediction_type in kinds():
        evaluate(installation, claim.context(installation.clock()), prediction_type, right="models.read")


def newest(found: Iterable[Cohort]) -> datetime | None:
    """When the last of these cohorts' labels were read."""
    moments = [c.measured.evaluation.extra["as_of"] for c in found if c.measured is not None]
    return clock.parse(max(moments)) if moments else None
