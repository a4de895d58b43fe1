"""Nothing that can be sent to the API makes it fail: every answer is one that its document promises."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from plumbline.app import create_app
from plumbline.credit import service
from plumbline.credit.service.monitoring import report_of
from plumbline.kernel.findings import service as findings
from plumbline.kernel.ledger.service import checking, sealing
from plumbline.kernel.paging import PageRequest
from tests.credit.trained import Lender, application_with, unlabelled

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 12


@pytest.fixture
def described(embedded: Lender) -> Any:
    return schemathesis.openapi.from_asgi("/api/v1/openapi.json", create_app(embedded.installation))


def operations(described: Any) -> Iterator[Any]:
    for found in described.get_all_operations():
        yield found.ok()


def test_nobody_without_a_key_gets_more_than_the_public_answers(described: Any) -> None:
    told = {}
    for operation in operations(described):
        case = operation.Case(
            path_parameters={p.name: "01a20dd4-6470-7c02-943b-177c2bb8b619" for p in operation.path_parameters}
        )
        answer = case.call()
        told[operation.label] = answer.status_code
        plain = "/ledger/witness/" in operation.label  # speaks as its protocol has it
        assert answer.headers["content-type"][0].startswith("text/" if plain else "application/"), operation.label
    public = {label for label, status in told.items() if status != 401}
    open_to_all = {
        "/health/live",
        "/health/ready",
        "/api/v1/ledger/witness/add-checkpoint",
        "/api/v1/ledger/witness/key",
    }
    assert {label.split(" ", 1)[1] for label in public} == open_to_all
    assert len(told) > 30


def things(lender: Lender, folder: Path) -> dict[str, str]:
    """One real thing for each name that a path may hold."""
    house, admin = lender.installation, lender.admin
    decided = service.score(house, admin, application_with(level="High"))
    file = folder / "loans.csv"
    file.write_text(unlabelled()["application"].head(20).write_csv())
    batch = lender.batch(file)
    (finding, *_) = findings.list_findings(house, admin, PageRequest(), room="credit").items
    sealing.seal(house, lender.id)
    return {
        "evidence_id": str(decided.id), "verification_id": str(checking.check(house, admin).id),
        "prediction_id": str(decided.id), "batch_id": str(batch.batch.id), "which": "results", "job_id": str(batch.batch.job_id),
        "finding_id": str(finding.id), "entry_id": str(lender.entries("credit.score")[0].id), "user_id": str(lender.people["viewer"]),
        "model": str(lender.model_id), "name": "credit-risk", "key_id": str(lender.model_id), "session_id": str(lender.model_id),
        "report_id": str(report_of(batch.batch)),
    }  # fmt: skip


def exercised(
    operation: Any, mode: Any, headers: dict[str, str], real: dict[str, str] | None, seen: Counter[int]
) -> None:
    """Ask a dozen times, every second time for something that is there."""
    number = itertools.count()

    @hypothesis.settings(max_examples=EXAMPLES, deadline=None, database=None, derandomize=True,
                         suppress_health_check=list(hypothesis.HealthCheck), phases=[hypothesis.Phase.generate])  # fmt: skip
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    def asked(case: Any) -> None:
        if real is not None and next(number) % 2:
            case.path_parameters = {name: real[name] for name in case.path_parameters or {}}
        answer = case.call(headers=headers)
        seen[answer.status_code] += 1
        case.validate_response(answer, checks=CHECKS, headers=headers)

    asked()


@pytest.mark.slow
def test_every_operation_keeps_what_its_document_says(described: Any, embedded: Lender, tmp_path: Path) -> None:
    headers = {"Authorization": f"Bearer {embedded.keys['admin']}"}
    real = things(embedded, tmp_path)
    wrong: list[str] = []
    seen: Counter[int] = Counter()
    for operation, mode in product(operations(described), schemathesis.GenerationMode):
        known = real if mode is schemathesis.GenerationMode.POSITIVE else None
        try:
            exercised(operation, mode, headers, known, seen)
        except hypothesis.errors.Unsatisfiable:
            assert operation.label.endswith(
                ("/health/live", "/health/ready", "/witness/key")
            )  # nothing can be wrong with a bare GET
        except Exception as fault:
            wrong.append(f"{operation.label}: {str(fault)[:1500]}")
    assert wrong == []
    assert {200, 401, 404, 409, 422} <= set(seen)
