"""What became of decisions, as it comes in: rows of a list, of a CSV or a Parquet file, read and checked (pure).

Each row says which decision it is about, what came of it, and when that became known. A row that cannot be used is told with
its number, field and rule; the others are not held up by it.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from typing import IO, Any, Literal
from uuid import UUID

from plumbline.kernel.errors import InvalidInput, TooLarge, Where

SOURCES = ("feed", "person", "rule", "audit_sample")
"""Where a truth comes from. One that a rule made may only repeat the model's own answer: figures name their sources."""
FIELDS = ("prediction_id", "subject_id", "outcome", "outcome_at", "event_at", "source", "inclusion_probability")
MOST_ROWS = 1_000_000
"""Rows of one call: they are one transaction and one entry in the ledger."""
LONGEST = 200
_DAY = timedelta(days=1)
_STEP = 10_000


@dataclass(frozen=True, slots=True)
class Rates:
    """How a version's scores become decisions: the event is predicted from ``threshold`` on; costs of a missed and of a false one."""

    threshold: float
    cost_missed: float = 10.0
    cost_false: float = 1.0


@dataclass(frozen=True, slots=True)
class OutcomeKind:
    """What a room says of the truth about its decisions (:attr:`room.Room.outcomes`).

    :ivar words: the two outcomes: that the event did not happen, and that it did.
    :ivar horizon: how long after a decision its outcome is settled.
    :ivar accepts, refuses: values of ``metadata.decision`` whose truth will, and will never, be seen. Any other one waits for a
        person. Without any, the truth of every decision is seen.
    :ivar finals: ``(session, organization)`` → pairs of a decision's id and what a person decided in the end; it says whether the
        truth is seen, while performance stays the model's own.
    :ivar rates: a version's row → its :class:`Rates`.
    :ivar aliases: the room's own names of fields.
    :ivar silence_is_negative: no news at the horizon means that the event did not happen (a feed of events only).
    """

    prediction_type: str
    words: tuple[str, str]
    rates: Callable[[Any], Rates]
    horizon: timedelta = timedelta(days=30)
    period: Literal["month", "week"] = "month"
    accepts: tuple[str, ...] = ()
    refuses: tuple[str, ...] = ()
    finals: Callable[[Any, UUID], Sequence[tuple[UUID, str]]] | None = None
    aliases: Mapping[str, str] = field(default_factory=dict)
    cost_name: str = "cost_per_case"
    silence_is_negative: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """A row that can be used, if its decision is there.

    :ivar row: its number in what was given, from 1.
    :ivar before: the decision must have been made before this moment: the event's, else when it became known; a date without a
        time stands for its whole day.
    :ivar named: whether the row itself says where it comes from.
    """

    row: int
    prediction_id: UUID | None
    subject_id: str | None
    outcome: str
    outcome_at: datetime
    event_at: datetime | None
    before: datetime
    source: str
    named: bool
    inclusion_probability: float | None


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that was not used: which, why, and what stood there."""

    row: int
    field: str
    rule: str
    value: str
    message: str


def fields_of(kind: OutcomeKind) -> dict[str, str]:
    """Every name a column may have → the field it stands for."""
    return {name: name for name in FIELDS} | dict(kind.aliases)


def read_row(given: Any, number: int, kind: OutcomeKind, *, source: str, now: datetime) -> Told | Reject:
    """One row, whose values may be text (of a CSV file) or values (of JSON, of Parquet).

    :param source: of rows that name none.
    """
    try:
        return _read(given, number, kind, source, now)
    except _Fault as fault:
        return Reject(number, fault.field, fault.rule, _shown(fault.value), fault.message)


class _Fault(Exception):
    def __init__(self, name: str, rule: str, value: Any, message: str) -> None:
        self.field, self.rule, self.value, self.message = name, rule, value, message


def _shown(value: Any) -> str:
    return "" if value is None else str(value)[:LONGEST].replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def _sound(text: str) -> bool:
    """Whether it is text at all: a lone half of a pair cannot be written."""
    return text.isascii() or not any("\ud800" <= c <= "\udfff" for c in text)


def _read(given: Any, number: int, kind: OutcomeKind, source: str, now: datetime) -> Told:
    if isinstance(given, Ragged):
        raise _Fault("", "ragged", None, f"The row has {given.cells} cells, the header {given.columns}.")
    if not isinstance(given, Mapping):
        raise _Fault("", "row", None, "A row is an object with named fields.")
    known = fields_of(kind)
    row: dict[str, Any] = {}
    for name, value in given.items():
        if name not in known:
            raise _Fault(
                str(name)[:LONGEST], "unknown_field", value, f"There is no such field; use {', '.join(known)}."
            )
        if value is None or value == "" or (isinstance(value, str) and not value.strip()):
            continue
        if known[name] in row and row[known[name]] != value:
            raise _Fault(str(name), "twice", value, f"'{known[name]}' is given twice.")
        row[known[name]] = value.strip() if isinstance(value, str) else value
    key, subject = _decision(row)
    outcome = row.get("outcome")
    if outcome not in kind.words:
        raise _Fault("outcome", "outcome", outcome, f"Use one of {', '.join(kind.words)}.")
    if "outcome_at" not in row:
        raise _Fault("outcome_at", "required", None, "Say when the outcome became known.")
    known_at, known_end = _moment("outcome_at", row["outcome_at"], now)
    event_at, before = None, known_end
    if "event_at" in row:
        event_at, before = _moment("event_at", row["event_at"], now)
        if event_at > known_at and event_at >= known_end:
            raise _Fault(
                "event_at", "event_after_known", row["event_at"], "What became known lies before the event itself."
            )
    named = "source" in row
    origin = row.get("source", source)
    if origin not in SOURCES:
        raise _Fault("source", "source", origin, f"Use one of {', '.join(SOURCES)}.")
    probability = _probability(row, origin)
    return Told(number, key, subject, outcome, known_at, event_at, before, origin, named, probability)


def _decision(row: Mapping[str, Any]) -> tuple[UUID | None, str | None]:
    key, subject = row.get("prediction_id"), row.get("subject_id")
    if (key is None) == (subject is None):
        name = "prediction_id" if key is None else "subject_id"
        raise _Fault(
            name, "which_decision", subject, "Name the decision by prediction_id or by subject_id, one of them."
        )
    if key is not None:
        try:
            return key if isinstance(key, UUID) else UUID(key), None
        except (ValueError, AttributeError, TypeError):
            raise _Fault("prediction_id", "id", key, "This is no id of a decision.") from None
    if isinstance(subject, float) and subject.is_integer():
        subject = int(subject)
    text = str(subject)
    if isinstance(subject, bool) or not isinstance(subject, str | int) or "\x00" in text or not _sound(text):
        raise _Fault("subject_id", "subject", subject, "A subject is named by a text or a whole number.")
    if len(text) > LONGEST:
        raise _Fault("subject_id", "subject", subject, f"A subject's name has at most {LONGEST} characters.")
    return None, text


def _moment(name: str, given: Any, now: datetime) -> tuple[datetime, datetime]:
    """The moment, and the one from which on it is over: the same, or the end of a day given without a time."""
    if isinstance(given, str):
        try:
            given = date.fromisoformat(given) if len(given) == 10 else datetime.fromisoformat(given)
        except ValueError:
            raise _Fault(name, "time", given, "Write 2026-11-24 or 2026-11-24T09:41:00Z.") from None
    if isinstance(given, datetime):
        if given.tzinfo is None:
            raise _Fault(name, "time_zone", given, "A time needs its zone: 2026-11-24T09:41:00Z.")
        try:
            start = end = given.astimezone(UTC)
        except OverflowError:
            raise _Fault(name, "time", given, "No calendar has this moment.") from None
    elif isinstance(given, date):
        start = datetime(given.year, given.month, given.day, tzinfo=UTC)
        end = start + _DAY if given < date.max else start
    else:
        raise _Fault(name, "time", given, "Write 2026-11-24 or 2026-11-24T09:41:00Z.")
    if start > now:
        raise _Fault(name, "future", given, f"It lies in the future; now is {now:%Y-%m-%d %H:%M} UTC.")
    if start.year < 1970:
        raise _Fault(name, "time", given, "It lies before 1970.")
    return start, end


def _probability(row: Mapping[str, Any], source: str) -> float | None:
    given = row.get("inclusion_probability")
    if given is None:
        return None
    try:
        value = math.nan if isinstance(given, bool) else float(given)
    except (ValueError, TypeError, OverflowError):
        value = math.nan
    if not 0 < value <= 1:
        raise _Fault(
            "inclusion_probability", "probability", given, "A share above 0 and up to 1 that the row was drawn with."
        )
    if source != "audit_sample":
        raise _Fault("inclusion_probability", "sample_only", given, "Only rows of an audit_sample were drawn.")
    return value


# --- files


@dataclass(frozen=True, slots=True)
class Ragged:
    """A line of a CSV file that has more or fewer cells than its header."""

    cells: int
    columns: int


def read_file(stream: IO[bytes], name: str, kind: OutcomeKind) -> Iterator[Any]:
    """The rows of a CSV or Parquet file, for :func:`read_row`.

    :raises InvalidInput: it cannot be read, or a column is missing, unknown or there twice; nothing of it is used.
    :raises TooLarge: more than :data:`MOST_ROWS` rows.
    """
    head = stream.read(4)
    stream.seek(0)
    if not head:
        raise InvalidInput(
            "The file is empty.", where=Where(file=name), remedy="Send a header and a row for each decision."
        )
    rows = _parquet(stream, name, kind) if head == b"PAR1" else _delimited(stream, name, kind)
    first = next(rows, None)
    if first is None:
        raise InvalidInput("The file has no rows.", where=Where(file=name), remedy="Send a row for each decision.")
    return _counted(chain((first,), rows), name)


def _counted(rows: Iterator[Any], name: str) -> Iterator[Any]:
    for number, row in enumerate(rows):
        if number == MOST_ROWS:
            raise TooLarge(f"The file has more than {MOST_ROWS:,} rows.", where=Where(file=name), remedy="Split it.")
        yield row


def _check_columns(columns: Sequence[str], name: str, kind: OutcomeKind) -> None:
    known = fields_of(kind)
    unknown = [c for c in columns if c not in known]
    fields = [known[c] for c in columns if c in known]
    where = Where(file=name, column=unknown[0][:LONGEST]) if unknown else Where(file=name)
    if unknown:
        raise InvalidInput(
            f"There is no field '{unknown[0][:LONGEST]}'.", where=where, remedy=f"Name columns {', '.join(known)}."
        )
    twice = next((f for f in fields if fields.count(f) > 1), None)
    if twice:
        raise InvalidInput(f"Two columns give '{twice}'.", where=where, remedy="Leave one of them out.")
    missing = [f for f in ("outcome", "outcome_at") if f not in fields]
    if not {"prediction_id", "subject_id"} & set(fields):
        missing.append("prediction_id (or subject_id)")
    if missing:
        raise InvalidInput(f"A column is missing: {', '.join(missing)}.", where=where, remedy="Add it to the header.")


def _delimited(stream: IO[bytes], name: str, kind: OutcomeKind) -> Iterator[Any]:
    where = Where(file=name)
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
    try:
        header = text.readline(_STEP)
        delimiter = max(",;\t", key=header.count)
        lines = csv.reader(chain((header,), text), delimiter=delimiter, strict=True)
        columns = [c.strip() for c in next(lines, [])]
        _check_columns(columns, name, kind)
        for cells in lines:
            if not cells:
                continue  # a blank line
            yield dict(zip(columns, cells)) if len(cells) == len(columns) else Ragged(len(cells), len(columns))
    except UnicodeDecodeError:
        raise InvalidInput(
            "The file is not UTF-8 text.", where=where, remedy="Save it as CSV in UTF-8, or send Parquet."
        ) from None
    except csv.Error as error:
        raise InvalidInput(
            f"The file is no sound CSV: {error}.", where=where, remedy="Look for a quote that is never closed."
        ) from None
    finally:
        text.detach()  # the stream is the caller's


def _parquet(stream: IO[bytes], name: str, kind: OutcomeKind) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(stream)
        if file.metadata.num_rows > MOST_ROWS:
            raise TooLarge(f"The file has {file.metadata.num_rows:,} rows; the limit is {MOST_ROWS:,}.", where=Where(file=name),
                           remedy="Split it.")  # fmt: skip
        _check_columns(file.schema_arrow.names, name, kind)
        for batch in file.iter_batches(_STEP):
            yield from batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        told = str(error).splitlines()[0][:LONGEST] if str(error) else type(error).__name__
        raise InvalidInput(
            f"The Parquet file cannot be read: {told}", where=Where(file=name), remedy="Write it again."
        ) from None
