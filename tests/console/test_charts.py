from __future__ import annotations

import math
import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline.console import charts
from plumbline.console.charts import Bar, Step

finite = st.floats(-1e9, 1e9).map(lambda v: 0.0 if abs(v) < 1e-6 else v)
EVIL = "<script>\"'&\n"


def parsed(markup: str) -> ElementTree.Element:
    """The picture as a tree: it must be well formed, without a style, a script or a number that is none."""
    tree = ElementTree.fromstring(f"<x>{markup}</x>")
    for element in tree.iter():
        assert element.tag not in ("script", "style", "foreignObject")
        for name, value in element.attrib.items():
            assert name != "style"
            assert not name.startswith("on")
            if name in ("x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "width", "height", "d"):
                assert not re.search(r"nan|inf|e[-+]\d", value), (name, value)
    return tree


def shares(tree: ElementTree.Element, name: str) -> list[float]:
    return [float(e.attrib[name][:-1]) for e in tree.iter() if e.attrib.get(name, "").endswith("%")]


@given(finite, finite, st.integers(2, 10))
def test_ticks_are_round_even_and_hold_the_range(a: float, b: float, count: int) -> None:
    low, high = min(a, b), max(a, b)
    ticks = charts.nice_ticks(low, high, count)
    step = ticks[1] - ticks[0]
    slack = step * 1e-6 + max(abs(low), abs(high)) * 1e-8
    assert ticks[0] <= low + slack
    assert ticks[-1] >= high - slack
    assert 2 <= len(ticks) <= count + 3
    assert all(math.isclose(y - x, step, rel_tol=1e-4, abs_tol=slack) for x, y in pairwise(ticks))


@given(st.lists(st.one_of(st.none(), finite), min_size=1, max_size=120).filter(lambda v: any(x is not None for x in v)))
def test_any_series_is_drawn_inside_its_picture(values: list[float | None]) -> None:
    tree = parsed(charts.line_chart("finding", [str(i) for i in range(len(values))], [("a", values)]))
    assert all(-0.01 <= x <= 100.01 for x in shares(tree, "cx"))
    dots = [float(e.attrib["cy"]) for e in tree.iter("circle")]
    assert len(dots) == sum(v is not None for v in values)
    assert all(-0.1 <= y <= 248 for y in dots)


def test_a_gap_splits_the_line_and_a_lonely_value_is_a_visible_dot() -> None:
    tree = parsed(charts.line_chart("finding", list("abcdef"), [("rate", [1, 2, None, 3, None, 4])]))
    lines = [e for e in tree.iter("path") if e.attrib["class"].startswith("line")]
    assert len(lines) == 1
    assert [("on" in e.attrib["class"].split()) for e in tree.iter("circle")] == [False, False, True, True]


def test_every_picture_says_its_finding_and_escapes_what_it_is_given() -> None:
    pictures = [
        charts.line_chart(EVIL, [EVIL], [(EVIL, [1.0])], marks=[(0, EVIL)], tips=[EVIL]),
        charts.spark([1, 2], EVIL),
        charts.curve(EVIL, [(0, 1), (1, 2)], marks=[(0.5, EVIL)], names=(EVIL, EVIL)),
        charts.cost_curve(EVIL, [(0, 1), (1, 2)], threshold=0.5, unit=EVIL),
        charts.histogram(EVIL, [1, 2], low=0, width=1, noun=EVIL, threshold=1, threshold_name=EVIL),
        charts.reliability(EVIL, [(0.1, 0.1, 5)], noun=EVIL),
        charts.progress(EVIL, 0.4, target=0.5, kind=EVIL),
    ]
    for picture in pictures:
        images = [e for e in parsed(picture).iter("svg") if e.attrib.get("role") == "img"]
        assert len(images) == 1
        # An XML parser reads a line break in an attribute as a space; a browser keeps it.
        assert images[0].attrib["aria-label"].startswith(EVIL.rstrip())


def test_a_ranking_is_a_table_with_the_finding_as_caption() -> None:
    tree = parsed(charts.bars("Late payments matter most", [Bar("Late <b>", -0.3, "note"), Bar("Other", 0.1)]))
    caption = tree.find(".//caption")
    assert caption is not None
    assert caption.text == "Late payments matter most"
    assert [th.text for th in tree.findall(".//tbody/tr/th")] == ["Late <b>", "Other"]
    assert [td.text for td in tree.findall(".//tbody/tr/td[2]")] == ["\u22120.3", "0.1"]


@given(st.lists(finite, min_size=1, max_size=120))
def test_bars_of_any_sign_stay_on_their_scale(values: list[float]) -> None:
    tree = parsed(charts.bars("finding", [Bar(str(i), v) for i, v in enumerate(values)]))
    for bar in tree.iter("rect"):
        left, width = float(bar.attrib["x"][:-1]), float(bar.attrib["width"][:-1])
        assert left >= -0.01
        assert left + width <= 100.02


@given(finite, st.lists(st.floats(-1e6, 1e6), max_size=20), st.one_of(st.none(), finite))
def test_a_waterfall_adds_up_and_each_bar_begins_where_the_last_ended(
    base: float, changes: list[float], threshold: float | None
) -> None:
    steps = [Step(f"r{i}", "", c) for i, c in enumerate(changes)]
    chart = charts.waterfall("finding", base, steps, threshold=threshold, digits=6)
    assert (chart.rows[0].kind, chart.rows[-1].kind, len(chart.rows)) == ("total", "total", len(steps) + 2)
    final = float(chart.rows[-1].value.replace(",", "").replace("\u2212", "-"))
    assert final == pytest.approx(base + sum(changes), rel=1e-6, abs=1e-3)
    for row in chart.rows:
        assert all(-0.01 <= x <= 100.01 for x in shares(parsed(row.bar), "x1"))


def test_what_is_adverse_is_told_by_the_caller_not_by_the_direction() -> None:
    steps = [Step("late", "", 0.1), Step("tenure", "", -0.02)]
    score, risk = (charts.waterfall("f", 0.5, steps, adverse=side, digits=2) for side in ("down", "up"))
    assert [r.kind for r in score.rows[1:3]] == ["for", "against"]
    assert [r.kind for r in risk.rows[1:3]] == ["against", "for"]


def test_the_bin_of_the_subject_stands_out_also_at_the_upper_end() -> None:
    for here, expected in ((0, 0), (14.9, 1), (40, 3), (-5, 0)):
        tree = parsed(charts.histogram("f", [1, 2, 3, 4], low=0, width=10, here=here))
        drawn = [e.attrib["class"] for e in tree.iter("rect") if e.attrib["class"].startswith("bar")]
        assert [i for i, kind in enumerate(drawn) if kind == "bar here"] == [expected]


def test_calibration_fills_its_picture_for_rare_events() -> None:
    tree = parsed(charts.reliability("f", [(0.01, 0.02, 10), (0.05, 0.06, 10)]))
    assert {"2.5%", "10%"} <= {e.text for e in tree.iter("text")}
    assert max(shares(tree, "cx")) == 50.0


@pytest.mark.parametrize(
    "draw",
    [
        lambda: charts.line_chart("f", [str(i) for i in range(121)], [("a", [1.0] * 121)]),
        lambda: charts.line_chart("f", ["a"], [("a", [1.0, 2.0])]),
        lambda: charts.line_chart("f", ["a"], [("a", [math.nan])]),
        lambda: charts.line_chart("f", ["a"], [("a", [None])]),
        lambda: charts.spark([], "f"),
        lambda: charts.curve("f", [(1, 1), (1, 2)]),
        lambda: charts.curve("f", [(0, 1), (1, 2)], band=[(0, 1)]),
        lambda: charts.curve("f", [(0, 1), (1, 2)], band=[(0, 1), (0, float("inf"))]),
        lambda: charts.histogram("f", [], low=0, width=1),
        lambda: charts.reliability("f", [(0.5, 1.2, 3)]),
        lambda: charts.bars("f", []),
        lambda: charts.progress("f", math.inf),
        lambda: charts.waterfall("f", 1, [], low=2, high=2),
    ],
)
def test_what_cannot_be_drawn_is_refused(draw: object) -> None:
    assert callable(draw)
    with pytest.raises(ValueError, match="f"):
        draw()


@given(st.lists(st.integers(), min_size=1, max_size=1000))
def test_thinning_keeps_both_ends_the_order_and_the_limit(points: list[int]) -> None:
    kept = charts.thin(list(enumerate(points)))
    assert kept[0] == (0, points[0])
    assert kept[-1] == (len(points) - 1, points[-1])
    assert kept == sorted(kept, key=lambda p: p[0])
    assert len(kept) == min(len(points), charts.MOST)


@given(st.floats(0, 1e6), st.floats(0.001, 1e6))
def test_heat_has_seven_tints_and_zero_its_own(value: float, top: float) -> None:
    step = charts.heat_step(value, top)
    assert 0 <= step <= 6
    assert (step == 0) == (value == 0)
    assert charts.heat_step(top, top) == 6
