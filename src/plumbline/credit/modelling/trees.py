"""The trees of a LightGBM model, read from its text form, without LightGBM."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from plumbline.kernel.errors import InvalidInput, Where

MAX_DEPTH = 8
_MISSING_NONE, _MISSING_NAN = 0, 2
# LightGBM's predictor reads |x| <= 1e-35 (as float32) as 0. A threshold of exactly minus that value, its lower border
# of "zero", therefore sends the border itself to the right: the same as the next lower threshold does.
_ZERO = float(np.float32(1e-35))
_BELOW_ZERO = float(np.nextafter(-_ZERO, -np.inf))


@dataclass(frozen=True, slots=True)
class Condition:
    """One step of a path: the row goes on if ``x > threshold`` equals ``right`` (missing: ``missing_right == right``)."""

    feature: int
    threshold: float
    missing_right: bool
    right: bool


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf with the way to it. ``shares[i]`` is the part of the parent's training rows that took step ``i``."""

    value: float
    path: tuple[Condition, ...]
    shares: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Forest:
    """Additive trees: the raw score of a row is the sum, in tree order, of the leaf it reaches in each tree.

    ``zero_if_missing`` marks the features that never were missing in training: LightGBM reads NaN as 0.0 there.
    """

    features: int
    trees: tuple[tuple[Leaf, ...], ...]
    zero_if_missing: npt.NDArray[np.bool_]

    @classmethod
    def from_text(cls, text: str) -> Forest:
        """Read ``Booster.model_to_string()`` (format version 4, one class, numeric splits).

        :raises InvalidInput: native categorical splits, linear leaves, ``zero_as_missing``, several classes, or a
            path of more than 8 steps (a group's cell number must fit a byte).
        """
        head, *sections = text.split("\nTree=")
        header = _entries(head)
        if header.get("num_class") != "1" or "max_feature_idx" not in header:
            raise InvalidInput("The model text is not a LightGBM model with one output.", where=Where(file="model.txt"))
        features = int(header["max_feature_idx"]) + 1
        none_type = np.zeros(features, dtype=bool)
        nan_type = np.zeros(features, dtype=bool)
        trees = tuple(_leaves(_entries(s.split("\n\n\n", 1)[0]), none_type, nan_type) for s in sections)
        if np.any(none_type & nan_type):
            raise InvalidInput("A feature has two kinds of missing value.", where=Where(file="model.txt"))
        return cls(features, trees, none_type)


def _entries(section: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in section.splitlines() if "=" in line)


def _refuse(what: str) -> InvalidInput:
    return InvalidInput(
        f"The model has {what}, which exact contributions do not support.",
        where=Where(file="model.txt"),
        remedy="Train with numeric splits, integer-coded categories, max_depth 8 and zero_as_missing off.",
    )


def _leaves(
    entries: dict[str, str], none_type: npt.NDArray[np.bool_], nan_type: npt.NDArray[np.bool_]
) -> tuple[Leaf, ...]:
    if int(entries["num_cat"]) or entries.get("is_linear", "0") != "0":
        raise _refuse("native categorical splits or linear leaves")
    values = [float(v) for v in entries["leaf_value"].split()]
    if int(entries["num_leaves"]) == 1:
        return (Leaf(values[0], (), ()),)
    feature = [int(v) for v in entries["split_feature"].split()]
    threshold = [_BELOW_ZERO if float(v) == -_ZERO else float(v) for v in entries["threshold"].split()]
    decision = [int(v) for v in entries["decision_type"].split()]
    children = list(zip(*([int(v) for v in entries[k].split()] for k in ("left_child", "right_child")), strict=True))
    leaf_count = [int(v) for v in entries["leaf_count"].split()]
    internal_count = [int(v) for v in entries["internal_count"].split()]

    found: list[Leaf | None] = [None] * len(values)
    waiting: list[tuple[int, tuple[Condition, ...], tuple[float, ...]]] = [(0, (), ())]
    while waiting:
        node, path, shares = waiting.pop()
        missing = decision[node] >> 2 & 3
        if missing not in (_MISSING_NONE, _MISSING_NAN):
            raise _refuse("zero read as missing")
        (nan_type if missing == _MISSING_NAN else none_type)[feature[node]] = True
        missing_right = missing == _MISSING_NAN and not decision[node] & 2
        for right, child in enumerate(children[node]):
            count = leaf_count[~child] if child < 0 else internal_count[child]
            longer = (*path, Condition(feature[node], threshold[node], missing_right, bool(right)))
            parts = (*shares, count / internal_count[node])
            if child >= 0:
                waiting.append((child, longer, parts))
            elif len(longer) > MAX_DEPTH:
                raise _refuse("a path of more than 8 steps")
            else:
                found[~child] = Leaf(values[~child], longer, parts)
    return tuple(leaf for leaf in found if leaf is not None)
