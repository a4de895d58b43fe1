"""The drift run: a window's rows against the reference of the version that decided about them.

Two windows: a batch, compared in the transaction that completes it, and the single decisions of a span of time, on demand.
A window has one report for each reference: run again, it is the same one, written anew only where its rows have changed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from secrets import token_hex
from typing import Any, Literal
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from plumbline.kernel import clock
from plumbline.kernel.context import Context
from plumbline.kernel.database import WriteSession, new_id
from plumbline.kernel.errors import InvalidInput, Where
from plumbline.kernel.findings import repository as listed
from plumbline.kernel.findings.service import raise_finding
from plumbline.kernel.installation import Installation
from plumbline.kernel.jobs.queue import Claim, enqueue
from plumbline.kernel.ledger.service import Act, audit
from plumbline.kernel.models import drift_report, predictions, repository
from plumbline.kernel.models.drift import DriftReport, compare
from plumbline.kernel.models.profiles import Profile
from plumbline.kernel.models.service.profiling import Reference, of_batch, of_singles, reference_of
from plumbline.kernel.models.service.scorers import ROOM
from plumbline.kernel.models.tables import Batch, Model

KIND = "models.drift"
ACTION = RIGHT = "models.drift"
RESOURCE = "drift_report"
State = Literal["compared", "no_reference", "no_rows", "incomplete"]
_SEVERITY = {"major": "high", "moderate": "medium"}


@dataclass(frozen=True, slots=True)
class Window:
    """Whose rows were compared. ``key`` names the window within its version; ``told`` says it in the report."""

    key: str
    told: dict[str, Any]
    batch_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison whose files are stored and whose rows are not yet written (:func:`keep`)."""

    model: Model
    reference: Reference
    window: Window
    report: DriftReport
    path: str
    sha256: str
    json_path: str
    json_sha256: str


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a drift run.

    :ivar state: ``compared``; ``no_reference``: the version was registered without one; ``no_rows``: nothing was decided in
        the window; ``incomplete``: not every row of the batch was counted.
    :ivar said: one sentence for people.
    :ivar run_id: the report, once it is kept.
    """

    state: State
    said: str
    comparison: Comparison | None = None
    run_id: UUID | None = None
    details: dict[str, Any] = field(default_factory=dict)


# --- computing: reads and files only


def of_batch_window(installation: Installation, model: Model, batch: Batch, *, scored: int) -> Result:
    """Compare a batch; its chunks' profiles are committed.

    :param scored: rows that were decided; a batch that began under an older program may have counted fewer.
    """
    org = batch.organization_id
    with installation.database.read(org) as session:
        reference = reference_of(session, org, model.id)
        if reference is None:
            return _no_reference(model)
        current, _parts = of_batch(session, org, reference, batch.id)
        importance = _importance(session, model, reference)
    if current.rows != scored:
        return Result("incomplete", f"{current.rows:,} of {scored:,} decided rows were counted, so the file is not compared.")  # fmt: skip
    if not current.rows:
        return Result("no_rows", "The file has no decided row.")
    told = {"batch": str(batch.id), "file": batch.filename, "file_sha256": batch.file_sha256}
    return _compared(installation, model, reference, current, importance, Window(f"batch:{batch.id}", told, batch.id))


def of_time_window(installation: Installation, model: Model, since: datetime, until: datetime) -> Result:
    """Compare what a version decided one by one in ``since`` ≤ t < ``until``."""
    org = model.organization_id
    with installation.database.read(org) as session:
        reference = reference_of(session, org, model.id)
        if reference is None:
            return _no_reference(model)
        current, blank = of_singles(session, org, reference, since, until)
        importance = _importance(session, model, reference)
    if not current.rows:
        return Result("no_rows", f"{model.name}@{model.version} made no single decision in this window that still holds its inputs.")  # fmt: skip
    told = {"since": clock.text(since), "until": clock.text(until), "erased": blank}
    return _compared(installation, model, reference, current, importance, Window(f"{told['since']}/{told['until']}", told))  # fmt: skip


def _no_reference(model: Model) -> Result:
    return Result("no_reference", f"no reference: {model.name}@{model.version} was registered without a profile of its training rows.")  # fmt: skip


def _importance(session: Session, model: Model, reference: Reference) -> dict[str, float] | None:
    """Shares of the newest evaluation that has any, as far as they name columns of the reference; ``None`` weighs all alike."""
    for evaluation in repository.evaluations(session, model.organization_id, model.id):
        shares = evaluation.feature_importance or {}
        known = {name: float(share) for name, share in shares.items() if name in reference.grid.position}
        if sum(known.values()) > 0:
            return known
    return None


def _compared(installation: Installation, model: Model, reference: Reference, current: Profile, importance: Mapping[str, float] | None,
              window: Window) -> Result:  # fmt: skip
    report = compare(reference.profile, current, importance)
    about = {
        "model": {"id": str(model.id), "name": model.name, "version": model.version, "sha256": model.extra["sha256"]},
        "reference": {"id": str(reference.id), "made": clock.text(reference.created_at)},
        "window": window.told,
        "inputs": {"reference_sha256": reference.sha256, "current_sha256": current.sha256},
    }
    json_path, json_sha256 = _put(installation, drift_report.to_json(report, about), "json")
    path, sha256 = _put(installation, drift_report.to_html(report, about), "html")
    found = Comparison(model, reference, window, report, path, sha256, json_path, json_sha256)
    return Result("compared", said_of(report), found)


def said_of(report: DriftReport) -> str:
    """The finding in one sentence."""
    drifted = [f.name for f in report.features if f.is_drifted]
    if not drifted:
        few = sum(f.severity == "insufficient_data" for f in report.features)
        return f"No column drifted{f'; for {few:,} of {len(report.features):,} there are too few rows to tell' if few else ''}."
    more = f" and {len(drifted) - 1:,} more" if len(drifted) > 1 else ""
    return f"{report.severity.capitalize()} drift of {drifted[0]}{more}, score {report.drift_score:.3f}."


def _put(installation: Installation, data: bytes, kind: str) -> tuple[str, str]:
    """Store a report under its hash; its path below the installation's files. One that no row names does no harm."""
    sha256 = hashlib.sha256(data).hexdigest()
    relative = f"reports/sha256/{sha256[:2]}/{sha256}.{kind}"
    path: Path = installation.files / relative
    if path.exists() and path.read_bytes() == data:
        return relative, sha256
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{sha256}.{token_hex(8)}")
    with temporary.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    return relative, sha256


# --- keeping: the rows, the finding, the entry's words


def keep(session: WriteSession, context: Context, found: Comparison) -> tuple[UUID, dict[str, Any]]:
    """Write the report with its three scores, in the caller's transaction; the id, and what the act's entry says.

    Of a window that was compared before the report stays as it is, unless its rows or the program gave other numbers.
    Major and moderate drift raise one finding a version, which is closed by hand.
    """
    report = found.report
    values: dict[str, Any] = {
        "created_at": context.now, "drift_detected": report.drift_detected, "drift_score": report.drift_score,
        "drifted_features": report.drifted_features, "report_file_path": found.path,
        "extra": {
            "severity": report.severity, "window": found.window.told, "rows": report.current.rows, "reference_rows": report.reference.rows,
            "reference_id": str(found.reference.id), "reference_sha256": found.reference.sha256, "current_sha256": report.current.sha256,
            "columns": len(report.features), "undetermined": sum(f.severity == "insufficient_data" for f in report.features),
            "said": said_of(report),
            "report_sha256": found.sha256, "json_path": found.json_path, "json_sha256": found.json_sha256,
        },
    }  # fmt: skip
    details = {
        "model_id": str(found.model.id), "window": found.window.key, "reference_id": str(found.reference.id), "severity": report.severity,
        "drift_detected": report.drift_detected, "drift_score": report.drift_score, "rows": report.current.rows,
        "report_sha256": found.sha256, "json_sha256": found.json_sha256,
    }  # fmt: skip
    key, change = _written(session, context, found, values)
    if change != "same":
        _raise(session, context, found, key)
    return key, details | {"change": change}


def record(session: WriteSession, context: Context, found: Comparison) -> tuple[UUID, dict[str, Any]]:
    """:func:`keep` with the act's entry, for an act that is part of a larger transaction."""
    key, details = keep(session, context, found)
    audit(session, context, ACTION, RESOURCE, key, details=details)
    return key, details


def _written(session: WriteSession, context: Context, found: Comparison, values: dict[str, Any]) -> tuple[UUID, str]:
    org = context.organization_id
    key = new_id(context.now)
    identity = {"id": key, "organization_id": org, "ml_model_id": found.model.id, "reference_id": found.reference.id,
                "batch_id": found.window.batch_id, "window_key": found.window.key}  # fmt: skip
    held = repository.drift_run_with(session, org, found.model.id, found.window.key, found.reference.id)
    if held is None:
        try:
            with session.begin_nested():
                repository.insert_drift_run(session, identity | values, _scores(context, key, found.report))
        except sa.exc.IntegrityError:  # the same window was compared at the same time
            held = repository.drift_run_with(session, org, found.model.id, found.window.key, found.reference.id)
            if held is None:
                raise
        else:
            return key, "new"
    if held.extra["json_sha256"] == found.json_sha256:
        return held.id, "same"
    repository.replace_drift_run(session, org, held.id, values, _scores(context, held.id, found.report))
    return held.id, "replaced"


def _scores(context: Context, key: UUID, report: DriftReport) -> list[dict[str, Any]]:
    return [
        {"id": new_id(context.now), "organization_id": context.organization_id, "report_id": key, "drift_type": score.drift_type,
         "drift_score": score.drift_score, "threshold": score.threshold, "is_drifted": score.is_drifted,
         "feature_drifts": score.feature_drifts}
        for score in report.scores
    ]  # fmt: skip


def fingerprint(model_id: UUID) -> str:
    return f"drift:{model_id}"


def _raise(session: WriteSession, context: Context, found: Comparison, key: UUID) -> None:
    """One finding a version, whose subject is the reference; one that was accepted is not asked about again."""
    severity = _SEVERITY.get(found.report.severity)
    held = listed.by_fingerprint(session, context.organization_id, ROOM, fingerprint(found.model.id))
    if severity is None or (held is not None and held.state == "suppressed"):
        return
    title = f"{found.model.name} {found.model.version}: {said_of(found.report).rstrip('.')}"
    url = f"/models/{found.model.id}/drift/{key}"
    raised = raise_finding(session, context, room=ROOM, subject_id=found.reference.id, title=title, severity=severity, url=url,
                           fingerprint=fingerprint(found.model.id), tags=("drift",), score=found.report.drift_score, reopen=True)  # fmt: skip
    if held is not None:  # the list shows the newest of them
        listed.update(session, context.organization_id, raised, title=title, severity=severity, url=url, score=found.report.drift_score)  # fmt: skip


# --- use cases


def run(installation: Installation, context: Context, key: str | UUID, *, since: datetime | None = None, until: datetime | None = None,
        batch_id: UUID | None = None) -> Result:  # fmt: skip
    """Compare a window now and keep the report: one act, one entry.

    :param key: a version: id, ``name@version`` or name; its batch must be one that it decided.
    :param batch_id: a batch; else the single decisions of ``since`` ≤ t < ``until`` (by default all that it made until now).
    :raises InvalidInput: a span that ends before it begins; both a span and a batch; a batch of another version, or one that
        is not completed.
    """
    with Act(installation.database, context, ACTION, RESOURCE, right=RIGHT) as act:
        result = _computed(installation, context, key, since, until, batch_id)
        if result.comparison is None:
            act.done(state=result.state, said=result.said)
            return result
        run_id, details = keep(act.session, context, result.comparison)
        act.done(run_id, **details)
    return Result(result.state, result.said, result.comparison, run_id, details)


def _computed(installation: Installation, context: Context, key: str | UUID, since: datetime | None, until: datetime | None,
              batch_id: UUID | None) -> Result:  # fmt: skip
    org = context.organization_id
    with installation.database.read(org) as session:
        model = repository.find(session, org, key)
        batch = None if batch_id is None else predictions.get_batch(session, org, batch_id)
    if batch is not None:
        _check_batch(model, batch, since, until)
        return of_batch_window(installation, model, batch, scored=batch.extra["scored"])
    return of_time_window(installation, model, *span(context, model, since, until))


def _check_batch(model: Model, batch: Batch, since: datetime | None, until: datetime | None) -> None:
    where = Where(field="batch")
    if since is not None or until is not None:
        raise InvalidInput(
            "A window is a batch or a span of time, not both.", where=where, remedy="Leave one of them out."
        )
    if batch.ml_model_id != model.id:
        raise InvalidInput(f"The batch {batch.id} was not decided by {model.name}@{model.version}.", where=where,
                           remedy="Name the version that decided it.")  # fmt: skip
    if batch.status != "completed":
        raise InvalidInput(f"The batch is {batch.status}.", where=where, remedy="Compare it once it is completed.")


def span(context: Context, model: Model, since: datetime | None, until: datetime | None) -> tuple[datetime, datetime]:
    """A whole span of time: it ends now and begins when the version was registered, where nothing is said.

    Ids of decisions tell milliseconds: the present one belongs to what was decided until now.
    """
    end = context.now + timedelta(milliseconds=1) if until is None else until
    begin = model.created_at if since is None else since
    if not begin < end:
        raise InvalidInput(f"The window ends, {end:%Y-%m-%d %H:%M}, before it begins, {begin:%Y-%m-%d %H:%M} UTC.",
                           where=Where(field="until"), remedy="Choose a later end.")  # fmt: skip
    return begin, end


def request(installation: Installation, context: Context, key: str | UUID, *, since: datetime | None = None, until: datetime | None = None,
            batch_id: UUID | None = None) -> tuple[UUID | None, str]:  # fmt: skip
    """Queue a drift run; returns the job and what becomes of it, without a job where the version has no reference. The span is
    fixed now, so that trying again compares the same."""
    with Act(installation.database, context, "models.drift_request", "model", right=RIGHT) as act:
        org = context.organization_id
        model = repository.find(act.session, org, key)
        arguments: dict[str, Any] = {"model_id": str(model.id)}
        if batch_id is not None:
            _check_batch(model, predictions.get_batch(act.session, org, batch_id), since, until)
            arguments["batch_id"] = str(batch_id)
        else:
            begin, end = span(context, model, since, until)
            arguments |= {"since": clock.text(begin), "until": clock.text(end)}
        if repository.reference(act.session, org, model.id) is None:
            told = _no_reference(model)
            act.done(model.id, state=told.state, said=told.said)
            return None, told.said
        job = enqueue(act.session, context, KIND, arguments, subject_id=model.id)
        act.done(model.id, job=str(job), **arguments)
        return job, f"The inputs of {model.name}@{model.version} are being compared with those of its training."


def perform(installation: Installation, claim: Claim) -> None:
    """The job: the report and the job's end are one transaction."""
    given = claim.arguments
    context = claim.context(installation.clock())
    moments = {name: clock.parse(given[name]) if name in given else None for name in ("since", "until")}
    batch_id = UUID(given["batch_id"]) if "batch_id" in given else None
    result = _computed(installation, context, UUID(given["model_id"]), moments["since"], moments["until"], batch_id)
    with installation.database.write(claim.organization_id) as session:
        if result.comparison is None:
            audit(session, context, ACTION, RESOURCE, details={"model_id": given["model_id"], "state": result.state, "said": result.said})  # fmt: skip
        else:
            record(session, context, result.comparison)
        claim.finish(session)
