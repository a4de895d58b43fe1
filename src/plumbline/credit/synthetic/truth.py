"""Why applicants default: a sum of named effects on the generated tables, and what the best model could reach.

An effect is piecewise linear in one measure: ``weight * (clip(measure, low, high) - centre)`` log-odds. The measures
are what anyone can compute from the seven tables, so each effect can be found from one aggregate of one table. Weights
and centres are constants (``centre`` is the population's mean of the clipped measure), so portfolios of different seeds
share one mechanism; only the intercept is fitted, by bisection, to the wanted default rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from . import vocabulary as words
from .draws import Floats, logistic

GROUP_COLUMN: Final = "CODE_GENDER"
GROUP: Final = "M"
REFERENCE_SD: Final = 1.166  # of the sum of the effects below at their own weights


@dataclass(frozen=True, slots=True)
class Effect:
    """One named cause.

    :param measure: the column of :func:`measures` it depends on.
    :param weight: log-odds per unit of the measure between ``low`` and ``high``.
    :param absent: value taken by a client without the measure (no history, no employment).
    :param columns: the raw columns behind it, as ``table.column``.
    """

    name: str
    measure: str
    weight: float
    low: float
    high: float
    centre: float
    absent: float
    columns: tuple[str, ...]

    def expression(self) -> pl.Expr:
        value = pl.col(self.measure).fill_null(self.absent).clip(self.low, self.high)
        return (self.weight * (value - self.centre)).alias(self.name)


EFFECTS: Final = (
    Effect("external_scores", "external_score", -5.0, 0.0, 1.0, 0.5102, 0.5102,
           ("application.EXT_SOURCE_1", "application.EXT_SOURCE_2", "application.EXT_SOURCE_3")),
    Effect("employment_length", "years_employed", -0.09, 0.0, 10.0, 5.138, 5.138, ("application.DAYS_EMPLOYED",)),
    Effect("annuity_burden", "annuity_to_income", 3.0, 0.2, 0.5, 0.2394, 0.2394,
           ("application.AMT_ANNUITY", "application.AMT_INCOME_TOTAL")),
    Effect("late_instalments", "late_share", 3.8, 0.0, 0.35, 0.0762, 0.0762,
           ("installments_payments.DAYS_INSTALMENT", "installments_payments.DAYS_ENTRY_PAYMENT")),
    Effect("card_use", "card_use", 2.4, 0.5, 1.0, 0.5307, 0.5,
           ("credit_card_balance.AMT_BALANCE", "credit_card_balance.AMT_CREDIT_LIMIT_ACTUAL")),
    Effect("refused_share", "refused_share", 1.2, 0.0, 0.7, 0.1709, 0.1709,
           ("previous_application.NAME_CONTRACT_STATUS",)),
    Effect("bureau_debt", "debt_to_credit", 0.95, 0.0, 1.0, 0.2845, 0.0,
           ("bureau.CREDIT_ACTIVE", "bureau.AMT_CREDIT_SUM", "bureau.AMT_CREDIT_SUM_DEBT")),
)  # fmt: skip
EFFECT_NAMES: Final = (*(effect.name for effect in EFFECTS), "group")


def measures(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """The seven measures, one row per application in the order of the application table; null where there is none.

    ``external_score``: mean of the external scores present. ``years_employed``. ``annuity_to_income``.
    ``late_share``: payments made after their due day among dated payments. ``card_use``: sum of balances over sum of
    limits. ``refused_share``: among all previous applications. ``debt_to_credit``: of active bureau loans, sum of debts
    over sum of credits. Amounts are added as whole thousandths, so no sum depends on the order of rows.
    """
    scores = [pl.col(f"EXT_SOURCE_{number}") for number in (1, 2, 3)]
    present = pl.sum_horizontal(*(score.is_not_null().cast(pl.Int64) for score in scores))
    employed = pl.col("DAYS_EMPLOYED")
    result = tables["application"].select(
        words.CLIENT,
        (pl.when(present > 0).then(pl.sum_horizontal(*scores) / present)).alias("external_score"),
        (pl.when(employed != words.NONE_DAY).then(-employed / 365.25)).alias("years_employed"),
        (pl.col("AMT_ANNUITY") / pl.col("AMT_INCOME_TOTAL")).alias("annuity_to_income"),
    )
    late = pl.col("DAYS_ENTRY_PAYMENT") > pl.col("DAYS_INSTALMENT")
    active = pl.col("CREDIT_ACTIVE") == "Active"
    by_table = {
        "installments_payments": late.mean().alias("late_share"),
        "credit_card_balance": _ratio(_thousandths("AMT_BALANCE"), _thousandths("AMT_CREDIT_LIMIT_ACTUAL"), "card_use"),
        "previous_application": (pl.col("NAME_CONTRACT_STATUS") == "Refused").mean().alias("refused_share"),
        "bureau": _ratio(
            _thousandths("AMT_CREDIT_SUM_DEBT").filter(active),
            _thousandths("AMT_CREDIT_SUM").filter(active),
            "debt_to_credit",
        ),
    }
    for table, aggregate in by_table.items():
        result = result.join(
            tables[table].group_by(words.CLIENT).agg(aggregate), on=words.CLIENT, how="left", maintain_order="left"
        )
    return result


def _thousandths(column: str) -> pl.Expr:
    return (pl.col(column) * 1_000).round().cast(pl.Int64)


def _ratio(part: pl.Expr, whole: pl.Expr, name: str) -> pl.Expr:
    return pl.when(whole.sum() > 0).then(part.sum() / whole.sum()).alias(name)


def effects(tables: Mapping[str, pl.DataFrame], *, effect_sd: float, group_effect: float) -> pl.DataFrame:
    """SK_ID_CURR and the log-odds of each name in ``EFFECT_NAMES``, one row per application.

    ``effect_sd`` scales the seven effects; ``group`` is ``group_effect`` for members of the group and 0 for others.
    """
    scale = effect_sd / REFERENCE_SD
    member = (tables["application"][GROUP_COLUMN] == GROUP).cast(pl.Float64)
    return (
        measures(tables)
        .select(words.CLIENT, *(effect.expression() * scale for effect in EFFECTS))
        .with_columns((member * group_effect).alias("group"))
    )


def total(frame: pl.DataFrame) -> Floats:
    """The sum of the effects, added in the order of ``EFFECT_NAMES``."""
    result = np.zeros(frame.height)
    for name in EFFECT_NAMES:
        result += frame[name].to_numpy()
    return result


def intercept(log_odds: Floats, default_rate: float) -> float:
    """The constant that, added to ``log_odds``, makes the mean probability ``default_rate`` (bisection)."""
    low, high = -60.0, 60.0
    while high - low > 1e-12:
        middle = (low + high) / 2.0
        if middle in (low, high):
            break
        if float(logistic(log_odds + middle).mean()) < default_rate:
            low = middle
        else:
            high = middle
    return (low + high) / 2.0


def best_possible_auc(probability: Floats) -> float:
    """Expected AUC of the true probabilities over draws of the outcomes, up to O(1/n); ``nan`` below 2 applications.

    The numerator is the sum of p_i (1 - p_j) over pairs i, j with p_i > p_j, pairs of equals counting half; the
    denominator the same sum over all pairs of different applications.
    """
    _, place, count = np.unique(probability, return_inverse=True, return_counts=True)
    bad = np.bincount(place, weights=probability, minlength=count.size)
    good = np.bincount(place, weights=1.0 - probability, minlength=count.size)
    below = np.cumsum(good) - good
    self_pairs = float(np.sum(probability * (1.0 - probability)))
    won = float(np.sum(bad * (below + 0.5 * good))) - 0.5 * self_pairs
    pairs = float(probability.sum() * (1.0 - probability).sum()) - self_pairs
    return won / pairs if pairs > 0.0 else float("nan")
