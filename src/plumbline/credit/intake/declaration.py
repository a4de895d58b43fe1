"""Reads a schema's declaration and says which key of it is wrong."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import Any, get_args

from plumbline.credit.intake.schema import (
    COLUMN_TYPES,
    Column,
    ColumnType,
    Costs,
    Feature,
    Mutable,
    Reason,
    Schema,
    Severity,
    Sign,
    Table,
    Target,
    Use,
)
from plumbline.kernel.errors import InvalidInput, Where


def listed(data: dict[str, Any], file: str | None) -> dict[str, Any]:
    """The TOML form (columns, tables and reasons by name) as the list form of :meth:`Schema.to_dict`."""
    known = {"dataset", "target", "costs", "columns", "tables", "features", "reasons"}
    for key in data:
        if key not in known:
            raise _fault(file, key, f"There is no such part as {key!r}.", _meant(key, known))
    dataset = dict(_mapping(file, "dataset", data.get("dataset")))
    main_name = dataset.pop("table", "application")
    main_files = dataset.pop("files", [])
    identity = dataset.get("id")
    if not isinstance(identity, str) or not identity:
        raise _fault(file, "dataset.id", "The dataset names no id column.", 'Add id = "…" to dataset.')
    columns = dict(_mapping(file, "columns", data.get("columns")))
    if identity not in columns:
        columns = {identity: {"type": "id"}, **columns}
    tables: list[dict[str, Any]] = [
        {
            "name": main_name,
            "key": [identity],
            "files": main_files,
            "columns": _named(file, "columns", columns, required=True),
        }
    ]
    for name, table in _mapping(file, "tables", data.get("tables", {})).items():
        path = f"tables.{name}"
        body = dict(_mapping(file, path, table))
        body["columns"] = _named(file, f"{path}.columns", _mapping(file, f"{path}.columns", body.get("columns")))
        body.setdefault("parent_table", main_name)
        tables.append({"name": name, **body})
    features = data.get("features", [])
    if not isinstance(features, list):
        raise _fault(file, "features", "Features must be declared as [[features]].", "Use [[features]].")
    return {
        "dataset": dataset,
        "target": data.get("target"),
        "costs": data.get("costs", {}),
        "tables": tables,
        "features": [{"table": main_name, **_mapping(file, f"features[{i}]", f)} for i, f in enumerate(features)],
        "reasons": _named(file, "reasons", _mapping(file, "reasons", data.get("reasons", {})), key="code"),
    }


def _named(
    file: str | None, path: str, items: Mapping[str, Any], *, key: str = "name", required: bool | None = None
) -> list[dict[str, Any]]:
    extra = {} if required is None else {"required": required}
    return [{key: name, **extra, **_mapping(file, f"{path}.{name}", item)} for name, item in items.items()]


def _mapping(file: str | None, path: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _fault(file, path, f"{path} must be a table of keys and values.", f"Write {path} = {{ … }}.")
    return value


def _fault(file: str | None, key: str, detail: str, remedy: str | None = None) -> InvalidInput:
    return InvalidInput(detail, where=Where(file=file, field=key), remedy=remedy)


def _meant(name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f"Did you mean {close[0]!r}?" if close else f"Use one of: {', '.join(sorted(known))}."


class Reader:
    """Builds the declarations out of the list form and says which key is wrong."""

    def __init__(self, file: str | None) -> None:
        self.file = file

    def fault(self, key: str, detail: str, remedy: str | None = None) -> InvalidInput:
        return _fault(self.file, key, detail, remedy)

    def build(self, kind: Any, path: str, data: Mapping[str, Any], skip: tuple[str, ...] = ()) -> dict[str, Any]:
        """The keyword arguments of a declaration, checked against its fields."""
        fields = kind.__dataclass_fields__
        for key in data:
            if key not in fields:
                raise self.fault(f"{path}.{key}", f"There is no such key as {key!r}.", _meant(key, set(fields)))
        values: dict[str, Any] = {}
        for key, item in data.items():
            if key in skip:
                continue
            values[key] = self.value(str(fields[key].type), f"{path}.{key}", item)
        return values

    def value(self, declared: str, path: str, item: Any) -> Any:
        optional = declared.endswith("| None")
        kind = declared.removesuffix("| None").strip()
        if optional and (item is None or item == ""):
            return None
        choices = {"ColumnType": ColumnType, "Severity": Severity, "Mutable": Mutable, "Use": Use, "Sign": Sign}
        if kind in choices:
            allowed = get_args(choices[kind])
            if item not in allowed or isinstance(item, bool):
                shown = ", ".join(str(a) for a in allowed)
                raise self.fault(path, f"{item!r} is not possible here.", f"Use one of: {shown}.")
            return item
        good = {
            "str": isinstance(item, str),
            "bool": isinstance(item, bool),
            "int": isinstance(item, int) and not isinstance(item, bool),
            "int | str": isinstance(item, int | str) and not isinstance(item, bool),
            "float": isinstance(item, int | float) and not isinstance(item, bool),
        }
        if kind in good:
            if not good[kind]:
                raise self.fault(path, f"{item!r} is of the wrong type.", f"Give a value of type {kind}.")
            return float(item) if kind == "float" else item
        if not isinstance(item, list | tuple):
            raise self.fault(path, f"{item!r} is not a list.", "Give a list in square brackets.")
        if kind == "tuple[float, float]":
            numbers = all(isinstance(x, int | float) and not isinstance(x, bool) for x in item)
            if len(item) != 2 or not numbers or item[0] > item[1]:
                raise self.fault(path, f"{item!r} is not a range.", "Give [lowest, highest].")
            return (float(item[0]), float(item[1]))
        wanted: tuple[type, ...] = (str,) if kind == "tuple[str, ...]" else (int, float, str)
        if not all(isinstance(x, wanted) and not isinstance(x, bool) for x in item):
            raise self.fault(path, f"{list(item)!r} holds a value of the wrong type.")
        return tuple(item)

    def schema(self, data: Mapping[str, Any]) -> Schema:
        dataset = self.dataset(data.get("dataset", {}))
        tables: dict[str, Table] = {}
        for item in data.get("tables", []):
            table = self.table(item)
            tables[table.name] = table
        if not tables:
            raise self.fault("columns", "The schema declares no columns.")
        features = tuple(self.feature(i, f) for i, f in enumerate(data.get("features", [])))
        reasons: dict[str, Reason] = {}
        for item in data.get("reasons", []):
            path = f"reasons.{item.get('code')}"
            values = self.build(Reason, path, item)
            for key in ("adverse", "missing"):
                if not values.get(key):
                    raise self.fault(f"{path}.{key}", f"The reason has no text {key!r}.", f'Add {key} = "…".')
            reasons[values["code"]] = Reason(**values)
        target = None
        if data.get("target"):
            values = self.build(Target, "target", data["target"])
            if "column" not in values:
                raise self.fault("target.column", "The target names no column.")
            target = Target(**values)
        costs = Costs(**self.build(Costs, "costs", data.get("costs") or {}))
        if min(costs.false_negative, costs.false_positive) <= 0:
            raise self.fault("costs", "A cost must be above 0.")
        schema = Schema(
            tables=tables, target=target, costs=costs, features=features, reasons=reasons, file=self.file, **dataset
        )
        self.check(schema)
        return schema

    def dataset(self, data: Mapping[str, Any]) -> dict[str, Any]:
        known = {"name", "id", "time", "model"}
        for key in data:
            if key not in known:
                raise self.fault(f"dataset.{key}", f"There is no such key as {key!r}.", _meant(key, known))
        values: dict[str, Any] = {}
        for key in known & set(data):
            declared = "str | None" if key == "time" else "str"
            values[key] = self.value(declared, f"dataset.{key}", data[key])
        for key in ("name", "id"):
            if not values.get(key):
                raise self.fault(f"dataset.{key}", f"The dataset has no {key}.", f'Add {key} = "…" to dataset.')
        return values

    def table(self, data: Mapping[str, Any]) -> Table:
        path = f"tables.{data.get('name')}"
        values = self.build(Table, path, data, skip=("columns",))
        columns: dict[str, Column] = {}
        for item in data.get("columns", []):
            column = self.column(f"{path}.columns.{item.get('name')}", item)
            columns[column.name] = column
        if "key" not in values or not values["key"]:
            raise self.fault(f"{path}.key", "The table has no key.", 'Add key = ["…"].')
        for key in (*values["key"], values.get("parent"), values.get("time")):
            if key is not None and key not in columns:
                raise self.fault(path, f"The table has no column {key!r}.", _meant(key, set(columns)))
        return Table(columns=columns, **values)

    def column(self, path: str, data: Mapping[str, Any]) -> Column:
        values = self.build(Column, path, data)
        if "type" not in values:
            raise self.fault(f"{path}.type", "The column has no type.", f"Use one of: {', '.join(COLUMN_TYPES)}.")
        column = Column(**values)
        if column.range and not column.is_numeric:
            raise self.fault(f"{path}.range", f"A {column.type} column has no range.", "Remove the range.")
        textual = column.type == "category"
        if any(isinstance(s, str) != textual for s in column.sentinels):
            raise self.fault(f"{path}.sentinels", f"A sentinel is not of the type {column.type}.")
        if column.monotone and not column.is_numeric:
            raise self.fault(f"{path}.monotone", f"A {column.type} column has no sign.", "Remove monotone.")
        return column

    def feature(self, position: int, data: Mapping[str, Any]) -> Feature:
        path = f"features.{data.get('name', position)}"
        values = self.build(Feature, path, data)
        for key in ("name", "expression"):
            if not values.get(key):
                raise self.fault(f"{path}.{key}", f"The feature has no {key}.", f'Add {key} = "…".')
        return Feature(**values)

    def check(self, schema: Schema) -> None:
        """The references between the parts."""
        main = schema.main
        for column in (schema.id, schema.time, schema.target.column if schema.target else None):
            if column is not None and column not in main.columns:
                raise self.fault(
                    "dataset", f"The main table has no column {column!r}.", _meant(column, set(main.columns))
                )
        for table in schema.linked.values():
            path = f"tables.{table.name}"
            if table.parent is None or table.parent_table is None:
                raise self.fault(f"{path}.parent", "A linked table needs a parent column.", 'Add parent = "…".')
            if table.parent_table not in schema.tables or table.parent_table == table.name:
                raise self.fault(f"{path}.parent_table", f"There is no table {table.parent_table!r}.")
            self.acyclic(schema, table)
            if len(schema.tables[table.parent_table].key) != 1:
                raise self.fault(f"{path}.parent_table", "A parent table must have one key column.")
        seen = {f"{t.name}.{c}" for t in schema.tables.values() for c in t.columns}
        for feature in schema.features:
            path = f"features.{feature.name}"
            if feature.table not in schema.tables:
                raise self.fault(
                    f"{path}.table", f"There is no table {feature.table!r}.", _meant(feature.table, set(schema.tables))
                )
            onto = schema.tables[feature.table].parent_table or feature.table
            if f"{onto}.{feature.name}" in seen:
                raise self.fault(f"{path}.name", f"The name {feature.name!r} is taken already.", "Rename the feature.")
            seen.add(f"{onto}.{feature.name}")
            if feature.reason is not None and feature.reason not in schema.reasons:
                raise self.fault(f"{path}.reason", f"There is no reason {feature.reason!r}.", "Declare it in reasons.")
        for table in schema.tables.values():
            for col in table.columns.values():
                path = f"{table.name}.columns.{col.name}"
                if col.reason is not None and schema.reasons and col.reason not in schema.reasons:
                    raise self.fault(
                        f"{path}.reason",
                        f"There is no reason {col.reason!r}.",
                        _meant(col.reason, set(schema.reasons)),
                    )
                if col.unless_missing is not None and col.unless_missing not in table.columns:
                    raise self.fault(f"{path}.unless_missing", f"There is no column {col.unless_missing!r}.")

    def acyclic(self, schema: Schema, table: Table) -> None:
        seen = {table.name}
        step = table
        while step.parent_table is not None:
            step = schema.tables.get(step.parent_table, schema.main)
            if step.name in seen:
                raise self.fault(f"tables.{table.name}.parent_table", "The tables form a circle.")
            seen.add(step.name)
