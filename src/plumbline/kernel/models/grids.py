"""The cells in which a column is counted, made from reference values only.

Numeric (``domains/models.md`` 4.1): with at most 20 distinct reference values each is an edge; otherwise the deciles by
inverse CDF, ``a[⌈i n/10⌉ − 1]``, and below a value that is two or more deciles also the largest smaller value. Between
them stand ``a[⌈i n/256⌉ − 1]``. Cells are right-closed, the last is open. Special values and missing are cells of
their own. Category: levels with at least 5 reference rows, ``other`` for rarer ones, ``new`` for unseen ones, missing.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash

from plumbline.kernel import canonical
from plumbline.kernel.errors import InvalidInput, Where
from plumbline.kernel.models.columns import ColumnSpec, Floats

Integers = npt.NDArray[np.int64]

EVERY_VALUE = 20
"""So many distinct values or fewer, and each is an edge."""
FINE = 256
RARE = 5
"""A level with fewer rows has no name of its own: it may tell of one person."""
MOST_LEVELS = 10_000
NEW_KEPT = 256
"""Unseen levels whose rows a profile tells apart: those with the smallest hashes, so that sums stay exact."""
_QUANTILES = (np.arange(191) * 5 + 25) / 1000  # 0.025 … 0.975: the middle, for a spread that no outlier moves


def _hash(level: str) -> int:
    return xxhash.xxh3_64_intdigest(level.encode())


@dataclass(frozen=True, eq=False)
class Axis:
    """The cells of one column.

    :ivar edges: ascending right ends of the cells of a number, without the open last one.
    :ivar coarse: positions in ``edges`` of those that bound the bins of PSI, KL, JS and chi-squared.
    :ivar low, high: range of the reference values; ``None`` if it has none.
    :ivar scale: spread of the reference: IQR / 1.349, or if that is 0 the standard deviation of the middle 95 %.
    :ivar discrete: each reference value has a cell of its own.
    :ivar levels: names of a category's levels, most frequent first.
    :ivar rare: sorted hashes of reference levels with fewer than 5 rows; their names are not kept.
    """

    spec: ColumnSpec
    edges: Floats = field(default_factory=lambda: np.empty(0))
    coarse: Integers = field(default_factory=lambda: np.empty(0, np.int64))
    low: float | None = None
    high: float | None = None
    scale: float = 0.0
    discrete: bool = False
    levels: tuple[str, ...] = ()
    rare: frozenset[int] = frozenset()

    @property
    def is_category(self) -> bool:
        return self.spec.kind == "category"

    @property
    def values(self) -> int:
        """Cells of ordinary values: those between the edges, or the levels."""
        return len(self.levels) if self.is_category else len(self.edges) + 1

    @property
    def size(self) -> int:
        """All cells; the last one is missing. Before it: special values, or ``other`` and ``new``."""
        return self.values + (3 if self.is_category else len(self.spec.specials) + 1)

    @cached_property
    def position(self) -> dict[str, int]:
        return {level: i for i, level in enumerate(self.levels)}

    @cached_property
    def _starts(self) -> Integers:
        return np.concatenate(([0], self.coarse + 1))

    def binned(self, cells: Integers) -> Integers:
        """Counts of the bins that PSI, KL, JS and chi-squared speak of, from counts of the cells."""
        if self.is_category:
            return cells
        return np.concatenate((np.add.reduceat(cells[: self.values], self._starts), cells[self.values :]))

    @property
    def labels(self) -> list[str]:
        """A name for each bin of :meth:`binned`."""
        if self.is_category:
            return [*self.levels, "other", "new", "missing"]
        ends = [f"{self.edges[i]:.6g}" for i in self.coarse]
        if ends:
            between = [f"({a}, {b}]" for a, b in pairwise(ends)]
            bins = [*(ends if self.discrete else (f"≤ {ends[0]}", *between)), f"> {ends[-1]}"]
        else:
            bins = ["all values"]
        return [*bins, *(f"= {value:g}" for value in self.spec.specials), "missing"]

    def without_specials(self, values: Floats) -> tuple[Floats, list[int]]:
        """Ascending ``values`` less the special ones, and how often each of those is there."""
        rows = []
        for special in self.spec.specials:
            begin, end = values.searchsorted(special, "left"), values.searchsorted(special, "right")
            rows.append(int(end - begin))
            if end > begin:
                values = np.concatenate((values[:begin], values[end:]))
        return values, rows

    def counted(self, values: Floats, specials: Sequence[int], missing: int) -> Integers:
        """Counts of the cells, from ascending values without special ones."""
        below = values.searchsorted(self.edges, "right")
        return np.concatenate((np.diff(below, prepend=0, append=len(values)), specials, [missing])).astype(np.int64)

    def outside(self, values: Floats) -> int:
        """How many of the ascending values lie outside the range of the reference."""
        if self.low is None or self.high is None:
            return len(values)
        return int(values.searchsorted(self.low, "left") + len(values) - values.searchsorted(self.high, "right"))

    def tallied(self, levels: Mapping[str, int], missing: int) -> tuple[Integers, dict[str, int]]:
        """Counts of the cells of a category, and the rows of each unseen level."""
        cells = np.zeros(self.size, np.int64)
        cells[-1] = missing
        new: dict[str, int] = {}
        for level, rows in levels.items():
            if (at := self.position.get(level)) is not None:
                cells[at] += rows
            elif _hash(level) in self.rare:
                cells[-3] += rows
            else:
                cells[-2] += rows
                new[level] = rows
        return cells, kept(new)

    def to_dict(self) -> dict[str, Any]:
        head: dict[str, Any] = {"name": self.spec.name, "kind": self.spec.kind}
        if self.is_category:
            rare = np.array(sorted(self.rare), dtype="<u8").tobytes()
            return {**head, "levels": list(self.levels), "rare": b64encode(rare).decode()}
        return {**head, "specials": list(self.spec.specials), "edges": [as_json(x) for x in self.edges.tolist()],
                "coarse": self.coarse.tolist(), "low": as_json(self.low), "high": as_json(self.high), "scale": self.scale,
                "discrete": self.discrete}  # fmt: skip

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> Axis:
        if body["kind"] == "category":
            rare = frozenset(np.frombuffer(b64decode(body["rare"], validate=True), dtype="<u8").tolist())
            return cls(ColumnSpec(body["name"], "category"), levels=tuple(body["levels"]), rare=rare)
        spec = ColumnSpec(body["name"], body["kind"], tuple(body["specials"]))
        edges, coarse = np.array([float(x) for x in body["edges"]]), np.array(body["coarse"], dtype=np.int64)
        if (np.diff(edges) <= 0).any() or (np.diff(coarse) <= 0).any() or not _inside(coarse, len(edges)):
            raise ValueError(f"the edges of '{spec.name}' do not ascend")
        return cls(
            spec, edges, coarse, _float(body["low"]), _float(body["high"]), float(body["scale"]), bool(body["discrete"])
        )


def _inside(positions: Integers, size: int) -> bool:
    return not len(positions) or bool(positions[0] >= 0 and positions[-1] < size)


def as_json(value: float | None) -> float | str | None:
    """JSON has no infinity: it is written as text."""
    return value if value is None or isfinite(value) else str(value)


def _float(value: Any) -> float | None:
    return None if value is None else float(value)


def kept(new: Mapping[str, int]) -> dict[str, int]:
    """The unseen levels with the smallest hashes: what a sum keeps, each part has kept, with all its rows."""
    if len(new) <= NEW_KEPT:
        return dict(sorted(new.items()))
    return {level: new[level] for level in sorted(sorted(new, key=lambda level: (_hash(level), level))[:NEW_KEPT])}


def numeric_axis(spec: ColumnSpec, values: Floats) -> Axis:
    """Edges of a column from its ascending reference values without special ones."""
    n = len(values)
    if not n:
        return Axis(spec)
    distinct = _few(values)
    if distinct is not None:
        edges, bounds = distinct, distinct
    else:
        tenths = values[-(-np.arange(1, 10) * n // 10) - 1]
        heavy = np.unique(tenths[1:][tenths[1:] == tenths[:-1]])
        before = values.searchsorted(heavy, "left")
        bounds = np.unique(np.concatenate((tenths, values[before[before > 0] - 1])))
        edges = np.unique(np.concatenate((bounds, values[-(-np.arange(1, FINE) * n // FINE) - 1])))
    return Axis(spec, edges + 0.0, edges.searchsorted(bounds), float(values[0]), float(values[-1]), _spread(values),
                distinct is not None)  # fmt: skip


def _few(values: Floats) -> Floats | None:
    """The distinct values, if there are at most 20: each found from the one before, without a pass over all."""
    found: list[float] = []
    at = 0
    while at < len(values):
        if len(found) == EVERY_VALUE:
            return None
        found.append(float(values[at]))
        at = int(values.searchsorted(values[at], "right"))
    return np.array(found)


def at_shares(values: Floats, shares: Floats) -> Floats:
    """Quantiles of ascending values: the one at index ⌊u (n − 1)⌋ for each share u."""
    return values[np.floor(shares * (len(values) - 1) + 1e-9).astype(np.int64)]


def _spread(values: Floats) -> float:
    quarter, three = at_shares(values, np.array([0.25, 0.75]))
    with np.errstate(invalid="ignore", over="ignore"):
        spread = float(three - quarter) / 1.349
        middle = at_shares(values, _QUANTILES)
        if spread == 0 and middle[0] < middle[-1]:  # of equal values the deviation is rounding dust, not 0
            spread = float(np.std(middle))
    return spread if isfinite(spread) else 0.0


def category_axis(spec: ColumnSpec, levels: Mapping[str, int]) -> Axis:
    """Levels of a column from the rows of each in the reference."""
    ranked = sorted(levels, key=lambda level: (-levels[level], level))
    named = tuple(level for level in ranked[:MOST_LEVELS] if levels[level] >= RARE)
    rest = ranked[len(named) :]
    if len(rest) > MOST_LEVELS:
        raise InvalidInput(
            f"The column has {len(levels):,} levels, {len(rest):,} of them rare: free text or an identifier.",
            where=Where(column=spec.name), remedy="Leave it out of the profile.")  # fmt: skip
    return Axis(spec, levels=named, rare=frozenset(map(_hash, rest)))


class Grid:
    """The cells of all columns, one behind the other. Made from reference values only, and never changed."""

    def __init__(self, axes: Iterable[Axis]) -> None:
        self.axes = tuple(axes)
        names = [axis.spec.name for axis in self.axes]
        if len(set(names)) < len(names):
            raise InvalidInput("A column is named twice.", remedy="Give each column one specification.")
        self.offsets = np.cumsum([0, *(axis.size for axis in self.axes)]).tolist()
        self.position = {name: i for i, name in enumerate(names)}

    @property
    def specs(self) -> tuple[ColumnSpec, ...]:
        return tuple(axis.spec for axis in self.axes)

    @property
    def size(self) -> int:
        return int(self.offsets[-1])

    @cached_property
    def sha256(self) -> str:
        return canonical.sha256(self.to_dict())

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Grid) and self.sha256 == other.sha256)

    def __hash__(self) -> int:
        return hash(self.sha256)

    def to_dict(self) -> dict[str, Any]:
        """Whole numbers, texts and shortest floats: about 75 to 130 kB for 50 columns, stored once with the reference."""
        return {"format": "plumbline-grid-1", "columns": [axis.to_dict() for axis in self.axes]}

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> Grid:
        """:raises InvalidInput: this is no grid."""
        try:
            if body["format"] != "plumbline-grid-1":
                raise ValueError(f"unknown format {body['format']!r}")
            return cls(Axis.from_dict(axis) for axis in body["columns"])
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(f"This is no grid of a profile: {error}.") from None


def packed(numbers: Integers) -> bytes:
    """Unsigned LEB128: seven bits a byte, the high bit says that more follow."""
    numbers = numbers.astype(np.uint64)
    groups = np.stack([(numbers >> np.uint64(7 * i)) for i in range(10)], axis=1)
    wanted = np.maximum((groups > 0).sum(axis=1), 1)
    place = np.arange(10)
    data = (groups & np.uint64(127)).astype(np.uint8) | ((place < wanted[:, None] - 1).astype(np.uint8) << 7)
    return bytes(data[place < wanted[:, None]].tobytes())


def unpacked(data: bytes) -> Integers:
    """:raises ValueError: a number is cut off or needs more than 63 bits."""
    raw = np.frombuffer(data, dtype=np.uint8)
    if not len(raw):
        return np.empty(0, np.int64)
    last = raw < 128
    if not last[-1]:
        raise ValueError("the counts are cut off")
    begins = np.concatenate(([0], np.flatnonzero(last)[:-1] + 1))
    lengths = np.diff(begins, append=len(raw))
    if lengths.max() > 9:
        raise ValueError("a count is too large")
    place = np.arange(len(raw)) - np.repeat(begins, lengths)
    return np.add.reduceat((raw & 127).astype(np.int64) << (7 * place), begins)
