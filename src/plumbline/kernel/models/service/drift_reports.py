"""Kept drift reports: listed, read, drawn over time, and recomputed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from plumbline.kernel import canonical
from plumbline.kernel.context import Context
from plumbline.kernel.errors import Corrupt, InvalidInput, NotFound, Where
from plumbline.kernel.installation import Installation
from plumbline.kernel.models import drift_report, predictions, repository
from plumbline.kernel.models.service.profiling import of_batch, reference_of
from plumbline.kernel.models.tables import Batch, DriftRun, DriftRunScore, Model, ModelProfile
from plumbline.kernel.paging import Page, PageRequest

READ = "models.read"
FileKind = Literal["html", "json"]


@dataclass(frozen=True, slots=True)
class Kept:
    """A report with its scores by type, its version and, if it is of one, its batch."""

    run: DriftRun
    scores: dict[str, DriftRunScore]
    model: Model
    batch: Batch | None


@dataclass(frozen=True, slots=True)
class Verified:
    """What a recomputation found; ``faults`` is empty where every number and hash agrees."""

    run: DriftRun
    faults: list[str]


@dataclass(frozen=True, slots=True)
class Trail:
    """The drift of a version over time.

    :ivar reference: what its rows are compared with; ``None``: it was registered without.
    :ivar runs: oldest first, each with the PSI entries of its columns (name → {corrected, severity, …}).
    """

    reference: ModelProfile | None
    runs: list[tuple[DriftRun, dict[str, dict[str, Any]]]]


def list_runs(installation: Installation, context: Context, request: PageRequest, *, model: str | UUID | None = None,
              batch_id: UUID | None = None, detected: bool | None = None) -> Page[DriftRun]:  # fmt: skip
    """Newest first."""
    context.require(READ)
    org = context.organization_id
    with installation.database.read(org) as session:
        model_id = None if model is None else repository.find(session, org, model).id
        return repository.drift_runs(session, org, request, model_id=model_id, batch_id=batch_id, detected=detected)


def models_of(installation: Installation, context: Context, runs: Sequence[DriftRun]) -> dict[UUID, Model]:
    """The versions that these reports are of."""
    context.require(READ)
    with installation.database.read(context.organization_id) as session:
        return repository.models_of(session, context.organization_id, list({run.ml_model_id for run in runs}))


def model_of(installation: Installation, context: Context, key: UUID) -> Model:
    """The version that reports are asked for."""
    context.require(READ)
    with installation.database.read(context.organization_id) as session:
        return repository.model(session, context.organization_id, key)


def get_run(installation: Installation, context: Context, key: UUID, *, model: str | UUID | None = None) -> Kept:
    """One report.

    :param model: the version it must be of.
    :raises NotFound: no such report in this organization, or not of this version.
    """
    context.require(READ)
    org = context.organization_id
    with installation.database.read(org) as session:
        run = repository.drift_run(session, org, key)
        if model is not None and repository.find(session, org, model).id != run.ml_model_id:
            raise NotFound(f"The version has no drift report '{key}'.", remedy="See: plumbline models drift list")
        return Kept(
            run, repository.drift_scores(session, org, [key])[key], repository.model(session, org, run.ml_model_id),
            predictions.get_batch(session, org, run.batch_id) if run.batch_id else None,
        )  # fmt: skip


def trail(installation: Installation, context: Context, model_id: UUID, *, most: int = 12) -> Trail:
    """The newest reports of a version with the PSI of each column."""
    context.require(READ)
    org = context.organization_id
    with installation.database.read(org) as session:
        reference = repository.reference(session, org, model_id)
        runs = repository.drift_runs(session, org, PageRequest(most), model_id=model_id).items
        scores = repository.drift_scores(session, org, [run.id for run in runs])
    return Trail(reference, [(run, scores[run.id]["psi"].feature_drifts) for run in reversed(runs)])


def file_of(installation: Installation, run: DriftRun, kind: FileKind) -> bytes:
    """A report's file, hashed again.

    :raises Corrupt: it is gone, or it is not what its hash says.
    """
    path = run.report_file_path if kind == "html" else run.extra["json_path"]
    where = Where(file=path)
    try:
        data = (installation.files / path).read_bytes()
    except FileNotFoundError:
        raise Corrupt("The file of this drift report is gone.", where=where,
                      remedy="Restore it from a backup, or compare the window again.") from None  # fmt: skip
    if hashlib.sha256(data).hexdigest() != run.extra["report_sha256" if kind == "html" else "json_sha256"]:
        raise Corrupt(
            "The file of this drift report is not what its hash says.", where=where, remedy="Restore it from a backup."
        )
    return data


def columns_of(installation: Installation, run: DriftRun) -> list[dict[str, Any]]:
    """Every column of a report with its measures and ``histogram`` {labels, reference, current}, worst first, out of its JSON.

    :raises Corrupt: the file is gone, or it is not what its hash says.
    """
    found: list[dict[str, Any]] = canonical.loads(file_of(installation, run, "json"))["features"]
    return found


def verify(installation: Installation, context: Context, key: UUID, *, model: str | UUID | None = None) -> Verified:
    """Recompute every number of a report from the counts in its JSON, and compare them with the files' hashes, the database's
    rows and the profiles that are stored: the reference, and the chunks of a batch."""
    kept = get_run(installation, context, key, model=model)
    run, faults = kept.run, []
    for kind in ("html", "json"):
        try:
            file_of(installation, run, kind)
        except Corrupt as error:
            faults.append(f"{error.where.file if error.where else kind}: {error.detail}")
    try:
        body = canonical.loads((installation.files / run.extra["json_path"]).read_bytes())
    except (OSError, InvalidInput) as error:
        return Verified(run, [*faults, f"There is no JSON to recompute from: {error}"])
    faults += drift_report.verify(body)
    faults += _against_rows(kept, body) if isinstance(body, dict) else []
    faults += _against_profiles(installation, context, kept)
    return Verified(run, faults)


def _against_rows(kept: Kept, body: dict[str, Any]) -> list[str]:
    """What the database says otherwise than the JSON."""
    run, faults = kept.run, []
    stated = body.get("scores")
    for name in ("drift_score", "drift_detected"):
        if not _same(getattr(run, name), body.get(name)):
            faults.append(f"data_drift_reports.{name} is {getattr(run, name)!r}, in the JSON {body.get(name)!r}.")
    if canonical.sha256([f["feature"] for f in run.drifted_features]) != canonical.sha256(
        [f.get("feature") for f in body.get("features", []) if f.get("is_drifted")]
    ):
        faults.append("data_drift_reports.drifted_features names other columns than the JSON.")
    for drift_type in ("psi", "kl_divergence", "ks_test"):
        score, theirs = kept.scores.get(drift_type), (stated or {}).get(drift_type)
        if score is None or theirs is None:
            faults.append(f"There is no score '{drift_type}'.")
            continue
        for name in ("drift_score", "threshold", "is_drifted", "feature_drifts"):
            if not _same(getattr(score, name), theirs.get(name)):
                faults.append(f"data_drift_scores.{name} of '{drift_type}' differs from the JSON.")
    for name, said in (("reference_sha256", "reference"), ("current_sha256", "current")):
        if run.extra[name] != (body.get(said) or {}).get("profile_sha256"):
            faults.append(f"The JSON was made from another {said} profile.")
    return faults


def _same(ours: Any, theirs: Any) -> bool:
    return theirs is not None and canonical.dumps(ours) == canonical.dumps(theirs)


def _against_profiles(installation: Installation, context: Context, kept: Kept) -> list[str]:
    org, run = context.organization_id, kept.run
    with installation.database.read(org) as session:
        try:
            reference = reference_of(session, org, run.ml_model_id)
            if reference is None or reference.id != run.reference_id:
                return ["The reference profile is not there any more."]
            faults = (
                [] if reference.sha256 == run.extra["reference_sha256"] else ["The stored reference is another one."]
            )
            if run.batch_id is not None:
                current, _parts = of_batch(session, org, reference, run.batch_id)
                if current.sha256 != run.extra["current_sha256"]:
                    faults.append("The stored chunks of the batch give another profile.")
            return faults
        except Corrupt as error:
            return [error.detail]
