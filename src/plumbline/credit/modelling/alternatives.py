"""A recorded search for models that treat a group less unequally at little or no cost in ranking.

Candidates differ from the model in what they may learn from (features that tell of the group left out, demanded signs
dropped) and in how they learn (leaves, regularisation, seeds). Each is judged out of fold on the same rows and folds, at
one approval rate, so that all comparisons are paired. Of many candidates the best one looks better than it is: changes
are corrected for their number, and what is chosen must be confirmed on new rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from math import erfc, exp, log, sqrt
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from plumbline.credit.features.matrix import Matrix
from plumbline.credit.modelling.champion import Labels, Settings, checked_labels, cross_validate
from plumbline.credit.modelling.fairness import ALPHA, LEAST, Figure, holm, katz
from plumbline.credit.modelling.groups import proxies
from plumbline.credit.modelling.splits import equal_rows
from plumbline.kernel.errors import InvalidInput
from plumbline.kernel.models import metrics
from plumbline.kernel.models.metrics import Z95

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.bool_]
Outcome = Literal["less unequal", "less unequal, ranks worse", "more unequal", "no difference shown"]

MOST = 40
STATEMENT = "What was tried, and what came of it. The best of many looks better than it is: confirm it on new rows."


@dataclass(frozen=True, slots=True)
class Candidate:
    """A way to make the model otherwise.

    :ivar without: features it may not learn from; ``signs``: whether the schema's signs are demanded of it.
    """

    name: str
    settings: Settings
    without: tuple[str, ...] = ()
    signs: bool = True


@dataclass(frozen=True, slots=True)
class Tried:
    """
    :ivar roc_auc: out of fold; ``roc_auc_change`` less that of the model, paired (DeLong).
    :ivar ratio: approval-rate ratio of the group looked at; ``ratio_change`` over that of the model, paired (Bonett and
        Price 2006): above 1 is less unequal; ``p`` of "no change", corrected by Holm.
    :ivar lowest: the group with the lowest ratio under this candidate, and ``lowest_ratio`` its ratio.
    :ivar front: no candidate is better in both AUC and ratio.
    """

    name: str
    without: tuple[str, ...]
    signs: bool
    settings: dict[str, Any]
    roc_auc: float
    roc_auc_change: Figure
    ratio: Figure
    ratio_change: Figure
    p: float
    outcome: Outcome
    lowest: str
    lowest_ratio: float
    front: bool


@dataclass(frozen=True, slots=True)
class Search:
    """
    :ivar group: the group looked at: that with the lowest ratio under the model, unless it was named.
    :ivar approved: share of applicants approved under every candidate.
    :ivar roc_auc, ratio: of the model itself, by the same folds.
    """

    group: str
    rows: int
    approved: float
    folds: int
    roc_auc: float
    ratio: Figure
    tried: tuple[Tried, ...]
    statement: str = STATEMENT

    @property
    def better(self) -> tuple[Tried, ...]:
        """Candidates shown to be less unequal and not shown to rank worse."""
        return tuple(t for t in self.tried if t.outcome == "less unequal")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def candidates(matrix: Matrix, settings: Settings, telling: Sequence[str], most: int = MOST) -> list[Candidate]:
    """At most ``most`` of them, in an order that does not depend on any outcome.

    :param telling: features that tell of the group, strongest first.
    """
    first = [replace(settings, leaves=leaves) for leaves in (8, 4, 2) if leaves < settings.leaves]
    first += [replace(settings, lambda_l2=settings.lambda_l2 * times) for times in (4, 16)]
    first += [replace(settings, min_child_samples=settings.min_child_samples * 4)]
    first += [replace(settings, feature_fraction=share) for share in (0.1, 0.4)]
    made = [Candidate(f"seed {settings.seed + i}", replace(settings, seed=settings.seed + i)) for i in (1, 2)]
    made += [Candidate(_difference(settings, other), other) for other in first]
    if any(f.monotone for f in matrix.features):
        made.append(Candidate("without signs", settings, signs=False))
    groups = [tuple(telling[:count]) for count in (2, 3, 5, 8, 12) if count <= len(telling)]
    made += [Candidate(f"without the {len(names)} most telling features", settings, names) for names in groups]
    made += [Candidate(f"without {name}", settings, (name,)) for name in telling[:12]]
    made += [
        Candidate(f"without the {len(names)} most telling features, {_difference(settings, other)}", other, names)
        for names in groups[-3:]
        for other in first[:4]
    ]
    return made[:most]


def _difference(settings: Settings, other: Settings) -> str:
    before, after = settings.to_dict(), other.to_dict()
    return ", ".join(f"{name} {after[name]:g}" for name in after if after[name] != before[name])


def search(matrix: Matrix, y: npt.ArrayLike, groups: pl.DataFrame, *, settings: Settings, approved: float, group: str | None = None,
           most: int = MOST, folds: int = 5, least: int = LEAST, told: Callable[[int, int], None] = lambda _done, _of: None) -> Search:  # fmt: skip
    """Try candidates one after another.

    :param groups: attribute → each row's group, null if unknown.
    :param approved: share of applicants that the policy approves.
    :param group: as ``attribute: value``; default: that with the lowest ratio.
    :raises InvalidInput: no group of at least ``least`` rows (and others), or not the one that was named.
    """
    labels = checked_labels(y, len(matrix.values))
    members, alike = _members(groups, least), equal_rows(matrix.values)
    if not members or (group is not None and group not in members):
        raise InvalidInput(
            f"There is no group {group!r} of at least {least} applications." if members else f"No group has at least {least} applications.",
            remedy=f"Name one of: {', '.join(members)}." if members else "Give more applications with protected or audit columns.",
        )  # fmt: skip
    base = _scored(matrix, labels, Candidate("", settings), folds, settings.seed, alike)
    taken = base <= np.quantile(base, approved)
    looked = group or min(members, key=lambda name: katz(*_counts(taken, *members[name])).log)
    attribute, _, value = looked.partition(": ")
    telling = [
        p.feature
        for p in proxies(matrix, groups.select(attribute), least=least, seed=settings.seed, most=12)
        if p.group == value
    ]
    wanted = candidates(matrix, settings, telling, most)
    found = []
    for number, candidate in enumerate(wanted, 1):
        score = _scored(matrix, labels, candidate, folds, settings.seed, alike)
        found.append((candidate, score, score <= np.quantile(score, approved)))
        told(number, len(wanted))
    changes = [_change(taken, now, *members[looked]) for _, _, now in found]
    corrected = holm([erfc(abs(apart) / error / sqrt(2)) if error else 1.0 for apart, error in changes])
    areas = [metrics.delong(labels, score, base) for _, score, _ in found]
    ratios = [katz(*_counts(now, *members[looked])) for *_, now in found]
    tried = []
    for i, (candidate, _, now) in enumerate(found):
        apart, error = changes[i]
        by_group = {name: katz(*_counts(now, *sides)).log for name, sides in members.items()}
        lowest = min(by_group, key=lambda name: by_group[name])
        auc = Figure(areas[i].first - areas[i].second, *areas[i].interval)
        beaten = any(areas[j].first > areas[i].first and ratios[j].log > ratios[i].log for j in range(len(found)))
        tried.append(Tried(
            candidate.name, candidate.without, candidate.signs, candidate.settings.to_dict(), areas[i].first, auc, ratios[i].figure,
            Figure(exp(apart), exp(apart - Z95 * error), exp(apart + Z95 * error)), corrected[i], _outcome(apart, corrected[i], auc),
            lowest, exp(by_group[lowest]), not beaten,
        ))  # fmt: skip
    return Search(
        looked,
        len(labels),
        approved,
        folds,
        metrics.roc_auc(labels, base),
        katz(*_counts(taken, *members[looked])).figure,
        tuple(tried),
    )


def _scored(matrix: Matrix, y: Labels, candidate: Candidate, folds: int, seed: int, alike: npt.NDArray[np.int64]) -> Floats:  # fmt: skip
    """Out-of-fold scores on the folds of the model, whatever the candidate's own seed."""
    keep = [i for i, f in enumerate(matrix.features) if f.name not in candidate.without]
    features = tuple(matrix.features[i] if candidate.signs else replace(matrix.features[i], monotone=0) for i in keep)
    part = Matrix(matrix.ids, np.asfortranarray(matrix.values[:, keep]), features)
    return cross_validate(part, y, folds, seed, settings=candidate.settings, groups=alike).raw


def _members(groups: pl.DataFrame, least: int) -> dict[str, tuple[Rows, Rows]]:
    """Group → its members, all others; of one attribute, large enough on both sides."""
    found = {}
    for attribute in groups.columns:
        known = groups[attribute].is_not_null().to_numpy()
        for value in sorted(groups[attribute].drop_nulls().unique()):
            member = (groups[attribute] == value).fill_null(False).to_numpy()
            if min(member.sum(), (known & ~member).sum()) >= least:
                found[f"{attribute}: {value}"] = (member, known & ~member)
    return found


def _counts(approved: Rows, member: Rows, others: Rows) -> tuple[int, int, int, int]:
    return int(approved[member].sum()), int(member.sum()), int(approved[others].sum()), int(others.sum())


def _change(before: Rows, after: Rows, member: Rows, others: Rows) -> tuple[float, float]:
    """Logarithm of the ratio after over the ratio before on the same rows, and its standard error.

    On each side ln(x₁/x₀) of paired shares has the variance (b + c)/(x₀ x₁), b and c being approved by one of them only.
    Half an approval is added to every count, so that nothing is divided by 0.
    """
    apart = variance = 0.0
    for sign, side in ((1, member), (-1, others)):
        old, new = float(before[side].sum()) + 0.5, float(after[side].sum()) + 0.5
        apart += sign * (log(new) - log(old))
        variance += float((before[side] != after[side]).sum()) / (old * new)
    return apart, sqrt(variance)


def _outcome(apart: float, p: float, auc: Figure) -> Outcome:
    if p >= ALPHA:
        return "no difference shown"
    if apart < 0:
        return "more unequal"
    return "less unequal, ranks worse" if auc.high < 0 else "less unequal"
