"""A version's file as something that scores: loaded once a process, checked byte by byte, never replaced by another."""

from __future__ import annotations

import logging
from collections import OrderedDict
from importlib import import_module
from operator import attrgetter
from threading import Lock, Thread
from typing import Any
from uuid import UUID

from plumbline.kernel import room
from plumbline.kernel.errors import Corrupt, InvalidInput, NotFound, PlumblineError, TooLarge, Unavailable
from plumbline.kernel.findings import repository as listed
from plumbline.kernel.findings.service import raise_finding
from plumbline.kernel.identity.service import system_context
from plumbline.kernel.installation import Installation
from plumbline.kernel.ledger.service import audit
from plumbline.kernel.models.artifacts import unpack
from plumbline.kernel.models.tables import Model

log = logging.getLogger("plumbline.models")
KEPT = 8
ROOM = "models"
_Key = tuple[str, str, str]


class Scorers:
    """What was loaded last, by content. Two threads that want the same file wait for one load."""

    def __init__(self, kept: int = KEPT) -> None:
        self.kept = kept
        self._held: OrderedDict[_Key, Any] = OrderedDict()
        self._loading: dict[_Key, Lock] = {}
        self._lock = Lock()

    def get(self, key: _Key) -> Any | None:
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
            return self._held.get(key)

    def put(self, key: _Key, scorer: Any) -> None:
        with self._lock:
            self._held[key] = scorer
            self._held.move_to_end(key)
            while len(self._held) > self.kept:
                self._held.popitem(last=False)

    def drop(self, key: _Key) -> None:
        with self._lock:
            self._held.pop(key, None)

    def turn(self, key: _Key) -> Lock:
        with self._lock:
            return self._loading.setdefault(key, Lock())


_scorers = Scorers()


def kinds() -> dict[str, str]:
    """Model kind → the name of its loader, of all installed rooms."""
    return room.gathered(lambda r: dict(r.model_kinds) if r.model_kinds else None)


def load(installation: Installation, model: Model, *, fresh: bool = False) -> Any:
    """The scorer of a version. Its bytes are hashed and its golden rows scored when it is loaded.

    :param fresh: read and check the file even where its scorer is at hand.
    :raises Corrupt: the file is missing, is not what its hash says, or does not reproduce its golden rows. A critical
        finding says so; no other version takes its place.
    :raises Unavailable: the store cannot be read now, or no installed room knows this kind of model.
    """
    key = (installation.settings.artifact_root, model.kind, model.extra["sha256"])
    if not fresh and (held := _scorers.get(key)) is not None:
        return held
    with _scorers.turn(key):
        if not fresh and (held := _scorers.get(key)) is not None:
            return held
        try:
            scorer = _read(installation, model)
        except Corrupt as fault:
            _scorers.drop(key)
            _report(installation, model, fault)
            raise
        _scorers.put(key, scorer)
        return scorer


def _read(installation: Installation, model: Model) -> Any:
    loader = kinds().get(model.kind)
    if loader is None:
        raise Unavailable(
            f"No room here knows models of the kind '{model.kind}'.", remedy="Install the room that made this model."
        )
    module, _, attribute = loader.partition(":")
    build = attrgetter(attribute)(import_module(module))
    name = f"{model.name}@{model.version}"
    try:
        data = installation.artifacts.get(model.extra["sha256"])
    except NotFound as error:
        raise Corrupt(f"The file of {name} is missing from the store.", where=error.where,
                      remedy="Restore it from a backup, or roll back to another version.") from error  # fmt: skip
    except OSError as error:
        raise Unavailable(f"The model store cannot be read: {error.strerror or type(error).__name__}.",
                          remedy="See that the store is there and may be read, then try again.") from error  # fmt: skip
    try:
        return build(unpack(data))
    except (InvalidInput, TooLarge) as error:
        raise Corrupt(f"The file of {name} holds what no model file may: {error.detail}", where=error.where,
                      remedy="Roll back to another version.") from error  # fmt: skip


def fingerprint(model_id: UUID) -> str:
    return f"artifact:{model_id}"


def _report(installation: Installation, model: Model, fault: Corrupt) -> None:
    """One finding and one entry when it is first seen; later loads meet the open finding and add nothing.

    They are kept in a transaction of their own, for the caller's will end with the error. On SQLite the caller may hold the
    one write lock in this very thread: then they are written as soon as it lets go, by a thread that waits for it.
    """
    writing = Thread(target=_written, args=(installation, model, fault), name="models.load")
    writing.start()
    writing.join(timeout=1.0)


def _written(installation: Installation, model: Model, fault: Corrupt) -> None:
    organization = model.organization_id
    try:
        context = system_context(installation, organization, actor="models.load", client="models")
        with installation.database.write(organization) as session:
            known = listed.by_fingerprint(session, organization, ROOM, fingerprint(model.id))
            if known is not None and known.state != "resolved":
                return
            key = raise_finding(session, context, room=ROOM, subject_id=model.id, title=f"{model.name} {model.version} is damaged",
                                severity="critical", url=f"/models/{model.id}", fingerprint=fingerprint(model.id), tags=("artifact",),
                                reopen=True)  # fmt: skip
            details = {"finding_id": str(key), "sha256": model.extra["sha256"]}
            audit(session, context, "models.load", "model", model.id, details=details, error=str(fault))
    except PlumblineError:  # the caller is told of the damage all the same
        log.exception("a damaged model file could not be put on the list of findings")
