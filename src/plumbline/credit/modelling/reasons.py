"""Reasons: which groups of features spoke against an applicant, and what about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from plumbline.credit.features.matrix import FeatureInfo

Floats = npt.NDArray[np.float64]

MOST_REASONS = 4
LEAST_SHARE = 0.02


@dataclass(frozen=True, slots=True)
class ReasonGroup:
    """Features that are one reason to a reader, with the text for a bad value and the one for a missing value."""

    code: str
    adverse: str
    missing: str
    unit: str
    direction: str
    features: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason of one row: the group's contribution (log-odds), and the feature in it that counted most.

    ``value`` and ``typical`` are numbers, level names of a category, or None (missing, unknown).
    """

    code: str
    contribution: float
    feature: str
    value: float | str | None
    typical: float | str | None
    missing: bool
    text: str
    unit: str

    def to_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class RankedReasons:
    """Reasons of many rows: ``groups`` (rows, most) is an index into the book's groups or -1, ``missing`` alike."""

    groups: npt.NDArray[np.int16]
    missing: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ReasonBook:
    """The versioned list of reason groups of a model.

    Candidates are the groups that push toward default relative to the training average; the ``most`` largest are
    given, each with at least ``least_share`` of the sum of all pushes toward default.
    """

    groups: tuple[ReasonGroup, ...]
    version: str = "1"
    most: int = MOST_REASONS
    least_share: float = LEAST_SHARE

    @classmethod
    def of(
        cls, features: Sequence[FeatureInfo], reasons: Mapping[str, Any] | None = None, version: str = "1"
    ) -> ReasonBook:
        """Group features by their reason code; one without a code stands for itself.

        :param reasons: code to an object with ``adverse``, ``missing``, ``unit``, ``direction`` (a schema's reasons).
        """
        members: dict[str, list[int]] = {}
        for i, feature in enumerate(features):
            members.setdefault(feature.reason or feature.name, []).append(i)
        known = reasons or {}
        groups = []
        for code, indices in sorted(members.items()):
            declared = known.get(code)
            if declared is None:
                group = ReasonGroup(code, "", "", features[indices[0]].unit, "", tuple(indices))
            else:
                group = ReasonGroup(
                    code, declared.adverse, declared.missing, declared.unit, declared.direction, tuple(indices)
                )
            groups.append(group)
        return cls(tuple(groups), version)

    @property
    def without_text(self) -> tuple[str, ...]:
        """Codes that have no text for an applicant yet: such a model must not be promoted."""
        return tuple(g.code for g in self.groups if not (g.adverse and g.missing))

    @property
    def group_of(self) -> npt.NDArray[np.int64]:
        """The group of each feature."""
        found = np.zeros(sum(len(g.features) for g in self.groups), dtype=np.int64)
        for i, group in enumerate(self.groups):
            found[list(group.features)] = i
        return found

    def sums(self, contributions: Floats) -> Floats:
        """Group contributions, shape (groups, rows), of contributions (features, rows), added in feature order."""
        total = np.zeros((len(self.groups), contributions.shape[1]))
        for row, group in zip(total, self.groups, strict=True):
            for feature in group.features:
                np.add(row, contributions[feature], out=row)
        return total

    def rank(self, sums: Floats, contributions: Floats, values: Floats) -> RankedReasons:
        """The reasons of many rows. ``values`` has shape (rows, features); missing is NaN."""
        rows = sums.shape[1]
        chosen = np.full((rows, self.most), -1, dtype=np.int16)
        absent = np.zeros((rows, self.most), dtype=bool)
        work = np.array(sums.T, order="C", copy=True)
        pushed = np.zeros(rows)
        for group in sums:
            pushed += np.maximum(group, 0.0)
        least = np.maximum(self.least_share * pushed, np.finfo(np.float64).tiny)
        by_missing = self._leading_is_missing(contributions, values)
        every = np.arange(rows)
        for place in range(min(self.most, len(self.groups))):
            best = work.argmax(axis=1)
            enough = work[every, best] >= least
            if not enough.any():
                break
            chosen[:, place] = np.where(enough, best, -1)
            absent[:, place] = enough & by_missing[best, every]
            work[every, best] = -np.inf
        return RankedReasons(chosen, absent)

    def _leading_is_missing(self, contributions: Floats, values: Floats) -> npt.NDArray[np.bool_]:
        """For each (group, row): is the feature with the group's largest contribution a missing one?"""
        found = np.zeros((len(self.groups), contributions.shape[1]), dtype=bool)
        for out, group in zip(found, self.groups, strict=True):
            gone = [np.isnan(values[:, f]) for f in group.features]
            if not any(g.any() for g in gone):
                continue
            leading = np.full(contributions.shape[1], -np.inf)
            for feature, empty in zip(group.features, gone, strict=True):
                higher = contributions[feature] > leading
                np.copyto(leading, contributions[feature], where=higher)
                np.copyto(out, empty, where=higher)
        return found

    def rank_one(self, sums: Sequence[float]) -> list[int]:
        """The groups that are reasons of one row, the same as :meth:`rank` finds."""
        pushed = 0.0
        for value in sums:
            if value > 0:
                pushed += value
        least = max(self.least_share * pushed, float(np.finfo(np.float64).tiny))
        candidates = [i for i, value in enumerate(sums) if value >= least]
        candidates.sort(key=lambda i: -sums[i])
        return candidates[: self.most]

    def detail(
        self, group: int, contribution: float, contributions: Floats, row: Floats, features: Sequence[FeatureInfo]
    ) -> Reason:
        """One reason of one row in full; ``contributions`` and ``row`` have shape (features,)."""
        member = self.groups[group]
        leading = member.features[0]
        for feature in member.features[1:]:
            if contributions[feature] > contributions[leading]:
                leading = feature
        info = features[leading]
        missing = bool(np.isnan(row[leading]))
        text = member.missing if missing else member.adverse
        return Reason(
            member.code, contribution, info.name, shown(info, float(row[leading])), shown(info, info.typical), missing,
            text or info.text or info.name, info.unit or member.unit,
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able form; :meth:`from_dict` gives the same book back."""
        groups = [
            {
                "code": g.code, "adverse": g.adverse, "missing": g.missing, "unit": g.unit, "direction": g.direction,
                "features": list(g.features),
            }
            for g in self.groups
        ]  # fmt: skip
        return {"version": self.version, "most": self.most, "least_share": self.least_share, "groups": groups}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ReasonBook:
        groups = tuple(ReasonGroup(**{**g, "features": tuple(g["features"])}) for g in data["groups"])
        return cls(groups, data["version"], int(data["most"]), float(data["least_share"]))


def shown(info: FeatureInfo, value: float | None) -> float | str | None:
    """A value of the matrix as a person reads it: a level's name, a number, or None for missing."""
    if value is None or value != value:  # noqa: PLR0124 - NaN is the one value that differs from itself
        return None
    if info.kind == "category":
        code = int(value)
        return info.levels[code] if 0 <= code < len(info.levels) else "other"
    return float(value)
