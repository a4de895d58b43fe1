"""One chunk of applications with its histories, drawn from random streams of its own.

A portfolio is a row of chunks of ``options.CHUNK`` applications. A chunk depends on the options and its number alone,
so a portfolio made in memory and one streamed to disk are the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import polars as pl

from . import vocabulary as words
from .bureau import bureau_tables
from .cards import card_balances
from .draws import Floats
from .drift import drifted
from .options import CHUNK, Options
from .population import population
from .previous import previous_applications
from .repayments import instalments, lateness, monthly_balances
from .truth import effects

_ID_WIDTH = CHUNK * 116 // 100  # gaps in the application ids
_LOAN_WIDTH = CHUNK * 10
_FIRST_CLIENT, _FIRST_CONTRACT, _FIRST_LOAN = 100_002, 1_000_000, 5_000_000
_STRANGERS = 200  # one in so many clients has histories without an application


class Stream(IntEnum):
    """What a chunk's random streams are for: changing one parameter leaves what the other streams draw as it was."""

    CONTENT = 0
    DRIFT = 1
    OUTCOME = 2
    LEAK = 3
    FAULTS = 4

    def of(self, options: Options, number: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence(options.seed, spawn_key=(number, int(self))))


@dataclass(frozen=True, slots=True)
class Chunk:
    """``tables`` with the application still without TARGET; one row per application in the other parts.

    ``reference`` holds the effects before drift, ``effects`` those of ``tables``; ``lot`` in [0, 1) decides outcomes.
    """

    tables: dict[str, pl.DataFrame]
    reference: pl.DataFrame
    effects: pl.DataFrame
    lot: Floats


def chunk(options: Options, number: int, size: int) -> Chunk:
    """Draw chunk ``number`` with ``size`` applications."""
    rng = Stream.CONTENT.of(options, number)
    picks = rng.permutation(_ID_WIDTH)[: size + size // _STRANGERS]
    picks[:size].sort()
    clients, application = population(rng, _FIRST_CLIENT + number * _ID_WIDTH + picks, options.proxy_effect)
    loans = _FIRST_LOAN + number * _LOAN_WIDTH + rng.permutation(_LOAN_WIDTH)
    contracts = _FIRST_CONTRACT + number * _LOAN_WIDTH + rng.permutation(_LOAN_WIDTH)
    bureau = bureau_tables(rng, clients, loans, options.months)
    earlier = previous_applications(rng, clients, contracts)
    late = lateness(rng, clients)
    tables = {
        "application": application.head(size),
        **bureau,
        "previous_application": earlier.table,
        "POS_CASH_balance": monthly_balances(rng, clients, earlier.instalment_contracts, late, options.months),
        "credit_card_balance": card_balances(rng, clients, earlier.cards, late, options.months),
        "installments_payments": instalments(
            rng, clients, earlier.instalment_contracts, earlier.cards, late, options.months
        ),
    }
    reference = effects(tables, effect_sd=options.effect_sd, group_effect=options.group_effect)
    caused = reference
    if options.drift:
        tables["application"] = drifted(Stream.DRIFT.of(options, number), tables["application"])
        caused = effects(tables, effect_sd=options.effect_sd, group_effect=options.group_effect)
    return Chunk(
        {name: tables[name] for name in words.TABLES},
        reference,
        caused,
        Stream.OUTCOME.of(options, number).random(size),
    )
