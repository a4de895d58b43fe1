"""The room's chapter: a portfolio, a model trained and activated, loans of a year ago and what became of them, weeks of
single decisions, files, and reviews."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import numpy as np

from plumbline.credit import demonstration_outcomes, service, synthetic
from plumbline.credit.intake.schema import Schema
from plumbline.credit.service import creditors, notices, outcomes
from plumbline.credit.service.batches import incoming
from plumbline.credit.service.training import limits_of
from plumbline.credit.truth import cohort_facts
from plumbline.demonstration import Chapter
from plumbline.kernel.context import Context
from plumbline.kernel.findings import service as findings
from plumbline.kernel.installation import Installation
from plumbline.kernel.jobs.queue import enqueue
from plumbline.kernel.jobs.service import run_inline
from plumbline.kernel.models import service as models
from plumbline.kernel.models.service import drift
from plumbline.kernel.paging import PageRequest

TRAINING, FILE = 5_000, 400
A_DAY = 6
ACCEPTED = "roc_auc_accepted"
ANALYST, ADMIN = "imke.brandt", "mara.voss"
CREDITOR: dict[str, str | int | None] = {
    "jurisdiction": "eu_gdpr22_ccd", "days": 10, "address": "Speicherstadt 1, 20457 Hamburg", "contact": "credit@example.org",
    "authority": "Data protection authority, Example Street 2, 20095 Hamburg", "bureau": "Example Bureau",
    "bureau_address": "Example Street 3, 65189 Wiesbaden",
}  # fmt: skip
"""Whose notices they are; a clock of ten days, so that a history of two weeks has overdue ones."""


@dataclass
class CreditChapter:
    """Called to build; ``summary`` reads back what there is, ``show`` prints it."""

    def __call__(self, chapter: Chapter) -> None:
        house, clock = chapter.installation, chapter.clock
        folder = chapter.folder / "portfolio"
        chapter.told(f"  generating {TRAINING:,} applications with their history")
        synthetic.write_stream(folder / "training", TRAINING, chapter.seed)
        schema = Schema.load("home_credit")
        clock.move(timedelta(hours=2))
        chapter.told("  training a model")
        found = service.check_files(folder / "training", schema, scoring=False, limits=limits_of(house))
        model = service.train(
            house,
            chapter.person(ANALYST),
            tables=found.tables,
            schema=schema,
            seed=chapter.seed,
            source="portfolio/training",
            stated={
                "purpose": "Decides consumer loans of a demonstration.", "owner": "Credit risk, Nordhaven Bank (demonstration)",
                "not_for": "Real applicants: everything it has learnt from is synthetic.",
            },
        )  # fmt: skip
        clock.move(timedelta(hours=1))
        models.activate(
            house, chapter.person(ADMIN), str(model.id), reason="First model; metrics and reasons were reviewed."
        )
        creditors.change(house, chapter.person(ADMIN), **CREDITOR)
        first = sum(rows for _, rows, _ in demonstration_outcomes.LOANS)
        chapter.told(f"  scoring {first:,} applications of a year ago, and recording what became of the loans")
        loans = demonstration_outcomes.decide(chapter, lambda portfolio, name: self._whole(chapter, portfolio, name))
        demonstration_outcomes.tell(chapter, loans)
        unseen = synthetic.generate(A_DAY * chapter.days + FILE, chapter.seed + 1)
        ids = unseen.tables["application"]["SK_ID_CURR"].to_list()
        rng, day = np.random.default_rng(chapter.seed), A_DAY * chapter.days
        chapter.told(
            f"  deciding {day:,} applications it has not seen, and a file of {FILE:,} applicants who have moved"
        )
        self._days(chapter, unseen, ids[: day // 2], rng)
        self._whole(chapter, synthetic.generate(FILE, chapter.seed + 2, drift=True), "branch-coast.zip")
        self._days(chapter, unseen, ids[day // 2 : day], rng)
        _watched(chapter)
        chapter.told(f"  scoring a file of {FILE:,}")
        self._file(chapter, unseen, ids[day:], "branch-north.zip")
        chapter.told("  comparing the single decisions with the training rows")
        drift.run(house, chapter.person(ANALYST), str(model.id))

    def _days(self, chapter: Chapter, unseen: synthetic.Portfolio, ids: list[int], rng: np.random.Generator) -> None:
        """Applications come in through half of the days; the analyst looks at what waits, some time later."""
        gap = timedelta(days=chapter.days - 1) / 2 / max(1, len(ids))
        today = chapter.clock().date()
        for key in ids:
            chapter.clock.move(gap * float(rng.uniform(0.4, 1.6)))
            if chapter.clock().date() != today:
                today = chapter.clock().date()
                chapter.sign_in(ANALYST)
            service.score(chapter.installation, chapter.person(ANALYST), synthetic.to_application_json(unseen, key))
            if rng.random() < 0.55:
                self._review_oldest(chapter, rng)
            if rng.random() < 0.12:
                self._notice(chapter)

    def _review_oldest(self, chapter: Chapter, rng: np.random.Generator) -> None:
        house, clock = chapter.installation, chapter.clock
        waiting = findings.list_findings(
            house, chapter.person(ANALYST), PageRequest(limit=100), state="waiting", room="credit"
        ).items
        if len(waiting) < 3:  # the newest ones rest a while
            return
        oldest = waiting[-1]
        findings.take(house, chapter.person(ANALYST), oldest.id)
        clock.move(timedelta(minutes=6))
        if rng.random() < 0.4:
            findings.note(house, chapter.person(ANALYST), oldest.id, "Asked the branch for the last three pay slips.")
            clock.move(timedelta(minutes=25))
        decision = "decline" if (oldest.score or 0.0) > 0.12 else "approve"
        cause = (
            "The documents confirm what the model saw."
            if decision == "decline"
            else "Stable income shown by three pay slips."
        )
        settled = findings.resolve(house, chapter.person(ANALYST), oldest.id, note=cause, decision=decision)
        if settled.state != "resolved":  # it turns the model's decision: a second person looks
            clock.move(timedelta(minutes=12))
            note = "I looked at the papers and agree."
            findings.resolve(house, chapter.person(ADMIN), oldest.id, note=note, decision=decision)

    def _notice(self, chapter: Chapter) -> None:
        """The newest decline is told; the earlier ones wait, and some of them for too long."""
        house = chapter.installation
        due = notices.list_notices(house, chapter.person(ANALYST), PageRequest(limit=1), state="open").items
        if due:
            chapter.clock.move(timedelta(minutes=4))
            notices.issue(house, chapter.person(ANALYST), due[0].prediction_id, channel="letter")

    def _whole(self, chapter: Chapter, portfolio: synthetic.Portfolio, name: str) -> UUID:
        return self._file(chapter, portfolio, portfolio.tables["application"]["SK_ID_CURR"].to_list(), name)

    def _file(self, chapter: Chapter, unseen: synthetic.Portfolio, ids: list[int], name: str) -> UUID:
        chapter.clock.move(timedelta(hours=3))
        path = incoming(chapter.installation)
        kept = set(ids)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for table, frame in unseen.tables.items():
                mine = frame.filter(frame["SK_ID_CURR"].is_in(kept)) if "SK_ID_CURR" in frame.columns else frame
                archive.writestr(f"{table}.csv", mine.drop("TARGET", strict=False).write_csv())
        view = service.submit_batch(chapter.installation, chapter.person(ANALYST), path, filename=name)
        assert view.batch.job_id is not None
        run_inline(chapter.installation, view.batch.job_id)
        return view.batch.id

    def summary(self, installation: Installation, context: Context) -> dict[str, Any]:
        """The active model, the newest single decision with its reasons, the newest batch and some of its rows."""
        model = models.active(installation, context, kind="credit")
        batch = next(iter(service.list_batches(installation, context, PageRequest(limit=1)).items), None)
        single = [
            p for p in service.list_decisions(installation, context, PageRequest(limit=500)).items if p.batch_id is None
        ][:1]
        rows = service.rows_of(installation, context, batch.id, PageRequest(limit=8)).items if batch is not None else []

        def told(found: list[Any]) -> list[dict[str, Any]]:
            return [_plain(service.decision_of(installation, context, p.id).prediction) for p in found]

        return {
            "model": {"name": model.name, "version": model.version, "sha256": model.extra["sha256"], "metrics": model.metrics,
                      "threshold": model.extra["threshold"], "training_rows": model.extra["training"]["rows"]},
            "decision": next(iter(told(single)), None),
            "batch": None if batch is None else {"id": str(batch.id), "filename": batch.filename, "rows": batch.num_applications,
                                                 "rejected": batch.extra.get("rejected"), "decisions": batch.extra.get("decisions")},
            "rows": told(list(rows)),
            "performance": _performance(installation, context),
        }  # fmt: skip

    def show(self, told: dict[str, Any]) -> None:
        """Print the summary for a person at a terminal."""
        import typer

        from plumbline.kernel.faces.cli import print_table

        model = told["model"]
        auc = model["metrics"].get("roc_auc")
        typer.echo(f"\nModel {model['name']}@{model['version']} ({model['sha256'][:12]}…), trained on {model['training_rows']:,} synthetic "
                   f"applications, AUC {auc:.3f} out of sample, declines from {model['threshold']:.2%}")  # fmt: skip
        if judged := told["performance"]:
            low, high = judged["interval"]
            typer.echo(f"Of its decisions of {judged['cohort']} {judged['outcomes']} outcomes are known, {judged['defaults']} defaults: AUC {judged['auc']:.3f} "
                       f"[{low:.3f}, {high:.3f}] of the accepted")  # fmt: skip
        one = told["decision"]
        if one:
            typer.echo(
                f"\nOne application: {one['application']}, probability of default {one['probability']:.2%}, {one['decision']}"
            )
            for reason in one["texts"]:
                typer.echo(f"  - {reason}")
        batch = told["batch"]
        if batch:
            counts = ", ".join(f"{n} {word}" for word, n in sorted((batch["decisions"] or {}).items()))
            typer.echo(
                f"\nOne file: {batch['filename']}, {batch['rows']} applications, {batch['rejected']} rejected: {counts}"
            )
        print_table(
            ["application", "PD", "level", "decision", "reasons"],
            [[r["application"], f"{r['probability']:.2%}", r["level"], r["decision"], ", ".join(r["reasons"])] for r in told["rows"]], right=("PD",),
        )  # fmt: skip


def _watched(chapter: Chapter) -> None:
    """The daily watch over notices, as the worker runs it."""
    context = chapter.person(ADMIN)
    with chapter.installation.database.write(chapter.organization_id) as session:
        job = enqueue(session, context, "credit.notices", {})
    run_inline(chapter.installation, job)


def _performance(installation: Installation, context: Context) -> dict[str, Any] | None:
    """How the model did on its newest month whose outcomes are known well enough."""
    for cohort in outcomes.performance(installation, context):
        told = cohort_facts(cohort)
        if told["verdict"] == "measured" and ACCEPTED in told["intervals"]:
            return {"cohort": told["cohort"], "outcomes": told["labelled"], "defaults": told["events"], "auc": told["metrics"][ACCEPTED],
                    "interval": told["intervals"][ACCEPTED]}  # fmt: skip
    return None


def _plain(prediction: Any) -> dict[str, Any]:
    reasons = (prediction.explanation or {}).get("reasons", [])
    return {
        "id": str(prediction.id), "application": prediction.subject_id, "probability": prediction.probability,
        "level": prediction.prediction_result, "decision": prediction.extra["decision"], "reasons": [r["code"] for r in reasons],
        "texts": [r["text"] for r in reasons if r.get("text")],
    }  # fmt: skip


chapter = CreditChapter()
