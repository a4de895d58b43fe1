"""How instalment contracts were repaid: ``POS_CASH_balance`` and ``installments_payments``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from . import vocabulary as words
from .draws import Floats, Ints, blanked, chance, logistic, mixed, money, named, spread, whole
from .options import LONGEST_HISTORY
from .population import Clients
from .previous import Contracts

_STATES = ("Active", "Completed", "Signed", "Demand", "Returned to the store", "Approved", "Amortized debt", "Canceled")
_RARE_STATES = (0.009, 0.0008, 0.0006, 0.0005, 0.0003, 0.00001)


def lateness(rng: np.random.Generator, clients: Clients) -> Floats:
    """Each client's probability of paying an instalment late, mean about 0.08."""
    return logistic(-3.15 + 1.35 * mixed(-0.4, clients.quality, rng))


def monthly_balances(
    rng: np.random.Generator, clients: Clients, contracts: Contracts, late: Floats, months: int
) -> pl.DataFrame:
    """``POS_CASH_balance``: one row per contract and month, the last ``months`` months of each contract."""
    elapsed = np.minimum(contracts.made, contracts.first_due // 30)  # months with a due date behind them
    ended = elapsed == contracts.made
    count = np.minimum(elapsed + 1, months)
    row, place = spread(count)
    paid = elapsed[row] - (count[row] - 1 - place)
    month = -(contracts.first_due[row] // 30) + paid - 1
    final = (place == count[row] - 1) & ended[row]
    odd = chance(rng, row.size, float(sum(_RARE_STATES)))
    weights = np.cumsum(_RARE_STATES) / sum(_RARE_STATES)
    rare = 2 + np.minimum(np.searchsorted(weights, rng.random(row.size), side="right"), len(_RARE_STATES) - 1)
    behind = chance(rng, row.size, late[contracts.client[row]] * 0.35)
    days = np.where(behind, np.minimum(rng.geometric(0.07, row.size), 3_700), 0)
    unknown = chance(rng, row.size, 0.0026)
    frame = pl.DataFrame(
        {
            "SK_ID_PREV": contracts.ids[row],
            words.CLIENT: clients.ids[contracts.client[row]],
            "MONTHS_BALANCE": month,
            "CNT_INSTALMENT": blanked(contracts.term[row], unknown),
            "CNT_INSTALMENT_FUTURE": blanked(np.where(final, 0, contracts.term[row] - paid), unknown),
            "NAME_CONTRACT_STATUS": named(np.where(final, 1, np.where(odd, rare, 0)), _STATES),
            "SK_DPD": days,
            "SK_DPD_DEF": np.where(chance(rng, row.size, 0.35), days, 0),
        }
    )
    return frame.filter(pl.Series((month <= -1) & (month >= -LONGEST_HISTORY)))


def instalments(
    rng: np.random.Generator, clients: Clients, loans: Contracts, cards: Contracts, late: Floats, months: int
) -> pl.DataFrame:
    """``installments_payments``: one row per payment; a part payment repeats the instalment's key."""
    loan_rows = _schedule(rng, loans, np.minimum(loans.made, loans.first_due // 30 + 1), months, card=False)
    card_rows = _schedule(rng, cards, np.maximum(cards.first_due, 0) // 30, max(1, months // 3), card=True)
    plan = _Schedule(*(np.concatenate(both) for both in zip(loan_rows.columns(), card_rows.columns(), strict=True)))
    size, client, due, amount = plan.client.size, plan.client, plan.due, plan.amount
    is_late = chance(rng, size, late[client])
    days = np.where(is_late, 1 + np.minimum(rng.exponential(9.0, size), 900.0), -rng.exponential(11.0, size))
    entry = np.minimum(-due + np.where(is_late, np.floor(days), np.ceil(days)), -1.0)
    split = chance(rng, size, 0.03 + 0.12 * late[client])
    short = ~split & chance(rng, size, 0.012)
    share = np.where(split, rng.uniform(0.05, 0.95, size), np.where(short, rng.uniform(0.0, 0.99, size), 1.0))
    first = np.where(share == 1.0, amount, money(amount * share))
    copies, part = spread(1 + split.astype(np.int64))
    paid = np.where(part == 0, first[copies], np.round(amount - first, 3)[copies] + 0.0)
    unpaid = chance(rng, copies.size, 0.0002)
    second_late = np.where(part == 1, np.minimum(entry[copies] + rng.integers(0, 6, copies.size), -1.0), entry[copies])
    return pl.DataFrame(
        {
            "SK_ID_PREV": plan.contract[copies],
            words.CLIENT: clients.ids[client[copies]],
            "NUM_INSTALMENT_VERSION": plan.version[copies],
            "NUM_INSTALMENT_NUMBER": plan.number[copies],
            "DAYS_INSTALMENT": -due[copies],
            "DAYS_ENTRY_PAYMENT": blanked(whole(second_late), unpaid),
            "AMT_INSTALMENT": amount[copies],
            "AMT_PAYMENT": blanked(paid, unpaid),
        }
    )


@dataclass(frozen=True, slots=True)
class _Schedule:
    """Instalments that fell due; one element per instalment."""

    client: Ints
    contract: Ints
    version: Ints
    number: Ints
    due: Ints
    amount: Floats

    def columns(self) -> tuple[Ints, Ints, Ints, Ints, Ints, Floats]:
        return self.client, self.contract, self.version, self.number, self.due, self.amount


def _schedule(rng: np.random.Generator, contracts: Contracts, due_so_far: Ints, most: int, *, card: bool) -> _Schedule:
    """The latest ``most`` instalments that were due, of each contract. Version 0 is a card's plan."""
    count = np.minimum(due_so_far, most)
    row, place = spread(count)
    number = due_so_far[row] - count[row] + 1 + place
    due = np.maximum(contracts.first_due[row] - 30 * (number - 1), 1)
    annuity = np.maximum(contracts.annuity[row], 45.0)
    final = number == contracts.term[row]
    if card:
        amount = money(annuity * rng.uniform(0.1, 1.4, row.size))
        version = np.zeros(row.size, dtype=np.int64)
    else:
        amount = np.where(final, money(annuity * rng.uniform(0.4, 1.0, row.size)), annuity)
        version = rng.geometric(0.9, row.size)
    return _Schedule(contracts.client[row], contracts.ids[row], version, number, due, amount)
