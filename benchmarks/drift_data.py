"""Two files to compare, a reference and a current one, in which it is known what has drifted.

Seven columns in ten are numbers, in turn normal(h), lognormal(h, .8), Poisson(5(1+h)), round(100 gamma(2, 1+h)) and an
exponential with many zeros; every third is shifted, by h = .02, .1, .3, .6 in turn; in a quarter the missing share goes
from 2 to 3 %. The others are texts of 2 to 50 levels with weights 1/rank; every second is re-weighted, every third has a
new level at .5 %.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SIZES = {"s": (100_000, 20), "l": (1_000_000, 50), "quick": (5_000, 20)}
SHIFTS = (0.02, 0.1, 0.3, 0.6)


def numbers(columns: int) -> int:
    return columns * 7 // 10


def shift(i: int) -> float:
    """h of the i-th number."""
    return SHIFTS[i // 3 % 4] if i % 3 == 0 else 0.0


def loses(i: int) -> bool:
    """Does more of the i-th number go missing?"""
    return i % 4 == 0


def unmoved(columns: int) -> list[str]:
    """Columns that are the same on both sides."""
    plain = [f"n{i}" for i in range(numbers(columns)) if not shift(i) and not loses(i)]
    return plain + [f"c{i}" for i in range(columns - numbers(columns)) if i % 2 != 1 and i % 3 != 2]


def _number(random: np.random.Generator, i: int, rows: int, h: float) -> np.ndarray:
    match i % 5:
        case 0:
            return random.normal(h, 1, rows)
        case 1:
            return random.lognormal(h, 0.8, rows)
        case 2:
            return random.poisson(5 * (1 + h), rows).astype(np.float64)
        case 3:
            return np.round(100 * random.gamma(2, 1 + h, rows))
        case _:
            return np.where(random.random(rows) < 0.6, 0.0, random.exponential(1 + h, rows))


def _levels(random: np.random.Generator, i: int, count: int, rows: int, now: bool) -> pa.Array:
    levels = 2 + 48 * i // max(1, count - 1)
    weights = 1 / np.arange(1, levels + 1)
    names = [f"level {k:02d}" for k in range(levels)]
    if now and i % 2 == 1:
        weights *= 1 + 0.5 * (np.arange(levels) % 2)
    weights /= weights.sum()
    if now and i % 3 == 2:
        weights, names = np.append(weights * 0.995, 0.005), [*names, "new level"]
    codes = random.choice(len(names), rows, p=weights).astype(np.int32)
    return pa.DictionaryArray.from_arrays(codes, names).cast(pa.string())


def write(path: Path, size: str, *, now: bool) -> None:
    """One of the two files: Parquet, zstd, row groups of 131,072; seed 1 for the reference, 2 for the current one."""
    rows, columns = SIZES[size]
    random = np.random.default_rng(2 if now else 1)
    table: dict[str, pa.Array] = {}
    for i in range(numbers(columns)):
        values = _number(random, i, rows, shift(i) if now else 0.0)
        lost = random.random(rows) < (0.03 if now else 0.02) if loses(i) else None
        table[f"n{i}"] = pa.array(values, mask=lost)
    count = columns - numbers(columns)
    for i in range(count):
        table[f"c{i}"] = _levels(random, i, count, rows, now)
    pq.write_table(pa.table(table), path, compression="zstd", row_group_size=131_072)


def both(folder: Path, size: str) -> tuple[Path, Path]:
    """The two files, made if they are not there."""
    paths = folder / f"{size}-reference.parquet", folder / f"{size}-current.parquet"
    for now, path in enumerate(paths):
        if not path.exists():
            write(path, size, now=bool(now))
    return paths
