"""What a version must show before it may decide: each room states it for its kinds of models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from plumbline.kernel import room
from plumbline.kernel.context import Context
from plumbline.kernel.installation import Installation
from plumbline.kernel.models.tables import Model

State = Literal["ok", "missed", "unknown"]


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition: ``missed`` refuses an activation unless it is forced with a reason, ``unknown`` is recorded with it."""

    name: str
    state: State
    said: str


Asked = Callable[[Installation, Context, Model | None, Model], list[Gate]]
"""``(installation, context, live version or None, wanted version)`` → its gates (:attr:`room.Room.promotions`)."""


def gates(installation: Installation, context: Context, live: Model | None, wanted: Model) -> list[Gate]:
    """The gates of a version's kind; none where its room states none."""
    stated = room.gathered(lambda r: dict(r.promotions) if r.promotions else None)
    if wanted.kind not in stated:
        return []
    asked: Asked = room.load(stated[wanted.kind])
    return asked(installation, context, live, wanted)
