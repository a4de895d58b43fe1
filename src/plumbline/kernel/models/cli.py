"""``plumbline models``: the registry on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from plumbline.kernel.faces.cli import Cursor, Json, Limit, invocation, print_facts, print_page, print_table

if TYPE_CHECKING:
    from plumbline.kernel.models.tables import Model

models = typer.Typer(no_args_is_help=True, add_completion=False, help="Models: list, show, activate, roll back.")

Key = Annotated[
    str, typer.Argument(metavar="MODEL", help="An id, name@version, or name: its live version, else its newest.")
]
Reason = Annotated[
    str | None, typer.Option("--reason", help="Why; stands in the ledger. Needed where no second person is asked for.")
]
Force = Annotated[bool, typer.Option("--force", help="Take a version whose inputs break with those of the live one.")]


def facts(model: Model) -> dict[str, Any]:
    return {
        "id": model.id, "name": model.name, "version": model.version, "kind": model.kind, "model_type": model.model_type,
        "framework": model.framework, "live": model.is_active, "sha256": model.extra["sha256"], "size": model.extra["size"],
        "trained_at": model.trained_at, "trained_by": model.extra["trained_by"], "deployed_at": model.deployed_at,
        "previous_id": model.extra.get("previous_id"), "metrics": model.metrics,
    }  # fmt: skip


@models.command("list")
def list_(
    context: typer.Context, name: Annotated[str | None, typer.Option("--name", help="Versions of this name only.")] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="Versions of this kind only: credit …")] = None,
    live: Annotated[bool | None, typer.Option("--live/--not-live", help="Only versions that decide now, or only the others.")] = None,
    limit: Limit = 50, cursor: Cursor = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Versions, newest first."""
    from plumbline.kernel.models import service
    from plumbline.kernel.paging import PageRequest

    called = invocation(context)
    page = service.list_models(
        called.installation, called.context, PageRequest.parse(limit, cursor), name=name, kind=kind, active=live
    )

    def row(model: Model) -> dict[str, Any]:
        told = facts(model)
        told["model"] = f"{model.name}@{model.version}"
        return told | {"hash": told["sha256"][:12]} if not as_json else facts(model)

    print_page(page, ("model", "kind", "framework", "live", "trained_at", "deployed_at", "hash", "id"), row, as_json=as_json,
               empty="No model yet.")  # fmt: skip


@models.command("show")
def show(context: typer.Context, model: Key, as_json: Json = False) -> None:
    """One version: its file, its figures, its inputs."""
    from plumbline.kernel.models import service

    called = invocation(context)
    found = service.detail(called.installation, called.context, model)
    told = facts(found.model) | {
        "versions": [v.version for v in found.versions], "damaged": found.damaged, "inputs": len(found.model.features),
    }  # fmt: skip
    evaluations = [
        {"dataset": m.evaluation.dataset, "rows": m.evaluation.sample_count, "metrics": m.metrics,
         "intervals": m.evaluation.extra.get("intervals", {}), "undefined": m.evaluation.extra.get("undefined", {})}
        for m in found.evaluations
    ]  # fmt: skip
    if as_json:
        print_facts(told | {"features": found.model.features, "evaluations": evaluations}, as_json=True)
        return
    print_facts({k: v for k, v in told.items() if k != "metrics"}, as_json=False)
    typer.echo()
    rows = [
        (m["dataset"], m["rows"], name, value, _interval(m["intervals"].get(name)))
        for m in evaluations
        for name, value in m["metrics"].items()
    ]
    print_table(
        ("dataset", "rows", "metric", "value", "95 % interval"),
        rows,
        right=("rows", "value"),
        empty="Nothing was measured.",
    )


def _interval(pair: Any) -> str | None:
    return f"{pair[0]:.4g} to {pair[1]:.4g}" if pair else None


@models.command("activate")
def activate(
    context: typer.Context, model: Key, reason: Reason = None, force: Force = False, as_json: Json = False
) -> None:
    """Let a version decide from now on."""
    from plumbline.kernel.models import service

    called = invocation(context)
    _done(service.activate(called.installation, called.context, model, reason=reason, force=force), as_json)


@models.command("rollback")
def rollback(context: typer.Context, name: Annotated[str, typer.Argument(help="The name of a model.")], reason: Reason = None,
             force: Force = False, as_json: Json = False) -> None:  # fmt: skip
    """Put the version that was live before back; once more goes one further."""
    from plumbline.kernel.models import service

    called = invocation(context)
    _done(service.rollback(called.installation, called.context, name, reason=reason, force=force), as_json)


def _done(model: Model, as_json: bool) -> None:
    if as_json:
        print_facts(facts(model), as_json=True)
    else:
        typer.echo(f"{model.name}@{model.version} is live ({model.extra['sha256'][:12]}).")
