"""A schema proposed from the data, to be read and corrected by a person."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from plumbline.credit.intake.schema import NUMERIC, WHOLE
from plumbline.kernel.errors import InvalidInput, Where

Values: TypeAlias = npt.NDArray[np.float64]

MOST_LEVELS = 60
REQUIRED_BELOW = 0.4
SENTINEL_CANDIDATES = (
    -9.0, -8.0, -7.0, -6.0, -1.0, -99.0, -999.0, -9999.0, 96.0, 97.0, 98.0, 99.0, 996.0, 997.0, 998.0, 999.0, 9999.0,
    99999.0, 999999.0, 9999999.0, 365243.0,
)  # fmt: skip
SENTINEL_TEXTS = frozenset({"xna", "xap", "unknown", "n/a", "none", "not available", "missing", "?", "-"})

# A word of a column's name → the protected attribute it suggests.
PROTECTED = (
    (re.compile(r"gender|sex"), "sex"),
    (re.compile(r"marital|family.?status|married"), "marital_status"),
    (re.compile(r"birth|(^|[^a-z])age([^a-z]|$)|ageyears"), "age"),
    (re.compile(r"(^|[^a-z])race([^a-z]|$)|ethnic|colou?r_of_skin"), "race"),
    (re.compile(r"religion|church"), "religion"),
    (re.compile(r"national(ity)?|citizen|country_of_origin|foreign"), "national_origin"),
    (re.compile(r"public_?assist|welfare"), "public_assistance"),
    (re.compile(r"disab"), "disability"),
)
TARGET = re.compile(r"target|label|default|delin|dlq|bad|outcome|risk.?performance|y$", re.IGNORECASE)
IDENTITY = re.compile(r"(^|[^a-z])(id|key|row|number|no|index)([^a-z]|$)|id$", re.IGNORECASE)
AMOUNT = re.compile(r"amt|amount|income|balance|salary|price|debt|limit|payment|bill|revenue|value|loan", re.IGNORECASE)


RATIO = re.compile(r"ratio|rate|share|percent|fraction|utili", re.IGNORECASE)
THINGS = re.compile(r"car|vehicle|account|loan|propert|build|house|file")


def infer(frame: pl.DataFrame, name: str) -> str:
    """TOML text of a schema for one table: types, ranges, empty shares, suspected sentinels, id, label, protected.

    What is a guess says so in a comment. Ranges are those seen, and only warn.

    :raises InvalidInput: no rows, or no column that could name them.
    """
    if frame.height == 0 or frame.width == 0:
        raise InvalidInput("There are no rows to infer a schema from.", where=Where(file=name))
    identity = _identity(frame)
    if identity is None:
        raise InvalidInput(
            "No column has a different value in each row, so none can be the id.",
            where=Where(file=name),
            remedy="Add a column that numbers the rows.",
        )
    target = _target(frame, identity)
    lines = [
        f"# Proposed from {frame.height:,} rows of {frame.width} columns. Check types, sentinels, the label and which",
        "# columns are protected; then add signs (monotone), reasons and who can change what (mutable).",
        "",
        f'dataset = {{ name = {_text(name)}, id = {_text(identity)}, time = "" }}',
    ]
    if target is None:
        lines.append('# target = { column = "…", bad = 1 }   # no column looks like a label')
    else:
        column, bad = target
        value = _text(bad) if isinstance(bad, str) else str(bad)
        lines.append(f"target = {{ column = {_text(column)}, bad = {value} }}   # a guess: which value means default?")
    lines += ["costs = { false_negative = 10, false_positive = 1 }", "", "[columns]"]
    label = target[0] if target else None
    lines += [_column(series, identity, label) for series in frame.iter_columns()]
    return "\n".join(lines) + "\n"


def _identity(frame: pl.DataFrame) -> str | None:
    unique = [
        s.name
        for s in frame.iter_columns()
        if (s.dtype.is_integer() or s.dtype == pl.String) and s.null_count() == 0 and s.n_unique() == frame.height
    ]
    named = [n for n in unique if IDENTITY.search(n)]
    return next(iter(named or unique), None)


def _target(frame: pl.DataFrame, identity: str) -> tuple[str, int | str] | None:
    for series in frame.iter_columns():
        if series.name == identity or not TARGET.search(series.name):
            continue
        levels = series.drop_nulls().unique().to_list()
        if len(levels) == 2 and set(levels) == {0, 1}:
            return series.name, 1
        if len(levels) == 2 and series.dtype == pl.String:
            bad = [v for v in levels if re.search(r"bad|default|yes|^1$", v, re.IGNORECASE)]
            return series.name, (bad or sorted(levels))[0]
    return None


def _column(series: pl.Series, identity: str, label: str | None) -> str:
    parts: list[str] = []
    notes: list[str] = []
    empty = (series.null_count() + (int(series.is_nan().sum()) if series.dtype.is_float() else 0)) / len(series)
    kind = "id" if series.name == identity else _kind(series)
    parts.append(f"type = {_text(kind)}")
    if series.name == label:
        parts.append('use = "none"')
    elif series.name != identity:
        if kind in NUMERIC:
            parts += _numbers(series, kind, notes)
        elif kind == "category":
            parts += _levels(series, notes)
        if protected := _protected(series.name):
            parts.append(f"protected = {_text(protected)}")
            notes.append("protected by its name")
        if empty > REQUIRED_BELOW:
            parts.append("required = false")
    if empty:
        notes.insert(0, f"{empty:.1%} empty")
    comment = f"   # {'; '.join(notes)}" if notes else ""
    return f"{_key(series.name)} = {{ {', '.join(parts)} }}{comment}"


def _kind(series: pl.Series) -> str:
    dtype = series.dtype
    if dtype == pl.Boolean:
        return "flag"
    if dtype.is_temporal():
        return "date"
    if not dtype.is_numeric():
        texts = series.cast(pl.String).drop_nulls()
        dates = texts.str.to_date("%Y-%m-%d", strict=False)
        return "date" if len(texts) and dates.null_count() == 0 else "category"
    values = _finite(series)
    if len(values) == 0:
        return "ratio"
    if (values == np.floor(values)).all() and np.abs(values).max() <= 2**53:
        if set(np.unique(values).tolist()) <= {0.0, 1.0}:
            return "flag"
        if AMOUNT.search(series.name) and np.abs(values).max() > 1000:
            return "money"
        return "count" if values.min() >= 0 and len(np.unique(values)) <= 100 else "integer"
    amount = AMOUNT.search(series.name) and not RATIO.search(series.name)
    return "money" if amount and np.abs(values).max() > 10 else "ratio"


def _finite(series: pl.Series) -> Values:
    values = np.asarray(series.drop_nulls().cast(pl.Float64).to_numpy(), dtype=np.float64)
    finite: Values = values[np.isfinite(values)]
    return finite


def _numbers(series: pl.Series, kind: str, notes: list[str]) -> list[str]:
    values = _finite(series)
    if len(values) == 0 or kind == "flag":
        return []
    sentinels = suspected_sentinels(values)
    plain = values[~np.isin(values, sentinels)] if sentinels else values
    parts = [f"range = [{_number(plain.min(), kind)}, {_number(plain.max(), kind)}]"]
    if sentinels:
        share = np.isin(values, sentinels).mean()
        parts.append(f"sentinels = [{', '.join(_number(s, kind) for s in sentinels)}]")
        notes.append(f"suspected sentinels, {share:.1%} of the values")
    return parts


def suspected_sentinels(values: Values) -> list[float]:
    """Codes like 98, −9 or 365243 that stand apart from the other values: below 0 where all others are not, or farther
    above the others than these are apart."""
    distinct = np.unique(values)
    found: list[float] = []
    codes = np.array(SENTINEL_CANDIDATES)
    while len(distinct) > 2 and distinct[-1] > 0 and distinct[-1] in codes:
        # The codes at the top come in runs such as 96, 98: look at what lies below all of them.
        top = len(distinct)
        while top > 0 and distinct[top - 1] in codes and distinct[top - 1] > distinct[-1] / 2:
            top -= 1
        rest = distinct[:top]
        if len(rest) < 2 or distinct[top] - rest[-1] <= rest[-1] - rest[0]:
            break
        found += distinct[top:].tolist()
        distinct = rest
    negative = distinct[distinct < 0]
    if len(negative) and len(distinct) > len(negative) + 1 and np.isin(negative, codes).all() and len(negative) <= 4:
        found += negative.tolist()
    return sorted(found)


def _levels(series: pl.Series, notes: list[str]) -> list[str]:
    levels = sorted(series.cast(pl.String).drop_nulls().unique().to_list())
    odd = [v for v in levels if v.strip().casefold() in SENTINEL_TEXTS]
    known = [v for v in levels if v not in odd]
    parts = []
    if len(known) <= MOST_LEVELS:
        parts.append(f"levels = {_list(known)}")
    else:
        notes.append(f"{len(known)} levels")
    if odd:
        parts.append(f"sentinels = {_list(odd)}")
        notes.append("suspected sentinels")
    return parts


def _protected(name: str) -> str | None:
    # Words of camelCase and snake_case names, so that "age" is found in "ageYears" and not in "average".
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    for pattern, attribute in PROTECTED:
        if pattern.search(words) and not (attribute == "age" and THINGS.search(words)):
            return attribute
    return None


def _number(value: float, kind: str) -> str:
    return str(int(value)) if kind in WHOLE or value == int(value) else repr(float(value))


def _text(value: str) -> str:
    # A JSON string is a TOML string, but TOML also wants DEL escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _list(values: Sequence[str]) -> str:
    return f"[{', '.join(_text(v) for v in values)}]"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _text(name)
