"""A decision as it is recorded and as it is answered (pure): the columns of ``predictions``, and what callers read."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

import numpy as np
import numpy.typing as npt

from plumbline.credit.features.matrix import FeatureInfo
from plumbline.credit.modelling.reasons import shown
from plumbline.credit.modelling.scorer import Decision, Scorer

TYPE = "credit"


@dataclass(frozen=True, slots=True)
class ModelUsed:
    """Which version decided, by name and by the hash of its file."""

    id: UUID
    name: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True)
class ScoreAnswer:
    """What a caller is told about one application.

    ``reasons`` are the reasons in order of weight, each with its code, text, value and contribution in log-odds (a
    positive one speaks against the applicant); ``flags`` what is unusual about the data.
    """

    id: UUID
    subject_id: str
    probability: float
    risk_level: str
    decision: str
    threshold: float
    points: float
    reasons: list[dict[str, Any]]
    flags: list[str]
    model: dict[str, str]
    processing_time_ms: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"id": str(self.id), "sk_id_curr": self.subject_id}


def inputs(features: tuple[FeatureInfo, ...], row: npt.NDArray[np.float64]) -> dict[str, float | str | None]:
    """The model's inputs by name, as a person reads them: a level's name, a number, or None for missing."""
    return {info.name: shown(info, float(value)) for info, value in zip(features, row.tolist())}


def explanation(scorer: Scorer, decided: Decision) -> dict[str, Any]:
    """Everything that moved the score: base, each feature's and each reason group's contribution, and the reasons."""
    return {
        "base": decided.base,
        "contributions": dict(zip((f.name for f in scorer.features), decided.contributions.tolist())),
        "groups": dict(zip(scorer.reason_codes, decided.groups)),
        "reasons": [r.to_dict() for r in decided.reasons],
        "version": scorer.reasons.version,
    }


def metadata(decided: Decision, model: ModelUsed) -> dict[str, Any]:
    """What belongs to the decision beyond the contract's columns: as decided, never changed afterwards."""
    return {
        "decision": decided.decision, "flags": list(decided.flags), "log_odds": decided.log_odds, "model_sha256": model.sha256,
        "points": decided.points, "raw": decided.raw, "threshold": decided.threshold,
    }  # fmt: skip


def answer(key: UUID, subject_id: str, decided: Decision, model: ModelUsed, milliseconds: float) -> ScoreAnswer:
    return ScoreAnswer(
        id=key, subject_id=subject_id, probability=decided.probability, risk_level=decided.level, decision=decided.decision,
        threshold=decided.threshold, points=decided.points, reasons=[r.to_dict() for r in decided.reasons], flags=list(decided.flags),
        model={"name": model.name, "version": model.version, "sha256": model.sha256}, processing_time_ms=milliseconds,
    )  # fmt: skip


def concern(level: str, decision: str) -> str | None:
    """Severity of the finding that a decision raises: a high risk, or a case the policy sends to a person."""
    if level == "High":
        return "high"
    return "medium" if decision == "review" else None
