"""Applications of the lenders' portfolio that changes by the applicant would have brought an approval."""

from __future__ import annotations

from functools import cache

from plumbline.credit.intake.validation import validate_application
from plumbline.credit.modelling.counterfactual import Counterfactual, counterfactual
from tests.credit import trained


@cache
def helped() -> tuple[tuple[int, Counterfactual], ...]:
    """Numbers for ``trained.payload`` with the nearest way of each."""
    scorer, found = trained.scorer(), []
    for number in range(trained.portfolio().tables["application"].height):
        tables = validate_application(trained.payload(number), scorer.schema)
        if scorer.explain(tables)[0].decision != "approve" and (ways := counterfactual(scorer, tables).found):
            found.append((number, ways[0]))
        if len(found) == 4:
            break
    assert found, "nobody in the portfolio can be helped"
    return tuple(found)
