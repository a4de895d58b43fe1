"""A lender with one of everything, and the application's own list of what can be asked about it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

from plumbline.app import create_app
from plumbline.credit import service
from plumbline.credit.service.batches import incoming
from plumbline.credit.service.monitoring import report_of
from plumbline.kernel.context import Context
from plumbline.kernel.findings import service as findings
from plumbline.kernel.identity import rights
from plumbline.kernel.identity import service as identity
from plumbline.kernel.identity.service.access import Client
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger.service import checking, sealing
from plumbline.kernel.models import service as models
from plumbline.kernel.models.profiles import Profile
from plumbline.kernel.models.service.profiling import reference_of
from plumbline.kernel.paging import PageRequest
from plumbline.settings import Settings
from tests.conftest import SteppingClock
from tests.credit.trained import Lender, application_with, artifacts, copied, unlabelled
from tests.support.http import Browser, Program

PASSWORD = "correct horse battery staple"
CLIENT = Client(ip="198.51.100.9")


@dataclass(frozen=True)
class Route:
    """One address of the application with one method."""

    method: str
    path: str
    name: str
    queries: tuple[str, ...]

    @property
    def label(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def parameters(self) -> list[str]:
        return re.findall(r"{(\w+)}", self.path)

    @property
    def is_api(self) -> bool:
        return self.path.startswith("/api/v1/")


def routes(app: FastAPI) -> list[Route]:
    """Everything the application answers but its static files and its own description."""
    found = []
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, APIRoute):
            queries = tuple(sorted(_queries(route.dependant)))
            found += [Route(m, str(context.path), route.name, queries) for m in sorted(context.methods or ())]
    return found


def _queries(dependant: Any) -> set[str]:
    own = {field.alias for field in dependant.query_params}
    return own.union(*(_queries(part) for part in dependant.dependencies))


@dataclass
class Things:
    """Ids of a lender's own. What a route needs in another state than the usual one stands under its name."""

    user: UUID
    session: UUID
    key: UUID
    entry: UUID
    model: UUID
    older_model: UUID
    own_name: str
    finding: UUID
    prediction: UUID
    batch: UUID
    waiting_batch: UUID
    stopped_batch: UUID
    job: UUID
    waiting_job: UUID
    stopped_job: UUID
    verification: UUID
    verifying: UUID
    sealed: int
    drift: UUID

    def value(self, route: Route, parameter: str) -> str:
        """What stands for a parameter of a path; an unknown one is an error, so that each new route is looked at."""
        if parameter in ("batch_id", "job_id"):
            state = {"cancel": "waiting_", "resume": "stopped_", "retry": "stopped_"}.get(
                route.path.rsplit("/", 1)[-1], ""
            )
            return str(getattr(self, f"{state}{parameter.removesuffix('_id')}"))
        if parameter in ("model", "model_id"):
            return str(self.older_model if route.path.endswith("/activate") else self.model)
        known = {
            "user_id": self.user, "session_id": self.session, "key_id": self.key, "entry_id": self.entry, "finding_id": self.finding,
            "prediction_id": self.prediction, "name": "credit-risk", "which": "results", "token": "no-such-link",
            "evidence_id": self.prediction, "verification_id": self.verification, "verifying_id": self.verifying, "tree_size": self.sealed,
            "report_id": self.drift,
        }  # fmt: skip
        assert parameter in known, f"{route.label} has a parameter that no test knows: {parameter}"
        return str(known[parameter])

    def address(self, route: Route) -> str:
        return route.path.format(**{name: self.value(route, name) for name in route.parameters})


BODIES: dict[str, dict[str, Any]] = {
    "POST /api/v1/credit/predictions/{prediction_id}/notice": {"channel": "letter"},
    "POST /api/v1/credit/predictions/{prediction_id}/review": {"through": "email"},
    "POST /api/v1/credit/predictions/{prediction_id}/override": {"decision": "approve", "cause": "The payslip shows a second income."},
    "POST /api/v1/credit/outcomes": {"subject_id": "nobody", "outcome": "repaid", "outcome_at": "2026-11-20"},
    "POST /api/v1/users": {"username": "somebody.new", "email": "somebody@northwind.example"},
    "PATCH /api/v1/users/{user_id}": {"full_name": "Changed"},
    "POST /api/v1/me/password": {"current": PASSWORD, "new": "another fine password"},
    "POST /api/v1/keys": {"name": "made here", "scopes": ["users.read"]},
    "POST /api/v1/models/{model}/activate": {"reason": "Lower cost on the new cohort"},
    "POST /api/v1/models/{name}/rollback": {"reason": "Higher cost on the new cohort"},
    "POST /api/v1/models/{model}/drift": {},
    "POST /api/v1/findings/{finding_id}/notes": {"text": "Asked the branch for the payslip."},
    "POST /api/v1/findings/{finding_id}/resolve": {"note": "The payslip is genuine."},
    "POST /api/v1/ledger/verifications": {"records": True}, "POST /api/v1/ledger/erasures": {"subject": "nobody", "dry_run": True},
    "POST /api/v1/ledger/retention": {"retention_days": 365, "dry_run": True},
}  # fmt: skip
FORMS: dict[str, dict[str, Any]] = {
    "POST /credit/decisions/{prediction_id}/notice": {"channel": "letter"},
    "POST /credit/decisions/{prediction_id}/request-review": {"through": "email"},
    "POST /credit/decisions/{prediction_id}/override": {"final": "approve", "cause": "The payslip shows a second income."},
    "POST /settings/users/{user_id}": {"full_name": "Changed", "role": "viewer"},
    "POST /settings/users/{user_id}/activity": {"active": "no"},
    "POST /models/{model_id}/activate": {"reason": "Lower cost on the new cohort"},
    "POST /models/{model_id}/rollback": {"reason": "Higher cost on the new cohort"},
    "POST /findings/{finding_id}/note": {"text": "Asked the branch for the payslip."},
    "POST /findings/{finding_id}/resolve": {"note": "The payslip is genuine."},
    "POST /credit/decisions/{prediction_id}/note": {"text": "Asked the branch for the payslip."},
    "POST /credit/decisions/{prediction_id}/resolve": {"note": "The payslip is genuine.", "cause": "The payslip is genuine."},
}  # fmt: skip


def sent(route: Route) -> dict[str, Any]:
    """A body that the route accepts, as the client wants it."""
    if route.label == "POST /api/v1/credit/score":
        return {"json": application_with(level="Low")}
    if route.label == "POST /api/v1/credit/what-if":
        return {"json": application_with(level="Low") | {"changes": {}}}
    if route.label == "POST /api/v1/credit/batches":
        return {"files": {"file": ("loans.csv", csv(4))}}
    if route.path in ("/api/v1/credit/outcomes/file", "/credit/outcomes"):
        return {"files": {"file": ("outcomes.csv", b"sk_id_curr,outcome,outcome_at\nnobody,repaid,2026-11-20\n")}}
    if route.is_api:
        return {"json": BODIES[route.label]} if route.label in BODIES else {}
    return {"data": FORMS.get(route.label, {})} if route.method == "POST" else {}


def csv(rows: int) -> bytes:
    return unlabelled()["application"].head(rows).write_csv().encode()


def administrator(lender: Lender) -> Context:
    """A person with the role alone: who made the organization is a superuser and may do more."""
    house, name = lender.installation, f"{lender.slug}-plain"
    key = identity.create_user(
        house, lender.admin, username=name, email=f"{name}@{lender.slug}.example", role="admin", password=PASSWORD
    )
    return Context(organization_id=lender.id, actor_type="user", actor_id=str(key), user_id=key, client_id="test", now=house.clock(),
                   rights=rights.of_role("admin"), role="admin")  # fmt: skip


def signed_in(app: FastAPI, lender: Lender, person: UUID) -> Browser:
    browser = Browser(app)
    link = identity.once_link(lender.installation, lender.admin, person)
    browser.token = identity.use_once_link(lender.installation, link, CLIENT).token
    return browser


def program(app: FastAPI, lender: Lender, person: Context, *scopes: str) -> Program:
    _, key = identity.create_key(
        lender.installation, person, name="a program", scopes=list(scopes or sorted(rights.of_role(person.role or "")))
    )
    return Program(app, key)


def furnished(lender: Lender, reference: Profile) -> Things:
    """One of everything, made through the services."""
    house, admin = lender.installation, lender.admin
    decided = service.score(house, admin, application_with(level="High"))
    link = identity.once_link(house, admin, lender.people["viewer"])
    session = identity.use_once_link(house, link, CLIENT)
    key, _ = identity.create_key(house, admin, name="nightly scoring", scopes=["credit.score"])
    newer = _again(lender, "credit-risk", reference)
    models.activate(house, admin, str(newer), reason="the second version")
    own_name = f"{lender.slug}-scorecard"
    _again(lender, own_name, reference)
    done = lender.perform(_submitted(lender, 20))
    waiting, stopped = _submitted(lender, 3), _submitted(lender, 4)
    service.cancel_batch(house, admin, stopped.batch.id)
    (finding, *_) = findings.list_findings(house, admin, PageRequest(), room="credit").items
    jobs = [view.batch.job_id for view in (done, waiting, stopped)]
    assert all(jobs)
    drifted = report_of(done.batch)
    assert drifted is not None
    sealed = sealing.seal(house, lender.id)
    verified = checking.check(house, admin)
    verifying = checking.request(house, admin)
    return Things(
        user=lender.people["viewer"], session=session.session_id, key=key, entry=lender.entries("credit.score")[0].id, model=newer,
        older_model=lender.model_id, own_name=own_name, finding=finding.id, prediction=decided.id, batch=done.batch.id,
        waiting_batch=waiting.batch.id, stopped_batch=stopped.batch.id, job=jobs[0], waiting_job=jobs[1], stopped_job=jobs[2],
        verification=verified.id, verifying=verifying, sealed=sealed.size, drift=drifted,
    )  # fmt: skip


def _submitted(lender: Lender, rows: int) -> Any:
    path = incoming(lender.installation)
    path.write_bytes(csv(rows))
    return service.submit_batch(lender.installation, lender.analyst, path, filename=f"loans-{rows}.csv")


def _again(lender: Lender, name: str, reference: Profile) -> UUID:
    """The same file as a further version."""
    house = lender.installation
    one = models.get(house, lender.admin, str(lender.model_id))
    noted = {
        k: v for k, v in one.extra.items() if k not in ("sha256", "size", "trained_by", "artifact_state", "previous_id")
    }
    made = models.register(
        house, lender.admin, name=name, kind=one.kind, framework=one.framework, model_type=one.model_type, artifact=house.artifacts.get(lender.sha256),
        features=one.features, target_classes=one.target_classes, metrics=one.metrics, trained_at=one.trained_at, evaluations=[], extra=noted,
        right="credit.train", reference=reference,
    )  # fmt: skip
    return made.id


@dataclass
class World:
    """Both lenders, furnished alike, behind one application."""

    app: FastAPI
    ours: Lender
    theirs: Lender
    mine: Things
    foreign: Things


def world_of(lenders: dict[str, Lender]) -> World:
    ours, theirs = lenders["northwind"], lenders["contoso"]
    with ours.installation.database.read(ours.id) as session:
        held = reference_of(session, ours.id, ours.model_id)
    assert held is not None
    mine, foreign = furnished(ours, held.profile), furnished(theirs, held.profile)
    return World(create_app(ours.installation), ours, theirs, mine, foreign)


BOTH = pytest.mark.parametrize(
    "world", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True
)
"""A test of what an engine might refuse."""


def opened(request: pytest.FixtureRequest, home: Path, engine: str) -> Iterator[World]:
    """A world for all tests of a module."""
    url, world = copied(engine, request, home)
    settings = Settings(home=home, database_url=url, artifacts=artifacts(), sign_in_attempts=100_000)
    installation = Installation.open(settings, clock=SteppingClock())
    yield world_of(world.opened(installation))
    installation.close()
    shutil.rmtree(home, ignore_errors=True)
    if engine != "sqlite":
        request.getfixturevalue("postgres").drop(url)
