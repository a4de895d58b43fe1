"""The ledger's state as people of each role see it, on both engines: verification, checkpoints, keys."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

from fastapi import FastAPI

from plumbline.kernel.installation import Installation
from plumbline.kernel.jobs.service import run_inline
from plumbline.kernel.ledger import queries
from plumbline.kernel.ledger.pages.ledger import destination_state, state_of
from plumbline.kernel.ledger.repository import outside
from plumbline.kernel.ledger.service import checking, delivering, proving, standing
from plumbline.kernel.ledger.service.delivering import ALARM, DestinationView
from plumbline.kernel.paging import PageRequest
from tests.conftest import Firm, SteppingClock
from tests.kernel.ledger.reading import acted, app, opened, read, sealed, verified
from tests.kernel.ledger.tampering import owning
from tests.kernel.models.site import signed_in, statuses

__all__ = ["app"]
PART = {"HX-Request": "true"}


# --- the page


def test_an_organization_that_sealed_nothing_is_told_what_comes(firm: Firm, app: FastAPI) -> None:
    page = read(app, firm, role="admin")
    assert "Nothing is sealed yet" in page
    assert "No checkpoint yet" in page
    assert "No key yet" in page
    assert "nothing to verify before" in page
    assert "Checkpoints do not leave this installation" in page
    assert 'action="/ledger/seal"' in page
    assert 'action="/ledger/verifications"' not in page


def test_a_sealed_ledger_shows_its_checkpoint_and_its_key(firm: Firm, app: FastAPI) -> None:
    acted(firm)
    size = sealed(firm)
    s = standing.standing(firm.installation, firm.as_role("viewer"))
    assert s.root is not None
    page = read(app, firm)
    assert "Not verified yet" in page
    assert f'data-copy="{s.root.hex()}"' in page
    assert f'href="/ledger/checkpoints/{size}"' in page
    for key in s.verifier_keys:
        assert key.replace("+", "&#43;") in page or key in page
    assert "everything is sealed" in page
    text = proving.checkpoint(firm.installation, firm.as_role("viewer"))
    assert text.splitlines()[2] in page.replace("&#43;", "+")
    assert "No witness has cosigned it" in page


def test_what_waits_for_long_is_said(firm: Firm, app: FastAPI, clock: SteppingClock) -> None:
    sealed(firm)
    acted(firm)
    assert "Is a worker running?" not in read(app, firm)
    clock.now += timedelta(minutes=6)
    page = read(app, firm)
    assert "Is a worker running?" in page
    assert ">6\xa0min\xa0ago<" in page


def test_what_hinders_sealing_is_said_with_what_to_do(firm: Firm, app: FastAPI) -> None:
    sealed(firm)
    (firm.installation.settings.keys / "ledger.key").unlink()
    acted(firm)
    page = read(app, firm, role="admin")
    assert "Sealing is hindered" in page
    assert "Put keys/ledger.key back from its copy" in page
    assert 'action="/ledger/seal"' not in page
    answer = signed_in(app, firm, "admin").post("/ledger/seal")
    assert answer.status_code == 303
    assert "nothing%20was%20sealed" in answer.headers["set-cookie"]


def test_sealing_by_hand_takes_in_its_own_entry(firm: Firm, app: FastAPI) -> None:
    acted(firm, 3)
    answer = signed_in(app, firm, "analyst").post("/ledger/seal")
    assert (answer.status_code, answer.headers["location"]) == (303, "/ledger")
    s = standing.standing(firm.installation, firm.as_role("viewer"))
    assert s.waiting == 0
    done = queries.list_entries(
        firm.installation, firm.as_role("admin"), queries.Query(action="ledger.seal"), PageRequest()
    )
    assert len(done.items) == 1


def test_a_verification_is_asked_for_followed_and_told(firm: Firm, app: FastAPI) -> None:
    sealed(firm)
    client = signed_in(app, firm, "viewer")
    answer = client.post("/ledger/verifications")
    assert answer.status_code == 303
    address = answer.headers["location"]
    job_id = UUID(address.partition("asked=")[2])
    page = client.get(address).text
    assert "Verifying everything" in page
    assert 'action="/ledger/verifications"' not in page  # one at a time
    strip = f"/ledger/verifying/{job_id}"
    assert f'hx-get="{strip}"' in page
    assert client.get(strip, headers=PART).status_code == 200
    run_inline(firm.installation, job_id)
    ended = client.get(strip, headers=PART)
    assert ended.status_code == 286
    assert ended.headers["HX-Refresh"] == "true"
    page = client.get(address).text
    assert "Verifying everything" not in page
    assert re.search(r'class="chip ok">.*?Sound</span> Last verified <time', page)
    assert "Verify again" in page
    assert "Viewer of Northwind" in page


def test_a_verification_that_came_to_nothing_stays_in_view(firm: Firm, app: FastAPI) -> None:
    from plumbline.kernel.jobs import service as jobs

    sealed(firm)
    client = signed_in(app, firm, "admin")
    address = client.post("/ledger/verifications").headers["location"]
    jobs.cancel(firm.installation, firm.as_role("admin"), UUID(address.partition("asked=")[2]))
    page = client.get(address).text
    assert "cancelled" in page
    assert "Verify now" in page


def test_findings_are_listed_with_the_entries_that_are_there(firm: Firm, app: FastAPI, database_url: str) -> None:
    changed, deleted = acted(firm), acted(firm)
    sealed(firm)
    with owning(database_url, firm.id) as owner:
        owner.run("UPDATE audit_log SET action = 'things.hide' WHERE id = ?", changed)
        owner.run("DELETE FROM audit_log WHERE id = ?", deleted)
    verified(firm)
    page = read(app, firm)
    assert "Not sound, 3 findings" in page
    assert f"entry {changed} was changed" in page
    assert f"entry {deleted} was deleted" in page
    assert f'href="/audit/{changed}"' in page
    assert f'href="/audit/{deleted}"' not in page
    assert "3 of 3 findings" in page
    own = re.search(r'href="(/ledger/verifications/[^"]+)"', page)
    assert own is not None
    assert "was deleted" in read(app, firm, own[1])


def test_lists_go_on_where_they_ended(firm: Firm, app: FastAPI, clock: SteppingClock) -> None:
    for _ in range(12):
        acted(firm)
        sealed(firm)
        verified(firm)
        clock.now += timedelta(minutes=1)
    page = read(app, firm)
    for noun, parameter in (("checkpoints", "below"), ("verifications", "cursor")):
        assert f"10 of 12 {noun}" in page
        following = re.search(rf'href="(/ledger\?{parameter}=[^"#]+)#{noun}" rel="next"', page)
        assert following is not None
        rest = read(app, firm, following[1])
        assert f"2 of 12 {noun}" in rest
        assert f'href="/ledger#{noun}" rel="first"' in rest
    assert "10 of 12 verifications" in read(app, firm, "/ledger?cursor=!!")


# --- who may


def test_everybody_sees_and_only_who_may_acts(firm: Firm, app: FastAPI) -> None:
    entry = acted(firm)
    size = sealed(firm)
    verified(firm)
    check_id = standing.verifications(firm.installation, firm.as_role("admin"), PageRequest(1)).items[0].id
    for path in ("/ledger", f"/ledger/checkpoints/{size}", f"/ledger/proofs/{entry}", f"/ledger/proofs/{entry}/card",
                 f"/ledger/verifications/{check_id}"):  # fmt: skip
        expected = {"nobody": 303, "viewer": 200, "analyst": 200, "admin": 200}
        assert statuses(app, firm, "GET", path) == expected, path
    assert statuses(app, firm, "POST", "/ledger/seal") == {"nobody": 401, "viewer": 403, "analyst": 303, "admin": 303}
    assert statuses(app, firm, "POST", "/ledger/verifications") == {
        "nobody": 401,
        "viewer": 303,
        "analyst": 303,
        "admin": 303,
    }
    assert "Seal now" not in read(app, firm)
    assert "Seal now" in read(app, firm, role="analyst")


def test_another_organization_finds_nothing(firm: Firm, other_firm: Firm, app: FastAPI) -> None:
    entry = acted(firm, 3)
    size = sealed(firm)
    verified(firm)
    job = checking.request(firm.installation, firm.as_role("admin"))
    check_id = standing.verifications(firm.installation, firm.as_role("admin"), PageRequest(1)).items[0].id
    theirs = signed_in(app, other_firm, "admin")
    for path in (f"/ledger/proofs/{entry}", f"/ledger/proofs/{entry}/card", f"/ledger/checkpoints/{size}", f"/ledger/verifying/{job}",
                 f"/ledger/verifications/{check_id}", f"/ledger?asked={job}", f"/ledger/proofs/{uuid4()}"):  # fmt: skip
        assert theirs.get(path).status_code == 404, path
    assert "Nothing is sealed yet" in read(app, other_firm)


def test_a_job_of_another_kind_is_no_verification(firm: Firm, app: FastAPI) -> None:
    from plumbline.kernel.jobs.queue import enqueue

    with firm.installation.database.write(firm.id) as session:
        job = enqueue(session, firm.as_role("admin"), "credit.batch", {})
    assert signed_in(app, firm, "viewer").get(f"/ledger/verifying/{job}").status_code == 404


def test_alarms_of_a_destination_stand_on_top(
    make_installation: Callable[..., Installation], database_url: str, tmp_path: Path
) -> None:
    store = tmp_path / "kept"
    store.mkdir()
    installation = make_installation(database_url, ledger_stores=[str(store)])
    firm = Firm(installation, "northwind")
    app = opened(installation, firm)
    acted(firm, 3)
    size = sealed(firm)
    assert "Not tried yet" in read(app, firm)
    delivering.deliver(installation, firm.id)
    page = read(app, firm)
    assert "Has everything" in page
    assert f"{size:,} of {size:,}" in page
    acted(firm)
    sealed(firm)
    assert "1 behind" in read(app, firm)
    row = delivering.destinations(installation, firm.id)[0].address
    with installation.worker_database.write(firm.id) as session:
        outside.remember_destination(session, firm.id, row, kind="store", tree_size=size, tried_at=installation.clock(), delivered_at=None,
                                     error=f"{ALARM}history was rewritten.")  # fmt: skip
    page = read(app, firm)
    assert 'class="notice bad"' in page
    assert page.count("history was rewritten.") == 2


# --- in words


def _destination(**given: object) -> DestinationView:
    values = {
        "address": "/x",
        "kind": "store",
        "witness": None,
        "tree_size": 1,
        "behind": 0,
        "delivered_at": None,
        "tried_at": None,
        "error": None,
    }
    return DestinationView(**(values | given))  # type: ignore[arg-type]


def test_an_error_of_the_way_is_no_alarm(clock: SteppingClock) -> None:
    assert destination_state(_destination(tried_at=clock.now, error="It is away.")) == (
        "warn",
        "Not delivered",
        "alert",
    )
    assert destination_state(_destination(tried_at=clock.now, error=f"{ALARM}cut off.")) == ("bad", "Alarm", "alert")


def test_what_is_not_sound_is_said_before_what_hinders(firm: Firm, database_url: str) -> None:
    entry = acted(firm)
    sealed(firm)
    with owning(database_url, firm.id) as owner:
        owner.run("DELETE FROM audit_log WHERE id = ?", entry)
    verified(firm)
    (firm.installation.settings.keys / "ledger.key").unlink()
    s = standing.standing(firm.installation, firm.as_role("viewer"))
    assert s.obstacle
    assert state_of(s) == ("bad", "Not sound, 1 finding", "alert")
