"""The truth about decisions comes in: one call, one transaction, one entry; every row is accepted, unchanged or rejected."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, Any
from uuid import UUID

from plumbline.kernel import canonical, clock, room
from plumbline.kernel.context import Context
from plumbline.kernel.database import WriteSession
from plumbline.kernel.errors import InvalidInput, TooLarge, Unavailable, Where
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger.service import Act
from plumbline.kernel.ledger.service.erasing import ERASED
from plumbline.kernel.models import labels
from plumbline.kernel.models.labels import Known
from plumbline.kernel.models.outcomes import MOST_ROWS, OutcomeKind, Reject, Told, read_file, read_row

LISTED = 1_000
"""Corrections that an entry lists with old and new value; every old value also stays with its decision."""
STEP = 5_000


@dataclass(frozen=True, slots=True)
class Correction:
    """A known outcome that was changed."""

    prediction_id: UUID
    old: str
    old_at: datetime
    new: str
    new_at: datetime


@dataclass(slots=True)
class Recorded:
    """What became of each row: ``accepted + unchanged + rejected == rows``, always.

    :ivar accepted: written; ``corrected`` of them changed what was known.
    :ivar unchanged: said what was known already.
    :ivar file_sha256: of a file; empty for a list.
    """

    rows: int = 0
    accepted: int = 0
    corrected: int = 0
    unchanged: int = 0
    rejects: list[Reject] = field(default_factory=list)
    corrections: list[Correction] = field(default_factory=list)
    file_sha256: str = ""

    @property
    def rejected(self) -> int:
        return len(self.rejects)


def kind_of(prediction_type: str) -> OutcomeKind:
    """What the room that makes decisions of this type says of their truth.

    :raises Unavailable: no installed room does.
    """
    stated = room.gathered(lambda r: dict(r.outcomes) if r.outcomes else None)
    if prediction_type not in stated:
        raise Unavailable(
            f"No room here says what the outcomes of '{prediction_type}' are.",
            remedy="Install the room that makes them.",
        )
    found: OutcomeKind = room.load(stated[prediction_type])
    return found


def record(
    installation: Installation, context: Context, prediction_type: str, rows: Sequence[Any], *, right: str, source: str = "person",
    reason: str | None = None, whole: bool = False,
) -> Recorded:  # fmt: skip
    """Write what became of decisions.

    A row names its decision by ``prediction_id``, or by ``subject_id``: then the latest decision about the subject before the
    event (without ``event_at``: before the outcome became known) is meant. To change what is known a row must come with a
    ``reason``, or name a source that is no person itself; the old value stays in the entry and with the decision.

    :param source: of rows that name none.
    :param whole: all rows or none: the first reject is raised, and nothing is written.
    :raises InvalidInput: a reason of a few letters, or (``whole``) a row that cannot be used.
    """
    with Act(installation.database, context, "outcomes.record", "prediction", right=right) as act:
        if len(rows) > MOST_ROWS:
            raise TooLarge(f"The list has {len(rows):,} rows; the limit is {MOST_ROWS:,}.", remedy="Split it.")
        if not rows:
            raise InvalidInput("There are no rows.", remedy="Send at least one outcome.")
        return _record(act, prediction_type, rows, source, reason, whole=whole)


def record_file(
    installation: Installation, context: Context, prediction_type: str, stream: IO[bytes], name: str, *, right: str,
    source: str = "feed", reason: str | None = None,
) -> Recorded:  # fmt: skip
    """The same for a CSV or Parquet file, whose rows come from a feed unless they or ``source`` say otherwise."""
    with Act(installation.database, context, "outcomes.record", "prediction", right=right) as act:
        digest = _sha256(stream)
        act.done(filename=name, file_sha256=digest)
        stream.seek(0)
        found = _record(
            act, prediction_type, read_file(stream, name, kind_of(prediction_type)), source, reason, whole=False
        )
        found.file_sha256 = digest
        return found


def _sha256(stream: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while part := stream.read(1 << 20):
        digest.update(part)
    return digest.hexdigest()


def _record(
    act: Act, prediction_type: str, rows: Iterable[Any], source: str, reason: str | None, *, whole: bool
) -> Recorded:
    context, kind = act.context, kind_of(prediction_type)
    words = (reason or "").strip() or None
    if words is not None and len(words) < 10:
        raise InvalidInput(f"Write at least 10 characters; you wrote {len(words)}.", where=Where(field="reason"))
    found = Recorded()
    told: list[Told] = []
    for number, row in enumerate(rows, 1):
        one = read_row(row, number, kind, source=source, now=context.now)
        found.rows = number
        if isinstance(one, Told):
            told.append(one)
        else:
            found.rejects.append(one)
    _refuse(found, whole)  # before the database is locked
    writes = list(_decided(act.session, context, prediction_type, told, found, words))
    found.rejects.sort(key=lambda r: r.row)
    _refuse(found, whole)
    for start in range(0, len(writes), STEP):
        labels.write(act.session, context.organization_id, writes[start : start + STEP])
    if found.rows == 1 and writes:
        act.done(writes[0]["key"])
    listed = [
        {
            "prediction_id": str(c.prediction_id),
            "old": c.old,
            "old_at": clock.text(c.old_at),
            "new": c.new,
            "new_at": clock.text(c.new_at),
        }
        for c in found.corrections[:LISTED]
    ]
    act.done(
        prediction_type=prediction_type, rows=found.rows, accepted=found.accepted, corrected=found.corrected, unchanged=found.unchanged,
        rejected=found.rejected,
    )  # fmt: skip
    if listed:
        act.done(corrections=listed)
    if words:
        act.done(reason=words)
    return found


def _refuse(found: Recorded, whole: bool) -> None:
    if whole and found.rejects:
        first = found.rejects[0]
        raise InvalidInput(
            first.message, where=Where(row=first.row if found.rows > 1 else None, field=first.field or None)
        )


def _decided(
    session: WriteSession,
    context: Context,
    prediction_type: str,
    told: Sequence[Told],
    found: Recorded,
    reason: str | None,
) -> Iterator[dict[str, Any]]:
    """What is to be written; counts the rest."""
    org = context.organization_id
    keyed = labels.by_id(session, org, prediction_type, [t.prediction_id for t in told if t.prediction_id is not None])
    subjects = [t.subject_id for t in told if t.subject_id is not None and t.subject_id != ERASED]
    named = labels.by_subject(session, org, prediction_type, subjects)
    about: dict[UUID, list[tuple[Told, Known]]] = {}
    for one in told:
        decision = (
            keyed.get(one.prediction_id)
            if one.prediction_id is not None
            else _latest(one, named.get(one.subject_id or "", []))
        )
        fault = _fault(one, decision)
        if fault is not None:
            found.rejects.append(fault)
        elif isinstance(decision, Known):
            about.setdefault(decision.id, []).append((one, decision))
    for rows in about.values():
        outcomes = {one.outcome for one, _ in rows}
        if len(outcomes) > 1:
            numbers = ", ".join(str(one.row) for one, _ in rows[:5])
            found.rejects += [
                Reject(
                    one.row,
                    "outcome",
                    "contradictory",
                    one.outcome,
                    f"Rows {numbers} say different things of one decision.",
                )
                for one, _ in rows
            ]
            continue
        settled = False  # by the first row that may be used; the others say the same
        for row in rows:
            if settled:
                found.unchanged += 1
                continue
            before = found.rejected
            written = _write(*row, context, found, reason)
            settled = found.rejected == before
            if written is not None:
                yield written


def _latest(one: Told, decisions: Sequence[Known]) -> Known | Reject | None:
    """The latest decision about a subject before the event."""
    if not decisions:
        return None
    before = [d for d in decisions if d.created_at <= one.before]
    if not before:
        return decisions[-1]  # told as an outcome before its decision
    if len(before) > 1 and before[-1].created_at == before[-2].created_at:
        return Reject(one.row, "subject_id", "ambiguous_subject", one.subject_id or "",
                      "Two decisions were made about this subject at the same moment; name one by prediction_id.")  # fmt: skip
    return before[-1]


def _fault(one: Told, decision: Known | Reject | None) -> Reject | None:
    if isinstance(decision, Reject):
        return decision
    name, value = (
        ("prediction_id", str(one.prediction_id)) if one.prediction_id else ("subject_id", one.subject_id or "")
    )
    if decision is None:
        return Reject(one.row, name, "unknown_decision", value, "There is no such decision in this organization.")
    if decision.created_at > one.before:
        place, at = ("outcome_at", one.outcome_at) if one.event_at is None else ("event_at", one.event_at)
        said = f"The decision was made later, {decision.created_at:%Y-%m-%d %H:%M} UTC."
        return Reject(one.row, place, "before_decision", clock.text(at), said)
    return None


def _write(one: Told, decision: Known, context: Context, found: Recorded, reason: str | None) -> dict[str, Any] | None:
    """A row as it is to be written; ``None`` if it says nothing new or must not be."""
    old, earlier = decision.noted or {}, []
    if decision.outcome is not None:
        same = (
            decision.outcome,
            decision.outcome_at,
            old.get("event_at"),
            old.get("inclusion_probability"),
            old.get("source"),
        )
        event = clock.text(one.event_at) if one.event_at else None
        now = (one.outcome, one.outcome_at, event, one.inclusion_probability, one.source)
        # that a decision was drawn for an audit is news, though its outcome was known
        drawn = one.source == "audit_sample" and one.inclusion_probability != old.get("inclusion_probability")
        if same == now or (decision.outcome == one.outcome and reason is None and not drawn):
            found.unchanged += 1
            return None
        was_at = decision.outcome_at or decision.created_at
        if reason is None and (not one.named or one.source == "person"):
            message = f"'{decision.outcome}' is known of it; to correct that, give a reason."
            found.rejects.append(Reject(one.row, "outcome", "correction_without_reason", one.outcome, message))
            return None
        if reason is None and one.outcome_at < was_at:
            message = f"'{decision.outcome}' became known later, {was_at:%Y-%m-%d %H:%M} UTC; to correct it all the same, give a reason."
            found.rejects.append(Reject(one.row, "outcome_at", "older_than_known", clock.text(one.outcome_at), message))
            return None
        found.corrected += 1
        found.corrections.append(Correction(decision.id, decision.outcome, was_at, one.outcome, one.outcome_at))
        before = {k: v for k, v in old.items() if k != "earlier"}
        earlier = [*old.get("earlier", []), {**before, "outcome": decision.outcome, "outcome_at": clock.text(was_at)}]
    found.accepted += 1
    noted = {
        "source": one.source, "recorded_at": clock.text(context.now), "recorded_by": str(context.user_id) if context.user_id else context.actor_id,
        **({"event_at": clock.text(one.event_at)} if one.event_at else {}),
        **({"inclusion_probability": one.inclusion_probability} if one.inclusion_probability is not None else {}),
        **({"earlier": earlier} if earlier else {}),
    }  # fmt: skip
    return {
        "key": decision.id,
        "outcome": one.outcome,
        "outcome_at": one.outcome_at,
        "noted": canonical.dumps(noted).decode(),
    }
