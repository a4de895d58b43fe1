"""What a room tells of one of its decisions, and the dossier that is made of it (pure)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from plumbline.kernel.models.evidence import Found

Wording = Callable[[str, Mapping[str, Any], Mapping[str, Any]], tuple[str, str]]
"""An act's action, details and new values → what it was, and what is worth knowing of it."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a decision is what it is, one reason.

    :ivar text: the sentence that the subject of the decision may be told.
    :ivar fact: the input behind it, in words; its ``value`` here and what is ``typical``.
    :ivar weight: how much it counted, with its unit.
    """

    text: str
    fact: str
    value: str
    typical: str
    weight: str


@dataclass(frozen=True, slots=True)
class Table:
    """Values in rows. A cell that is ``None`` was not given.

    :ivar headers: of the columns. A table of few columns is drawn as one, the rows of a wide one as lists of pairs.
    :ivar under: a technical name for each row, shown small below its first cell; empty: none.
    :ivar figures: the columns (from 0) that hold numbers.
    :ivar minor: the columns that a phone has no room for.
    :ivar note: what to know of the whole of it.
    """

    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str | None, ...], ...]
    under: tuple[str, ...] = ()
    figures: frozenset[int] = frozenset()
    minor: frozenset[int] = frozenset()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Replay:
    """The stored model run again on the stored input. ``equal`` is ``None`` where it could not be run; ``sentence`` says why."""

    equal: bool | None
    sentence: str
    differences: tuple[str, ...] = ()
    milliseconds: float | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """A decision in its room's words (:attr:`plumbline.kernel.room.Room.dossiers`).

    :ivar title: what kind of decision it is; ``subject``: what or whom it is about.
    :ivar outcome: one or two words; ``kind`` (``ok``, ``warn``, ``bad`` or empty) is how its mark looks.
    :ivar summary: the outcome as sentences.
    :ivar facts: (what, value), the most important first.
    :ivar reasons: the weightiest first; ``because`` is the line above them, or why there are none.
    :ivar used: what the model looked at and how it counted.
    :ivar given: the input as it was sent, complete.
    :ivar input: the same for programs; JSON values only. So is ``output``, all that came out.
    :ivar limits: what a reader has to keep in mind, a sentence each.
    :ivar about: further rows whose acts belong to the history (a review, a batch).
    :ivar wording: what the acts of the room were.
    """

    title: str
    subject: str
    outcome: str
    kind: str
    summary: str
    made_at: datetime
    facts: tuple[tuple[str, str], ...]
    because: str
    reasons: tuple[Reason, ...]
    used: tuple[Table, ...]
    given: tuple[Table, ...]
    input: Any
    output: dict[str, Any]
    replay: Replay
    limits: tuple[str, ...]
    wording: Wording
    about: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelTold:
    """The version that decided, as the registry has it.

    :ivar sha256: of its file, hexadecimal.
    :ivar figures: what was measured on it at training, by name.
    :ivar deployed_at: since when it decided; ``None``: it never did.
    """

    id: UUID
    name: str
    version: str
    framework: str
    sha256: str
    trained_at: datetime
    deployed_at: datetime | None
    figures: dict[str, float]


@dataclass(frozen=True, slots=True)
class Event:
    """One act: when, what, the rest of it, by whom, and the entry that recorded it."""

    at: datetime
    what: str
    text: str
    by: str
    action: str
    success: bool
    entry_id: UUID


@dataclass(frozen=True, slots=True)
class Erasure:
    """That what the decision was made from was erased. ``entry_id`` is ``None`` where no sealed order speaks of it."""

    at: datetime | None
    reason: str
    entry_id: UUID | None


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key of this ledger. ``proof`` and ``checkpoint``: whether it signed the checkpoint of the proof, and the last one."""

    verifier_key: str
    pem: str
    proof: bool
    checkpoint: bool


@dataclass(frozen=True, slots=True)
class Dossier:
    """All of it.

    :ivar events: oldest first; the last one is the making of this dossier.
    :ivar found: the proof. Its ``decision`` is ``None`` where it cannot be opened: a batch's row that was erased.
    :ivar checkpoint: the last one of the ledger, with its witnesses' lines.
    """

    prediction_id: UUID
    prediction_type: str
    subject_id: str
    organization_id: UUID
    organization: str
    made_at: datetime
    made_by: str
    program: str
    told: Told
    model: ModelTold
    stored: dict[str, Any]
    events: tuple[Event, ...]
    erasure: Erasure | None
    found: Found
    checkpoint: str
    keys: tuple[PublicKey, ...]

    @property
    def key(self) -> PublicKey:
        """The one that the proof is checked with."""
        return next(key for key in self.keys if key.proof)

    def file_name(self, suffix: str) -> str:
        """``dossier-`` and the end of the decision's id: the beginning is its time, and shared by its neighbours."""
        return f"dossier-{self.prediction_id.hex[-8:]}.{suffix}"
