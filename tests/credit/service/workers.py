"""Worker processes of the room's jobs, to be killed."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TypeVar

import pytest

from plumbline.kernel.installation import Installation
from plumbline.kernel.jobs.worker import Worker
from plumbline.settings import Settings
from tests.credit.trained import Lender, artifacts

T = TypeVar("T")
HANDLERS = {"credit.batch": "plumbline.credit.jobs:score_batch"}
LEASE = 1.0
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["plumbline.credit.service.performing", "plumbline.kernel.jobs.worker"])


def until(condition: Callable[[], T], *, within: float = 60.0) -> T:
    """Wait for a condition; the test fails when it does not come."""
    deadline = time.monotonic() + within
    while not (found := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {within} s")
        threading.Event().wait(0.01)
    return found


def work(url: str, home: str, store: str, name: str) -> None:
    installation = Installation.open(Settings(home=Path(home), database_url=url, artifacts=store))
    Worker(installation, HANDLERS, name=name, threads=1, lease=LEASE, poll=0.05).run_forever()
    installation.close()


def started(lender: Lender, name: str) -> BaseProcess:
    """A worker process of the lender's installation."""
    settings = lender.installation.settings
    process = _processes.Process(
        target=work, args=(settings.url, str(settings.home), artifacts(), name), daemon=True, name=name
    )
    process.start()
    return process


def killed(process: BaseProcess) -> None:
    """By SIGKILL: it has no time to tidy up."""
    process.kill()
    process.join()
