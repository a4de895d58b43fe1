"""Whether loans were repaid: outcomes of decisions, and how each version did on those whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import IO, Any
from uuid import UUID

from plumbline.credit import repository
from plumbline.credit.decision import TYPE
from plumbline.kernel.context import Context
from plumbline.kernel.errors import InvalidInput
from plumbline.kernel.installation import Installation
from plumbline.kernel.models import service as models
from plumbline.kernel.models.outcomes import OutcomeKind, Rates
from plumbline.kernel.models.service import cohorts, outcomes
from plumbline.kernel.models.service.cohorts import Cohort, Evaluated
from plumbline.kernel.models.service.outcomes import Recorded
from plumbline.kernel.models.tables import Model

HORIZON = timedelta(days=365)
REPAID, DEFAULT = "repaid", "default"
RECORD, READ = "credit.outcomes", "credit.read"


def rates(model: Model) -> Rates:
    """The threshold and the costs that a version decides by."""
    policy: dict[str, Any] = model.extra["policy"]
    costs = policy["costs"]
    return Rates(float(policy["threshold"]), float(costs["false_negative"]), float(costs["false_positive"]))


KIND = OutcomeKind(
    prediction_type=TYPE, words=(REPAID, DEFAULT), rates=rates, horizon=HORIZON, accepts=("approve",), refuses=("decline",),
    finals=repository.final_decisions, aliases={"sk_id_curr": "subject_id", "SK_ID_CURR": "subject_id"},
    cost_name="cost_per_application",
)  # fmt: skip
"""Of an application that was declined nobody sees whether it would have been repaid; one that waits for a person is not granted yet."""


def record(
    installation: Installation, context: Context, rows: Sequence[Any], *, source: str = "person", reason: str | None = None,
    whole: bool = False,
) -> Recorded:  # fmt: skip
    """Write outcomes (:func:`plumbline.kernel.models.service.outcomes.record`)."""
    return outcomes.record(installation, context, TYPE, rows, right=RECORD, source=source, reason=reason, whole=whole)


def record_file(
    installation: Installation, context: Context, stream: IO[bytes], filename: str | None, *, source: str = "feed", reason: str | None = None
) -> Recorded:  # fmt: skip
    """Write the outcomes of a CSV or Parquet file.

    :raises InvalidInput: nothing was sent.
    """
    if not filename:
        context.require(RECORD)
        raise InvalidInput("No file was sent.", remedy="Choose a CSV or Parquet file of outcomes.")
    name = filename.replace("\\", "/").rsplit("/", 1)[-1]
    name = "".join(c for c in name if c.isprintable()).strip()[:255] or "upload"
    return outcomes.record_file(installation, context, TYPE, stream, name, right=RECORD, source=source, reason=reason)


def performance(installation: Installation, context: Context, model: str | None = None) -> list[Cohort]:
    """Cohorts by the month of the decision, newest first; of one version, if it is named (name, name@version or id)."""
    context.require(READ)
    return cohorts.cohorts(installation, context, TYPE, right=READ, model_id=_id_of(installation, context, model))


def evaluate(installation: Installation, context: Context, model: str | None = None) -> Evaluated:
    """Measure the mature cohorts now, as the nightly job does."""
    context.require(RECORD)
    return cohorts.evaluate(installation, context, TYPE, right=RECORD, model_id=_id_of(installation, context, model))


def _id_of(installation: Installation, context: Context, model: str | None) -> UUID | None:
    return models.get(installation, context, model).id if model else None
