"""A version that knows what it was trained on, and decisions about people who are like that, or are not."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import numpy as np

from plumbline.kernel.database import new_id
from plumbline.kernel.installation import Installation
from plumbline.kernel.models import predictions
from plumbline.kernel.models.columns import ColumnSpec
from plumbline.kernel.models.profiles import count, reference
from plumbline.kernel.models.service.profiling import reference_of, store_part
from plumbline.kernel.models.tables import Model
from tests.conftest import NOW, Firm
from tests.kernel.models.scale import register

SPECS = [ColumnSpec("x"), ColumnSpec("city", "category"), ColumnSpec("probability", "probability")]
CITIES = np.array(["Bonn", "Kiel", "Ulm"])


def people(rows: int, seed: int, shift: float = 0.0) -> dict[str, Any]:
    """``shift`` standard deviations of x; 2 % of it is missing."""
    rng = np.random.default_rng(seed)
    x = rng.normal(shift, 1, rows)
    probability = 1 / (1 + np.exp(2 - x))
    x[rng.random(rows) < 0.02] = np.nan
    return {"x": x, "city": CITIES[rng.choice(3, rows, p=[0.5, 0.3, 0.2])], "probability": probability}


def trained(installation: Installation, firm: Firm, *, rows: int = 4_000, **given: Any) -> Model:
    return register(installation, firm.admin, reference=reference(people(rows, 1), SPECS), **given)


def decide(installation: Installation, firm: Firm, model: Model, columns: dict[str, Any], **given: Any) -> list[UUID]:
    """Single decisions of now."""
    keys = []
    now = installation.clock()
    with installation.database.write(firm.id) as session:
        for x, city, p in zip(columns["x"].tolist(), columns["city"].tolist(), columns["probability"].tolist(), strict=True):  # fmt: skip
            keys.append(key := new_id(now))
            row = {"id": key, "organization_id": firm.id, "prediction_type": "scale", "subject_id": "S", "content": None,
                   "prediction_result": "low", "probability": p, "features": {"x": None if np.isnan(x) else x, "city": city},
                   "ml_model_id": model.id, "extra": {}, "created_at": now}  # fmt: skip
            predictions.insert_one(session, **(row | given))
    return keys


def batch(
    installation: Installation, firm: Firm, model: Model, *chunks: dict[str, Any], scored: int | None = None
) -> UUID:
    """A completed file whose chunks were counted."""
    key = new_id(NOW)
    rows = sum(len(c["x"]) for c in chunks)
    with installation.database.read(firm.id) as session:
        held = reference_of(session, firm.id, model.id)
    assert held is not None
    with installation.database.write(firm.id) as session:
        predictions.insert_batch(
            session, id=key, organization_id=firm.id, user_id=None, ml_model_id=model.id, prediction_type="scale", filename="a.csv", file_size=1,
            file_sha256="ab" * 32, status="completed", upload_date=NOW, extra={"scored": rows if scored is None else scored},
        )  # fmt: skip
        for n, columns in enumerate(chunks):
            store_part(session, firm.admin, held, key, n, count(held.grid, columns))
    return key
