"""Whatever file is sent, it is scored or refused with a reason, and every answer on the way is one that is documented.

The generator of the other calls knows nothing of CSV and never gets past the first line: here real files are damaged.
"""

from __future__ import annotations

import gzip
import io
import zipfile
from collections import Counter
from contextlib import suppress
from functools import cache
from typing import Any
from uuid import UUID

import hypothesis
import pytest
import schemathesis
from hypothesis import strategies as st

from plumbline.kernel.errors import PlumblineError
from plumbline.kernel.jobs.service import run_inline
from tests.api.world import BOTH, World, administrator, csv, program
from tests.credit.trained import unlabelled
from tests.support.http import Program

ROOT = "/api/v1/credit/batches"
MODELS = (
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


@pytest.fixture(scope="module")
def described(world: World) -> Any:
    return schemathesis.openapi.from_asgi("/api/v1/openapi.json", world.app)


@pytest.fixture(scope="module")
def caller(world: World) -> Program:
    return program(world.app, world.ours, administrator(world.ours))


@cache
def kinds() -> dict[str, bytes]:
    """A small file of each kind that is taken."""
    plain, parquet, archive = csv(12), io.BytesIO(), io.BytesIO()
    unlabelled()["application"].head(12).write_parquet(parquet)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("application.csv", plain)
        out.writestr("bureau.csv", unlabelled()["bureau"].head(30).write_csv())
    packed = gzip.compress(plain, mtime=0)
    return {"a.csv": plain, "a.csv.gz": packed, "a.parquet": parquet.getvalue(), "a.zip": archive.getvalue()}


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
    others = ["b.csv", "b.parquet", "b.zip", "b.xlsx", "..", "../../b.csv", "b\u00fc.csv", "b", ".csv", "b.csv.zst"]
    return draw(st.just(name) | st.just(name) | st.sampled_from(others)), bytes(data)


def uploaded(world: World, caller: Program, described: Any, examples: int) -> Counter[str]:
    """Send a file, perform its job, read what became of it and load its results."""
    submit, read = described[ROOT]["POST"], described[f"{ROOT}/{{batch_id}}"]["GET"]
    download = described[f"{ROOT}/{{batch_id}}/{{which}}"]["GET"]
    seen: Counter[str] = Counter()

    @hypothesis.settings(max_examples=examples, deadline=None, database=None, derandomize=True, phases=[hypothesis.Phase.generate],
                         suppress_health_check=list(hypothesis.HealthCheck))  # fmt: skip
    @hypothesis.given(file=files(), model=st.sampled_from(MODELS))
    def send(file: tuple[str, bytes], model: str | None) -> None:
        answer = caller("POST", ROOT, files={"file": file}, data={} if model is None else {"model": model})
        submit.validate_response(answer)
        seen[str(answer.status_code)] += 1
        assert answer.status_code < 500, (file, model)
        if answer.status_code != 202:
            return
        batch = answer.json()["id"]
        (job,) = caller("GET", "/api/v1/jobs", params={"subject_id": batch}).json()["items"]
        with suppress(PlumblineError):  # what the file is refused with; anything else is an accident
            run_inline(world.ours.installation, UUID(job["id"]))
        told = caller("GET", f"{ROOT}/{batch}")
        read.validate_response(told)
        assert told.json()["status"] in ("completed", "failed"), (file, told.json())
        seen[told.json()["status"]] += 1
        for which in ("results", "results.parquet", "rejects"):
            loaded = caller("GET", f"{ROOT}/{batch}/{which}")
            download.validate_response(loaded)
            assert loaded.status_code in (200, 409), (file, which)

    send()
    return seen


def test_a_file_is_scored_or_refused(world: World, caller: Program, described: Any) -> None:
    assert uploaded(world, caller, described, 8)["202"]


@BOTH
@pytest.mark.slow
def test_a_damaged_file_is_scored_or_refused_with_its_reason(world: World, caller: Program, described: Any) -> None:
    seen = uploaded(world, caller, described, 120)
    assert {"202", "422", "404", "completed", "failed"} <= set(seen), seen
