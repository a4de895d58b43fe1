"""Who may do what, stated here a second time: a right that is given to another role, or asked for no more, fails a test.

The people's, the audit log's and health's routes and their rights stand in ``tests/kernel/faces/test_matrix.py``; this adds
the rest of the application, and which role holds which right.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache

import pytest
from httpx import Response

from plumbline.kernel.context import Context
from plumbline.kernel.identity import rights, service
from tests.api.world import PASSWORD, Route, World, program, routes, sent, signed_in
from tests.kernel.faces import test_matrix as kernel
from tests.support.http import SAME_ORIGIN, Browser, Program

ORDER = ("viewer", "analyst", "admin")
ROLES = {
    "audit.read": "viewer", "credit.approve": "analyst", "credit.batch": "analyst", "credit.notice": "analyst", "credit.outcomes": "analyst", "credit.read": "viewer", "credit.score": "analyst",
    "credit.train": "analyst", "dossier.make": "analyst", "findings.read": "viewer", "findings.rebuild": "admin", "findings.triage": "analyst", "health.read": "viewer",
    "jobs.manage": "admin", "jobs.read": "viewer", "keys.manage": "admin", "keys.own": "analyst",
    "ledger.erase": "admin", "ledger.keys": "admin", "ledger.prune": "admin", "ledger.seal": "analyst", "ledger.verify": "viewer",
    "ledger.witness": "admin", "models.activate": "admin", "models.drift": "analyst",
    "models.read": "viewer", "organizations.manage": "nobody", "organizations.settings": "admin", "users.manage": "admin", "users.read": "viewer",
}  # fmt: skip
"""Right → the least role that holds it."""
TRIAGE = "findings.triage findings.read credit.approve"
NEEDS = {
    "POST /api/v1/models/{model}/drift": "models.drift", "GET /api/v1/models/{model}/drift": "models.read",
    "GET /api/v1/models/{model}/drift/{report_id}": "models.read", "GET /api/v1/models/{model}/drift/{report_id}/verification": "models.read",
    "GET /api/v1/models/{model}/drift/{report_id}/file": "models.read", "GET /models/{model_id}/drift": "models.read", "GET /models/{model_id}/cost": "models.read", "GET /models/{model_id}/card": "models.read", "GET /api/v1/models/{model}/card": "models.read",
    "POST /models/{model_id}/drift": "models.drift", "GET /models/{model_id}/drift/{report_id}": "models.read",
    "GET /models/{model_id}/drift/{report_id}/report": "models.read",
    "POST /api/v1/credit/outcomes": "credit.outcomes", "POST /api/v1/credit/outcomes/file": "credit.outcomes",
    "GET /api/v1/credit/performance": "credit.read", "GET /credit/performance": "credit.read",
    "GET /credit/outcomes/new": "credit.outcomes", "POST /credit/outcomes": "credit.outcomes",
    "GET /api/v1/credit/models/{model}/fairness": "credit.read models.read", "GET /api/v1/credit/models/{model}/scorecard": "credit.read",
    "GET /credit/models/{model}/fairness": "credit.read models.read", "GET /credit/models/{model}/scorecard": "credit.read",
    "GET /api/v1/credit/notices": "credit.read", "GET /api/v1/credit/predictions/{prediction_id}/notice": "credit.read",
    "GET /api/v1/credit/predictions/{prediction_id}/notice.html": "credit.read",
    "POST /api/v1/credit/predictions/{prediction_id}/notice": "credit.notice",
    "POST /api/v1/credit/predictions/{prediction_id}/review": "credit.notice",
    "POST /api/v1/credit/predictions/{prediction_id}/override": "credit.approve",
    "GET /credit/decisions/{prediction_id}/notice": "credit.read", "POST /credit/decisions/{prediction_id}/notice": "credit.notice",
    "POST /credit/decisions/{prediction_id}/request-review": "credit.notice",
    "POST /credit/decisions/{prediction_id}/override": "credit.approve",
    "GET /api/v1/models": "models.read", "GET /api/v1/models/{model}": "models.read", "GET /api/v1/models/{model}/evaluations": "models.read",
    "POST /api/v1/models/{model}/activate": "models.activate", "POST /api/v1/models/{name}/rollback": "models.activate",
    "GET /api/v1/metrics": "models.read", "GET /models": "models.read", "GET /models/{model_id}": "models.read", "POST /models/{model_id}/activate": "models.activate",
    "POST /models/{model_id}/rollback": "models.activate",
    "GET /api/v1/jobs": "jobs.read", "GET /api/v1/jobs/{job_id}": "jobs.read", "POST /api/v1/jobs/{job_id}/cancel": "jobs.manage jobs.read",
    "POST /api/v1/jobs/{job_id}/retry": "jobs.manage jobs.read", "GET /jobs": "jobs.read", "GET /jobs/{job_id}": "jobs.read",
    "GET /jobs/{job_id}/progress": "jobs.read", "POST /jobs/{job_id}/cancel": "jobs.manage", "POST /jobs/{job_id}/retry": "jobs.manage",
    "GET /overview/jobs/{job_id}": "jobs.read", "GET /": "audit.read findings.read jobs.read models.read",
    "GET /api/v1/findings": "findings.read", "GET /api/v1/findings/{finding_id}": "findings.read",
    "POST /api/v1/findings/{finding_id}/take": TRIAGE, "POST /api/v1/findings/{finding_id}/notes": TRIAGE,
    "POST /api/v1/findings/{finding_id}/resolve": TRIAGE, "GET /findings": "findings.read", "GET /findings/{finding_id}": "findings.read",
    "POST /findings/{finding_id}/take": TRIAGE, "POST /findings/{finding_id}/note": TRIAGE, "POST /findings/{finding_id}/resolve": TRIAGE,
    "POST /overview/findings/{finding_id}/take": TRIAGE,
    "POST /api/v1/credit/score": "credit.score", "GET /api/v1/credit/predictions": "credit.read",
    "GET /api/v1/credit/predictions/{prediction_id}": "credit.read", "GET /api/v1/credit/predictions/{prediction_id}/explanation": "credit.read",
    "POST /api/v1/credit/predictions/{prediction_id}/replay": "credit.read", "POST /api/v1/credit/batches": "credit.batch",
    "GET /api/v1/credit/batches": "credit.read", "GET /api/v1/credit/batches/{batch_id}": "credit.read",
    "GET /api/v1/credit/batches/{batch_id}/{which}": "credit.read", "POST /api/v1/credit/batches/{batch_id}/cancel": "jobs.manage credit.read",
    "POST /api/v1/credit/batches/{batch_id}/resume": "credit.batch credit.read",
    "GET /credit": "credit.read", "GET /credit/score": "credit.score", "POST /credit/score": "credit.score",
    "GET /credit/decisions/{prediction_id}": "audit.read credit.read", "GET /credit/decisions/{prediction_id}/why": "credit.read",
    "POST /credit/decisions/{prediction_id}/replay": "credit.read", "POST /credit/decisions/{prediction_id}/take": "credit.approve credit.read",
    "POST /credit/decisions/{prediction_id}/note": "credit.approve credit.read",
    "POST /credit/decisions/{prediction_id}/resolve": "credit.approve credit.read",
    "GET /credit/batches": "credit.read", "GET /credit/batches/new": "credit.batch models.read", "POST /credit/batches": "credit.batch",
    "GET /credit/batches/{batch_id}": "audit.read credit.read", "GET /credit/batches/{batch_id}/progress": "credit.read",
    "GET /credit/batches/{batch_id}/files/{which}": "credit.read", "POST /credit/batches/{batch_id}/cancel": "jobs.manage credit.read",
    "POST /credit/batches/{batch_id}/resume": "credit.batch credit.read",
    "POST /api/v1/credit/what-if": "credit.read credit.score", "GET /api/v1/credit/predictions/{prediction_id}/counterfactual": "credit.read",
    "GET /credit/decisions/{prediction_id}/what-if": "credit.read", "POST /credit/decisions/{prediction_id}/what-if": "credit.read",
    "GET /api/v1/ledger": "audit.read", "POST /api/v1/ledger/seal": "ledger.seal", "GET /api/v1/ledger/checkpoints": "audit.read",
    "GET /api/v1/ledger/checkpoint": "audit.read", "GET /api/v1/ledger/consistency": "audit.read",
    "GET /api/v1/ledger/proofs/{evidence_id}": "audit.read", "GET /api/v1/ledger/proofs/{evidence_id}/file": "audit.read",
    "POST /api/v1/ledger/verifications": "ledger.verify", "GET /api/v1/ledger/verifications": "audit.read",
    "GET /api/v1/ledger/verifications/{verification_id}": "audit.read", "POST /api/v1/ledger/erasures": "ledger.erase",
    "POST /api/v1/ledger/retention": "ledger.prune", "GET /ledger": "audit.read", "POST /ledger/seal": "ledger.seal",
    "POST /ledger/verifications": "ledger.verify", "GET /ledger/verifications/{verification_id}": "audit.read",
    "GET /ledger/verifying/{verifying_id}": "jobs.read", "GET /ledger/checkpoints/{tree_size}": "audit.read",
    "GET /ledger/proofs/{evidence_id}": "audit.read", "GET /ledger/proofs/{evidence_id}/card": "audit.read",
    "GET /api/v1/decisions/{prediction_id}/dossier": "dossier.make audit.read credit.read",
    "GET /decisions/{prediction_id}/dossier": "dossier.make audit.read credit.read",
}  # fmt: skip
"""Every right without which a route refuses, what its answer shows included."""
BY_TOKEN = {"GET /metrics"}  # for this machine, or for who holds the token
BY_SIGNATURE = {
    "POST /api/v1/ledger/witness/add-checkpoint",
    "GET /api/v1/ledger/witness/key",
}  # as C2SP tlog-witness has it


def needed(route: Route) -> list[str]:
    return NEEDS[route.label].split()


def stated(world: World) -> list[Route]:
    return [route for route in routes(world.app) if route.label in NEEDS]


def body(route: Route) -> dict[str, object]:
    """A file that the console is sent, too: without one it asks for a file before it looks further."""
    if route.label == "POST /credit/batches":
        return sent(Route("POST", "/api/v1/credit/batches", "", ()))
    return sent(route)


class Callers:
    """People and keys of the first lender who have made nothing that they could call their own."""

    def __init__(self, world: World) -> None:
        self.world, self.lender = world, world.ours
        self.person = cache(self._person)
        self.browser = cache(self._browser)
        self.program = cache(self._program)

    def _person(self, role: str) -> Context:
        house, name = self.lender.installation, f"another-{role}"
        key = service.create_user(
            house, self.lender.admin, username=name, email=f"{name}@x.example", role=role, password=PASSWORD
        )
        return replace(self.lender.as_role(role), user_id=key, actor_id=str(key))

    def _browser(self, role: str) -> Browser:
        person = self.person(role).user_id
        assert person is not None
        return signed_in(self.world.app, self.lender, person)

    def _program(self, scopes: frozenset[str]) -> Program:
        return program(self.world.app, self.lender, self.person("admin"), *sorted(scopes))

    def ask(self, caller: Browser | Program, route: Route) -> Response:
        client = caller.client
        return client.request(route.method, self.world.mine.address(route), headers=SAME_ORIGIN, **body(route))


@pytest.fixture(scope="module")
def callers(world: World) -> Callers:
    return Callers(world)


def test_each_right_is_held_by_the_roles_stated_here() -> None:
    held = {right: {role for role in ORDER if right in rights.of_role(role)} for right in rights.all_rights()}
    assert held == {right: set(ORDER[ORDER.index(least) :] if least in ORDER else ()) for right, least in ROLES.items()}


def test_every_route_states_what_it_needs(world: World) -> None:
    kernel_routes = {f"{method} {path}" for method, path in kernel.NEEDS}
    assert not kernel_routes & set(NEEDS)
    assert sorted(r.label for r in routes(world.app)) == sorted(kernel_routes | set(NEEDS) | BY_TOKEN | BY_SIGNATURE)
    assert {right for needs in NEEDS.values() for right in needs.split()} <= set(ROLES)


def test_nobody_reaches_any_of_them(world: World) -> None:
    for route in stated(world):
        answer = Browser(world.app).request(route.method, world.mine.address(route), **body(route))
        if route.is_api:
            assert answer.status_code == 401, route.label
            assert answer.headers["content-type"] == "application/problem+json", route.label
            assert answer.json()["code"] == "not-signed-in", route.label
            assert answer.headers["www-authenticate"].startswith("Bearer"), route.label
        elif route.method == "GET":
            assert answer.status_code == 303, route.label
            assert re.match(r"/signin(\?next=|$)", answer.headers["location"]), route.label
        else:
            assert answer.status_code == 401, route.label


def test_a_role_is_refused_what_it_has_no_right_to(world: World, callers: Callers) -> None:
    refused = 0
    for role in ORDER:
        for route in stated(world):
            if any(ORDER.index(ROLES[right]) > ORDER.index(role) for right in needed(route)):
                answer = callers.ask(callers.browser(role), route)
                assert answer.status_code == 403, (role, route.label, answer.status_code)
                refused += 1
    assert refused > 30


def test_a_key_is_refused_without_each_single_right(world: World, callers: Callers) -> None:
    """A key with every right of an administrator but one; and one with a right that is of no use here."""
    every = rights.of_role("admin")
    for route in stated(world):
        for scopes in (*(every - {right} for right in needed(route)), frozenset({"organizations.settings"})):
            answer = callers.ask(callers.program(scopes), route)
            assert answer.status_code == 403, (route.label, sorted(every - scopes), answer.status_code)
            if route.is_api:
                assert answer.json()["code"] == "forbidden", route.label


def test_what_was_refused_did_not_happen(world: World) -> None:
    """Asked after the refusals above: everything stands as it was made."""
    things = world.mine
    app = program(world.app, world.ours, world.ours.admin)
    assert app("GET", f"/api/v1/jobs/{things.waiting_job}").json()["state"] == "queued"
    assert app("GET", f"/api/v1/jobs/{things.stopped_job}").json()["state"] == "cancelled"
    assert app("GET", f"/api/v1/findings/{things.finding}").json()["state"] == "open"
    assert app("GET", f"/api/v1/models/{things.model}").json()["is_active"]
    assert world.ours.count("batch_uploads") == 6  # three of each lender


def test_a_role_reaches_what_it_has_a_right_to(world: World, callers: Callers) -> None:
    reached = 0
    for role in ORDER:
        for route in stated(world):
            if all(ORDER.index(ROLES[right]) <= ORDER.index(role) for right in needed(route)):
                answer = callers.ask(callers.browser(role), route)
                assert answer.status_code not in (401, 403, 404), (role, route.label, answer.text[:200])
                assert answer.status_code < 500, (role, route.label)
                reached += answer.status_code < 400
    assert reached > 100


def test_a_key_needs_no_other_right_than_those_stated(world: World, callers: Callers) -> None:
    for route in [r for r in stated(world) if r.is_api]:
        answer = callers.ask(callers.program(frozenset(needed(route))), route)
        assert answer.status_code not in (401, 403, 404), (route.label, answer.text[:300])
        assert answer.status_code < 500, route.label


def test_metrics_are_for_this_machine_alone(world: World) -> None:
    assert Browser(world.app).get("/metrics").status_code == 403
