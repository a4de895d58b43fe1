"""What a credit model must show before it may decide."""

from __future__ import annotations

from typing import Any

from plumbline.kernel.context import Context
from plumbline.kernel.installation import Installation
from plumbline.kernel.models import service as models
from plumbline.kernel.models.service.gates import Gate
from plumbline.kernel.models.service.registry import Measured
from plumbline.kernel.models.tables import Model

REJECTED = 0.01
"""Below this p-value the hypothesis of a calibrated model is rejected."""


def gates(installation: Installation, context: Context, live: Model | None, wanted: Model) -> list[Gate]:
    """Compared with the live one, calibrated, without leaks, fair as far as measured, every reason with a text."""
    measured = models.evaluations_of(installation, context, wanted.id)
    return [_comparison(live, measured), _calibration(measured), _fairness(measured), _leaks(wanted), _reasons(wanted)]


def _comparison(live: Model | None, measured: list[Measured]) -> Gate:
    if live is None:
        return Gate("comparison", "ok", "Nothing is live that it could be compared with.")
    for one in measured:
        if one.evaluation.extra.get("champion_id") == str(live.id):
            found: dict[str, Any] = one.evaluation.extra["comparison"]
            told = [f"{d['metric']} {d['difference']:+.4f} [{d['low']:+.4f}, {d['high']:+.4f}]" for d in found["differences"]
                    if d["metric"] in ("roc_auc", "cost_per_application")]  # fmt: skip
            worse = [
                d
                for d in found["differences"]
                if d["verdict"] == "worse" and d["metric"] in ("roc_auc", "cost_per_application")
            ]
            said = f"Against {found['champion']} on {found['rows']:,} rows: {', '.join(told)}."
            return Gate("comparison", "missed" if worse else "ok", said)
    return Gate(
        "comparison", "unknown", f"It was not compared with {live.name}@{live.version}: plumbline credit compare."
    )


def _calibration(measured: list[Measured]) -> Gate:
    for one in measured:
        if one.evaluation.dataset in ("test", "cross_validation") and "calibration_p" in one.metrics:
            p, slope = one.metrics["calibration_p"], one.metrics["calibration_slope"]
            said = f"Slope {slope:.2f}, p {p:.3f} on {one.evaluation.sample_count:,} rows ({one.evaluation.dataset})."
            return Gate("calibration", "missed" if p < REJECTED else "ok", said)
    return Gate("calibration", "unknown", "Its calibration was not measured.")


def _fairness(measured: list[Measured]) -> Gate:
    """By the newest report (:class:`modelling.fairness.FairnessReport`): groups of one attribute and of two."""
    found: dict[str, Any] | None = next((one.evaluation.extra["fairness"] for one in measured if one.evaluation.extra.get("fairness")), None)  # fmt: skip
    if found is None:
        return Gate("fairness", "unknown", "Fairness was not measured: no protected column came along, or the model is older.")  # fmt: skip
    verdicts = {str(g["group"]): str(g["verdict"]) for g in found["groups"]}
    if not verdicts:
        return Gate("fairness", "unknown", f"No group has {found['least']} rows.")
    failing = sorted(name for name, verdict in verdicts.items() if verdict == "fails")
    if failing:
        return Gate(
            "fairness", "missed", f"The approval-rate ratio is below {found['limit']:g} for {'; '.join(failing)}."
        )
    undetermined = sum(verdict == "undetermined" for verdict in verdicts.values())
    return Gate("fairness", "ok", f"No group fails; {undetermined} of {len(verdicts)} are undetermined.")


def _leaks(wanted: Model) -> Gate:
    found = wanted.extra.get("leaks")
    if found is None:
        return Gate("leaks", "unknown", "Its training data were not checked for leaks.")
    alarms = [str(a["column"]) for a in found["alarms"]]
    if not alarms:
        return Gate("leaks", "ok", "No column gives the outcome away.")
    named = ", ".join(alarms[:5]) + (" …" if len(alarms) > 5 else "")
    return Gate(
        "leaks",
        "missed",
        f"{len(alarms)} columns give the outcome away ({named}). It was trained all the same: {found['accepted']}",
    )


def _reasons(wanted: Model) -> Gate:
    missing = wanted.extra.get("without_reason_text") or []
    if missing:
        return Gate("reasons", "missed", f"{len(missing)} features have no reason text: {', '.join(missing[:5])}.")
    return Gate("reasons", "ok", "Every feature has a reason text.")
