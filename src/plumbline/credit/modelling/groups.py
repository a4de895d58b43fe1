"""Groups of people for an audit, from columns that are kept out of the score; and the features that tell of a group."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from plumbline.credit.features.matrix import Matrix
from plumbline.credit.intake.schema import Column, Schema
from plumbline.credit.modelling.separation import bins, folds, separation

Floats = npt.NDArray[np.float64]

AGES = (30, 45, 62)
"""From these years on a new group of ages begins. 62 is where Regulation B begins to ask for equal treatment."""
_FEW_VALUES = 20
_DAYS_OF_A_YEAR = 365.25
_PROXY_FROM, _PROXIES, _PROXY_ROWS, _SURE = 0.6, 5, 10_000, 4.0


def audited(schema: Schema) -> dict[str, Column]:
    """Attribute → column of the main table that tells it: protected ones, and those that are only there for audits."""
    found: dict[str, Column] = {}
    for column in schema.main.columns.values():
        if column.protected is not None or column.use == "audit":
            name = column.protected or column.name
            found[name if name not in found else f"{name} ({column.name})"] = column
    return found


def groups_of(frame: pl.DataFrame, schema: Schema, *, ages: Sequence[float] = AGES) -> pl.DataFrame:
    """Each row's group for every audited attribute, as text; null where it is not known.

    Categories and numbers of few values are groups as they stand, ages are put together by ``ages`` (a column whose
    unit is days counts them back or on from the application), other numbers by quarters.

    :param frame: rows of the main table; a column that is not there gives no attribute (without any, the answer is empty).
    """
    made = [
        _labels(frame[column.name], column, ages).alias(attribute)
        for attribute, column in audited(schema).items()
        if column.name in frame.columns
    ]
    return pl.DataFrame(made)


def _labels(values: pl.Series, column: Column, ages: Sequence[float]) -> pl.Series:
    values = values.set(values.is_in([s for s in column.sentinels if isinstance(s, str) == (values.dtype == pl.String)]), None) \
        if column.sentinels else values  # fmt: skip
    if column.protected == "age" and values.dtype.is_numeric():
        years = values.cast(pl.Float64).abs() / (_DAYS_OF_A_YEAR if column.unit == "days" else 1.0)
        names = [f"under {ages[0]:g}", *(f"{a:g} to {b - 1:g}" for a, b in pairwise(ages)), f"{ages[-1]:g} and over"]
        return _banded(years, ages, names, "right")
    if values.dtype.is_numeric() and values.n_unique() > _FEW_VALUES:
        cuts = sorted({float(values.quantile(q) or 0.0) for q in (0.25, 0.5, 0.75)})
        names = [
            f"up to {cuts[0]:g}",
            *(f"above {a:g} to {b:g}" for a, b in pairwise(cuts)),
            f"above {cuts[-1]:g}",
        ]
        return _banded(values.cast(pl.Float64), cuts, names, "left")
    return values.cast(pl.String)


def _banded(
    values: pl.Series, cuts: Sequence[float], names: Sequence[str], side: Literal["left", "right"]
) -> pl.Series:
    """The name of the band of each number; a number equal to a cut belongs above it (``right``) or below it (``left``)."""
    band = np.asarray(cuts, dtype=np.float64).searchsorted(values.fill_null(0.0).to_numpy(), side)
    return pl.Series(names).gather(band).zip_with(values.is_not_null(), pl.Series([None], dtype=pl.String))


@dataclass(frozen=True, slots=True)
class Proxy:
    """A feature of the score that tells who belongs to a group: cross-fitted AUC of the feature alone."""

    attribute: str
    group: str
    feature: str
    auc: float


def proxies(matrix: Matrix, groups: pl.DataFrame, *, least: int, seed: int = 0, most: int = _PROXIES) -> list[Proxy]:
    """For each group the features that tell most of it (AUC from 0.6), strongest first: to be known, not dropped.

    :param least: smallest group looked at, in rows; ``most`` features are named for each. More than 10,000 rows are sampled.
    """
    rows = np.arange(len(matrix.values))
    if len(rows) > _PROXY_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(len(rows), _PROXY_ROWS, replace=False))
    cells = [bins(matrix.values[rows, i]) for i in range(len(matrix.features))]
    found: list[Proxy] = []
    for attribute in groups.columns:
        whole = groups[attribute]
        column = whole[rows]
        for group in sorted(name for name, count in whole.drop_nulls().value_counts().iter_rows() if count >= least):
            known = column.is_not_null().to_numpy()
            member = (column == group).fill_null(False).to_numpy()[known].astype(np.int8)
            fold = folds(member, seed)
            told = [(separation(c[known], member, fold), f.name) for c, f in zip(cells, matrix.features)]
            best = sorted(((s.auc, name) for s, name in told if s is not None and s.auc >= _PROXY_FROM and s.z >= _SURE), reverse=True)  # fmt: skip
            found += [Proxy(attribute, group, name, auc) for auc, name in best[:most]]
    return found


@dataclass(frozen=True, slots=True)
class Outside:
    """Whether audited columns have a part in the score.

    :ivar columns: what was permuted, as ``table.column``; ``features`` of the score made from any of them.
    :ivar moved: of ``rows`` applications, those whose score changed when these columns were shuffled among them.
    """

    columns: tuple[str, ...]
    features: tuple[str, ...]
    rows: int
    moved: int

    @property
    def holds(self) -> bool:
        return not self.features and not self.moved

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "holds": self.holds}


def outside(matrix_of: Callable[[Mapping[str, pl.DataFrame]], Matrix], score: Callable[[Floats], Floats], tables: Mapping[str, pl.DataFrame],
            schema: Schema, *, rows: int = 1_000, seed: int = 0) -> Outside:  # fmt: skip
    """Shuffle every audited column among the applications and score them again: not a bit may move.

    :param matrix_of: the fitted transformer; ``score``: raw scores of a matrix's values.
    :param rows: so many applications, drawn by the seed.
    """
    rng, main = np.random.default_rng(seed), schema.main.name
    frame = tables[main]
    if frame.height > rows:
        frame = frame[np.sort(rng.choice(frame.height, rows, replace=False))]
    named = {*schema.protected, *(f"{main}.{c.name}" for c in audited(schema).values())}
    mixed = {main: frame, **{name: t for name, t in tables.items() if name != main}}
    told = []
    for entry in sorted(named):
        table, _, name = entry.partition(".")
        if table in mixed and name in mixed[table].columns:
            told.append(entry)
            mixed[table] = mixed[table].with_columns(mixed[table][name][rng.permutation(mixed[table].height)])
    before, after = matrix_of({**tables, main: frame}), matrix_of(mixed)
    moved = int((score(before.values) != score(after.values)).sum())
    made = tuple(f.name for f in before.features if f.lineage & named)
    return Outside(tuple(told), made, frame.height, moved)
