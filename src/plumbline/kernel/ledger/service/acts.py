"""One use case = one transaction = one audit entry."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from datetime import timedelta
from types import TracebackType
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from plumbline.kernel import canonical
from plumbline.kernel.context import Context
from plumbline.kernel.database import Database, WriteSession, new_id, types
from plumbline.kernel.errors import PlumblineError
from plumbline.kernel.ledger import entry
from plumbline.kernel.ledger.tables import AuditEntry

_TABLE = AuditEntry.__table__
assert isinstance(_TABLE, sa.Table)
_INSERT = sa.insert(_TABLE)  # past the mapper, which costs as much again
LONG = 60.0
"""Seconds from which on an act is dated by its end, not its beginning."""


class Act:
    """A use case in progress.

    The transaction begins when its block first asks for the session, so that what is computed before holds no lock.
    When the block ends, the one audit entry is written in the transaction and both are committed. When it raises,
    nothing is kept but an entry with ``success=false`` in a transaction of its own, and the error goes on::

        with Act(database, context, "users.create", "user", right="users.manage") as act:
            act.session.execute(…)
            act.done(user_id, new={"username": name})

    Secrets and bodies never enter an entry; ``old`` and ``new`` hold the changed fields only.
    """

    def __init__(self, database: Database, context: Context, action: str, resource_type: str, *, resource_id: UUID | None = None,
                 right: str | None = None) -> None:  # fmt: skip
        self.database, self.context = database, context
        self.action, self.resource_type, self.resource_id = action, resource_type, resource_id
        self.right = right
        self.old: Any = None
        self.new: Any = None
        self.details: dict[str, Any] = {}
        self._stack = ExitStack()
        self._began = time.monotonic()
        self._session: WriteSession | None = None

    def _ended(self) -> Context:
        """An act that took long is dated by its end: an entry of hours ago would look back-dated among those sealed since."""
        elapsed = time.monotonic() - self._began
        return self.context if elapsed < LONG else self.context.at(self.context.now + timedelta(seconds=elapsed))

    @property
    def session(self) -> WriteSession:
        """The act's transaction."""
        if self._session is None:
            self._session = self._stack.enter_context(self.database.write(self.context.organization_id))
        return self._session

    def done(self, resource_id: UUID | None = None, *, old: Any = None, new: Any = None, **details: Any) -> None:
        """What the entry will say; may be called more than once, later words are added."""
        self.resource_id = resource_id or self.resource_id
        self.old = old if old is not None else self.old
        self.new = new if new is not None else self.new
        self.details.update(details)

    def __enter__(self) -> Act:
        if self.right is not None:
            try:
                self.context.require(self.right)
            except PlumblineError as error:
                self._failed(error)
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with self._stack:
                if error is not None:
                    raise error
                audit(self.session, self._ended(), self.action, self.resource_type, self.resource_id, old=self.old, new=self.new,
                      details=self.details or None)  # fmt: skip
        except BaseException as raised:  # the block's own error, or a database's in our words
            self._failed(raised)
            if raised is not error:
                raise

    def _failed(self, error: BaseException) -> None:
        """Say in the log that it was tried. A database that is away cannot take the entry: then the error alone is told."""
        if not isinstance(error, Exception):
            return  # the process is being stopped
        text = str(error) if isinstance(error, PlumblineError) else type(error).__name__
        try:
            with self.database.write(self.context.organization_id) as session:
                audit(
                    session,
                    self._ended(),
                    self.action,
                    self.resource_type,
                    self.resource_id,
                    details=self.details or None,
                    error=text,
                )
        except PlumblineError as second:
            if second.status != 503:
                raise


def audit(session: WriteSession, context: Context, action: str, resource_type: str, resource_id: UUID | None = None, *,
          old: Any = None, new: Any = None, details: Any = None, error: str | None = None) -> UUID:  # fmt: skip
    """Write one entry in the session's transaction; ids and salts are made here, always."""
    actor_salt, content_salt = os.urandom(32), os.urandom(32)
    actor = {
        "actor_id": context.actor_id, "client_id": context.client_id, "ip_address": context.ip,
        "session_id": context.session_id, "user_agent": context.user_agent,
    }  # fmt: skip
    content: dict[str, Any] = {
        "details": _encoded(details), "error_message": error, "new_values": _encoded(new), "old_values": _encoded(old),
    }  # fmt: skip
    key = new_id(context.now)
    session.execute(
        _INSERT,
        {
            "id": key, "organization_id": context.organization_id, "timestamp": context.now, "action": action,
            "actor_type": context.actor_type, "user_id": context.user_id, "resource_type": resource_type,
            "resource_id": resource_id, "request_id": context.request_id, "success": error is None,
            **actor, "actor_salt": actor_salt, "actor_commitment": entry.commitment(actor_salt, entry.actor_message(**actor)),
            **content, "content_salt": content_salt,
            "content_commitment": entry.commitment(content_salt, entry.content_message(**content)),
        },
    )  # fmt: skip
    return key


def _encoded(value: Any) -> types.Encoded | None:
    """Canonical once: the same text is committed to and stored."""
    return None if value is None else types.Encoded(canonical.dumps(value).decode())
