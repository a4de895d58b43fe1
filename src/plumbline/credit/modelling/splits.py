"""Which rows teach, which set the policy, and which are kept for the one test."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl
import xxhash

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

SMALL = 20_000


@dataclass(frozen=True, slots=True)
class Split:
    """Row numbers of the parts. ``policy`` is empty when policy predictions are made out of fold on ``train``."""

    train: Rows
    policy: Rows
    test: Rows
    groups: npt.NDArray[np.int64]
    protocol: str


def equal_rows(values: Floats) -> npt.NDArray[np.int64]:
    """For each row the number of the first row with the same features: such rows must not be told apart by a split."""
    rows = np.ascontiguousarray(values) + 0.0
    rows[np.isnan(rows)] = np.nan
    first: dict[bytes, int] = {}
    found = np.empty(len(rows), dtype=np.int64)
    for i, row in enumerate(rows):
        found[i] = first.setdefault(xxhash.xxh3_128_digest(row.data), i)
    return found


def share_of_id(ids: pl.Series, seed: int) -> Floats:
    """A number in 0 … 1 from each id: the same for ever, whatever other rows come along."""
    scale = 2.0**-64
    return np.array(
        [int.from_bytes(hashlib.sha256(f"{seed}:{i}".encode()).digest()[:8], "big") * scale for i in ids.to_list()]
    )


def _share_of_time(times: pl.Series) -> Floats:
    """The share of rows that are not later; rows of one moment share it."""
    ranks = times.rank("max").fill_null(1).to_numpy().astype(np.float64)
    return np.asarray((ranks - 0.5) / max(len(ranks), 1), dtype=np.float64)


def split(ids: pl.Series, values: Floats, *, times: pl.Series | None = None, seed: int = 42) -> Split:
    """80 % training, 10 % policy, 10 % test: the latest rows last if there is a time, else by a hash of the id.

    Below 20,000 rows the policy part would be too small to say anything: it joins the training part and policy
    predictions are made out of fold. Rows with equal features go where the first of them goes.
    """
    share = _share_of_time(times) if times is not None else share_of_id(ids, seed)
    groups = equal_rows(values)
    share = share[groups]
    small = len(values) < SMALL
    part = np.where(share < 0.8, 0, np.where(share < 0.9, 0 if small else 1, 2))
    how = "time" if times is not None else f"sha256(seed:id), seed {seed}"
    sizes = "90/10, policy out of fold" if small else "80/10/10"
    return Split(
        np.flatnonzero(part == 0),
        np.flatnonzero(part == 1),
        np.flatnonzero(part == 2),
        groups,
        f"{sizes} by {how}; equal rows together",
    )
