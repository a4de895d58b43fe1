"""Other processes of a benchmark: each is a function here that gets one JSON object and may answer with one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parents[1]


def start(function: str, given: dict[str, Any]) -> subprocess.Popen[str]:
    """``module:function`` of this package in a process of its own; its lines of output are for :func:`told`."""
    module, _, name = function.partition(":")
    code = f"import json, sys; from benchmarks.{module} import {name} as f; f(**json.loads(sys.argv[1]))"
    return subprocess.Popen([sys.executable, "-c", code, json.dumps(given)], cwd=ROOT, stdout=subprocess.PIPE, text=True, env=os.environ.copy())  # fmt: skip


def told(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The next JSON line a process says.

    :raises RuntimeError: it ended without saying anything.
    """
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"A process of the benchmark ended with exit code {process.wait()}.")
    answer: dict[str, Any] = json.loads(line)
    return answer


def ask(function: str, given: dict[str, Any]) -> dict[str, Any]:
    """Run a function in a fresh process; what it said."""
    process = start(function, given)
    try:
        answer = told(process)
    finally:
        process.wait()
    return answer


def end(process: subprocess.Popen[str]) -> None:
    """Ask it to stop; kill it if it does not."""
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def say(answer: dict[str, Any], stream: IO[str] | None = None) -> None:
    print(json.dumps(answer), file=stream or sys.stdout, flush=True)


# a worker to be killed


def work(home: str, database_url: str, name: str, lease: float) -> None:
    """A worker of the installation, until it is stopped or killed."""
    from plumbline.kernel.installation import Installation
    from plumbline.kernel.jobs.worker import Worker
    from plumbline.settings import Settings

    installation = Installation.open(Settings(home=Path(home), database_url=database_url))
    Worker(installation, name=name, threads=1, lease=lease, poll=0.05).run_forever()
    installation.close()


# clients


def clients(port: int, key: str, path: str, bodies_in: str | None, count: int, seconds: float) -> None:
    """``count`` clients that ask one after the other, each on a connection of its own, for ``seconds``.

    :param bodies_in: a file that holds the list of what to send, in turn; without one, nothing is sent.
    """
    import http.client
    import time

    bodies: list[str] = json.loads(Path(bodies_in).read_text(encoding="utf-8")) if bodies_in else []
    found: list[tuple[list[float], list[str], list[str]]] = []
    gate = threading.Barrier(count + 1)

    def one(number: int) -> None:
        latencies, ids, errors = list[float](), list[str](), list[str]()
        found.append((latencies, ids, errors))
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        gate.wait()
        until, turn = time.monotonic() + seconds, number
        while time.monotonic() < until:
            body = bodies[turn % len(bodies)] if bodies else None
            begun = time.perf_counter()
            try:
                connection.request("POST" if bodies else "GET", path, body, headers)
                answer = connection.getresponse()
                text = answer.read()
            except OSError as error:
                errors.append(repr(error))
                connection.close()
                continue
            latencies.append((time.perf_counter() - begun) * 1000)
            if answer.status != 200:
                errors.append(f"{answer.status}: {text[:200]!r}")
            elif bodies:
                ids.append(json.loads(text)["id"])
            turn += count
        connection.close()

    crew = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in crew:
        thread.start()
    gate.wait()
    begun = time.monotonic()
    for thread in crew:
        thread.join()
    say({
        "seconds": time.monotonic() - begun, "latencies": [v for part in found for v in part[0]],
        "ids": [v for part in found for v in part[1]], "errors": [v for part in found for v in part[2]],
    })  # fmt: skip


def call(port: int, key: str | None, path: str, body: str | None = None) -> Callable[[], bytes]:
    """One request over a connection that is kept; raises where the answer is no 200."""
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})

    def again() -> bytes:
        connection.request("GET" if body is None else "POST", path, body, headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path} answers {answer.status}: {text[:500]!r}")
        return text

    return again


def cpu_per_call(work: Callable[[], bytes], spent: Callable[[], bytes], times: int) -> float:
    """The server's CPU-milliseconds per request, what asking for them costs taken off."""

    def now() -> float:
        seconds: float = json.loads(spent())["seconds"]
        return seconds

    for _ in range(max(5, times // 10)):
        work()
    now()
    asking = (now() - now()) * -1
    before = now()
    for _ in range(times):
        work()
    return max(0.0, now() - before - asking) / times * 1000
