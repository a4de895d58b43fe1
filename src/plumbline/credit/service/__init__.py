"""Use cases of the room: one transaction and one audit entry each."""

from plumbline.credit.service.batches import (
    batch_of,
    cancel_batch,
    list_batches,
    perform_batch,
    receive_batch,
    resume_batch,
    rows_of,
    submit_batch,
    views_of,
)
from plumbline.credit.service.decisions import (
    DecisionView,
    ReplayResult,
    decision_of,
    explain,
    list_decisions,
    replay,
    score,
)
from plumbline.credit.service.desk import triage
from plumbline.credit.service.proposals import propose_schema
from plumbline.credit.service.reviews import open_reviews, override, request_review
from plumbline.credit.service.training import Checked, check_files, train

__all__ = [
    "Checked",
    "DecisionView",
    "ReplayResult",
    "batch_of",
    "cancel_batch",
    "check_files",
    "decision_of",
    "explain",
    "list_batches",
    "list_decisions",
    "open_reviews",
    "override",
    "perform_batch",
    "propose_schema",
    "receive_batch",
    "replay",
    "request_review",
    "resume_batch",
    "rows_of",
    "score",
    "submit_batch",
    "train",
    "triage",
    "views_of",
]  # fmt: skip
