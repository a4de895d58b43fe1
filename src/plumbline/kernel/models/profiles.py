"""Profiles: what a set of rows looked like, as counts on a fixed grid that was made from the reference alone.

Counts on one grid add exactly: the profile of two batches together is the sum of their profiles, so any window or
segment of stored profiles can be compared later without the rows. PSI, KL, JS and chi-squared are exact from them; KS
is short by at most the rows between two of about 263 edges.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from plumbline.kernel import canonical
from plumbline.kernel.errors import InvalidInput, Where
from plumbline.kernel.models.columns import Columns, ColumnSpec, Floats, ascending, source, tallied
from plumbline.kernel.models.grids import (
    RARE,
    Axis,
    Grid,
    Integers,
    as_json,
    category_axis,
    kept,
    numeric_axis,
    packed,
    unpacked,
)

__all__ = ["Axis", "ColumnSpec", "Grid", "Part", "Profile", "count", "reference"]


class Profile:
    """Counts of a set of rows on a grid.

    :ivar rows: how many rows were counted.
    :ivar counts: int64, shape (grid.size,): the cells of all columns, one behind the other.
    :ivar outside: int64, shape (columns,): values outside the reference's range.
    :ivar low, high: shape (columns,): range of these rows' values; ``+inf, −inf`` where there are none.
        These, the grid's edges and unseen levels are values of single rows; all else is counts.
    :ivar new: column → unseen level → rows, for at most 256 levels a column; ``named`` tells those with 5 rows.
    """

    __slots__ = ("counts", "grid", "high", "low", "new", "outside", "rows")

    def __init__(self, grid: Grid, rows: int, counts: Integers, outside: Integers, low: Floats, high: Floats, new: Mapping[str, dict[str, int]]) -> None:  # fmt: skip
        self.grid, self.rows, self.counts, self.outside = grid, rows, counts, outside
        self.low, self.high, self.new = low, high, dict(new)

    @classmethod
    def empty(cls, grid: Grid) -> Profile:
        k = len(grid.axes)
        return cls(grid, 0, np.zeros(grid.size, np.int64), np.zeros(k, np.int64), np.full(k, np.inf), np.full(k, -np.inf), {})  # fmt: skip

    def cells(self, name: str) -> Integers:
        """Counts of a column's cells; the last is missing."""
        i = self.grid.position[name]
        return self.counts[self.grid.offsets[i] : self.grid.offsets[i + 1]]

    def missing(self, name: str) -> int:
        return int(self.cells(name)[-1])

    def named(self, name: str) -> dict[str, int]:
        """Unseen levels with at least 5 rows."""
        return {level: rows for level, rows in self.new.get(name, {}).items() if rows >= RARE}

    def __add__(self, other: Profile) -> Profile:
        """The profile of both sets of rows together: exactly what counting them at once gives."""
        if self.grid != other.grid:
            raise InvalidInput("These profiles were counted on different grids and do not add.",
                               remedy="Add profiles of one reference only.")  # fmt: skip
        new = {
            name: kept({level: self.new.get(name, {}).get(level, 0) + other.new.get(name, {}).get(level, 0)
                         for level in {*self.new.get(name, {}), *other.new.get(name, {})}})
            for name in {*self.new, *other.new}
        }  # fmt: skip
        return Profile(self.grid, self.rows + other.rows, self.counts + other.counts, self.outside + other.outside,
                       np.minimum(self.low, other.low), np.maximum(self.high, other.high), new)  # fmt: skip

    def add(self, columns: Any) -> Profile:
        """This profile and a further batch of rows."""
        return self + count(self.grid, columns)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Profile) and self.grid == other.grid and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]  # holds arrays

    @property
    def sha256(self) -> str:
        """SHA-256 of the canonical JSON; the grid takes part by its own hash."""
        return canonical.sha256(self.to_dict())

    def to_dict(self, *, with_grid: bool = False) -> dict[str, Any]:
        """Up to 30 kB of canonical JSON for 50 columns; the grid's hash stands for the grid, or itself ``with_grid``.

        ``counts`` is base64 of unsigned LEB128 numbers, in the order of the grid's cells.
        """
        body: dict[str, Any] = {
            "format": "plumbline-profile-1", "grid_sha256": self.grid.sha256, "rows": self.rows,
            "counts": b64encode(packed(self.counts)).decode(), "outside": self.outside.tolist(),
            "low": [as_json(x) for x in self.low.tolist()], "high": [as_json(x) for x in self.high.tolist()],
            "new": {name: levels for name, levels in sorted(self.new.items()) if levels},
        }  # fmt: skip
        return {**body, "grid": self.grid.to_dict()} if with_grid else body

    @classmethod
    def from_dict(cls, body: Mapping[str, Any], grid: Grid | None = None) -> Profile:
        """:raises InvalidInput: this is no profile, or not one on ``grid``."""
        if grid is None:
            if "grid" not in body:
                raise InvalidInput(
                    "The profile names its grid but does not hold it.", remedy="Pass the reference's grid."
                )
            grid = Grid.from_dict(body["grid"])
        try:
            if body["format"] != "plumbline-profile-1":
                raise ValueError(f"unknown format {body['format']!r}")
            if body["grid_sha256"] != grid.sha256:
                raise ValueError(f"it was counted on grid {body['grid_sha256']}, not on {grid.sha256}")
            counts = unpacked(b64decode(body["counts"], validate=True))
            made = cls(grid, int(body["rows"]), counts, np.array(body["outside"], dtype=np.int64),
                       np.array([float(x) for x in body["low"]]), np.array([float(x) for x in body["high"]]),
                       {name: dict(levels) for name, levels in body["new"].items()})  # fmt: skip
            made.check()
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(f"This is no profile: {error}.") from None
        return made

    def check(self) -> None:
        """:raises ValueError: counts that no set of rows can have."""
        k = len(self.grid.axes)
        if len(self.counts) != self.grid.size or not len(self.outside) == len(self.low) == len(self.high) == k:
            raise ValueError("it has another number of cells than its grid")
        sums = np.add.reduceat(self.counts, self.grid.offsets[:-1]) if k else np.empty(0)
        if (self.counts < 0).any() or (sums != self.rows).any():
            raise ValueError("the cells of a column do not add up to the rows")


def reference(columns: Any, specs: Sequence[ColumnSpec]) -> Profile:
    """The grid of a reference and its counts on it.

    :param columns: an Arrow table or batch, a mapping name → NumPy or Arrow array, or the path of a Parquet file; it
        must come out of the function that serves, with nothing imputed or scaled (``domains/models.md`` 8, trap 9).
    :raises InvalidInput: a column is missing, of another length, of a type that fits no kind, or without repeated levels.
    """
    given = source(columns)
    axes, parts = [], []
    for spec in specs:
        column = column_of(given, spec)
        if spec.kind == "category":
            levels, missing = tallied(column, spec.name)
            axis = category_axis(spec, levels)
            parts.append(Part.of_levels(axis, levels, missing))
        else:
            values, missing = ascending(column, spec.name)
            axis, values, specials = split(spec, values)
            parts.append(Part.of_values(axis, values, specials, missing))
        axes.append(axis)
    return assembled(Grid(axes), parts)


def count(grid: Grid, columns: Any) -> Profile:
    """Counts of a batch on the grid of its reference; ``columns`` as for :func:`reference`, further columns are ignored."""
    given = source(columns)
    return assembled(grid, [part_of(axis, column_of(given, axis.spec)) for axis in grid.axes])


@dataclass(frozen=True, slots=True)
class Part:
    """The counts of one column."""

    cells: Integers
    outside: int = 0
    low: float = np.inf
    high: float = -np.inf
    new: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of_values(cls, axis: Axis, values: Floats, specials: Sequence[int], missing: int) -> Part:
        cells = axis.counted(values, specials, missing)
        if not len(values):
            return cls(cells)
        return cls(cells, axis.outside(values), float(values[0]), float(values[-1]))

    @classmethod
    def of_levels(cls, axis: Axis, levels: Mapping[str, int], missing: int) -> Part:
        cells, new = axis.tallied(levels, missing)
        return cls(cells, new=new)


def split(spec: ColumnSpec, values: Floats) -> tuple[Axis, Floats, list[int]]:
    """A reference column: its axis, its ascending values without special ones, and how often each of those is there."""
    plain, specials = Axis(spec).without_specials(values)
    return numeric_axis(spec, plain), plain, specials


def part_of(axis: Axis, column: Any) -> Part:
    name = axis.spec.name
    if axis.is_category:
        return Part.of_levels(axis, *tallied(column, name))
    values, missing = ascending(column, name)
    plain, specials = axis.without_specials(values)
    return Part.of_values(axis, plain, specials, missing)


def column_of(columns: Columns, spec: ColumnSpec) -> Any:
    if spec.name not in columns.names():
        raise InvalidInput("The column is not there.", where=Where(column=spec.name),
                           remedy="Give every column of the reference; an unknown value is null.")  # fmt: skip
    return columns.column(spec.name)


def assembled(grid: Grid, parts: Sequence[Part]) -> Profile:
    """One profile of the columns' counts."""
    if not parts:
        raise InvalidInput("There is no column to profile.", remedy="Specify at least one.")
    rows = int(parts[0].cells.sum())
    for axis, part in zip(grid.axes, parts, strict=True):
        if int(part.cells.sum()) != rows:
            raise InvalidInput(f"The column has {int(part.cells.sum()):,} rows, the first one {rows:,}.",
                               where=Where(column=axis.spec.name))  # fmt: skip
    return Profile(
        grid, rows, np.concatenate([part.cells for part in parts]), np.array([part.outside for part in parts], dtype=np.int64),
        np.array([part.low for part in parts]), np.array([part.high for part in parts]),
        {axis.spec.name: part.new for axis, part in zip(grid.axes, parts, strict=True) if part.new},
    )  # fmt: skip
