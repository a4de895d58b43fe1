"""This installation as a witness: every answer of the protocol, and that it never cosigns two histories of one log."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plumbline.kernel.context import Context
from plumbline.kernel.errors import Conflict, Forbidden, InvalidInput, NotFound
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger import keys, note, tree
from plumbline.kernel.ledger.repository import outside
from plumbline.kernel.ledger.service import sealing, witnessing
from plumbline.kernel.ledger.service.witnessing import Answer, add_checkpoint
from plumbline.kernel.ledger.tables import AuditEntry
from plumbline.settings import Settings
from tests.conftest import Firm, SteppingClock
from tests.support.http import TestClient
from tests.support.witness import PREFIX, Log, OtherWitness, body, witness_app

SIZE, PLAIN = "text/x.tlog.size", "text/plain; charset=utf-8"
_names = itertools.count(1)


def keeper(firm: Firm) -> Context:
    """Somebody who may say which logs are witnessed."""
    return replace(firm.admin, rights=firm.admin.rights | {"ledger.witness"}, now=firm.installation.clock())


def registered(firm: Firm, log: Log | None = None) -> Log:
    log = log or Log(f"log-{next(_names)}.example/ledger/1")
    witnessing.register(firm.installation, keeper(firm), str(log.vkey))
    return log


def cosigned(installation: Installation, log: Log, size: int, answer: Answer) -> int:
    """That the answer is our cosignature over the log's checkpoint; returns its time."""
    assert (answer.status, answer.content_type) == (200, PLAIN), answer
    key = witnessing.verifier_key(installation)
    assert key.kind == note.COSIGNATURE
    text, (signature,) = note.open_note(f"{log.text(size)}\n{answer.text}", [key])
    assert text == log.text(size)
    assert signature.at is not None
    return signature.at


def test_a_log_is_cosigned_as_it_grows(installation: Installation, firm: Firm, clock: SteppingClock) -> None:
    log = registered(firm)
    for old, size in [(0, 1), (1, 1), (1, 2), (2, 255), (255, 256), (256, 1000), (1000, 1000)]:
        assert cosigned(installation, log, size, add_checkpoint(installation, log.request(old, size))) == int(
            clock.now.timestamp()
        )
    (shown,) = witnessing.list_logs(installation, firm.as_role("viewer"))
    assert (shown.origin, shown.tree_size, shown.root, shown.cosigned_at) == (
        log.name,
        1000,
        log.tree().root(1000),
        clock.now,
    )


def test_the_first_tree_may_have_any_size_also_none(installation: Installation, firm: Firm) -> None:
    late, empty = registered(firm), registered(firm)
    cosigned(installation, late, 77, add_checkpoint(installation, late.request(0, 77)))
    cosigned(installation, empty, 0, add_checkpoint(installation, empty.request(0, 0)))
    cosigned(installation, empty, 5, add_checkpoint(installation, empty.request(0, 5)))


def test_extension_lines_are_cosigned_as_they_stand(installation: Installation, firm: Firm) -> None:
    log = registered(firm)
    text = log.text(3) + "an extension\n"
    answer = add_checkpoint(installation, body(0, [], f"{text}\n{note.sign(text, log.name, log.key)}"))
    assert note.open_note(f"{text}\n{answer.text}", [witnessing.verifier_key(installation)])[0] == text


def test_other_signatures_on_the_checkpoint_are_ignored(installation: Installation, firm: Firm) -> None:
    log, other = registered(firm), OtherWitness()
    more = (
        log.note(4)
        + note.cosign(log.text(4), other.name, other.key, 1)
        + note.sign(log.text(4), log.name, Log("x").key)
    )
    cosigned(installation, log, 4, add_checkpoint(installation, body(0, [], more)))


HASH = tree.leaf_hash(b"x")
Made = Callable[[Log], bytes]
REFUSED: list[tuple[str, Made, int, str, str]] = [
    ("unknown origin", lambda log: Log("nobody.example/1").request(0, 3), 404, PLAIN, "not witnessed"),
    ("signed by another key", lambda log: body(10, log.tree().consistency(10, 12), log.note(12, Log("x").key)), 403, PLAIN, "no known key"),
    ("false signature", lambda log: body(10, log.tree().consistency(10, 12), log.note(12).replace(log.text(12), log.text(13))), 403, PLAIN, "false"),
    ("old above new", lambda log: body(10, [], log.note(9)), 400, PLAIN, "above"),
    ("old above recorded and new", lambda log: body(2**70, [], log.note(9)), 400, PLAIN, "above"),
    ("old below recorded", lambda log: log.request(5, 12), 409, SIZE, "10\n"),
    ("old above recorded", lambda log: log.request(11, 12), 409, SIZE, "10\n"),
    ("no state remembered", lambda log: log.request(0, 12), 409, SIZE, "10\n"),
    ("a smaller tree", lambda log: log.request(5, 9), 409, SIZE, "10\n"),
    ("same size, another root", lambda log: log.fork().request(10, 10), 409, PLAIN, "another root"),
    ("a fork that grew", lambda log: log.fork().request(10, 12), 422, PLAIN, "inconsistent"),
    ("proof of another size", lambda log: log.request(9, 12, claimed=10), 422, PLAIN, ""),
    ("no proof", lambda log: body(10, [], log.note(12)), 422, PLAIN, "empty"),
    ("proof too long", lambda log: body(10, [*log.tree().consistency(10, 12), HASH], log.note(12)), 422, PLAIN, "too long"),
    ("63 hashes", lambda log: body(10, [HASH] * 63, log.note(12)), 422, PLAIN, ""),
    ("a proof for the same size", lambda log: body(10, [HASH], log.note(10)), 422, PLAIN, "empty proof"),
    ("64 hashes", lambda log: body(10, [HASH] * 64, log.note(12)), 400, PLAIN, "63"),
    ("a short hash", lambda log: body(10, [HASH[:31]], log.note(12)), 400, PLAIN, "32 bytes"),
    ("no base64", lambda log: log.request(10, 12).replace(b"\n\n", b"\n!!\n\n", 1), 400, PLAIN, "base64"),
    ("a leading zero", lambda log: body("010", [], log.note(12)), 400, PLAIN, "a request is"),
    ("a negative size", lambda log: body(-1, [], log.note(12)), 400, PLAIN, "a request is"),
    ("no old size", lambda log: log.note(12).encode(), 400, PLAIN, "a request is"),
    ("CRLF", lambda log: log.request(10, 12).replace(b"\n", b"\r\n"), 400, PLAIN, ""),
    ("empty", lambda log: b"", 400, PLAIN, ""),
    ("not UTF-8", lambda log: b"old 0\n\n\xff\xfe", 400, PLAIN, "UTF-8"),
    ("a NUL", lambda log: log.request(10, 12) + "— a\0b AAAAAAAA\n".encode(), 400, PLAIN, "control"),
    ("no signature", lambda log: body(10, [], log.text(12) + "\n"), 400, PLAIN, "signature"),
    ("cut off", lambda log: log.request(10, 12)[:-1], 400, PLAIN, "cut off"),
    ("a root of 31 bytes", lambda log: _signed(log, f"{log.name}\n12\n{note.b64(HASH[:31])}\n"), 400, PLAIN, "32 bytes"),
    ("a size beyond 2**63", lambda log: _signed(log, f"{log.name}\n{2**63}\n{note.b64(HASH)}\n"), 400, PLAIN, "too large"),
    ("a size of 5,000 digits", lambda log: _signed(log, f"{log.name}\n{'9' * 5000}\n{note.b64(HASH)}\n"), 400, PLAIN, ""),
    ("too large", lambda log: log.request(10, 12) + b"x" * 65536, 413, PLAIN, "65536"),
]  # fmt: skip


def _signed(log: Log, text: str) -> bytes:
    return body(10, [], f"{text}\n{note.sign(text, log.name, log.key)}")


@pytest.mark.parametrize("case", REFUSED, ids=[c[0] for c in REFUSED])
def test_refusals(case: Any, neighbourly: tuple[Installation, Firm]) -> None:
    installation, firm = neighbourly
    _, made, status, kind, said = case
    log = registered(firm)
    cosigned(installation, log, 10, add_checkpoint(installation, log.request(0, 10)))
    answer = add_checkpoint(installation, made(log))
    assert (answer.status, answer.content_type) == (status, kind), answer
    assert said in answer.text
    with installation.database.read(None) as session:
        row = outside.witnessed_log(session, log.name)
    assert row is not None
    assert (row.tree_size, row.root_hash) == (10, log.tree().root(10))  # nothing was recorded


@pytest.mark.parametrize(("size", "proof", "status"), [(0, [], 409), (3, [HASH], 422)])
def test_beginnings_that_are_refused(
    size: int, proof: list[bytes], status: int, neighbourly: tuple[Installation, Firm]
) -> None:
    installation, firm = neighbourly
    log = registered(firm)
    text = str(note.Checkpoint(log.name, size, HASH))
    assert (
        add_checkpoint(installation, body(0, proof, f"{text}\n{note.sign(text, log.name, log.key)}")).status == status
    )


@pytest.fixture(scope="module")
def neighbourly(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Installation, Firm]]:
    """One installation for the examples: what they speak of does not depend on the engine."""
    home = tmp_path_factory.mktemp("witness")
    (home / "plumbline.db").write_bytes(sqlite_template.read_bytes())
    installation = Installation.open(Settings(home=home, ledger_host="neighbour.example"), clock=SteppingClock())
    yield installation, Firm(installation, "neighbour")
    installation.close()


@given(steps=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20), st.booleans(), st.booleans()), max_size=12))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_asked_one_history_only_is_cosigned(
    neighbourly: tuple[Installation, Firm], steps: list[Any]
) -> None:
    """Against a model: the size and the branch that were cosigned last."""
    installation, firm = neighbourly
    one = registered(firm)
    two = one.fork()
    size, branch = 0, one
    for old, new, other, remembers in steps:
        log = two if other else one
        old = size if remembers else old
        answer = add_checkpoint(installation, log.request(old, new) if old <= new else body(old, [], log.note(new)))
        if old > new:
            assert answer.status == 400
        elif old != size:
            assert (answer.status, answer.content_type, answer.text) == (409, SIZE, f"{size}\n")
        elif size and log is not branch:
            assert answer.status == (409 if new == size else 422)
        else:
            cosigned(installation, log, new, answer)
            size, branch = new, log if new else branch


def test_of_two_requests_at_once_one_is_cosigned(database_url: str, tmp_path: Path) -> None:
    """Both have checked their proofs before either is recorded: the clock is read in between."""
    clock, together = SteppingClock(), threading.Barrier(2)
    installation = Installation.open(Settings(home=tmp_path, database_url=database_url), clock=clock)
    log = registered(Firm(installation, "northwind"))
    assert add_checkpoint(installation, log.request(0, 10)).status == 200

    def waiting() -> Any:
        together.wait(20)
        return clock()

    installation.clock = waiting
    answers: dict[int, Answer] = {}
    asking = [
        threading.Thread(
            target=lambda size=size: answers.update({size: add_checkpoint(installation, log.request(10, size))})
        )
        for size in (15, 20)
    ]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join(30)
    installation.clock = clock
    assert sorted(a.status for a in answers.values()) == [200, 409]
    won = next(size for size, a in answers.items() if a.status == 200)
    lost = next(a for a in answers.values() if a.status == 409)
    assert (lost.content_type, lost.text) == (SIZE, f"{won}\n")
    assert add_checkpoint(installation, log.request(won, 30)).status == 200
    installation.close()


def test_who_is_witnessed_is_said_by_those_who_may_and_recorded(installation: Installation, firm: Firm) -> None:
    log = registered(firm)
    registered(firm, log)  # again: stays as it is
    add_checkpoint(installation, log.request(0, 5))
    with pytest.raises(Conflict, match="another key"):
        witnessing.register(installation, keeper(firm), str(Log(log.name).vkey))
    with pytest.raises(Forbidden):
        witnessing.register(installation, firm.as_role("viewer"), str(Log("b.example/1").vkey))
    with pytest.raises(Forbidden):
        witnessing.forget(installation, firm.as_role("viewer"), log.name)
    with pytest.raises(Forbidden):
        witnessing.list_logs(installation, replace(firm.admin, rights=frozenset()))
    assert [w.tree_size for w in witnessing.list_logs(installation, firm.admin)] == [5]
    witnessing.forget(installation, keeper(firm), log.name)
    with pytest.raises(NotFound):
        witnessing.forget(installation, keeper(firm), log.name)
    assert add_checkpoint(installation, log.request(5, 6)).status == 404
    registered(firm, Log(log.name))
    with installation.database.read(firm.id) as session:
        entries = session.execute(
            sa.select(AuditEntry.action, AuditEntry.success)
            .where(AuditEntry.organization_id == firm.id, AuditEntry.action.like("ledger.witness.%"))
            .order_by(AuditEntry.id)
        ).all()
    register, forget = "ledger.witness.register", "ledger.witness.forget"
    assert [tuple(e) for e in entries] == [(register, True), (register, True), (register, False), (register, False), (forget, False),
                                           (forget, True), (forget, False), (register, True)]  # fmt: skip


def test_a_log_that_changed_its_key_in_the_open_stays_witnessed(installation: Installation, firm: Firm) -> None:
    log, after = registered(firm), Log("of the same name")
    new = str(note.VerifierKey(log.name, after.key.public_key().public_bytes_raw()))
    assert add_checkpoint(installation, log.request(0, 5)).status == 200
    with pytest.raises(Conflict, match="another key"):
        witnessing.register(installation, keeper(firm), new)
    both = log.request(5, 9).decode()
    text = note.split(both.split("\n\n", 1)[1])[0]
    assert add_checkpoint(installation, (both + note.sign(text, log.name, after.key)).encode()).status == 200
    view = witnessing.register(installation, keeper(firm), new)
    assert (view.tree_size, view.verifier_key) == (9, new)
    old_only = add_checkpoint(installation, log.request(9, 12))
    assert old_only.status == 403, "the old key is not believed any more"


def test_what_cannot_be_witnessed(installation: Installation, firm: Firm, other_firm: Firm) -> None:
    sealing.seal(installation, firm.id)
    mine = keys.known_public(installation.settings)[0]
    foreign = Log("x").vkey.public
    for key, said in [
        (str(OtherWitness().vkey), "a witness's"),
        ("no key", "no verifier key"),
        (str(Log("a/b").vkey).replace("+", "-"), "no verifier key"),
        (str(note.VerifierKey("elsewhere.example/1", mine)), "own"),
        (str(note.VerifierKey(f"plumbline.local/ledger/{firm.id}", foreign)), "own"),
        (str(note.VerifierKey(f"plumbline.local/ledger/{other_firm.id}", foreign)), "own"),  # not sealed yet
    ]:
        with pytest.raises(InvalidInput, match=said):
            witnessing.register(installation, keeper(firm), key)
    assert witnessing.list_logs(installation, firm.admin) == []


def test_cosigning_writes_no_entry(installation: Installation, firm: Firm) -> None:
    log = registered(firm)
    sealed = sealing.seal(installation, firm.id).size
    for old in range(5):
        assert add_checkpoint(installation, log.request(old, old + 1)).status == 200
    assert sealing.seal(installation, firm.id).size == sealed


def test_over_http(installation: Installation, firm: Firm) -> None:
    log = registered(firm)
    client = TestClient(witness_app(installation), base_url="http://127.0.0.1")
    shown = client.get(f"{PREFIX}/key")
    assert shown.headers["content-type"] == PLAIN
    assert note.VerifierKey.parse(shown.text) == witnessing.verifier_key(installation)
    assert keys.witness(installation.settings).name == note.VerifierKey.parse(shown.text).name

    def ask(content: bytes) -> tuple[int, str, str]:
        got = client.post(f"{PREFIX}/add-checkpoint", content=content)
        return got.status_code, got.headers["content-type"], got.text

    status, kind, text = ask(log.request(0, 3))
    cosigned(installation, log, 3, Answer(status, kind, text))
    assert ask(log.request(0, 3)) == (409, SIZE, "3\n")  # the type exactly, without a charset
    assert ask(log.fork().request(3, 4))[0] == 422
    assert ask(log.note(3).encode())[0] == 400
    assert ask(body(3, [], log.note(3, Log("x").key)))[:2] == (403, PLAIN)
    assert ask(Log("nobody.example/1").request(0, 1))[0] == 404
    assert ask(b"x" * 70_000)[0] == 413
    answers = client.get("/openapi.json").json()["paths"][f"{PREFIX}/add-checkpoint"]["post"]
    assert {"200", "400", "403", "404", "409", "413", "422"} <= set(answers["responses"])
    assert "text/plain" in answers["requestBody"]["content"]
