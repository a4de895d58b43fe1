"""The rules a row and a cell must keep, the same for a file and for one application."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from plumbline.credit.intake.casting import EXACT, BadCells
from plumbline.credit.intake.schema import REAL, Column, Schema, Table
from plumbline.kernel.errors import InvalidInput, Where

REQUIRED_SHARE = 0.85
LIKENESS = 0.8


def meant(name: str, known: Sequence[str]) -> str | None:
    """The known name that ``name`` is most likely a misspelling of."""
    folded = {k.casefold(): k for k in known}
    if name.casefold() in folded:
        return folded[name.casefold()]
    close = difflib.get_close_matches(name, known, n=1, cutoff=LIKENESS)
    return close[0] if close else None


def check_columns(given: Sequence[str], table: Table, schema: Schema, scoring: bool, where: Where) -> list[str]:
    """Whether a file's columns can be used; the warnings if so.

    :raises InvalidInput: two alike, no id, a misspelled name, too few of the required ones, no label to train on.
    """
    fault = _columns_fault(given, table, schema, scoring, where)
    if fault is not None:
        raise fault
    main = table.name == schema.main.name
    label = schema.target.column if main and schema.target else None
    warnings = []
    if scoring and label in given:
        warnings.append(f"The column {label} is the label; it was left out and not read.")
    extra = [n for n in given if n and n not in table.columns]
    if extra:
        warnings.append(f"{table.name}: {len(extra)} unknown columns were left out: {_few(extra)}.")
    unnamed = sum(not n for n in given)
    if unnamed:
        warnings.append(f"{table.name}: {unnamed} columns without a name were left out.")
    absent = [n for n, c in table.columns.items() if n not in given and n != label and c.use != "none"]
    if absent:
        warnings.append(f"{table.name}: {len(absent)} columns are absent and count as empty: {_few(absent)}.")
    return warnings


def _columns_fault(
    given: Sequence[str], table: Table, schema: Schema, scoring: bool, where: Where
) -> InvalidInput | None:
    def at(column: str | None) -> Where:
        return Where(file=where.file, table=table.name, line=where.line, column=column)

    main = table.name == schema.main.name
    label = schema.target.column if main and schema.target else None
    seen: set[str] = set()
    for name in given:
        if name and name in seen:
            return InvalidInput(f"Two columns are called {name}.", where=at(name), remedy="Rename or remove one.")
        seen.add(name)
    free = [n for n in table.columns if n not in seen and not (scoring and n == label)]
    for name in given:
        if name and name not in table.columns and (close := meant(name, free)):
            return InvalidInput(
                f"There is no column {name}.", where=at(name), remedy=f"Did you mean {close}? Rename it, or remove it."
            )
    needed = [schema.id] if main else [k for k in (table.parent, *table.key) if k and table.columns[k].required]
    for name in needed:
        if name not in seen:
            what = "id" if main else "key"
            return InvalidInput(
                f"The {what} column {name} is missing.", where=at(name), remedy=f"Add a column {name}; see the schema."
            )
    if main and not scoring:
        if label is None:
            return InvalidInput(
                "The schema declares no label to learn from.", where=at(None), remedy="Add target = {…} to the schema."
            )
        if label not in seen:
            return InvalidInput(
                f"The label column {label} is missing.", where=at(label), remedy="Training needs a file with outcomes."
            )
    required = [n for n, c in table.columns.items() if c.required and n not in needed and n != label]
    absent = [n for n in required if n not in seen]
    if main and len(required) - len(absent) < REQUIRED_SHARE * len(required):
        return InvalidInput(
            f"{len(absent)} of {len(required)} required columns are missing, more than {1 - REQUIRED_SHARE:.0%}: "
            f"{_few(absent)}.",
            where=at(absent[0]),
            remedy=f"Send a file of the data set {schema.name}, or name the right schema.",
        )
    return None


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def outside(frame: pl.DataFrame, table: Table, severity: str) -> list[BadCells]:
    """The cells outside their declared range; a sentinel never is."""
    found = []
    columns = [c for c in table.columns.values() if c.range and c.severity == severity and c.name in frame.columns]
    for column in columns:
        assert column.range is not None
        low, high = column.range
        series = frame[column.name]
        least, most = series.min(), series.max()
        if least is None or most is None or (least >= low and most <= high):  # type: ignore[operator] # numeric
            continue
        beyond = (series < low) | (series > high)
        for sentinel in column.sentinels:
            beyond &= series != sentinel
        index = np.flatnonzero(beyond.fill_null(value=False).to_numpy())
        if len(index):
            values = series.gather(index).cast(pl.String).to_list()
            message = f"The value is outside {low:g} to {high:g}."
            found.append(BadCells(column.name, "range", index, values, message))
    return found


def repeated_ids(ids: pl.Series, seen: set[Any]) -> list[BadCells]:
    """Missing ids, and those that stand in an earlier row; adds the new ones to ``seen``."""
    found = []
    if ids.null_count():
        index = np.flatnonzero(ids.is_null().to_numpy())
        found.append(BadCells(ids.name, "id_missing", index, [None] * len(index), "The id is missing."))
    values = ids.to_list()
    fresh = set(values)
    fresh.discard(None)
    if len(fresh) + ids.null_count() != len(values) or not seen.isdisjoint(fresh):
        index_list, known = [], set(seen)
        for row, value in enumerate(values):
            if value is not None and value in known:
                index_list.append(row)
            known.add(value)
        repeated = np.array(index_list, dtype=np.int64)
        texts: list[str | None] = [str(values[i]) for i in index_list]
        found.append(BadCells(ids.name, "id_repeated", repeated, texts, "The id stands in an earlier row."))
    seen |= fresh
    return found


def validate_application(
    payload: Mapping[str, Any], schema: Schema, *, beside: Sequence[str] = ()
) -> dict[str, pl.DataFrame]:
    """One application as typed tables.

    :param payload: ``{main table: {column: value}, linked table: [{column: value}, …], …}``. A whole number is
        accepted where a real one is declared; nothing else is converted. A linked row may leave out the id of the
        application it belongs to.
    :param beside: further top-level keys that belong to the caller.
    :raises InvalidInput: with ``errors`` for every fault, each with table, row, column and field.
    """
    main = schema.main
    check = _Application(schema)
    if not isinstance(payload, Mapping):
        raise InvalidInput("An application is a JSON object.", remedy=f'Send {{"{main.name}": {{…}}}}.')
    for key in payload:
        if key not in schema.tables and key not in beside:
            close = meant(str(key), list(schema.tables))
            check.fault(f"There is no table {key}.", Where(field=str(key)), f"Did you mean {close}?" if close else None)
    row = payload.get(main.name)
    tables: dict[str, pl.DataFrame] = {}
    identity: Any = None
    if not isinstance(row, Mapping):
        check.fault(
            f"The table {main.name} is missing or is no object.",
            Where(table=main.name, field=main.name),
            f'Send {{"{main.name}": {{…}}}}.',
        )
    else:
        fault = _columns_fault([str(k) for k in row], main, schema, True, Where())
        if fault is not None and fault.where is not None and fault.where.column not in row:
            check.errors.append(fault)
        tables[main.name] = check.rows(main, [row])
        identity = row.get(schema.id)
        if identity is None and schema.id in row:
            check.fault(
                "The id is missing.", Where(table=main.name, column=schema.id, field=f"{main.name}.{schema.id}")
            )
    for name, table in schema.linked.items():
        items = payload.get(name)
        if items is None:
            continue
        if not isinstance(items, Sequence) or isinstance(items, str | bytes):
            check.fault(f"The table {name} is no list.", Where(table=name, field=name), f'Send "{name}": [{{…}}, …].')
            continue
        tables[name] = check.rows(table, items, identity if table.parent_table == main.name else None)
    if check.errors:
        count = len(check.errors)
        first = check.errors[0]
        raise InvalidInput(
            first.detail if count == 1 else f"The application has {count} faults.",
            where=first.where,
            remedy=first.remedy if count == 1 else "Correct each of them.",
            errors=tuple(check.errors),
        )
    return tables


class _Application:
    """Checks the cells of one application and collects what is wrong."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.errors: list[InvalidInput] = []
        self.text_ids = False

    def fault(self, detail: str, where: Where, remedy: str | None = None) -> None:
        self.errors.append(InvalidInput(detail, where=where, remedy=remedy))

    def rows(self, table: Table, items: Sequence[Any], identity: Any = None) -> pl.DataFrame:
        main = table.name == self.schema.main.name
        label = self.schema.target.column if main and self.schema.target else None
        columns: dict[str, list[Any]] = {name: [None] * len(items) for name in table.columns if name != label}
        for number, item in enumerate(items):
            prefix = table.name if main else f"{table.name}[{number}]"
            row = None if main else number + 1
            if not isinstance(item, Mapping):
                self.fault("A row is an object.", Where(table=table.name, row=row, field=prefix))
                continue
            for name, value in item.items():
                if value is None:
                    continue
                column = table.columns.get(name)
                where = None
                if column is None or name == label:
                    where = Where(table=table.name, row=row, column=str(name), field=f"{prefix}.{name}")
                    if name == label:
                        self.fault("The label is no input.", where, "Leave it out.")
                        continue
                    close = meant(str(name), list(columns))
                    self.fault(f"There is no column {name}.", where, f"Did you mean {close}?" if close else None)
                    continue
                problem = _cell(column, value)
                if problem is None:
                    columns[name][number] = value
                else:
                    where = Where(table=table.name, row=row, column=name, field=f"{prefix}.{name}")
                    self.fault(problem, where)
            if identity is not None and table.parent is not None:
                parent = columns[table.parent]
                if parent[number] is None:
                    parent[number] = identity
                elif parent[number] != identity:
                    where = Where(table=table.name, row=row, column=table.parent, field=f"{prefix}.{table.parent}")
                    self.fault("The row belongs to another application.", where, "Leave it out.")
        return _frame(table, columns)


def _frame(table: Table, cells: dict[str, list[Any]]) -> pl.DataFrame:
    """Checked cells as a typed frame. Built by rows: for the few of an application that is the quickest way."""
    types: dict[str, pl.DataType] = {}
    dates = []
    for name, values in cells.items():
        column = table.columns[name]
        types[name] = column.dtype
        if column.type == "id" and any(isinstance(v, str) for v in values):
            cells[name] = [None if v is None else str(v) for v in values]
            types[name] = pl.String()
        elif column.type == "date":
            types[name] = pl.String()
            dates.append(name)
    frame = pl.DataFrame(list(zip(*cells.values())), schema=types, orient="row")
    return frame.with_columns(pl.col(dates).str.to_date("%Y-%m-%d")) if dates else frame


def _cell(column: Column, value: Any) -> str | None:
    """What is wrong with a JSON value, or None."""
    if column.type == "category":
        return None if isinstance(value, str) else "The value must be a text."
    if column.type == "date":
        if not isinstance(value, str) or pl.Series([value]).str.to_date("%Y-%m-%d", strict=False)[0] is None:
            return "The value must be a date like 2026-01-31."
        return None
    if column.type == "id":
        good = isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool))
        if not good:
            return "The value must be a whole number or a text."
        return None if isinstance(value, str) or abs(value) < 2**63 else "The number is too large."
    if isinstance(value, bool):
        return "The value must be 0 or 1." if column.type == "flag" else "The value must be a number."
    if column.type in REAL:
        if not isinstance(value, int | float):
            return "The value must be a number."
        if value - value != 0 or abs(value) > 1e300:
            return "The value must be a finite number."
    else:
        if not isinstance(value, int):
            return "The value must be 0 or 1." if column.type == "flag" else "The value must be a whole number."
        if column.type == "flag" and value not in (0, 1):
            return "The value must be 0 or 1."
        if abs(value) > EXACT:
            return "The number is too large."
    if column.range and column.severity == "reject" and value not in column.sentinels:
        low, high = column.range
        if not low <= value <= high:
            return f"The value is outside {low:g} to {high:g}."
    return None
