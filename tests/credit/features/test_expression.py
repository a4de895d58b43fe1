from __future__ import annotations

import polars as pl
import pytest

from plumbline.credit.features.expression import Translator, Value, parse
from plumbline.kernel.errors import InvalidInput, Where

COLUMNS = {
    "a": Value(pl.col("a"), "money"),
    "b": Value(pl.col("b"), "money"),
    "n": Value(pl.col("n"), "whole"),
    "t": Value(pl.col("t"), "text"),
}
FRAME = pl.DataFrame(
    {"a": [1.0, None, -6.0], "b": [2.0, 4.0, 0.0], "n": [1, 2, None], "t": ["x", "y", None]},
)


def evaluate(source):
    value = Translator(COLUMNS).translate(parse(source))
    return FRAME.select(value.expr.alias("v"))["v"].to_list()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a + b * 2", [5.0, None, -6.0]),
        ("a / b", [0.5, None, None]),
        ("-a - 1", [-2.0, None, 5.0]),
        ("mean_of(a, b)", [1.5, 4.0, -3.0]),
        ("sum_of(a, b)", [3.0, 4.0, -6.0]),
        ("min_of(a, b)", [1.0, 4.0, -6.0]),
        ("max_of(a, b)", [2.0, 4.0, 0.0]),
        ("missing_of(a, n, t)", [0, 1, 2]),
        ("missing(a)", [False, True, False]),
        ("clip(a, -2, 0.5)", [0.5, None, -2.0]),
        ("abs(a)", [1.0, None, 6.0]),
        ("t in ['x', 'z']", [True, False, None]),
        ("t not in ['x']", [False, True, None]),
        ("n in [-1, 2]", [False, True, None]),
        ("a > 0 and b > 1", [True, None, False]),
        ("a > 0 or b > 1", [True, True, False]),
        ("not a > 0", [False, None, True]),
        ("1 if t == 'x' else 2", [1, 2, None]),
        ("(a > 0) + (b > 1)", [2, None, 0]),
        ("sum_of(n / 0)", [None, None, None]),
    ],
)
def test_the_language_of_one_row(source, expected):
    assert evaluate(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        "__import__('os').system('true')",
        "a.__class__",
        "[x for x in (1, 2)]",
        "lambda: 1",
        "a ** 9",
        "a if b",
        "eval('1')",
        "a[0]",
        "f'{a}'",
        "a < b < n",
        "(a := 1)",
        "sum(a, *b)",
        "clip(a, low=1, high=2)",
        "1e999",
        "b'x'",
        "a in b",
        "a is b",
        "a @ b",
        "a in []",
        "",
        "a\0",
        "(" * 300 + "a" + ")" * 300,
        "-" * 100 + "a",
    ],
)
def test_nothing_else_is_accepted(source):
    with pytest.raises(InvalidInput) as caught:
        parse(source, Where(file="s.toml", field="features.F.expression"))
    assert caught.value.where.field == "features.F.expression"


@pytest.mark.parametrize(
    ("source", "text", "remedy"),
    [
        ("aa + 1", "no column", "Did you mean 'a'?"),
        ("a + t", "text where a number", None),
        ("t and a > 1", "text where a condition", None),
        ("t > 1", "compares a text", None),
        ("a in ['x']", "compares a text", None),
        ("sum(a)", "of one row", "Name a linked table."),
        ("clip(a, 1)", "2 arguments", None),
        ("clip(a, b, 1)", "two numbers", None),
    ],
)
def test_what_cannot_be_computed_is_named(source, text, remedy):
    with pytest.raises(InvalidInput, match=text) as caught:
        evaluate(source)
    assert caught.value.remedy == remedy


def test_a_misspelled_function_is_named():
    with pytest.raises(InvalidInput, match="mean_off") as caught:
        parse("mean_off(a, b)")
    assert caught.value.remedy == "Did you mean 'mean_of'?"


def test_names_are_listed_once_in_order():
    assert parse("b + a * b - max_of(n, 1)").names == ("b", "a", "n")
