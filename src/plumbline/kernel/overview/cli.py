"""``plumbline metrics``: what each room measures about its own work."""

from __future__ import annotations

import typer

from plumbline.kernel.faces.cli import Json, invocation, print_json, print_table

metrics = typer.Typer(no_args_is_help=True, help="What each room measures about its own work.")


@metrics.callback()
def _metrics() -> None:
    """What each room measures about its own work."""


@metrics.command("list")
def metrics_list(context: typer.Context, as_json: Json = False) -> None:
    """Measure every metric source now; one without a value says why."""
    from plumbline.kernel.overview.service import metric_facts
    from plumbline.kernel.sources import taken

    called = invocation(context)
    told = [metric_facts(source, sample) for source, sample in taken(called.installation, called.context)]
    if as_json:
        print_json({"items": told})
        return
    print_table(("metric", "value", "of", "title"), [(t["key"], t["value"] if t["value"] is not None else f"– {t['reason']}", t["denominator"], t["title"]) for t in told],
                right=("of",), empty="No room measures anything.")  # fmt: skip
