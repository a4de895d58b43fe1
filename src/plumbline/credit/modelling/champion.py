"""The champion: LightGBM, unweighted, small regularised trees with signs; its cross-validation and its search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from plumbline.credit.features.matrix import FeatureInfo, Matrix
from plumbline.credit.modelling.logistic import logistic
from plumbline.credit.modelling.trees import MAX_DEPTH
from plumbline.kernel.errors import InvalidInput, Where
from plumbline.kernel.models.metrics import log_loss

if TYPE_CHECKING:
    import lightgbm

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int8]

MANY_FEATURES = 100


@dataclass(frozen=True, slots=True)
class Settings:
    """Hyper-parameters. Row weights are none of them: they would make the probability wrong.

    ``feature_fraction`` None means 0.2 above 100 features, else 0.6.
    """

    trees: int = 150
    leaves: int = 16
    max_depth: int = 8
    learning_rate: float = 0.05
    min_child_samples: int = 40
    lambda_l2: float = 20.0
    feature_fraction: float | None = None
    bagging_fraction: float = 0.8
    bagging_freq: int = 1
    seed: int = 42
    threads: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.max_depth <= MAX_DEPTH:
            raise InvalidInput(f"max_depth must be 1 to {MAX_DEPTH}.", where=Where(field="max_depth"))
        if self.trees < 1 or self.leaves < 2 or self.threads < 1:
            raise InvalidInput("At least 1 tree, 2 leaves and 1 thread are needed.", where=Where(field="trees"))

    def parameters(self, features: Sequence[FeatureInfo]) -> dict[str, Any]:
        """LightGBM's parameters, complete and deterministic."""
        fraction = self.feature_fraction
        if fraction is None:
            fraction = 0.2 if len(features) > MANY_FEATURES else 0.6
        parameters: dict[str, Any] = {
            "objective": "binary", "num_leaves": self.leaves, "max_depth": self.max_depth,
            "learning_rate": self.learning_rate, "min_child_samples": self.min_child_samples,
            "lambda_l2": self.lambda_l2, "feature_fraction": fraction, "bagging_fraction": self.bagging_fraction,
            "bagging_freq": self.bagging_freq, "seed": self.seed, "num_threads": self.threads,
            "deterministic": True, "verbose": -1,
            # The same trees either way; stumps, of which each looks at the whole set, come 40 % faster by columns.
            "force_col_wise" if self.leaves == 2 else "force_row_wise": True,
        }  # fmt: skip
        signs = [f.monotone for f in features]
        if any(signs):
            parameters |= {"monotone_constraints": signs, "monotone_constraints_method": "advanced"}
        return parameters

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def checked_labels(y: npt.ArrayLike, rows: int) -> Labels:
    """The labels as 0 and 1 (1 = default).

    :raises InvalidInput: another number of rows, other values, or one class only.
    """
    labels = np.asarray(y)
    where = Where(field="target")
    if labels.shape != (rows,):
        raise InvalidInput(f"There are {rows} rows and {labels.size} labels.", where=where)
    if not np.isin(labels, (0, 1)).all():
        raise InvalidInput("Labels must be 0 (repaid) or 1 (default).", where=where,
                           remedy="Leave rows without an outcome out.")  # fmt: skip
    events = int(labels.sum())
    if not 0 < events < rows:
        raise InvalidInput(f"Training needs both outcomes; {events} of {rows} rows are defaults.", where=where)
    return labels.astype(np.int8)


def fit(values: Floats, y: Labels, features: Sequence[FeatureInfo], settings: Settings) -> str:
    """Train; the model as LightGBM's text. Same rows, settings, version and machine type: the same text."""
    return str(_booster(values, y, features, settings).model_to_string())


def _booster(values: Floats, y: Labels, features: Sequence[FeatureInfo], settings: Settings) -> lightgbm.Booster:
    import lightgbm

    parameters = settings.parameters(features)
    data = lightgbm.Dataset(values, y, params=parameters)
    return lightgbm.train(parameters, data, num_boost_round=settings.trees)


@dataclass(frozen=True, slots=True)
class CrossValidated:
    """Out-of-fold raw scores (log-odds) and the fold of each row."""

    raw: Floats
    fold: npt.NDArray[np.int64]

    @property
    def probability(self) -> Floats:
        return logistic(self.raw)


def cross_validate(
    matrix: Matrix,
    y: npt.ArrayLike,
    folds: int = 5,
    seed: int = 42,
    *,
    settings: Settings | None = None,
    groups: npt.NDArray[np.int64] | None = None,
) -> CrossValidated:
    """Score every row by a model that has not seen it: stratified folds, shuffled by ``seed``.

    :param groups: the number of the first row like each row (:func:`splits.equal_rows`): equal rows share a fold.
    """
    from sklearn.model_selection import StratifiedKFold

    labels = checked_labels(y, len(matrix.values))
    if min(int(labels.sum()), int((labels == 0).sum())) < folds:
        raise InvalidInput(f"{folds} folds need at least {folds} rows of each outcome.", where=Where(field="target"))
    chosen = settings or Settings()
    fold = np.empty(len(labels), dtype=np.int64)
    parts = StratifiedKFold(folds, shuffle=True, random_state=seed).split(np.zeros(len(labels)), labels)
    for number, (_, held) in enumerate(parts):
        fold[held] = number
    if groups is not None:
        fold = fold[groups]
    raw = np.empty(len(labels))
    for number in range(folds):
        held = fold == number
        booster = _booster(np.asfortranarray(matrix.values[~held]), labels[~held], matrix.features, chosen)
        # A fold's model is used this once: its tables, which give the same bits, would cost more than they save.
        raw[held] = booster.predict(matrix.values[held], raw_score=True, num_threads=chosen.threads)
    return CrossValidated(raw, fold)


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting of a search with its cross-validated log loss."""

    settings: Settings
    log_loss: float


def search(
    matrix: Matrix,
    y: npt.ArrayLike,
    *,
    settings: Settings | None = None,
    folds: int = 5,
    groups: npt.NDArray[np.int64] | None = None,
) -> list[Trial]:
    """Twelve settings around the given ones, best first, by cross-validated log loss alone."""
    start = settings or Settings()
    around = [
        replace(start, leaves=leaves, lambda_l2=l2, learning_rate=rate)
        for leaves, l2, rate in product((16, 8), (20.0, 5.0, 60.0), (0.05, 0.04))
    ]
    trials = [
        Trial(s, log_loss(y, cross_validate(matrix, y, folds, s.seed, settings=s, groups=groups).probability))
        for s in around
    ]
    return sorted(trials, key=lambda trial: trial.log_loss)
