"""The demonstration's first loans: files decided more than a year ago, worked off, and what became of them since.

The truth is the synthetic portfolio's own. The lender's system sends it as a feed; a fifth of the second file's never came.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BytesIO
from uuid import UUID

import numpy as np

from plumbline.credit import service, synthetic
from plumbline.credit.service import notices, outcomes
from plumbline.demonstration import Chapter
from plumbline.kernel.models.tables import Prediction
from plumbline.kernel.paging import PageRequest

LOANS = (("branch-harbour.zip", 300, timedelta(days=440)), ("branch-heath.zip", 60, timedelta(days=395)))
"""Files, their rows, and how long before the days that are told one by one they were decided: two different months."""
HARDER = 0.16
"""Share of defaults in that year, twice that of the training rows: what a model has to be watched for."""
SENT = (1.0, 0.8)
"""Share of each file's outcomes that the feed brings."""
ANALYST, ADMIN = "imke.brandt", "mara.voss"
CORRECTED = 1
DECLINED = ("The pay slips show less income than the instalments would need.",)
_PAGE = PageRequest(limit=500)


@dataclass(frozen=True, slots=True)
class Loan:
    """A granted application: when it was decided, and whether it will default."""

    key: UUID
    decided_at: datetime
    default: bool


File = Callable[[synthetic.Portfolio, str], UUID]
"""Scores a portfolio as a file of this name; the batch's id."""


def decide(chapter: Chapter, scored: File) -> list[list[Loan]]:
    """Score the files in their time, look at what waits, tell those who were declined; the granted loans of each."""
    found = []
    for number, (name, rows, before) in enumerate(LOANS):
        chapter.clock.move(chapter.since - before - chapter.clock())
        portfolio = synthetic.generate(rows, chapter.seed + 3 + number, default_rate=HARDER)
        truth = dict(portfolio.tables["application"].select("SK_ID_CURR", "TARGET").iter_rows())
        batch = scored(portfolio, name)
        decided = _rows(chapter, batch)
        granted = [p for p in decided if _settled(chapter, p) == "approve"]
        found.append([Loan(p.id, p.created_at, truth[int(p.subject_id)] == 1) for p in granted])
    chapter.clock.move(chapter.since - chapter.clock())
    return found


def _rows(chapter: Chapter, batch: UUID) -> Sequence[Prediction]:
    page = _PAGE
    found: list[Prediction] = []
    while True:
        part = service.rows_of(chapter.installation, chapter.person(ANALYST), batch, page)
        found += part.items
        if part.next is None:
            return found
        page = PageRequest.parse(_PAGE.limit, part.next)


def _settled(chapter: Chapter, decided: Prediction) -> str:
    """What was decided in the end: of a case that waits, by the analyst; of each decline its notice goes out."""
    house, final = chapter.installation, str(decided.extra["decision"])
    if final == "approve":
        return final
    view = service.decision_of(house, chapter.person(ANALYST), decided.id)
    reasons: tuple[str, ...] = ()
    if view.review is not None:
        chapter.clock.move(timedelta(minutes=4))
        if final == "review":
            final = "approve" if decided.probability < 0.1 else "decline"
            reasons = DECLINED if final == "decline" else ()
        cause = (
            "The documents confirm what the model saw."
            if final == "decline"
            else "Stable income shown by three pay slips."
        )
        service.triage.resolve(house, chapter.person(ANALYST), view.review.id, note=cause, decision=final)
    if final == "decline":
        notices.issue(house, chapter.person(ANALYST), decided.id, channel="letter", reasons=reasons)
    return final


def tell(chapter: Chapter, loans: Sequence[Sequence[Loan]]) -> None:
    """The feed of each file comes in, what can be judged is measured; later one of them turns out to be wrong."""
    house, rng = chapter.installation, np.random.default_rng(chapter.seed)
    for (name, _, _), share, granted in zip(LOANS, SENT, loans, strict=True):
        lines = ["prediction_id,outcome,outcome_at,event_at"]
        for loan in granted:
            if rng.random() >= share:
                continue
            due = loan.decided_at + timedelta(days=int(rng.integers(90, 330)) if loan.default else 365)
            known = min(due + timedelta(days=3), chapter.clock())
            lines.append(f"{loan.key},{'default' if loan.default else 'repaid'},{known:%Y-%m-%d},{due:%Y-%m-%d}")
        stream = BytesIO("\n".join(lines).encode())
        outcomes.record_file(house, chapter.person(ADMIN), stream, f"repayments-{name.removesuffix('.zip')}.csv")
    outcomes.evaluate(house, chapter.person(ADMIN))
    chapter.clock.move(timedelta(hours=2))
    wrong = [loan for loan in loans[0] if loan.default][:CORRECTED]
    rows = [
        {"prediction_id": str(x.key), "outcome": "repaid", "outcome_at": f"{chapter.clock():%Y-%m-%d}"} for x in wrong
    ]
    reason = "The collection agency had booked the payments of another customer."
    outcomes.record(house, chapter.person(ANALYST), rows, reason=reason)
    outcomes.evaluate(house, chapter.person(ADMIN))
