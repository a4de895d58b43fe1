"""One application decided, looked at, explained and decided again."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import numpy as np
import polars as pl

from plumbline.credit import repository
from plumbline.credit.decision import TYPE, ModelUsed, ScoreAnswer, answer, explanation, inputs, metadata
from plumbline.credit.intake.schema import Schema
from plumbline.credit.intake.validation import validate_application
from plumbline.credit.modelling.scorer import Decision, Scorer
from plumbline.credit.service.reviews import Concern, open_reviews
from plumbline.credit.tables import Review
from plumbline.kernel import canonical
from plumbline.kernel.context import Context
from plumbline.kernel.database import accept_client_id, new_id
from plumbline.kernel.errors import Conflict, InvalidInput, NotFound, Where
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger import entry
from plumbline.kernel.ledger.service import Act
from plumbline.kernel.models import predictions
from plumbline.kernel.models import service as models
from plumbline.kernel.models.tables import Model, Prediction
from plumbline.kernel.paging import Page, PageRequest

OPTIONS = ("id", "model", "explain")


@dataclass(frozen=True, slots=True)
class DecisionView:
    """A recorded decision with what belongs to it."""

    prediction: Prediction
    model: Model
    review: Review | None


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """The stored model run again on the stored input. ``differences`` names what came out otherwise; none: equal bit for bit."""

    prediction_id: UUID
    model: dict[str, str]
    equal: bool
    differences: list[str]
    probability: float
    stored_probability: float
    processing_time_ms: float


def scorer_for(installation: Installation, context: Context, name: str | None) -> tuple[Model, Scorer, ModelUsed]:
    """The named version, or the active credit model."""
    model = models.get(installation, context, name) if name else models.active(installation, context, kind=TYPE)
    if model.kind != TYPE:
        raise InvalidInput(
            f"'{model.name}' is no credit model.", where=Where(field="model"), remedy="See: plumbline models list"
        )
    scorer: Scorer = models.load(installation, model)
    return model, scorer, ModelUsed(model.id, model.name, model.version, model.extra["sha256"])


def score(installation: Installation, context: Context, payload: dict[str, Any]) -> ScoreAnswer:
    """Decide one application and record it: prediction, review and finding where one is due, one audit entry.

    :param payload: ``{"application": {…}, "bureau": […], …}`` with the optional keys ``id`` (a UUIDv7: the same request
        again gives the same answer) and ``model`` (name, ``name@version`` or id; default: the active one).
    :raises InvalidInput: every fault of the application, each with its field.
    """
    with Act(installation.database, context, "credit.score", "prediction", right="credit.score") as act:
        if not isinstance(payload, dict):
            raise InvalidInput(
                "An application is a JSON object.", remedy='Send {"application": {…}, "bureau": […], …}.'
            )
        wanted = payload.get("id")
        key = new_id(context.now) if wanted is None else _own_id(wanted, context)
        content = {name: part for name, part in payload.items() if name not in OPTIONS}
        if wanted is not None and (there := _again(installation, context, key, content)):
            act.done(key, repeated=True)
            return there
        act.resource_id = key
        model, scorer, used = scorer_for(installation, context, _model_name(payload))
        began = time.perf_counter()
        tables = validate_application(content, scorer.schema)
        canonical.check(content)  # else the database refuses it, and blames a statement
        matrix = scorer.transformer.transform(tables)
        row = np.ascontiguousarray(matrix.values[0])
        decided = scorer.one(row, matrix.flags.get(0, ()))
        milliseconds = round((time.perf_counter() - began) * 1000, 3)
        subject = str(matrix.ids[0])
        stored: dict[str, Any] = {
            "id": key, "organization_id": context.organization_id, "prediction_type": TYPE, "subject_id": subject, "content": content,
            "prediction_result": decided.level, "probability": decided.probability, "features": inputs(scorer.features, row),
            "explanation": explanation(scorer, decided), "ml_model_id": model.id, "user_id": context.user_id, "batch_id": None,
            "batch_row": None, "source_ip": context.ip, "processing_time_ms": milliseconds, "metadata": metadata(decided, used),
            "record_salt": os.urandom(32), "created_at": context.now,
        }  # fmt: skip
        if not predictions.insert_many(act.session, [stored], tuple(stored)):
            # the same request came twice at once, or the id is somebody else's
            if there := _again(installation, context, key, content):
                act.done(key, repeated=True)
                return there
            raise Conflict(
                f"The id {key} is taken.", where=Where(field="id"), remedy="Make a new id for a new request."
            )
        open_reviews(
            act.session, context, [Concern(key, subject, decided.level, decided.decision, decided.probability)]
        )
        record = entry.record_hash(
            stored["record_salt"], predictions.record_of(stored | {"extra": stored["metadata"]}, used.sha256)
        )
        act.done(key, prediction_id=str(key), model_sha256=used.sha256, record_sha256=record, decision=decided.decision,
                 risk_level=decided.level)  # fmt: skip
        return answer(key, subject, decided, used, milliseconds)


def _model_name(payload: dict[str, Any]) -> str | None:
    name = payload.get("model")
    if name is not None and not isinstance(name, str):
        raise InvalidInput(
            "The name of a model is a text.", where=Where(field="model"), remedy="Send its name, name@version or id."
        )
    return name


def _own_id(wanted: object, context: Context) -> UUID:
    try:
        key = UUID(str(wanted))
    except ValueError:
        raise InvalidInput(
            f"'{wanted}' is no UUID.", where=Where(field="id"), remedy="Send a UUIDv7 or leave it out."
        ) from None
    return accept_client_id(key, context.now)


def _again(installation: Installation, context: Context, key: UUID, content: dict[str, Any]) -> ScoreAnswer | None:
    """The stored answer to a request that was sent before."""
    with installation.database.read(context.organization_id) as session:
        try:
            there = predictions.get(session, context.organization_id, key)
        except NotFound:
            return None
    if there.prediction_type != TYPE or canonical.dumps(there.content) != canonical.dumps(content):
        raise Conflict(
            f"The id {key} belongs to another application.",
            where=Where(field="id"),
            remedy="Make a new id for a new request.",
        )
    model = models.get(installation, context, str(there.ml_model_id))
    extra = there.extra
    return ScoreAnswer(
        id=key, subject_id=there.subject_id, probability=there.probability, risk_level=there.prediction_result, decision=extra["decision"],
        threshold=extra["threshold"], points=extra["points"], reasons=there.explanation["reasons"], flags=extra["flags"],
        model={"name": model.name, "version": model.version, "sha256": model.extra["sha256"]},
        processing_time_ms=there.processing_time_ms or 0.0,
    )  # fmt: skip


def list_decisions(installation: Installation, context: Context, request: PageRequest, *, subject_id: str | None = None,
                   level: str | None = None, batch_id: UUID | None = None, since: datetime | None = None) -> Page[Prediction]:  # fmt: skip
    context.require("credit.read")
    with installation.database.read(context.organization_id) as session:
        return predictions.page(session, context.organization_id, request, prediction_type=TYPE, subject_id=subject_id, result=level,
                                batch_id=batch_id, since=since)  # fmt: skip


def decision_of(installation: Installation, context: Context, key: UUID) -> DecisionView:
    context.require("credit.read")
    with installation.database.read(context.organization_id) as session:
        prediction = predictions.get(session, context.organization_id, key)
        if prediction.prediction_type != TYPE:
            raise NotFound(f"There is no credit decision '{key}'.", remedy="See: plumbline credit decisions")
        review = repository.review_of(session, context.organization_id, key)
    return DecisionView(prediction, models.get(installation, context, str(prediction.ml_model_id)), review)


def explain(installation: Installation, context: Context, key: UUID) -> dict[str, Any]:
    """Base, contribution of every feature and reason group, and the reasons in full; made anew for a row of a large batch."""
    view = decision_of(installation, context, key)
    stored = view.prediction.explanation or {}
    if "contributions" in stored:
        return dict(stored)
    scorer: Scorer = models.load(installation, view.model)
    return explanation(scorer, _decide_again(installation, context, view, scorer))


def replay(installation: Installation, context: Context, key: UUID) -> ReplayResult:
    """Run the stored model on the stored input and compare every bit. Never another model: a damaged file is an error."""
    with Act(
        installation.database, context, "credit.replay", "prediction", resource_id=key, right="credit.read"
    ) as act:
        view = decision_of(installation, context, key)
        scorer: Scorer = models.load(installation, view.model)
        began = time.perf_counter()
        again = _decide_again(installation, context, view, scorer)
        milliseconds = round((time.perf_counter() - began) * 1000, 3)
        differences = differing(view.prediction, again, scorer)
        act.done(equal=not differences, differences=differences, model_sha256=view.model.extra["sha256"])
    return ReplayResult(
        key, {"name": view.model.name, "version": view.model.version, "sha256": view.model.extra["sha256"]}, not differences, differences,
        again.probability, view.prediction.probability, milliseconds,
    )  # fmt: skip


def _decide_again(installation: Installation, context: Context, view: DecisionView, scorer: Scorer) -> Decision:
    return scorer.explain(stored_input(installation, context, view, scorer.schema))[0]


def stored_input(
    installation: Installation, context: Context, view: DecisionView, schema: Schema
) -> dict[str, pl.DataFrame]:
    """What a decision was made from, as tables: stored with it, or read again from the file it came in.

    :raises NotFound: it was erased, or the file is gone.
    """
    prediction = view.prediction
    if prediction.content is None:
        raise NotFound("The input of this decision is not stored any more.", remedy="See the ledger for its erasure.")
    if prediction.batch_id is not None:
        from plumbline.credit.service.batches import tables_of_row

        return tables_of_row(installation, context, prediction, schema)
    return validate_application(prediction.content, schema)


def differing(stored: Prediction, again: Decision, scorer: Scorer) -> list[str]:
    """What came out otherwise when a decision was made again, in words; nothing: equal bit for bit."""
    pairs = {
        "probability": (stored.probability, again.probability), "risk level": (stored.prediction_result, again.level),
        "decision": (stored.extra["decision"], again.decision), "raw score": (stored.extra["raw"], again.raw),
        "points": (stored.extra["points"], again.points), "threshold": (stored.extra["threshold"], again.threshold),
        "flags": (stored.extra["flags"], list(again.flags)),
        "reasons": ([(r["code"], r["contribution"]) for r in stored.explanation["reasons"]], [(r.code, r.contribution) for r in again.reasons]),
    }  # fmt: skip
    if stored.explanation.get("groups"):
        pairs["contributions"] = (stored.explanation["groups"], dict(zip(scorer.reason_codes, again.groups)))
    return [f"{name}: {was!r} stored, {now!r} now" for name, (was, now) in pairs.items() if was != now]
