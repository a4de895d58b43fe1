"""Shapley values of single leaves: the algebra behind the contribution tables."""

from __future__ import annotations

from collections.abc import Sequence
from math import factorial

import numpy as np
import numpy.typing as npt

from plumbline.credit.modelling.trees import Leaf

Floats = npt.NDArray[np.float64]


def merged_shares(leaf: Leaf) -> dict[int, float]:
    """Path features in ascending order with the product of the shares of their steps."""
    merged: dict[int, float] = {}
    for condition, share in zip(leaf.path, leaf.shares, strict=True):
        merged[condition.feature] = merged.get(condition.feature, 1.0) * share
    return dict(sorted(merged.items()))


def leaf_tables(values: Floats, shares: Floats) -> Floats:
    """SHAP values of leaves for every answer to their path features.

    :param values: leaf values, shape (leaves,).
    :param shares: z of each path feature, shape (leaves, d).
    :returns: shape (leaves, 2**d, d); bit j of the mask says that path feature j is satisfied.

    With o the bits of the mask, ``phi_j = (o_j - z_j) value sum_q c_q q!(d-1-q)!/d!`` where c are the coefficients of
    ``prod_{k != j} (z_k + o_k x)`` (Lundberg et al. 2020, algorithm 2, written for one leaf).
    """
    leaves, d = shares.shape
    bits = (np.arange(2**d)[:, None] >> np.arange(d) & 1).astype(np.float64)
    table = np.empty((leaves, 2**d, d))
    for j in range(d):
        coefficients = [np.ones((leaves, 2**d))]
        for k in range(d):
            if k == j:
                continue
            z, o = shares[:, k, None], bits[None, :, k]
            higher = [c * o for c in coefficients]
            coefficients = [c * z for c in coefficients]
            for q, term in enumerate(higher[:-1]):
                coefficients[q + 1] = coefficients[q + 1] + term
            coefficients.append(higher[-1])
        total = np.zeros((leaves, 2**d))
        for q, c in enumerate(coefficients):
            total += c * (factorial(q) * factorial(d - 1 - q) / factorial(d))
        table[:, :, j] = (bits[None, :, j] - shares[:, j, None]) * values[:, None] * total
    return table


def tables_of(leaves: Sequence[Leaf]) -> list[Floats]:
    """The table of each leaf, shape (2**d, d) over its path features in ascending order."""
    shares = [merged_shares(leaf) for leaf in leaves]
    tables: list[Floats] = [np.empty((1, 0))] * len(leaves)
    for d in sorted({len(s) for s in shares} - {0}):
        these = [i for i, s in enumerate(shares) if len(s) == d]
        made = leaf_tables(
            np.array([leaves[i].value for i in these]), np.array([list(shares[i].values()) for i in these])
        )
        for i, table in zip(these, made, strict=True):
            tables[i] = table
    return tables
