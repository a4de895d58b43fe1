"""Files of applications: taken in, followed, cancelled, resumed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from uuid import UUID

import polars as pl

from plumbline.credit.decision import TYPE
from plumbline.credit.intake.readers import open_upload
from plumbline.credit.intake.schema import Schema
from plumbline.credit.results import REJECTS, RESULTS, RESULTS_PARQUET, Part, sha256_of, told
from plumbline.credit.service.decisions import scorer_for
from plumbline.credit.service.training import limits_of
from plumbline.kernel.context import Context
from plumbline.kernel.database import new_id
from plumbline.kernel.errors import Conflict, Corrupt, InvalidInput, NotFound, TooLarge, Where
from plumbline.kernel.installation import Installation
from plumbline.kernel.jobs import repository as job_rows
from plumbline.kernel.jobs import service as jobs
from plumbline.kernel.jobs.tables import OPEN, Job
from plumbline.kernel.ledger.service import Act
from plumbline.kernel.models import predictions
from plumbline.kernel.models import repository as model_rows
from plumbline.kernel.models.tables import Batch, Model, Prediction
from plumbline.kernel.paging import Page, PageRequest

KIND = "credit.batch"
SUFFIXES = (".csv", ".parquet", ".zip", ".csv.gz", ".csv.zst", ".gz", ".zst", ".txt", ".tsv")
CHUNK_ROWS = 65_536
"""Rows that are scored and committed together. Each batch keeps the number it began with."""
DOWNLOADS = {"results": RESULTS, "results.parquet": RESULTS_PARQUET, "rejects": REJECTS}


@dataclass(frozen=True, slots=True)
class BatchView:
    """A batch with its model and job. ``status`` is the effective one: a batch whose job has failed has failed."""

    batch: Batch
    model: Model
    job: Job | None
    status: str
    error: str | None

    @property
    def rows_done(self) -> int:
        return sum(part["rows"] for part in self.batch.extra.get("parts", []))

    @property
    def rejected(self) -> int:
        return sum(part["rejected"] for part in self.batch.extra.get("parts", []))


def folder_of(installation: Installation, batch_id: UUID) -> Path:
    return installation.files / "batches" / str(batch_id)


def submit_batch(
    installation: Installation,
    context: Context,
    path: Path,
    *,
    filename: str,
    model: str | None = None,
    delay: float = 0.0,
) -> BatchView:
    """Store a file and queue its scoring: file, row and job exist together or not at all.

    :param path: where the received bytes are; the file is moved.
    :param filename: the sender's name for it; only its last part is kept.
    :param delay: seconds that workers leave the job to the caller, who performs it at once.
    """
    key = new_id(context.now)
    folder = folder_of(installation, key)
    try:
        with Act(
            installation.database, context, "credit.batch.submit", "batch", resource_id=key, right="credit.batch"
        ) as act:
            name = _bare(filename)
            size = _checked_size(path, name, installation.settings.max_upload_bytes)
            chosen, _scorer, used = scorer_for(installation, context, model)
            sha256 = sha256_of(path)
            target = folder / f"upload{''.join(Path(name.lower()).suffixes[-2:])}"
            with told(name):
                folder.mkdir(parents=True)
                shutil.move(path, target)
            same = predictions.batch_with_hash(act.session, context.organization_id, sha256, chosen.id, context.user_id)
            predictions.insert_batch(
                act.session, id=key, organization_id=context.organization_id, user_id=context.user_id, ml_model_id=chosen.id, job_id=None,
                prediction_type=TYPE, filename=name, file_size=size, file_sha256=sha256, num_applications=None, status="pending",
                upload_date=context.now, processing_started_at=None, processing_completed_at=None, error_message=None, results_file_path=None,
                extra={"chunk_rows": CHUNK_ROWS, "parts": [], "upload": target.name, "model_sha256": used.sha256,
                       "same_as": str(same) if same else None},
            )  # fmt: skip
            arguments = {"batch_id": str(key)}
            job = jobs.enqueue(act.session, context, KIND, arguments, subject_id=key, dedupe_key=str(key), delay=delay)
            predictions.update_batch(act.session, context.organization_id, key, job_id=job)
            stored = {"filename": name, "file_sha256": sha256, "file_size": size}
            act.done(new=stored, model_sha256=used.sha256, job=str(job))
    except BaseException:  # also one of the commit itself: no row, no file
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return _found(installation, context, key)  # whoever may send a file is told what became of it


def receive_batch(
    installation: Installation, context: Context, stream: IO[bytes], *, filename: str | None, model: str | None = None
) -> BatchView:
    """Take in what is being sent, piece by piece, and queue it.

    :raises InvalidInput: nothing was sent.
    """
    if not filename:
        context.require("credit.batch")
        raise InvalidInput("No file was sent.", remedy="Choose a CSV or Parquet file, or a ZIP of linked tables.")
    path = incoming(installation)
    try:
        with told(filename), path.open("wb") as out:
            shutil.copyfileobj(stream, out, 1 << 20)
        return submit_batch(installation, context, path, filename=filename, model=model or None)
    finally:
        path.unlink(missing_ok=True)


def _bare(filename: str) -> str:
    """The sender's name without path and control characters."""
    name = filename.replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(c for c in name if c.isprintable()).strip()[:255] or "upload"


def _checked_size(path: Path, name: str, limit: int) -> int:
    where = Where(file=name)
    size = path.stat().st_size
    if not name.lower().endswith(SUFFIXES):
        raise InvalidInput(f"'{name}' is no file of a kind that can be read.", where=where,
                           remedy="Send CSV, Parquet, either of them as .gz or .zst, or a ZIP of linked tables.")  # fmt: skip
    if size == 0:
        raise InvalidInput("The file is empty.", where=where, remedy="Send a file with a header and rows.")
    if size > limit:
        raise TooLarge(f"The file has {size:,} bytes; the limit is {limit:,}.", where=where,
                       remedy="Split it, or raise max_upload_bytes.")  # fmt: skip
    return size


def batch_of(installation: Installation, context: Context, key: UUID) -> BatchView:
    context.require("credit.read")
    return _found(installation, context, key)


def _found(installation: Installation, context: Context, key: UUID) -> BatchView:
    with installation.database.read(context.organization_id) as session:
        batch = predictions.get_batch(session, context.organization_id, key)
        if batch.prediction_type != TYPE:
            raise NotFound(f"There is no credit batch '{key}'.", remedy="See: plumbline credit batch list")
        model = model_rows.model(session, context.organization_id, batch.ml_model_id)
        job = job_rows.job(session, context.organization_id, batch.job_id) if batch.job_id else None
    return _view(batch, model, job)


def _view(batch: Batch, model: Model, job: Job | None) -> BatchView:
    status, error = batch.status, batch.error_message
    if status in ("pending", "processing") and job is not None and job.state in ("failed", "cancelled"):
        status, error = "failed", error or job.error or f"the job was {job.state}"
    return BatchView(batch, model, job, status, error)


def views_of(installation: Installation, context: Context, rows: Sequence[Batch]) -> list[BatchView]:
    """The views of a page of batches."""
    context.require("credit.read")
    org = context.organization_id
    with installation.database.read(org) as session:
        versions = model_rows.models_of(session, org, list({batch.ml_model_id for batch in rows}))
        found = [job_rows.job(session, org, batch.job_id) if batch.job_id else None for batch in rows]
    return [_view(batch, versions[batch.ml_model_id], job) for batch, job in zip(rows, found)]


def list_batches(installation: Installation, context: Context, request: PageRequest) -> Page[Batch]:
    context.require("credit.read")
    with installation.database.read(context.organization_id) as session:
        return predictions.batches(session, context.organization_id, request, prediction_type=TYPE)


def rows_of(
    installation: Installation, context: Context, key: UUID, request: PageRequest, *, level: str | None = None
) -> Page[Prediction]:
    """The decisions of a batch."""
    context.require("credit.read")
    with installation.database.read(context.organization_id) as session:
        return predictions.page(
            session, context.organization_id, request, prediction_type=TYPE, batch_id=key, result=level
        )


def download(installation: Installation, context: Context, key: UUID, which: str) -> tuple[Path, str]:
    """A file of a finished batch and the name to save it under. Reading so many results is an act."""
    with Act(
        installation.database, context, "credit.batch.download", "batch", resource_id=key, right="credit.read"
    ) as act:
        view = batch_of(installation, context, key)
        if which not in DOWNLOADS:
            raise NotFound(f"There is no file '{which}'.", remedy=f"Ask for one of {', '.join(DOWNLOADS)}.")
        files = view.batch.extra.get("files", {})
        if DOWNLOADS[which] not in files and view.status == "failed":
            raise Conflict(
                f"The batch has failed: {view.error}", remedy="There are no results; resume it, or send the file again."
            )
        if DOWNLOADS[which] not in files:
            raise Conflict("The results are not there yet.", remedy="Wait until the batch is completed.")
        path = folder_of(installation, key) / DOWNLOADS[which]
        if not path.exists():
            raise Corrupt(f"The file {path.name} of this batch is gone.", remedy="Restore it from a backup.")
        act.done(file=which, sha256=files[DOWNLOADS[which]])
        stem = Path(view.batch.filename).name.split(".")[0] or "batch"
        return path, f"{stem}-{DOWNLOADS[which]}"


def cancel_batch(installation: Installation, context: Context, key: UUID) -> BatchView:
    """Stop after the present chunk; what is decided stays recorded, and the batch can be resumed."""
    view = batch_of(installation, context, key)
    if view.job is None or view.job.state not in OPEN:
        raise Conflict(f"The batch is {view.status}.", remedy="There is nothing to cancel.")
    if view.job.user_id != context.user_id:
        context.require("jobs.manage")
    jobs.cancel(installation, context, view.job.id)
    return batch_of(installation, context, key)


def resume_batch(installation: Installation, context: Context, key: UUID) -> BatchView:
    """Go on where a failed or cancelled batch stopped; rows that are decided are not decided again."""
    with Act(
        installation.database, context, "credit.batch.resume", "batch", resource_id=key, right="credit.batch"
    ) as act:
        batch = predictions.get_batch(act.session, context.organization_id, key)
        # locked: of two who resume at once, the second one finds it open
        job = job_rows.job(act.session, context.organization_id, batch.job_id, lock=True) if batch.job_id else None
        view = batch_of(installation, context, key)
        if job is None or job.state in OPEN or view.status != "failed":
            raise Conflict(
                "The batch is being worked on." if job and job.state in OPEN else f"The batch is {view.status}.",
                remedy="Only a failed or cancelled batch can be resumed.",
            )
        job_rows.requeue(act.session, context.organization_id, job.id)
        predictions.update_batch(act.session, context.organization_id, key, status="pending", error_message=None)
        act.done(old={"status": "failed", "error": view.error}, new={"status": "pending"}, rows_done=view.rows_done)
    return batch_of(installation, context, key)


def parts_of(batch: Batch) -> list[Part]:
    return [Part(**p) for p in batch.extra["parts"]]


def tables_of_row(
    installation: Installation, context: Context, prediction: Prediction, schema: Schema
) -> dict[str, pl.DataFrame]:
    """The stored input of one row of a batch, read again from the file it came in."""
    assert prediction.batch_id is not None
    assert prediction.batch_row is not None
    with installation.database.read(context.organization_id) as session:
        batch = predictions.get_batch(session, context.organization_id, prediction.batch_id)
    path = folder_of(installation, batch.id) / batch.extra["upload"]
    if not path.exists():
        raise NotFound(
            "The file this decision was made from is gone.",
            where=Where(file=batch.filename),
            remedy="Restore it from a backup.",
        )
    rows: int = batch.extra["chunk_rows"]
    with open_upload(path, schema, scoring=True, filename=batch.filename, limits=limits_of(installation)) as upload:
        for chunk in upload.chunks((prediction.batch_row - 1) // rows, rows):
            at = chunk.positions.searchsorted(prediction.batch_row)
            if at < len(chunk.positions) and chunk.positions[at] == prediction.batch_row:
                return {schema.main.name: chunk.frame[int(at)], **upload.linked}
            break
    raise NotFound(
        f"Row {prediction.batch_row} is not in the file any more.",
        where=Where(file=batch.filename, row=prediction.batch_row),
    )


def perform_batch(installation: Installation, claim: Any) -> None:
    """The job's handler (kernel.jobs)."""
    from plumbline.credit.service.performing import perform

    perform(installation, claim)


def incoming(installation: Installation) -> Path:
    """A new path for bytes that are being received."""
    folder = installation.files / "incoming"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{os.getpid()}-{os.urandom(8).hex()}"
