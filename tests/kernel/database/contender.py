"""A process of the contention test: threads that read, add one and write back, with an audit entry each."""

from __future__ import annotations

import json
import sys
import threading
import time
from datetime import UTC, datetime
from uuid import UUID

import sqlalchemy as sa

from plumbline.kernel import room
from plumbline.kernel.context import Context
from plumbline.kernel.database import Database
from plumbline.kernel.identity.tables import RateLimit, User
from plumbline.kernel.ledger.service import Act


def main(url: str, organization: str, seconds: float, threads: int, process: int) -> None:
    room.declare_tables()
    database, org = Database(url, pool_size=threads), UUID(organization)
    waits: list[float] = []
    errors: list[str] = []
    end = time.monotonic() + seconds

    def work(seed: int) -> None:
        turn = seed
        while time.monotonic() < end:
            turn += 1
            try:
                if turn % 10 >= 3:
                    with database.read(org) as session:
                        session.scalars(sa.select(User).where(User.organization_id == org)).all()
                    time.sleep(0.002)  # 32 threads that do nothing else would measure the processor, not the database
                    continue
                began = time.perf_counter()
                bucket = bytes([turn % 4])
                context = Context(
                    org, "system", f"{process}/{seed}", "contention", datetime.now(UTC), rights=frozenset("*")
                )
                with Act(database, context, "contention.add", "counter") as act:
                    held = act.session.scalar(sa.select(RateLimit.tokens).where(RateLimit.bucket == bucket))
                    act.session.execute(sa.update(RateLimit).where(RateLimit.bucket == bucket).values(tokens=held + 1))
                waits.append(time.perf_counter() - began)
            except Exception as error:
                errors.append(repr(error))

    running = [threading.Thread(target=work, args=(i,)) for i in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    database.close()
    print(json.dumps({"writes": len(waits), "errors": errors, "waits": waits}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
