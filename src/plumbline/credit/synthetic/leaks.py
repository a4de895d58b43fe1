"""Three ways in which the label gets into the columns, for testing that a leak is found.

``imputed``: a few empty cells of eight dwelling columns were filled per class, as in the published HELOC file; only the
filled cells tell (more decimals than the others). ``post_decision``: a column ``CNT_COLLECTION_CALLS`` counts calls made
after the loan was paid out. ``renamed_target``: a column ``FLAG_ACCOUNT_STATUS`` is the label under another name.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from . import vocabulary as words
from .draws import chance

IMPUTED_COLUMNS: Final = (
    "APARTMENTS_AVG", "BASEMENTAREA_AVG", "COMMONAREA_AVG", "LANDAREA_AVG", "LIVINGAREA_AVG", "NONLIVINGAREA_AVG",
    "LIVINGAPARTMENTS_AVG", "TOTALAREA_MODE",
)  # fmt: skip
POST_DECISION_COLUMN: Final = "CNT_COLLECTION_CALLS"
RENAMED_COLUMN: Final = "FLAG_ACCOUNT_STATUS"
_FILLED_SHARE = 0.05
_FILL = {0: 0.0613, 1: 0.0924}  # what the imputation gave each class, give or take one in a hundred


def leaking(rng: np.random.Generator, application: pl.DataFrame, leak: str) -> pl.DataFrame:
    """The labelled applications with the given leak (one of ``options.LEAKS``)."""
    size = application.height
    bad = application[words.TARGET].to_numpy()
    if leak == "renamed_target":
        return application.with_columns(pl.Series(RENAMED_COLUMN, bad))
    if leak == "post_decision":
        calls = np.where(bad == 1, rng.poisson(2.2, size), rng.poisson(0.06, size))
        return application.with_columns(pl.Series(POST_DECISION_COLUMN, calls))
    filled = []
    for name in IMPUTED_COLUMNS:
        value = np.where(bad == 1, _FILL[1], _FILL[0]) * rng.uniform(0.99, 1.01, size)
        place = application[name].is_null() & pl.Series(chance(rng, size, _FILLED_SHARE))
        filled.append(pl.Series(name, value).zip_with(place, application[name]))
    return application.with_columns(filled)
