"""How well the champion ranks and how true its probabilities are, on real sets, beside the usual learners.

Protocol: stratified 5-fold, seed 42, every figure out of fold. The transformer is fitted on the training rows of each
fold, and all learners get the same matrix; the logistic regression gets medians for what is missing, standardised
numbers and a column per level. The gates were set for the champion's settings without demanded signs, so that all
learners are free alike; what the signs of the schema cost stands in rows of its own.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from benchmarks.harness import Bench
from plumbline.credit.features.matrix import FeatureInfo
from plumbline.credit.features.transformer import Transformer
from plumbline.credit.intake.readers import open_frames
from plumbline.credit.intake.schema import Schema
from plumbline.credit.modelling import champion
from plumbline.credit.modelling.contributions import TreeTables
from plumbline.credit.modelling.logistic import logistic
from plumbline.credit.modelling.trees import Forest
from plumbline.kernel.models import metrics
from plumbline.kernel.models.calibration import calibration

Floats = npt.NDArray[np.float64]
SCHEMAS = Path(__file__).with_name("schemas")
FOLDS, SEED = 5, 42
OURS, SIGNED = "ours", "ours, with the signs of the schema"
PEERS = ("LightGBM defaults", "logistic regression")


@dataclass(frozen=True, slots=True)
class RealSet:
    """A set, where it lies below ``credit/``, and what the champion must reach on it."""

    name: str
    schema: str
    files: Mapping[str, str]
    auc: float
    slope: tuple[float, float]
    without_protected: bool = False


SETS = (
    RealSet("Give Me Some Credit", "gmsc", {"applicants": "give_me_some_credit/train"}, 0.864, (0.9, 1.1)),
    RealSet("UCI default", "uci", {"clients": "uci_default/train"}, 0.782, (0.9, 1.1)),
    RealSet("HELOC", "heloc", {"applicants": "heloc/train"}, 0.805, (0.9, 1.1)),
    RealSet("Home Credit, one table", "home_credit", {"application": "home_credit/application"}, 0.738, (0.8, 1.25)),
    RealSet("same, protected excluded", "home_credit", {"application": "home_credit/application"}, 0.734, (0.8, 1.25), True),
    RealSet(
        "Home Credit, six linked tables", "home_credit",
        {"application": "home_credit/linked/application_train"} | {
            name: f"home_credit/linked/{name}"
            for name in ("bureau", "bureau_balance", "previous_application", "POS_CASH_balance", "credit_card_balance")
        },
        0.742, (0.8, 1.25),
    ),
)  # fmt: skip


def schema_of(real: RealSet) -> Schema:
    """The set's schema, less the tables that are not there: their features would be empty columns."""
    schema = Schema.load(SCHEMAS / f"{real.schema}.toml" if (SCHEMAS / f"{real.schema}.toml").exists() else real.schema)
    tables = {name: table for name, table in schema.tables.items() if name in real.files}
    return replace(schema, tables=tables, features=tuple(f for f in schema.features if f.table in tables))


def read(folder: Path, real: RealSet, schema: Schema) -> dict[str, pl.DataFrame]:
    """The set as the product reads it: typed by its schema, rows it refuses left out."""
    given = {name: pl.read_parquet(folder / "credit" / f"{file}.parquet") for name, file in real.files.items()}
    given = {
        name: frame.select([c for c in frame.columns if c in schema.tables[name].columns])
        for name, frame in given.items()
    }
    with open_frames(given, schema, scoring=False) as upload:
        main = pl.concat([chunk.frame for chunk in upload.chunks()])
        return {schema.main.name: main, **upload.linked}


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """Labels (1 = bad) and each learner's probability for every row."""

    y: npt.NDArray[np.int8]
    probability: dict[str, Floats]
    features: int


def out_of_fold(tables: Mapping[str, pl.DataFrame], schema: Schema, *, exclude_protected: bool) -> OutOfFold:
    from sklearn.model_selection import StratifiedKFold

    assert schema.target is not None
    main = tables[schema.main.name]
    y = (main[schema.target.column] == schema.target.bad).cast(pl.Int8).to_numpy()
    found = {name: np.empty(len(y)) for name in (OURS, SIGNED, *PEERS)}
    width = 0
    for learnt, held in StratifiedKFold(FOLDS, shuffle=True, random_state=SEED).split(np.zeros(len(y)), y):
        training = {**tables, schema.main.name: main[learnt]}
        transformer = Transformer.fit(training, schema, exclude_protected=exclude_protected)
        a, b = transformer.transform(training), transformer.transform({**tables, schema.main.name: main[held]})
        width = len(a.features)
        free = tuple(replace(feature, monotone=0) for feature in a.features)
        for name, features in ((OURS, free), (SIGNED, a.features)):
            text = champion.fit(a.values, y[learnt], features, champion.Settings())
            found[name][held] = logistic(TreeTables.build(Forest.from_text(text)).raw(b.values))
        found["LightGBM defaults"][held] = _defaults(a.values, y[learnt], b.values)
        found["logistic regression"][held] = _regression(a.values, y[learnt], b.values, a.features)
    return OutOfFold(y, found, width)


def _defaults(values: Floats, y: npt.NDArray[np.int8], held: Floats) -> Floats:
    import lightgbm

    booster = lightgbm.train(
        {"objective": "binary", "verbose": -1, "num_threads": 1}, lightgbm.Dataset(values, y), num_boost_round=100
    )
    return np.asarray(booster.predict(held, num_threads=1), dtype=np.float64)


def _regression(values: Floats, y: npt.NDArray[np.int8], held: Floats, features: tuple[FeatureInfo, ...]) -> Floats:
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = [i for i, f in enumerate(features) if f.kind == "numeric"]
    levels = [i for i, f in enumerate(features) if f.kind == "category"]
    encoded = make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
        (OneHotEncoder(handle_unknown="ignore"), levels),
    )
    model: Any = make_pipeline(encoded, LogisticRegression(max_iter=500))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # columns that are empty in a fold, and the solver's wish for more rounds
        model.fit(values, y)
        return np.asarray(model.predict_proba(held)[:, 1], dtype=np.float64)


def run(bench: Bench) -> None:
    """AUC, slope, and error of calibration beside its floor; one block of rows for each set."""
    for real in SETS:
        if bench.data is None or not all(
            (bench.data / "credit" / f"{f}.parquet").exists() for f in real.files.values()
        ):
            bench.no_data(real.name, "PLUMBLINE_DATA names no folder that holds it")
            continue
        if bench.quick and real.name not in ("HELOC", "UCI default"):
            bench.no_data(real.name, "left out of a quick run")
            continue
        schema = schema_of(real)
        tables = read(bench.data, real, schema)
        result = out_of_fold(tables, schema, exclude_protected=real.without_protected)
        ours = result.probability[OURS]
        low, high = metrics.delong_interval(result.y, ours)
        bench.least(f"{real.name}: AUC", metrics.roc_auc(result.y, ours), real.auc,
                    note=f"95 % {low:.3f} … {high:.3f}; {len(result.y):,} rows × {result.features}")  # fmt: skip
        bench.within(f"{real.name}: calibration slope", _slope(result.y, ours), *real.slope)
        error, floor = metrics.ece(result.y, ours), metrics.ece_floor(ours)
        bench.most(f"{real.name}: ECE / its floor", error / floor, 1.5, note=f"{error:.4f} / {floor:.4f}")
        for name in (SIGNED, *PEERS):
            p = result.probability[name]
            bench.info(f"{real.name}: AUC, {name}", metrics.roc_auc(result.y, p),
                       note=f"slope {_slope(result.y, p):.2f}, ECE / floor {metrics.ece(result.y, p) / metrics.ece_floor(p):.2f}")  # fmt: skip


def _slope(y: npt.NDArray[np.int8], p: Floats) -> float:
    clipped = np.clip(p, 1e-12, 1 - 1e-12)
    return calibration(y, np.log(clipped / (1 - clipped))).slope
