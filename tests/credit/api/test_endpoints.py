"""The room's routes through a real server: what a program sends and gets, and each way it can fail."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

from plumbline.app import create_app
from plumbline.kernel.database import new_id
from plumbline.kernel.identity.service import create_key
from plumbline.kernel.installation import Installation
from plumbline.kernel.jobs.worker import Worker
from tests.browser_support import serve
from tests.credit.trained import Lender, application_with, payload, unlabelled, write_zip

Ask = Callable[..., httpx.Response]


def asking(address: str) -> httpx.Client:
    return httpx.Client(base_url=f"{address}/api/v1/credit", timeout=30, trust_env=False)


@pytest.fixture
def ask(embedded: Lender) -> Iterator[Ask]:
    """``ask("GET", "/predictions", key="admin")``: by default with the analyst's key."""
    with serve(create_app(embedded.installation)) as address, asking(address) as client:
        yield asked_by(client, embedded)


def asked_by(client: httpx.Client, lender: Lender) -> Ask:
    def asked(method: str, path: str, *, key: str | None = "analyst", status: int = 200, **rest: Any) -> httpx.Response:
        headers = {} if key is None else {"Authorization": f"Bearer {lender.keys.get(key, key)}"}
        response = client.request(method, path, headers=headers, **rest)
        assert response.status_code == status, response.text
        return response

    return asked


def problem(response: httpx.Response) -> dict[str, Any]:
    """The problem document of a failure, which names its request."""
    assert response.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = response.json()
    assert found["status"] == response.status_code
    assert found["request_id"]
    assert found["request_id"] == response.headers["x-request-id"]
    return found


def narrow_key(lender: Lender, *scopes: str) -> str:
    return str(create_key(lender.installation, lender.analyst, name="narrow", scopes=list(scopes))[1])


def sent(path: Path, name: str | None = None) -> dict[str, Any]:
    return {"file": (name or path.name, path.read_bytes())}


@pytest.fixture
def working(embedded: Lender) -> Iterator[None]:
    """A worker beside the server, as ``serve`` starts one."""
    worker = Worker(embedded.installation, name="test", threads=1, poll=0.02)
    worker.start()
    yield
    assert worker.stop()


def finished(ask: Ask, batch: str, within: float = 20.0) -> dict[str, Any]:
    """Ask until the batch is no longer worked on."""
    deadline, pause = time.monotonic() + within, threading.Event()
    while time.monotonic() < deadline:
        found: dict[str, Any] = ask("GET", f"/batches/{batch}").json()
        if found["status"] in ("completed", "failed"):
            return found
        pause.wait(0.05)
    raise AssertionError(f"the batch was not finished within {within} s")


def test_an_application_is_decided_and_can_be_looked_at_from_each_side(ask: Ask, embedded: Lender) -> None:
    answer = ask("POST", "/score", json=payload(0)).json()
    assert answer["subject_id"] == answer["sk_id_curr"] == str(payload(0)["application"]["SK_ID_CURR"])
    assert answer["model"] == {"name": "credit-risk", "version": "1", "sha256": embedded.sha256}
    one = ask("GET", f"/predictions/{answer['id']}").json()
    assert (one["probability"], one["decision"]) == (answer["probability"], answer["decision"])
    assert one["content"] == payload(0)
    why = ask("GET", f"/predictions/{answer['id']}/explanation").json()
    assert why["groups"][answer["reasons"][0]["code"]] == pytest.approx(answer["reasons"][0]["contribution"])
    again = ask("POST", f"/predictions/{answer['id']}/replay").json()
    assert (again["equal"], again["differences"]) == (True, [])
    assert again["probability"] == again["stored_probability"] == answer["probability"]


def test_a_decision_that_a_person_looks_at_shows_its_review(ask: Ask) -> None:
    waiting = ask("POST", "/score", json=application_with(decision="review")).json()
    assert ask("GET", f"/predictions/{waiting['id']}").json()["review"]["final_decision"] is None


def test_the_list_is_filtered_and_goes_on_at_its_cursor(ask: Ask) -> None:
    made = [ask("POST", "/score", json=payload(number)).json() for number in range(5)]
    seen: list[dict[str, Any]] = []
    cursor = None
    for expected in (2, 2, 1):
        page = ask("GET", "/predictions", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        assert (len(page["items"]), page["total"]) == (expected, "5")
        seen += page["items"]
        cursor = page["next"]
    assert cursor is None
    assert sorted(one["id"] for one in seen) == sorted(one["id"] for one in made)
    for level in ("Low", "Medium", "High"):
        found = ask("GET", "/predictions", params={"risk_level": level}).json()["items"]
        assert {one["id"] for one in found} == {one["id"] for one in made if one["risk_level"] == level}
    one = made[0]
    (found,) = ask("GET", "/predictions", params={"subject_id": one["subject_id"]}).json()["items"]
    assert found["id"] == one["id"]


def test_the_same_request_again_gets_the_same_answer(ask: Ask, embedded: Lender) -> None:
    request = payload(0) | {"id": str(new_id(embedded.installation.clock()))}
    first = ask("POST", "/score", json=request).json()
    assert first["id"] == request["id"]
    assert ask("POST", "/score", json=request).json() == first
    assert ask("GET", "/predictions").json()["total"] == "1"
    other = problem(ask("POST", "/score", json=payload(1) | {"id": request["id"]}, status=409))
    assert other["where"] == {"field": "id"}
    assert "new id" in other["remedy"]


@pytest.mark.usefixtures("working")
def test_a_file_is_uploaded_followed_and_its_results_downloaded(ask: Ask, tmp_path: Path) -> None:
    tables = dict(unlabelled())
    wrong = pl.int_range(pl.len()) == 3
    tables["application"] = tables["application"].with_columns(
        pl.when(wrong).then(9000).otherwise(pl.col("DAYS_BIRTH")).alias("DAYS_BIRTH")
    )
    taken = ask("POST", "/batches", files=sent(write_zip(tmp_path / "north.zip", tables)), status=202).json()
    assert (taken["filename"], taken["status"], taken["same_as"]) == ("north.zip", "pending", None)
    batch = finished(ask, taken["id"])
    assert (batch["status"], batch["rows"], batch["rejected"]) == ("completed", 120, 1)
    assert batch["summary"]["scored"] == sum(batch["summary"]["decisions"].values()) == 119

    text = ask("GET", f"/batches/{taken['id']}/results")
    assert text.headers["content-type"] == "text/csv; charset=utf-8"
    assert 'filename="north-results.csv"' in text.headers["content-disposition"]
    packed = ask("GET", f"/batches/{taken['id']}/results.parquet")
    frame = pl.read_parquet(io.BytesIO(packed.content))
    assert frame["probability"].to_list() == pl.read_csv(text.content)["probability"].to_list()
    rejected = pl.read_csv(ask("GET", f"/batches/{taken['id']}/rejects").content)
    assert (rejected["column"].to_list(), rejected["line"].to_list()) == (["DAYS_BIRTH"], [5])

    rows = ask("GET", "/predictions", params={"batch_id": taken["id"], "limit": 200}).json()["items"]
    assert len(rows) == 119
    assert ask("POST", f"/predictions/{rows[0]['id']}/replay").json()["equal"] is True
    assert [one["id"] for one in ask("GET", "/batches").json()["items"]] == [taken["id"]]
    again = ask("POST", "/batches", files=sent(tmp_path / "north.zip"), status=202).json()
    assert again["same_as"] == taken["id"]
    finished(ask, again["id"])


def test_a_waiting_batch_is_cancelled_and_resumed(ask: Ask, embedded: Lender, tmp_path: Path) -> None:
    path = write_zip(tmp_path / "in.zip")
    key = ask("POST", "/batches", files=sent(path), data={"model": "credit-risk@1"}, status=202).json()["id"]
    assert problem(ask("GET", f"/batches/{key}/results", status=409))["remedy"].startswith("Wait")
    problem(ask("POST", f"/batches/{key}/resume", status=409))
    assert ask("POST", f"/batches/{key}/cancel").json()["error"] == "the job was cancelled"
    problem(ask("POST", f"/batches/{key}/cancel", status=409))
    assert ask("POST", f"/batches/{key}/resume").json()["status"] == "pending"
    from uuid import UUID

    from plumbline.credit import service

    embedded.perform(service.batch_of(embedded.installation, embedded.analyst, UUID(key)))
    assert ask("GET", f"/batches/{key}").json()["status"] == "completed"
    problem(ask("POST", f"/batches/{key}/resume", status=409))
    problem(ask("GET", f"/batches/{key}/everything", status=404))


def test_batches_go_on_at_their_cursor(ask: Ask, tmp_path: Path) -> None:
    path = write_zip(tmp_path / "in.zip")
    made = [ask("POST", "/batches", files=sent(path), status=202).json()["id"] for _ in range(3)]
    first = ask("GET", "/batches", params={"limit": 2}).json()
    rest = ask("GET", "/batches", params={"limit": 2, "cursor": first["next"]}).json()
    assert sorted(b["id"] for b in first["items"] + rest["items"]) == sorted(made)
    assert (rest["next"], rest["total"]) == (None, "3")


ROUTES = [
    ("POST", "/score"), ("GET", "/predictions"), ("GET", "/predictions/{key}"), ("GET", "/predictions/{key}/explanation"),
    ("POST", "/predictions/{key}/replay"), ("POST", "/batches"), ("GET", "/batches"), ("GET", "/batches/{key}"),
    ("GET", "/batches/{key}/results"), ("POST", "/batches/{key}/cancel"), ("POST", "/batches/{key}/resume"),
]  # fmt: skip


def test_without_a_key_or_with_too_narrow_a_one_nothing_is_answered(ask: Ask, embedded: Lender, tmp_path: Path) -> None:
    narrow, key = narrow_key(embedded, "keys.own"), str(new_id(embedded.installation.clock()))
    path = write_zip(tmp_path / "in.zip")
    for method, route in ROUTES:
        body: dict[str, Any] = {}
        if method == "POST" and route == "/score":
            body = {"json": payload(0)}
        elif method == "POST" and route == "/batches":
            body = {"files": sent(path)}
        place = route.format(key=key)
        nobody = ask(method, place, key=None, status=401, **body)
        assert problem(nobody)["code"] == "not-signed-in"
        assert nobody.headers["www-authenticate"].startswith("Bearer")
        problem(ask(method, place, key="pl_made_up", status=401, **body))
        assert problem(ask(method, place, key=narrow, status=403, **body))["code"] == "forbidden"
    assert ask("GET", "/predictions").json()["total"] == "0"
    assert ask("GET", "/batches").json()["total"] == "0"


def test_what_another_organization_has_is_not_there(
    ask: Ask, embedded: Lender, sqlite_lenders: dict[str, Lender], tmp_path: Path
) -> None:
    foreign = sqlite_lenders["contoso"].keys["admin"]
    decided = ask("POST", "/score", json=payload(0)).json()["id"]
    batch = ask("POST", "/batches", files=sent(write_zip(tmp_path / "in.zip")), status=202).json()["id"]
    for method, route in ROUTES:
        if "{key}" in route:
            place = route.format(key=decided if "predictions" in route else batch)
            problem(ask(method, place, key=foreign, status=404))
    for route in ("/predictions", "/batches"):
        assert ask("GET", route, key=foreign).json()["items"] == []


def test_faults_are_told_with_their_fields(ask: Ask) -> None:
    wrong = payload(0)
    wrong["application"] |= {"AMT_CREDIT": "much", "DAYS_BIRTH": 9000}
    told = problem(ask("POST", "/score", json=wrong, status=422))
    assert {one["where"]["column"] for one in told["errors"]} == {"AMT_CREDIT", "DAYS_BIRTH"}
    broken = ask("POST", "/score", content=b'{"application": 1\n', status=422)
    assert problem(broken)["where"] == {"line": 2}
    for body in ([1], {}, {"application": 3}, payload(0) | {"model": 3}, payload(0) | {"id": "mine"}):
        problem(ask("POST", "/score", json=body, status=422))
    assert "no model" in problem(ask("POST", "/score", json=payload(0) | {"model": "nobody"}, status=404))["detail"]
    for query in ({"risk_level": "huge"}, {"limit": 0}, {"cursor": "mine"}, {"batch_id": "mine"}):
        problem(ask("GET", "/predictions", params=query, status=422))
    problem(ask("GET", "/predictions/mine", status=422))
    problem(ask("POST", "/batches", status=422))
    for name, content in (("a.exe", b"MZ"), ("a.csv", b"")):
        told = problem(ask("POST", "/batches", files={"file": (name, content)}, status=422))
        assert told["where"]["file"] == name
    assert ask("GET", "/batches").json()["items"] == []


def test_what_is_too_large_is_refused(embedded: Lender, tmp_path: Path) -> None:
    settings = embedded.installation.settings.model_copy(update={"max_request_bytes": 2_000, "max_upload_bytes": 5_000})
    small = Installation.open(settings, clock=embedded.installation.clock)
    try:
        with serve(create_app(small)) as address, asking(address) as client:
            ask = asked_by(client, embedded)
            told = problem(ask("POST", "/score", json=payload(0), status=413))
            assert "2,000" in told["detail"]
            problem(ask("POST", "/batches", files=sent(write_zip(tmp_path / "in.zip")), status=413))
            assert ask("GET", "/batches").json()["items"] == []
            assert list((small.files / "incoming").glob("*")) == []
    finally:
        small.close()
