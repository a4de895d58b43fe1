"""Does a column give the outcome away? Looked for before a model is trained on it.

Four ways in which it does: its values rank the outcome better than any honest column could; whether it is empty tells;
its oddly written cells alone tell (fractions among whole numbers, more decimals than usual, a few constants among many
values: what is left of filling gaps with the outcome known); it is dated after the decision. The published HELOC file
passes the first two, and its filled cells separate the outcomes perfectly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from plumbline.credit.features.matrix import Matrix
from plumbline.credit.intake.schema import Column, Schema
from plumbline.credit.modelling.separation import Codes, Floats, Labels, Separation, bins, folds, separation

Kind = Literal["value", "missing", "odd cells", "order", "later"]

MOST_ROWS, MOST_FEATURE_ROWS = 200_000, 20_000
FEWEST_ODD = 50
_SURE = 4.0  # standard errors from 0.5: below that a high AUC of few cells is chance
_DECIMALS = 6
_CONSTANT, _RARE, _MANY_VALUES = 20, 0.01, 200


@dataclass(frozen=True, slots=True)
class Limits:
    """AUCs from which a column alarms; from ``suspect`` on its values are worth a look."""

    value: float = 0.95
    suspect: float = 0.85
    missing: float = 0.75
    odd: float = 0.75
    order: float = 0.75


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that gives the outcome away. ``auc`` is None for columns dated after the decision."""

    column: str
    kind: Kind
    auc: float | None
    rows: int
    text: str


@dataclass(frozen=True, slots=True)
class ColumnCheck:
    """What a column tells of the outcome; None where too few rows of a class are left to say.

    :ivar auc: cross-fitted, of its values alone.
    :ivar odd: number of oddly written cells, ``odd_auc`` what their values tell among themselves.
    :ivar examples: some of those cells, to look at.
    """

    column: str
    auc: float | None
    missing_auc: float | None
    odd: int = 0
    odd_auc: float | None = None
    examples: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class LeakReport:
    """
    :ivar rows: rows looked at, of ``rows_given`` (a sample drawn by the seed if fewer).
    :ivar order_auc: what the position of a row in the file tells; ``id_auc`` what its id does.
    :ivar equal_rows: rows that equal an earlier one in every column but id and outcome; a split keeps them together.
    """

    rows: int
    rows_given: int
    columns: tuple[ColumnCheck, ...]
    alarms: tuple[Alarm, ...]
    order_auc: float | None = None
    id_auc: float | None = None
    equal_rows: int = 0
    limits: Limits = field(default_factory=Limits)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def suspects(self) -> tuple[ColumnCheck, ...]:
        """Columns without an alarm of their values that tell more of the outcome than columns usually do."""
        return tuple(c for c in self.columns if c.auc is not None and self.limits.suspect <= c.auc < self.limits.value)

    @property
    def best(self) -> ColumnCheck | None:
        """The column that tells most by its values."""
        known = [c for c in self.columns if c.auc is not None]
        return max(known, key=lambda c: c.auc or 0.0) if known else None


def check_tables(
    tables: Mapping[str, pl.DataFrame], y: npt.ArrayLike, schema: Schema, *, limits: Limits | None = None, seed: int = 0
) -> LeakReport:
    """Look at the columns of the main table that a model may see, and at the dates of all tables.

    :param tables: validated tables; the main one holds the labelled rows, in the order of the file.
    :param y: 1 = default, for each row of the main table.
    """
    main, frame = schema.main, tables[schema.main.name]
    target = schema.target.column if schema.target else None
    columns = [c for c in main.columns.values()
               if c.use == "feature" and c.type != "id" and c.name in frame.columns and c.name not in (target, schema.id)]  # fmt: skip
    found = check(frame, y, {c.name: c for c in columns}, id=schema.id, table=main.name, limits=limits, seed=seed)
    later = _later(tables, schema)
    return LeakReport(found.rows, found.rows_given, found.columns, (*found.alarms, *later), found.order_auc,
                      found.id_auc, found.equal_rows, found.limits)  # fmt: skip


def check(frame: pl.DataFrame, y: npt.ArrayLike, columns: Mapping[str, Column | None], *, id: str | None = None,  # noqa: A002
          table: str = "", limits: Limits | None = None, seed: int = 0) -> LeakReport:  # fmt: skip
    """Look at columns of one table.

    :param columns: the columns to look at; what is declared of them tells which values are sentinels.
    :param id: the column that names a row, if there is one: its order is looked at too.
    """
    given, limits = frame.height, limits or Limits()
    labels = np.asarray(y).astype(np.int8)
    place = np.arange(given)
    if given > MOST_ROWS:
        place = np.sort(np.random.default_rng(seed).choice(given, MOST_ROWS, replace=False))
        frame, labels = frame[place], labels[place]
    fold = folds(labels, seed)
    prefix = f"{table}." if table else ""
    checks, alarms = [], list[Alarm]()
    for name, declared in columns.items():
        done, raised = _column(prefix + name, frame[name], declared, labels, fold, limits, seed)
        checks.append(done)
        alarms += raised
    order = separation(bins(place.astype(np.float64)), labels, fold)
    key = frame[id] if id is not None and id in frame.columns and frame[id].dtype.is_numeric() else None
    ids = None if key is None else separation(bins(_numbers(key)), labels, fold)
    for what, found in (("(position in the file)", order), (f"{prefix}{id}", ids)):
        if found is not None and found.auc >= limits.order and found.z >= _SURE:
            said = f"The order of the rows tells the outcome (AUC {found.auc:.3f}): the file is sorted by it."
            alarms.append(Alarm(what, "order", found.auc, found.rows, said))
    equal = int(frame.height - frame.select(list(columns)).n_unique()) if columns and frame.height else 0
    return LeakReport(frame.height, given, tuple(checks), tuple(alarms), _auc(order), _auc(ids), equal, limits)


def check_features(matrix: Matrix, y: npt.ArrayLike, main: str, *, limits: Limits | None = None, seed: int = 0) -> tuple[Alarm, ...]:  # fmt: skip
    """Look at what features made from linked tables tell: rows that came after the outcome are not always dated so.

    :param main: the main table's name; features of its columns alone are left to :func:`check_tables`.
    """
    limits, labels = limits or Limits(), np.asarray(y).astype(np.int8)
    rows = np.arange(len(labels))
    if len(rows) > MOST_FEATURE_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(len(rows), MOST_FEATURE_ROWS, replace=False))
    labels = labels[rows]
    fold, alarms = folds(labels, seed), []
    for i, info in enumerate(matrix.features):
        if all(entry.partition(".")[0] == main for entry in info.lineage):
            continue
        found = separation(bins(matrix.values[rows, i]), labels, fold)
        if found is not None and found.auc >= limits.value and found.z >= _SURE:
            said = f"It ranks the outcome almost perfectly (AUC {found.auc:.3f})."
            alarms.append(Alarm(info.name, "value", found.auc, found.rows, said))
    return tuple(alarms)


def _column(name: str, column: pl.Series, declared: Column | None, y: Labels, fold: Codes, limits: Limits,
            seed: int) -> tuple[ColumnCheck, list[Alarm]]:  # fmt: skip
    values = _numbers(column)
    missing = np.isnan(values)
    told = separation(
        bins(values) if column.dtype.is_numeric() or column.dtype.is_temporal() else _levels(values), y, fold
    )
    absent = separation(missing.astype(np.intp), y, fold) if 0 < missing.sum() < len(values) else None
    odd_cells, odd, examples = 0, None, ()
    if column.dtype.is_numeric():
        kept = ~missing & ~_sentinels(values, declared)
        for cells in (_more_decimals(values, kept), _rare_constants(values, kept)):
            if cells.sum() <= FEWEST_ODD:
                continue
            found = separation(bins(values[cells]), y[cells], folds(y[cells], seed))
            if found is not None and (odd is None or found.auc > odd.auc):
                odd_cells, odd = int(cells.sum()), found
                examples = tuple(np.unique(values[cells])[:4].tolist())
    check = ColumnCheck(name, _auc(told), _auc(absent), odd_cells, _auc(odd), examples)
    alarms = list[Alarm]()
    for kind, found, limit, text in (
        ("value", told, limits.value, "Its values rank the outcome almost perfectly"),
        ("missing", absent, limits.missing, "Whether it is empty tells the outcome"),
        ("odd cells", odd, limits.odd, f"Its {odd_cells:,} oddly written cells alone tell the outcome"),
    ):
        if found is not None and found.auc >= limit and found.z >= _SURE:
            alarms.append(Alarm(name, kind, found.auc, found.rows, f"{text} (AUC {found.auc:.3f})."))  # type: ignore[arg-type]  # a literal of the tuple above
    return check, alarms


def _numbers(column: pl.Series) -> Floats:
    """Values as float64, missing as NaN; a text by the rank of its frequency."""
    if column.dtype in (pl.String, pl.Categorical):
        texts = column.cast(pl.String).alias("level")
        ranked = texts.drop_nulls().value_counts(name="rows").sort(["rows", "level"], descending=[True, False])["level"]
        ranks = pl.Series(np.arange(len(ranked)), dtype=pl.Float64)
        column = texts.replace_strict(ranked, ranks, default=None, return_dtype=pl.Float64)
    elif column.dtype.is_temporal():
        column = column.to_physical()
    return column.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _levels(values: Floats, most: int = 200) -> Codes:
    """A cell for each of the commonest levels, one for the others, the last one for missing."""
    return np.asarray(np.where(np.isnan(values), most + 1, np.minimum(np.nan_to_num(values), most)), dtype=np.intp)


def _sentinels(values: Floats, declared: Column | None) -> npt.NDArray[np.bool_]:
    known = [float(s) for s in declared.sentinels if not isinstance(s, str)] if declared else []
    return np.isin(values, known)


def _more_decimals(values: Floats, kept: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Cells with more decimals than at least half of the cells need; six and more count as one kind."""
    decimals = np.full(len(values), _DECIMALS, dtype=np.int8)
    for digits in range(_DECIMALS - 1, -1, -1):
        scaled = values * 10.0**digits
        decimals[np.abs(scaled - np.rint(scaled)) <= 1e-9 * np.maximum(1.0, np.abs(scaled))] = digits
    if not kept.any():
        return kept
    usual = int(np.searchsorted(np.cumsum(np.bincount(decimals[kept], minlength=_DECIMALS + 1)), kept.sum() / 2))
    return kept & (decimals > usual)


def _rare_constants(values: Floats, kept: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Cells of values that come often in a column of many values, but in less than 1 % of the cells each."""
    distinct, place, count = np.unique(values[kept], return_inverse=True, return_counts=True)
    found = np.zeros(len(values), dtype=bool)
    if len(distinct) < _MANY_VALUES:
        return found
    usual = float(np.median(count[place]))
    often = (count >= _CONSTANT) & (count >= 10 * usual) & (count < _RARE * kept.sum())
    found[np.flatnonzero(kept)[often[place]]] = True
    return found


def _later(tables: Mapping[str, pl.DataFrame], schema: Schema) -> list[Alarm]:
    """Times are counted back from the application: what is above 0 came after it; so did dates after the main time."""
    alarms = []
    for table in schema.linked.values():
        frame = tables.get(table.name)
        if (
            frame is None
            or table.time is None
            or table.time not in frame.columns
            or not frame[table.time].dtype.is_numeric()
        ):
            continue
        after = int((frame[table.time] > 0).sum())
        if after:
            alarms.append(_after(f"{table.name}.{table.time}", after, frame.height))
    frame, when = tables[schema.main.name], schema.time
    if when is not None and when in frame.columns and frame[when].dtype.is_temporal():
        for column in schema.main.columns.values():
            if (
                column.type == "date"
                and column.use == "feature"
                and column.name not in (when, schema.id)
                and column.name in frame.columns
            ):
                after = int((frame[column.name] > frame[when]).sum())
                if after:
                    alarms.append(_after(f"{schema.main.name}.{column.name}", after, frame.height))
    return alarms


def _after(column: str, after: int, rows: int) -> Alarm:
    said = f"{after:,} of {rows:,} rows are dated after the application: nobody knew them when it was decided."
    return Alarm(column, "later", None, after, said)


def _auc(found: Separation | None) -> float | None:
    return None if found is None else found.auc
