"""A credit decision told in full, for its dossier."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

import numpy as np
import polars as pl

from plumbline.console import formats
from plumbline.credit import service, why, words
from plumbline.credit.decision import explanation, inputs
from plumbline.credit.features.matrix import FeatureInfo
from plumbline.credit.intake.schema import Column, Schema
from plumbline.credit.modelling.scorer import Scorer
from plumbline.credit.service import DecisionView, notices
from plumbline.credit.service.decisions import differing, stored_input
from plumbline.kernel.context import Context
from plumbline.kernel.dossier.telling import Reason, Replay, Table, Told
from plumbline.kernel.errors import PlumblineError
from plumbline.kernel.identity import repository as people
from plumbline.kernel.installation import Installation
from plumbline.kernel.models import predictions
from plumbline.kernel.models import service as models
from plumbline.kernel.models.tables import Batch

REASONS = ("The reasons are the groups of inputs that moved this model’s score most towards a default. They say why the model decided so, "
           "not what is true of the person.")  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Again:
    """The stored model run again: what it explains and sees, and the input it was given; empty with the ``fault`` where it cannot be."""

    replay: Replay
    features: dict[str, FeatureInfo] = field(default_factory=dict)
    schema: Schema | None = None
    explained: dict[str, Any] | None = None
    inputs: dict[str, Any] | None = None
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


def tell(installation: Installation, context: Context, prediction_id: UUID) -> Told:
    """The hook of the room (:attr:`plumbline.kernel.room.Room.dossiers`)."""
    view = service.decision_of(installation, context, prediction_id)
    p, review = view.prediction, view.review
    notice = notices.view_of(installation, context, view)
    batch = service.batch_of(installation, context, p.batch_id).batch if p.batch_id else None
    again = _again(installation, context, view)
    explained = p.explanation if p.explanation and "contributions" in p.explanation else again.explained
    given = p.features if p.features is not None else again.inputs
    found = None
    if explained is not None:
        found = why.why(
            explained, view.model.extra, raw=p.extra["raw"], points=p.extra["points"], threshold=p.extra["threshold"]
        )
    kind, outcome = words.DECISIONS[p.extra["decision"]]
    if review is not None and review.final_decision is not None:
        kind, final = words.DECISIONS[review.final_decision]
        outcome = f"{final} after a review"
    reasons = (
        ()
        if explained is None or found is None
        else tuple(_reason(r, again.features, found) for r in explained["reasons"])
    )
    with installation.database.read(context.organization_id) as session:
        keys = {key for key in (p.user_id, review.owner_id if review else None) if key}
        names = people.names(session, context.organization_id, keys)
    erased = p.content is None
    return Told(
        title="Credit decision", subject="An application whose number was erased" if erased else f"Application {p.subject_id}", outcome=outcome,
        kind=kind, summary=_summary(view), made_at=p.created_at, facts=(*_facts(view, batch, names), *_sent(notice)),
        because=_because(reasons, explained is not None, erased), reasons=reasons, used=_used(found, explained, given, again.features),
        given=_given(again.tables, again.schema), input=again.tables or predictions.plain(p.content),
        output={
            "decision": p.extra["decision"], "risk_level": p.prediction_result, "probability": p.probability, "points": p.extra["points"],
            "threshold": p.extra["threshold"], "flags": p.extra["flags"], "explanation": predictions.plain(explained),
            "inputs": predictions.plain(given), "review": None if review is None else {
                "state": review.state, "final_decision": review.final_decision, "note": review.note, "cause": review.cause,
                "owner_id": str(review.owner_id) if review.owner_id else None,
                "requested_at": review.requested_at.isoformat() if review.requested_at else None, "request": review.request,
            },
            "notice": None if notice.notice is None else {
                "state": notice.state, "jurisdiction": notice.jurisdiction, "due_at": notice.notice.due_at.isoformat(),
                "issued_at": notice.notice.issued_at.isoformat() if notice.notice.issued_at else None, "channel": notice.notice.channel,
                "cause": notice.notice.cause, "document_sha256": notice.notice.document_sha256, "document": predictions.plain(notice.notice.document),
            },
        },
        replay=again.replay, limits=tuple(_limits(view, batch, again)), wording=lambda a, details, new: words.act(a, dict(details), dict(new)),
        about=tuple(key for key in (review.id if review else None, notice.notice.id if notice.notice else None, p.batch_id) if key),
    )  # fmt: skip


def _again(installation: Installation, context: Context, view: DecisionView) -> _Again:
    """Run it again on the input it was made from. What hinders that must not hide what was recorded."""
    p = view.prediction
    if p.content is None:
        return _Again(Replay(None, "It cannot be run again: its input was erased."))
    features: dict[str, FeatureInfo] = {}
    schema = None
    try:
        scorer: Scorer = models.load(installation, view.model)
        features, schema = {f.name: f for f in scorer.features}, scorer.schema
        tables = stored_input(installation, context, view, schema)
        began = time.perf_counter()
        matrix = scorer.transformer.transform(tables)
        decided = scorer.explain(matrix)[0]
        milliseconds = round((time.perf_counter() - began) * 1000, 3)
        row = np.ascontiguousarray(matrix.values[0], dtype="<f8")
    except PlumblineError as error:
        tables_given = _plain_tables(p.content) if p.batch_id is None else {}
        return _Again(
            Replay(None, f"It cannot be run again now: {words.told(error)}"), features, schema, tables=tables_given
        )
    differences = differing(p, decided, scorer)
    sent = p.content.get("inputs_sha256")
    if sent is not None and hashlib.sha256(row.tobytes()).hexdigest() != sent:
        differences.insert(0, "input: the row in the stored file is not the one that was decided about")
    seen = inputs(scorer.features, row)
    if p.features is not None and predictions.plain(p.features) != seen:
        differences.insert(0, "inputs of the model: not those that were stored")
    if differences:
        sentence = "The stored model was run again on the stored input and gave another result."
    else:
        sentence = "The stored model was run again on the stored input and gave the same result, equal bit for bit."
    given = _plain_tables(p.content) if p.batch_id is None else _rows_of(tables, schema)
    return _Again(
        Replay(not differences, sentence, tuple(differences), milliseconds),
        features,
        schema,
        explanation(scorer, decided),
        seen,
        given,
    )


# --- in words


def _summary(view: DecisionView) -> str:
    p, review = view.prediction, view.review
    verb = {"approve": "was approved", "review": "was put before a person", "decline": "was declined"}[
        p.extra["decision"]
    ]
    scale = why.scale_of(view.model.extra)
    text = (f"The application {verb} on {formats.when(p.created_at)}. The model puts the probability of a default at "
            f"{formats.percent(p.probability)}, which is {formats.number(p.extra['points'])} points; the cut-off is "
            f"{formats.percent(p.extra['threshold'])}, or {formats.number(why.cut_off(scale, p.extra['threshold']))} points.")  # fmt: skip
    if review is None:
        return f"{text} No person had to look at it."
    if review.state != "resolved":
        return f"{text} A person has to look at it and has not decided yet."
    final = {"approve": "approved it", "decline": "declined it"}.get(review.final_decision or "", "closed the review")
    return f"{text} A person looked at it and {final} in the end."


def _facts(view: DecisionView, batch: Batch | None, names: Mapping[UUID, str]) -> list[tuple[str, str]]:
    p, review = view.prediction, view.review
    scale = why.scale_of(view.model.extra)
    told = [
        ("Decided at", formats.when(p.created_at, seconds=True)),
        ("The model said", words.DECISIONS[p.extra["decision"]][1]),
        ("Risk", words.LEVELS.get(p.prediction_result, ("", p.prediction_result))[1]),
        ("Probability of default", formats.percent(p.probability, 2)),
        ("Score", f"{formats.number(p.extra['points'])}\u00a0points; the cut-off is {formats.number(why.cut_off(scale, p.extra['threshold']))}"),
        ("Asked by", (names.get(p.user_id) if p.user_id else None) or "the program"),
        ("Model", f"{view.model.name} {view.model.version}"),
    ]  # fmt: skip
    if batch is not None:
        told.append(("Came in", f"row {formats.number(p.batch_row)} of the file {batch.filename}"))
    if review is not None:
        told.append(("Review", words.STATES.get(review.state, ("", review.state))[1]))
        if review.owner_id:
            told.append(("Reviewed by", names.get(review.owner_id, "somebody whose name is erased")))
        if review.final_decision:
            told.append(("Decided in the end", {"approve": "Approved", "decline": "Declined"}[review.final_decision]))
        if review.cause:
            told.append(("Cause", review.cause))
        if review.requested_at:
            told.append(("Review asked for by the applicant", formats.when(review.requested_at)))
    if p.outcome is not None:
        told.append(("What became of it", f"{p.outcome}, known since {formats.day(p.outcome_at)}"))
    return told


def _sent(view: notices.NoticeView) -> list[tuple[str, str]]:
    """What became of the notice to the applicant."""
    if view.due_at is None:
        return []
    kept = view.notice
    word = words.NOTICES[view.state][1]
    if kept is None or kept.issued_at is None:
        return [
            ("Notice to the applicant", f"{word}, until {formats.when(view.due_at)}" if view.state == "open" else word)
        ]
    told = f"{word} {formats.when(kept.issued_at)}. {words.CHANNELS.get(kept.channel or '', '')}, due until {formats.when(kept.due_at)}"
    found = [("Notice to the applicant", told), ("Hash of the notice", kept.document_sha256 or "")]
    return [*found, ("Late because", kept.cause)] if kept.cause else found


def _because(reasons: Sequence[Reason], explained: bool, erased: bool) -> str:
    if reasons:
        return "What spoke most against the application, the weightiest first."
    if erased:
        return "The reasons were erased together with the input."
    return (
        "Nothing spoke against it: no group of inputs moved the score towards a default."
        if explained
        else "The reasons cannot be made again now."
    )


def _reason(reason: Mapping[str, Any], features: Mapping[str, FeatureInfo], found: why.Why) -> Reason:
    info = features.get(reason["feature"])
    unit = reason.get("unit") or ""
    return Reason(
        text=reason["text"], fact=(info.text if info else "") or reason["feature"],
        value="not given" if reason["missing"] else words.value(reason["value"], unit), typical=words.value(reason["typical"], unit),
        weight=f"{formats.number(found.per_log_odds * reason['contribution'], 1, signed=True)}\u00a0points",
    )  # fmt: skip


def _used(found: why.Why | None, explained: Mapping[str, Any] | None, given: Mapping[str, Any] | None,
          features: Mapping[str, FeatureInfo]) -> tuple[Table, ...]:  # fmt: skip
    """How the score came about, and every input of the model with what it did."""
    tables = []
    if found is not None:
        steps = [("Base score, the average of the training rows", formats.number(found.base))]
        steps += [(words.group(m.code) if m.code else f"All others ({formats.plural(m.rest, 'group')})", formats.number(m.points, signed=True))
                  for m in found.moves]  # fmt: skip
        steps.append(("Score", formats.number(found.final)))
        tables.append(Table("How the score came about", ("Group of inputs", "Points"), tuple(steps), figures=frozenset({1}),
                            note="More points mean a lower risk."))  # fmt: skip
    if given is not None:
        contributions = explained["contributions"] if explained is not None else None
        facts = why.facts(given, features, contributions, found.per_log_odds if found else 0.0)
        rows = tuple(
            (
                f.text,
                None if f.value == formats.NOTHING else f.value,
                f.typical,
                formats.number(f.points, 1, signed=True),
            )
            for f in facts
        )
        tables.append(Table("Every input of the model", ("Input", "Value", "Typical", "Points"), rows, under=tuple(f.name for f in facts),
                            figures=frozenset({1, 2, 3}),
            minor=frozenset({2}), note="Those that moved the score most come first."))  # fmt: skip
    return tuple(tables)


def _limits(view: DecisionView, batch: Batch | None, again: _Again) -> list[str]:
    p = view.prediction
    told = [words.flag(flag, again.features) for flag in p.extra["flags"]]
    if p.content is None:
        told.append(
            "Input, features, reasons and the subject’s name were erased. Outcome, score and the proof of the entry are left."
        )
        return told
    if batch is not None:
        told.append(f"The input was read again from the stored file {batch.filename} (SHA-256 {batch.file_sha256}).")
    if again.replay.equal is False:
        told.append(
            "Running the model again gave another result: see there. What is shown as inputs and reasons may not be what was decided on."
        )
    return [*told, REASONS]


# --- the input as it was sent


def _plain_tables(content: Any) -> dict[str, list[dict[str, Any]]]:
    """Name → rows; the application is one row."""
    found = {}
    for name, part in (predictions.plain(content) or {}).items():
        rows = [part] if isinstance(part, dict) else part if isinstance(part, list) else []
        found[name] = [row for row in rows if isinstance(row, dict)]
    return found


def _rows_of(tables: Mapping[str, pl.DataFrame], schema: Schema) -> dict[str, list[dict[str, Any]]]:
    """The rows of a file's tables that belong to its one application."""
    main = tables[schema.main.name]
    kept = {schema.main.name: main}
    for name, table in schema.linked.items():
        if name not in tables or table.parent is None:
            continue
        above = table.parent_table or schema.main.name
        key = schema.id if above == schema.main.name else schema.tables[above].key[0]
        if above in kept and key in kept[above].columns:
            values = kept[above][key]
            kept[name] = tables[name].filter(pl.col(table.parent).is_in(values.implode()))
    return {
        name: [{k: _json(v) for k, v in row.items()} for row in frame.iter_rows(named=True)]
        for name, frame in kept.items()
    }


def _json(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _given(tables: Mapping[str, Sequence[Mapping[str, Any]]], schema: Schema | None) -> tuple[Table, ...]:
    """The tables as people read them: the application as pairs, each linked table as rows."""
    main = schema.main.name if schema else "application"
    ordered = sorted(tables, key=lambda name: (name != main, list(tables).index(name)))
    return tuple(_pairs(name, tables[name][0], schema) if name == main and tables[name] else _table(name, tables[name], schema)
                 for name in ordered)  # fmt: skip


def _pairs(name: str, row: Mapping[str, Any], schema: Schema | None) -> Table:
    columns = schema.tables[name].columns if schema and name in schema.tables else {}
    given = [key for key, value in row.items() if value is not None]
    missing = [key for key, value in row.items() if value is None]
    text = {key: columns[key].text if key in columns else "" for key in given}
    return Table(
        name, ("What", "Value"), tuple((text[key] or key, _exact(row[key], columns.get(key))) for key in given),
        under=tuple(key if text[key] else "" for key in given), note=f"Not given: {', '.join(missing)}." if missing else "",
    )  # fmt: skip


def _table(name: str, rows: Sequence[Mapping[str, Any]], schema: Schema | None) -> Table:
    columns = schema.tables[name].columns if schema and name in schema.tables else {}
    headers = tuple(dict.fromkeys(key for row in rows for key in row))
    cells = tuple(
        tuple(None if row.get(h) is None else _exact(row[h], columns.get(h)) for h in headers) for row in rows
    )
    text = schema.tables[name].text if schema and name in schema.tables else ""
    return Table(name, headers, cells, note=text or ("" if rows else "There are no rows."))


def _exact(value: Any, column: Column | None) -> str:
    """A value as it was sent, every digit of it; only the marks between thousands are ours."""
    if isinstance(value, bool) or not isinstance(value, int | float) or (column is not None and column.type == "id"):
        return words.value(value) if isinstance(value, bool) else str(value)
    plain = int(value) if float(value).is_integer() and abs(value) < 2**53 else value
    return f"{plain:,}".replace("-", formats.MINUS, 1) if plain < 0 else f"{plain:,}"
