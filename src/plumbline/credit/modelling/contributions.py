"""Exact path-dependent TreeSHAP as table look-ups: raw score and contributions from one pass, 1 row = N rows.

Leaves of one tree that ask few distinct questions are merged into a *group*: for each feature of the group a table
over every combination of answers holds the sum of its SHAP values over the group's leaves (:mod:`shapley`). A row then
costs one look-up per (group, feature) pair instead of one per leaf and feature. All sums run in one fixed order, so one
row, many rows and any order of rows give the same bits. The raw score adds the value of the reached leaf in tree order:
the bits of LightGBM's own ``predict(raw_score=True)``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from plumbline.credit.modelling.shapley import merged_shares, tables_of
from plumbline.credit.modelling.trees import Forest, Leaf

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# A group's cell number fits a byte: its tables stay in the first-level cache, and 2**8 conditions of one path always fit.
GROUP_CELLS = 256
BLOCK_ROWS = 8192
_FEW_ROWS = 64


@dataclass(frozen=True, slots=True)
class _Question:
    """What a group asks of one feature: the answer is a digit, 0 … len(thresholds), or one more for missing."""

    feature: int
    thresholds: tuple[float, ...]
    missing: int

    @property
    def radix(self) -> int:
        return max(len(self.thresholds), self.missing) + 1

    def satisfied(self, leaf: Leaf) -> npt.NDArray[np.bool_]:
        """For each digit: does the row pass every step of the leaf's path that looks at this feature?"""
        digits = np.arange(self.radix)
        passes = np.ones(self.radix, dtype=bool)
        for step in leaf.path:
            if step.feature == self.feature:
                right = digits > self.thresholds.index(step.threshold)
                if self.missing > len(self.thresholds):
                    right[self.missing] = step.missing_right
                passes &= right == step.right
        return passes


def _questions(leaves: Sequence[Leaf]) -> list[_Question]:
    asked: dict[int, dict[float, set[bool]]] = {}
    for leaf in leaves:
        for step in leaf.path:
            asked.setdefault(step.feature, {}).setdefault(step.threshold, set()).add(step.missing_right)
    questions = []
    for feature, by_threshold in sorted(asked.items()):
        thresholds = tuple(sorted(by_threshold))
        answers = [by_threshold[t] for t in thresholds]
        rights = sum(True in a for a in answers)
        # Missing needs a digit of its own unless it answers like some number: right up to a threshold, left after it.
        like_a_number = all(a == {i < rights} for i, a in enumerate(answers))
        questions.append(_Question(feature, thresholds, rights if like_a_number else len(thresholds) + 1))
    return questions


def _grouped(leaves: Sequence[Leaf], depth: int) -> Iterator[Sequence[Leaf]]:
    if len(leaves) == 1 or prod(q.radix for q in _questions(leaves)) <= GROUP_CELLS:
        yield leaves
        return
    for side in (False, True):
        yield from _grouped([leaf for leaf in leaves if leaf.path[depth].right is side], depth + 1)


def _merge(leaves: Sequence[Leaf], tables: Mapping[int, Floats], questions: Sequence[_Question]) -> Floats:
    """Rows: one per question, then the leaf value itself; columns: the group's cells."""
    radices = [q.radix for q in questions]
    cells = prod(radices)
    digits = [d.ravel() for d in np.indices(radices)] if radices else []
    place = {q.feature: i for i, q in enumerate(questions)}
    merged = np.zeros((len(questions) + 1, cells))
    for leaf in leaves:
        mask = np.zeros(cells, dtype=np.intp)
        features = list(merged_shares(leaf))
        for bit, feature in enumerate(features):
            question = questions[place[feature]]
            mask |= question.satisfied(leaf)[digits[place[feature]]].astype(np.intp) << bit
        table = tables[id(leaf)]
        for bit, feature in enumerate(features):
            merged[place[feature]] += table[mask, bit]
        merged[-1][mask == 2 ** len(features) - 1] = leaf.value
    return merged


@dataclass(frozen=True, slots=True)
class Explained:
    """Raw scores (log-odds), shape (rows,), and contributions, shape (features, rows): their sum + base = raw score."""

    raw: Floats
    contributions: Floats


@dataclass(frozen=True, slots=True)
class _Group:
    """One group ready to run: its questions as comparisons of binned rows, its tables by target feature."""

    questions: tuple[tuple[npt.NDArray[np.uint8], tuple[tuple[int, npt.NDArray[np.unsignedinteger]], ...]], ...]
    tables: tuple[tuple[int, Floats], ...]


_ARRAYS = {
    "base": np.float64, "zero_if_missing": np.bool_, "edges": np.float64, "edge_counts": np.int64,
    "pair_feature": np.int64, "pair_group": np.int64, "pair_cells": np.int64,
    "condition_pair": np.int64, "condition_feature": np.int64, "condition_edge": np.int64,
    "condition_missing": np.bool_, "cells": np.float64,
}  # fmt: skip


class TreeTables:
    """The tables of one model, ready to score. Nothing in here needs LightGBM."""

    def __init__(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take the arrays :meth:`arrays` gives (the ``.npy`` members of an artefact)."""
        self._arrays: dict[str, npt.NDArray[Any]] = {
            name: np.ascontiguousarray(arrays[name], dtype=kind) for name, kind in _ARRAYS.items()
        }
        a = self._arrays
        self.base = float(a["base"][0])
        self.zero_if_missing = a["zero_if_missing"]
        self.features = len(self.zero_if_missing)
        self._zeroed = np.flatnonzero(self.zero_if_missing)
        self._prepare_single()
        self._prepare_blocks()

    @classmethod
    def build(cls, forest: Forest) -> TreeTables:
        """Make the tables of a model: a few tens of milliseconds for 150 trees of 16 leaves."""
        leaves = [leaf for tree in forest.trees for leaf in tree]
        tables = {id(leaf): table for leaf, table in zip(leaves, tables_of(leaves), strict=True)}
        base = 0.0
        for leaf in leaves:
            base += leaf.value * prod(merged_shares(leaf).values())
        groups = [group for tree in forest.trees for group in _grouped(tree, 0)]
        asked = [_questions(group) for group in groups]

        distinct: dict[int, set[float]] = {f: set() for f in range(forest.features)}
        for question in (q for questions in asked for q in questions):
            distinct[question.feature].update(question.thresholds)
        edges = {f: sorted(values) for f, values in distinct.items()}

        pairs: list[tuple[int, int, int]] = []
        conditions: list[tuple[int, int, int, bool]] = []
        cells: list[Floats] = []
        for number, (group, questions) in enumerate(zip(groups, asked, strict=True)):
            merged = _merge(group, tables, questions)
            for question in questions:
                known = edges[question.feature]
                for i, threshold in enumerate(question.thresholds):
                    conditions.append((len(pairs), question.feature, known.index(threshold), i < question.missing))
                if question.missing > len(question.thresholds):
                    conditions.append((len(pairs), question.feature, len(known), True))
                pairs.append((question.feature, number, merged.shape[1]))
            pairs.append((forest.features, number, merged.shape[1]))
            cells.append(merged.ravel())
        pair = np.array(pairs, dtype=np.int64).reshape(-1, 3)
        condition = np.array(conditions, dtype=np.int64).reshape(-1, 4)
        return cls({
            "base": np.array([base]),
            "zero_if_missing": forest.zero_if_missing,
            "edges": np.array([t for f in range(forest.features) for t in edges[f]], dtype=np.float64),
            "edge_counts": np.array([len(edges[f]) for f in range(forest.features)]),
            "pair_feature": pair[:, 0], "pair_group": pair[:, 1], "pair_cells": pair[:, 2],
            "condition_pair": condition[:, 0], "condition_feature": condition[:, 1],
            "condition_edge": condition[:, 2], "condition_missing": condition[:, 3] != 0,
            "cells": np.concatenate(cells) if cells else np.empty(0),
        })  # fmt: skip

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Everything there is to store, by name."""
        return dict(self._arrays)

    def edges_of(self, feature: int) -> Floats:
        """The thresholds at which the score can change with this feature, ascending."""
        stop = int(self._arrays["edge_counts"][: feature + 1].sum())
        return self._arrays["edges"][stop - int(self._arrays["edge_counts"][feature]) : stop]

    # One row: every comparison at once, then one gather and one ordered sum.

    def _prepare_single(self) -> None:
        a = self._arrays
        starts = np.concatenate(([0], np.cumsum(a["edge_counts"])))
        only_missing = a["condition_edge"] >= a["edge_counts"][a["condition_feature"]]
        self._threshold = np.full(len(only_missing), np.inf)
        known = ~only_missing
        self._threshold[known] = a["edges"][starts[a["condition_feature"][known]] + a["condition_edge"][known]]
        # The cell number is a mixed-radix number whose digits are counts of true conditions.
        digits = np.bincount(a["condition_pair"], minlength=len(a["pair_group"]))
        self._stride = np.ones(len(digits), dtype=np.int64)
        for i in range(len(digits) - 2, -1, -1):
            if a["pair_group"][i] == a["pair_group"][i + 1]:
                self._stride[i] = self._stride[i + 1] * (digits[i + 1] + 1)
        self._weight = self._stride[a["condition_pair"]].astype(np.float64)
        self._offset = np.concatenate(([0], np.cumsum(a["pair_cells"])))[:-1]
        self._condition_group = a["pair_group"][a["condition_pair"]]
        self._groups = int(a["pair_group"][-1]) + 1 if len(a["pair_group"]) else 0

    def one(self, row: Floats) -> tuple[float, Floats]:
        """Raw score and contributions, shape (features,), of one row of shape (features,)."""
        a = self._arrays
        missing = np.isnan(row)
        x = row
        if missing.any():
            x = np.where(missing & self.zero_if_missing, 0.0, row)
            asked = x[a["condition_feature"]]
            true = (asked > self._threshold) | (np.isnan(asked) & a["condition_missing"])
        else:
            true = x[a["condition_feature"]] > self._threshold
        cell = np.bincount(self._condition_group, true * self._weight, self._groups).astype(np.int64)
        values = a["cells"][self._offset + cell[a["pair_group"]]]
        sums: Floats = np.bincount(a["pair_feature"], values, self.features + 1).astype(np.float64, copy=False)
        return float(sums[-1]), sums[:-1]

    # Many rows: column by column, in blocks that fit the cache.

    def _prepare_blocks(self) -> None:
        a = self._arrays
        self._edges = np.split(a["edges"], np.cumsum(a["edge_counts"])[:-1]) if self.features else []
        most = int(a["edge_counts"].max(initial=0))
        self._kind: type[np.unsignedinteger] = np.uint8 if most + 1 < 256 else np.uint16
        both = np.unique(a["condition_feature"] * 2 + a["condition_missing"])
        self._rows = {int(key): i for i, key in enumerate(both)}
        by_pair: list[list[tuple[int, npt.NDArray[np.unsignedinteger]]]] = [[] for _ in a["pair_feature"]]
        for pair, feature, edge, missing in zip(
            *(a[n].tolist() for n in ("condition_pair", "condition_feature", "condition_edge", "condition_missing")),
            strict=True,
        ):
            by_pair[pair].append((self._rows[feature * 2 + missing], np.array(edge, dtype=self._kind)))
        self._program: list[_Group] = []
        ends = np.append(np.flatnonzero(np.diff(a["pair_group"])) + 1, len(a["pair_group"])).tolist()
        start = 0
        for end in ends:
            members = range(start, end)
            self._program.append(_Group(
                tuple((np.array(len(by_pair[i]) + 1, dtype=np.uint8), tuple(by_pair[i])) for i in members if by_pair[i]),
                tuple((int(a["pair_feature"][i]),
                       a["cells"][self._offset[i] : self._offset[i] + a["pair_cells"][i]]) for i in members),
            ))  # fmt: skip
            start = end

    def _binned(self, values: Floats) -> list[npt.NDArray[np.unsignedinteger]]:
        """Per (feature, side missing goes to): the number of edges below each value; missing is lowest or highest."""
        rows: list[npt.NDArray[np.unsignedinteger]] = []
        lowest: npt.NDArray[np.unsignedinteger]
        before = -1
        flag = np.empty(len(values), dtype=bool)
        for key in self._rows:
            feature, high = divmod(key, 2)
            column = values[:, feature]
            if feature != before:
                before = feature
                np.isnan(column, out=flag)
                missing = flag.copy() if flag.any() else None
                if missing is not None and self.zero_if_missing[feature]:
                    column, missing = np.where(missing, 0.0, column), None
                edges = self._edges[feature]
                if len(edges) <= 48:
                    lowest = np.zeros(len(values), dtype=self._kind)
                    for edge in edges:
                        lowest += np.greater(column, edge, out=flag)
                else:
                    lowest = np.searchsorted(edges, column).astype(self._kind)
                    if missing is not None:
                        lowest[missing] = 0
            if high and missing is not None:
                highest = lowest.copy()
                highest[missing] = len(self._edges[feature]) + 1
                rows.append(highest)
            else:
                rows.append(lowest)
        return rows

    def _block(self, values: Floats, *, contributions: bool) -> Floats:
        """Sums by target, shape (features + 1, rows), the raw score last; only the raw score if so asked."""
        n = len(values)
        binned = self._binned(values)
        sums = np.zeros((self.features + 1, n))
        targets = list(sums)
        cell = np.empty(n, dtype=np.uint8)
        first = cell.view(np.bool_)
        flag = np.empty(n, dtype=np.bool_)
        digit = flag.view(np.uint8)
        index = np.empty(n, dtype=np.intp)
        found = np.empty(n)
        greater, multiply, add, copyto = np.greater, np.multiply, np.add, np.copyto
        for group in self._program:
            out = first
            for radix, conditions in group.questions:
                if out is not first:
                    multiply(cell, radix, out=cell)
                for row, edge in conditions:
                    greater(binned[row], edge, out=out)
                    if out is flag:
                        add(cell, digit, out=cell)
                    out = flag
            if not group.questions:
                cell.fill(0)
            copyto(index, cell)
            for target, table in group.tables if contributions else group.tables[-1:]:
                table.take(index, out=found, mode="clip")
                into = targets[target]
                add(into, found, out=into)
        return sums

    def blocks(self, values: Floats, rows: int = BLOCK_ROWS) -> Iterator[tuple[slice, Explained]]:
        """Explain rows block by block; ``values`` has shape (rows, features), column order being the faster one."""
        if len(values) < _FEW_ROWS:
            raw, contributions = np.empty(len(values)), np.empty((self.features, len(values)))
            for i, row in enumerate(np.ascontiguousarray(values)):
                raw[i], contributions[:, i] = self.one(row)
            yield slice(0, len(values)), Explained(raw, contributions)
            return
        for start in range(0, len(values), rows):
            part = slice(start, min(start + rows, len(values)))
            sums = self._block(values[part], contributions=True)
            yield part, Explained(sums[-1], sums[:-1])

    def explain(self, values: Floats) -> Explained:
        """Raw scores and all contributions: for 120 features 1 kB a row."""
        raw, contributions = np.empty(len(values)), np.empty((self.features, len(values)))
        for part, explained in self.blocks(values):
            raw[part], contributions[:, part] = explained.raw, explained.contributions
        return Explained(raw, contributions)

    def raw(self, values: Floats) -> Floats:
        """Raw scores alone, several times faster than with contributions and bit for bit the same."""
        if len(values) < _FEW_ROWS:
            return np.array([self.one(row)[0] for row in np.ascontiguousarray(values)], dtype=np.float64)
        parts = [values[i : i + BLOCK_ROWS] for i in range(0, len(values), BLOCK_ROWS)]
        return np.concatenate([self._block(part, contributions=False)[-1] for part in parts])
