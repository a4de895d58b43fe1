"""The search for models that treat a group less unequally, recorded with the model it started from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from plumbline.credit.decision import TYPE
from plumbline.credit.intake.schema import Schema
from plumbline.credit.service.training import labels_of
from plumbline.kernel.context import Context
from plumbline.kernel.errors import Conflict, InvalidInput, Where
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger.service import Act
from plumbline.kernel.models import service as models
from plumbline.kernel.models.tables import Model

if TYPE_CHECKING:
    from plumbline.credit.modelling.alternatives import Search
    from plumbline.credit.modelling.scorer import Scorer

DATASET = "alternatives"


@dataclass(frozen=True, slots=True)
class Alternatives:
    model: Model
    search: Search

    def to_dict(self) -> dict[str, Any]:
        m = self.model
        return {
            "model": {"id": m.id, "name": m.name, "version": m.version, "sha256": m.extra["sha256"]},
            **self.search.to_dict(),
        }


def search_alternatives(installation: Installation, context: Context, key: str, *, tables: Mapping[str, pl.DataFrame], schema: Schema,
                        group: str | None = None, most: int = 40, told: Callable[[int, int], None] = lambda _done, _of: None) -> Alternatives:  # fmt: skip
    """Try candidates around a model out of fold, at the share of applicants its policy approves; kept as an evaluation of it.

    The rows that its test was made on have no part in it, so that a model chosen here can still be tested on them.

    :param tables: validated tables with the label: those it was trained on, or newer ones.
    :param group: ``attribute: value``; default: the group with the lowest approval-rate ratio.
    :raises Conflict: the model was trained on another schema.
    :raises InvalidInput: no outcome, no such group, or no group that is large enough.
    """
    from plumbline.credit.modelling.alternatives import search
    from plumbline.credit.modelling.champion import Settings
    from plumbline.credit.modelling.groups import groups_of
    from plumbline.credit.modelling.splits import split

    context.require("credit.train")
    model = models.get(installation, context, key)
    if model.kind != TYPE:
        raise InvalidInput(
            f"'{model.name}' is no credit model.", where=Where(field="model"), remedy="See: plumbline models list"
        )
    scorer: Scorer = models.load(installation, model)
    if scorer.schema.name != schema.name or schema.target is None:
        raise Conflict(f"{model.name}@{model.version} was trained on the schema '{scorer.schema.name}', not on '{schema.name}'.",
                       remedy="Search with the schema of the model.")  # fmt: skip
    known = tables[schema.main.name].filter(pl.col(schema.target.column).is_not_null())
    labels = labels_of(known[schema.target.column], schema.target.bad)
    matrix = scorer.transformer.transform({**tables, schema.main.name: known})
    settings = Settings(**scorer.manifest["parameters"])
    parts = split(matrix.ids, matrix.values, times=known[schema.time] if schema.time else None, seed=settings.seed)
    rows = np.sort(np.concatenate([parts.train, parts.policy]))
    learnt = type(matrix)(matrix.ids.gather(rows), np.asfortranarray(matrix.values[rows]), matrix.features)
    approved = float((scorer.probability(learnt.values) < scorer.policy.threshold).mean())
    found = search(learnt, labels[rows], groups_of(known[rows], schema), settings=settings, approved=min(max(approved, 0.05), 0.95),
                   group=group, most=most, told=told)  # fmt: skip
    with Act(installation.database, context, "credit.alternatives", "model", right="credit.train") as act:
        models.insert_evaluation(act.session, context, model.id, models.Evaluated(
            dataset=DATASET, sample_count=found.rows, metrics={"roc_auc": found.roc_auc, "approval_rate_ratio": found.ratio.value},
            intervals={"approval_rate_ratio": (found.ratio.low, found.ratio.high)}, extra={"alternatives": found.to_dict()},
        ))  # fmt: skip
        act.done(model.id, model=f"{model.name}@{model.version}", group=found.group, tried=len(found.tried), rows=found.rows,
                 less_unequal=[t.name for t in found.better])  # fmt: skip
    return Alternatives(model, found)
