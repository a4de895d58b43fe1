"""Raw tables to the matrix a model sees: fitted on training rows, stored as data, the same for one row and for all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from plumbline.credit.features.compile import Plan, compile_features
from plumbline.credit.features.execution import Frame, History, aggregated, computed_features
from plumbline.credit.features.matrix import FeatureInfo, Matrix
from plumbline.credit.features.partitions import Partitions
from plumbline.credit.intake.schema import Schema
from plumbline.kernel.errors import InvalidInput, Where

__all__ = ["History", "Limits", "Transformer"]

RARE_SHARE = 0.005
SPARSE_SHARE = 0.2
IMPORTANT_MISSING_SHARE = 0.5
VERSION = 1
BLOCK_ROWS = 65_536


@dataclass(frozen=True, slots=True)
class Limits:
    """The training ranges as arrays over the features; a category's lowest is 0, so that −1 can mean "never seen"."""

    lowest: npt.NDArray[np.float64]
    highest: npt.NDArray[np.float64]
    complete: npt.NDArray[np.bool_]
    important: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, features: tuple[FeatureInfo, ...], important: frozenset[str]) -> Self:
        def bound(info: FeatureInfo, value: float | None, none: float, category: float) -> float:
            if info.kind == "category":
                return category
            return none if value is None else value

        return cls(
            lowest=np.array([bound(f, f.lowest, -np.inf, 0.0) for f in features]),
            highest=np.array([bound(f, f.highest, np.inf, np.inf) for f in features]),
            complete=np.array([f.missing_share == 0.0 for f in features]),
            important=np.array([f.name in important for f in features]),
        )


@dataclass(frozen=True, slots=True)
class Transformer:
    """Columns, levels and ranges as they were in training.

    Nothing is imputed, scaled or spread over columns: missing stays missing, a category becomes its code. Each value
    of a row depends on that row and its own history alone, so a batch of one gives the same bits as a batch of many.

    :ivar rare: category → the levels that training knew and put together as "other".
    :ivar important: the features whose absence makes a row "sparse": required columns that training mostly had.
    """

    schema: Schema
    features: tuple[FeatureInfo, ...]
    rare: dict[str, tuple[str, ...]] = field(default_factory=dict)
    important: frozenset[str] = frozenset()
    plan: Plan = field(repr=False, compare=False, kw_only=True)
    expressions: dict[int, pl.Expr] = field(repr=False, compare=False, kw_only=True)
    needed: tuple[str, ...] = field(repr=False, compare=False, kw_only=True)
    limits: Limits = field(repr=False, compare=False, kw_only=True)

    @classmethod
    def fit(cls, tables: Mapping[str, pl.DataFrame], schema: Schema, *, exclude_protected: bool = True) -> Transformer:
        """Learn levels, ranges and empty shares from training rows.

        :param exclude_protected: leave out every feature that is made, in part or through other features, from a
            column that tells a protected attribute.
        :raises InvalidInput: no rows, no features, a main table without a needed column.
        """
        plan = compile_features(schema)
        protected = frozenset(schema.protected) if exclude_protected else frozenset()
        names = [name for name, info in plan.infos.items() if not info.lineage & protected]
        if not names:
            raise InvalidInput("No column is left to learn from.", where=Where(table=schema.main.name))
        computed = computed_features(
            plan, [plan.main[name].alias(name) for name in names], tables, None, list(schema.main.columns)
        )
        if computed.height == 0:
            raise InvalidInput("The training table has no rows.", where=Where(table=schema.main.name))
        features, rare = [], {}
        for name in names:
            info, others = _fitted(plan.infos[name], computed[name])
            features.append(info)
            if others:
                rare[name] = others
        important = frozenset(
            f.name for f in features if f.name in plan.required and f.missing_share < IMPORTANT_MISSING_SHARE
        )
        return cls._built(schema, plan, tuple(features), rare, important)

    @classmethod
    def _built(
        cls,
        schema: Schema,
        plan: Plan,
        features: tuple[FeatureInfo, ...],
        rare: dict[str, tuple[str, ...]],
        important: frozenset[str],
    ) -> Self:
        expressions = {
            position: _coded(info, plan.main[info.name], rare.get(info.name, ())).alias(info.name)
            for position, info in enumerate(features)
            if info.name not in plan.plain  # a numeric column as it stands needs no plan: it is copied
        }
        named = {name for expr in expressions.values() for name in expr.meta.root_names()}
        needed = tuple(name for name in plan.schema.main.columns if name in named or name == schema.id)
        limits = Limits.of(features, important)
        return cls(schema, features, rare, important, plan=plan, expressions=expressions, needed=needed, limits=limits)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f.name for f in self.features)

    def history(self, tables: Mapping[str, Frame]) -> History:
        """Aggregate the linked tables once, for a file that is transformed chunk by chunk.

        Where a table is given lazily, the plan streams: of each linked table only one row per parent is ever held.
        """
        main = self.schema.main.name
        found = {n: f for n, f in aggregated(self.plan, tables).items() if self.schema.tables[n].parent_table == main}
        if any(isinstance(frame, pl.LazyFrame) for frame in tables.values()):
            # One after the other: together they would hold each other's rows as well.
            return History({name: frame.collect(engine="streaming") for name, frame in found.items()})
        return History(dict(zip(found, pl.collect_all(list(found.values())), strict=True)))

    def transform(self, tables: Mapping[str, Frame], history: History | None = None) -> Matrix:
        """The matrix for the rows of the main table, in their order.

        :param tables: raw tables by name, typed by the schema; a linked table that is absent means "no history". One
            that is given lazily is streamed; of a lazy main table the rows are held (see :meth:`transform_lazy`).
        :param history: the linked tables aggregated before; then only the main table is read from ``tables``.
        :raises InvalidInput: the main table is absent.
        """
        main = self.schema.main.name
        given = self._main(tables)
        frame = given.collect(engine="streaming") if isinstance(given, pl.LazyFrame) else given
        lazy = any(isinstance(table, pl.LazyFrame) for table in tables.values())
        if history is None and (lazy or frame.height > BLOCK_ROWS):
            history = self.history(tables)
        values = np.empty((frame.height, len(self.features)), dtype=np.float64, order="F")
        flags: dict[int, tuple[str, ...]] = {}
        # Block by block, so that the columns in between never stand beside the whole matrix in memory.
        for start in range(0, frame.height, BLOCK_ROWS):
            block = values[start : start + BLOCK_ROWS]
            rows = {**(tables if history is None else {}), main: frame.slice(start, BLOCK_ROWS)}
            computed = computed_features(self.plan, list(self.expressions.values()), rows, history, self.needed)
            columns = dict(zip(self.expressions, computed.iter_columns()))
            for position, info in enumerate(self.features):
                series = columns.get(position)
                if series is None and info.name in frame.columns:
                    series = frame[info.name].slice(start, BLOCK_ROWS).cast(pl.Float64)
                if series is None:
                    block[:, position] = np.nan
                else:
                    # Adding 0.0 turns −0.0 into 0.0, so that equal values have equal bits.
                    np.add(series.to_numpy(), 0.0, out=block[:, position])
            flags.update({start + row: found for row, found in self._flags(block).items()})
        return Matrix(frame[self.schema.id], values, self.features, flags)

    def transform_lazy(self, tables: Mapping[str, Frame], rows: int = BLOCK_ROWS) -> Iterator[Matrix]:
        """The matrix in parts of about ``rows`` rows, in the order of the main table, for tables beyond memory.

        The linked tables are streamed once; what is held is one row of aggregates per parent, and one part. The parts
        have the bits of :meth:`transform`. There is always one, if without rows.

        :param tables: as for :meth:`transform`; see :func:`.scanning.scanned` for files.
        :raises InvalidInput: the main table is absent, or a file cannot be read.
        """
        given = self._main(tables)
        history = self.history(tables)
        parts = given.lazy().collect_batches(chunk_size=rows, maintain_order=True, engine="streaming")
        empty = True
        for part in parts:
            empty = False
            yield self.transform({self.schema.main.name: part}, history)
        if empty:
            yield self.transform({self.schema.main.name: given.clear()}, history)

    def transform_partitions(self, tables: Mapping[str, Frame], partitions: int) -> Iterator[Matrix]:
        """The matrix of each partition of the applications, made from that partition's own rows of every table.

        Each could be made by another machine (see :class:`.partitions.Partitions`, which also tells where each row
        stood); neither the number of partitions nor their order changes a bit.

        :raises InvalidInput: the main table or its id is absent; ``partitions`` is below 1.
        """
        self._main(tables)
        for own in Partitions(tables, self.schema, partitions):
            yield self.transform(own)

    def _main(self, tables: Mapping[str, Frame]) -> Frame:
        name = self.schema.main.name
        if name not in tables:
            raise InvalidInput(f"The table {name} is missing.", where=Where(table=name), remedy="Add it.")
        return tables[name]

    def _flags(self, values: npt.NDArray[np.float64]) -> dict[int, tuple[str, ...]]:
        """What is odd in each row; puts the code of "other" where a level was never seen."""
        rows, width = values.shape
        flags = _Flags()
        if rows == 0:
            return {}
        empty = np.zeros(rows, dtype=np.int64)
        step = max(1, 65_536 // rows)
        for start in range(0, width, step):
            part = slice(start, min(start + step, width))
            block, limits = values[:, part], self.limits
            outside = (block < limits.lowest[part]) | (block > limits.highest[part])
            absent = np.isnan(block)
            empty += (absent & limits.important[part]).sum(axis=1)
            surprising = absent & limits.complete[part]
            for offset in np.flatnonzero((outside | surprising).any(axis=0)).tolist():
                info = self.features[start + offset]
                if info.kind == "category":
                    flags.add(outside[:, offset], f"unseen:{info.name}")
                    block[outside[:, offset], offset] = len(info.levels)
                else:
                    flags.add(outside[:, offset], f"outside:{info.name}")
                flags.add(surprising[:, offset], f"missing:{info.name}")
        if self.important:
            flags.add(empty > SPARSE_SHARE * len(self.important), "sparse")
        return flags.by_row()

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able form; :meth:`from_dict` gives a transformer back that makes the same matrix."""
        return {
            "version": VERSION,
            "schema": self.schema.to_dict(),
            "features": [f.to_dict() for f in self.features],
            "rare": {name: list(levels) for name, levels in self.rare.items()},
            "important": sorted(self.important),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """:raises InvalidInput: a form of another version, or of features its schema does not declare."""
        if data.get("version") != VERSION:
            raise InvalidInput(
                f"The transformer is of version {data.get('version')!r}; this program reads {VERSION}.",
                remedy="Use the program the model was made with.",
            )
        schema = Schema.from_dict(data["schema"])
        plan = compile_features(schema)
        features = tuple(FeatureInfo.from_dict(f) for f in data["features"])
        for feature in features:
            if feature.name not in plan.infos:
                raise InvalidInput(
                    f"The transformer has a feature {feature.name} that its schema does not declare.",
                    where=Where(field=feature.name),
                )
        rare = {name: tuple(levels) for name, levels in data["rare"].items()}
        return cls._built(schema, plan, features, rare, frozenset(data["important"]))


class _Flags:
    """Data flags of rows, collected column by column."""

    def __init__(self) -> None:
        self.rows: dict[int, list[str]] = {}

    def add(self, mask: npt.NDArray[np.bool_], flag: str) -> None:
        for row in np.flatnonzero(mask).tolist():
            self.rows.setdefault(row, []).append(flag)

    def by_row(self) -> dict[int, tuple[str, ...]]:
        return {row: tuple(self.rows[row]) for row in sorted(self.rows)}


def _coded(info: FeatureInfo, expr: pl.Expr, rare: tuple[str, ...]) -> pl.Expr:
    """A feature as a float: a number itself, a category its code, −1 for a level that training never saw."""
    if info.kind == "numeric":
        return expr.cast(pl.Float64)
    known = expr.cast(pl.Enum((*info.levels, *rare)), strict=False)
    code = known.to_physical().cast(pl.Float64)
    if rare:
        code = code.clip(upper_bound=float(len(info.levels)))
    return pl.when(known.is_null() & expr.is_not_null()).then(-1.0).otherwise(code)


def _fitted(info: FeatureInfo, series: pl.Series) -> tuple[FeatureInfo, tuple[str, ...]]:
    """The feature with what training showed, and its rare levels."""
    if info.kind == "numeric":
        series = series.cast(pl.Float64).fill_nan(None)
    missing = series.null_count() / len(series)
    if info.kind == "numeric":
        low, high, middle = series.min(), series.max(), series.median()
        found = replace(
            info,
            lowest=None if low is None else float(low) + 0.0,  # type: ignore[arg-type] # Float64
            highest=None if high is None else float(high) + 0.0,  # type: ignore[arg-type] # Float64
            typical=None if middle is None else float(middle) + 0.0,  # type: ignore[arg-type] # Float64
            missing_share=missing,
        )
        return found, ()
    counts = sorted(series.drop_nulls().value_counts(name="n").rows())
    least = RARE_SHARE * len(series)
    levels = tuple(level for level, n in counts if n >= least)
    rare = tuple(level for level, n in counts if n < least)
    frequent = max(((n, -i) for i, (level, n) in enumerate(c for c in counts if c[1] >= least)), default=None)
    typical = None if frequent is None else float(-frequent[1])
    return replace(info, levels=levels, has_other=bool(rare), typical=typical, missing_share=missing), rare
