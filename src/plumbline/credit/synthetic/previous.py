"""Earlier applications at the same lender: ``previous_application``, and the contracts that came of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from . import vocabulary as words
from .draws import (
    Flags,
    Floats,
    Ints,
    blanked,
    chance,
    chosen,
    codes,
    drawn,
    logistic,
    mixed,
    money,
    named,
    shaped,
    spread,
    whole,
)
from .population import Clients

_KINDS = ("Cash loans", "Consumer loans", "Revolving loans", "XNA")
_CASH, _CONSUMER, _REVOLVING, _UNKNOWN = range(4)
_STATES = ("Approved", "Canceled", "Refused", "Unused offer")
_APPROVED, _CANCELED, _REFUSED, _UNUSED = range(4)
_YIELDS = ("XNA", "low_action", "low_normal", "middle", "high")
_MOST = 50
_NO_HISTORY = 0.045
CARD_SHARE = 0.28

_DECIDED = (2, 15, 90, 305, 575, 1_260, 2_557, 2_841, 2_922)
_CASH_ASKED = (20_000, 27_000, 45_000, 112_500, 229_500, 450_000, 1_125_000, 1_575_000, 3_000_000)
_GOODS_ASKED = (12_000, 18_000, 24_000, 43_000, 70_500, 121_000, 270_000, 500_000, 1_300_000)
_LIMIT_ASKED = (45_000, 45_000, 67_500, 135_000, 180_000, 247_500, 450_000, 675_000, 1_125_000)


@dataclass(frozen=True, slots=True)
class Contracts:
    """Approved contracts; arrays have one element per contract.

    ``term`` is the agreed number of instalments, ``made`` the number after which the contract ended (early repayment).
    ``first_due`` counts days back from the application (positive).
    """

    client: Ints
    ids: Ints
    term: Ints
    made: Ints
    annuity: Floats
    limit: Floats
    first_due: Ints


@dataclass(frozen=True, slots=True)
class Earlier:
    table: pl.DataFrame
    instalment_contracts: Contracts
    cards: Contracts


def previous_applications(rng: np.random.Generator, clients: Clients, ids: Ints) -> Earlier:
    """Draw the earlier applications. ``ids`` are contract ids to take from, in random order.

    Some contracts are left out of the table although their payments are reported, as in the real set.
    """
    carded = chance(rng, len(clients), CARD_SHARE)
    count = 1 + np.minimum(rng.poisson(rng.gamma(1.6, 2.5, len(clients))), _MOST - 1)
    count[chance(rng, len(clients), _NO_HISTORY) & ~carded] = 0
    client, place = spread(count)
    size = client.size
    contract = ids[:size]
    card = carded[client] & (place == 0)
    kind = np.where(card, _REVOLVING, codes(rng, size, (0.462, 0.455, 0.075, 0.0003)))
    state = _state(rng, kind, card, mixed(-0.4, clients.quality, rng)[client])
    decided = whole(shaped(rng.standard_normal(size), _DECIDED))
    approved = state == _APPROVED
    silent = (state == _CANCELED) & (kind != _CONSUMER) & ~chance(rng, size, 0.04)  # ended before an amount was named
    silent |= kind == _UNKNOWN
    asked = _asked(rng, kind, silent)
    down_rate = np.where(chance(rng, size, 0.55), rng.beta(2.0, 12.0, size), 0.0) * (kind == _CONSUMER)
    down = money(asked * down_rate)
    granted = np.where(kind == _REVOLVING, asked, money((asked - down) * np.where(kind == _CASH, 1.11, 1.04)))
    term = np.where(
        kind == _CASH,
        np.array([12, 24, 36, 48, 60, 18, 6])[codes(rng, size, (0.25, 0.24, 0.2, 0.12, 0.09, 0.05, 0.05))],
        np.array([6, 8, 10, 12, 14, 18, 24])[codes(rng, size, (0.18, 0.06, 0.19, 0.35, 0.03, 0.07, 0.12))],
    )
    term = np.where(kind == _REVOLVING, 0, term)
    made = np.maximum(whole(term * np.where(chance(rng, size, 0.55), rng.uniform(0.2, 0.9, size), 1.0)), 1)
    annuity = np.where(kind == _REVOLVING, money(asked / 20.0), money(granted * 1.12 / np.maximum(term, 1)))
    untermed = silent | (~approved & chance(rng, size, 0.16)) | (state == _UNUSED)
    columns = _terms(rng, kind, state, silent, asked, down, granted, term, annuity, untermed, down_rate)
    columns |= _product(rng, kind, state, silent)
    columns |= _dates(rng, kind, approved, decided, term, made)
    columns[words.CLIENT] = pl.Series(clients.ids[client])
    columns["SK_ID_PREV"] = pl.Series(contract)
    columns["DAYS_DECISION"] = pl.Series(-decided)
    table = pl.DataFrame({name: columns[name] for name in _COLUMNS})
    known = ~(chance(rng, size, np.where(card, 0.12, 0.05)) & approved)
    first_due = decided - 30
    running = approved & (first_due >= 1)

    def contracts(which: Flags) -> Contracts:
        rows = np.flatnonzero(which)
        return Contracts(
            client[rows], contract[rows], term[rows], made[rows], annuity[rows], granted[rows], first_due[rows]
        )

    return Earlier(
        table.filter(pl.Series(known)), contracts(running & (kind != _REVOLVING)), contracts(approved & card)
    )


_COLUMNS = (
    "SK_ID_PREV", words.CLIENT, "NAME_CONTRACT_TYPE", "AMT_ANNUITY", "AMT_APPLICATION", "AMT_CREDIT",
    "AMT_DOWN_PAYMENT", "AMT_GOODS_PRICE", "WEEKDAY_APPR_PROCESS_START", "HOUR_APPR_PROCESS_START",
    "FLAG_LAST_APPL_PER_CONTRACT", "NFLAG_LAST_APPL_IN_DAY", "RATE_DOWN_PAYMENT", "RATE_INTEREST_PRIMARY",
    "RATE_INTEREST_PRIVILEGED", "NAME_CASH_LOAN_PURPOSE", "NAME_CONTRACT_STATUS", "DAYS_DECISION",
    "NAME_PAYMENT_TYPE", "CODE_REJECT_REASON", "NAME_TYPE_SUITE", "NAME_CLIENT_TYPE", "NAME_GOODS_CATEGORY",
    "NAME_PORTFOLIO", "NAME_PRODUCT_TYPE", "CHANNEL_TYPE", "SELLERPLACE_AREA", "NAME_SELLER_INDUSTRY", "CNT_PAYMENT",
    "NAME_YIELD_GROUP", "PRODUCT_COMBINATION", "DAYS_FIRST_DRAWING", "DAYS_FIRST_DUE", "DAYS_LAST_DUE_1ST_VERSION",
    "DAYS_LAST_DUE", "DAYS_TERMINATION", "NFLAG_INSURED_ON_APPROVAL",
)  # fmt: skip


def _state(rng: np.random.Generator, kind: Ints, card: Flags, risk: Floats) -> Ints:
    size = kind.size
    leaning = np.select([kind == _CASH, kind == _CONSUMER], [-1.35, -2.55], -0.7)
    refused = chance(rng, size, logistic(leaning + 1.15 * risk))
    canceled = chance(rng, size, np.select([kind == _CASH, kind == _CONSUMER], [0.48, 0.003], 0.62))
    unused = (kind == _CONSUMER) & chance(rng, size, 0.035)
    state = np.where(refused, _REFUSED, np.where(canceled, _CANCELED, np.where(unused, _UNUSED, _APPROVED)))
    return np.where(card, _APPROVED, np.where(kind == _UNKNOWN, _CANCELED, state))


def _asked(rng: np.random.Generator, kind: Ints, silent: Flags) -> Floats:
    scores = rng.standard_normal(kind.size)
    cash = np.rint(shaped(scores, _CASH_ASKED) / 4_500) * 4_500
    limit = np.rint(shaped(scores, _LIMIT_ASKED) / 22_500) * 22_500
    goods = money(shaped(scores, _GOODS_ASKED))
    asked = np.select([kind == _CASH, kind == _CONSUMER], [cash, goods], limit)
    return np.asarray(np.where(silent, 0.0, asked))


def _terms(
    rng: np.random.Generator, kind: Ints, state: Ints, silent: Flags, asked: Floats, down: Floats, granted: Floats,
    term: Ints, annuity: Floats, untermed: Flags, down_rate: Floats,
) -> dict[str, pl.Series]:  # fmt: skip
    size = kind.size
    unpriced = chance(rng, size, 0.012) & (kind == _CONSUMER) & (state == _APPROVED)
    no_down = (kind != _CONSUMER) | chance(rng, size, 0.02)
    return {
        "NAME_CONTRACT_TYPE": named(kind, _KINDS),
        "NAME_CONTRACT_STATUS": named(state, _STATES),
        "AMT_APPLICATION": pl.Series(asked),
        "AMT_CREDIT": pl.Series(granted),
        "AMT_ANNUITY": blanked(annuity, untermed),
        "CNT_PAYMENT": blanked(term, untermed),
        "AMT_GOODS_PRICE": blanked(asked, silent),
        "AMT_DOWN_PAYMENT": blanked(down, no_down),
        "RATE_DOWN_PAYMENT": blanked(np.round(down_rate, 8), no_down),
        "RATE_INTEREST_PRIMARY": blanked(np.round(rng.normal(0.19, 0.02, size).clip(0.05, 0.75), 6), ~unpriced),
        "RATE_INTEREST_PRIVILEGED": blanked(np.round(rng.normal(0.8, 0.05, size).clip(0.42, 0.87), 6), ~unpriced),
    }


def _product(rng: np.random.Generator, kind: Ints, state: Ints, silent: Flags) -> dict[str, pl.Series]:
    size = kind.size
    consumer, cash = kind == _CONSUMER, kind == _CASH
    walk_in = chance(rng, size, np.where(cash, 0.22, 0.35))
    bare = silent | (state == _UNUSED)
    grade = np.where(bare | (kind == _REVOLVING), 0, 1 + codes(rng, size, (0.06, 0.29, 0.36, 0.29)))
    seller = codes(rng, size, tuple(words.SELLERS.values()))
    place = np.select([seller == 1, seller <= 0, seller <= 3], [0, 1, 2], 3)
    interest = grade != 1
    goods = named(place, ("mobile", "household", "industry", "other"))
    pos = pl.DataFrame({"goods": goods, "interest": interest}).select(
        pl.concat_str(
            pl.lit("POS "),
            pl.when(~pl.col("interest") & (pl.col("goods") == "other")).then(pl.lit("others")).otherwise("goods"),
            pl.when("interest").then(pl.lit(" with interest")).otherwise(pl.lit(" without interest")),
        )
    ).to_series()  # fmt: skip
    level = named(np.maximum(grade, 1) - 1, ("low", "low", "middle", "high"))
    sold = named(walk_in.astype(np.int64), ("X-Sell", "Street"))
    cash_product = pl.DataFrame({"sold": sold, "level": level}).select(
        pl.concat_str(pl.lit("Cash "), "sold", pl.lit(": "), "level")
    )
    combination = chosen(
        [
            (kind == _UNKNOWN, pl.Series([None], dtype=pl.String).new_from_index(0, size)),
            (consumer, pos),
            (kind == _REVOLVING, named(walk_in.astype(np.int64), ("Card X-Sell", "Card Street"))),
            (bare, pl.repeat("Cash", size, eager=True)),
        ],
        cash_product.to_series(),
    )
    none = pl.repeat("XNA", size, eager=True)
    outside = pl.repeat("XAP", size, eager=True)
    portfolio = named(np.select([bare, consumer, cash], [0, 1, 2], 3), ("XNA", "POS", "Cash", "Cards"))
    area = whole(np.exp(rng.normal(4.3, 2.0, size)).clip(0.0, 4_000_000.0))
    return {
        "NAME_YIELD_GROUP": named(grade, _YIELDS),
        "PRODUCT_COMBINATION": combination,
        "NAME_PORTFOLIO": portfolio,
        "NAME_PRODUCT_TYPE": chosen([(consumer | bare, none)], named(walk_in.astype(np.int64), ("x-sell", "walk-in"))),
        "NAME_CASH_LOAN_PURPOSE": chosen([(~cash, outside), (silent, none)], drawn(rng, size, words.CASH_PURPOSE)),
        "CODE_REJECT_REASON": chosen(
            [
                (state == _REFUSED, drawn(rng, size, words.REJECTION)),
                (state == _UNUSED, pl.repeat("CLIENT", size, eager=True)),
            ],
            outside,
        ),
        "NAME_PAYMENT_TYPE": chosen([(silent, none)], drawn(rng, size, words.PAYMENT)),
        "NAME_TYPE_SUITE": blanked(drawn(rng, size, words.SUITE), chance(rng, size, 0.49)),
        "NAME_CLIENT_TYPE": drawn(rng, size, words.CLIENT_TYPES),
        "NAME_GOODS_CATEGORY": chosen([(~consumer, none)], drawn(rng, size, words.GOODS)),
        "CHANNEL_TYPE": drawn(rng, size, words.CHANNELS),
        "SELLERPLACE_AREA": pl.Series(np.where(consumer, area, -1)),
        "NAME_SELLER_INDUSTRY": chosen([(~consumer, none)], named(seller, tuple(words.SELLERS))),
        "WEEKDAY_APPR_PROCESS_START": drawn(rng, size, words.WEEKDAYS),
        "HOUR_APPR_PROCESS_START": pl.Series(whole(rng.normal(12.5, 3.3, size).clip(0.0, 23.0))),
        "FLAG_LAST_APPL_PER_CONTRACT": named(chance(rng, size, 0.995).astype(np.int64), ("N", "Y")),
        "NFLAG_LAST_APPL_IN_DAY": pl.Series(chance(rng, size, 0.9965).astype(np.int64)),
    }


def _dates(
    rng: np.random.Generator, kind: Ints, approved: Flags, decided: Ints, term: Ints, made: Ints
) -> dict[str, pl.Series]:
    size = kind.size
    card = kind == _REVOLVING
    undated = ~approved | chance(rng, size, 0.04)
    first_due = -(decided - 30)
    planned = first_due + 30 * (term - 1)
    last = first_due + 30 * (made - 1)
    open_end = (last >= 0) | (card & chance(rng, size, 0.77))
    drawn_once = card & chance(rng, size, 0.64)
    return {
        "DAYS_FIRST_DRAWING": blanked(np.where(drawn_once, np.minimum(first_due + 20, -1), words.NONE_DAY), undated),
        "DAYS_FIRST_DUE": blanked(np.where(card & chance(rng, size, 0.39), words.NONE_DAY, first_due), undated),
        "DAYS_LAST_DUE_1ST_VERSION": blanked(np.where(card, words.NONE_DAY, planned), undated),
        "DAYS_LAST_DUE": blanked(np.where(open_end, words.NONE_DAY, last), undated),
        "DAYS_TERMINATION": blanked(np.where(open_end, words.NONE_DAY, last + 7), undated),
        "NFLAG_INSURED_ON_APPROVAL": blanked(chance(rng, size, 0.333).astype(np.int64), undated),
    }
