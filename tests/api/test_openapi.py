"""The interface's own description: its names stay, it says what each operation does and answers, and its examples work.

Operation ids are what generated clients call: renaming one breaks them, so each stands here.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import jsonschema_rs
import pytest
from pydantic import BaseModel

from tests.api.world import World, administrator, program
from tests.support.http import Program

OPERATIONS = {
    "list_users": "GET /api/v1/users", "create_user": "POST /api/v1/users", "get_user": "GET /api/v1/users/{user_id}",
    "change_user": "PATCH /api/v1/users/{user_id}", "reset_user_password": "POST /api/v1/users/{user_id}/password-reset",
    "list_user_sessions": "GET /api/v1/users/{user_id}/sessions", "end_user_sessions": "DELETE /api/v1/users/{user_id}/sessions",
    "end_user_session": "DELETE /api/v1/users/{user_id}/sessions/{session_id}", "get_me": "GET /api/v1/me",
    "change_my_password": "POST /api/v1/me/password", "list_keys": "GET /api/v1/keys", "create_key": "POST /api/v1/keys",
    "revoke_key": "DELETE /api/v1/keys/{key_id}", "list_audit_entries": "GET /api/v1/audit", "list_audit_activity": "GET /api/v1/audit/activity",
    "get_audit_entry": "GET /api/v1/audit/{entry_id}", "list_models": "GET /api/v1/models", "get_model": "GET /api/v1/models/{model}",
    "list_model_evaluations": "GET /api/v1/models/{model}/evaluations", "activate_model": "POST /api/v1/models/{model}/activate",
    "rollback_model": "POST /api/v1/models/{name}/rollback", "list_jobs": "GET /api/v1/jobs", "get_job": "GET /api/v1/jobs/{job_id}",
    "cancel_job": "POST /api/v1/jobs/{job_id}/cancel", "retry_job": "POST /api/v1/jobs/{job_id}/retry", "list_findings": "GET /api/v1/findings",
    "get_finding": "GET /api/v1/findings/{finding_id}", "take_finding": "POST /api/v1/findings/{finding_id}/take",
    "note_finding": "POST /api/v1/findings/{finding_id}/notes", "resolve_finding": "POST /api/v1/findings/{finding_id}/resolve",
    "get_health": "GET /api/v1/health", "score_application": "POST /api/v1/credit/score",
    "list_credit_decisions": "GET /api/v1/credit/predictions", "get_credit_decision": "GET /api/v1/credit/predictions/{prediction_id}",
    "explain_credit_decision": "GET /api/v1/credit/predictions/{prediction_id}/explanation",
    "replay_credit_decision": "POST /api/v1/credit/predictions/{prediction_id}/replay", "submit_credit_batch": "POST /api/v1/credit/batches",
    "list_credit_batches": "GET /api/v1/credit/batches", "get_credit_batch": "GET /api/v1/credit/batches/{batch_id}",
    "download_credit_batch": "GET /api/v1/credit/batches/{batch_id}/{which}",
    "cancel_credit_batch": "POST /api/v1/credit/batches/{batch_id}/cancel", "resume_credit_batch": "POST /api/v1/credit/batches/{batch_id}/resume",
    "list_metrics": "GET /api/v1/metrics", "get_model_card": "GET /api/v1/models/{model}/card",
    "run_model_drift": "POST /api/v1/models/{model}/drift", "list_model_drift": "GET /api/v1/models/{model}/drift",
    "get_model_drift": "GET /api/v1/models/{model}/drift/{report_id}", "verify_model_drift": "GET /api/v1/models/{model}/drift/{report_id}/verification",
    "download_model_drift": "GET /api/v1/models/{model}/drift/{report_id}/file",
    "record_credit_outcomes": "POST /api/v1/credit/outcomes", "record_credit_outcome_file": "POST /api/v1/credit/outcomes/file",
    "get_credit_performance": "GET /api/v1/credit/performance",
    "fairness_of_credit_model": "GET /api/v1/credit/models/{model}/fairness",
    "scorecard_of_credit_model": "GET /api/v1/credit/models/{model}/scorecard",
    "list_credit_notices": "GET /api/v1/credit/notices", "get_credit_notice": "GET /api/v1/credit/predictions/{prediction_id}/notice",
    "print_credit_notice": "GET /api/v1/credit/predictions/{prediction_id}/notice.html",
    "issue_credit_notice": "POST /api/v1/credit/predictions/{prediction_id}/notice",
    "request_credit_review": "POST /api/v1/credit/predictions/{prediction_id}/review",
    "override_credit_decision": "POST /api/v1/credit/predictions/{prediction_id}/override",
    "try_credit_changes": "POST /api/v1/credit/what-if",
    "find_credit_counterfactuals": "GET /api/v1/credit/predictions/{prediction_id}/counterfactual",
    "get_ledger": "GET /api/v1/ledger", "seal_ledger": "POST /api/v1/ledger/seal", "list_checkpoints": "GET /api/v1/ledger/checkpoints",
    "get_checkpoint": "GET /api/v1/ledger/checkpoint", "get_consistency": "GET /api/v1/ledger/consistency",
    "get_proof": "GET /api/v1/ledger/proofs/{evidence_id}", "get_proof_file": "GET /api/v1/ledger/proofs/{evidence_id}/file",
    "verify_ledger": "POST /api/v1/ledger/verifications", "list_verifications": "GET /api/v1/ledger/verifications",
    "get_verification": "GET /api/v1/ledger/verifications/{verification_id}", "erase_from_ledger": "POST /api/v1/ledger/erasures",
    "prune_ledger": "POST /api/v1/ledger/retention", "add_witnessed_checkpoint": "POST /api/v1/ledger/witness/add-checkpoint",
    "get_witness_key": "GET /api/v1/ledger/witness/key", "get_dossier": "GET /api/v1/decisions/{prediction_id}/dossier",
    "get_liveness": "GET /health/live", "get_readiness": "GET /health/ready",
}  # fmt: skip
ERRORS = {"400", "401", "403", "404", "409", "413", "422", "429", "503"}
WITNESS = "/api/v1/ledger/witness/"
TEXTS = {
    "/api/v1/ledger/checkpoint",
    "/api/v1/ledger/proofs/{evidence_id}/file",
    f"{WITNESS}add-checkpoint",
    f"{WITNESS}key",
}
PARTS = {"identity", "ledger", "models", "jobs", "findings", "lifecycle", "dossier", "overview", "credit"}
JSON, FILE, PROBLEM = "application/json", "multipart/form-data", "application/problem+json"


@pytest.fixture(scope="module")
def document(world: World) -> dict[str, Any]:
    """As it is sent, not as it is kept."""
    answer = Program(world.app, "").client.get("/api/v1/openapi.json", headers={"Authorization": ""})
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


@pytest.fixture(scope="module")
def caller(world: World) -> Program:
    return program(world.app, world.ours, administrator(world.ours))


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def named(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in schema:
        return schema
    found: dict[str, Any] = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
    return found


def example(document: dict[str, Any], content: dict[str, Any]) -> Any:
    return content.get("example", named(document, content["schema"]).get("example"))


def violations(document: dict[str, Any], schema: dict[str, Any], value: Any) -> list[str]:
    whole = {"components": document["components"], "allOf": [schema]}
    return [str(error) for error in jsonschema_rs.validator_for(whole).iter_errors(value)]


def test_operations_keep_their_names(document: dict[str, Any]) -> None:
    named_here = [(operation["operationId"], label) for label, operation in operations(document)]
    assert dict(named_here) == OPERATIONS
    assert len(named_here) == len(OPERATIONS)


def test_every_operation_says_what_it_does_and_where_it_belongs(document: dict[str, Any]) -> None:
    for label, operation in operations(document):
        assert len(operation["tags"]) == 1, label
        assert set(operation["tags"]) <= PARTS, label
        made_of_its_name = operation["operationId"].replace("_", " ").title()
        said = operation.get("description") or operation["summary"].replace(made_of_its_name, "")
        assert len(said) > 10, label
        assert not re.search(r":param|:raises|TODO", said), label


def test_every_operation_names_its_errors_as_problem_documents(document: dict[str, Any]) -> None:
    for label, operation in operations(document):
        if label.split(" ")[1].startswith(("/health", WITNESS)):
            continue
        answers = operation["responses"]
        assert set(answers) >= ERRORS, label
        assert len([status for status in answers if status.startswith("2")]) == 1, label
        for status in ERRORS:
            assert answers[status]["content"] == {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}, label
        assert operation["security"], label


def test_every_success_has_a_form_or_is_empty(document: dict[str, Any]) -> None:
    for label, operation in operations(document):
        ((status, answer),) = [(s, a) for s, a in operation["responses"].items() if s.startswith("2")]
        if status == "204":
            assert "content" not in answer, label
        elif set(answer["content"]) == {"text/plain"}:
            assert label.split(" ")[1] in TEXTS, label
        elif label.endswith("/{which}"):
            assert set(answer["content"]) == {"text/csv", "application/vnd.apache.parquet"}
        elif label.endswith("/notice.html"):
            assert set(answer["content"]) == {"text/html"}
        elif label.endswith(("/{report_id}/file", "/card")):
            assert set(answer["content"]) == {"text/html", JSON}
        else:
            assert answer["content"][JSON]["schema"] not in ({}, None), label


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    used = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert used <= set(schemas)
    assert "HTTPValidationError" not in used  # the framework's own form of an error is sent nowhere


def test_every_body_has_an_example_that_fits(document: dict[str, Any]) -> None:
    seen = 0
    for label, operation in operations(document):
        for media, content in operation.get("requestBody", {}).get("content", {}).items():
            if media == FILE:
                assert named(document, content["schema"])["properties"]["file"]["description"], label
                continue
            if label.split(" ")[1].startswith(WITNESS):  # speaks as its protocol has it
                assert (media, content["schema"]) == ("text/plain", {"type": "string"})
                continue
            assert media == JSON, label
            shown = example(document, content)
            assert shown, label
            assert violations(document, content["schema"], shown) == [], label
            seen += 1
    assert seen >= 9


def test_every_example_of_an_answer_fits() -> None:
    """Held against the models: the framework leaves nulls out of the document's examples."""
    seen = 0
    for part in sorted(PARTS):
        module = import_module(f"plumbline.{part}.api" if part == "credit" else f"plumbline.kernel.{part}.api")
        modules = [
            m for m in vars(module).values() if inspect.ismodule(m) and m.__name__.startswith(f"{module.__name__}.")
        ] or [module]  # a package holds one per noun
        for name, model in [pair for m in modules for pair in vars(m).items()]:
            if (
                inspect.isclass(model)
                and issubclass(model, BaseModel)
                and (extra := model.model_config.get("json_schema_extra"))
            ):
                assert isinstance(extra, dict)
                shown = model.model_validate(extra["example"])
                assert set(extra["example"]) <= set(type(shown).model_fields), f"{part}: {name}"
                seen += 1
    assert seen >= 15


def test_examples_can_be_sent_as_they_stand(world: World, caller: Program, document: dict[str, Any]) -> None:
    """A reader copies them: what is refused is refused for the state of things, never for the example."""
    bodies = {
        operation["operationId"]: example(document, operation["requestBody"]["content"][JSON])
        for _, operation in operations(document)
        if JSON in operation.get("requestBody", {}).get("content", {})
    }
    things = world.mine
    calls = {
        "create_user": ("POST", "/api/v1/users", 201), "create_key": ("POST", "/api/v1/keys", 201),
        "change_user": ("PATCH", f"/api/v1/users/{things.user}", 200), "score_application": ("POST", "/api/v1/credit/score", 200),
        "note_finding": ("POST", f"/api/v1/findings/{things.finding}/notes", 200),
        "resolve_finding": ("POST", f"/api/v1/findings/{things.finding}/resolve", 200),
        "activate_model": ("POST", f"/api/v1/models/{things.older_model}/activate", 200),
        "rollback_model": ("POST", "/api/v1/models/credit-risk/rollback", 200),
        "try_credit_changes": ("POST", "/api/v1/credit/what-if", 200),
        "issue_credit_notice": ("POST", f"/api/v1/credit/predictions/{things.prediction}/notice", 409),  # nobody has decided about it yet
        "request_credit_review": ("POST", f"/api/v1/credit/predictions/{things.prediction}/review", 200),
        "override_credit_decision": ("POST", f"/api/v1/credit/predictions/{things.prediction}/override", 200),
        "record_credit_outcomes": ("POST", "/api/v1/credit/outcomes", 200),
        "run_model_drift": ("POST", f"/api/v1/models/{things.model}/drift", 202),
        "verify_ledger": ("POST", "/api/v1/ledger/verifications", 202), "erase_from_ledger": ("POST", "/api/v1/ledger/erasures", 200),
        "prune_ledger": ("POST", "/api/v1/ledger/retention", 200),
        "change_my_password": ("POST", "/api/v1/me/password", 403),  # a key has no password
    }  # fmt: skip
    assert set(calls) == set(bodies)
    for name, (method, path, status) in calls.items():
        answer = caller(method, path, json=bodies[name])
        assert answer.status_code == status, (name, answer.text)


def test_every_error_that_is_sent_has_the_documented_form(caller: Program, document: dict[str, Any]) -> None:
    nothing = "01a20dd4-6470-7c02-943b-177c2bb8b619"
    sent = [
        caller("GET", f"/api/v1/users/{nothing}"), caller("GET", "/api/v1/users?limit=0"), caller("GET", "/api/v1/nowhere"),
        caller("PUT", "/api/v1/users"), caller("POST", "/api/v1/credit/score", content=b"{"),
        caller("GET", "/api/v1/me", headers={"Authorization": "Bearer none"}), caller("POST", "/api/v1/users", json={"a": 1, "b": 2}),
        caller("POST", "/api/v1/me/password", json={"current": "x", "new": "a long enough one"}),
    ]  # fmt: skip
    assert [answer.status_code for answer in sent] == [404, 422, 404, 405, 422, 401, 422, 403]
    for answer in sent:
        assert answer.headers["content-type"] == PROBLEM
        assert violations(document, {"$ref": "#/components/schemas/Problem"}, answer.json()) == [], answer.text
        assert answer.json()["status"] == answer.status_code
        assert answer.json()["request_id"] == answer.headers["x-request-id"]
