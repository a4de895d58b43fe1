"""Several processes on one database, and a database that goes away: what was answered is recorded, once."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from plumbline.app import create_app
from plumbline.credit import service
from plumbline.kernel.database import new_id
from plumbline.kernel.identity.service.access import Client, authenticate_key, authenticate_session, sign_in
from plumbline.kernel.models import predictions
from plumbline.kernel.paging import PageRequest
from tests.conftest import Server, SteppingClock
from tests.credit.service.workers import until
from tests.credit.trained import Lender, payload, unlabelled
from tests.support.http import Program

ROOT = Path(__file__).parents[3]
SCORE = "/api/v1/credit/score"


def stored(lender: Lender) -> dict[str, float]:
    """Every decision there is, each of them as its entry in the ledger says."""
    found = {}
    with lender.installation.database.read(lender.id) as session:
        for entry in lender.entries("credit.score"):
            if entry.details.get("repeated"):
                continue
            row = predictions.get(session, lender.id, entry.resource_id)
            assert row.record_salt is not None
            assert predictions.check_record(row, lender.sha256, row.record_salt, entry.details["record_sha256"])
            assert str(row.id) not in found
            found[str(row.id)] = row.probability
    assert lender.count("predictions") == len(found)
    return found


@pytest.mark.slow
def test_two_processes_that_decide_at_once_lose_nothing(lender: Lender, tmp_path: Path) -> None:
    settings = lender.installation.settings
    command = [
        sys.executable,
        "-m",
        "tests.credit.faults.client",
        settings.url,
        str(settings.home),
        settings.artifact_root,
        str(lender.id),
    ]
    running = []
    for number in range(2):
        applications = tmp_path / f"applications-{number}.json"
        applications.write_text(json.dumps([payload(n) for n in range(60 * number, 60 * number + 60)]))
        running.append(
            subprocess.Popen(
                [*command, str(applications)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
        )
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers: dict[str, float] = {}
    for process in running:
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        answers |= json.loads(out)
    assert len(answers) == 120
    assert stored(lender) == answers
    assert lender.entries("credit.score", success=False) == []
    assert len(lender.entries("credit.score")) == 120
    reviews = sum(level == "High" or decision == "review" for level, decision in _levels(lender))
    assert lender.count("credit_reviews") == lender.count("findings") == reviews > 0


def _levels(lender: Lender) -> list[tuple[str, str]]:
    with lender.installation.database.read(lender.id) as session:
        rows = [predictions.get(session, lender.id, e.resource_id) for e in lender.entries("credit.score")]
    return [(row.prediction_result, row.extra["decision"]) for row in rows]


class Caller(threading.Thread):
    """A program that sends applications, each with an id of its own, until each has its answer."""

    def __init__(self, lender: Lender, app: Any, number: int, enough: threading.Event) -> None:
        super().__init__(daemon=True)
        self.call = Program(app, lender.keys["analyst"])
        self.clock, self.number, self.enough = lender.installation.clock, number, enough
        self.answers: dict[str, float] = {}
        self.refused: Counter[int] = Counter()
        self.odd: list[str] = []

    def run(self) -> None:
        turn = 0
        while not self.enough.is_set():
            turn += 1
            key = str(new_id(self.clock()))
            while key not in self.answers:
                answer = self.call("POST", SCORE, json={**payload((turn * 7 + self.number) % 100), "id": key})
                if answer.status_code == 200:
                    self.answers[key] = answer.json()["probability"]
                    continue
                self.refused[answer.status_code] += 1
                problem = answer.json()
                if answer.status_code != 503 or problem["code"] != "unavailable" or not problem.get("remedy"):
                    self.odd.append(answer.text)
                    return
                threading.Event().wait(0.05)


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_restart_of_postgresql_under_load_is_503_and_every_answer_is_recorded_once(
    postgres_lenders: dict[str, Lender], postgres: Server, mode: str
) -> None:
    if postgres.cluster is None:
        pytest.skip("the given PostgreSQL server is not ours to restart")
    lender = postgres_lenders["northwind"]
    app, enough = create_app(lender.installation), threading.Event()
    callers = [Caller(lender, app, number, enough) for number in range(3)]

    def answered() -> int:
        return sum(len(c.answers) for c in callers)

    def at_least(count: int) -> None:
        until(lambda: answered() >= count or any(c.odd for c in callers))

    for caller in callers:
        caller.start()
    try:
        at_least(15)
        postgres.cluster.stop(mode)
        try:
            until(lambda: all(c.refused for c in callers) or any(c.odd for c in callers))
        finally:
            postgres.cluster.start()
        at_least(answered() + 15)
    finally:
        enough.set()
        for caller in callers:
            caller.join(30)
    assert [odd for c in callers for odd in c.odd] == []
    assert {status for c in callers for status in c.refused} == {503}
    answers = {key: p for c in callers for key, p in c.answers.items()}
    assert stored(lender) == answers


def test_a_clock_that_is_set_back_stops_nothing(lender: Lender, clock: SteppingClock, tmp_path: Path) -> None:
    house = lender.installation
    client = Client(ip="198.51.100.7", user_agent="pytest", request_id="req-test", client_id="console")
    path = tmp_path / "loans.csv"
    unlabelled()["application"].head(20).write_csv(path)
    before = service.score(house, lender.analyst, payload(0))
    signed = sign_in(house, "northwind-analyst", "correct horse battery staple", client)
    waiting = lender.submit(path)
    clock.now -= timedelta(hours=3)
    after = service.score(house, lender.analyst, payload(1))
    assert authenticate_session(house, signed.token, client)[0].user_id == lender.people["analyst"]
    assert authenticate_key(house, lender.keys["analyst"], client)[0].user_id == lender.people["analyst"]
    again = sign_in(house, "northwind-analyst", "correct horse battery staple", client)
    assert authenticate_session(house, again.token, client)[0].user_id == lender.people["analyst"]
    assert lender.perform(waiting).status == "completed"
    assert lender.batch(path).status == "completed"
    assert after.id < before.id  # ids are times
    listed = service.list_decisions(house, lender.analyst, PageRequest(100)).items
    assert len({p.id for p in listed}) == 42
    for answer in (before, after):
        view = service.decision_of(house, lender.analyst, answer.id)
        assert view.prediction.probability == answer.probability
        assert service.replay(house, lender.analyst, answer.id).equal
    singles = {answer.id: answer.probability for answer in (before, after)}
    assert {p.id: p.probability for p in listed if p.batch_id is None} == singles
