"""A portfolio: seven tables, the truth behind their outcomes, and ways to hand them on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from plumbline.kernel.errors import NotFound, Where

from . import vocabulary as words
from .draws import Floats
from .options import CHUNK, Options
from .truth import EFFECT_NAMES, best_possible_auc

APPROVED_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class Report:
    """What is true of a portfolio, whatever a model makes of it.

    :param rows: rows per table.
    :param default_rate: share of TARGET = 1; ``expected_default_rate`` is the mean true probability.
    :param best_auc: best possible AUC of the true probabilities, in expectation over outcomes.
    :param log_odds_sd: standard deviation of the true log-odds; ``effect_sd`` that of each named effect.
    :param approval_rate_ratio: of the group to all others when the safest 80 % are approved by true probability;
        None without members or without others.
    """

    applications: int
    rows: dict[str, int]
    default_rate: float
    expected_default_rate: float
    best_auc: float
    log_odds_sd: float
    effect_sd: dict[str, float]
    approval_rate_ratio: float | None

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; a best AUC that does not exist (one application) is None."""
        result = asdict(self)
        result["best_auc"] = None if np.isnan(self.best_auc) else self.best_auc
        return result


def report_of(truth: pl.DataFrame, outcomes: Floats, rows: Mapping[str, int]) -> Report:
    """The report from the truth frame and the outcomes (1 = default), in the same order."""
    probability = truth["pd"].to_numpy()
    return Report(
        applications=truth.height,
        rows=dict(rows),
        default_rate=float(outcomes.mean()),
        expected_default_rate=float(probability.mean()),
        best_auc=best_possible_auc(probability),
        log_odds_sd=float(truth["log_odds"].to_numpy().std()),
        effect_sd={name: float(truth[name].to_numpy().std()) for name in EFFECT_NAMES},
        approval_rate_ratio=approval_rate_ratio(truth),
    )


def approval_rate_ratio(truth: pl.DataFrame, approved_share: float = APPROVED_SHARE) -> float | None:
    """Approval rate of the group over that of all others when the safest ``approved_share`` are approved by true PD."""
    member = truth["in_group"].to_numpy()
    if not member.any() or member.all():
        return None
    probability = truth["pd"].to_numpy()
    approved = probability <= np.quantile(probability, approved_share)
    others = float(approved[~member].mean())
    return float(approved[member].mean()) / others if others > 0.0 else None


@dataclass(frozen=True, slots=True)
class Portfolio:
    """A generated portfolio.

    :param tables: the seven tables by name, ``application`` with TARGET.
    :param truth: per application, in the order of the application table: SK_ID_CURR, log_odds, pd, the effect of each
        name in ``truth.EFFECT_NAMES`` in log-odds (``log_odds`` is their sum plus ``intercept``), in_group.
    :param best_auc: best possible AUC of the true probabilities, in expectation over outcomes.
    """

    options: Options
    tables: dict[str, pl.DataFrame]
    truth: pl.DataFrame
    intercept: float
    best_auc: float

    def report(self) -> Report:
        rows = {name: table.height for name, table in self.tables.items()}
        return report_of(self.truth, self.tables["application"][words.TARGET].cast(pl.Float64).to_numpy(), rows)

    def write(
        self,
        folder: Path | str,
        format: Literal["csv", "parquet"] = "csv",  # noqa: A002 (the name every table library uses)
        *,
        labelled: bool = True,
    ) -> Path:
        """Write the seven tables into ``folder``, and into ``folder/truth`` the truth, the report and any faults.

        The same options give the same bytes (on one machine type, with the same library versions). Nothing is left
        behind if writing fails.

        :param labelled: False leaves TARGET out of the application file.
        :raises Usage: faults were asked for and the format is not CSV, or an unknown format.
        :returns: the folder.
        """
        from .files import Files

        with Files(Path(folder), self.options, format, labelled=labelled) as files:
            application = self.tables["application"]
            for number, start in enumerate(range(0, application.height, CHUNK)):
                files.add_applications(number, application.slice(start, CHUNK))
            for name in words.TABLES[1:]:
                files.add(name, self.tables[name])
            files.finish(self.truth, self.intercept, self.report())
        return Path(folder)


def to_application_json(portfolio: Portfolio, sk_id: int) -> dict[str, Any]:
    """One client as ``{"application": {…}, "bureau": […], …}``: all seven tables, without TARGET.

    What is not known of the application stands there as null, in the histories it is left out.

    :raises NotFound: no application has this id.
    """
    rows = {name: _rows_of(portfolio, name, sk_id) for name in words.TABLES}
    if not rows["application"]:
        raise NotFound(
            f"The portfolio has no application {sk_id}.",
            where=Where(table="application", column=words.CLIENT),
            remedy="Choose an id from the application table.",
        )
    del rows["application"]
    main = portfolio.tables["application"].filter(pl.col(words.CLIENT) == sk_id).drop(words.TARGET, strict=False)
    return {"application": main.row(0, named=True), **rows}


def _rows_of(portfolio: Portfolio, table: str, sk_id: int) -> list[dict[str, Any]]:
    frame = portfolio.tables[table]
    if table == "bureau_balance":
        loans = portfolio.tables["bureau"].filter(pl.col(words.CLIENT) == sk_id)["SK_ID_BUREAU"]
        frame = frame.filter(pl.col("SK_ID_BUREAU").is_in(loans.implode()))
    else:
        frame = frame.filter(pl.col(words.CLIENT) == sk_id)
    return [{name: value for name, value in row.items() if value is not None} for row in frame.iter_rows(named=True)]
