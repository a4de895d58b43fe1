"""From declared features to one plan: what to compute on each table, and what each result is made from."""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl

from plumbline.credit.features.expression import Part, Translator, Value, parse
from plumbline.credit.features.matrix import FeatureInfo
from plumbline.credit.intake.schema import WHOLE, Column, Feature, Schema, Table
from plumbline.kernel.errors import InvalidInput, Where

SENTINEL_SUFFIX = "_SENTINEL"


@dataclass(slots=True)
class TablePlan:
    """The work on one linked table, bottom first: ``rows`` for each row, ``groups`` for each parent, then ``results``.

    ``children`` are the tables whose results are joined to the rows before.
    """

    table: Table
    needed: list[str] = field(default_factory=list)
    rows: dict[str, pl.Expr] = field(default_factory=dict)
    groups: list[pl.Expr] = field(default_factory=list)
    results: dict[str, pl.Expr] = field(default_factory=dict)
    children: list[str] = field(default_factory=list)
    _parts: dict[tuple[str, bytes], str] = field(default_factory=dict)

    @property
    def parent(self) -> str:
        """The column that holds the parent's key."""
        assert self.table.parent is not None
        return self.table.parent

    def part(self, part: Part) -> pl.Expr:
        """The column that will hold an aggregate; the same aggregate is computed once."""
        over = part.over.meta.serialize()
        key = (part.how, over)
        if key not in self._parts:
            row = next((n for (_, o), n in self._parts.items() if o == over), None)
            source = f"r{len(self.rows)}" if row is None else f"r{row[1:].partition('_')[0]}"
            self.rows.setdefault(source, part.over)
            name = f"g{source[1:]}_{part.how}"
            column = pl.col(source)
            reduced = {
                "sum": column.sum(),
                "count": column.count(),
                "min": column.min(),
                "max": column.max(),
                "distinct": column.drop_nulls().n_unique(),
            }[part.how]
            # Counts come as unsigned numbers, which a minus sign would turn around.
            whole = part.how in {"count", "distinct"}
            self.groups.append((reduced.cast(pl.Int64) if whole else reduced).alias(name))
            self._parts[key] = name
        return pl.col(self._parts[key])


@dataclass(slots=True)
class Plan:
    """Everything to compute: the linked tables, children before parents, then the columns of the main table.

    ``infos`` describes each possible feature (not yet fitted); ``required`` says which of them are a required column
    as it stands, ``inputs`` which columns of the main table an expression names, ``plain`` which features are a numeric
    column and nothing else.
    """

    schema: Schema
    linked: dict[str, TablePlan]
    main: dict[str, pl.Expr]
    infos: dict[str, FeatureInfo]
    from_tables: dict[str, str]
    required: frozenset[str]
    inputs: frozenset[str]
    plain: frozenset[str]


def compile_features(schema: Schema) -> Plan:
    """Compile the columns and declared features of a schema.

    :raises InvalidInput: a declaration that cannot be computed; names the file and the feature.
    """
    return _Compiler(schema).plan()


def cleaned(column: Column) -> pl.Expr:
    """A raw column without its sentinels (they become missing)."""
    expr = pl.col(column.name)
    for sentinel in column.sentinels:
        expr = pl.when(expr != sentinel).then(expr)
    return expr


def value_of(column: Column) -> Value | None:
    """How expressions see a raw column; None where they cannot (ids and dates)."""
    if column.type == "category":
        return Value(cleaned(column), "text")
    if column.type == "flag":
        return Value(cleaned(column), "whole")
    if column.type in WHOLE:
        return Value(cleaned(column), "whole")
    if column.type in {"money", "ratio"}:
        return Value(cleaned(column), "money" if column.type == "money" else "ratio")
    return None


class _Compiler:
    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.values: dict[str, dict[str, Value]] = {}
        self.lineage: dict[str, dict[str, frozenset[str]]] = {}
        for table in schema.tables.values():
            values = {name: value_of(column) for name, column in table.columns.items()}
            self.values[table.name] = {name: value for name, value in values.items() if value is not None}
            self.lineage[table.name] = {name: frozenset({f"{table.name}.{name}"}) for name in table.columns}
        self.linked: dict[str, TablePlan] = {}
        self.infos: dict[str, FeatureInfo] = {}
        self.main: dict[str, pl.Expr] = {}
        self.from_tables: dict[str, str] = {}
        self.inputs: set[str] = set()
        self.plain: set[str] = set()

    def plan(self) -> Plan:
        schema = self.schema
        required = self.raw_columns()
        for table in self.bottom_up():
            for feature in schema.features:
                if feature.table == table.name:
                    self.linked_feature(table, feature)
        for feature in schema.features:
            if feature.table == schema.main.name:
                self.main_feature(feature)
        return Plan(
            schema, self.linked, self.main, self.infos, self.from_tables, frozenset(required), frozenset(self.inputs),
            frozenset(self.plain),
        )  # fmt: skip

    def bottom_up(self) -> list[Table]:
        """The linked tables, the farthest from the main one first."""

        def depth(table: Table) -> int:
            return 0 if table.parent_table is None else 1 + depth(self.schema.tables[table.parent_table])

        return sorted(self.schema.linked.values(), key=lambda t: -depth(t))

    def raw_columns(self) -> list[str]:
        schema, table, required = self.schema, self.schema.main, []
        aside = {schema.id, schema.time, schema.target.column if schema.target else None}
        for column in table.columns.values():
            if column.use != "feature" or column.name in aside or column.type in {"id", "date"}:
                continue
            expr = cleaned(column)
            if column.unless_missing is not None:
                self.inputs.add(column.unless_missing)
                expr = pl.when(cleaned(table.columns[column.unless_missing]).is_not_null()).then(expr)
            self.add(
                FeatureInfo(
                    name=column.name,
                    kind="category" if column.type == "category" else "numeric",
                    lineage=self.raw_lineage(column),
                    reason=column.reason,
                    monotone=column.monotone,
                    unit=column.unit,
                    text=column.text,
                ),
                expr,
            )
            if column.required:
                required.append(column.name)
            if column.type != "category" and not column.sentinels and column.unless_missing is None:
                self.plain.add(column.name)
            if column.sentinels and column.sentinel_flag:
                flag = pl.col(column.name).is_in(list(column.sentinels)).cast(pl.Int64)
                name = f"{column.name}{SENTINEL_SUFFIX}"
                if name in table.columns:
                    raise InvalidInput(
                        f"The flag for the sentinels of {column.name} would be called {name}, which is a column.",
                        where=Where(file=schema.file, field=f"columns.{column.name}.sentinel_flag"),
                        remedy="Rename the column or leave the flag out.",
                    )
                text = f"{column.text or column.name}: stated as none"
                lineage = frozenset({f"{table.name}.{column.name}"})
                self.add(FeatureInfo(name, "numeric", lineage, column.reason, text=text), flag)
        return required

    def raw_lineage(self, column: Column) -> frozenset[str]:
        names = {column.name} | ({column.unless_missing} if column.unless_missing else set())
        return frozenset(f"{self.schema.main.name}.{name}" for name in names)

    def add(self, info: FeatureInfo, expr: pl.Expr) -> None:
        self.infos[info.name] = info
        self.main[info.name] = expr

    def where(self, feature: Feature, key: str = "expression") -> Where:
        return Where(file=self.schema.file, table=feature.table, field=f"features.{feature.name}.{key}")

    def info(self, feature: Feature, lineage: frozenset[str]) -> FeatureInfo:
        return FeatureInfo(
            name=feature.name,
            kind="numeric",
            lineage=lineage,
            reason=feature.reason,
            monotone=feature.monotone,
            unit=feature.unit,
            text=feature.text,
        )

    def main_feature(self, feature: Feature) -> None:
        table = self.schema.main.name
        for key in ("filter", "window", "aggregate"):
            if getattr(feature, key) is not None:
                raise InvalidInput(
                    f"A feature of the main table has no {key}.",
                    where=self.where(feature, key),
                    remedy="Name a linked table or leave it out.",
                )
        parsed = parse(feature.expression, self.where(feature))
        value = Translator(self.values[table], self.where(feature)).translate(parsed)
        if value.kind == "text":
            raise InvalidInput("A feature is a number, not a text.", where=self.where(feature))
        lineage = self.lineage_of(table, parsed.names)
        self.inputs.update(parsed.names)
        expr = value.expr
        if feature.unless_missing is not None:
            guard = parse(feature.unless_missing, self.where(feature, "unless_missing"))
            lineage |= self.lineage_of(table, guard.names)
            self.inputs.update(guard.names)
            given = Translator(self.values[table], self.where(feature, "unless_missing")).translate(guard)
            expr = pl.when(given.expr.is_not_null()).then(expr)
        expr = expr.cast(pl.Float64) if value.kind != "flag" else expr.cast(pl.Int64)
        self.values[table][feature.name] = Value(expr, value.kind if value.kind != "flag" else "whole")
        self.lineage[table][feature.name] = lineage
        self.add(self.info(feature, lineage), expr)

    def lineage_of(self, table: str, names: tuple[str, ...]) -> frozenset[str]:
        return frozenset().union(*(self.lineage[table][name] for name in names)) if names else frozenset()

    def linked_feature(self, table: Table, feature: Feature) -> None:
        plan = self.linked.get(table.name)
        if plan is None:
            plan = self.linked[table.name] = TablePlan(table)
            plan.children = [t for t in self.linked if self.schema.tables[t].parent_table == table.name]
        values = self.values[table.name]
        names: dict[str, None] = {}
        mask = self.mask(table, feature, values, names)
        source = feature.expression if feature.aggregate is None else f"{feature.aggregate}({feature.expression})"
        parsed = parse(source, self.where(feature))
        names.update(dict.fromkeys(parsed.names))
        value = Translator(values, self.where(feature), plan.part, mask).translate(parsed)
        lineage = self.lineage_of(table.name, tuple(names))
        if feature.unless_missing is not None:
            raise InvalidInput(
                "unless_missing is for features of the main table.",
                where=self.where(feature, "unless_missing"),
                remedy="Put the condition into the filter.",
            )
        assert table.parent is not None
        assert table.parent_table is not None
        # Even a bare count tells something that a person can ask to have erased: the rows that were counted.
        lineage = lineage or frozenset({f"{table.name}.{table.parent}"})
        whole = value.kind in {"whole", "flag"}
        plan.results[feature.name] = value.expr.cast(pl.Int64 if whole else pl.Float64)
        for name in names:
            if name in table.columns and name not in plan.needed:
                plan.needed.append(name)
        kind = "whole" if whole else value.kind
        parent = table.parent_table
        self.lineage[parent][feature.name] = lineage
        self.values[parent][feature.name] = Value(pl.col(feature.name), kind)
        if parent == self.schema.main.name:
            self.add(self.info(feature, lineage), pl.col(feature.name))
            self.from_tables[feature.name] = table.name

    def mask(self, table: Table, feature: Feature, values: dict[str, Value], names: dict[str, None]) -> pl.Expr | None:
        mask: pl.Expr | None = None
        if feature.filter is not None:
            parsed = parse(feature.filter, self.where(feature, "filter"))
            names.update(dict.fromkeys(parsed.names))
            value = Translator(values, self.where(feature, "filter")).translate(parsed)
            if value.kind != "flag":
                raise InvalidInput("A filter is a condition.", where=self.where(feature, "filter"))
            mask = value.expr
        if feature.window is not None:
            if table.time is None or table.columns[table.time].type not in WHOLE or feature.window < 1:
                raise InvalidInput(
                    "A window needs a table with a whole-number time column and a length of at least 1.",
                    where=self.where(feature, "window"),
                    remedy="Declare time for the table, or leave the window out.",
                )
            names[table.time] = None
            recent = values[table.time].expr >= -feature.window
            mask = recent if mask is None else mask & recent
        return mask
