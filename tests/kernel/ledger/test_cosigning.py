"""Checkpoints at witnesses: those that work, fail, are slow and lie."""

from __future__ import annotations

import gzip
import re
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from plumbline.kernel.ledger import note
from plumbline.kernel.ledger.repository import outside
from plumbline.kernel.ledger.repository.trees import Trees
from plumbline.kernel.ledger.service import Act, delivering, sealing, witnessing
from plumbline.kernel.ledger.service.delivering import destinations
from tests.conftest import SteppingClock
from tests.kernel.ledger.sending import WITNESS, agree, good, named, told
from tests.support.witness import Ledger, Log, Neighbour, OtherWitness, Reply, scripted


def test_an_installation_is_witnessed_by_another(
    begin: Callable[..., Ledger], neighbour: Neighbour, clock: SteppingClock
) -> None:
    witness = witnessing.verifier_key(neighbour.installation)
    with neighbour.serving() as address:
        ledger = begin(**named(address, witness))
        first = ledger.size
        (before,) = destinations(ledger.installation, ledger.id)
        assert (before.kind, before.witness, before.tree_size, before.behind, before.tried_at, before.error) == (
            "witness", witness.name, 0, first, None, None,
        )  # fmt: skip
        refused = ledger.send()
        assert refused.error is not None
        assert "does not know this log" in refused.error
        assert str(ledger.vkey) in refused.error  # what to register there
        agree(neighbour, ledger)
        sent = ledger.send()
        assert (sent.sent, sent.tree_size, sent.error, sent.address) == (1, first, None, address)
        assert ledger.send().sent == 0
        for entries in (1, 300):
            grown = ledger.grow(entries)
            sent = ledger.send()
            assert (sent.sent, sent.tree_size, sent.error) == (1, grown, None)
            checkpoint, signatures = note.open_checkpoint(ledger.note(), [ledger.vkey, witness])
            assert (checkpoint.origin, checkpoint.size) == (ledger.origin, grown)
            assert [s.at for s in signatures if s.key == witness] == [int(clock.now.timestamp())]
            (kept,) = delivering.cosignatures(ledger.installation, ledger.id, grown)
            assert (kept.witness, kept.verifier_key, kept.received_at) == (witness.name, str(witness), clock.now)
            assert kept.signed_at == clock.now.replace(microsecond=0)
        assert len(note.open_checkpoint(ledger.note(first), [ledger.vkey, witness])[1]) == 2
    assert [w.tree_size for w in witnessing.list_logs(neighbour.installation, neighbour.firm.admin)] == [ledger.size]


def test_two_that_witness_each_other_come_to_rest(
    begin: Callable[..., Ledger], neighbour: Neighbour, clock: SteppingClock
) -> None:
    with neighbour.serving() as address:
        ledger = begin(**named(address, witnessing.verifier_key(neighbour.installation)))
        agree(neighbour, ledger)
        settled = sealing.seal(neighbour.installation, neighbour.firm.id).size
        ledger.grow()
        ledger.send()
        assert sealing.seal(neighbour.installation, neighbour.firm.id).size == settled
        assert ledger.grow(0) == ledger.send().tree_size  # nor does being cosigned write an entry here


def test_a_witness_that_was_started_anew_goes_on(begin: Callable[..., Ledger], neighbour: Neighbour) -> None:
    witness = witnessing.verifier_key(neighbour.installation)
    with neighbour.serving() as address:
        ledger = begin(**named(address, witness))
        agree(neighbour, ledger)
        ledger.send()
    down = ledger.grow() and ledger.send()
    assert down.error is not None
    assert "cannot be reached" in down.error
    assert down.tree_size < ledger.size
    neighbour.restart()
    with neighbour.serving() as address:
        again = ledger.with_settings(
            **named(address, witness)
        )  # on another port: another destination, which asks from 0
        assert again.send().error is None
        assert again.send().tree_size == ledger.size
        note.open_checkpoint(again.note(), [ledger.vkey, witness])
        assert len(destinations(again.installation, again.id)) == 1  # the old address has its row and is not shown
        again.installation.close()


def test_a_witness_that_forgot_us_is_told_again(begin: Callable[..., Ledger], neighbour: Neighbour) -> None:
    with neighbour.serving() as address:
        ledger = begin(**named(address, witnessing.verifier_key(neighbour.installation)))
        agree(neighbour, ledger)
        ledger.send()
        everything = replace(neighbour.firm.admin, rights=frozenset({"*"}))
        witnessing.forget(neighbour.installation, everything, ledger.origin)
        ledger.grow(5)
        assert "does not know this log" in str(ledger.send().error)
        agree(neighbour, ledger)
        assert (ledger.send().error, ledger.send().tree_size) == (None, ledger.size)


def _other_text(asked: bytes) -> Reply:
    log = Log("elsewhere.example/1")
    return Reply(body=note.cosign(log.text(3), WITNESS.name, WITNESS.key, 1).encode())


def _smuggled(asked: bytes) -> Reply:
    """A whole note of its own behind ours."""
    text = Log("elsewhere.example/1").text(3)
    line = note.cosign(
        asked.decode().split("\n\n", 1)[1].split("\n\n")[0] + "\n\n" + text, WITNESS.name, WITNESS.key, 1
    )
    return Reply(body=f"{text}\n{line}".encode())


LIES: list[tuple[str, Callable[[bytes], Reply], str]] = [
    ("another key under its name", lambda b: Reply(body=OtherWitness(WITNESS.name).line(b).encode()), "lies"),
    ("a known key's false signature", _other_text, "false"),
    ("another text", _smuggled, "lies"),
    ("a log's signature", lambda b: Reply(body=note.sign("x\n", WITNESS.name, WITNESS.key).encode()), "lies"),
    ("a time beyond the calendar", lambda b: Reply(body=WITNESS.line(b, 2**62).encode()), "lies"),
    ("nothing", lambda b: Reply(), "lies"),
    ("garbage", lambda b: Reply(body=b"\x00\xff<html>"), "lies"),
    ("a line without its end", lambda b: Reply(body=WITNESS.line(b)[:-1].encode()), "cut off"),
    ("1 MB", lambda b: Reply(body=b"x" * 1_000_000), "more than 64 kB"),
    ("a packed answer", lambda b: Reply(body=gzip.compress(b"x" * 10**7), headers={"Content-Encoding": "gzip"}), "lies"),
    ("elsewhere", lambda b: Reply(307, headers={"Location": "/elsewhere"}), "sends elsewhere"),
    ("unknown key", lambda b: Reply(403, b"no\n"), "does not know the key"),
    ("no such page", lambda b: Reply(404), "does not know this log, or nothing"),
    ("unprocessable", lambda b: Reply(422, b"bad proof\n"), "Alarm: w.example/witness finds"),
    ("broken", lambda b: Reply(500, b"oops <b>\n" * 5000), "answered 500. It says: oops"),
    ("busy", lambda b: Reply(503), "answered 503"),
    ("a conflict without a size", lambda b: Reply(409, b"7\n"), "answered 409"),
    ("another size each time", lambda b: told(1 if b.startswith(b"old 0\n") else 2), "answered 409"),
    ("a size that is none", lambda b: told("-1"), "answered 409"),
    ("a larger size", lambda b: told(10**6), "Alarm: a tree of 1,000,000 entries was delivered there, but this ledger has"),
    ("our size, another root", lambda b: told(b.split(b"\n\n", 1)[1].split(b"\n")[1].decode()), "Alarm: another checkpoint"),
]  # fmt: skip


@pytest.mark.parametrize("case", LIES, ids=[c[0] for c in LIES])
def test_what_a_witness_does_wrong_is_told_and_tried_again(case: Any, told_to: Callable[..., Ledger]) -> None:
    _, lie, said = case
    answering = [lie]
    with scripted(lambda asked: answering[0](asked)) as (address, heard):
        ledger = told_to(**named(address, WITNESS.vkey))
        failed = ledger.send()
        assert failed.error is not None
        assert said in failed.error
        assert len(failed.error) < 700
        assert (failed.sent, destinations(ledger.installation, ledger.id)[0].delivered_at) == (0, None)
        assert delivering.cosignatures(ledger.installation, ledger.id, ledger.size) == []
        assert not any(h.startswith(b"GET") for h in heard)  # no redirect was followed
        assert destinations(ledger.installation, ledger.id)[0].alarm == failed.error.startswith("Alarm: ")
        answering[0] = good
        assert (ledger.send().error, ledger.send().tree_size) == (None, ledger.size)
        note.open_checkpoint(ledger.note(), [ledger.vkey])
        assert len(note.open_note(ledger.note(), [ledger.vkey, WITNESS.vkey])[1]) == 2


def test_lines_of_unknown_keys_beside_the_right_one_are_left_out(told_to: Callable[..., Ledger]) -> None:
    other = OtherWitness("x.example/other")
    with scripted(lambda asked: Reply(body=(other.line(asked) + WITNESS.line(asked)).encode())) as (address, _):
        ledger = told_to(**named(address, WITNESS.vkey))
        assert ledger.send().error is None
        assert [c.witness for c in delivering.cosignatures(ledger.installation, ledger.id, ledger.size)] == [
            WITNESS.name
        ]
        assert other.name not in ledger.note()


def test_a_witness_that_has_an_older_tree_gets_the_proof_from_there(told_to: Callable[..., Ledger]) -> None:
    seen = [0]

    def answer(asked: bytes) -> Reply:
        return good(asked) if asked.startswith(f"old {seen[0]}\n".encode()) else told(seen[0])

    with scripted(answer) as (address, heard):
        ledger = told_to(**named(address, WITNESS.vkey))
        first = ledger.size
        assert ledger.send().error is None
        ledger.grow(6)
        seen[0] = first - 2  # a witness restored from an old copy
        assert (ledger.send().error, len(heard)) == (None, 3)
        old, *proof = heard[-1].decode().split("\n\n")[0].split("\n")
        assert old == f"old {first - 2}"
        with ledger.installation.database.read(ledger.id) as session:
            stored = Trees(session, ledger.id)
            assert [note.unb64(line) for line in proof] == stored.tree().consistency(first - 2, ledger.size)


@pytest.mark.parametrize("how", ["silent", "silent after its headers", "trickling"])
def test_a_slow_witness_is_given_up(how: str, told_to: Callable[..., Ledger]) -> None:
    released = threading.Event()

    def answer(asked: bytes) -> Reply:
        if how == "silent":
            released.wait(30)
        return Reply(trickle=released) if how == "trickling" else Reply(late=released)

    with scripted(answer) as (address, _):
        ledger = told_to(**named(address, WITNESS.vkey))
        slow = ledger.send(timeout=0.1)
        assert re.search(
            "no answer within 0.2 s" if how == "trickling" else r"silent for 0.1 s|no answer", str(slow.error)
        )
        if how == "trickling":
            assert "earlier run" in str(ledger.send().error)  # it still trickles: no second request waits beside
        released.set()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("https://w.example", "not an http"),
        (f"ftp://w.example {WITNESS.vkey}", "not an http"),
        ("https://w.example w+0+x", "verifier key is wrong"),
        (f"https://w.example {Log('a/1').vkey}", "a log's, not a witness's"),
        (f"http://[::1 {WITNESS.vkey}", "cannot be reached"),
        (f"http://127.0.0.1:99999 {WITNESS.vkey}", "cannot be reached"),
        ("", "not an http"),
    ],
    ids=["no key", "ftp", "broken key", "a log's key", "no host", "no port", "empty"],
)
def test_a_setting_that_is_wrong_is_told(setting: str, said: str, told_to: Callable[..., Ledger]) -> None:
    assert said in str(told_to(ledger_witnesses=[setting]).send().error)


def test_a_witness_is_asked_outside_of_every_transaction(begin: Callable[..., Ledger]) -> None:
    made: list[Ledger] = []

    def answer(asked: bytes) -> Reply:
        with Act(made[0].installation.database, made[0].firm.admin, "test.act", "test"):
            pass  # would wait for a writer's lock
        return good(asked)

    with scripted(answer) as (address, _):
        made.append(begin(**named(address, WITNESS.vkey)))
        assert made[0].send().error is None


def test_a_cosignature_keeps_its_first_time_until_the_witness_has_another_key(
    begin: Callable[..., Ledger], clock: SteppingClock
) -> None:
    ledger = begin()
    sizes = {"organization_id": ledger.id, "size": ledger.size, "witness": "w", "received_at": clock.now}

    def keep(key: str, line: str) -> list[str]:
        with ledger.installation.worker_database.write(ledger.id) as session:
            outside.add_cosignature(session, **sizes, verifier_key=key, line=line, signed_at=clock.now)  # type: ignore[arg-type]
        return [c.line for c in delivering.cosignatures(ledger.installation, ledger.id, ledger.size)]

    assert [keep("k1", "a\n"), keep("k1", "b\n"), keep("k2", "c\n")] == [["a\n"], ["a\n"], ["c\n"]]
