"""The artefact of a trained model: everything a decision needs, as data, with rows that prove it still computes the same.

Members: ``manifest.json`` (features, target, parameters, training data, versions, golden rows), ``transformer.json``
and ``schema.json`` (if given), ``calibration.json``, ``policy.json``, ``reasons.json``, ``report.json``, ``tables/*.npy``,
``twin/*.npy`` (the additive twin) and ``model.txt`` (LightGBM's text, for tests and export). Same data, seed, versions and machine type: the same bytes.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import numpy.typing as npt

from plumbline.credit.features.matrix import FeatureInfo
from plumbline.credit.modelling.contributions import TreeTables
from plumbline.credit.modelling.logistic import logistic
from plumbline.credit.modelling.policy import Policy
from plumbline.credit.modelling.reasons import ReasonBook
from plumbline.credit.modelling.training import Trained
from plumbline.credit.modelling.twin import Twin
from plumbline.kernel import canonical
from plumbline.kernel.errors import Corrupt, Where
from plumbline.kernel.models.artifacts import array_from_bytes, array_to_bytes
from plumbline.kernel.models.calibration import CalibrationMap

Floats = npt.NDArray[np.float64]

KIND = "credit"
FORMAT = 1
GOLDEN_ROWS = 24
GOLDEN_TOLERANCE = 1e-9
_TABLES = "tables/"
_TWIN = "twin/"
POLICY_CHANGED = "not measured: the threshold was changed after the training"


def machine() -> str:
    """The platform on which floats must agree to the last bit."""
    return f"{platform.system()} {platform.machine()}"


def versions() -> dict[str, str]:
    """What made the model."""
    found = {"python": platform.python_version()}
    for package in ("plumbline-platform", "numpy", "polars", "lightgbm"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found


def golden_inputs(tables: TreeTables, features: tuple[FeatureInfo, ...], seed: int, rows: int = GOLDEN_ROWS) -> Floats:
    """Made-up feature vectors (nobody's data): values on and beside thresholds, typical, extreme and missing ones."""
    rng = np.random.default_rng(seed)
    values = np.empty((rows, len(features)))
    for i, info in enumerate(features):
        edges = tables.edges_of(i)
        pool = [np.nan, 0.0 if info.typical is None else info.typical]
        pool += [v for v in (info.lowest, info.highest) if v is not None]
        with np.errstate(over="ignore"):
            pool += [*edges.tolist(), *np.nextafter(edges, np.inf).tolist()]
        values[:, i] = np.array(pool, dtype=np.float64)[rng.integers(0, len(pool), rows)]
    values[0] = np.nan
    return values


def _answers(values: Floats, tables: TreeTables, fitted: CalibrationMap, book: ReasonBook) -> list[dict[str, Any]]:
    explained = tables.explain(values)
    sums = book.sums(explained.contributions)
    probability = logistic(fitted.apply(explained.raw))
    return [
        {
            "raw": float(explained.raw[i]).hex(),
            "probability": float(probability[i]).hex(),
            "reasons": [book.groups[g].code for g in book.rank_one(sums[:, i].tolist())],
        }
        for i in range(len(values))
    ]


def _golden(
    tables: TreeTables, features: tuple[FeatureInfo, ...], fitted: CalibrationMap, book: ReasonBook, seed: int
) -> list[dict[str, Any]]:
    values = golden_inputs(tables, features, seed)
    inputs = [[None if np.isnan(v) else float(v).hex() for v in row] for row in values]
    answers = _answers(values, tables, fitted, book)
    return [{"values": row, **answer} for row, answer in zip(inputs, answers, strict=True)]


def check_golden(manifest: Mapping[str, Any], tables: TreeTables, fitted: CalibrationMap, book: ReasonBook) -> None:
    """Score the golden rows again: bit-equal on the platform that wrote them, within 1e-9 elsewhere.

    :raises Corrupt: a row comes out otherwise.
    """
    golden = manifest["golden"]
    values = np.array(
        [[np.nan if v is None else float.fromhex(v) for v in row["values"]] for row in golden], dtype=np.float64
    )
    same_platform = manifest["platform"] == machine()
    for number, (row, answer) in enumerate(zip(golden, _answers(values, tables, fitted, book), strict=True), start=1):
        for name in ("raw", "probability"):
            stored, now = float.fromhex(row[name]), float.fromhex(answer[name])
            equal = stored == now if same_platform else abs(stored - now) <= GOLDEN_TOLERANCE
            if not equal:
                raise Corrupt(
                    f"The model no longer computes what it did: {name} {now!r} instead of {stored!r}.",
                    where=Where(file="manifest.json", row=number, field=name),
                    remedy="Restore the model file from a backup, or roll back to another version.",
                )
        if same_platform and row["reasons"] != answer["reasons"]:
            raise Corrupt(
                "The model no longer gives the reasons it did.",
                where=Where(file="manifest.json", row=number, field="reasons"),
                remedy="Restore the model file from a backup, or roll back to another version.",
            )


def members_of(
    trained: Trained,
    *,
    transformer: Mapping[str, Any] | None = None,
    schema: Mapping[str, Any] | None = None,
    target: Mapping[str, Any] | None = None,
) -> dict[str, bytes]:
    """The members to give to :func:`plumbline.kernel.models.artifacts.pack`.

    :param transformer: ``Transformer.to_dict()``; without it the model scores matrices, but no raw tables.
    :param schema: ``Schema.to_dict()``; its target is stored unless ``target`` is given.
    """
    if target is None and schema is not None:
        target = schema.get("target")
    manifest = {
        "kind": KIND,
        "format": FORMAT,
        "features": [feature.to_dict() for feature in trained.features],
        "target": None if target is None else dict(target),
        "thresholds": {"decision": trained.policy.threshold},
        "costs": {"false_negative": trained.policy.cost_fn, "false_positive": trained.policy.cost_fp},
        "seed": trained.settings.seed,
        "parameters": trained.settings.to_dict(),
        "lightgbm_parameters": trained.settings.parameters(trained.features),
        "training": trained.data.to_dict(),
        "versions": versions(),
        "platform": machine(),
        "golden": _golden(
            trained.tables, trained.features, trained.calibration, trained.reasons, trained.settings.seed
        ),
    }
    parts: dict[str, Any] = {
        "manifest.json": manifest,
        "calibration.json": trained.calibration.to_dict(),
        "policy.json": trained.policy.to_dict(),
        "reasons.json": trained.reasons.to_dict(),
        "report.json": trained.report.to_dict(),
    }
    if transformer is not None:
        parts["transformer.json"] = transformer
    if schema is not None:
        parts["schema.json"] = schema
    members = {name: canonical.dumps(value) for name, value in parts.items()}
    members["model.txt"] = trained.text.encode()
    for name, array in trained.tables.arrays().items():
        members[f"{_TABLES}{name}.npy"] = array_to_bytes(array)
    for name, array in trained.twin.arrays().items():
        members[f"{_TWIN}{name}.npy"] = array_to_bytes(array)
    return members


def with_policy(members: Mapping[str, bytes], policy: Policy) -> dict[str, bytes]:
    """The same trees under another policy: a new version, made without training."""
    manifest = canonical.loads(members["manifest.json"])
    manifest["thresholds"] = {"decision": policy.threshold}
    manifest["costs"] = {"false_negative": policy.cost_fn, "false_positive": policy.cost_fp}
    changed = {"manifest.json": canonical.dumps(manifest), "policy.json": canonical.dumps(policy.to_dict())}
    before, report = Policy.from_dict(read_json(members, "policy.json")), read_json(members, "report.json")
    if policy.threshold != before.threshold and report.get("fairness") is not None:
        # who is approved is another question now; the old answer must not stand beside the new policy
        changed["report.json"] = canonical.dumps({**report, "fairness": None, "fairness_undefined": POLICY_CHANGED})
    twin = read_twin(members)
    if twin is not None:
        changed |= {
            f"{_TWIN}{name}.npy": array_to_bytes(array) for name, array in twin.on(policy.scale).arrays().items()
        }
    return {**members, **changed}


def read_json(members: Mapping[str, bytes], name: str) -> Any:
    """A JSON member.

    :raises Corrupt: it is missing.
    """
    if name not in members:
        raise Corrupt("The model file lacks a member.", where=Where(file=name), remedy="Restore it from a backup.")
    return canonical.loads(members[name])


def read_tables(members: Mapping[str, bytes]) -> TreeTables:
    """The contribution tables of an artefact.

    :raises Corrupt: an array is missing, of the wrong kind, or points outside another.
    """
    arrays = _arrays(members, _TABLES)
    try:
        return TreeTables(arrays)
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise Corrupt(f"The tables of the model do not fit together: {error}.", where=Where(file="tables"),
                      remedy="Restore the model file from a backup.") from None  # fmt: skip


def read_twin(members: Mapping[str, bytes]) -> Twin | None:
    """The additive twin of an artefact; None if it was made before there were twins.

    :raises Corrupt: an array is missing, or does not fit the others.
    """
    arrays = _arrays(members, _TWIN)
    if not arrays:
        return None
    try:
        return Twin.from_arrays(arrays)
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise Corrupt(f"The tables of the model's twin do not fit together: {error}.", where=Where(file="twin"),
                      remedy="Restore the model file from a backup.") from None  # fmt: skip


def _arrays(members: Mapping[str, bytes], folder: str) -> dict[str, npt.NDArray[Any]]:
    return {
        name.removeprefix(folder).removesuffix(".npy"): array_from_bytes(data, name)
        for name, data in members.items()
        if name.startswith(folder)
    }
