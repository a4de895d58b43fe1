"""What would have changed a decision: the fewest, smallest changes an applicant can make, each verified by scoring."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from plumbline.credit.features.transformer import History
from plumbline.credit.modelling.logistic import logistic
from plumbline.credit.modelling.moves import Floats, Moves, moves_of, repeated
from plumbline.credit.modelling.policy import DECISIONS, DISAGREES, LEVELS
from plumbline.credit.modelling.scorer import Decision, Scorer
from plumbline.kernel.errors import InvalidInput, Where

MAX_CHANGES = 3
BEAM = 30
MOST = 3
"""So many ways are told at most, each with other columns."""

State = tuple[int, ...]
"""For each movable column which of its values is taken; 0 is the present one."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is wanted: at least this decision, at most this risk level, or both."""

    decision: str | None = None
    level: str | None = None

    def __post_init__(self) -> None:
        for name, value, known in (("decision", self.decision, DECISIONS[:2]), ("level", self.level, LEVELS[:2])):
            if value is not None and value not in known:
                raise InvalidInput(f"A {name} to reach is one of {', '.join(known)}, not {value!r}.", where=Where(field=name))  # fmt: skip
        if self.decision is None and self.level is None:
            raise InvalidInput("A target names a decision or a level.", where=Where(field="decision"))

    def reached(self, level: npt.NDArray[np.int8], decision: npt.NDArray[np.int8]) -> npt.NDArray[np.bool_]:
        """Whether rows are there; ``level`` and ``decision`` are indices as in :class:`~.scorer.Scored`."""
        there = np.ones(len(level), dtype=bool)
        if self.decision is not None:
            there &= decision <= DECISIONS.index(self.decision)
        if self.level is not None:
            there &= level <= LEVELS.index(self.level)
        return there

    def met_by(self, decided: Decision) -> bool:
        level, decision = LEVELS.index(decided.level), DECISIONS.index(decided.decision)
        return bool(self.reached(np.array([level], np.int8), np.array([decision], np.int8))[0])


APPROVED = Target(decision="approve")


@dataclass(frozen=True, slots=True)
class Change:
    """One raw input that would be otherwise; ``text`` says what it is, in ``unit``."""

    column: str
    text: str
    unit: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """Changes that together reach the target, and what the scorer says of the application with them.

    ``distance`` adds up, over the changes, the share of the population passed by each.
    """

    changes: tuple[Change, ...]
    distance: float
    probability: float
    level: str
    decision: str
    points: float


@dataclass(frozen=True, slots=True)
class Search:
    """What was looked for and found, nearest first; nothing found has its ``reason``.

    ``best_probability`` is the lowest probability of default met on the way, if anything could be changed at all;
    ``flags`` are the data flags that send it to a person whatever the score, where that stands in the way.
    """

    target: Target
    found: tuple[Counterfactual, ...]
    reason: str
    best_probability: float | None
    tried: int
    flags: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able form."""
        return asdict(self)


def counterfactual(
    scorer: Scorer,
    tables: Mapping[str, pl.DataFrame],
    *,
    target: Target = APPROVED,
    max_changes: int = MAX_CHANGES,
    beam: int = BEAM,
    most: int = MOST,
) -> Search:
    """Look for one change that reaches the target, then two, then three; every answer was scored again as a whole.

    Only raw inputs that the schema calls mutable move, in their direction, to sensible values; the transformer makes
    all features anew, so that those derived from an input move with it. Only bin edges matter: of neighbouring values
    that the trees cannot tell apart the nearest is taken. Changes that give the row a new data flag are left out.

    One change is searched whole; more by a beam, after which each change is made as small as the others let it be.

    :param tables: one application, typed; history in the linked tables.
    :param beam: how many combinations are extended by a further change. If there are fewer, nothing is missed.
    :raises InvalidInput: not one application, or an impossible number of changes.
    """
    main = scorer.schema.main.name
    if main not in tables or tables[main].height != 1:
        raise InvalidInput("A counterfactual is of one application.", where=Where(table=main))
    if max_changes < 1 or beam < 1 or most < 1:
        raise InvalidInput("At least one change must be allowed.", where=Where(field="max_changes"))
    hunt = _Hunt(scorer, tables, target)
    if target.met_by(hunt.present):
        return hunt.none("The application is there already.")
    if not hunt.moves:
        return hunt.none("Nothing the model looks at is something an applicant can change.")
    frontier: list[State] = [hunt.start]
    for _ in range(min(max_changes, len(hunt.moves))):
        states = hunt.extended(frontier)
        scored = hunt.score(states)
        answers = hunt.answers(states, scored, most)
        if answers:
            return Search(target, answers, "", hunt.best, hunt.tried)
        frontier = hunt.kept(states, scored, beam)
        if not frontier:
            break
    changes = "one change" if max_changes == 1 else f"{max_changes} changes"
    reason = f"Nothing within {changes} an applicant can make gets there."
    unusual = tuple(name for name in hunt.present.flags if not name.startswith(f"{DISAGREES}:"))
    stopped = target.decision == "approve" and scorer.policy.calls_for_review(unusual)
    return hunt.none(reason, unusual if stopped else ())


@dataclass(frozen=True, slots=True)
class _Scored:
    raw: Floats
    distance: Floats
    reached: npt.NDArray[np.bool_]
    sound: npt.NDArray[np.bool_]


class _Hunt:
    """One search: the application, where it can go, and how states score."""

    def __init__(self, scorer: Scorer, tables: Mapping[str, pl.DataFrame], target: Target) -> None:
        self.scorer, self.tables, self.target = scorer, tables, target
        self.main = scorer.schema.main.name
        self.row = tables[self.main]
        self.present = scorer.explain(tables)[0]
        self.flags = frozenset(self.present.flags)
        self.history: History = scorer.transformer.history(tables)
        self.moves: list[Moves] = moves_of(scorer, self.row.row(0, named=True))
        self.start: State = (0,) * len(self.moves)
        self.tried = 0
        self.best: float | None = None
        self.options = [self._cells(i) for i in range(len(self.moves))]

    def none(self, reason: str, flags: tuple[str, ...] = ()) -> Search:
        return Search(self.target, (), reason, self.best, self.tried, flags)

    def frame(self, states: Sequence[State]) -> pl.DataFrame:
        """The main table's row once for each state."""
        columns = []
        for i, move in enumerate(self.moves):
            values = [move.values[state[i]] for state in states]
            columns.append(pl.Series(move.column.name, values, dtype=self.row.schema[move.column.name]))
        return repeated(self.row, len(states)).with_columns(columns)

    def values(self, states: Sequence[State]) -> tuple[Floats, dict[int, tuple[str, ...]]]:
        matrix = self.scorer.transformer.transform({self.main: self.frame(states)}, self.history)
        return matrix.values, matrix.flags

    def score(self, states: Sequence[State]) -> _Scored:
        values, flags = self.values(states)
        policy = self.scorer.policy
        raw = self.scorer.tables.raw(values)
        probability = logistic(self.scorer.calibration.apply(raw))
        flagged, sound = np.zeros(len(states), dtype=bool), np.ones(len(states), dtype=bool)
        for row, names in flags.items():
            flagged[row] = policy.calls_for_review(names)
            sound[row] = self.flags.issuperset(names)
        level = policy.levels(probability)
        flagged[list(self.scorer.disagreements(values, level))] = True
        there = self.target.reached(level, policy.decisions(probability, flagged)) & sound
        self.tried += len(states)
        if sound.any():
            lowest = float(probability[sound].min())
            self.best = lowest if self.best is None else min(self.best, lowest)
        return _Scored(raw, self.distances(states), there, sound)

    def distances(self, states: Sequence[State]) -> Floats:
        total = np.zeros(len(states))
        for i, move in enumerate(self.moves):
            total += move.distances[[state[i] for state in states]]
        return total

    def _cells(self, column: int) -> list[int]:
        """Of each run of values that fall between the same thresholds of all features, the nearest."""
        states = [self._with(self.start, column, i) for i in range(len(self.moves[column].values))]
        values, _ = self.values(states)
        moved = np.flatnonzero((values != values[0]).any(axis=0) & ~np.isnan(values).all(axis=0))
        bins = np.empty((len(states), len(moved)), dtype=np.int64)
        for place, feature in enumerate(moved.tolist()):
            bins[:, place] = self.scorer.tables.edges_of(feature).searchsorted(values[:, feature])
            bins[np.isnan(values[:, feature]), place] = -1
        seen = {bins[0].tobytes()}
        kept = []
        for i in range(1, len(states)):
            key = bins[i].tobytes()
            if key not in seen:
                seen.add(key)
                kept.append(i)
        return kept

    @staticmethod
    def _with(state: State, column: int, value: int) -> State:
        return (*state[:column], value, *state[column + 1 :])

    def extended(self, frontier: Iterable[State]) -> list[State]:
        """Each state with one more column changed, every result once."""
        found: dict[State, None] = {}
        for state in frontier:
            for column, options in enumerate(self.options):
                if state[column] == 0:
                    found.update((self._with(state, column, value), None) for value in options)
        return list(found)

    def kept(self, states: list[State], scored: _Scored, beam: int) -> list[State]:
        """The states to go on from: if they are too many, those with the best scores of the undominated.

        One is dominated by another of the same columns that is nearer and scores no worse.
        """
        usable = [i for i in np.lexsort((scored.raw, scored.distance)).tolist() if scored.sound[i]]
        if len(usable) > beam:
            lowest: dict[tuple[bool, ...], float] = {}
            front = []
            for i in usable:
                columns = tuple(v > 0 for v in states[i])
                if scored.raw[i] < lowest.get(columns, np.inf):
                    lowest[columns] = float(scored.raw[i])
                    front.append(i)
            usable = sorted(front, key=lambda i: (scored.raw[i], scored.distance[i]))[:beam]
        return [states[i] for i in usable]

    def answers(self, states: list[State], scored: _Scored, most: int) -> tuple[Counterfactual, ...]:
        """For each set of columns the nearest state that is there, made as small as can be and verified."""
        nearest: dict[tuple[bool, ...], int] = {}
        for i in np.lexsort((scored.raw, scored.distance)).tolist():
            if scored.reached[i]:
                nearest.setdefault(tuple(v > 0 for v in states[i]), i)
        found: dict[State, Counterfactual] = {}
        for i in list(nearest.values())[:most]:
            state = self.smallest(states[i])
            if state not in found and (verified := self.verified(state)) is not None:
                found[state] = verified
        return tuple(sorted(found.values(), key=lambda c: (len(c.changes), c.distance)))

    def smallest(self, state: State) -> State:
        """Take back as much of each change as the others let it, the largest saving first."""
        if sum(v > 0 for v in state) < 2:
            return state  # one change was searched whole
        while True:
            nearer = [
                self._with(state, column, value)
                for column, taken in enumerate(state)
                for value in range(taken)
                if self.moves[column].distances[value] < self.moves[column].distances[taken]
            ]
            if not nearer:
                return state
            scored = self.score(nearer)
            order = [i for i in np.lexsort((scored.raw, scored.distance)).tolist() if scored.reached[i]]
            if not order:
                return state
            state = nearer[order[0]]

    def verified(self, state: State) -> Counterfactual | None:
        """The answer by the real scorer on the whole application; None if it does not get there after all."""
        decided = self.scorer.explain({**self.tables, self.main: self.frame([state])})[0]
        if not self.target.met_by(decided):
            return None
        changes = tuple(
            Change(m.column.name, m.column.text or m.column.name, m.column.unit, m.values[0], m.values[taken])
            for m, taken in zip(self.moves, state, strict=True)
            if taken
        )
        return Counterfactual(
            changes, float(self.distances([state])[0]), decided.probability, decided.level, decided.decision,
            decided.points,
        )  # fmt: skip
