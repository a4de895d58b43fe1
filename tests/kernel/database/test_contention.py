"""Two processes of sixteen threads on one SQLite file: nothing fails, nothing is lost, nobody waits long."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from plumbline.kernel.identity import service
from plumbline.kernel.identity.tables import RateLimit
from plumbline.kernel.ledger.tables import AuditEntry

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
def test_writers_of_two_processes_lose_nothing(sqlite_url: str, make_installation) -> None:  # type: ignore[no-untyped-def]
    installation = make_installation(sqlite_url)
    made = service.initialize(
        installation, name="Northwind", slug="northwind", username="anna", email="anna@northwind.example"
    )
    with installation.database.write(None) as session:
        session.execute(
            sa.insert(RateLimit), [{"bucket": bytes([i]), "tokens": 0.0, "filled_at": 0.0} for i in range(4)]
        )
    command = [
        sys.executable,
        "-m",
        "tests.kernel.database.contender",
        sqlite_url,
        str(made.organization_id),
        "4",
        "16",
    ]
    running = [subprocess.Popen([*command, str(i)], stdout=subprocess.PIPE, cwd=ROOT) for i in range(2)]
    results = [json.loads(p.communicate(timeout=120)[0]) for p in running]
    waits = sorted(w for r in results for w in r["waits"])
    with installation.database.read(made.organization_id) as session:
        counted = session.scalar(sa.select(sa.func.sum(RateLimit.tokens)))
        entries = session.scalar(
            sa.select(sa.func.count()).where(
                AuditEntry.organization_id == made.organization_id, AuditEntry.action == "contention.add"
            )
        )
    p99 = waits[int(len(waits) * 0.99)]
    print(
        f"{len(waits)} writes, p50 {waits[len(waits) // 2] * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms, longest {waits[-1] * 1000:.0f} ms"
    )
    assert [e for r in results for e in r["errors"]] == []
    assert counted == entries == len(waits) > 200
    assert p99 < max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))  # others may use the processors too
