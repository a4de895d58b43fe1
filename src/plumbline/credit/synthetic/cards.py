"""Monthly statements of the lender's own cards: ``credit_card_balance``."""

from __future__ import annotations

import numpy as np
import polars as pl

from . import vocabulary as words
from .draws import Floats, blanked, chance, codes, logistic, mixed, money, named, spread
from .population import Clients
from .previous import Contracts

_STATES = ("Active", "Completed", "Signed", "Sent proposal", "Refused")
_STATE_SHARES = (0.9634, 0.0335, 0.0029, 0.0001, 0.00001)
_UNUSED = 0.38


def card_balances(
    rng: np.random.Generator, clients: Clients, cards: Contracts, late: Floats, months: int
) -> pl.DataFrame:
    """One row per card and month. How much of the limit is used is a habit of the client."""
    size = cards.client.size
    age = np.maximum((cards.first_due + 30) // 30, 1)
    count = np.minimum(age, months)
    row, place = spread(count)
    rows = row.size
    ago = count[row] - place
    owner = cards.client[row]
    limit = np.rint(np.where(chance(rng, size, 0.06), 0.0, np.maximum(cards.limit, 45_000.0)) / 4_500) * 4_500
    habit = mixed(-0.4, clients.quality, rng)[cards.client]
    use = np.where(chance(rng, size, _UNUSED - 0.05 * habit.clip(-2, 2)), 0.0, 1.08 * logistic(0.25 + 1.5 * habit))
    share = use[row] * np.exp(0.12 * rng.standard_normal(rows))
    balance = money(limit[row] * share.clip(0.0, 1.25))
    overpaid = (balance == 0.0) & chance(rng, rows, 0.015)
    balance = np.where(overpaid, money(-rng.exponential(900.0, rows)), balance)
    in_use = balance > 0.0
    drawing = in_use & chance(rng, rows, 0.32)
    spent = np.where(drawing, money(balance * rng.beta(1.2, 6.0, rows)), 0.0)
    atm = np.where(drawing & chance(rng, rows, 0.5), np.minimum(np.rint(spent * 0.7 / 450) * 450, spent), 0.0)
    other = np.where(drawing & chance(rng, rows, 0.01), np.round(spent - atm, 3) + 0.0, 0.0)
    pos = np.round(spent - atm - other, 3) + 0.0
    minimum = np.where(in_use, money(np.maximum(balance * 0.05, 225.0)), 0.0)
    payment = np.where(in_use, money(minimum * np.exp(rng.normal(0.25, 0.6, rows))), 0.0)
    principal = money(balance * 0.962)
    no_split = chance(rng, size, 0.2)[row]
    no_plan = chance(rng, size, 0.07)[row]
    behind = in_use & chance(rng, rows, late[owner] * 0.3)
    days = np.where(behind, np.minimum(rng.geometric(0.05, rows), 1_900), 0)
    counts = {
        "CNT_DRAWINGS_ATM_CURRENT": np.where(atm > 0.0, 1 + rng.poisson(0.8, rows), 0),
        "CNT_DRAWINGS_OTHER_CURRENT": (other > 0.0).astype(np.int64),
        "CNT_DRAWINGS_POS_CURRENT": np.where(pos > 0.0, 1 + rng.poisson(2.5, rows), 0),
    }
    return pl.DataFrame(
        {
            "SK_ID_PREV": cards.ids[row],
            words.CLIENT: clients.ids[owner],
            "MONTHS_BALANCE": -ago,
            "AMT_BALANCE": balance,
            "AMT_CREDIT_LIMIT_ACTUAL": limit[row],
            "AMT_DRAWINGS_ATM_CURRENT": blanked(atm, no_split),
            "AMT_DRAWINGS_CURRENT": spent,
            "AMT_DRAWINGS_OTHER_CURRENT": blanked(other, no_split),
            "AMT_DRAWINGS_POS_CURRENT": blanked(pos, no_split),
            "AMT_INST_MIN_REGULARITY": blanked(minimum, no_plan),
            "AMT_PAYMENT_CURRENT": blanked(payment, no_split | chance(rng, rows, 0.01)),
            "AMT_PAYMENT_TOTAL_CURRENT": payment,
            "AMT_RECEIVABLE_PRINCIPAL": principal,
            "AMT_RECIVABLE": balance,
            "AMT_TOTAL_RECEIVABLE": balance,
            "CNT_DRAWINGS_ATM_CURRENT": blanked(counts["CNT_DRAWINGS_ATM_CURRENT"], no_split),
            "CNT_DRAWINGS_CURRENT": sum(counts.values()),
            "CNT_DRAWINGS_OTHER_CURRENT": blanked(counts["CNT_DRAWINGS_OTHER_CURRENT"], no_split),
            "CNT_DRAWINGS_POS_CURRENT": blanked(counts["CNT_DRAWINGS_POS_CURRENT"], no_split),
            "CNT_INSTALMENT_MATURE_CUM": blanked(np.maximum(age[row] - ago, 0), no_plan),
            "NAME_CONTRACT_STATUS": named(codes(rng, rows, _STATE_SHARES), _STATES),
            "SK_DPD": days,
            "SK_DPD_DEF": np.where(chance(rng, rows, 0.3), days, 0),
        }
    )
