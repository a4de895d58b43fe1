"""A verification as an act: run, kept with what it found, told in one entry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

import sqlalchemy as sa

from plumbline.kernel import room
from plumbline.kernel.context import Context
from plumbline.kernel.database import new_id, scoped
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger import scanning
from plumbline.kernel.ledger.repository.trees import Trees
from plumbline.kernel.ledger.service import verifying
from plumbline.kernel.ledger.service.acts import Act
from plumbline.kernel.ledger.service.verifying import Report
from plumbline.kernel.ledger.tables import Verification

SHOWN = 100
"""Findings that are kept and printed."""
Told = Callable[[int, int], None]


class RecordsReport(Protocol):
    """What a room's check of its rows answers (:attr:`room.Room.records`)."""

    decisions: int
    findings: list[scanning.Finding]
    count: int
    notes: list[str]


@dataclass(frozen=True, slots=True)
class Checked:
    """The report and the row that keeps it."""

    id: UUID
    report: Report
    started_at: datetime
    finished_at: datetime


def check(installation: Installation, context: Context, *, publics: Sequence[bytes] | None = None, trusted: Iterable[str] = (),
          since: str | None = None, records: bool = False, processes: int | None = None,
          told: Told = lambda done, total: None) -> Checked:  # fmt: skip
    """Verify, and the rooms' rows against the ledger if ``records``; parameters as :func:`verifying.verify`."""
    with Act(installation.database, context, "ledger.verify", "ledger", right="ledger.verify") as act:
        started = installation.clock()
        report = verifying.verify(installation, context.organization_id, publics=publics, trusted=trusted, since=since, processes=processes,
                                  told=told)  # fmt: skip
        if records:
            check_records(installation, context.organization_id, report, told)
        finished = installation.clock()
        key = new_id(context.now)
        act.session.execute(sa.insert(Verification), {
            "id": key, "organization_id": context.organization_id, "started_at": started, "finished_at": finished,
            "from_size": report.from_size, "to_size": report.size, "entries": report.entries, "decisions": report.decisions,
            "sound": report.sound, "findings": [asdict(f) for f in report.findings[:SHOWN]], "finding_count": report.count,
            "user_id": context.user_id,
        })  # fmt: skip
        act.done(key, sound=report.sound, findings=report.count, entries=report.entries, tree_size=report.size, from_size=report.from_size,
                 first=report.findings[0].text if report.findings else None)  # fmt: skip
    return Checked(key, report, started, finished)


def request(installation: Installation, context: Context, *, records: bool = True) -> UUID:
    """Have everything read again in the background, in the name of who asks; one at a time. Returns the job's id."""
    from plumbline.kernel.jobs.queue import enqueue

    context.require("ledger.verify")
    with installation.database.write(context.organization_id) as session:
        return enqueue(
            session, context, "ledger.verify.whole", {"records": records}, dedupe_key="asked", max_attempts=2
        )


def check_records(
    installation: Installation, organization_id: UUID, report: Report, told: Told = lambda done, total: None
) -> None:
    """Every room's rows against what the entries commit to; findings go into the report."""
    report.decisions = 0
    for part in room.everything():
        if part.records:
            found: RecordsReport = room.load(part.records)(installation, organization_id, told=told)
            report.decisions += found.decisions
            report.take(found.findings, found.count)
            report.notes += found.notes


def last_sound(installation: Installation, organization_id: UUID) -> str | None:
    """The checkpoint up to which the last verification found everything sound: where the daily one goes on.

    ``None`` where there is none, or what stands there is no checkpoint that was signed: then everything is to be read again,
    and that is among the findings.
    """
    with installation.database.read(organization_id) as session:
        statement = (
            scoped(Verification, organization_id)
            .where(Verification.sound.is_(sa.true()))
            .order_by(Verification.id.desc())
            .limit(1)
        )
        found = session.scalars(statement).first()
        if found is None or not found.to_size:
            return None
        mark = Trees(session, organization_id).checkpoint(found.to_size)
    return mark.note if mark is not None and verifying.opens(installation, organization_id, mark.note) else None
