"""How groups of people fare with a model, as it was measured at its training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from plumbline.credit.decision import TYPE
from plumbline.kernel.context import Context
from plumbline.kernel.errors import InvalidInput, Where
from plumbline.kernel.installation import Installation
from plumbline.kernel.models import service as models
from plumbline.kernel.models.tables import Model

NOT_MEASURED = "It was not measured: no protected or audit column came along at the training, or the model is older than this report."


@dataclass(frozen=True, slots=True)
class Fairness:
    """
    :ivar report: :class:`modelling.fairness.FairnessReport` as a dictionary, with ``outside`` (that audited columns have
        no part in the score) and ``proxies`` (features that tell of a group); None if it was not measured.
    :ivar reason: why there is no report; empty if there is one.
    :ivar alternatives: the newest search for models that are less unequal, if one was made.
    """

    model: Model
    report: dict[str, Any] | None
    reason: str
    alternatives: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        m = self.model
        told = {"id": m.id, "name": m.name, "version": m.version, "sha256": m.extra["sha256"]}
        return {
            "model": told,
            "measured": self.report is not None,
            "reason": self.reason,
            "report": self.report,
            "alternatives": self.alternatives,
        }


def fairness_of(installation: Installation, context: Context, key: str) -> Fairness:
    """
    :param key: name@version, id, or name (the live version, else the newest).
    :raises InvalidInput: it is no credit model.
    """
    context.require("credit.read")
    model = models.get(installation, context, key)
    if model.kind != TYPE:
        raise InvalidInput(
            f"'{model.name}' is no credit model.", where=Where(field="model"), remedy="See: plumbline models list"
        )
    measured = [one.evaluation.extra for one in models.evaluations_of(installation, context, model.id)]
    report = next((extra["fairness"] for extra in measured if extra.get("fairness")), None)
    searched = next((extra["alternatives"] for extra in measured if extra.get("alternatives")), None)
    return Fairness(model, report, "" if report else NOT_MEASURED, searched)
