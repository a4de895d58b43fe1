"""Two organizations with the same content: whatever one asks, nothing of the other is seen, counted or changed."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from plumbline.kernel.database import new_id
from plumbline.kernel.errors import NotFound
from plumbline.kernel.installation import Installation
from plumbline.kernel.models import labels, predictions, repository, service
from plumbline.kernel.models.service import Evaluated, drift
from plumbline.kernel.paging import Page, PageRequest
from tests.conftest import NOW, Firm
from tests.kernel.models import drifting

pytestmark = pytest.mark.usefixtures("scale_room")
SHA = "ab" * 32


class Twin:
    """One organization's ids; both hold the same names, subjects and hashes."""

    def __init__(self, installation: Installation, firm: Firm) -> None:
        self.org = firm.id
        model = drifting.trained(installation, firm, rows=100, evaluations=[Evaluated("test", 5, metrics={"mae": 0.5})])
        self.model = service.activate(installation, firm.admin, model.id, reason="twin").id
        self.batch, self.prediction = new_id(NOW), new_id(NOW)
        with installation.database.write(firm.id) as session:
            predictions.insert_batch(session, id=self.batch, organization_id=firm.id, user_id=None, ml_model_id=self.model,
                                     prediction_type="scale", filename="a.csv", file_size=1, file_sha256=SHA, status="pending",
                                     upload_date=NOW, extra={})  # fmt: skip
            predictions.insert_one(session, id=self.prediction, organization_id=firm.id, prediction_type="scale", subject_id="S",
                                   content=None, prediction_result="low", probability=0.5, features=None, ml_model_id=self.model,
                                   batch_id=self.batch, extra={}, created_at=NOW)  # fmt: skip
            self.evaluation = repository.evaluations(session, firm.id, self.model)[0].id
        drifting.decide(installation, firm, model, drifting.people(3, 2))
        self.file = drifting.batch(installation, firm, model, drifting.people(5, 3))
        run = drift.run(installation, firm.admin, self.model, batch_id=self.file)
        assert run.run_id is not None
        assert run.comparison is not None
        self.run, self.profile, self.window = run.run_id, run.comparison.reference.id, run.comparison.window.key


def questions(session: Session, org: UUID, of: Twin) -> dict[str, Any]:
    """Every reading function of the three modules of queries, asked in one organization with ids of another."""
    every = PageRequest()
    asked = {
        "model": lambda: repository.model(session, org, of.model),
        "version": lambda: repository.version(session, org, "scale", "1"),
        "live": lambda: repository.live(session, org),
        "newest": lambda: repository.newest(session, org, "scale"),
        "find": lambda: repository.find(session, org, str(of.model)),
        "models": lambda: repository.models(session, org, every),
        "versions": lambda: repository.versions(session, org, "scale"),
        "outlines": lambda: repository.outlines(session, org),
        "models_of": lambda: list(repository.models_of(session, org, [of.model]).values()),
        "numbers": lambda: repository.numbers(session, org, "scale"),
        "evaluations": lambda: repository.evaluations(session, org, of.model),
        "metrics": lambda: [m for m in repository.metrics(session, org, [of.evaluation]).values() if m],
        "history": lambda: repository.history(session, org, [of.model]),
        "reference": lambda: repository.reference(session, org, of.model),
        "profile": lambda: repository.profile(session, org, of.profile),
        "batch_profiles": lambda: repository.batch_profiles(session, org, of.file),
        "drift_run": lambda: repository.drift_run(session, org, of.run),
        "drift_run_with": lambda: repository.drift_run_with(session, org, of.model, of.window, of.profile),
        "drift_runs": lambda: repository.drift_runs(session, org, every, model_id=of.model),
        "drift_scores": lambda: [s for scores in repository.drift_scores(session, org, [of.run]).values() for s in scores.values()],
        "singles": lambda: list(predictions.singles(session, org, of.model, NOW, NOW.replace(hour=23))),
        "by_day": lambda: list(labels.by_day(session, org, "scale", of.model)),
        "of_ids": lambda: list(labels.of_ids(session, org, "scale", [of.prediction])),
        "of_cohort": lambda: list(labels.of_cohort(session, org, "scale", of.model, NOW, NOW.replace(hour=23))),
        "cohort_evaluations": lambda: list(labels.cohort_evaluations(session, org, [of.model], "te").values()),
        "get": lambda: predictions.get(session, org, of.prediction),
        "page": lambda: predictions.page(session, org, every, batch_id=of.batch),
        "per_day": lambda: predictions.per_day(session, org, batch_id=of.batch),
        "riskiest": lambda: predictions.riskiest(session, org, of.batch, "low", 10),
        "per_result": lambda: list(predictions.per_result(session, org, batch_id=of.batch).values()),
        "histogram": lambda: [n for n in predictions.histogram(session, org, batch_id=of.batch) if n],
        "get_batch": lambda: predictions.get_batch(session, org, of.batch),
        "batches": lambda: predictions.batches(session, org, every),
        "batch_with_hash": lambda: predictions.batch_with_hash(session, org, SHA, of.model, None),
        "model_of": lambda: predictions.model_of(session, org, of.model),
    }  # fmt: skip
    found = {}
    for name, ask in asked.items():
        try:
            answer = ask()
        except NotFound:
            answer = None
        found[name] = list(answer.items) if isinstance(answer, Page) else answer
    return found


BY_NAME = {"version", "live", "newest", "models", "versions", "outlines", "numbers", "batches"}
"""Asked without an id: these find one's own twin."""


def test_every_reading_function_is_asked() -> None:
    writing = {"insert_model", "insert_evaluation", "insert_metrics", "retire", "put_in_service", "insert_one", "insert_many", "insert_batch",
               "update_batch", "record_of", "record_bytes", "check_record", "plain", "insert_profile", "insert_drift_run", "replace_drift_run",
               "by_id", "by_subject", "write", "lock_version", "replace_evaluation"}  # fmt: skip
    public = {
        name
        for module in (repository, predictions, labels)
        for name, thing in vars(module).items()
        if callable(thing)
        and not name.startswith("_")
        and getattr(thing, "__module__", "") == module.__name__
        and not isinstance(thing, type)
    }
    never = type(
        "Nothing",
        (),
        {
            "org": UUID(int=0),
            "model": UUID(int=0),
            "batch": UUID(int=0),
            "prediction": UUID(int=0),
            "evaluation": UUID(int=0),
            "file": UUID(int=0),
            "run": UUID(int=0),
            "profile": UUID(int=0),
            "window": "",
        },
    )

    class Silent:
        def __getattr__(self, _name: str) -> Any:
            raise NotFound("asked")

    assert set(questions(Silent(), UUID(int=0), never())) == public - writing  # type: ignore[arg-type]


def test_nothing_of_a_twin_is_seen(installation: Installation, firm: Firm, other_firm: Firm) -> None:
    mine, theirs = Twin(installation, firm), Twin(installation, other_firm)
    with installation.database.read(firm.id) as session:
        own = questions(session, firm.id, mine)
        assert all(own.values()), {name for name, answer in own.items() if not answer}
        for name, answer in questions(session, firm.id, theirs).items():
            for one in answer if isinstance(answer, list) else [answer] if answer is not None else []:
                assert name in BY_NAME, name
                assert getattr(one, "id", mine.model) in (mine.model, mine.batch, mine.file)


def test_nothing_of_a_twin_is_changed(installation: Installation, firm: Firm, other_firm: Firm) -> None:
    mine, theirs = Twin(installation, firm), Twin(installation, other_firm)
    with installation.database.write(firm.id) as session:
        assert repository.retire(session, firm.id, theirs.model) == 0
        assert repository.put_in_service(session, firm.id, theirs.model, deployed_at=NOW, extra={}) == 0
        assert predictions.update_batch(session, firm.id, theirs.batch, status="failed") == 0
        one = {"id": new_id(NOW), "organization_id": firm.id, "report_id": mine.run, "drift_type": "psi", "drift_score": 0.0,
               "threshold": 0.1, "is_drifted": False, "feature_drifts": {}}  # fmt: skip
        with (
            pytest.raises(sa.exc.IntegrityError),
            session.begin_nested(),
        ):  # it took nothing away, so its own is in the way
            repository.replace_drift_run(session, firm.id, theirs.run, {"drift_score": 0.9}, [one])
    with pytest.raises(NotFound):
        service.activate(installation, firm.admin, theirs.model, reason="not mine")
    with installation.database.read(other_firm.id) as session:
        assert repository.model(session, other_firm.id, theirs.model).is_active
        assert predictions.get_batch(session, other_firm.id, theirs.batch).status == "pending"
        assert len(repository.drift_scores(session, other_firm.id, [theirs.run])[theirs.run]) == 3
        assert repository.drift_run(session, other_firm.id, theirs.run).drift_score != 0.9


def test_no_outcome_of_a_twin_is_found_or_changed(installation: Installation, firm: Firm, other_firm: Firm) -> None:
    mine, theirs = Twin(installation, firm), Twin(installation, other_firm)
    truth = {"outcome": "heavy", "outcome_at": NOW, "noted": '{"source":"feed"}'}
    with installation.database.write(firm.id) as session:
        assert set(labels.by_id(session, firm.id, "scale", [mine.prediction, theirs.prediction])) == {mine.prediction}
        subject = {one.id for one in labels.by_subject(session, firm.id, "scale", ["S"])["S"]}
        assert (mine.prediction in subject, theirs.prediction in subject) == (True, False)
        labels.write(session, firm.id, [{"key": key, **truth} for key in (mine.prediction, theirs.prediction)])
        labels.replace_evaluation(session, firm.id, theirs.evaluation, {"sample_count": 0}, [])
    for org, twin, outcome in ((firm.id, mine, "heavy"), (other_firm.id, theirs, None)):
        with installation.database.read(org) as session:
            assert predictions.get(session, org, twin.prediction).outcome == outcome
            assert repository.evaluations(session, org, twin.model)[0].sample_count == 5
            assert repository.metrics(session, org, [twin.evaluation])[twin.evaluation] == {"mae": 0.5}
