"""A room with a tiny kind of model: the score of x is factor · x, and the file proves it on its golden rows."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from plumbline.kernel import room
from plumbline.kernel.context import Context
from plumbline.kernel.errors import Corrupt, Where
from plumbline.kernel.installation import Installation
from plumbline.kernel.models import service
from plumbline.kernel.models.artifacts import pack
from plumbline.kernel.models.tables import Model
from plumbline.kernel.room import Room

HERE = "tests.kernel.models.scale"
ROOM = Room(name="scale", title="Scale", model_kinds={"scale": f"{HERE}:Scale.load", "meeting": f"{HERE}:Meeting.load"})


@dataclass(frozen=True)
class Scale:
    factor: float

    def score(self, x: float) -> float:
        return self.factor * x

    @classmethod
    def load(cls, members: Mapping[str, bytes]) -> Scale:
        data = json.loads(members["manifest.json"])
        scale = cls(data["factor"])
        for x, y in data["golden"]:
            if scale.score(x).hex() != y:
                raise Corrupt("A golden row comes out otherwise.", where=Where(file="manifest.json", field="golden"))
        return scale


class Meeting(Scale):
    """Loads only when two threads are at it: what they both saw before is the same."""

    barrier = threading.Barrier(2, timeout=20)

    @classmethod
    def load(cls, members: Mapping[str, bytes]) -> Scale:
        cls.barrier.wait()
        return super().load(members)


def file(factor: float, *, golden: float | None = None) -> bytes:
    """A model file; ``golden`` makes its golden rows those of another factor."""
    rows = [[x, ((golden if golden is not None else factor) * x).hex()] for x in (0.5, 1.0, 3.0)]
    return pack({"manifest.json": json.dumps({"factor": factor, "golden": rows}).encode()})


def register(installation: Installation, context: Context, factor: float = 2.0, **given: Any) -> Model:
    values: dict[str, Any] = {
        "name": "scale", "kind": "scale", "framework": "rules", "model_type": "regression", "artifact": file(factor),
        "features": [{"name": "x", "dtype": "numeric"}], "target_classes": None, "metrics": {"mae": 0.1},
        "trained_at": datetime(2026, 11, 20, 8, 0, tzinfo=UTC), "evaluations": [], "extra": {}, "right": "models.read",
    }  # fmt: skip
    return service.register(installation, context, **(values | given))


@pytest.fixture
def scale_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """The room is installed, beside those that are."""
    installed = room.rooms()
    monkeypatch.setattr(room, "rooms", lambda: (*installed, ROOM))
