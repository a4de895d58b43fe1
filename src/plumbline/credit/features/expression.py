"""The language of declared features: a small part of Python's expressions, parsed, never evaluated.

Over one row: columns by name, numbers, texts in quotes, ``+ - * /`` (a division by zero is missing), comparisons,
``in [...]``, ``and or not``, ``a if condition else b``, and the functions of :data:`ROW_FUNCTIONS`. A missing operand
makes the result missing; only the functions that end in ``_of`` look past it.

Over the rows of a linked table: the same, with every column inside one of :data:`AGGREGATES`. Sums are exact: whole
numbers as they are, money in thousandths, ratios in billionths, each as 64-bit integers, so that neither the order of
the rows nor the size of the batch can change a bit. A mean is one division. Over no value at all an aggregate is
missing, but ``count()`` is 0.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import polars as pl

from plumbline.kernel.errors import InvalidInput, Where

Kind = Literal["whole", "money", "ratio", "flag", "text"]

ROW_FUNCTIONS: tuple[str, ...] = ("mean_of", "sum_of", "min_of", "max_of", "missing_of", "clip", "missing", "abs")
AGGREGATES: tuple[str, ...] = ("sum", "mean", "min", "max", "count", "share", "distinct")

_UNITS: dict[Kind, int] = {"whole": 1, "flag": 1, "money": 1_000, "ratio": 1_000_000_000}
_RANK: dict[Kind, int] = {"flag": 0, "whole": 1, "money": 2, "ratio": 3}
# Beyond this a sum of a few thousand values in the smallest unit could leave 64 bits; such a cell counts as missing.
LARGEST: dict[Kind, float] = {"whole": 1e15, "flag": 1e15, "money": 1e12, "ratio": 1e6}


@dataclass(frozen=True, slots=True)
class Value:
    """A Polars expression and what kind of number it is."""

    expr: pl.Expr
    kind: Kind


@dataclass(frozen=True, slots=True)
class Parsed:
    """A checked expression: its syntax tree and the columns it names, in order of appearance."""

    source: str
    tree: ast.expr
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """One aggregate a plan computes: ``over`` for each row, then ``how`` over the rows of a group."""

    over: pl.Expr
    how: Literal["sum", "count", "min", "max", "distinct"]


def parse(source: str, where: Where | None = None) -> Parsed:
    """Check ``source`` against the language.

    :raises InvalidInput: not an expression of the language; says which part.
    """
    try:
        tree = ast.parse(source, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise InvalidInput(
            f"{source!r} is not an expression.", where=where, remedy="Check brackets, quotes and operators."
        ) from None
    names: dict[str, None] = {}
    _Checker(source, where, names).visit(tree)
    return Parsed(source, tree, tuple(names))


class _Checker:
    def __init__(self, source: str, where: Where | None, names: dict[str, None]) -> None:
        self.source, self.where, self.names = source, where, names

    def fault(self, node: ast.AST, text: str, remedy: str | None = None) -> InvalidInput:
        part = ast.get_source_segment(self.source, node) or self.source
        return InvalidInput(f"{part!r} {text}.", where=self.where, remedy=remedy)

    def visit(self, node: ast.AST, depth: int = 0) -> None:
        if depth > 60:
            raise self.fault(node, "is nested too deeply")
        step = depth + 1
        match node:
            case ast.Constant(value=bool() | int() | float() | str()):
                if isinstance(node.value, float) and node.value - node.value != 0:
                    raise self.fault(node, "is not a finite number")
            case ast.Name():
                self.names.setdefault(node.id)
            case ast.UnaryOp(op=ast.USub() | ast.UAdd() | ast.Not(), operand=operand):
                self.visit(operand, step)
            case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div(), right=right):
                self.visit(left, step)
                self.visit(right, step)
            case ast.BoolOp(values=values):
                for value in values:
                    self.visit(value, step)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                for value in (test, body, orelse):
                    self.visit(value, step)
            case ast.Compare(left=left, ops=[ast.In() | ast.NotIn()], comparators=[ast.List(elts=items)]):
                self.visit(left, step)
                if not items or not all(isinstance(_constant(i), int | float | str) for i in items):
                    raise self.fault(node, "needs a list of values after 'in'")
            case ast.Compare(left=left, ops=[operation], comparators=[right]):
                if not isinstance(operation, ast.Eq | ast.NotEq | ast.Lt | ast.LtE | ast.Gt | ast.GtE):
                    raise self.fault(node, "uses a comparison that is not part of the language")
                self.visit(left, step)
                self.visit(right, step)
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                if name not in ROW_FUNCTIONS + AGGREGATES:
                    close = difflib.get_close_matches(name, ROW_FUNCTIONS + AGGREGATES, n=1)
                    raise self.fault(
                        node,
                        f"calls {name!r}, which is no function of the language",
                        f"Did you mean {close[0]!r}?" if close else None,
                    )
                for argument in arguments:
                    self.visit(argument, step)
            case _:
                raise self.fault(node, "is not part of the language of features")


def _constant(node: ast.AST) -> int | float | str | None:
    """The value of a literal, a negative number included."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float | str):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _constant(node.operand)
        return -inner if isinstance(inner, int | float) else None
    return None


class Translator:
    """Turns a parsed expression into Polars expressions.

    :param columns: the columns an expression may name.
    :param aggregate: called for an aggregate with what to compute; returns the column that will hold it. None on the
        main table, where there is nothing to aggregate.
    :param mask: the rows that count (filter and window); only inside aggregates.
    """

    def __init__(
        self,
        columns: Mapping[str, Value],
        where: Where | None = None,
        aggregate: Callable[[Part], pl.Expr] | None = None,
        mask: pl.Expr | None = None,
    ) -> None:
        self.columns, self.where, self.aggregate, self.mask = columns, where, aggregate, mask
        self.inside = False
        self.source = ""

    def translate(self, parsed: Parsed) -> Value:
        """:raises InvalidInput: an unknown column, a text where a number is needed, an aggregate out of place."""
        self.source = parsed.source
        return self.value(parsed.tree)

    def fault(self, node: ast.AST, text: str, remedy: str | None = None) -> InvalidInput:
        part = ast.get_source_segment(self.source, node) or self.source
        return InvalidInput(f"{part!r} {text}.", where=self.where, remedy=remedy)

    def value(self, node: ast.AST) -> Value:
        match node:
            case ast.Constant(value=value):
                return self.literal(value)
            case ast.Name(id=name):
                return self.name(node, name)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return Value(self.truth(operand).not_(), "flag")
            case ast.UnaryOp(op=op, operand=operand):
                inner = self.number(operand)
                kind: Kind = "whole" if inner.kind == "flag" else inner.kind
                return Value(-inner.expr, kind) if isinstance(op, ast.USub) else inner
            case ast.BinOp(left=left, op=op, right=right):
                return self.arithmetic(self.number(left), op, self.number(right))
            case ast.BoolOp(op=op, values=values):
                result = self.truth(values[0])
                for item in values[1:]:
                    result = result & self.truth(item) if isinstance(op, ast.And) else result | self.truth(item)
                return Value(result, "flag")
            case ast.IfExp(test=test, body=body, orelse=orelse):
                condition = self.truth(test)
                yes, no = self.number(body), self.number(orelse)
                chosen = pl.when(condition.is_null()).then(None).when(condition).then(yes.expr).otherwise(no.expr)
                return Value(chosen, _widest(yes, no))
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return Value(self.comparison(node, left, op, right), "flag")
            case ast.Call(func=ast.Name(id=name), args=arguments):
                if name in AGGREGATES:
                    return self.aggregated(node, name, arguments)
                return self.function(node, name, arguments)
        raise self.fault(node, "is not part of the language of features")

    def literal(self, value: object) -> Value:
        if isinstance(value, bool):
            return Value(pl.lit(value), "flag")
        if isinstance(value, int):
            return Value(pl.lit(value, dtype=pl.Int64), "whole")
        if isinstance(value, float):
            thousandths = value * 1000
            return Value(pl.lit(value), "money" if thousandths == round(thousandths) else "ratio")
        return Value(pl.lit(str(value)), "text")

    def name(self, node: ast.AST, name: str) -> Value:
        if name not in self.columns:
            close = difflib.get_close_matches(name, list(self.columns), n=1)
            raise self.fault(node, "is no column here", f"Did you mean {close[0]!r}?" if close else None)
        if self.aggregate is not None and not self.inside:
            raise self.fault(
                node, "stands outside an aggregate", f"Put it into one of: {', '.join(AGGREGATES)}, as in mean({name})."
            )
        return self.columns[name]

    def number(self, node: ast.AST) -> Value:
        value = self.value(node)
        if value.kind == "text":
            raise self.fault(node, "is a text where a number is needed")
        if value.kind == "flag":
            return Value(value.expr.cast(pl.Int64), "flag")
        return value

    def truth(self, node: ast.AST) -> pl.Expr:
        value = self.value(node)
        if value.kind == "text":
            raise self.fault(node, "is a text where a condition is needed")
        return value.expr.cast(pl.Boolean)

    def arithmetic(self, left: Value, op: ast.operator, right: Value) -> Value:
        kind = _widest(left, right)
        if kind == "flag":
            kind = "whole"
        if isinstance(op, ast.Add):
            return Value(left.expr + right.expr, kind)
        if isinstance(op, ast.Sub):
            return Value(left.expr - right.expr, kind)
        if isinstance(op, ast.Mult):
            fractional = left.kind not in {"whole", "flag"} and right.kind not in {"whole", "flag"}
            return Value(left.expr * right.expr, "ratio" if fractional else kind)
        return Value(divide(left.expr, right.expr), "ratio")

    def comparison(self, node: ast.AST, left: ast.AST, op: ast.cmpop, right: ast.AST) -> pl.Expr:
        if isinstance(op, ast.In | ast.NotIn):
            value = self.value(left)
            assert isinstance(right, ast.List)
            items = [_constant(i) for i in right.elts]
            if any(isinstance(i, str) != (value.kind == "text") for i in items):
                raise self.fault(node, "compares a text with a number")
            found = value.expr == items[0]
            for item in items[1:]:
                found = found | (value.expr == item)
            return found.not_() if isinstance(op, ast.NotIn) else found
        one, two = self.value(left), self.value(right)
        if (one.kind == "text") != (two.kind == "text"):
            raise self.fault(node, "compares a text with a number")
        a, b = one.expr, two.expr
        match op:
            case ast.Eq():
                return a == b
            case ast.NotEq():
                return a != b
            case ast.Lt():
                return a < b
            case ast.LtE():
                return a <= b
            case ast.Gt():
                return a > b
            case _:
                return a >= b

    def function(self, node: ast.AST, name: str, arguments: list[ast.expr]) -> Value:
        if name == "missing":
            self.arity(node, arguments, 1, 1)
            return Value(self.value(arguments[0]).expr.is_null(), "flag")
        if name == "missing_of":
            self.arity(node, arguments, 1, 60)
            total = pl.lit(0, dtype=pl.Int64)
            for argument in arguments:
                total = total + self.value(argument).expr.is_null().cast(pl.Int64)
            return Value(total, "whole")
        if name == "clip":
            self.arity(node, arguments, 3, 3)
            bounds = [_constant(a) for a in arguments[1:]]
            if any(isinstance(b, str) or b is None for b in bounds):
                raise self.fault(node, "needs two numbers as bounds")
            value = self.number(arguments[0])
            low, high = (self.literal(b) for b in bounds)
            clipped = pl.when(value.expr < low.expr).then(low.expr).when(value.expr > high.expr).then(high.expr)
            return Value(clipped.otherwise(value.expr), _widest(value, low, high))
        self.arity(node, arguments, 1, 60)
        values = [self.number(a) for a in arguments]
        if name == "abs":
            self.arity(node, arguments, 1, 1)
            return Value(values[0].expr.abs(), values[0].kind)
        if name == "min_of":
            return Value(pl.min_horizontal([v.expr for v in values]), _widest(*values))
        if name == "max_of":
            return Value(pl.max_horizontal([v.expr for v in values]), _widest(*values))
        total, known = pl.lit(0, dtype=pl.Int64), pl.lit(0, dtype=pl.Int64)
        for value in values:
            total = total + value.expr.fill_null(0)
            known = known + value.expr.is_not_null().cast(pl.Int64)
        if name == "sum_of":
            return Value(pl.when(known > 0).then(total), _widest(*values))
        return Value(divide(total, known), "ratio")

    def aggregated(self, node: ast.AST, name: str, arguments: list[ast.expr]) -> Value:
        if self.aggregate is None:
            raise self.fault(node, "aggregates rows, but the feature is of one row", "Name a linked table.")
        if self.inside:
            raise self.fault(node, "is an aggregate inside an aggregate")
        self.arity(node, arguments, 0 if name == "count" else 1, 1)
        self.inside = True
        try:
            return self._aggregated(node, name, arguments, self.aggregate)
        finally:
            self.inside = False

    def _aggregated(
        self, node: ast.AST, name: str, arguments: list[ast.expr], part: Callable[[Part], pl.Expr]
    ) -> Value:
        if name in {"count", "share"}:
            counted = self.truth(arguments[0]) if arguments else pl.lit(True)
            counted = self.masked(counted).cast(pl.Int64)
            hits = part(Part(counted, "sum"))
            if name == "count":
                return Value(hits, "whole")
            return Value(divide(hits, part(Part(counted, "count"))), "ratio")
        if name == "distinct":
            return Value(part(Part(self.masked(self.value(arguments[0]).expr), "distinct")), "whole")
        value = self.number(arguments[0])
        if name in {"min", "max"}:
            # −0.0 becomes a plain zero: which of the two an extreme finds depends on the order of the rows.
            # (Adding 0.0 would do, but Polars leaves that addition out.)
            whole = value.kind in {"whole", "flag"}
            plain = value.expr if whole else pl.when(value.expr == 0).then(0.0).otherwise(value.expr)
            how: Literal["min", "max"] = "min" if name == "min" else "max"
            return Value(part(Part(self.masked(plain), how)), value.kind)
        unit = _UNITS[value.kind]
        scaled = value.expr
        if unit > 1:
            small = scaled.abs() <= LARGEST[value.kind]
            scaled = pl.when(small).then((scaled * float(unit)).round()).cast(pl.Int64)
        scaled = self.masked(scaled)
        total, number = part(Part(scaled, "sum")), part(Part(scaled, "count"))
        if name == "mean":
            return Value(divide(total, number * unit), "ratio")
        total = pl.when(number > 0).then(total)
        return Value(total if unit == 1 else divide(total, pl.lit(unit)), "whole" if unit == 1 else value.kind)

    def masked(self, expr: pl.Expr) -> pl.Expr:
        return expr if self.mask is None else pl.when(self.mask).then(expr)

    def arity(self, node: ast.AST, arguments: list[ast.expr], low: int, high: int) -> None:
        if not low <= len(arguments) <= high:
            wanted = str(low) if low == high else f"{low} to {high}"
            raise self.fault(node, f"has {len(arguments)} arguments where {wanted} are needed")


def divide(top: pl.Expr, bottom: pl.Expr) -> pl.Expr:
    """Top over bottom; missing where bottom is 0 or missing."""
    # Polars divides a column by a constant, or by a column it knows to be constant, as a multiplication with the
    # reciprocal, which rounds twice; a single row it divides. Adding zeros made from the top leaves the divisor as it
    # is and makes it a column that is divided by in every case.
    top = top.cast(pl.Float64)
    column = top * 0.0 + bottom.cast(pl.Float64)
    return pl.when(column != 0).then(top / column)


def _widest(*values: Value) -> Kind:
    return max((v.kind for v in values), key=_RANK.__getitem__)
