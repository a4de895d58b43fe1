"""The form of one application, made from the schema of the model that will decide (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from plumbline.console import formats
from plumbline.credit import words
from plumbline.credit.features.matrix import FeatureInfo
from plumbline.credit.intake.schema import REAL, Column, Schema
from plumbline.kernel import canonical
from plumbline.kernel.errors import InvalidInput, PlumblineError

FIRST = 12
PREFIX = "f-"
HISTORY = "history"


@dataclass(frozen=True, slots=True)
class Field:
    """One control: ``options`` makes it a choice."""

    name: str
    label: str
    kind: str
    options: tuple[tuple[str, str], ...]
    hint: str
    unit: str
    required: bool


def importance(shares: Mapping[str, float], features: Mapping[str, FeatureInfo], table: str) -> dict[str, float]:
    """Column of a table → its part of the importance of the features made from it, shared out evenly."""
    found: dict[str, float] = {}
    for name, share in shares.items():
        info = features.get(name)
        for entry in info.lineage if info else ():
            owner, _, column = entry.partition(".")
            if owner == table and info is not None:
                found[column] = found.get(column, 0.0) + share / len(info.lineage)
    return found


def fields(schema: Schema, weights: Mapping[str, float], first: int = FIRST) -> tuple[list[Field], list[Field]]:
    """The number and what matters most to the model; then all other columns in the order of the schema."""
    columns = [c for c in schema.main.columns.values() if c.use != "none" and not _is_label(c.name, schema)]
    order = {c.name: i for i, c in enumerate(columns)}
    ranked = sorted(columns, key=lambda c: (c.name != schema.id, -weights.get(c.name, 0.0), order[c.name]))
    shown = {c.name for c in ranked[:first]}
    front = [_field(c, schema) for c in ranked if c.name in shown]
    return front, [_field(c, schema) for c in columns if c.name not in shown]


def _field(column: Column, schema: Schema) -> Field:
    options: tuple[tuple[str, str], ...] = ()
    if column.type == "category" and column.levels:
        options = tuple((level, level) for level in (*column.levels, *map(str, column.sentinels)))
    elif column.type == "flag":
        options = (("1", "Yes"), ("0", "No"))
    unit = "" if column.unit in words.MEANINGLESS else column.unit
    label, _, more = (column.text or column.name).partition(", ")
    hints = [more] if more else []
    if column.range and not options:
        low, high = (formats.number(v, 0 if float(v).is_integer() else 2) for v in column.range)
        hints.append(f"{low} to {high}")
    if column.use == "audit" or column.protected:
        hints.append("not used by the model")
    hint = "; ".join(hints)
    kind = "date" if column.type == "date" else "text"
    return Field(column.name, label, kind, options, hint[:1].upper() + hint[1:], unit, column.name == schema.id)


def absent(schema: Schema) -> dict[str, Any]:
    """The columns that belong in an application, all of them empty."""
    return {
        name: None for name, column in schema.main.columns.items() if column.required and not _is_label(name, schema)
    }


def _is_label(name: str, schema: Schema) -> bool:
    return schema.target is not None and schema.target.column == name


def typed(application: Mapping[str, Any]) -> dict[str, str]:
    """An application's values as the controls show them."""
    return {PREFIX + name: _written(found) for name, found in application.items() if found is not None}


def _written(found: Any) -> str:
    if isinstance(found, float) and found.is_integer() and abs(found) < 1e15:
        return str(int(found))
    return str(found)


def read(schema: Schema, given: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The application that was typed in, and what is wrong with it by the control's id.

    The form asks for every column, so one that was left empty is sent as empty, not as absent.
    """
    found: dict[str, str] = {}
    row = absent(schema)
    for name, column in schema.main.columns.items():
        text = given.get(PREFIX + name, "").strip()
        if not text:
            continue
        try:
            row[name] = _parsed(column, text)
        except ValueError as error:
            found[PREFIX + name] = str(error)
    if row.get(schema.id) is None and PREFIX + schema.id not in found:
        found[PREFIX + schema.id] = "Give the application a number."
    payload: dict[str, Any] = {schema.main.name: row}
    history = given.get(HISTORY, "").strip()
    if history:
        try:
            tables = canonical.loads(history)
            if not isinstance(tables, dict) or schema.main.name in tables:
                raise InvalidInput(f"Send an object of tables beside {schema.main.name}.")
            payload |= tables
        except InvalidInput as error:
            found[HISTORY] = _placed(error)
    return payload, found


def _parsed(column: Column, text: str) -> Any:
    text = text.replace(formats.MINUS, "-")
    if column.type in ("category", "date"):
        return text
    if column.type in REAL:
        try:
            return float(text)
        except ValueError:
            raise ValueError("Write a number such as 24700.50.") from None
    try:
        return int(text)
    except ValueError:
        if column.type == "id":
            return text
        raise ValueError("Write a whole number such as 12.") from None


def faults(error: PlumblineError, schema: Schema) -> dict[str, str]:
    """What a service found wrong, by the control's id; what belongs to no control stands under ''."""
    found: dict[str, list[str]] = {}
    for one in words.faults(error):
        where, said = one.where, words.told(one)
        key = ""
        if where is not None and where.table in (schema.main.name, None) and where.column in schema.main.columns:
            key = PREFIX + str(where.column)
        elif where is not None and where.table in schema.linked:
            key, said = HISTORY, _placed(one)
        elif where is not None and where.field in schema.linked:
            key = HISTORY
        found.setdefault(key, []).append(said)
    return {
        key: " ".join(said[:3]) + (f" And {len(said) - 3} more." if len(said) > 3 else "")
        for key, said in found.items()
    }


def in_text(error: PlumblineError) -> dict[str, str]:
    """What is wrong with an application sent as JSON, each fault with its place, under the one control there is."""
    said = [_placed(one) for one in words.faults(error)]
    return {"json": " ".join(said[:5]) + (f" And {len(said) - 5} more." if len(said) > 5 else "")}


def _placed(error: PlumblineError) -> str:
    where = error.where
    place = (where.field or (f"line {where.line}" if where.line else "")) if where else ""
    return f"{place}: {words.told(error)}" if place else words.told(error)
