"""What a batch's job does: chunk by chunk, each committed with its progress, then the result files and the one entry."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import numpy as np
import polars as pl

from plumbline.credit.decision import TYPE, ModelUsed, inputs
from plumbline.credit.features.matrix import Matrix
from plumbline.credit.intake.readers import Chunk, Upload, open_upload
from plumbline.credit.modelling.policy import DECISIONS, LEVELS
from plumbline.credit.modelling.scorer import Scored, Scorer
from plumbline.credit.results import REJECTS, RESULTS, Part, combine, table_of, told_warnings, write_part
from plumbline.credit.service.batches import folder_of, parts_of
from plumbline.credit.service.monitoring import Watch
from plumbline.credit.service.reviews import Concern, open_reviews
from plumbline.credit.service.training import limits_of
from plumbline.kernel import canonical, clock
from plumbline.kernel.context import Context
from plumbline.kernel.database import types
from plumbline.kernel.errors import InvalidInput, PlumblineError, TooLarge, Where
from plumbline.kernel.installation import Installation
from plumbline.kernel.jobs.queue import Cancelled, Claim
from plumbline.kernel.ledger import entry, tree
from plumbline.kernel.ledger.service import audit
from plumbline.kernel.models import predictions
from plumbline.kernel.models import repository as model_rows
from plumbline.kernel.models import service as models
from plumbline.kernel.models.tables import Batch

SMALL = 1000
"""Up to so many rows a batch stores each row's inputs, and each row that needs a person has a finding of its own."""
MOST_FINDINGS = 100
"""Of a larger batch, so many of the riskiest applications are put on the triage list; all stand in the results."""
COLUMNS = (
    "id", "organization_id", "prediction_type", "subject_id", "content", "prediction_result", "probability", "features", "explanation",
    "ml_model_id", "user_id", "batch_id", "batch_row", "processing_time_ms", "metadata", "record_salt", "created_at",
)  # fmt: skip


def perform(installation: Installation, claim: Claim) -> None:
    """Score the file. What cannot be read ends the batch as failed, with the reason; a cancelled one can be resumed."""
    key = UUID(claim.arguments["batch_id"])
    try:
        _perform(installation, claim, key)
    except Cancelled:
        _fail(installation, claim, key, "Cancelled by a person; what was decided stays recorded.")
        raise
    except PlumblineError as error:
        if isinstance(error, InvalidInput | TooLarge) or claim.attempts >= claim.max_attempts:
            _fail(installation, claim, key, str(error))
        raise


def _fail(installation: Installation, claim: Claim, key: UUID, message: str) -> None:
    with installation.database.write(claim.organization_id) as session:
        predictions.update_batch(session, claim.organization_id, key, status="failed", error_message=message,
                                 processing_completed_at=installation.clock())  # fmt: skip


def _perform(installation: Installation, claim: Claim, key: UUID) -> None:
    with installation.database.read(claim.organization_id) as session:
        batch = predictions.get_batch(session, claim.organization_id, key)
        model = model_rows.model(session, claim.organization_id, batch.ml_model_id)
    scorer: Scorer = models.load(installation, model)
    used = ModelUsed(model.id, model.name, model.version, model.extra["sha256"])
    watch = Watch.begin(installation, batch, model)
    folder = folder_of(installation, key)
    done = parts_of(batch)
    extra = dict(batch.extra)
    if batch.status != "processing":
        with claim.chunk(0) as session:
            predictions.update_batch(session, claim.organization_id, key, status="processing",
                                     processing_started_at=batch.processing_started_at or installation.clock())  # fmt: skip
    with open_upload(
        folder / extra["upload"], scorer.schema, scoring=True, filename=batch.filename, limits=limits_of(installation)
    ) as upload:
        history = scorer.transformer.history(upload.linked)
        total = upload.rows
        for chunk in upload.chunks(len(done), extra["chunk_rows"]):
            began = time.perf_counter()
            matrix = scorer.transformer.transform({scorer.schema.main.name: chunk.frame}, history)
            scored = scorer.score_matrix(matrix)
            per_row = round((time.perf_counter() - began) * 1000 / max(1, chunk.rows), 6)
            profile = watch.count(matrix, scored.probability)
            context = claim.context(installation.clock())
            part = Part(f"{chunk.index:05d}-{claim.token}", chunk.rows, chunk.rejected_rows, chunk.warnings)
            small = total <= SMALL
            rows = Rows(context, batch, used, scorer, chunk, matrix, scored, per_row, inputs_stored=small)
            write_part(folder / "parts", part, _results(scorer, used, scored), chunk.rejects, b"".join(rows.hashes))
            done.append(part)
            extra = {**extra, "parts": [p.to_dict() for p in done], "warnings": _warnings(upload, done)}
            with claim.chunk(chunk.rows, total=total) as session:
                predictions.insert_many(session, iter(rows), COLUMNS)
                watch.keep(session, context, chunk.index, profile)
                predictions.update_batch(session, claim.organization_id, key, extra=extra, num_applications=total)
                if small:
                    open_reviews(session, context, list(rows.concerns()))
        warnings = _warnings(upload, done)
    _finish(installation, claim, watch, used, done, {**extra, "warnings": warnings})


def _warnings(upload: Upload, parts: list[Part]) -> list[str]:
    return [*upload.warnings, *told_warnings(part.warnings for part in parts)]


def _results(scorer: Scorer, used: ModelUsed, scored: Scored) -> pl.DataFrame:
    return table_of(scored, used.version, scorer.schema.id)


def _finish(
    installation: Installation, claim: Claim, watch: Watch, used: ModelUsed, parts: list[Part], extra: dict[str, Any]
) -> None:
    """Combine the parts and close the batch: the only entry of this act binds every row by the root of their hashes. The
    comparison of its inputs with those of training is an act of its own in the same transaction."""
    batch = watch.batch
    rows, rejected = sum(p.rows for p in parts), sum(p.rejected for p in parts)
    folder = folder_of(installation, batch.id)
    files = combine(folder / "parts", folder, parts)
    if rows == rejected:
        with installation.database.write(claim.organization_id) as session:
            extra = {**extra, "files": {REJECTS: files[REJECTS]}, "rejected": rejected, "scored": 0}
            predictions.update_batch(session, claim.organization_id, batch.id, num_applications=rows, extra=extra)
        raise InvalidInput(
            f"None of the {rows} rows can be scored; the reject file says why.",
            where=Where(file=batch.filename),
            remedy="Mend the rows, then send the file again.",
        )
    hashes = (folder / "records.sha256").read_bytes()
    root = tree.root([tree.leaf_hash(hashes[i : i + 32]) for i in range(0, len(hashes), 32)]).hex()
    results = pl.read_parquet(folder / "results.parquet", columns=["risk_level", "decision", "probability"])
    levels = {str(level): int(count) for level, count in results["risk_level"].value_counts().iter_rows()}
    decisions = {str(word): int(count) for word, count in results["decision"].value_counts().iter_rows()}
    now = installation.clock()
    context = claim.context(now)
    probability = results["probability"].to_numpy()
    counts, _ = np.histogram(probability, bins=50, range=(0.0, 1.0))
    extra = {
        **extra, "files": files, "records_root": root, "rejected": rejected, "scored": rows - rejected, "levels": levels, "decisions": decisions,
        "mean_probability": float(probability.mean()), "histogram": counts.tolist(),
    }  # fmt: skip
    drifted = watch.compare(rows - rejected)
    with installation.database.write(claim.organization_id) as session:
        extra["drift"] = watch.close(session, context, drifted)
        predictions.update_batch(
            session, claim.organization_id, batch.id, status="completed", processing_completed_at=now, error_message=None,
            num_applications=rows, results_file_path=f"batches/{batch.id}/{RESULTS}", extra=extra,
        )  # fmt: skip
        if rows > SMALL:  # the riskiest only: nobody can look at thousands
            worst = predictions.riskiest(session, claim.organization_id, batch.id, "High", MOST_FINDINGS)
            open_reviews(
                session,
                context,
                [Concern(p.id, p.subject_id, "High", p.extra["decision"], p.probability) for p in worst],
            )
        audit(session, context, "credit.batch.score", "batch", batch.id, details={
            "batch_id": str(batch.id), "file_sha256": batch.file_sha256, "model_sha256": used.sha256, "records_root": root,
            "results_sha256": files[RESULTS], "rejected": rejected, "rows": rows, "scored": rows - rejected,
        })  # fmt: skip
        claim.finish(session)


class Rows:
    """A chunk's predictions, made by column: the database rows and, in the same order, what the ledger commits to."""

    def __init__(self, context: Context, batch: Batch, used: ModelUsed, scorer: Scorer, chunk: Chunk, matrix: Matrix, scored: Scored,
                 milliseconds: float, *, inputs_stored: bool) -> None:  # fmt: skip
        self.context, self.batch, self.used = context, batch, used
        self.scorer, self.matrix, self.scored, self.milliseconds = scorer, matrix, scored, milliseconds
        self.positions = chunk.positions.tolist()
        self.subjects = [str(v) for v in scored.ids.to_list()]
        self.levels = [LEVELS[i] for i in scored.level.tolist()]
        self.decisions = [DECISIONS[i] for i in scored.decision.tolist()]
        self.probabilities = scored.probability.tolist()
        self.ids = [row_id(batch.id, n) for n in self.positions]
        salts = os.urandom(32 * len(self.ids))
        self.salts = [salts[i : i + 32] for i in range(0, len(salts), 32)]
        self.features = self._features() if inputs_stored else None
        self.contents = [
            f'{{"file":"{batch.file_sha256}","inputs_sha256":"{h}","row":{n}}}'
            for h, n in zip(self._input_hashes(), self.positions)
        ]
        self.metadata = self._metadata()
        self.explanations = list(self._explanations())
        self.hashes = self._record_hashes()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        encoded = types.Encoded
        fixed = {
            "organization_id": self.batch.organization_id, "prediction_type": TYPE, "ml_model_id": self.used.id, "user_id": self.batch.user_id,
            "batch_id": self.batch.id, "created_at": self.context.now, "processing_time_ms": self.milliseconds,
        }  # fmt: skip
        features: list[str] | list[None] = self.features or [None] * len(self.ids)
        for key, subject, content, level, p, f, why, row, meta, salt in zip(
            self.ids, self.subjects, self.contents, self.levels, self.probabilities, features, self.explanations, self.positions,
            self.metadata, self.salts,
        ):  # fmt: skip
            yield {
                **fixed, "id": key, "subject_id": subject, "content": encoded(content), "prediction_result": level, "probability": p,
                "features": encoded(f) if f is not None else None, "explanation": encoded(why), "batch_row": row, "metadata": encoded(meta),
                "record_salt": salt,
            }  # fmt: skip

    def concerns(self) -> Iterator[Concern]:
        for key, subject, level, decision, p in zip(
            self.ids, self.subjects, self.levels, self.decisions, self.probabilities
        ):
            yield Concern(key, subject, level, decision, p)

    def _features(self) -> list[str]:
        """Each row's inputs by name, canonical: for a batch small enough to keep them."""
        return [canonical.dumps(inputs(self.scorer.features, row)).decode() for row in self.matrix.values]

    def _input_hashes(self) -> list[str]:
        """SHA-256 of each row's vector as little-endian doubles: what the model saw, without keeping it."""
        rows = np.ascontiguousarray(self.matrix.values, dtype="<f8")
        sha256 = hashlib.sha256
        return [sha256(row).hexdigest() for row in rows]

    def _metadata(self) -> list[str]:
        """The canonical text of what :func:`plumbline.credit.decision.metadata` says of a single decision."""
        scored, model, number = self.scored, self.used.sha256, _number
        threshold = number(scored.threshold)
        flags = scored.flags
        quote = entry.quote
        return [
            f'{{"decision":"{decision}","flags":[{",".join(map(quote, flags.get(i, ())))}],"log_odds":{number(log_odds)},'
            f'"model_sha256":"{model}","points":{number(points)},"raw":{number(raw)},"threshold":{threshold}}}'
            for i, (decision, log_odds, points, raw) in enumerate(
                zip(self.decisions, scored.log_odds.tolist(), scored.points.tolist(), scored.raw.tolist())
            )
        ]

    def _explanations(self) -> Iterator[str]:
        """The reasons by code with their contributions; a replay makes the rest."""
        scored, number = self.scored, _number
        codes = [f'{{"code":{entry.quote(code)},"contribution":' for code in scored.reason_codes]
        weights = np.take_along_axis(
            np.ascontiguousarray(scored.groups.T), np.maximum(scored.reasons, 0).astype(np.intp), axis=1
        )
        for groups, values in zip(scored.reasons.tolist(), weights.tolist()):
            told = ",".join(f"{codes[g]}{number(v)}}}" for g, v in zip(groups, values) if g >= 0)
            yield f'{{"reasons":[{told}],"version":"{self.scorer.reasons.version}"}}'

    def _record_hashes(self) -> list[bytes]:
        at, none = clock.text(self.context.now), "null"
        features = self.features or [none] * len(self.ids)
        return [
            entry.commitment(salt, predictions.record_bytes(
                id=key, organization_id=self.batch.organization_id, prediction_type=TYPE, subject_id=subject, content=content, explanation=why,
                features=f,
                prediction_result=level, probability=p, model_sha256=self.used.sha256, batch_id=self.batch.id, created_at=at, metadata=meta,
            ))
            for key, subject, content, why, f, level, p, meta, salt in zip(
                self.ids, self.subjects, self.contents, self.explanations, features, self.levels, self.probabilities, self.metadata, self.salts
            )
        ]  # fmt: skip


def row_id(batch_id: UUID, row: int) -> UUID:
    """The key of a batch's row: the same whenever it is made, in the order of the file, at the time of the batch.

    A UUIDv7 whose 74 free bits are the row (34) and a part of the batch's own random ones (40).
    """
    mixed = (row & 0x3_FFFF_FFFF) << 40 | (batch_id.int & 0xFF_FFFF_FFFF)
    return UUID(
        int=(batch_id.int >> 80) << 80
        | 0x7000 << 64
        | (mixed >> 62) << 64
        | 0x8000_0000_0000_0000
        | (mixed & 0x3FFF_FFFF_FFFF_FFFF)
    )


def _number(value: float) -> str:
    """A double as RFC 8785 writes it; Python's own form is the same between these bounds, but for whole numbers."""
    if 1e-4 <= abs(value) < 1e15:
        text = repr(value)
        return text.removesuffix(".0")
    return canonical.dumps(value).decode()
