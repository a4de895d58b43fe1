"""What every command needs: the installation it works on, who acts, how results and errors are printed.

Imports typer and the standard library only at its head, as all command modules do: the command must start fast.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from plumbline.kernel.context import Context
    from plumbline.kernel.installation import Installation

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=500, help="How many rows at most.")]
Cursor = Annotated[str | None, typer.Option("--cursor", help="Go on where the last page ended.")]


@dataclass
class Invocation:
    """The options before the command, and what is opened because of them."""

    home: Path | None = None
    database_url: str | None = None
    organization: str | None = None
    acting: str | None = None
    _open: Installation | None = field(default=None, repr=False)

    def settings(self) -> Any:
        from plumbline import settings

        return settings.load(home=self.home, database_url=self.database_url)

    @property
    def installation(self) -> Installation:
        if self._open is None:
            from plumbline.kernel.installation import Installation

            self._open = Installation.open(self.settings())
        return self._open

    @property
    def context(self) -> Context:
        """The command line of the embedded home acts as the system, or as the person that ``--as`` names."""
        import getpass
        from dataclasses import replace

        from plumbline.kernel.identity import rights, service

        installation = self.installation
        organization = service.organization_of(installation, self.organization)
        try:
            login = getpass.getuser()
        except (KeyError, OSError):
            login = "unknown"
        context = service.system_context(installation, organization.id, actor=f"cli:{login}")
        if self.acting is None:
            return context
        user = service.user_named(installation, context, self.acting)
        held = rights.EVERY if user.is_superuser else rights.of_role(user.role)
        return replace(context, actor_type="user", actor_id=str(user.id), user_id=user.id, rights=held, role=user.role)

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None


def invocation(context: typer.Context) -> Invocation:
    found = context.find_object(Invocation)
    if found is None:
        found = context.obj = Invocation()
    return found


def plain(value: Any) -> Any:
    """A JSON-able form of what services return."""
    from dataclasses import asdict, is_dataclass
    from datetime import date, datetime
    from uuid import UUID

    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(v) for v in value]
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, UUID | date | Path):
        return str(value)
    return value


def print_json(value: Any) -> None:
    typer.echo(json.dumps(plain(value), indent=2, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, right: Sequence[str] = (), title: str | None = None,
                empty: str = "Nothing here yet.") -> None:  # fmt: skip
    """A table for people; numbers stand right."""
    from datetime import datetime

    from rich.console import Console
    from rich.measure import Measurement
    from rich.table import Table

    if not rows:
        typer.echo(empty)
        return
    if title:
        typer.echo(title)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for number, name in enumerate(columns):
        table.add_column(name, justify="right" if name in right else "left", overflow="fold",
                         no_wrap=any(isinstance(row[number], datetime) for row in rows))  # fmt: skip
    for row in rows:
        table.add_row(*(shown(v) for v in row))
    console = Console(width=None if sys.stdout.isatty() else 200)
    # sentences fold, words do not: an id that is cut into pieces cannot be copied
    least = Measurement.get(console, console.options.update(max_width=10_000), table).minimum
    console.width = max(console.width, least)
    with console.capture() as drawn:
        console.print(table)
    for line in drawn.get().splitlines():
        typer.echo(line.rstrip())


def shown(value: Any) -> str:
    from datetime import UTC, datetime

    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
        case float():
            return f"{value:.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
        case int():
            return f"{value:,}"
    return str(value)


def print_page(page: Any, columns: Sequence[str], row: Callable[[Any], dict[str, Any]], *, as_json: bool, right: Sequence[str] = (),
               empty: str = "Nothing here yet.") -> None:  # fmt: skip
    """A page of a list: ``row`` gives an item's fields by column name (further ones appear in JSON only)."""
    items = [row(item) for item in page.items]
    if as_json:
        print_json({"items": items, "next": page.next, "total": page.total_text or None})
        return
    print_table(columns, [[item[c] for c in columns] for item in items], right=right, empty=empty)
    if page.next:
        typer.echo(f"{len(items)} of {page.total_text or 'more'}; go on with --cursor {page.next}")


def print_facts(facts: dict[str, Any], *, as_json: bool) -> None:
    """One thing: its facts below each other."""
    if as_json:
        print_json(facts)
        return
    width = max(len(k) for k in facts)
    for name, value in facts.items():
        typer.echo(
            f"{name.ljust(width)}  {json.dumps(plain(value), ensure_ascii=False) if isinstance(value, dict | list) else shown(value)}"
        )


@contextmanager
def progress(title: str, total: int | None = None) -> Iterator[Callable[[int, int | None], None]]:
    """A bar on stderr; call with (done, total)."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
                   console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())  # fmt: skip
    with bar:
        task = bar.add_task(title, total=total)

        def moved(done: int, whole: int | None = None) -> None:
            bar.update(task, completed=done, total=whole if whole is not None else total)

        yield moved
