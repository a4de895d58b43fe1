"""What the room measures about its own work: ranking, calibration, drift, fairness, notices, replays."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from plumbline.credit import repository
from plumbline.credit.decision import TYPE
from plumbline.credit.service import outcomes
from plumbline.credit.service.training import LOWEST_RATIO
from plumbline.credit.truth import cohort_facts
from plumbline.kernel.context import Context
from plumbline.kernel.errors import NotFound
from plumbline.kernel.installation import Installation
from plumbline.kernel.models import service as models
from plumbline.kernel.models.service import drift_reports
from plumbline.kernel.models.tables import Model
from plumbline.kernel.paging import PageRequest
from plumbline.kernel.sources import MetricSource, Sample, Take, share

READ = "credit.read"
YEAR, QUARTER = timedelta(days=365), timedelta(days=91)


def _live(installation: Installation, context: Context) -> Model | None:
    try:
        return models.active(installation, context, kind=TYPE)
    except NotFound:
        return None


def _realized(name: str) -> Take:
    """A figure of the newest cohort of the live version whose outcomes are known."""

    def sample(installation: Installation, context: Context, _since: datetime, _until: datetime) -> Sample:
        evidence = "/credit/performance"
        model = _live(installation, context)
        if model is None:
            return Sample(None, evidence=evidence, reason="No version decides.")
        for cohort in outcomes.performance(installation, context, str(model.id)):
            told = cohort_facts(cohort)
            if told["verdict"] != "measured":
                continue
            value = told["metrics"].get(name, told["metrics"].get(f"{name}_accepted"))
            why = told["undefined"].get(name) or "not measured"
            at = datetime.fromisoformat(told["as_of"])
            return Sample(value, denominator=told["labelled"], measured_at=at, evidence=evidence, reason="" if value is not None else str(why))  # fmt: skip
        return Sample(None, evidence=evidence, reason="No cohort is mature: the outcomes of its decisions are not known yet.")  # fmt: skip

    return sample


def _worst_psi(installation: Installation, context: Context, _since: datetime, _until: datetime) -> Sample:
    model = _live(installation, context)
    if model is None:
        return Sample(None, reason="No version decides.")
    evidence = f"/models/{model.id}/drift"
    newest = drift_reports.list_runs(installation, context, PageRequest(limit=1), model=model.id).items
    if not newest:
        return Sample(None, evidence=evidence, reason="Nothing was compared yet.")
    kept = drift_reports.get_run(installation, context, newest[0].id)
    rows, at = kept.run.extra["rows"], kept.run.created_at
    if kept.run.extra["severity"] in ("insufficient_data", "no_data"):
        return Sample(None, None, rows, at, f"{evidence}/{kept.run.id}", "too_few")
    return Sample(kept.scores["psi"].drift_score, None, rows, at, f"{evidence}/{kept.run.id}")


def _lowest_ratio(installation: Installation, context: Context, _since: datetime, _until: datetime) -> Sample:
    """Of the groups measured with the live version; see its fairness report for intervals and verdicts."""
    model = _live(installation, context)
    if model is None:
        return Sample(None, reason="No version decides.")
    for one in models.evaluations_of(installation, context, model.id):
        if LOWEST_RATIO in one.metrics:
            at = datetime.combine(one.evaluation.evaluation_date, time.min, UTC)
            rows = one.evaluation.extra["fairness"]["rows"]
            return Sample(one.metrics[LOWEST_RATIO], None, rows, at, f"/credit/models/{model.id}/fairness")
    return Sample(None, evidence=f"/models/{model.id}", reason="Fairness was not measured.")


def _notices_in_time(installation: Installation, context: Context, since: datetime, until: datetime) -> Sample:
    """Of the notices whose clock ended in the window and which were not withdrawn: the share that had gone out by then."""
    with installation.database.read(context.organization_id) as session:
        due = repository.notices_due(session, context.organization_id, since, until)
    there = sum(due.get(state, 0) for state in ("open", "issued", "late"))
    return share(due.get("issued", 0), there, until, "/findings?room=credit")


def _replays_equal(installation: Installation, context: Context, since: datetime, until: datetime) -> Sample:
    with installation.database.read(context.organization_id) as session:
        equal, there = repository.replays(session, context.organization_id, since, until)
    return share(equal, there, until, "/ledger?action=credit.replay")


SOURCES = (
    MetricSource("credit.roc_auc", "ROC AUC of the newest mature month", "share", "up", None, READ, _realized("roc_auc")),
    MetricSource("credit.calibration_slope", "Calibration slope of the newest mature month", "number", "one", None, READ,
                 _realized("calibration_slope")),
    MetricSource("credit.worst_psi", "Largest significant PSI of the newest comparison", "number", "down", None, READ, _worst_psi),
    MetricSource("credit.lowest_approval_ratio", "Lowest approval-rate ratio of a group", "share", "up", None, READ, _lowest_ratio),
    MetricSource("credit.notices_in_time", "Notices that went out in time", "share", "up", QUARTER, READ, _notices_in_time),
    MetricSource("credit.replays_equal", "Replays that came out equal, of those that could be run", "share", "up", YEAR, READ, _replays_equal),
)  # fmt: skip
