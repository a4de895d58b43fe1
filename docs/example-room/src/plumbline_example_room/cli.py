"""``plumbline punctuality``. The head imports typer only: the command must start fast."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from plumbline.kernel.faces.cli import Cursor, Json, Limit, invocation, print_facts, print_page

punctuality = typer.Typer(no_args_is_help=True, help="Deliveries: record one, list them.")
Day = Annotated[datetime, typer.Argument(formats=["%Y-%m-%d"])]


@punctuality.command()
def record(context: typer.Context, reference: str, promised: Day, arrived: Day, as_json: Json = False) -> None:
    """Judge a delivery and keep it."""
    from plumbline_example_room import service

    called = invocation(context)
    days = {"promised_on": promised.date(), "arrived_on": arrived.date()}
    key, verdict = service.record(called.installation, called.context, reference=reference, **days)
    print_facts({"id": key, "verdict": verdict}, as_json=as_json)


@punctuality.command("list")
def list_deliveries(context: typer.Context, limit: Limit = 50, cursor: Cursor = None, as_json: Json = False) -> None:
    """The newest deliveries first."""
    from plumbline.kernel.paging import PageRequest
    from plumbline_example_room import service

    called = invocation(context)
    page, _late = service.deliveries(called.installation, called.context, PageRequest.parse(limit, cursor))
    columns = ("reference", "promised_on", "arrived_on", "verdict")
    print_page(page, columns, lambda d: {name: getattr(d, name) for name in columns}, as_json=as_json)
