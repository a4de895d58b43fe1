"""A compiled plan over tables, in memory or lazily: what the linked tables say of each row, and the features."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from plumbline.credit.features.compile import Plan, TablePlan
from plumbline.credit.intake.schema import Table
from plumbline.kernel.errors import InvalidInput, Where

FEW_ROWS = 2_000

Frame = pl.DataFrame | pl.LazyFrame
"""A table in memory, or the plan of one that is read as it is needed."""


@dataclass(frozen=True, slots=True)
class History:
    """What the linked tables say of each row of the main table, ready to be joined: one frame per linked table."""

    frames: Mapping[str, pl.DataFrame]


def computed_features(
    plan: Plan, expressions: Sequence[pl.Expr], tables: Mapping[str, Frame], history: History | None,
    needed: Sequence[str],
) -> pl.DataFrame:  # fmt: skip
    """The features, nulls where they are missing, in the order of the main table's rows.

    :raises InvalidInput: the main table, its id or the parent column of a linked table is absent.
    """
    main = plan.schema.main
    if main.name not in tables:
        raise InvalidInput(f"The table {main.name} is missing.", where=Where(table=main.name), remedy="Add it.")
    identity = plan.schema.id
    lazy, types = _read(main, tables[main.name], list(needed), plan.inputs)
    if identity not in types:
        raise InvalidInput(f"The table has no column {identity}.", where=Where(table=main.name, column=identity))
    frames = aggregated(plan, tables) if history is None else {n: f.lazy() for n, f in history.frames.items()}
    for step in plan.linked.values():
        if step.table.parent_table == main.name:
            lazy = _joined(lazy, types[identity], identity, step, frames.get(step.table.name))
    return _collected(lazy.select(expressions), tables.values())


def _collected(plan: pl.LazyFrame, tables: Collection[Frame]) -> pl.DataFrame:
    """Run the plan. On a few rows the optimizer takes longer than the work; it changes no value."""
    rows = [frame.height for frame in tables if isinstance(frame, pl.DataFrame)]
    if len(rows) == len(tables) and sum(rows) <= FEW_ROWS:
        return plan.collect(optimizations=pl.QueryOptFlags.none())
    return plan.collect()


def _read(table: Table, frame: Frame, wanted: list[str], inputs: Collection[str]) -> tuple[pl.LazyFrame, pl.Schema]:
    """The wanted columns. One that is not there is missing in every row, and so is NaN in an input of expressions."""
    types = frame.collect_schema()
    columns = []
    for name in wanted:
        if name not in types:
            columns.append(pl.lit(None, dtype=table.columns[name].dtype).alias(name))
        elif name in inputs and types[name].is_float():
            columns.append(pl.col(name).fill_nan(None))
        else:
            columns.append(pl.col(name))
    return frame.lazy().select(columns), types


def aggregated(plan: Plan, tables: Mapping[str, Frame]) -> dict[str, pl.LazyFrame]:
    """For each linked table that is there: one row per parent, its key column first, then the results."""
    found: dict[str, pl.LazyFrame] = {}
    for name, step in plan.linked.items():
        if name not in tables:
            continue
        table, parent = step.table, step.parent
        keys = [parent, table.key[0]] if step.children else [parent]
        lazy, types = _read(table, tables[name], list(dict.fromkeys([*keys, *step.needed])), step.needed)
        if parent not in types:
            raise InvalidInput(f"The table {name} has no column {parent}.", where=Where(table=name, column=parent))
        for child in step.children:
            dtype = types.get(table.key[0], pl.Int64())
            lazy = _joined(lazy, dtype, table.key[0], plan.linked[child], found.get(child))
        lazy = lazy.select(pl.col(parent), *[expr.alias(row) for row, expr in step.rows.items()])
        lazy = lazy.group_by(parent).agg(step.groups)
        found[name] = lazy.select(pl.col(parent), *[expr.alias(n) for n, expr in step.results.items()])
    return found


def _joined(
    lazy: pl.LazyFrame, dtype: pl.DataType, key: str, step: TablePlan, found: pl.LazyFrame | None
) -> pl.LazyFrame:
    """``lazy`` with the results of a linked table, which are all missing where it is not there."""
    if found is None:
        nothing = pl.lit(None, dtype=pl.Float64)
        return lazy.with_columns([nothing.alias(name) for name in step.results])
    # A file may hold its ids as numbers and another as text.
    found = found.with_columns(pl.col(step.parent).cast(dtype, strict=False))
    return lazy.join(found, left_on=key, right_on=step.parent, how="left", maintain_order="left", nulls_equal=False)
