from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline.console import formats

NOW = datetime(2026, 11, 24, 9, 52, tzinfo=UTC)


def test_numbers_have_separators_a_real_minus_and_a_sign_where_asked() -> None:
    assert formats.number(1284902) == "1,284,902"
    assert formats.number(-1234.5, 1) == "\u22121,234.5"
    assert formats.number(5.25, 1, signed=True) == "+5.2"
    assert formats.number(-0.04, 1, signed=True) == "0.0", "what rounds to zero has no sign"


@given(st.floats(-1e12, 1e12), st.integers(0, 6))
def test_a_written_number_reads_back_within_half_a_unit_of_its_last_digit(value: float, digits: int) -> None:
    read = float(formats.number(value, digits).replace(",", "").replace("\u2212", "-"))
    assert abs(read - value) <= 0.5 * 10**-digits + abs(value) * 1e-12


def test_shares_differences_and_money_carry_their_unit() -> None:
    assert formats.percent(0.142) == "14.2\u00a0%"
    assert formats.points(-0.052) == "\u22125.2\u00a0points"
    assert formats.money(-18500, "€") == "\u2212€18,500.00"
    assert formats.money(18500, "EUR", 0) == "18,500\u00a0EUR"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1284902, "1.28M"),
        (999_700, "1M"),
        (18204, "18.2k"),
        (640, "640"),
        (0.25, "0.25"),
        (-2500, "\u22122.5k"),
        (0, "0"),
    ],
)
def test_compact_figures_have_at_most_three_digits(value: float, text: str) -> None:
    assert formats.compact(value) == text


@given(st.floats(-1e11, 1e11))
def test_compact_keeps_a_value_to_half_a_per_cent(value: float) -> None:
    text = formats.compact(value)
    units = {"k": 1e3, "M": 1e6, "B": 1e9}
    scale = units.get(text[-1], 1.0)
    read = float(text.rstrip("kMB").replace("\u2212", "-")) * scale
    assert read == pytest.approx(value, rel=0.0051, abs=1e-6)


def test_times_are_utc_and_a_time_without_a_zone_is_taken_for_utc() -> None:
    berlin = timezone(timedelta(hours=1))
    assert formats.when(datetime(2026, 11, 24, 10, 41, tzinfo=berlin)) == "24 Nov 2026, 09:41 UTC"
    assert formats.when(datetime(2026, 11, 24, 9, 41)) == "24 Nov 2026, 09:41 UTC"  # noqa: DTZ001
    assert formats.iso(datetime(2026, 11, 24, 9, 41, 7, tzinfo=UTC)) == "2026-11-24T09:41:07Z"
    assert formats.day(date(2026, 9, 2)) == "2 Sep 2026"


@pytest.mark.parametrize(
    ("ahead", "text"),
    [
        (timedelta(seconds=-10), "just now"),
        (timedelta(minutes=-2), "2\u00a0min ago"),
        (timedelta(minutes=18), "in 18\u00a0min"),
        (timedelta(hours=-3), "3\u00a0h ago"),
        (timedelta(hours=24), "25 Nov 2026, 09:52 UTC"),
        (timedelta(days=-2), "22 Nov 2026, 09:52 UTC"),
    ],
)
def test_a_time_is_relative_only_within_24_hours(ahead: timedelta, text: str) -> None:
    assert formats.ago(NOW + ahead, NOW) == text


def test_a_hash_shows_its_first_eight_and_last_four_digits() -> None:
    assert formats.short_hash("sha256:b41e77c02f6ad08e93c1a7714de05b8cf2906e31") == "b41e 77c0 … 6e31"
    assert formats.short_hash("D-118-4471") == "D-118-4471"


def test_what_is_not_there_is_a_dash_everywhere() -> None:
    shown = (formats.number(None), formats.percent(None), formats.points(None), formats.money(None), formats.when(None))
    assert {*shown, formats.compact(None), formats.size(None), formats.duration(None), formats.ago(None, NOW)} == {"–"}


def test_spans_and_sizes_use_the_unit_a_person_would() -> None:
    assert [formats.duration(s) for s in (0.038, 4.2, 725, 12000, 86400 * 5)] == [
        "38\u00a0ms",
        "4.2\u00a0s",
        "12\u00a0min",
        "3\u00a0h 20\u00a0min",
        "5\u00a0days",
    ]
    assert [formats.size(n) for n in (12, 4200, 4_200_000)] == ["12\u00a0B", "4.2\u00a0kB", "4.2\u00a0MB"]


def test_badges_take_first_and_last_word_of_any_name() -> None:
    assert [
        formats.initials(n) for n in ("Imke Brandt", "mara.voss@x.example", "Ana de la Cruz", "admin", "  ", "- -")
    ] == [
        "IB",
        "MV",
        "AC",
        "A",
        "?",
        "?",
    ]


def test_field_names_break_after_their_marks_and_stay_escaped() -> None:
    assert formats.breakable("a.b_<c>") == "a.<wbr>b_<wbr>&lt;c&gt;"


def test_findings_are_sorted_most_severe_first_and_stable() -> None:
    rows = [{"severity": s, "n": i} for i, s in enumerate(("low", "critical", "odd", "high", "critical"))]
    assert [r["n"] for r in formats.by_severity(rows)] == [1, 4, 3, 0, 2]


def test_attributes_are_escaped_and_what_the_policy_forbids_is_refused() -> None:
    assert formats.attributes({"hx_get": '/x?a="1"', "readonly": True, "min": None, "max": False}) == (
        ' hx-get="/x?a=&#34;1&#34;" readonly'
    )
    for name in ("style", "onclick"):
        with pytest.raises(ValueError, match="forbidden"):
            formats.attributes({name: "x"})
