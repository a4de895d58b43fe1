"""A model as one SQL statement, equal to the scorer to the last bit on PostgreSQL, DuckDB and SQLite.

Each tree is a nested CASE, the trees are added in the scorer's order, and calibration and probability follow in the
operations of :mod:`.logistic`: IEEE 754 ``+ - * /`` and comparisons, which all three engines carry out alike. What they
do not do alike is to read decimals, hence one way of writing a number for each (:class:`_Writer`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isinf, isnan
from typing import Literal, get_args

from plumbline.credit.modelling import logistic
from plumbline.credit.modelling.policy import LEVELS
from plumbline.credit.modelling.scorer import Scorer
from plumbline.credit.modelling.trees import Forest, Leaf
from plumbline.kernel.errors import InvalidInput, Where
from plumbline.kernel.models.calibration import CalibrationMap

Dialect = Literal["postgresql", "duckdb", "sqlite"]
DIALECTS: tuple[Dialect, ...] = get_args(Dialect)
OUTPUTS = ("raw_score", "log_odds", "probability", "risk_level", "points")
MOST_TREES = 900
"""SQLite takes expressions up to 1,000 deep, and a sum is as deep as it is long."""
# The logistic function's own constants are used, private as they are: with others the bits would differ.
_ROUNDER = 2.0**52
_INTEGERS = 2**53


@dataclass(frozen=True, slots=True)
class _Writer:
    """How one engine is told a number, a column and a type so that it means exactly that."""

    dialect: str

    def number(self, value: float) -> str:
        """A float as a literal, exactly; LightGBM writes an infinite threshold where a split asks for missing alone.

        PostgreSQL and DuckDB read decimals correctly rounded once they are told that these are floats. SQLite does not
        on every version (3.40 misreads about 1 in 14,000): there a number is a whole number times or over powers of
        two, each step of which is exact.
        """
        if isnan(value):
            raise InvalidInput("A model with a value that is no number cannot be written as SQL.")
        if isinf(value):
            sign = "-" if value < 0 else ""
            return {"postgresql": f"'{sign}Infinity'::float8", "duckdb": f"'{sign}Infinity'::DOUBLE"}.get(
                self.dialect, f"{sign}9e999"
            )
        value += 0.0  # −0.0 is 0.0 in every comparison and sum here
        if self.dialect == "postgresql":
            return f"'{value!r}'::float8"
        if self.dialect == "duckdb":
            text = repr(value)
            return text if "e" in text else f"{text}e0"
        top, bottom = value.as_integer_ratio()
        power = 0
        while abs(top) >= _INTEGERS:
            top, power = top // 2, power + 1  # a float has 53 bits: only zeros are cut off
        parts = [f"{top}.0"]
        while power:
            step = min(power, 52)
            parts.append(f"*{2**step}.0")
            power -= step
        while bottom > 1:
            step_down = min(bottom, 2**52)
            parts.append(f"/{step_down}.0")
            bottom //= step_down
        return parts[0] if len(parts) == 1 else f"({''.join(parts)})"

    def name(self, text: str) -> str:
        """A quoted identifier."""
        if "\0" in text or not text:
            raise InvalidInput("A name in SQL is a text without NUL.", where=Where(field="table"))
        return '"' + text.replace('"', '""') + '"'

    def input(self, text: str) -> str:
        """A column as a float; NaN, which the engines sort above all numbers, is missing."""
        if self.dialect == "sqlite":
            return f"CAST({self.name(text)} AS REAL)"
        if self.dialect == "postgresql":
            return f"NULLIF({self.name(text)}::float8, 'NaN'::float8)"
        return f"NULLIF({self.name(text)}::DOUBLE, 'NaN'::DOUBLE)"

    def whole(self, text: str) -> str:
        return f"CAST({text} AS INTEGER)"


def sql_of(
    members: Mapping[str, bytes],
    dialect: str,
    *,
    table: str = "features",
    key: str | None = None,
    heading: Sequence[str] = (),
) -> str:
    """One SELECT that scores every row of a table (or view) of a model's features.

    The table has one column a feature, named as the feature: numbers as they are, categories as their codes, missing
    as NULL (or NaN), that is, what ``scorer.transformer.transform`` makes. The result has the key and :data:`OUTPUTS`.
    Equality to the bit holds for log-odds within ±700, far beyond any model's.

    :param members: the parts of the model's artefact, which must load.
    :param key: the column to carry along; by default the schema's id.
    :param heading: lines of comment above it.
    :raises InvalidInput: an unknown engine, or too many trees for SQLite.
    """
    if dialect not in DIALECTS:
        raise InvalidInput(f"There is no export for {dialect}.", where=Where(field="dialect"),
                           remedy=f"Choose one of: {', '.join(DIALECTS)}.")  # fmt: skip
    scorer = Scorer.load(members)
    forest = Forest.from_text(members["model.txt"].decode())
    if dialect == "sqlite" and len(forest.trees) > MOST_TREES:
        raise InvalidInput(f"SQLite cannot add up {len(forest.trees)} trees in one expression.",
                           remedy=f"Export a model of at most {MOST_TREES} trees, or choose another engine.")  # fmt: skip
    write = _Writer(dialect)
    names = [f.name for f in scorer.features]
    used = sorted({step.feature for tree in forest.trees for leaf in tree for step in leaf.path})
    inputs = []
    for feature in used:
        read = write.input(names[feature])
        inputs.append((f"COALESCE({read}, {write.number(0.0)})" if forest.zero_if_missing[feature] else read, feature))
    trees = [_case(tree, 0, write) for tree in forest.trees]
    columns = ",\n  ".join(f"{read} AS x{feature}" for read, feature in inputs)
    comments = "".join(f"-- {' '.join(line.split())}\n" for line in heading)
    return "".join((
        comments,
        "WITH inputs AS (\nSELECT ", write.name(key or scorer.schema.id), " AS k", ",\n  " if inputs else "", columns,
        "\nFROM ", write.name(table), "\n),\nscored AS MATERIALIZED (\nSELECT k, ",
        "\n+ ".join(trees) or write.number(0.0),
        " AS raw_score\nFROM inputs\n),\n", _probability(scorer, write),
        f"SELECT k AS {write.name(key or scorer.schema.id)}, raw_score, log_odds, probability,\n  ",
        _level(scorer, write), " AS risk_level,\n  ", _points(scorer, write), " AS points\nFROM finished\n",
    ))  # fmt: skip


def _case(leaves: Sequence[Leaf], depth: int, write: _Writer) -> str:
    """The part of a tree below ``depth`` steps that these leaves share."""
    if len(leaves) == 1 and len(leaves[0].path) == depth:
        return write.number(leaves[0].value)
    step = leaves[0].path[depth]
    left = _case([leaf for leaf in leaves if not leaf.path[depth].right], depth + 1, write)
    right = _case([leaf for leaf in leaves if leaf.path[depth].right], depth + 1, write)
    column = f"x{step.feature}"
    condition = f"{column} > {write.number(step.threshold)}{_or_missing(column, step.missing_right)}"
    return f"CASE WHEN {condition} THEN {right} ELSE {left} END"


def _or_missing(column: str, missing_right: bool) -> str:
    return f" OR {column} IS NULL" if missing_right else ""


def _probability(scorer: Scorer, write: _Writer) -> str:
    """From the raw score to log-odds and probability, a layer for each value that is used more than once.

    Without MATERIALIZED an engine may put a layer's expression wherever it is named, which multiplies the trees.
    """
    n = write.number
    powers = [512, 256, 128, 64, 32, 16, 8, 4, 2, 1]
    halved = "".join(f" * CASE WHEN (e & {bit}) <> 0 THEN {n(2.0**-bit)} ELSE {n(1.0)} END" for bit in powers)
    halved += f" * CASE WHEN (e & 1024) <> 0 THEN {n(2.0**-512)} ELSE {n(1.0)} END" * 2
    taylor = logistic._TAYLOR
    power = n(taylor[0])
    for coefficient in taylor[1:]:
        power = f"({power} * r + {n(coefficient)})"
    largest, grid = n(logistic._LARGEST), n(logistic._GRID)
    return (
        f"calibrated AS MATERIALIZED (\nSELECT k, raw_score, {_calibrated(scorer.calibration, write)} AS log_odds\nFROM scored\n),\n"
        f"gridded AS MATERIALIZED (\nSELECT k, raw_score, log_odds,\n"
        f"  {_rounded(f'(CASE WHEN ABS(log_odds) < {largest} THEN ABS(log_odds) ELSE {largest} END * {grid})', write)}"
        f" * {n(logistic._INVERSE_GRID)} AS d\nFROM calibrated\n),\n"
        f"split AS MATERIALIZED (\nSELECT k, raw_score, log_odds, d, {_rounded(f'(d * {n(logistic._LOG2_E)})', write)} AS q\nFROM gridded\n),\n"
        f"reduced AS MATERIALIZED (\nSELECT k, raw_score, log_odds, {write.whole('q')} AS e,\n"
        f"  -((d - q * {n(logistic._LN2_HIGH)}) - q * {n(logistic._LN2_LOW)}) AS r\nFROM split\n),\n"
        f"powered AS MATERIALIZED (\nSELECT k, raw_score, log_odds, {power}{halved} AS small\nFROM reduced\n),\n"
        f"finished AS MATERIALIZED (\nSELECT k, raw_score, log_odds,\n"
        f"  CASE WHEN log_odds >= {n(0.0)} THEN {n(1.0)} ELSE small END / ({n(1.0)} + small) AS probability\nFROM powered\n)\n"
    )


def _rounded(text: str, write: _Writer) -> str:
    """A number from 0 on rounded to a whole one, halves to even: adding 2^52 leaves no bit below 1."""
    n = write.number(_ROUNDER)
    return f"CASE WHEN {text} >= {n} THEN {text} ELSE ({text} + {n}) - {n} END"


def _calibrated(fitted: CalibrationMap, write: _Writer) -> str:
    n = write.number
    if fitted.kind == "identity":
        return "raw_score"
    if fitted.kind == "platt":
        return f"raw_score * {n(fitted.slope)} + {n(fitted.intercept)}"
    x, y = fitted.knots, fitted.values

    def segment(part: int) -> str:
        start = max(part - 1, 0)
        inner = 0 < part < len(x)
        width, rise = (x[part] - x[part - 1], y[part] - y[part - 1]) if inner else (1.0, 1.0)
        mapped = f"{n(y[start])} + (raw_score - {n(x[start])}) / {n(width)} * {n(rise)}"
        if part == len(x):
            return mapped
        return f"CASE WHEN {mapped} < {n(y[part])} THEN {mapped} ELSE {n(y[part])} END"

    cases = "".join(f" WHEN raw_score <= {n(knot)} THEN {segment(part)}" for part, knot in enumerate(x))
    return f"CASE{cases} ELSE {segment(len(x))} END"


def _level(scorer: Scorer, write: _Writer) -> str:
    policy = scorer.policy
    high, medium = (write.number(share * policy.threshold) for share in (policy.high_from, policy.low_below))
    return (
        f"CASE WHEN probability >= {high} THEN '{LEVELS[2]}' WHEN probability >= {medium} THEN '{LEVELS[1]}' "
        f"ELSE '{LEVELS[0]}' END"
    )


def _points(scorer: Scorer, write: _Writer) -> str:
    scale = scorer.policy.scale
    text = f"({write.number(scale.offset)} - {write.number(scale.factor)} * log_odds)"
    n = write.number(0.0)
    return f"CASE WHEN {text} < {n} THEN -({_rounded(f'(-{text})', write)}) ELSE {_rounded(text, write)} END"
