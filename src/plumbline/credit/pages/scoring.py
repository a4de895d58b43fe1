"""One application typed in, pasted, or made up; decided on POST."""

from __future__ import annotations

import json
import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from plumbline.console import views
from plumbline.credit import service, synthetic
from plumbline.credit.decision import TYPE
from plumbline.credit.intake.schema import Schema
from plumbline.credit.modelling.scorer import Scorer
from plumbline.credit.pages import form, reading
from plumbline.kernel import canonical
from plumbline.kernel.context import Context
from plumbline.kernel.errors import InvalidInput
from plumbline.kernel.faces.http import House, Visitor
from plumbline.kernel.installation import Installation
from plumbline.kernel.models import service as models

router = APIRouter()
POOL = 40
"""An example is one of so many applications of a small portfolio, so that good and bad risks both occur."""
LARGEST_SEED = 999_999


async def typed_in(request: Request) -> dict[str, str]:
    """The texts of a form whose fields the schema names."""
    given = await request.form()
    return {name: text for name, text in given.items() if isinstance(text, str)}


@router.get("/credit/score")
def score_page(
    request: Request, house: House, visitor: Visitor, by: str = "", example: Annotated[str, Query()] = ""
) -> Response:
    visitor.require("credit.score")
    seed = min(int(example), LARGEST_SEED) if example.isdecimal() else None
    scorer = _scorer(house, visitor)
    given: dict[str, str] = {}
    if seed is not None and scorer is not None and (made := example_of(scorer.schema, seed)):
        application = made.pop(scorer.schema.main.name)
        given = form.typed(application)
        given[form.HISTORY] = json.dumps({name: rows for name, rows in made.items() if rows}, indent=1)
        given["json"] = json.dumps({scorer.schema.main.name: application, **made}, indent=1)
    return _page(request, scorer, by, given, {}, seed=seed if given else None)


@router.post("/credit/score")
def score_typed(
    request: Request, house: House, visitor: Visitor, given: Annotated[dict[str, str], Depends(typed_in)]
) -> Response:
    if not visitor.may("credit.score"):
        service.score(house, visitor, {})  # refused, and the attempt recorded
    by = given.get("by", "")
    scorer: Scorer = models.load(house, models.active(house, visitor, kind=TYPE))
    schema = scorer.schema
    try:
        if by == "json":
            payload: Any = canonical.loads(given.get("json", ""))
        else:
            payload, found = form.read(schema, given)
            if found:
                return _page(request, scorer, by, given, found, status=422)
        answer = service.score(house, visitor, payload)
    except InvalidInput as error:
        found = form.in_text(error) if by == "json" else form.faults(error, schema)
        return _page(request, scorer, by, given, found, status=422)
    return views.redirect(
        request, f"/credit/decisions/{answer.id}", flash=f"Application {answer.subject_id} is decided and recorded."
    )


def _scorer(house: Installation, visitor: Context) -> Scorer | None:
    model = reading.live(house, visitor)
    return models.load(house, model) if model is not None else None


def example_of(schema: Schema, seed: int) -> dict[str, Any] | None:
    """An unseen synthetic application; ``None`` where the schema is of other data than the generator makes.

    Linked rows leave out whose they are, so that the application can be given another number.
    """
    portfolio = synthetic.generate(POOL, seed)
    main = portfolio.tables.get(schema.main.name)
    if main is None or schema.id not in main.columns:
        return None
    made = synthetic.to_application_json(portfolio, main[schema.id][seed % POOL])
    for name, table in schema.linked.items():
        if table.parent_table == schema.main.name:
            made[name] = [
                {key: found for key, found in row.items() if key != table.parent} for row in made.get(name, [])
            ]
    return made | {schema.main.name: form.absent(schema) | made[schema.main.name]}


def _page(request: Request, scorer: Scorer | None, by: str, given: dict[str, str], found: dict[str, str], *, seed: int | None = None,
          status: int = 200) -> Response:  # fmt: skip
    by = "json" if by == "json" else "form"
    if scorer is None:
        return views.page(request, "credit/score.html", nav="credit", ready=False)
    schema = scorer.schema
    weights = form.importance(
        scorer.report.get("importance", {}), {f.name: f for f in scorer.features}, schema.main.name
    )
    front, rest = form.fields(schema, weights)
    opened = {"rest": any(form.PREFIX + f.name in found for f in rest), "history": form.HISTORY in found}
    return views.page(
        request, "credit/score.html", nav="credit", status=status, ready=True, by=by, given=given, found=found, front=front, rest=rest,
        opened=opened, seed=seed, another=secrets.randbelow(LARGEST_SEED + 1), tables=list(schema.tables), prefix=form.PREFIX,
        main=schema.main.name, filled=sum(1 for f in rest if given.get(form.PREFIX + f.name)),
    )  # fmt: skip
