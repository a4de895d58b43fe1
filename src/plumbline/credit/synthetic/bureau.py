"""Loans at other lenders as a credit bureau reports them: ``bureau`` and ``bureau_balance``."""

from __future__ import annotations

import numpy as np
import polars as pl

from . import vocabulary as words
from .draws import Flags, Floats, Ints, blanked, chance, drawn, logistic, mixed, money, named, shaped, spread, whole
from .population import Clients

_MOST_LOANS = 46
_NO_HISTORY = 0.14
_LOAN_AGE = (0, 38, 131, 477, 985, 1_650, 2_657, 2_868, 2_922)
_AMOUNT = (0, 4_500, 14_000, 51_000, 125_000, 315_000, 1_350_000, 3_840_000, 20_000_000)
_MONTHLY_STATUS = ("C", "0", "X", "1", "2", "3", "4", "5")


def bureau_tables(rng: np.random.Generator, clients: Clients, ids: Ints, months: int) -> dict[str, pl.DataFrame]:
    """Draw both tables. ``ids`` are loan ids to take from, more than enough of them, in random order."""
    count = 1 + np.minimum(rng.poisson(rng.gamma(1.35, 3.4, len(clients))), _MOST_LOANS)
    count[chance(rng, len(clients), _NO_HISTORY)] = 0
    client, _ = spread(count)
    size = client.size
    loan = ids[:size]
    age = whole(shaped(rng.standard_normal(size), _LOAN_AGE))
    quality = clients.quality[client]
    kind = drawn(rng, size, words.LOAN_TYPES)
    card = (kind == "Credit card").to_numpy()
    active = chance(rng, size, np.where(card, 0.6, logistic(1.1 - age / 520.0)))
    sold = active & chance(rng, size, 0.008)
    length = whole(np.exp(rng.normal(6.35, 0.75, size)).clip(30.0, 7_000.0))
    ended = np.maximum(whole(age * rng.uniform(0.03, 0.95, size)), 1)  # days before the application
    owing = mixed(-0.4, clients.quality, rng)  # one habit of borrowing per client
    amount = money(shaped(rng.standard_normal(size) * 0.85 + 0.35 * owing[client], _AMOUNT))
    debt = money(amount * logistic(-0.35 + 1.35 * owing[client] + 0.8 * rng.standard_normal(size)))
    overdue = active & chance(rng, size, logistic(-6.2 - 0.7 * quality))
    overdue_days = np.where(overdue, np.minimum(rng.geometric(0.02, size), age), 0)
    has_annuity = chance(rng, len(clients), 0.5)[client]
    once_late = chance(rng, size, logistic(-1.6 - 0.5 * quality))
    frame = pl.DataFrame(
        {
            words.CLIENT: clients.ids[client],
            "SK_ID_BUREAU": loan,
            "CREDIT_ACTIVE": named(np.where(sold, 2, active.astype(np.int64)), ("Closed", "Active", "Sold")),
            "CREDIT_CURRENCY": drawn(rng, size, words.CURRENCIES),
            "DAYS_CREDIT": -age,
            "CREDIT_DAY_OVERDUE": overdue_days,
            "DAYS_CREDIT_ENDDATE": blanked(
                _planned_end(rng, age, ended, length, active), chance(rng, size, np.where(card, 0.22, 0.013))
            ),
            "DAYS_ENDDATE_FACT": blanked(np.where(chance(rng, size, 0.00001), -42_023, -ended), active),
            "AMT_CREDIT_MAX_OVERDUE": blanked(
                np.where(once_late, money(np.exp(rng.normal(8.2, 1.4, size))), 0.0), chance(rng, size, 0.66)
            ),
            "CNT_CREDIT_PROLONG": rng.poisson(0.0035, size) + chance(rng, size, 0.0012),
            "AMT_CREDIT_SUM": blanked(amount, chance(rng, size, 0.00001)),
            "AMT_CREDIT_SUM_DEBT": blanked(_owed(rng, debt, active), chance(rng, size, np.where(active, 0.06, 0.18))),
            "AMT_CREDIT_SUM_LIMIT": blanked(_limit(rng, amount, debt, card & active), chance(rng, size, 0.345)),
            "AMT_CREDIT_SUM_OVERDUE": np.where(overdue, money(np.minimum(debt, rng.exponential(3_000.0, size))), 0.0),
            "CREDIT_TYPE": kind,
            "DAYS_CREDIT_UPDATE": -np.where(
                active, np.minimum(rng.geometric(0.03, size), age), whole(ended * rng.uniform(0.2, 1.0, size))
            ),
            "AMT_ANNUITY": blanked(
                np.where(active | chance(rng, size, 0.3), money(amount / rng.uniform(8.0, 40.0, size)), 0.0),
                ~has_annuity | chance(rng, size, 0.1),
            ),
        }
    )
    balance = _balance(rng, loan, age, ended, active, quality, months)
    # A few balances belong to loans the bureau file does not hold.
    return {"bureau": frame.filter(pl.Series(~chance(rng, size, 0.01))), "bureau_balance": balance}


def _planned_end(rng: np.random.Generator, age: Ints, ended: Ints, length: Ints, active: Flags) -> Ints:
    size = age.size
    days = np.where(
        active, np.maximum(length - age, rng.integers(1, 400, size)), -whole(ended * rng.uniform(0.7, 1, size))
    )
    far = active & chance(rng, size, 0.03)  # credit cards without an end are given one in the far future
    return np.where(chance(rng, size, 0.00005), -41_819, np.where(far, rng.integers(30_800, 31_199, size), days))


def _owed(rng: np.random.Generator, debt: Floats, active: Flags) -> Floats:
    overpaid = chance(rng, debt.size, 0.0008)
    small = money(-rng.exponential(2_500.0, debt.size))
    return np.where(overpaid, small, np.where(active, debt, 0.0))


def _limit(rng: np.random.Generator, amount: Floats, debt: Floats, card: Flags) -> Floats:
    unused = np.where(card & chance(rng, amount.size, 0.45), money(np.maximum(amount - debt, 0.0)), 0.0)
    return np.where(chance(rng, amount.size, 0.0006), money(-rng.exponential(900.0, amount.size)), unused)


def _balance(
    rng: np.random.Generator, loan: Ints, age: Ints, ended: Ints, active: Flags, quality: Floats, months: int
) -> pl.DataFrame:
    kept = np.flatnonzero(chance(rng, loan.size, 0.7))
    count = np.minimum(age[kept] // 30 + 1, rng.integers(max(1, months // 2), months + months // 2 + 1, kept.size))
    count = np.minimum(count, months)
    row, back = spread(count)
    source = kept[row]
    closed = ~active[source] & (back < ended[source] // 30)
    late = chance(rng, row.size, logistic(-3.6 - 0.7 * quality[source]))
    unknown = chance(rng, kept.size, 0.2)[row] | chance(rng, row.size, 0.12)
    depth = 3 + np.minimum(rng.geometric(0.8, row.size) - 1, 4)
    status = np.where(closed, 0, np.where(late, depth, np.where(unknown, 2, 1)))
    return pl.DataFrame(
        {"SK_ID_BUREAU": loan[source], "MONTHS_BALANCE": -back, "STATUS": named(status, _MONTHLY_STATUS)}
    )
