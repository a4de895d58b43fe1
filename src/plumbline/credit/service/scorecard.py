"""A model's additive twin as a scorecard: points of every bin of every feature."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from plumbline.credit.decision import TYPE
from plumbline.credit.features.matrix import FeatureInfo
from plumbline.credit.modelling.artifact import read_twin
from plumbline.credit.modelling.scorer import Scorer
from plumbline.kernel.context import Context
from plumbline.kernel.errors import InvalidInput, NotFound, Where
from plumbline.kernel.installation import Installation
from plumbline.kernel.models import service as models
from plumbline.kernel.models.artifacts import unpack
from plumbline.kernel.models.tables import Model


@dataclass(frozen=True, slots=True)
class Bin:
    """:ivar cell: in words: ``up to 0.3``, ``above 0.3 to 0.5``, levels of a category, ``missing``.
    :ivar points: whole; ``log_odds`` unrounded, relative to an average training row (above 0: riskier).
    """

    feature: str
    text: str
    cell: str
    points: int
    log_odds: float


@dataclass(frozen=True, slots=True)
class Scorecard:
    """:ivar base: points of an average training row; those of its bins are added to them.
    :ivar report: the twin's gap to the champion and its error of rounding, as at the training.
    """

    model: Model
    base: int
    bins: tuple[Bin, ...]
    report: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        m = self.model
        return {
            "model": {"id": m.id, "name": m.name, "version": m.version, "sha256": m.extra["sha256"]}, "base": self.base,
            "decides": self.report["decides"], "gaps": self.report["gaps"], "points_error": self.report["points_error"],
            "bins": [asdict(b) for b in self.bins],
        }  # fmt: skip


def scorecard_of(installation: Installation, context: Context, key: str, *, feature: str | None = None) -> Scorecard:
    """
    :param key: name@version, id, or name; ``feature``: only this one. Features without a split are left out.
    :raises NotFound: the model has no twin (it was made before there were twins), or does not know the feature.
    """
    context.require("credit.read")
    model = models.get(installation, context, key)
    if model.kind != TYPE:
        raise InvalidInput(
            f"'{model.name}' is no credit model.", where=Where(field="model"), remedy="See: plumbline models list"
        )
    scorer: Scorer = models.load(installation, model)
    twin = read_twin(unpack(installation.artifacts.get(model.extra["sha256"])))
    if twin is None:
        raise NotFound(f"{model.name}@{model.version} has no additive twin.", remedy="Train a new version.")
    if feature is not None and feature not in {f.name for f in scorer.features}:
        raise NotFound(f"{model.name}@{model.version} has no feature '{feature}'.", remedy="See: plumbline models show")
    bins: list[Bin] = []
    for i, info in enumerate(scorer.features):
        edges, values = twin.table(i)
        if not len(edges) or feature not in (None, info.name):
            continue
        start = int(twin.first[i]) + i
        points = twin.points[start : start + len(values)].tolist()
        cells = _cells(info, edges.tolist())
        bins += [Bin(info.name, info.text, c, p, v) for c, p, v in zip(cells, points, values.tolist(), strict=True)]
        bins.append(Bin(info.name, info.text, "missing", int(twin.points_missing[i]), float(twin.missing[i])))
    return Scorecard(model, twin.points_base, tuple(bins), scorer.report["twin"])


def _cells(info: FeatureInfo, edges: list[float]) -> list[str]:
    if info.kind == "numeric":
        between = [f"above {low:.8g} to {high:.8g}" for low, high in pairwise(edges)]
        return [f"up to {edges[0]:.8g}", *between, f"above {edges[-1]:.8g}"]
    names = [*info.levels, *(["other"] if info.has_other else [])]
    limits = [float("-inf"), *edges, float("inf")]
    return [
        ", ".join(name for code, name in enumerate(names) if low < code <= high) or "–"
        for low, high in pairwise(limits)
    ]
