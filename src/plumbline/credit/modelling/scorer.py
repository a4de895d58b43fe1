"""One loaded artefact: rows in, probabilities, levels, decisions and reasons out; one code path for 1 row and N rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from plumbline.credit.features.matrix import FeatureInfo, Matrix
from plumbline.credit.modelling.artifact import KIND, check_golden, read_json, read_tables, read_twin
from plumbline.credit.modelling.contributions import Explained, TreeTables
from plumbline.credit.modelling.logistic import logistic
from plumbline.credit.modelling.policy import DECISIONS, DISAGREES, LEVELS, Policy
from plumbline.credit.modelling.reasons import Reason, ReasonBook
from plumbline.kernel.errors import Corrupt, InvalidInput, Where
from plumbline.kernel.models.calibration import CalibrationMap

if TYPE_CHECKING:
    from plumbline.credit.features.transformer import History, Transformer
    from plumbline.credit.intake.schema import Schema
    from plumbline.credit.modelling.twin import Twin

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scored:
    """Results of many rows in input order, one entry a row.

    ``level`` indexes :data:`policy.LEVELS`, ``decision`` :data:`policy.DECISIONS`; ``reasons`` (rows, most) holds
    indices into ``reason_codes`` or -1, ``reason_missing`` whether missing information is what counted;
    ``groups`` (reason groups, rows) holds the group contributions; ``flags`` the rows that have data flags.
    """

    ids: pl.Series
    probability: Floats
    raw: Floats
    log_odds: Floats
    level: npt.NDArray[np.int8]
    decision: npt.NDArray[np.int8]
    points: Floats
    reasons: npt.NDArray[np.int16]
    reason_missing: npt.NDArray[np.bool_]
    groups: Floats
    flags: dict[int, tuple[str, ...]]
    reason_codes: tuple[str, ...]
    threshold: float

    def frame(self) -> pl.DataFrame:
        """Columns id, probability, risk_level, decision, points, reason_1 … (codes, null if none), flags."""
        flags: list[str | None] = [None] * len(self.probability)
        for row, names in self.flags.items():
            flags[row] = " ".join(names)
        columns: dict[str, Any] = {
            "id": self.ids,
            "probability": self.probability,
            "risk_level": pl.Series(self.level).replace_strict(dict(enumerate(LEVELS)), return_dtype=pl.String),
            "decision": pl.Series(self.decision).replace_strict(dict(enumerate(DECISIONS)), return_dtype=pl.String),
            "points": self.points.astype(np.int64),
        }
        lookup = pl.Series([*self.reason_codes, None], dtype=pl.String)
        for place in range(self.reasons.shape[1]):
            at = np.where(self.reasons[:, place] < 0, len(self.reason_codes), self.reasons[:, place])
            columns[f"reason_{place + 1}"] = lookup.gather(at)
        columns["flags"] = pl.Series(flags, dtype=pl.String)
        return pl.DataFrame(columns)


@dataclass(frozen=True, slots=True)
class Decision:
    """One row decided, with its reasons in full. Contributions are exact, in raw log-odds relative to ``base``."""

    probability: float
    raw: float
    log_odds: float
    base: float
    level: str
    decision: str
    points: float
    threshold: float
    reasons: tuple[Reason, ...]
    contributions: Floats
    groups: tuple[float, ...]
    flags: tuple[str, ...]


class Scorer:
    """A model ready to decide. Immutable; safe to share between threads."""

    def __init__(
        self,
        tables: TreeTables,
        features: tuple[FeatureInfo, ...],
        calibration: CalibrationMap,
        policy: Policy,
        reasons: ReasonBook,
        members: Mapping[str, bytes],
    ) -> None:
        self.tables = tables
        self.features = features
        self.calibration = calibration
        self.policy = policy
        self.reasons = reasons
        self.reason_codes = tuple(group.code for group in reasons.groups)
        self._members = members
        self._group_of = reasons.group_of

    @classmethod
    def load(cls, members: Mapping[str, bytes]) -> Scorer:
        """Read an artefact's members and let it prove itself on its golden rows.

        :raises Corrupt: another kind of model, a part missing, or a golden row that comes out otherwise.
        """
        manifest = read_json(members, "manifest.json")
        if manifest.get("kind") != KIND:
            raise Corrupt("This is not a credit model.", where=Where(file="manifest.json", field="kind"),
                          remedy="Activate a version of a credit model.")  # fmt: skip
        try:
            features = tuple(FeatureInfo.from_dict(f) for f in manifest["features"])
            fitted = CalibrationMap.from_dict(read_json(members, "calibration.json"))
            policy = Policy.from_dict(read_json(members, "policy.json"))
            book = ReasonBook.from_dict(read_json(members, "reasons.json"))
        except (KeyError, TypeError, ValueError) as error:
            raise Corrupt(f"The model file is incomplete: {error}.", where=Where(file="manifest.json"),
                          remedy="Restore the model file from a backup.") from None  # fmt: skip
        tables = read_tables(members)
        if tables.features != len(features) or len(book.group_of) != len(features):
            raise Corrupt("The parts of the model file disagree about its features.",
                          where=Where(file="manifest.json", field="features"),
                          remedy="Restore the model file from a backup.")  # fmt: skip
        check_golden(manifest, tables, fitted, book)
        return cls(tables, features, fitted, policy, book, members)

    @cached_property
    def manifest(self) -> dict[str, Any]:
        found: dict[str, Any] = read_json(self._members, "manifest.json")
        return found

    @cached_property
    def report(self) -> dict[str, Any]:
        """The training report as stored."""
        found: dict[str, Any] = read_json(self._members, "report.json")
        return found

    @cached_property
    def twin(self) -> Twin | None:
        """The additive twin as a second opinion; None if the policy asks for none, or the model is older than twins."""
        return read_twin(self._members) if DISAGREES in self.policy.review_flags else None

    @cached_property
    def transformer(self) -> Transformer:
        """The fitted transformer from raw tables to the matrix.

        :raises InvalidInput: the model was stored without one.
        """
        from plumbline.credit.features.transformer import Transformer

        if "transformer.json" not in self._members:
            raise InvalidInput("This model scores feature vectors only: it was stored without its transformer.",
                               remedy="Train it from tables with a schema.")  # fmt: skip
        return Transformer.from_dict(read_json(self._members, "transformer.json"))

    @cached_property
    def schema(self) -> Schema:
        """The schema the model was trained under.

        :raises InvalidInput: the model was stored without one.
        """
        from plumbline.credit.intake.schema import Schema

        if "schema.json" not in self._members:
            raise InvalidInput("This model was stored without its schema.", remedy="Train it with a schema.")
        return Schema.from_dict(read_json(self._members, "schema.json"))

    def score(self, tables: Mapping[str, pl.DataFrame], history: History | None = None) -> Scored:
        """Score raw tables: the main table's rows in their order.

        :param history: the linked tables aggregated before (``scorer.transformer.history``), for a file that is
            scored chunk by chunk.
        """
        return self.score_matrix(self.transformer.transform(tables, history))

    def score_matrix(self, matrix: Matrix) -> Scored:
        """Score feature vectors with reasons: probabilities and contributions come from one pass."""
        self._check(matrix)
        rows = len(matrix.values)
        raw, groups = np.empty(rows), np.empty((len(self.reasons.groups), rows))
        ranked = np.full((rows, self.reasons.most), -1, dtype=np.int16)
        absent = np.zeros((rows, self.reasons.most), dtype=bool)
        for part, explained in self.tables.blocks(matrix.values):
            sums = self.reasons.sums(explained.contributions)
            found = self.reasons.rank(sums, explained.contributions, matrix.values[part])
            raw[part], groups[:, part] = explained.raw, sums
            ranked[part], absent[part] = found.groups, found.missing
        log_odds = self.calibration.apply(raw)
        probability = logistic(log_odds)
        level = self.policy.levels(probability)
        flags = dict(matrix.flags)
        for row, name in self.disagreements(matrix.values, level).items():
            flags[row] = (*flags.get(row, ()), name)
        flagged = np.zeros(rows, dtype=bool)
        flagged[[row for row, names in flags.items() if self.policy.calls_for_review(names)]] = True
        return Scored(
            ids=matrix.ids,
            probability=probability,
            raw=raw,
            log_odds=log_odds,
            level=level,
            decision=self.policy.decisions(probability, flagged),
            points=self.policy.scale.points(log_odds),
            reasons=ranked,
            reason_missing=absent,
            groups=groups,
            flags=flags,
            reason_codes=self.reason_codes,
            threshold=self.policy.threshold,
        )

    def disagreements(self, values: Floats, level: npt.NDArray[np.int8]) -> dict[int, str]:
        """Row → flag, of the rows that the additive twin puts more than one level away from ``level``."""
        if self.twin is None:
            return {}
        rows = np.flatnonzero(level != 1)  # from the middle no level is two away
        second = self.policy.levels(logistic(self.twin.log_odds(values, rows)))
        apart = np.flatnonzero(np.abs(second - level[rows]) > 1)
        return {int(rows[i]): f"{DISAGREES}:{LEVELS[second[i]]}" for i in apart.tolist()}

    def contributions(self, matrix: Matrix) -> Explained:
        """Raw scores and the contributions of every feature: their sum + ``tables.base`` is the raw score."""
        self._check(matrix)
        return self.tables.explain(matrix.values)

    def probability(self, values: Floats) -> Floats:
        """Probabilities alone, shape (rows,), for shadow scoring, what-if and counterfactual searches."""
        return logistic(self.calibration.apply(self.tables.raw(values)))

    def one(self, row: Floats, flags: tuple[str, ...] = ()) -> Decision:
        """Decide one feature vector, shape (features,), with full reasons: the bits of :meth:`score_matrix`."""
        if row.shape != (len(self.features),):
            raise InvalidInput(f"The model needs {len(self.features)} features, not {row.size}.")
        raw, contributions = self.tables.one(row)
        groups = np.bincount(self._group_of, contributions, len(self.reason_codes)).tolist()
        log_odds = raw if self.calibration.kind == "identity" else float(self.calibration.apply(np.array([raw]))[0])
        probability = logistic(log_odds)
        policy = self.policy
        t = policy.threshold
        level = int(probability >= policy.low_below * t) + int(probability >= policy.high_from * t)
        if self.twin is not None and level != 1:
            second = int(policy.levels(np.array([logistic(self.twin.one(row))]))[0])
            flags = (*flags, f"{DISAGREES}:{LEVELS[second]}") if abs(second - level) > 1 else flags
        decision = "decline" if probability >= t else "approve"
        if policy.review_from * t <= probability < policy.review_below * t or policy.calls_for_review(flags):
            decision = "review"
        return Decision(
            probability=probability,
            raw=raw,
            log_odds=log_odds,
            base=self.tables.base,
            level=LEVELS[level],
            decision=decision,
            points=float(round(policy.scale.offset - policy.scale.factor * log_odds)),
            threshold=t,
            reasons=tuple(
                self.reasons.detail(g, groups[g], contributions, row, self.features)
                for g in self.reasons.rank_one(groups)
            ),
            contributions=contributions,
            groups=tuple(groups),
            flags=flags,
        )

    def explain(
        self, source: Mapping[str, pl.DataFrame] | Matrix, rows: range | list[int] | None = None
    ) -> list[Decision]:
        """Decide the given rows (all, if not told) one by one, with contributions by feature and group."""
        matrix = source if isinstance(source, Matrix) else self.transformer.transform(source)
        self._check(matrix)
        wanted = range(len(matrix.values)) if rows is None else rows
        return [self.one(np.ascontiguousarray(matrix.values[i]), matrix.flags.get(i, ())) for i in wanted]

    def _check(self, matrix: Matrix) -> None:
        names = tuple(f.name for f in self.features)
        if matrix.names != names:
            strange = sorted(set(matrix.names) ^ set(names))[:5]
            raise InvalidInput(
                f"The matrix does not have the model's features in the model's order: {', '.join(strange) or 'order'}.",
                remedy="Make it with the model's own transformer.",
            )
