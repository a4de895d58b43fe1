"""Train a champion with split discipline: what it learnt, what it is worth, and on which rows that was measured."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from plumbline.credit.features.matrix import FeatureInfo, Matrix
from plumbline.credit.modelling.champion import (
    CrossValidated,
    Labels,
    Settings,
    Trial,
    checked_labels,
    cross_validate,
    fit,
    search,
)
from plumbline.credit.modelling.contributions import TreeTables
from plumbline.credit.modelling.fairness import LIMIT, FairnessReport, fairness
from plumbline.credit.modelling.logistic import logistic
from plumbline.credit.modelling.policy import (
    DISAGREES,
    CostCurve,
    Policy,
    ThresholdChoice,
    choose_threshold,
    cost_curve,
    warnings,
)
from plumbline.credit.modelling.reasons import ReasonBook
from plumbline.credit.modelling.splits import Split, split
from plumbline.credit.modelling.trees import Forest
from plumbline.credit.modelling.twin import Twin, TwinReport, settings_of, train_twin
from plumbline.kernel.models import metrics
from plumbline.kernel.models.calibration import (
    CalibrationMap,
    CalibrationTest,
    calibrate_if_needed,
    calibration,
    fit_platt,
)
from plumbline.kernel.models.metrics import Evaluation, ReliabilityPoint, Undefined

Floats = npt.NDArray[np.float64]

HEADLINE = ("roc_auc", "gini", "ks", "brier", "ece", "calibration_slope", "cost_per_application", "approval_rate")


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What a model learnt from: the hash of its rows, how many, how many defaults, and how they were split."""

    sha256: str
    rows: int
    events: int
    protocol: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """Everything measured at training, each number on rows that had no part in what it measures.

    :ivar headline: the main measures on the test rows (out of fold if there are none).
    :ivar evaluations: dataset (cross_validation, policy, test) to its measures with intervals.
    :ivar histograms: dataset to additive score histograms, shape (2, 1000).
    :ivar folds: measure to its value in each fold.
    :ivar importance: share of the mean absolute contribution by feature, largest first.
    :ivar twin: the additive twin beside the champion, and what it gives up.
    :ivar fairness: how groups fare on policy and test rows together, each scored by a model that had not seen it; None
        where no group is known.
    """

    headline: dict[str, float]
    evaluations: dict[str, Evaluation]
    histograms: dict[str, npt.NDArray[np.int64]]
    folds: dict[str, list[float]]
    curve: CostCurve
    reliability: list[ReliabilityPoint]
    threshold: ThresholdChoice
    calibration: CalibrationTest | None
    importance: dict[str, float]
    twin: TwinReport
    warnings: list[str] = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)
    fairness: FairnessReport | None = None

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able form, stored in the artefact."""
        return {
            "headline": self.headline,
            "evaluations": {name: asdict(e) for name, e in self.evaluations.items()},
            "histograms": {name: h.tolist() for name, h in self.histograms.items()},
            "folds": self.folds,
            "curve": self.curve.to_dict(),
            "reliability": [asdict(point) for point in self.reliability],
            "threshold": asdict(self.threshold),
            "calibration": None if self.calibration is None else asdict(self.calibration),
            "importance": self.importance,
            "twin": self.twin.to_dict(),
            "fairness": None if self.fairness is None else self.fairness.to_dict(),
            "warnings": self.warnings,
            "trials": [{"settings": t.settings.to_dict(), "log_loss": t.log_loss} for t in self.trials],
        }


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained champion and its additive twin, ready to be packed into an artefact."""

    text: str
    tables: TreeTables
    twin: Twin
    features: tuple[FeatureInfo, ...]
    settings: Settings
    calibration: CalibrationMap
    policy: Policy
    reasons: ReasonBook
    data: TrainingData
    report: TrainingReport


def data_hash(matrix: Matrix, y: Labels) -> str:
    """SHA-256 over names, ids, values and labels in row order."""
    digest = hashlib.sha256()
    digest.update("\n".join(matrix.names).encode())
    digest.update("\n".join(map(str, matrix.ids.to_list())).encode())
    for column in matrix.values.T:
        digest.update(np.ascontiguousarray(column).data)
    digest.update(y.data)
    return digest.hexdigest()


def evaluate(
    y: npt.ArrayLike, log_odds: Floats, *, threshold: float, cost_fn: float, cost_fp: float, seed: int = 0
) -> Evaluation:
    """The room's measures: the kernel's, with cost_per_application, approval_rate and the calibration line."""
    probability = logistic(log_odds)
    result = metrics.evaluate(y, probability, threshold=threshold, cost_fn=cost_fn, cost_fp=cost_fp, seed=seed)
    if "cost_per_case" in result.values:
        result.values["cost_per_application"] = result.values.pop("cost_per_case")
    try:
        approved = result.counts.fn + result.counts.tn
        result.intervals["approval_rate"] = metrics.wilson(approved, result.rows)
        result.values["approval_rate"] = approved / result.rows
        test = calibration(y, log_odds)
        result.values["calibration_intercept"] = test.intercept
        result.values["calibration_slope"] = test.slope
        result.values["calibration_p"] = test.p
    except Undefined as reason:
        result.undefined["calibration_slope" if result.rows else "approval_rate"] = str(reason)
    return result


def _part(matrix: Matrix, rows: npt.NDArray[np.intp]) -> Matrix:
    return Matrix(matrix.ids.gather(rows), np.asfortranarray(matrix.values[rows]), matrix.features)


def _importance(tables: TreeTables, values: Floats, features: tuple[FeatureInfo, ...]) -> dict[str, float]:
    total = np.zeros(len(features))
    for _, explained in tables.blocks(values):
        total += np.abs(explained.contributions).sum(axis=1)
    whole = float(total.sum())
    shares = {f.name: float(t / whole) if whole else 0.0 for f, t in zip(features, total, strict=True)}
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def _by_fold(y: Labels, out_of_fold: CrossValidated) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {"roc_auc": [], "log_loss": [], "brier": []}
    for number in range(int(out_of_fold.fold.max()) + 1):
        held = out_of_fold.fold == number
        probability = out_of_fold.probability[held]
        try:
            for name, measure in (
                ("roc_auc", metrics.roc_auc),
                ("log_loss", metrics.log_loss),
                ("brier", metrics.brier),
            ):
                found[name].append(measure(y[held], probability))
        except Undefined:
            continue
    return found


def train(
    matrix: Matrix,
    y: npt.ArrayLike,
    *,
    settings: Settings | None = None,
    costs: tuple[float, float] = (10.0, 1.0),
    reasons: Mapping[str, Any] | None = None,
    times: pl.Series | None = None,
    folds: int = 5,
    searched: bool = False,
    data_sha256: str | None = None,
    groups: pl.DataFrame | None = None,
    limit: float = LIMIT,
    additive: bool = False,
) -> Trained:
    """Train a champion on a matrix and its labels (1 = default).

    Training rows teach; policy rows (out-of-fold below 20,000 rows) decide about calibration and threshold; test rows
    are scored once, at the end, by what is shipped.

    :param costs: cost of a missed default, cost of a refused good application.
    :param reasons: the schema's reasons by code.
    :param times: when each application was made; then the latest rows are the test.
    :param searched: choose among twelve settings by cross-validated log loss on the training rows.
    :param data_sha256: hash of the raw data, if the caller has it; else that of matrix and labels.
    :param groups: each row's group by audited attribute (:func:`groups.groups_of`); no model sees it.
    :param limit: least approval-rate ratio that passes.
    :param additive: the champion is the additive twin: stumps, calibrated by a line, whose points are the decision's.
    :raises InvalidInput: labels other than 0/1, or fewer rows of an outcome than folds.
    """
    labels = checked_labels(y, len(matrix.values))
    chosen = settings or Settings()
    cost_fn, cost_fp = costs
    parts = split(matrix.ids, matrix.values, times=times, seed=chosen.seed)
    learnt, outcome = _part(matrix, parts.train), labels[parts.train]
    alike = np.unique(parts.groups[parts.train], return_index=True, return_inverse=True)
    firsts = alike[1][alike[2]]

    trials = search(learnt, outcome, settings=chosen, folds=folds, groups=firsts) if searched else []
    chosen = trials[0].settings if trials else chosen
    chosen = settings_of(chosen) if additive else chosen
    out_of_fold = cross_validate(learnt, outcome, folds, chosen.seed, settings=chosen, groups=firsts)
    text = fit(learnt.values, outcome, matrix.features, chosen)
    tables = TreeTables.build(Forest.from_text(text))

    scored: dict[str, tuple[Labels, Floats]] = {"cross_validation": (outcome, out_of_fold.raw)}
    scored["policy"], places = scored["cross_validation"], {"policy": parts.train}
    for name, rows in (("policy", parts.policy), ("test", parts.test)):
        if len(rows):
            scored[name] = (labels[rows], tables.raw(np.asfortranarray(matrix.values[rows])))
            places[name] = rows
    known, raw = scored["policy"]
    fitted, test = calibrate_if_needed(known, raw)
    if additive and fitted.kind == "isotonic":
        fitted = fit_platt(known, raw)  # a line keeps the sum over features one
    policy_probability = logistic(fitted.apply(raw))
    threshold = choose_threshold(known, policy_probability, cost_fn, cost_fp, seed=chosen.seed)
    policy = Policy(threshold.threshold, cost_fn, cost_fp)
    if additive:  # there is no second opinion to ask
        policy = replace(policy, review_flags=tuple(f for f in policy.review_flags if f != DISAGREES))

    twin, twin_report = train_twin(
        learnt, outcome, chosen, policy.scale, out_of_fold=out_of_fold.raw, folds=folds, groups=firsts,
        test=(*scored["test"], matrix.values[parts.test]) if "test" in scored else None,
        decides=(text, fitted.slope, fitted.intercept) if additive else None,
    )  # fmt: skip
    audit = None if groups is None or not groups.width else fairness(
        pl.concat([groups[places[name]] for name in places]), np.concatenate([scored[name][0] for name in places]),
        fitted.apply(np.concatenate([scored[name][1] for name in places])), threshold=policy.threshold, limit=limit,
    )  # fmt: skip

    evaluations, histograms = {}, {}
    for name, (truth, score) in scored.items():
        log_odds = fitted.apply(score)
        evaluations[name] = evaluate(
            truth, log_odds, threshold=policy.threshold, cost_fn=cost_fn, cost_fp=cost_fp, seed=chosen.seed
        )
        histograms[name] = metrics.histogram(truth, logistic(log_odds))
    told = evaluations.get("test", evaluations["cross_validation"])
    told = told if "roc_auc" in told.values else evaluations["cross_validation"]
    sample = learnt.values[:: max(1, len(learnt.values) // 20_000)]
    report = TrainingReport(
        headline={name: told.values[name] for name in HEADLINE if name in told.values},
        evaluations=evaluations,
        histograms=histograms,
        folds=_by_fold(outcome, out_of_fold),
        curve=cost_curve(known, policy_probability, cost_fn, cost_fp, seed=chosen.seed),
        reliability=metrics.reliability(known, policy_probability),
        threshold=threshold,
        calibration=test,
        importance=_importance(tables, np.asfortranarray(sample), matrix.features),
        twin=twin_report,
        fairness=audit,
        warnings=warnings(policy_probability, policy),
        trials=trials,
    )
    return Trained(
        text=text,
        tables=tables,
        twin=twin,
        features=matrix.features,
        settings=chosen,
        calibration=fitted,
        policy=policy,
        reasons=ReasonBook.of(matrix.features, reasons),
        data=TrainingData(data_sha256 or data_hash(matrix, labels), len(labels), int(labels.sum()), _told(parts)),
        report=report,
    )


def _told(parts: Split) -> str:
    return f"{parts.protocol}; rows {len(parts.train)}/{len(parts.policy)}/{len(parts.test)}"
