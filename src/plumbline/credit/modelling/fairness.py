"""How a score treats groups of people, with intervals. Evidence for those who judge it; whether it is lawful is not said here.

Every group is compared with all others whose attribute is known. The approval-rate ratio has Katz's interval; its verdict
against a settable limit is `fails`, `passes` or `undetermined`, by a test of "the ratio is the limit" with Holm's
correction over the groups (and, apart from them, over the intersections of two attributes). A bootstrap gives the same
interval within 0.003 and is not needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from math import erfc, exp, log, sqrt
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from plumbline.credit.modelling.logistic import logistic
from plumbline.kernel.errors import InvalidInput, Where
from plumbline.kernel.models import metrics
from plumbline.kernel.models.metrics import Z95, Undefined

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.bool_]
Verdict = Literal["fails", "passes", "undetermined"]

LIMIT = 0.8
LEAST = 100
ALPHA = 0.05
SHARES = tuple(round(0.5 + 0.05 * i, 2) for i in range(10))
STATEMENT = (
    "Ratios and error rates are evidence about this model on these rows. Whether it may be used is for people to judge."
)


@dataclass(frozen=True, slots=True)
class Figure:
    """A measure with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class AtShare:
    """The approval-rate ratio if the safest ``approved`` of all applicants were approved."""

    approved: float
    ratio: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Group:
    """One group against all others.

    :ivar attributes: attribute → value; two for an intersection.
    :ivar approval_rate: below the policy's threshold, Wilson's interval; ``others_rate`` of all others.
    :ivar ratio: approval rate over that of the others, Katz's interval.
    :ivar p: of "the ratio is the limit", corrected by Holm; ``parity_p`` of "the ratio is 1", corrected likewise.
    :ivar score_difference: mean log-odds less those of the others, in pooled standard deviations; above 0: scored riskier.
    :ivar expected: mean probability of default; ``observed`` the share of defaults, Wilson's interval.
    :ivar false_refusal: of those who repaid, the share refused; ``missed`` of those who did not, the share approved.
    :ivar undefined: measure → why it does not exist for this group.
    """

    group: str
    attributes: dict[str, str]
    rows: int
    events: int
    approval_rate: Figure
    others_rate: float
    ratio: Figure
    p: float
    parity_p: float
    verdict: Verdict
    score_difference: Figure
    expected: float
    observed: Figure
    roc_auc: Figure | None
    false_refusal: Figure | None
    missed: Figure | None
    over: tuple[AtShare, ...]
    undefined: dict[str, str]

    @property
    def calibrated(self) -> bool:
        """Whether the mean probability lies within the interval of the share of defaults."""
        return self.observed.low <= self.expected <= self.observed.high


@dataclass(frozen=True, slots=True)
class FairnessReport:
    """
    :ivar groups: of one attribute, then intersections; each has at least ``least`` rows.
    :ivar small: groups with fewer rows, and how many they have: nothing is said of them.
    :ivar unknown: attribute → rows without it.
    :ivar verdict: ``fails`` if a group fails, ``passes`` if all pass, else ``undetermined``.
    """

    rows: int
    threshold: float
    limit: float
    least: int
    groups: tuple[Group, ...]
    small: dict[str, int]
    unknown: dict[str, int]
    verdict: Verdict
    statement: str = STATEMENT

    @property
    def lowest(self) -> Group | None:
        """The group with the lowest ratio."""
        return min(self.groups, key=lambda g: g.ratio.value, default=None)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio of two shares: its logarithm and that one's standard error, by Katz et al. (1978)."""

    log: float
    error: float

    @property
    def figure(self) -> Figure:
        """exp(ln r ± 1.96 s)."""
        half = Z95 * self.error
        return Figure(exp(self.log), exp(self.log - half), exp(self.log + half))

    def p(self, value: float) -> float:
        """Two-sided p-value of "the ratio is ``value``"."""
        apart = abs(self.log - log(value))
        return erfc(apart / self.error / sqrt(2)) if self.error > 0 else float(apart == 0)


def katz(approved: int, rows: int, others_approved: int, others: int) -> Ratio:
    """Ratio of approval rates; s² = 1/x₁ − 1/n₁ + 1/x₀ − 1/n₀.

    With a share of 0 or of 1 on either side half an approval and half a refusal are added to both, so that the interval
    neither vanishes nor is infinite: a hundred people who are all approved prove less than certainty.
    """
    x1, n1, x0, n0 = float(approved), float(rows), float(others_approved), float(others)
    if x1 in (0.0, n1) or x0 in (0.0, n0):
        x1, n1, x0, n0 = x1 + 0.5, n1 + 1.0, x0 + 0.5, n0 + 1.0
    return Ratio(log(x1 / n1) - log(x0 / n0), sqrt(max(0.0, 1 / x1 - 1 / n1 + 1 / x0 - 1 / n0)))


def holm(p: Sequence[float]) -> list[float]:
    """p-values corrected for their number, in their order (Holm 1979)."""
    order = sorted(range(len(p)), key=lambda i: p[i])
    corrected, highest = [0.0] * len(p), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, p[i] * (len(p) - rank)))
        corrected[i] = highest
    return corrected


def verdict_of(ratio: float, p: float, limit: float) -> Verdict:
    """With one group: ``fails`` if the interval's upper end is below the limit, ``passes`` if its lower end is above."""
    if p >= ALPHA:
        return "undetermined"
    return "passes" if ratio > limit else "fails"


def fairness(groups: pl.DataFrame, y: npt.ArrayLike, log_odds: Floats, *, threshold: float, limit: float = LIMIT,
             least: int = LEAST, shares: Sequence[float] = SHARES) -> FairnessReport:  # fmt: skip
    """Measure a score by groups.

    :param groups: attribute → each row's group, null if unknown (:func:`groups.groups_of`).
    :param y: 1 = default; ``log_odds`` calibrated log-odds of default, shape (rows,).
    :param threshold: probability of default from which the policy refuses.
    :param limit: least ratio that passes, above 0.
    :param least: smallest group (and smallest number of others) that is measured.
    :raises InvalidInput: an impossible limit, or numbers of rows that differ.
    """
    if not 0 < limit <= 1:
        raise InvalidInput("The limit of a ratio lies above 0, and is at most 1.", where=Where(field="limit"))
    truth, score = np.asarray(y, dtype=bool), np.asarray(log_odds, dtype=np.float64)
    if not len(truth) == len(score) == groups.height or not len(truth):
        raise InvalidInput("Groups, outcomes and scores must be of the same rows, at least one.")
    measure = _Measures(truth, score, logistic(score), threshold, shares)
    found: list[Group] = []
    small: dict[str, int] = {}
    for size in (1, 2):
        family = []
        for attributes in combinations(groups.columns, size):
            known = np.logical_and.reduce([groups[a].is_not_null().to_numpy() for a in attributes])
            for values in sorted(set(groups.select(attributes).drop_nulls().unique().iter_rows())):
                member = known & np.logical_and.reduce(
                    [(groups[a] == v).fill_null(False).to_numpy() for a, v in zip(attributes, values)]
                )
                others = known & ~member
                if min(member.sum(), others.sum()) >= least:
                    family.append((dict(zip(attributes, values)), member, others))
                else:
                    small[_name(dict(zip(attributes, values)))] = int(member.sum())
        found += measure.family(family, limit)
    verdicts = {g.verdict for g in found}
    overall: Verdict = "fails" if "fails" in verdicts else "passes" if verdicts == {"passes"} else "undetermined"
    unknown = {a: int(groups[a].null_count()) for a in groups.columns}
    return FairnessReport(len(truth), threshold, limit, least, tuple(found), small, unknown, overall)


def _name(attributes: dict[str, str]) -> str:
    return ", ".join(f"{attribute}: {value}" for attribute, value in attributes.items())


class _Measures:
    def __init__(
        self, truth: Rows, log_odds: Floats, probability: Floats, threshold: float, shares: Sequence[float]
    ) -> None:
        self.truth, self.log_odds, self.probability = truth, log_odds, probability
        self.approved = probability < threshold
        cuts = np.quantile(probability, shares)
        self.at_share = [(share, probability <= cut) for share, cut in zip(shares, cuts)]

    def family(self, members: list[tuple[dict[str, str], Rows, Rows]], limit: float) -> list[Group]:
        """Groups whose p-values are corrected together."""
        ratios = [_ratio(self.approved, member, others) for _, member, others in members]
        against, parity = (holm([r.p(value) for r in ratios]) for value in (limit, 1.0))
        return [self._group(*told, limit) for told in zip(members, ratios, against, parity)]

    def _group(
        self, one: tuple[dict[str, str], Rows, Rows], ratio: Ratio, p: float, parity_p: float, limit: float
    ) -> Group:
        attributes, member, others = one
        y, rows = self.truth[member], int(member.sum())
        refused, events = ~self.approved[member], int(y.sum())
        undefined: dict[str, str] = {}
        area: Figure | None = None
        try:
            area = Figure(metrics.roc_auc(y, self.log_odds[member]), *metrics.delong_interval(y, self.log_odds[member]))
        except Undefined as reason:
            undefined["roc_auc"] = str(reason)
        if events == rows:
            undefined["false_refusal"] = "nobody in the group repaid"
        if not events:
            undefined["missed"] = "nobody in the group defaulted"
        return Group(
            group=_name(attributes), attributes=attributes, rows=rows, events=events,
            approval_rate=_share(int((~refused).sum()), rows), others_rate=float(self.approved[others].mean()),
            ratio=ratio.figure, p=p, parity_p=parity_p, verdict=verdict_of(ratio.figure.value, p, limit),
            score_difference=standardised(self.log_odds[member], self.log_odds[others]),
            expected=float(self.probability[member].mean()), observed=_share(events, rows), roc_auc=area,
            false_refusal=_share(int((refused & ~y).sum()), rows - events) if rows > events else None,
            missed=_share(int((~refused & y).sum()), events) if events else None,
            over=tuple(AtShare(share, f.value, f.low, f.high) for share, approved in self.at_share
                       for f in (_ratio(approved, member, others).figure,)),
            undefined=undefined,
        )  # fmt: skip


def _ratio(approved: Rows, member: Rows, others: Rows) -> Ratio:
    return katz(int(approved[member].sum()), int(member.sum()), int(approved[others].sum()), int(others.sum()))


def _share(part: int, whole: int) -> Figure:
    return Figure(part / whole, *metrics.wilson(part, whole))


def standardised(first: Floats, second: Floats) -> Figure:
    """(mean₁ − mean₂) / pooled sd, with s² = 1/n₁ + 1/n₂ + d²/2(n₁+n₂) (Hedges and Olkin 1985); 0 if no value differs."""
    n1, n2 = len(first), len(second)
    pooled = sqrt(((n1 - 1) * float(first.var(ddof=1)) + (n2 - 1) * float(second.var(ddof=1))) / (n1 + n2 - 2))
    apart = float(first.mean() - second.mean())
    d = apart / pooled if pooled > 0 else 0.0
    half = Z95 * sqrt(1 / n1 + 1 / n2 + d * d / (2 * (n1 + n2)))
    return Figure(d, d - half, d + half)
