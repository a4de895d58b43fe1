"""Use cases of the registry."""

from plumbline.kernel.models.service.activation import Difference, activate, contract, rollback
from plumbline.kernel.models.service.registry import (
    Detail,
    Evaluated,
    Line,
    Measured,
    active,
    detail,
    evaluations_of,
    get,
    insert_evaluation,
    inventory,
    list_models,
    register,
)
from plumbline.kernel.models.service.scorers import kinds, load
from plumbline.kernel.models.service.triage import triage

__all__ = [
    "Detail", "Difference", "Evaluated", "Line", "Measured", "activate", "active", "contract", "detail", "evaluations_of", "get",
    "insert_evaluation", "inventory", "kinds", "list_models", "load", "register", "rollback", "triage",
]  # fmt: skip
