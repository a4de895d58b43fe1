"""A few of the questions of ``test_fuzz``, for every run: the whole of it takes longer."""

from __future__ import annotations

from collections import Counter
from itertools import product
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis

from tests.api import test_fuzz as whole
from tests.api.test_fuzz import described
from tests.credit.trained import Lender

__all__ = ["described"]


def test_a_few_questions_to_every_operation(
    described: Any, embedded: Lender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole, "EXAMPLES", 2)
    real, seen, asked = whole.things(embedded, tmp_path), Counter[int](), set()
    headers = {"Authorization": f"Bearer {embedded.keys['admin']}"}
    for operation, mode in product(whole.operations(described), schemathesis.GenerationMode):
        known = real if mode is schemathesis.GenerationMode.POSITIVE else None
        try:
            whole.exercised(operation, mode, headers, known, seen)
        except hypothesis.errors.Unsatisfiable:
            continue
        asked.add(operation.label)
    assert asked == {operation.label for operation in whole.operations(described)}
    assert sum(seen.values()) > 100
