"""``Workspace.credit``: train, score and explain on frames."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import polars as pl

from plumbline.credit import service
from plumbline.credit.decision import ScoreAnswer
from plumbline.credit.intake.readers import open_frames
from plumbline.credit.intake.schema import Schema
from plumbline.credit.service.decisions import scorer_for
from plumbline.credit.service.training import limits_of
from plumbline.kernel.errors import InvalidInput
from plumbline.kernel.models.tables import Model

if TYPE_CHECKING:
    from plumbline.sdk import Workspace

Tables = Mapping[str, Any]


class Credit:
    """Frames may be Polars, pandas or Arrow; a single one is the main table."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def train(
        self, data: str | Path | Tables | Any, *, schema: str | Path | Schema = "home_credit", **options: Any
    ) -> Model:
        """Train and register a model from files or frames with outcomes; ``options`` as :func:`service.train`."""
        declared = schema if isinstance(schema, Schema) else Schema.load(schema)
        house = self._workspace.installation
        if isinstance(data, str | Path):
            tables = service.check_files(Path(data), declared, scoring=False, limits=limits_of(house)).tables
        else:
            tables = _checked(_frames(data, declared), declared, scoring=False)
        return service.train(house, self._workspace.context(), tables=tables, schema=declared, **options)

    def decide(self, application: dict[str, Any]) -> ScoreAnswer:
        """Decide one application and record it, as the API does."""
        return service.score(self._workspace.installation, self._workspace.context(), application)

    def score(self, data: Tables | Any, *, model: str | None = None) -> pl.DataFrame:
        """Probability, level, decision and reasons of every row, recording nothing: for analysis, not for deciding.

        :raises InvalidInput: a row that validation rejects (nothing is scored then).
        """
        house, context = self._workspace.installation, self._workspace.context()
        context.require("credit.score")
        _, scorer, _ = scorer_for(house, context, model)
        tables = _checked(_frames(data, scorer.schema), scorer.schema, scoring=True)
        return scorer.score(tables).frame()

    def explain(self, prediction_id: UUID | str) -> dict[str, Any]:
        """What moved a recorded score."""
        return service.explain(self._workspace.installation, self._workspace.context(), UUID(str(prediction_id)))

    def replay(self, prediction_id: UUID | str) -> service.ReplayResult:
        """The stored model on the stored input again."""
        return service.replay(self._workspace.installation, self._workspace.context(), UUID(str(prediction_id)))


def _frames(data: Tables | Any, schema: Schema) -> dict[str, pl.DataFrame]:
    tables = data if isinstance(data, Mapping) else {schema.main.name: data}
    return {name: _frame(value) for name, value in tables.items()}


def _frame(value: Any) -> pl.DataFrame:
    if isinstance(value, pl.DataFrame):
        return value
    if isinstance(value, pl.LazyFrame):
        return value.collect()
    if type(value).__module__.startswith(
        "pandas"
    ):  # before Arrow: a pandas frame is a stream too, whose NaN are no nulls
        return pl.from_pandas(value)
    if hasattr(value, "__arrow_c_stream__"):
        return pl.DataFrame(value)
    raise InvalidInput(f"A {type(value).__name__} is no table.", remedy="Give a Polars, pandas or Arrow frame.")


def _checked(tables: dict[str, pl.DataFrame], schema: Schema, *, scoring: bool) -> dict[str, pl.DataFrame]:
    with open_frames(tables, schema, scoring=scoring) as upload:
        chunks = list(upload.chunks())
        rejected = sum(c.rejected_rows for c in chunks)
        if rejected:
            first = next(c.rejects for c in chunks if c.rejects.height).row(0, named=True)
            raise InvalidInput(f"{rejected} rows are rejected; the first: row {first['line']}, {first['column']}: {first['message']}",
                               remedy="Mend or drop them, then score again.")  # fmt: skip
        return {schema.main.name: pl.concat([c.frame for c in chunks]), **upload.linked}
