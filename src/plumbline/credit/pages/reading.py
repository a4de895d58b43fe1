"""What the room's pages look up beside its services: names, counts and files, all of them read only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import polars as pl

from plumbline.credit import service, why
from plumbline.credit.decision import TYPE, inputs
from plumbline.credit.features.matrix import FeatureInfo
from plumbline.credit.intake.schema import Schema
from plumbline.credit.modelling.points import PointScale
from plumbline.credit.modelling.scorer import Scorer
from plumbline.credit.service.batches import BatchView, folder_of, parts_of, tables_of_row
from plumbline.kernel.context import Context
from plumbline.kernel.errors import NotFound, PlumblineError
from plumbline.kernel.identity import repository as people
from plumbline.kernel.installation import Installation
from plumbline.kernel.models import predictions
from plumbline.kernel.models import service as models
from plumbline.kernel.models.tables import Model, Prediction
from plumbline.kernel.paging import PageRequest

RECENT = 5_000
FINE = 10_000
WIDTH = 10
"""Points in a bin of recent scores."""
INLINE = 1_000
"""Up to so many rows a batch's row is explained while its page is made; of a longer file afterwards."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a model's inputs; empty, with the reason, where its file cannot be read."""

    scorer: Scorer | None
    features: dict[str, FeatureInfo]
    schema: Schema | None
    fault: PlumblineError | None = None


def known(installation: Installation, model: Model) -> Known:
    """The version's own inputs and schema. A damaged file must not hide what was recorded."""
    try:
        scorer: Scorer = models.load(installation, model)
        return Known(scorer, {f.name: f for f in scorer.features}, scorer.schema)
    except PlumblineError as error:
        return Known(None, {}, None, error)


def live(installation: Installation, context: Context) -> Model | None:
    """The credit model that decides now."""
    try:
        return models.active(installation, context, kind=TYPE)
    except NotFound:
        return None


def names(installation: Installation, context: Context, keys: Iterable[UUID | None]) -> dict[UUID, str]:
    with installation.database.read(context.organization_id) as session:
        return people.names(session, context.organization_id, {key for key in keys if key})


def models_by_id(installation: Installation, context: Context, keys: Iterable[UUID]) -> dict[UUID, Model]:
    return {key: models.get(installation, context, str(key)) for key in set(keys)}


def recent_scores(installation: Installation, context: Context, scale: PointScale) -> tuple[int, list[int]]:
    """Points of the newest decisions: where the first bin starts, and the counts in bins of :data:`WIDTH`."""
    context.require("credit.read")
    with installation.database.read(context.organization_id) as session:
        counts = predictions.histogram(session, context.organization_id, bins=FINE, prediction_type=TYPE, most=RECENT)
    return why.score_counts(counts, scale, width=WIDTH)


def previous(installation: Installation, context: Context, decided: Prediction) -> service.DecisionView | None:
    """The decision about the same subject before this one."""
    page = service.list_decisions(installation, context, PageRequest(1, decided.id), subject_id=decided.subject_id)
    return service.decision_of(installation, context, page.items[0].id) if page.items else None


def inputs_again(installation: Installation, context: Context, decided: Prediction, scorer: Scorer) -> dict[str, Any]:
    """The inputs of a row whose batch did not keep them, from the file it came in."""
    context.require("credit.read")
    matrix = scorer.transformer.transform(tables_of_row(installation, context, decided, scorer.schema))
    return inputs(scorer.features, matrix.values[0])


def first_faults(installation: Installation, view: BatchView, most: int) -> tuple[list[str], list[tuple[Any, ...]]]:
    """The first faults of a file's rows, as far as it is read; the columns and the rows."""
    columns = ["line", "id", "table", "column", "value", "message"]
    rows: list[tuple[Any, ...]] = []
    folder = folder_of(installation, view.batch.id) / "parts"
    for part in parts_of(view.batch):
        path = folder / f"{part.name}.rejects.parquet"
        if part.rejected and path.exists() and len(rows) < most:
            rows += pl.read_parquet(path, n_rows=most - len(rows)).select(columns).rows()
    return columns, rows


def training_histogram(installation: Installation, context: Context, model: Model, bins: int) -> list[int]:
    """Probabilities of the rows a version was measured on, in ``bins`` equal bins of 0 … 1; empty if nothing is kept."""
    measured = {
        m.evaluation.dataset: m.evaluation for m in reversed(models.evaluations_of(installation, context, model.id))
    }
    for dataset in ("test", "policy", "cross_validation"):
        if dataset in measured and (fine := measured[dataset].extra.get("histogram")):
            both = [a + b for a, b in zip(*fine, strict=True)]
            step = len(both) // bins
            return [sum(both[i * step : (i + 1) * step]) for i in range(bins)]
    return []
