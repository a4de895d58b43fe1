"""Whatever is sent to the API, every answer is one that its document promises, and none is an accident of ours."""

from __future__ import annotations

import copy
import gzip
import io
import itertools
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from typing import Any
from uuid import UUID

import hypothesis
import pytest
import schemathesis
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from plumbline.kernel.errors import PlumblineError
from plumbline.kernel.jobs.service import run_inline
from tests.api.world import BOTH, Route, World, administrator, csv, program, sent
from tests.credit.trained import unlabelled
from tests.support.http import Program

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
PUBLIC = {"GET /health/live", "GET /health/ready"}
UNBREAKABLE = {
    *PUBLIC, "GET /api/v1/health", "GET /api/v1/me", "GET /api/v1/models/{model}", "GET /api/v1/models/{model}/evaluations",
    "GET /api/v1/credit/batches/{batch_id}/{which}",
}  # fmt: skip
"""What takes nothing, or any text, cannot be called wrongly."""


@pytest.fixture(scope="module")
def described(world: World) -> Any:
    """Without its word about credentials: who asks is another test's matter, and a call without them tells nothing."""
    document = copy.deepcopy(world.app.openapi())
    for methods in document["paths"].values():
        for operation in methods.values():
            operation.pop("security", None)
    schema = schemathesis.openapi.from_dict(document)
    schema.app = world.app
    return schema


@pytest.fixture(scope="module")
def caller(world: World) -> Program:
    """A key with all that a key can be given."""
    return program(world.app, world.ours, administrator(world.ours))


def operations(described: Any) -> Iterator[Any]:
    for found in described.get_all_operations():
        yield found.ok()


def settings(examples: int) -> hypothesis.settings:
    """The same questions in every run."""
    return hypothesis.settings(max_examples=examples, deadline=None, database=None, derandomize=True, phases=[hypothesis.Phase.generate],
                               suppress_health_check=list(hypothesis.HealthCheck))  # fmt: skip


def route_of(operation: Any) -> Route:
    method, path = operation.label.split(" ", 1)
    return Route(method, path, "", ())


def asked(world: World, caller: Program, operation: Any, mode: Any, examples: int, seen: Counter[int]) -> None:
    """Ask with generated values; what fits is asked for things that are there every second time, else all is 404."""
    number, route = itertools.count(), route_of(operation)
    headers = dict(caller.client.headers)
    positive = mode is schemathesis.GenerationMode.POSITIVE
    checks = CHECKS if positive else [*CHECKS, negative_data_rejection]
    path, body = {name: world.mine.value(route, name) for name in route.parameters}, sent(route).get("json")

    @settings(examples)
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        turn = next(number)
        if positive and path and turn % 2:
            case.path_parameters = path
        if positive and body is not None and turn % 3 == 1:
            case.body = body
        answer = case.call(headers=headers)
        seen[answer.status_code] += 1
        case.validate_response(answer, checks=checks, headers=headers)

    ask()


def faults(world: World, caller: Program, described: Any, examples: int, seen: Counter[int]) -> list[str]:
    wrong = []
    for operation, mode in itertools.product(operations(described), schemathesis.GenerationMode):
        try:
            asked(world, caller, operation, mode, examples, seen)
        except hypothesis.errors.Unsatisfiable:
            if mode is schemathesis.GenerationMode.POSITIVE or operation.label not in UNBREAKABLE:
                wrong.append(f"{operation.label}, {mode.value}: nothing to ask")
        except (Exception, FailureGroup) as fault:
            wrong.append(f"{operation.label}, {mode.value}: {str(fault)[:2500]}")
    return wrong


def test_every_operation_keeps_what_its_document_says(world: World, caller: Program, described: Any) -> None:
    seen: Counter[int] = Counter()
    assert faults(world, caller, described, 2, seen) == []
    assert sum(seen.values()) > 100


@BOTH
@pytest.mark.slow
def test_every_operation_keeps_it_whatever_is_sent(world: World, caller: Program, described: Any) -> None:
    seen: Counter[int] = Counter()
    assert faults(world, caller, described, 25, seen) == []
    assert {200, 201, 202, 204, 403, 404, 409, 422} <= set(seen), seen
    assert sum(seen.values()) > 1500


def test_without_credentials_every_operation_but_health_refuses(world: World, described: Any) -> None:
    open_to_all = set()
    for operation in operations(described):
        route = route_of(operation)
        for credential in ("", "Bearer plb_nobody", "Basic bm9ib2R5Og=="):
            client = Program(world.app, "").client
            answer = client.request(
                route.method, world.mine.address(route), headers={"Authorization": credential}, **sent(route)
            )
            if answer.status_code != 401:
                open_to_all.add(operation.label)
                continue
            assert answer.headers["content-type"] == "application/problem+json", operation.label
            assert answer.headers["www-authenticate"].startswith("Bearer"), operation.label
            operation.validate_response(answer)
    assert open_to_all == PUBLIC


# files: a generator that knows nothing of CSV never gets past the first line


@cache
def kinds() -> dict[str, bytes]:
    """A small file of each kind that is taken."""
    plain, parquet, archive = csv(12), io.BytesIO(), io.BytesIO()
    unlabelled()["application"].head(12).write_parquet(parquet)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("application.csv", plain)
        out.writestr("bureau.csv", unlabelled()["bureau"].head(30).write_csv())
    return {"a.csv": plain, "a.csv.gz": gzip.compress(plain), "a.parquet": parquet.getvalue(), "a.zip": archive.getvalue()}  # fmt: skip


@st.composite
def files(draw: st.DrawFn) -> tuple[str, bytes]:
    """A file as it is, cut off, with some bytes overwritten or put between, or under the name of another kind."""
    name = draw(st.sampled_from(sorted(kinds())))
    data = bytearray(kinds()[name])
    known = st.sampled_from([b"\n", b'"', b",", b"\xff\xfe", b"9" * 400, b"nan", b"\x00"])
    for _ in range(draw(st.integers(0, 3))):
        at, some = draw(st.integers(0, len(data))), draw(st.binary(max_size=12) | known)
        match draw(st.sampled_from(("cut", "overwrite", "insert"))):
            case "cut":
                del data[at:]
            case "overwrite":
                data[at : at + len(some)] = some
            case _:
                data[at:at] = some
    other = st.sampled_from(["b.csv", "b.parquet", "b.zip", "b.xlsx", "..", "../../b.csv", "b\u00fc.csv", "b", ".csv", "b.csv.zst"])  # fmt: skip
    return draw(st.just(name) | st.just(name) | other), bytes(data)


NAMES = (
    None,
    None,
    None,
    "",
    "credit-risk",
    "credit-risk@1",
    "credit-risk@",
    "@",
    "none",
    "a\x00b",
    "\U0001f600" * 400,
)


def uploaded(world: World, caller: Program, described: Any, examples: int, seen: Counter[str]) -> None:
    """Send a file, perform its job, read what became of it and load its results."""
    root = "/api/v1/credit/batches"
    submit, read = described[root]["POST"], described[f"{root}/{{batch_id}}"]["GET"]
    download = described[f"{root}/{{batch_id}}/{{which}}"]["GET"]

    @settings(examples)
    @hypothesis.given(file=files(), model=st.sampled_from(NAMES))
    def send(file: tuple[str, bytes], model: str | None) -> None:
        answer = caller("POST", root, files={"file": file}, data={} if model is None else {"model": model})
        submit.validate_response(answer)
        seen[str(answer.status_code)] += 1
        assert answer.status_code < 500, (file, model)
        if answer.status_code != 202:
            return
        batch = answer.json()["id"]
        (job,) = caller("GET", "/api/v1/jobs", params={"subject_id": batch}).json()["items"]
        with suppress(PlumblineError):  # what the file is refused with; anything else is an accident
            run_inline(world.ours.installation, UUID(job["id"]))
        told = caller("GET", f"{root}/{batch}")
        read.validate_response(told)
        assert told.json()["status"] in ("completed", "failed"), (file, told.json())
        seen[told.json()["status"]] += 1
        for which in ("results", "results.parquet", "rejects"):
            loaded = caller("GET", f"{root}/{batch}/{which}")
            download.validate_response(loaded)
            assert loaded.status_code in (200, 409), (file, which)

    send()


def test_a_file_is_scored_or_refused(world: World, caller: Program, described: Any) -> None:
    seen: Counter[str] = Counter()
    uploaded(world, caller, described, 8, seen)
    assert seen["202"]


@BOTH
@pytest.mark.slow
def test_a_damaged_file_is_scored_or_refused_with_its_reason(world: World, caller: Program, described: Any) -> None:
    seen: Counter[str] = Counter()
    uploaded(world, caller, described, 120, seen)
    assert {"202", "422", "404", "completed", "failed"} <= set(seen), seen
