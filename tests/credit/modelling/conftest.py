from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from plumbline.credit.features.matrix import FeatureInfo, Matrix
from plumbline.credit.modelling.training import Trained, train

MakeMatrix = Callable[..., tuple[Matrix, np.ndarray]]


def made(rows: int = 1500, features: int = 6, seed: int = 0, missing: float = 0.1) -> tuple[Matrix, np.ndarray]:
    """Applications with known causes: the first features drive default, the last is a category, one is never missing."""
    rng = np.random.default_rng(seed)
    values = np.asfortranarray(rng.normal(size=(rows, features)))
    values[:, -1] = rng.integers(0, 4, rows)
    log_odds = -1.5 + 1.2 * values[:, 0] - 0.8 * values[:, 1] + 0.4 * (values[:, -1] == 2)
    y = (rng.random(rows) < 1 / (1 + np.exp(-log_odds))).astype(np.int8)
    hide = rng.random(values.shape) < missing
    hide[:, 2] = False
    values[hide] = np.nan
    infos = []
    for i in range(features):
        column = values[:, i]
        infos.append(
            FeatureInfo(
                f"f{i}", "category" if i == features - 1 else "numeric", frozenset({f"application.f{i}"}),
                reason=f"REASON_{i // 2}", lowest=float(np.nanmin(column)), highest=float(np.nanmax(column)),
                typical=float(np.nanmedian(column)), levels=("a", "b", "c", "d") if i == features - 1 else (),
            )
        )  # fmt: skip
    return Matrix(pl.Series("id", np.arange(rows) + 100_000), values, tuple(infos)), y


@pytest.fixture(scope="session")
def make_matrix() -> MakeMatrix:
    return made


@pytest.fixture(scope="session")
def trained() -> Trained:
    matrix, y = made()
    return train(matrix, y)


@pytest.fixture(scope="session")
def signed_matrix() -> tuple[Matrix, np.ndarray]:
    matrix, y = made(seed=4)
    infos = tuple(replace(f, monotone=1 if f.name == "f0" else 0) for f in matrix.features)
    return Matrix(matrix.ids, matrix.values, infos), y
