"""From files to a registered model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from plumbline.credit.intake.readers import Limits, open_upload
from plumbline.credit.intake.schema import Schema
from plumbline.credit.results import told_warnings
from plumbline.kernel.context import Context
from plumbline.kernel.errors import InvalidInput, Where
from plumbline.kernel.installation import Installation
from plumbline.kernel.models import service as models
from plumbline.kernel.models.artifacts import pack
from plumbline.kernel.models.tables import Model

if TYPE_CHECKING:
    from plumbline.credit.modelling.training import Trained

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Checked:
    """What a look at files found: ``tables`` holds the accepted rows, ``rejects`` one line per fault."""

    tables: dict[str, pl.DataFrame]
    rejects: pl.DataFrame
    rows: int
    rejected_rows: int
    warnings: list[str]


def limits_of(installation: Installation) -> Limits:
    settings = installation.settings
    return Limits(max_bytes=settings.max_upload_bytes, max_unpacked_bytes=settings.max_unpacked_bytes)


def check_files(path: Path, schema: Schema, *, scoring: bool, limits: Limits) -> Checked:
    """Read and validate a file, a ZIP or a folder whole: as training does, and ``credit check``."""
    with open_upload(path, schema, scoring=scoring, limits=limits) as upload:
        frames, rejects, odd, rows, rejected = [], [], [], 0, 0
        for chunk in upload.chunks():
            frames.append(chunk.frame)
            rejects.append(chunk.rejects)
            odd.append(chunk.warnings)
            rows, rejected = rows + chunk.rows, rejected + chunk.rejected_rows
        tables = {schema.main.name: pl.concat(frames, how="vertical"), **upload.linked}
        return Checked(
            tables, pl.concat(rejects, how="vertical"), rows, rejected, [*upload.warnings, *told_warnings(odd)]
        )


def train(installation: Installation, context: Context, *, tables: Mapping[str, pl.DataFrame], schema: Schema, name: str | None = None,
          seed: int = 42, exclude_protected: bool = True, threads: int = 1, searched: bool = False, told: Progress = lambda _: None,
          source: str | None = None) -> Model:  # fmt: skip
    """Fit the transformer and the champion, measure them, store the artefact and register the version (not yet active).

    :param tables: validated tables with the label in the main one.
    :param exclude_protected: leave out everything made from a protected attribute (recorded either way).
    :raises InvalidInput: no label, labels of one class only, too few rows.
    """
    from plumbline.credit.features.transformer import Transformer
    from plumbline.credit.modelling.artifact import members_of
    from plumbline.credit.modelling.champion import Settings
    from plumbline.credit.modelling.logistic import logistic
    from plumbline.credit.modelling.training import train as fit
    from plumbline.credit.service import monitoring

    context.require("credit.train")
    if schema.target is None:
        raise InvalidInput(
            "The schema names no target.", where=Where(field="target"), remedy='Add target = { column = "…", bad = 1 }.'
        )
    main = tables[schema.main.name]
    known = main.filter(pl.col(schema.target.column).is_not_null())
    if known.height == 0:
        raise InvalidInput("No row has an outcome.", where=Where(table=schema.main.name, column=schema.target.column),
                           remedy="Train on applications whose outcome is known.")  # fmt: skip
    labels = labels_of(known[schema.target.column], schema.target.bad)
    told("features")
    inputs = {**tables, schema.main.name: known}
    transformer = Transformer.fit(inputs, schema, exclude_protected=exclude_protected)
    matrix = transformer.transform(inputs)
    told("training")
    trained = fit(
        matrix, labels, settings=Settings(seed=seed, threads=threads), costs=(schema.costs.false_negative, schema.costs.false_positive),
        reasons=schema.reasons, times=known[schema.time] if schema.time else None, searched=searched,
    )  # fmt: skip
    told("registering")
    probability = logistic(trained.calibration.apply(trained.tables.raw(matrix.values)))
    members = members_of(trained, transformer=transformer.to_dict(), schema=schema.to_dict())
    return models.register(
        installation, context, name=name or schema.model or "credit-risk", kind="credit", framework="lightgbm", model_type="classification",
        artifact=pack(members),
        features=[{"name": f.name, "dtype": f.kind, "reason": f.reason, "text": f.text} for f in trained.features],
        target_classes=["repaid", "default"], metrics=trained.report.headline, trained_at=context.now,
        evaluations=_evaluations(trained), right="credit.train", reference=monitoring.reference(matrix, probability),
        extra={
            "schema": schema.name, "source": source, "training": trained.data.to_dict(), "protected_excluded": exclude_protected,
            "threshold": trained.policy.threshold, "policy": trained.policy.to_dict(), "warnings": trained.report.warnings,
            "curve": trained.report.curve.to_dict(), "threshold_choice": trained.report.to_dict()["threshold"],
            "reliability": trained.report.to_dict()["reliability"], "calibration": trained.calibration.to_dict(),
            "without_reason_text": list(trained.reasons.without_text), "seed": seed,
        },
    )  # fmt: skip


def labels_of(column: pl.Series, bad: object) -> np.ndarray[Any, np.dtype[np.int8]]:
    """1 where the outcome is the bad one."""
    if column.dtype.is_numeric() and isinstance(bad, int | float):
        return (column == bad).cast(pl.Int8).to_numpy()
    return (column.cast(pl.String) == str(bad)).cast(pl.Int8).to_numpy()


def _evaluations(trained: Trained) -> list[models.Evaluated]:
    report = trained.report
    made = []
    for dataset, evaluation in report.evaluations.items():
        counts = evaluation.counts
        made.append(models.Evaluated(
            dataset=dataset, sample_count=evaluation.rows, metrics=dict(evaluation.values), undefined=dict(evaluation.undefined),
            intervals={name: (float(low), float(high)) for name, (low, high) in evaluation.intervals.items()},
            confusion_matrix={"labels": ["repaid", "default"], "counts": [[counts.tn, counts.fp], [counts.fn, counts.tp]],
                              "threshold": trained.policy.threshold},
            feature_importance=report.importance,
            cross_validation_scores={**report.folds, "protocol": trained.data.protocol, "seed": trained.settings.seed},
            training_data_size=trained.data.rows,
            extra={"histogram": report.histograms[dataset].tolist()},
        ))  # fmt: skip
    return made
