"""A model as SQL, for engines that score where the data is."""

from __future__ import annotations

from dataclasses import dataclass

from plumbline.credit.decision import TYPE
from plumbline.credit.modelling.scorer import Scorer
from plumbline.credit.modelling.sql import sql_of
from plumbline.kernel.context import Context
from plumbline.kernel.errors import InvalidInput, Where
from plumbline.kernel.installation import Installation
from plumbline.kernel.models import service as models
from plumbline.kernel.models.artifacts import unpack


@dataclass(frozen=True, slots=True)
class SqlExport:
    """One SELECT, for which model and engine; ``columns`` are the features it reads, in the model's order."""

    model: dict[str, str]
    dialect: str
    table: str
    columns: list[str]
    text: str


def sql_export(
    installation: Installation, context: Context, name: str, dialect: str, *, table: str = "features",
    key: str | None = None,
) -> SqlExport:  # fmt: skip
    """Write a version as SQL. The file is hashed and its golden rows are scored first.

    :param name: name, ``name@version`` or id.
    :param table: where the features stand: one column each, categories as codes, missing as NULL.
    :param key: the column that names a row; default: the schema's id.
    :raises InvalidInput: no credit model, or an engine that cannot take it.
    """
    context.require("credit.read")
    model = models.get(installation, context, name)
    if model.kind != TYPE:
        raise InvalidInput(f"'{model.name}' is no credit model.", where=Where(field="model"),
                           remedy="See: plumbline models list")  # fmt: skip
    scorer: Scorer = models.load(installation, model)
    sha256 = model.extra["sha256"]
    heading = (
        f"{model.name} {model.version}, SHA-256 {sha256}, for {dialect}",
        f"Equal to the scorer to the last bit on a table of the model's {len(scorer.features)} features, one column each:",
        "numbers as they are, categories as codes, missing as NULL.",
        "Without decision: data flags take part in it. Decide with Plumbline, score with this.",
    )
    text = sql_of(unpack(installation.artifacts.get(sha256)), dialect, table=table, key=key, heading=heading)
    named = {"name": model.name, "version": model.version, "sha256": sha256}
    return SqlExport(named, dialect, table, [f.name for f in scorer.features], text)
