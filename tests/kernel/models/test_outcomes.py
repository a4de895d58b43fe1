"""Rows and files of outcomes, read; and cohorts, judged by how they stand."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline.kernel.errors import InvalidInput
from plumbline.kernel.models.cohorts import LABELLED, Tally, bounds, key_of, standing
from plumbline.kernel.models.outcomes import OutcomeKind, Rates, Reject, Told, read_file, read_row
from tests.conftest import NOW

KEY = "01a20cee-17e0-70b5-b32e-0455d3063eb9"
KIND = OutcomeKind(
    "scale", ("light", "heavy"), lambda _: Rates(0.5), horizon=timedelta(days=30), accepts=("approve",), refuses=("decline",),
    aliases={"number": "subject_id"},
)  # fmt: skip
SOUND = {"prediction_id": KEY, "outcome": "heavy", "outcome_at": "2026-11-20"}


def read(**changes: Any) -> Told | Reject:
    return read_row({**SOUND, **changes}, 3, KIND, source="feed", now=NOW)


def test_a_row_says_which_decision_what_and_when() -> None:
    told = read(event_at="2026-11-19T23:30:00+01:00")
    assert isinstance(told, Told)
    assert (told.prediction_id, told.subject_id, told.outcome, told.source, told.named) == (
        UUID(KEY),
        None,
        "heavy",
        "feed",
        False,
    )
    assert told.outcome_at == datetime(2026, 11, 20, tzinfo=UTC)
    assert told.event_at == told.before == datetime(2026, 11, 19, 22, 30, tzinfo=UTC)
    whole_day = read()
    assert isinstance(whole_day, Told)
    assert whole_day.before == datetime(2026, 11, 21, tzinfo=UTC)
    by_number = read(
        prediction_id="", number=17, outcome_at=date(2026, 11, 20), source="audit_sample", inclusion_probability="0.05"
    )
    assert isinstance(by_number, Told)
    assert (by_number.subject_id, by_number.named, by_number.inclusion_probability) == ("17", True, 0.05)


@pytest.mark.parametrize(
    ("changes", "field", "rule"),
    [
        ({"prediction_id": None}, "prediction_id", "which_decision"), ({"subject_id": "S"}, "subject_id", "which_decision"),
        ({"prediction_id": "x"}, "prediction_id", "id"), ({"prediction_id": 7}, "prediction_id", "id"),
        ({"prediction_id": None, "number": "a\0b"}, "subject_id", "subject"), ({"prediction_id": None, "number": True}, "subject_id", "subject"),
        ({"prediction_id": None, "number": "\ud800"}, "subject_id", "subject"),
        ({"prediction_id": None, "number": "9" * 201}, "subject_id", "subject"), ({"outcome": "Heavy"}, "outcome", "outcome"),
        ({"outcome": None}, "outcome", "outcome"), ({"outcome": ["heavy"]}, "outcome", "outcome"), ({"outcome_at": None}, "outcome_at", "required"),
        ({"outcome_at": "20.11.2026"}, "outcome_at", "time"), ({"outcome_at": "2026-11-20T10:00:00"}, "outcome_at", "time_zone"),
        ({"outcome_at": 5}, "outcome_at", "time"), ({"outcome_at": "0001-01-01T00:00:00+23:59"}, "outcome_at", "time"),
        ({"outcome_at": "1066-10-14"}, "outcome_at", "time"), ({"outcome_at": "2026-11-25"}, "outcome_at", "future"),
        ({"outcome_at": "2026-11-24T09:41:01Z"}, "outcome_at", "future"), ({"event_at": "2026-11-21"}, "event_at", "event_after_known"),
        ({"source": "rumour"}, "source", "source"), ({"inclusion_probability": 0.5}, "inclusion_probability", "sample_only"),
        ({"source": "audit_sample", "inclusion_probability": 0}, "inclusion_probability", "probability"),
        ({"source": "audit_sample", "inclusion_probability": "nan"}, "inclusion_probability", "probability"),
        ({"outcom": "heavy"}, "outcom", "unknown_field"), ({"prediction_id": None, "number": 1, "subject_id": 2}, "subject_id", "twice"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_told_with_its_row_field_and_rule(
    changes: dict[str, Any], field: str, rule: str
) -> None:
    told = read(**changes)
    assert isinstance(told, Reject)
    assert (told.row, told.field, told.rule) == (3, field, rule)
    assert told.message
    assert "\0" not in told.value


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(
    JSON
    | st.dictionaries(
        st.sampled_from([*SOUND, "number", "event_at", "source", "inclusion_probability"]), JSON | st.datetimes()
    )
)
def test_whatever_a_row_holds_it_is_told_or_rejected(row: Any) -> None:
    told = read_row(row, 1, KIND, source="feed", now=NOW)
    assert isinstance(told, Told | Reject)
    if isinstance(told, Reject):
        "".join((told.field, told.value, told.message)).encode()


def rows(data: bytes) -> list[Any]:
    return list(read_file(io.BytesIO(data), "o.csv", KIND))


def test_a_file_is_csv_with_any_usual_delimiter_or_parquet() -> None:
    for delimiter in ",;\t":
        text = "\ufeff" + "\r\n".join(delimiter.join(line) for line in (SOUND, SOUND.values())) + "\r\n\r\n"
        assert rows(text.encode()) == [SOUND]
    buffer = io.BytesIO()
    pq.write_table(
        pa.table(
            {
                "number": [1, 2],
                "outcome": ["heavy", None],
                "outcome_at": pa.array([NOW, NOW], pa.timestamp("us", "UTC")),
            }
        ),
        buffer,
    )
    found = rows(buffer.getvalue())
    assert [r["number"] for r in found] == [1, 2]
    one, other = (read_row(r, 1, KIND, source="feed", now=NOW) for r in found)
    assert isinstance(one, Told)
    assert one.outcome_at == NOW
    assert isinstance(other, Reject)
    ragged = [read_row(r, 1, KIND, source="feed", now=NOW) for r in rows(b"number,outcome,outcome_at\n1,heavy\n")]
    assert [r.rule for r in ragged if isinstance(r, Reject)] == ["ragged"]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "is empty"), (b"number,outcome,outcome_at\n", "has no rows"), (b"number,outcome\n1,heavy\n", "column is missing: outcome_at"),
        (b"outcome,outcome_at\nheavy,2026-11-20\n", "prediction_id"), (b"number,outcom,outcome_at\n1,heavy,2026-11-20\n", "no field 'outcom'"),
        (b"number,subject_id,outcome,outcome_at\n1,1,heavy,2026-11-20\n", "Two columns"), (b"number,outcome,outcome_at\n\xff,heavy,x\n", "UTF-8"),
        (b'number,outcome,outcome_at\n"1,heavy,2026-11-20\n', "no sound CSV"), (b"PAR1 and nothing else", "cannot be read"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_refused_whole(data: bytes, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        rows(data)


# --- cohorts


@given(st.dates(min_value=date(1970, 1, 1), max_value=date(2200, 1, 1)), st.sampled_from(["month", "week"]))
def test_every_day_lies_within_its_cohort(day: date, period: str) -> None:
    since, until = bounds(key_of(day, period))
    assert since.date() <= day < until.date()
    assert key_of((since - timedelta(days=1)).date(), period) < key_of(since.date(), period)


@pytest.mark.parametrize("key", ["2026-13", "2026", "2026-W54", "x-W1", ""])
def test_what_is_no_cohort_is_refused(key: str) -> None:
    with pytest.raises(InvalidInput):
        bounds(key)


DECISIONS = st.sampled_from(["approve", "decline", "review", None])
OUTCOMES = st.sampled_from([None, "light", "heavy"])


@given(
    st.lists(st.tuples(DECISIONS, OUTCOMES, st.sampled_from(["feed", "audit_sample"])), min_size=1),
    st.integers(-40, 40),
)
def test_a_cohort_is_judged_only_when_old_enough_and_known_well_enough(
    found: list[tuple[Any, Any, str]], days: int
) -> None:
    tally = Tally(youngest=NOW)
    for decision, outcome, source in found:
        tally.add(KIND, decision, outcome, source if outcome else None)
    assert tally.rows == tally.awaited + tally.declined + tally.undecided == len(found)
    stands = standing(tally, KIND, NOW + KIND.horizon + timedelta(days=days))
    if days < 0:
        assert stands.state == "immature"
    else:
        accepted = [o for d, o, s in found if d == "approve" or (d != "decline" and o and s == "feed")]
        known = sum(o is not None for o in accepted)
        assert stands.state == ("mature" if accepted and known >= LABELLED * len(accepted) else "incomplete")
    for decision, outcome, source in found:
        tally.add(KIND, decision, outcome, source if outcome else None, -1)
    assert (tally.rows, tally.awaited, tally.labelled, tally.events, tally.declined, tally.undecided, tally.aside) == (
        0,
    ) * 7


def test_silence_is_an_answer_at_the_horizon_and_never_before() -> None:
    quiet = replace(KIND, silence_is_negative=True)
    tally = Tally(youngest=NOW)
    tally.add(quiet, "approve", None, None, 99)
    tally.add(quiet, "approve", "heavy", "feed", 1)
    assert standing(tally, quiet, NOW + timedelta(days=29)).state == "immature"
    assert standing(tally, quiet, NOW + timedelta(days=30)).state == "mature"
    assert standing(tally, KIND, NOW + timedelta(days=30)).state == "incomplete"
    assert (tally.matured(quiet).labelled, tally.matured(quiet).sources["silence"]) == (100, 99)
