"""From files to a registered model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from plumbline.credit.intake.readers import Limits, open_upload
from plumbline.credit.intake.schema import Schema
from plumbline.credit.results import told_warnings
from plumbline.kernel.context import Context
from plumbline.kernel.errors import Conflict, InvalidInput, Where
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger.service import Act
from plumbline.kernel.models import service as models
from plumbline.kernel.models.artifacts import pack
from plumbline.kernel.models.tables import Model

if TYPE_CHECKING:
    from plumbline.credit.modelling.leaks import Alarm, LeakReport
    from plumbline.credit.modelling.training import Trained

Progress = Callable[[str], None]
MOST_STATED = 2_000
"""Characters of each statement on the model card."""
SHORTEST_REASON = 20
LOWEST_RATIO = "lowest_approval_rate_ratio"


@dataclass(frozen=True, slots=True)
class Checked:
    """What a look at files found: ``tables`` holds the accepted rows, ``rejects`` one line per fault.

    :ivar leaks: what gives the outcome away, of files for training that hold both outcomes; else None.
    """

    tables: dict[str, pl.DataFrame]
    rejects: pl.DataFrame
    rows: int
    rejected_rows: int
    warnings: list[str]
    leaks: LeakReport | None = None


def limits_of(installation: Installation) -> Limits:
    settings = installation.settings
    return Limits(max_bytes=settings.max_upload_bytes, max_unpacked_bytes=settings.max_unpacked_bytes)


def check_files(path: Path, schema: Schema, *, scoring: bool, limits: Limits, leaks: bool = False) -> Checked:
    """Read and validate a file, a ZIP or a folder whole: as training does, and ``credit check``.

    :param leaks: also look for columns that give the outcome away (training does it by itself).
    """
    with open_upload(path, schema, scoring=scoring, limits=limits) as upload:
        frames, rejects, odd, rows, rejected = [], [], [], 0, 0
        for chunk in upload.chunks():
            frames.append(chunk.frame)
            rejects.append(chunk.rejects)
            odd.append(chunk.warnings)
            rows, rejected = rows + chunk.rows, rejected + chunk.rejected_rows
        tables = {schema.main.name: pl.concat(frames, how="vertical"), **upload.linked}
        found = leaks_of(tables, schema) if leaks and not scoring else None
        return Checked(
            tables, pl.concat(rejects, how="vertical"), rows, rejected, [*upload.warnings, *told_warnings(odd)], found
        )


def leaks_of(tables: Mapping[str, pl.DataFrame], schema: Schema) -> LeakReport | None:
    """What gives the outcome away in the rows whose outcome is known; None if they do not hold both outcomes."""
    from plumbline.credit.modelling.leaks import check_tables

    if schema.target is None or schema.target.column not in tables[schema.main.name].columns:
        return None
    known = tables[schema.main.name].filter(pl.col(schema.target.column).is_not_null())
    labels = labels_of(known[schema.target.column], schema.target.bad)
    if not 0 < labels.sum() < len(labels):
        return None
    return check_tables({**tables, schema.main.name: known}, labels, schema)


def train(installation: Installation, context: Context, *, tables: Mapping[str, pl.DataFrame], schema: Schema, name: str | None = None,
          seed: int = 42, exclude_protected: bool = True, threads: int = 1, searched: bool = False, told: Progress = lambda _: None,
          source: str | None = None, accept_leak: str | None = None, limit: float = 0.8, twin_champion: bool = False,
          stated: Mapping[str, str | None] | None = None) -> Model:  # fmt: skip
    """Look for leaks, fit the transformer, the champion and its additive twin, measure them by groups too, store the
    artefact and register the version (not yet active).

    :param tables: validated tables with the label in the main one.
    :param exclude_protected: leave out everything made from a protected attribute (recorded either way).
    :param accept_leak: why to train although columns give the outcome away; stands in the audit entry and with the model.
    :param limit: least approval-rate ratio of a group that passes.
    :param twin_champion: the additive twin itself decides, with its points.
    :param stated: what the model card shall say that no record can: ``purpose``, ``owner``, ``not_for``.
    :raises InvalidInput: no label, labels of one class only, too few rows, a reason of less than 20 characters.
    :raises Conflict: columns give the outcome away, and no reason was given.
    """
    from plumbline.credit.features.transformer import Transformer
    from plumbline.credit.modelling.artifact import members_of
    from plumbline.credit.modelling.champion import Settings
    from plumbline.credit.modelling.fairness import LEAST
    from plumbline.credit.modelling.groups import groups_of, outside, proxies
    from plumbline.credit.modelling.leaks import check_features
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
    inputs = {**tables, schema.main.name: known}
    reason, called = _reason(accept_leak), name or schema.model or "credit-risk"
    told("leaks")
    leaks = leaks_of(inputs, schema)
    alarms = list(leaks.alarms) if leaks else []
    _refuse(installation, context, alarms, reason, called)
    told("features")
    transformer = Transformer.fit(inputs, schema, exclude_protected=exclude_protected)
    matrix = transformer.transform(inputs)
    alarms += check_features(matrix, labels, schema.main.name)
    _refuse(installation, context, alarms, reason, called)
    groups = groups_of(known, schema)
    told("training")
    trained = fit(
        matrix, labels, settings=Settings(seed=seed, threads=threads), costs=(schema.costs.false_negative, schema.costs.false_positive),
        reasons=schema.reasons, times=known[schema.time] if schema.time else None, searched=searched, groups=groups, limit=limit,
        additive=twin_champion,
    )  # fmt: skip
    audit: dict[str, Any] | None = None
    if trained.report.fairness is not None:
        told("groups")
        audit = {
            **trained.report.fairness.to_dict(),
            "outside": outside(transformer.transform, trained.tables.raw, inputs, schema, seed=seed).to_dict(),
            "proxies": [asdict(p) for p in proxies(matrix, groups, least=LEAST, seed=seed)],
        }
    told("registering")
    probability = logistic(trained.calibration.apply(trained.tables.raw(matrix.values)))
    members = members_of(trained, transformer=transformer.to_dict(), schema=schema.to_dict())
    return models.register(
        installation, context, name=called, kind="credit", framework="lightgbm", model_type="classification",
        artifact=pack(members),
        features=[{"name": f.name, "dtype": f.kind, "reason": f.reason, "text": f.text} for f in trained.features],
        target_classes=["repaid", "default"], metrics=trained.report.headline, trained_at=context.now,
        evaluations=_evaluations(trained, audit), right="credit.train", reference=monitoring.reference(matrix, probability),
        noted={"leaks": [a.column for a in alarms], "leaks_accepted": reason} if alarms else None,
        extra={
            "stated": {name: text.strip()[:MOST_STATED] for name, text in (stated or {}).items() if text and text.strip()},
            "schema": schema.name, "source": source, "training": trained.data.to_dict(), "protected_excluded": exclude_protected,
            "threshold": trained.policy.threshold, "policy": trained.policy.to_dict(), "warnings": trained.report.warnings,
            "curve": trained.report.curve.to_dict(), "threshold_choice": trained.report.to_dict()["threshold"],
            "reliability": trained.report.to_dict()["reliability"], "calibration": trained.calibration.to_dict(),
            "without_reason_text": list(trained.reasons.without_text), "seed": seed, "twin": trained.report.twin.to_dict(),
            "leaks": None if leaks is None else {
                "alarms": [asdict(a) for a in alarms], "accepted": reason if alarms else None, "rows": leaks.rows, "rows_given": leaks.rows_given,
                "columns": len(leaks.columns), "best": asdict(leaks.best) if leaks.best else None, "limits": asdict(leaks.limits),
            },
        },
    )  # fmt: skip


def _reason(given: str | None) -> str | None:
    if given is None:
        return None
    reason = given.strip()
    if len(reason) < SHORTEST_REASON:
        raise InvalidInput("The reason to train in spite of a leak is too short.", where=Where(field="accept_leak"),
                           remedy=f"Write at least {SHORTEST_REASON} characters; you wrote {len(reason)}.")  # fmt: skip
    return reason


def _refuse(
    installation: Installation, context: Context, alarms: Sequence[Alarm], reason: str | None, name: str
) -> None:
    """Nothing is trained on what gives the outcome away, unless somebody says why; that it was tried stands in the log."""
    if not alarms or reason is not None:
        return
    with Act(installation.database, context, "credit.train", "model", right="credit.train") as act:
        act.done(name=name, leaks=[a.column for a in alarms])
        listed = "; ".join(f"{a.column}: {a.text.removesuffix('.')}" for a in alarms[:10])
        more = f" ({len(alarms) - 10} more)." if len(alarms) > 10 else "."
        raise Conflict(f"The outcome leaks into the data; nothing was trained. {listed}{more}", where=Where(column=alarms[0].column),
                       remedy="Leave these columns out or mend the data; or train in spite of it and give the reason (--accept-leak).")  # fmt: skip


def labels_of(column: pl.Series, bad: object) -> np.ndarray[Any, np.dtype[np.int8]]:
    """1 where the outcome is the bad one."""
    if column.dtype.is_numeric() and isinstance(bad, int | float):
        return (column == bad).cast(pl.Int8).to_numpy()
    return (column.cast(pl.String) == str(bad)).cast(pl.Int8).to_numpy()


def _evaluations(trained: Trained, audit: dict[str, Any] | None) -> list[models.Evaluated]:
    """One for each data set; that of the policy rows also says how groups fare, by the rows of policy and test together."""
    report = trained.report
    lowest = report.fairness.lowest if report.fairness else None
    made = []
    for dataset, evaluation in report.evaluations.items():
        counts = evaluation.counts
        values, intervals = dict(evaluation.values), dict(evaluation.intervals)
        if dataset == "policy" and lowest is not None:
            values[LOWEST_RATIO] = lowest.ratio.value
            intervals[LOWEST_RATIO] = (lowest.ratio.low, lowest.ratio.high)
        made.append(models.Evaluated(
            dataset=dataset, sample_count=evaluation.rows, metrics=values, undefined=dict(evaluation.undefined),
            intervals={name: (float(low), float(high)) for name, (low, high) in intervals.items()},
            confusion_matrix={"labels": ["repaid", "default"], "counts": [[counts.tn, counts.fp], [counts.fn, counts.tp]],
                              "threshold": trained.policy.threshold},
            feature_importance=report.importance,
            cross_validation_scores={**report.folds, "protocol": trained.data.protocol, "seed": trained.settings.seed},
            training_data_size=trained.data.rows,
            extra={"histogram": report.histograms[dataset].tolist(), **({"fairness": audit} if audit and dataset == "policy" else {})},
        ))  # fmt: skip
    return made
