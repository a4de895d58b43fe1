"""Engines and sessions: ``read()`` cannot write, ``write()`` is one transaction, on SQLite and PostgreSQL alike."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import orjson
import sqlalchemy as sa
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

from plumbline.kernel.database.guard import Guard
from plumbline.kernel.errors import Forbidden, InvalidInput, MissingExtra, Unavailable, Usage

Role = Literal["app", "worker", "owner"]
BUSY_MS = 30_000


class ReadSession(Session):
    """A transaction that only reads: READ ONLY on PostgreSQL, refused by the guard on both engines."""


class WriteSession(Session):
    """A transaction that writes; it commits when its block ends and not otherwise."""


class Database:
    """One database, reached with one role.

    :param url: ``sqlite:///path`` or ``postgresql://user@host/name``.
    :param role: which rights to take on PostgreSQL (``SET ROLE plumbline_app``); ``owner`` keeps the login's own and is
        for migrations only. SQLite has no roles.
    """

    def __init__(self, url: str, *, role: Role = "app", pool_size: int = 20) -> None:
        self.url = sa.make_url(url)
        if self.url.drivername in ("postgresql", "postgres"):
            self.url = self.url.set(drivername="postgresql+psycopg")
        self.role = role
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if not self.is_sqlite and self.url.get_backend_name() != "postgresql":
            raise Usage(f"'{self.url.drivername}' is not a database Plumbline speaks.",
                        remedy="Use sqlite:///FILE or postgresql://USER@HOST/NAME.")  # fmt: skip
        self.engine = self._sqlite(pool_size) if self.is_sqlite else self._postgresql(pool_size)
        sa.event.listen(self.engine, "before_execute", Guard())
        self._reading = self.engine.execution_options(write=False)
        self._writing = self.engine.execution_options(write=True)
        if not self.is_sqlite:
            self._reading = self._reading.execution_options(postgresql_readonly=True)

    @contextmanager
    def read(self, organization_id: UUID | None) -> Iterator[ReadSession]:
        """``organization_id`` is None only before the tenant is known: then nothing is visible but by key look-ups."""
        # told outermost: leaving a session rolls back, which fails as well when the server is gone
        with self._told(), ReadSession(self._reading, autoflush=False, expire_on_commit=False) as session:
            self.enter(session, organization_id)
            yield session

    @contextmanager
    def write(self, organization_id: UUID | None) -> Iterator[WriteSession]:
        with (
            self._told(),
            WriteSession(self._writing, autoflush=True, expire_on_commit=False) as session,
            session.begin(),
        ):
            self.enter(session, organization_id)
            yield session

    @contextmanager
    def connect(self, *, write: bool = False) -> Iterator[sa.Connection]:
        """A plain connection for the database's own business (schema, health, queue); statements need ``tenant=…``."""
        with self._told(), (self._writing if write else self._reading).connect() as connection, connection.begin():
            yield connection

    def demand_plain_login(self) -> None:
        """Refuse a login that row-level security does not bind: a superuser, BYPASSRLS, or the tables' owner.

        :raises Forbidden: says which of them it is.
        """
        if self.is_sqlite:
            return
        with self.connect() as connection:
            name, above, owns = connection.exec_driver_sql(
                "SELECT session_user, rolsuper OR rolbypassrls, EXISTS (SELECT 1 FROM pg_class WHERE relname = 'organizations' AND relowner = r.oid)"
                " FROM pg_roles r WHERE rolname = session_user"
            ).one()
        if above or owns:
            what = "owns the tables" if owns and not above else "is a superuser or bypasses row-level security"
            raise Forbidden(f"The database login '{name}' {what}; in production it must not see every organization's rows.",
                            remedy="Serve with a login that owns nothing and was granted plumbline_app and plumbline_worker.")  # fmt: skip

    def close(self) -> None:
        self.engine.dispose()

    def enter(self, session: Session, organization_id: UUID | None) -> None:
        """Tell row-level security which tenant the transaction is of (once it is known, after a sign-in look-up)."""
        if organization_id is not None and not self.is_sqlite:
            session.connection().exec_driver_sql(
                "select set_config('plumbline.organization_id', %s, true)", (str(organization_id),)
            )

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Faults of the database, in words a person can act on."""
        try:
            yield
        except (sa.exc.OperationalError, sa.exc.InterfaceError) as error:
            # a full disk ends SQLite's transaction: the savepoint is gone before it can be left
            first = error.__context__
            if not (isinstance(first, sa.exc.OperationalError) and "no such savepoint" in str(error.orig)):
                first = error
            raise self.unavailable(first) from error
        except sa.exc.DataError as error:
            said = str(error.orig).strip().split("\n")[0]
            raise InvalidInput(
                f"The database cannot hold a value that was given: {said}.", remedy="Send another value."
            ) from error

    def unavailable(self, error: sa.exc.DBAPIError) -> Unavailable:
        text = str(error.orig).strip().split("\n")[0]
        if "disk is full" in text or "No space left" in text:
            return Unavailable(
                "The database's disk is full; nothing was changed.", remedy="Free some space, then try again."
            )
        if "disk I/O error" in text:  # what SQLite says when a file may not grow any more
            return Unavailable(
                "The disk refused a write to the database; nothing was changed.",
                remedy="See whether it is full or a file size limit is reached, then try again.",
            )
        if "locked" in text:
            return Unavailable("Another process kept the database busy for 30 seconds; nothing was changed.",
                               remedy="Try again.")  # fmt: skip
        return Unavailable(
            f"The database does not answer: {text}.", remedy="See that it runs and can be reached, then try again."
        )

    def _sqlite(self, pool_size: int) -> sa.Engine:
        name = self.url.database
        if not name or name == ":memory:":
            raise Usage("SQLite needs a file.", remedy="Use sqlite:///FILE.")
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(self.url, poolclass=QueuePool, pool_size=pool_size, max_overflow=20,
                                  connect_args={"check_same_thread": False})  # fmt: skip

        @sa.event.listens_for(engine, "connect")
        def _prepare(connection: Any, _record: Any) -> None:
            connection.isolation_level = None  # the driver's own transactions lose updates; ours begin below
            for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", f"busy_timeout={BUSY_MS}",
                           "recursive_triggers=ON", "journal_size_limit=67108864"):  # fmt: skip
                connection.execute(f"PRAGMA {pragma}")

        @sa.event.listens_for(engine, "begin")
        def _begin(connection: sa.Connection) -> None:
            # a deferred transaction that comes to write fails at once when another has written meanwhile
            connection.exec_driver_sql(
                "BEGIN IMMEDIATE" if connection.get_execution_options().get("write") else "BEGIN"
            )

        return engine

    def _postgresql(self, pool_size: int) -> sa.Engine:
        try:
            from psycopg.types.json import set_json_loads
        except ImportError:
            raise MissingExtra("postgres", "A PostgreSQL database") from None
        engine = sa.create_engine(self.url, pool_size=pool_size, max_overflow=20, pool_pre_ping=True,
                                  connect_args={"connect_timeout": 10})  # fmt: skip

        @sa.event.listens_for(engine, "connect")
        def _prepare(connection: Any, _record: Any) -> None:
            set_json_loads(orjson.loads, connection)
            if self.role != "owner":
                with connection.cursor() as cursor:
                    cursor.execute(f"SET ROLE plumbline_{self.role}")
                connection.commit()

        return engine
