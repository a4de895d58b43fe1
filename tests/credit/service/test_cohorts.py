"""Cohorts wait until they are mature; then they are measured, once for each state of their labels."""

from __future__ import annotations

import io
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from plumbline.credit import repository, service
from plumbline.credit.service import outcomes
from plumbline.kernel.clock import text as clock_text
from plumbline.kernel.jobs import service as jobs
from plumbline.kernel.models.performance import SELECTIVE
from plumbline.kernel.models.service import cohorts
from plumbline.kernel.sources import taken
from tests.conftest import SteppingClock
from tests.credit.service.test_outcomes import LATER, OCTOBER, decide_many, told
from tests.credit.trained import Lender, application_with


def october(
    lender: Lender, *, accepted: int = 400, declined: int = 100, seed: int = 3
) -> list[tuple[UUID, float, str]]:
    rng = random.Random(seed)
    given = [(f"S-{n}", "approve", rng.betavariate(1, 14)) for n in range(accepted)]
    given += [(f"D-{n}", "decline", 0.1 + 0.5 * rng.random()) for n in range(declined)]
    keys = decide_many(lender, given, OCTOBER)
    return [(key, p, decision) for key, (_, decision, p) in zip(keys, given)]


def labels(rows: Sequence[tuple[UUID, float, str]], seed: int = 4, **rest: Any) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    return [
        told(key, "default" if rng.random() < p else "repaid", "2026-11-20", **rest)
        for key, p, decision in rows
        if decision == "approve"
    ]


def test_a_cohort_waits_until_it_is_mature(lender: Lender, clock: SteppingClock) -> None:
    house, rows = lender.installation, october(lender)
    assert [(c.key, c.standing.state) for c in outcomes.performance(house, lender.analyst)] == [("2026-10", "immature")]
    given = labels(rows)
    outcomes.record(house, lender.analyst, given[:300], source="feed")
    assert outcomes.evaluate(house, lender.analyst).written == []
    clock.now = OCTOBER + timedelta(days=365) - timedelta(microseconds=1)
    assert outcomes.performance(house, lender.analyst)[0].standing.state == "immature"
    clock.now += timedelta(microseconds=1)
    (cohort,) = outcomes.performance(house, lender.analyst)
    assert (cohort.standing.state, cohort.tally.labelled, cohort.tally.awaited, cohort.tally.declined) == (
        "incomplete",
        300,
        400,
        100,
    )
    assert outcomes.evaluate(house, lender.analyst).waiting == 1
    assert lender.count("model_evaluations") == evaluations_before(lender)
    outcomes.record(house, lender.analyst, given[300:380], source="feed")
    (cohort,) = outcomes.performance(house, lender.analyst)
    assert cohort.standing.state == "mature"
    assert cohort.measured is None
    made = outcomes.evaluate(house, lender.analyst)
    assert made.written == [(lender.model_id, "2026-10", "new")]
    (cohort,) = outcomes.performance(house, lender.analyst)
    assert cohort.measured is not None
    evaluation, figures = cohort.measured.evaluation, cohort.measured.metrics
    assert (evaluation.dataset, evaluation.sample_count, evaluation.confusion_matrix) == (
        "production:2026-10",
        380,
        None,
    )
    assert {"roc_auc_accepted", "calibration_slope_accepted", "approval_rate"} <= set(figures)
    low, high = evaluation.extra["intervals"]["roc_auc_accepted"]
    assert low < figures["roc_auc_accepted"] < high
    assert {evaluation.extra["undefined"][n] for n in ("recall", "roc_auc", "precision", "cost_per_application")} == {
        SELECTIVE
    }
    assert evaluation.extra["cohort"]["sources"] == {"feed": 380}


def evaluations_before(lender: Lender) -> int:
    """Of training, in both organizations."""
    return int(lender.rows("SELECT count(*) FROM model_evaluations WHERE dataset NOT LIKE 'production:%'")[0][0])


def test_measuring_again_replaces_and_never_doubles(lender: Lender, clock: SteppingClock) -> None:
    house, rows = lender.installation, october(lender)
    outcomes.record(house, lender.analyst, labels(rows), source="feed")
    clock.now += LATER
    assert len(outcomes.evaluate(house, lender.analyst).written) == 1
    (first,) = outcomes.performance(house, lender.analyst)
    assert first.measured is not None
    clock.now += timedelta(days=1)
    again = outcomes.evaluate(house, lender.analyst)
    assert (again.written, again.unchanged) == ([], 1)
    good = next(row for row in labels(rows) if row["outcome"] == "repaid")
    outcomes.record(house, lender.analyst, [{**good, "outcome": "default"}], reason="The debt was sold on.")
    assert outcomes.evaluate(house, lender.analyst).written == [(lender.model_id, "2026-10", "changed")]
    (second,) = outcomes.performance(house, lender.analyst)
    assert second.measured is not None
    assert second.measured.evaluation.id == first.measured.evaluation.id
    assert second.measured.evaluation.extra["as_of"] > first.measured.evaluation.extra["as_of"]
    source = {one.key: sample for one, sample in taken(lender.installation, lender.admin)}["credit.roc_auc"]
    assert source.measured_at is not None
    assert clock_text(source.measured_at) == second.measured.evaluation.extra["as_of"]
    assert source.value == second.measured.metrics["roc_auc_accepted"]
    assert second.measured.metrics["brier_accepted"] != first.measured.metrics["brier_accepted"]
    assert set(second.measured.metrics) == set(first.measured.metrics)
    assert lender.count("model_evaluations") == evaluations_before(lender) + 1
    entry = lender.entries("models.evaluate")[-1]
    assert entry.old_values["roc_auc_accepted"] == first.measured.metrics["roc_auc_accepted"]


def test_an_audit_sample_of_the_declined_lets_recall_be_told(lender: Lender, clock: SteppingClock) -> None:
    house, rows = lender.installation, october(lender, declined=300)
    outcomes.record(house, lender.analyst, labels(rows), source="feed")
    rng = random.Random(6)
    drawn = [(key, p) for key, p, decision in rows if decision == "decline" and rng.random() < 0.5]
    told_of = [
        told(key, "default" if rng.random() < p else "repaid", source="audit_sample", inclusion_probability=0.5)
        for key, p in drawn
    ]
    outcomes.record(house, lender.analyst, told_of)
    clock.now += LATER
    outcomes.evaluate(house, lender.analyst)
    (cohort,) = outcomes.performance(house, lender.analyst)
    assert cohort.measured is not None
    extra, figures = cohort.measured.evaluation.extra, cohort.measured.metrics
    assert (cohort.tally.labelled, cohort.tally.aside) == (400, len(drawn))
    assert extra["cohort"]["audit_sample"] == {"cases": len(drawn), "weight": 2.0 * len(drawn)}
    low, high = extra["intervals"]["recall"]
    assert 0 < low < figures["recall"] < high < 1
    assert {"precision", "cost_per_application", "roc_auc_accepted"} <= set(figures)
    assert extra["undefined"]["roc_auc"] == SELECTIVE


def test_overrides_decide_whose_truth_is_seen_and_leave_the_models_performance_alone(
    lender: Lender, clock: SteppingClock
) -> None:
    house = lender.installation
    refused = service.score(house, lender.analyst, application_with(decision="decline")).id
    (before,) = outcomes.performance(house, lender.analyst)
    assert (before.tally.awaited, before.tally.declined) == (0, 1)
    with house.database.write(lender.id) as session:  # as a review ends, by whatever way
        review = repository.review_of(session, lender.id, refused)
        assert review is not None
        repository.update_review(session, lender.id, review.id, state="resolved", final_decision="approve")
    (after,) = outcomes.performance(house, lender.analyst)
    assert (after.tally.awaited, after.tally.declined) == (1, 0)
    rows = decide_many(lender, [(f"S-{n}", "approve", 0.02) for n in range(39)], clock.now)
    outcomes.record(
        house,
        lender.analyst,
        [told(k, "default" if n == 0 else "repaid", "2026-11-24") for n, k in enumerate([refused, *rows])],
    )
    clock.now += LATER
    outcomes.evaluate(house, lender.analyst)
    (cohort,) = outcomes.performance(house, lender.analyst)
    assert cohort.measured is not None
    # every truth is known: the one the model would have declined is its hit, although a person approved it
    assert cohort.measured.evaluation.confusion_matrix["counts"] == [[39, 0], [0, 1]]
    assert (cohort.measured.metrics["recall"], cohort.measured.metrics["precision"]) == (1.0, 1.0)
    assert cohort.measured.metrics["approval_rate"] == 39 / 40


def test_a_cohort_of_one_class_or_of_three_is_unknown(lender: Lender, clock: SteppingClock) -> None:
    house = lender.installation
    keys = decide_many(lender, [(f"S-{n}", "approve", 0.02 + n / 1000) for n in range(40)], OCTOBER)
    few = decide_many(lender, [(f"F-{n}", "approve", 0.05) for n in range(3)], OCTOBER + timedelta(days=30))
    outcomes.record(
        house, lender.analyst, [told(k) for k in keys] + [told(k, "default" if k == few[0] else "repaid") for k in few]
    )
    clock.now += LATER
    assert len(outcomes.evaluate(house, lender.analyst).written) == 2
    three, one_class = outcomes.performance(house, lender.analyst)
    for cohort, reason in (
        (one_class, "one class only: 0 of 40 rows are events"),
        (three, "3 rows with an outcome; at least 30 are needed"),
    ):
        assert cohort.measured is not None
        extra = cohort.measured.evaluation.extra
        assert (extra["verdict"], extra["reason"]) == ("unknown", reason)
        assert "roc_auc" not in cohort.measured.metrics
        assert extra["undefined"]["roc_auc"]


def test_the_nightly_job_measures_and_another_organization_sees_nothing(
    lender: Lender, other: Lender, clock: SteppingClock
) -> None:
    house = lender.installation
    outcomes.record(house, lender.analyst, labels(october(lender)), source="feed")
    clock.now += LATER
    with house.database.write(lender.id) as session:
        job = jobs.enqueue(session, lender.analyst, "models.evaluate", {})
    assert jobs.run_inline(house, job).state == "done"
    (cohort,) = outcomes.performance(house, lender.analyst)
    assert cohort.measured is not None
    assert outcomes.performance(house, other.analyst) == []
    assert outcomes.performance(house, lender.analyst, "credit-risk@1")[0].key == "2026-10"


@pytest.mark.slow
def test_a_hundred_thousand_outcomes_take_ten_seconds_of_one_core(embedded: Lender) -> None:
    keys = decide_many(embedded, [(f"S-{n}", "approve", 0.05) for n in range(100_000)], OCTOBER)
    data = "\n".join(["prediction_id,outcome,outcome_at", *(f"{key},repaid,2026-11-20" for key in keys)]).encode()
    began = time.process_time()
    made = outcomes.record_file(embedded.installation, embedded.analyst, io.BytesIO(data), "feed.csv")
    assert made.accepted == 100_000
    assert time.process_time() - began < 10


def test_silence_counts_in_the_figures_where_a_feed_tells_events_alone(
    lender: Lender, clock: SteppingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = october(lender)
    bad = [row for row in labels(rows) if row["outcome"] == "default"]
    outcomes.record(lender.installation, lender.analyst, bad, source="feed")
    clock.now += LATER
    monkeypatch.setattr(outcomes, "KIND", replace(outcomes.KIND, silence_is_negative=True, accepts=(), refuses=()))
    assert len(outcomes.evaluate(lender.installation, lender.analyst).written) == 1
    (cohort,) = outcomes.performance(lender.installation, lender.analyst)
    assert cohort.measured is not None
    assert cohort.tally.labelled == cohort.tally.awaited == cohort.measured.evaluation.sample_count
    assert cohort.measured.evaluation.confusion_matrix is not None
    assert "recall" in cohort.measured.metrics


def test_a_cohort_that_was_measured_since_is_not_put_back(
    lender: Lender, clock: SteppingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The labels are read, then somebody corrects one and measures, then the first run wants to keep what it has computed."""
    house, rows = lender.installation, october(lender)
    outcomes.record(house, lender.analyst, labels(rows), source="feed")
    clock.now += LATER
    good = next(row for row in labels(rows) if row["outcome"] == "repaid")
    once, real = [True], cohorts.performance

    def overtaken(*given: Any, **rest: Any) -> Any:
        if once.pop() if once else False:
            outcomes.record(house, lender.analyst, [{**good, "outcome": "default"}], reason="The debt was sold on.")
            outcomes.evaluate(house, lender.analyst)
        return real(*given, **rest)

    monkeypatch.setattr(cohorts, "performance", overtaken)
    assert outcomes.evaluate(house, lender.analyst).unchanged == 1
    monkeypatch.undo()
    assert outcomes.evaluate(house, lender.analyst).unchanged == 1  # the newer figures stand
