"""A data set declared: its tables, columns, features and reasons, read from a TOML file.

No code names a column of any data set; what a column means stands in the schema alone. A schema file::

    dataset = { name = "gmsc", id = "id", time = "" }
    target = { column = "SeriousDlqin2yrs", bad = 1 }
    costs = { false_negative = 10, false_positive = 1 }
    columns.age = { type = "integer", range = [18, 110], protected = "age" }
    columns.MonthlyIncome = { type = "money", monotone = -1, mutable = "up", reason = "INCOME" }

    [tables.loans]
    key = ["loan_id"]
    parent = "id"
    time = "days"
    columns.loan_id = { type = "id" }

    [[features]]
    name = "DEBT_TO_INCOME"
    expression = "debt / income"

    [reasons.INCOME]
    adverse = "Income is low for the amount asked for"
    missing = "Income was not given"
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args

import polars as pl

from plumbline.kernel.errors import InvalidInput, NotFound, Where

ColumnType = Literal["integer", "count", "money", "ratio", "category", "flag", "date", "id"]
Severity = Literal["reject", "warn"]
Mutable = Literal["no", "up", "down", "both"]
Use = Literal["feature", "audit", "none"]
Sign = Literal[-1, 0, 1]

COLUMN_TYPES: tuple[str, ...] = get_args(ColumnType)
WHOLE: frozenset[str] = frozenset({"integer", "count", "flag"})
REAL: frozenset[str] = frozenset({"money", "ratio"})
NUMERIC: frozenset[str] = WHOLE | REAL

_DTYPES: dict[str, pl.DataType] = {
    "integer": pl.Int64(),
    "count": pl.Int64(),
    "flag": pl.Int64(),
    "money": pl.Float64(),
    "ratio": pl.Float64(),
    "category": pl.String(),
    "date": pl.Date(),
    "id": pl.Int64(),
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    :ivar range: lowest and highest value allowed, both included; a value outside rejects the row or warns, by
        ``severity``. A sentinel is never outside.
    :ivar levels: the known values of a category; another value is no fault (the model has a level for it).
    :ivar sentinels: values that stand for "none" or "not applicable" and are no numbers or levels.
    :ivar sentinel_flag: whether "it was a sentinel" is itself a feature (it is not the same as an empty cell).
    :ivar required: the column belongs in a file of this table, and a cell of a wrong type in it rejects the row. The
        cell may be empty. In a column that is not required such a cell counts as empty, with a counted warning.
    :ivar protected: the protected attribute the column tells ("sex", "age"), or None.
    :ivar monotone: the sign of the effect on the probability of default, if one is demanded.
    :ivar mutable: in which direction an applicant can change it.
    :ivar use: "feature" (the model may see it), "audit" (kept aside for audits), "none".
    :ivar unless_missing: another column of the table; where that one is missing this value means something else and
        is treated as missing.
    """

    name: str
    type: ColumnType
    range: tuple[float, float] | None = None
    severity: Severity = "warn"
    levels: tuple[str, ...] = ()
    sentinels: tuple[int | float | str, ...] = ()
    sentinel_flag: bool = False
    required: bool = False
    protected: str | None = None
    monotone: Sign = 0
    mutable: Mutable = "no"
    reason: str | None = None
    unit: str = ""
    text: str = ""
    use: Use = "feature"
    unless_missing: str | None = None

    @property
    def dtype(self) -> pl.DataType:
        """The Polars type of its frames; an id may also be text, as found."""
        return _DTYPES[self.type]

    @property
    def is_numeric(self) -> bool:
        return self.type in NUMERIC


@dataclass(frozen=True, slots=True)
class Table:
    """One table; the main one has neither ``parent`` nor ``parent_table``.

    :ivar key: the columns that name a row.
    :ivar parent: the column that holds the key of the parent's row.
    :ivar time: the column that says when, counted back from the application (0 is the application, −12 is twelve
        months or days before, by the column's unit).
    :ivar files: further file names, without extension, under which the table comes.
    """

    name: str
    key: tuple[str, ...]
    columns: dict[str, Column]
    parent: str | None = None
    parent_table: str | None = None
    time: str | None = None
    files: tuple[str, ...] = ()
    text: str = ""


@dataclass(frozen=True, slots=True)
class Feature:
    """A declared feature: rows of ``table`` that pass ``filter`` and lie within ``window``, then ``expression``.

    On the main table the expression is over one row. On a linked table it is over the aggregates of the rows that
    belong to one row of the parent; a feature of a table whose parent is itself linked becomes a column of that
    parent, for features declared there. The language is that of :mod:`plumbline.credit.features.expression`.
    """

    name: str
    table: str
    expression: str
    filter: str | None = None
    window: int | None = None
    aggregate: str | None = None
    reason: str | None = None
    monotone: Sign = 0
    unless_missing: str | None = None
    unit: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason group: what an applicant reads when it counted against them."""

    code: str
    adverse: str
    missing: str
    unit: str = ""
    direction: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """The label: ``bad`` is the value that means default, every other value is good."""

    column: str
    bad: int | str = 1


@dataclass(frozen=True, slots=True)
class Costs:
    """What a mistake costs, in any common unit: a missed bad loan, a refused good one."""

    false_negative: float = 10.0
    false_positive: float = 1.0


@dataclass(frozen=True, slots=True)
class Schema:
    """A data set; ``tables`` holds the main table first."""

    name: str
    id: str
    tables: dict[str, Table]
    time: str | None = None
    target: Target | None = None
    costs: Costs = field(default_factory=Costs)
    features: tuple[Feature, ...] = ()
    reasons: dict[str, Reason] = field(default_factory=dict)
    model: str = "credit-risk"
    file: str | None = field(default=None, compare=False)

    @property
    def main(self) -> Table:
        return next(iter(self.tables.values()))

    @property
    def linked(self) -> dict[str, Table]:
        """The tables beside the main one."""
        return dict(list(self.tables.items())[1:])

    def column(self, qualified: str) -> Column:
        """The column of a lineage entry ``"table.column"``."""
        table, _, name = qualified.partition(".")
        try:
            return self.tables[table].columns[name]
        except KeyError:
            raise NotFound(f"The schema {self.name} has no column {qualified}.") from None

    @property
    def protected(self) -> dict[str, str]:
        """Lineage entry → protected attribute, for every protected column of every table."""
        return {
            f"{t.name}.{c.name}": c.protected
            for t in self.tables.values()
            for c in t.columns.values()
            if c.protected is not None
        }

    @classmethod
    def from_toml(cls, text: str, file: str | None = None) -> Schema:
        """Read a schema file.

        :raises InvalidInput: not TOML, or a fault in it; names ``file`` and the key.
        """
        try:
            data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise InvalidInput(
                f"The schema is not valid TOML: {error}.", where=Where(file=file), remedy="Correct the syntax there."
            ) from None
        from plumbline.credit.intake.declaration import Reader, listed

        return Reader(file).schema(listed(data, file))

    @classmethod
    def load(cls, name_or_path: str | Path) -> Schema:
        """The schema shipped under that name, or the one in that file.

        :raises NotFound: neither exists.
        """
        name = str(name_or_path)
        path = Path(name_or_path)
        if path.suffix == ".toml" or path.is_file():
            try:
                text = path.read_text(encoding="utf-8-sig")
            except UnicodeDecodeError:
                raise InvalidInput(
                    "The schema file is not UTF-8 text.", where=Where(file=path.name), remedy="Save it as UTF-8."
                ) from None
            except OSError:
                raise NotFound(f"There is no schema file {path.name}.", where=Where(file=path.name)) from None
            return cls.from_toml(text, path.name)
        shipped = cls.shipped()
        if name not in shipped:
            raise NotFound(f"There is no schema {name}.", remedy=f"Name a .toml file, or one of: {', '.join(shipped)}.")
        text = resources.files(__package__).joinpath("schemas", f"{name}.toml").read_text(encoding="utf-8")
        return cls.from_toml(text, f"{name}.toml")

    @staticmethod
    def shipped() -> tuple[str, ...]:
        """The names of the schemas that come with the product."""
        folder = resources.files(__package__).joinpath("schemas")
        return tuple(sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml")))

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able form that keeps the order of tables and columns even if an object's keys are sorted."""
        return {
            "dataset": {"name": self.name, "id": self.id, "time": self.time, "model": self.model},
            "target": None if self.target is None else {"column": self.target.column, "bad": self.target.bad},
            "costs": {
                "false_negative": self.costs.false_negative,
                "false_positive": self.costs.false_positive,
            },
            "tables": [
                {
                    **_plain(t, without=("columns",)),
                    "columns": [_plain(c) for c in t.columns.values()],
                }
                for t in self.tables.values()
            ],
            "features": [_plain(f) for f in self.features],
            "reasons": [_plain(r) for r in self.reasons.values()],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Schema:
        """The inverse of :meth:`to_dict`."""
        from plumbline.credit.intake.declaration import Reader

        return Reader(None).schema(data)


def _plain(value: Any, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """The fields of a declaration that differ from their defaults, tuples as lists."""
    found: dict[str, Any] = {}
    for name, spec in value.__dataclass_fields__.items():
        item = getattr(value, name)
        if name in without or item == spec.default:
            continue
        found[name] = list(item) if isinstance(item, tuple) else item
    return found
