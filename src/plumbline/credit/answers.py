"""What faces tell of decisions and batches: the same fields in the API and at the terminal (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plumbline.credit.service.batches import BatchView

SUMMARY = ("scored", "levels", "decisions", "mean_probability", "warnings", "records_root", "files", "histogram")


def listed(p: Any) -> dict[str, Any]:
    """A decision's fields in a list."""
    return {
        "id": p.id, "subject_id": p.subject_id, "probability": p.probability, "risk_level": p.prediction_result,
        "decision": p.extra["decision"], "points": p.extra["points"], "model_id": p.ml_model_id, "batch_id": p.batch_id,
        "created_at": p.created_at,
    }  # fmt: skip


def batch_facts(view: BatchView) -> dict[str, Any]:
    """A batch's fields; ``summary`` holds what came out, once it has."""
    b = view.batch
    return {
        "id": b.id, "filename": b.filename, "file_size": b.file_size, "file_sha256": b.file_sha256, "status": view.status,
        "rows": b.num_applications, "rows_done": view.rows_done, "rejected": view.rejected, "error": view.error,
        "model": {"name": view.model.name, "version": view.model.version, "sha256": b.extra["model_sha256"]},
        "uploaded_at": b.upload_date, "started_at": b.processing_started_at, "completed_at": b.processing_completed_at,
        "results": b.results_file_path, "same_as": b.extra.get("same_as"),
        "summary": {k: b.extra[k] for k in SUMMARY if k in b.extra},
    }  # fmt: skip


def notice_facts(n: Any) -> dict[str, Any]:
    """A notice's fields; the document itself is told apart."""
    return {
        "id": n.id, "prediction_id": n.prediction_id, "jurisdiction": n.jurisdiction, "state": n.state, "due_at": n.due_at,
        "issued_at": n.issued_at, "channel": n.channel, "cause": n.cause, "reasons": n.reasons or [], "document_sha256": n.document_sha256,
        "earlier": [{name: one[name] for name in ("issued_at", "channel", "document_sha256")} for one in n.earlier or []],
    }  # fmt: skip


def review_facts(r: Any) -> dict[str, Any]:
    """A review's fields, without its notes."""
    return {
        "id": r.id, "prediction_id": r.prediction_id, "state": r.state, "due_at": r.due_at, "final_decision": r.final_decision,
        "cause": r.cause, "proposed_decision": r.proposed_decision, "requested_at": r.requested_at, "requested_through": r.requested_through,
        "closed_at": r.closed_at,
    }  # fmt: skip
