"""Commands that begin something: the first organization, a server, a worker, the demonstration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from plumbline.kernel.faces.cli import Json, invocation, print_facts

if TYPE_CHECKING:
    from plumbline.kernel.installation import Installation


def init(
    context: typer.Context,
    name: Annotated[str, typer.Option("--name", help="Name of the organization.")] = "My organization",
    slug: Annotated[str, typer.Option("--slug", help="Its short name, as it stands in addresses.")] = "main",
    username: Annotated[str, typer.Option("--admin", help="User name of the first administrator.")] = "admin",
    email: Annotated[str, typer.Option("--email", help="E-mail of the first administrator.")] = "admin@localhost",
    as_json: Json = False,
) -> None:
    """Make the database, the first organization and its administrator, whose password is shown once."""
    from plumbline.kernel.database import Database, migrate
    from plumbline.kernel.errors import Conflict, NotFound
    from plumbline.kernel.identity import service as identity

    called = invocation(context)
    settings = called.settings()
    database = Database(settings.url, role="owner")
    try:
        migrate.upgrade(database)
    finally:
        database.close()
    installation = called.installation
    try:
        there = identity.organization_of(installation, None)
    except NotFound:
        made = identity.initialize(installation, name=name, slug=slug, username=username, email=email)
    else:
        raise Conflict(f"This installation has the organization '{there.slug}' already; its database is up to date.",
                       remedy="Add another with: plumbline users create-organization")  # fmt: skip
    print_facts({"organization": name, "user": made.username, "password": made.password, "home": str(settings.home),
                 "database": database.url.render_as_string(hide_password=True)}, as_json=as_json)  # fmt: skip
    if not as_json:
        typer.echo("The password is shown this once. Next: plumbline serve")


def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port to listen on; 0 takes a free one.")] = None,
) -> None:
    """Serve the API, the console and background workers in one process."""
    from plumbline.kernel.faces import logs

    called = invocation(context)
    settings = called.settings()
    logs.configure(settings.log_level)
    run_server(called.installation, host or settings.host, settings.port if port is None else port,
               lambda address: typer.echo(f"Plumbline serves at {address}", err=True))  # fmt: skip


def run_server(installation: Installation, host: str, port: int, ready: Any) -> None:
    """Listen, say where, and work until a signal comes; the workers finish their chunk first."""
    import signal
    import socket
    from collections.abc import Iterator
    from contextlib import contextmanager

    import uvicorn

    from plumbline.app import create_app
    from plumbline.kernel.errors import Unavailable
    from plumbline.kernel.jobs.worker import Worker, ensure_schedules

    class Server(uvicorn.Server):
        """Ends by returning: uvicorn's own raises the signal again, which would kill the process before the workers stopped."""

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
            try:
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

    settings = installation.settings
    # the protocol is named: asyncio sets TCP_NODELAY only then, and without it each answer waits 40 ms for an acknowledgement
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)  # who reads the address may call at once: connections wait until the server takes them
    except OSError as error:
        listener.close()
        raise Unavailable(
            f"Port {port} of {host} cannot be used: {error.strerror}.",
            remedy="Choose another: --port 0 takes a free one.",
        ) from None
    ensure_schedules(installation)
    worker = (
        Worker(installation, name=worker_name("serve"), threads=settings.worker_threads)
        if settings.worker_threads
        else None
    )
    config = uvicorn.Config(create_app(installation), log_config=None, access_log=False, proxy_headers=True, timeout_graceful_shutdown=10,
                            server_header=False)  # fmt: skip
    if worker is not None:
        worker.start()
    try:
        shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 - compared, not bound
        ready(settings.public_url or f"http://{f'[{shown}]' if ':' in shown else shown}:{listener.getsockname()[1]}")
        Server(config).run(sockets=[listener])
    finally:
        if worker is not None:
            worker.stop()
        listener.close()


def worker_name(kind: str) -> str:
    import os
    import socket

    return f"{kind}-{socket.gethostname()}-{os.getpid()}"


def worker(
    context: typer.Context,
    threads: Annotated[int, typer.Option("--threads", min=1, max=64, help="Jobs at the same time.")] = 2,
) -> None:
    """Run background jobs until a signal comes; the chunks that are running are finished first."""
    from plumbline.kernel.faces import logs
    from plumbline.kernel.jobs.worker import Worker, ensure_schedules

    called = invocation(context)
    logs.configure(called.settings().log_level)
    ensure_schedules(called.installation)
    running = Worker(called.installation, name=worker_name("worker"), threads=threads)
    typer.echo(f"worker with {threads} {'thread' if threads == 1 else 'threads'}; stop it with Ctrl+C", err=True)
    running.run_forever()


def demo(
    context: typer.Context,
    serving: Annotated[bool, typer.Option("--serve/--no-serve", help="Serve the console afterwards.")] = True,
    fresh: Annotated[bool, typer.Option("--fresh", help="Build the firm anew.")] = False,
    days: Annotated[int, typer.Option("--days", min=1, max=365, help="Length of the firm's history.")] = 14,
    seed: Annotated[int, typer.Option("--seed", help="The same seed makes the same firm.")] = 1,
    port: Annotated[int, typer.Option("--port", help="Port of the console; 0 takes a free one.")] = 0,
    as_json: Json = False,
) -> None:
    """Build one firm through the product's own services: people, a portfolio, a model, decisions; then serve it."""
    from plumbline import settings as configuration
    from plumbline.demonstration import build, firm_context

    called = invocation(context)
    home = called.home or Path(".plumbline-demo")
    settings = configuration.load(home=home, database_url=called.database_url, environment="demonstration")
    built = build(settings, days=days, seed=seed, fresh=fresh, told=lambda text: typer.echo(text, err=True))
    try:
        if as_json:
            from plumbline.kernel.faces.cli import print_json

            print_json(built.summary)
        else:
            built.show()
        if serving:

            def ready(address: str) -> None:
                from plumbline.kernel.identity import service as identity

                owner = firm_context(built.installation)
                token = identity.once_link(built.installation, owner, built.admin_id)
                typer.echo(
                    f"\nConsole:  {address}\nSign in:  {address}/signin/once/{token}   (works once, for 30 minutes)\nStop with Ctrl+C."
                )

            run_server(built.installation, settings.host, port, ready)
    finally:
        built.installation.close()
