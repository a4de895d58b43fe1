"""Generate a portfolio, in memory or straight into files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from . import vocabulary as words
from .chunks import Chunk, Stream, chunk
from .draws import Floats, logistic
from .files import Files
from .leaks import leaking
from .options import Options
from .portfolio import Portfolio, Report, report_of
from .truth import EFFECT_NAMES, GROUP, GROUP_COLUMN, best_possible_auc, intercept, total


def generate(
    applications: int,
    seed: int,
    *,
    default_rate: float = 0.0807,
    group_effect: float = 0.0,
    proxy_effect: float = 0.0,
    drift: bool | None = None,
    leak: str | None = None,
    faults: bool | None = None,
    effect_sd: float = 1.15,
    months: int = 16,
) -> Portfolio:
    """Generate a portfolio in memory; the parameters are those of :class:`.options.Options`.

    The outcome of an application is drawn from its true probability, which follows from its own rows in the tables.
    ``faults`` and nothing else shows only in written files.

    :raises Usage: a parameter is impossible.
    """
    options = Options(
        applications=applications, seed=seed, default_rate=default_rate, group_effect=group_effect,
        proxy_effect=proxy_effect, drift=bool(drift), leak=leak, faults=bool(faults), effect_sd=effect_sd,
        months=months,
    )  # fmt: skip
    chunks = [chunk(options, number, size) for number, size in enumerate(options.chunks())]
    settled = _settle(options, [_Cause.of(part) for part in chunks])
    outcomes = np.split(settled.outcomes, np.cumsum(options.chunks())[:-1])
    labelled = [
        _labelled(options, number, part.tables["application"], outcome)
        for number, (part, outcome) in enumerate(zip(chunks, outcomes, strict=True))
    ]
    tables = {"application": pl.concat(labelled)}
    tables |= {name: pl.concat([part.tables[name] for part in chunks]) for name in words.TABLES[1:]}
    best = best_possible_auc(settled.truth["pd"].to_numpy())
    return Portfolio(options, tables, settled.truth, settled.intercept, best)


def write_stream(
    folder: Path | str,
    applications: int,
    seed: int,
    *,
    format: Literal["csv", "parquet"] = "csv",  # noqa: A002 (the name every table library uses)
    labelled: bool = True,
    default_rate: float = 0.0807,
    group_effect: float = 0.0,
    proxy_effect: float = 0.0,
    drift: bool | None = None,
    leak: str | None = None,
    faults: bool | None = None,
    effect_sd: float = 1.15,
    months: int = 16,
) -> Report:
    """Generate straight into files, chunk by chunk, in memory that hardly grows with the number of applications.

    The files hold what ``generate(…).write(folder, …)`` would write; CSV files are equal byte for byte.

    :raises Usage: a parameter is impossible.
    """
    options = Options(
        applications=applications, seed=seed, default_rate=default_rate, group_effect=group_effect,
        proxy_effect=proxy_effect, drift=bool(drift), leak=leak, faults=bool(faults), effect_sd=effect_sd,
        months=months,
    )  # fmt: skip
    with Files(Path(folder), options, format, labelled=labelled) as files:
        causes: list[_Cause] = []
        rows = dict.fromkeys(words.TABLES, 0)
        for number, size in enumerate(options.chunks()):
            part = chunk(options, number, size)
            causes.append(_Cause.of(part))
            # The label stands in the second column, and no label is known before all effects are: keep these aside.
            part.tables["application"].write_ipc(_kept(files, number))
            for name in words.TABLES:
                rows[name] += part.tables[name].height
                if name != "application":
                    files.add(name, part.tables[name])
        settled = _settle(options, causes)
        outcomes = np.split(settled.outcomes, np.cumsum(options.chunks())[:-1])
        for number, outcome in enumerate(outcomes):
            kept = _kept(files, number)
            application = pl.read_ipc(kept)
            files.add_applications(number, _labelled(options, number, application, outcome))
            kept.unlink()
        report = report_of(settled.truth, settled.outcomes.astype(np.float64), rows)
        files.finish(settled.truth, settled.intercept, report)
    return report


@dataclass(frozen=True, slots=True)
class _Cause:
    """What one chunk contributes to the truth."""

    reference: Floats
    effects: pl.DataFrame
    lot: Floats

    @classmethod
    def of(cls, part: Chunk) -> _Cause:
        member = (part.tables["application"][GROUP_COLUMN] == GROUP).alias("in_group")
        return cls(total(part.reference), part.effects.with_columns(member), part.lot)


@dataclass(frozen=True, slots=True)
class _Settled:
    truth: pl.DataFrame
    outcomes: np.ndarray[tuple[int], np.dtype[np.int64]]
    intercept: float


def _settle(options: Options, causes: Sequence[_Cause]) -> _Settled:
    """Fit the intercept on the population before drift, and draw the outcomes."""
    constant = intercept(np.concatenate([cause.reference for cause in causes]), options.default_rate)
    effects = pl.concat([cause.effects for cause in causes])
    log_odds = total(effects) + constant
    probability = logistic(log_odds)
    outcomes = (np.concatenate([cause.lot for cause in causes]) < probability).astype(np.int64)
    truth = effects.select(
        words.CLIENT,
        pl.Series("log_odds", log_odds),
        pl.Series("pd", probability),
        *EFFECT_NAMES,
        "in_group",
    )
    return _Settled(truth, outcomes, constant)


def _labelled(
    options: Options, number: int, application: pl.DataFrame, outcomes: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> pl.DataFrame:
    target = pl.Series(words.TARGET, outcomes)
    frame = application.select(words.CLIENT, target, pl.exclude(words.CLIENT))
    return leaking(Stream.LEAK.of(options, number), frame, options.leak) if options.leak else frame


def _kept(files: Files, number: int) -> Path:
    return files.scratch / f"application-{number:05d}.arrow"
