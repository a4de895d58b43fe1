"""What faces tell of outcomes and cohorts: the same fields in the API and at the terminal (pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plumbline.kernel.models.service.cohorts import Cohort
    from plumbline.kernel.models.service.outcomes import Recorded

TOLD = 1_000
"""Rejects and corrections that an answer lists; their number is always told."""
ESTIMATE = "No estimate is made while outcomes are missing: until its cohort is mature, performance is unknown."


def recorded_facts(found: Recorded) -> dict[str, Any]:
    """What became of the rows of a call."""
    return {
        "rows": found.rows, "accepted": found.accepted, "corrected": found.corrected, "unchanged": found.unchanged, "rejected": found.rejected,
        "rejects": [{"row": r.row, "field": r.field, "rule": r.rule, "value": r.value, "message": r.message} for r in found.rejects[:TOLD]],
        "corrections": [
            {"prediction_id": c.prediction_id, "old": c.old, "old_at": c.old_at, "new": c.new, "new_at": c.new_at}
            for c in found.corrections[:TOLD]
        ],
        "file_sha256": found.file_sha256 or None,
    }  # fmt: skip


def cohort_facts(cohort: Cohort) -> dict[str, Any]:
    """One cohort: how it stands, and its figures if it was measured."""
    tally, measured = cohort.tally, cohort.measured
    extra = measured.evaluation.extra if measured is not None else {}
    return {
        "cohort": cohort.key, "model": {"id": cohort.model.id, "name": cohort.model.name, "version": cohort.model.version},
        "state": cohort.standing.state, "reason": cohort.standing.reason, "mature_from": cohort.standing.due,
        "decisions": tally.rows, "awaited": tally.awaited, "labelled": tally.labelled, "events": tally.events, "declined": tally.declined,
        "undecided": tally.undecided, "labelled_aside": tally.aside, "sources": {k: n for k, n in sorted(tally.sources.items()) if n},
        "verdict": verdict(cohort)[0], "verdict_reason": verdict(cohort)[1],
        "as_of": extra.get("as_of"), "metrics": dict(sorted(measured.metrics.items())) if measured is not None else {},
        "intervals": extra.get("intervals", {}), "undefined": extra.get("undefined", {}), "estimate": None, "estimate_reason": ESTIMATE,
    }  # fmt: skip


def verdict(cohort: Cohort) -> tuple[str, str]:
    """``measured``, or ``unknown`` with the reason."""
    if cohort.measured is not None:
        extra = cohort.measured.evaluation.extra
        return str(extra["verdict"]), str(extra["reason"])
    if cohort.standing.state == "mature":
        return "unknown", "It is mature and is measured with the next run of the evaluation."
    return "unknown", cohort.standing.reason
