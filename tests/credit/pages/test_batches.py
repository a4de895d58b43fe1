"""The pages of files."""

from __future__ import annotations

import re

import pytest

from plumbline.credit import service
from plumbline.kernel.jobs import repository as jobs
from tests.credit.pages.desk import Desk, csv

HTMX = {"HX-Request": "true"}


def test_a_file_is_sent_followed_and_read(desk: Desk) -> None:
    browser = desk.browser()
    answer = browser.request(
        "POST", "/credit/batches", files={"file": ("branch.csv", csv(40, faults=3))}, data={"model": ""}
    )
    assert answer.status_code == 303
    address = answer.headers["location"]
    waiting = browser.get(address).text
    assert "Waiting for a worker" in waiting
    assert f'hx-get="{address}/progress"' in waiting
    assert browser.get(f"{address}/progress", headers=HTMX).status_code == 200
    view = desk.lender.perform(service.batch_of(desk.lender.installation, desk.lender.analyst, _key(address)))
    ended = browser.get(f"{address}/progress", headers=HTMX)
    assert ended.status_code == 286
    assert ended.headers["HX-Refresh"] == "true"
    done = browser.get(address).text
    assert "Completed" in done
    for figure in ("40", "37", "3"):
        assert f'<p class="big">{figure}</p>' in done
    assert "Rejected rows" in done
    assert done.count("The value must be a number") + done.count("AMT_<wbr>CREDIT") >= 3
    assert view.batch.extra["files"]["results.csv"][:4] in done


def test_the_same_form_by_script_goes_on_or_shows_its_faults(desk: Desk) -> None:
    browser = desk.browser()
    good = browser.request("POST", "/credit/batches", files={"file": ("branch.csv", csv(5))}, headers=HTMX)
    assert good.status_code == 204
    assert good.headers["HX-Redirect"].startswith("/credit/batches/")
    bad = browser.request("POST", "/credit/batches", files={"file": ("branch.pdf", b"%PDF")}, headers=HTMX)
    assert bad.status_code == 422
    assert "<html" not in bad.text
    assert "no file of a kind that can be read" in bad.text
    assert 'aria-invalid="true"' in bad.text


@pytest.mark.parametrize(("files", "data", "said"), [
    ({"file": ("empty.csv", b"")}, {}, "The file is empty"), ({}, {"model": ""}, "No file was sent"),
    ({"file": ("branch.csv", b"a\n1\n")}, {"model": "nobody@9"}, "There is no"),
])  # fmt: skip
def test_a_file_that_cannot_be_taken_is_told_beside_the_field(desk: Desk, files: dict, data: dict, said: str) -> None:  # type: ignore[type-arg]
    answer = desk.browser().request("POST", "/credit/batches", files=files or None, data=data)
    assert answer.status_code == 422
    assert said in answer.text
    assert desk.lender.count("batch_uploads") == 0


def test_the_files_of_a_batch_are_those_that_are_stored(desk: Desk) -> None:
    view = desk.scored(csv(30, faults=2))
    browser, folder = desk.browser("viewer"), desk.lender.folder(view)
    for which, name, media in (("results", "results.csv", "text/csv"), ("results.parquet", "results.parquet", "application/vnd.apache.parquet"),
                               ("rejects", "rejects.csv", "text/csv")):  # fmt: skip
        answer = browser.get(f"/credit/batches/{view.batch.id}/files/{which}")
        assert answer.content == (folder / name).read_bytes()
        assert answer.headers["content-type"].startswith(media)
        assert f"branch-{name}" in answer.headers["content-disposition"]
    assert browser.get(f"/credit/batches/{view.batch.id}/files/secrets").status_code == 404
    assert len(desk.lender.entries("credit.batch.download")) == 3


def test_the_decisions_of_a_file_are_filtered_and_swapped_in(desk: Desk) -> None:
    view = desk.scored(csv(60))
    address = f"/credit/batches/{view.batch.id}"
    browser = desk.browser("viewer")
    page = browser.get(address).text
    assert "25 of 60 decisions" in page
    part = browser.get(f"{address}?level=Low", headers=HTMX).text
    assert "<html" not in part
    cells = set(re.findall(r'<td class="p2 soft">(Low|Medium|High)</td>', part))
    assert cells == {"Low"}


def test_a_failed_file_says_why_in_full_and_can_be_gone_on_with(desk: Desk) -> None:
    view = desk.send(csv(20).replace(b"AMT_CREDIT", b"AMT_CREDITS"), "north.csv")
    with pytest.raises(Exception, match="AMT_CREDITS"):
        desk.lender.perform(view)
    page = desk.browser().get(f"/credit/batches/{view.batch.id}").text
    assert "Failed" in page
    assert "north.csv" in page
    assert "Did you mean AMT_CREDIT?" in page
    assert "Go on" in page
    assert "Go on" not in desk.browser("viewer").get(f"/credit/batches/{view.batch.id}").text
    answer = desk.browser().post(f"/credit/batches/{view.batch.id}/resume")
    assert answer.status_code == 303
    assert desk.browser().post(f"/credit/batches/{view.batch.id}/resume").status_code == 409


def test_a_running_file_is_cancelled_by_who_sent_it(desk: Desk) -> None:
    view = desk.send(csv(20))
    assert "Cancel this file?" in desk.browser().get(f"/credit/batches/{view.batch.id}").text
    assert "Cancel this file?" not in desk.browser("viewer").get(f"/credit/batches/{view.batch.id}").text
    assert desk.browser("viewer").post(f"/credit/batches/{view.batch.id}/cancel").status_code == 403
    assert desk.browser().post(f"/credit/batches/{view.batch.id}/cancel").status_code == 303
    assert service.batch_of(desk.lender.installation, desk.lender.analyst, view.batch.id).status == "failed"
    assert "Go on" in desk.browser().get(f"/credit/batches/{view.batch.id}").text


def test_a_file_that_was_sent_before_points_to_the_first(desk: Desk) -> None:
    first = desk.scored(csv(10))
    again = desk.scored(csv(10))
    page = desk.browser().get(f"/credit/batches/{again.batch.id}").text
    assert f"/credit/batches/{first.batch.id}" in page


def test_the_list_shows_each_file_with_its_true_state(desk: Desk) -> None:
    done, waiting = desk.scored(csv(10), "a.csv"), desk.send(csv(10), "b.csv")
    cancelled = desk.send(csv(10), "c.csv")
    with desk.lender.installation.database.write(desk.lender.id) as session:
        assert cancelled.batch.job_id is not None
        jobs.cancel_queued(session, desk.lender.id, cancelled.batch.job_id, desk.lender.installation.clock())
    page = desk.browser("viewer").get("/credit/batches").text
    rows = {name: re.search(rf"{name}.*?chip[^>]*>(\w+)", page, re.S)[1] for name in ("a.csv", "b.csv", "c.csv")}  # type: ignore[index]
    assert rows == {"a.csv": "Completed", "b.csv": "Waiting", "c.csv": "Failed"}
    assert str(done.batch.id) in page
    assert str(waiting.batch.id) in page
    assert 'href="/credit/batches/new"' not in page


def test_a_viewer_may_not_send_a_file(desk: Desk) -> None:
    browser = desk.browser("viewer")
    assert browser.get("/credit/batches/new").status_code == 403
    assert browser.request("POST", "/credit/batches", files={"file": ("branch.csv", csv(3))}).status_code == 403
    assert browser.request("POST", "/credit/batches", data={"model": ""}).status_code == 403
    assert desk.lender.count("batch_uploads") == 0


def test_another_tenant_finds_no_file(desk: Desk) -> None:
    view = desk.scored(csv(10))
    browser = desk.browser("admin", "contoso")
    for path in ("", "/progress", "/files/results", "/files/rejects"):
        assert browser.get(f"/credit/batches/{view.batch.id}{path}").status_code == 404
    for act in ("cancel", "resume"):
        assert browser.post(f"/credit/batches/{view.batch.id}/{act}").status_code == 404
    assert "No file was sent yet" in browser.get("/credit/batches").text


def _key(address: str) -> object:
    from uuid import UUID

    return UUID(address.rpartition("/")[2])
