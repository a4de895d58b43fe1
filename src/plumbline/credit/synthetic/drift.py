"""Applicants that have moved since the reference: what monitoring has to notice."""

from __future__ import annotations

import numpy as np
import polars as pl

from .draws import blanked, chance

INCOME_FACTOR = 1.2
SHIFTED_SHARE = 0.3  # of "Working", who become "Commercial associate"
EMPTIED_SHARE = 0.15  # of EXT_SOURCE_2


def drifted(rng: np.random.Generator, application: pl.DataFrame) -> pl.DataFrame:
    """The applications with incomes 20 % higher, income types shifted, and 15 % of EXT_SOURCE_2 empty.

    The mechanism of default stays: probabilities follow from the moved columns.
    """
    size = application.height
    work = application["NAME_INCOME_TYPE"]
    shifted = (work == "Working") & pl.Series(chance(rng, size, SHIFTED_SHARE))
    return application.with_columns(
        (pl.col("AMT_INCOME_TOTAL") * INCOME_FACTOR).round(1),
        pl.repeat("Commercial associate", size, eager=True).zip_with(shifted, work).alias("NAME_INCOME_TYPE"),
        blanked(application["EXT_SOURCE_2"], chance(rng, size, EMPTIED_SHARE)).alias("EXT_SOURCE_2"),
    )
