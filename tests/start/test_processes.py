"""A server and a worker from their first line to their end by a signal."""

from __future__ import annotations

import signal
import socket
import threading
import time
from pathlib import Path

import httpx
import pytest

from plumbline.cli import run
from plumbline.kernel.installation import Installation
from plumbline.kernel.jobs import service as jobs
from plumbline.settings import Settings
from tests.start.process import Running


@pytest.fixture
def home(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert run(["--home", str(tmp_path / "home"), "init"]) == 0
    capsys.readouterr()
    return tmp_path / "home"


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_server_says_its_address_answers_and_stops(home: Path, number: signal.Signals) -> None:
    with Running("--home", str(home), "serve", "--port", "0", folder=home) as server:
        address = server.until(r"^Plumbline serves at (http://127\.0\.0\.1:\d+)$")[1]
        live = httpx.get(f"{address}/health/live", trust_env=False)
        assert live.status_code == 200
        assert httpx.get(f"{address}/signin", trust_env=False).status_code == 200
        code, seconds = server.end(number)
        assert (code, server.said[-1:]) == (0, [f"Plumbline serves at {address}"])
        assert seconds < 8


def test_a_port_that_is_taken_is_told(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert run(["--home", str(home), "serve", "--port", str(port)]) == 1
    told = capsys.readouterr().err
    assert told == (
        f"plumbline: Port {port} of 127.0.0.1 cannot be used: Address already in use. Choose another: --port 0 takes a free one.\n"
    )


def signed_in(home: Path, within: float = 20.0) -> None:
    """Wait until a worker has given its first sign: from then on it knows what to do with a signal."""
    installation = Installation.open(Settings(home=home))
    deadline, pause = time.monotonic() + within, threading.Event()
    try:
        while not jobs.health(installation).workers:
            assert time.monotonic() < deadline
            pause.wait(0.02)
    finally:
        installation.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_worker_stops_at_a_signal(home: Path, number: signal.Signals) -> None:
    with Running("--home", str(home), "worker", "--threads", "1", folder=home) as worker:
        worker.until(r"^worker with 1 thread; stop it with Ctrl\+C$")
        signed_in(home)
        code, seconds = worker.end(number)
        assert code == 0
        assert seconds < 8
