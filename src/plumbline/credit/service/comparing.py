"""Champion against challenger on rows that neither has learnt from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from plumbline.credit.intake.schema import Schema
from plumbline.credit.modelling.comparison import Comparison, Side, compare
from plumbline.credit.modelling.scorer import Scorer
from plumbline.credit.modelling.splits import share_of_id
from plumbline.credit.service.training import labels_of
from plumbline.kernel.context import Context
from plumbline.kernel.errors import Conflict, InvalidInput, Where
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger.service import Act
from plumbline.kernel.models import service as models
from plumbline.kernel.models.tables import Model

TEST_FROM = 0.9
"""Ids whose share is at least this are never taught, in whatever file they come (:mod:`modelling.splits`)."""


@dataclass(frozen=True, slots=True)
class Compared:
    """``rows_given`` had an outcome; ``comparison.rows`` of them were new to both models, as ``unseen`` says how that is known."""

    champion: Model
    challenger: Model
    comparison: Comparison
    rows_given: int
    unseen: str


def compare_models(installation: Installation, context: Context, challenger: str, champion: str | None = None, *, tables: Mapping[str, pl.DataFrame],
                   schema: Schema, every_row_is_new: bool = False) -> Compared:  # fmt: skip
    """Score the same rows with both models, with intervals; kept as an evaluation of the challenger.

    :param challenger: ``champion``: name, name@version or id; default champion: the active version.
    :param tables: validated tables with the label, as for training.
    :param every_row_is_new: the rows came after both models were trained: all are used, and that it was said is recorded.
    :raises Conflict: a model was trained on another schema, or it cannot be known which rows are new to it.
    """
    with Act(installation.database, context, "credit.compare", "model", right="credit.train") as act:
        second = models.get(installation, context, challenger)
        first = (
            models.get(installation, context, champion)
            if champion
            else models.active(installation, context, kind="credit")
        )
        if first.id == second.id:
            raise InvalidInput(
                "A model is compared with another one.", where=Where(field="champion"), remedy="Name two versions."
            )
        if schema.target is None:
            raise InvalidInput(
                "The schema names no target.",
                where=Where(field="target"),
                remedy='Add target = { column = "…", bad = 1 }.',
            )
        known = tables[schema.main.name].filter(pl.col(schema.target.column).is_not_null())
        if known.height == 0:
            raise InvalidInput("No row has an outcome.", where=Where(table=schema.main.name, column=schema.target.column),
                               remedy="Compare on applications whose outcome is known.")  # fmt: skip
        mask, unseen = (np.ones(known.height, dtype=bool), "said to have come after both were trained") if every_row_is_new else \
            _new_to(known[schema.id], first, second)  # fmt: skip
        chosen = known.filter(pl.Series(mask))
        if chosen.height == 0:
            raise Conflict(
                "None of the rows is known to be new to both models.",
                remedy="Give more rows, or rows that came later with --new-rows.",
            )
        inputs = {**tables, schema.main.name: chosen}
        y = labels_of(chosen[schema.target.column], schema.target.bad)
        sides = [_side(installation, model, inputs, schema) for model in (first, second)]
        found = compare(y, *sides, cost_fn=schema.costs.false_negative, cost_fp=schema.costs.false_positive)
        figures = {d.metric: d.challenger for d in found.differences}
        models.insert_evaluation(act.session, context, second.id, models.Evaluated(
            dataset=f"comparison:{first.name}@{first.version}", sample_count=found.rows, metrics=figures, undefined=found.undefined,
            extra={"comparison": found.to_dict(), "champion_id": str(first.id), "unseen": unseen},
        ))  # fmt: skip
        auc = found.of("roc_auc")
        act.done(second.id, champion=f"{first.name}@{first.version}", challenger=f"{second.name}@{second.version}", rows=found.rows, unseen=unseen,
                 roc_auc=None if auc is None else {"difference": auc.difference, "low": auc.low, "high": auc.high})  # fmt: skip
    return Compared(first, second, found, known.height, unseen)


def _new_to(ids: pl.Series, *both: Model) -> tuple[npt.NDArray[np.bool_], str]:
    """Rows that neither model can have learnt from: the test share of ids is the same in every file."""
    mask = np.ones(len(ids), dtype=bool)
    for model in both:
        if "sha256(seed:id)" not in model.extra["training"]["protocol"]:
            raise Conflict(f"{model.name}@{model.version} was split by time: which of these rows are new to it cannot be known.",
                           remedy="Give rows that came later, and say so with --new-rows.")  # fmt: skip
        mask &= share_of_id(ids, int(model.extra["seed"])) >= TEST_FROM
    return mask, "test ids of both, by their hash (but for rows equal to one that was taught)"


def _side(installation: Installation, model: Model, tables: Mapping[str, pl.DataFrame], schema: Schema) -> Side:
    scorer: Scorer = models.load(installation, model)
    if scorer.schema.name != schema.name:
        raise Conflict(f"{model.name}@{model.version} was trained on the schema '{scorer.schema.name}', not on '{schema.name}'.",
                       remedy="Compare models of one schema.")  # fmt: skip
    scored = scorer.score_matrix(scorer.transformer.transform(tables))
    return Side(f"{model.name}@{model.version}", scored.probability, scored.threshold)


def shown(compared: Compared) -> list[dict[str, Any]]:
    """A row for each difference, for faces."""
    return [
        {"metric": d.metric, "champion": d.champion, "challenger": d.challenger, "difference": d.difference, "low": d.low, "high": d.high,
         "verdict": d.verdict}
        for d in compared.comparison.differences
    ]  # fmt: skip
