"""Checkpoints in stores: folders, buckets, what fails there and how it is made good."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from plumbline.kernel import clock as clocks
from plumbline.kernel.ledger.service import delivering
from plumbline.kernel.ledger.service.delivering import deliver
from tests.conftest import SteppingClock
from tests.kernel.ledger.sending import WITNESS, good, named, numbered
from tests.support.s3 import serve_s3
from tests.support.witness import Ledger, Reply, scripted

TEST_GROUP = Path(__file__).parents[3] / "requirements" / "test.txt"


def test_a_folder_gets_every_checkpoint_once(
    begin: Callable[..., Ledger], tmp_path: Path, clock: SteppingClock
) -> None:
    out = tmp_path / "out"
    ledger = begin(ledger_stores=[str(out)])
    assert ledger.send().sent == 1
    ledger.grow()
    ledger.grow(2)
    sent = ledger.send()
    assert (sent.sent, sent.error, sent.kind, sent.witness) == (2, None, "store", None)
    expected = {numbered(size): ledger.note(size) for size in ledger.sizes()} | {"checkpoint": ledger.note()}
    assert ledger.files(out) == expected
    before = {p: (p.stat().st_ino, p.stat().st_mtime_ns) for p in out.rglob("*") if p.is_file()}
    clock.now += timedelta(minutes=1)
    assert ledger.send().sent == 0
    assert {p: (p.stat().st_ino, p.stat().st_mtime_ns) for p in out.rglob("*") if p.is_file()} == before
    assert delivering.kept_outside(ledger.installation, ledger.id) == [ledger.note()]


def test_a_store_that_failed_is_resumed(begin: Callable[..., Ledger], tmp_path: Path) -> None:
    out = tmp_path / "out"
    ledger = begin(ledger_stores=[str(out)])
    sizes = [ledger.size, ledger.grow(), ledger.grow(), ledger.grow()]
    out.write_text("a file, where a folder should be")
    failed = ledger.send()
    assert failed.error is not None
    assert "cannot be" in failed.error
    assert (failed.sent, failed.tree_size) == (0, 0)
    out.unlink()
    blocked = out / ledger.origin / numbered(sizes[2])
    (blocked / "in the way").mkdir(parents=True)  # the third cannot be written
    failed = ledger.send()
    assert (failed.sent, failed.tree_size) == (2, sizes[1])
    assert failed.error is not None
    shutil.rmtree(blocked)
    sent = ledger.send()
    assert (sent.sent, sent.tree_size, sent.error) == (2, sizes[3], None)
    assert list(ledger.files(out)) == [numbered(s) for s in sizes] + ["checkpoint"]
    assert not [p for p in out.rglob(".*") if p.is_file()]  # no temporary file is left


def test_a_write_that_was_cut_off_is_made_good(begin_sqlite: Callable[..., Ledger], tmp_path: Path) -> None:
    out = tmp_path / "out"
    ledger = begin_sqlite(ledger_stores=[str(out)])
    folder = out / ledger.origin
    folder.mkdir(parents=True)
    text = len(ledger.note().split("\n\n")[0])
    for kept in (0, 5, text + 1, text + 2, text + 20, -1):
        (folder / numbered(ledger.size)).write_bytes(ledger.note().encode()[:kept])
        (folder / "checkpoint").write_bytes(ledger.note().encode()[:kept])
        assert ledger.send().error is None
        files = ledger.files(out)
        assert files[numbered(ledger.size)] == files["checkpoint"] == ledger.note()
        ledger.grow()
        (folder / "checkpoint").unlink()
        assert ledger.send().error is None
        ledger.grow()
        (folder / numbered(ledger.size)).unlink(missing_ok=True)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_store_that_hangs_is_given_up(told_to: Callable[..., Ledger], tmp_path: Path) -> None:
    """Reading a pipe that nobody writes to waits for ever, as does a mount whose server is gone."""
    ledger = told_to(ledger_stores=[str(tmp_path / "out")])
    pipe = tmp_path / "out" / ledger.origin / "checkpoint"
    pipe.parent.mkdir(parents=True)
    os.mkfifo(pipe)
    assert "no answer within" in str(ledger.send(timeout=0.1).error)
    assert "earlier run" in str(ledger.send().error)
    os.close(os.open(pipe, os.O_WRONLY))
    pipe.unlink()
    for thread in [t for t in threading.enumerate() if t.name == "plumbline-outside"]:
        thread.join(10)
    assert ledger.send().error is None


def test_cosignatures_that_come_later_reach_the_newest_file_only(
    begin_sqlite: Callable[..., Ledger], tmp_path: Path, clock: SteppingClock
) -> None:
    out, answering = tmp_path / "out", [lambda b: Reply(500)]
    with scripted(lambda asked: answering[0](asked)) as (address, _):
        ledger = begin_sqlite(ledger_stores=[str(out)], **named(address, WITNESS.vkey))
        deliver(ledger.installation, ledger.id)
        alone = ledger.note()
        assert set(ledger.files(out).values()) == {alone}
        clock.now += timedelta(minutes=1)
        answering[0] = good
        clock.now += timedelta(minutes=1)
        deliver(ledger.installation, ledger.id)
        assert WITNESS.name in ledger.note()
        assert ledger.files(out) == {numbered(ledger.size): alone, "checkpoint": ledger.note()}
        ledger.grow()
        deliver(ledger.installation, ledger.id)
        assert WITNESS.name in ledger.files(out)[numbered(ledger.size)]  # the witness is asked before the store


def test_of_too_many_missing_the_newest_and_the_last_of_each_day_are_sent() -> None:
    start = datetime(2026, 11, 1, 12, tzinfo=UTC)
    few = [(size, start + timedelta(minutes=size)) for size in range(1, 101)]
    assert delivering.chosen(few) == list(range(1, 101))
    many = [(size, start + timedelta(hours=size)) for size in range(1, 201)]
    picked = delivering.chosen(many)
    assert picked[-1] == 200
    assert len(picked) == 9
    days = [clocks.text(at)[:10] for _, at in many]
    assert all(size == 200 or days[size - 1] != days[size] for size in picked)


@pytest.mark.parametrize("address", ["nosuch://host/path", "gs://bucket/path"])
def test_a_file_system_that_is_not_there_is_told(address: str, told_to: Callable[..., Ledger]) -> None:
    assert re.search(r"not installed|cannot be opened", str(told_to(ledger_stores=[address]).send().error))


@pytest.fixture
def s3fs() -> Iterator[Any]:
    if importlib.util.find_spec("s3fs") is None:
        reason = "s3fs is not installed: pip install 's3fs>=2026.1' (the extra 'cloud')"
        if os.environ.get("CI") == "true" and re.search(r"^s3fs==", TEST_GROUP.read_text("utf-8"), re.MULTILINE):
            pytest.fail(reason)
        pytest.skip(reason)
    import s3fs as found

    found.S3FileSystem.clear_instance_cache()
    yield found
    found.S3FileSystem.clear_instance_cache()


def test_s3_without_its_extra_says_what_to_install(told_to: Callable[..., Ledger]) -> None:
    if importlib.util.find_spec("s3fs") is not None:
        pytest.skip("s3fs is installed")
    assert 'pip install "plumbline-platform[cloud]"' in str(told_to(ledger_stores=["s3://b/p"]).send().error)


def test_an_object_store(begin_sqlite: Callable[..., Ledger], s3fs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_s3("checkpoints") as store:
        for name, value in store.environment().items():
            monkeypatch.setenv(name, value)
        ledger = begin_sqlite(ledger_stores=["s3://checkpoints/prefix"])
        ledger.grow()
        assert ledger.send().error is None
        ledger.grow()
        store.refusing = ("AccessDenied", 403)
        assert "cannot be read" in str(ledger.send().error)
        store.refusing = None
        assert (ledger.send().error, ledger.send().sent) == (None, 0)
        there = {key: data.decode() for key, data in store.buckets["checkpoints"].items()}
        expected = {numbered(size): ledger.note(size) for size in ledger.sizes()} | {"checkpoint": ledger.note()}
        assert there == {f"prefix/{ledger.origin}/{name}": text for name, text in expected.items()}
        puts = [key for method, key in store.asked if method == "PUT" and not key.endswith("/checkpoint")]
        assert len(puts) == len(set(puts)) == 3
        assert delivering.kept_outside(ledger.installation, ledger.id) == [ledger.note()]
        ledger.grow()
        forged = f"prefix/{ledger.origin}/{numbered(ledger.size)}"
        store.buckets["checkpoints"][forged] = b"something else\n"
        assert str(ledger.send().error).startswith("Alarm: another checkpoint")
        assert store.buckets["checkpoints"][forged] == b"something else\n"


def test_a_bucket_that_is_not_there(told_to: Callable[..., Ledger], s3fs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_s3() as store:
        for name, value in store.environment().items():
            monkeypatch.setenv(name, value)
        ledger = told_to(ledger_stores=["s3://nowhere/prefix"])
        assert "cannot be written" in str(ledger.send().error)
